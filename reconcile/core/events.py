"""Events: progress that the engine emits and a renderer shows. No decision depends on one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconcile.core.address import Address
from reconcile.errors import Position


@dataclass(frozen=True, slots=True)
class ReadingStarted:
    """A type is being read; `expected` resources, or None when that is unknown."""

    type_path: str
    noun: str
    expected: int | None


@dataclass(frozen=True, slots=True)
class ReadingAdvanced:
    """`done` resources of the type were read so far."""

    type_path: str
    done: int


@dataclass(frozen=True, slots=True)
class ReadingDone:
    """The type is read: `done` resources, `complete` unless something did not answer."""

    type_path: str
    done: int
    complete: bool


@dataclass(frozen=True, slots=True)
class ApplyStarted:
    """An apply begins: so many resources change."""

    resources: int


@dataclass(frozen=True, slots=True)
class ChangeStarted:
    """The first request for a resource is about to be sent; `verb` is "Creating", "Updating", …"""

    address: Address
    verb: str


@dataclass(frozen=True, slots=True)
class ChangeDone:
    """
    A resource is done: `outcome` done, failed, unknown, skipped or conflict; `seconds` since its first request.

    Attributes:
        where: of what was not done, the place in the files that asks for it.
    """

    address: Address
    verb: str
    outcome: str
    seconds: float
    detail: str | None = None
    where: Position | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """A sentence worth a line in the log: a fall-back, a lease that was taken over, a retry that waits long."""

    text: str


Event = ReadingStarted | ReadingAdvanced | ReadingDone | ApplyStarted | ChangeStarted | ChangeDone | Noted
Sink = Callable[[Event], None]


def silent(_: Event) -> None:
    """A sink that shows nothing."""
