"""
The network of one command: makes the clients, and shares connections between them. Made once, in wiring; time is the
loop's, randomness and the lease check are passed in.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from reconcile.transport.client import Client
from reconcile.transport.exchange import Auth, Connector, Terms, Told
from reconcile.transport.hosts import Base, check_base, is_named
from reconcile.transport.retry import Policy
from reconcile.transport.traffic import Traffic
from reconcile.transport.ways import Ways

if TYPE_CHECKING:
    from reconcile.transport.wire import Wire

USUAL = Terms()


class Net(Traffic):
    """The clients of one command, and all that is common to them."""

    def __init__(
        self,
        *,
        rng: random.Random,
        allowed_hosts: frozenset[str] = frozenset(),
        emit: Callable[[Told], None] | None = None,
        policy: Policy | None = None,
        transport: Callable[[Base], Connector] | None = None,
        wordy: bool = False,
    ) -> None:
        """
        Args:
            rng, policy, wordy: see `Traffic`.
            allowed_hosts: of `allow_list`: where credentials may go beside default hosts and loopback.
            emit: told of every attempt that has ended, and of every one that will be made again.
            transport: makes the way to a host; None = our own connections, straight there.
        """
        super().__init__(rng, policy or Policy(), wordy, emit)
        self._allowed_hosts, self._transport = allowed_hosts, transport or Ways()
        self._wires: dict[tuple[bool, str, int], Wire] = {}

    def client(self, *, base_url: str, default_host: str, auth: Auth | None, name: str, terms: Terms = USUAL) -> Client:
        """
        A client for one API.

        Args:
            base_url: https, or http on loopback; a trailing slash is ignored.
            default_host: the vendor's, which needs no permission.
            name: in events.

        Raises:
            InvalidInput: the base URL cannot be used, or its host was not allowed; credentials that no header can
                carry.
        """
        base = check_base(base_url, default_host=default_host, allowed=self._allowed_hosts)
        client = Client(self, self._wire(base), base, auth=auth, name=name, terms=terms)
        client.named = is_named(base, self._allowed_hosts)
        return client

    async def aclose(self) -> None:
        """Closes all connections."""
        while self._wires:
            await self._wires.popitem()[1].aclose()

    def _wire(self, base: Base) -> Wire:
        from reconcile.transport.wire import Wire  # h11 and ssl take a moment to import: who talks to an API pays

        key = (base.secure, base.name, base.port)
        if key not in self._wires:
            self._wires[key] = Wire(base, self._transport(base))
        return self._wires[key]
