"""One clock for a whole history: that of the event loop, of the tool and of the simulated agents. Nothing waits."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import selectors
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest import mock

from reconcile.providers.registry import Providers
from reconcile.simulator import clock as simulated
from reconcile.transport.exchange import Connector
from reconcile.wiring import Parts

BEGIN = 1_800_000_000.0  # Unix seconds; any will do, as long as it is the same for everyone


class Clock:
    """Seconds since 1970."""

    def __init__(self) -> None:
        self.now = BEGIN

    def date(self) -> datetime:
        """Aware UTC."""
        return datetime.fromtimestamp(self.now, UTC)


class _Selector(selectors.BaseSelector):
    """Knows the loop's own pipe, and moves the clock where another one waits."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._keys = clock, dict[Any, selectors.SelectorKey]()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        self._keys[fileobj] = selectors.SelectorKey(fileobj, 0, events, data)
        return self._keys[fileobj]

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits, and for nothing")
        self._clock.now += max(0.0, timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class Loop(asyncio.SelectorEventLoop):
    """An event loop on a `Clock`: who sleeps is woken at once, later."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(_Selector(clock))
        self._virtual = clock
        self._clock_resolution = 1e-4  # what a float of this size can tell apart

    def time(self) -> float:
        return self._virtual.now


@cache
def _providers() -> Providers:
    """They do not change within a process, and looking for other people's takes as long as a plan."""
    return Providers()


def parts_of(clock: Clock, transport: Connector, rng: random.Random) -> Parts:
    """The tool takes its time from `clock`, and its randomness and its network from here."""
    return Parts(
        now=clock.date,
        uptime=lambda: clock.now,
        random=lambda: random.Random(rng.random()),
        providers=_providers,
        transport=lambda base: transport,
    )


@contextlib.contextmanager
def in_place(clock: Clock) -> Iterator[None]:
    """The simulator takes its time from `clock`."""
    there = SimpleNamespace(time=lambda: clock.now, strftime=time.strftime, gmtime=time.gmtime)
    with mock.patch.object(simulated, "time", there):
        yield


def scratch() -> str | None:
    """Where files cost nothing, if there is such a place: a state is written thousands of times."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
