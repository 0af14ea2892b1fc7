"""
Plain files, opened safely, and the root: the directory below which a document may name files.

In: paths as they are written. Out: resolved paths and open files, or `NotRead` with what is wrong, in words that
follow the file's name. A document is reviewed but not trusted: a path is judged as it is written and again after its
links are followed, and what was judged is opened without following a link that was put there since.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from io import BufferedReader
from pathlib import Path

from reconcile.errors import InvalidInput, Problem

ROOT_VARIABLE = "RECONCILE_ROOT"
WIDER = f"The user of the command can name a wider root: --root DIR, or {ROOT_VARIABLE}"
_GIT = ".git"
_MOST_DIRECTORIES = 10_000  # remembered

# A directory that may be searched and not listed is opened where the system can (O_PATH, Linux).
_SEARCH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO must not be waited for


class NotText(Exception):
    """
    Bytes that are no text in UTF-8.

    Attributes:
        why: as the end of a sentence. `hint` what to do. `line` 1-based, where it is known.
    """

    def __init__(self, why: str, line: int = 1) -> None:
        super().__init__(why)
        self.why, self.hint, self.line = why, "Save it as UTF-8", line


def text_of(data: bytes) -> str:
    """
    The text of a file in UTF-8, without the byte order mark that some editors put in front.

    Raises:
        NotText: it is not UTF-8. Nothing of the bytes is in it.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise NotText("is UTF-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = data.count(b"\n", 0, error.start) + 1
    raise NotText("is not UTF-8", at)


class NotRead(Exception):
    """
    A file that is not read.

    Attributes:
        why: the reason, in words that follow the file's name. `kind`: one word for it.
    """

    def __init__(self, kind: str, why: str, hint: str | None = None) -> None:
        super().__init__(why)
        self.kind, self.why, self.hint = kind, why, hint


def working_directory(environ: Mapping[str, str]) -> Path:
    """
    The directory in which the command runs, as the shell named it: `PWD`, where that is true (`pwd -L`).

    A deployment that switches a link, `current`, to another release is named by the link and not by the release.
    """
    here, named = Path.cwd(), environ.get("PWD", "")
    try:
        if named.startswith("/") and os.path.normpath(named) == named and here.samefile(named):
            return Path(named)
    except (OSError, ValueError):
        pass
    return here


def root_of(directory: Path, given: str | None, environ: Mapping[str, str], cwd: Path) -> Path:
    """
    The directory below which a fleet may name files.

    It is the one that the command line or the environment names, else the nearest parent with a `.git` that holds the
    fleet once links are followed, else the fleet's own directory. Where the fleet lies below it only once links are
    followed, it is resolved.

    Args:
        directory: of the fleet, as it was named: absolute, links not followed.
        given: `--root`, relative to `cwd`; None = `RECONCILE_ROOT`, if that is set.

    Raises:
        InvalidInput: the one that is named is not a directory, or does not contain the fleet.
    """
    name, said = ("--root", given) if given is not None else (ROOT_VARIABLE, environ.get(ROOT_VARIABLE) or None)
    if said is None:
        real = Path(os.path.realpath(directory))
        parents = (directory, *directory.parents, real, *real.parents)
        # A link in a checkout that leads out of it names a fleet of another place, which is its own root.
        roots = (it for it in parents if (it / _GIT).exists() and real.is_relative_to(os.path.realpath(it)))
        return next(roots, directory)
    try:
        root = Path(os.path.normpath(cwd / said))
        real = root.resolve(strict=True)
        is_directory = real.is_dir()
    except (OSError, RuntimeError, ValueError):
        is_directory = False
    if not said or not is_directory:
        raise InvalidInput(Problem(f"{name} {_short(said)} is not a directory", hint="Name an existing directory"))
    if directory.is_relative_to(root):
        return root
    if not Path(os.path.realpath(directory)).is_relative_to(real):
        raise InvalidInput(
            Problem(
                f"{name} {_short(said)} does not contain the fleet, which is in {directory}",
                hint="The root is the fleet's directory or one above it",
            )
        )
    return real


class Root:
    """
    Files below a directory.

    Args:
        path: absolute, as it was named; links in it are followed here.
        show: a path as the user would type it.

    Attributes:
        real: with its links followed.
    """

    def __init__(self, path: Path, show: Callable[[Path], str] = str) -> None:
        self.path, self._show = path, show
        self.real = Path(os.path.realpath(path))
        self._named, self._inside = _with_slash(str(path)), _with_slash(str(self.real))
        self._directories: dict[str, str] = {}

    def find(self, text: str, base: Path) -> Path:
        """
        The file or directory that `text` names in the directory `base`, all links followed.

        Raises:
            NotRead: it is not there (kind `missing`), lies outside the root or in `.git`, or is not a path.
        """
        return Path(self._place(text, base, there=True))

    def place(self, text: str, base: Path) -> Path:
        """As `find`, for a file that need not be there yet."""
        return Path(self._place(text, base, there=False))

    def making(self, text: str, base: Path) -> Path:
        """As `find`, for a file that is about to be made: links on the way are followed, one in its place is not."""
        plain = os.path.normpath(text if text.startswith("/") else f"{base}/{text}")
        if "\0" in text:
            raise NotRead("nothing", "is not a path")
        self._judge(plain, self._named)
        directory, name = os.path.split(plain)
        made = Path(self._place(directory, base, there=False)) / name
        self._judge(str(made), self._inside)
        return made

    def open(self, path: Path) -> BufferedReader:
        """
        The plain file that `find` gave, open for reading; no link is followed on the way.

        Raises:
            NotRead: it is not a plain file, or cannot be read.
        """
        *directories, name = path.relative_to(self.real).parts or (".",)
        try:
            here = os.open(self.real, _SEARCH)
            try:
                for part in directories:
                    inner = os.open(part, _SEARCH | os.O_NOFOLLOW, dir_fd=here)
                    os.close(here)
                    here = inner
                handle = os.open(name, _READ | os.O_NOFOLLOW, dir_fd=here)
            finally:
                os.close(here)
        except OSError as error:
            raise _unreadable(error) from None
        return _plain(handle)

    def _place(self, text: str, base: Path, there: bool) -> str:
        if not text or "\0" in text:
            raise NotRead("nothing", "is not a path")
        absolute = text.startswith("/")
        plain = os.path.normpath(text if absolute else f"{base}/{text}")
        if not absolute:
            self._judge(plain, self._named)  # before the disk is asked, which would tell what there is elsewhere
        if _in_git(text.split("/")):
            raise _git()
        directory, name = os.path.split(plain)
        try:
            place = self._resolved(directory) + name
            self._judge(place, self._inside)
            if stat.S_ISLNK(os.lstat(place).st_mode):
                place = os.path.realpath(place)
                self._judge(place, self._inside)
                if stat.S_ISLNK(os.lstat(place).st_mode):
                    raise NotRead("loop", "is a link that leads nowhere")
        except (FileNotFoundError, NotADirectoryError) as error:
            if there:
                raise _unreadable(error) from None
        except (OSError, ValueError) as error:
            raise _unreadable(error) from None
        return place

    def _judge(self, place: str, inside: str) -> None:
        """Raises NotRead for a path that is not below the root (`inside`: as it was named, or its links followed)."""
        if not f"{place}/".startswith(inside):
            raise NotRead("outside", f"lies outside the root ({self._show(self.path)}) once links are followed", WIDER)
        if _GIT in place.casefold() and _in_git(place[len(inside) :].split("/")):
            raise _git()

    def _resolved(self, directory: str) -> str:
        """A directory with its links followed and a slash at its end."""
        known = self._directories.get(directory)
        if known is None:
            known = _with_slash(os.path.realpath(directory))
            if len(self._directories) < _MOST_DIRECTORIES:
                self._directories[directory] = known
        return known


def _with_slash(path: str) -> str:
    return path.rstrip("/") + "/"


def open_anywhere(path: Path) -> BufferedReader:
    """A plain file that the user of the command names, open for reading. Raises NotRead."""
    try:
        handle = os.open(path, _READ)
    except (OSError, ValueError) as error:
        raise _unreadable(error) from None
    return _plain(handle)


def sync_directory(directory: Path) -> None:
    """A power cut leaves the names that stand in the directory now. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(file: BufferedReader, most: int) -> bytes:
    """All bytes of an open file, which is closed. Raises NotRead when there are more than `most`."""
    with file:
        try:
            data = file.read(most + 1)
        except OSError as error:
            raise _unreadable(error) from None
    if len(data) > most:
        raise NotRead("large", f"is larger than {most:,} bytes")
    return data


def _plain(handle: int) -> BufferedReader:
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise NotRead("kind", f"is {kind_of(mode)}, not a plain file")
    return os.fdopen(handle, "rb")


def kind_of(mode: int) -> str | None:
    """The kind of a file of this mode, in words; None for a plain one."""
    kinds = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe"}
    kinds |= {stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    return None if stat.S_ISREG(mode) else kinds.get(stat.S_IFMT(mode), "not a file")


def _in_git(parts: list[str]) -> bool:
    return any(part.casefold() == _GIT for part in parts)


def _git() -> NotRead:
    return NotRead("git", "lies in .git", "Nothing in .git is read: it may hold credentials of the repository")


def _unreadable(error: Exception) -> NotRead:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return NotRead("missing", "does not exist")
    return NotRead("unreadable", f"cannot be read: {(getattr(error, 'strerror', None) or 'it is no path').lower()}")


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "…")
