"""
The simulator's HTTP server, on loopback only: takes requests apart, checks credentials, applies faults, hands
them to the vendor API that claims the path or to the control, and dates every answer by the simulated clock.
"""

import asyncio
import ipaddress
import logging
import re
from dataclasses import replace
from typing import Any, Self, TypedDict
from urllib.parse import parse_qsl, unquote, unquote_to_bytes, urlsplit

from aiohttp import ClientError, web
from aiohttp.http_exceptions import HttpProcessingError

from reconcile.simulator import control, faults
from reconcile.simulator.bodies import BodyError
from reconcile.simulator.clock import http_date
from reconcile.simulator.exchange import Call, Reply, json_answer
from reconcile.simulator.faults import Fault
from reconcile.simulator.sections import SECTIONS
from reconcile.simulator.simulation import Simulation
from reconcile.simulator.world import Section, SimulatedWorld

_LOG = logging.getLogger("reconcile.simulator")
# What aiohttp says about requests that are not HTTP at all is of no use to whoever runs a simulator.
_SILENT = logging.Logger("reconcile.simulator.http", logging.CRITICAL + 1)

# World files of large fleets are put through the control.
_MAX_CONTROL = 1 << 30
_HOST = re.compile(r"[A-Za-z0-9.\-]+(:\d{1,5})?|\[[0-9a-fA-F:.]+\](:\d{1,5})?", re.ASCII)
# Requests in flight get this long when the simulator ends; it ends within 2 s in all.
_SHUTDOWN_S = 0.5


class ServerOptions(TypedDict, total=False):
    """What a `Simulator` can be told."""

    world: dict[str, Any] | None
    port: int
    database: str | None
    seed: int
    host: str


