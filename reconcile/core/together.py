"""Fields that travel in one write (`Together`): what a write lacks of them is taken from the files or the unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconcile.core.schema import Field

Lacking = tuple[tuple[str, ...], tuple[str, ...]]
"""The place of a group in a write, and the fields of it that neither the files nor the unit have."""


def completed(
    fields: Mapping[str, Field], write: Mapping[str, Any], wanted: Any, live: Any, path: tuple[str, ...] = ()
) -> tuple[dict[str, Any], list[Lacking]]:
    """
    A write with every group whole that it has a field of.

    Args:
        fields: of the model that `write`, `wanted` (the files) and `live` (the unit) are values of.
        path: of all three, for `Lacking`.
    """
    whole = dict(write)
    lacking: list[Lacking] = []
    for mark in dict.fromkeys(spec.together for spec in fields.values() if spec.together is not None):
        group = [name for name, spec in fields.items() if spec.together == mark]
        missing = []
        for name in group if write and (mark.always or not write.keys().isdisjoint(group)) else ():
            if name in whole:
                continue
            value = next((side[name] for side in (_map(wanted), _map(live)) if side.get(name) is not None), None)
            if value is None:
                missing.append(name)
            else:
                whole[name] = value
        if missing:
            lacking.append((path, tuple(missing)))
    for name, value in write.items():
        spec = fields.get(name)
        if spec is not None and spec.fields and isinstance(value, Mapping):
            sides = _map(wanted).get(name), _map(live).get(name)
            whole[name], more = completed(spec.fields, value, *sides, (*path, name))
            lacking += more
    return whole, lacking


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
