"""
A history, drawn from its seed: which trackers there are, and what happens to them, one step after the other.

A step is `(name, argument…)` in plain JSON and says all of what it does, so that a history from which steps are taken
out is a history too. `history` carries them out.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Step = tuple[Any, ...]
Path = tuple[str, ...]
Assignment = Mapping[Path, Any]

HOUR = 3600.0
AGENTS = ("a", "b", "c")

_TRACKING = ("locationTracking",)
_MOTION = (*_TRACKING, "motionMonitoring")
_FENCE = (*_TRACKING, "geofence")
_BLE = (*_TRACKING, "bleDevices")
_ALERTS = ("alerts",)
_BOOL = (True, False)

# Numbers that a tracker does not print as they were sent are in the majority: docs/apis/asset_tracker.md, "Numbers".
_VALUES: Mapping[Path, tuple[Any, ...]] = {
    ("connectingPeriod",): (180, 300, 600.3, 3600, 7200),
    ("readingPeriod",): (60, 64.256, 118.8839949),
    ("debug", "logLevel"): ("ERROR", "INFO", "DEBUG"),
    ("simUpdate", "enabled"): _BOOL,
    ("simUpdate", "duration"): (5, 60.5, 300),
    (*_TRACKING, "locReadingPeriod"): (180, 16.32, 500.0),
    (*_TRACKING, "alwaysOn"): _BOOL,
    (*_MOTION, "enabled"): _BOOL,
    (*_MOTION, "movementAccMin"): (0.15, 0.2, 0.3),
    (*_MOTION, "movementAccMax"): (0.4, 1.6, 3.3),
    (*_MOTION, "movementAccDur"): (0.25, 0.3, 0.01),
    (*_MOTION, "motionDistance"): (0, 5, 0.1),
    (*_TRACKING, "repossessionMode", "enabled"): _BOOL,
    (*_TRACKING, "repossessionMode", "after"): (1667598736, 1800000001, 2147483647),
    (*_FENCE, "enabled"): _BOOL,
    (*_FENCE, "radius"): (0, 500, 64.256),
    (*_FENCE, "lat"): (59.91, -33.8688197, 0.15),
    (*_FENCE, "lng"): (10.75, 118.8839949, 0),
    (*_BLE, "enabled"): _BOOL,
    (*_ALERTS, "shockDetected", "threshold"): (8, 0.016, 3.3),
    (*_ALERTS, "temperatureLow", "threshold"): (10, -7.7, 0),
    (*_ALERTS, "temperatureHigh", "threshold"): (25, 33.3, 60),
    (*_ALERTS, "temperatureHigh", "enabled"): _BOOL,
    (*_ALERTS, "temperatureLow", "hysteresis"): (0.1, 1, 1.1),
    (*_ALERTS, "batteryLow", "enabled"): _BOOL,
    (*_ALERTS, "batteryLow", "threshold"): (12, 16.7),
    (*_ALERTS, "tamperingDetected", "pollingPeriod"): (1, 0.1, 86400),
}
# What is written together, and which of it has to be.
_UNITS: tuple[tuple[Path, ...], ...] = (
    *((path,) for path in _VALUES if path[-1] not in ("lat", "lng", "movementAccMin", "movementAccMax")),
    ((*_FENCE, "lat"), (*_FENCE, "lng")),
    ((*_FENCE, "lat"), (*_FENCE, "lng"), (*_FENCE, "radius"), (*_FENCE, "enabled")),
    ((*_MOTION, "movementAccMin"), (*_MOTION, "movementAccMax")),
    ((*_MOTION, "movementAccMin"),),
    ((*_BLE, "generic"),),
    ((*_BLE, "generic"),),
    ((*_BLE, "iBeacon"),),
)
GROUPS = {
    _MOTION: ("movementAccMin", "movementAccMax"),
    _FENCE: ("lat", "lng", "radius"),
}
# How often each step is drawn.
_WEIGHTS = {
    "edit": 22,
    "apply": 26,
    "saved": 5,
    "foreign": 8,
    "connect": 12,
    "restart": 4,
    "fail": 4,
    "fallback": 1.5,
    "wait": 5,
    "online": 2,
    "faults": 7,
    "calm": 4,
    "crash": 4,
    "lose": 1.5,
    "stubborn": 2,
}
_OF_A_TRACKER = {"connect": "connect", "restart": "restart agent", "fallback": "fallback"}  # steps with no more to say
_MACS = ("0c2a69046a49", "00112233aabb", "d1d2d3d4d5d6")
_UUIDS = ("0112233445566778899aabbccddeeff0", "ffffffffeeeeddddccccbbbbaaaa0000")
_POINTS = ({"lat": 1.1, "lng": 2.2}, {"lat": 59.913868, "lng": 118.8839949}, {"lat": 0, "lng": 0})


@dataclass(frozen=True, slots=True)
class History:
    """
    Attributes:
        trackers: the section of a world. begin: the document before the first step.
    """

    seed: int
    trackers: Mapping[str, Mapping[str, Any]]
    begin: Mapping[str, Mapping[str, Any]]
    steps: tuple[Step, ...]


def draw(seed: int) -> History:
    """The history of a seed."""
    return _Drawing(seed).history()


class _Drawing:
    def __init__(self, seed: int) -> None:
        self.seed, self.rng = seed, random.Random(f"trackers {seed}")
        agents = AGENTS[: self.rng.choice((1, 1, 2, 3))]
        self.schemes = {agent: self.rng.choice(("1.0", "1.1")) for agent in agents}
        # What has never reported says no group, so the document has to.
        self.silent = {agent for agent in agents if self.rng.random() < 0.08}
        self.document: dict[str, dict[str, Any]] = {}
        self.before: dict[str, dict[str, Any]] = {}
        self.saved = False
        self.staged = 0

    def history(self) -> History:
        trackers = {agent: self._world(agent) for agent in self.schemes}
        for agent in self.schemes:
            self.document[agent] = {"agent": agent}
            for _ in range(self.rng.randint(1, 4)):
                self._write(agent)
        begin = copy.deepcopy(self.document)
        steps = [step for _ in range(self.rng.randint(10, 25)) for step in self._step()]
        return History(self.seed, trackers, begin, tuple(steps))

    def _world(self, agent: str) -> dict[str, Any]:
        world: dict[str, Any] = {"scheme": self.schemes[agent]}
        if agent in self.silent:
            return {**world, "reported": None}
        if self.rng.random() < 0.3:
            theirs = self._theirs(agent)
            there = {**theirs.get("configuration", {}), "updateId": "there-before"}
            world["reported"] = {**there, **({"simUpdate": theirs["simUpdate"]} if "simUpdate" in theirs else {})}
        return world

    # -- one step -----------------------------------------------------------------------------------------------------

    def _step(self) -> list[Step]:
        rng, agent = self.rng, self.rng.choice(list(self.schemes))
        kind = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        if kind in _OF_A_TRACKER:
            return [(_OF_A_TRACKER[kind], agent)]
        match kind:
            case "edit":
                return [self._edited(agent)]
            case "apply":
                return [("apply", {"overwrite": rng.random() < 0.2, "retry": rng.random() < 0.1})]
            case "saved":
                self.saved = not self.saved or rng.random() < 0.3
                if self.saved:
                    return [("save", {"overwrite": rng.random() < 0.3})]
                return [("apply saved", {"overwrite": rng.random() < 0.3})]
            case "foreign":
                return [("foreign", agent, self._theirs(agent))]
            case "fail":
                return [("fail", agent, rng.choice((True, True, 1, 2, False)))]
            case "wait":
                return [("wait", rng.choice((1.0, 20.0, 200.0, 1800.0, HOUR, 3 * HOUR, 7 * HOUR, 400 * HOUR)))]
            case "online":
                return [("online", agent, rng.random() < 0.5)]
            case "faults":
                return [("faults", [self._fault() for _ in range(rng.randint(1, 2))])]
            case "crash":
                crash = ("crash", {"n": rng.randint(1, 2 + 3 * len(self.schemes)), "after": rng.random() < 0.6})
                again = ("apply", {"overwrite": False, "retry": False})
                if rng.random() < 0.4:  # what was sent, and what the document says by then, are two things
                    return [self._edited(agent), crash, self._edited(agent), again]
                return [crash, again] if rng.random() < 0.7 else [crash]
            case "lose":
                return [("lose the state",), ("apply", {"overwrite": False, "retry": False})]
            case "stubborn":
                return self._stubborn(agent)
        return [("calm",)]

    def _stubborn(self, agent: str) -> list[Step]:
        """A tracker that applies nothing, for as long as it takes to give up; now and then the tool dies beside it."""
        rng, crashing = self.rng, self.rng.choice((0.0, 0.0, 0.5, 1.0))
        found: list[Step] = [("online", agent, True), ("fail", agent, True)]
        for _ in range(rng.randint(3, 6)):
            if rng.random() < crashing:
                found.append(("crash", {"n": rng.choice((2, 3)) * len(self.schemes), "after": True}))
            else:
                found.append(("apply", {"overwrite": False, "retry": False}))
            found += [("connect", agent), ("wait", rng.choice((HOUR / 2, 7 * HOUR, 7 * HOUR)))]
        return found

    def _fault(self) -> dict[str, Any]:
        rng, agent = self.rng, self.rng.choice(list(self.schemes))
        method = rng.choice(("GET", "PATCH", "PATCH", "*"))
        effect = rng.choice(("before", "after", "after", "500", "503", "429", "late"))
        fault: dict[str, Any] = {"agent": agent, "method": method, "effect": effect}
        fault |= {"skip": rng.choice((0, 0, 0, 1, 2)), "times": rng.choice((1, 1, 2, 4, 30))}
        if method == "PATCH" and rng.random() < 0.25:
            fault["meanwhile"] = self._theirs(agent)
        return fault

    # -- the document -------------------------------------------------------------------------------------------------

    def _edited(self, agent: str) -> Step:
        self._edit(agent)
        return ("document", agent, copy.deepcopy(self.document.get(agent)))

    def _edit(self, agent: str) -> None:
        rng = self.rng
        was = copy.deepcopy(self.document.get(agent))
        if was is None or (rng.random() < 0.04 and len(self.document) > 1):
            if was is None:
                self.document[agent] = copy.deepcopy(self.before.get(agent, {"agent": agent}))
            else:
                del self.document[agent]
        elif agent in self.before and rng.random() < 0.15:
            self.document[agent] = copy.deepcopy(self.before[agent])
        elif rng.random() < 0.2:
            self._remove(agent)
        else:
            for _ in range(rng.choice((1, 1, 1, 2, 3))):
                self._write(agent)
        if was is not None:
            self.before[agent] = was

    def _write(self, agent: str) -> None:
        rng, entry = self.rng, self.document[agent]
        if rng.random() < 0.1:
            put(entry, ("agentConfiguration", "debug", "logLevel"), rng.choice(("ERROR", "INFO", "DEBUG")))
            return
        for path, value in self._drawn(agent).items():
            if path[0] == "simUpdate" and ("simUpdate" in entry or (rng.random() < 0.5 and not _inside(entry))):
                put(entry, path, value)
            else:
                put(entry, ("configuration", *path), value)

    def _drawn(self, agent: str, theirs: bool = False) -> dict[Path, Any]:
        """Settings that can be written together; with what has to travel with them, where nobody else says it."""
        paths = list(self.rng.choice(_UNITS))
        for group, names in GROUPS.items():
            if (theirs or agent in self.silent) and any(path[: len(group)] == group for path in paths):
                paths += [(*group, name) for name in names if (*group, name) not in paths]
        return {path: self._value(agent, path, theirs) for path in paths}

    def _value(self, agent: str, path: Path, theirs: bool) -> Any:
        rng = self.rng
        if path[-1] == "generic":
            macs = rng.sample(_MACS, rng.randint(0, 3))
            return {self._spelled(agent, mac, theirs): dict(rng.choice(_POINTS)) for mac in macs}
        if path[-1] == "iBeacon":
            found: dict[str, Any] = {}
            for uuid in rng.sample(_UUIDS, rng.randint(0, 2)):
                key = uuid if theirs else rng.choice((uuid, uuid.upper()))
                for minor in rng.sample(("0", "7", "65535"), rng.randint(1, 2)):
                    put(found, (key, "2", minor), dict(rng.choice(_POINTS)))
            return found
        return rng.choice(_VALUES[path])

    def _spelled(self, agent: str, mac: str, theirs: bool) -> str:
        colons = ":".join(mac[at : at + 2] for at in range(0, 12, 2))
        if theirs:
            return colons if self.schemes[agent] == "1.0" else mac
        return str(self.rng.choice((mac, mac, colons, colons.upper(), colons.replace(":", "-"))))

    def _remove(self, agent: str) -> None:
        """A setting that is not written any more, with what is only allowed beside it."""
        entry = self.document[agent]
        leaves = sorted(_leaves(entry))
        if not leaves:
            return
        path = self.rng.choice(leaves)
        take(entry, path)
        if path[-1] in ("lat", "lng"):
            take(entry, (*path[:-1], "lat"))
            take(entry, (*path[:-1], "lng"))
        if agent in self.silent and len(path) > 3:  # nobody else says the rest of its group
            take(entry, path[:3])

    # -- somebody else ------------------------------------------------------------------------------------------------

    def _theirs(self, agent: str) -> dict[str, Any]:
        """An update as somebody else would send it, in the scheme's form."""
        self.staged += 1
        patch: dict[str, Any] = {"configuration": {"updateId": f"theirs-{self.staged}"}}
        for _ in range(self.rng.choice((1, 1, 2))):
            for path, value in self._drawn(agent, theirs=True).items():
                inside = path[0] != "simUpdate" or self.schemes[agent] == "1.1"
                put(patch, ("configuration", *path) if inside else path, value)
        if self.rng.random() < 0.1:
            patch["agentConfiguration"] = {"debug": {"logLevel": self.rng.choice(("ERROR", "INFO"))}}
        return patch


def _inside(entry: Mapping[str, Any]) -> bool:
    return "simUpdate" in entry.get("configuration", {})


def put(value: dict[str, Any], path: Path, leaf: Any) -> None:
    """Writes a leaf, with the objects around it."""
    for step in path[:-1]:
        value = value.setdefault(step, {})
    value[path[-1]] = leaf


def take(value: dict[str, Any], path: Path) -> None:
    """Takes a leaf out, with the objects that become empty."""
    if len(path) > 1 and isinstance(value.get(path[0]), dict):
        take(value[path[0]], path[1:])
        if not value[path[0]]:
            del value[path[0]]
    elif len(path) == 1:
        value.pop(path[0], None)


def _leaves(value: Mapping[str, Any], path: Path = ()) -> list[Path]:
    """The settings of an entry; a set of beacons is one."""
    found: list[Path] = []
    for key, inner in value.items():
        if isinstance(inner, Mapping) and key not in ("generic", "iBeacon"):
            found += _leaves(inner, (*path, key))
        elif (*path, key) != ("agent",):
            found.append((*path, key))
    return found
