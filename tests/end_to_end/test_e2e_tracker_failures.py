"""Delivered is not applied: updates that are lost or cannot be applied, and how often they are sent."""

from __future__ import annotations

from typing import Any

import pytest
from tracker_rig import (
    HOUR,
    SCHEMES,
    TRUCK,
    MakeTrackers,
    TrackerRig,
    assert_failed,
    assert_pending,
    assert_settled,
    truck,
)

MakeFleet = Any


@pytest.fixture(params=SCHEMES)
def make(make_trackers: MakeTrackers, request: pytest.FixtureRequest) -> MakeFleet:
    """Makes a tracker in some condition, with an update that was sent to it just now."""

    def made(settings: dict[str, Any] | None = None, **condition: Any) -> TrackerRig:
        rig = make_trackers({"A1": {"scheme": request.param, **condition}})
        rig.trackers["truck"] = truck(connectingPeriod=60, **(settings or {}))
        ran = rig.apply()
        assert ran.code == 0, ran
        return rig

    return made


def sent_id(rig: TrackerRig) -> str:
    pending = rig.pending("A1")
    assert pending is not None
    return pending["updateId"]  # type: ignore[no-any-return]


def give_up(rig: TrackerRig) -> str:
    """Sends until it is shown as failed; returns the id."""
    update_id = sent_id(rig)
    for _ in range(2):
        rig.sim.advance(2 * HOUR)
        assert rig.apply().code == 0
        assert sent_id(rig) == update_id
    rig.sim.advance(2 * HOUR)
    assert_failed(rig, TRUCK)
    return update_id


def test_a_lost_update_is_pending_for_an_hour_and_then_planned_again_with_the_same_id(make: MakeFleet) -> None:
    rig = make(online=False)
    first = rig.pending("A1")
    rig.restart_agent("A1")
    assert_pending(rig, TRUCK)
    rig.sim.advance(HOUR - 100)
    assert_pending(rig, TRUCK)
    rig.sim.advance(200)
    ran = rig.plan("--detailed-exitcode")
    assert ran.code == 2, ran
    assert "connectingPeriod" in ran.out and "Pending:" not in ran.out, ran
    assert list(rig.changes()) == [TRUCK]
    rig.mark()
    assert rig.apply().code == 0
    assert rig.patches() == ["PATCH /A1/cfg"]
    assert rig.pending("A1") == first
    assert_pending(rig, TRUCK)


def test_the_time_is_three_connecting_periods_where_those_are_longer(make: MakeFleet) -> None:
    rig = make(online=False, reported={"connectingPeriod": 3000})
    rig.restart_agent("A1")
    rig.sim.advance(9000 - 100)
    assert_pending(rig, TRUCK)
    rig.sim.advance(200)
    assert list(rig.changes()) == [TRUCK]


def test_an_update_that_cannot_be_applied_is_sent_three_times_with_one_id_and_then_shown_as_failed(
    make: MakeFleet,
) -> None:
    rig = make(fail_apply=True)
    ids = [sent_id(rig)]
    rig.mark()
    for _ in range(2):
        rig.sim.advance(600)
        assert rig.pending("A1") is None
        assert_pending(rig, TRUCK)
        rig.sim.advance(HOUR)
        assert list(rig.changes()) == [TRUCK]
        assert rig.apply().code == 0
        ids.append(sent_id(rig))
    assert len(set(ids)) == 1
    rig.sim.advance(2 * HOUR)
    ran = assert_failed(rig, TRUCK)
    assert "Failed: 1 resource" in ran.out and "--retry-failed" in ran.out, ran
    assert "connectingPeriod = 60" in ran.out, ran
    rig.mark()
    for _ in range(3):
        rig.sim.advance(24 * HOUR)
        assert_failed(rig, TRUCK)
    assert rig.patches() == []
    assert rig.reported("A1")["connectingPeriod"] == 180


def test_a_lost_slot_counts_as_a_sending_too(make: MakeFleet) -> None:
    rig = make(online=False)
    for _ in range(2):
        rig.restart_agent("A1")
        rig.sim.advance(2 * HOUR)
        assert rig.apply().code == 0
    rig.restart_agent("A1")
    rig.sim.advance(2 * HOUR)
    assert_failed(rig, TRUCK)


