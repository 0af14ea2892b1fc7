"""Trackers as units: moved, replaced, doubled, forgotten, and the flags of the commands."""

from __future__ import annotations

import pytest
from tracker_rig import (
    HOUR,
    NO_CHANGES,
    TRUCK,
    MakeTrackers,
    TrackerRig,
    assert_pending,
    assert_settled,
    truck,
)

VAN = "asset_tracker.trackers.van"


@pytest.fixture
def fleet(make_trackers: MakeTrackers) -> TrackerRig:
    """Two trackers, applied and settled, and a third that nobody claims."""
    rig = make_trackers({"A1": {}, "A2": {}, "A3": {}})
    rig.trackers["truck"] = truck(connectingPeriod=60)
    rig.trackers["van"] = truck("A2", connectingPeriod=60)
    rig.apply_well()
    rig.sim.advance(HOUR)
    assert_settled(rig)
    return rig


@pytest.mark.parametrize("staged", [False, True])
def test_a_tracker_that_moves_to_another_key_sends_nothing(fleet: TrackerRig, staged: bool) -> None:
    if staged:
        fleet.trackers["truck"]["configuration"]["connectingPeriod"] = 70
        assert fleet.apply().code == 0
    before = fleet.sim.world["trackers"]
    fleet.trackers["lorry"] = fleet.trackers.pop("truck")
    ran = fleet.plan()
    assert NO_CHANGES in ran.out and "asset_tracker.trackers.lorry" in ran.out and TRUCK in ran.out, ran
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert fleet.patches() == []
    assert fleet.sim.world["trackers"] == before
    assert set(fleet.entries()) == {"asset_tracker.trackers.lorry", VAN}
    if staged:
        assert_pending(fleet, "asset_tracker.trackers.lorry")
    fleet.sim.advance(HOUR)
    assert_settled(fleet)


def test_another_agent_under_the_same_key_is_a_replacement(fleet: TrackerRig) -> None:
    fleet.trackers["truck"]["agent"] = "A3"
    ran = fleet.plan("--detailed-exitcode")
    assert ran.code == 2, ran
    assert "-/+" in ran.out and "another unit" in ran.out and "A1" in ran.out and "A3" in ran.out, ran
    (change,) = fleet.changes().values()
    assert change["change"]["actions"] == ["delete", "create"]
    old = fleet.tracker("A1")
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert fleet.patches() == ["PATCH /A3/cfg"]
    assert fleet.tracker("A1") == old
    assert fleet.entries()[TRUCK]["id"] == "A3"
    assert_pending(fleet, TRUCK)
    fleet.sim.advance(HOUR)
    assert_settled(fleet)
    assert fleet.reported("A3")["connectingPeriod"] == 60


def test_two_trackers_that_swap_their_agents_are_moved(fleet: TrackerRig) -> None:
    fleet.trackers["truck"]["configuration"]["connectingPeriod"] = 70
    assert fleet.apply().code == 0
    fleet.sim.advance(HOUR)
    one, two = fleet.trackers["truck"], fleet.trackers["van"]
    fleet.trackers.update({"truck": two, "van": one})
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert fleet.patches() == []
    assert (fleet.entries()[TRUCK]["id"], fleet.entries()[VAN]["id"]) == ("A2", "A1")
    assert_settled(fleet)


def test_two_trackers_with_one_agent_are_an_error_naming_both(fleet: TrackerRig) -> None:
    fleet.trackers["van"]["agent"] = "A1"
    fleet.mark()
    for ran in (fleet.run("validate", str(fleet.fleet)), fleet.plan(), fleet.apply()):
        assert ran.code == 3, ran
        assert TRUCK in ran.err and VAN in ran.err and "A1" in ran.err, ran
    assert fleet.patches() == []


USUAL = "https://agent.electricimp.com/{}/cfg"


def test_an_agent_and_a_url_of_one_tracker_are_one_unit(fleet: TrackerRig) -> None:
    """Two entries that write over each other in turn would never plan empty."""
    fleet.trackers["van"] = {"url": USUAL.format("A1"), "configuration": {"connectingPeriod": 70}}
    fleet.mark()
    for ran in (fleet.run("validate", str(fleet.fleet)), fleet.apply()):
        assert ran.code == 3, ran
        assert TRUCK in ran.err and VAN in ran.err, ran
    assert fleet.patches() == []


def test_a_tracker_whose_agent_is_written_as_a_url_instead_is_the_same_unit(fleet: TrackerRig) -> None:
    fleet.trackers["truck"] = {"url": USUAL.format("A1"), "configuration": {"connectingPeriod": 60}}
    ran = fleet.plan()
    assert "-/+" not in ran.out and "another unit" not in ran.out, ran
    fleet.mark()
    assert fleet.apply().code == 0
    assert fleet.patches() == []
    assert_settled(fleet)


