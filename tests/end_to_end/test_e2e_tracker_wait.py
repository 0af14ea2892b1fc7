"""`--wait settled`: until trackers have applied; which did, which are pending, and which failed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from tracker_rig import TRUCK, MakeTrackers, TrackerRig, assert_settled, truck

VAN, SHIP = "asset_tracker.trackers.van", "asset_tracker.trackers.ship"


@contextlib.contextmanager
def time_passing(rig: TrackerRig, seconds: float) -> Iterator[None]:
    """The simulator's clock moves so far each tenth of a second."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.1):
            rig.sim.advance(seconds)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def lines_of(out: str, address: str) -> list[str]:
    return [line for line in out.splitlines() if address in line]


def test_it_waits_until_all_have_applied(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {"scheme": "1.0"}, "A2": {}})
    rig.trackers["truck"] = truck(connectingPeriod=60)
    rig.trackers["van"] = truck("A2", connectingPeriod=60)
    with time_passing(rig, 20):
        ran = rig.apply("--wait", "settled", "--timeout", "100")
    assert ran.code == 0, ran
    assert "Apply complete!" in ran.out and "Pending:" not in ran.out and "Failed:" not in ran.out, ran
    assert "Waiting" in ran.err, ran
    assert rig.reported("A1")["connectingPeriod"] == 60 and rig.reported("A2")["connectingPeriod"] == 60
    assert_settled(rig)


def test_what_is_still_pending_at_the_timeout_is_named_and_what_settled_is_not(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {"online": False}, "A2": {}})
    rig.trackers["truck"] = truck(connectingPeriod=60)
    rig.trackers["van"] = truck("A2", connectingPeriod=60)
    with time_passing(rig, 20):
        ran = rig.apply("--wait", "settled", "--timeout", "30")
    assert ran.code == 1, ran
    assert "Apply complete!" in ran.out and "Pending: 1 resource" in ran.out, ran
    pending = ran.out[ran.out.index("Pending: 1") :]
    assert TRUCK in pending and VAN not in pending, ran


def test_what_was_delivered_and_came_back_with_the_old_id_failed(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {"fail_apply": True}, "A2": {}, "A3": {"online": False}})
    for number, key in enumerate(("truck", "van", "ship"), 1):
        rig.trackers[key] = truck(f"A{number}", connectingPeriod=60)
    with time_passing(rig, 20):
        ran = rig.apply("--wait", "settled", "--timeout", "30")
    assert ran.code == 1, ran
    assert "Failed: 1 resource" in ran.out and "Pending: 1 resource" in ran.out, ran
    failed, pending = ran.out.index("Failed: 1"), ran.out.index("Pending: 1")
    sections = sorted([(failed, "failed"), (pending, "pending")])
    first = ran.out[sections[0][0] : sections[1][0]]
    second = ran.out[sections[1][0] :]
    shown = {sections[0][1]: first, sections[1][1]: second}
    assert TRUCK in shown["failed"] and TRUCK not in shown["pending"], ran
    assert SHIP in shown["pending"] and SHIP not in shown["failed"], ran
    assert VAN not in first + second, ran


def test_a_wait_for_nothing_but_a_failed_tracker_ends_before_its_timeout(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {"fail_apply": True}})
    rig.trackers["truck"] = truck(connectingPeriod=60)
    with time_passing(rig, 20):
        ran = rig.apply("--wait", "settled", "--timeout", "100000")
    assert ran.code == 1, ran
    assert TRUCK in ran.out, ran


def test_a_second_apply_waits_for_what_an_earlier_one_staged(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {}})
    rig.trackers["truck"] = truck(connectingPeriod=60)
    assert rig.apply().code == 0
    rig.mark()
    with time_passing(rig, 20):
        ran = rig.apply("--wait", "settled", "--timeout", "100")
    assert ran.code == 0, ran
    assert rig.patches() == []
    assert rig.reported("A1")["connectingPeriod"] == 60


def test_agent_settings_need_no_waiting(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {"online": False}})
    rig.trackers["truck"] = {"agent": "A1", "agentConfiguration": {"debug": {"logLevel": "ERROR"}}}
    ran = rig.apply("--wait", "settled", "--timeout", "30")
    assert ran.code == 0, ran
    assert "Pending" not in ran.out, ran