def test_a_failed_update_is_sent_once_by_retry_failed(make: MakeFleet) -> None:
    rig = make(fail_apply=True)
    give_up(rig)
    rig.mark()
    ran = rig.apply("--retry-failed")
    assert ran.code == 0, ran
    assert rig.patches() == ["PATCH /A1/cfg"]
    assert sent_id(rig) != rig.reported("A1")["updateId"]
    assert_pending(rig, TRUCK)
    rig.sim.advance(2 * HOUR)
    rig.mark()
    assert_failed(rig, TRUCK)


def test_a_failed_update_that_is_retried_after_a_repair_settles(make: MakeFleet) -> None:
    rig = make(fail_apply=True)
    give_up(rig)
    with rig.outside_trackers() as trackers:
        trackers["A1"]["fail_apply"] = False
    assert rig.apply("--retry-failed").code == 0
    rig.sim.advance(HOUR)
    assert rig.reported("A1")["connectingPeriod"] == 60
    assert_settled(rig)


def test_an_update_that_is_applied_at_the_third_sending_settles(make: MakeFleet) -> None:
    rig = make(fail_apply=2)
    for _ in range(2):
        rig.sim.advance(2 * HOUR)
        assert rig.apply().code == 0
    rig.sim.advance(2 * HOUR)
    assert rig.reported("A1")["connectingPeriod"] == 60
    assert_settled(rig)


def test_another_content_resets_the_count(make: MakeFleet) -> None:
    rig = make(fail_apply=True)
    old = give_up(rig)
    rig.trackers["truck"]["configuration"]["connectingPeriod"] = 61
    assert list(rig.changes()) == [TRUCK]
    for _ in range(3):
        rig.mark()
        assert rig.apply().code == 0
        assert rig.patches() == ["PATCH /A1/cfg"]
        assert sent_id(rig) != old
        rig.sim.advance(2 * HOUR)
    assert_failed(rig, TRUCK)


def test_another_content_in_the_middle_of_the_attempts_resets_the_count(make: MakeFleet) -> None:
    rig = make(fail_apply=True)
    rig.sim.advance(2 * HOUR)
    assert rig.apply().code == 0
    rig.trackers["truck"]["configuration"]["readingPeriod"] = 20
    for _ in range(3):
        rig.mark()
        assert rig.apply().code == 0
        assert rig.patches() == ["PATCH /A1/cfg"]
        pending = rig.pending("A1")
        assert pending is not None
        assert (pending["connectingPeriod"], pending["readingPeriod"]) == (60, 20)
        rig.sim.advance(2 * HOUR)
    assert_failed(rig, TRUCK)


def test_a_field_that_agrees_already_is_no_other_content(make: MakeFleet) -> None:
    """The patch is the same, so it is the same content, and it has had its three sendings."""
    rig = make(fail_apply=True, reported={"readingPeriod": 20})
    give_up(rig)
    rig.trackers["truck"]["configuration"]["readingPeriod"] = 20
    rig.mark()
    assert rig.apply().code == 0
    assert rig.patches() == []
    assert_failed(rig, TRUCK)


def test_an_edit_during_the_unconfirmed_time_is_sent_at_once_with_both(make: MakeFleet) -> None:
    rig = make(online=False)
    rig.restart_agent("A1")
    rig.trackers["truck"]["configuration"]["readingPeriod"] = 20
    rig.apply_well()
    pending = rig.pending("A1")
    assert pending is not None
    assert (pending["connectingPeriod"], pending["readingPeriod"]) == (60, 20)


def test_an_edit_that_is_taken_back_during_the_unconfirmed_time_does_not_arrive_late(make: MakeFleet) -> None:
    """The tracker may hold it already and report it later: the last word has to be the files'."""
    rig = make(online=False)
    ours = sent_id(rig)
    rig.restart_agent("A1")
    rig.trackers["truck"]["configuration"]["connectingPeriod"] = 180
    assert rig.apply().code == 0
    with rig.outside_trackers() as trackers:
        trackers["A1"]["reported"] |= {"updateId": ours, "connectingPeriod": 60}
        trackers["A1"]["online"] = True
    for _ in range(2):
        assert rig.apply().code == 0
        rig.sim.advance(2 * HOUR)
    assert rig.reported("A1")["connectingPeriod"] == 180
    assert_settled(rig)


def test_an_update_that_was_fetched_before_the_agent_restarted_settles_when_it_is_reported(make: MakeFleet) -> None:
    rig = make(online=False)
    ours = sent_id(rig)
    rig.restart_agent("A1")
    assert_pending(rig, TRUCK)
    rig.sim.advance(1000)
    with rig.outside_trackers() as trackers:
        trackers["A1"]["reported"] |= {"updateId": ours, "connectingPeriod": 60}
    assert_settled(rig)


