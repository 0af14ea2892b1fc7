"""Whether a secret changed is known from a fingerprint; its value is written when it did, and never read."""

from __future__ import annotations

import pytest
from fleet_rig import MakeRig, Rig, sid

ADDRESS = "microvisor.devices.one.secrets.psk"


@pytest.fixture
def fleet(rig: Rig) -> Rig:
    rig.environ["PSK"] = "first-value"
    rig.devices["one"] = {"sid": sid(1), "secrets": {"psk": "env:PSK"}}
    rig.apply_well()
    return rig


def test_a_value_that_changed_behind_its_reference_is_written(fleet: Rig) -> None:
    fleet.environ["PSK"] = "second-value"
    ran = fleet.plan()
    assert "0 to add, 1 to change" in ran.out, ran
    assert "(sensitive value)" in ran.out
    assert "omebody else" not in ran.out
    fleet.apply_well()
    assert fleet.device(1)["secrets"] == {"psk": "second-value"}


def test_another_reference_with_the_same_value_is_not_written(fleet: Rig) -> None:
    fleet.environ["OTHER"] = "first-value"
    fleet.devices["one"]["secrets"]["psk"] = "env:OTHER"
    fleet.mark()
    assert fleet.apply().code == 0
    assert fleet.mutations() == []
    fleet.assert_in_sync()


def test_a_secret_that_is_adopted_is_written_once_because_its_value_is_unknown(make_rig: MakeRig) -> None:
    rig = make_rig(devices={sid(1): {"unique_name": "one", "secrets": {"psk": "first-value"}}})
    rig.environ["PSK"] = "first-value"
    rig.devices["one"] = {"sid": sid(1), "secrets": {"psk": "env:PSK"}}
    ran = rig.plan()
    assert "value unknown" in ran.out, ran
    rig.mark()
    assert rig.apply().code == 0
    assert rig.mutations() == [f"POST /v1/Devices/{sid(1)}/Secrets/psk"]
    rig.assert_in_sync()


def test_a_record_by_another_key_cannot_be_compared_which_is_a_warning_and_no_change(fleet: Rig) -> None:
    fleet.environ["RECONCILE_FINGERPRINT_KEY"] = "ab" * 32
    fleet.environ["PSK"] = "second-value"
    ran = fleet.plan("--detailed-exitcode")
    assert ran.code == 0, ran
    assert "cannot tell" in ran.out + ran.err and ADDRESS in ran.out + ran.err, ran
    fleet.mark()
    assert fleet.apply().code == 0
    assert fleet.mutations() == []


def test_rewrite_writes_a_secret_that_cannot_be_compared(fleet: Rig) -> None:
    fleet.environ["RECONCILE_FINGERPRINT_KEY"] = "ab" * 32
    fleet.environ["PSK"] = "second-value"
    ran = fleet.apply("--rewrite", ADDRESS)
    assert ran.code == 0, ran
    assert fleet.device(1)["secrets"] == {"psk": "second-value"}
    ran = fleet.plan()
    assert "cannot tell" not in ran.out + ran.err
    fleet.assert_in_sync()


def test_rewrite_of_a_device_writes_its_secrets(fleet: Rig) -> None:
    fleet.mark()
    assert fleet.apply("--rewrite", "microvisor.devices.one").code == 0
    assert fleet.mutations() == [f"POST /v1/Devices/{sid(1)}/Secrets/psk"]


def test_a_secret_that_cannot_be_opened_is_counted_by_plan_and_stops_no_apply_that_does_not_write_it(
    fleet: Rig,
) -> None:
    del fleet.environ["PSK"]
    fleet.configs["other"] = "1"
    ran = fleet.plan()
    assert ran.code == 0
    assert "1 secret could not be opened here" in ran.out, ran
    assert fleet.apply().code == 0
    assert fleet.world["configs"] == {"other": "1"}


