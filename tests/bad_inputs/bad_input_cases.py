"""What a case is: files, a command, and what the person who typed it must see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

APPLY = ("apply", "--auto-approve")

Seen = tuple[str, ...]
"""Texts that one error holds together: its place (`fleet.yaml line 3`) if it has one, and words."""


def sid(number: int) -> str:
    """The SID of the n-th device of the world that cases meet."""
    return f"UV{number:032x}"


def fleet(body: str, name: str = "f") -> dict[str, str | bytes]:
    """A fleet of one file: `fleet:` is line 1, the section line 2, `body` begins on line 3."""
    return {"fleet.yaml": f"fleet: {name}\nmicrovisor:\n{body}"}


def trackers(body: str) -> dict[str, str | bytes]:
    """A fleet of asset trackers: `fleet:` is line 1, the section lines 2 and 3, `body` begins on line 4."""
    return {"fleet.yaml": f"fleet: f\nasset_tracker:\n  trackers:\n{body}"}


@dataclass(frozen=True)
class Refused:
    """
    An input that is refused: a typed error, the exit code (docs/architecture.md, "Exit codes"), and nothing sent.

    Attributes:
        numbers: which of the numbered bad inputs it is.
        files: by path in the fleet's directory.
        errors: each is met by one `Error:` of the output.
        prepare: makes what text cannot: links, pipes, huge files.
        reads: whether the case is found out by asking the API, so that GETs are sent and nothing else.
    """

    numbers: tuple[int, ...]
    title: str
    files: Mapping[str, str | bytes]
    errors: tuple[Seen, ...]
    command: tuple[str, ...] = APPLY
    exit: int = 3
    env: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], None] | None = None
    reads: bool = False


@dataclass(frozen=True)
class Accepted:
    """
    An input that the document allows: applied, then the live world has it and a second plan is empty.

    Attributes:
        live: of the account or device (`""` or its SID), the configs that it has then.
        names: of devices by SID, the name they have then.
    """

    numbers: tuple[int, ...]
    title: str
    files: Mapping[str, str | bytes]
    live: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    world: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[Path], None] | None = None
