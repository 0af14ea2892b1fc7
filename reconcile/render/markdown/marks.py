"""
Markdown of text that strangers wrote: nothing in it is markup, a mention, a link, or a command.

What is said here was tried with the renderer that GitHub uses (`tests/render/test_markdown.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from reconcile.render.paint import Paint
from reconcile.render.values import outside

LONGEST_LINE = 500  # characters of a line in a fence; by feel: a reviewer scrolls no further

# All that could begin markup, an autolink (`www.`, `http:`), a mention or a reference; of colons not those of `a: b`
# and `fleet.yaml:12`.
_MARKUP = re.compile(r"""www\.|(?<!\w):(?=\S)|:(?![\s\d])|[!-'*+;<>?@\[-`{-~]""")


def text(said: object) -> str:
    """Text in the middle of a line: every sign of markup as an entity."""
    return _MARKUP.sub(lambda found: "".join(map(_entity, found[0])), _cut(outside(said)))


def _entity(char: str) -> str:
    # Mentions, references (`#12`, `!12`, `~label`) and addresses of mail are looked for in what entities stand for too,
    # but not across tags.
    return f"<span>&#{ord(char)};</span>" if char in "@#!~%&$" else f"&#{ord(char)};"


def code(said: object) -> str:
    """The same as code, where mentions and references of issues are dead too."""
    return f"<code>{text(said)}</code>"


def fence(lines: Iterable[str], language: str = "diff") -> list[str]:
    """A block in which nothing is markup: its fence is longer than every run of backticks in it."""
    rows = [_cut(line) for line in lines]
    longest = max((len(run) for row in rows for run in re.findall("`+", row)), default=0)
    mark = "`" * max(3, longest + 1)
    return [f"{mark}{language}", *rows, mark]


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}… ({len(line):,} characters)"


_COLUMN_0 = {"~": "!"}  # what a `diff` fence colours as changed


class DiffPaint(Paint):
    """Lines for a `diff` fence: the symbol in column 0, the rest as on a terminal."""

    def lead(self, indent: int, symbol: str) -> str:
        mark = symbol.strip()
        return _COLUMN_0.get(mark, mark).ljust(indent)
