"""
Commands run in this process, in an environment of their own and without waiting: the loop's clock runs ahead, so that a
back-off of seconds takes milliseconds, and nothing else differs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import selectors
from collections.abc import Iterator, Mapping
from typing import Any

SPEED = 10  # seconds of the loop in one of the wall


class _Selector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> Any:
        return super().select(timeout if timeout is None else timeout / SPEED)


class FastLoop(asyncio.SelectorEventLoop):
    """A loop whose seconds are short."""

    def __init__(self) -> None:
        super().__init__(_Selector())

    def time(self) -> float:
        return super().time() * SPEED


class _FastPolicy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return FastLoop()


@contextlib.contextmanager
def fast_loops() -> Iterator[None]:
    """New event loops are fast ones."""
    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(_FastPolicy())
    try:
        yield
    finally:
        asyncio.set_event_loop_policy(before)


class Eager(random.Random):
    """Jitter that is always the least."""

    def uniform(self, a: float, b: float) -> float:
        return min(a, b)


@contextlib.contextmanager
def environment(environ: Mapping[str, str]) -> Iterator[None]:
    """This process has these variables and no others."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
