"""Device Management that does not answer, answers late, or refuses: nothing is lost and nothing is done twice."""

from __future__ import annotations

from typing import Any

import pytest
from fleet_rig import sid
from management_rig import HOUR, MakeManagement, ManagementRig, id_of, make_management, management, pumps

__all__ = ["make_management", "management"]  # fixtures

DROPS: dict[str, dict[str, Any]] = {
    "lost": {"drop": "after"},
    "not done": {"drop": "before"},
    "500": {"status": 500, "headers": {}, "body": {"object": "error", "code": 500, "type": "internal_server_error"}},
}
EVERY = [
    ("POST", "/v3/device-groups*"),
    ("PUT", "/v3/device-groups/*"),
    ("DELETE", "/v3/device-groups/*"),
    ("POST", "/v3/device-groups/*/devices/add*"),
    ("POST", "/v3/device-groups/*/devices/remove*"),
    ("POST", "/v3/devices*"),
    ("PUT", "/v3/devices/*"),
    ("DELETE", "/v3/devices/*"),
    ("POST", "/v3/firmware-images*"),
    ("DELETE", "/v3/firmware-images/*"),
    ("POST", "/v3/firmware-manifests*"),
    ("DELETE", "/v3/firmware-manifests/*"),
    ("POST", "/v3/update-campaigns"),
    ("PUT", "/v3/update-campaigns/*"),
    ("DELETE", "/v3/update-campaigns/*"),
    ("POST", "/v3/update-campaigns/*/start"),
    ("POST", "/v2/device-shared-keys*"),
    ("DELETE", "/v2/device-shared-keys/*"),
    ("GET", "/v3/*"),
    ("GET", "/v2/*"),
]


def first(rig: ManagementRig) -> None:
    """A bit of everything."""
    rig.environ["PSK"] = "4a" * 16
    rig.files["device_management"] = {}
    rig.groups.update(north={"description": "a"}, south={})
    rig.devices["pump-1"] = {"endpoint_name": "pump-0001", "groups": ["north"], "custom_attributes": {"line": "1"}}
    rig.devices["pump-9"] = {"endpoint_name": "pump-9999", "lifecycle": "managed", "groups": ["north"]}
    rig.firmware("one")
    rig.firmware("two")
    rig.campaigns["spring"] = {"manifest": "one", "group": "north", "start": True}
    rig.campaigns["winter"] = {"manifest": "one", "group": "north", "start": False}
    rig.campaigns["autumn"] = {"manifest": "two", "devices": ["pump-9"], "start": False}
    rig.keys["endpoint-of-pump-1"] = "env:PSK"


def second(rig: ManagementRig) -> None:
    """Every kind of write but the first one's."""
    rig.environ["PSK"] = "5b" * 16
    rig.groups["north"]["description"] = "b"
    del rig.groups["south"], rig.devices["pump-9"], rig.campaigns["autumn"]
    rig.devices["pump-1"] |= {"groups": [], "custom_attributes": {"line": "2"}}
    rig.devices["pump-2"] = {"endpoint_name": "pump-0002", "groups": ["north"]}
    rig.campaigns["winter"] |= {"description": "with care", "start": True}
    for section in ("firmware_images", "firmware_manifests"):
        del rig.section(section)["two"]


@pytest.mark.parametrize(("method", "path"), EVERY)
@pytest.mark.parametrize("drop", DROPS)
def test_a_fault_at_every_request_is_got_over(management: ManagementRig, method: str, path: str, drop: str) -> None:
    fault = {"match": {"method": method, "path": path}, "times": 1, "effect": DROPS[drop]}
    for step in (first, second):
        step(management)
        management.sim.set_faults(fault)
        ran = management.apply()
        assert ran.code in (0, 7), ran
        management.sim.set_faults()
        if ran.code:
            assert management.apply().code == 0
        plan = management.plan("--detailed-exitcode")
        assert plan.code == 0, plan
        # Whatever was lost, nothing was made twice.
        world = management.world
        for section in ("groups", "devices", "firmware_images", "firmware_manifests", "campaigns"):
            names = [member["name"] for member in world[section].values() if member["name"]]
            assert len(names) == len(set(names)), (section, names)
        management.sim.advance(HOUR)
    assert management.world["shared_keys"]["endpoint-of-pump-1"]["secret_hex"] == "5b" * 16
    assert management.pump(1)["groups"] == set() and management.pump(1)["custom_attributes"] == {"line": "2"}
    management.assert_in_sync()


