"""
All trackers: the `trackers` section of the world, parsed, dumped, and found by agent id.

The section is `{<agent>: {username, password, reported, pending, online, scheme, …}}`; every key may be left
out. `reported` is the tracker's `configuration` block, under both schemes with `simUpdate` inside; what it
leaves out has the reference default (so has all of it when it is left out), the rest is reported as it stands.
`null` is a tracker that never reported; while it is online it does at its first connection. `pending` is the
staged update, of the same shape, or null: putting null where there was one is a restart of the agent, which
keeps it in memory only. Beside them:

- `tracker_id`: `description.trackerId`; made from the agent id.
- `cfg_timestamp`: `description.cfgTimestamp`, Unix seconds; now, or null while nothing was reported.
- `agent_log_level`: `agentConfiguration.debug.logLevel`; `DEBUG`.
- `published`: whether the agent is the application as it was published, where that differs from the Reference: it
  takes keys that it does not know, and reports those of `configuration`.
- `fail_apply`: the tracker fetches an update and cannot apply it: `true` always, a number that many times.
  The update is gone, the tracker restarts on its old configuration.
- `fallback`: `true`: at its next connection the tracker has started on the reference default, because it could
  not on what it had saved; then false again.
- `next_connection`: Unix seconds, while something would happen then; else null. Left out or null, one
  `connectingPeriod` from now.
"""

import base64
import hashlib
from collections.abc import Iterable
from typing import Any

from reconcile.simulator import shape
from reconcile.simulator.asset_tracker.defaults import DEFAULT
from reconcile.simulator.asset_tracker.floats import FLOAT_MAX, INT_MAX, INT_MIN
from reconcile.simulator.asset_tracker.settings import (
    LEVELS,
    SCHEMES,
    Block,
    Level,
    Members,
    Number,
    Rule,
    Switch,
    UpdateId,
    Whole,
)
from reconcile.simulator.asset_tracker.tracker import Configuration, Tracker, merged
from reconcile.simulator.asset_tracker.validation import known
from reconcile.simulator.clock import LATEST
from reconcile.simulator.shape import Path, ShapeError
from reconcile.simulator.table import Collection, Column, as_it_is, number, one_of, optional, whole

# First segments of other paths (docs/architecture.md, "Simulator"): an agent of that name could not be reached.
OTHER_PATHS = ("v1", "v2", "v3", "upload", "_sim")


class Trackers:
    """Every tracker by agent id. `now` in its methods is simulated seconds."""

    def __init__(self) -> None:
        self.by_agent: dict[str, Tracker] = {}
        # Those with a connection ahead that does something: a year passes for the others without a look at them.
        self._waiting: set[str] = set()

    def add(self, tracker: Tracker, now: float) -> None:
        tracker.schedule(now)
        self.by_agent[tracker.agent] = tracker
        if tracker.next_connection is not None:
            self._waiting.add(tracker.agent)

    def add_fleet(self, agents: Iterable[str], username: str, password: str, now: float) -> None:
        """Adds trackers as from the factory: they have reported the reference default."""
        for agent in agents:
            tracker = Tracker(agent, username, password, tracker_id(agent), reported=DEFAULT, cfg_timestamp=int(now))
            self.add(tracker, now)

    def find(self, agent: str, now: float) -> Tracker | None:
        """The tracker of an agent, brought up to date."""
        tracker = self.by_agent.get(agent)
        if tracker is not None and tracker.next_connection is not None:
            tracker.settle(now)
        return tracker

    def stage(self, tracker: Tracker, update: Configuration, now: float) -> None:
        tracker.stage(update, now)
        self._waiting.add(tracker.agent)

    def settle(self, now: float) -> None:
        """Everything due happens, on every tracker."""
        for agent in self._waiting:
            self.by_agent[agent].settle(now)
        self._waiting = {agent for agent in self._waiting if self.by_agent[agent].next_connection is not None}


def agent_id(digest: str) -> str:
    """An id like the vendor's (`LPoC4xOL8ESr_`): 13 characters, the first a letter or digit."""
    return digest[0] + base64.urlsafe_b64encode(bytes.fromhex(digest)[1:10]).decode()


