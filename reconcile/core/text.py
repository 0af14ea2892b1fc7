"""Strings that strangers wrote: the flaws of a name, and a form of a value that does not move a terminal."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import timedelta
from itertools import takewhile

# C0 and C1 controls, zero-width and bidirectional format characters, line and paragraph separators, lone surrogates.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e01ef]"
)


def printable(text: str) -> str:
    """`text` on one line, with everything that a terminal would act on, or an eye not see, written as an escape."""
    return _UNSEEN.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return _escape_char(found[0])


def _escape_char(char: str) -> str:
    code = ord(char)
    named = {9: r"\t", 10: r"\n", 13: r"\r"}.get(code)
    return named or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}")


def look_alike(one: str, other: str) -> bool:
    """True if two strings differ, and a reader cannot see it: composed or not, kinds of spaces, full width."""
    if one == other or (one.isascii() and other.isascii()):
        return False
    return unicodedata.normalize("NFKC", one) == unicodedata.normalize("NFKC", other)


def spelled_out(text: str) -> str:
    """`text` with all that is not ASCII as an escape, and its Unicode form, such as `Lo\\u0301dz (NFD)`."""
    forms = [form for form in ("NFC", "NFD") if unicodedata.is_normalized(form, text)]
    escaped = "".join(char if char.isascii() else _escape_char(char) for char in text)
    return escaped + (f" ({forms[0]})" if len(forms) == 1 else "")


def stored_otherwise(sent: object, stored: object) -> bool:
    """True if an API has a string that it was sent, and trimmed or composed it: nobody else wrote that."""
    if not (isinstance(sent, str) and isinstance(stored, str)) or sent == stored:
        return False
    return unicodedata.normalize("NFC", sent).strip() == unicodedata.normalize("NFC", stored).strip()


def side_by_side(one: str, other: str) -> tuple[str, str]:
    """Two strings that differ, each in quotation marks and so that the difference can be seen; cut where they part."""
    at = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    one, other = (printable(json.dumps(_around(text, at), ensure_ascii=False)) for text in (one, other))
    if look_alike(one, other):
        return spelled_out(one), spelled_out(other)
    return one, other


def _around(text: str, at: int) -> str:
    """Sixty characters of a text from a little before a place."""
    start = max(0, at - 20)
    return ("…" if start else "") + text[start : start + 60] + ("…" if len(text) > start + 60 else "")


def meant(word: str, found: str) -> str:
    """The question whether `found` was meant by `word`; of two that look the same, how each of them is written."""
    if look_alike(word, found):
        there, here = side_by_side(found, word)
        return f"{there} looks the same, and this is {here}: write both in one way"
    return f'Did you mean "{found}"?'


def flaw_in_name(name: str) -> str | None:
    """The reason that `name` cannot be a name or key, as the end of a sentence; None when it can."""
    if not name:
        return "is empty"
    if name in (".", ".."):
        return "cannot be used in a URL"
    if found := _UNSEEN.search(name):
        return f"has an invisible character: {printable(found[0])}"
    if unicodedata.normalize("NFC", name) != name:
        return "is not in Unicode's composed form (NFC), so that it looks like another name and is not it"
    if name != name.strip():
        return "begins or ends with a space"
    return None


def length_of(text: str) -> timedelta:
    """`7d`, `12h`, `30m`, `90s` as a length of time. Raises ValueError when it is none, or not longer than nothing."""
    units = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.isascii() or not number.isdecimal() or not 0 < int(number) < 10**6:
        raise ValueError("not a length of time")
    return timedelta(**{units[unit]: int(number)})
