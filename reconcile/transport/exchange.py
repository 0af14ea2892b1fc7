"""
The values that go into and come out of the transport: credentials, uploads, answers, and the event of a finished
request. No I/O. Nothing here prints a secret, a header or a body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from reconcile.core.values import Secret
from reconcile.errors import InvalidInput

Params = Mapping[str, str | int]
"""Of a query, by name."""

Form = Mapping[str, "str | Secret"]
"""Of an `application/x-www-form-urlencoded` body, or the plain parts of a multipart one."""


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """HTTP Basic (RFC 7617): `user` must not hold a colon."""

    user: str | Secret
    password: Secret


@dataclass(frozen=True, slots=True)
class BearerAuth:
    """`Authorization: Bearer <token>` (RFC 6750)."""

    token: Secret


Auth = BasicAuth | BearerAuth


@dataclass(frozen=True, slots=True)
class Upload:
    """
    A file part of a multipart body.

    Attributes:
        filename: what the API is told; never a path.
        content: a path whose file is streamed and opened again for every attempt, or the bytes themselves.
        sha256: hex, of the bytes that were planned; needed with a path, since a file may change before every attempt.
            Bytes that differ from it are never sent to their end, so the API cannot accept them.
    """

    filename: str
    content: str | Path | bytes = field(repr=False)
    sha256: str | None = None

    def __post_init__(self) -> None:
        if self.sha256 is None and not isinstance(self.content, bytes):
            raise InvalidInput(f"nobody knows which bytes {self.content} should have: the plan holds no checksum of it")


@dataclass(frozen=True, slots=True)
class Answer:
    """
    A successful answer (2xx).

    Attributes:
        status: 200–299.
        body: the decoded JSON, or None when there was none.
        now: the server's `Date`, aware UTC, in whole seconds; None without one.
        at: `loop.time()` when the last byte had been read, in seconds.
        request_id: what the vendor's support asks for, or None.
        headers: by lower-case name; equal names are joined by a comma.
        attempts: how often the request was sent. More than 1 means that an earlier one may have been carried out.
    """

    status: int
    body: Any = field(repr=False)
    now: datetime | None
    at: float
    request_id: str | None
    headers: Mapping[str, str] = field(repr=False)
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class RequestDone:
    """
    One attempt that has ended, for `-vv` and for counting.

    Attributes:
        client: the name the client was given.
        method, path: as sent, percent-encoded, without host and query.
        status: the HTTP status, or None when there was no answer.
        outcome: `answered`, `not sent`, `no answer` or `bad answer`.
        seconds: from connecting to the last byte, by the loop's clock.
        attempt: 1-based.
    """

    client: str
    method: str
    path: str
    status: int | None
    outcome: str
    seconds: float
    attempt: int
