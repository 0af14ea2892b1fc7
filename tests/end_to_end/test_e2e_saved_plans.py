"""A saved plan does exactly what it shows, or stops."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from fleet_rig import MakeRig, Rig, sid


@pytest.fixture
def fleet(rig: Rig) -> Rig:
    rig.environ["PSK"] = "psk-of-the-tests"
    rig.files["variables"] = {"site": {"default": "oslo"}}
    rig.configs["host"] = "1"
    rig.devices["one"] = {"sid": sid(1), "configs": {"a": "1", "site": "{{ var.site }}"}, "secrets": {"psk": "env:PSK"}}
    rig.devices["two"] = {"sid": sid(2), "logging": True, "restart": "1"}
    rig.apply_well()
    rig.configs["host"] = "2"
    rig.devices["one"]["configs"]["a"] = "2"
    rig.devices["two"]["restart"] = "2"
    return rig


def refused(rig: Rig, file: Path, *options: str, code: int = 5) -> str:
    rig.mark()
    ran = rig.apply_file(file, *options)
    assert ran.code == code, ran
    assert rig.mutations() == []
    return ran.err


def test_it_is_carried_out_as_it_shows_and_the_next_plan_is_empty(fleet: Rig) -> None:
    file = fleet.saved()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    fleet.mark()
    ran = fleet.apply_file(file)
    assert ran.code == 0, ran
    assert len(fleet.mutations()) == 3
    assert fleet.device(2)["restarts"] == 1
    fleet.assert_in_sync()


def test_it_can_be_the_first_apply_of_a_fleet(rig: Rig) -> None:
    rig.apps["v1"] = {"bundle": rig.bundle("v1.zip")}
    rig.environ["PSK"] = "psk-of-the-tests"
    rig.devices["one"] = {"sid": sid(1), "app": "v1", "secrets": {"psk": "env:PSK"}}
    file = rig.saved()
    ran = rig.apply_file(file)
    assert ran.code == 0, ran
    rig.assert_in_sync()
    assert "applied" in refused(rig, file)


def test_one_that_was_made_before_there_was_a_state_is_stale_after_the_first_apply(rig: Rig) -> None:
    rig.configs["host"] = "1"
    file = rig.saved()
    assert rig.apply().code == 0
    assert "stale" in refused(rig, file)


def test_it_is_applied_once(fleet: Rig) -> None:
    file = fleet.saved()
    assert fleet.apply_file(file).code == 0
    assert "applied" in refused(fleet, file)


def test_one_that_failed_in_part_is_planned_again(fleet: Rig) -> None:
    file = fleet.saved()
    fleet.sim.set_faults({"match": {"method": "POST", "path": "/v1/Configs*"}, "effect": {"status": 400}})
    assert fleet.apply_file(file).code == 7
    fleet.sim.set_faults()
    refused(fleet, file)
    fleet.apply_well()


def test_it_is_stale_after_another_apply(fleet: Rig) -> None:
    file = fleet.saved()
    fleet.apply_well()
    assert "stale" in refused(fleet, file)


def test_it_is_stale_after_a_restart_of_its_own_fleet_under_a_new_state(fleet: Rig) -> None:
    file = fleet.saved()
    fleet.lose_state()
    refused(fleet, file)
    fleet.apply_well()
    refused(fleet, file)


def test_it_expires(fleet: Rig) -> None:
    file = fleet.saved("--expires", "1s")
    changed = file.read_text()
    lines = changed.splitlines(keepends=True)
    bindings = json.loads(lines[1])["bindings"]
    assert bindings["expires"] > bindings["made"]
    import time

    while fleet.run("show", str(file)).code == 0 and time.time() < _seconds(bindings["expires"]) + 0.1:
        time.sleep(0.05)
    assert "expired" in refused(fleet, file)


def _seconds(moment: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(moment).timestamp()


def test_other_files_other_variables_and_another_account_are_refused(fleet: Rig) -> None:
    file = fleet.saved()
    fleet.configs["host"] = "3"
    assert "files changed" in refused(fleet, file)
    fleet.configs["host"] = "2"
    assert "variables" in refused(fleet, file, "--var", "site=bergen")
    world = fleet.sim.world
    world["account_sid"] = f"AC{2:032x}"
    fleet.sim.put(world)
    refused(fleet, file)
    world["account_sid"] = f"AC{1:032x}"
    fleet.sim.put(world)
    assert fleet.apply_file(file).code == 0


def test_a_first_plan_for_another_account_is_refused(rig: Rig) -> None:
    rig.configs["host"] = "1"
    file = rig.saved()
    world = rig.sim.world
    world["account_sid"] = f"AC{2:032x}"
    rig.sim.put(world)
    assert f"AC{2:032x}" in refused(rig, file)


def test_variables_travel_in_a_sealed_plan_and_may_be_given_again(fleet: Rig) -> None:
    file = fleet.saved("--var", "site=bergen")
    refused(fleet, file, "--var", "site=oslo")
    assert fleet.apply_file(file).code == 0
    assert fleet.device(1)["configs"]["site"] == "bergen"


def test_options_are_given_again_only_to_repeat_what_was_planned(fleet: Rig) -> None:
    file = fleet.saved("--target", "microvisor.configs.host")
    err = refused(fleet, file, "--target", "microvisor.devices.one", code=3)
    assert f"reconcile plan {fleet.fleet} --out {file}" in err
    fleet.mark()
    assert fleet.apply_file(file, "--target", "microvisor.configs.host").code == 0
    assert fleet.mutations() == ["POST /v1/Configs/host"]


@pytest.mark.parametrize("where", ["device", "config", "account config", "secret", "gone"])
def test_what_changed_meanwhile_is_a_conflict_and_is_not_overwritten(fleet: Rig, where: str) -> None:
    fleet.devices["two"]["unique_name"] = "renamed"
    fleet.environ["PSK"] = "another value"
    file = fleet.saved()
    with fleet.outside() as world:
        one, two = world["devices"][sid(1)], world["devices"][sid(2)]
        if where == "device":
            two["unique_name"] = "theirs"
        elif where == "config":
            one["configs"]["a"] = "theirs"
        elif where == "account config":
            world["configs"]["host"] = "theirs"
        elif where == "secret":
            one["secrets"]["psk"] = "theirs"
            world["dates"]["devices"][sid(1)]["secrets"]["psk"] = "2030-01-01T00:00:00Z"
        else:
            del one["configs"]["a"]
    theirs = fleet.world
    ran = fleet.apply_file(file)
    assert ran.code == 7, ran
    assert "1 conflicts" in ran.out, ran
    now = fleet.world
    if where == "device":
        assert now["devices"][sid(2)]["unique_name"] == "theirs"
    elif where in ("config", "gone"):
        assert now["devices"][sid(1)]["configs"].get("a") == theirs["devices"][sid(1)]["configs"].get("a")
    elif where == "account config":
        assert now["configs"] == theirs["configs"]
    else:
        assert now["devices"][sid(1)]["secrets"] == theirs["devices"][sid(1)]["secrets"]
    fleet.apply_well()


def test_a_key_that_somebody_made_meanwhile_is_a_conflict(fleet: Rig) -> None:
    fleet.configs["fresh"] = "ours"
    fleet.devices["one"]["configs"]["fresh"] = "ours"
    file = fleet.saved()
    with fleet.outside() as world:
        world["configs"]["fresh"] = "theirs"
        world["devices"][sid(1)]["configs"]["fresh"] = "theirs"
    ran = fleet.apply_file(file)
    assert ran.code == 7, ran
    assert "2 conflicts" in ran.out, ran
    assert fleet.world["configs"]["fresh"] == fleet.device(1)["configs"]["fresh"] == "theirs"
    fleet.apply_well()
    assert fleet.device(1)["configs"]["fresh"] == "ours"


def test_what_somebody_else_changes_beside_it_is_no_conflict(fleet: Rig) -> None:
    file = fleet.saved()
    with fleet.outside() as world:
        world["configs"]["foreign"] = "1"
        world["devices"][sid(1)]["configs"]["foreign"] = "1"
        world["devices"][sid(1)]["logging"] = {"enabled": True}
    assert fleet.apply_file(file).code == 0


def test_a_deletion_of_what_somebody_changed_meanwhile_is_a_conflict(fleet: Rig) -> None:
    fleet.apply_well()
    fleet.sim.advance(5)
    del fleet.configs["host"]
    fleet.configs["kept"] = "1"
    file = fleet.saved()
    with fleet.outside() as world:
        world["configs"]["host"] = "theirs"
        world["dates"]["configs"]["host"] = "2030-01-01T00:00:00Z"
    ran = fleet.apply_file(file)
    assert ran.code == 7, ran
    assert fleet.world["configs"]["host"] == "theirs"


def test_every_changed_byte_is_refused(fleet: Rig) -> None:
    file = fleet.saved()
    whole = file.read_bytes()
    fleet.mark()
    for at in range(0, len(whole), max(1, len(whole) // 60)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        ran = fleet.apply_file(file)
        assert ran.code in (3, 5), (at, ran)
    assert fleet.mutations() == []
    file.write_bytes(whole[:-1])
    assert fleet.apply_file(file).code == 3


def test_a_plan_of_nothing_can_be_saved_and_applied(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.configs["host"] = "1"
    rig.apply_well()
    ran = rig.apply_file(rig.saved())
    assert ran.code == 0, ran


def test_a_saved_destroy_and_a_saved_refresh_do_what_they_show(fleet: Rig) -> None:
    fleet.apply_well()
    with fleet.outside() as world:
        world["configs"]["host"] = "theirs"
    fleet.mark()
    assert fleet.apply_file(fleet.saved("--refresh-only")).code == 0
    assert fleet.mutations() == []
    assert fleet.run("drift", str(fleet.fleet)).code == 0
    assert fleet.apply_file(fleet.saved("--destroy")).code == 0
    assert (fleet.world["configs"], fleet.entries()) == ({}, {})


def test_swaps_replacements_and_moves_are_carried_out_from_a_file(fleet: Rig) -> None:
    fleet.apply_well()
    devices = fleet.devices
    devices["three"] = {"sid": sid(3), "configs": {"x": "1"}}
    devices["four"] = {"sid": sid(4)}
    fleet.apply_well()
    devices["one"]["unique_name"], devices["two"]["unique_name"] = "two", "one"
    devices["moved"] = devices.pop("three")
    devices["four"]["sid"] = sid(5)
    ran = fleet.apply_file(fleet.saved())
    assert ran.code == 0, ran
    assert [fleet.device(n)["unique_name"] for n in (1, 2, 3, 5)] == ["two", "one", "moved", "four"]
    assert fleet.device(4)["unique_name"] == f"four.replaced-{sid(4)[-6:]}"
    fleet.assert_in_sync()
