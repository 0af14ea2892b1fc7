"""
What an answer says: bytes → JSON, and an answer that is an error → `ApiError` with the vendor's own words.

Bounded: see `pieces`. Duplicate keys are taken as Python does (the last one counts): seeing them would cost every
answer half of its decoding.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from reconcile.core.text import printable
from reconcile.errors import AccessDenied, ApiError, Conflict, NotFound
from reconcile.transport import pieces
from reconcile.transport.exchange import Received
from reconcile.transport.faults import Malformed
from reconcile.transport.pieces import LIMIT, Work, inflating, whole
from reconcile.transport.words import LONGEST, NOTHING, WITHHELD, Hidden, is_code, is_type, said

_KINDS = ("text/html", "text/plain", "text/xml", "application/xml", "application/xhtml+xml", "application/octet-stream")
"""Of bodies, that are named when they come in place of JSON. Any other may hold what the server likes."""

_CLASSES = {401: AccessDenied, 404: NotFound, 409: Conflict}

# A 403 to a write is about that write (a quota, a licence), unless its code or type names the key. 20003 is Twilio's
# "Authenticate".
_OF_THE_KEY = re.compile(r"20003|.*(api_?key|access_?key|token|credential|authenticat|unauthorized).*", re.IGNORECASE)
_WORD = re.compile(r"[A-Z][A-Z0-9_]{2,63}", re.ASCII)  # an error of Device Management's v2, as a bare JSON string


def inflate(raw: bytes, encoding: str, limit: int = LIMIT) -> bytes:
    """All of `pieces.inflating` at once."""
    return whole(inflating(raw, encoding, limit))


def reading(body: bytes, content_type: str) -> Work[Any]:
    """
    The JSON value of a body, or None when the body is empty.

    Raises:
        Malformed: not JSON by its type, or what `pieces.reading` refuses.
    """
    if not body:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    if kind and kind not in ("application/json", "text/json") and not kind.endswith("+json"):
        raise Malformed(f"{kind if kind in _KINDS else 'another type'} instead of JSON")
    return (yield from pieces.reading(body))


def api_error(
    method: str,
    path: str,
    received: Received,
    hidden: Hidden = NOTHING,
    *,
    hush: bool = False,
) -> ApiError:
    """
    The error that an answer of 400 or above is.

    Reads the shapes of our APIs: `{code, message, detail}` (Twilio), `{type, message, fields: [{name, message}],
    request_id}` or a bare word (Device Management, whose `code` only repeats the status), and plain text (trackers).
    Anything else has no message.

    Args:
        received: its body decoded.
        hidden: what the request carried; words that hold a part of it are withheld.
        hush: whether words are withheld in any case. Codes never are, unless they are a secret themselves.
    """
    status, headers, body = received.status, received.headers, received.body
    code: str | None = None
    parts: list[str] = []
    given = request_id(headers)
    value = _lenient(body)
    if isinstance(value, dict):
        typed = isinstance(value.get("type"), str)
        code = _words(value["type"] if typed else value.get("code"))
        fixed = is_code(code) or (typed and is_type(code))
        if code and not (hidden.spares(code) and (fixed or not (hush or hidden.holds(code)))):
            code, parts = None, [WITHHELD]
        parts += [_words(value.get(name)) for name in ("message", "detail", "error")]
        for fault in value.get("fields") or () if isinstance(value.get("fields"), list) else ():
            if isinstance(fault, dict):
                parts.append(": ".join(filter(None, (_words(fault.get("name")), _words(fault.get("message"))))))
        given = given or _words(value.get("request_id"))
    elif isinstance(value, str) and value:
        code = value if _WORD.fullmatch(value) and hidden.spares(value) else None
        parts = [] if code else [value]
    elif value is None and _is_text(headers.get("content-type", "")):
        parts = [body[: 4 * LONGEST].decode(errors="replace")]
    message = said(parts, hidden, hush=hush)
    if given is not None and not hidden.spares(given):
        given = None
    of_key = status == 403 and (method == "GET" or (code is not None and _OF_THE_KEY.fullmatch(code) is not None))
    made = AccessDenied if of_key else _CLASSES.get(status, ApiError)
    return made(method, path, status, _short(code), _short(message), given and _short(given, 64))


def request_id(headers: Mapping[str, str]) -> str | None:
    """What the vendor's support asks for: `X-Request-ID` (Device Management) or `Twilio-Request-Id`."""
    given = headers.get("x-request-id") or headers.get("twilio-request-id")
    return printable(given)[:64] if given else None


def _words(value: Any) -> str:
    """A text or a number of an answer; anything else says nothing."""
    return str(value)[:LONGEST].strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _short(text: str | None, most: int = LONGEST) -> str | None:
    return printable(text)[:most] if text else None


def _lenient(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _is_text(content_type: str) -> bool:
    """Plain text or nothing said; a page of HTML is nobody's message."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in ("", "text/plain") or kind.endswith("json")
