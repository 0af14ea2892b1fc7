"""
One exchange over HTTP/1.1, for requests that are answered with JSON, on connections that are kept.

What HTTP is, both ways, is h11's: heads, framing, chunks, and whether the connection may carry another request. Ours
are the connections over asyncio, for what no client library gives: `before_send` runs with no await between it and
the first byte, so that a lease is checked when it matters; what fails says exactly whether a byte had left (`Lost`)
or not (`NeverSent`); a body has a cap; and an answer that comes before the end of an upload is read.

h11's errors quote what they refuse, and that can hold a secret: none of them leaves here, nor becomes a context.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import h11

from reconcile.transport.exchange import Outgoing, ProxyServer, Received
from reconcile.transport.faults import Lost, Malformed, NeverSent, why_not_connected

if TYPE_CHECKING:
    from reconcile.transport.hosts import Base

_HEAD = 32 * 1024  # bytes of status line and headers that are always read; twice as many never are
_UNREAD_MOST = 1024 * 1024  # bytes kept while nobody reads, as during an upload
_WHOLE = 64 * 1024  # a body up to this is written together with its head
NEXT_ADDRESS_S = 0.25  # until the next address of a host is tried beside one that does not answer (RFC 8305)
_IDLE_MOST_S = 4.0  # a second less than the shortest keep-alive in wide use (Node's 5 s)


class _Stream(asyncio.Protocol):
    """The two ends of one connection. What arrived before it broke can still be read."""

    def __init__(self) -> None:
        self.http = h11.Connection(h11.CLIENT, _HEAD)
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

    async def event(self) -> h11.Event:
        """The next part of the answer; raises Lost or Malformed when there is none."""
        while True:
            in_body = self.http.their_state is h11.SEND_BODY
            event = self._parsed()
            if isinstance(event, h11.Event):
                return event
            if isinstance(event, h11.RemoteProtocolError):
                if self.http.trailing_data[1]:
                    raise Lost("the connection was closed before the answer was complete")
                if in_body:
                    raise Malformed("a damaged chunk")
                raise Malformed("headers without an end" if event.error_status_hint == 431 else "not HTTP/1.1")
            if not self.received and not self.ended:
                await self._more()
            if self.broken and not self.received:  # without a length only a proper end says that it is all
                raise Lost("the connection was reset before the answer was complete")
            self.http.receive_data(bytes(self.received[:_HEAD]))  # nothing is the end
            del self.received[:_HEAD]

    def reusable(self) -> bool:
        """Whether both sides are done with an exchange and willing to have another one, which is made ready for."""
        done = self.http.our_state is h11.DONE and self.http.their_state is h11.DONE
        if not done or self.ended or self.received or self.http.trailing_data[0]:
            return False
        self.http.start_next_cycle()
        return True

    def _parsed(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED] | h11.RemoteProtocolError:
        """What h11 makes of what it was given; its error too, so that it is no context of ours."""
        try:
            return self.http.next_event()
        except h11.RemoteProtocolError as error:
            return error

    async def _more(self) -> None:
        """Waits for bytes or the end."""
        self._arrival = asyncio.get_running_loop().create_future()
        self.transport.resume_reading()
        try:
            await self._arrival
        finally:
            self._arrival = None

    def _tell(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)


class Connections:
    """The connections to one host: as many as requests are under way, the one used last is used again first."""

    connects_first = True

    def __init__(
        self, base: Base, tls: ssl.SSLContext | None, proxy: ProxyServer | None = None, *, limit: int, authorities: str
    ) -> None:
        """
        Args:
            limit: bytes of a body, as it comes.
            authorities: who vouches for certificates, in words.
        """
        self._host, self._port, self._tls, self._proxy = base.name, base.port, tls, proxy
        self._limit, self._authorities = limit, authorities
        self._idle: list[tuple[_Stream, float]] = []

    async def exchange(self, request: Outgoing) -> Received:
        """One request and its answer; see `Connector`."""
        head = _request(request.method, request.target, request.headers)
        whole = b"".join(request.body) if request.length <= _WHOLE else None
        timeout_s = request.timeout_s
        stream = self._take() or await self._connect(timeout_s)
        try:
            first = stream.http.send(head)
            if whole is not None:
                first += stream.http.send(h11.Data(whole)) + stream.http.send(h11.EndOfMessage())
            request.before_send()
            stream.transport.write(first)
            try:
                async with asyncio.timeout(timeout_s) as clock:
                    if whole is None:
                        await _upload(stream, request.body, clock, timeout_s)
                    received = await _receive(stream, self._limit)
            except TimeoutError:
                raise Lost(f"no answer within {timeout_s:g} s", slow=True) from None
        except BaseException:
            stream.transport.abort()
            raise
        if stream.reusable():
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
        through = f"the proxy {self._proxy.shown}: " if self._proxy else ""
        try:
            async with asyncio.timeout(timeout_s):
                if self._proxy is None:
                    return await _dialled(self._host, self._port, self._tls)
                tunnel = await _dialled(self._proxy.name, self._proxy.port, None)
                try:
                    await self._tunnelled(tunnel, self._proxy)
                    through = ""  # what fails from here on is the host's
                    return await self._secured(tunnel)
                except BaseException:
                    tunnel.transport.abort()
                    raise
        except TimeoutError:
            raise NeverSent(f"{through}no connection within {timeout_s:g} s") from None
        except OSError as error:
            raise why_not_connected(error, through, self._authorities) from None

    async def _tunnelled(self, tunnel: _Stream, proxy: ProxyServer) -> None:
        """Asks a proxy for the way to the host (RFC 9110, CONNECT). Raises NeverSent without it."""
        place = (f"[{self._host}]" if ":" in self._host else self._host).encode() + b":%d" % self._port
        headers = [(b"Host", place)]
        if proxy.authorization is not None:
            headers.append((b"Proxy-Authorization", proxy.authorization.reveal().encode()))
        asked = _request(b"CONNECT", place, headers)
        tunnel.transport.write(tunnel.http.send(asked) + tunnel.http.send(h11.EndOfMessage()))
        try:
            while not isinstance(head := await tunnel.event(), h11.Response):
                pass
        except (Lost, Malformed):
            raise NeverSent(f"the proxy {proxy.shown} gave no answer that HTTP has") from None
        if head.status_code == 407:
            said = f"the proxy {proxy.shown} wants other credentials (407): they stand in its URL, user:password@"
            raise NeverSent(said, lasting=True)
        if head.status_code >= 300 or tunnel.received:
            lasting = 400 <= head.status_code < 500 and head.status_code not in (408, 429)
            raise NeverSent(f"the proxy {proxy.shown} refused the way there ({head.status_code})", lasting=lasting)

    async def _secured(self, tunnel: _Stream) -> _Stream:
        """The TLS connection inside a tunnel."""
        stream = _Stream()
        assert self._tls is not None  # only https hosts are reached through a proxy
        loop = asyncio.get_running_loop()
        made = await loop.start_tls(tunnel.transport, stream, self._tls, server_hostname=self._host)
        if made is None:
            raise ConnectionResetError
        stream.connection_made(made)
        return stream


async def _dialled(host: str, port: int, tls: ssl.SSLContext | None) -> _Stream:
    """A connection to the first address of a host that answers. Raises OSError."""
    loop = asyncio.get_running_loop()
    _, stream = await loop.create_connection(
        _Stream, host, port, ssl=tls, server_hostname=host if tls else None, happy_eyeballs_delay=NEXT_ADDRESS_S
    )
    return stream


def _request(method: bytes, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> h11.Request:
    try:
        return h11.Request(method=method, target=target, headers=list(headers))
    except h11.LocalProtocolError:
        pass  # raised below: this one would be its context
    raise NeverSent("it is a request that HTTP/1.1 cannot carry", lasting=True)


async def _upload(stream: _Stream, body: Iterable[bytes], clock: asyncio.Timeout, timeout_s: float) -> None:
    """Writes a large body as fast as it is taken; stops when the API answers before it has all of it."""
    loop = asyncio.get_running_loop()
    for chunk in body:
        if stream.received or stream.ended:
            return
        stream.transport.write(stream.http.send(h11.Data(chunk)))
        await stream.drained()
        clock.reschedule(loop.time() + timeout_s)
    stream.http.send(h11.EndOfMessage())


async def _receive(stream: _Stream, limit: int) -> Received:
    """The answer, whole."""
    while not isinstance(head := await stream.event(), h11.Response):
        pass  # interim answers (100, 103) come before the real one
    headers: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        name, value = raw_name.decode(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    body = bytearray()
    announced = int(headers.get("content-length", 0))
    while announced <= limit and isinstance(part := await stream.event(), h11.Data):
        body += part.data
        announced = max(announced, len(body))
    if announced > limit:
        raise Malformed(f"more than {limit} bytes")
    return Received(head.status_code, headers, bytes(body))
