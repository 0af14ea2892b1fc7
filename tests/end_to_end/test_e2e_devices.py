"""Names that swap, units that are exchanged or move, logging that ends, restarts, and devices that take a while."""

from __future__ import annotations

import pytest
from fleet_rig import MakeRig, Rig, app_sid, sid


def settings(value: str = "1") -> dict[str, object]:
    return {"configs": {"site": value}, "secrets": {"psk": "env:PSK"}}


@pytest.fixture
def fleet(rig: Rig) -> Rig:
    rig.environ["PSK"] = "psk-of-the-tests"
    return rig


# -- names ------------------------------------------------------------------------------------------------------------


def test_names_that_swap_go_through_a_temporary_name(fleet: Rig) -> None:
    fleet.devices.update({"a": {"sid": sid(1), "unique_name": "A"}, "b": {"sid": sid(2), "unique_name": "B"}})
    fleet.apply_well()
    fleet.devices["a"]["unique_name"], fleet.devices["b"]["unique_name"] = "B", "A"
    fleet.mark()
    fleet.apply("--parallelism", "4")
    assert len(fleet.mutations()) == 3
    assert (fleet.device(1)["unique_name"], fleet.device(2)["unique_name"]) == ("B", "A")
    fleet.assert_in_sync()


def test_names_that_go_round_in_a_ring_of_five(fleet: Rig) -> None:
    for number in range(1, 6):
        fleet.devices[f"d{number}"] = {"sid": sid(number), "unique_name": f"N{number}"}
    fleet.apply_well()
    for number in range(1, 6):
        fleet.devices[f"d{number}"]["unique_name"] = f"N{number % 5 + 1}"
    fleet.apply_well()
    assert [fleet.device(number)["unique_name"] for number in range(1, 6)] == ["N2", "N3", "N4", "N5", "N1"]


def test_names_that_follow_each_other_in_a_chain_need_no_temporary_name(fleet: Rig) -> None:
    for number in range(1, 6):
        fleet.devices[f"d{number}"] = {"sid": sid(number), "unique_name": f"N{number}"}
    fleet.apply_well()
    for number in range(1, 6):
        fleet.devices[f"d{number}"]["unique_name"] = f"N{number + 1}"
    fleet.mark()
    assert fleet.apply().code == 0
    assert len(fleet.mutations()) == 5
    fleet.assert_in_sync()


def test_names_swapped_by_somebody_else_are_swapped_back(fleet: Rig) -> None:
    fleet.devices.update({"a": {"sid": sid(1)} | settings("1"), "b": {"sid": sid(2)} | settings("2")})
    fleet.apply_well()
    with fleet.outside() as world:
        first, second = world["devices"][sid(1)], world["devices"][sid(2)]
        first["unique_name"], second["unique_name"] = "b", "a"
    assert "omebody else" in fleet.plan().out
    fleet.apply_well()
    assert (fleet.device(1)["unique_name"], fleet.device(1)["configs"]) == ("a", {"site": "1"})


def test_a_name_that_a_foreign_device_holds_is_refused_before_anything_is_sent(fleet: Rig) -> None:
    with fleet.outside() as world:
        world["devices"][sid(5)]["unique_name"] = "wanted"
    fleet.devices["wanted"] = {"sid": sid(1)}
    fleet.configs["other"] = "1"
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 5, ran
    assert sid(5) in ran.err
    assert fleet.mutations() == []


def test_an_interrupted_swap_is_finished_by_the_next_run(fleet: Rig) -> None:
    fleet.devices.update({"a": {"sid": sid(1), "unique_name": "A"}, "b": {"sid": sid(2), "unique_name": "B"}})
    fleet.apply_well()
    fleet.devices["a"]["unique_name"], fleet.devices["b"]["unique_name"] = "B", "A"
    fleet.sim.set_faults(
        {"match": {"method": "POST", "path": "*"}, "times": 1, "effect": {"delay_s": 0}},
        {"match": {"method": "POST", "path": "*"}, "effect": {"status": 500}},
    )
    assert fleet.apply().code == 7
    fleet.sim.set_faults()
    fleet.apply_well()
    assert (fleet.device(1)["unique_name"], fleet.device(2)["unique_name"]) == ("B", "A")


# -- another unit, another key ----------------------------------------------------------------------------------------


