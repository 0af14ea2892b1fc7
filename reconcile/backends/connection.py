"""
The open state: one connection, held until it is closed, and how a transaction is carried through.

In: a function over an open database. Out: what it returns, its writes durable, or a `StateError` and none of them.
Somebody else's write is waited for in short turns, so that the event loop goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from reconcile.backends import file
from reconcile.backends.schema import broken
from reconcile.core.ports import Head

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

TRIES = 6  # with the sleeps between them some three seconds: far less than the margin of a lease
SLEEP_S = 0.05


class StateFile:
    """
    The database at a path, opened when it is first needed.

    Args:
        path: absolute.
        rng: draws how long a sleep lasts.
        read_only: everything that writes is a StateError.
    """

    def __init__(self, path: Path, rng: random.Random, *, read_only: bool) -> None:
        self.path = path
        self._rng = rng
        self._read_only = read_only
        self._db: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._writable = True

    def make(self, head: Head) -> None:
        """Makes an empty state if there is none. Raises StateError when it cannot be made."""
        self._may_write()
        with self._translated():
            if self._db is None and file.examine(self.path) is None:
                file.create(self.path, head)

    async def read(self, work: Work[T], nothing: T) -> T:
        """What `work` reads, or `nothing` when there is no state."""

        def attempt() -> T:
            db = self._open()
            return nothing if db is None else work(db)

        return await self._patiently(attempt)

    async def write(self, work: Work[T], nothing: Callable[[], T] | None = None) -> T:
        """
        What `work` returns, in one durable transaction; any error undoes all of it.

        Args:
            nothing: called when there is no state; None = that is a StateError.
        """

        def attempt() -> T:
            db = self._open()
            if db is None:
                if nothing is not None:
                    return nothing()
                raise broken(f"{self.path} is missing: the state was never made, or was removed during a run")
            self._may_write()
            db.execute("BEGIN IMMEDIATE")
            try:
                result = work(db)
                db.execute("COMMIT")
            except BaseException:
                # After some errors SQLite has rolled back already; what went wrong first is what the caller hears.
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise
            return result

        return await self._patiently(attempt)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection | None]:
        """A connection of its own that sees one moment, whatever is written meanwhile; None when there is no state."""
        with self._translated():
            found = file.examine(self.path) if self._open() is not None else None
            if found is None:
                yield None
                return
            db, _ = file.connect(self.path, found, thorough=False)
            try:
                db.execute("BEGIN")
                yield db
            finally:
                db.close()

    def close(self) -> None:
        """Closes the file; a later call opens it again."""
        db, self._db, self._inode = self._db, None, None
        if db is not None:
            with self._translated():
                db.close()

    def _open(self) -> sqlite3.Connection | None:
        """
        The connection; None when there is no file.

        Raises:
            StateError: what is there is not a state, or no longer the one that was opened.
        """
        if self._db is not None:
            if file.inode(self.path) != self._inode:
                raise broken(
                    f"{self.path} was moved, replaced or removed while it was in use",
                    way_out="Put it back, and let no other program replace it during a run",
                )
            return self._db
        if (found := file.examine(self.path)) is None:
            return None
        self._db, self._writable = file.connect(self.path, found)
        self._inode = found.inode
        return self._db

    def _may_write(self) -> None:
        if self._read_only or not self._writable:
            what = "was opened for reading only" if self._read_only else "is read-only"
            raise broken(f"{self.path} {what}", way_out="Check the permissions of the file (0600) and of its directory")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise file.translate(self.path, error) from error

    async def _patiently(self, attempt: Callable[[], T]) -> T:
        """What `attempt` returns, tried again while somebody else writes."""
        for turn in range(TRIES):
            with self._translated():
                try:
                    return attempt()
                except sqlite3.Error as error:
                    if turn == TRIES - 1 or not file.busy(error):
                        raise
            await asyncio.sleep(SLEEP_S * 2**turn * (0.5 + self._rng.random()))
        raise AssertionError("unreachable")
