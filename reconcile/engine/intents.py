"""What the journal is told of one change: an intent before each write, and what came of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from reconcile.core.lost import ATTEMPTS, Attempt
from reconcile.core.plan import Change
from reconcile.core.ports import Begun, Ended
from reconcile.engine.journal import Journal
from reconcile.engine.send import Outcome, Stopped
from reconcile.errors import ReconcileError


@dataclass(slots=True)
class Intents:
    """
    Attributes:
        begun_at: the loop's time of the last intent.
    """

    change: Change
    journal: Journal
    begun_at: float | None = None
    number: int = 0

    def next(self) -> str:
        """A name for the next operation."""
        self.number += 1
        return f"{self.journal.lease.epoch}:{self.change.address}:{self.number}"

    async def begin(self, operation: str, parent: str | None, **more: Any) -> None:
        """
        Writes the intent; one that was written before is written anew. Raises Stopped when it cannot be.

        Args:
            more: of `Attempt`, what the change does not say.
        """
        change = self.change
        attempt = Attempt(
            action=change.action,
            id=change.id,
            name=change.name,
            parent=parent,
            after=change.after,
            version=change.seen.get("version"),
            needs=change.needs,
            labels=change.labels,
            protect=change.protect,
            on_removal=change.on_removal,
            **{"fields": tuple(part.path[0] for part in change.fields), **more},
        )
        try:
            self.begun_at = asyncio.get_running_loop().time()
            await self.journal.write(Begun(operation, change.address, ATTEMPTS.dump(attempt)))
        except ReconcileError as error:
            raise Stopped(Outcome.SKIPPED, f"its intent could not be recorded: {error}", error) from None

    async def end(self, ended: Ended) -> None:
        """Writes an outcome. Raises Stopped when it cannot be: then nobody knows it afterwards."""
        try:
            await self.journal.write(ended)
        except ReconcileError as error:
            raise Stopped(Outcome.UNKNOWN, f"its outcome could not be recorded: {error}", error) from None
