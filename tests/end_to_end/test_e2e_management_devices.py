"""Groups, devices and memberships of Device Management, from the files to the account and back."""

from __future__ import annotations

from typing import Any

import pytest
from management_rig import MakeManagement, ManagementRig, id_of, make_management, management, pumps

__all__ = ["make_management", "management"]  # fixtures


@pytest.fixture
def fleet(management: ManagementRig) -> ManagementRig:
    """Two pumps in two groups."""
    management.groups["north"] = {"description": "pumps north of the river"}
    management.groups["pumps"] = {"custom_attributes": {"owner": "water"}}
    management.devices["pump-1"] = {
        "endpoint_name": "pump-0001",
        "description": "main",
        "custom_attributes": {"line": "3"},
        "groups": ["north", "pumps"],
    }
    management.devices["pump-2"] = {"id": id_of(2).upper(), "groups": ["pumps"]}
    return management


def test_groups_are_made_devices_adopted_and_the_second_plan_is_empty(fleet: ManagementRig) -> None:
    fleet.mark()
    ran = fleet.apply_well()
    assert "2 to import" in ran.out and "5 to add" in ran.out, ran
    pump = fleet.pump(1)
    assert pump["name"] == "pump-1" and pump["description"] == "main" and pump["custom_attributes"] == {"line": "3"}
    assert pump["groups"] == {"north", "pumps"}
    assert fleet.pump(2)["groups"] == {"pumps"} and fleet.pump(2)["name"] == "pump-2"
    assert fleet.live("groups", "north")["description"] == "pumps north of the river"


def test_a_lost_state_is_adopted_without_a_write(fleet: ManagementRig) -> None:
    fleet.apply_well()
    fleet.lose_state()
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert fleet.mutations() == []
    assert len(fleet.entries()) == 7
    fleet.assert_in_sync()


GROUP_FIELDS: dict[str, Any] = {"description": "theirs", "custom_attributes": {"owner": "theirs"}}
DEVICE_FIELDS: dict[str, Any] = {
    "name": "theirs",
    "description": "theirs",
    "custom_attributes": {"line": "theirs"},
    "endpoint_type": "theirs",
    "host_gateway": "theirs",
    "device_key": "theirs",
    "ca_id": "theirs",
    "auto_update": False,
}


@pytest.mark.parametrize("field", DEVICE_FIELDS)
def test_what_somebody_changes_of_a_device_is_drift_and_is_put_back(fleet: ManagementRig, field: str) -> None:
    fleet.devices["pump-1"] |= {
        "endpoint_type": "pump",
        "host_gateway": "gateway",
        "device_key": "key",
        "ca_id": "ca",
        "auto_update": True,
    }
    fleet.apply_well()
    before = fleet.pump(1)
    with fleet.outside() as world:
        world["devices"][id_of(1)][field] = DEVICE_FIELDS[field]
    ran = fleet.run("drift", str(fleet.fleet))
    assert ran.code == 2 and field in ran.out, ran
    fleet.mark()
    fleet.apply_well()
    after = fleet.pump(1)
    assert {**after, "updated_at": "", "version": 0} == {**before, "updated_at": "", "version": 0}


@pytest.mark.parametrize("field", GROUP_FIELDS)
def test_what_somebody_changes_of_a_group_is_drift_and_is_put_back(fleet: ManagementRig, field: str) -> None:
    fleet.groups["pumps"]["description"] = "all pumps"
    fleet.apply_well()
    before = fleet.live("groups", "pumps")
    with fleet.outside() as world:
        world["groups"][before["id"]][field] = GROUP_FIELDS[field]
    ran = fleet.run("drift", str(fleet.fleet))
    assert ran.code == 2 and field in ran.out, ran
    fleet.apply_well()
    after = fleet.live("groups", "pumps")
    assert {**after, "updated_at": "", "version": 0} == {**before, "updated_at": "", "version": 0}


