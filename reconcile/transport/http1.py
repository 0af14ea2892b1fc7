"""
HTTP/1.1 over asyncio, for requests that are answered with JSON: connections that are kept, and one exchange on one of
them (RFC 9112). Standard library only.

It exists for two things that no library here gives (notes/performance.md, notes/ecosystem.md §4): `before_send` runs
with no await between it and the first byte, so that a lease is checked when it matters; and what fails says exactly
whether a byte had left (`Lost`) or not (`NeverSent`). It is also several times as fast as httpx's own.

Answers are read strictly: what is not plainly HTTP is `Malformed`.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass

from reconcile.transport.faults import Lost, Malformed, NeverSent, why_not_connected

_HEAD_MOST = 64 * 1024  # bytes of status line and headers; what nginx and Node allow is less
_UNREAD_MOST = 1024 * 1024  # bytes kept while nobody reads, as during an upload
_WHOLE = 64 * 1024  # a body up to this is written together with its head
_IDLE_MOST_S = 4.0  # a second less than the shortest keep-alive in wide use (Node's 5 s)
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [^\r\n]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\x00]*?)[ \t]*")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")


@dataclass(frozen=True, slots=True)
class Received:
    """An answer as it came: header names lower case, equal ones joined by a comma; `body` still encoded."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Stream(asyncio.Protocol):
    """The two ends of one connection. What arrived before it broke can still be read."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended = False
        self.broken = False
        self.transport: asyncio.Transport
        self._arrival: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self._arrival is None and len(self.received) > _UNREAD_MOST:
            self.transport.pause_reading()
        self._tell()

    def eof_received(self) -> bool:
        self.ended = True
        self._tell()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.broken = exc is not None
        self._tell()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    async def drained(self) -> None:
        """Waits until what was written has room on its way."""
        if self._room is not None:
            await self._room

    async def more(self) -> None:
        """Waits for bytes; raises Lost when there will be none."""
        if self.ended:
            raise Lost("the connection was closed before the answer was complete")
        self._arrival = asyncio.get_running_loop().create_future()
        self.transport.resume_reading()
        try:
            await self._arrival
        finally:
            self._arrival = None

    def _tell(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def exactly(self, count: int) -> bytes:
        """The next `count` bytes."""
        while len(self.received) < count:
            await self.more()
        data = bytes(self.received[:count])
        del self.received[:count]
        return data

    async def until(self, mark: bytes, most: int) -> bytes:
        """The bytes before the next `mark`, which is dropped; Malformed when they are more than `most`."""
        start = 0
        while (end := self.received.find(mark, start)) < 0:
            if len(self.received) > most:
                raise Malformed("headers without an end")
            start = max(0, len(self.received) - len(mark) + 1)
            await self.more()
        if end > most:
            raise Malformed("headers without an end")
        data = bytes(self.received[:end])
        del self.received[: end + len(mark)]
        return data


class Connections:
    """The connections to one host: as many as requests are under way, the one used last is used again first."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, *, limit: int) -> None:
        """`limit`: bytes of a body, as it comes."""
        self._host, self._port, self._tls, self._limit = host, port, tls, limit
        self._idle: list[tuple[_Stream, float]] = []

    async def exchange(
        self,
        head: bytes,
        body: AsyncIterable[bytes],
        length: int,
        *,
        before_send: Callable[[], None],
        timeout_s: float,
    ) -> Received:
        """
        One request and its answer.

        Args:
            head: request line and headers with the blank line.
            body, length: exactly `length` bytes.
            before_send: called right before the first byte is written, with no await between; what it raises ends
                the exchange with nothing sent.
            timeout_s: for connecting, and again for the whole answer, counted from the last byte that was written.

        Raises:
            NeverSent, Lost, Malformed: see `faults`; and whatever `before_send` and `body` raise.
        """
        whole = b"".join([chunk async for chunk in body]) if length <= _WHOLE else None
        stream = self._take() or await self._connect(timeout_s)
        try:
            before_send()
            stream.transport.write(head + (whole or b""))
            try:
                async with asyncio.timeout(timeout_s) as clock:
                    complete = whole is not None or await _upload(stream, body, length, clock, timeout_s)
                    received, keep = await _receive(stream, self._limit)
            except TimeoutError:
                raise Lost(f"no answer within {timeout_s:g} s", slow=True) from None
        except BaseException:
            stream.transport.abort()
            raise
        if keep and complete and not stream.received and not stream.ended:
            self._idle.append((stream, asyncio.get_running_loop().time()))
        else:
            stream.transport.abort()
        return received

    async def aclose(self) -> None:
        """Closes what is idle; what is under way belongs to who waits for it."""
        while self._idle:
            self._idle.pop()[0].transport.abort()
        await asyncio.sleep(0)  # lets the loop close the sockets

    def _take(self) -> _Stream | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            stream, since = self._idle.pop()
            if not stream.ended and not stream.received and now - since < _IDLE_MOST_S:
                return stream
            stream.transport.abort()
        return None

    async def _connect(self, timeout_s: float) -> _Stream:
        loop = asyncio.get_running_loop()
        name = self._host if self._tls else None
        try:
            async with asyncio.timeout(timeout_s):
                _, stream = await loop.create_connection(
                    _Stream, self._host, self._port, ssl=self._tls, server_hostname=name
                )
        except TimeoutError:
            raise NeverSent(f"no connection within {timeout_s:g} s") from None
        except OSError as error:
            raise why_not_connected(error) from None
        return stream


