"""A 2xx is no success by itself: the vendor's error object, and a removal that did not happen."""

from __future__ import annotations

from typing import Any

import pytest
from fleet_rig import Rig, sid
from management_rig import ManagementRig, make_management, management
from tracker_rig import MakeTrackers, truck

__all__ = ["make_management", "management"]  # fixtures

TWILIO = {"code": 20500, "message": "internal error", "status": 500}
PELION = {"object": "error", "code": 400, "type": "limit_reached", "message": "group is full", "request_id": "0123"}


def says(method: str, path: str, body: Any, status: int = 200) -> dict[str, Any]:
    return {"match": {"method": method, "path": path}, "effect": {"status": status, "body": body}}


def failed(rig: Any, words: str) -> None:
    """The apply fails with the vendor's words; without the fault the next one does it."""
    ran = rig.apply()
    assert ran.code == 7, ran
    assert words in ran.out, ran
    rig.sim.set_faults()
    assert "somebody else" not in rig.plan().out
    rig.apply_well()


@pytest.mark.parametrize("verb", ["create", "update", "delete"])
def test_microvisor(rig: Rig, verb: str):
    rig.devices["one"] = {"sid": sid(1), "configs": {"a": "1"}}
    rig.configs["kept"] = "1"
    if verb != "create":
        rig.apply_well()
    if verb == "delete":
        del rig.devices["one"]["configs"]
    else:
        rig.devices["one"]["configs"]["a"] = "2"
    path = f"/v1/Devices/{sid(1)}/Configs*"
    rig.sim.set_faults(says("DELETE" if verb == "delete" else "POST", path, TWILIO))
    failed(rig, "20500: internal error")


@pytest.mark.parametrize("verb", ["add", "remove", "delete group"])
def test_device_management(management: ManagementRig, verb: str):
    management.groups["north"] = {}
    management.devices["pump-1"] = {"endpoint_name": "pump-0001", "groups": ["north"]}
    if verb != "add":
        management.apply_well()
        del management.devices["pump-1"]["groups"]
    if verb == "delete group":
        management.groups.clear()
        management.sim.set_faults(says("DELETE", "/v3/device-groups/*", PELION))
    else:
        management.sim.set_faults(says("POST", f"/v3/device-groups/*/devices/{verb}*", PELION))
    failed(management, "limit_reached: group is full")


def test_a_tracker(make_trackers: MakeTrackers):
    rig = make_trackers({"A1": {}})
    rig.trackers["truck"] = truck(connectingPeriod=120)
    rig.sim.set_faults(says("PATCH", "*/cfg", {"error": "busy"}))
    ran = rig.apply()
    assert ran.code == 7 and "busy" in ran.out, ran
    assert rig.pending("A1") is None
    rig.sim.set_faults()
    assert rig.apply().code == 0


def test_a_reading(rig: Rig):
    rig.configs["a"] = "1"
    rig.apply_well()
    rig.sim.set_faults(says("GET", "/v1/Configs", TWILIO))
    ran = rig.plan()
    assert ran.code == 1 and "Not read" in ran.out and "internal error" in ran.out, ran


@pytest.mark.parametrize("status", [200, 202])
def test_a_removal_that_is_answered_otherwise_than_204_is_looked_at(rig: Rig, status: int):
    rig.configs.update(a="1", kept="1")
    rig.apply_well()
    del rig.configs["a"]
    rig.sim.set_faults(says("DELETE", "/v1/Configs/a", {}, status))
    ran = rig.apply()
    assert ran.code == 7 and "it is still there" in ran.out, ran
    rig.sim.set_faults()
    rig.apply_well()
    assert set(rig.world["configs"]) == {"kept"}


def test_a_membership_that_is_answered_otherwise_than_204_is_looked_at(management: ManagementRig):
    management.groups["north"] = {}
    management.devices["pump-1"] = {"endpoint_name": "pump-0001", "groups": ["north"]}
    management.sim.set_faults(says("POST", "/v3/device-groups/*/devices/add*", {}))
    ran = management.apply()
    assert ran.code == 7 and "it is not in it" in ran.out, ran
    management.sim.set_faults()
    management.apply_well()
    del management.devices["pump-1"]["groups"]
    management.sim.set_faults(says("POST", "/v3/device-groups/*/devices/remove*", {}))
    ran = management.apply()
    assert ran.code == 7 and "it is still there" in ran.out, ran
    management.sim.set_faults()
    management.apply_well()


# -- a 403 -------------------------------------------------------------------------------------------------------------


def test_a_403_to_a_write_is_about_that_write(management: ManagementRig):
    management.groups.update(north={}, south={})
    quota = {"object": "error", "code": 403, "type": "account_limit_exceeded", "message": "limit", "request_id": "1"}
    fault = says("POST", "/v3/device-groups*", quota, 403)
    management.sim.set_faults({**fault, "times": 1})
    ran = management.apply()
    assert ran.code == 7, ran
    assert "account_limit_exceeded" in ran.out and "credentials" not in ran.out + ran.err, ran
    assert len(management.world["groups"]) == 1


@pytest.mark.parametrize(("status", "type_"), [(401, "unauthorized"), (403, "invalid_api_key"), (403, "invalid_token")])
def test_a_refused_key_ends_the_work_of_its_provider_alone(management: ManagementRig, status: int, type_: str):
    management.groups.update(north={}, south={})
    management.files["microvisor"] = {"configs": {"a": "1"}}
    body = {"object": "error", "code": status, "type": type_, "message": "no", "request_id": "1"}
    management.sim.set_faults(says("POST", "/v3/device-groups*", body, status))
    ran = management.apply()
    assert ran.code == 4, ran
    assert management.sim.world["microvisor"]["configs"] == {"a": "1"}
    assert "Error: the credentials of device_management were refused: api_key (env:MBED_CLOUD_SDK_API_KEY)" in ran.err


def test_a_403_to_a_reading_is_about_the_key(rig: Rig):
    rig.configs["a"] = "1"
    rig.sim.set_faults(says("GET", "/v1/Configs", {"code": 20403, "message": "no", "status": 403}, 403))
    ran = rig.plan()
    assert ran.code == 4, ran
    assert ran.err.count("Error: the credentials of microvisor were refused: auth_token (env:TWILIO_AUTH_TOKEN)") == 1
