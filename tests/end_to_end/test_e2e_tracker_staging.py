"""An update is staged, fetched later and then reported: the plan is empty at every moment of it."""

from __future__ import annotations

from typing import Any

import pytest
from tracker_rig import (
    HOUR,
    MONTH,
    NO_CHANGES,
    SCHEMES,
    TRUCK,
    YEAR,
    MakeTrackers,
    TrackerRig,
    assert_pending,
    assert_settled,
    truck,
)

AWKWARD: dict[str, Any] = {
    "64.256": {"locationTracking": {"geofence": {"enabled": True, "lat": 64.256, "lng": 16.32, "radius": 500}}},
    "0.15": {"locationTracking": {"motionMonitoring": {"movementAccMin": 0.15, "movementAccMax": 0.3}}},
    "0.012": {
        "locationTracking": {"motionMonitoring": {"movementAccMin": 0.1, "movementAccMax": 4, "movementAccDur": 0.012}}
    },
    "0.0161": {"alerts": {"shockDetected": {"threshold": 0.0161}}},
    "1e-3": {"alerts": {"temperatureLow": {"threshold": 1e-3}, "batteryLow": {"threshold": 1e-3}}},
    "1e-9": {"locationTracking": {"geofence": {"lat": 1e-9, "lng": -1e-9, "radius": 0.001}}},
    "118.8839949": {"locationTracking": {"geofence": {"lat": 32.06, "lng": 118.8839949, "radius": 16.32}}},
    "ble": {
        "locationTracking": {
            "bleDevices": {
                "enabled": True,
                "generic": {"0C:2A:69:04:6A:49": {"lat": 64.256, "lng": 118.8839949}},
                "iBeacon": {"0112233445566778899aabbccddeeff0": {"1800": {"1286": {"lat": 16.32, "lng": 0.15}}}},
            }
        }
    },
    "periods": {"connectingPeriod": 16.32, "readingPeriod": 64.256},
    "simUpdate": {"simUpdate": {"enabled": True, "duration": 16.32}},
    "debug": {"debug": {"logLevel": "ERROR"}},
    "repossession": {"locationTracking": {"repossessionMode": {"enabled": True, "after": 1667598737}}},
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("configuration", AWKWARD.values(), ids=AWKWARD)
def test_the_plan_is_empty_right_after_apply_after_delivery_and_a_year_later(
    make_trackers: MakeTrackers, configuration: dict[str, Any], scheme: str
) -> None:
    rig = make_trackers({"A1": {"scheme": scheme}})
    rig.trackers["truck"] = truck(**configuration)
    rig.mark()
    ran = rig.apply()
    assert ran.code == 0, ran
    assert rig.patches() == ["PATCH /A1/cfg"]
    assert_pending(rig, TRUCK)
    ours = rig.pending("A1")
    assert ours is not None
    rig.sim.advance(HOUR)
    assert rig.pending("A1") is None
    assert rig.reported("A1")["updateId"] == ours["updateId"]
    assert_settled(rig)
    rig.sim.advance(YEAR)
    assert_settled(rig)


@pytest.fixture(params=SCHEMES)
def staged(make_trackers: MakeTrackers, request: pytest.FixtureRequest) -> TrackerRig:
    """A tracker that is to connect every 60 s, and has that staged; it connects every 180 s."""
    rig = make_trackers({"A1": {"scheme": request.param}})
    rig.trackers["truck"] = truck(connectingPeriod=60)
    ran = rig.apply()
    assert ran.code == 0, ran
    return rig


def test_what_is_pending_is_shown_with_its_age_and_what_it_holds(staged: TrackerRig) -> None:
    staged.sim.advance(120)
    ran = assert_pending(staged, TRUCK)
    assert NO_CHANGES in ran.out
    assert "Pending: 1 resource" in ran.out, ran
    assert "(2m" in ran.out, ran
    assert "connectingPeriod = 60" in ran.out, ran
    (row,) = staged.plan("--format", "json").json["reconcile"]["pending"]
    assert row["address"] == TRUCK
    assert row["holds"] == {"connectingPeriod": 60}
    assert 120 <= row["age_s"] < 150


@pytest.mark.parametrize("command", [("plan", "--detailed-exitcode"), ("drift",), ("apply", "--auto-approve")])
def test_what_is_pending_is_no_change_for_any_command(staged: TrackerRig, command: tuple[str, ...]) -> None:
    staged.mark()
    ran = staged.run(command[0], str(staged.fleet), *command[1:])
    assert ran.code == 0, ran
    assert staged.patches() == []


def test_a_second_apply_while_it_is_staged_sends_nothing_and_leaves_the_serial(staged: TrackerRig) -> None:
    serial, ours = staged.serial(), staged.pending("A1")
    staged.mark()
    for _ in range(3):
        staged.sim.advance(10)
        ran = staged.apply()
        assert ran.code == 0, ran
    assert staged.patches() == []
    assert staged.serial() == serial
    assert staged.pending("A1") == ours


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_tracker_that_does_not_connect_for_a_year_stays_pending_and_is_sent_nothing_more(
    make_trackers: MakeTrackers, scheme: str
) -> None:
    rig = make_trackers({"A1": {"scheme": scheme, "online": False}})
    rig.trackers["truck"] = truck(connectingPeriod=60)
    assert rig.apply().code == 0
    for wait in (HOUR, 4 * HOUR, MONTH, YEAR):
        rig.sim.advance(wait)
        assert_pending(rig, TRUCK)
    with rig.outside_trackers() as trackers:
        trackers["A1"]["online"] = True
    rig.sim.advance(HOUR)
    assert_settled(rig)


def test_a_field_that_is_taken_out_while_it_is_staged_sends_nothing(staged: TrackerRig) -> None:
    ours = staged.pending("A1")
    staged.trackers["truck"] = truck(readingPeriod=60)
    staged.mark()
    ran = staged.apply()
    assert ran.code == 0, ran
    assert staged.patches() == []
    assert staged.pending("A1") == ours
    staged.assert_in_sync()
    staged.sim.advance(HOUR)
    assert_settled(staged)


def test_a_new_edit_while_ours_is_pending_is_sent_with_what_was_pending(staged: TrackerRig) -> None:
    first = staged.pending("A1")
    assert first is not None
    staged.trackers["truck"]["configuration"]["readingPeriod"] = 20
    assert list(staged.changes()) == [TRUCK]
    staged.mark()
    ran = staged.apply()
    assert ran.code == 0, ran
    assert staged.patches() == ["PATCH /A1/cfg"]
    second = staged.pending("A1")
    assert second is not None
    assert {**second, "updateId": ""} == {"updateId": "", "connectingPeriod": 60, "readingPeriod": 20}
    assert second["updateId"] != first["updateId"]
    assert_pending(staged, TRUCK)
    staged.sim.advance(HOUR)
    assert_settled(staged)
    assert (staged.reported("A1")["connectingPeriod"], staged.reported("A1")["readingPeriod"]) == (60, 20)


def test_a_new_edit_holds_what_is_pending_in_every_block(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {}})
    rig.trackers["truck"] = truck(
        locationTracking={
            "alwaysOn": True,
            "geofence": {"enabled": True, "lat": 1.5, "lng": 2.5, "radius": 100},
            "bleDevices": {"generic": {"0c2a69046a49": {"lat": 1.5, "lng": 2.5}}},
        },
        alerts={"batteryLow": {"enabled": True}},
        simUpdate={"enabled": True},
    )
    assert rig.apply().code == 0
    first = rig.pending("A1")
    rig.trackers["truck"]["configuration"]["readingPeriod"] = 20
    assert rig.apply().code == 0
    second = rig.pending("A1")
    assert first is not None and second is not None
    assert {**second, "updateId": first["updateId"]} == {**first, "readingPeriod": 20}


