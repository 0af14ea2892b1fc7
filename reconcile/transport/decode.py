"""
What an answer says: bytes → JSON, and an answer that is an error → `ApiError` with the vendor's own words.

Bounded: a body is inflated no further than `limit` bytes, so that a small answer cannot fill the memory. Duplicate
keys are taken as Python does (the last one counts): seeing them would cost every answer half of its decoding.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from reconcile.errors import AccessDenied, ApiError, Conflict, NotFound
from reconcile.transport.faults import Malformed

LIMIT = 64 * 1024 * 1024
"""Bytes of a decoded body. A page of 1,000 devices is 0.5 MB."""

_WORDS = 500  # characters of a vendor's message that are kept
_CLASSES = {401: AccessDenied, 403: AccessDenied, 404: NotFound, 409: Conflict}


def inflate(raw: bytes, encoding: str, limit: int = LIMIT) -> bytes:
    """
    The body without its `Content-Encoding`; we ask for gzip and accept nothing else.

    Raises:
        Malformed: another encoding, damaged or truncated data, or more than `limit` bytes.
    """
    if len(raw) > limit:
        raise Malformed(f"more than {limit} bytes")
    if encoding in ("", "identity") or not raw:
        return raw
    if encoding not in ("gzip", "x-gzip"):
        raise Malformed("an encoding that was not asked for")
    parts: list[bytes] = []
    room = limit
    while raw:  # a gzip stream may have several members
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            parts.append(member.decompress(raw, room + 1))
        except zlib.error:
            raise Malformed("damaged gzip data") from None
        room -= len(parts[-1])
        if room < 0:
            raise Malformed(f"more than {limit} bytes")
        if not member.eof:
            raise Malformed("truncated gzip data")
        raw = member.unused_data
    return b"".join(parts)


def read_json(body: bytes, content_type: str) -> Any:
    """
    The JSON value of a body, or None when the body is empty.

    Raises:
        Malformed: not JSON by its type or its content; NaN, infinity, or a number that no double holds.
    """
    if not body:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    if kind and kind not in ("application/json", "text/json") and not kind.endswith("+json"):
        raise Malformed(f"{printable(kind)[:60]} instead of JSON")
    value, flaw = _value(body)
    if flaw is not None:
        raise Malformed(flaw)
    return value


def _value(body: bytes) -> tuple[Any, str | None]:
    """The value, or what is wrong: a parser's error holds the whole text, so it must not become a context."""
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse, parse_float=_finite), None
    except UnicodeDecodeError:
        return None, "JSON that is not UTF-8"
    except json.JSONDecodeError as error:
        return None, f"not JSON, or not all of it (character {error.pos} of {len(error.doc)})"
    except RecursionError:
        return None, "JSON that is nested too deep"
    except ValueError:  # an integer of more digits than Python reads
        return None, "a number without bounds"


def api_error(
    method: str,
    path: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Iterable[str] = (),
) -> ApiError:
    """
    The error that an answer of 400 or above is.

    Reads the shapes of our APIs: `{code, message, detail}` (Twilio), `{type, message, fields: [{name, message}],
    request_id}` (Device Management, whose `code` only repeats the status), and plain text (trackers). Anything else
    has no message.

    Args:
        secrets: what the request carried; blotted out where the API echoes it.
    """
    hidden = sorted({form for secret in secrets if secret for form in _forms(secret)}, key=len, reverse=True)

    def words(text: Any) -> str | None:
        if not isinstance(text, str | int) or isinstance(text, bool):
            return None
        shown = str(text)
        for secret in hidden:  # in capitals or not: an API may have a spelling of its own
            shown = re.sub(re.escape(secret), "(sensitive value)", shown, flags=re.IGNORECASE)
        return printable(shown.strip())[:_WORDS] or None

    code = message = None
    given = request_id(headers)
    value = _lenient(body)
    if isinstance(value, dict):
        code = words(value["type"]) if isinstance(value.get("type"), str) else words(value.get("code"))
        said = [words(value.get("message")), words(value.get("detail"))]
        for fault in value.get("fields") or () if isinstance(value.get("fields"), list) else ():
            if isinstance(fault, dict):
                said.append(": ".join(filter(None, (words(fault.get("name")), words(fault.get("message"))))))
        message = words("; ".join(part for part in said if part))
        given = given or words(value.get("request_id"))
    elif value is None and _is_text(headers.get("content-type", "")):
        message = words(body.decode(errors="replace"))
    return _CLASSES.get(status, ApiError)(method, path, status, code, message, words(given))


def request_id(headers: Mapping[str, str]) -> str | None:
    """What the vendor's support asks for: `X-Request-ID` (Device Management) or `Twilio-Request-Id`."""
    given = headers.get("x-request-id") or headers.get("twilio-request-id")
    return printable(given)[:64] if given else None


def printable(text: str) -> str:
    """`text` with everything but printable characters escaped, so that no terminal obeys it."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _lenient(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _is_text(content_type: str) -> bool:
    """Plain text or nothing said; a page of HTML is nobody's message."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in ("", "text/plain") or kind.endswith("json")


_HEX_KEY = re.compile(r"0[xX][0-9a-fA-F]{16,}")


def _forms(secret: str) -> set[str]:
    """A secret as an API may repeat it: as it is, percent-encoded, in JSON, in Python's notation."""
    try:
        encoded = {quote(secret, safe=""), quote_plus(secret), quote(secret)}
    except UnicodeEncodeError:
        encoded = set()
    texts = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    bare = {secret[2:]} if _HEX_KEY.fullmatch(secret) else set()
    return {secret, secret.strip(), *encoded, *texts, *bare} - {""}


def _refuse(name: str) -> Any:
    raise Malformed(f"{name}, which is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Malformed("a number without bounds")
    return number
