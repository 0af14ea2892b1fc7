"""
The attributes that differ, and whose change each difference is.

Three-way for every attribute (docs/architecture.md, "Three-way"): *you changed it* (desired ≠ prior), *somebody else
changed it* (observed ≠ prior), or both. Both sides are compared in the form that the marks name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reconcile.core.diff import MISSING, differences, same
from reconcile.core.forms import aligned
from reconcile.core.plan import Cause, FieldChange
from reconcile.core.record import Wanted
from reconcile.core.resource import Entry, View
from reconcile.core.resource_type import ResourceType
from reconcile.core.schema import Field, Kind, Mark
from reconcile.core.sighting import Decision, Match, Sighting
from reconcile.core.values import Attrs, FileRef, Ref

_NESTED = (Kind.OBJECT, Kind.MAP)


def changed_fields(
    kind: ResourceType,
    shape: Mapping[str, Field],
    sighting: Sighting,
    wanted: Wanted,
    accepted: Attrs,
    view: View,
    decision: Decision,
) -> list[FieldChange]:
    """
    What differs between the files and what the API has accepted, in the order of the files.

    Args:
        accepted: spelled as the files spell it.
        decision: gets what blocks it, and the secrets of which nobody can tell.
    """
    want, prior = sighting.want, sighting.prior
    found: list[FieldChange] = []

    def add(path: tuple[str, ...], before: Any, after: Any, cause: Cause, **more: Any) -> None:
        where, origin = nearest(want.fields, path), nearest(want.origins, path)
        found.append(FieldChange(path, before, after, cause, where=where, origin=origin, **more))

    for name, value in wanted.compared.items():
        spec = shape[name]
        leaves = differences(accepted.get(name), value, spec)
        if leaves:
            recorded_all = spelled(spec, prior.attrs.get(name), value) if prior is not None else None
            for path, before, after in leaves:
                recorded = _recorded(prior, recorded_all, (name, *path))
                # A member of a set that the state knows, and it does not: somebody else put it there.
                around = bool(path) and _recorded(prior, recorded_all, (name, *path[:-1])) is not MISSING
                cause = _cause(sighting, view, spec.at(path), recorded, before, after, around)
                naming = Mark.NAME in spec.marks
                add((name, *path), _plain(before), _plain(after), cause, prior=_plain(recorded), naming=naming)
        elif name in view.renew and value:
            add((name,), accepted.get(name), value, Cause.LEASE)
    if prior is not None:
        _taken_out(shape, prior, wanted, accepted, add)
    for name, value in wanted.after.items():
        spec = shape[name]
        if Mark.TRIGGER in spec.marks:
            recorded = _recorded(prior, prior.attrs.get(name) if prior else None, (name,))
            if recorded is not MISSING and recorded != value:
                add((name,), recorded, value, Cause.YOU, prior=recorded, note=f"{name}s it, once")
        elif Mark.CREDENTIAL in spec.marks:
            continue
        elif spec.kind is Kind.SECRET:
            _secret(kind, name, sighting, add, decision)
        elif isinstance(value, FileRef):
            _file(kind, name, value, sighting, decision)
    return found


def _taken_out(
    shape: Mapping[str, Field], prior: Entry, wanted: Wanted, accepted: Attrs, add: Callable[..., None]
) -> None:
    """Members of a map that the state knows, the files do not write any more, and that are live."""
    for name, spec in shape.items():
        if Mark.MEMBERS not in spec.marks:
            continue
        recorded, live, now = prior.attrs.get(name) or {}, accepted.get(name) or {}, wanted.compared.get(name) or {}
        for key, value in recorded.items():
            if key in live and key not in now:
                add((name, key), live[key], None, Cause.YOU, prior=value)


def spelled(spec: Field, live: Any, value: Any) -> Any:
    """`live`, with what equals `value` in the form of the marks spelled as in `value`."""
    return aligned(spec, live, value) if spec.kind in _NESTED or spec.formed else live


def nearest(places: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """What stands in a map by dotted path for an attribute, or else for the closest one around it."""
    for depth in range(len(path), 0, -1):
        if (found := places.get(".".join(path[:depth]))) is not None:
            return found
    return None


def _secret(kind: ResourceType, name: str, sighting: Sighting, add: Callable[..., None], decision: Decision) -> None:
    want, seen, prior = sighting.want, sighting.seen, sighting.prior
    reference, match = want.attrs[name], sighting.matches.get(name, Match.UNRESOLVED)
    assert seen is not None
    rewritten = kind.rewritten(seen, prior) if prior is not None else None
    if sighting.former is not None:
        add((name,), None, reference, Cause.UNIT, sensitive=True, note="another unit")
    elif sighting.uncertain:
        note = "value unknown: the answer to an earlier write was lost"
        add((name,), None, reference, Cause.VALUE_UNKNOWN, sensitive=True, note=note)
    elif rewritten is not None:
        cause = Cause.BOTH if match is Match.CHANGED else Cause.SOMEBODY
        add((name,), None, reference, cause, sensitive=True, note=f"rotated by somebody else at {rewritten}")
    elif match is Match.CHANGED:
        add((name,), None, reference, Cause.YOU, sensitive=True, note=f"the value behind {reference} changed")
    elif match is Match.NO_RECORD:
        note = "value unknown: there is no record of it"
        add((name,), None, reference, Cause.VALUE_UNKNOWN, sensitive=True, note=note)
    elif sighting.rewrite:
        add((name,), None, reference, Cause.YOU, sensitive=True, note="written again, as asked")
    elif match in (Match.OTHER_KEY, Match.UNRESOLVED, Match.NOT_ALLOWED):
        decision.untold.append((match, reference))


def _file(kind: ResourceType, name: str, file: FileRef, sighting: Sighting, decision: Decision) -> None:
    seen, prior = sighting.seen, sighting.prior
    recorded = prior.attrs.get(name) if prior is not None else None
    known = recorded.sha256 if isinstance(recorded, FileRef) else None
    if known and file.sha256 and known.lower() != file.sha256.lower():
        decision.block(
            f"{sighting.want.address} is uploaded with other bytes: its {name} has sha256 {file.sha256.lower()}, what"
            f" was uploaded had {known.lower()}",
            kind.advice,
        )
    if seen is not None and prior is not None and seen.id != prior.id and (why := kind.remade(seen, prior)):
        decision.block(f"{sighting.want.address} was replaced by somebody else: {why}", kind.advice)


def _cause(
    sighting: Sighting, view: View, spec: Field | None, recorded: Any, before: Any, after: Any, around: bool
) -> Cause:
    if sighting.former is not None:
        return Cause.UNIT
    if sighting.prior is None:
        return Cause.ADOPTION
    if recorded is MISSING and view.lost is not None and after is MISSING:
        return Cause.LOST
    if recorded is MISSING:
        return Cause.SOMEBODY if after is MISSING and around else Cause.YOU
    yours, theirs = not _alike(spec, recorded, after), not _alike(spec, recorded, before)
    if theirs and view.lost is not None:
        return Cause.YOU if yours else Cause.LOST
    return Cause.BOTH if yours and theirs else Cause.YOU if yours else Cause.SOMEBODY


def _alike(spec: Field | None, one: Any, other: Any) -> bool:
    return same(one if spec is None else aligned(spec, one, other), other)


def _recorded(prior: Entry | None, value: Any, path: tuple[str, ...]) -> Any:
    """What was last applied at a path; `value` is what was recorded of the attribute as a whole."""
    if prior is None or path[0] not in prior.attrs:
        return MISSING
    for step in path[1:]:
        if not isinstance(value, Mapping) or step not in value:
            return MISSING
        value = value[step]
    if isinstance(value, list) and any(isinstance(member, Ref) for member in value):
        return sorted(member.name for member in value)  # as both sides are compared: their order says nothing
    return value.name if isinstance(value, Ref) else value


def _plain(value: Any) -> Any:
    return None if value is MISSING else value