def test_another_unit_under_a_key_gets_everything_and_the_old_one_gives_up_the_name(fleet: Rig) -> None:
    fleet.devices["pump"] = {"sid": sid(1)} | settings()
    fleet.apply_well()
    fleet.devices["pump"]["sid"] = sid(2)
    with fleet.outside() as world:  # even values that seem right are written
        world["devices"][sid(2)]["secrets"]["psk"] = "somebody's"
    shown = fleet.plan()
    assert "-/+ microvisor.devices.pump" in shown.out and "another unit" in shown.out, shown
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert f"POST /v1/Devices/{sid(2)}/Secrets/psk" in fleet.mutations()
    assert fleet.device(1)["unique_name"] == f"pump.replaced-{sid(1)[-6:]}"
    new = fleet.device(2)
    assert (new["unique_name"], new["configs"], new["secrets"]) == ("pump", {"site": "1"}, {"psk": "psk-of-the-tests"})
    # The old unit is forgotten as it is.
    assert fleet.device(1)["configs"] == {"site": "1"}
    assert fleet.entries()["microvisor.devices.pump"]["id"] == sid(2)
    fleet.assert_in_sync()


def test_a_replaced_unit_that_does_not_hold_the_name_is_not_renamed(fleet: Rig) -> None:
    fleet.devices["pump"] = {"sid": sid(1)} | settings()
    fleet.apply_well()
    with fleet.outside() as world:
        world["devices"][sid(1)]["unique_name"] = "on the shelf"
    fleet.devices["pump"]["sid"] = sid(2)
    fleet.apply_well()
    assert fleet.device(1)["unique_name"] == "on the shelf"


def test_a_replaced_unit_that_is_gone_from_the_account_is_forgotten(fleet: Rig) -> None:
    fleet.devices["pump"] = {"sid": sid(1)} | settings()
    fleet.apply_well()
    with fleet.outside() as world:
        del world["devices"][sid(1)]
    fleet.devices["pump"]["sid"] = sid(2)
    fleet.apply_well()


def test_settings_that_the_old_unit_had_and_the_new_one_shall_not_have_are_not_sent(fleet: Rig) -> None:
    fleet.devices["pump"] = {"sid": sid(1), "configs": {"site": "1", "old": "2"}}
    fleet.apply_well()
    fleet.devices["pump"] = {"sid": sid(2), "configs": {"site": "1"}}
    fleet.apply_well()
    assert fleet.device(1)["configs"] == {"site": "1", "old": "2"}
    assert fleet.device(2)["configs"] == {"site": "1"}
    assert sorted(fleet.entries()) == ["microvisor.devices.pump", "microvisor.devices.pump.configs.site"]


def test_the_same_unit_under_another_key_has_moved(fleet: Rig) -> None:
    fleet.devices["old"] = {"sid": sid(1)} | settings()
    fleet.apply_well()
    fleet.devices["new"] = fleet.devices.pop("old")
    shown = fleet.plan()
    assert "0 to add" in shown.out and "0 to destroy" in shown.out, shown
    fleet.mark()
    assert fleet.apply().code == 0
    assert fleet.mutations() == [f"POST /v1/Devices/{sid(1)}"]  # the name, and no secret again
    assert fleet.device(1)["unique_name"] == "new"
    assert all(address.startswith("microvisor.devices.new") for address in fleet.entries())
    fleet.assert_in_sync()


def test_a_unit_that_moves_takes_its_removals_along(fleet: Rig) -> None:
    fleet.devices["old"] = {"sid": sid(1), "configs": {"site": "1", "gone": "2"}}
    fleet.apply_well()
    fleet.devices["new"] = {"sid": sid(1), "configs": {"site": "1"}}
    del fleet.devices["old"]
    fleet.apply_well()
    assert fleet.device(1)["configs"] == {"site": "1"}
    assert sorted(fleet.entries()) == ["microvisor.devices.new", "microvisor.devices.new.configs.site"]


def test_two_units_that_swap_keys_keep_their_settings_and_their_secrets_records(fleet: Rig) -> None:
    fleet.devices.update({"a": {"sid": sid(1)} | settings("1"), "b": {"sid": sid(2)} | settings("2")})
    fleet.apply_well()
    fleet.devices["a"], fleet.devices["b"] = fleet.devices["b"], fleet.devices["a"]
    fleet.mark()
    assert fleet.apply().code == 0
    assert [request for request in fleet.mutations() if "Secrets" in request or "Configs" in request] == []
    assert (fleet.device(1)["unique_name"], fleet.device(2)["unique_name"]) == ("b", "a")
    fleet.assert_in_sync()


