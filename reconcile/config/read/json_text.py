"""JSON text → plain data: tables and variables. Nothing is rounded, doubled, or larger than it needs to be."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from reconcile.config.expressions.coerce import Spelled, shown
from reconcile.config.report import no_such_characters

MAX_VALUES = 8_000_000  # of a file: lists in lists are two bytes each in the file and sixty in memory


def first_twice(names: Sequence[str]) -> str | None:
    """The first of the names that is there twice, or None."""
    if len(set(names)) == len(names):
        return None
    return next(name for name, times in Counter(names).items() if times > 1)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"key {shown(first_twice([name for name, _ in pairs]))} is given twice")
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a number that JSON has")


def json_data(text: str) -> Any:
    """
    JSON as plain data, whose numbers remember their spelling.

    Raises:
        ValueError: it is none, gives a key twice, or has more than `MAX_VALUES`.
        Flaw: it spells a character that no text has.
    """
    if len(text) > MAX_VALUES and text.count(",") + text.count("[") + text.count("{") > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES:,} values")
    found = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constant, parse_float=_float)
    if _ESCAPED.search(text):
        _check_texts(found)
    return found


# An escape that may be U+0000 or half of a pair: only then the texts are looked at.
_ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


def _check_texts(found: Any) -> None:
    left = [found]
    while left:
        one = left.pop()
        if isinstance(one, str):
            no_such_characters(one)
        elif isinstance(one, dict):
            left += one
            left += one.values()
        elif isinstance(one, list):
            left += one


def _float(text: str) -> float:
    found = Spelled(text)
    if found in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is too large a number")
    return found
