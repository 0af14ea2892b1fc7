"""
How a value is shown: one line, quoted as JSON, shortened in the middle, and never a secret.

`outside` is the one gate for text that strangers wrote. It knows no colour and no layout.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from reconcile.core.text import look_alike, printable, spelled_out
from reconcile.core.values import FileRef, Ref, Secret, SecretRef, to_json

SENSITIVE = "(sensitive value)"

LIMIT = 64  # characters of a value that a line shows; by feel: two of them and a name fill a screen's width
_DIFF_LINES = 500  # difflib is quadratic; no API here takes a longer text

# Commands to the CI systems that read a log: Azure and TeamCity anywhere in a line, GitHub at its beginning.
_COMMAND = re.compile(r"##(?=\w*\[)")


def outside(text: object) -> str:
    """Text from outside on one line: nothing in it moves a cursor, hides, turns round, or commands a CI system."""
    shown = _COMMAND.sub(r"#\\x23", printable(str(text)))
    return shown.replace(":", r"\x3a", 1) if shown.lstrip().startswith("::") else shown


def cells(text: str) -> int:
    """How many columns a terminal gives to `text`."""
    if text.isascii():
        return len(text)
    return sum(_cell(char) for char in text)


def _cell(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def quoted(text: str) -> str:
    """A text between quotation marks, escapes as JSON has them."""
    return outside(json.dumps(text, ensure_ascii=False))


def shorten(text: str, limit: int = LIMIT, at: int | None = None) -> tuple[str, str]:
    """
    A text cut to `limit` characters, and what is said of its length.

    Args:
        at: the place to show; both ends when None.
    """
    if len(text) <= limit:
        return text, ""
    said = f" ({len(text):,} characters)"
    if at is None:
        head = limit * 2 // 3
        return f"{text[:head]}…{text[head - limit + 1 :]}", said
    start = max(0, min(at - limit // 3, len(text) - limit))
    cut = text[start : start + limit]
    return ("…" if start else "") + cut + ("…" if start + limit < len(text) else ""), said


def show(value: Any, limit: int | None = LIMIT, at: int | None = None) -> str:
    """A value on one line. `limit` None shows all of it."""
    match value:
        case SecretRef() | Secret():
            return SENSITIVE
        case FileRef():
            return quoted(value.path) + (f" (sha256 {outside(value.sha256[:12])})" if value.sha256 else "")
        case Ref():
            return show(value.name, limit, at)
        case str():
            text, said = shorten(value, limit, at) if limit else (value, "")
            return quoted(text) + said
        case Mapping() | list() | tuple():
            text, said = shorten(_compact(value), limit, at) if limit else (_compact(value), "")
            return outside(text) + said
    return outside(_scalar(value))


def _compact(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quoted(str(key))}: {_compact(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_compact(member) for member in value) + "]"
    return show(value, None)


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, bool | float):
        return json.dumps(value)
    if isinstance(value, int):
        # Python refuses to write an integer of more than 4,300 digits in decimal.
        return str(value) if value.bit_length() < 10_000 else hex(value)
    return f"({type(value).__name__})"


def identity(value: Any) -> Any:
    """What two values must share to be the same one, hashable: 1, 1.0, true and "1" all differ."""
    if value is None or isinstance(value, str | bool | int | float):
        return type(value), value
    if isinstance(value, Secret):
        return Secret, ""
    return "json", json.dumps(_plain(value), sort_keys=True, ensure_ascii=True, default=lambda odd: type(odd).__name__)


def _plain(value: Any) -> Any:
    match value:
        case Secret():
            return SENSITIVE
        case Mapping():
            return {str(key): _plain(member) for key, member in value.items()}
        case list() | tuple():
            return [_plain(member) for member in value]
    return to_json(value)


def arrow(before: Any, after: Any, limit: int | None = LIMIT) -> str:
    """`before -> after`; only what there is of the two. Two that look alike when shortened are cut where they part."""
    if before is None:
        return show(after, limit)
    if after is None:
        return show(before, limit)
    if identity(before) == identity(after):
        return show(after, limit)
    left, right = apart(before, after, limit)
    return f"{left} -> {right}"


def apart(one: Any, other: Any, limit: int | None = LIMIT) -> tuple[str, str]:
    """Two values that differ, each on one line, so that the difference can be seen."""
    left, right = show(one, limit), show(other, limit)
    if left == right:
        at = _parting(one, other)
        left, right = show(one, limit, at), show(other, limit, at)
    if look_alike(left, right):
        return spelled_out(left), spelled_out(right)
    return left, right


def _parting(before: Any, after: Any) -> int:
    one = before if isinstance(before, str) else _compact(before)
    two = after if isinstance(after, str) else _compact(after)
    for at, (left, right) in enumerate(zip(one, two, strict=False)):
        if left != right:
            return at
    return min(len(one), len(two))


def is_text_block(before: Any, after: Any) -> bool:
    """Whether the two are shown as a difference of lines."""
    return (
        isinstance(before, str)
        and isinstance(after, str)
        and ("\n" in before or "\n" in after)
        and before.count("\n") + after.count("\n") <= _DIFF_LINES
    )


def line_diff(before: str, after: str, limit: int | None = 24) -> Iterator[tuple[str, str]]:
    """
    The lines of two texts that differ, with one line of context: `(symbol, text)`.

    Args:
        limit: lines shown at most; the rest is counted.
    """
    lines = [
        line
        for line in difflib.unified_diff(before.split("\n"), after.split("\n"), n=1, lineterm="")
        if not line.startswith(("---", "+++"))
    ]
    lines = lines if lines[:1] != ["@@"] else lines[1:]
    unseen = _unseen(lines)
    most = lines if limit is None or len(lines) <= limit else lines[: limit - 1]
    for at, line in enumerate(most):
        if line.startswith("@@"):
            if at:
                yield " ", "…"
            continue
        text, said = shorten(line[1:], LIMIT * 2)
        shown = spelled_out(outside(text)) if line[:1] in "+-" and line[1:] in unseen else outside(text)
        yield line[0].strip() or " ", shown + said
    if len(most) < len(lines):
        yield " ", f"… and {len(lines) - len(most):,} lines more"


def _unseen(lines: list[str]) -> set[str]:
    """Lines that go, and lines that come and look the same."""
    sides: dict[str, dict[str, str]] = {"-": {}, "+": {}}
    for line in lines:
        if line[:1] in sides and not line.isascii():
            sides[line[0]][unicodedata.normalize("NFKC", line[1:])] = line[1:]
    gone, come = sides.values()
    return {side[form] for form in gone.keys() & come.keys() for side in (gone, come)}
