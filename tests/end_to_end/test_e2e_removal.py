"""What is no longer in the files: removed, deleted, forgotten, cleared or protected; and what limits refuse."""

from __future__ import annotations

from typing import Any

import pytest
from fleet_rig import Rig, sid

DEVICE = "microvisor.devices.one"


@pytest.fixture
def fleet(rig: Rig) -> Rig:
    rig.environ["PSK"] = "psk-of-the-tests"
    rig.configs["kept"] = "1"
    rig.devices["one"] = {"sid": sid(1), "configs": {"a": "1", "b": "2"}, "secrets": {"psk": "env:PSK"}}
    rig.apply_well()
    return rig


def test_a_config_and_a_secret_of_a_device_that_stays_are_removed_from_the_api(fleet: Rig) -> None:
    with fleet.outside() as world:
        world["devices"][sid(1)]["configs"]["foreign"] = "3"
    fleet.devices["one"] = {"sid": sid(1), "configs": {"a": "1"}}
    assert "2 to destroy" in fleet.plan().out
    fleet.apply_well()
    assert fleet.device(1)["configs"] == {"a": "1", "foreign": "3"}
    assert fleet.device(1)["secrets"] == {}


def test_settings_of_the_account_are_deleted(fleet: Rig) -> None:
    fleet.secrets["pw"] = "env:PSK"
    fleet.configs["gone"] = "1"
    fleet.apply_well()
    fleet.secrets.clear()
    del fleet.configs["gone"]
    fleet.apply_well()
    assert (fleet.world["configs"], fleet.world["secrets"]) == ({"kept": "1"}, {})


def test_a_device_is_forgotten_with_all_that_hangs_on_it_and_nothing_is_sent(fleet: Rig) -> None:
    before = fleet.device(1)
    del fleet.devices["one"]
    assert "4 to forget" in fleet.plan().out
    fleet.mark()
    assert fleet.apply().code == 0
    assert fleet.mutations() == []
    assert fleet.device(1) == before
    assert list(fleet.entries()) == ["microvisor.configs.kept"]
    fleet.assert_in_sync()


def test_clear_removes_what_we_manage_and_then_forgets(fleet: Rig) -> None:
    with fleet.outside() as world:
        world["devices"][sid(1)]["configs"]["foreign"] = "3"
    fleet.devices["one"]["on_removal"] = "clear"
    fleet.apply_well()
    del fleet.devices["one"]
    fleet.apply_well()
    assert fleet.device(1)["configs"] == {"foreign": "3"}
    assert fleet.device(1)["secrets"] == {}
    assert list(fleet.entries()) == ["microvisor.configs.kept"]


def test_on_removal_forget_leaves_an_account_config_live(fleet: Rig) -> None:
    fleet.configs["gone"] = {"value": "1", "on_removal": "forget"}
    fleet.apply_well()
    del fleet.configs["gone"]
    fleet.mark()
    assert fleet.apply().code == 0
    assert fleet.mutations() == []
    assert fleet.world["configs"] == {"kept": "1", "gone": "1"}
    fleet.assert_in_sync()


def test_on_removal_forget_leaves_a_device_config_live(fleet: Rig) -> None:
    fleet.devices["one"]["configs"]["b"] = {"value": "2", "on_removal": "forget"}
    fleet.apply_well()
    del fleet.devices["one"]["configs"]["b"]
    fleet.apply_well()
    assert fleet.device(1)["configs"] == {"a": "1", "b": "2"}


def test_a_failed_clear_is_finished_by_the_next_apply(fleet: Rig) -> None:
    fleet.devices["one"]["on_removal"] = "clear"
    fleet.apply_well()
    del fleet.devices["one"]
    fleet.sim.set_faults({"match": {"method": "DELETE", "path": "*/Configs/b"}, "effect": {"status": 400}})
    assert fleet.apply().code == 7
    assert DEVICE in fleet.entries()
    fleet.sim.set_faults()
    fleet.apply_well()
    assert fleet.device(1)["configs"] == {}


