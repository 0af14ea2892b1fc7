"""
The state's file: what stands at the path, how it is made and opened, and SQLite's errors in our words.

A state is built under another name, the draft, and given its own by a link, which never replaces a file. Whoever builds
one holds a shared `flock` on the directory, so that drafts which a killed run left are told from those that are being
built. What is there is judged by `lstat` before anything opens it, so that a FIFO blocks nothing and a link leads
nowhere. This module never opens the database itself with `os.open`: closing such a descriptor would drop the locks that
SQLite holds on the file in this process (sqlite.org/howtocorrupt.html §2.2).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shlex
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from reconcile.backends.rows import RESTORE, ROW_BYTES, broken
from reconcile.backends.sqlite.schema import build
from reconcile.core.ports import Head
from reconcile.errors import Problem, StateError
from reconcile.files import kind_of, sync_directory

BUSY_S = 0.25  # for so long one call may hold up the event loop; 0.5 is allowed (docs/architecture.md, "State")
_SHUT = ("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")
SIDES = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a database
_PRAGMAS = ("synchronous=FULL", "trusted_schema=OFF", "cell_size_check=ON", "temp_store=MEMORY", "foreign_keys=OFF")
SMALL_BYTES = 8 * 2**20  # up to this size SQLite's own check of the whole file takes some tens of milliseconds


@dataclass(frozen=True, slots=True)
class FileStatus:
    """
    The file at the path.

    Attributes:
        inode: device and inode, which tell the file whatever its name.
        size: in bytes; `log` of its write-ahead log, 0 when there is none or it is empty.
        writable: its owner may write it.
    """

    inode: tuple[int, int]
    size: int
    log: int
    writable: bool


def inode(path: Path) -> tuple[int, int] | None:
    """Device and inode of what stands at the path, links not followed; None when nothing does."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def written(path: Path) -> tuple[int, int] | None:
    """Time of the last write, in nanoseconds, and size, which together tell a later one; None without a file."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def examine(path: Path) -> FileStatus | None:
    """
    The file at the path, without opening it; None when there is none.

    Raises:
        StateError: it is not a plain file, is empty, is open to others, has a second name, or cannot be looked at.
    """
    logs = {end: log_size(path, end) for end in SIDES}
    try:
        found = os.lstat(path)
        if found.st_nlink > 1 and stat.S_ISREG(found.st_mode):
            _drop_draft(path, found)
            found = os.lstat(path)  # also when there was nothing to drop: who made it may have done so just now
    except (FileNotFoundError, NotADirectoryError):
        if logs["-wal"] or logs["-journal"]:
            raise broken(
                f"{path} is missing, and its log is still there",
                hint=f"Put the file back beside {path.name}-wal, whose last writes it holds; or remove that too",
            ) from None
        return None
    except OSError as error:
        raise broken(f"{path} cannot be read: {error.strerror}", hint="Check the permissions") from error
    if words := kind_of(found.st_mode):
        raise broken(f"{path} is {words}, not a file", hint="Move it away, or name the file itself with --state")
    if found.st_size == 0:
        raise broken(f"{path} is empty (zero bytes)")
    if others := stat.S_IMODE(found.st_mode) & 0o077:
        verb = "written" if others & 0o022 else "read"
        raise broken(
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o}: it can be {verb} by others",
            hint=f"`chmod 600 {shlex.quote(str(path))}`, after a look at who may have changed it",
        )
    if found.st_nlink > 1:
        # SQLite calls log and locks after the name: under each name another run would hold "the" lease.
        raise broken(
            f"{path} has {found.st_nlink} names (hard links); a state must have exactly one",
            hint=f"Remove the other names, or give it a file of its own: cp -p {path} {path}.copy &&"
            f" mv {path}.copy {path}",
        )
    writable = bool(found.st_mode & stat.S_IWUSR) and os.access(path, os.W_OK)
    return FileStatus((found.st_dev, found.st_ino), found.st_size, logs["-wal"], writable)


def log_size(path: Path, end: str = "-wal") -> int:
    """The size of the write-ahead log, or of another of `SIDES`, beside the file; 0 when there is none."""
    side = path.with_name(path.name + end)
    try:
        found = os.lstat(side)
    except OSError:
        return 0
    if words := kind_of(found.st_mode):
        raise broken(f"{side} is {words}, not a file that SQLite left", hint="Move it away")
    return found.st_size


def create(path: Path, head: Head) -> None:
    """
    Makes an empty state at the path; another run's that appears meanwhile is left alone.

    Raises:
        StateError: it cannot be made.
        sqlite3.Error: likewise, in SQLite's words.
    """
    try:
        _make_directory(path.parent)
        with _held(path.parent, fcntl.LOCK_SH):
            draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
            os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            try:
                # The file is empty, so it is opened for the first time here.
                with contextlib.closing(open_writing(draft)) as db:
                    build(db, head)
                _give_name(draft, path)
            finally:
                for end in (*SIDES, ""):
                    draft.with_name(draft.name + end).unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise broken(
            f"{path} cannot be made: {error.strerror}", hint="Check the directory, its permissions and its space"
        ) from error


def sweep(path: Path) -> None:
    """Removes the drafts of runs that were killed while they made this state; none while one is being made."""
    if not (left := _drafts(path)):
        return
    with contextlib.suppress(OSError), _held(path.parent, fcntl.LOCK_EX) as alone:
        # Those that are listed only now may be those of a run that began since, where the lock means nothing.
        for draft in left if alone else ():
            draft.unlink(missing_ok=True)


def _make_directory(directory: Path) -> None:
    """Makes it and its parents, so that a power cut leaves them there."""
    missing = [parent for parent in (directory, *directory.parents) if not parent.exists()]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for made in reversed(missing):
        sync_directory(made.parent)


@contextlib.contextmanager
def _held(directory: Path, how: int) -> Iterator[bool]:
    """True when the lock on a directory could be had; it is not waited for, since it only protects drafts."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except OSError:  # held, or a file system that knows no such lock
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _give_name(draft: Path, path: Path) -> None:
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        # A file system without hard links. Two first runs in the same instant could both come here; the lease of the
        # one whose file went away is then an error at its first write.
        if inode(path) is None:
            draft.rename(path)


