"""
Leases on the state: the holder of each, and for how long it counts.

In: the rows of `leases`, which may hold anything, the wall clock and the processes of this host. Out: `Lease`, or
`Locked` with the words that a person needs. Nothing here writes.

A lease counts until it expires. Of a holder on this host more is known: one whose process has ended holds nothing, and
one that lives is judged by the time since the boot, which goes on in a suspended machine and cannot be set, rather than
by the wall clock; of one of which nothing is known, only the wall clock counts.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from typing import Any

from reconcile.backends.holders import Process, ended, lives, locked, taken_over
from reconcile.backends.sqlite.schema import version_of
from reconcile.core.ports import Lease
from reconcile.errors import Locked, Problem

FAR_S = 600  # no lease lasts longer, so that one that ends later was not dated by a clock that we can go by
COLUMNS = "scope, id, holder, epoch, since, expires, host, pid, process, until"


def alive(row: tuple[Any, ...], here: str) -> bool | None:
    """`holders.lives` of a row of `COLUMNS`."""
    host, pid, process = row[6:9]
    return lives(host, pid, process, here)


def lease_of(row: tuple[Any, ...]) -> Lease:
    """A row as a lease; garbage in it is shown as a string, so that `unlock` can name it."""
    scope, id, holder, epoch, since, expires = row[:6]
    return Lease(str(id), str(scope), str(holder), epoch if isinstance(epoch, int) else -1, str(since), str(expires))


def obstacle(row: tuple[Any, ...], now: datetime, process: Process) -> Locked | None:
    """
    The reason that this row keeps others out; None when it does not, since it has expired or its holder is dead.

    Args:
        row: the `COLUMNS` of a lease.
        now: aware UTC.
        process: the one that asks.
    """
    lease, living, until = lease_of(row), alive(row, process.host), row[-1]
    if living is False:
        return None
    if living and isinstance(until, float) and until > 0:
        return locked(lease, now=now) if until > process.uptime() else None
    try:
        expires = datetime.fromisoformat(lease.expires)
        if expires.tzinfo is None or not all(isinstance(column, str) for column in row[:3]) or lease.epoch < 0:
            raise ValueError
    except ValueError:
        return locked(lease, "its record cannot be read, so its end is unknown")
    if expires <= now:
        return None
    if expires > now + timedelta(seconds=FAR_S):
        return locked(lease, f"it ends at {lease.expires}, far ahead of this clock: one of the clocks is wrong")
    return locked(lease, now=now)


def busy(path: object, row: tuple[Any, ...] | None) -> Locked:
    """The error of a state that stays in the middle of a write; `row` is the lease that stands."""
    if row is not None:
        note = "it is in the middle of a write that does not end: its process may be stopped"
        return locked(lease_of(row), note)
    what = f"the state is locked: another process is in the middle of a write to {path}"
    return Locked(Problem(what, hint="Wait until it ends; if it is stopped, let it go on, or end it"))


def rows(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """All leases, by scope."""
    columns = COLUMNS.replace("until", "0.0") if version_of(db) == 1 else COLUMNS
    return db.execute(f"SELECT {columns} FROM leases ORDER BY scope").fetchall()


def row_of(db: sqlite3.Connection, scope: str) -> tuple[Any, ...] | None:
    """The lease of a scope, if there is one."""
    return next((row for row in rows(db) if row[0] == scope), None)


def check(db: sqlite3.Connection, lease: Lease) -> tuple[Any, ...]:
    """
    Checks, within the caller's transaction, that `lease` is still the newest of its scope, and returns its row.

    One that has expired and that no run took is still good for what did happen; see `has_ended` for what begins.

    Raises:
        Locked: it was broken, or another run holds the scope.
    """
    row = row_of(db, lease.scope)
    if row is None:
        raise ended(lease)
    if (row[1], row[3]) != (lease.id, lease.epoch):
        raise taken_over(lease, lease_of(row))
    return row


def has_ended(row: tuple[Any, ...], now: datetime, process: Process) -> bool:
    """Whether the lease of this very process is past its end."""
    until = row[-1]
    if isinstance(until, float) and until > 0:
        return until <= process.uptime()
    return datetime.fromisoformat(str(row[5])) <= now
