"""
Who holds the state, and whether that still counts.

In: the rows of `leases`, which may hold anything, the wall clock and the processes of this host. Out: `Lease`, or
`Locked` with the words that a person needs. Nothing here writes.

A lease counts until it expires, with one shortcut: a holder on this host whose process is known to be dead holds
nothing. A process is known by boot, pid namespace, pid and start time, so that a pid that was given to another process
is not mistaken for it; where one of them cannot be read, only expiry counts.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from reconcile.core.ports import Lease
from reconcile.core.text import printable
from reconcile.errors import Locked, Problem

FAR = 10  # a lease that ends later than so many times its length was not dated by a clock that we can go by
COLUMNS = "scope, id, holder, epoch, since, expires, host, pid, process"


def stamp(at: datetime) -> str:
    """An aware time as RFC 3339 UTC."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def process_of(pid: int) -> str:
    """
    What tells a process on Linux from all others: `boot:namespace:start`; "" where it cannot be known.

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


def dead(row: tuple[Any, ...], host: str) -> bool:
    """Whether the holder of this row is a process of this host that has certainly ended."""
    *_, its_host, pid, process = row
    ours = process_of_self()
    if its_host != host or not isinstance(pid, int) or pid <= 0 or not isinstance(process, str) or not ours:
        return False
    place, _, start = process.rpartition(":")
    if not start or place != ours.rpartition(":")[0]:
        return False  # another boot or namespace, or a machine of the same name: its processes cannot be seen
    return process_of(pid) != process


def process_of_self() -> str:
    """`process_of` of the running process; "" where it cannot be known."""
    try:
        return process_of(int(Path("/proc/self").readlink().name))
    except (OSError, ValueError):
        return ""


def lease_of(row: tuple[Any, ...]) -> Lease:
    """A row as a lease; what is garbage in it is shown as text, so that `unlock` can name it."""
    scope, id, holder, epoch, since, expires = row[:6]
    return Lease(str(id), str(scope), str(holder), epoch if isinstance(epoch, int) else -1, str(since), str(expires))


def obstacle(row: tuple[Any, ...], now: datetime, ttl_s: float, host: str) -> Locked | None:
    """
    Why this row keeps others out; None when it does not, since it has expired or its holder is dead.

    Args:
        row: the `COLUMNS` of a lease.
        now: aware UTC.
        ttl_s: seconds that a lease lasts.
        host: of the process that asks.
    """
    if dead(row, host):
        return None
    lease = lease_of(row)
    try:
        expires = datetime.fromisoformat(lease.expires)
        if expires.tzinfo is None or not all(isinstance(column, str) for column in row[:3]) or lease.epoch < 0:
            raise ValueError
    except ValueError:
        return locked(lease, "its record cannot be read, so nobody can tell when it ends")
    if expires <= now:
        return None
    if expires > now + timedelta(seconds=FAR * ttl_s):
        return locked(lease, f"it ends at {lease.expires}, far ahead of this clock: one of the clocks is wrong")
    return locked(lease)


def locked(lease: Lease, note: str | None = None) -> Locked:
    """The error of a state that somebody else holds."""
    return Locked(
        Problem(
            f"the state is locked by {printable(lease.holder)} since {printable(lease.since)}"
            f" (lease {printable(lease.id)})",
            notes=tuple(filter(None, (note,))),
            way_out=f"Wait until that run ends; if it is certainly gone: reconcile unlock {printable(lease.id)}",
        )
    )


def rows(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """All leases, by scope."""
    return db.execute(f"SELECT {COLUMNS} FROM leases ORDER BY scope").fetchall()


def row_of(db: sqlite3.Connection, scope: str) -> tuple[Any, ...] | None:
    """The lease of a scope, if there is one."""
    row: tuple[Any, ...] | None = db.execute(f"SELECT {COLUMNS} FROM leases WHERE scope = ?", (scope,)).fetchone()
    return row


def check(db: sqlite3.Connection, lease: Lease) -> None:
    """
    Checks, within the caller's transaction, that `lease` is still the newest of its scope.

    One that has expired and that nobody took is still good: what it records did happen.

    Raises:
        Locked: it was broken, or somebody else holds the scope.
    """
    row = row_of(db, lease.scope)
    if row is None:
        raise Locked(
            Problem(
                f"this run no longer holds the state: its lease {lease.id} was ended by somebody else",
                way_out="Run plan again: it reads back what this run did",
            )
        )
    if (row[1], row[3]) != (lease.id, lease.epoch):
        other = lease_of(row)
        raise Locked(
            Problem(
                f"the state was taken over from this run by {printable(other.holder)} since {printable(other.since)}"
                f" (lease {printable(other.id)}; this run had {lease.id})",
                way_out="Wait until that run ends, then run plan again: it reads back what this run did",
            )
        )
