"""
Random histories of edits, applies, foreign updates, connections, restarts, failures and lost answers.

`TRACKER_HISTORIES` is how many of each scheme there are.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from tracker_rig import HOUR, NO_CHANGES, SCHEMES, TRUCK, MakeTrackers, TrackerRig

PATCH = {"method": "PATCH"}
MACS = ["0C:2A:69:04:6A:49", "0c2a69046a50", "DB-97-86-25-6C-43"]


class History:
    """One tracker, and a document that says something about it."""

    def __init__(self, rig: TrackerRig, scheme: str, seed: int) -> None:
        self.rig, self.scheme, self.chance, self.told = rig, scheme, random.Random(seed), []
        self.foreign = 0
        rig.sim.set_faults()
        rig.sim.put({**rig.sim.world, "trackers": {"A1": {"scheme": scheme}}})
        rig.lose_state()
        rig.trackers["truck"] = {"agent": "A1"}
        self.edit()

    def _point(self) -> dict[str, float]:
        return {"lat": self.chance.choice([64.256, 0.15, -1e-3]), "lng": self.chance.choice([16.32, 118.8839949])}

    # -- what happens -------------------------------------------------------------------------------------------------

    def edit(self) -> None:
        chance, entry = self.chance, self.rig.trackers["truck"]
        configuration = entry.setdefault("configuration", {})
        tracking = configuration.setdefault("locationTracking", {})
        match chance.randrange(9):
            case 0:
                configuration["connectingPeriod"] = chance.choice([60, 180, 300])
            case 1:
                configuration["readingPeriod"] = chance.choice([20, 60, 16.32])
            case 2:
                tracking["geofence"] = {"enabled": chance.random() < 0.5, **self._point(), "radius": 500}
            case 3:
                tracking["motionMonitoring"] = {"motionTime": chance.choice([15, 30])}
            case 4:
                entry["agentConfiguration"] = {"debug": {"logLevel": chance.choice(["INFO", "ERROR"])}}
            case 5:
                configuration["alerts"] = {"batteryLow": {"threshold": chance.choice([12, 0.3, 64.256])}}
            case 6:
                configuration["simUpdate"] = {"enabled": chance.random() < 0.5}
            case 7:
                members = tracking.setdefault("bleDevices", {}).setdefault("generic", {})
                mac = chance.choice(MACS)
                if mac in members and chance.random() < 0.5:
                    del members[mac]
                else:
                    members[mac] = self._point()
            case 8:
                configuration.pop(chance.choice(["connectingPeriod", "readingPeriod", "alerts"]), None)

    def apply(self) -> None:
        before = self.rig.pending("A1")
        ran = self.rig.apply()
        assert ran.code in (0, 1, 5, 7), self.at(ran)
        if before is not None and before["updateId"].startswith("foreign-"):
            assert self.rig.pending("A1") == before, self.at(ran)  # nothing foreign is overwritten silently
        if ran.code == 0:
            planned = self.rig.plan("--detailed-exitcode")
            assert planned.code == 0 and NO_CHANGES in planned.out, self.at(planned)

    def foreign_update(self) -> None:
        self.foreign += 1
        held = self.chance.choice([{"connectingPeriod": 77}, {"readingPeriod": 77}, {"debug": {"logLevel": "ERROR"}}])
        with self.rig.outside_trackers() as trackers:
            trackers["A1"]["pending"] = {"updateId": f"foreign-{self.foreign}", **held}

    def connect(self) -> None:
        self.rig.sim.advance(self.chance.choice([100, 400, 2 * HOUR]))

    def restart(self) -> None:
        self.rig.restart_agent("A1")

    def fail(self) -> None:
        with self.rig.outside_trackers() as trackers:
            trackers["A1"]["fail_apply"] = self.chance.choice([1, 1, 2, True, False])

    def fall_back(self) -> None:
        with self.rig.outside_trackers() as trackers:
            trackers["A1"]["fallback"] = True

    def lose_answers(self) -> None:
        fault = {"match": PATCH, "effect": {"drop": self.chance.choice(["before", "after"])}}
        self.rig.sim.set_faults(
            *([{**fault, "times": self.chance.choice([1, 2, 9])}] if self.chance.random() < 0.8 else [])
        )

    def crash(self) -> None:
        self.rig.crash(self.chance.randint(1, 4))

    def lose_state(self) -> None:
        # Of a set, the state alone knows what was removed from the files.
        if not self.removals_pending():
            self.rig.lose_state()

    def removals_pending(self) -> bool:
        return "bleDevices" in self.rig.trackers["truck"]["configuration"].get("locationTracking", {})

    # -- what always holds --------------------------------------------------------------------------------------------

    def at(self, ran: object) -> str:
        return f"{self.told}\n{self.rig.trackers['truck']}\n{self.rig.tracker('A1')}\n{ran}"

    def run(self) -> None:
        steps = [self.edit, self.apply, self.connect, self.edit, self.apply, self.connect]
        steps += [self.foreign_update, self.restart, self.fail, self.fall_back, self.lose_answers, self.crash]
        steps += [self.lose_state]
        for _ in range(self.chance.randint(4, 14)):
            step = self.chance.choice(steps)
            self.told.append(step.__name__)
            step()
        self.settle()

    def settle(self) -> None:
        """The faults stop, and time passes: what is staged by whomever is delivered."""
        rig = self.rig
        rig.sim.set_faults()
        with rig.outside_trackers() as trackers:
            trackers["A1"] |= {"fail_apply": False, "fallback": False}
        for _ in range(2):
            rig.sim.advance(2 * HOUR)
            flag = ["--retry-failed"] if "Failed:" in rig.plan().out else []
            ran = rig.apply(*flag)
            assert ran.code in (0, 7), self.at(ran)
        assert ran.code == 0, self.at(ran)
        rig.sim.advance(2 * HOUR)
        rig.mark()
        ran = rig.plan("--detailed-exitcode")
        assert ran.code == 0 and "Pending:" not in ran.out, self.at(ran)
        assert "Failed:" not in ran.out or (self.scheme == "1.0" and "still there" in ran.out), self.at(ran)
        for _ in range(2):
            ran = rig.apply("--retry-failed")
            assert ran.code == 0 and rig.patches() == [], self.at(ran)
        entry, tracker = rig.trackers["truck"], rig.tracker("A1")
        held(entry.get("configuration", {}), tracker["reported"], self)
        if "agentConfiguration" in entry:
            assert tracker["agent_log_level"] == entry["agentConfiguration"]["debug"]["logLevel"], self.at(ran)


def held(wanted: Any, live: Any, history: History, path: tuple[str, ...] = ()) -> None:
    """Everything that the files say is what the tracker reports."""
    if not isinstance(wanted, dict):
        same = live == wanted if isinstance(wanted, (bool, str)) else live == pytest.approx(wanted, rel=1e-6)
        assert same, history.at((path, wanted, live))
        return
    if path[-1:] == ("generic",):
        wanted, live = ({_plain(key): value for key, value in side.items()} for side in (wanted, live))
        # docs/apis/asset_tracker.md, "Sets": an agent of scheme 1.0 removes nothing from a set.
        more = set(live) > set(wanted) and history.scheme == "1.0"
        assert set(live) == set(wanted) or more, history.at((path, wanted, live))
    for key, value in wanted.items():
        assert key in live, history.at((path, key))
        held(value, live[key], history, (*path, key))


def _plain(key: str) -> str:
    return key.replace(":", "").replace("-", "").lower()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_of_ours_is_lost_nothing_foreign_is_overwritten_and_all_settles(
    make_trackers: MakeTrackers, scheme: str
) -> None:
    rig = make_trackers({"A1": {"scheme": scheme}})
    first = int(os.environ.get("TRACKER_HISTORIES_FROM", "0"))
    for seed in range(first, first + int(os.environ.get("TRACKER_HISTORIES", "12"))):
        history = History(rig, scheme, seed)
        try:
            history.run()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    assert TRUCK in rig.entries()
