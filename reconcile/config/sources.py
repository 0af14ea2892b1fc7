"""
The files of a fleet: found, guarded, read once, shown as the user would type them, and remembered for the digest.

Nothing outside the repository is read, through no symlink, and nothing that is not a plain file. The *root* is the
nearest parent of the fleet's directory that has `.git`, else the directory that holds the fleet's directory.
"""

from __future__ import annotations

import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path

from reconcile.config.report import Flaw, did_you_mean
from reconcile.config.yaml import MAX_BYTES
from reconcile.errors import Position

MAX_FILES = 4000  # positions number them in 12 bits
MAX_TEXT_BYTES = 1 << 20  # of a `{file: path}`
YAML_ENDINGS = (".yaml", ".yml")


class Sources:
    """
    Args:
        directory: of the fleet, resolved.
        cwd: what relative paths are shown against.
        absolute: whether the user typed an absolute path; then files outside `cwd` are shown so.
    """

    def __init__(self, directory: Path, cwd: Path, absolute: bool) -> None:
        self.directory, self.cwd, self.absolute = directory, cwd, absolute
        self.root = root_of(directory)
        self.names: list[str] = []
        self.paths: list[Path] = []
        self._prints: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._lines: dict[str, list[str]] = {}
        self._hashes: dict[Path, str | None] = {}
        self._read: dict[Path, str] = {}
        self._checked: dict[tuple[Path, str], Path] = {}

    def show(self, path: Path) -> str:
        """A path as the user would type it."""
        if path.is_relative_to(self.cwd):
            return str(path.relative_to(self.cwd)) or "."
        return str(path) if self.absolute else os.path.relpath(path, self.cwd)

    def number(self, path: Path) -> int:
        """The number that positions carry for a file."""
        if path in self.paths:
            return self.paths.index(path)
        if len(self.paths) >= MAX_FILES:
            raise Flaw(f"the fleet has more than {MAX_FILES:,} files")
        self.paths.append(path)
        self.names.append(self.show(path))
        return len(self.paths) - 1

    def find(self, text: str, base: Path, what: str) -> Path:
        """
        The file or directory that `text` names in a file of the directory `base`, resolved.

        Raises:
            Flaw: it is not there, or not below the root.
        """
        if known := self._checked.get((base, text)):
            return known
        if not text or "\0" in text:
            raise Flaw(f"{what} has no path", kind=what)
        if Path(text).is_absolute():
            raise Flaw(
                f'{what} "{text}" is absolute',
                way_out="A path is relative to the file it stands in",
                kind=(what, "abs"),
            )
        plain = Path(os.path.normpath(base / text))
        try:
            path = plain.resolve()
        except (OSError, RuntimeError):
            raise Flaw(f'{what} "{text}" is a link that leads nowhere', kind=(what, "loop")) from None
        if not path.is_relative_to(self.root) or not plain.is_relative_to(self.root):
            raise Flaw(
                f'{what} "{text}" lies outside {self.show(self.root)}',
                way_out="Only files below the root of the repository are read, links included",
                kind=(what, "outside"),
            )
        if not path.exists():
            raise Flaw(f'{what} "{text}" does not exist', way_out=lambda: _near(plain, self), kind=(what, "missing"))
        self._checked[base, text] = path
        return path

    def read(self, path: Path, limit: int = MAX_BYTES, remember: bool = True) -> bytes:
        """
        The bytes of a plain file, remembered for the digest unless that is unwanted.

        Raises:
            Flaw: it is not a plain file, larger than `limit`, or cannot be read.
        """
        shown = self.show(path)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise Flaw(f"{shown} cannot be read: {error.strerror}") from None
        with _plain_file(handle, shown) as file:
            try:
                data = file.read(limit + 1)
            except OSError as error:
                raise Flaw(f"{shown} cannot be read: {error.strerror}") from None
        if len(data) > limit:
            raise Flaw(f"{shown} is larger than {limit:,} bytes")
        if remember:
            self._prints[self.relative(path)] = hashlib.sha256(data).hexdigest()
        return data

    def read_text(self, path: Path) -> str:
        """The text of a `{file: path}`. Raises Flaw."""
        if (known := self._read.get(path)) is not None:
            return known
        data = self.read(path, MAX_TEXT_BYTES)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise Flaw(f"{self.show(path)} is not UTF-8 text") from None
        if "\0" in text:
            raise Flaw(f"{self.show(path)} holds the character U+0000")
        self._read[path] = text
        return text

    def sha256(self, path: Path) -> str | None:
        """The SHA-256 of a file that is uploaded, hex; None when there is no such file. Raises Flaw."""
        if path in self._hashes:
            return self._hashes[path]
        shown = self.show(path)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            self._hashes[path] = None
            return None
        except OSError as error:
            raise Flaw(f"{shown} cannot be read: {error.strerror}") from None
        with _plain_file(handle, shown) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        self._hashes[path] = found
        self._prints[self.relative(path)] = found
        return found

    def upload(self, text: str, base: Path, what: str) -> Path:
        """The path of a file that is uploaded; it need not be there. Raises Flaw when it lies outside the root."""
        if known := self._checked.get((base, text)):
            return known
        plain = Path(os.path.normpath(base / text)) if text and "\0" not in text else self.root.parent
        if not plain.exists() and plain.is_relative_to(self.root) and not Path(text).is_absolute():
            self._checked[base, text] = plain
            return plain
        return self.find(text, base, what)

    def keep(self, path: Path, text: str) -> None:
        """Remembers a text, so that messages can show its lines, until `forget`."""
        self._texts[self.show(path)] = text

    def forget(self) -> None:
        """Drops what only messages and the digest needed."""
        self._texts.clear()
        self._lines.clear()

    def line_of(self, shown: str, number: int) -> str | None:
        """A line of a text that was kept."""
        if shown not in self._lines:
            if shown not in self._texts:
                return None
            self._lines[shown] = self._texts[shown].split("\n")
        lines = self._lines[shown]
        return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else None

    def position(self, file: int, line: int, column: int) -> Position:
        """A place, with the file as it is shown."""
        return Position(self.names[file], line, column)

    def digest(self) -> str:
        """SHA-256, hex, over the names (relative to the fleet's directory) and bytes of everything that was read."""
        whole = hashlib.sha256()
        for name in sorted(self._prints):
            whole.update(f"{name}\0{self._prints[name]}\n".encode("utf-8", "surrogateescape"))
        return whole.hexdigest()

    def relative(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.directory)).as_posix()


def root_of(directory: Path) -> Path:
    """The directory below which a fleet may name files."""
    for parent in (directory, *directory.parents):
        if (parent / ".git").exists():
            return parent
    return directory.parent


def _plain_file(handle: int, shown: str) -> BufferedReader:
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise Flaw(f"{shown} is {_kind(mode)}, not a file")
    return os.fdopen(handle, "rb")


def _kind(mode: int) -> str:
    for test, word in ((stat.S_ISDIR, "a directory"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket")):
        if test(mode):
            return word
    return "a device"


def _near(path: Path, sources: Sources) -> str | None:
    try:
        return did_you_mean(path.name, (other.name for other in path.parent.iterdir()))
    except OSError:
        return f"There is no directory {sources.show(path.parent)}"
