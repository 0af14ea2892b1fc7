"""A write that finds its value there already is done: nothing is sent, nobody is blamed, and the state says so."""

from __future__ import annotations

from typing import Any

import pytest
from fleet_rig import Rig, sid
from management_rig import HOUR, ManagementRig, id_of, make_management, management
from tracker_rig import MakeTrackers, truck

__all__ = ["make_management", "management"]  # fixtures

SEAL = {"RECONCILE_FINGERPRINT_KEY": "a" * 64}
SAID = "it is as planned already"


@pytest.fixture
def fleet(rig: Rig) -> Rig:
    rig.environ |= {"PSK": "psk-of-the-tests", **SEAL}
    rig.configs["host"] = "1"
    rig.apps["v1"], rig.apps["v2"] = {"bundle": rig.bundle("v1.zip")}, {"bundle": rig.bundle("v2.zip")}
    rig.devices["one"] = {"sid": sid(1), "configs": {"a": "1"}, "secrets": {"psk": "env:PSK"}, "app": "v1"}
    rig.apply_well()
    return rig


def replayed(rig: Any, ran_well: int, plan: Any) -> None:
    """A colleague's apply did just what the plan says; then the plan itself is applied."""
    rig.mark()
    ran = rig.apply_file(plan)
    assert ran.code == 0, ran
    assert ran.err.count(SAID) == ran_well, ran
    assert rig.mutations() == []
    rig.assert_in_sync()


def test_what_has_been_done_meanwhile_is_done(fleet: Rig):
    fleet.configs.update(host="2", new="n")
    fleet.devices["one"]["configs"] |= {"a": "2", "b": "b"}
    fleet.devices["one"]["app"] = "v2"
    plan = fleet.saved()
    v2 = next(sid for sid, app in fleet.world["apps"].items() if app["unique_name"] == "v2")
    with fleet.outside() as world:
        world["configs"] |= {"host": "2", "new": "n"}
        world["dates"]["configs"]["host"] = "2030-01-01T00:00:00Z"
        world["devices"][sid(1)]["configs"] |= {"a": "2", "b": "b"}
        world["devices"][sid(1)]["app"]["target_sid"] = v2
    fleet.mark()
    ran = fleet.apply_file(plan)
    assert ran.code == 0, ran
    assert ran.err.count(SAID) == 5, ran
    # Of what is made the API itself says that it is there; nothing else was sent.
    assert sorted(fleet.mutations()) == ["POST /v1/Configs", f"POST /v1/Devices/{sid(1)}/Configs"]
    fleet.assert_in_sync()


def test_one_of_two_that_is_there_already_keeps_the_other_from_nothing(fleet: Rig):
    fleet.devices["one"] |= {"app": "v2", "unique_name": "renamed"}
    plan = fleet.saved()
    with fleet.outside() as world:
        world["devices"][sid(1)]["unique_name"] = "renamed"
    ran = fleet.apply_file(plan)
    assert ran.code == 0, ran
    fleet.assert_in_sync()


def test_a_secret_and_a_restart_are_never_as_planned_already(fleet: Rig):
    """Nobody can tell: that somebody rotated the secret after the plan is a conflict."""
    fleet.environ["PSK"] = "another-psk-of-the-tests"
    fleet.secrets["fresh"] = "env:PSK"
    plan = fleet.saved()
    with fleet.outside() as world:
        world["devices"][sid(1)]["secrets"]["psk"] = "another-psk-of-the-tests"
        world["dates"]["devices"][sid(1)]["secrets"]["psk"] = "2030-01-01T00:00:00Z"
        world["secrets"]["fresh"] = "another-psk-of-the-tests"
    ran = fleet.apply_file(plan)
    assert ran.code == 7, ran
    assert "2 conflicts" in ran.out and SAID not in ran.err, ran


def test_a_device_of_device_management_as_planned_already(management: ManagementRig):
    management.environ |= SEAL
    management.devices["pump-1"] = {"endpoint_name": "pump-0001", "custom_attributes": {"line": "1"}}
    management.apply_well()
    management.devices["pump-1"]["custom_attributes"]["line"] = "2"
    plan = management.saved()
    with management.outside() as world:
        world["devices"][id_of(1)]["custom_attributes"] = {"line": "2"}
    replayed(management, 1, plan)


def test_a_device_with_something_of_somebody_else_beside_it_is_a_conflict(management: ManagementRig):
    """The PUT has the whole map of attributes, so that it would take out what somebody added since the plan."""
    management.environ |= SEAL
    management.devices["pump-1"] = {"endpoint_name": "pump-0001", "custom_attributes": {"line": "1"}}
    management.apply_well()
    management.devices["pump-1"]["custom_attributes"]["line"] = "2"
    plan = management.saved()
    with management.outside() as world:
        world["devices"][id_of(1)]["custom_attributes"] = {"line": "2", "theirs": "x"}
    assert management.apply_file(plan).code == 7
    assert management.pump(1)["custom_attributes"] == {"line": "2", "theirs": "x"}


@pytest.mark.parametrize("fetched", [True, False])
def test_a_tracker_as_planned_already(make_trackers: MakeTrackers, fetched: bool):
    rig = make_trackers({"A1": {}})
    rig.environ |= SEAL
    rig.trackers["truck"] = truck(connectingPeriod=120)
    assert rig.apply().code == 0
    rig.sim.advance(2 * HOUR)
    rig.trackers["truck"]["configuration"]["connectingPeriod"] = 240
    plan = rig.saved()
    with rig.outside_trackers() as trackers:
        if fetched:
            trackers["A1"]["reported"].update(connectingPeriod=240, updateId="console")
        else:  # still on its way: it may yet be lost, and our write would replace it
            trackers["A1"]["pending"] = {"connectingPeriod": 240, "updateId": "console"}
    if fetched:
        replayed(rig, 1, plan)
    else:
        assert rig.apply_file(plan).code == 7
