"""What somebody else changes shows in the next plan as theirs, and is repaired by one apply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fleet_rig import MakeRig, Rig, app_sid, sid

World = dict[str, Any]


def one(world: World) -> dict[str, Any]:
    return world["devices"][sid(1)]  # type: ignore[no-any-return]


@pytest.fixture
def fleet(make_rig: MakeRig) -> Rig:
    rig = make_rig(apps={app_sid(1): {"unique_name": "mine"}, app_sid(2): {"unique_name": "theirs"}})
    rig.environ["PSK"] = "psk-of-the-tests"
    rig.configs["host"] = "mqtt"
    rig.secrets["pw"] = "env:PSK"
    rig.devices["one"] = {
        "sid": sid(1),
        "app": "mine",
        "logging": True,
        "configs": {"site": "oslo", "rate": "5"},
        "secrets": {"psk": "env:PSK"},
    }
    rig.apply_well()
    rig.sim.advance(120)
    return rig


def rename(world: World) -> None:
    one(world)["unique_name"] = "renamed by hand"


def unname(world: World) -> None:
    one(world)["unique_name"] = None


def retarget(world: World) -> None:
    one(world)["app"] |= {"target_sid": app_sid(2), "update_status": "pending"}


def untarget(world: World) -> None:
    one(world)["app"] = None


def switch_logging_off(world: World) -> None:
    one(world)["logging"] = {"enabled": False}


def change_config(world: World) -> None:
    one(world)["configs"]["site"] = "bergen"


def delete_config(world: World) -> None:
    del one(world)["configs"]["site"]


def change_account_config(world: World) -> None:
    world["configs"]["host"] = "evil"


def delete_account_config(world: World) -> None:
    del world["configs"]["host"]


def rotate_secret(world: World) -> None:
    one(world)["secrets"]["psk"] = "rotated by hand"
    world["dates"]["devices"][sid(1)]["secrets"]["psk"] = "2030-01-01T00:00:00Z"


def delete_secret(world: World) -> None:
    del one(world)["secrets"]["psk"]


def rotate_account_secret(world: World) -> None:
    world["secrets"]["pw"] = "rotated by hand"
    world["dates"]["secrets"]["pw"] = "2030-01-01T00:00:00Z"


def delete_account_secret(world: World) -> None:
    del world["secrets"]["pw"]


DEVICE = "microvisor.devices.one"
DRIFTS: list[tuple[Callable[[World], None], str]] = [
    (rename, DEVICE),
    (unname, DEVICE),
    (retarget, DEVICE),
    (untarget, DEVICE),
    (switch_logging_off, DEVICE),
    (change_config, f"{DEVICE}.configs.site"),
    (delete_config, f"{DEVICE}.configs.site"),
    (rotate_secret, f"{DEVICE}.secrets.psk"),
    (delete_secret, f"{DEVICE}.secrets.psk"),
    (change_account_config, "microvisor.configs.host"),
    (delete_account_config, "microvisor.configs.host"),
    (rotate_account_secret, "microvisor.secrets.pw"),
    (delete_account_secret, "microvisor.secrets.pw"),
]


@pytest.mark.parametrize(("drift", "address"), DRIFTS, ids=[drift.__name__ for drift, _ in DRIFTS])
def test_a_change_by_somebody_else_is_shown_as_theirs_and_repaired_by_one_apply(
    fleet: Rig, drift: Callable[[World], None], address: str
) -> None:
    before = fleet.device(1), fleet.world["configs"], fleet.world["secrets"]
    with fleet.outside() as world:
        drift(world)
    ran = fleet.plan("--detailed-exitcode")
    assert ran.code == 2, ran
    assert "omebody else" in ran.out, ran
    assert list(fleet.changes()) == [address]
    (drifted,) = fleet.plan("--format", "json").json["resource_drift"]
    assert drifted["address"] == address
    seen = fleet.run("drift", str(fleet.fleet))
    assert seen.code == 2, seen
    assert address in seen.out
    fleet.apply_well()
    fleet.sim.advance(120)
    after = fleet.device(1), fleet.world["configs"], fleet.world["secrets"]
    assert (after[0]["unique_name"], after[0]["configs"], after[0]["secrets"]) == (
        before[0]["unique_name"],
        before[0]["configs"],
        before[0]["secrets"],
    )
    assert after[0]["app"]["target_sid"] == app_sid(1)
    assert after[0]["logging"]["enabled"] is True
    assert after[1:] == before[1:]
    assert fleet.run("drift", str(fleet.fleet)).code == 0


def test_a_change_by_you_is_not_shown_as_somebody_elses(fleet: Rig) -> None:
    fleet.devices["one"]["configs"]["site"] = "bergen"
    ran = fleet.plan()
    assert "omebody else" not in ran.out, ran
    assert ran.code == 0
    assert fleet.plan("--format", "json").json.get("resource_drift", []) == []
    assert fleet.run("drift", str(fleet.fleet)).code == 0


def test_a_change_by_both_says_both(fleet: Rig) -> None:
    fleet.devices["one"]["configs"]["site"] = "bergen"
    with fleet.outside() as world:
        one(world)["configs"]["site"] = "paris"
    ran = fleet.plan()
    assert "paris" in ran.out and "bergen" in ran.out and "oslo" in ran.out, ran
    assert fleet.run("drift", str(fleet.fleet)).code == 2
    fleet.apply_well()


def test_a_change_by_both_to_the_same_value_is_no_change(fleet: Rig) -> None:
    fleet.devices["one"]["configs"]["site"] = "paris"
    with fleet.outside() as world:
        one(world)["configs"]["site"] = "paris"
    fleet.mark()
    assert fleet.apply().code == 0
    assert fleet.mutations() == []
    fleet.assert_in_sync()
    # From now on the value is recorded, so that the next change is told right.
    with fleet.outside() as world:
        one(world)["configs"]["site"] = "oslo"
    assert fleet.run("drift", str(fleet.fleet)).code == 2


def test_what_somebody_adds_is_left_alone(fleet: Rig) -> None:
    with fleet.outside() as world:
        one(world)["configs"]["foreign"] = "1"
        one(world)["secrets"]["foreign"] = "2"
        world["configs"]["foreign"] = "3"
        world["secrets"]["foreign"] = "4"
        world["devices"][sid(2)]["unique_name"] = "foreign"
    fleet.assert_in_sync()
    fleet.devices["one"]["configs"] = {"site": "bergen"}
    fleet.apply_well()
    assert fleet.device(1)["configs"] == {"site": "bergen", "foreign": "1"}


def test_a_device_that_is_found_by_its_name_is_found_after_somebody_renamed_it(make_rig: MakeRig) -> None:
    rig = make_rig(devices={sid(7): {"unique_name": "warehouse-7"}, sid(8): {"unique_name": "other"}})
    rig.devices["warehouse-7"] = {"configs": {"site": "oslo"}}
    rig.apply_well()
    with rig.outside() as world:
        world["devices"][sid(7)]["unique_name"] = "renamed by hand"
    assert list(rig.changes()) == ["microvisor.devices.warehouse-7"]
    rig.apply_well()
    assert rig.device(7)["unique_name"] == "warehouse-7"
    assert rig.device(8)["unique_name"] == "other"


def test_a_deleted_state_costs_one_apply_and_makes_no_duplicates(fleet: Rig) -> None:
    fleet.apps["sensor-1"] = {"bundle": fleet.bundle("sensor-1.zip")}
    fleet.apply_well()
    before = fleet.world
    fleet.lose_state()
    ran = fleet.apply_well()
    assert "0 added" in ran.out, ran
    after = fleet.world
    for world in (before, after):
        del world["dates"]  # secrets are written once more: nobody knows their value
    assert after == before


def test_two_drifts_in_one_device_are_two_changes(fleet: Rig) -> None:
    with fleet.outside() as world:
        change_config(world)
        rotate_secret(world)
        rename(world)
    assert len(fleet.changes()) == 3
    fleet.apply_well()
