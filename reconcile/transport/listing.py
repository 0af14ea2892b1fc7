"""
How a listing ends, though its API would go on for ever: pages that bring nothing new, or more than there is said to be.

Also a page that is worked on in parts, so that a large one keeps nothing else waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TypeVar

from reconcile.transport.exchange import Answer

T = TypeVar("T")
Ids = Callable[[Answer], Iterable[str]]
"""What tells the members of a page apart."""

# A page may repeat the one before where something was added in front of it, and an API that filters after it counts
# has empty ones; that many in a row have never been seen.
STALE, EMPTY = 2, 10
PAGES = 100_000  # where nothing else ends it: with 1,000 members each as many as no account has
_AT_ONCE = 1000


class Listing:
    """What was read of one listing."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._stale = self._empty = self._pages = self._members = self._longest = 0
        self._total: int | None = None

    def endless(self, ids: Iterable[str], total: int | None) -> str | None:
        """
        Why no page may follow this one, or None.

        Args:
            ids: of the members of a page that names another one.
            total: how many members there are, where the API says so.
        """
        page = list(ids)
        known = len(self._seen)
        self._seen.update(page)
        self._pages += 1
        self._members += len(page)
        self._longest = max(self._longest, len(page))
        if len(self._seen) > known:
            self._stale = self._empty = 0
        elif page:
            self._stale += 1
        else:
            self._empty += 1
        if total is not None:
            self._total = max(total, self._total or 0)
        if self._stale >= STALE or self._empty >= EMPTY:
            return f"names another page after {self._stale or self._empty} in a row that brought nothing new"
        # What comes and goes while it is read moves members from page to page: two pages' worth of room.
        if self._total is not None and self._members > self._total + 2 * self._longest:
            return f"names another page after {self._members} members of {self._total}"
        return "has no end" if self._pages >= PAGES else None


def by_content(answer: Answer) -> list[str]:
    """The members of a page, told apart by all that they say: those of the body, or of the lists that stand in it."""
    body = answer.body
    lists = [body] if isinstance(body, list) else [*body.values()] if isinstance(body, dict) else []
    try:
        return [repr(member) for members in lists if isinstance(members, list) for member in members]
    except RecursionError:
        return []


async def in_turns(members: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """The members of a page, a thousand at a time, between which the loop does what else there is; at least once."""
    for start in range(0, max(len(members), 1), _AT_ONCE):
        if start:
            await asyncio.sleep(0)
        yield members[start : start + _AT_ONCE]
