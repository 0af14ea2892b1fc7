"""
Which of a vendor's words may be shown: those that cannot hold a secret of the request that they answer.

An API that refuses a request may repeat what it was sent, in a spelling of its own. So the words are undone, not the
secrets spelled: escapes, entities, hex and base64 are taken off layer by layer, until nothing changes, and every layer
is held against the secrets. Pure, and bounded: only what would be shown is looked at.
"""

from __future__ import annotations

import html
import re
import unicodedata
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence

WITHHELD = "(words withheld)"
LONGEST = 500  # characters of a vendor's message that are kept

_WINDOW = 8  # characters in a row of a secret that are too many
_PEELS = 3  # layers of base64 or hex, one within the other
_DEEP = 4  # escapes within escapes, in each layer
_MOST = 1000  # texts that are looked at; words that may stand for more are withheld

_ENTITY = re.compile(r"(&#(?:[xX]0*[0-9a-fA-F]{1,6}|0*[0-9]{1,7}))(?![0-9a-fA-F;])")
_BYTES = re.compile(r"(?:[%][0-9a-fA-F]{2})+"), re.compile(r"(?:=[0-9a-fA-F]{2})+")
_BACKSLASH = re.compile(
    r"((?:\\x[0-9a-fA-F]{2})+)|(?:\\u\{([0-9a-fA-F]{1,6})\}|\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8}))|((?:\\[0-3][0-7]{2})+)|\\(.)"
)
_PERCENT_U = re.compile(r"%u([0-9a-fA-F]{4})")
_PAIRS = re.compile(r"[\ud800-\udbff][\udc00-\udfff]")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{2,}")
_HEX = re.compile(r"[0-9a-fA-F]{2,}")
_BETWEEN_HEX = re.compile(r"\\x|0[xX]|[\s:;,._|-]")
_BLANKS = re.compile(r"\s+")
_URL_SAFE = str.maketrans("-_", "+/")
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)  # shown as nothing, and yet letters or marks to Unicode
_CODE = re.compile(r"[0-9]+|[A-Z][A-Z0-9_]+")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}")
_HEX_KEY = re.compile(r"(?:0[xX])?((?:[0-9a-fA-F]{2}){8,})")


class Hidden:
    """
    The secrets of one request.

    Args:
        secrets: of which eight characters in a row are too many, and all of one that is shorter.
        others: what went beside them: of these, eight characters; a shorter one says nothing.
    """

    def __init__(self, secrets: Iterable[str], others: Iterable[str] = ()) -> None:
        long, short = set[str](), set[str]()
        for secret in {*secrets}:
            (long if len(_folded(secret)) >= _WINDOW else short).add(secret)
        self.long = frozenset(long | {other for other in others if len(_folded(other)) >= _WINDOW})
        self.short = frozenset(secret for secret in short if _folded(secret))

    def holds(self, words: str) -> bool:
        """Whether `words` hold a part of a secret that must not be shown, in any spelling."""
        return bool(self.long or self.short) and _holds(words, self.long, self.short)

    def spares(self, code: str) -> bool:
        """Whether a code, which is shown even where words are not, is no secret itself; a short one may be in it."""
        held = bool(self.long) and _holds(code, self.long, frozenset())
        return not held and _folded(code) not in {_folded(secret) for secret in self.short}


NOTHING = Hidden(())


def said(parts: Sequence[str], hidden: Hidden, *, hush: bool) -> str | None:
    """
    What is shown of the parts of a message: their words, `(words withheld)`, or nothing where nothing was said.

    Args:
        hush: whether words are withheld though they hold no secret; codes never are.
    """
    parts = [part.strip()[:LONGEST] for part in parts if part.strip()]
    whole = "; ".join(parts)[:LONGEST]
    if not whole or (not hush and not hidden.holds(whole)):
        return whole or None
    codes = [part for part in parts if is_code(part)]
    if not hidden.spares("; ".join(codes)):
        return WITHHELD
    return "; ".join(codes if len(codes) == len(parts) else [*codes, WITHHELD])


def is_code(text: str) -> bool:
    """A number, or a bare word in capitals: `20404`, `INVALID_PERIOD`."""
    return len(text) <= 64 and _CODE.fullmatch(text) is not None


def is_type(text: str) -> bool:
    """An error's type as APIs write it: `validation_error`."""
    return _TYPE.fullmatch(text) is not None


def _holds(words: str, long: frozenset[str], short: frozenset[str]) -> bool:
    layers = _layers(words, bool(short))
    if layers is None:
        return True
    spellings = {_folded(text) for text in layers}
    if any(_folded(secret) in text for secret in short for text in spellings):
        return True
    spellings |= {_bare(text) for text in spellings}
    windows = {text[at : at + _WINDOW] for text in spellings for at in range(len(text) - _WINDOW + 1)}
    return any(
        text[at : at + _WINDOW] in windows
        for secret in long
        for text in _forms(secret)
        for at in range(len(text) - _WINDOW + 1)
    )


