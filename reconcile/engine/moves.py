"""
Moves: the same unit under another key, written to the state before anything is sent.

All moves of a plan are one commit, with everything that hangs on each unit: whatever happens afterwards, an entry
stands where its unit is.
"""

from __future__ import annotations

from reconcile.core.plan import Plan
from reconcile.core.ports import Ended
from reconcile.core.resource import Entry, moved
from reconcile.engine.journal import Journal


async def record_moves(plan: Plan, journal: Journal) -> None:
    """Writes every move of the plan, in one commit; what another unit left under a new address goes."""
    moves = {change.moved_from: change.address for change in plan.changes if change.moved_from and not change.parent}
    if not moves:
        return
    store = journal.store
    entries = await store.get(list(moves))
    under = await store.under([*moves, *moves.values()])
    put: list[Entry] = []
    for old, to in moves.items():
        if old in entries:
            unit = entries[old].id
            put += moved(entries[old], [one for one in under if one.address.parent == old and one.parent == unit], to)
    drop = [*entries, *(child.address for child in under)]
    await journal.write(Ended("moves", tuple(put), tuple(drop)))
