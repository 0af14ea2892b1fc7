"""
The simulated agents without a socket: requests of the tool in, the answers of the simulator's own API out.

Everything that an agent, a tracker or the network between does in a history happens here, and is told to a `Witness`
as it happens: what a request met, and what became of an update.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from benchmarks.simulate.virtual import Clock
from reconcile.simulator.asset_tracker.defaults import DEFAULT_ID
from reconcile.simulator.asset_tracker.section import AssetTracker, view
from reconcile.simulator.asset_tracker.tracker import Tracker
from reconcile.simulator.clock import http_date
from reconcile.simulator.exchange import JSON, Call, Reply
from reconcile.simulator.simulation import Simulation
from reconcile.transport.exchange import Outgoing, Received
from reconcile.transport.faults import Lost

USERNAME, PASSWORD = "fleet", "password-of-the-trackers"


class Killed(BaseException):
    """The process is gone."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a GET of the tool was answered: `at` in seconds, `configuration` with `simUpdate` in it."""

    at: float
    current: str | None
    pending: str | None
    configuration: Mapping[str, Any]


class Witness(Protocol):
    """Who is told what happens."""

    def patched(self, agent: str, body: Mapping[str, Any], read: Reading | None) -> None:
        """A PATCH of the tool has arrived and is about to be carried out."""

    def taken(self, agent: str, body: Mapping[str, Any], status: int) -> None:
        """It was carried out, or refused; its answer may be lost all the same."""

    def theirs(self, agent: str) -> None:
        """Somebody else has staged an update."""

    def rebased(self, agent: str) -> None:
        """The tracker has fallen back to its default."""

    def ended(self, agent: str, id: str, applied: bool, fetched: bool = True) -> None:
        """A pending update is gone: fetched and applied, or fetched and not applied, or lost by its agent."""


@dataclass(slots=True)
class Fault:
    """
    What goes wrong between the tool and one agent.

    Attributes:
        effect: `before`, `after` (the connection closes before or after the work), `500`, `503`, `429` (no work),
            `late` (a 500 after the work).
        skip, times: how many requests it lets pass first, and how many it meets then.
        meanwhile: what somebody else stages right after the first request that it met.
    """

    agent: str
    method: str
    effect: str
    skip: int
    times: int
    meanwhile: Mapping[str, Any] | None = None

    def strikes(self, agent: str, method: str) -> bool:
        """Whether this request meets it; counts."""
        if agent != self.agent or self.method not in ("*", method) or self.times <= 0:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@dataclass(slots=True)
class Kill:
    """The process ends at its n-th request, before it is sent or before its answer is read."""

    n: int
    after: bool


