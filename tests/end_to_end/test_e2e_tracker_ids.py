"""The id of an update follows from what it holds and what it builds on: lost answers, lost states and crashes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tracker_rig import HOUR, TRUCK, MakeTrackers, TrackerRig, assert_pending, assert_settled, truck

PATCH = {"method": "PATCH", "path": "/A1/cfg"}


def sent_id(rig: TrackerRig) -> str:
    pending = rig.pending("A1")
    assert pending is not None
    return pending["updateId"]  # type: ignore[no-any-return]


@pytest.fixture
def fleet(make_trackers: MakeTrackers) -> TrackerRig:
    rig = make_trackers({"A1": {"scheme": "1.1"}, "A2": {"scheme": "1.0"}})
    rig.trackers["truck"] = truck(
        connectingPeriod=60, locationTracking={"geofence": {"enabled": True, "lat": 64.256, "lng": 16.32, "radius": 5}}
    )
    return rig


@pytest.fixture
def undisturbed(fleet: TrackerRig) -> str:
    """The id that an apply without faults sends; everything is as before after it."""
    begin = fleet.sim.world
    assert fleet.apply().code == 0
    update_id = sent_id(fleet)
    fleet.sim.put(begin)
    fleet.lose_state()
    return update_id


def test_an_id_has_at_most_50_characters_and_is_not_the_current_one(fleet: TrackerRig) -> None:
    seen = {"myDefaultCfg"}
    for period in range(60, 70):
        fleet.trackers["truck"]["configuration"]["connectingPeriod"] = period
        assert fleet.apply().code == 0
        assert re.fullmatch(r"[\x21-\x7e]{1,50}", sent_id(fleet))
        assert sent_id(fleet) not in seen
        seen.add(sent_id(fleet))
        fleet.sim.advance(HOUR)
        assert_settled(fleet)


def test_an_id_follows_from_the_content_and_the_base(fleet: TrackerRig, undisturbed: str) -> None:
    begin = fleet.sim.world

    def again(**settings: Any) -> str:
        fleet.lose_state()
        assert fleet.apply().code == 0
        found = sent_id(fleet)
        fleet.sim.put(begin)
        return found

    assert again() == undisturbed
    fleet.trackers["renamed"] = fleet.trackers.pop("truck")
    assert again() == undisturbed
    fleet.trackers["renamed"]["configuration"]["connectingPeriod"] = 61
    assert again() != undisturbed
    fleet.trackers["renamed"]["configuration"]["connectingPeriod"] = 60
    with fleet.outside_trackers() as trackers:
        trackers["A1"]["reported"]["updateId"] = "another-base"
    begin = fleet.sim.world
    assert again() != undisturbed


@pytest.mark.parametrize("drop", ["before", "after"])
@pytest.mark.parametrize("times", [1, 2, None])
def test_a_lost_answer_makes_no_second_id_and_the_update_is_known_as_ours(
    fleet: TrackerRig, undisturbed: str, drop: str, times: int | None
) -> None:
    fault: dict[str, Any] = {"match": PATCH, "effect": {"drop": drop}}
    if times is not None:
        fault["times"] = times
    fleet.sim.set_faults(fault)
    ran = fleet.apply()
    assert ran.code in (0, 7), ran
    fleet.sim.set_faults()
    if drop == "after":
        assert sent_id(fleet) == undisturbed
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert sent_id(fleet) == undisturbed
    assert_pending(fleet, TRUCK)
    fleet.sim.advance(HOUR)
    assert_settled(fleet)


def test_a_lost_answer_is_read_back_and_nothing_is_repeated(fleet: TrackerRig, undisturbed: str) -> None:
    fleet.sim.set_faults({"match": PATCH, "times": 1, "effect": {"drop": "after"}})
    fleet.mark()
    for _ in range(2):
        fleet.apply()
    assert fleet.patches() == ["PATCH /A1/cfg"]
    assert sent_id(fleet) == undisturbed
    assert_pending(fleet, TRUCK)


def test_a_lost_answer_whose_update_is_delivered_before_anybody_looks_is_settled(
    fleet: TrackerRig, undisturbed: str
) -> None:
    fleet.sim.set_faults({"match": PATCH, "times": 1, "effect": {"drop": "after"}})
    fleet.apply()
    fleet.sim.advance(HOUR)
    assert fleet.reported("A1")["updateId"] == undisturbed
    fleet.mark()
    assert fleet.apply().code == 0
    assert fleet.patches() == []
    assert_settled(fleet)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_agent_that_is_out_of_order_for_a_moment_is_sent_one_id(
    fleet: TrackerRig, undisturbed: str, status: int
) -> None:
    fleet.sim.set_faults({"match": PATCH, "times": 2, "effect": {"status": status}})
    ran = fleet.apply()
    assert ran.code in (0, 7), ran
    fleet.apply()
    assert sent_id(fleet) == undisturbed
    assert_pending(fleet, TRUCK)


def test_a_lost_answer_does_not_use_up_an_attempt_more_than_there_were(fleet: TrackerRig) -> None:
    """Three sendings are three updates that the tracker could not apply, not three lost answers."""
    fleet.sim.set_faults({"match": PATCH, "effect": {"drop": "before"}})
    for _ in range(5):
        assert fleet.apply().code == 7
    fleet.sim.set_faults()
    assert list(fleet.changes()) == [TRUCK]
    fleet.apply_well()
    assert_pending(fleet, TRUCK)
    fleet.sim.advance(HOUR)
    assert_settled(fleet)


def test_a_lost_state_while_ours_is_pending_is_adopted_without_a_second_patch(
    fleet: TrackerRig, undisturbed: str
) -> None:
    assert fleet.apply().code == 0
    fleet.lose_state()
    ran = fleet.plan()
    assert ran.code == 0, ran
    assert "somebody else" not in ran.out and "--overwrite-pending" not in ran.out, ran
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert fleet.patches() == []
    assert sent_id(fleet) == undisturbed
    assert_pending(fleet, TRUCK)
    fleet.sim.advance(HOUR)
    assert_settled(fleet)


def test_a_lost_state_after_delivery_is_adopted_without_a_patch(fleet: TrackerRig) -> None:
    assert fleet.apply().code == 0
    fleet.sim.advance(HOUR)
    fleet.lose_state()
    fleet.mark()
    assert fleet.apply().code == 0
    assert fleet.patches() == []
    assert_settled(fleet)


def test_after_a_lost_state_was_taken_up_a_new_edit_needs_no_flag(fleet: TrackerRig) -> None:
    assert fleet.apply().code == 0
    fleet.lose_state()
    assert fleet.apply().code == 0
    fleet.trackers["truck"]["configuration"]["readingPeriod"] = 20
    ran = fleet.apply_well()
    assert "somebody else" not in ran.out and "--overwrite-pending" not in ran.out, ran
    pending = fleet.pending("A1")
    assert pending is not None
    assert (pending["connectingPeriod"], pending["readingPeriod"]) == (60, 20)


@pytest.mark.parametrize("known", [False, True], ids=["first apply", "second update over a pending one"])
def test_a_crash_before_any_request_is_settled_by_two_applies(fleet: TrackerRig, known: bool) -> None:
    fleet.trackers["van"] = {**truck("A2", connectingPeriod=61), "agentConfiguration": {"debug": {"logLevel": "INFO"}}}
    if known:
        assert fleet.apply().code == 0
        fleet.trackers["truck"]["configuration"]["readingPeriod"] = 20
        fleet.trackers["van"]["configuration"]["readingPeriod"] = 20
    begin, state = fleet.sim.world, fleet.state.read_bytes() if known else None

    def reset() -> None:
        fleet.sim.put(begin)
        fleet.lose_state()
        if state is not None:
            fleet.state.write_bytes(state)
            fleet.state.chmod(0o600)

    fleet.mark()
    assert fleet.apply("--parallelism", "1").code == 0
    ids = {agent: (fleet.pending(agent) or {})["updateId"] for agent in ("A1", "A2")}
    for after in range(1, len(fleet.requests()) + 2):
        reset()
        fleet.crash(after)
        for agent, update_id in ids.items():
            found = fleet.pending(agent)
            before = begin["trackers"][agent]["pending"]
            assert found == before or (found or {}).get("updateId") == update_id, after
        fleet.apply()
        ran = fleet.apply()
        assert ran.code == 0, (after, ran)
        assert {agent: (fleet.pending(agent) or {})["updateId"] for agent in ids} == ids, after
        assert_pending(fleet, TRUCK, "asset_tracker.trackers.van")
        fleet.sim.advance(HOUR)
        assert_settled(fleet)


@pytest.mark.parametrize("effect", [{"drop": "after"}, {"drop": "before"}, {"status": 500}])
def test_a_fault_at_every_request_for_good_is_settled_by_two_applies(fleet: TrackerRig, effect: dict[str, Any]) -> None:
    begin = fleet.sim.world
    for before in range(4):
        fleet.sim.put(begin)
        fleet.lose_state()
        match = {"path": "/A1/cfg"}
        fleet.sim.set_faults(
            {"match": match, "times": before, "effect": {"delay_s": 0}}, {"match": match, "effect": effect}
        )
        assert fleet.apply().code in (0, 1, 7)
        fleet.sim.set_faults()
        fleet.apply()
        assert fleet.apply().code == 0
        assert_pending(fleet, TRUCK)
        fleet.sim.advance(HOUR)
        assert_settled(fleet)
