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


@pytest.mark.parametrize(("length", "code"), [(4096, 0), (4097, 3)])
def test_a_value_that_the_api_would_refuse_is_seen_before_anything_is_sent(rig: Rig, length: int, code: int) -> None:
    rig.environ["LONG"] = "x" * length
    rig.secrets["long"] = "env:LONG"
    rig.devices["one"] = {"sid": sid(1), "secrets": {"long": "env:LONG"}}
    rig.mark()
    ran = rig.apply()
    assert ran.code == code and "xxx" not in ran.out + ran.err, ran
    if code:
        assert "the value behind env:LONG has more than 4,096 characters" in ran.err and rig.mutations() == [], ran


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


OTHER_KEY = "recorded with another fingerprint key than is here"
NO_VALUE = "there is no value here"


def uncompared(fleet: Rig, why: str) -> None:
    """The value changed, and nobody can tell here: another key, or no value."""
    fleet.environ["PSK"] = "second-value"
    if why == OTHER_KEY:
        fleet.environ["RECONCILE_FINGERPRINT_KEY"] = "ab" * 32
    else:
        del fleet.environ["PSK"]


@pytest.mark.parametrize("why", [OTHER_KEY, NO_VALUE])
def test_what_cannot_be_compared_is_told_and_never_agreement(fleet: Rig, why: str) -> None:
    uncompared(fleet, why)
    ran = fleet.plan()
    assert ran.code == 0, ran
    assert f"Not compared: 1 secret\n  {ADDRESS} (env:PSK): {why}\n" in ran.out, ran
    assert "No changes found; 1 secret could not be compared." in ran.out, ran
    assert "matches the configuration" not in ran.out + ran.err
    assert fleet.plan("--detailed-exitcode").code == 2
    made = fleet.plan("--format", "json").json["reconcile"]
    assert [(row["address"], row["reference"]) for row in made["not_compared"]] == [(ADDRESS, "env:PSK")]
    # Who rotated one is told by its date: drift needs no value.
    ran = fleet.run("drift", str(fleet.fleet))
    assert ran.code == 0 and "compared" not in ran.out, ran


@pytest.mark.parametrize("why", [OTHER_KEY, NO_VALUE])
def test_an_apply_over_what_cannot_be_compared_is_refused(fleet: Rig, why: str) -> None:
    uncompared(fleet, why)
    fleet.configs["other"] = "1"
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 3, ran
    assert f"{ADDRESS} (env:PSK): {why}" in ran.err and "--allow unknown-secrets=1" in ran.err, ran
    assert fleet.apply("--allow", "unknown-secrets=0").code == 3
    assert fleet.mutations() == []
    ran = fleet.apply("--allow", "unknown-secrets=1", "--format", "json")
    assert ran.code == 0, ran
    assert [row["address"] for row in ran.json["not_compared"]] == [ADDRESS]
    assert fleet.mutations() == ["POST /v1/Configs"]
    # Of what is not selected nothing has to be known.
    fleet.configs["other"] = "2"
    assert fleet.apply("--target", "microvisor.configs").code == 0


def test_a_saved_plan_compares_what_it_could_not(fleet: Rig) -> None:
    fleet.environ["RECONCILE_FINGERPRINT_KEY"] = "ab" * 32
    fleet.lose_state()
    assert fleet.apply().code == 0
    value = fleet.environ.pop("PSK")
    fleet.configs["other"] = "1"
    file = fleet.saved()
    fleet.mark()
    ran = fleet.apply_file(file)
    assert ran.code == 3 and NO_VALUE in ran.err, ran
    fleet.environ["PSK"] = "another-value"
    ran = fleet.apply_file(file)
    assert ran.code == 5 and "the value behind env:PSK changed, and the plan does not write it" in ran.err, ran
    assert fleet.mutations() == []
    fleet.environ["PSK"] = value
    ran = fleet.apply_file(file)
    assert ran.code == 0, ran
    assert fleet.mutations() == ["POST /v1/Configs"]


def test_a_ceiling_of_unknown_secrets_is_kept_in_the_file(fleet: Rig) -> None:
    fleet.environ["RECONCILE_FINGERPRINT_KEY"] = "ab" * 32
    fleet.lose_state()
    assert fleet.apply().code == 0
    del fleet.environ["PSK"]
    fleet.configs["other"] = "1"
    file = fleet.saved("--allow", "unknown-secrets=1")
    assert "unknown-secrets=1" in fleet.run("show", str(file)).out
    ran = fleet.apply_file(file)
    assert ran.code == 0, ran


def test_rewrite_writes_a_secret_that_cannot_be_compared(fleet: Rig) -> None:
    fleet.environ["RECONCILE_FINGERPRINT_KEY"] = "ab" * 32
    fleet.environ["PSK"] = "second-value"
    ran = fleet.apply("--rewrite", ADDRESS)
    assert ran.code == 0, ran
    assert fleet.device(1)["secrets"] == {"psk": "second-value"}
    fleet.assert_in_sync()


def test_rewrite_of_a_device_writes_its_secrets(fleet: Rig) -> None:
    fleet.mark()
    assert fleet.apply("--rewrite", "microvisor.devices.one").code == 0
    assert fleet.mutations() == [f"POST /v1/Devices/{sid(1)}/Secrets/psk"]


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
