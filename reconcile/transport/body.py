"""
The encoder: what a request carries, as bytes. The one place in the transport that reveals secrets.

A body is made for one attempt and dropped with it; it has no repr that shows it, and no error made here holds a value.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlencode

from reconcile.core.values import Secret
from reconcile.errors import InvalidInput, Problem
from reconcile.files import NotRead, open_anywhere
from reconcile.transport.exchange import Auth, BasicAuth, Form, Piece, Upload
from reconcile.transport.words import Hidden

_CHUNK = 64 * 1024
_AGAIN = "Nothing of it was accepted; plan again"
_IN_QUOTES = str.maketrans({'"': "%22", **{chr(code): f"%{code:02X}" for code in (*range(32), 127)}})


@dataclass(frozen=True, slots=True)
class Body:
    """
    Attributes:
        content_type: the header, or None when there is no body.
        md5: of the body, as the header has it, or None.
        length: in bytes, exactly what `chunks` yields.
        chunks: begins at the first byte every time it is called; raises InvalidInput when a file has changed.
    """

    content_type: str | None = None
    length: int = 0
    chunks: Callable[[], Iterator[bytes]] = field(default=lambda: iter(()), repr=False)
    md5: str | None = None


def encode(
    *,
    form: Form | None = None,
    json_value: Any = None,
    files: Mapping[str, Upload] | Piece | None = None,
    rng: random.Random,
) -> Body:
    """
    The body of a request: a piece of a file, multipart with `files`, else a form, else JSON, else nothing.

    Args:
        rng: draws the boundary of a multipart body.

    Raises:
        InvalidInput: a value that has no encoding (NaN, text that is not Unicode), or a file that cannot be read. The
            message names the field and never the value.
    """
    if isinstance(files, Piece):
        md5 = b64encode(hashlib.md5(files.content, usedforsecurity=False).digest()).decode()
        return replace(_whole(files.content_type, files.content), md5=md5)
    if files is not None:
        return _multipart(form or {}, files, f"{rng.getrandbits(128):032x}")
    if form is not None:
        fields = urlencode({name: _utf8(name, value) for name, value in form.items()})
        return _whole("application/x-www-form-urlencoded", fields.encode())
    if json_value is None:
        return Body()
    data = _json(json_value)
    if data is None:
        raise InvalidInput("the request's JSON body holds a value that JSON cannot carry")
    return _whole("application/json", data)


_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def authorization(auth: Auth) -> str:
    """
    The `Authorization` header.

    Raises:
        InvalidInput: the credentials hold what no header can carry; said without showing them.
    """
    if isinstance(auth, BasicAuth):
        user = auth.user.reveal() if isinstance(auth.user, Secret) else auth.user
        if ":" in user:
            raise InvalidInput("the user name of the credentials holds a colon, which HTTP Basic cannot carry")
        password = _utf8("password", auth.password)
        for name, part in (("user name", user), ("password", auth.password.reveal())):
            if found := _CONTROL.search(part):
                raise InvalidInput(
                    Problem(
                        f"the {name} of the credentials holds the control character U+{ord(found[0]):04X}",
                        hint="Look for a line break, or for what was pasted with it",
                    )
                )
        return f"Basic {b64encode(_utf8('user', user) + b':' + password).decode()}"
    token = auth.token.reveal()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput(
            Problem(
                "the API key is empty or holds spaces or characters that no header can carry",
                hint="Look for a line break at its end",
            )
        )
    return f"Bearer {token}"


def carried(auth: Auth | None, *bodies: Any) -> tuple[Hidden, bool]:
    """
    What no answer to a request may show, and whether there was a secret in its body.

    The password or token, the header's value as it is sent, and the secrets of the body; and where there is one, also
    whatever went beside it. The user's name is no secret, nor is the value of a body that has none.
    """
    secrets, others = [], []
    if auth is not None:
        user, word = (auth.user, auth.password) if isinstance(auth, BasicAuth) else ("", auth.token)
        secrets += [leaf.reveal() for leaf in (user, word) if isinstance(leaf, Secret)]
        secrets.append(authorization(auth).partition(" ")[2])
    sensitive = False
    for leaf in _leaves(bodies):
        if isinstance(leaf, Secret):
            sensitive = True
            secrets.append(leaf.reveal())
        elif isinstance(leaf, str | int | float) and not isinstance(leaf, bool):
            others.append(str(leaf))
    return Hidden(secrets, others if sensitive else ()), sensitive


def _leaves(value: Any) -> Iterator[Any]:
    """Everything in a form or a JSON value that is neither a map nor a list."""
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, Mapping):
            stack.extend(one.values())
        elif isinstance(one, list | tuple):
            stack.extend(one)
        else:
            yield one


def _whole(content_type: str, data: bytes) -> Body:
    return Body(content_type, len(data), lambda: iter((data,)))


def _json(value: Any) -> bytes | None:
    """Compact JSON, or None: the errors of `json` and `encode` hold the value, so none of them may become a context."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_leaf)
        return text.encode()
    except (ValueError, TypeError, RecursionError):
        return None


