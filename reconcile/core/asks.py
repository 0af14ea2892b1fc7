"""
What the join asks for, and what is known of one provider while its types are read one after the other.

A step of the join is a generator that yields one of these, is sent the answer, and goes on; `engine.observe` answers.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconcile.core.address import Address
from reconcile.core.lost import Attempt
from reconcile.core.planner import Planner
from reconcile.core.ports import Document
from reconcile.core.resource import Desired, Entry, Observed, Target
from reconcile.core.resource_type import ResourceType
from reconcile.core.schema import Mark, fields_of
from reconcile.core.sighting import Match
from reconcile.core.values import SecretRef
from reconcile.errors import BadAnswer


@dataclass(frozen=True, slots=True)
class EntriesAt:
    """The state's entries of these addresses. Answer: `dict[Address, Entry]`."""

    addresses: Sequence[Address]


@dataclass(frozen=True, slots=True)
class ByUnit:
    """The state's entries of a type by the ids of their units. Answer: `dict[str, Entry]`."""

    path: str
    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Under:
    """The state's entries that hang on these addresses. Answer: `list[Entry]`."""

    addresses: Sequence[Address]


@dataclass(frozen=True, slots=True)
class Read:
    """One unit, by itself; `prior`: what the state has of it."""

    rtype: ResourceType
    target: Target
    prior: Entry | None = None


@dataclass(frozen=True, slots=True)
class Reads:
    """Units, each by itself. Answer: for each a `Reading`, or the error why it could not be read."""

    reads: Sequence[Read]


@dataclass(frozen=True, slots=True)
class Listings:
    """All that hangs on units, as `(type, id of the unit)`. Answer: for each a `Page` of all, or the error."""

    of: Sequence[tuple[ResourceType, str]]


@dataclass(frozen=True, slots=True)
class Strangers:
    """Those targets, by handle, that nobody vouches for. Answer: `dict[int, str]`, with what names each."""

    rtype: ResourceType
    targets: Mapping[int, Target]


@dataclass(frozen=True, slots=True)
class Matches:
    """
    How the values behind references compare with what was recorded. Answer: `dict[str, Match]`, by field.

    Attributes:
        longest: by field, how many characters a value may have.
    """

    references: Mapping[str, SecretRef]
    prior: Entry | None
    longest: Mapping[str, int]


Ask = EntriesAt | ByUnit | Under | Reads | Listings | Strangers | Matches
Steps = Generator[Ask, Any, None]


def secrets_of(rtype: ResourceType, want: Desired) -> dict[str, SecretRef]:
    """By field, the secrets that a resource is written with; its credentials are none."""
    shape = fields_of(rtype.Model)
    return {
        name: value
        for name, value in want.attrs.items()
        if isinstance(value, SecretRef) and Mark.CREDENTIAL not in shape[name].marks
    }


def matches(rtype: ResourceType, want: Desired, prior: Entry | None) -> Generator[Ask, Any, dict[str, Match]]:
    """By secret field, how its value compares with the record."""
    references = secrets_of(rtype, want)
    if not references:
        return {}
    shape = fields_of(rtype.Model)
    longest = {name: most for name in references if (most := shape[name].longest) is not None}
    found: dict[str, Match] = yield Matches(references, prior, longest)
    return found


class Joining:
    """
    The types of one provider, and what is known of all of them while they are read one after the other.

    Attributes:
        types: by path, in the order of their references.
        uncertain: by address, an earlier write of which no outcome is known.
        now: the wall clock when the reading began; the clock of what has no reading.
        torn: types whose listing did not end.
    """

    def __init__(
        self,
        types: Mapping[str, ResourceType],
        document: Document,
        planner: Planner,
        now: datetime,
        uncertain: Mapping[Address, Attempt] | None = None,
    ) -> None:
        self.types, self.document, self.planner, self.now = types, document, planner, now
        self.uncertain = uncertain or {}
        self.torn: set[str] = set()

    def root_types(self) -> list[ResourceType]:
        """The types of what hangs on nothing."""
        return [rtype for path, rtype in self.types.items() if path.count(".") == 1]

    def parts(self, root: ResourceType) -> list[ResourceType]:
        """The types of what hangs on a root."""
        return [rtype for path, rtype in self.types.items() if path.startswith(f"{root.path}.")]

    def needs_of(self, rtype: ResourceType) -> set[str]:
        """Types that must have been read before references of this one can be resolved."""
        return {spec.names for spec in fields_of(rtype.Model).values() if spec.names}

    def is_read(self, rtype: ResourceType, held: int) -> bool:
        """
        Whether a root type is read at all; what it refers to has been, by then. `held`: how many the state has.

        It is when the files or the state have one, when something of the files may refer to one, and when something
        leaves that one may use: then even those that no file names count.
        """
        needs = self.needs_of(rtype)
        used = any(
            self.document.count(path) for path, other in self.types.items() if rtype.path in self.needs_of(other)
        )
        if not (self.document.count(rtype.path) or held or used or self.planner.deletes_any(needs)):
            return False
        if torn := needs & self.torn:
            cause = BadAnswer(f"not read, because {', '.join(sorted(torn))} did not answer")
            self.planner.unread(rtype.path, None, cause)
            return False
        return True

    def recalled(self, rtype: ResourceType, entry: Entry) -> Observed:
        """The state's word for it, where `--no-refresh` does not ask the API."""
        return rtype.recalled(entry, lambda ref: self.planner.id_of(ref.path, ref.name))
