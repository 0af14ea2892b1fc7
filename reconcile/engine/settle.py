"""
Waiting until units have done what the API accepted (`--wait settled`).

Settled, pending and failed are what each type's `view` says, nothing else; a reading that fails is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconcile.core.address import Address
from reconcile.core.events import Noted
from reconcile.core.plan import Action, Change, Unsettled
from reconcile.core.ports import Env
from reconcile.core.resource import Entry, Status, Target
from reconcile.core.resource_type import ResourceType, target_of
from reconcile.core.sighting import unsettled
from reconcile.engine import answers
from reconcile.engine.apply import Result
from reconcile.engine.pool import each
from reconcile.engine.send import Outcome
from reconcile.errors import AccessDenied, ReconcileError

FIRST_S, MOST_S = 0.5, 15.0  # between two rounds of readings: longer each time, chosen by feel


@dataclass(frozen=True, slots=True)
class Waited:
    """One unit that is waited for: where it is read, and what the state says of it."""

    at: Target
    entry: Entry | None


class Settle:
    """
    The wait for what an apply wrote with success, and for what was pending before it.

    Attributes:
        open: what has not settled yet; whoever ends the wait (a timeout, a signal) finds here what it was for.
        failed: what failed on its unit. `settled`: how many did what was wanted.
    """

    def __init__(
        self,
        types: Mapping[str, ResourceType],
        apis: Mapping[str, Any],
        results: Sequence[Result],
        pending: Sequence[Entry],
        env: Env,
        workers: int = 16,
    ) -> None:
        """`pending`: the entries of what was accepted earlier and is not done yet."""
        self.types, self.apis, self.env, self.workers = types, apis, env, workers
        self._waited: dict[Address, Waited] = {}
        for entry in pending:
            kind = types[entry.address.type_path]
            at = target_of(kind, entry.address, entry.attrs, entry.id, None, entry.parent)
            self._waited[entry.address] = Waited(at, entry)
        for result in results:
            change = result.change
            kind = types[change.address.type_path]
            if result.outcome is Outcome.DONE and _can_wait(change, kind):
                id = result.entry.id if result.entry is not None else change.id
                at = target_of(kind, change.address, change.after, id, change.name, change.parent)
                self._waited[change.address] = Waited(at, result.entry)
        self.open = {address: Unsettled(address, Status.PENDING, "not read yet") for address in self._waited}
        self.failed: dict[Address, Unsettled] = {}
        self.settled = 0

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
                        failed = f", {len(self.failed)} failed" if self.failed else ""
                        said = f"Waiting for devices: {self.settled} of {total} have settled{failed}"
                        self.env.emit(Noted(said))
                        await asyncio.sleep(min(pause, max(0.0, end - loop.time())))
                        pause = min(pause * 2, MOST_S)
        except TimeoutError:
            return

    async def _look(self, address: Address) -> None:
        waited, kind = self._waited[address], self.types[address.type_path]
        try:
            reading = await answers.read(kind, self.apis[address.provider], waited.at)
        except ReconcileError as error:
            if isinstance(error, AccessDenied) and kind.listed != "unit":
                raise
            return
        if reading.seen is None:
            return
        now = reading.now or self.env.now()
        view = kind.view(reading.seen, waited.entry, now)
        found = unsettled(address, view, now)
        if view.status is Status.FAILED or view.returned or view.lost:
            words = view.lost or view.detail or "somebody else changed it since"
            self.failed[address] = replace(found or self.open[address], kind=Status.FAILED, detail=words)
            del self.open[address]
        elif found is None or view.foreign:
            del self.open[address]
            self.settled += 1
        else:
            self.open[address] = found


def _can_wait(change: Change, kind: ResourceType) -> bool:
    # What is made is waited for too, where its type can tell how far it is.
    made = change.action is Action.CREATE and type(kind).view is not ResourceType.view
    sent = change.action in (Action.UPDATE, Action.REPLACE, Action.ADOPT) and bool(change.fields)
    return (made or sent) and change.address.parent is None
