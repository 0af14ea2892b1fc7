"""
A resource in its forms: `Desired` is what the files say, `Observed` what the API reports, `Entry` what was last
applied, `View` how an observation is read at one moment, `Patch` what a write sends.

What connects them to an API is a `resource_type.ResourceType`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from reconcile.core.address import Address
from reconcile.core.form import Form
from reconcile.core.values import Attrs, Flag, Values
from reconcile.errors import Position

OnRemoval = Literal["forget", "clear", "delete"]


class Alias(str):
    """A text by which a document names a unit and that is not its id; `Observed.aliases` of the unit has it too."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Desired:
    """
    A resource as the files want it.

    Attributes:
        attrs: what is written, references unresolved; a field that is not written is not in it.
        block: the block that it is a row of, else None: what groups it in a plan.
        where: the place of its entry (of a row of a block, the row in the table's file).
        fields, origins: by attribute, the place and the profile or variable that says it.
        labels, protect, on_removal: as written; None = not written.
        sections: the kinds of children that are written, be it without a member.
    """

    address: Address
    attrs: Attrs
    block: str | None = None
    where: Position | None = None
    fields: Mapping[str, Position] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    protect: bool | None = None
    on_removal: OnRemoval | None = None
    sections: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Observed:
    """
    A resource as the API reports it.

    Attributes:
        id: the unit's identity at the API: a SID, or the key where the key is the identity.
        attrs: in the words of the model, so that they can be compared; nullable leaves are None.
        name: the natural key by which the document finds it when it has no id (a unique name), or None.
        parent: the id of the unit that it hangs on, or None.
        version: changes whenever somebody writes it, or None where the API has no such thing.
        facts: what a `view` needs besides, plain JSON.
        aliases: other texts by which `ResourceType.unit` may name it, where a document need not know the id.
        parts: by type path, what hangs on it, where its own answer tells; then nobody asks for that again.
        retired: the word of the API for a unit that is out of use, whose aliases another one may have by now, or None.
    """

    id: str
    attrs: Attrs
    name: str | None = None
    parent: str | None = None
    version: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    parts: Mapping[str, Sequence[Observed]] = field(default_factory=dict)
    retired: str | None = None


class Status(StrEnum):
    """How far the unit itself has come with what the API accepted."""

    SETTLED = "settled"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class View:
    """
    How an observation is read at one moment.

    Attributes:
        attrs: what the API has accepted, in the words of the model: compared with the files.
        status, detail, since: how far the unit is, in words, and since when (aware UTC).
        holds: what waits for the unit, by attribute.
        renew: leases that are about to end or have ended by themselves, by field.
        reported: what the unit itself reports, where that can be something else than `attrs`: a change covers every
            difference from either (docs/architecture.md, "Three-way").
        lost: why something that was accepted has to be sent again, in words; the difference is nobody's change then.
        retry: it failed, and only `--retry-failed` sends what `reported` lacks again.
        returned: the unit came back with what it had before: waiting for it is over.
        foreign: what waits is somebody else's: nothing of ours is to be waited for.
        version: of what is accepted, where `Observed.version` is that of what is reported; None = the same.
        rewritten: when somebody else wrote its secret after we did, as the API says it.
        not_ours: of one that cannot be changed and has another id than the state knows: the reason why it is not the
            one that was made, in words.
        learned: facts of the entry, where the reading tells something that a later one cannot tell any more. An apply
            records them before it sends anything; a plan writes nothing, and so forgets them.
    """

    attrs: Attrs
    status: Status = Status.SETTLED
    detail: str | None = None
    since: datetime | None = None
    holds: Mapping[str, Any] = field(default_factory=dict)
    renew: frozenset[str] = frozenset()
    reported: Attrs | None = None
    lost: str | None = None
    retry: Flag = False
    returned: Flag = False
    foreign: Flag = False
    version: str | None = None
    rewritten: str | None = None
    not_ours: str | None = None
    learned: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """
    All that a write is composed of.

    Attributes:
        paths: every leaf that differs from what is accepted, sorted.
        also: leaves that differ from what the unit reports and not from that: accepted, and not done yet.
        wanted: the files' side, references aside.
        prior: what was last applied, if the state knows it.
    """

    paths: Sequence[tuple[str, ...]]
    also: Sequence[tuple[str, ...]]
    wanted: Attrs
    seen: Observed
    prior: Entry | None


Mistake = tuple[tuple[str, ...], str, str | None]
"""The path of an attribute, what is wrong with it, and the fix, if there is one."""


@dataclass(frozen=True, slots=True)
class Patch:
    """
    One write that its type composes of an `Edit`.

    Attributes:
        body: plain JSON, in the words of the API.
        stamp: what the entry remembers of it once the API has taken it.
        notes: shown in the plan.
        mistakes: reasons why it cannot be composed.
        replaces: the reason why another one is made instead, in words; then nothing else counts.
    """

    body: Mapping[str, Any]
    stamp: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """
    A resource as it was last applied: a row of the state. It holds no secret.

    Attributes:
        id, parent: of the unit, and of the unit that it hangs on.
        attrs: what was applied, in JSON form.
        prints: the fingerprint of each secret field, as `secrets` writes it.
        facts: what drift is told by (`date_rotated`, the app's hash), plain JSON.
        needs: the addresses that it used, so that a removal is ordered when the files are gone.
        at: when it was applied, RFC 3339 UTC.
    """

    address: Address
    id: str
    attrs: Values
    parent: str | None = None
    prints: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[Address, ...] = ()
    protect: Flag = False
    on_removal: OnRemoval | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    at: str = ""


_ENTRY = Form(Entry)


def entry_to_json(entry: Entry) -> dict[str, Any]:
    """Plain JSON, every field in it and the type: the form in which the state keeps it and `state pull` prints it."""
    return {"address": entry.address, "type": entry.address.type_path, **_ENTRY.dump(entry, whole=True)}


def entry_from_json(row: Mapping[str, Any]) -> Entry:
    """The inverse of `entry_to_json`. Raises ValueError when `row` is not an entry."""
    return _ENTRY.load({name: value for name, value in row.items() if name != "type"})


def moved(entry: Entry, under: Iterable[Entry], to: Address) -> list[Entry]:
    """An entry under another address, with the entries that hang on it."""
    return [
        replace(entry, address=to),
        *(
            replace(child, address=to.child(child.address.type_path.rpartition(".")[2], child.address.key))
            for child in under
        ),
    ]


@dataclass(frozen=True, slots=True)
class Target:
    """
    Where a wire verb acts: found by `id`, where there is none by `alias`, where there is neither by `name`.

    Attributes:
        id: the unit's id; None before it exists, or while nobody here knows it.
        alias: what the document names it by, where that is not its id (`ResourceType.unit`); None where there is an id.
        name: its name or key at the API.
        parent: the id of the unit that it hangs on, or None.
        attrs: of the document's side, what finds the unit and opens it: locators, references to credentials.
    """

    address: Address
    id: str | None = None
    name: str | None = None
    parent: str | None = None
    attrs: Attrs = field(default_factory=dict)
    alias: Alias | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing: what it holds, and the server's clock when it was answered."""

    members: Sequence[Observed]
    now: datetime


@dataclass(frozen=True, slots=True)
class Reading:
    """
    One read: what there is, and the server's clock when it was answered (None when it did not say).

    Attributes:
        begun: there is one that this process began to make, in several requests: making it again goes on with it.
    """

    seen: Observed | None
    now: datetime | None = None
    begun: Flag = False
