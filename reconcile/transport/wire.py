"""
Everything that goes to one host: its headers, and the connections that carry it.

A request is made once (`Outgoing`), in the form in which it is written. Another `Connector` can take the place of our
connections (`Net(transport=…)`). No redirects, cookies or netrc, and no log of URLs.
"""

from __future__ import annotations

from collections.abc import Callable

from reconcile.transport.body import Body
from reconcile.transport.exchange import Connector, Outgoing, Received
from reconcile.transport.hosts import Base


class Wire:
    """The way to one host, over `connector`; shared by the clients that use it."""

    def __init__(self, base: Base, connector: Connector) -> None:
        self.connector = connector
        self._common = [
            (b"Host", base.authority.encode("ascii")),
            (b"User-Agent", b"reconcile/0.1"),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"gzip"),
        ]

    def request(
        self, method: str, target: str, body: Body, authorization: str | None, sending: tuple[Callable[[], None], float]
    ) -> Outgoing:
        """
        A request of one attempt.

        Args:
            target: path and query, percent-encoded.
            sending: `Outgoing.before_send` and `timeout_s`.
        """
        headers = list(self._common)
        if authorization is not None:
            headers.append((b"Authorization", authorization.encode("latin-1")))
        if body.content_type is not None:
            headers.append((b"Content-Type", body.content_type.encode("ascii")))
        if body.md5 is not None:
            headers.append((b"Content-MD5", body.md5.encode("ascii")))
        if body.length or method in ("POST", "PUT", "PATCH"):
            headers.append((b"Content-Length", b"%d" % body.length))
        return Outgoing(method.encode("ascii"), target.encode("ascii"), headers, body.chunks(), body.length, *sending)

    async def exchange(self, request: Outgoing) -> Received:
        """Sends the request and reads the answer whole; see `Connector`."""
        return await self.connector.exchange(request)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self.connector.aclose()