def test_a_unit_moves_to_another_key_and_a_new_one_takes_its_place(fleet: Rig) -> None:
    fleet.devices["a"] = {"sid": sid(1)} | settings("1")
    fleet.apply_well()
    fleet.devices["b"] = {"sid": sid(1)} | settings("1")
    fleet.devices["a"] = {"sid": sid(2)} | settings("2")
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert [request for request in fleet.mutations() if f"{sid(1)}/" in request] == []
    assert (fleet.device(1)["unique_name"], fleet.device(2)["unique_name"]) == ("b", "a")
    assert fleet.device(2)["configs"] == {"site": "2"}
    assert fleet.entries()["microvisor.devices.b"]["id"] == sid(1)
    assert fleet.entries()["microvisor.devices.a"]["id"] == sid(2)
    fleet.assert_in_sync()


def test_a_device_that_gets_its_sid_written_is_the_same_device(make_rig: MakeRig) -> None:
    rig = make_rig(devices={sid(7): {"unique_name": "pump"}})
    rig.devices["pump"] = {"configs": {"site": "1"}}
    rig.apply_well()
    rig.devices["pump"]["sid"] = sid(7).replace("UV", "UV").upper().replace("UV", "UV")
    rig.mark()
    assert rig.apply().code == 0
    assert rig.mutations() == []
    rig.assert_in_sync()


def test_two_keys_for_one_unit_are_an_error_that_names_both(make_rig: MakeRig) -> None:
    rig = make_rig(devices={sid(7): {"unique_name": "pump"}})
    rig.devices.update({"pump": {"configs": {"a": "1"}}, "other": {"sid": sid(7)}})
    ran = rig.apply()
    assert ran.code == 3, ran
    assert "microvisor.devices.pump" in ran.err and "microvisor.devices.other" in ran.err
    assert rig.mutations() == []


# -- logging ----------------------------------------------------------------------------------------------------------


def test_logging_is_renewed_when_less_than_six_hours_are_left(fleet: Rig) -> None:
    fleet.devices["one"] = {"sid": sid(1), "logging": True}
    fleet.apply_well()
    fleet.sim.advance(17 * 3600)
    fleet.assert_in_sync()
    fleet.sim.advance(1.5 * 3600)
    shown = fleet.plan("--detailed-exitcode")
    assert shown.code == 0, shown
    assert "leases to renew" in shown.out.lower(), shown
    assert fleet.run("drift", str(fleet.fleet)).code == 0
    before = fleet.device(1)["logging"]["date_expires"]
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert "1 renewed" in ran.out, ran
    assert fleet.device(1)["logging"]["date_expires"] > before
    fleet.assert_in_sync()


def test_logging_that_ran_out_by_itself_is_renewed_and_is_nobodys_drift(fleet: Rig) -> None:
    fleet.devices["one"] = {"sid": sid(1), "logging": True}
    fleet.apply_well()
    fleet.sim.advance(30 * 3600)
    assert fleet.device(1)["logging"]["enabled"] is False
    shown = fleet.plan("--detailed-exitcode")
    assert shown.code == 0, shown
    assert "leases to renew" in shown.out.lower() and "omebody else" not in shown.out, shown
    assert fleet.run("drift", str(fleet.fleet)).code == 0
    assert fleet.apply().code == 0
    assert fleet.device(1)["logging"]["enabled"] is True
    fleet.assert_in_sync()


def test_any_apply_renews_a_lease_that_is_about_to_end(fleet: Rig) -> None:
    fleet.devices["one"] = {"sid": sid(1), "logging": True}
    fleet.apply_well()
    fleet.sim.advance(20 * 3600)
    fleet.configs["unrelated"] = "1"
    fleet.apply_well()
    fleet.sim.advance(10 * 3600)
    assert fleet.device(1)["logging"]["enabled"] is True


def test_logging_off_stays_off_without_requests(fleet: Rig) -> None:
    fleet.devices["one"] = {"sid": sid(1), "logging": False}
    fleet.apply_well()
    with fleet.outside() as world:
        world["devices"][sid(1)]["logging"] = {"enabled": True}
    assert "omebody else" in fleet.plan().out
    fleet.apply_well()
    assert fleet.device(1)["logging"]["enabled"] is False


# -- restart ----------------------------------------------------------------------------------------------------------


def test_a_restart_is_first_only_recorded_and_then_sent_once_for_each_change(fleet: Rig) -> None:
    fleet.devices["one"] = {"sid": sid(1), "restart": "1"}
    fleet.apply_well()
    assert fleet.device(1)["restarts"] == 0
    for restarts, token in enumerate(("2", "3"), start=1):
        fleet.devices["one"]["restart"] = token
        fleet.apply_well()
        assert fleet.device(1)["restarts"] == restarts


def test_a_restart_that_is_written_later_is_first_only_recorded(fleet: Rig) -> None:
    fleet.devices["one"] = {"sid": sid(1)}
    fleet.apply_well()
    fleet.devices["one"]["restart"] = "1"
    fleet.mark()
    assert fleet.apply().code == 0
    assert fleet.mutations() == []
    fleet.assert_in_sync()


