"""The checks of a case, as a class that pytest collects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconcile.conformance.case import Case
from reconcile.conformance.checks import CHECKS, Check
from reconcile.conformance.subject import Subject


def checks_of(subject: Subject) -> list[Check]:
    """The checks that a type can be asked to pass: one that the API cannot delete is not deleted."""
    return [check for check in CHECKS if check.concerns(subject)]


def suite(case: Case) -> type:
    """
    A class of tests, one for each check; give it a name that begins with `Test`.

    Raises:
        ValueError: the case names no type that is installed, or no place for its entries.
    """
    subject = Subject(case)
    members: dict[str, Any] = {check.name: _method(check) for check in checks_of(subject)}
    return type("Conformance", (), {**members, "subject": subject, "__doc__": f"The conformance of {case.type}."})


def _method(check: Check) -> Callable[..., None]:
    def test(self: Any, conformance_lab: Any) -> None:
        check.run(conformance_lab)

    test.__name__, test.__doc__ = check.name, check.about
    return test