def test_a_group_that_was_renamed_by_somebody_is_renamed_back(fleet: ManagementRig) -> None:
    fleet.apply_well()
    before = fleet.live("groups", "pumps")["id"]
    with fleet.outside() as world:
        world["groups"][before]["name"] = "theirs"
    assert "theirs" in fleet.plan().out
    fleet.apply_well()
    assert fleet.live("groups", "pumps")["id"] == before


def test_attributes_that_the_files_do_not_mention_survive(fleet: ManagementRig) -> None:
    fleet.apply_well()
    group = fleet.live("groups", "pumps")["id"]
    with fleet.outside() as world:
        world["devices"][id_of(1)]["custom_attributes"]["theirs"] = "a"
        world["groups"][group]["custom_attributes"]["theirs"] = "b"
    fleet.assert_in_sync()
    fleet.devices["pump-1"]["custom_attributes"] = {"line": "4", "hall": "B"}
    fleet.groups["pumps"]["custom_attributes"] = {"owner": "wastewater"}
    fleet.mark()
    fleet.apply_well()
    assert fleet.pump(1)["custom_attributes"] == {"line": "4", "hall": "B", "theirs": "a"}
    assert fleet.live("groups", "pumps")["custom_attributes"] == {"owner": "wastewater", "theirs": "b"}
    # What is not written any more and was ours is taken out; the rest stays.
    fleet.devices["pump-1"]["custom_attributes"] = {"hall": "B"}
    del fleet.groups["pumps"]["custom_attributes"]
    ran = fleet.plan()
    assert "line" in ran.out and "owner" in ran.out and "theirs" not in ran.out, ran
    fleet.apply_well()
    assert fleet.pump(1)["custom_attributes"] == {"hall": "B", "theirs": "a"}
    assert fleet.live("groups", "pumps")["custom_attributes"] == {"theirs": "b"}
    del fleet.devices["pump-1"]["custom_attributes"]
    fleet.apply_well()
    assert fleet.pump(1)["custom_attributes"] == {"theirs": "a"}


def test_more_attributes_than_the_api_takes_are_refused_before_anything_is_sent(fleet: ManagementRig) -> None:
    fleet.apply_well()
    with fleet.outside() as world:
        world["devices"][id_of(1)]["custom_attributes"] |= {f"theirs{n}": "x" for n in range(4)}
    fleet.devices["pump-1"]["custom_attributes"] = {"line": "3", "hall": "B"}
    ran = fleet.apply()
    assert ran.code == 3 and "theirs0" in ran.err and "takes 5" in ran.err, ran
    fleet.devices["pump-1"]["custom_attributes"] = {f"k{n}": "x" for n in range(6)}
    ran = fleet.run("validate", str(fleet.fleet))
    assert ran.code == 3 and "more than 5" in ran.err, ran


def test_memberships_are_the_difference_of_two_sets(fleet: ManagementRig) -> None:
    fleet.apply_well()
    fleet.groups["south"] = {}
    fleet.devices["pump-1"]["groups"] = ["south", "pumps"]
    fleet.devices["pump-2"]["groups"] = []
    fleet.mark()
    fleet.apply_well()
    assert fleet.pump(1)["groups"] == {"south", "pumps"} and fleet.pump(2)["groups"] == set()


def test_only_the_calls_of_the_difference_are_made(fleet: ManagementRig) -> None:
    fleet.apply_well()
    north, group = fleet.live("groups", "north")["id"], fleet.live("groups", "pumps")["id"]
    fleet.devices["pump-1"]["groups"] = ["pumps"]
    fleet.devices["pump-2"]["groups"] = ["pumps", "north"]
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 0, ran
    calls = [f"POST /v3/device-groups/{north}/devices/{verb}/" for verb in ("add", "remove")]
    assert sorted(call.rstrip("/") + "/" for call in fleet.mutations()) == sorted(calls)
    assert group not in str(fleet.mutations())