def test_an_edit_that_is_taken_back_while_it_is_pending_is_a_change_and_is_sent(staged: TrackerRig) -> None:
    staged.trackers["truck"]["configuration"]["connectingPeriod"] = 180
    assert list(staged.changes()) == [TRUCK]
    staged.mark()
    ran = staged.apply()
    assert ran.code == 0, ran
    assert staged.patches() == ["PATCH /A1/cfg"]
    staged.assert_in_sync()
    staged.sim.advance(HOUR)
    assert staged.reported("A1")["connectingPeriod"] == 180
    assert_settled(staged)


def test_an_edit_that_is_taken_back_and_made_again_arrives(staged: TrackerRig) -> None:
    for value in (180, 60, 180, 60):
        staged.trackers["truck"]["configuration"]["connectingPeriod"] = value
        ran = staged.apply()
        assert ran.code == 0, ran
        staged.assert_in_sync()
    staged.sim.advance(HOUR)
    assert staged.reported("A1")["connectingPeriod"] == 60
    assert_settled(staged)


def test_going_back_to_what_was_applied_before_arrives_too(staged: TrackerRig) -> None:
    """The same content over the same base has the same id, and an id that is the current one is ignored."""
    for value in (61, 60, 61, 60):
        staged.sim.advance(HOUR)
        assert_settled(staged)
        staged.trackers["truck"]["configuration"]["connectingPeriod"] = value
        current = staged.reported("A1")["updateId"]
        ran = staged.apply()
        assert ran.code == 0, ran
        sent = staged.pending("A1")
        assert sent is not None and sent["updateId"] != current
    staged.sim.advance(HOUR)
    assert staged.reported("A1")["connectingPeriod"] == 60
    assert_settled(staged)


