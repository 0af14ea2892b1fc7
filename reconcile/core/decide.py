"""
One resource: what the files want, what the API reports and what was last applied, and the change between them. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconcile.core.compare import Comparison, Wanted, accepted_attrs, compare, nearest, wanted_of
from reconcile.core.owned import Shape, dropped_sets, released
from reconcile.core.plan import Action, Cause, Change, FieldChange, Reason, Unsettled
from reconcile.core.resource import Desired, Edit, Entry, Mistake, Observed, Patch, Status, View
from reconcile.core.resource_type import ResourceType, accepted_facts
from reconcile.core.schema import Mark, fields_of
from reconcile.core.sighting import Decision, Match, Resolve, Sighting, unsettled
from reconcile.core.together import completed
from reconcile.core.tree import mentioned
from reconcile.core.values import Attrs, FileRef, Ref, to_json
from reconcile.errors import InvalidInput, Problem

PROTECTED = "it is protected: set `protect: false` and apply that first"

Names = Mapping[str, Mapping[str, str]]
"""By type path, the name of each live id, so that observed references are shown as the files write them."""


def decide(rtype: ResourceType, sighting: Sighting, resolve: Resolve, names: Names) -> Decision:
    """
    The change that makes one resource agree with the files.

    Args:
        resolve: resolves a reference. Raises InvalidInput when it stands for nothing.

    Raises:
        InvalidInput: of `resolve`; or nothing that its type could send would make it agree.
    """
    want, seen, shape = sighting.want, sighting.seen, fields_of(rtype.Model)
    _fits(shape, sighting)
    wanted = wanted_of(rtype, want, resolve)
    if seen is None:
        return Decision(_creation(rtype, shape, sighting, wanted), untold=_needed(sighting))
    _is_meant(shape, want, seen)
    view = rtype.view(seen, sighting.prior, sighting.now)
    if view.retry and sighting.retry and view.reported is not None:
        view = replace(view, attrs=view.reported, status=Status.SETTLED, lost="sent again, as asked")
    both = compare(rtype, sighting, view, wanted, names)
    write = _write(rtype, shape, sighting, seen, both)
    change = _change(rtype, shape, sighting, seen, both, write)
    left = _unsettled(shape, sighting, view, names)
    if write.settled is not None:
        left = _unsettled(shape, sighting, write.settled, names)
    elif view.retry and not both.fields and not both.unreported:
        left = None  # what the unit could not do, nobody wants any more
    learned = view.learned if sighting.prior is not None else None
    return Decision(change, left, both.untold, both.blocked, learned)


# -- what is sent ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Write:
    """
    What is sent of the differences.

    Attributes:
        patch: the one write, where the type composes it; else None, and the attributes are sent as they are.
        facts: what the entry is to remember of the reading.
        settled: how the unit is read once the state knows that the write waits for it already; then nothing is sent.
        along: attributes as they are sent, where fields that travel together complete them.
        replaces: the reason why another one is made.
    """

    patch: Patch | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    settled: View | None = None
    along: Attrs = field(default_factory=dict)
    replaces: str | None = None


def _write(rtype: ResourceType, shape: Shape, sighting: Sighting, seen: Observed, both: Comparison) -> _Write:
    """Raises InvalidInput when no write would make it agree."""
    prior, want = sighting.prior, sighting.want
    facts = dict(rtype.facts(seen, prior))
    if not both.fields:
        return _Write(facts=facts)
    paths = {part.path for part in both.fields}
    patch = rtype.compose(Edit(sorted(paths), sorted(both.unreported - paths), both.compared, seen, prior))
    along: Attrs = {}
    if patch is None or not (patch.replaces or patch.mistakes):
        patch = _unchangeable(rtype, shape, both.fields, seen, want) or patch
    if patch is None:
        along, patch = _together(shape, both, seen)
    if patch is not None and patch.replaces:
        return _Write(replaces=patch.replaces)
    if patch is not None and patch.mistakes:
        raise InvalidInput(
            *(
                Problem(what, nearest(want.fields, path) or want.where, want.address, hint=hint)
                for path, what, hint in patch.mistakes
            )
        )
    if patch is None or patch.body:
        return _Write(patch, facts, along=along)
    # It waits there already: only the state does not know it.
    facts = {**facts, **accepted_facts(rtype, patch.stamp, seen)}
    known = Entry(want.address, seen.id, both.wanted.after, facts=facts)
    return _Write(patch, facts, rtype.view(seen, known, sighting.now))


def _fits(shape: Shape, sighting: Sighting) -> None:
    """Raises InvalidInput for the value of a secret that is longer than the API takes."""
    want = sighting.want
    problems = [
        Problem(
            f"the value behind {want.attrs[name]} has more than {shape[name].longest:,} characters",
            nearest(want.fields, (name,)) or want.where,
            want.address,
            hint="The API takes no longer one: is it the right variable or file?",
        )
        for name, match in sighting.matches.items()
        if match is Match.TOO_LONG
    ]
    if problems:
        raise InvalidInput(*problems)


def _unchangeable(
    rtype: ResourceType, shape: Shape, fields: tuple[FieldChange, ...], seen: Observed, want: Desired
) -> Patch | None:
    """The consequence of a difference in a field that cannot be changed (`Mark.IMMUTABLE`); None without one."""
    changes = type(rtype).update is not ResourceType.update
    # The name of what has no update, such as an app, is what it was made with.
    fixed = [part for part in fields if _is_fixed(shape, part) or (part.naming and not changes)]
    if not fixed:
        return None
    one, creates = f"{rtype.noun} {seen.name or seen.id}", rtype.lifecycle(want.attrs).create
    if rtype.names != "unique" and creates:
        names = " and ".join(".".join(part.path) for part in fixed)
        return Patch({}, replaces=f"{names} of {one} cannot be changed: another one is made, and this one stays")
    hint = "Write it as it is" + ("; or give the entry another key, and another one is made" if creates else "")
    mistakes: list[Mistake] = [
        (part.path, f"the {'.'.join(part.path)} of {one} cannot be changed: it is {part.before!r}", hint)
        for part in fixed
    ]
    return Patch({}, mistakes=tuple(mistakes))


def _is_fixed(shape: Shape, part: FieldChange) -> bool:
    spec = shape[part.path[0]]
    within = [
        spec,
        *(inner for end in range(2, len(part.path) + 1) if (inner := spec.at(part.path[1:end])) is not None),
    ]
    return any(Mark.IMMUTABLE in inner.marks for inner in within)


def _together(shape: Shape, both: Comparison, seen: Observed) -> tuple[Attrs, Patch | None]:
    """Attributes as they are sent, where `Together` completes them; a Patch with mistakes where it cannot."""
    sent = {part.path[0]: both.wanted.after.get(part.path[0]) for part in both.fields}
    whole, lacking = completed(shape, sent, both.wanted.after, seen.attrs)
    mistakes = tuple(
        (
            (*path, missing[0]),
            f"{', '.join(missing)} must be sent with what changes, and neither the files nor the API say what it is",
            f"Write {' and '.join(missing)}",
        )
        for path, missing in lacking
    )
    along = {name: value for name, value in whole.items() if name not in sent or value != sent[name]}
    return along, Patch({}, mistakes=mistakes) if mistakes else None


# -- the change --------------------------------------------------------------------------------------------------------


def _change(
    rtype: ResourceType, shape: Shape, sighting: Sighting, seen: Observed, both: Comparison, write: _Write
) -> Change | None:
    """None when it is in sync."""
    want, prior, former, wanted = sighting.want, sighting.prior, sighting.former, both.wanted
    if write.replaces is not None:
        made = _creation(rtype, shape, replace(sighting, seen=None, prior=None, namesake=seen.id), wanted)
        return replace(made, reason=Reason.ANEW, notes=(write.replaces,), protect=protected(want, prior))
    fields = both.fields if write.settled is None else ()
    notes = [*released(shape, prior, wanted.after), *_recordings(shape, prior, wanted.after, want)]
    if not fields and not notes and not _is_recorded(sighting, seen, wanted):
        return None
    action, reason = _action(sighting, fields)
    patch, stamp = write.patch, _stamp(shape, both, write.patch)
    staging = rtype.staging
    return Change(
        want.address,
        action,
        reason,
        id=seen.id,
        name=seen.name,
        parent=sighting.parent,
        after=wanted.after,
        before={
            name: mentioned(both.accepted[name], value, shape[name])
            for name, value in both.compared.items()
            if name in both.accepted
        },
        seen=accepted_now(shape, seen, rtype.view(seen, prior, sighting.now), both.compared),
        fields=fields,
        patch=patch.body if patch is not None else {},
        stamp=stamp,
        along=write.along,
        overwrites=staging.foreign_update(seen, (write.facts, stamp)) if staging is not None and stamp else None,
        refers=wanted.refers,
        facts=write.facts,
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
        notes=(*_notes(shape, both.view, fields, patch), *notes),
    )


def _is_recorded(sighting: Sighting, seen: Observed, wanted: Wanted) -> bool:
    """True if the state learns something, though nothing is sent."""
    prior = sighting.prior
    if prior is None or sighting.moved_from is not None or prior.id != seen.id:
        return True
    return _differs_in_record(wanted.after, sighting.want, prior)


def _action(sighting: Sighting, fields: tuple[FieldChange, ...]) -> tuple[Action, Reason]:
    renewals = [part for part in fields if part.cause is Cause.LEASE]
    if sighting.former is not None and sighting.want.address.parent is None:
        return Action.REPLACE, Reason.ANOTHER_UNIT
    if sighting.prior is None:
        return Action.ADOPT, Reason.NOT_IN_STATE
    if len(fields) > len(renewals):
        return Action.UPDATE, Reason.FIELDS_DIFFER
    if renewals:
        return Action.NOOP, Reason.LEASE_ENDS
    return Action.NOOP, Reason.MOVED if sighting.moved_from is not None else Reason.RECORD


def _notes(shape: Shape, view: View, fields: tuple[FieldChange, ...], patch: Patch | None) -> list[str]:
    """Sentences about what is sent."""
    lost = [view.lost] if view.lost is not None and any(part.cause is Cause.LOST for part in fields) else []
    gaps = dict.fromkeys(gap for part in fields if (gap := shape[part.path[0]].gap) is not None)
    return [*lost, *(patch.notes if patch is not None and fields else ()), *gaps]


def _stamp(shape: Shape, both: Comparison, patch: Patch | None) -> Mapping[str, Any]:
    """The record of a write in the state: also what of ours it takes out of maps, since no file says so again."""
    if patch is None or not patch.body or not patch.stamp:
        return {}
    left = dropped_sets(shape, both.ours, both.compared, both.wanted.after)
    return {**patch.stamp, "released": left} if left else patch.stamp


def _is_meant(shape: Shape, want: Desired, seen: Observed) -> None:
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


def accepted_now(shape: Shape, seen: Observed, view: View, managed: Attrs) -> dict[str, Any]:
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


def _unsettled(shape: Shape, sighting: Sighting, view: View, names: Names) -> Unsettled | None:
    """As the reading says it, with ids of other resources by the names that the files give them."""
    found = unsettled(sighting.want.address, view, sighting.now)
    if found is None:
        return None
    detail, accepted = found.detail, accepted_attrs(shape, view, names)
    for name, spec in shape.items():
        if spec.refers and isinstance(view.attrs.get(name), str):
            detail = detail.replace(view.attrs[name], str(accepted[name]))
    return replace(found, detail=detail)


# -- what only the state learns: protection, labels, tokens. Nothing of it is sent -------------------------------------


def _recordings(shape: Shape, prior: Entry | None, after: Attrs, want: Desired) -> list[str]:
    """Sentences about what the state learns, beside attributes. `after`: what it records of those."""
    notes = [
        f"{name} is recorded; it happens when the token changes the next time"
        for name in after
        if Mark.TRIGGER in shape[name].marks and (prior is None or name not in prior.attrs)
    ]
    if prior is None:
        return notes
    if protected(want, prior) != prior.protect:
        notes.append("its protection is lifted" if prior.protect else "it is protected from now on")
    if want.on_removal != prior.on_removal:
        notes.append(f"on_removal is {want.on_removal or 'the usual'} from now on")
    if dict(want.labels) != dict(prior.labels):
        notes.append("its labels are recorded")
    return notes


def _differs_in_record(after: Attrs, want: Desired, prior: Entry) -> bool:
    """True if the entry says anything else than the files, beyond what a field change will write anyway."""
    if after != prior.attrs and to_json(after) != to_json(prior.attrs):
        recorded, now = dict(prior.attrs), dict(after)
        for name, value in now.items():
            if isinstance(value, FileRef):  # where a bundle lies is not a fact about the app; its bytes are
                old = recorded.get(name)
                if isinstance(old, FileRef) and (value.sha256 is None or old.sha256 == value.sha256):
                    recorded.pop(name)
                    now[name] = None
        if to_json({k: v for k, v in now.items() if v is not None}) != to_json(recorded):
            return True
    return (
        protected(want, prior) != prior.protect
        or want.on_removal != prior.on_removal
        or dict(want.labels) != dict(prior.labels)
    )


def protected(want: Desired, recorded: Entry | None) -> bool:
    """True if it is protected: as written, else as recorded; only a `false` that was applied ends it."""
    return want.protect if want.protect is not None else recorded is not None and recorded.protect


# -- what is made ------------------------------------------------------------------------------------------------------


def _creation(rtype: ResourceType, shape: Shape, sighting: Sighting, wanted: Wanted) -> Change:
    want, gone = sighting.want, sighting.prior is not None
    fields = tuple(
        FieldChange(
            (name,),
            Cause.SOMEBODY if gone else Cause.YOU,
            after=value.name if isinstance(value, Ref) else value,
            sensitive=shape[name].secret,
            where=want.fields.get(name),
            origin=want.origins.get(name),
        )
        for name, value in wanted.after.items()
        if Mark.LOCATOR not in shape[name].marks and (Mark.NAME not in shape[name].marks or name in want.attrs)
    )
    return Change(
        want.address,
        Action.CREATE,
        Reason.GONE if gone else Reason.NOT_LIVE,
        name=rtype.unit(want.attrs, want.address.key)[1],
        parent=sighting.parent,
        after=wanted.after,
        seen={"namesake": sighting.namesake} if sighting.namesake is not None else {},
        fields=fields,
        refers=wanted.refers,
        moved_from=sighting.moved_from,
        needs=wanted.needs,
        block=want.block,
        labels=want.labels,
        protect=protected(want, sighting.prior),
        on_removal=want.on_removal,
        where=want.where,
    )


def _needed(sighting: Sighting) -> tuple[tuple[Match, str, Any], ...]:
    """Secrets of what is made that have no value here."""
    told = {Match.UNRESOLVED: Match.NEEDED, Match.NOT_ALLOWED: Match.NOT_ALLOWED}
    attrs, matches = sighting.want.attrs, sighting.matches
    return tuple((told[match], name, attrs[name]) for name, match in matches.items() if match in told)
