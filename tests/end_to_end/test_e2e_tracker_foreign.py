"""A pending update that is not ours is shown, and never lost silently."""

from __future__ import annotations

import pytest
from tracker_rig import (
    HOUR,
    NO_CHANGES,
    SCHEMES,
    TRUCK,
    MakeTrackers,
    TrackerRig,
    assert_pending,
    assert_settled,
    truck,
)

THEIRS = {"updateId": "theirs-1", "alerts": {"batteryLow": {"enabled": True}}}


@pytest.fixture(params=SCHEMES)
def fleet(make_trackers: MakeTrackers, request: pytest.FixtureRequest) -> TrackerRig:
    """A tracker that has applied what the files say."""
    rig = make_trackers({"A1": {"scheme": request.param}})
    rig.environ["RECONCILE_FINGERPRINT_KEY"] = "ab" * 32  # a saved plan is sealed, and so is applied as it is
    rig.trackers["truck"] = truck(connectingPeriod=60)
    rig.apply_well()
    rig.sim.advance(HOUR)
    assert_settled(rig)
    return rig


def stage(rig: TrackerRig) -> None:
    with rig.outside_trackers() as trackers:
        trackers["A1"]["pending"] = THEIRS


def edit(rig: TrackerRig) -> None:
    rig.trackers["truck"]["configuration"]["readingPeriod"] = 20


def refused(rig: TrackerRig, *options: str) -> None:
    rig.mark()
    serial = rig.serial()
    ran = rig.apply(*options)
    assert ran.code == 5, ran
    assert rig.patches() == []
    assert rig.pending("A1") == THEIRS
    assert rig.serial() == serial
    assert "theirs-1" in ran.err and TRUCK in ran.err and "--overwrite-pending" in ran.err, ran


def test_a_foreign_pending_update_is_shown_as_about_to_be_lost_and_apply_refuses(fleet: TrackerRig) -> None:
    stage(fleet)
    edit(fleet)
    ran = fleet.plan()
    assert ran.code == 5, ran
    assert "theirs-1" in ran.out and "lost" in ran.out and "--overwrite-pending" in ran.out, ran
    assert "~ configuration.readingPeriod = 60 -> 20" in ran.out, ran
    refused(fleet)


def test_with_overwrite_pending_it_is_overwritten_and_settles(fleet: TrackerRig) -> None:
    stage(fleet)
    edit(fleet)
    fleet.mark()
    ran = fleet.apply("--overwrite-pending")
    assert ran.code == 0, ran
    assert fleet.patches() == ["PATCH /A1/cfg"]
    assert_pending(fleet, TRUCK)
    fleet.sim.advance(HOUR)
    assert_settled(fleet)
    assert fleet.reported("A1")["readingPeriod"] == 20
    assert fleet.reported("A1")["alerts"]["batteryLow"]["enabled"] is False


def test_a_foreign_pending_update_is_no_change_when_the_files_agree_with_what_is_reported(fleet: TrackerRig) -> None:
    stage(fleet)
    ran = fleet.plan("--detailed-exitcode")
    assert ran.code == 0, ran
    assert NO_CHANGES in ran.out and "theirs-1" in ran.out, ran
    assert fleet.changes() == {}
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert fleet.patches() == []
    assert fleet.pending("A1") == THEIRS
    fleet.sim.advance(HOUR)
    assert_settled(fleet)


def test_an_agent_setting_does_not_lose_a_foreign_pending_update_and_is_not_refused(fleet: TrackerRig) -> None:
    """A PATCH without `configuration` stages nothing, so nothing is about to be lost."""
    stage(fleet)
    fleet.trackers["truck"]["agentConfiguration"] = {"debug": {"logLevel": "ERROR"}}
    ran = fleet.plan()
    assert "lost" not in ran.out, ran
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert fleet.tracker("A1")["agent_log_level"] == "ERROR"
    assert fleet.pending("A1") == THEIRS


def test_a_foreign_update_that_took_the_place_of_ours_is_about_to_be_lost(fleet: TrackerRig) -> None:
    edit(fleet)
    assert fleet.apply().code == 0
    stage(fleet)
    assert list(fleet.changes()) == [TRUCK]
    refused(fleet)
    assert fleet.apply("--overwrite-pending").code == 0
    fleet.sim.advance(HOUR)
    assert_settled(fleet)
    assert fleet.reported("A1")["readingPeriod"] == 20


def test_a_foreign_update_that_took_the_place_of_ours_is_left_alone_until_it_is_delivered(fleet: TrackerRig) -> None:
    edit(fleet)
    assert fleet.apply().code == 0
    stage(fleet)
    refused(fleet)
    fleet.sim.advance(2 * HOUR)
    ran = fleet.apply()
    assert ran.code == 0, ran
    fleet.sim.advance(HOUR)
    assert_settled(fleet)
    assert fleet.reported("A1")["readingPeriod"] == 20
    assert fleet.reported("A1")["alerts"]["batteryLow"]["enabled"] is True


