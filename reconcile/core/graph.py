"""
The order of a plan: which changes come before which, as waves.

All changes of a wave can be carried out together. What is referred to is made before what refers to it, names that
are still held are freed first (through a temporary name where they go round), and what leaves leaves last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from reconcile.core.address import Address
from reconcile.core.plan import Action, Change

LEAVING = (Action.DELETE, Action.FORGET)


def ranks_of(paths: Iterable[str]) -> dict[str, int]:
    """By type path, its place in the order of references, which is that of `paths`; a child has its root's."""
    places = {path: at for at, path in enumerate(paths)}
    return {path: places[".".join(path.split(".")[:2])] for path in places}


def in_waves(
    changes: Sequence[Change], ranks: Mapping[str, int], held: Mapping[str, Mapping[str, Change]]
) -> list[Change]:
    """
    The changes with their `wave`, and with a `temporary` name where names go round.

    Args:
        ranks: of `ranks_of`.
        held: by type path, the change of the unit that now holds a name which another change wants.
    """
    waits = _name_waits(changes, held)
    temporary = _break_rings(waits)
    depth: dict[Address, int] = {}
    last = max(ranks.values(), default=0) + 1
    leaving = {change.address for change in changes if change.action in LEAVING}
    ordered = []
    for change in changes:
        # What leaves a unit that stays goes with the unit's other settings: before its app is changed.
        if change.address in leaving and (change.address.parent is None or change.address.root in leaving):
            # Deletions come last, and what is used after what uses it.
            wave = last * 1000 + (last - ranks[change.address.type_path])
        else:
            wave = ranks[change.address.type_path] * 1000 + _depth(change.address.root, waits, temporary, depth)
        ordered.append(
            replace(
                change,
                wave=wave,
                behind=(waits[change.address],) if change.address in waits else (),
                temporary=f"{change.name_wanted}.swap-{(change.id or '')[-6:]}"
                if change.address in temporary
                else None,
            )
        )
    numbers = {wave: number for number, wave in enumerate(sorted({change.wave for change in ordered}))}
    return [replace(change, wave=numbers[change.wave]) for change in ordered]


def _name_waits(changes: Sequence[Change], held: Mapping[str, Mapping[str, Change]]) -> dict[Address, Address]:
    """By address, the address that has to give up the wanted name first."""
    waits: dict[Address, Address] = {}
    for change in changes:
        holder = held.get(change.address.type_path, {}).get(change.name_wanted or "")
        if holder is not None and holder.address != change.address:
            waits[change.address] = holder.address
    return waits


def _break_rings(waits: Mapping[Address, Address]) -> set[Address]:
    """One address of each ring of `waits`: the one that takes a temporary name first."""
    broken: set[Address] = set()
    done: set[Address] = set()
    for start in waits:
        path: list[Address] = []
        at: Address | None = start
        while at is not None and at not in done and at not in path:
            path.append(at)
            at = waits.get(at)
        if at is not None and at in path:
            broken.add(min(path[path.index(at) :]))
        done.update(path)
    return broken


def _depth(
    address: Address, waits: Mapping[Address, Address], temporary: set[Address], known: dict[Address, int]
) -> int:
    chain = []
    at: Address | None = address
    while at is not None and at not in known:
        chain.append(at)
        holder = waits.get(at)
        # A holder that took a temporary name has freed the wanted one before the first wave.
        at = None if holder is None or holder in temporary else holder
    depth = known[at] if at is not None else -1
    for step in reversed(chain):
        depth += 1
        known[step] = depth
    return known[address]