class Simulator:
    """
    A simulator in this event loop: `async with Simulator(world={…}) as sim: sim.url`.

    Args:
        world: as `PUT /_sim/state` takes it; None is an empty world with generated credentials.
        port: 0 picks a free one.
        database: path of a SQLite file that keeps the world. What it holds from an earlier run goes before `world`.
        seed: of credentials that the world does not name, of fleets and of dice.

    Raises:
        ValueError: a host that is not loopback, a port that is taken, a world of the wrong shape.
    """

    def __init__(
        self,
        *,
        world: dict[str, Any] | None = None,
        port: int = 0,
        database: str | None = None,
        seed: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        if not _loopback(host):
            raise ValueError(f"the simulator listens on loopback only, and {host} is not a loopback address")
        if not 0 <= port <= 65535:
            raise ValueError(f"{port} is not a port")
        self.simulation = Simulation(world, database, seed)
        # Both families would get a free port each.
        self._host = "127.0.0.1" if host == "localhost" else host
        self._port = port
        self._runner: web.ServerRunner | None = None
        # What waits for its moment, whether its client does or not.
        self._late_work: set[asyncio.Task[Reply]] = set()
        self.url = ""

    async def __aenter__(self) -> Self:
        server = web.Server(self._handle, access_log=None, logger=_SILENT)
        runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=_SHUTDOWN_S)
        try:
            await runner.setup()
            site = web.TCPSite(runner, self._host, self._port, backlog=1024)
            await site.start()
        except OSError as e:
            await runner.cleanup()
            self.simulation.close()
            raise ValueError(f"cannot listen on port {self._port} of {self._host}: {e.strerror or e}") from None
        self._runner = runner
        port = runner.addresses[0][1]
        self.url = f"http://[{self._host}]:{port}" if ":" in self._host else f"http://{self._host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        for work in self._late_work:
            work.cancel()
        self.simulation.close()

    @property
    def world(self) -> dict[str, Any]:
        """The world as `GET /_sim/state` answers it."""
        return self.simulation.world.dump()

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(http)
        except (ConnectionError, ClientError, asyncio.IncompleteReadError):
            # The client has gone in the middle of its body.
            return self._drop(http)
        except Exception:
            _LOG.exception("%s was not answered", http.method)
            return self._respond(SECTIONS[0].error(500, "The simulator has a defect; its log says more"))

    async def _answer(self, http: web.BaseRequest) -> web.StreamResponse:
        raw = http.raw_path
        if not raw.startswith("/"):
            raw = _origin_form(raw)
        path, _, query = raw.partition("?")
        if path.startswith("/_sim/") or path == "/_sim":
            return self._respond(await self._control(http, unquote(path), _query(query)))
        return await self._vendor(http, path, query)

    async def _control(self, http: web.BaseRequest, path: str, query: dict[str, str]) -> Reply:
        try:
            body = await _body(http, _MAX_CONTROL)
        except BodyError as e:
            return json_answer(e.status, {"message": str(e)})
        answer = control.answer(self.simulation, http.method, path, query, body)
        self.simulation.keep()
        return answer

    async def _vendor(self, http: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        simulation = self.simulation
        place = simulation.log.arrived(http.method, _printable(f"{path}?{query}" if query else path))
        segments = _segments(path)
        api = next((api for api in SECTIONS if segments and api.claims(segments)), None)
        fault: Fault | None = None
        if simulation.faults:
            fault = faults.strike(simulation.faults, http.method, unquote(path, errors="replace"))
        if fault is None:
            answer = self._work(api, await self._arrived(http, api, segments, query), None)
        else:
            left = await self._faulty(http, api, segments, query, fault)
            if left is None:
                return self._drop(http)
            answer = left
        simulation.log.answered(place, answer.status)
        return self._respond(answer)

    async def _faulty(
        self, http: web.BaseRequest, api: Section[Any] | None, segments: list[str] | None, query: str, fault: Fault
    ) -> Reply | None:
        """The answer that a fault leaves; None when it takes it away."""
        late = None
        if fault.late:
            late = asyncio.create_task(self._late(api, await self._arrived(http, api, segments, query), fault))
            self._late_work.add(late)
            late.add_done_callback(self._late_work.discard)
        else:
            await asyncio.sleep(fault.delay_s)
        if fault.drop == "before":
            return None
        if fault.status is not None:
            return faults.answer(fault, (api or SECTIONS[0]).error(fault.status, "A fault of the simulator"))
        if late is None:
            answer = self._work(api, await self._arrived(http, api, segments, query), fault)
        else:
            answer = await asyncio.shield(late)
        return None if fault.drop == "after" else answer

    async def _late(self, api: Section[Any] | None, arrived: Call | Reply, fault: Fault) -> Reply:
        await asyncio.sleep(fault.delay_s)
        return self._work(api, arrived, fault)

    def _work(self, api: Section[Any] | None, arrived: Call | Reply, fault: Fault | None) -> Reply:
        if isinstance(arrived, Reply):
            return arrived
        assert api is not None
        answer = _answered(api, arrived, self.simulation, fault)
        self.simulation.keep()
        return answer

    async def _arrived(
        self, http: web.BaseRequest, api: Section[Any] | None, segments: list[str] | None, query: str
    ) -> Call | Reply:
        """The request with its body, or the answer to one that is refused."""
        headers = http.headers
        host = headers.get("Host", "")
        request = Call(
            method=http.method,
            segments=segments or [],
            query=_query(query),
            base=f"http://{host}" if _HOST.fullmatch(host) else self.url,
            authorization=headers.get("Authorization", ""),
            content_type=headers.get("Content-Type", ""),
            content_md5=headers.get("Content-MD5", ""),
            now=0,
        )
        if api is None:
            return _unclaimed(request, self.simulation.world, segments is None)
        refused = api.refuse(request, self.simulation.world)
        if refused is not None:
            return refused
        if http.can_read_body:
            try:
                request.body = await _body(http, api.max_body(request))
            except BodyError as e:
                return api.error(e.status, str(e))
        return request

    def _respond(self, answer: Reply) -> web.Response:
        headers = answer.headers
        if not any(name.lower() == "date" for name in headers):
            headers["Date"] = http_date(int(self.simulation.world.clock.now()))
        if answer.body:
            headers["Content-Type"] = answer.content_type
        return web.Response(status=answer.status, body=answer.body, headers=headers)

    def _drop(self, http: web.BaseRequest) -> web.Response:
        """Closes the connection without a byte; what is returned goes nowhere."""
        if http.transport is not None:
            http.transport.abort()
        return web.Response(status=500)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _origin_form(target: str) -> str:
    """The path and query of a request target that is a whole URL (RFC 9112 §3.2.2), or of none at all."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return "/"
    path = parts.path if parts.path.startswith("/") else "/" + parts.path
    return f"{path}?{parts.query}" if parts.query else path


def _segments(path: str) -> list[str] | None:
    """The segments of a raw path, each decoded on its own; None when one is not UTF-8."""
    if "%" not in path and path.isascii():
        segments = path[1:].split("/")
    else:
        try:
            segments = [
                unquote_to_bytes(segment.encode("utf-8", "surrogateescape")).decode() for segment in path[1:].split("/")
            ]
        except UnicodeError:
            return None
    if len(segments) > 1 and segments[-1] == "":
        segments.pop()
    return segments


def _query(query: str) -> dict[str, str]:
    if not query:
        return {}
    try:
        return dict(parse_qsl(query, keep_blank_values=True, errors="replace", max_num_fields=1000))
    except ValueError:
        return {}


def _printable(path: str) -> str:
    """Bytes that are no UTF-8 are percent-encoded, so that the log stays JSON that everybody reads."""
    if path.isascii():
        return path
    return "".join(f"%{ord(c) - 0xDC00:02X}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in path)


def _answered(api: Section[Any], request: Call, simulation: Simulation, fault: Fault | None) -> Reply:
    """
    The answer, the work done, and what a fault makes of it: one of the past, without a member, about another unit,
    without end. What these mean in a vendor's API is the API's to know.
    """
    # Only now: while the body came, time has passed and the world may have been replaced.
    world = simulation.world
    request.now = world.clock.now()
    if fault is None:
        return api.answer(request, world)
    if request.method != "GET":
        done = api.answer(request, world)
        about = api.about(request, fault.other) if fault.other and 200 <= done.status < 300 and done.body else None
        if about is None:
            return done
        read = api.answer(about, world)
        return replace(read, status=done.status) if read.status == 200 else read
    if fault.other:
        request = api.about(request, fault.other) or request
    if fault.stale_s is not None:
        world = simulation.past(fault.stale_s)
        request.now = world.clock.now()
    request.omit, request.endless = fault.omit, fault.endless
    return api.answer(request, world)


def _unclaimed(request: Call, world: SimulatedWorld, undecodable: bool) -> Reply:
    """The answer on a path of no API: credentials come first there too."""
    first = SECTIONS[0]
    refused = None if request.authorization in world.authorizations else first.refuse(request, world)
    if refused is not None:
        return refused
    if undecodable:
        return first.error(400, "The path is not percent-encoded UTF-8")
    return first.error(404, f"The requested resource /{'/'.join(request.segments)} was not found")


async def _body(http: web.BaseRequest, limit: int) -> bytes:
    """
    Raises:
        BodyError: larger than the limit, or not in the transfer or content coding that its headers name.
    """
    if not http.can_read_body:
        return b""
    too_large = BodyError(f"A body here holds at most {limit} bytes", 413)
    if (http.content_length or 0) > limit:
        raise too_large
    if http.headers.get("Expect", "").lower() == "100-continue":
        await http.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        http.writer.output_size = 0
    chunks = []
    size = 0
    try:
        async for chunk in http.content.iter_any():
            size += len(chunk)
            if size > limit:
                raise too_large
            chunks.append(chunk)
    except (HttpProcessingError, web.RequestPayloadError):
        raise BodyError("The body cannot be read") from None
    return b"".join(chunks)
