"""
Who holds a lease, as a process of some host, and the words about it; the same in every home.

A process is known by boot, pid namespace, pid and start time, so that a pid that was given to another process is not
mistaken for it; where one of them cannot be read, nothing is known of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any

from reconcile.core.ports import Lease
from reconcile.core.text import printable
from reconcile.errors import Locked, Problem


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


def lives(host: Any, pid: Any, process: Any, here: str) -> bool | None:
    """
    Whether a holder is a running process of this host (`here`), or ended; None where it is unknown.

    Args:
        host, pid, process: as they are recorded of the holder; may be anything.
    """
    ours = process_of_self()
    if host != here or not isinstance(pid, int) or pid <= 0 or not isinstance(process, str) or not ours:
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


def named(lease: Lease) -> str:
    """The holder and the begin of a lease, in words."""
    return f"{printable(lease.holder)} since {printable(lease.since)}"


def _locked(what: str, hint: str, *notes: str) -> Locked:
    return Locked(Problem(what, notes=notes, hint=hint))


def locked(lease: Lease, *notes: str, now: datetime | None = None) -> Locked:
    """The error of a state that another run holds; `now`: by which it is told for how long."""
    id = printable(lease.id)
    hint = f"Wait until that run ends; if it is certainly gone: `reconcile unlock {quote(id)}`"
    return _locked(f"the state is locked by {named(lease)}{_for(lease, now)} (lease {id})", hint, *notes)


def _for(lease: Lease, now: datetime | None) -> str:
    try:
        seconds = int((now - datetime.fromisoformat(lease.since)).total_seconds()) if now is not None else 0
    except (TypeError, ValueError):  # anything may stand there
        return ""
    return f", for {seconds // 60} min" if seconds >= 60 else f", for {seconds} s" if seconds > 0 else ""


def ended(lease: Lease) -> Locked:
    """The error of a run whose lease was ended by somebody."""
    return _locked(f"this run no longer holds the state: its lease {lease.id} was ended with `unlock`", _AGAIN)


def past(lease: Lease, expires: str) -> Locked:
    """The error of a run whose lease has ended by itself, and that wants to begin something."""
    what = f"the lease {lease.id} on the state ended at {printable(expires)}, so nothing more is begun"
    return _locked(what, "This process was stopped or starved for too long; run again")


def taken_over(lease: Lease, other: Lease) -> Locked:
    """The error of a run whose lease another run has by now."""
    what = f"the state was taken over from this run by {named(other)}"
    what += f" (lease {printable(other.id)}; this run had {lease.id})"
    return _locked(what, f"Wait until that run ends. {_AGAIN}")


def no_lease(id: str, held: Sequence[Lease]) -> Locked:
    """The error of an id that is no lease's."""
    notes = tuple(f"{printable(one.id)} is held by {named(one)}" for one in held)
    return _locked(f"no lease has the id {id!r}", "`reconcile lock list` shows the leases that stand", *notes)


_AGAIN = "Run plan again: it reads back what this run did"
