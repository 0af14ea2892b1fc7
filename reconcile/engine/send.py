"""
One write, sent until it is known what became of it: done, failed, in conflict, or unknown.

After a lost answer nothing is repeated blindly: what is there is read back first (docs/architecture.md, "Lost
answers"). An answer that no such API gives, and any 5xx, says as little as no answer.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from reconcile.core.resource import Observed
from reconcile.engine.late import outwait
from reconcile.engine.young import Aged
from reconcile.errors import (
    AccessDenied,
    ApiError,
    BadAnswer,
    Conflict,
    Locked,
    NoAnswer,
    NotFound,
    NotSent,
    ReconcileError,
    StateError,
)

TRIES = 3
LOOK_EVERY_S = 1.0
AGED = 3  # times that a write which got too old is begun anew


class Outcome(StrEnum):
    """What became of a change."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    CONFLICT = "conflict"


class Stopped(Exception):
    """A change ended without being done."""

    def __init__(self, outcome: Outcome, detail: str, error: ReconcileError | None = None) -> None:
        super().__init__(detail)
        self.outcome, self.detail, self.error = outcome, detail, error
        self.denied = isinstance(error, AccessDenied)
        self.broken = isinstance(error, (StateError, Locked))


@dataclass(frozen=True, slots=True)
class Write:
    """
    One write, and what there is to do about it.

    Attributes:
        verb: sends it. May raise `Aged`: it was not done, and what it rests on is too old.
        read_back: what is there if the write was done, None if it was not.
        refresh: reads again what it rests on, where that is too old. Raises Stopped when it must not be sent.
        closed: records that nothing was done, so that the intent does not stay open.
        turn: held by a write that got too old: one at a time reads and sends again, so that they do not make each
            other wait until all are too old once more.
        taken: what a 409 to the first try means.
        once: never send it a second time.
        lag_s: how long a reading may lag behind a try that was done.
    """

    verb: Callable[[], Awaitable[Observed]]
    read_back: Callable[[], Awaitable[Observed | None]]
    refresh: Callable[[], Awaitable[None]]
    closed: Callable[[], Awaitable[None]]
    turn: asyncio.Lock
    rng: random.Random
    taken: Outcome
    once: bool = False
    lag_s: float = 0.0

    async def send(self) -> Observed:
        """
        The answer, or what reading back found.

        Raises:
            Stopped: failed (nothing was done), conflict, or unknown (then the intent stays open).
        """
        lost: ReconcileError | None = None
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(self.rng.uniform(0, 0.2 * 2**attempt))
            try:
                return await self._sent(lost)
            except Stopped as stopped:  # its intent could not be written again; that of the first try stands
                if lost is None or stopped.outcome is not Outcome.SKIPPED:
                    raise
                raise _unknown(lost, stopped.error or lost) from None
            except ReconcileError as error:
                if lost is not None and isinstance(error, Conflict) and (seen := await self._arrived(lost)) is not None:
                    return seen  # a second try of ours met the first one, which arrived late
                if not _is_lost(error):
                    raise await self._failed(error, lost) from None
                lost = error
            if (seen := await self._look(lost)) is not None:
                return seen
            if self.once:
                break
        raise Stopped(Outcome.UNKNOWN, f"its outcome is unknown: {lost}", lost)

    async def _failed(self, error: ReconcileError, lost: ReconcileError | None) -> Stopped:
        """What a try that certainly did nothing means, after earlier ones of which one was `lost` or none was."""
        if lost is not None:
            return _unknown(lost, error)
        if isinstance(error, Locked | StateError):
            await _closed_quietly(self.closed)
            return Stopped(Outcome.SKIPPED, str(error), error)
        await self.closed()
        if isinstance(error, Conflict):
            return Stopped(self.taken, str(error), error)
        return Stopped(Outcome.CONFLICT if isinstance(error, NotFound) else Outcome.FAILED, str(error), error)

    async def _sent(self, lost: ReconcileError | None) -> Observed:
        """One try. It is begun anew while what it rests on gets too old before it leaves."""
        try:
            return await self.verb()
        except Aged:
            pass
        async with self.turn:
            for _ in range(AGED):
                if lost is None:
                    await self.refresh()
                elif (seen := await self._look(lost)) is not None:  # an earlier try of ours may have come by now
                    return seen
                try:
                    return await self.verb()
                except Aged:
                    continue
        raise NotSent("the API is so slow that every reading was out of date before the write could be sent")

    async def _arrived(self, lost: ReconcileError) -> Observed | None:
        """What an earlier try did, once a reading has it: the API says that there is something."""
        seen: Observed | None = None

        async def look() -> bool:
            nonlocal seen
            seen = await self._look(lost)
            return seen is not None

        if not await look():
            await outwait(look, asyncio.get_running_loop().time() + self.lag_s, lambda: False)
        return seen

    async def _look(self, lost: ReconcileError) -> Observed | None:
        try:
            return await self.read_back()
        except ReconcileError as error:  # never sent again without knowing what is there
            said = f"{lost}; read back: {error}"
            raise Stopped(Outcome.UNKNOWN, f"its outcome is unknown: {said}", error) from None


def _is_lost(error: ReconcileError) -> bool:
    """Whether it is not known what became of a request: there was no answer, or none that says so."""
    if isinstance(error, ApiError):
        return error.status >= 500
    return isinstance(error, NoAnswer | BadAnswer)


def _unknown(lost: ReconcileError, error: ReconcileError) -> Stopped:
    """A later try failed for certain; what the earlier one did is unknown all the same, and its intent stays open."""
    return Stopped(Outcome.UNKNOWN, f"its outcome is unknown: {lost}; tried again: {error}", error)


async def _closed_quietly(closed: Callable[[], Awaitable[None]]) -> None:
    """Nothing was sent; if even that cannot be recorded, the intent stays open and is read back by the next run."""
    try:
        await closed()
    except Stopped:
        return
