"""
Memberships: children whose key names another resource, as a device's groups do (`refers_by_key`).

A set of them is exclusive among the resources of the files: what is live, names one of those and is not written is
taken out; memberships in anything else are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import replace

from reconcile.core.planner import Planner
from reconcile.core.ports import Document
from reconcile.core.resource import Desired, Entry, Observed
from reconcile.core.resource_type import ResourceType
from reconcile.core.schema import fields_of
from reconcile.core.values import Ref


def referred(part: ResourceType) -> str:
    """The path of the type that its key names a resource of."""
    assert part.refers_by_key is not None
    path = fields_of(part.Model)[part.refers_by_key].refers
    assert path is not None
    return path


def named(part: ResourceType, want: Desired) -> Desired:
    """A membership with what its key names as an attribute; any other child as it is."""
    if part.refers_by_key is None:
        return want
    return replace(want, attrs={**want.attrs, part.refers_by_key: Ref(referred(part), want.address.key)})


def others(
    part: ResourceType,
    unit: str,
    want: Desired,
    live: Mapping[str, Observed],
    held: Set[str],
    document: Document,
    planner: Planner,
) -> Iterator[Entry]:
    """
    Live memberships in resources of the files that neither the files nor the state have, as if the state had them.

    Args:
        unit: the id of the unit whose they are. held: ids of those that the files or the state have.
    """
    path, section = referred(part), part.path.rpartition(".")[2]
    for seen in live.values():
        handle = document.find(path, seen.id, planner.name_of(path, seen.id)) if seen.id not in held else None
        if handle is not None:
            yield Entry(want.address.child(section, document.at(handle).address.key), seen.id, {}, unit)
