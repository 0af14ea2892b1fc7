"""
How many requests of one client are under way at once: as many as the API bears (additive increase, multiplicative
decrease), at most so many a second, and none while the API asks for silence. Time is the loop's.
"""

from __future__ import annotations

import asyncio
from collections import deque


class RateLimit:
    """
    The gate of one client.

    `allowed` starts at `most`, grows by one for every round of good answers, is halved by an answer that says
    "too much" (429, 503, timeouts) and never falls below 1. Answers to requests that began before the last halving do
    not halve again: one burst is one event.
    """

    def __init__(self, most: int, per_s: float | None = None) -> None:
        self.most = max(1, most)
        self.allowed = float(self.most)
        self._interval_s = 1 / per_s if per_s else 0.0
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._not_before = 0.0  # of the next request, by loop.time(): rate
        self._paused_until = 0.0
        self._halvings = 0

    async def enter(self) -> int:
        """Waits for a place; the number that `leave` wants back."""
        if self._waiting or self._under_way >= int(self.allowed):
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():  # the place was given and will not be used
                    self._under_way -= 1
                    self._wake()
                raise
        else:
            self._under_way += 1
        try:
            await self._quiet()
        except BaseException:
            self._under_way -= 1
            self._wake()
            raise
        return self._halvings

    def leave(self, entered: int, *, overloaded: bool, good: bool) -> None:
        """Gives the place back and learns from how the request went."""
        self._under_way -= 1
        if overloaded and entered == self._halvings:
            self.allowed = max(1.0, self.allowed / 2)
            self._halvings += 1
        elif good:
            self.allowed = min(float(self.most), self.allowed + 1 / self.allowed)
        self._wake()

    def pause(self, seconds: float) -> None:
        """Nothing is sent for that long: the API asked for it."""
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)

    async def _quiet(self) -> None:
        loop = asyncio.get_running_loop()
        if self._interval_s:
            start = max(loop.time(), self._not_before)
            self._not_before = start + self._interval_s
            if start > loop.time():
                await asyncio.sleep(start - loop.time())
        while self._paused_until > loop.time():  # noqa: ASYNC110 - the pause may grow meanwhile
            await asyncio.sleep(self._paused_until - loop.time())

    def _wake(self) -> None:
        while self._waiting and self._under_way < int(self.allowed):
            place = self._waiting.popleft()
            if not place.done():
                self._under_way += 1
                place.set_result(None)
