"""What was read in part or done in part: nothing that is live is lost, and nothing is written on a guess."""

from __future__ import annotations

import pytest
from fleet_rig import MakeRig, Rig, app_sid, sid


@pytest.fixture
def fleet(make_rig: MakeRig) -> Rig:
    rig = make_rig(apps={app_sid(1): {"unique_name": "v1"}, app_sid(2): {"unique_name": "v2"}})
    rig.environ["PSK"] = "the value of the psk"
    rig.devices["one"] = {"sid": sid(1), "app": "v1", "configs": {"a": "1", "b": "1"}, "secrets": {"psk": "env:PSK"}}
    rig.devices["two"] = {"sid": sid(2), "configs": {"a": "1"}}
    rig.apply_well()
    rig.sim.advance(120)
    rig.assert_in_sync()
    return rig


def fault(path: str, method: str = "GET", times: int | None = None, status: int = 400) -> dict[str, object]:
    found: dict[str, object] = {"match": {"method": method, "path": path}, "effect": {"status": status}}
    return found if times is None else {**found, "times": times}


def hidden(fleet: Rig, number: int) -> None:
    """The listing lacks a device, and reading it by id fails."""
    with fleet.outside() as world:
        world["devices"].pop(sid(number))
    fleet.sim.set_faults(fault(f"/v1/Devices/{sid(number)}"))


def test_a_device_under_another_key_that_does_not_answer_is_neither_forgotten_nor_cleared(fleet: Rig) -> None:
    fleet.devices["one"]["on_removal"] = "clear"
    fleet.apply_well()
    fleet.devices["uno"] = fleet.devices.pop("one")
    hidden(fleet, 1)
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 1, ran
    assert fleet.mutations() == []
    assert "microvisor.devices.one.secrets.psk" in fleet.entries()


def test_an_app_is_not_deleted_while_nobody_knows_who_runs_it(fleet: Rig) -> None:
    fleet.apps["old"] = {"bundle": fleet.bundle("old.zip")}
    fleet.apply_well()
    del fleet.apps["old"]
    fleet.sim.set_faults(fault("/v1/Devices"))
    ran = fleet.apply()
    assert ran.code == 1, ran
    assert "not read who still uses it" in ran.out
    assert "old" in {app["unique_name"] for app in fleet.world["apps"].values()}
    fleet.sim.set_faults()
    fleet.apply_well()
    assert "old" not in {app["unique_name"] for app in fleet.world["apps"].values()}


def test_a_device_is_not_forgotten_while_its_secrets_cannot_be_cleared(fleet: Rig) -> None:
    fleet.devices["one"]["on_removal"] = "clear"
    fleet.apply_well()
    del fleet.devices["one"]
    fleet.sim.set_faults(fault(f"/v1/Devices/{sid(1)}/Secrets"))
    assert fleet.apply().code == 1
    assert "psk" in fleet.device(1)["secrets"]
    assert "microvisor.devices.one" in fleet.entries()
    fleet.sim.set_faults()
    fleet.apply_well()
    assert fleet.device(1)["secrets"] == {} and fleet.device(1)["configs"] == {}


def test_a_device_whose_configs_are_unknown_is_not_given_another_app(fleet: Rig) -> None:
    fleet.devices["one"] |= {"app": "v2", "configs": {"a": "2", "b": "1"}}
    fleet.sim.set_faults(fault(f"/v1/Devices/{sid(1)}/Configs"))
    assert fleet.apply().code == 1
    assert fleet.device(1)["app"]["target_sid"] == app_sid(1)
    fleet.sim.set_faults()
    fleet.apply_well()
    assert fleet.device(1)["app"]["target_sid"] == app_sid(2)


def test_what_was_dropped_while_its_device_moved_is_still_removed_after_a_failure(fleet: Rig) -> None:
    fleet.devices["uno"] = fleet.devices.pop("one")
    del fleet.devices["uno"]["configs"]["b"]
    fleet.sim.set_faults(fault("*/Configs/b", "DELETE", times=1, status=400))
    assert fleet.apply().code == 7
    assert "b" in fleet.device(1)["configs"]
    fleet.apply_well()
    assert fleet.device(1)["configs"] == {"a": "1"}


