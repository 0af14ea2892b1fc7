"""A check: a function over a lab, and which types it concerns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from reconcile.conformance.bench import Lab
from reconcile.conformance.subject import Subject


@dataclass(frozen=True)
class Check:
    """
    Attributes:
        name: of its test: `test_…`, a behaviour.
        about: the same in a sentence.
        run: raises AssertionError where a type does not behave so.
        concerns: whether a type can be asked.
    """

    name: str
    about: str
    run: Callable[[Lab], None]
    concerns: Callable[[Subject], bool]


class Checked(Protocol):
    """A function that is a check."""

    check: Check

    def __call__(self, lab: Lab) -> None: ...


def every(subject: Subject) -> bool:
    """Of every type."""
    return True


def check(concerns: Callable[[Subject], bool] = every) -> Callable[[Callable[[Lab], None]], Checked]:
    """Makes a check of a function: its name is that of the test, its docstring what the test is about."""

    def checked(function: Callable[[Lab], None]) -> Checked:
        about = (function.__doc__ or "").strip()
        made = cast(Checked, function)
        made.check = Check(f"test_{function.__name__}", about, function, concerns)
        return made

    return checked
