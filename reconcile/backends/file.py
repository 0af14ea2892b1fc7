"""
The state's file: what stands at the path, how it is opened, how it is made, and SQLite's errors in our words.

What is there is judged by `lstat` before anything opens it, so that a FIFO blocks nobody and a link leads nowhere.
This module never opens the database itself with `os.open`: closing such a descriptor would drop the locks that SQLite
holds on the file in this process (sqlite.org/howtocorrupt.html §2.2).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sqlite3
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from reconcile.backends import schema
from reconcile.backends.schema import RESTORE, broken
from reconcile.core.ports import Head
from reconcile.errors import Problem, StateError

BUSY_S = 0.25  # how long one call may hold up the event loop; design §6 allows 0.5
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
        size: in bytes; `log` of its write-ahead log, 0 when there is none.
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


def examine(path: Path) -> Found | None:
    """
    What stands at the path, without opening it; None when nothing does.

    Raises:
        StateError: it is not a plain file, is empty, is open to others, or cannot be looked at.
    """
    logs = {end: _side(path, end) for end in ("-wal", "-shm", "-journal")}
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        if logs["-wal"] or logs["-journal"]:
            raise broken(
                f"{path} is missing, and its log is still there",
                way_out=f"Put the file back beside {path.name}-wal, whose last writes it holds; or remove that too",
            ) from None
        return None
    except OSError as error:
        raise broken(f"{path} cannot be read: {error.strerror}", way_out="Check the permissions") from error
    if words := kind(found.st_mode):
        raise broken(f"{path} is {words}, not a file", way_out="Move it away, or name the file itself with --state")
    if found.st_size == 0:
        raise broken(f"{path} is empty (zero bytes)")
    if others := stat.S_IMODE(found.st_mode) & 0o077:
        verb = "written" if others & 0o022 else "read"
        raise broken(
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o}: it can be {verb} by others",
            way_out=f"chmod 600 {path}, after a look at who may have changed it",
        )
    writable = bool(found.st_mode & stat.S_IWUSR) and os.access(path, os.W_OK)
    return Found((found.st_dev, found.st_ino), found.st_size, logs["-wal"], writable)


def _side(path: Path, end: str) -> int:
    """The size of a file that SQLite keeps beside the database; 0 when there is none."""
    side = path.with_name(path.name + end)
    try:
        found = os.lstat(side)
    except OSError:
        return 0
    if words := kind(found.st_mode):
        raise broken(f"{side} is {words}, not a file that SQLite left", way_out="Move it away")
    return found.st_size


def connect(path: Path, found: Found, *, thorough: bool = True) -> tuple[sqlite3.Connection, bool]:
    """
    The open database, and whether it can be written.

    A file that cannot be written is opened as it stands, without files beside it, unless a log has to be read too.

    Args:
        thorough: whether to check that it is a whole state; else the caller has done so.

    Raises:
        StateError: it is not a state that can be used.
        sqlite3.OperationalError: it is busy.
    """
    as_it_stands = "mode=ro" if found.log else "immutable=1"
    mode, writable = ("mode=rw", True) if found.writable else (as_it_stands, False)
    while True:
        db = _connect(path, mode)
        try:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if thorough:
                _whole(path, db)
            return db, writable
        except BaseException as error:
            db.close()
            # The directory may not take the files that SQLite keeps beside a database that is written.
            if isinstance(error, sqlite3.Error) and writable and _name(error) in _UNWRITABLE:
                mode, writable = as_it_stands, False
                continue
            raise


_UNWRITABLE = ("SQLITE_CANTOPEN", "SQLITE_READONLY_DIRECTORY", "SQLITE_READONLY_CANTINIT")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    db = sqlite3.connect(f"file:{quote(os.fsencode(path))}?{mode}", uri=True, timeout=BUSY_S, isolation_level=None)
    # A larger row is an error before it is built: one of 900 MB took two minutes.
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, schema.ROW_BYTES)
    for pragma in (
        "synchronous = FULL",
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "temp_store = MEMORY",
        "foreign_keys = OFF",
    ):
        db.execute(f"PRAGMA {pragma}")
    return db


def _whole(path: Path, db: sqlite3.Connection) -> None:
    """Raises StateError when the file is cut short, damaged, or not a state of this version."""
    db.execute("BEGIN")  # one snapshot, so that a run that writes meanwhile is no damage
    try:
        before = examine(path)
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        (page,) = db.execute("PRAGMA page_size").fetchone()
        after = examine(path)
        if before is not None and before == after and not before.log and before.size < pages * page:
            raise broken(f"{path} is cut short: it has {before.size} of {pages * page} bytes")
        schema.verify(path, db)
        if pages * page <= SMALL_BYTES:
            (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise broken(f"{path} is damaged: {verdict}")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def create(path: Path, head: Head) -> None:
    """
    Makes an empty state at the path, whole or not at all; somebody else's that appears meanwhile is left alone.

    It is built under another name and given its own by a link, which never replaces a file.

    Raises:
        StateError: it cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        try:
            with contextlib.closing(_connect(draft, "mode=rw")) as db:
                schema.build(db, head)
            _give_name(draft, path)
        finally:
            for end in ("", "-wal", "-shm", "-journal"):
                draft.with_name(draft.name + end).unlink(missing_ok=True)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise broken(
            f"{path} cannot be made: {error.strerror}", way_out="Check the directory, its permissions and its space"
        ) from error


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


def _name(error: sqlite3.Error) -> str:
    # Errors of the Python module itself carry no code.
    return getattr(error, "sqlite_errorname", "") or ""


def busy(error: sqlite3.Error) -> bool:
    """Whether somebody else has the database for the moment."""
    return _name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL"))


def translate(path: Path, error: sqlite3.Error | OSError) -> StateError:
    """What SQLite or the file system says, as an error of the state that names the file and a way out."""
    if isinstance(error, OSError):
        return broken(f"{path}: {error.strerror}", way_out="Check the directory, its permissions and its space")
    name = _name(error)
    for prefix, what, way_out in (
        ("SQLITE_FULL", "the disk is full", "Make room; what was recorded before is safe"),
        ("SQLITE_READONLY", "the file or its directory cannot be written", "Check the permissions"),
        ("SQLITE_CANTOPEN", "the file cannot be opened", "Check the permissions of the file and its directory"),
        ("SQLITE_PERM", "the file cannot be opened", "Check the permissions of the file and its directory"),
        ("SQLITE_AUTH", "the file cannot be opened", "Check the permissions of the file and its directory"),
        ("SQLITE_IOERR", f"the disk answers with an error ({error})", "Check the disk and its space"),
        ("SQLITE_NOTADB", "the file is not a state: SQLite does not know it", RESTORE),
        ("SQLITE_TOOBIG", f"a row has more than {schema.ROW_BYTES:,} bytes, which no state of ours has", RESTORE),
        ("SQLITE_CORRUPT", f"the file is damaged ({error})", RESTORE),
        ("SQLITE_BUSY", "another process holds the file", "Try again when it is done"),
        ("SQLITE_LOCKED", "another process holds the file", "Try again when it is done"),
    ):
        if name.startswith(prefix):
            return StateError(Problem(f"{path}: {what}", way_out=way_out))
    return StateError(Problem(f"{path}: {error}", way_out=RESTORE))