def test_two_devices_that_swap_keys_are_both_known_after_a_failure(fleet: Rig) -> None:
    fleet.devices["one"], fleet.devices["two"] = fleet.devices["two"], fleet.devices["one"]
    fleet.devices["one"]["configs"] = {"a": "2"}
    fleet.sim.set_faults(fault("*/Configs/a", "POST", times=1))
    assert fleet.apply().code == 7
    assert {fleet.entries()[f"microvisor.devices.{key}"]["id"] for key in ("one", "two")} == {sid(1), sid(2)}
    fleet.mark()
    fleet.apply_well()
    assert not any("Secrets" in request for request in fleet.mutations())


def test_children_that_were_written_while_their_device_was_not_are_known(make_rig: MakeRig) -> None:
    fleet = make_rig(devices={sid(1): {"unique_name": "one"}})
    fleet.environ["PSK"] = "the value of the psk"
    fleet.devices["one"] = {"sid": sid(1), "configs": {"a": "1", "b": "1"}, "secrets": {"psk": "env:PSK"}}
    fleet.sim.set_faults({"match": {"method": "POST", "path": "*/Configs"}, "times": 1, "effect": {"status": 400}})
    assert fleet.apply().code == 7
    fleet.mark()
    del fleet.devices["one"]["secrets"]["psk"]
    assert fleet.apply().code == 0
    assert fleet.device(1)["secrets"] == {}
    fleet.assert_in_sync()


def test_the_name_of_a_device_that_is_let_go_of_is_not_taken_from_it_once_somebody_renamed_it(fleet: Rig) -> None:
    fleet.devices["two"]["sid"] = sid(3)
    plan = fleet.saved()
    with fleet.outside() as world:
        world["devices"][sid(2)]["unique_name"] = "other-use"
    fleet.apply_file(plan)
    assert fleet.device(2)["unique_name"] == "other-use"


def test_the_name_goes_to_who_wants_it_from_whoever_is_let_go_of(fleet: Rig) -> None:
    fleet.devices["one"] |= {"sid": sid(3), "unique_name": "new"}
    fleet.devices["two"] |= {"sid": sid(4), "unique_name": "one"}
    assert fleet.apply().code == 0
    assert fleet.device(4)["unique_name"] == "one"
    assert fleet.device(1)["unique_name"] == f"one.replaced-{sid(1)[-6:]}"
    assert fleet.device(2)["unique_name"] == "two"
    fleet.assert_in_sync()


def test_credentials_that_are_refused_end_the_readings_of_a_saved_plan_too(make_rig: MakeRig) -> None:
    fleet = make_rig()
    for number in range(1, 6):
        fleet.devices[f"d{number}"] = {"sid": sid(number), "configs": {"a": "1", "b": "1"}}
    fleet.apply_well()
    for device in fleet.devices.values():
        device["configs"] = {"a": "2", "b": "2"}
    fleet.environ["RECONCILE_FINGERPRINT_KEY"] = "0123456789abcdef" * 4
    plan = fleet.saved()
    fleet.sim.set_faults({"match": {"path": "*/Configs"}, "effect": {"status": 401}})
    fleet.mark()
    ran = fleet.apply_file(plan, "--state", str(fleet.state))
    assert ran.code == 4, ran
    assert fleet.mutations() == []


def test_an_app_that_is_needed_and_excluded_is_not_made(fleet: Rig) -> None:
    fleet.apps["v3"] = {"bundle": fleet.bundle("v3.zip")}
    fleet.devices["one"]["app"] = "v3"
    ran = fleet.apply("--exclude", "microvisor.apps.v3")
    assert ran.code == 5, ran
    assert "which is excluded" in ran.out + ran.err


def test_what_the_files_protect_is_not_destroyed_though_it_was_not_applied_yet(fleet: Rig) -> None:
    fleet.configs["host"] = "1"
    fleet.apply_well()
    fleet.configs["host"] = {"value": "1", "protect": True}
    ran = fleet.run("destroy", str(fleet.fleet), "--auto-approve")
    assert ran.code == 5, ran
    assert "protected" in ran.out
    assert fleet.world["configs"] == {"host": "1"}