@dataclass
class Agents:
    """
    Args:
        trackers: the section of a world.
        witness: is told; set before the first request.

    Attributes:
        struck: whether a fault was met since it was last set to False. dead: the process was killed.
        read, first: by agent, the last and the first reading of the running command.
    """

    connects_first: ClassVar[bool] = False

    clock: Clock
    trackers: Mapping[str, Any]
    witness: Witness
    faults: list[Fault] = field(default_factory=list)
    kill: Kill | None = None
    struck: bool = False
    dead: bool = False
    requests: int = 0
    latency_s: float = 0.05
    read: dict[str, Reading] = field(default_factory=dict)
    first: dict[str, Reading] = field(default_factory=dict)

    def __post_init__(self) -> None:
        world = {"tracker_username": USERNAME, "tracker_password": PASSWORD, "trackers": dict(self.trackers)}
        self._world = Simulation(world, None, 0).world
        self._api = AssetTracker()
        pair = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        self._authorization = f"Basic {pair}"

    # -- the tool -----------------------------------------------------------------------------------------------------

    async def exchange(self, request: Outgoing) -> Received:
        """One request of the tool."""
        request.before_send()
        body, method = b"".join(request.body), request.method.decode()
        agent = request.target.decode().split("/")[1]
        await self._on_the_way(after=False)
        fault = next((fault for fault in self.faults if fault.strikes(agent, method)), None)
        self.struck = self.struck or fault is not None
        if fault is not None and fault.effect == "before":
            self._meanwhile(fault)
            raise Lost("closed before the work")
        if fault is not None and fault.effect.isdecimal():
            self._meanwhile(fault)
            return self._response(Reply(int(fault.effect)))
        answer = self._work(request, method, agent, body)
        if fault is not None:
            self._meanwhile(fault)
            if fault.effect == "after":
                raise Lost("closed after the work")
            answer = Reply(500)
        response = self._response(answer)
        await self._on_the_way(after=True)
        return response

    async def _on_the_way(self, *, after: bool) -> None:
        await asyncio.sleep(self.latency_s)
        if not after:
            self.requests += 1
        kill = self.kill
        if kill is not None and kill.after == after and self.requests >= kill.n:
            self.dead = True
        if self.dead:
            raise Killed

    async def aclose(self) -> None:
        """There is no connection."""

    def _work(self, request: Outgoing, method: str, agent: str, body: bytes) -> Reply:
        self.settle()
        headers = {"authorization": dict(request.headers).get(b"Authorization", b"").decode()}
        if method == "PATCH":
            patch = json.loads(body)
            self.witness.patched(agent, patch, self.read.get(agent))
            answer = self._ask("PATCH", agent, body, **headers)
            self.witness.taken(agent, patch, answer.status)
            return answer
        answer = self._ask(method, agent, body, **headers)
        self.read[agent] = self.reading(agent)
        self.first.setdefault(agent, self.read[agent])
        return answer

    def _ask(self, method: str, agent: str, body: bytes, authorization: str) -> Reply:
        asked = Call(method, [agent, "cfg"], {}, "", authorization, JSON, self.clock.now, body)
        return self._api.refuse(asked, self._world) or self._api.answer(asked, self._world)

    def _response(self, answer: Reply) -> Received:
        headers = {**answer.headers, "Date": http_date(int(self.clock.now)), "Content-Type": answer.content_type}
        return Received(answer.status, {name.lower(): value for name, value in headers.items()}, answer.body)

    def _meanwhile(self, fault: Fault) -> None:
        if fault.meanwhile is not None:
            self.stage(fault.agent, fault.meanwhile)
            fault.meanwhile = None

    # -- the world ----------------------------------------------------------------------------------------------------

    def tracker(self, agent: str) -> Tracker:
        """A tracker as it is."""
        return self._world.trackers.by_agent[agent]

    def reading(self, agent: str) -> Reading:
        """What a GET says now."""
        tracker = self.tracker(agent)
        seen = view(tracker)
        pending = seen["description"].get("pendingUpdateId")
        return Reading(self.clock.now, tracker.update_id, pending, tracker.reported or {})

    def stage(self, agent: str, patch: Mapping[str, Any]) -> None:
        """Somebody else sends an update, with the tracker's credentials."""
        self.settle()
        answer = self._ask("PATCH", agent, json.dumps(patch).encode(), self._authorization)
        assert answer.status == 200, (agent, patch, answer)
        self.witness.theirs(agent)

    def settle(self) -> None:
        """Everything due by now has happened."""
        for agent, tracker in self._world.trackers.by_agent.items():
            pending, falls = tracker.pending, tracker.fallback
            self._world.trackers.find(agent, self.clock.now)
            if pending is not None and tracker.pending is None:
                self.witness.ended(agent, pending["updateId"], tracker.update_id == pending["updateId"])
            if falls and not tracker.fallback and tracker.update_id == DEFAULT_ID:
                self.witness.rebased(agent)

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self.clock.now += seconds
        self.settle()

    def connect(self, agent: str) -> None:
        """Time passes until the tracker has connected, if it has anything to connect for."""
        at = self.tracker(agent).next_connection
        if at is not None:
            self.advance(max(0.0, at - self.clock.now) + 1)

    def restart(self, agent: str) -> None:
        """The agent forgets what it has staged."""
        tracker = self.tracker(agent)
        if tracker.pending is not None:
            self.witness.ended(agent, tracker.pending["updateId"], False, fetched=False)
        tracker.pending = None
        tracker.schedule(self.clock.now)

    def set(self, agent: str, **values: Any) -> None:
        """Changes what a tracker does from now on."""
        tracker = self.tracker(agent)
        for name, value in values.items():
            setattr(tracker, name, value)
        tracker.schedule(self.clock.now)
