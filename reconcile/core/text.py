"""Strings that strangers wrote: the flaws of a name, and a form of a value that does not move a terminal."""

from __future__ import annotations

import re
import unicodedata

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
    code = ord(found[0])
    named = {9: r"\t", 10: r"\n", 13: r"\r"}.get(code)
    return named or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}")


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