@pytest.mark.parametrize("after", [1, *range(8, 34, 2)])
def test_a_run_that_is_killed_is_taken_up(management: ManagementRig, after: int) -> None:
    first(management)
    management.crash(after)
    ran = management.apply()
    assert ran.code == 0, ran
    assert management.plan("--detailed-exitcode").code == 0
    assert len(management.world["campaigns"]) == 3 and len(management.world["devices"]) == 6
    assert len(management.world["firmware_images"]) == len(management.world["firmware_manifests"]) == 2
    assert management.live("campaigns", "spring")["phase"] == "starting"


def test_a_409_names_the_request(management: ManagementRig) -> None:
    management.groups["north"] = {}
    body = {"object": "error", "code": 409, "type": "conflict", "message": "taken", "request_id": "r" * 32}
    effect = {"status": 409, "headers": {"Content-Type": "application/json"}, "body": body}
    management.sim.set_faults({"match": {"method": "POST", "path": "/v3/device-groups*"}, "effect": effect})
    ran = management.apply()
    assert ran.code == 7 and "conflict: taken" in ran.out and f"request id {'r' * 32}" in ran.out, ran


def test_fields_of_a_validation_error_and_the_request_id_are_shown(management: ManagementRig) -> None:
    body = {
        "object": "error",
        "code": 400,
        "type": "validation_error",
        "message": "Validation error",
        "fields": [{"name": "description", "message": "is too rude"}],
        "request_id": "abcdef",
    }
    effect = {"status": 400, "headers": {"Content-Type": "application/json"}, "body": body}
    management.sim.set_faults({"match": {"method": "PUT", "path": "/v3/devices/*"}, "effect": effect})
    management.devices["pump-1"] = {"endpoint_name": "pump-0001", "description": "rude"}
    ran = management.apply()
    assert ran.code == 7, ran
    for part in ("PUT /v3/devices/", "400", "validation_error", "description: is too rude", "request id"):
        assert part in ran.out, ran


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_end_with_4(management: ManagementRig, status: int) -> None:
    management.groups["north"] = {}
    management.sim.set_faults({"match": {"method": "*", "path": "/v3/*"}, "effect": {"status": status, "body": {}}})
    for ran in (management.plan(), management.apply()):
        assert ran.code == 4, ran
    assert management.world["groups"] == {}


def test_a_wrong_key_is_told_with_its_type(management: ManagementRig) -> None:
    management.groups["north"] = {}
    management.files["providers"] = {"device_management": {"base_url": management.sim.url}}
    management.environ |= {"RECONCILE_SIMULATOR": "", "MBED_CLOUD_SDK_API_KEY": "ak_of_somebody_else"}
    ran = management.plan()
    assert ran.code == 4 and "invalid_apikey" in ran.out + ran.err, ran
    assert "ak_of_somebody_else" not in ran.out + ran.err
    management.environ["MBED_CLOUD_SDK_API_KEY"] = ""
    assert management.plan().code == 3
    del management.environ["MBED_CLOUD_SDK_API_KEY"]
    ran = management.plan()
    assert ran.code == 3 and "MBED_CLOUD_SDK_API_KEY" in ran.err, ran


def test_a_wrong_url_does_not_mean_that_everything_is_gone(management: ManagementRig) -> None:
    management.groups["north"] = {}
    management.devices["pump-1"] = {"endpoint_name": "pump-0001", "groups": ["north"]}
    management.apply_well()
    body = {"object": "error", "code": 404, "type": "unrecognized_request", "message": "no such URL"}
    effect = {"status": 404, "headers": {"Content-Type": "application/json"}, "body": body}
    management.sim.set_faults({"match": {"method": "*", "path": "/v3/*"}, "effect": effect})
    ran = management.plan()
    assert ran.code == 1 and "Not read" in ran.out and "Created" not in ran.out, ran


