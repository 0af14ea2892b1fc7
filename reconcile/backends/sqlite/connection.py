"""
The open state: held until it is closed, and its transactions.

In: a function over an open database. Out: what it returns, its writes durable, or a `StateError` and none of them.
Another process's write is waited for in short turns, so that the event loop goes on meanwhile.

After each transaction the file is brought up to date by itself, so that its log holds no more than what was not told
yet: a log that is lost loses nothing. A state that was closed has no log. One that a process left in use keeps it, also
when others read it meanwhile: SQLite removes a log with the last connection that could write, so a second one, which
only reads, is held open until after that one is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from reconcile.backends.rows import broken
from reconcile.backends.sqlite import copies, file, schema
from reconcile.backends.sqlite.schema import Meta, Step, meta_of
from reconcile.core.ports import Head
from reconcile.errors import StateError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Change = Callable[[sqlite3.Connection, Meta], tuple[T, Meta]]

TRIES = 6  # with the sleeps between them some three seconds: far less than the margin of a lease
SLEEP_S = 0.05


class StateFile:
    """
    The database at a path, opened when it is first needed.

    Args:
        path: absolute.
        rng: draws the length of sleeps, and the marks of transactions.
        without_log: a state that is in use may lack its log, which is otherwise a StateError.
    """

    def __init__(self, path: Path, rng: random.Random, *, without_log: bool) -> None:
        self.path = path
        self._rng, self._without_log = rng, without_log
        self._user = f"{rng.getrandbits(64):016x}"
        # In this order, also when they are not closed: see the docstring of the module.
        self._db: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._step, self._whole = Step(), Step()  # the newest that this process wrote, and of those that are whole
        self._written: tuple[int, int] | None = None

    def make(self, head: Head) -> None:
        """Makes an empty state if there is none. Raises StateError when it cannot be made."""
        self._may_write()
        with self._translated():
            file.sweep(self.path)
            if self._reader is None and file.examine(self.path) is None:
                file.create(self.path, head)

    async def read(self, work: Work[T], nothing: T) -> T:
        """The result of `work`, or `nothing` when there is no state."""

        def attempt() -> T:
            db = self._open()
            return nothing if db is None else work(db)

        return await self._patiently(attempt)

    async def write(self, work: Change[T], nothing: Callable[[], T] | None = None) -> T:
        """
        The result of `work`, in one durable transaction; any error undoes all of it.

        Args:
            work: gets the row of `meta`, and returns with its result what that row becomes.
            nothing: called when there is no state; None = that is a StateError.
        """

        def attempt() -> T:
            db = self._open()
            if db is None:
                if nothing is not None:
                    return nothing()
                raise broken(f"{self.path} is missing: the state was never made, or was removed during a run")
            self._may_write()
            return self._transact(db, work, self._user)

        return await self._patiently(attempt)

    def _transact(self, db: sqlite3.Connection, work: Change[T], user: str) -> T:
        if not self._step.n:
            self._bring_up_to_date(db)  # so that the log begins anew, and holds no more than what was not told yet
        db.execute("BEGIN IMMEDIATE")
        try:
            schema.upgrade(self.path, db)
            before = self._no_older(db)
            result, meta = work(db, before)
            step = Step(before.step.n + 1, f"{self._rng.getrandbits(64):016x}")
            whole = max(before.whole, self._whole, key=lambda one: one.n)
            after = replace(meta, used=user, step=step, whole=whole)
            after.save(db)
            db.execute("COMMIT")
        except BaseException:
            # After some errors SQLite has rolled back already; what went wrong first is what the caller hears.
            with contextlib.suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise
        self._step = step
        self._check_written(db, after)  # once more, since bringing it up to date would hide it
        self._bring_up_to_date(db)
        return result

    def _no_older(self, db: sqlite3.Connection) -> Meta:
        """The row of `meta`. Raises StateError when the file no longer holds what this process wrote into it."""
        meta = meta_of(self.path, db)
        self._check_written(db, meta)
        if meta.step.n < self._step.n or (meta.step.n == self._step.n and self._step.n and meta.step != self._step):
            raise broken(
                f"{self.path} was overwritten with another copy while it was in use",
                hint="Put the newest one back, and let no other program write it during a run",
            )
        return meta

    def _check_written(self, db: sqlite3.Connection, meta: Meta) -> None:
        """Raises StateError when another copy was written into the file: SQLite does not read again what it knows."""
        if file.written(self.path) != self._written:
            copies.check_log(self.path, db, meta)

    def _bring_up_to_date(self, db: sqlite3.Connection) -> None:
        # What was written is safe in the log. A reader of an older moment, or a full disk, may keep it there for now.
        with contextlib.suppress(sqlite3.Error):
            busy, pages, moved = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if not busy and pages == moved:
                self._whole = self._step
        self._written = file.written(self.path)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection | None]:
        """A connection of its own that sees one moment, whatever is written meanwhile; None when there is no state."""
        with self._translated():
            found = file.examine(self.path) if self._open() is not None else None
            if found is None:
                yield None
                return
            db = file.open_reading(self.path, found)
            try:
                db.execute("BEGIN")
                yield db
            finally:
                db.close()

    def close(self) -> None:
        """Closes the file; a later call opens it again."""
        with self._translated(), contextlib.ExitStack() as both:
            both.callback(self._forget)
            if self._reader is None:
                return
            first, last = (self._db, self._reader) if self._left_in_use() else (self._reader, self._db)
            for db in filter(None, (last, first)):
                both.callback(db.close)

    def _left_in_use(self) -> bool:
        """True when another process has the state in use, or died while it had; this one has it no more."""
        if self._db is None or file.inode(self.path) != self._inode:
            return True  # what is at the path now may be another's, log included
        try:
            if self._step.n and meta_of(self.path, self._db).used == self._user:
                self._transact(self._db, lambda _, meta: (None, meta), "")
            return bool(meta_of(self.path, self._db).used)
        except (sqlite3.Error, StateError):
            return True

    def _forget(self) -> None:
        self._db = self._reader = self._inode = self._written = None
        self._step = self._whole = Step()

    def _open(self) -> sqlite3.Connection | None:
        """
        The connection; None when there is no file.

        Raises:
            StateError: what is there is not a state, or no longer the one that was opened.
        """
        if self._reader is not None:
            if file.inode(self.path) != self._inode:
                raise broken(
                    f"{self.path} was moved, replaced or removed while it was in use",
                    hint="Put it back, and let no other program replace it during a run",
                )
            return self._db or self._reader
        if (found := file.examine(self.path)) is None:
            return None
        try:
            reader = file.open_reading(self.path, found)
        except sqlite3.DatabaseError as error:
            if not file.busy(error):
                copies.blame_unreadable(self.path)
            raise
        try:
            copies.check(self.path, reader, without_log=self._without_log)
            db = self._opened_to_write(found)
        except BaseException:
            reader.close()
            raise
        self._db, self._reader, self._inode = db, reader, found.inode
        return db or reader

    def _opened_to_write(self, found: file.FileStatus) -> sqlite3.Connection | None:
        """A connection that can write; None where the file or its directory cannot be written."""
        try:
            return file.open_writing(self.path) if found.writable else None
        except sqlite3.Error as error:
            if not file.unwritable(error):
                raise
            return None

    def _may_write(self) -> None:
        if self._reader is not None and self._db is None:
            hint = "Check the permissions of the file (0600) and of its directory"
            raise broken(f"{self.path} is read-only", hint=hint)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise file.translate(self.path, error) from error

    async def _patiently(self, attempt: Callable[[], T]) -> T:
        """The result of `attempt`, tried again while another process writes."""
        for turn in range(TRIES):
            with self._translated():
                try:
                    return attempt()
                except sqlite3.Error as error:
                    if turn == TRIES - 1 or not file.busy(error):
                        raise
            await asyncio.sleep(SLEEP_S * 2**turn * (0.5 + self._rng.random()))
        raise AssertionError("unreachable")
