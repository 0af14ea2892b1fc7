"""
`file:path`: a secret in a file of the fleet's directory tree, or below the root of its repository.

A document is reviewed but not trusted, so a path is judged after its links are followed: nobody reads
`/home/ci/.ssh/id_ed25519` through a pull request.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from reconcile.errors import InvalidInput, Problem

_MOST = 1024 * 1024  # bytes; 12,000 pre-shared keys with their names are half of it


class Files:
    """The scheme `file`."""

    def __init__(self, root: Path, repository: Path | None) -> None:
        self._root = root
        self._repository = repository

    async def read(self, rest: str) -> str:
        """
        The file's text, without one final line break.

        Args:
            rest: absolute, or relative to the fleet's directory.

        Raises:
            InvalidInput: there is no such file, it lies elsewhere, is not a plain file, is larger than 1 MiB, empty or
                not UTF-8.
        """
        data = _bytes_of(self._place(rest), rest)
        if len(data) > _MOST:
            raise InvalidInput(f"secret file {rest} is larger than {_MOST} bytes")
        text = _decoded(data)
        if text is None:
            raise InvalidInput(Problem(f"secret file {rest} is not UTF-8 text", way_out="Save it as UTF-8"))
        if text.endswith("\n"):
            text = text[:-1].removesuffix("\r")
        if not text:
            raise InvalidInput(Problem(f"secret file {rest} is empty", way_out="A secret has a value"))
        return text

    def _place(self, rest: str) -> Path:
        """Where the file is after all links, if that is a permitted place."""
        try:
            place = (self._root / rest).resolve(strict=True)
            permitted = [directory.resolve() for directory in (self._root, self._repository) if directory is not None]
        except FileNotFoundError:
            raise InvalidInput(f"secret file {rest} does not exist (in {self._root})") from None
        except (OSError, RuntimeError, ValueError):  # no permission, a loop of links, a NUL
            raise InvalidInput(f"secret file {rest} cannot be read") from None
        if not any(place.is_relative_to(directory) for directory in permitted):
            raise InvalidInput(
                Problem(
                    f"secret file {rest} lies outside the fleet's directory and its repository",
                    notes=(f"it is {place}",) if str(place) != rest else (),
                    way_out="Move it there, or give it as an environment variable (env:NAME)",
                )
            )
        return place


def _bytes_of(place: Path, rest: str) -> bytes:
    """Up to one byte more than is allowed; a FIFO must not be waited for, so it is opened without blocking."""
    flags = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        with os.fdopen(os.open(place, flags), "rb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read(_MOST + 1)
    except IsADirectoryError:
        pass
    except OSError as error:
        raise InvalidInput(f"secret file {rest} cannot be read: {(error.strerror or 'failed').lower()}") from None
    raise InvalidInput(f"secret file {rest} is not a plain file")


def _decoded(data: bytes) -> str | None:
    """None in place of an error, because a UnicodeDecodeError holds the bytes. A byte order mark is dropped."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