def test_a_secret_without_a_value_stops_the_apply_that_would_write_it_before_the_first_request(rig: Rig) -> None:
    rig.configs["first"] = "1"
    rig.secrets.update({"one": "env:NOT_SET", "two": "file:not-there"})
    assert rig.plan().code == 0
    rig.mark()
    ran = rig.apply()
    assert ran.code == 3, ran
    assert "NOT_SET" in ran.err and "not-there" in ran.err
    assert rig.mutations() == []


def test_an_api_that_refuses_to_update_secrets_gets_a_deletion_and_a_creation(make_rig: MakeRig) -> None:
    rig = make_rig(secrets_update=False)
    rig.environ["PSK"] = "first-value"
    rig.secrets["psk"] = "env:PSK"
    rig.devices["one"] = {"sid": sid(1), "secrets": {"psk": "env:PSK"}}
    rig.apply_well()
    rig.environ["PSK"] = "second-value"
    rig.mark()
    ran = rig.apply()
    assert ran.code == 0, ran
    assert "deleted and made again" in ran.err, ran
    assert rig.world["secrets"] == rig.device(1)["secrets"] == {"psk": "second-value"}
    rig.assert_in_sync()


@pytest.mark.parametrize("drop", ["before", "after"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_lost_answer_in_the_fall_back_of_a_secret_is_made_good(make_rig: MakeRig, method: str, drop: str) -> None:
    rig = make_rig(secrets_update=False)
    rig.environ["PSK"] = "first-value"
    rig.secrets["psk"] = "env:PSK"
    rig.apply_well()
    rig.environ["PSK"] = "second-value"
    rig.sim.set_faults({"match": {"method": method, "path": "/v1/Secrets*"}, "times": 12, "effect": {"drop": drop}})
    rig.apply()
    rig.sim.set_faults()
    rig.apply_well()
    assert rig.world["secrets"] == {"psk": "second-value"}


def test_a_secret_that_was_written_and_whose_answer_was_lost_is_written_again_by_the_next_run(fleet: Rig) -> None:
    fleet.environ["PSK"] = "second-value"
    fleet.sim.set_faults({"match": {"method": "POST", "path": "*Secrets*"}, "effect": {"drop": "after"}})
    ran = fleet.apply()
    assert ran.code == 7, ran
    assert "1 unknown" in ran.out
    fleet.sim.set_faults()
    # Meanwhile the value is taken back: what is live is the lost one, so the old record must not be trusted.
    fleet.sim.advance(5)
    fleet.environ["PSK"] = "first-value"
    fleet.apply()
    assert fleet.device(1)["secrets"] == {"psk": "first-value"}
    fleet.assert_in_sync()


def test_a_value_taken_back_within_the_second_of_a_lost_write_is_written_again(fleet: Rig) -> None:
    fleet.environ["PSK"] = "second-value"
    fleet.sim.set_faults({"match": {"method": "POST", "path": "*Secrets*"}, "effect": {"drop": "after"}})
    assert fleet.apply().code == 7
    fleet.sim.set_faults()
    with fleet.outside() as world:  # both writes within one second: the date does not tell
        recorded = fleet.entries()[ADDRESS]["facts"]["date_rotated"]
        world["dates"]["devices"][sid(1)]["secrets"]["psk"] = recorded
    fleet.environ["PSK"] = "first-value"
    fleet.apply()
    assert fleet.device(1)["secrets"] == {"psk": "first-value"}
    fleet.assert_in_sync()


def test_a_secret_of_a_file_of_many_is_written_for_each_row(rig: Rig) -> None:
    (rig.fleet / "wifi.json").write_text('{"oslo": "oslo-value", "bergen": "bergen-value"}')
    for number, site in enumerate(("oslo", "bergen"), start=1):
        rig.devices[site] = {"sid": sid(number), "secrets": {"psk": f"file:wifi.json#/{site}"}}
    rig.apply_well()
    assert rig.device(2)["secrets"] == {"psk": "bergen-value"}
    (rig.fleet / "wifi.json").write_text('{"oslo": "oslo-value", "bergen": "another-value"}')
    assert list(rig.changes()) == ["microvisor.devices.bergen.secrets.psk"]
    rig.apply_well()
