"""
Members that are ours: of a map that others write to as well, of a map that the files do not mention any more, and the
memberships of a unit. Whatever we wrote, the files drop, and is still live, is taken out; the rest is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from reconcile.core.resource import Desired, Entry, Observed
from reconcile.core.resource_type import ResourceType
from reconcile.core.schema import Field, Kind, Mark, fields_of
from reconcile.core.tree import merged
from reconcile.core.values import Attrs, Ref

Shape = Mapping[str, Field]


# -- maps of which single members are ours (`Mark.MEMBERS`) ------------------------------------------------------------


def dropped_members(shape: Shape, recorded: Attrs, wanted: Attrs, live: Attrs) -> Iterator[tuple[tuple[str, str], Any]]:
    """Members that the state knows, the files do not write any more, and that are live: `(path, recorded value)`."""
    for name, spec in shape.items():
        if Mark.MEMBERS in spec.marks:
            there, now = live.get(name) or {}, wanted.get(name) or {}
            for key, value in (recorded.get(name) or {}).items():
                if key in there and key not in now:
                    yield (name, key), value


# -- maps that are written as one (`Mark.WHOLE`) -----------------------------------------------------------------------


def recorded_sets(rtype: ResourceType, shape: Shape, prior: Entry | None) -> Attrs:
    """Attributes that we wrote, and all that an unfinished write was to remove; {} for a model without whole maps."""
    if prior is None or not any(spec.whole for spec in shape.values()):
        return {}
    return merged(prior.attrs, rtype.staging.unfinished(prior) if rtype.staging is not None else {})


def without_dropped_sets(shape: Shape, recorded: Attrs, wanted: Attrs, *sides: Attrs) -> Attrs:
    """
    `wanted` with every whole map that the files do not mention any more and of which we wrote members that are live:
    without those members.

    Args:
        sides: what is accepted, then what is reported if that is something else; keys spelled as in `recorded`.
    """
    found = dict(wanted)
    for name, value in recorded.items():
        if name in shape and isinstance(value, Mapping):
            rest = _rest(shape[name], value, wanted.get(name), [side.get(name) for side in sides])
            if rest is not None:
                found[name] = rest
    return found


def _rest(spec: Field, recorded: Any, now: Any, sides: Sequence[Any]) -> Any:
    """`now` with the rest of dropped maps in it; None when there is none."""
    if not isinstance(recorded, Mapping):
        return None
    if Mark.WHOLE in spec.marks and spec.kind is Kind.MAP:
        live = [side for side in sides if isinstance(side, Mapping)]
        if now is not None or not any(key in side for key in recorded for side in live):
            return None
        return {key: value for key, value in live[0].items() if key not in recorded}
    below = {}
    for name, inner in spec.fields.items():
        parts = [_get(side, name) for side in sides]
        if (rest := _rest(inner, recorded.get(name), _get(now, name), parts)) is not None:
            below[name] = rest
    return {**(now if isinstance(now, Mapping) else {}), **below} if below else None


def dropped_sets(shape: Shape, recorded: Any, compared: Attrs, after: Any) -> dict[str, Any]:
    """Of what we wrote, the whole maps that a write takes members out of and the files do not mention."""
    found: dict[str, Any] = {}
    for name, value in compared.items():
        spec, ours, below = shape.get(name), _get(recorded, name), _get(after, name)
        if spec is None or not isinstance(value, Mapping) or ours is None:
            continue
        if spec.kind is Kind.MAP:
            if Mark.WHOLE in spec.marks and below is None:
                found[name] = ours
        elif inner := dropped_sets(spec.fields, ours, value, below):
            found[name] = inner
    return found


# -- memberships -------------------------------------------------------------------------------------------------------


def group_type(rtype: ResourceType) -> str:
    """The path of the type that the key of a membership names a resource of."""
    assert rtype.membership is not None
    path = fields_of(rtype.Model)[rtype.membership.key].refers
    assert path is not None
    return path


def with_group(rtype: ResourceType, want: Desired) -> Desired:
    """A membership with what its key names as an attribute; any other child as it is."""
    if rtype.membership is None:
        return want
    return replace(want, attrs={**want.attrs, rtype.membership.key: Ref(group_type(rtype), want.address.key)})


def dropped_memberships(
    rtype: ResourceType,
    unit: str,
    want: Desired,
    live: Mapping[str, Observed],
    known: Set[str],
    key_of: Callable[[str], str | None],
) -> Iterator[Entry]:
    """
    Live memberships of a unit in resources of the files that neither the files nor the state have, as if the
    state had them; none where the set of them is not exclusive, or not written.

    Args:
        unit: its id. want: the unit as the files want it.
        known: ids of those that the files or the state have.
        key_of: the key by which the files have the resource of an id; None when they do not have it.
    """
    section = rtype.path.rpartition(".")[2]
    if rtype.membership is None or not rtype.membership.exclusive or section not in want.sections:
        return
    for seen in live.values():
        if seen.id not in known and (key := key_of(seen.id)) is not None:
            yield Entry(want.address.child(section, key), seen.id, {}, unit)


# -- what is no member -------------------------------------------------------------------------------------------------


def released(shape: Shape, prior: Entry | None, after: Attrs) -> list[str]:
    """Sentences about settings that were managed and are not written any more: they stay as they are."""
    if prior is None:
        return []
    gone = [
        ".".join(path)
        for name, value in prior.attrs.items()
        if name in shape and shape[name].marks.isdisjoint((Mark.LOCATOR, Mark.CREDENTIAL))
        for path in _unmentioned(shape[name], value, after.get(name), (name,))
    ]
    return [f"{name} is not in the files any more: it stays as it is and is not managed" for name in gone]


def _unmentioned(spec: Field, recorded: Any, now: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Settings that were managed and are not; members of a map are no settings, they are taken out."""
    if spec.fields and isinstance(recorded, Mapping):
        for name, value in recorded.items():
            if (inner := spec.fields.get(name)) is not None:
                yield from _unmentioned(inner, value, _get(now, name), (*path, name))
    elif now is None and not (spec.kind is Kind.MAP and spec.marks & {Mark.WHOLE, Mark.MEMBERS}):
        yield path


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None
