"""
`file:path`: a secret in a file below the root, see `reconcile.files`.

A document is reviewed but not trusted, so a path is judged after its links are followed: nobody reads
`/home/ci/.ssh/id_ed25519` through a pull request.
"""

from __future__ import annotations

from pathlib import Path

from reconcile.errors import InvalidInput, Problem
from reconcile.files import NotRead, NotText, Root, read, text_of
from reconcile.secrets.env import without_line_end

_MOST = 1024 * 1024  # bytes; 12,000 pre-shared keys with their names are half of it


class Files:
    """The scheme `file`."""

    def __init__(self, directory: Path, root: Path | None) -> None:
        self._directory, self._root = directory, Root(root or directory)

    async def read(self, rest: str) -> str:
        """
        The file's text, without one final line break.

        Args:
            rest: relative to the fleet's directory. A document has no absolute one: `config.references` refuses it.

        Raises:
            InvalidInput: there is no such file, it lies elsewhere, is not a plain file, is larger than 1 MiB, empty or
                not UTF-8.
        """
        try:
            data = read(self._root.open(self._root.find(rest, self._directory)), _MOST)
        except NotRead as wrong:
            raise InvalidInput(Problem(f"secret file {rest} {wrong.why}", hint=_way_out(wrong))) from None
        try:
            text = without_line_end(text_of(data))
        except NotText as wrong:
            raise InvalidInput(Problem(f"secret file {rest} {wrong.why}", hint=wrong.hint)) from None
        if not text:
            raise InvalidInput(Problem(f"secret file {rest} is empty", hint="A secret has a value"))
        return text


def _way_out(wrong: NotRead) -> str | None:
    if wrong.kind != "outside":
        return wrong.hint
    return f"Move it there, or give it as an environment variable (env:NAME). {wrong.hint}"
