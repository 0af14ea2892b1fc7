"""Trackers as they were published: what their agents drop, how they want beacons, and settings of one's own."""

from __future__ import annotations

from typing import Any

import pytest
from test_e2e_tracker_wait import time_passing
from tracker_rig import HOUR, TRUCK, MakeTrackers, TrackerRig, assert_failed, assert_pending, assert_settled, truck

OLDER = {"scheme": "1.0", "published": True}
SIM = {"enabled": True, "duration": 30}
HERE = {"lat": 1.5, "lng": 2.5}
MAC = "0c2a69046a49"


def applied_once(rig: TrackerRig) -> dict[str, Any]:
    """What one apply stages, which is then fetched."""
    rig.mark()
    assert rig.apply().code == 0
    assert rig.patches() == ["PATCH /A1/cfg"]
    staged = rig.pending("A1")
    assert staged is not None
    rig.sim.advance(HOUR)
    return staged


def test_what_an_agent_drops_is_said_and_not_sent_again(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": OLDER})
    rig.trackers["truck"] = {**truck(connectingPeriod=60), "simUpdate": SIM}
    assert rig.apply().code == 0
    assert_pending(rig, TRUCK)
    rig.sim.advance(HOUR)
    ran = assert_failed(rig, TRUCK)
    assert "this agent drops simUpdate.duration, simUpdate.enabled" in ran.out and "somebody" not in ran.out, ran
    # Another setting is another update, and this is still known.
    rig.trackers["truck"]["configuration"]["connectingPeriod"] = 120
    assert applied_once(rig).keys() == {"updateId", "connectingPeriod"}
    assert "this agent drops simUpdate" in assert_failed(rig, TRUCK).out
    # Another value is tried once; and what is not wanted any more is not missed.
    rig.trackers["truck"]["simUpdate"] = {"enabled": True, "duration": 60}
    applied_once(rig)
    assert "this agent drops simUpdate" in assert_failed(rig, TRUCK).out
    del rig.trackers["truck"]["simUpdate"]
    assert rig.apply().code == 0
    assert_settled(rig)


def test_an_apply_that_waits_says_what_was_dropped(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": OLDER})
    rig.trackers["truck"] = {**truck(readingPeriod=30), "simUpdate": SIM}
    with time_passing(rig, 60):
        ran = rig.apply("--wait", "settled", "--timeout", "100")
    assert ran.code == 1 and "this agent drops simUpdate" in ran.out + ran.err, ran


def test_what_somebody_changes_after_it_was_applied_is_theirs(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": OLDER})
    rig.trackers["truck"] = truck(connectingPeriod=60, readingPeriod=30)
    applied_once(rig)
    assert_settled(rig)  # it is seen to be applied
    with rig.outside_trackers() as world:
        world["A1"]["reported"] |= {"readingPeriod": 60}
    assert rig.changes().keys() == {TRUCK}
    assert "somebody else changed it" in rig.plan().out


@pytest.mark.parametrize("written", ["0C:2A:69:04:6A:49", "0c-2a-69-04-6a-49", MAC])
def test_the_first_beacon_is_sent_as_digits(make_trackers: MakeTrackers, written: str) -> None:
    rig = make_trackers({"A1": OLDER})
    rig.trackers["truck"] = truck(locationTracking={"bleDevices": {"enabled": True, "generic": {written: HERE}}})
    assert applied_once(rig)["locationTracking"]["bleDevices"]["generic"] == {MAC: HERE}
    assert_settled(rig)


def test_the_other_spelling_is_sent_where_the_one_is_refused(make_trackers: MakeTrackers) -> None:
    live = {"0C:2A:69:04:6A:49": HERE}  # as an older application reported it; this one takes digits
    rig = make_trackers({"A1": {**OLDER, "reported": {"locationTracking": {"bleDevices": {"generic": live}}}}})
    members = {MAC: HERE, "aabbccddeeff": HERE}
    rig.trackers["truck"] = truck(locationTracking={"bleDevices": {"generic": members}})
    rig.mark()
    assert rig.apply().code == 0
    assert len(rig.patches()) == 2
    staged = rig.pending("A1")
    assert staged is not None and staged["locationTracking"]["bleDevices"]["generic"] == members
    assert_pending(rig, TRUCK)
    rig.sim.advance(HOUR)
    assert_settled(rig)


@pytest.mark.parametrize("scheme", ["1.0", "1.1"])
@pytest.mark.parametrize("other", [None, {"0112233445566778899aabbccddeeff0": {"1": {"2": HERE}}}])
def test_both_sets_travel_though_one_is_written(make_trackers: MakeTrackers, scheme: str, other: Any) -> None:
    """A tracker that reads locations restarts on an update with one of them, and never applies it."""
    reported: dict[str, Any] = {"locationTracking": {"alwaysOn": True, "bleDevices": {"enabled": True}}}
    if other is not None:
        reported["locationTracking"]["bleDevices"]["iBeacon"] = other
    rig = make_trackers({"A1": {"scheme": scheme, "reported": reported}})
    rig.trackers["truck"] = truck(locationTracking={"locReadingPeriod": 60, "bleDevices": {"generic": {MAC: HERE}}})
    assert applied_once(rig)["locationTracking"]["bleDevices"]["iBeacon"] == (other or {})
    assert_settled(rig)
    assert rig.reported("A1")["locationTracking"]["bleDevices"]["iBeacon"] == (other or {})


def test_a_tracker_that_never_reported_has_no_beacon_yet(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {"reported": None}})
    rig.trackers["truck"] = truck(locationTracking={"bleDevices": {"generic": {MAC: HERE}}})
    assert applied_once(rig)["locationTracking"]["bleDevices"]["iBeacon"] == {}
    assert_settled(rig)


def test_settings_of_an_adapted_application(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": OLDER})
    extra = {"mine": {"mode": 3}, "alerts": {"fuelLow": {"enabled": True}}}
    rig.trackers["truck"] = {**truck(connectingPeriod=60), "configuration_extra": extra}
    rig.trackers["truck"]["agentConfiguration_extra"] = {"colour": "red"}  # which this agent does not report
    staged = applied_once(rig)
    assert staged["mine"] == {"mode": 3} and staged["alerts"] == {"fuelLow": {"enabled": True}}
    assert_settled(rig)
    extra["mine"]["mode"] = 4
    assert applied_once(rig)["mine"] == {"mode": 4}
    assert_settled(rig)
    with rig.outside_trackers() as world:
        world["A1"]["reported"] |= {"mine": {"mode": 5}, "updateId": "theirs"}
    assert "configuration_extra.mine.mode = 5 -> 4" in rig.plan().out
    rig.trackers["truck"]["agentConfiguration_extra"] = {"colour": "blue"}
    assert 'agentConfiguration_extra.colour = "red" -> "blue"' in rig.plan().out


def test_another_application_behind_the_agent_is_said(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {}, "A2": {}})
    rig.trackers["truck"], rig.trackers["van"] = truck(connectingPeriod=60), truck("A2", connectingPeriod=60)
    rig.sim.set_faults(
        {"match": {"path": "/A1/cfg"}, "effect": {"status": 404, "body": {"message": "No handler for GET /cfg"}}}
    )
    ran = rig.apply()
    assert ran.code == 1 and "another application runs behind this agent" in ran.out, ran
    assert rig.patches() == ["PATCH /A2/cfg"]
    rig.sim.set_faults()
    assert rig.apply().code == 0
