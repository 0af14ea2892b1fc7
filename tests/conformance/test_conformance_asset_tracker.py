"""Trackers pass the conformance suite, in both schemes of their configuration."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from simulated import SimulatedAccount

from reconcile.conformance import Case, Unit, suite

pytest_plugins = ["reconcile.conformance.plugin"]

TRACKERS = 6
PASSWORDS = {"OWN_USER": "an-own-user", "OWN_PASSWORD": "an-own-password"}


def agent(number: int) -> str:
    return f"agent-{number}"


class Trackers(SimulatedAccount):
    scheme: ClassVar[str] = "1.1"
    settle_s = 600

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.world = {"trackers": {agent(number): {"scheme": cls.scheme} for number in range(TRACKERS)}}

    def live(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        for id, tracker in self.sim.world["trackers"].items():
            configuration = dict(tracker["reported"])
            del configuration["updateId"]
            if self.scheme == "1.0":  # beside it there, though a tracker reports it inside
                beside = {"simUpdate": configuration.pop("simUpdate")}
            else:
                beside = {}
            level = {"debug": {"logLevel": tracker["agent_log_level"]}}
            yield id, {"configuration": configuration, "agentConfiguration": level, **beside}

    def change(self, id: str, path: tuple[str, ...], value: Any) -> None:
        with self.outside("trackers") as trackers:
            if path[0] == "agentConfiguration":
                trackers[id]["agent_log_level"] = value
                return
            inner = trackers[id]["reported"] = copy.deepcopy(trackers[id]["reported"])
            *steps, last = path[1:] if path[0] == "configuration" else path
            for step in steps:
                inner = inner[step]
            inner[last] = value

    def remove(self, id: str) -> None:
        with self.outside("trackers") as trackers:
            del trackers[id]


class Newer(Trackers):
    scheme = "1.1"


class Older(Trackers):
    scheme = "1.0"


def settings(second: bool) -> dict[str, Any]:
    """Every setting but the sets of beacons and `simUpdate`; all numbers are exact in 32 bits."""

    def one(first: Any, other: Any) -> Any:
        return other if second else first

    return {
        "locationTracking": {
            "locReadingPeriod": one(120, 121.5),
            "alwaysOn": one(True, False),
            "motionMonitoring": {
                "enabled": one(False, True),
                "movementAccMin": one(0.25, 0.5),
                "movementAccMax": one(0.75, 1.5),
                "movementAccDur": one(0.5, 0.75),
                "motionTime": one(20, 30),
                "motionVelocity": one(1, 2.5),
                "motionDistance": one(0, 7),
                "motionStopTimeout": one(20, 30),
            },
            "repossessionMode": {"enabled": one(True, False), "after": one(1700000000, 1800000000)},
            "bleDevices": {"enabled": one(True, False)},
            "geofence": {
                "enabled": one(True, False),
                "lat": one(59.5, -33.25),
                "lng": one(10.75, 151.125),
                "radius": one(500, 750),
            },
        },
        "connectingPeriod": one(30, 60),
        "readingPeriod": one(30, 90),
        "alerts": {
            "batteryLow": {"enabled": one(True, False), "threshold": one(20, 25)},
            "shockDetected": {"enabled": one(False, True), "threshold": one(4, 2)},
            "tamperingDetected": {"enabled": one(True, False), "pollingPeriod": one(2, 3)},
            "temperatureHigh": {
                "enabled": one(False, True),
                "threshold": one(30, 35),
                "hysteresis": one(2, 3),
            },
            "temperatureLow": {"enabled": one(False, True), "threshold": one(5, -5.5), "hysteresis": one(2, 3)},
        },
        "debug": {"logLevel": one("ERROR", "INFO")},
    }


def entry(second: bool, *, newer: bool) -> dict[str, Any]:
    """What a document says in one of the schemes."""
    configuration = settings(second)
    sim = {"enabled": not second, "duration": 120 if second else 90}
    level = {"debug": {"logLevel": "INFO" if second else "ERROR"}}
    if not newer:
        del configuration["alerts"], configuration["locationTracking"]["motionMonitoring"]
        return {"configuration": configuration, "simUpdate": sim, "agentConfiguration": level}
    uuid, place = "0112233445566778899aabbccddeeff0", {"lat": 1.5, "lng": 2.5 if second else 3.5}
    configuration["simUpdate"] = sim
    configuration["locationTracking"]["bleDevices"] |= {
        "generic": {"0c2a69046a49" if second else "0c2a69046a50": place},
        "iBeacon": {uuid: {"1": {"7" if second else "8": place}}},
    }
    return {"configuration": configuration, "agentConfiguration": level}


def unit(number: int, key: str) -> Unit:
    own = {"username": "env:OWN_USER", "password": "env:OWN_PASSWORD"}
    return Unit(key, agent(number), {"agent": agent(number), **own})


BLE = "configuration.locationTracking.bleDevices"
ALIKE = "it is the same in both schemes"
EXTRA = dict.fromkeys(
    ("configuration_extra", "agentConfiguration_extra"), "settings of an adapted application, which this one is not"
)
ADDED_TO = "an agent of scheme 1.0 adds to a set of beacons, and takes nothing out"

TestTrackers = suite(
    Case(
        type="asset_tracker.trackers",
        account=Newer.served,
        entry=entry(False, newer=True),
        other=entry(True, newer=True),
        unit=unit,
        environ=PASSWORDS,
        left_out={"simUpdate": "it stands in the configuration; the older scheme has it beside", **EXTRA},
    )
)
TestTrackersOfTheOlderScheme = suite(
    Case(
        type="asset_tracker.trackers",
        account=Older.served,
        entry=entry(False, newer=False),
        other=entry(True, newer=False),
        unit=unit,
        environ=PASSWORDS,
        left_out={
            "configuration.simUpdate": "it stands beside the configuration",
            f"{BLE}.generic": ADDED_TO,
            f"{BLE}.iBeacon": ADDED_TO,
            "configuration.alerts": ALIKE,
            "configuration.locationTracking.motionMonitoring": ALIKE,
            **EXTRA,
        },
    )
)
