"""
What an answer says: bytes → JSON, and an answer that is an error → `ApiError` with the vendor's own words.

Bounded: see `pieces`. Duplicate keys are taken as Python does (the last one counts): seeing them would cost every
answer half of its decoding.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from reconcile.errors import AccessDenied, ApiError, Conflict, NotFound
from reconcile.transport import pieces
from reconcile.transport.faults import Malformed
from reconcile.transport.pieces import LIMIT, Work, inflating, whole

_WORDS = 500  # characters of a vendor's message that are kept
_KINDS = ("text/html", "text/plain", "text/xml", "application/xml", "application/xhtml+xml", "application/octet-stream")
"""Of bodies, that are named when they come in place of JSON. Any other may hold what the server likes."""

_CLASSES = {401: AccessDenied, 403: AccessDenied, 404: NotFound, 409: Conflict}


def inflate(raw: bytes, encoding: str, limit: int = LIMIT) -> bytes:
    """All of `pieces.inflating` at once."""
    return whole(inflating(raw, encoding, limit))


def read_json(body: bytes, content_type: str) -> Any:
    """All of `reading` at once."""
    return whole(reading(body, content_type))


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
