"""
The state's file: what stands at the path, how it is opened, and SQLite's errors in our words.

What is there is judged by `lstat` before anything opens it, so that a FIFO blocks nobody and a link leads nowhere.
This module never opens the database itself with `os.open`: closing such a descriptor would drop the locks that SQLite
holds on the file in this process (sqlite.org/howtocorrupt.html §2.2).
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from reconcile.backends.schema import RESTORE, ROW_BYTES, broken
from reconcile.errors import Problem, StateError

BUSY_S = 0.25  # how long one call may hold up the event loop; 0.5 is allowed (docs/architecture.md, "State")
SIDES = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a database
SMALL_BYTES = 8 * 2**20  # up to this size SQLite's own check of the whole file takes some tens of milliseconds

_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """
    The file at the path.

    Attributes:
        inode: device and inode: which file it is, whatever its name.
        size: in bytes; `log` of its write-ahead log, 0 when there is none or it is empty.
        writable: whether its owner may write it.
    """

    inode: tuple[int, int]
    size: int
    log: int
    writable: bool


def kind(mode: int) -> str | None:
    """What a file of this mode is, in words; None for a regular file."""
    return next((words for holds, words in _KINDS if holds(mode)), None if stat.S_ISREG(mode) else "not a file")


def inode(path: Path) -> tuple[int, int] | None:
    """Device and inode of what stands at the path, links not followed; None when nothing does."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def written(path: Path) -> tuple[int, int] | None:
    """When the file was written last, in nanoseconds, and its size, which tell a later writing; None without it."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def examine(path: Path) -> Found | None:
    """
    What stands at the path, without opening it; None when nothing does.

    Raises:
        StateError: it is not a plain file, is empty, is open to others, has a second name, or cannot be looked at.
    """
    logs = {end: _side(path, end) for end in SIDES}
    try:
        found = os.lstat(path)
        if found.st_nlink > 1 and stat.S_ISREG(found.st_mode) and _drop_draft(path, found):
            found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        if logs["-wal"] or logs["-journal"]:
            raise broken(
                f"{path} is missing, and its log is still there",
                hint=f"Put the file back beside {path.name}-wal, whose last writes it holds; or remove that too",
            ) from None
        return None
    except OSError as error:
        raise broken(f"{path} cannot be read: {error.strerror}", hint="Check the permissions") from error
    if words := kind(found.st_mode):
        raise broken(f"{path} is {words}, not a file", hint="Move it away, or name the file itself with --state")
    if found.st_size == 0:
        raise broken(f"{path} is empty (zero bytes)")
    if others := stat.S_IMODE(found.st_mode) & 0o077:
        verb = "written" if others & 0o022 else "read"
        raise broken(
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o}: it can be {verb} by others",
            hint=f"chmod 600 {path}, after a look at who may have changed it",
        )
    if found.st_nlink > 1:
        # SQLite calls log and locks after the name: under each name another run would hold "the" lease.
        raise broken(
            f"{path} has {found.st_nlink} names (hard links); a state must have exactly one",
            hint=f"Remove the other names, or give it a file of its own: cp -p {path} {path}.copy &&"
            f" mv {path}.copy {path}",
        )
    writable = bool(found.st_mode & stat.S_IWUSR) and os.access(path, os.W_OK)
    return Found((found.st_dev, found.st_ino), found.st_size, logs["-wal"], writable)


def log_size(path: Path) -> int:
    """The size of the write-ahead log beside the file; 0 when there is none."""
    return _side(path, "-wal")


def _side(path: Path, end: str) -> int:
    """The size of a file that SQLite keeps beside the database; 0 when there is none."""
    side = path.with_name(path.name + end)
    try:
        found = os.lstat(side)
    except OSError:
        return 0
    if words := kind(found.st_mode):
        raise broken(f"{side} is {words}, not a file that SQLite left", hint="Move it away")
    return found.st_size


def drafts(path: Path) -> list[Path]:
    """The files, and what SQLite keeps beside them, in which a state for this path is or was made; see `drafts`."""
    draft = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]+\.new({'|'.join(SIDES)})?")
    try:
        return [found for found in path.parent.iterdir() if draft.fullmatch(found.name)]
    except OSError:
        return []


def _drop_draft(path: Path, found: os.stat_result) -> bool:
    """Removes the name under which this file was made, when a kill left it; whether there was one."""
    gone = False
    for draft in drafts(path):
        if inode(draft) == (found.st_dev, found.st_ino):
            try:
                draft.unlink(missing_ok=True)
            except OSError:
                continue
            gone = True
    return gone


def open_reading(path: Path, found: Found) -> sqlite3.Connection:
    """
    The open database, which this connection neither writes nor tidies up.

    A file that cannot be written is opened as it stands, without files beside it, unless a log has to be read too.

    Raises:
        sqlite3.Error: it is no database, is busy, or cannot be opened.
    """
    as_it_stands = "mode=ro" if found.log else "mode=ro&immutable=1"
    try:
        return _opened(path, "mode=ro" if found.writable else as_it_stands)
    except sqlite3.Error as error:
        # The directory may not take the files that SQLite keeps beside a database in use.
        if not unwritable(error) or as_it_stands == "mode=ro":
            raise
        return _opened(path, as_it_stands)


def open_writing(path: Path) -> sqlite3.Connection:
    """The open database, to write. Raises sqlite3.Error; `unwritable` tells whether reading is all that is left."""
    return _opened(path, "mode=rw")


def open_alone(path: Path) -> sqlite3.Connection:
    """The open database without its log, as a copy of the one file would be. Raises sqlite3.Error."""
    return _opened(path, "mode=ro&immutable=1")


def unwritable(error: sqlite3.Error) -> bool:
    """Whether a file or its directory cannot be written, so that it may still be read."""
    return _name(error) in ("SQLITE_CANTOPEN", "SQLITE_READONLY_DIRECTORY", "SQLITE_READONLY_CANTINIT")


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    db = sqlite3.connect(f"file:{quote(os.fsencode(path))}?{mode}", uri=True, timeout=BUSY_S, isolation_level=None)
    # A larger row is an error before it is built: one of 900 MB took two minutes.
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, ROW_BYTES)
    try:
        for pragma in (
            "synchronous = FULL",
            "trusted_schema = OFF",
            "cell_size_check = ON",
            "temp_store = MEMORY",
            "foreign_keys = OFF",
        ):
            db.execute(f"PRAGMA {pragma}")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        db.close()
        raise
    return db


def _name(error: sqlite3.Error) -> str:
    # Errors of the Python module itself carry no code.
    return getattr(error, "sqlite_errorname", "") or ""


def busy(error: sqlite3.Error) -> bool:
    """Whether somebody else has the database for the moment."""
    return _name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL"))


class Busy(StateError):
    """Somebody else is in the middle of a write, and stays there."""


def translate(path: Path, error: sqlite3.Error | OSError) -> StateError:
    """What SQLite or the file system says, as an error of the state that names the file and a way out."""
    if isinstance(error, OSError):
        return broken(f"{path}: {error.strerror}", hint="Check the directory, its permissions and its space")
    if busy(error):
        return Busy(Problem(f"{path}: another process holds the file", hint="Try again when it is done"))
    name = _name(error)
    for prefix, what, hint in (
        ("SQLITE_FULL", "the disk is full", "Make room; what was recorded before is safe"),
        ("SQLITE_READONLY", "the file or its directory cannot be written", "Check the permissions"),
        ("SQLITE_CANTOPEN", "the file cannot be opened", "Check the permissions of the file and its directory"),
        ("SQLITE_PERM", "the file cannot be opened", "Check the permissions of the file and its directory"),
        ("SQLITE_AUTH", "the file cannot be opened", "Check the permissions of the file and its directory"),
        ("SQLITE_IOERR", f"the disk answers with an error ({error})", "Check the disk and its space"),
        ("SQLITE_NOTADB", "the file is not a state: SQLite does not know it", RESTORE),
        ("SQLITE_TOOBIG", f"a row has more than {ROW_BYTES:,} bytes, which no state of ours has", RESTORE),
        ("SQLITE_CORRUPT", f"the file is damaged ({error})", RESTORE),
    ):
        if name.startswith(prefix):
            return StateError(Problem(f"{path}: {what}", hint=hint))
    return StateError(Problem(f"{path}: {error}", hint=RESTORE))
