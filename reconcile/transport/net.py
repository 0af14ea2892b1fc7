"""
The network of one command: makes the clients, shares connections between them, counts. Made once, in wiring; time is
the loop's, randomness and the lease check are passed in.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from reconcile.transport.client import Client
from reconcile.transport.exchange import Auth, RequestDone
from reconcile.transport.hosts import Base, check_base, is_named
from reconcile.transport.limit import RateLimit
from reconcile.transport.retry import Policy

if TYPE_CHECKING:
    import httpx

    from reconcile.transport.wire import Wire


def _allowed(method: str, attempt: int) -> None:
    """No lease: every request may be sent."""


class Net:
    """
    Attributes:
        rng: of jitter and multipart boundaries.
        check: called with the method and the number of the attempt (1-based) right before every request is put on the
            wire, with no await between; raises when it may not be sent. May be replaced when the lease begins.
        requests: attempts that were begun.
        wordy: whether more of what an API says is shown.
        http_s: seconds during which at least one request was under way, by the loop's clock.
    """

    def __init__(
        self,
        *,
        allowed_hosts: frozenset[str] = frozenset(),
        check: Callable[[str, int], None] = _allowed,
        rng: random.Random,
        emit: Callable[[RequestDone], None] | None = None,
        policy: Policy | None = None,
        transport: Callable[[Base], httpx.AsyncBaseTransport] | None = None,
        wordy: bool = False,
    ) -> None:
        """
        Args:
            allowed_hosts: of `allow_list`: where credentials may go beside default hosts and loopback.
            emit: told of every attempt that has ended.
            policy: of repetitions.
            transport: makes the httpx transport to a host, in place of ours.
            wordy: whether an API's words are shown also where it refuses credentials or a request with secrets; never
                those that hold a part of one.
        """
        self.rng = rng
        self.check = check
        self.requests = 0
        self.http_s = 0.0
        self.wordy = wordy
        self._allowed_hosts = allowed_hosts
        self._emit = emit
        self._policy = policy or Policy()
        self._transport = transport
        self._wires: dict[tuple[bool, str, int], Wire] = {}
        self._under_way = 0
        self._since = 0.0

    def client(
        self,
        *,
        base_url: str,
        default_host: str,
        auth: Auth | None,
        timeout_s: float = 30,
        max_concurrency: int = 16,
        requests_per_s: float | None = None,
        name: str,
        any_type: bool = False,
    ) -> Client:
        """
        A client for one API.

        Args:
            base_url: https, or http on loopback; a trailing slash is ignored.
            default_host: the vendor's, which needs no permission.
            timeout_s: for connecting, and again for a whole answer, of one attempt.
            max_concurrency: requests under way at once, at most; fewer when the API says "too much".
            name: in events.
            any_type: whether JSON is taken whatever the answer's content type says.

        Raises:
            InvalidInput: the base URL cannot be used, or its host was not allowed; credentials that no header can
                carry.
        """
        base = check_base(base_url, default_host=default_host, allowed=self._allowed_hosts)
        return Client(
            self,
            self._wire(base),
            base,
            auth=auth,
            limit=RateLimit(max_concurrency, requests_per_s),
            policy=self._policy,
            timeout_s=timeout_s,
            name=name,
            any_type=any_type,
            named=is_named(base, self._allowed_hosts),
        )

    async def aclose(self) -> None:
        """Closes all connections."""
        while self._wires:
            await self._wires.popitem()[1].aclose()

    def begin(self) -> None:
        """An attempt begins."""
        self.requests += 1
        if self._under_way == 0:
            self._since = asyncio.get_running_loop().time()
        self._under_way += 1

    def end(self, done: RequestDone) -> None:
        """An attempt has ended."""
        self._under_way -= 1
        if self._under_way == 0:
            self.http_s += asyncio.get_running_loop().time() - self._since
        if self._emit is not None:
            self._emit(done)

    def _wire(self, base: Base) -> Wire:
        from reconcile.transport.wire import Wire  # httpx takes 0.1 s to import: only who talks to an API pays

        key = (base.secure, base.name, base.port)
        if key not in self._wires:
            self._wires[key] = Wire(base, self._transport(base) if self._transport else None)
        return self._wires[key]
