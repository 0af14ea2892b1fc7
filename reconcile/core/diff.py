"""
Which leaves of two values differ. The one import of deepdiff.

Equality comes first: deepdiff takes 450-900 µs for an equal pair, `==` half a microsecond (notes "performance"), so
it only sees containers that differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconcile.core.schema import Field, Mark

MISSING = object()
"""Stands where one side has nothing."""

Difference = tuple[tuple[str, ...], Any, Any]


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
    if same(before, after):
        return []
    from deepdiff import DeepDiff

    # Maps with few keys in common are opened all the same: by default they would be one difference.
    tree = DeepDiff(
        before, dict(after), view="tree", ignore_type_in_groups=[], verbose_level=0, threshold_to_diff_deeper=0
    )
    found: dict[tuple[str, ...], Difference] = {}
    for kind in ("values_changed", "type_changes", "dictionary_item_added", "dictionary_item_removed"):
        for level in tree.get(kind, ()):
            path = tuple(str(step) for step in level.path(output_format="list"))
            path = _outside_lists(path, after)
            found[path] = (path, _at(before, path), _at(after, path))
    for kind in ("iterable_item_added", "iterable_item_removed", "repetition_change"):
        for level in tree.get(kind, ()):
            path = _outside_lists(tuple(str(step) for step in level.path(output_format="list")), after)
            found[path] = (path, _at(before, path), _at(after, path))
    return [leaf for path in sorted(found) for leaf in _opened(found[path], spec)]


def _opened(difference: Difference, spec: Field | None) -> list[Difference]:
    """A whole object or map that one side lacks, as the settings in it."""
    path, before, after = difference
    inner = spec.at(path) if spec is not None else None
    if before is not MISSING or inner is None or not isinstance(after, Mapping) or not after:
        return [difference]
    return [leaf for key in after for leaf in _opened(((*path, key), MISSING, after[key]), spec)]


def same(one: Any, other: Any) -> bool:
    """Equality in which `1`, `1.0` and `True` are three values, as they are in JSON for a device."""
    if type(one) is not type(other):
        if isinstance(one, bool) or isinstance(other, bool):
            return False
        return bool(one == other) if isinstance(one, (int, float)) and isinstance(other, (int, float)) else False
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def mentioned(before: Any, after: Any, spec: Field | None = None) -> Any:
    """What of `before` a document that says `after` speaks of: the keys that it has, all of them of a whole map."""
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


def _outside_lists(path: tuple[str, ...], value: Any) -> tuple[str, ...]:
    for depth, step in enumerate(path):
        if not isinstance(value, Mapping):
            return path[:depth]
        value = value.get(step, MISSING)
    return path


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if not isinstance(value, Mapping) or step not in value:
            return MISSING
        value = value[step]
    return value
