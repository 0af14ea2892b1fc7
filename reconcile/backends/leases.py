"""
Leases on the state: the holder of each, and for how long it counts.

In: the rows of `leases`, which may hold anything, the wall clock and the processes of this host. Out: `Lease`, or
`Locked` with the words that a person needs. Nothing here writes.

A lease counts until it expires. Of a holder on this host more is known: one whose process has ended holds nothing, and
one that lives is judged by the time since the boot, which goes on in a suspended machine and cannot be set, rather than
by the wall clock. A process is known by boot, pid namespace, pid and start time, so that a pid that was given to
another process is not mistaken for it; where one of them cannot be read, only the wall clock counts.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote
from typing import Any

from reconcile.backends.schema import version_of
from reconcile.core.ports import Lease
from reconcile.core.text import printable
from reconcile.errors import Locked, Problem

FAR = 10  # a lease that ends later than so many times its length was not dated by a clock that we can go by
COLUMNS = "scope, id, holder, epoch, since, expires, host, pid, process, until"


def stamp(at: datetime) -> str:
    """An aware time as RFC 3339 UTC."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def process_of(pid: int) -> str:
    """
    The identity of a process on Linux: `boot:namespace:start`; "" where it cannot be known.

    Start time is field 22 of /proc/<pid>/stat, in clock ticks since the boot (proc(5)).
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink()
        # The second field is the program's name in brackets and may hold anything, brackets included.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        state, start = fields[0], fields[19]
    except (OSError, ValueError, IndexError):
        return ""
    return "" if state in "ZX" else f"{boot}:{namespace}:{start}"


def uptime() -> float:
    """Seconds since this machine was booted, those in which it slept included where the system counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True)
class Process:
    """
    The process that asks for a lease, so that a dead holder is recognised.

    Attributes:
        uptime: seconds since the boot: how long a holder on this host still has its lease.
    """

    host: str
    pid: int
    uptime: Callable[[], float] = uptime


def lives(row: tuple[Any, ...], host: str) -> bool | None:
    """True for a holder that is a running process of this host, False for one that ended; None where it is unknown."""
    *_, its_host, pid, process, _ = row
    ours = process_of_self()
    if its_host != host or not isinstance(pid, int) or pid <= 0 or not isinstance(process, str) or not ours:
        return None
    place, _, start = process.rpartition(":")
    if not start or place != ours.rpartition(":")[0]:
        return None  # another boot or namespace, or a machine of the same name: its processes cannot be seen
    return process_of(pid) == process


def process_of_self() -> str:
    """`process_of` of the running process; "" where it cannot be known."""
    try:
        return process_of(int(Path("/proc/self").readlink().name))
    except (OSError, ValueError):
        return ""


def lease_of(row: tuple[Any, ...]) -> Lease:
    """A row as a lease; garbage in it is shown as a string, so that `unlock` can name it."""
    scope, id, holder, epoch, since, expires = row[:6]
    return Lease(str(id), str(scope), str(holder), epoch if isinstance(epoch, int) else -1, str(since), str(expires))


def obstacle(row: tuple[Any, ...], now: datetime, ttl_s: float, process: Process) -> Locked | None:
    """
    The reason that this row keeps others out; None when it does not, since it has expired or its holder is dead.

    Args:
        row: the `COLUMNS` of a lease.
        now: aware UTC.
        ttl_s: seconds that a lease lasts.
        process: the one that asks.
    """
    lease, living, until = lease_of(row), lives(row, process.host), row[-1]
    if living is False:
        return None
    if living and isinstance(until, float) and until > 0:
        return locked(lease) if until > process.uptime() else None
    try:
        expires = datetime.fromisoformat(lease.expires)
        if expires.tzinfo is None or not all(isinstance(column, str) for column in row[:3]) or lease.epoch < 0:
            raise ValueError
    except ValueError:
        return locked(lease, "its record cannot be read, so its end is unknown")
    if expires <= now:
        return None
    if expires > now + timedelta(seconds=FAR * ttl_s):
        return locked(lease, f"it ends at {lease.expires}, far ahead of this clock: one of the clocks is wrong")
    return locked(lease)


def named(lease: Lease) -> str:
    """The holder and the begin of a lease, in words."""
    return f"{printable(lease.holder)} since {printable(lease.since)}"


def _locked(what: str, hint: str, *notes: str) -> Locked:
    return Locked(Problem(what, notes=notes, hint=hint))


def locked(lease: Lease, *notes: str) -> Locked:
    """The error of a state that another run holds."""
    id = printable(lease.id)
    hint = f"Wait until that run ends; if it is certainly gone: `reconcile unlock {quote(id)}`"
    return _locked(f"the state is locked by {named(lease)} (lease {id})", hint, *notes)


def busy(path: object, row: tuple[Any, ...] | None) -> Locked:
    """The error of a state that stays in the middle of a write; `row` is the lease that stands."""
    if row is not None:
        note = "it is in the middle of a write that does not end: its process may be stopped"
        return locked(lease_of(row), note)
    what = f"the state is locked: another process is in the middle of a write to {path}"
    return _locked(what, "Wait until it ends; if it is stopped, let it go on, or end it")


def rows(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """All leases, by scope."""
    columns = COLUMNS.replace("until", "0.0") if version_of(db) == 1 else COLUMNS
    return db.execute(f"SELECT {columns} FROM leases ORDER BY scope").fetchall()


def row_of(db: sqlite3.Connection, scope: str) -> tuple[Any, ...] | None:
    """The lease of a scope, if there is one."""
    return next((row for row in rows(db) if row[0] == scope), None)


def check(db: sqlite3.Connection, lease: Lease) -> None:
    """
    Checks, within the caller's transaction, that `lease` is still the newest of its scope.

    One that has expired and that no run took is still good: what it records did happen.

    Raises:
        Locked: it was broken, or another run holds the scope.
    """
    row = row_of(db, lease.scope)
    again = "Run plan again: it reads back what this run did"
    if row is None:
        raise _locked(f"this run no longer holds the state: its lease {lease.id} was ended with `unlock`", again)
    if (row[1], row[3]) != (lease.id, lease.epoch):
        other = lease_of(row)
        what = f"the state was taken over from this run by {named(other)}"
        what += f" (lease {printable(other.id)}; this run had {lease.id})"
        raise _locked(what, f"Wait until that run ends. {again}")
