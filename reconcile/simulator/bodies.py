"""
Bodies that clients send: forms, and the parts of an upload. Bytes in, text and parts out; `BodyError` says
what is wrong.
"""

import re
from email.message import Message
from urllib.parse import unquote_to_bytes

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

_MAX_FIELDS = 1000
_MAX_PART_HEADER = 16 * 1024


class BodyError(ValueError):
    """A body that cannot be read; `status` is what it deserves."""

    def __init__(self, message: str, status: int = 400) -> None:
        self.status = status
        super().__init__(message)


def form(content_type: str, body: bytes) -> dict[str, str]:
    """
    The fields of a form, the last of each name. Text is UTF-8, whatever `charset` says.

    Raises:
        BodyError: another content type (415), not UTF-8, or too many fields.
    """
    if not body:
        return {}
    if media_type(content_type) != FORM:
        raise BodyError(f"the content type must be {FORM}", 415)
    fields: dict[str, str] = {}
    pairs = body.split(b"&", _MAX_FIELDS)
    if len(pairs) > _MAX_FIELDS:
        raise BodyError(f"more than {_MAX_FIELDS} fields")
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        try:
            fields[_field(name)] = _field(value)
        except UnicodeDecodeError:
            raise BodyError("the form is not UTF-8") from None
    fields.pop("", None)
    return fields


def _field(raw: bytes) -> str:
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode()


def media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def parts(content_type: str, body: bytes) -> dict[str, memoryview]:
    """
    The parts of a multipart form by name, not copied.

    Raises:
        BodyError: another content type (415), no boundary, or parts that do not follow RFC 7578.
    """
    if media_type(content_type) != MULTIPART:
        raise BodyError(f"the content type must be {MULTIPART}", 415)
    boundary = _parameter(content_type, "boundary")
    if not boundary or len(boundary) > 200 or not boundary.isascii():
        raise BodyError("multipart without a boundary")
    mark = b"--" + boundary.encode()
    view = memoryview(body)
    found: dict[str, memoryview] = {}
    at = 0 if body.startswith(mark) else body.find(b"\r\n" + mark) + 2
    if at == 1:
        raise BodyError("multipart without its boundary in the body")
    while True:
        at += len(mark)
        if body[at : at + 2] == b"--":
            return found
        line_end = body.find(b"\r\n", at, at + 1000)
        head_end = body.find(b"\r\n\r\n", max(line_end, at), at + _MAX_PART_HEADER)
        end = body.find(b"\r\n" + mark, head_end + 2)
        if line_end < 0 or head_end < 0 or end < 0:
            raise BodyError("a part of the multipart body does not end")
        found.setdefault(_part_name(body[line_end + 2 : head_end]), view[head_end + 4 : max(end, head_end + 4)])
        if len(found) > _MAX_FIELDS:
            raise BodyError(f"more than {_MAX_FIELDS} parts")
        at = end + 2


_DISPOSITION = re.compile(rb"content-disposition:([^\r\n]*)", re.IGNORECASE)


def _part_name(header: bytes) -> str:
    line = _DISPOSITION.search(header)
    if line is None:
        raise BodyError("a part without Content-Disposition")
    return _parameter(line[1].decode("utf-8", "replace"), "name") or ""


def _parameter(header: str, name: str) -> str | None:
    message = Message()
    try:
        message["Content-Type"] = header.strip().replace("\n", " ").replace("\r", " ")
        value = message.get_param(name)
    except (ValueError, TypeError, IndexError, LookupError):
        return None
    return value if isinstance(value, str) else None