def test_a_renewed_timestamp_does_not_prove_that_it_was_applied(make: MakeFleet) -> None:
    """A tracker that failed has restarted, and every start renews `cfgTimestamp`."""
    rig = make(fail_apply=1)
    before = rig.tracker("A1")["cfg_timestamp"]
    rig.sim.advance(600)
    assert rig.tracker("A1")["cfg_timestamp"] > before
    assert_pending(rig, TRUCK)


def test_a_tracker_that_falls_back_to_the_default_is_a_new_base(make: MakeFleet) -> None:
    rig = make(reported={"updateId": "before", "connectingPeriod": 100})
    rig.sim.advance(HOUR)
    assert_settled(rig)
    with rig.outside_trackers() as trackers:
        trackers["A1"]["fallback"] = True
    rig.sim.advance(HOUR)
    assert rig.reported("A1")["updateId"] == "myDefaultCfg"
    ran = rig.plan("--detailed-exitcode")
    assert ran.code == 2, ran
    assert "never done" not in ran.out, ran  # it was
    rig.apply_well()
    assert_pending(rig, TRUCK)
    rig.sim.advance(HOUR)
    assert rig.reported("A1")["connectingPeriod"] == 60
    assert_settled(rig)


@pytest.mark.parametrize("reported", [{"updateId": "before"}, {}], ids=["another base", "the default base"])
def test_falling_back_again_and_again_after_applying_is_never_a_failure(
    make: MakeFleet, reported: dict[str, Any]
) -> None:
    rig = make(reported=reported)
    for _ in range(5):
        rig.sim.advance(HOUR)
        assert_settled(rig)
        with rig.outside_trackers() as trackers:
            trackers["A1"]["fallback"] = True
        rig.sim.advance(HOUR)
        assert list(rig.changes()) == [TRUCK]
        assert rig.apply().code == 0
    rig.sim.advance(HOUR)
    assert_settled(rig)


def test_a_failed_tracker_that_falls_back_is_sent_what_it_lacks_on_its_new_base(make: MakeFleet) -> None:
    rig = make({"readingPeriod": 20}, reported={"updateId": "before", "readingPeriod": 20}, fail_apply=True)
    give_up(rig)
    with rig.outside_trackers() as trackers:
        trackers["A1"] |= {"fallback": True, "fail_apply": False}
    rig.sim.advance(HOUR)
    assert rig.reported("A1")["updateId"] == "myDefaultCfg"
    assert list(rig.changes()) == [TRUCK]
    rig.apply_well()
    rig.sim.advance(HOUR)
    assert (rig.reported("A1")["connectingPeriod"], rig.reported("A1")["readingPeriod"]) == (60, 20)
    assert_settled(rig)


@pytest.mark.parametrize("theirs", ["theirs-{}", "theirs", None], ids=["new ids", "one id", "our id"])
def test_a_correction_of_drift_after_an_applied_update_is_not_counted_as_a_failure(
    make: MakeFleet, theirs: str | None
) -> None:
    rig = make()
    for number in range(5):
        rig.sim.advance(HOUR)
        assert_settled(rig)
        with rig.outside_trackers() as trackers:
            reported = trackers["A1"]["reported"]
            reported |= {"connectingPeriod": 180, "updateId": (theirs or reported["updateId"]).format(number)}
        assert list(rig.changes()) == [TRUCK]
        current = rig.reported("A1")["updateId"]
        assert rig.apply().code == 0
        assert sent_id(rig) != current
    rig.sim.advance(HOUR)
    assert rig.reported("A1")["connectingPeriod"] == 60
    assert_settled(rig)


def test_the_time_counts_from_when_it_was_last_seen_pending(make: MakeFleet) -> None:
    """
    docs/apis/asset_tracker.md, "Applied": what waited for days may be under way at the moment at which it is fetched.
    """
    rig = make(online=False)
    rig.sim.advance(5 * HOUR)
    assert_pending(rig, TRUCK)
    rig.restart_agent("A1")
    rig.sim.advance(HOUR - 100)
    assert_pending(rig, TRUCK)
    rig.sim.advance(200)
    assert list(rig.changes()) == [TRUCK]


def test_a_refresh_does_not_send_a_failed_update_again(make: MakeFleet) -> None:
    rig = make(fail_apply=True)
    give_up(rig)
    rig.mark()
    assert rig.apply("--refresh-only").code == 0
    assert rig.apply().code == 0
    assert rig.patches() == []


