"""
One write, sent until it is known what became of it: done, failed, in conflict, or unknown.

After a lost answer nothing is repeated blindly: what is there is read back first (design §6). An answer that no such
API gives, and any 5xx, says as little as no answer.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from enum import StrEnum

from reconcile.core.resource import Observed
from reconcile.errors import (
    AccessDenied,
    ApiError,
    BadAnswer,
    Conflict,
    Locked,
    NoAnswer,
    NotFound,
    ReconcileError,
    StateError,
)

TRIES = 3


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


async def send(
    verb: Callable[[], Awaitable[Observed]],
    read_back: Callable[[], Awaitable[Observed | None]],
    *,
    closed: Callable[[], Awaitable[None]],
    rng: random.Random,
    taken: Outcome,
    once: bool = False,
) -> Observed:
    """
    The answer to a write, or what reading back found of it.

    Args:
        verb: sends it.
        read_back: what is there if the write was done, None if it was not.
        closed: records that nothing was done, so that the intent does not stay open.
        taken: what a 409 to the first try means.
        once: never send it a second time.

    Raises:
        Stopped: failed (nothing was done), conflict, or unknown (then the intent stays open).
    """
    lost: ReconcileError | None = None
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(rng.uniform(0, 0.2 * 2**attempt))
        try:
            return await verb()
        except (Locked, StateError) as error:
            if lost is not None:
                raise _unknown(lost, error) from None
            await closed_quietly(closed)
            raise Stopped(Outcome.SKIPPED, str(error), error) from None
        except (NoAnswer, BadAnswer) as error:
            lost = error
        except Conflict as error:
            # A second try of ours may meet the first one, which arrived late.
            if lost is not None and (seen := await _look(read_back, lost)) is not None:
                return seen
            if lost is not None:
                raise _unknown(lost, error) from None
            await closed()
            raise Stopped(taken, str(error), error) from None
        except ApiError as error:
            if error.status < 500:
                if lost is not None:
                    raise _unknown(lost, error) from None
                await closed()
                outcome = Outcome.CONFLICT if isinstance(error, NotFound) else Outcome.FAILED
                raise Stopped(outcome, str(error), error) from None
            lost = error
        except ReconcileError as error:
            if lost is not None:
                raise _unknown(lost, error) from None
            await closed()
            raise Stopped(Outcome.FAILED, str(error), error) from None
        if (seen := await _look(read_back, lost)) is not None:
            return seen
        if once:
            break
    raise Stopped(Outcome.UNKNOWN, f"what it did is unknown: {lost}", lost)


def _unknown(lost: ReconcileError, error: ReconcileError) -> Stopped:
    """A later try failed for certain; what the earlier one did is unknown all the same, and its intent stays open."""
    return Stopped(Outcome.UNKNOWN, f"what it did is unknown: {lost}; tried again: {error}", error)


async def closed_quietly(closed: Callable[[], Awaitable[None]]) -> None:
    """Nothing was sent; if even that cannot be recorded, the intent stays open and is read back by the next run."""
    try:
        await closed()
    except Stopped:
        return


async def _look(read_back: Callable[[], Awaitable[Observed | None]], lost: ReconcileError | None) -> Observed | None:
    try:
        return await read_back()
    except ReconcileError as error:  # never sent again without knowing what is there
        said = f"{lost}; read back: {error}" if lost is not None else str(error)
        raise Stopped(Outcome.UNKNOWN, f"what it did is unknown: {said}", error) from None