def _drafts(path: Path) -> list[Path]:
    """The files, and what SQLite keeps beside them, in which a state for this path is or was made."""
    draft = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]+\.new({'|'.join(SIDES)})?")
    try:
        return [found for found in path.parent.iterdir() if draft.fullmatch(found.name)]
    except OSError:
        return []


def _drop_draft(path: Path, found: os.stat_result) -> None:
    """Removes the name under which this file was made, when a kill left it, or its maker is about to."""
    for draft in _drafts(path):
        if inode(draft) == (found.st_dev, found.st_ino):
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)


def open_reading(path: Path, found: FileStatus) -> sqlite3.Connection:
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
    """True for a file or directory that cannot be written, so that it may still be read."""
    return _name(error) in ("SQLITE_CANTOPEN", "SQLITE_READONLY_DIRECTORY", "SQLITE_READONLY_CANTINIT")


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    db = sqlite3.connect(f"file:{quote(os.fsencode(path))}?{mode}", uri=True, timeout=BUSY_S, isolation_level=None)
    # A larger row is an error before it is built: one of 900 MB took two minutes.
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, ROW_BYTES)
    try:
        for pragma in _PRAGMAS:
            db.execute(f"PRAGMA {pragma}")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except UnicodeDecodeError:  # SQLite's own words about what is damaged hold a piece of it
        db.close()
        raise sqlite3.DatabaseError("malformed database schema") from None
    except BaseException:
        db.close()
        raise
    return db


def _name(error: sqlite3.Error) -> str:
    # Errors of the Python module itself carry no code.
    return getattr(error, "sqlite_errorname", "") or ""


def busy(error: sqlite3.Error) -> bool:
    """True while another process has the database."""
    return _name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL"))


class Busy(StateError):
    """Another process is in the middle of a write, and stays there."""


def translate(path: Path, error: sqlite3.Error | OSError) -> StateError:
    """An error of SQLite or the file system as one of the state, which names the file and has a hint."""
    if isinstance(error, OSError):
        return broken(f"{path}: {error.strerror}", hint="Check the directory, its permissions and its space")
    if busy(error):
        return Busy(Problem(f"{path}: another process holds the file", hint="Try again when it is done"))
    name = _name(error)
    for prefix, what, hint in (
        ("SQLITE_FULL", "the disk is full", "Make room; what was recorded before is safe"),
        ("SQLITE_READONLY", "the file or its directory cannot be written", "Check the permissions"),
        (_SHUT, "the file cannot be opened", "Check the permissions of the file and its directory"),
        ("SQLITE_IOERR", f"the disk answers with an error ({error})", "Check the disk and its space"),
        ("SQLITE_NOTADB", "the file is not a state: SQLite does not know it", RESTORE),
        ("SQLITE_TOOBIG", f"a row has more than {ROW_BYTES:,} bytes, which no state of ours has", RESTORE),
        ("SQLITE_CORRUPT", f"the file is damaged ({error})", RESTORE),
    ):
        if name.startswith(prefix):
            return StateError(Problem(f"{path}: {what}", hint=hint))
    return StateError(Problem(f"{path}: {error}", hint=RESTORE))
