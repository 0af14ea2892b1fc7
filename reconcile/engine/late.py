"""
How long a request may still arrive after nobody waits for its answer any more.

A gateway keeps it, the process that sent it is dead, or its client gave up: where the API would make a second one of a
name, "not there" counts only when it cannot come any more. That it is there counts at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

FIRST_S, MOST_S = 0.5, 5.0  # between two looks: longer each time, chosen by feel


def remaining_s(late_s: float | None, begun: str, now: datetime, longest_s: float) -> float:
    """
    Seconds from now until the request of an intent cannot arrive any more.

    Args:
        late_s: as the intent says it, after how long its own client waits. begun: RFC 3339, by another process's clock:
            where that (or this one) was set, it is never more than the whole time, nor less than none.
        longest_s: how long it is where the intent does not say.
    """
    longest_s = longest_s if late_s is None else late_s
    try:
        age_s = (now - datetime.fromisoformat(begun)).total_seconds()
    except (ValueError, TypeError):
        age_s = 0.0
    return min(max(longest_s - age_s, 0.0), longest_s)


async def outwait(look: Callable[[], Awaitable[bool]], until: float, stopped: Callable[[], bool]) -> bool:
    """
    Looks again and again until there is something, or until a late request cannot arrive any more.

    Args:
        look: whether it is there; it was not, a moment ago.
        until: the loop's time before which the last look must not begin.
        stopped: whether the user wants to wait no longer.

    Returns:
        False when the wait was cut short: then nobody knows.
    """
    loop, pause, last = asyncio.get_running_loop(), FIRST_S, False
    while not last:
        end = min(until, loop.time() + pause)
        while loop.time() < end:
            if stopped():
                return False
            await asyncio.sleep(min(0.2, max(0.0, end - loop.time())))
        pause, last = min(pause * 2, MOST_S), loop.time() >= until
        if await look():
            return True
    return True