def _leaf(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError("not JSON")


def _utf8(name: str, value: str | Secret) -> bytes:
    text = value.reveal() if isinstance(value, Secret) else value
    if any("\ud800" <= char <= "\udfff" for char in text):  # asked first: the error of `encode` holds the text
        raise InvalidInput(f"the value of {name} is not valid Unicode text")
    return text.encode()


def _multipart(form: Form, files: Mapping[str, Upload], boundary: str) -> Body:
    """RFC 7578; names and file names are escaped as browsers do, so that none of them can end its header."""
    parts: list[tuple[bytes, int, Callable[[], Iterator[bytes]]]] = []
    for name, value in form.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name.translate(_IN_QUOTES)}"\r\n\r\n'
        data = _utf8(name, value)
        parts.append((head.encode(), len(data), partial(iter, (data,))))
    for name, upload in files.items():
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name.translate(_IN_QUOTES)}"; '
            f'filename="{upload.filename.translate(_IN_QUOTES)}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        )
        size = _size(upload)
        parts.append((head.encode(), size, partial(_bytes_of, upload, size)))
    end = f"--{boundary}--\r\n".encode()

    def chunks() -> Iterator[bytes]:
        for head, _, content in parts:
            yield head
            yield from content()
            yield b"\r\n"
        yield end

    length = sum(len(head) + size + 2 for head, size, _ in parts) + len(end)
    return Body(f"multipart/form-data; boundary={boundary}", length, chunks)


def _size(upload: Upload) -> int:
    if isinstance(upload.content, bytes):
        return len(upload.content)
    with _open(upload) as file:
        return os.fstat(file.fileno()).st_size


def _open(upload: Upload) -> BinaryIO:
    assert not isinstance(upload.content, bytes)
    try:
        return open_anywhere(Path(upload.content))
    except NotRead as wrong:
        raise InvalidInput(f"{upload.content} {wrong.why}") from None


def pieces_of(upload: Upload, most: int) -> Iterator[bytes]:
    """
    The bytes in pieces of `most`, but for the last. That comes only when all were seen to be those that were planned.

    Raises:
        InvalidInput: it cannot be read, or has changed.
    """
    return _bytes_of(upload, _size(upload), most)


def _bytes_of(upload: Upload, size: int, most: int = _CHUNK) -> Iterator[bytes]:
    """
    The bytes, of which the last are held back until all were seen: a file that changed since its length or its
    checksum was taken is never sent to its end, so the API cannot take it for whole.
    """
    digest = hashlib.sha256()
    if isinstance(upload.content, bytes):
        digest.update(upload.content)
        _check_digest(upload, digest.hexdigest())
        yield upload.content
        return
    with _open(upload) as file:
        left, last = size, b""
        while (chunk := file.read(most)) and left >= len(chunk):
            if last:
                yield last
            digest.update(chunk)
            left, last = left - len(chunk), chunk
        if left or chunk:
            raise InvalidInput(Problem(f"{upload.content} was changed while it was uploaded", hint=_AGAIN))
        _check_digest(upload, digest.hexdigest())
        if last:
            yield last


def _check_digest(upload: Upload, sha256: str) -> None:
    if upload.sha256 is not None and upload.sha256.lower() != sha256:
        name = upload.filename if isinstance(upload.content, bytes) else upload.content
        raise InvalidInput(
            Problem(
                f"{name} is not the file that was planned: its sha256 is {sha256}, planned was {upload.sha256}",
                hint=_AGAIN,
            )
        )
