"""
What a world is: a clock, credentials, and what each section of it holds.

A section is a vendor: its key in the world's JSON, and its API. Its package brings a `Section`, which `sections`
lists; nothing else knows which there are.
"""

import hashlib
import itertools
import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from reconcile.simulator.clock import LATEST, Clock, date
from reconcile.simulator.exchange import Call, Reply
from reconcile.simulator.shape import Path, ShapeError

H = TypeVar("H")

# Kind and id of a row.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Credential:
    """
    What clients of a section need to know.

    Attributes:
        name: its key in the world.
        made: its value, from a seed, in a world that names none.
        of_units: it is that of units which name none of their own, and not the account's.
    """

    name: str
    made: Callable[[int], str]
    pattern: re.Pattern[str] | None = None
    of_units: bool = False


class SimulatedWorld:
    """
    Everything that is simulated. What a section holds is an attribute of the section's name.

    Attributes:
        since: when this world was put in place, in simulated seconds.
        changed: the keys of the rows that were written since the world was last saved; see `rows`.
        authorizations: headers that say who the account is, as they stand, in the scheme of any section.
    """

    def __init__(
        self,
        sections: Iterable["Section[Any]"],
        clock: Clock,
        credentials: Mapping[str, str],
        since: float | None = None,
    ) -> None:
        self.sections = tuple(sections)
        self.clock = clock
        self.credentials = dict(credentials)
        self.since = clock.now() if since is None else since
        self.changed: set[Key] = set()
        self.authorizations: set[str] = set()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What a section holds."""

    def settle(self) -> int:
        """Everything due happens; answers the time at which that is true."""
        now = self.clock.now()
        for section in self.sections:
            section.settle(getattr(self, section.name), now)
        return int(now)

    def dump(self) -> dict[str, Any]:
        """The world as JSON, secret values included: complete, and such that putting it back changes nothing."""
        now = self.settle()
        dumped = {section.name: section.dump(getattr(self, section.name)) for section in self.sections}
        return {"now": date(now), **self.credentials, **dumped}

    def advance(self, seconds: float) -> str:
        """
        Moves the clock; everything due has happened when it answers the new date.

        Raises:
            ShapeError: beyond the year 9998.
        """
        if self.clock.now() + seconds >= LATEST:
            raise ShapeError(("advance_s",), "leads beyond the year 9998")
        self.clock.advance(seconds)
        self.changed.add(("world", ""))
        return date(self.settle())


class Section(Protocol[H]):
    """
    A vendor: one key of the world, and an API. `held` is what a world has under that key, of the vendor's own type.

    Attributes:
        name: its key in the world.
        provider: what the documents of fleets call the vendor.
        credentials: those that its clients need.
        kinds: of its rows; no other section has them.
        fleet: its key in `POST /_sim/fleet`; empty when it takes no part in that.
    """

    name: str
    provider: str
    credentials: tuple[Credential, ...]
    kinds: Container[str]
    fleet: str = ""

    # The world.

    def parse(self, value: Any, path: Path, world: SimulatedWorld) -> H:
        """
        What the JSON of the section describes; `{}` is an empty one.

        Args:
            world: has its clock and credentials. Marks in its `changed` what is written from now on.

        Raises:
            ShapeError: the first value that has the wrong shape.
        """

    def dump(self, held: H, /) -> dict[str, Any]:
        """The JSON of the section, complete, in the order of its keys."""

    def settle(self, held: H, now: float, /) -> None:
        """Everything due happens."""

    def units(self, known: dict[str, Any], path: Path) -> dict[str, Any]:
        """
        The keys of a world that has exactly these units, as from the factory.

        Args:
            known: what the documents of a fleet know of the units; see `worlds.world_for`.

        Raises:
            ShapeError: units of another shape.
        """

    def add_units(self, world: SimulatedWorld, count: int, seed: int) -> list[str]:
        """
        Adds units as from the factory; answers their ids, which depend on the seed. Those that exist are passed over,
        so that a second call with the same seed adds the next ones.
        """
        return []

    # Its rows, one per unit.

    def rows(self, held: H, /) -> Iterable[Key]:
        """The keys of all of them."""

    def row(self, held: H, kind: str, id_: str, /) -> Any:
        """The JSON value of one; None when there is nothing under that key any more."""

    def settings(self, held: H, /) -> dict[str, Any]:
        """What of the section is in no row."""

    def assemble(self, settings: dict[str, Any], kept: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """
        The section, as `parse` takes it, from its settings and the rows by kind and id. Both may be changed.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: they are not the rows of a world.
        """

    # The API.

    def claims(self, segments: list[str]) -> bool:
        """Whether a path is this API's."""

    def refuse(self, request: Call, world: SimulatedWorld) -> Reply | None:
        """The answer to a request without the right credentials; None when they are right. The body is not read yet."""

    def max_body(self, request: Call) -> int:
        """The largest body that is read, in bytes."""

    def answer(self, request: Call, world: SimulatedWorld) -> Reply:
        """Does the work. Never raises for what a client can send."""

    def about(self, request: Call, id_: str) -> Call | None:
        """The reading of the unit `id_`, in place of what a request reads or writes; None when that is of no unit."""

    def error(self, status: int, message: str) -> Reply:
        """An error in the vendor's shape that the server met before the API did."""


def digest(seed: int, what: str) -> str:
    """64 hex digits that depend on nothing but the arguments."""
    return hashlib.sha256(f"{seed}:{what}".encode()).hexdigest()


def unused(count: int, taken: Container[str], name: Callable[[int], str]) -> list[str]:
    """The first names of a sequence that are not taken."""
    free = (candidate for candidate in map(name, itertools.count()) if candidate not in taken)
    return list(itertools.islice(free, count))
