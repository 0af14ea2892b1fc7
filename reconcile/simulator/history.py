"""
What a world was: its rows as they were when it was put in place, and as they were written since.

A world of the past is put together when it is asked for, so that those who never ask pay for the rows alone.
"""

from bisect import bisect_right
from collections.abc import Mapping

from reconcile.simulator import rows
from reconcile.simulator.clock import ClockStopped
from reconcile.simulator.world import Key, SimulatedWorld

# Rows that are kept beside the first ones. Of what is older the last counts, as if the world had begun with it.
_MOST = 50_000


class History:
    """
    Args:
        first: the rows that the world begins with; they become the history's.
        since: simulated seconds; nothing is known of what was before.

    Attributes:
        since: of the oldest moment that is known, which moves on when much has been written.
    """

    def __init__(self, first: dict[Key, str], since: float) -> None:
        self._first = first
        self.since = since
        # When, and what was written then; how many have been forgotten.
        self._moments: list[float] = []
        self._written: list[tuple[Key, str | None]] = []
        self._forgotten = 0
        # The world of the past that was asked for last, with the number of rows that it was made of.
        self._past: tuple[SimulatedWorld, ClockStopped, int] | None = None

    def add(self, changed: Mapping[Key, str | None], now: float) -> None:
        """Takes down what was written now; None is a row that is gone."""
        self._moments += [now] * len(changed)
        self._written += changed.items()
        # Twice as many, so that forgetting costs a write nothing.
        if len(self._moments) >= 2 * _MOST:
            self._forget(len(self._moments) - _MOST)

    def _forget(self, count: int) -> None:
        _write(self._first, self._written[:count])
        self.since = self._moments[count - 1]
        self._forgotten += count
        del self._moments[:count], self._written[:count]

    def world(self, moment: float, credentials: Mapping[str, str]) -> SimulatedWorld:
        """
        The world at a moment, or as it was first when that is earlier. It must not be written to.

        Args:
            credentials: of worlds that name none; a world's rows name them.
        """
        moment = max(moment, self.since)
        count = bisect_right(self._moments, moment)
        if self._past is not None:
            world, clock, made_of = self._past
            # Nothing was written in between: what happened by itself goes on, but never back.
            if made_of == self._forgotten + count and clock.at <= moment:
                clock.at = moment
                return world
        then = dict(self._first)
        _write(then, self._written[:count])
        clock = ClockStopped(moment)
        world = rows.assemble(then, credentials, clock)
        self._past = world, clock, self._forgotten + count
        return world


def _write(held: dict[Key, str], changes: list[tuple[Key, str | None]]) -> None:
    for key, text in changes:
        if text is None:
            held.pop(key, None)
        else:
            held[key] = text