async def _upload(
    stream: _Stream, body: AsyncIterable[bytes], length: int, clock: asyncio.Timeout, timeout_s: float
) -> bool:
    """Writes a large body as fast as it is taken; False when the API answered before it had all of it."""
    loop = asyncio.get_running_loop()
    left = length
    async for chunk in body:
        if stream.received or stream.ended:
            return False
        stream.transport.write(chunk)
        left -= len(chunk)
        await stream.drained()
        clock.reschedule(loop.time() + timeout_s)
    assert left == 0, "a body of another length than announced"
    return True


async def _receive(stream: _Stream, limit: int) -> tuple[Received, bool]:
    """The answer, and whether the connection can carry another request."""
    while True:
        first, *lines = (await stream.until(b"\r\n\r\n", _HEAD_MOST)).split(b"\r\n")
        parsed = _STATUS.fullmatch(first)
        if parsed is None or (status := int(parsed[2])) == 101:
            raise Malformed("not HTTP/1.1")
        if status >= 200:
            break  # interim answers (100, 103) come before the real one
    headers: dict[str, str] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise Malformed("a header that is none")
        name, value = field[1].decode().lower(), field[2].decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    keep = parsed[1] == b"1" and "close" not in headers.get("connection", "").lower()
    if status in (204, 304):
        return Received(status, headers, b""), keep
    if "transfer-encoding" in headers:
        if headers["transfer-encoding"].strip().lower() != "chunked":
            raise Malformed("a transfer encoding that was not asked for")
        return Received(status, headers, await _chunked(stream, limit)), keep
    if "content-length" in headers:
        lengths = {part.strip() for part in headers["content-length"].split(",")}
        length = lengths.pop()
        if lengths or not (length.isascii() and length.isdigit() and len(length) < 16):
            raise Malformed("no clear length")
        if int(length) > limit:
            raise Malformed(f"more than {limit} bytes")
        return Received(status, headers, await stream.exactly(int(length))), keep
    while not stream.ended:
        if len(stream.received) > limit:
            raise Malformed(f"more than {limit} bytes")
        await stream.more()
    if stream.broken:  # without a length only a proper end says that it is all
        raise Lost("the connection was reset before the answer was complete")
    return Received(status, headers, bytes(stream.received)), False


async def _chunked(stream: _Stream, limit: int) -> bytes:
    body = bytearray()
    while True:
        size = _SIZE.fullmatch(await stream.until(b"\r\n", 1024))
        if size is None:
            raise Malformed("a chunk without a size")
        count = int(size[1], 16)
        if count == 0:
            break
        if len(body) + count > limit:
            raise Malformed(f"more than {limit} bytes")
        body += await stream.exactly(count)
        if await stream.exactly(2) != b"\r\n":
            raise Malformed("a chunk without an end")
    while await stream.until(b"\r\n", _HEAD_MOST):
        pass  # trailers say nothing that we use
    return bytes(body)