def test_memberships_that_somebody_changed_are_put_back_and_foreign_ones_stay(fleet: ManagementRig) -> None:
    fleet.apply_well()
    north, group = fleet.live("groups", "north")["id"], fleet.live("groups", "pumps")["id"]
    foreign = "0158d38771f8000000000000000000ff"
    with fleet.outside() as world:
        world["groups"][foreign] = {"name": "foreign", "devices": [id_of(1), id_of(2)]}
        world["groups"][north]["devices"] = [id_of(2), id_of(3)]
        world["groups"][group]["devices"] = []
    ran = fleet.run("drift", str(fleet.fleet))
    assert ran.code == 2, ran
    assert "foreign" not in ran.out
    fleet.apply_well()
    assert fleet.pump(1)["groups"] == {"north", "pumps", "foreign"}
    assert fleet.pump(2)["groups"] == {"pumps", "foreign"}
    assert fleet.pump(3)["groups"] == {"north"}  # no file names that pump


def test_a_device_without_groups_in_the_files_keeps_what_it_has(fleet: ManagementRig) -> None:
    del fleet.devices["pump-2"]["groups"]
    fleet.apply_well()
    group = fleet.live("groups", "pumps")["id"]
    with fleet.outside() as world:
        world["groups"][group]["devices"].append(id_of(2))
    fleet.assert_in_sync()


def test_memberships_of_the_files_that_go_are_taken_out(fleet: ManagementRig) -> None:
    fleet.apply_well()
    del fleet.devices["pump-1"]["groups"]
    fleet.apply_well()
    assert fleet.pump(1)["groups"] == set()


def test_a_membership_in_a_group_of_the_account(fleet: ManagementRig) -> None:
    foreign = "0158d38771f8000000000000000000ff"
    with fleet.outside() as world:
        world["groups"][foreign] = {"name": "foreign"}
    fleet.devices["pump-1"]["groups"] = ["foreign"]
    fleet.apply_well()
    assert fleet.pump(1)["groups"] == {"foreign"}
    fleet.devices["pump-1"]["groups"] = ["nowhere"]
    ran = fleet.plan()
    assert ran.code == 3 and "nowhere" in ran.err, ran


def test_a_group_that_leaves_is_deleted_with_its_memberships(fleet: ManagementRig) -> None:
    fleet.apply_well()
    del fleet.groups["north"]
    fleet.devices["pump-1"]["groups"] = ["pumps"]
    fleet.apply_well()
    assert [group["name"] for group in fleet.world["groups"].values()] == ["pumps"]
    assert fleet.pump(1)["groups"] == {"pumps"}


def test_a_device_is_found_by_its_name(management: ManagementRig) -> None:
    with management.outside() as world:
        world["devices"][id_of(3)]["name"] = "pump three"
    management.devices["pump-3"] = {"name": "pump three", "description": "the third"}
    management.apply_well()
    assert management.pump(3)["description"] == "the third"
    assert management.entries()["device_management.devices.pump-3"]["id"] == id_of(3)


def test_two_live_devices_of_one_name_are_an_error_that_names_both(make_management: MakeManagement) -> None:
    rig = make_management(devices=pumps(2, name="pump"))
    rig.devices["pump"] = {"description": "which?"}
    ran = rig.plan()
    assert ran.code == 3, ran
    assert id_of(1) in ran.err or id_of(2) in ran.err, ran
    rig.devices["pump"]["id"] = id_of(2)
    rig.apply_well()
    assert rig.pump(2)["description"] == "which?"


def test_a_device_that_enrolled_anew_is_the_one_in_use(management: ManagementRig) -> None:
    with management.outside() as world:
        world["devices"][id_of(1)]["state"] = "deregistered"
        world["devices"][id_of(2)]["endpoint_name"] = "pump-0001"
    management.devices["pump-1"] = {"endpoint_name": "pump-0001", "description": "main"}
    ran = management.apply_well()
    said = f"{id_of(1)} has the endpoint_name pump-0001 as well; it is deregistered, and left alone"
    assert said in ran.out, ran
    assert management.pump(2)["description"] == "main" and management.pump(1)["description"] == ""
    management.assert_in_sync()


