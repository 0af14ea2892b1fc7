"""
All that is known of one resource at one moment, and what follows from it: the input and the output of `decide`.

Secrets arrive as the answer to "is it the value that was written", references as what they resolve to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from reconcile.core.address import Address
from reconcile.core.plan import Blocked, Change, Unsettled
from reconcile.core.resource import Desired, Entry, Observed, Status, View
from reconcile.core.values import Ref, SecretRef
from reconcile.errors import InvalidInput


class Match(StrEnum):
    """True if the value behind a secret reference is the one that was written."""

    SAME = "same"
    CHANGED = "changed"
    NO_RECORD = "no record"
    OTHER_KEY = "other key"  # recorded with another fingerprint key, or there is none here: cannot tell
    UNRESOLVED = "unresolved"  # the reference has no value here
    NOT_ALLOWED = "not allowed"  # nobody trusts the document with it: it was not looked up
    TOO_LONG = "too long"  # the API would refuse it
    NEEDED = "needed"  # nor has it one for what is about to be made


@dataclass(frozen=True, slots=True)
class Resolved:
    """A resolved reference: its name in plans, its live id (None until it is made), its address in the files."""

    name: str
    id: str | None
    address: Address | None


class Unresolved(InvalidInput):
    """A reference stands for nothing: it is in no file, and not on the account."""


Resolve = Callable[[Ref], Resolved]


@dataclass(frozen=True, slots=True)
class Sighting:
    """
    All that is known of one resource at one moment.

    Attributes:
        seen: what is live, or None; `now` is the server's clock at that reading.
        prior: what was last applied to this unit; `moved_from` its address then, if that was another.
        former: what was last applied to another unit under this address.
        parent: the live id of the parent unit, or None.
        matches: by secret field, how its value compares with the record.
        rewrite: whether the user asked to write its secrets again.
        uncertain: whether an earlier write to it has an unknown outcome.
        retry: whether the user asked to send again what failed on the unit.
        namesake: the id of a live one that has its name and is another one.
    """

    want: Desired
    seen: Observed | None
    now: datetime
    prior: Entry | None = None
    former: Entry | None = None
    moved_from: Address | None = None
    parent: str | None = None
    matches: Mapping[str, Match] = field(default_factory=dict)
    rewrite: bool = False
    uncertain: bool = False
    retry: bool = False
    namesake: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """
    The consequences for one resource.

    Attributes:
        change: None when it is in sync.
        unsettled: what the unit has not done, or could not do; None when it is settled.
        untold: secrets of which nobody can tell here whether they changed, with their attributes.
        blocked: why the whole plan is refused, with both sides named.
        learned: facts of the entry, which an apply records whatever else it does.
    """

    change: Change | None = None
    unsettled: Unsettled | None = None
    untold: tuple[tuple[Match, str, SecretRef], ...] = ()
    blocked: Blocked | None = None
    learned: Mapping[str, Any] | None = None


def unsettled(address: Address, view: View, now: datetime) -> Unsettled | None:
    """
    What a reading says of a unit that has not done, or could not do, what the API accepted; None when it is settled.

    Args:
        now: the server's clock at that reading.
    """
    if view.status is Status.SETTLED:
        return None
    since, age_s = None, None
    if view.since is not None:
        since, age_s = view.since.isoformat(), max(0, int((now - view.since).total_seconds()))
    return Unsettled(address, view.status, view.detail or "", since, age_s, dict(view.holds))


def needed_secrets_warning(secrets: Sequence[tuple[Address, SecretRef]]) -> str:
    """The sentence about secrets without a value of what is about to be made."""
    count = "1 secret" if len(secrets) == 1 else f"{len(secrets):,} secrets"
    named = ", ".join(f"{address} ({reference})" for address, reference in sorted(secrets, key=str)[:3])
    more = ", …" if len(secrets) > 3 else ""
    return f"{count} about to be made: there is no value here, and apply needs one: {named}{more}"
