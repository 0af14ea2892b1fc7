"""
The Asset Tracker: `trackers` in the world, and the API: `GET` and `PATCH /<agent id>/cfg`, an agent per tracker
(docs/apis/asset_tracker.md). Requests in, answers of the reference agent out.

docs/apis/asset_tracker.md, "What is not documented": another method is a 405, an agent that does not exist a 404, both
in plain text; a PATCH that is not `application/json` is a 400; one with the current `updateId` is ignored whole, its
`agentConfiguration` included.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from reconcile.simulator import shape
from reconcile.simulator.asset_tracker import trackers
from reconcile.simulator.asset_tracker.tracker import Configuration, Tracker
from reconcile.simulator.asset_tracker.trackers import OTHER_PATHS, Trackers, agent_id, dump_tracker
from reconcile.simulator.asset_tracker.validation import Invalid, check, known
from reconcile.simulator.bodies import media_type
from reconcile.simulator.exchange import JSON, Call, Reply, json_answer
from reconcile.simulator.shape import Path
from reconcile.simulator.world import Credential, Key, Section, SimulatedWorld, digest, unused

_MAX_UPDATE = 1 << 20


class AssetTracker(Section[Trackers]):
    """See `world.Section`. Trackers that name no credentials have those of the world."""

    name = "trackers"
    provider = "asset_tracker"
    credentials = (
        Credential("tracker_username", lambda seed: "fleet", of_units=True),
        Credential("tracker_password", lambda seed: digest(seed, "trackers")[:16], of_units=True),
    )
    kinds = ("tracker",)
    fleet = "trackers"
    dump = staticmethod(trackers.dump)
    settle = staticmethod(Trackers.settle)

    def parse(self, value: Any, path: Path, world: SimulatedWorld) -> Trackers:
        return trackers.parse(value, path, *self._credentials(world), world.clock.now())

    def _credentials(self, world: SimulatedWorld) -> tuple[str, str]:
        return world.credentials["tracker_username"], world.credentials["tracker_password"]

    def units(self, known: dict[str, Any], path: Path) -> dict[str, Any]:
        """Of `{"trackers": [{"agent": "…"}]}`."""
        agents: dict[str, dict[str, Any]] = {}
        for n, unit in enumerate(shape.array(known.get("trackers", []), (*path, "trackers"))):
            at = (*path, "trackers", n)
            agents[shape.text(shape.mapping(unit, at).get("agent"), (*at, "agent"))] = {}
        return {self.name: agents} if agents else {}

    def add_units(self, world: SimulatedWorld, count: int, seed: int) -> list[str]:
        held: Trackers = world.trackers
        agents = unused(count, held.by_agent, lambda n: agent_id(digest(seed, f"tracker:{n}")))
        held.add_fleet(agents, *self._credentials(world), world.clock.now())
        world.changed.update(("tracker", agent) for agent in agents)
        return agents

    def rows(self, held: Trackers) -> Iterator[Key]:
        return (("tracker", agent) for agent in held.by_agent)

    def row(self, held: Trackers, kind: str, id_: str) -> dict[str, Any] | None:
        return dump_tracker(held.by_agent[id_]) if id_ in held.by_agent else None

    def settings(self, held: Trackers) -> dict[str, Any]:
        return {}

    def assemble(self, settings: dict[str, Any], kept: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        # Older databases have trackers in the world's row.
        return settings | kept.get("tracker", {})

    def claims(self, segments: list[str]) -> bool:
        return len(segments) == 2 and segments[1] == "cfg" and segments[0] not in ("", *OTHER_PATHS)

    def refuse(self, request: Call, world: SimulatedWorld) -> Reply | None:
        tracker = world.trackers.by_agent.get(request.segments[0])
        # Without an agent there is nobody who could ask for credentials.
        if tracker is None or request.authorization == _authorization(tracker):
            return None
        return self.error(401, "Unauthorized")

    def max_body(self, request: Call) -> int:
        return _MAX_UPDATE

    def error(self, status: int, message: str) -> Reply:
        return json_answer(status, {"message": "Unauthorized"}) if status == 401 else _text(status, message)

    def about(self, request: Call, id_: str) -> Call | None:
        return replace(request, method="GET", segments=[id_, "cfg"], body=b"")

    def answer(self, request: Call, world: SimulatedWorld) -> Reply:
        tracker = world.trackers.find(request.segments[0], request.now)
        if tracker is None:
            return _text(404, "Agent not found")
        match request.method:
            case "GET":
                return json_answer(200, view(tracker))
            case "PATCH":
                return _patch(tracker, request, world)
        refused = _text(405, f"{request.method} is not allowed here")
        refused.headers["Allow"] = "GET, PATCH"
        return refused


def _authorization(tracker: Tracker) -> str:
    """The header that is accepted; the reference agent compares it to the letter."""
    return "Basic " + base64.b64encode(f"{tracker.username}:{tracker.password}".encode()).decode()


def _text(status: int, message: str) -> Reply:
    return Reply(status, message.encode(), "text/plain; charset=utf-8")


def view(tracker: Tracker) -> dict[str, Any]:
    """
    What GET answers.

    Before the tracker has reported, there is no `configuration`, and no `simUpdate` either. What is not known is
    null in scheme 1.0 (docs/apis/asset_tracker.md, "Shape"), and absent in 1.1.
    """
    scheme = tracker.rules
    description: dict[str, Any] = {
        "trackerId": tracker.tracker_id,
        "cfgTimestamp": tracker.cfg_timestamp,
        "cfgSchemeVersion": scheme.version,
        "pendingUpdateId": None if tracker.pending is None else tracker.pending["updateId"],
    }
    if scheme.sim_update_inside:
        description = {key: value for key, value in description.items() if value is not None}
    answer: dict[str, Any] = {"description": description}
    if tracker.reported is not None:
        answer["configuration"] = tracker.reported
        if not scheme.sim_update_inside:
            answer["configuration"] = {k: v for k, v in tracker.reported.items() if k != "simUpdate"}
        if scheme.sim_update_beside:
            answer["simUpdate"] = tracker.reported["simUpdate"]
    return {**answer, "agentConfiguration": {"debug": {"logLevel": tracker.agent_log_level}}}


def _patch(tracker: Tracker, request: Call, world: SimulatedWorld) -> Reply:
    """Checks all of an update before any of it is done; the agent's own settings hold at once, the rest is staged."""
    if media_type(request.content_type) != JSON:
        return _text(400, f"The content type must be {JSON}")
    scheme = tracker.rules
    try:
        document = _loads(request.body)
        if _is_current(document, tracker):
            return Reply(200)
        check(known(document, scheme.update) if tracker.published else document, scheme)
    except Invalid as e:
        return _text(400, str(e))
    level = document.get("agentConfiguration", {}).get("debug", {}).get("logLevel")
    if level is not None:
        tracker.agent_log_level = level
    if "configuration" in document:
        update: Configuration = document["configuration"]
        if "simUpdate" in document and scheme.sim_update_beside:
            update = {**update, "simUpdate": document["simUpdate"]}
        world.trackers.stage(tracker, update, request.now)
    world.changed.add(("tracker", tracker.agent))
    return Reply(200)


def _loads(body: bytes) -> Any:
    try:
        document = shape.loads(body)
        if b"\\u" in body:
            json.dumps(document, ensure_ascii=False).encode()
    except shape.ShapeError as e:
        raise Invalid(f"The update {e.message}") from None
    except UnicodeEncodeError:
        raise Invalid("The update holds half of a surrogate pair") from None
    return document


def _is_current(document: Any, tracker: Tracker) -> bool:
    """Whether an update has the id of the one that is applied already: asked before it is validated."""
    configuration = document.get("configuration") if isinstance(document, dict) else None
    update_id = configuration.get("updateId") if isinstance(configuration, dict) else None
    return isinstance(update_id, str) and update_id == tracker.update_id