def _forms(secret: str) -> Iterator[str]:
    """A secret as it is looked for: with and without its punctuation, and a key in hex also as the bytes that it is."""
    yield (folded := _folded(secret))
    if (bare := _bare(folded)) != folded:
        yield bare
    if key := _HEX_KEY.fullmatch(secret.strip()):
        yield _folded(_text(bytes.fromhex(key[1])))


def _layers(words: str, short: bool) -> set[str] | None:
    """What the words may stand for: themselves, without their escapes, without base64 and hex. None: for too much."""
    seen: set[str] = set()
    layer = {_visible(words)}
    for peel in range(_PEELS + 1):
        found = layer - seen
        fresh = found
        for _ in range(_DEEP):
            fresh = {undone for text in fresh for undone in _undone(text)} - found
            found |= fresh
            if len(found) + len(seen) > _MOST:
                return None
        seen |= found
        if peel < _PEELS:
            layer = {_visible(peeled) for text in found for peeled in _peeled(text, short)}
    return seen


def _undone(text: str) -> Iterator[str]:
    """The text without one kind of escape: each kind by itself, since what one leaves may look like another."""
    if "&" in text:
        yield _visible(html.unescape(_ENTITY.sub(r"\1;", text)))
    if "%" in text:
        yield _visible(_paired(_PERCENT_U.sub(lambda found: chr(int(found[1], 16)), _bytes(text, _BYTES[0]))))
        if "+" in text:  # of a form, where it is a blank
            yield text.replace("+", " ")
    if "=" in text:
        yield _visible(_bytes(text, _BYTES[1]))
    if "\\" in text:
        yield _visible(_paired(_BACKSLASH.sub(_escape, text)))


def _bytes(text: str, escaped: re.Pattern[str]) -> str:
    return escaped.sub(lambda found: _text(bytes.fromhex(re.sub("[%=]", "", found[0]))), text)


def _escape(found: re.Match[str]) -> str:
    raw, wide, four, eight, octal, letter = found.groups()
    if raw is not None:
        return _text(bytes.fromhex(raw.replace("\\x", "")))
    if letter is not None:
        return _LETTERS.get(letter, letter)
    if octal is not None:
        return _text(bytes(int(digits, 8) for digits in octal[1:].split("\\")))
    code = int(wide or four or eight, 16)
    return chr(code) if code < 0x110000 else ""


def _paired(text: str) -> str:
    """Halves of a character, as JSON escapes them, put together."""
    return _PAIRS.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)


def _peeled(text: str, short: bool) -> Iterator[str]:
    """What is left when base64 and hex are undone, wherever in a run of their letters they begin."""
    least = 1 if short else _WINDOW
    runs = [run for run in _BASE64.findall(_BLANKS.sub("", text).translate(_URL_SAFE)) if len(run) * 3 >= least * 4]
    for at in range(4 if runs else 0):
        yield " ".join(_text(_base64(run[at:])) for run in runs)
    runs = [run for run in _HEX.findall(_BETWEEN_HEX.sub("", text)) if len(run) >= least * 2]
    for at in range(2 if runs else 0):
        yield " ".join(_text(bytes.fromhex(run[at : at + (len(run) - at) // 2 * 2])) for run in runs)


def _base64(run: str) -> bytes:
    run = run[:-1] if len(run) % 4 == 1 else run
    return b64decode(run + "=" * (-len(run) % 4))


def _text(data: bytes) -> str:
    """Bytes as text: UTF-8, and what is none as Latin-1; without the zeros of UTF-16."""
    text = data.replace(b"\0", b"").decode("utf-8", "surrogateescape")
    return "".join(chr(ord(char) - 0xDC00) if "\udc80" <= char <= "\udcff" else char for char in text)


def _visible(text: str) -> str:
    """Without what nobody sees: control characters, line breaks, joiners, marks of direction, empty letters."""
    if text.isascii() and text.isprintable():
        return text
    text = _UNSEEN.sub("", text)
    return "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cf", "Zl", "Zp"))


def _folded(text: str) -> str:
    """The form in which texts are compared: neither capitals nor ways to write one letter count."""
    text = _visible(text)
    return text.casefold() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def _bare(text: str) -> str:
    """Letters and digits alone: blanks, marks and accents between them do not make another text."""
    return "".join(filter(str.isalnum, text if text.isascii() else unicodedata.normalize("NFKD", text)))
