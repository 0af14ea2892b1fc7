"""
The values that go into and come out of the transport: credentials, uploads, answers, and the event of a finished
request. No I/O. Nothing here prints a secret, a header or a body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

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
class Piece:
    """A piece of a file as the whole body of a request, sent with its MD5 (`Content-MD5`, RFC 1864)."""

    content: bytes = field(repr=False)
    content_type: str


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
class Outgoing:
    """
    A request as it goes out: made once for each attempt, in the form in which it is written.

    Attributes:
        target: path and query, percent-encoded.
        headers: with `Host`, and with `Content-Length` when there is a body.
        body, length: exactly `length` bytes.
        before_send: called right before the first byte is written, with no await between; what it raises ends the
            exchange with nothing sent.
        timeout_s: for connecting, and again for the whole answer, counted from the last byte that was written.
    """

    method: bytes
    target: bytes
    headers: Sequence[tuple[bytes, bytes]] = field(repr=False)
    body: Iterable[bytes] = field(repr=False)
    length: int
    before_send: Callable[[], None]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Received:
    """An answer as it came: header names lower case, equal ones joined by a comma; `body` still encoded."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Connector(Protocol):
    """
    The way to one host, for one request after the other.

    Attributes:
        connects_first: whether `before_send` is called when there is a connection, so that the host was reached.
    """

    connects_first: bool

    async def exchange(self, request: Outgoing) -> Received:
        """
        One request and its answer.

        Raises:
            NeverSent, Lost, Malformed: see `faults`; and whatever `before_send` and the body raise.
        """

    async def aclose(self) -> None:
        """Closes what is idle; what is under way belongs to who waits for it."""


@dataclass(frozen=True, slots=True)
class ProxyServer:
    """
    An HTTP proxy, which is asked for a way to a host (CONNECT).

    Attributes:
        shown: `host:port (VARIABLE)`, for messages.
        authorization: the header with its credentials, if it has any.
    """

    name: str
    port: int
    shown: str
    authorization: Secret | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """
    How an API is driven.

    Attributes:
        timeout_s: for connecting, and again for a whole answer, of one attempt.
        max_concurrency: requests under way at once, at most; fewer when the API says "too much".
        requests_per_s: at most; None = as fast as it answers.
        any_type: whether JSON is taken whatever the answer's content type says.
    """

    timeout_s: float = 30
    max_concurrency: int = 16
    requests_per_s: float | None = None
    any_type: bool = False


@dataclass(frozen=True, slots=True)
class RequestRepeated:
    """
    An attempt whose request will be made again.

    Attributes:
        host: as messages name it. why: the status, or what happened, in words.
        wait_s: seconds until then. attempt: of the next one.
    """

    host: str
    why: str
    wait_s: float
    attempt: int


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


Told = RequestDone | RequestRepeated
"""What is told of requests, to whoever shows them."""
