"""
The grouping of a plan, as data: which section a change belongs to, and which changes are one group.

A group is one action × one block × one set of changed attributes, from 4 members on (docs/architecture.md, "How a plan
is shown"). Children of one
block are grouped by their key too, as long as that makes groups: configs whose keys all differ are still one group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from reconcile.core.address import quote
from reconcile.core.plan import Action, Cause, Change, FieldChange, Reason
from reconcile.core.values import SecretRef
from reconcile.render.values import identity

FROM = 4  # members that make a group


class PlanSection(Enum):
    """The sections of a plan, in the order in which they are shown; the value is the heading."""

    BLOCKED = "Blocked"
    LEAVING = "Removed"
    REPLACED = "Replaced"
    OVERWRITTEN = "Imported (live settings will be overwritten)"
    IMPORTED = "Imported, nothing changes"
    CREATED = "Created"
    YOU = "Changed by you"
    SOMEBODY = "Changed by somebody else since the last apply, and put back"
    BOTH = "Changed by you and by somebody else"
    STORED = "Kept by the API otherwise than it was sent"
    LOST = "Accepted before and never done, sent again"
    VALUE_UNKNOWN = "Written because the value is unknown"
    MOVED = "Moved"
    RECORDED = "Recorded only, nothing is sent"
    RENEWAL = "Leases to renew"


def section_of(change: Change) -> PlanSection:
    """Where a change is shown."""
    if change.blocked:
        return PlanSection.BLOCKED
    causes = {field.cause for field in change.fields}
    match change.action:
        case Action.DELETE | Action.FORGET:
            return PlanSection.LEAVING
        case Action.REPLACE:
            return PlanSection.REPLACED
        case Action.NOOP:
            return {Reason.LEASE_ENDS: PlanSection.RENEWAL, Reason.MOVED: PlanSection.MOVED}.get(
                change.reason, PlanSection.RECORDED
            )
    if Cause.UNIT in causes:
        return PlanSection.REPLACED
    if causes == {Cause.LEASE} and change.action is Action.UPDATE:
        return PlanSection.RENEWAL
    match change.action:
        case Action.ADOPT:
            if not causes:
                return PlanSection.IMPORTED
            return PlanSection.VALUE_UNKNOWN if causes == {Cause.VALUE_UNKNOWN} else PlanSection.OVERWRITTEN
        case Action.CREATE:
            return PlanSection.SOMEBODY if change.reason is Reason.GONE else PlanSection.CREATED
        case Action.UPDATE:
            return _of_update(change.reason, causes)
    raise AssertionError(change.action)


def _of_update(reason: Reason, causes: set[Cause]) -> PlanSection:
    if Cause.BOTH in causes or {Cause.YOU, Cause.SOMEBODY} <= causes:
        return PlanSection.BOTH
    if Cause.SOMEBODY in causes:
        return PlanSection.SOMEBODY
    if causes == {Cause.STORED}:
        return PlanSection.STORED
    if causes == {Cause.LOST}:
        return PlanSection.LOST
    if causes & {Cause.YOU, Cause.LOST, Cause.STORED} or not causes:
        return PlanSection.MOVED if reason is Reason.MOVED else PlanSection.YOU
    return PlanSection.OVERWRITTEN if Cause.ADOPTION in causes else PlanSection.VALUE_UNKNOWN


def leaves(change: Change) -> tuple[FieldChange, ...]:
    """The attributes that a change sends, maps opened to the members that differ."""
    if change.action in (Action.DELETE, Action.FORGET):
        return ()
    fields: Iterable[FieldChange] = change.fields
    if not change.fields and change.action is Action.CREATE:
        fields = (
            FieldChange((name,), Cause.YOU, None, value, sensitive=isinstance(value, SecretRef))
            for name, value in change.after.items()
        )
    if change.action is Action.NOOP and change.reason is Reason.RECORD:
        fields = [
            turned(field) for field in fields or change.taken
        ]  # `--refresh-only`: the state takes over what is live
    out: list[FieldChange] = []
    for field in fields:
        if isinstance(field.before, Mapping) or isinstance(field.after, Mapping):
            out.extend(list(_opened(field)) or [field])
        else:
            out.append(field)
    return tuple(out)


def was(field: FieldChange) -> Any:
    """What was last applied, as far as it is known: the files are as they were when only somebody else changed it."""
    unchanged = field.cause in (Cause.SOMEBODY, Cause.STORED)
    return field.after if field.prior is None and unchanged else field.prior


def turned(field: FieldChange) -> FieldChange:
    """The same difference told from the other side: from what was applied to what is live."""
    if field.sensitive:
        return replace(field, note=field.note or "rotated by somebody else")
    # Whose change it is goes without saying then, so the cause says no more than "this differs".
    return replace(field, before=was(field), after=field.before, prior=None, cause=Cause.YOU)


def as_drift(change: Change) -> Change:
    """The same change told from the other side: before = what was applied, after = what is live."""
    if change.reason is Reason.GONE:
        return replace(change, action=Action.DELETE, fields=(), blocked=None)
    fields = tuple(turned(field) for field in change.fields if field.cause in (Cause.SOMEBODY, Cause.BOTH))
    return replace(change, action=Action.UPDATE, reason=Reason.FIELDS_DIFFER, fields=fields, blocked=None, notes=())


def _opened(field: FieldChange) -> Iterator[FieldChange]:
    sides = (field.before, field.after)
    if field.sensitive or not any(isinstance(side, Mapping) and side for side in sides):
        yield field
        return
    if not all(side is None or isinstance(side, Mapping) for side in sides):
        yield field
        return
    before, after = (side or {} for side in sides)
    prior = field.prior if isinstance(field.prior, Mapping) else {}
    for name in [*after, *(name for name in before if name not in after)]:
        was, will = before.get(name), after.get(name)
        if identity(was) != identity(will):
            yield from _opened(
                replace(
                    field,
                    path=(*field.path, str(name)),
                    before=was,
                    after=will,
                    prior=prior.get(name),
                    sensitive=isinstance(will, SecretRef),
                )
            )


@dataclass(frozen=True, slots=True)
class Group:
    """
    Changes that are shown together.

    Attributes:
        key: of children: the key that all of them have, else None; `keys` is how many different ones there are.
        members: one when it is shown by itself, else at least 4.
        fields: of each member, what `leaves` says, in the same order.
    """

    section: PlanSection
    action: Action
    type_path: str
    block: str | None
    key: str | None
    keys: int
    members: list[Change]
    fields: list[tuple[FieldChange, ...]]

    @property
    def grouped(self) -> bool:
        """Whether it stands for several resources."""
        return len(self.members) >= FROM

    @property
    def selection(self) -> str:
        """What selects its members, and maybe others with them: the block, else all of the type."""
        if not self.grouped:
            return str(self.members[0].address)
        if self.block is not None:
            return self.block
        provider, *sections = self.type_path.split(".")
        keys = ["*"] * len(sections)
        if self.key is not None:
            keys[-1] = self.key
        return provider + "".join(
            f".{name}{quote(key) if key != '*' else '.*'}" for name, key in zip(sections, keys, strict=True)
        )


def child_key(change: Change) -> str | None:
    """The key of a child resource, None of a root."""
    address = change.address
    if "[" not in address:
        return address.rpartition(".")[2] if address.count(".") > 2 else None
    keys = address.keys
    return keys[-1] if len(keys) > 1 else None


_Bucket = list[tuple[int, Change, tuple[FieldChange, ...]]]


def groups(changes: Iterable[Change]) -> dict[PlanSection, list[Group]]:
    """The groups of each section, in the order of their first members; sections in their order, empty ones left out."""
    buckets: dict[tuple[Any, ...], dict[tuple[Any, ...], _Bucket]] = {}
    for at, change in enumerate(changes):
        section, fields = section_of(change), leaves(change)
        paths = tuple((field.path, field.cause, field.sensitive) for field in fields)
        coarse = (section, change.action, change.address.type_path, change.block, paths)
        if section is PlanSection.IMPORTED or change.action is Action.FORGET:
            fine: tuple[Any, ...] = (change.blocked,)
        else:
            fine = (child_key(change), change.blocked, change.notes)
        buckets.setdefault(coarse, {}).setdefault(fine, []).append((at, change, fields))
    found: dict[PlanSection, list[tuple[int, Group]]] = {}
    for (section, action, type_path, block, _), by_key in buckets.items():
        for bucket in _merged(by_key):
            keys = {child_key(change) for _, change, _ in bucket}
            group = Group(
                section,
                action,
                type_path,
                block,
                next(iter(keys)) if len(keys) == 1 else None,
                len(keys - {None}),
                [change for _, change, _ in bucket],
                [fields for _, _, fields in bucket],
            )
            found.setdefault(section, []).append((bucket[0][0], group))
    return {
        section: [group for _, group in sorted(found[section], key=lambda pair: pair[0])]
        for section in PlanSection
        if section in found
    }


def _merged(by_key: Mapping[tuple[Any, ...], _Bucket]) -> Iterator[_Bucket]:
    rest: _Bucket = []
    for bucket in by_key.values():
        if len(bucket) >= FROM:
            yield bucket
        else:
            rest += bucket
    if len(rest) >= FROM:
        yield sorted(rest, key=lambda row: row[0])
    else:
        for row in rest:
            yield [row]