def test_one_provider_that_is_down_does_not_keep_the_others_from_being_shown(management: ManagementRig) -> None:
    world = management.sim.world
    world["microvisor"] = {"devices": {sid(1): {}}}
    world["trackers"] = {"A1": {}}
    management.sim.put(world)
    management.groups["north"] = {}
    management.files["microvisor"] = {"configs": {"host": "a"}, "devices": {"one": {"sid": sid(1)}}}
    management.files["asset_tracker"] = {"trackers": {"t": {"agent": "A1", "configuration": {"connectingPeriod": 60}}}}
    management.sim.set_faults({"match": {"method": "*", "path": "/v3/*"}, "effect": {"status": 503, "body": {}}})
    ran = management.plan()
    assert ran.code == 1, ran
    assert "microvisor.configs.host" in ran.out and "asset_tracker.trackers.t" in ran.out, ran
    assert "device_management.groups" in ran.out + ran.err, ran
    management.sim.set_faults()
    assert management.apply().code == 0
    assert management.plan("--detailed-exitcode").code == 0


def test_pages_that_shift_while_they_are_read_lose_nothing(make_management: MakeManagement) -> None:
    rig = make_management(devices=pumps(2100))
    for n in range(1, 2101):
        rig.devices[f"pump-{n}"] = {"endpoint_name": f"pump-{n:04}", "name": ""} if n < 0 else {"id": id_of(n)}
    ran = rig.apply()
    assert ran.code == 0, ran
    assert rig.plan("--detailed-exitcode").code == 0


def test_unknown_fields_of_answers_are_passed_over(management: ManagementRig) -> None:
    management.groups["north"] = {}
    page = {
        "object": "list",
        "limit": 1000,
        "after": None,
        "order": "ASC",
        "has_more": False,
        "new": {"a": [1]},
        "data": [{"id": "a" * 32, "object": "new-type", "name": "north", "new": True}],
    }
    effect = {"status": 200, "headers": {"Content-Type": "application/json"}, "body": page}
    management.sim.set_faults({"match": {"method": "GET", "path": "/v3/device-groups*"}, "effect": effect})
    ran = management.plan()
    assert ran.code == 0 and "imported from" in ran.out, ran


@pytest.mark.parametrize(
    "page",
    [
        [],
        {"data": []},
        {"has_more": False},
        {"data": [1], "has_more": False},
        {"data": [{"name": "north"}], "has_more": False},
        {"data": [], "has_more": True},
        {"data": [{"id": "a" * 32, "name": "north", "custom_attributes": 7}], "has_more": False},
        {"data": [{"id": "a" * 32, "name": "north"}], "has_more": True},
    ],
)
def test_pages_of_another_shape_are_not_read_as_an_empty_account(management: ManagementRig, page: Any) -> None:
    management.groups["north"] = {}
    effect = {"status": 200, "headers": {"Content-Type": "application/json"}, "body": page}
    management.sim.set_faults({"match": {"method": "GET", "path": "/v3/device-groups*"}, "effect": effect})
    ran = management.plan()
    assert ran.code == 1 and "Not read" in ran.out and "Created" not in ran.out, ran


@pytest.mark.parametrize(
    "path",
    [
        "/v3/devices/",
        "/v3/device-groups/",
        "/v3/firmware-images",
        "/v3/firmware-manifests",
        "/v3/update-campaigns",
        "/v2/device-shared-keys",
    ],
)
def test_a_list_without_an_end_is_not_read_for_ever(management: ManagementRig, path: str) -> None:
    rig = management
    first(rig)
    rig.apply_well()
    rig.sim.set_faults({"match": {"method": "GET", "path": f"{path.rstrip('/')}*"}, "effect": {"endless": True}})
    rig.mark()
    ran = rig.plan()
    assert ran.code == 1, ran
    said = ran.out + ran.err
    assert "names another page after" in said or "names a next page that was read already" in said
    assert len(rig.requests()) < 60
    rig.sim.set_faults()
    rig.assert_in_sync()
