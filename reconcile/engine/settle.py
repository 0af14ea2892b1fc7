"""
Waiting until units have done what the API accepted (`--wait settled`).

Settled, pending and failed are what each type's `view` says, nothing else; a reading that fails is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from reconcile.core.events import Noted
from reconcile.core.plan import Action, Change, Unsettled
from reconcile.core.ports import Env
from reconcile.core.resource import ResourceType, Status, Target
from reconcile.engine.apply import Result
from reconcile.engine.pool import each
from reconcile.engine.send import Outcome
from reconcile.errors import ReconcileError

FIRST_S, MOST_S = 0.5, 15.0  # between two rounds of readings: longer each time, chosen by feel


async def settle(
    types: Mapping[str, ResourceType],
    apis: Mapping[str, Any],
    results: Sequence[Result],
    env: Env,
    timeout_s: float,
    workers: int = 16,
) -> list[Unsettled]:
    """
    What has not settled within `timeout_s`: still pending, or failed on the unit.

    Only what was written with success is waited for.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_s
    open_: dict[Any, Unsettled] = {
        result.change.address: Unsettled(result.change.address, Status.PENDING, "not read yet")
        for result in results
        if result.outcome is Outcome.DONE and _can_wait(result.change)
    }
    changes = {result.change.address: result.change for result in results}
    failed: dict[Any, Unsettled] = {}
    pause = FIRST_S
    total = len(open_)
    while open_:

        async def look(address: Any) -> None:
            change = changes[address]
            kind = types[address.type_path]
            at = Target(address, change.id, change.name, change.parent)
            try:
                reading = await kind.read(apis[address.provider], at)
            except ReconcileError:
                return
            if reading.seen is None:
                return
            view = kind.view(reading.seen, None, reading.now or env.now())
            since = view.since.isoformat() if view.since else None
            if view.status is Status.SETTLED:
                del open_[address]
            elif view.status is Status.FAILED:
                del open_[address]
                failed[address] = Unsettled(address, Status.FAILED, view.detail or "", since)
            else:
                open_[address] = Unsettled(address, Status.PENDING, view.detail or "", since)

        await each(list(open_), look, workers)
        left = end - loop.time()
        if not open_ or left <= 0:
            break
        env.emit(Noted(f"Waiting for devices: {total - len(open_)} of {total} have settled"))
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 2, MOST_S)
    return [*open_.values(), *failed.values()]


def _can_wait(change: Change) -> bool:
    sent = change.action in (Action.UPDATE, Action.REPLACE, Action.ADOPT) and bool(change.fields)
    return sent and change.address.parent is None
