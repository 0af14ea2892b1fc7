"""
One resource: what the files want, what the API reports and what was last applied, and the change between them.

Three-way for every attribute (design §5): *you changed it* (desired ≠ prior), *somebody else changed it* (observed ≠
prior), or both. Pure: secrets arrive as the answer to "is it the value that was written", references as what they
resolve to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from reconcile.core.address import Address
from reconcile.core.diff import MISSING, differences, same
from reconcile.core.plan import Action, Cause, Change, FieldChange, Reason, Unsettled
from reconcile.core.record import Wanted, differs_in_record, protected, recordings, released
from reconcile.core.resource import Desired, Entry, Observed, ResourceType, Status, View
from reconcile.core.schema import Field, Kind, Mark, fields_of
from reconcile.core.values import Attrs, FileRef, Ref, SecretRef


class Match(StrEnum):
    """Whether the value behind a secret reference is the one that was written."""

    SAME = "same"
    CHANGED = "changed"
    NO_RECORD = "no record"
    OTHER_KEY = "other key"  # recorded with another fingerprint key, or there is none here: cannot tell
    UNRESOLVED = "unresolved"  # the reference has no value here
    NEEDED = "needed"  # nor has it one for what is about to be made


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a reference stands for: its name as plans show it, its live id (None until it is made), who makes it."""

    name: str
    id: str | None
    address: Address | None


Resolve = Callable[[Ref], Resolved]

PROTECTED = "it is protected: set `protect: false` and apply that first"