def test_a_device_that_is_gone_from_the_account_and_from_the_files_is_forgotten(fleet: Rig) -> None:
    with fleet.outside() as world:
        del world["devices"][sid(1)]
    del fleet.devices["one"]
    fleet.apply_well()


def test_what_is_gone_already_is_not_deleted_again(fleet: Rig) -> None:
    with fleet.outside() as world:
        del world["devices"][sid(1)]["configs"]["b"]
        del world["configs"]["kept"]
    del fleet.devices["one"]["configs"]["b"]
    del fleet.configs["kept"]
    fleet.mark()
    assert fleet.apply().code == 0
    assert fleet.mutations() == []
    fleet.assert_in_sync()


# -- protect ----------------------------------------------------------------------------------------------------------


def protect(rig: Rig, value: bool = True) -> None:
    rig.devices["one"]["protect"] = value
    rig.apply_well()


def refused(rig: Rig, *options: str) -> str:
    rig.mark()
    shown = rig.plan(*options)
    assert shown.code == 5, shown
    assert "locked" in shown.out, shown
    ran = rig.apply(*options)
    assert ran.code == 5, ran
    assert rig.mutations() == []
    return ran.err


def test_a_protected_device_is_not_forgotten_even_when_its_entry_is_gone(fleet: Rig) -> None:
    protect(fleet)
    entry = fleet.devices.pop("one")
    assert "protect: false" in refused(fleet)
    fleet.devices["one"] = {**entry, "protect": False}
    fleet.apply_well()
    del fleet.devices["one"]
    fleet.apply_well()


def test_protection_lasts_until_false_has_been_applied(fleet: Rig) -> None:
    protect(fleet)
    del fleet.devices["one"]["protect"]
    fleet.apply_well()
    del fleet.devices["one"]
    refused(fleet)


def test_a_protected_device_is_not_replaced(fleet: Rig) -> None:
    protect(fleet)
    fleet.devices["one"]["sid"] = sid(2)
    refused(fleet)


def test_a_protected_device_is_not_destroyed(fleet: Rig) -> None:
    protect(fleet)
    fleet.mark()
    ran = fleet.run("destroy", str(fleet.fleet), "--auto-approve")
    assert ran.code == 5, ran
    assert fleet.mutations() == []


def test_a_protected_app_is_not_deleted(fleet: Rig) -> None:
    fleet.apps["v1"] = {"bundle": fleet.bundle("v1.zip"), "protect": True}
    fleet.apply_well()
    fleet.apps.clear()
    refused(fleet)


def test_a_protected_device_is_changed_and_moved_as_others_are(fleet: Rig) -> None:
    protect(fleet)
    fleet.devices["two"] = fleet.devices.pop("one")
    fleet.devices["two"]["configs"] = {"a": "2"}
    fleet.apply_well()


# -- limits -----------------------------------------------------------------------------------------------------------


def many(rig: Rig, count: int) -> None:
    rig.configs.update({f"c{number:03}": "1" for number in range(count)})


def test_more_deletions_than_the_limit_are_shown_and_refused_until_they_are_allowed(fleet: Rig) -> None:
    many(fleet, 12)
    fleet.apply_well()
    fleet.files["microvisor"]["configs"] = {"kept": "1"}
    said = refused(fleet)
    assert "--allow delete=12" in said
    assert fleet.plan("--allow", "delete=11").code == 5
    assert fleet.apply("--allow", "delete=11").code == 5
    shown = fleet.plan("--allow", "delete=12")
    assert "delete=12" in shown.out, shown
    ran = fleet.apply("--allow", "delete=12")
    assert ran.code == 0, ran
    assert fleet.world["configs"] == {"kept": "1"}
    fleet.assert_in_sync()


def test_a_ceiling_is_kept_in_the_saved_plan(fleet: Rig) -> None:
    many(fleet, 12)
    fleet.apply_well()
    fleet.files["microvisor"]["configs"] = {"kept": "1"}
    file = fleet.saved("--allow", "delete=12")
    assert "delete=12" in fleet.run("show", str(file)).out
    assert fleet.apply_file(file).code == 0
    blocked = fleet.configs
    many(fleet, 12)
    fleet.apply_well()
    for key in list(blocked):
        if key != "kept":
            del blocked[key]
    ran = fleet.apply_file(fleet.saved())
    assert ran.code == 5, ran


