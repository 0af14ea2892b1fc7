"""
The check that one whole state lies at the path: the file together with its own log.

In: an open database. Out: nothing, or a `StateError` with a hint. A SQLite database in use is two files, and
SQLite itself joins any log to any file of that name. What tells them apart stands in `meta`: whether a process has the
state in use (then there must be a log), which transaction wrote the row, and which one the file held by itself then.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from shlex import quote

from reconcile.backends.holders import named
from reconcile.backends.rows import broken
from reconcile.backends.sqlite import file, leases, schema
from reconcile.backends.sqlite.schema import Meta, meta_of
from reconcile.core.text import printable
from reconcile.errors import StateError


def check(path: Path, db: sqlite3.Connection, *, without_log: bool) -> None:
    """
    Raises StateError when the file is cut short, damaged, no state that this version knows, or not with its own log.

    Args:
        db: a connection that holds no transaction; while it is open, no process that leaves removes the log.
        without_log: a state that is in use may lack its log.
    """
    try:
        before = _whole(path, db)
    except (StateError, sqlite3.Error):
        if file.log_size(path):
            _blame_log(path, db)
        raise
    if file.log_size(path):
        check_log(path, db, before)
        if not before.used and _broken_off(path):
            _check_unused(path)
    elif before.used and not without_log:
        raise _lost_log(path, db, before)


def _whole(path: Path, db: sqlite3.Connection) -> Meta:
    db.execute("BEGIN")  # one snapshot, so that a run that writes meanwhile is no damage
    try:
        before = file.examine(path)
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        (page,) = db.execute("PRAGMA page_size").fetchone()
        after = file.examine(path)
        if before is not None and before == after and not before.log and before.size < pages * page:
            raise broken(f"{path} is cut short: it has {before.size} of {pages * page} bytes")
        schema.verify(path, db)
        if pages * page <= file.SMALL_BYTES:
            (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise broken(f"{path} is damaged: {verdict}")
        return meta_of(path, db)
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _blame_log(path: Path, db: sqlite3.Connection) -> None:
    """Raises StateError when what was found to be damaged is a file under the log of another copy."""
    try:
        both = meta_of(path, db)
    except (StateError, sqlite3.Error):
        blame_unreadable(path)
        return
    check_log(path, db, both)


def blame_unreadable(path: Path) -> None:
    """
    Raises StateError when file and log cannot be read together, and the file alone is a whole state.

    A log of a larger copy does that: its pages lie in the midst of others, and SQLite calls the result damaged.
    """
    if not file.log_size(path):
        return
    try:
        with closing(file.open_alone(path)) as one:
            schema.verify(path, one)
            if one.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                return
    except (sqlite3.Error, StateError):
        return
    raise _foreign_log(path, "is of another copy of it, or damaged")


def check_log(path: Path, db: sqlite3.Connection, before: Meta) -> None:
    """
    Raises StateError when the log beside the file was not written over this very file.

    The file alone is read between two readings of both, so that a run that writes meanwhile is no contradiction.

    Args:
        before: what both say together, read through `db` before.
    """
    try:
        with closing(file.open_alone(path)) as one:
            alone = meta_of(path, one)
    except (sqlite3.Error, StateError):
        return  # in the middle of being brought up to date: together with the log it was found whole
    after = meta_of(path, db)
    if alone.head.lineage != after.head.lineage:
        raise _foreign_log(path, "belongs to a different state")
    if alone.step.n < before.whole.n:
        raise _foreign_log(path, "continues a later copy of it")
    if alone.step.n > after.step.n:
        raise _foreign_log(path, "belongs to an earlier copy of it")
    if any(alone.step.n == known.n and alone.step.mark != known.mark for known in (before.whole, after.step)):
        raise _foreign_log(path, "belongs to a different copy of it")


def _broken_off(path: Path) -> bool:
    """
    True for a log that was in use for a while and holds no whole transaction: a run was killed as it began one.

    It is read as SQLite wrote it (sqlite.org/fileformat2.html §4): what follows the head counts as far as it repeats
    the head's salts, and up to the last frame that ends a transaction.
    """
    with path.with_name(path.name + "-wal").open("rb") as log:
        head = log.read(32)
        page, rounds, salts = int.from_bytes(head[8:12]), int.from_bytes(head[12:16]), head[16:24]
        while len(frame := log.read(24)) == 24 and frame[8:16] == salts:
            if int.from_bytes(frame[4:8]):
                return False
            log.seek(page, 1)
    return len(head) == 32 and rounds > 0


def _check_unused(path: Path) -> None:
    """Raises StateError when no process is writing, and yet the log is that of a run that had the state in use."""
    with closing(file.open_writing(path)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        if not meta_of(path, writer).used and _broken_off(path):
            raise _foreign_log(path, "is from a run that was still using it, which this copy does not record")


def _foreign_log(path: Path, what: str) -> StateError:
    return broken(
        f"{path} and the log beside it do not belong together: {path.name}-wal {what}",
        hint=f"Put back the file that the log belongs to. To use {path.name} as it is and discard what the log"
        f" holds: `rm {quote(f'{path}-wal')} {quote(f'{path}-shm')}`",
    )


def _lost_log(path: Path, db: sqlite3.Connection, meta: Meta) -> StateError:
    held = next(map(leases.lease_of, leases.rows(db)), None)
    by = f" by {named(held)}" if held else ""
    return broken(
        f"{path} is in use{by}, and its log, {path.name}-wal, is not beside it: this is a copy without it, or it was"
        " removed",
        hint="Put the log back, or use the file where that run has it. If the run is certainly gone, and the log"
        f" too: `reconcile unlock {quote(printable(held.id if held else meta.used))}`; the state is then used as it is",
    )
