"""What the account lacks, and nothing here can make: a section of the plan, and the rest goes on."""

from __future__ import annotations

import pytest
from fleet_rig import Rig, sid
from management_rig import ManagementRig, make_management, management
from tracker_rig import MakeTrackers, truck

__all__ = ["make_management", "management"]  # fixtures

LACKING = f"there is no device {sid(77)} on the account"


def lacking(rig: Rig) -> None:
    rig.devices["one"] = {"sid": sid(1), "configs": {"a": "1"}}
    rig.devices["later"] = {"sid": sid(77), "configs": {"a": "1"}}
    rig.configs["host"] = "1"


def test_the_rest_is_planned_and_applied(rig: Rig):
    lacking(rig)
    ran = rig.plan()
    assert ran.code == 1, ran
    assert "Not there yet: 1 resource\n" in ran.out and f"microvisor.devices.later: {LACKING}" in ran.out, ran
    ran = rig.apply()
    assert ran.code == 1, ran
    assert LACKING in ran.out and rig.device(1)["configs"] == {"a": "1"} and rig.world["configs"] == {"host": "1"}, ran
    # The second run has nothing to do, and says that it is not all well.
    ran = rig.plan()
    assert ran.code == 1 and "No changes found; 1 resource is not there yet." in ran.out, ran
    assert "matches the configuration" not in ran.out
    made = rig.plan("--format", "json").json["reconcile"]
    assert [(row["address"], row["waits"]) for row in made["absent"]] == [("microvisor.devices.later", False)]
    # It ships: an ordinary change.
    with rig.outside() as world:
        world["devices"][sid(77)] = {}
    rig.apply_well()
    assert rig.device(77)["unique_name"] == "later"


@pytest.mark.parametrize(("limit", "code"), [(1, 0), (0, 1), ("50%", 0), ("1%", 1)])
def test_a_limit_lets_some_be_absent(rig: Rig, limit: object, code: int):
    lacking(rig)
    rig.devices["two"] = {"sid": sid(2)}
    rig.files["limits"] = {"absent": limit}
    assert rig.plan().code == code
    assert rig.apply().code == code


def test_a_saved_plan_says_it_too(rig: Rig):
    lacking(rig)
    file = rig.directory / "saved.plan"
    assert rig.plan("--out", str(file)).code == 1
    assert LACKING in rig.run("show", str(file)).out
    ran = rig.apply_file(file)
    assert ran.code == 1 and LACKING in ran.out, ran
    assert rig.device(1)["configs"] == {"a": "1"}


def test_a_unit_of_the_state_that_is_gone_is_its_own_and_nothing_of_it_is_forgotten(rig: Rig):
    lacking(rig)
    with rig.outside() as world:
        world["devices"][sid(77)] = {}
    rig.apply_well()
    with rig.outside() as world:
        gone = world["devices"].pop(sid(77))
    rig.configs["host"] = "2"
    ran = rig.apply()
    assert ran.code == 1, ran
    assert f"the device {sid(77)} is gone from the account" in ran.out, ran
    assert rig.world["configs"] == {"host": "2"}
    assert {"microvisor.devices.later", "microvisor.devices.later.configs.a"} <= set(rig.entries())
    with rig.outside() as world:
        world["devices"][sid(77)] = gone
    rig.assert_in_sync()


def test_what_needs_it_waits(management: ManagementRig):
    management.firmware("one")
    management.groups["north"] = {}
    management.devices["pump-1"] = {"endpoint_name": "pump-0001", "groups": ["north"]}
    management.devices["pump-9"] = {"endpoint_name": "pump-9999", "groups": ["north"]}
    management.campaigns["spring"] = {"manifest": "one", "devices": ["pump-1", "pump-9"], "start": False}
    ran = management.apply()
    assert ran.code == 1, ran
    assert "device_management.campaigns.spring: waits for device_management.devices.pump-9" in ran.out, ran
    assert management.world["campaigns"] == {} and management.pump(1)["groups"] == {"north"}
    with management.outside() as world:
        world["devices"]["f" * 32] = {"endpoint_name": "pump-9999"}
    management.apply_well()
    assert len(management.world["campaigns"]) == 1


def test_what_hangs_on_a_device_that_waits_for_an_app_waits_with_it(rig: Rig):
    rig.devices["one"] = {"sid": sid(1), "app": "nowhere", "configs": {"a": "1"}}
    rig.configs["host"] = "1"
    rig.mark()
    ran = rig.apply()
    assert ran.code == 1 and rig.mutations() == ["POST /v1/Configs"], ran
    assert "microvisor.devices.one.configs.a: waits for microvisor.devices.one" in ran.out, ran
    assert "Apply complete!" not in ran.out and "1 not there yet." in ran.out, ran
    ran = rig.apply("--format", "json")
    assert ran.json["complete"] is False and len(ran.json["absent"]) == 2, ran


def test_drift_says_what_is_gone(rig: Rig):
    rig.devices.update(one={"sid": sid(1)}, two={"sid": sid(2)})
    rig.apply_well()
    with rig.outside() as world:
        del world["devices"][sid(2)]
    ran = rig.run("drift", str(rig.fleet))
    assert ran.code == 1, ran
    assert f"the device {sid(2)} is gone from the account" in ran.out and "No drift" not in ran.out, ran
    assert "No changes" not in ran.out, ran


def test_an_agent_that_answers_404_stops_nobody_else(make_trackers: MakeTrackers):
    rig = make_trackers({"A1": {}, "GONE": {}})
    rig.trackers["one"] = truck("A1", connectingPeriod=120)
    rig.trackers["two"] = truck("GONE", connectingPeriod=120)
    rig.sim.set_faults({"match": {"method": "GET", "path": "/GONE/cfg"}, "effect": {"status": 404, "body": "none"}})
    ran = rig.apply()
    assert ran.code == 1, ran
    assert "there is no tracker GONE" in ran.out and rig.pending("A1") is not None, ran


def test_ten_thousand_of_them_are_a_line(rig: Rig):
    rig.devices.update({f"d{n}": {"sid": sid(1000 + n)} for n in range(500)})
    ran = rig.plan()
    assert ran.code == 1, ran
    assert "Not there yet: 500 resources\n  500 devices, the first: there is no device" in ran.out, ran
    assert len(ran.out.splitlines()) < 15, ran
