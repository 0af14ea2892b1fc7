"""
What a client does while its API cannot be reached: nothing but one attempt at a time, further and further apart, until
one gets through or the time is up. Time is the loop's.

A refused connection costs an API nothing and asks it nothing, so none is paid from the budget of repetitions; but
sixteen workers that each knock for themselves would give up in half a second what a restart takes three for.
"""

from __future__ import annotations

import asyncio

from reconcile.transport.faults import NeverSent
from reconcile.transport.retry import Policy

_FIRST_S, _LONGEST_S = 0.25, 5.0  # between two attempts, doubled each time; chosen by feel


class Outage:
    """
    The one of a client. It begins with a connection that does not come about and ends with one that does.

    It lasts `deadline_s` at most, `first_contact_s` where the API was never reached: from then on whoever asks is told
    at once that it is not there, but for one attempt now and then.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._reached = False
        self._since: float | None = None
        self._reason = ""
        self._wait_s = 0.0
        self._next_at = 0.0
        self._trying = False
        self._waiting: set[asyncio.Future[None]] = set()

    async def turn(self, give_up_at: float) -> bool:
        """
        Waits until an attempt may be made.

        Args:
            give_up_at: by the loop's time, when the request's own time is up.

        Returns:
            Whether it is the one that finds out if the API is back; its end is told by `reached`, `refused` or `left`.

        Raises:
            NeverSent: the time was up, or ran out; a lasting one.
        """
        loop = asyncio.get_running_loop()
        while self._since is not None:
            if not self._trying and loop.time() >= self._next_at:
                self._trying = True
                return True
            until = min(self._until(), give_up_at)
            if loop.time() >= until:
                raise NeverSent(self._reason, lasting=True)
            await self._pause(until if self._trying else min(until, self._next_at))
        return False

    def reached(self) -> None:
        """A connection came about, whatever came of it."""
        self._reached, self._since, self._trying = True, None, False
        self._wake()

    def refused(self, reason: str, tried: bool) -> bool:
        """
        No connection came about.

        Args:
            tried: what `turn` returned.

        Returns:
            Whether there is time for another attempt.
        """
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since, self._wait_s = now, _FIRST_S
            self._next_at = now + self._wait_s
        elif tried:
            self._trying = False
            self._wait_s = min(self._wait_s * 2, _LONGEST_S)
            self._next_at = now + self._wait_s
        self._reason = reason
        self._wake()
        return now < self._until()

    def left(self, tried: bool) -> None:
        """The attempt ended before it told anything, as a cancelled one does: the next one's turn."""
        if tried and self._trying:
            self._trying = False
            self._wake()

    def _until(self) -> float:
        assert self._since is not None
        return self._since + (self._policy.deadline_s if self._reached else self._policy.first_contact_s)

    async def _pause(self, until: float) -> None:
        """Waits for news, but not for ever."""
        loop = asyncio.get_running_loop()
        news = loop.create_future()
        self._waiting.add(news)
        alarm = loop.call_at(until, _tell, news)
        try:
            await news
        finally:
            alarm.cancel()
            self._waiting.discard(news)

    def _wake(self) -> None:
        for news in self._waiting:
            _tell(news)


def _tell(news: asyncio.Future[None]) -> None:
    if not news.done():
        news.set_result(None)
