"""The requests of one command: whether one may leave, how many there were, and how long some were under way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from reconcile.transport.exchange import RequestDone, RequestRepeated, Told
from reconcile.transport.retry import Policy


def _allowed(method: str, attempt: int) -> None:
    """No lease: every request may be sent."""


class Traffic:
    """
    Attributes:
        rng: of jitter and multipart boundaries.
        policy: of repetitions.
        check: called with the method and the number of the attempt (1-based) right before every request is put on the
            wire, with no await between; raises when it may not be sent. Replaced when the lease begins.
        requests: attempts that were begun.
        wordy: whether an API's words are shown also where it refuses credentials or a request with secrets; never
            those that hold a part of one.
        http_s: seconds during which at least one request was under way, by the loop's clock.
    """

    def __init__(
        self,
        rng: random.Random,
        policy: Policy,
        wordy: bool,
        emit: Callable[[Told], None] | None,
    ) -> None:
        self.rng, self.policy, self.wordy = rng, policy, wordy
        self.check: Callable[[str, int], None] = _allowed
        self.requests = 0
        self.http_s = 0.0
        self._emit = emit
        self._under_way = 0
        self._since = 0.0

    def begin(self) -> None:
        """An attempt begins."""
        self.requests += 1
        if self._under_way == 0:
            self._since = asyncio.get_running_loop().time()
        self._under_way += 1

    def repeats(self, again: RequestRepeated) -> None:
        """A request waits, and is made again."""
        if self._emit is not None:
            self._emit(again)

    def end(self, done: RequestDone) -> None:
        """An attempt has ended."""
        self._under_way -= 1
        if self._under_way == 0:
            self.http_s += asyncio.get_running_loop().time() - self._since
        if self._emit is not None:
            self._emit(done)
