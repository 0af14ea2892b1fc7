"""
The last look before the first byte of a write: what it rests on must be young when it leaves.

Between its precondition and its first byte a write may wait: for a free place, for a `Retry-After`, in a stopped
process. So the age of its reading and of its intent is asked right before each request, with no await in between; too
old is `Aged`: the places are given back, and whoever sends it reads again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

BEGUN_S = 10.0  # what a request may be later than its intent: less than the lag that is waited for
FRESH_S = 30.0  # a reading of this process that is younger needs no second one
_READS = frozenset({"GET", "HEAD"})


class Aged(Exception):
    """
    What a write rests on is too old, and nothing of it was done.

    It passes through the provider, so it is none of the errors that one handles.
    """


@dataclass(slots=True)
class Basis:
    """
    What a write rests on.

    Attributes:
        read_at: the loop's time of the reading that it was compared with; None where there was none to compare.
        begun_at: the loop's time of its intent, where it matters how long after it the write may still arrive.
    """

    read_at: float | None = None
    begun_at: float | None = None
    _left: bool = False
    _under_way: bool = False

    @property
    def begun_long_ago(self) -> bool:
        """Whether its intent is too old for it to leave now."""
        return _older(self.begun_at, asyncio.get_running_loop().time(), BEGUN_S)

    def check(self, method: str, attempt: int) -> None:
        """
        Raises Aged when a request must not leave.

        Once an earlier request of the same write has been done, the rest of it belongs to it and leaves whatever
        happens; a request that is tried again was not done (or may be repeated).
        """
        reads = method in _READS
        self._under_way = self._under_way or (self._left and (reads or attempt == 1))
        if self._under_way:
            return
        now = asyncio.get_running_loop().time()
        if _older(self.read_at, now, FRESH_S) or _older(self.begun_at, now, BEGUN_S):
            raise Aged
        self._left = self._left or not reads


_basis: ContextVar[Basis | None] = ContextVar("basis", default=None)


@contextmanager
def resting_on(basis: Basis) -> Iterator[None]:
    """The requests that are made inside are of one write, which rests on this."""
    token = _basis.set(basis)
    try:
        yield
    finally:
        _basis.reset(token)


def check(method: str, attempt: int) -> None:
    """Raises Aged when the write that this request belongs to rests on what is too old; of no write, it is let go."""
    if (basis := _basis.get()) is not None:
        basis.check(method, attempt)


def fresh(at: float | None) -> bool:
    """Whether a reading at this time of the loop needs no second one."""
    return at is not None and not _older(at, asyncio.get_running_loop().time(), FRESH_S)


def _older(at: float | None, now: float, most_s: float) -> bool:
    return at is not None and now - at > most_s