@pytest.mark.parametrize("kind", ["delete", "forget", "replace", "change"])
def test_a_limit_of_nothing_refuses_one(fleet: Rig, kind: str) -> None:
    fleet.files["limits"] = {kind: 0}
    if kind == "delete":
        fleet.configs.pop("kept")
    elif kind == "forget":
        fleet.devices.pop("one")
    elif kind == "replace":
        fleet.devices["one"]["sid"] = sid(2)
    else:
        fleet.configs["kept"] = "2"
    assert f"--allow {kind}=1" in refused(fleet)
    assert fleet.apply("--allow", f"{kind}=1").code == 0
    fleet.assert_in_sync()


def test_a_limit_that_is_a_share_counts_what_the_state_holds(fleet: Rig) -> None:
    many(fleet, 9)  # ten with the one that is there
    fleet.apply_well()
    fleet.files["limits"] = {"delete": "20%"}
    for key in ("c000", "c001", "c002"):
        del fleet.configs[key]
    refused(fleet)
    fleet.configs["c002"] = "1"
    fleet.apply_well()


def test_limits_hold_for_a_part_of_the_fleet_too(fleet: Rig) -> None:
    many(fleet, 12)
    fleet.apply_well()
    fleet.files["microvisor"]["configs"] = {"kept": "1"}
    refused(fleet, "--target", "microvisor.configs.*")


def test_devices_that_are_forgotten_count_once_whatever_hangs_on_them(fleet: Rig) -> None:
    fleet.devices["one"]["configs"] = {f"c{number}": "1" for number in range(30)}
    fleet.apply_well()
    del fleet.devices["one"]
    fleet.apply_well()


# -- an empty document, destroy ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [{}, None])
def test_an_empty_document_against_a_state_is_refused(fleet: Rig, empty: Any) -> None:
    fleet.files["microvisor"] = empty
    if empty is None:
        del fleet.files["microvisor"]
    said = refused(fleet)
    assert "destroy" in said


def test_an_empty_document_without_a_state_is_an_empty_plan(rig: Rig) -> None:
    rig.assert_in_sync()


def test_destroy_deletes_what_can_be_deleted_and_forgets_the_rest(fleet: Rig) -> None:
    fleet.apps["v1"] = {"bundle": fleet.bundle("v1.zip")}
    fleet.secrets["pw"] = "env:PSK"
    fleet.apply_well()
    with fleet.outside() as world:
        world["configs"]["foreign"] = world["devices"][sid(1)]["configs"]["foreign"] = "1"
    shown = fleet.plan("--destroy")
    assert "6 to destroy, 1 to forget" in shown.out, shown
    ran = fleet.run("destroy", str(fleet.fleet), "--auto-approve")
    assert ran.code == 0, ran
    world = fleet.world
    assert (world["apps"], world["secrets"], world["configs"]) == ({}, {}, {"foreign": "1"})
    assert fleet.device(1)["configs"] == {"foreign": "1"}
    assert fleet.device(1)["secrets"] == {}
    assert fleet.device(1)["unique_name"] == "one"
    assert fleet.entries() == {}
    ran = fleet.run("destroy", str(fleet.fleet), "--auto-approve")
    assert ran.code == 0, ran


def test_destroy_leaves_an_app_that_a_device_still_runs(fleet: Rig) -> None:
    fleet.apps["v1"] = {"bundle": fleet.bundle("v1.zip")}
    fleet.devices["one"]["app"] = "v1"
    fleet.apply_well()
    ran = fleet.run("destroy", str(fleet.fleet), "--auto-approve")
    assert ran.code == 0, ran
    assert len(fleet.world["apps"]) == 1
    assert fleet.entries() == {}


def test_apply_after_destroy_makes_everything_again(fleet: Rig) -> None:
    before = fleet.device(1)
    assert fleet.run("destroy", str(fleet.fleet), "--auto-approve").code == 0
    fleet.apply_well()
    assert fleet.device(1)["configs"] == before["configs"]
