"""
The plan: what would change, as data.

A plan is never closures. It round-trips through JSON, an empty plan is a plan, and `destroy` is a plan against
nothing. Resources that are in sync are counted, not listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, PlainSerializer, PlainValidator

from reconcile.core.address import Address
from reconcile.core.bindings import Bindings
from reconcile.core.resource import OnRemoval
from reconcile.core.values import Count, Flag, Value, Values
from reconcile.errors import Position

FORMAT = 1


class Action(StrEnum):
    """What happens to a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"  # another unit under the same key
    DELETE = "delete"
    ADOPT = "adopt"  # live and not in the state: an import, with or without fields that change
    FORGET = "forget"
    NOOP = "no-op"  # nothing is sent; the state is brought up to date, or a lease is renewed


_WORDS = {
    Action.CREATE: ["create"],
    Action.UPDATE: ["update"],
    Action.REPLACE: ["delete", "create"],
    Action.DELETE: ["delete"],
    Action.FORGET: ["forget"],
    Action.NOOP: ["no-op"],
}


class Reason(StrEnum):
    """Why. Shown in words by the renderers, and as `action_reason` in JSON."""

    NOT_LIVE = "not_live"  # neither on the account nor in the state
    GONE = "gone"  # the state knows it, the account does not any more
    NOT_IN_STATE = "not_in_state"  # live, and nobody's yet
    FIELDS_DIFFER = "fields_differ"
    ANOTHER_UNIT = "another_unit"
    NOT_IN_FILES = "not_in_files"
    DESTROY = "destroy"
    MOVED = "moved"  # the same unit under another key
    RECORD = "record"  # only what the state remembers of it changes
    LEASE_ENDS = "lease_ends"
    ANEW = "anew"  # what is live cannot be changed any more: another one is made


class Cause(StrEnum):
    """Whose change a difference is (three-way: files, state, API)."""

    YOU = "you"
    SOMEBODY = "somebody"
    BOTH = "both"
    STORED = "stored"  # the API trimmed or composed what it was sent
    ADOPTION = "adoption"  # nothing is recorded: what is live is overwritten as the resource is adopted
    VALUE_UNKNOWN = "value_unknown"  # a secret of which there is no record
    UNIT = "unit"  # another unit: everything is written
    LEASE = "lease"
    LOST = "lost"  # it was accepted and never done: sent again, with the same content


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}")

Place = Annotated[
    Position, PlainValidator(lambda value: _position(value)), PlainSerializer(lambda place: _place(place))
]
"""A position, on disk `[file, line, column, row]`."""


def _position(value: Any) -> Position:
    match value:
        case Position():
            return value
        case [str(file), int(line), int(column), int() | None as row]:
            numbers = [number for number in (line, column, row) if number is not None]
            if all(type(number) is int and 0 <= number < 2**63 for number in numbers):
                return Position(file, line, column, row)
    raise ValueError("not a place")


def _place(place: Position) -> list[Any]:
    return [place.file, place.line, place.column, place.row]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """
    One attribute that differs.

    Attributes:
        path: its name, outermost first.
        before: what the API has accepted; None when there is nothing. Of a secret always None.
        after: what the files want, references in place (`Ref`, `SecretRef`, `FileRef`).
        prior: what was last applied, where it is known and tells more than `before`.
        where: the line, and `origin` the profile or variable, that asks for it.
        naming: whether it is the unit's name at the API.
        overwrites: whether an adoption replaces what somebody set: neither unset nor the type's default.
        note: what there is to say beside it.
    """

    path: Annotated[tuple[str, ...], Field(min_length=1)]
    cause: Cause
    before: Value = None
    after: Value = None
    prior: Value = None
    sensitive: Flag = False
    where: Place | None = None
    origin: str | None = None
    note: str | None = None
    naming: Flag = False
    overwrites: Flag = False