def test_two_devices_in_use_of_one_endpoint_name_are_an_error_with_both(management: ManagementRig) -> None:
    with management.outside() as world:
        world["devices"][id_of(2)]["endpoint_name"] = "pump-0001"
    management.devices["pump-1"] = {"endpoint_name": "pump-0001"}
    ran = management.apply()
    assert ran.code == 3 and f"{id_of(1)} and {id_of(2)}" in ran.err and management.mutations() == [], ran


@pytest.mark.parametrize("locator", [{"id": "f" * 32}, {"endpoint_name": "pump-9999"}, {}])
def test_a_device_that_is_not_there_yet_is_told_unless_it_is_managed(
    management: ManagementRig, locator: dict[str, str]
) -> None:
    management.devices["pump-9"] = dict(locator)
    ran = management.plan()
    assert ran.code == 1 and "there is no device" in ran.out, ran
    management.devices["pump-9"]["lifecycle"] = "managed"
    ran = management.plan()
    assert (ran.code, "1 to add" in ran.out) == ((1, False) if "id" in locator else (0, True)), ran


def test_a_managed_device_is_made_and_deleted_an_adopted_one_is_forgotten(fleet: ManagementRig) -> None:
    fleet.devices["pump-9"] = {
        "endpoint_name": "pump-9999",
        "lifecycle": "managed",
        "custom_attributes": {"line": "9"},
        "groups": ["pumps"],
    }
    fleet.apply_well()
    made = fleet.live("devices", "pump-9")
    assert made["endpoint_name"] == "pump-9999" and made["custom_attributes"] == {"line": "9"}
    assert made["id"] in fleet.live("groups", "pumps")["devices"]
    del fleet.devices["pump-9"], fleet.devices["pump-1"]
    ran = fleet.plan()
    assert "1 to destroy" in ran.out, ran
    fleet.apply_well()
    assert made["id"] not in fleet.world["devices"] and id_of(1) in fleet.world["devices"]
    assert fleet.pump(1)["groups"] == {"north", "pumps"}
    assert "device_management.devices.pump-1" not in fleet.entries()


def test_a_managed_device_that_somebody_deleted_is_made_again(management: ManagementRig) -> None:
    management.groups["north"] = {}
    management.devices["pump-9"] = {"endpoint_name": "pump-9999", "lifecycle": "managed", "groups": ["north"]}
    management.apply_well()
    with management.outside() as world:
        del world["devices"][management.live("devices", "pump-9")["id"]]
        for group in world["groups"].values():
            group["devices"] = []
    management.apply_well()
    assert management.live("groups", "north")["devices"] == [management.live("devices", "pump-9")["id"]]


def test_a_lifecycle_is_only_recorded(management: ManagementRig) -> None:
    management.devices["pump-1"] = {"endpoint_name": "pump-0001"}
    management.apply_well()
    management.devices["pump-1"]["lifecycle"] = "managed"
    management.mark()
    assert management.apply().code == 0
    assert management.mutations() == []
    management.assert_in_sync()
    del management.devices["pump-1"]
    management.devices["pump-2"] = {"endpoint_name": "pump-0002"}
    management.apply_well()
    assert id_of(1) not in management.world["devices"]


def test_destroy_deletes_groups_and_managed_devices_and_forgets_the_rest(fleet: ManagementRig) -> None:
    fleet.devices["pump-9"] = {"endpoint_name": "pump-9999", "lifecycle": "managed", "groups": ["pumps"]}
    fleet.apply_well()
    ran = fleet.run("destroy", str(fleet.fleet), "--auto-approve")
    assert ran.code == 0, ran
    assert fleet.world["groups"] == {} and len(fleet.world["devices"]) == 5
    assert fleet.entries() == {}


def test_the_same_unit_under_another_key_has_moved(fleet: ManagementRig) -> None:
    fleet.apply_well()
    fleet.devices["pump-one"] = fleet.devices.pop("pump-1")
    ran = fleet.plan()
    assert "0 to add, 1 to change, 0 to destroy" in ran.out, ran
    fleet.apply_well()
    assert fleet.pump(1)["name"] == "pump-one" and fleet.pump(1)["groups"] == {"north", "pumps"}