@pytest.mark.parametrize(
    ("effect", "restarts"), [({"drop": "after"}, 1), ({"drop": "before"}, 0), ({"status": 500}, 0)]
)
def test_a_restart_of_unknown_outcome_counts_as_done_and_is_not_sent_again(
    fleet: Rig, effect: dict[str, object], restarts: int
) -> None:
    fleet.devices["one"] = {"sid": sid(1), "restart": "1"}
    fleet.apply_well()
    fleet.devices["one"]["restart"] = "2"
    fleet.sim.set_faults({"match": {"method": "POST", "path": "*"}, "effect": effect})
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 7, ran
    assert "unknown" in ran.out and "counts as done" in ran.out, ran
    assert len(fleet.mutations()) == 1
    fleet.sim.set_faults()
    fleet.assert_in_sync()
    assert fleet.device(1)["restarts"] == restarts


def test_a_restart_that_is_refused_is_sent_by_the_next_apply(fleet: Rig) -> None:
    fleet.devices["one"] = {"sid": sid(1), "restart": "1"}
    fleet.apply_well()
    fleet.devices["one"]["restart"] = "2"
    fleet.sim.set_faults({"match": {"method": "POST", "path": "*"}, "times": 1, "effect": {"status": 400}})
    assert fleet.apply().code == 7
    assert fleet.device(1)["restarts"] == 0
    fleet.apply_well()
    assert fleet.device(1)["restarts"] == 1


# -- devices that take a while ----------------------------------------------------------------------------------------


@pytest.fixture
def slow(make_rig: MakeRig) -> Rig:
    rig = make_rig(
        apps={app_sid(1): {"unique_name": "v1"}, app_sid(2): {"unique_name": "v2"}},
        devices={sid(1): {}, sid(2): {"fail_update": True}},
    )
    rig.devices["slow"] = {"sid": sid(1), "app": "v1"}
    return rig


def test_an_app_that_is_not_installed_yet_is_pending_and_no_change(slow: Rig) -> None:
    slow.apply_well()
    ran = slow.plan("--detailed-exitcode")
    assert ran.code == 0
    assert "No changes." in ran.out and "Pending: 1" in ran.out and "v1" in ran.out, ran
    slow.sim.advance(120)
    assert "Pending" not in slow.plan().out


def test_an_edit_that_is_taken_back_while_it_is_pending_is_a_change(slow: Rig) -> None:
    slow.apply_well()
    slow.sim.advance(120)
    slow.devices["slow"]["app"] = "v2"
    slow.apply_well()
    slow.devices["slow"]["app"] = "v1"
    assert list(slow.changes()) == ["microvisor.devices.slow"]
    slow.apply_well()
    assert slow.device(1)["app"]["target_sid"] == app_sid(1)


def test_a_device_that_reports_an_error_is_shown_with_its_code_and_not_retargeted(slow: Rig) -> None:
    slow.devices["broken"] = {"sid": sid(2), "app": "v1"}
    slow.apply_well()
    slow.sim.advance(120)
    ran = slow.plan("--detailed-exitcode")
    assert ran.code == 0, ran
    assert "No changes." in ran.out and "Failed: 1" in ran.out and "error 1" in ran.out, ran
    slow.assert_in_sync()


def test_waiting_for_devices_ends_when_they_have_settled_and_fails_when_one_does(slow: Rig) -> None:
    with slow.outside() as world:
        world["devices"][sid(1)]["check_in_s"] = 0.001
        world["devices"][sid(2)]["check_in_s"] = 0.001
    ran = slow.apply("--wait", "settled", "--timeout", "20")
    assert ran.code == 0, ran
    slow.devices["broken"] = {"sid": sid(2), "app": "v1"}
    ran = slow.apply("--wait", "settled", "--timeout", "20")
    assert ran.code == 1, ran
    assert "Failed: 1" in ran.out


def test_a_unit_that_moves_to_the_key_of_another_one_replaces_it(fleet: Rig) -> None:
    fleet.devices.update({"a": {"sid": sid(1)} | settings("1"), "b": {"sid": sid(2)} | settings("2")})
    fleet.apply_well()
    fleet.devices["b"] = fleet.devices.pop("a")
    assert "-/+ microvisor.devices.b" in fleet.plan().out
    fleet.apply_well()
    assert fleet.device(1)["unique_name"] == "b"
    assert fleet.device(2)["unique_name"] == f"b.replaced-{sid(2)[-6:]}"
    assert all(entry["parent"] in (None, sid(1)) for entry in fleet.entries().values())