def test_two_agents_that_differ_only_in_case_are_two_units(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"LPoC4xOL8ESr_": {}, "lpoc4xol8esr_": {}})
    rig.trackers["truck"] = truck("LPoC4xOL8ESr_", connectingPeriod=60)
    rig.trackers["van"] = truck("lpoc4xol8esr_", connectingPeriod=70)
    rig.mark()
    ran = rig.apply()
    assert ran.code == 0, ran
    assert len(rig.patches()) == 2
    assert_pending(rig, TRUCK, VAN)
    rig.sim.advance(HOUR)
    assert_settled(rig)
    assert rig.reported("LPoC4xOL8ESr_")["connectingPeriod"] == 60
    assert rig.reported("lpoc4xol8esr_")["connectingPeriod"] == 70


def test_a_tracker_that_leaves_the_files_is_forgotten_and_keeps_its_settings(fleet: TrackerRig) -> None:
    before = fleet.tracker("A2")
    del fleet.trackers["van"]
    ran = fleet.plan("--detailed-exitcode")
    assert ran.code == 2, ran
    assert "1 to forget" in ran.out and VAN in ran.out, ran
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert fleet.patches() == []
    assert fleet.tracker("A2") == before
    assert set(fleet.entries()) == {TRUCK}
    assert_settled(fleet)


def test_destroy_forgets_and_sends_nothing(fleet: TrackerRig) -> None:
    before = fleet.sim.world["trackers"]
    fleet.mark()
    ran = fleet.run("destroy", str(fleet.fleet), "--auto-approve")
    assert ran.code == 0, ran
    assert fleet.patches() == []
    assert fleet.sim.world["trackers"] == before
    assert fleet.entries() == {}


def test_a_protected_tracker_is_not_forgotten(fleet: TrackerRig) -> None:
    fleet.trackers["van"]["protect"] = True
    assert fleet.apply().code == 0
    del fleet.trackers["van"]
    ran = fleet.apply()
    assert ran.code == 5, ran
    assert VAN in fleet.entries()


def test_target_touches_only_its_tracker(fleet: TrackerRig) -> None:
    for entry in fleet.trackers.values():
        entry["configuration"]["connectingPeriod"] = 70
    assert set(fleet.changes("--target", VAN)) == {VAN}
    fleet.mark()
    ran = fleet.apply("--target", VAN)
    assert ran.code == 0, ran
    assert fleet.patches() == ["PATCH /A2/cfg"]
    assert not any("A1" in request for request in fleet.requests())
    assert set(fleet.changes()) == {TRUCK}


def test_exclude_leaves_its_tracker_out(fleet: TrackerRig) -> None:
    for entry in fleet.trackers.values():
        entry["configuration"]["connectingPeriod"] = 70
    fleet.mark()
    ran = fleet.apply("--exclude", VAN)
    assert ran.code == 0, ran
    assert fleet.patches() == ["PATCH /A1/cfg"]
    assert set(fleet.changes()) == {VAN}


def test_no_refresh_asks_nobody_and_takes_the_states_word(fleet: TrackerRig) -> None:
    with fleet.outside_trackers() as trackers:
        trackers["A1"]["reported"] |= {"updateId": "theirs", "connectingPeriod": 99}
    fleet.mark()
    ran = fleet.plan("--no-refresh", "--detailed-exitcode")
    assert ran.code == 0 and NO_CHANGES in ran.out, ran
    assert fleet.requests() == []
    fleet.trackers["van"]["configuration"]["connectingPeriod"] = 70
    ran = fleet.plan("--no-refresh", "--detailed-exitcode")
    assert ran.code == 2 and VAN in ran.out and TRUCK not in ran.out, ran
    assert fleet.requests() == []
    ran = fleet.apply("--no-refresh")
    assert ran.code == 0, ran
    assert fleet.patches() == ["PATCH /A2/cfg"]
    fleet.sim.advance(HOUR)
    assert fleet.reported("A2")["connectingPeriod"] == 70


def test_no_refresh_does_not_overwrite_a_foreign_pending_update_silently(fleet: TrackerRig) -> None:
    theirs = {"updateId": "theirs", "readingPeriod": 33}
    with fleet.outside_trackers() as trackers:
        trackers["A1"]["pending"] = theirs
    fleet.trackers["truck"]["configuration"]["connectingPeriod"] = 70
    ran = fleet.apply("--no-refresh")
    assert ran.code in (5, 7), ran
    assert fleet.pending("A1") == theirs


