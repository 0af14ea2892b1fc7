"""
The seam of httpx: the only module that imports it. One attempt of one request goes through here.

What flows is httpx's own API (`Request`, `Response`, `AsyncBaseTransport`), so that any transport made for it can take
the place of ours (`Net(transport=…)`): `httpx.MockTransport` in a test, `httpx.ASGITransport`, or httpx's default one.
Its client is left out on purpose: no redirects, cookies, proxies, netrc or environment, and no log of URLs.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import certifi
import httpx

from reconcile.transport.body import Body
from reconcile.transport.faults import Lost, Malformed, NeverSent
from reconcile.transport.hosts import Base
from reconcile.transport.http1 import Connections, Received
from reconcile.transport.pieces import LIMIT

_BEFORE_SEND = "reconcile.before_send"
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

for _name in ("httpx", "httpcore"):
    # At DEBUG they print headers, at INFO whole URLs.
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).propagate = False
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class Outbound(httpx.AsyncByteStream):
    """A body on its way, in the form that httpx's transports read."""

    def __init__(self, body: Body) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._body.chunks():
            yield chunk


class Inbound(httpx.AsyncByteStream):
    """A body that has arrived, still encoded."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data


class DirectTransport(httpx.AsyncBaseTransport):
    """
    Our connections as an httpx transport to one host. It raises `faults`, which say more than httpx's exceptions: never
    sent, or lost.
    """

    def __init__(self, base: Base, tls: ssl.SSLContext | None, *, limit: int = LIMIT) -> None:
        self._connections = Connections(base.name, base.port, tls, limit=limit)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends the request as it is; follows, decodes and repeats nothing."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        received = await self._connections.exchange(
            request.method.encode("ascii"),
            request.url.raw_path,
            request.headers.raw,
            request.stream,
            int(request.headers.get("content-length", "0")),
            before_send=request.extensions.get(_BEFORE_SEND, _nothing),
            timeout_s=request.extensions["timeout"]["read"],
        )
        headers = [(name.encode(), value.encode("latin-1")) for name, value in received.headers.items()]
        return httpx.Response(received.status, headers=headers, stream=Inbound(received.body))

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._connections.aclose()


class Wire:
    """
    Everything that goes to one host; shared by the clients that use it.

    Attributes:
        connects_first: whether `before_send` is called when there is a connection, as with our own transport.
    """

    def __init__(self, base: Base, transport: httpx.AsyncBaseTransport | None = None) -> None:
        if transport is None:
            transport = DirectTransport(base, tls_context() if base.secure else None)
        self._transport = transport
        self.connects_first = isinstance(transport, DirectTransport)
        scheme = "https" if base.secure else "http"
        self._origin = f"{scheme}://{base.authority}"
        self._common = [
            ("Host", base.authority),
            ("User-Agent", "reconcile/0.1"),
            ("Accept", "application/json"),
            ("Accept-Encoding", "gzip"),
        ]

    async def exchange(
        self,
        method: str,
        target: str,
        body: Body,
        *,
        authorization: str | None,
        before_send: Callable[[], None],
        timeout_s: float,
    ) -> Received:
        """
        One attempt: sends the request, reads the answer whole.

        Args:
            target: path and query, percent-encoded.
            before_send: called right before the first byte, with no await between (with another transport than ours:
                before it is given the request).
            timeout_s: for connecting, and again for the answer.

        Raises:
            NeverSent, Lost, Malformed; whatever `before_send` raises.
        """
        headers = list(self._common)
        if authorization is not None:
            headers.append(("Authorization", authorization))
        if body.content_type is not None:
            headers.append(("Content-Type", body.content_type))
        if body.length or method in ("POST", "PUT", "PATCH"):
            headers.append(("Content-Length", str(body.length)))
        timeout = {"connect": timeout_s, "read": timeout_s, "write": timeout_s, "pool": timeout_s}
        extensions: dict[str, Any] = {"timeout": timeout, _BEFORE_SEND: before_send}
        request = httpx.Request(
            method, self._origin + target, headers=headers, stream=Outbound(body), extensions=extensions
        )
        try:
            if not self.connects_first:
                before_send()
            response = await self._transport.handle_async_request(request)
            try:
                return await _read(response)
            finally:
                await response.aclose()
        except _NEVER_SENT as error:
            raise NeverSent(type(error).__name__) from None
        except httpx.TimeoutException as error:
            raise Lost(type(error).__name__, slow=True) from None
        except httpx.HTTPError as error:
            raise Lost(type(error).__name__) from None

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._transport.aclose()


def tls_context() -> ssl.SSLContext:
    """
    Certificates are verified, host names too, against certifi's bundle. Nothing turns that off, and the environment
    (SSL_CERT_FILE, SSLKEYLOGFILE) has no say: `ssl.create_default_context` would open the file that the latter names.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


async def _read(response: httpx.Response) -> Received:
    headers: dict[str, str] = dict(response.headers)
    data = bytearray()
    assert isinstance(response.stream, httpx.AsyncByteStream)
    async for chunk in response.stream:
        data += chunk
        if len(data) > LIMIT:
            raise Malformed(f"more than {LIMIT} bytes")
    return Received(response.status_code, headers, bytes(data))


def _nothing() -> None:
    """No lease to check."""