def test_agent_settings_hold_at_once_and_are_never_pending(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {"online": False}})
    rig.trackers["truck"] = {"agent": "A1", "agentConfiguration": {"debug": {"logLevel": "ERROR"}}}
    rig.mark()
    ran = rig.apply()
    assert ran.code == 0, ran
    assert rig.patches() == ["PATCH /A1/cfg"]
    assert rig.tracker("A1")["agent_log_level"] == "ERROR"
    assert rig.pending("A1") is None
    assert_settled(rig)


def test_an_agent_setting_changes_beside_a_pending_update_and_leaves_it_alone(staged: TrackerRig) -> None:
    ours = staged.pending("A1")
    staged.trackers["truck"]["agentConfiguration"] = {"debug": {"logLevel": "ERROR"}}
    ran = staged.apply()
    assert ran.code == 0, ran
    assert staged.tracker("A1")["agent_log_level"] == "ERROR"
    assert staged.pending("A1") == ours
    assert_pending(staged, TRUCK)
    staged.sim.advance(HOUR)
    assert_settled(staged)


def test_a_plan_tells_what_is_staged_from_what_holds_at_once(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {}, "A2": {}})
    rig.trackers["truck"] = {**truck(connectingPeriod=60), "agentConfiguration": {"debug": {"logLevel": "ERROR"}}}
    out = rig.plan().out
    assert "staged" in out and "agentConfiguration is applied at once" in out, out
    rig.trackers["truck"] = {"agent": "A1", "agentConfiguration": {"debug": {"logLevel": "ERROR"}}}
    out = rig.plan().out
    assert "at once" in out and "staged" not in out, out


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("place", ["inside", "beside"])
@pytest.mark.parametrize("alone", [True, False])
def test_sim_update_arrives_from_either_place(
    make_trackers: MakeTrackers, scheme: str, place: str, alone: bool
) -> None:
    rig = make_trackers({"A1": {"scheme": scheme}})
    sim_update = {"enabled": True, "duration": 30}
    configuration: dict[str, Any] = {} if alone else {"connectingPeriod": 60}
    if place == "inside":
        rig.trackers["truck"] = truck(**configuration, simUpdate=sim_update)
    else:
        rig.trackers["truck"] = {"agent": "A1", "simUpdate": sim_update}
        if configuration:
            rig.trackers["truck"]["configuration"] = configuration
    ran = rig.apply()
    assert ran.code == 0, ran
    pending = rig.pending("A1")
    assert pending is not None and pending["simUpdate"] == sim_update
    assert_pending(rig, TRUCK)
    rig.sim.advance(HOUR)
    assert rig.reported("A1")["simUpdate"] == sim_update
    assert_settled(rig)
    # Moving it to the other place in the document is no change.
    moved = {"agent": "A1", "configuration": {**configuration}}
    (moved["configuration"] if place == "beside" else moved)["simUpdate"] = sim_update
    rig.trackers["truck"] = moved
    assert rig.changes() == {}
    rig.mark()
    assert rig.apply().code == 0
    assert rig.patches() == []