def test_refresh_only_takes_over_what_is_live_and_sends_nothing(fleet: TrackerRig) -> None:
    with fleet.outside_trackers() as trackers:
        trackers["A1"]["reported"] |= {"updateId": "theirs", "connectingPeriod": 99}
    assert fleet.run("drift", str(fleet.fleet)).code == 2
    fleet.mark()
    ran = fleet.apply("--refresh-only")
    assert ran.code == 0, ran
    assert fleet.patches() == []
    assert fleet.run("drift", str(fleet.fleet)).code == 0
    assert set(fleet.changes()) == {TRUCK}
    fleet.apply_well()
    fleet.sim.advance(HOUR)
    assert_settled(fleet)
    assert fleet.reported("A1")["connectingPeriod"] == 60


def test_refresh_only_while_ours_is_pending_does_not_make_it_foreign(fleet: TrackerRig) -> None:
    fleet.trackers["truck"]["configuration"]["connectingPeriod"] = 70
    assert fleet.apply().code == 0
    fleet.mark()
    assert fleet.apply("--refresh-only").code == 0
    assert fleet.patches() == []
    assert_pending(fleet, TRUCK)
    fleet.sim.advance(HOUR)
    assert_settled(fleet)


def test_show_renders_the_state_and_a_saved_plan(fleet: TrackerRig) -> None:
    ran = fleet.run("show", str(fleet.fleet))
    assert ran.code == 0, ran
    assert TRUCK in ran.out and "connectingPeriod = 60" in ran.out and "A1" in ran.out, ran
    fleet.trackers["truck"]["configuration"]["connectingPeriod"] = 70
    file = fleet.saved()
    for arguments in ((str(file),), (str(file), TRUCK)):
        ran = fleet.run("show", *arguments)
        assert ran.code == 0, ran
        assert TRUCK in ran.out and "60 -> 70" in ran.out, ran


def test_a_saved_plan_is_carried_out_once(fleet: TrackerRig) -> None:
    fleet.trackers["truck"]["configuration"]["connectingPeriod"] = 70
    file = fleet.saved()
    fleet.mark()
    ran = fleet.apply_file(file)
    assert ran.code == 0, ran
    assert fleet.patches() == ["PATCH /A1/cfg"]
    assert fleet.apply_file(file).code == 5
    assert fleet.patches() == ["PATCH /A1/cfg"]
    assert_pending(fleet, TRUCK)


def test_json_has_the_type_the_provider_and_the_address(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {}, "A2": {"reported": {"connectingPeriod": 60}}})
    rig.trackers["truck"] = truck(connectingPeriod=60)
    rig.trackers["van"] = truck("A2", connectingPeriod=60)
    plan = rig.plan("--format", "json").json
    rows = {row["address"]: row for row in plan["resource_changes"]}
    row = rows[TRUCK]
    assert (row["mode"], row["type"], row["name"]) == ("managed", "asset_tracker_tracker", "truck")
    assert row["provider_name"] == "reconcile/asset_tracker"
    assert row["change"]["actions"] == ["update"]
    assert row["change"]["importing"] == {"id": "A1"}
    assert row["change"]["before"]["configuration"]["connectingPeriod"] == 180
    assert row["change"]["after"]["configuration"]["connectingPeriod"] == 60
    adopted = rows[VAN]["change"]
    assert adopted["actions"] == ["no-op"] and adopted["importing"] == {"id": "A2"}
    assert (plan["complete"], plan["errored"], plan["applyable"]) == (True, False, True)


def test_json_of_drift_has_what_was_recorded_and_what_is_live(fleet: TrackerRig) -> None:
    with fleet.outside_trackers() as trackers:
        trackers["A1"]["reported"] |= {"updateId": "theirs", "connectingPeriod": 99}
    (row,) = fleet.plan("--format", "json").json["resource_drift"]
    assert (row["address"], row["type"]) == (TRUCK, "asset_tracker_tracker")
    assert row["change"]["before"]["configuration"]["connectingPeriod"] == 60
    assert row["change"]["after"]["configuration"]["connectingPeriod"] == 99


def test_a_state_entry_that_is_moved_or_removed_sends_nothing(fleet: TrackerRig) -> None:
    fleet.mark()
    ran = fleet.run("state", "mv", TRUCK, "asset_tracker.trackers.lorry", "--path", str(fleet.fleet))
    assert ran.code == 0, ran
    fleet.trackers["lorry"] = fleet.trackers.pop("truck")
    assert_settled(fleet)
    ran = fleet.run("state", "rm", "asset_tracker.trackers.lorry", "--path", str(fleet.fleet))
    assert ran.code == 0, ran
    assert fleet.apply().code == 0
    assert fleet.patches() == []
    assert_settled(fleet)
