"""A real HTTP server on loopback whose answers a test writes byte by byte, and a loop whose time only waiting moves."""

import asyncio
import json
import random
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reconcile.core.values import Secret
from reconcile.transport import BasicAuth, Client, Net, Terms

T = TypeVar("T")
CANARY = "s3cr3t/Käse+40%\u2603"


class _Waits(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Where the loop would sleep, its clock jumps instead; what is on its way over loopback comes first."""

    clock = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(None if timeout is None else min(timeout, 0.005))
        if not events and timeout:
            self.clock += timeout
        return events


class SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._waits = _Waits()
        super().__init__(self._waits)

    def time(self) -> float:
        return self._waits.clock


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs a test's story in simulated time."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)


@dataclass
class Seen:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float


Reply = bytes | None | Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Served:
    """`replies` are used up in order, the last one again and again; None closes without an answer."""

    replies: list[Reply]
    seen: list[Seen] = field(default_factory=list)
    port: int = 0
    under_way: int = 0
    most_under_way: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.strip().split("\r\n")
                method, target, _ = first.split(" ")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                index = len(self.seen)
                seen = Seen(method, target, headers, b"", asyncio.get_running_loop().time())
                self.seen.append(seen)
                reply = self.replies[min(index, len(self.replies) - 1)]
                if not callable(reply):
                    seen.body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.under_way += 1
                self.most_under_way = max(self.most_under_way, self.under_way)
                try:
                    if callable(reply):
                        await reply(reader, writer)
                        return
                    await asyncio.sleep(0)
                finally:
                    self.under_way -= 1
                if reply is None:
                    return
                writer.write(reply)
                await writer.drain()
                if b"connection: close" in reply.lower():
                    return
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serve(*replies: Reply, ssl: Any = None) -> AsyncIterator[Served]:
    served = Served(list(replies))
    server = await asyncio.start_server(served._connection, "127.0.0.1", 0, ssl=ssl)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()


def answer(
    body: Any = None,
    status: int = 200,
    *,
    type: str | None = "application/json",
    raw: bytes | None = None,
    **headers: str,
) -> bytes:
    """The bytes of an answer; keyword names become headers (`retry_after="5"`)."""
    content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Words", f"Content-Length: {len(content)}"]
    lines += [f"Content-Type: {type}"] if type else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


@asynccontextmanager
async def client_of(served: Served | str, **settings: Any) -> AsyncIterator[Client]:
    url = served if isinstance(served, str) else served.url
    made = {name: settings.pop(name) for name in ("emit", "policy", "transport") if name in settings}
    net = Net(rng=random.Random(7), **made)
    net.check = settings.pop("check", net.check)
    terms = Terms(**{name: settings.pop(name) for name in Terms.__slots__ if name in settings})
    settings.setdefault("auth", BasicAuth("AC1", Secret(CANARY)))
    client = net.client(base_url=url, default_host="api.example.com", name="test", terms=terms, **settings)
    try:
        yield client
    finally:
        await net.aclose()