def test_sim_update_in_both_places_is_an_error(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {}})
    rig.trackers["truck"] = {**truck(simUpdate={"enabled": True}), "simUpdate": {"enabled": True}}
    ran = rig.run("validate", str(rig.fleet))
    assert ran.code == 3, ran
    assert "simUpdate" in ran.err and "fleet.yaml" in ran.err, ran


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_tracker_that_has_never_reported_is_staged_and_settles(make_trackers: MakeTrackers, scheme: str) -> None:
    rig = make_trackers({"A1": {"scheme": scheme, "reported": None, "online": False}})
    rig.trackers["truck"] = truck(
        connectingPeriod=60,
        simUpdate={"enabled": True, "duration": 30},
        locationTracking={"geofence": {"enabled": True, "lat": 64.256, "lng": 16.32, "radius": 500}},
    )
    ran = rig.apply()
    assert ran.code == 0, ran
    assert_pending(rig, TRUCK)
    rig.sim.advance(MONTH)
    assert_pending(rig, TRUCK)
    with rig.outside_trackers() as trackers:
        trackers["A1"]["online"] = True
    rig.sim.advance(HOUR)
    assert rig.reported("A1")["connectingPeriod"] == 60
    assert_settled(rig)


def test_unset_fields_are_neither_sent_nor_shown(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {}, "A2": {}})
    rig.trackers["truck"] = truck(connectingPeriod=60)
    rig.trackers["bare"] = {"agent": "A2"}
    rig.mark()
    assert rig.apply().code == 0
    assert rig.patches() == ["PATCH /A1/cfg"]
    assert set(rig.pending("A1") or {}) == {"updateId", "connectingPeriod"}
    rig.sim.advance(HOUR)
    with rig.outside_trackers() as trackers:
        for agent in ("A1", "A2"):
            reported = trackers[agent]["reported"]
            reported |= {"updateId": f"theirs-{agent}", "readingPeriod": 99, "debug": {"logLevel": "ERROR"}}
            reported["locationTracking"]["geofence"] = {"enabled": True, "lat": 5, "lng": 5, "radius": 5}
            reported["locationTracking"]["bleDevices"]["generic"] = {"0c2a69046a49": {"lat": 1, "lng": 2}}
            reported["simUpdate"]["enabled"] = True
            trackers[agent]["agent_log_level"] = "ERROR"
    ran = assert_settled(rig)
    assert "readingPeriod" not in ran.out and "geofence" not in ran.out
    assert rig.run("drift", str(rig.fleet)).code == 0
    before = rig.reported("A1")
    rig.trackers["truck"]["configuration"]["connectingPeriod"] = 70
    assert rig.apply().code == 0
    rig.sim.advance(HOUR)
    after = rig.reported("A1")
    assert {**after, "updateId": "", "connectingPeriod": 0} == {**before, "updateId": "", "connectingPeriod": 0}


def test_what_somebody_else_applied_is_drift_and_is_put_back(staged: TrackerRig) -> None:
    staged.sim.advance(HOUR)
    with staged.outside_trackers() as trackers:
        trackers["A1"]["reported"] |= {"updateId": "theirs", "connectingPeriod": 999, "readingPeriod": 99}
    ran = staged.run("drift", str(staged.fleet))
    assert ran.code == 2, ran
    assert "connectingPeriod" in ran.out and "readingPeriod" not in ran.out, ran
    ran = staged.plan("--detailed-exitcode")
    assert ran.code == 2, ran
    assert "omebody else" in ran.out and "999 -> 60" in ran.out, ran
    staged.apply_well()
    staged.sim.advance(HOUR)
    assert_settled(staged)
    assert staged.reported("A1")["connectingPeriod"] == 60
    assert staged.reported("A1")["readingPeriod"] == 99