def test_another_device_under_a_key_is_a_replacement(fleet: ManagementRig) -> None:
    fleet.apply_well()
    fleet.devices["pump-1"]["endpoint_name"] = "pump-0005"
    ran = fleet.plan()
    assert "-/+" in ran.out, ran
    fleet.apply_well()
    assert fleet.pump(5)["name"] == "pump-1" and fleet.pump(5)["groups"] == {"north", "pumps"}
    assert fleet.pump(1)["name"] != "pump-1"


def test_a_saved_plan_is_a_conflict_where_somebody_wrote_meanwhile(fleet: ManagementRig) -> None:
    fleet.apply_well()
    fleet.devices["pump-1"]["custom_attributes"] = {"line": "4"}
    fleet.environ["RECONCILE_FINGERPRINT_KEY"] = "ab" * 32  # sealed, and so applied as it is
    saved = fleet.saved()
    with fleet.outside() as world:
        world["devices"][id_of(1)]["custom_attributes"]["theirs"] = "new"
    ran = fleet.apply_file(saved)
    assert ran.code == 7, ran
    assert fleet.pump(1)["custom_attributes"] == {"line": "3", "theirs": "new"}


def test_few_of_many_devices_are_asked_for_by_their_names(make_management: MakeManagement) -> None:
    rig = make_management(devices=pumps(3500))
    rig.devices["pump-1"] = {"endpoint_name": "pump-0001"}
    rig.devices["pump-7"] = {"id": id_of(7)}
    rig.devices["pump-8"] = {"endpoint_name": "pump-0008", "description": "x"}
    rig.mark()
    assert rig.plan().code == 0
    assert len([request for request in rig.requests() if "/v3/devices" in request]) == 3
    rig.apply_well()
    rig.mark()
    assert rig.plan().code == 0
    assert len([request for request in rig.requests() if "/v3/devices" in request]) == 3
    for n in range(10, 500):
        rig.devices[f"pump-{n}"] = {"endpoint_name": f"pump-{n:04}"}
    rig.mark()
    assert rig.plan().code == 0
    assert len([request for request in rig.requests() if "/v3/devices" in request]) == 5


def test_names_that_need_encoding_arrive(management: ManagementRig) -> None:
    name = "Grüne Pumpe, 100 % + #1/?&=é"
    management.groups[name] = {"description": name}
    management.devices[name] = {"endpoint_name": "pump-0001", "custom_attributes": {"k ü": name}, "groups": [name]}
    management.apply_well()
    assert management.pump(1)["name"] == name and management.pump(1)["groups"] == {name}
    with management.outside() as world:
        world["devices"][id_of(2)] |= {"endpoint_name": "a,b & c=d+e%20", "name": "two"}
    management.devices["two"] = {"endpoint_name": "a,b & c=d+e%20"}
    management.lose_state()
    management.apply_well()


def test_without_a_refresh_nothing_is_asked_and_nothing_differs(fleet: ManagementRig) -> None:
    fleet.apply_well()
    fleet.mark()
    ran = fleet.plan("--no-refresh", "--detailed-exitcode")
    assert ran.code == 0, ran
    assert fleet.requests() == []


def test_what_is_cleared_leaves_the_groups_that_we_manage(fleet: ManagementRig) -> None:
    fleet.devices["pump-1"]["on_removal"] = "clear"
    fleet.apply_well()
    foreign = "0158d38771f8000000000000000000ff"
    with fleet.outside() as world:
        world["groups"][foreign] = {"name": "foreign", "devices": [id_of(1)]}
    del fleet.devices["pump-1"]
    fleet.apply_well()
    assert fleet.pump(1)["groups"] == {"foreign"}


def test_a_group_that_is_renamed_in_the_files_keeps_its_members(fleet: ManagementRig) -> None:
    fleet.apply_well()
    fleet.groups["north"]["name"] = "North"
    fleet.apply_well()
    assert fleet.pump(1)["groups"] == {"North", "pumps"}
