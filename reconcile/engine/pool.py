"""N workers over a stream of work: never one task for each piece (docs/architecture.md, "Workers")."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


async def each(work: Iterable[T], do: Callable[[T], Awaitable[None]], workers: int) -> None:
    """
    Runs `do` for every piece of work, at most `workers` at once, in the order of the stream.

    The first exception cancels the rest and is raised.
    """
    pieces: Iterator[T] = iter(work)

    async def run() -> None:
        for piece in pieces:
            await do(piece)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(run())
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
