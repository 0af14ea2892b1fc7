"""
Nested values: what stands at a path, copies with another value there, and the leaves in which two of them differ.

The one import of deepdiff, which takes 0.5 s to load and a millisecond for a pair: only a container that differs, and
holds more than one level, gets to see it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconcile.core.schema import Field, Mark

MISSING = object()
"""Stands where one side has nothing."""

Path = tuple[str, ...]
Difference = tuple[Path, Any, Any]


# -- walks -------------------------------------------------------------------------------------------------------------


def get(value: Any, path: Path, default: Any = None) -> Any:
    """What stands at a path; `default` where a step leads to no member of a map."""
    for step in path:
        if not isinstance(value, Mapping) or step not in value:
            return default
        value = value[step]
    return value


def put(value: Mapping[str, Any], path: Path, leaf: Any) -> dict[str, Any]:
    """A copy with another value at a path; what is on the way and no map becomes one."""
    found = dict(value)
    if len(path) > 1:
        below = found.get(path[0])
        leaf = put(below if isinstance(below, Mapping) else {}, path[1:], leaf)
    found[path[0]] = leaf
    return found


def without(value: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """A copy without what stands at a path, and without the maps that become empty by it."""
    found = dict(value)
    below = found.pop(path[0], None)
    if len(path) > 1 and isinstance(below, Mapping) and (rest := without(below, path[1:])):
        found[path[0]] = rest
    return found


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The leaves, each with its path; a map without members is one."""
    if isinstance(value, Mapping) and value:
        for key, member in value.items():
            yield from leaves(member, (*path, key))
    else:
        yield path, value


def merged(over: Mapping[str, Any], under: Mapping[str, Any]) -> dict[str, Any]:
    """`over`, with what only `under` has; maps on both sides are merged."""
    found = dict(over)
    for name, value in under.items():
        if name not in found:
            found[name] = value
        elif isinstance(value, Mapping) and isinstance(found[name], Mapping):
            found[name] = merged(found[name], value)
    return found


# -- equality ----------------------------------------------------------------------------------------------------------


def same(one: Any, other: Any) -> bool:
    """Equality in which `1` and `1.0` are one value, as they are in JSON, and `1` and `True` are two."""
    if type(one) is not type(other):
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        if isinstance(one, bool) or isinstance(other, bool):
            return False
        return bool(one == other) if isinstance(one, (int, float)) and isinstance(other, (int, float)) else False
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def differences(before: Any, after: Any, spec: Field | None = None) -> list[Difference]:
    """
    The leaves that differ, as `(path, before, after)` in the order of their paths.

    Only what `after` mentions counts: a key of a map that only `before` has is not managed and no difference, unless
    `spec` (of the attribute) marks the map as one whole. Lists are compared as a whole. One side that is missing is
    `MISSING`.
    """
    if same(before, after):
        return []
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return [((), before, after)]
    before = mentioned(before, after, spec)
    found: dict[Path, Difference] = {}
    for path in _deep_paths(before, after):
        outside = _outside_lists(path, after)
        one, other = get(before, outside, MISSING), get(after, outside, MISSING)
        if not same(one, other):
            found[outside] = (outside, one, other)
    return [leaf for path in sorted(found) for leaf in _opened(found[path], spec)]


def mentioned(before: Any, after: Any, spec: Field | None = None) -> Any:
    """The part of `before` that a document with `after` speaks of: the keys that it has, all of them of a whole map."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return before
    if spec is not None and Mark.WHOLE in spec.marks:
        return dict(before)
    kept: dict[str, Any] = {}
    for key, value in after.items():
        if key in before:
            inner = (spec.fields.get(key) or spec.member) if spec is not None else None
            kept[key] = mentioned(before[key], value, inner)
    return kept


def _deep_paths(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Path]:
    """Paths of what may differ, as deepdiff finds them; those of one level are found without it."""
    nested = [key for key in after if isinstance(after[key], Mapping) and isinstance(before.get(key), Mapping)]
    yield from ((key,) for key in {**before, **after} if key not in nested)
    one, other = {key: before[key] for key in nested}, {key: after[key] for key in nested}
    if same(one, other):
        return
    from deepdiff import DeepDiff

    # Maps with few keys in common are opened all the same: by default they would be one difference.
    tree = DeepDiff(one, other, view="tree", ignore_type_in_groups=[], verbose_level=0, threshold_to_diff_deeper=0)
    for levels in tree.values():
        for level in levels:
            yield tuple(str(step) for step in level.path(output_format="list"))


def _outside_lists(path: Path, value: Any) -> Path:
    for depth, step in enumerate(path):
        if not isinstance(value, Mapping):
            return path[:depth]
        value = value.get(step, MISSING)
    return path


def _opened(difference: Difference, spec: Field | None) -> list[Difference]:
    """A whole object or map that one side lacks, as the settings in it."""
    path, before, after = difference
    inner = spec.at(path) if spec is not None else None
    if before is not MISSING or inner is None or not isinstance(after, Mapping) or not after:
        return [difference]
    return [leaf for key in after for leaf in _opened(((*path, key), MISSING, after[key]), spec)]