def test_only_the_tracker_concerned_is_overwritten_and_others_need_no_word(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {"pending": THEIRS}, "A2": {}})
    rig.trackers["truck"] = truck(connectingPeriod=60)
    rig.trackers["other"] = truck("A2", connectingPeriod=60)
    rig.mark()
    assert rig.apply().code == 5
    assert rig.patches() == []
    ran = rig.apply("--exclude", TRUCK)
    assert ran.code == 0, ran
    assert rig.patches() == ["PATCH /A2/cfg"]
    assert rig.pending("A1") == THEIRS


def test_a_tracker_that_is_adopted_with_a_foreign_pending_update_is_refused_as_well(
    make_trackers: MakeTrackers,
) -> None:
    rig = make_trackers({"A1": {"pending": THEIRS}})
    rig.trackers["truck"] = truck(connectingPeriod=60)
    refused(rig)
    assert rig.apply("--overwrite-pending").code == 0
    rig.sim.advance(HOUR)
    assert_settled(rig)


def test_a_saved_plan_is_refused_without_the_flag_and_carried_out_with_it(fleet: TrackerRig) -> None:
    stage(fleet)
    edit(fleet)
    file = fleet.saved()
    fleet.mark()
    ran = fleet.apply_file(file)
    assert ran.code == 5, ran
    assert fleet.patches() == [] and fleet.pending("A1") == THEIRS
    ran = fleet.apply_file(file, "--overwrite-pending")
    assert ran.code == 3, ran
    assert "--out" in ran.err and fleet.patches() == [], ran
    ran = fleet.apply_file(fleet.saved("--overwrite-pending"))
    assert ran.code == 0, ran
    assert fleet.patches() == ["PATCH /A1/cfg"]
    fleet.sim.advance(HOUR)
    assert_settled(fleet)
    assert fleet.reported("A1")["readingPeriod"] == 20


@pytest.mark.parametrize("options", [(), ("--overwrite-pending",)])
def test_a_foreign_update_that_arrives_after_the_plan_was_saved_is_a_conflict(
    fleet: TrackerRig, options: tuple[str, ...]
) -> None:
    """The flag is for what the plan has shown, and this one nobody has seen."""
    edit(fleet)
    file = fleet.saved(*options)
    stage(fleet)
    fleet.mark()
    ran = fleet.apply_file(file, *options)
    assert ran.code == 7, ran
    assert "onflict" in ran.out, ran
    assert fleet.patches() == []
    assert fleet.pending("A1") == THEIRS


def test_another_foreign_update_than_the_plan_showed_is_a_conflict(fleet: TrackerRig) -> None:
    stage(fleet)
    edit(fleet)
    file = fleet.saved("--overwrite-pending")
    other = {"updateId": "theirs-2", "readingPeriod": 33}
    with fleet.outside_trackers() as trackers:
        trackers["A1"]["pending"] = other
    fleet.mark()
    ran = fleet.apply_file(file, "--overwrite-pending")
    assert ran.code == 7, ran
    assert fleet.patches() == [] and fleet.pending("A1") == other


def test_without_a_key_a_saved_plan_that_a_foreign_update_made_stale_is_refused(
    fleet: TrackerRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(fleet)
    file = fleet.saved()
    del fleet.environ["RECONCILE_FINGERPRINT_KEY"]
    monkeypatch.chdir(fleet.directory)
    stage(fleet)
    fleet.mark()
    ran = fleet.apply_file(file)
    assert ran.code == 5, ran
    assert fleet.patches() == [] and fleet.pending("A1") == THEIRS


def test_ours_delivered_between_plan_and_apply_loses_nothing(fleet: TrackerRig) -> None:
    edit(fleet)
    assert fleet.apply().code == 0
    fleet.trackers["truck"]["configuration"]["locationTracking"] = {"alwaysOn": True}
    file = fleet.saved()
    fleet.sim.advance(HOUR)
    assert fleet.apply_file(file).code in (0, 7)
    ran = fleet.apply()
    assert ran.code == 0, ran
    fleet.sim.advance(HOUR)
    assert_settled(fleet)
    reported = fleet.reported("A1")
    assert (reported["connectingPeriod"], reported["readingPeriod"]) == (60, 20)
    assert reported["locationTracking"]["alwaysOn"] is True


def test_destroy_and_refresh_only_leave_a_foreign_pending_update_alone(fleet: TrackerRig) -> None:
    stage(fleet)
    edit(fleet)
    fleet.mark()
    ran = fleet.apply("--refresh-only")
    assert ran.code == 0, ran
    ran = fleet.run("destroy", str(fleet.fleet), "--auto-approve")
    assert ran.code == 0, ran
    assert fleet.patches() == [] and fleet.pending("A1") == THEIRS
