"""
How a state is made: built under another name, the draft, and given its own by a link, which never replaces a file.

In: a path and a head. Out: an empty state, whole or not at all. Whoever builds one holds a shared `flock` on the
directory, so that drafts which a killed run left are told from those that are being built: nobody holds it then.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from reconcile.backends import file, schema
from reconcile.backends.schema import broken
from reconcile.core.ports import Head
from reconcile.files import sync_directory


def create(path: Path, head: Head) -> None:
    """
    Makes an empty state at the path; somebody else's that appears meanwhile is left alone.

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
                with contextlib.closing(file.open_writing(draft)) as db:
                    schema.build(db, head)
                _give_name(draft, path)
            finally:
                for end in (*file.SIDES, ""):
                    draft.with_name(draft.name + end).unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise broken(
            f"{path} cannot be made: {error.strerror}", hint="Check the directory, its permissions and its space"
        ) from error


def sweep(path: Path) -> None:
    """Removes what runs left that were killed while they made this state; nothing while one is being made."""
    if not (left := file.drafts(path)):
        return
    with contextlib.suppress(OSError), _held(path.parent, fcntl.LOCK_EX) as alone:
        # Those that are listed only now may be somebody's who began since, where the lock means nothing.
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
    """Whether the lock on a directory could be had; it is not waited for, since it only protects drafts."""
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
        if file.inode(path) is None:
            draft.rename(path)
