"""
One resource: what the files want, what the API reports and what was last applied, and the change between them. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconcile.core.address import Address
from reconcile.core.diff import differences, mentioned
from reconcile.core.fields import changed_fields, nearest, spelled
from reconcile.core.plan import Action, Cause, Change, FieldChange, Reason, Unsettled
from reconcile.core.record import (
    Wanted,
    beneath,
    differs_in_record,
    protected,
    recordings,
    released,
    released_sets,
    taken_out,
)
from reconcile.core.resource import Desired, Entry, Observed, Patch, Status, View
from reconcile.core.resource_type import ResourceType
from reconcile.core.schema import Field, Mark, fields_of
from reconcile.core.sighting import Decision, Match, Resolve, Sighting
from reconcile.core.unsettled import unsettled
from reconcile.core.values import Attrs, FileRef, Ref, SecretRef
from reconcile.errors import InvalidInput, Problem

PROTECTED = "it is protected: set `protect: false` and apply that first"
_UNCOMPARED = frozenset((Mark.LOCATOR, Mark.CREDENTIAL, Mark.TRIGGER, Mark.RECORDED))


def decide(
    kind: ResourceType, sighting: Sighting, resolve: Resolve, names: Mapping[str, Mapping[str, str]]
) -> Decision:
    """
    The change that makes one resource agree with the files.

    Args:
        resolve: what a reference stands for. Raises InvalidInput when it stands for nothing.
        names: by type path, the name of each live id, so that observed references are shown as the files write them.

    Raises:
        InvalidInput: of `resolve`; or nothing that its type could send would make it agree.
    """
    want, seen = sighting.want, sighting.seen
    shape = fields_of(kind.Model)
    wanted = _wanted(kind, shape, want, resolve)
    if seen is None:
        return _creation(kind, shape, sighting, wanted)
    _is_meant(shape, want, seen)
    decision = Decision()
    view = kind.view(seen, sighting.prior, sighting.now)
    if view.retry and sighting.retry and view.reported is not None:
        view = replace(view, attrs=view.reported, status=Status.SETTLED, lost="sent again, as asked")
    if sighting.prior is not None:
        decision.learned = kind.learned(seen, sighting.prior, sighting.now)
    accepted: Attrs = accepted_attrs(shape, view, names)
    decision.unsettled = _unsettled(sighting, view, accepted, shape)
    ours: Attrs = {}
    if sighting.prior is not None and any(spec.whole for spec in shape.values()):
        ours = beneath(sighting.prior.attrs, kind.unfinished(sighting.prior))
        sides = [_spelled_as(shape, ours, side) for side in (accepted, view.reported) if side is not None]
        wanted.compared = taken_out(shape, ours, wanted.compared, *sides)
    accepted = {
        name: spelled(shape[name], value, wanted.compared[name]) if name in wanted.compared else value
        for name, value in accepted.items()
    }
    fields = changed_fields(kind, shape, sighting, wanted, accepted, view, decision)
    if view.retry and not fields and not _unreported(shape, wanted, view):
        decision.unsettled = None  # what the unit could not do, nobody wants any more
    if fields and (why := kind.anew([part.path for part in fields], seen)) is not None:
        made = _creation(kind, shape, replace(sighting, seen=None, prior=None, namesake=seen.id), wanted)
        assert made.change is not None
        protect = protected(want, sighting.prior)
        decision.change = replace(made.change, reason=Reason.ANEW, notes=(why,), protect=protect)
        return decision
    patch = _composed(kind, shape, sighting, wanted, fields, view)
    facts = dict(kind.facts(seen, sighting.prior))
    if patch is not None and not patch.body:  # it waits there already: only the state does not know it
        fields, facts = [], {**facts, **kind.accepted(patch.stamp, seen)}
        known = Entry(want.address, seen.id, wanted.after, facts=facts)
        decision.unsettled = _unsettled(sighting, kind.view(seen, known, sighting.now), accepted, shape)
    renewals = [change for change in fields if change.cause is Cause.LEASE]
    notes = released(shape, sighting.prior, wanted) + recordings(shape, sighting.prior, wanted, want)
    gap = [kind.gap] if kind.gap is not None and any(part.sensitive for part in fields) else []
    lost = [view.lost] if view.lost is not None and any(part.cause is Cause.LOST for part in fields) else []
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
    stamp = _stamp(shape, ours, wanted, patch)
    decision.change = Change(
        want.address,
        action,
        reason,
        id=seen.id,
        name=seen.name,
        parent=sighting.parent,
        after=wanted.after,
        before={
            name: mentioned(accepted[name], value, shape[name])
            for name, value in wanted.compared.items()
            if name in accepted
        },
        seen=accepted_now(shape, seen, kind.view(seen, sighting.prior, sighting.now), wanted.compared),
        fields=tuple(fields),
        patch=patch.body if patch is not None else {},
        stamp=stamp,
        overwrites=kind.foreign(seen, (facts, stamp)) if stamp else None,
        refers=wanted.refers,
        facts=facts,
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
        notes=(*lost, *(patch.notes if patch is not None and fields else ()), *gap, *notes),
    )
    return decision


def _is_meant(shape: Mapping[str, Field], want: Desired, seen: Observed) -> None:
    """Raises InvalidInput when the unit that was found is not the one that another of its locators names."""
    for name, value in want.attrs.items():
        live = seen.attrs.get(name) if Mark.LOCATOR in shape[name].marks else None
        if live is not None and live != value:
            raise InvalidInput(
                Problem(
                    f"the {name} of {seen.id} is {live!r}, and the files say {value!r}",
                    nearest(want.fields, (name,)) or want.where,
                    want.address,
                    hint="They name two units: keep the one that is meant",
                )
            )


def _wanted(kind: ResourceType, shape: Mapping[str, Field], want: Desired, resolve: Resolve) -> Wanted:
    compared: dict[str, Any] = {}
    after: dict[str, Any] = {}
    refers: dict[str, str] = {}
    needs: list[Address] = []
    _, name = kind.unit(want.attrs, want.address.key)
    for field_name, spec in shape.items():
        value = want.attrs.get(field_name, kind.defaults.get(field_name))
        if Mark.NAME in spec.marks:
            compared[field_name] = after[field_name] = name
        elif value is None or Mark.ASIDE in spec.marks:
            continue
        elif isinstance(value, Ref) or (spec.names and isinstance(value, list)):
            listed = value if isinstance(value, list) else [value]
            named = {ref: resolve(ref) for ref in listed if isinstance(ref, Ref)}
            for ref, found in named.items():
                if found.id is not None:
                    refers[field_name if value is ref else f"{field_name}.{found.name}"] = found.id
                if found.address is not None:
                    needs.append(found.address)
            if isinstance(value, Ref):
                compared[field_name], after[field_name] = named[value].name, Ref(value.path, named[value].name)
            else:  # in which order they are written does not matter
                after[field_name] = [Ref(ref.path, found.name) for ref, found in named.items()]
                compared[field_name] = sorted({found.name for found in named.values()})
        elif isinstance(value, FileRef | SecretRef) or not spec.marks.isdisjoint(_UNCOMPARED):
            after[field_name] = value
        else:
            compared[field_name] = after[field_name] = value
    return Wanted(compared, after, refers, tuple(needs))


def _composed(
    kind: ResourceType,
    shape: Mapping[str, Field],
    sighting: Sighting,
    wanted: Wanted,
    fields: list[FieldChange],
    view: View,
) -> Patch | None:
    """What the type makes of all that differs, from what is accepted or from what the unit reports."""
    if not fields or sighting.seen is None:
        return None
    paths, also = {field.path for field in fields}, _unreported(shape, wanted, view)
    patch = kind.compose(sorted(paths), sorted(also - paths), wanted.compared, sighting.seen, sighting.prior)
    if patch is not None and patch.mistakes:
        want = sighting.want
        raise InvalidInput(
            *(
                Problem(what, nearest(want.fields, path) or want.where, want.address, hint=hint)
                for path, what, hint in patch.mistakes
            )
        )
    return patch


def _stamp(shape: Mapping[str, Field], ours: Attrs, wanted: Wanted, patch: Patch | None) -> Mapping[str, Any]:
    """What the state records of a write: also what of ours it takes out of maps, since no file says so again."""
    if patch is None or not patch.body or not patch.stamp:
        return {}
    left = released_sets(shape, ours, wanted.compared, wanted.after)
    return {**patch.stamp, "released": left} if left else patch.stamp


def _unreported(shape: Mapping[str, Field], wanted: Wanted, view: View) -> set[tuple[str, ...]]:
    """Every leaf that the unit itself does not report as the files want it."""
    found: set[tuple[str, ...]] = set()
    for name, value in wanted.compared.items() if view.reported is not None else ():
        reported = spelled(shape[name], (view.reported or {}).get(name), value)
        found |= {(name, *path) for path, _, _ in differences(reported, value, shape[name])}
    return found


def _spelled_as(shape: Mapping[str, Field], recorded: Attrs, live: Attrs) -> Attrs:
    """What is live, spelled as the state spells it."""
    return {name: spelled(shape[name], live.get(name), value) for name, value in recorded.items() if name in shape}


def accepted_now(shape: Mapping[str, Field], seen: Observed, view: View, managed: Attrs) -> dict[str, Any]:
    """
    What must still be so when a write is sent: the managed attributes in the words of the API, and the version.

    They are those that the API has accepted: that the unit does meanwhile what it was told to is nobody's change. A
    lease is left out: it runs out by itself.
    """
    attrs = {
        name: mentioned(view.attrs.get(name), value, shape[name])
        for name, value in managed.items()
        if name in shape and Mark.LEASE not in shape[name].marks
    }
    return {"attrs": attrs, "version": view.version or seen.version}


def accepted_attrs(shape: Mapping[str, Field], view: View, names: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """What the API has accepted, with referred-to ids by their names where they have one."""
    accepted = dict(view.attrs)
    for name, spec in shape.items():
        value, known = accepted.get(name), names.get(spec.names or "", {})
        if spec.names and isinstance(value, str):
            accepted[name] = known.get(value, value)
        elif spec.names and isinstance(value, list):
            accepted[name] = sorted({known.get(member, member) for member in value})
    return accepted


def _unsettled(sighting: Sighting, view: View, accepted: Attrs, shape: Mapping[str, Field]) -> Unsettled | None:
    """As the reading says it, with ids of other resources by the names that the files give them."""
    found = unsettled(sighting.want.address, view, sighting.now)
    if found is None:
        return None
    detail = found.detail
    for name, spec in shape.items():
        if spec.refers and isinstance(view.attrs.get(name), str):
            detail = detail.replace(view.attrs[name], str(accepted[name]))
    return replace(found, detail=detail)


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
        elif match is Match.NOT_ALLOWED:
            decision.untold.append((match, want.attrs[name]))
    decision.change = Change(
        want.address,
        Action.CREATE,
        Reason.GONE if gone else Reason.NOT_LIVE,
        name=kind.unit(want.attrs, want.address.key)[1],
        parent=sighting.parent,
        after=wanted.after,
        seen={"namesake": sighting.namesake} if sighting.namesake is not None else {},
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