@dataclass(frozen=True, slots=True)
class Sighting:
    """
    Everything that is known of one resource at one moment.

    Attributes:
        seen: what is live, or None; `now` is the server's clock at that reading.
        prior: what was last applied to this unit; `moved_from` its address then, if that was another.
        former: what was last applied to another unit under this address.
        parent: the live id of the parent unit, or None.
        matches: by secret field, how its value compares with the record.
        rewrite: whether the user asked to write its secrets again.
        uncertain: whether an earlier write to it has an unknown outcome.
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


@dataclass(slots=True)
class Decision:
    """
    What follows for one resource.

    Attributes:
        change: None when it is in sync. `blocked`: why the whole plan is refused, with both sides named.
        untold: secrets of which nobody can tell here whether they changed.
    """

    change: Change | None = None
    unsettled: Unsettled | None = None
    untold: list[tuple[Match, SecretRef]] = field(default_factory=list)
    blocked: str | None = None


def decide(
    kind: ResourceType, sighting: Sighting, resolve: Resolve, names: Mapping[str, Mapping[str, str]]
) -> Decision:
    """
    The change that makes one resource agree with the files.

    Args:
        resolve: what a reference stands for. Raises InvalidInput when it stands for nothing.
        names: by type path, the name of each live id, so that observed references are shown as the files write them.
    """
    want, seen = sighting.want, sighting.seen
    shape = fields_of(kind.Model)
    wanted = _wanted(kind, shape, want, resolve)
    if seen is None:
        return _creation(kind, shape, sighting, wanted)
    decision = Decision()
    view = kind.view(seen, sighting.prior, sighting.now)
    accepted = accepted_attrs(shape, view, names)
    decision.unsettled = _unsettled(want.address, view, accepted, shape, names)
    fields = _fields(shape, sighting, wanted, accepted, view, decision)
    renewals = [change for change in fields if change.cause is Cause.LEASE]
    notes = released(shape, sighting.prior, wanted) + recordings(shape, sighting.prior, wanted, want)
    prior = sighting.prior
    record = prior is None or sighting.moved_from is not None or bool(notes) or prior.id != seen.id
    record = record or (prior is not None and differs_in_record(wanted, want, prior))
    if not fields and not record:
        return decision
    action, reason = Action.UPDATE, Reason.FIELDS_DIFFER
    former = sighting.former
    if former is not None and want.address.parent is None:
        action, reason = Action.REPLACE, Reason.ANOTHER_UNIT
    elif prior is None:
        action, reason = Action.ADOPT, Reason.NOT_IN_STATE
    elif len(fields) == len(renewals):
        action = Action.NOOP
        reason = Reason.LEASE_ENDS if renewals else Reason.MOVED if sighting.moved_from is not None else Reason.RECORD
    managed = {name: value for name, value in accepted.items() if name in wanted.compared}
    decision.change = Change(
        want.address,
        action,
        reason,
        id=seen.id,
        name=seen.name,
        parent=sighting.parent,
        after=wanted.after,
        before=managed,
        seen={"attrs": preconditions(shape, seen, managed), "version": seen.version},
        fields=tuple(fields),
        refers=wanted.refers,
        facts=dict(kind.facts(seen)),
        prints=dict(prior.prints) if prior else {},
        former=former.id if former and action is Action.REPLACE else None,
        moved_from=sighting.moved_from,
        needs=wanted.needs,
        block=want.block,
        labels=want.labels,
        protect=protected(want, prior or former),
        blocked=PROTECTED if action is Action.REPLACE and former is not None and former.protect else None,
        on_removal=want.on_removal,
        where=want.where,
        notes=tuple(notes),
    )
    return decision


def _wanted(kind: ResourceType, shape: Mapping[str, Field], want: Desired, resolve: Resolve) -> Wanted:
    compared: dict[str, Any] = {}
    after: dict[str, Any] = {}
    refers: dict[str, str] = {}
    needs: list[Address] = []
    _, name = kind.unit(want.attrs, want.address.key)
    for field_name, spec in shape.items():
        value = want.attrs.get(field_name)
        if Mark.NAME in spec.marks:
            compared[field_name] = after[field_name] = name
        elif value is None or Mark.ASIDE in spec.marks:
            continue
        elif isinstance(value, Ref):
            found = resolve(value)
            compared[field_name], after[field_name] = found.name, Ref(value.path, found.name)
            if found.id is not None:
                refers[field_name] = found.id
            if found.address is not None:
                needs.append(found.address)
        elif isinstance(value, FileRef | SecretRef) or Mark.LOCATOR in spec.marks or Mark.TRIGGER in spec.marks:
            after[field_name] = value
        else:
            compared[field_name] = after[field_name] = value
    return Wanted(compared, after, refers, tuple(needs))


def preconditions(shape: Mapping[str, Field], seen: Observed, managed: Iterable[str]) -> dict[str, Any]:
    """
    The managed attributes as the API words them: what must still be so when a write is sent.

    A lease is left out: it runs out by itself.
    """
    return {name: seen.attrs.get(name) for name in managed if Mark.LEASE not in shape[name].marks}


def accepted_attrs(shape: Mapping[str, Field], view: View, names: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """What the API has accepted, with referred-to ids by their names where they have one."""
    accepted = dict(view.attrs)
    for name, spec in shape.items():
        if spec.refers and isinstance(accepted.get(name), str):
            accepted[name] = names.get(spec.refers, {}).get(accepted[name], accepted[name])
    return accepted


def _unsettled(
    address: Address, view: View, accepted: Attrs, shape: Mapping[str, Field], names: Mapping[str, Mapping[str, str]]
) -> Unsettled | None:
    if view.status is Status.SETTLED:
        return None
    detail = view.detail or ""
    for name, spec in shape.items():
        if spec.refers and isinstance(view.attrs.get(name), str):
            detail = detail.replace(view.attrs[name], str(accepted[name]))
    return Unsettled(address, view.status, detail, view.since.isoformat() if view.since else None)


def _creation(kind: ResourceType, shape: Mapping[str, Field], sighting: Sighting, wanted: Wanted) -> Decision:
    want, decision = sighting.want, Decision()
    gone = sighting.prior is not None
    fields = []
    for name, value in wanted.after.items():
        if Mark.LOCATOR in shape[name].marks or (Mark.NAME in shape[name].marks and name not in want.attrs):
            continue
        cause = Cause.SOMEBODY if gone else Cause.YOU
        fields.append(
            FieldChange(
                (name,),
                None,
                value.name if isinstance(value, Ref) else value,
                cause,
                sensitive=shape[name].secret,
                where=want.fields.get(name),
                origin=want.origins.get(name),
            )
        )
    for name, match in sighting.matches.items():
        if match is Match.UNRESOLVED:
            decision.untold.append((Match.NEEDED, want.attrs[name]))
    decision.change = Change(
        want.address,
        Action.CREATE,
        Reason.GONE if gone else Reason.NOT_LIVE,
        name=kind.unit(want.attrs, want.address.key)[1],
        parent=sighting.parent,
        after=wanted.after,
        fields=tuple(fields),
        refers=wanted.refers,
        moved_from=sighting.moved_from,
        needs=wanted.needs,
        block=want.block,
        labels=want.labels,
        protect=protected(want, sighting.prior),
        on_removal=want.on_removal,
        where=want.where,
    )
    return decision


def _fields(
    shape: Mapping[str, Field],
    sighting: Sighting,
    wanted: Wanted,
    accepted: Attrs,
    view: View,
    decision: Decision,
) -> list[FieldChange]:
    want, prior = sighting.want, sighting.prior
    found: list[FieldChange] = []

    def add(path: tuple[str, ...], before: Any, after: Any, cause: Cause, **more: Any) -> None:
        where, origin = want.fields.get(path[0]), want.origins.get(path[0])
        found.append(FieldChange(path, before, after, cause, where=where, origin=origin, **more))

    for name, value in wanted.compared.items():
        if not same(accepted.get(name), value):
            for path, before, after in differences(accepted.get(name), value):
                recorded = _recorded(prior, (name, *path))
                cause = _cause(sighting, recorded, before, after)
                naming = Mark.NAME in shape[name].marks
                add((name, *path), _plain(before), _plain(after), cause, prior=_plain(recorded), naming=naming)
        elif name in view.renew and value:
            add((name,), accepted.get(name), value, Cause.LEASE)
    for name, value in wanted.after.items():
        spec = shape[name]
        if Mark.TRIGGER in spec.marks:
            recorded = _recorded(prior, (name,))
            if recorded is not MISSING and recorded != value:
                add((name,), recorded, value, Cause.YOU, prior=recorded, note=f"{name}s it, once")
        elif spec.kind is Kind.SECRET:
            _secret(name, sighting, add, decision)
        elif isinstance(value, FileRef):
            _file(name, value, sighting, decision)
    return found


def _secret(name: str, sighting: Sighting, add: Callable[..., None], decision: Decision) -> None:
    want, seen, prior = sighting.want, sighting.seen, sighting.prior
    reference, match = want.attrs[name], sighting.matches.get(name, Match.UNRESOLVED)
    assert seen is not None
    recorded = prior.facts.get("date_rotated") if prior else None
    rotated = prior is not None and seen.version is not None and recorded is not None and seen.version != recorded
    if sighting.former is not None:
        add((name,), None, reference, Cause.UNIT, sensitive=True, note="another unit")
    elif sighting.uncertain:
        note = "value unknown: the answer to an earlier write was lost"
        add((name,), None, reference, Cause.VALUE_UNKNOWN, sensitive=True, note=note)
    elif rotated:
        cause = Cause.BOTH if match is Match.CHANGED else Cause.SOMEBODY
        add((name,), None, reference, cause, sensitive=True, note=f"rotated by somebody else at {seen.version}")
    elif match is Match.CHANGED:
        add((name,), None, reference, Cause.YOU, sensitive=True, note=f"the value behind {reference} changed")
    elif match is Match.NO_RECORD:
        note = "value unknown: there is no record of it"
        add((name,), None, reference, Cause.VALUE_UNKNOWN, sensitive=True, note=note)
    elif sighting.rewrite:
        add((name,), None, reference, Cause.YOU, sensitive=True, note="written again, as asked")
    elif match in (Match.OTHER_KEY, Match.UNRESOLVED):
        decision.untold.append((match, reference))


def _file(name: str, file: FileRef, sighting: Sighting, decision: Decision) -> None:
    recorded = _recorded(sighting.prior, (name,))
    known = recorded.sha256 if isinstance(recorded, FileRef) else None
    if known and file.sha256 and known.lower() != file.sha256.lower():
        decision.blocked = (
            f"{sighting.want.address} is uploaded with other bytes: its {name} has sha256 {file.sha256.lower()}, what"
            f" was uploaded had {known.lower()}"
        )
    seen, prior = sighting.seen, sighting.prior
    if seen is not None and prior is not None and seen.id != prior.id:
        before, now = prior.facts.get("hash"), seen.facts.get("hash")
        if before and now and before != now:
            decision.blocked = (
                f"{sighting.want.address} was replaced by somebody else: {seen.id} with hash {now} is live, what was"
                f" uploaded was {prior.id} with hash {before}"
            )


def _cause(sighting: Sighting, recorded: Any, before: Any, after: Any) -> Cause:
    if sighting.former is not None:
        return Cause.UNIT
    if sighting.prior is None:
        return Cause.ADOPTION
    if recorded is MISSING:
        return Cause.YOU
    yours, theirs = not same(recorded, after), not same(recorded, before)
    return Cause.BOTH if yours and theirs else Cause.YOU if yours else Cause.SOMEBODY


def _recorded(prior: Entry | None, path: tuple[str, ...]) -> Any:
    value: Any = prior.attrs if prior is not None else MISSING
    for step in path:
        if not isinstance(value, Mapping) or step not in value:
            return MISSING
        value = value[step]
    return value.name if isinstance(value, Ref) else value


def _plain(value: Any) -> Any:
    return None if value is MISSING else value