def tracker_id(agent: str) -> str:
    """A hardware id like the vendor's (`600a0002d7026715`) for an agent."""
    return "600a0002" + hashlib.sha256(agent.encode()).hexdigest()[:8]


def parse(value: Any, path: Path, username: str, password: str, now: float) -> Trackers:
    """
    The section of a world.

    Args:
        username, password: of trackers that name none.

    Raises:
        ShapeError: the shape is wrong somewhere.
    """
    trackers = Trackers()
    for agent, item in shape.mapping(value, path).items():
        at = (*path, agent)
        if not shape.text(agent, at) or agent in OTHER_PATHS:
            raise ShapeError(at, "is not an agent id")
        trackers.add(_tracker(agent, item, at, username, password, now), now)
    return trackers


def _tracker(agent: str, value: Any, path: Path, username: str, password: str, now: float) -> Tracker:
    item: dict[str, Any] = {
        "username": username,
        "password": password,
        "tracker_id": tracker_id(agent),
        "scheme": "1.1",
    }
    item |= {"reported": DEFAULT, **_TRACKER.parse(value, path)}
    report = SCHEMES[item["scheme"]].report
    for name in ("reported", "pending"):
        if item.get(name) is not None and item[name] is not DEFAULT:
            _checked(known(item[name], report) if item.get("published") else item[name], report, (*path, name))
    if item["reported"] is not None and item["reported"] is not DEFAULT:
        item["reported"] = merged(DEFAULT, item["reported"])
    if item.get("pending") is not None and "updateId" not in item["pending"]:
        raise ShapeError((*path, "pending", "updateId"), "is missing")
    item.setdefault("cfg_timestamp", None if item["reported"] is None else int(now))
    return Tracker(agent, **item)


def _credential(value: Any, path: Path) -> str:
    if not shape.text(value, path):
        raise ShapeError(path, "must not be empty")
    return str(value)


def _times(value: Any, path: Path) -> bool | int:
    if isinstance(value, bool):
        return value
    if not isinstance(value, int):
        raise ShapeError(path, f"must be true, false or a number of times, is {shape.kind(value)}")
    return shape.integer(value, path, 0, 2**53) or False


_CREDENTIAL = Column(_credential)
_FLAG = Column(shape.boolean)
# What a tracker reports, and so what is pending, is checked when its scheme is known.
_CONFIGURATION = Column(as_it_is)
_TRACKER = Collection(
    username=_CREDENTIAL,
    password=_CREDENTIAL,
    reported=_CONFIGURATION,
    pending=_CONFIGURATION,
    online=_FLAG,
    scheme=Column(one_of(*SCHEMES)),
    published=_FLAG,
    tracker_id=Column(shape.text),
    cfg_timestamp=Column(optional(whole(0, LATEST))),
    agent_log_level=Column(one_of(*LEVELS)),
    fail_apply=Column(_times),
    fallback=_FLAG,
    next_connection=Column(optional(number(0, LATEST))),
)


def _checked(value: Any, rule: Rule, path: Path) -> Any:
    """
    A configuration, checked for its keys and types only.

    Ranges, beacon ids and dependent groups are the agent's concern: a world may hold a tracker that connects
    every 0.1 s, or one whose settings nobody would be allowed to send.
    """
    match rule:
        case Block(fields=fields):
            for key, inner in shape.mapping(value, path, fields).items():
                _checked(inner, fields[key], (*path, key))
        case Members(of=of):
            for key, inner in shape.mapping(value, path).items():
                _checked(inner, of, (*path, shape.text(key, (*path, key))))
        case Number():
            shape.number(value, path, -FLOAT_MAX, FLOAT_MAX)
        case Whole():
            shape.integer(value, path, INT_MIN, INT_MAX)
        case Switch():
            shape.boolean(value, path)
        case Level():
            shape.choice(value, path, LEVELS)
        case UpdateId():
            shape.text(value, path)
    return value


def dump(trackers: Trackers) -> dict[str, Any]:
    """The section in its complete form, in the order of its keys."""
    return {agent: dump_tracker(trackers.by_agent[agent]) for agent in sorted(trackers.by_agent)}


def dump_tracker(tracker: Tracker) -> dict[str, Any]:
    return _TRACKER.dump(tracker)