def test_a_failed_update_stays_failed_under_another_key(make: MakeFleet) -> None:
    rig = make(fail_apply=True)
    give_up(rig)
    rig.trackers["lorry"] = rig.trackers.pop("truck")
    rig.mark()
    assert rig.apply().code == 0
    assert rig.patches() == []
    assert_failed(rig, "asset_tracker.trackers.lorry")


def test_a_failed_update_stays_failed_when_an_agent_setting_changes(make: MakeFleet) -> None:
    rig = make(fail_apply=True)
    give_up(rig)
    rig.trackers["truck"]["agentConfiguration"] = {"debug": {"logLevel": "ERROR"}}
    rig.mark()
    assert rig.apply().code == 0
    assert rig.patches() == ["PATCH /A1/cfg"]
    assert rig.tracker("A1")["agent_log_level"] == "ERROR"
    assert rig.pending("A1") is None
    assert_failed(rig, TRUCK)


def test_an_agent_setting_does_not_send_what_is_unconfirmed_again(make: MakeFleet) -> None:
    rig = make(online=False)
    rig.restart_agent("A1")
    rig.trackers["truck"]["agentConfiguration"] = {"debug": {"logLevel": "ERROR"}}
    assert rig.apply().code == 0
    assert rig.tracker("A1")["agent_log_level"] == "ERROR"
    assert rig.pending("A1") is None
    assert_pending(rig, TRUCK)


def test_a_failed_content_that_nobody_wants_any_more_is_no_failure(make: MakeFleet) -> None:
    rig = make(fail_apply=True)
    give_up(rig)
    rig.mark()
    del rig.trackers["truck"]["configuration"]["connectingPeriod"]
    assert rig.apply().code == 0
    assert rig.patches() == []
    assert_settled(rig)


def test_a_failed_content_that_is_set_back_to_what_is_reported_is_no_failure(make: MakeFleet) -> None:
    rig = make(fail_apply=True)
    give_up(rig)
    rig.trackers["truck"]["configuration"]["connectingPeriod"] = 180
    assert rig.apply().code == 0
    with rig.outside_trackers() as trackers:
        trackers["A1"]["fail_apply"] = False
    rig.sim.advance(2 * HOUR)
    assert_settled(rig)


def test_a_failed_content_that_is_taken_out_and_put_back_has_had_its_sendings(make: MakeFleet) -> None:
    rig = make(fail_apply=True)
    give_up(rig)
    del rig.trackers["truck"]["configuration"]["connectingPeriod"]
    assert rig.apply().code == 0
    rig.trackers["truck"]["configuration"]["connectingPeriod"] = 60
    rig.mark()
    assert rig.apply().code == 0
    assert rig.patches() == []
    assert_failed(rig, TRUCK)


def test_retry_failed_sends_nothing_that_has_not_failed(make: MakeFleet) -> None:
    rig = make(online=False)
    rig.mark()
    assert rig.apply("--retry-failed").code == 0
    rig.restart_agent("A1")
    assert rig.apply("--retry-failed").code == 0
    assert rig.patches() == []


def test_a_failed_tracker_that_changes_hands_meanwhile_loses_nothing_foreign(make: MakeFleet) -> None:
    rig = make(fail_apply=True)
    give_up(rig)
    theirs = {"updateId": "theirs", "readingPeriod": 33}
    with rig.outside_trackers() as trackers:
        trackers["A1"]["pending"] = theirs
    rig.mark()
    rig.apply()
    rig.apply("--retry-failed")
    assert rig.patches() == [] and rig.pending("A1") == theirs


def test_one_tracker_that_fails_holds_no_other_up(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {"fail_apply": True}, "A2": {}, "A3": {"online": False}})
    for number, key in enumerate(("truck", "van", "ship"), 1):
        rig.trackers[key] = truck(f"A{number}", connectingPeriod=60)
    for _ in range(3):
        ran = rig.apply()
        assert ran.code == 0, ran
        rig.sim.advance(2 * HOUR)
    rig.assert_in_sync()
    ran = rig.plan()
    assert "Failed: 1 resource" in ran.out and "Pending: 1 resource" in ran.out, ran
    shown = rig.plan("--format", "json").json["reconcile"]
    assert [row["address"] for row in shown["failed"]] == [TRUCK]
    assert [row["address"] for row in shown["pending"]] == ["asset_tracker.trackers.ship"]
    rig.mark()
    ran = rig.apply("--retry-failed")
    assert ran.code == 0, ran
    assert rig.patches() == ["PATCH /A1/cfg"]
