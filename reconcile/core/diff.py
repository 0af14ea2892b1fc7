"""
Which leaves of two values differ. The one import of deepdiff.

Equality comes first: deepdiff takes 450-900 µs for an equal pair, `==` half a microsecond (notes "performance"), so
it only sees containers that differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MISSING = object()
"""Stands where one side has nothing."""

Difference = tuple[tuple[str, ...], Any, Any]


def differences(before: Any, after: Any) -> list[Difference]:
    """
    The leaves that differ, as `(path, before, after)` in the order of their paths.

    Only what `after` mentions counts: a key of a map that only `before` has is not managed and no difference. Lists
    are compared as a whole. One side that is missing is `MISSING`.
    """
    if same(before, after):
        return []
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return [((), before, after)]
    from deepdiff import DeepDiff

    tree = DeepDiff(_mentioned(before, after), dict(after), view="tree", ignore_type_in_groups=[], verbose_level=0)
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
    return [found[path] for path in sorted(found)]


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


def _mentioned(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in after.items():
        if key in before:
            nested = isinstance(value, Mapping) and isinstance(before[key], Mapping)
            kept[key] = _mentioned(before[key], value) if nested else before[key]
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