@dataclass(frozen=True, slots=True)
class Change:
    """
    What happens to one resource.

    Attributes:
        id: the live unit's id; None when the apply makes it.
        name: the unit's name or key at the API as it is now (`before`) or will be; what read-back looks for.
        parent: the live id of the parent unit, or None.
        after: every managed attribute as the files want it; {} when it leaves.
        before: the same attributes as the API has accepted them; {} when there is nothing.
        seen: what must still be so when the write is sent. `attrs`, `version`: those that are managed, as accepted; of
            what is deleted all of them, and `facts`. `namesake`: of what is made, the id of another one of its name.
        fields: what is sent, in order.
        patch: the whole write in the words of the API, where its type composes it; {} where `fields` are sent.
        along: attributes as they are sent, where those that travel together with the ones that differ complete them.
        stamp: what the state records of that write. `overwrites`: what somebody else left waiting, and it replaces.
        refers: by field, the live id of the resource that it names; one that this plan creates has none yet.
        facts, prints: what the state records of it now, for the entry.
        former: the id of the unit that a replacement lets go, and `former_name` the name it is given, if any.
        moved_from: the address under which the state knows it.
        temporary: a name that it takes first, because the wanted one is only free later (a swap).
        needs: addresses whose changes come before.
        block: what groups it; `labels`, `protect`, `on_removal` are recorded in the entry.
        wave: 0-based: all changes of a wave can be carried out together.
        blocked: why the apply refuses it, or None.
        notes: shown under it.
    """

    address: Address
    action: Action
    reason: Reason
    id: str | None = None
    name: str | None = None
    parent: str | None = None
    after: Values = field(default_factory=dict)
    before: Values = field(default_factory=dict)
    seen: Values = field(default_factory=dict)
    fields: tuple[FieldChange, ...] = ()
    patch: Values = field(default_factory=dict)
    stamp: Values = field(default_factory=dict)
    along: Values = field(default_factory=dict)
    overwrites: str | None = None
    refers: Mapping[str, str] = field(default_factory=dict)
    facts: Values = field(default_factory=dict)
    prints: Values = field(default_factory=dict)
    former: str | None = None
    former_name: str | None = None
    moved_from: Address | None = None
    temporary: str | None = None
    needs: tuple[Address, ...] = ()
    block: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    protect: Flag = False
    on_removal: OnRemoval | None = None
    where: Place | None = None
    wave: Count = 0
    blocked: str | None = None
    notes: tuple[str, ...] = ()
    taken: tuple[FieldChange, ...] = ()
    behind: tuple[Address, ...] = ()

    @property
    def name_wanted(self) -> str | None:
        """The name at the API that this change gives its unit, or None when it gives none."""
        return next((str(change.after) for change in self.fields if change.naming), None)

    @property
    def actions(self) -> list[str]:
        """The action in the words of the field; an adoption is an update, or nothing."""
        return list(_WORDS.get(self.action) or (["update"] if self.fields else ["no-op"]))

    @property
    def counts(self) -> tuple[int, int, int, int, int]:
        """How it is counted in `Plan: …`: imported, added, changed, destroyed, forgotten."""
        match self.action:
            case Action.CREATE:
                return 0, 1, 0, 0, 0
            case Action.UPDATE:
                return 0, 0, 1, 0, 0
            case Action.REPLACE:
                return 0, 1, 0, 1, 0
            case Action.DELETE:
                return 0, 0, 0, 1, 0
            case Action.ADOPT:
                return 1, 0, int(bool(self.fields)), 0, 0
            case Action.FORGET:
                return 0, 0, 0, 0, 1
            case Action.NOOP:
                return 0, 0, 0, 0, 0
        raise AssertionError(self.action)

    @property
    def written(self) -> str | None:
        """When the live resource was written last, RFC 3339, where the API tells that."""
        version = self.seen.get("version")
        return version if isinstance(version, str) and _DATE.match(version) else None

    @property
    def drifted(self) -> bool:
        """Whether somebody else changed it since the last apply."""
        return self.reason is Reason.GONE or any(change.cause in (Cause.SOMEBODY, Cause.BOTH) for change in self.fields)


