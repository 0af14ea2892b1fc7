"""
Waiting until units have done what the API accepted (`--wait settled`).

Settled, pending and failed are what each type's `view` says, nothing else; a reading that fails is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from reconcile.core.address import Address
from reconcile.core.events import Noted
from reconcile.core.plan import Action, Change, Unsettled
from reconcile.core.ports import Env
from reconcile.core.resource import ResourceType, Status, Target
from reconcile.engine.apply import Result
from reconcile.engine.pool import each
from reconcile.engine.send import Outcome
from reconcile.errors import AccessDenied, ReconcileError

FIRST_S, MOST_S = 0.5, 15.0  # between two rounds of readings: longer each time, chosen by feel


class Settle:
    """
    The wait for what an apply wrote with success.

    Attributes:
        open: what has not settled yet; whoever ends the wait (a timeout, a signal) finds here what it was for.
        failed: what failed on its unit.
    """

    def __init__(
        self,
        types: Mapping[str, ResourceType],
        apis: Mapping[str, Any],
        results: Sequence[Result],
        env: Env,
        workers: int = 16,
    ) -> None:
        self.types, self.apis, self.env, self.workers = types, apis, env, workers
        self._changes = {
            result.change.address: result.change
            for result in results
            if result.outcome is Outcome.DONE and _can_wait(result.change)
        }
        self.open = {address: Unsettled(address, Status.PENDING, "not read yet") for address in self._changes}
        self.failed: dict[Address, Unsettled] = {}

    @property
    def unsettled(self) -> list[Unsettled]:
        """What has not settled: still pending, or failed on the unit."""
        return [*self.open.values(), *self.failed.values()]

    async def run(self, timeout_s: float) -> None:
        """
        Returns when nothing is open any more, or after `timeout_s`.

        Raises:
            AccessDenied: nothing can be read any more.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        pause, total = FIRST_S, len(self.open)
        try:
            async with asyncio.timeout_at(end):
                while self.open:
                    await each(list(self.open), self._look, self.workers)
                    if self.open:
                        done = total - len(self.open)
                        self.env.emit(Noted(f"Waiting for devices: {done} of {total} have settled"))
                        await asyncio.sleep(min(pause, max(0.0, end - loop.time())))
                        pause = min(pause * 2, MOST_S)
        except TimeoutError:
            return

    async def _look(self, address: Address) -> None:
        change, kind = self._changes[address], self.types[address.type_path]
        try:
            reading = await kind.read(
                self.apis[address.provider], Target(address, change.id, change.name, change.parent)
            )
        except AccessDenied:
            raise
        except ReconcileError:
            return
        if reading.seen is None:
            return
        view = kind.view(reading.seen, None, reading.now or self.env.now())
        since = view.since.isoformat() if view.since else None
        if view.status is Status.SETTLED:
            del self.open[address]
        elif view.status is Status.FAILED:
            del self.open[address]
            self.failed[address] = Unsettled(address, Status.FAILED, view.detail or "", since)
        else:
            self.open[address] = Unsettled(address, Status.PENDING, view.detail or "", since)


def _can_wait(change: Change) -> bool:
    sent = change.action in (Action.UPDATE, Action.REPLACE, Action.ADOPT) and bool(change.fields)
    return sent and change.address.parent is None
