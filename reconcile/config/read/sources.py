"""
The files of a fleet: found, guarded, read once, shown as the user would type them, and remembered for the digest.

Nothing outside the root is read, through no symlink, and nothing that is not a plain file (`reconcile.files`). What
was read and holds a secret, because a reference names it or only its owner may read it, is told by `Sources.unfit`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from shlex import quote

from reconcile.config.expressions.coerce import shown
from reconcile.config.report import did_you_mean
from reconcile.core.schema import Begins, Field
from reconcile.errors import Flaw, Position
from reconcile.files import NotRead, NotText, Root, open_anywhere, read, text_of
from reconcile.yaml import MAX_BYTES, place

MAX_FILES = 4000  # positions number them in 12 bits
MAX_TEXT_BYTES = 1 << 20  # of a `{file: path}`
YAML_ENDINGS = (".yaml", ".yml")


_File = tuple[int, int]  # device and inode: which file it is, whatever it is called


@dataclass(frozen=True, slots=True)
class _Reading:
    path: Path
    open_to_others: bool
    public: bool  # whether the plan shows what is in it


class Sources:
    """
    Args:
        directory: of the fleet. `root`: below which files may be named. Both absolute, as they were named: positions,
            the digest and the state are those of the names, links are followed only to check where they lead.
        cwd: what relative paths are shown against.
        absolute: whether the user typed an absolute path; then files outside `cwd` are shown so.
    """

    def __init__(self, directory: Path, root: Path, cwd: Path, absolute: bool) -> None:
        self.directory, self.cwd, self.absolute = directory, cwd, absolute
        self.root = Root(root, self.show)
        self.names: list[str] = []
        self.paths: list[Path] = []
        self._numbers: dict[Path, int] = {}
        self._prints: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._lines: dict[str, list[str]] = {}
        self._hashes: dict[tuple[Path, int, Begins | None], str | None] = {}
        self._read: dict[Path, str] = {}
        self._checked: dict[tuple[Path, str], Path] = {}
        self._real: dict[Path, Path] = {}
        self._readings: dict[_File, _Reading] = {}
        self._named_at: dict[Path, int] = {}
        self._secrets: dict[_File, str] = {}
        self._directories: dict[Path, bool] = {}

    def show(self, path: Path) -> str:
        """A path as the user would type it."""
        if path.is_relative_to(self.cwd):
            return str(path.relative_to(self.cwd)) or "."
        return str(path) if self.absolute else os.path.relpath(path, self.cwd)

    def number(self, path: Path) -> int:
        """The number that positions carry for a file."""
        known = self._numbers.get(path)
        if known is None:
            if len(self.paths) >= MAX_FILES:
                raise Flaw(f"the fleet has more than {MAX_FILES:,} files")
            known = self._numbers[path] = len(self.paths)
            self.paths.append(path)
            self.names.append(self.show(path))
        return known

    def find(self, text: str, base: Path, what: str, at: int = 0) -> Path:
        """
        The file or directory that `text` names in a file of the directory `base`, under that name.

        Args:
            at: the place where it is named.

        Raises:
            Flaw: it is not there, or may not be read.
        """
        return self._find(text, base, what, at, there=True)

    def upload(self, text: str, base: Path, what: str, at: int = 0) -> Path:
        """The path of a file that is uploaded; it need not be there. Raises Flaw when it may not be read."""
        return self._find(text, base, what, at, there=False)

    def _find(self, text: str, base: Path, what: str, at: int, there: bool) -> Path:
        if known := self._checked.get((base, text)):
            return known
        if not text or "\0" in text:
            raise Flaw(f"{what} has no path", kind=what)
        if text.startswith("/"):
            raise Flaw(
                f"{what} {shown(text)} is absolute",
                hint="A path is relative to the file it stands in",
                kind=(what, "abs"),
            )
        path = plain = Path(os.path.normpath(base / text))
        try:
            real = self.root.find(text, base) if there else self.root.place(text, base)
        except NotRead as wrong:
            hint = (lambda: _near(plain, self)) if wrong.kind == "missing" else wrong.hint
            raise Flaw(f"{what} {shown(text)} {wrong.why}", hint=hint, kind=(what, wrong.kind)) from None
        self._checked[base, text], self._real[path] = path, real
        self._named_at.setdefault(path, at)
        return path

    def given(self, name: str) -> Path:
        """A file that the command line names. Raises NotRead."""
        path = Path(os.path.normpath(self.cwd / name))
        # One in the checkout is as little trusted as the rest of it: a link there may lead anywhere.
        inside = path.is_relative_to(self.root.path)
        self._real[path] = self.root.find(name, self.cwd) if inside else path.resolve()
        return path

    def real(self, path: Path) -> Path:
        """A path with its links followed, as they were when it was checked."""
        return self._real.get(path, path)

    def read(self, path: Path, limit: int = MAX_BYTES) -> bytes:
        """
        The bytes of a file that `find` gave, remembered for the digest.

        Raises:
            Flaw: it is not a plain file, larger than `limit`, or cannot be read.
        """
        try:
            data = read(self._open(path, public=True), limit)
        except NotRead as wrong:
            raise Flaw(f"{self.show(path)} {wrong.why}", hint=wrong.hint) from None
        self._prints[self.relative(path)] = hashlib.sha256(data).hexdigest()
        return data

    def read_given(self, path: Path) -> bytes:
        """The bytes of a file that the command line names, which the digest leaves out. Raises Flaw."""
        try:
            below = path.is_relative_to(self.root.path)
            return read(self._open(path, public=False) if below else open_anywhere(path), MAX_BYTES)
        except NotRead as wrong:
            raise Flaw(f"{self.show(path)} {wrong.why}", hint=wrong.hint) from None

    def _open(self, path: Path, public: bool) -> BufferedReader:
        real = self._real.get(Path(os.path.normpath(path)))
        if real is None:  # asked for by another name than it was checked under
            real = self.root.find(str(path), self.directory)
        file = self.root.open(real)
        found = os.fstat(file.fileno())
        key = found.st_dev, found.st_ino
        if key not in self._readings or public:
            others = bool(stat.S_IMODE(found.st_mode) & 0o077) and self._open_to_others(real.parent)
            self._readings[key] = _Reading(path, others, public)
        return file

    def _open_to_others(self, directory: Path) -> bool:
        """Whether others get into a directory: into each below the root, since that is how secrets are usually kept."""
        known = self._directories.get(directory)
        if known is None:
            below = directory != self.root.real and directory.is_relative_to(self.root.real)
            known = not below or (
                bool(stat.S_IMODE(directory.stat().st_mode) & 0o077) and self._open_to_others(directory.parent)
            )
            self._directories[directory] = known
        return known

    def read_text(self, path: Path) -> str:
        """The text of a `{file: path}`. Raises Flaw."""
        if (known := self._read.get(path)) is not None:
            return known
        data = self.read(path, MAX_TEXT_BYTES)
        try:
            text = text_of(data)
        except NotText as wrong:
            raise Flaw(f"{self.show(path)} {wrong.why}", hint=wrong.hint) from None
        if "\0" in text:
            raise Flaw(f"{self.show(path)} holds the character U+0000")
        self._read[path] = text
        return text

    def sha256(self, path: Path, spec: Field) -> str | None:
        """
        The SHA-256 of a file that is uploaded, hex; None when there is no such file.

        Raises:
            Flaw: it has more bytes than `spec` allows, is of another kind, or cannot be read.
        """
        known = path, spec.largest, spec.begins
        if known in self._hashes:
            return self._hashes[known]
        found: str | None = None
        try:
            with self._open(path, public=False) as file:
                size = os.fstat(file.fileno()).st_size
                if size > spec.largest:
                    raise Flaw(
                        f"{self.show(path)} has {size:,} bytes, at most {spec.largest:,} are uploaded",
                        hint="Is it the right file?",
                        kind=("large", path),
                    )
                if spec.begins is not None and not file.peek(4).startswith(spec.begins.bytes):
                    head = spec.begins.bytes.decode()
                    raise Flaw(
                        f"{self.show(path)} is not {spec.begins.kind}: it does not begin with {head}",
                        hint="Is it the right file?",
                        kind=("kind", path),
                    )
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except NotRead as wrong:
            if wrong.kind != "missing":
                raise Flaw(f"{self.show(path)} {wrong.why}", hint=wrong.hint) from None
        except OSError as error:
            raise Flaw(f"{self.show(path)} cannot be read: {error.strerror}") from None
        self._hashes[known] = found
        if found is not None:
            self._prints[self.relative(path)] = found
        return found

    def secret(self, rest: str) -> None:
        """Remembers the file of a reference to a secret, `rest` relative to the fleet's directory."""
        try:
            found = (self.directory / rest).stat()
        except (OSError, ValueError):
            return  # what is not there cannot be read as anything else
        self._secrets.setdefault((found.st_dev, found.st_ino), rest)

    def unfit(self, main: Path | None) -> Iterator[tuple[Flaw, Position]]:
        """
        What was read and may not be: `(flaw, place where it is named)`. Nothing that came from there may be shown.

        Whether a reference to a secret names a file is known for certain at the end only: it may be a template, and
        stand behind what reads the file.

        Args:
            main: the main file.
        """
        open_main = any(reading.path == main and reading.open_to_others for reading in self._readings.values())
        for file, reading in self._readings.items():
            name = self.show(reading.path)
            at = self._named_at.get(reading.path, 0)
            where = self.position(*place(at)) if at else Position(name)
            if file in self._secrets:
                yield (
                    Flaw(
                        f"{name} holds a secret (file:{self._secrets[file]} names it)"
                        " and cannot be read as a document, text or table",
                        hint="Keep secrets in files of their own",
                    ),
                    where,
                )
            elif open_main and reading.public and not reading.open_to_others:
                yield (
                    Flaw(
                        f"{name} is read here, and is readable by its owner only, unlike the main file",
                        hint=f"If it holds no secret: `chmod go+r {quote(name)}`",
                    ),
                    where,
                )

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


def _near(path: Path, sources: Sources) -> str | None:
    try:
        return did_you_mean(path.name, (other.name for other in path.parent.iterdir()))
    except OSError:
        return f"There is no directory {sources.show(path.parent)}"
