"""Where `RECONCILE_SIMULATOR` leads, and with which credentials: asked of the simulator, never of a vendor."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from reconcile.errors import InvalidInput, Problem, ReconcileError
from reconcile.transport import Net, is_loopback

SIMULATOR = "RECONCILE_SIMULATOR"
CREDENTIALS = ("account_sid", "auth_token", "api_key", "tracker_username", "tracker_password")
"""What the simulator's world says of the credentials that it takes."""


def simulator_url(environ: Mapping[str, str]) -> str | None:
    """
    Where `RECONCILE_SIMULATOR` points, without a trailing slash; None when it is not set.

    Raises:
        InvalidInput: it is not an http URL on loopback.
    """
    url = environ.get(SIMULATOR, "").strip().rstrip("/")
    if not url:
        return None
    scheme, mark, host = url.partition("://")
    name = host.rpartition(":")[0] or host
    if scheme != "http" or not mark or "/" in host or "@" in host or not is_loopback(name.strip("[]")):
        raise InvalidInput(
            Problem(
                f"{SIMULATOR} is {url!r}, not a simulator URL",
                hint="It is what `reconcile simulator` prints: http://127.0.0.1:<port>",
            )
        )
    return url


async def credentials_at(url: str, net: Net) -> dict[str, str]:
    """
    The credentials that the simulator's world takes, by name.

    Raises:
        ReconcileError: no simulator answers there.
    """
    client = net.client(base_url=url, default_host="127.0.0.1", auth=None, name="simulator")
    try:
        await _is_there(url)
        answer = await client.get("_sim", "state", params={"only": ",".join(CREDENTIALS)})
    except ReconcileError as error:
        raise ReconcileError(
            Problem(
                f"the simulator at {url} does not answer: {error}",
                hint=f"Start `reconcile simulator`, or unset {SIMULATOR}",
            )
        ) from None
    net.requests = 0
    return {name: str(answer.body[name]) for name in CREDENTIALS}


async def _is_there(url: str) -> None:
    """On this machine, what refuses a connection is not about to come: no need to try for half a minute."""
    host, _, port = url.partition("://")[2].rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host.strip("[]") or "127.0.0.1", int(port or 80))
    except (OSError, ValueError) as error:
        raise ReconcileError(Problem(f"connection refused ({type(error).__name__})")) from None
    writer.close()