@dataclass(frozen=True, slots=True)
class Unsettled:
    """
    What the API accepted and the unit has not done (`kind` "pending") or could not do ("failed").

    Attributes:
        detail: in words, the same for all that are in the same way.
        since: RFC 3339, and `age_s` how many seconds ago that was when it was read.
        holds: what waits, by attribute.
    """

    address: Address
    kind: Annotated[str, Field(pattern="^(pending|failed)$")]
    detail: str
    since: str | None = None
    age_s: Count | None = None
    holds: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unread:
    """
    What was not read: a resource, or (`address` None) a whole listing of `type_path`.

    Attributes:
        denied: the API refused the credentials.
        allow: of a unit that was not asked, because nobody vouched for it: what `--allow-agent` takes. Else None.
        hint: what there is to do about it, in words of ours; `error` may hold those of an API.
    """

    type_path: str
    address: Address | None
    error: str
    denied: Flag = False
    allow: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Absent:
    """
    What the files want and the account lacks, where nothing here can make it; or what waits for that.

    Attributes:
        what: the reason in words, the same for all that are in the same way; `hint` what may be meant.
        waits: whether it is there itself, and waits for something that is not.
    """

    address: Address
    what: str
    where: Place | None = None
    hint: str | None = None
    waits: Flag = False


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """What is live, in no file and not in the state: its id and its name at the API."""

    type_path: str
    id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class NotCompared:
    """
    A secret of which nobody can tell here whether it changed.

    Attributes:
        name: the attribute; `reference` where its value is (`SecretRef`).
        reason: "no value" (here), "another key" (recorded with it), "not allowed" (in an untrusted document), or
            "offline" (nobody asked).
    """

    address: Address
    name: str
    reference: Value
    reason: Annotated[str, Field(pattern="^(no value|another key|not allowed|offline)$")]


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting that differs between two checkouts, and that no resource shows: what it was and what it is, as text."""

    name: str
    before: str | None = None
    after: str | None = None
    where: Place | None = None


class CheckStatus(StrEnum):
    """What came of a policy, in the words of the field."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"  # nobody can tell; counts as denied


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """
    What came of a policy over all changes.

    Attributes:
        denies: whether it blocks the plan where it holds; else it warns.
        count: how many changes it holds of, those of which nobody can tell among them. addresses: the first of them.
        why: the reason for which nobody can tell, of the first.
    """

    name: str
    denies: Flag
    status: CheckStatus
    message: str = ""
    count: Count = 0
    addresses: tuple[Address, ...] = ()
    why: str | None = None
    where: Place | None = None


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why `apply` refuses the plan as a whole, and the words that allow it, if any do."""

    what: str
    hint: str | None = None
    kind: str | None = None
    count: Count = 0


@dataclass(slots=True)
class Plan:
    """
    What would change, and what must be known to judge it.

    Attributes:
        changes: in the order of their addresses' types and then the document; nothing that is in sync.
        in_sync: how many resources need nothing, by type path.
        units: how many units were read; `requests` how many requests that took.
        unmanaged: what is on the account and in no file, by type path; only of complete listings.
        in_files, settings: of a plan that was made offline, how many resources of each type the files have, and what
            changes that no resource shows.
        policies: what came of each.
        unchanged, strangers: what needs nothing, and what is in no file, one by one; where the options ask for it.
        absent: what is not there yet, and what waits for it.
        not_compared: secrets of which nobody can tell here whether they changed; `unresolved_secrets` how many of them
            could not be opened.
        blocked: reasons for which the whole plan is refused; single changes have their own.
        warnings: sentences.
        last_run: of whoever applied last, where somebody else changed something since and the history goes back so far:
            `{at, command, by, host, job, commit}`.
    """

    bindings: Bindings
    changes: list[Change] = field(default_factory=list)
    unsettled: list[Unsettled] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    blocked: list[Blocked] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    in_sync: dict[str, int] = field(default_factory=dict)
    unmanaged: dict[str, int] = field(default_factory=dict)
    units: int = 0
    requests: int = 0
    expected_requests: int = 0
    unresolved_secrets: int = 0
    not_compared: list[NotCompared] = field(default_factory=list)
    absent: list[Absent] = field(default_factory=list)
    last_run: Mapping[str, Any] | None = None
    unchanged: list[Address] = field(default_factory=list)
    strangers: list[Unmanaged] = field(default_factory=list)
    in_files: dict[str, int] = field(default_factory=dict)
    settings: list[SettingChange] = field(default_factory=list)
    policies: list[PolicyResult] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether everything that it should have read did answer."""
        return not self.unread and not self.bindings.options.offline

    @property
    def counts(self) -> tuple[int, int, int, int, int]:
        """The numbers of `Plan: …`: to import, to add, to change, to destroy, to forget."""
        totals = [0, 0, 0, 0, 0]
        for change in self.changes:
            for at, count in enumerate(change.counts):
                totals[at] += count
        return totals[0], totals[1], totals[2], totals[3], totals[4]

    @property
    def changed(self) -> bool:
        """
        Whether there are changes: what `--detailed-exitcode` answers 2 to.

        Pending work and renewals are none; what a guard refuses is one, even where it is not among `changes`.
        """
        return any(self.counts) or self.refused

    @property
    def taken_over(self) -> int:
        """How many values the state takes over (`--refresh-only`)."""
        return sum(max(1, len(change.taken)) for change in self.changes) if self.bindings.options.refresh_only else 0

    @property
    def applicable(self) -> bool:
        """Whether `apply` would carry it out: no guard blocks it, and it was not made for reading alone."""
        return not self.refused and not self.bindings.untrusted and not self.bindings.options.offline

    @property
    def refused(self) -> bool:
        """Whether a guard blocks it."""
        return bool(self.blocked) or any(change.blocked for change in self.changes)


def summary(counts: Iterable[int]) -> str:
    """`Plan: [N to import, ]N to add, N to change, N to destroy[, N to forget].`, the sentence that scripts parse."""
    imported, added, changed, destroyed, forgotten = counts
    head = f"{imported} to import, " if imported else ""
    tail = f", {forgotten} to forget" if forgotten else ""
    return f"Plan: {head}{added} to add, {changed} to change, {destroyed} to destroy{tail}."
