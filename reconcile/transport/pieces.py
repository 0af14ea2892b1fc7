"""
Work on an answer, cut into pieces: bytes are inflated and JSON is read so that nothing else waits for long.

Both are generators: they yield where others may have their turn, and return what they made. An answer of usual size is
one piece. What is too much is refused before it is built, and everything costs in proportion to its length: 16
members, since each costs a start of its own; 500,000 values, since each costs fifty times the two bytes that it takes.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Generator
from typing import Any, TypeVar

from reconcile.transport.faults import Malformed

T = TypeVar("T")
Work = Generator[None, None, T]

LIMIT = 32 * 1024 * 1024
"""Bytes of a decoded body. A page of 1,000 devices is 0.5 MB, one of 1,000 configs of the longest kind 4 MB."""

MEMBERS = 16  # of a gzip stream; servers send one
VALUES = 500_000  # of a JSON text: objects, arrays, and what is in them

_IN, _OUT = 64 * 1024, 2 * 1024 * 1024  # bytes that are inflated at once, before and after
_SMALL, _LARGE, _FEW = 768 * 1024, 8 * 1024 * 1024, 100_000  # what is read in one go took 95 ms at most
_VALUES_AT_ONCE, _CHARACTERS_AT_ONCE = 10_000, 1024 * 1024
_DEEPEST = 900  # as deep as Python's own decoder goes
_DIGITS = 400  # of an integer: a double has 309, and what Python makes of thousands is quadratic

_NO_COMMAS = b",[{"
_blanks = re.compile(r"[ \t\n\r]*").match


def whole(work: Work[T]) -> T:
    """The result, in one go."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: T = done.value
            return result


def inflating(raw: bytes, encoding: str, limit: int = LIMIT) -> Work[bytes]:
    """
    The body without its `Content-Encoding`; we ask for gzip and accept nothing else.

    Raises:
        Malformed: another encoding, damaged or truncated data, more than `limit` bytes or 16 members.
    """
    if len(raw) > limit:
        raise Malformed(f"more than {limit} bytes")
    if encoding in ("", "identity") or not raw:
        return raw
    if encoding not in ("gzip", "x-gzip"):
        raise Malformed("an encoding that was not asked for")
    pieces: list[bytes] = []
    at = size = rested = 0
    for _ in range(MEMBERS):
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        full = False
        while not member.eof:
            given = member.unconsumed_tail
            if not given:
                given = raw[at : at + _IN]
                at += len(given)
            if not given and not full:
                raise Malformed("truncated gzip data")
            try:
                pieces.append(member.decompress(given, _OUT))
            except zlib.error:
                raise Malformed("damaged gzip data") from None
            full = len(pieces[-1]) == _OUT
            size += len(pieces[-1])
            if size > limit:
                raise Malformed(f"more than {limit} bytes")
            if size - rested >= _OUT:
                rested = size
                yield
        at -= len(member.unused_data)
        if at == len(raw):
            return b"".join(pieces)
    raise Malformed(f"more than {MEMBERS} gzip members")


def reading(body: bytes) -> Work[Any]:
    """
    The JSON value of a body.

    Raises:
        Malformed: not JSON, more than 500,000 values, nested too deep; NaN, infinity, or a number that no double holds.
    """
    flaw = None  # a parser's error holds the whole text, so none of them may become a context
    try:
        text = body.removeprefix(b"\xef\xbb\xbf").decode()
        if len(body) <= _SMALL or (len(body) <= _LARGE and _most_values(body) <= _FEW):
            return _decoder.decode(text)
        yield
        return (yield from _walk(text))
    except UnicodeDecodeError:
        flaw = "JSON that is not UTF-8"
    except json.JSONDecodeError as error:
        flaw = f"not JSON, or not all of it (character {error.pos} of {len(error.doc)})"
    except RecursionError:
        flaw = "JSON that is nested too deep"
    raise Malformed(flaw)


def _most_values(body: bytes) -> int:
    """As many as there are values, or more: each but the first comes after one of these, which texts may hold too."""
    return 1 + len(body) - len(body.translate(None, _NO_COMMAS))


def _walk(text: str) -> Work[Any]:
    """The value of a large text: the containers are made here, what is in them is read by Python's own decoder."""
    top: list[Any] = []
    within: list[Any] = [top]  # the containers that are open
    into: Any = top
    key: str | None = None
    at = _blanks(text, 0).end()  # type: ignore[union-attr]
    values, rest_at = 0, _CHARACTERS_AT_ONCE
    try:
        while True:
            # A value begins here.
            values += 1
            if values > VALUES:
                raise Malformed(f"more than {VALUES:,} JSON values")
            if values % _VALUES_AT_ONCE == 0 or at >= rest_at:
                rest_at = at + _CHARACTERS_AT_ONCE
                yield
            opening = text[at]
            value: Any
            if opening == "{" or opening == "[":
                value = {} if opening == "{" else []
                at = _blanks(text, at + 1).end()  # type: ignore[union-attr]
            else:
                value, at = _scan(text, at)
            if key is None:
                into.append(value)
            else:
                into[key] = value
            if opening == "{" or opening == "[":
                within.append(value)
                into = value
                if len(within) > _DEEPEST:
                    raise RecursionError
                if text[at] != ("}" if opening == "{" else "]"):
                    key, at = _key(text, at) if opening == "{" else (None, at)
                    continue
            else:
                at = _blanks(text, at).end()  # type: ignore[union-attr]
                if into is top:
                    break
            at = _closed(text, at, within)
            into = within[-1]
            if into is top:
                break
            if text[at] != ",":
                raise json.JSONDecodeError("", text, at)
            at = _blanks(text, at + 1).end()  # type: ignore[union-attr]
            key, at = _key(text, at) if type(into) is dict else (None, at)
    except IndexError:
        at = len(text)
        top.clear()
    if at != len(text) or not top:
        raise json.JSONDecodeError("", text, at)
    return top[0]


def _closed(text: str, at: int, within: list[Any]) -> int:
    """Where the text goes on after a value and after all that ends with it, which is taken off the open ones."""
    while len(within) > 1 and text[at] == ("}" if type(within[-1]) is dict else "]"):
        within.pop()
        at = _blanks(text, at + 1).end()  # type: ignore[union-attr]
    return at


def _key(text: str, at: int) -> tuple[str, int]:
    """The name of a member and where its value begins."""
    if text[at] != '"':
        raise json.JSONDecodeError("", text, at)
    key, at = json.decoder.scanstring(text, at + 1, True)  # type: ignore[attr-defined]
    at = _blanks(text, at).end()  # type: ignore[union-attr]
    if text[at] != ":":
        raise json.JSONDecodeError("", text, at)
    return key, _blanks(text, at + 1).end()  # type: ignore[union-attr]


def _scan(text: str, at: int) -> tuple[Any, int]:
    try:
        found: tuple[Any, int] = _decoder.scan_once(text, at)  # type: ignore[attr-defined]
        return found
    except StopIteration:
        pass
    raise json.JSONDecodeError("", text, at)


def _refuse(name: str) -> Any:
    raise Malformed(f"{name}, which is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Malformed("a number without bounds")
    return number


def _bounded(text: str) -> int:
    if len(text) > _DIGITS:
        raise Malformed("a number without bounds")
    return int(text)


_decoder = json.JSONDecoder(parse_float=_finite, parse_int=_bounded, parse_constant=_refuse)
