"""Pre-shared keys of Device Management: written and never read back, rotated by deleting and making them again."""

from __future__ import annotations

import json

import pytest
from management_rig import ManagementRig, make_management, management

__all__ = ["make_management", "management"]  # fixtures

ENDPOINT = "endpoint-of-pump-1"
FIRST, SECOND, THIRD = "4a" * 16, "5b" * 32, "0x" + "6C" * 16
PATH = "/v2/device-shared-keys"


@pytest.fixture
def fleet(management: ManagementRig) -> ManagementRig:
    """One key."""
    management.environ["PSK"] = FIRST
    management.keys[ENDPOINT] = "env:PSK"
    return management


def secret(rig: ManagementRig, endpoint: str = ENDPOINT) -> str:
    return str(rig.world["shared_keys"][endpoint]["secret_hex"])


def test_a_key_is_made_and_not_written_again(fleet: ManagementRig) -> None:
    fleet.apply_well()
    assert secret(fleet) == FIRST
    fleet.environ.pop("PSK")
    assert "could not be compared" in fleet.plan().out + fleet.plan().err


def test_another_value_is_a_rotation_with_its_gap_in_the_plan(fleet: ManagementRig) -> None:
    fleet.apply_well()
    fleet.sim.advance(60)
    fleet.environ["PSK"] = SECOND
    ran = fleet.plan()
    assert "deleting it and making it again" in ran.out and "1 to change" in ran.out, ran
    assert SECOND not in ran.out + ran.err
    fleet.mark()
    assert fleet.apply().code == 0
    assert fleet.mutations() == [f"DELETE {PATH}/{ENDPOINT}", f"POST {PATH}"]
    assert secret(fleet) == SECOND
    fleet.assert_in_sync()


def test_what_somebody_rotated_is_written_again(fleet: ManagementRig) -> None:
    fleet.apply_well()
    with fleet.outside() as world:
        world["shared_keys"][ENDPOINT] = {"secret_hex": THIRD, "created_at": "2031-01-01T00:00:00Z"}
    ran = fleet.run("drift", str(fleet.fleet))
    assert ran.code == 2 and "rotated by somebody else at 2031" in ran.out, ran
    fleet.apply_well()
    assert secret(fleet) == FIRST


def test_a_key_that_was_deleted_is_made_again_and_one_that_leaves_is_deleted(fleet: ManagementRig) -> None:
    fleet.environ["OTHER"] = THIRD
    fleet.keys["pump 2"] = {"endpoint_name": "endpoint / of & pump 2", "secret_hex": "env:OTHER"}
    fleet.apply_well()
    assert secret(fleet, "endpoint / of & pump 2") == THIRD
    with fleet.outside() as world:
        world["shared_keys"].clear()
    fleet.apply_well()
    del fleet.keys["pump 2"]
    fleet.apply_well()
    assert list(fleet.world["shared_keys"]) == [ENDPOINT]


def test_a_key_without_a_record_is_written_once(fleet: ManagementRig) -> None:
    fleet.apply_well()
    fleet.lose_state()
    ran = fleet.plan()
    assert "value unknown" in ran.out, ran
    fleet.apply_well()


def test_another_endpoint_name_is_another_key(fleet: ManagementRig) -> None:
    fleet.keys["pump"] = {"endpoint_name": "endpoint-of-pump-2", "secret_hex": "env:PSK"}
    fleet.apply_well()
    fleet.keys["pump"]["endpoint_name"] = "endpoint-of-pump-3"
    fleet.apply_well()
    assert secret(fleet, "endpoint-of-pump-3") == FIRST


@pytest.mark.parametrize("value", ["not hex", "4a" * 15, "4a" * 33, FIRST + "\n\n"])
def test_a_value_that_cannot_be_one_is_refused_and_the_old_one_stays(fleet: ManagementRig, value: str) -> None:
    fleet.apply_well()
    fleet.environ["PSK"] = value
    fleet.mark()
    ran = fleet.apply()
    assert ran.code in (3, 7), ran
    assert fleet.mutations() == [] and secret(fleet) == FIRST
    assert value.strip() == FIRST or value not in ran.out + ran.err


@pytest.mark.parametrize("key", ["too short", "x" * 65, "pump-ü-0123456789"])
def test_an_endpoint_name_that_cannot_be_one_is_refused_offline(management: ManagementRig, key: str) -> None:
    management.keys[key] = "env:PSK"
    ran = management.run("validate", str(management.fleet))
    assert ran.code == 3 and "16 to 64" in ran.err, ran


def test_a_literal_is_refused_and_not_shown(management: ManagementRig) -> None:
    management.keys[ENDPOINT] = FIRST
    ran = management.run("validate", str(management.fleet))
    assert ran.code == 3 and FIRST not in ran.err + ran.out, ran


def test_the_secret_is_nowhere(fleet: ManagementRig) -> None:
    fleet.apply_well("-vv")
    fleet.environ["PSK"] = SECOND
    saved = fleet.saved()
    shown = [fleet.plan("--format", "json"), fleet.apply("-vv"), fleet.run("show", str(saved))]
    texts = [str(ran) for ran in shown] + [json.dumps(fleet.entries()), saved.read_text()]
    for value in (FIRST, SECOND):
        assert all(value not in text for text in texts)
        assert all(value.encode() not in file.read_bytes() for file in fleet.state.parent.iterdir())


def test_many_keys_are_read_by_page(management: ManagementRig) -> None:
    management.environ["PSK"] = FIRST
    with management.outside() as world:
        world["shared_keys"] = {f"endpoint-of-pump-{n:05}": {"secret_hex": FIRST} for n in range(2345)}
    management.keys["endpoint-of-pump-02344"] = "env:PSK"
    management.apply_well()
    management.mark()
    assert management.plan().code == 0
    assert len([request for request in management.requests() if request.startswith(f"GET {PATH}?")]) == 3


def test_a_list_whose_limit_is_refused_is_asked_for_without(fleet: ManagementRig) -> None:
    fleet.apply_well()
    fault = {"match": {"method": "GET", "path": PATH}, "effect": {"status": 400, "body": "INVALID_LIMIT"}, "times": 1}
    fleet.sim.set_faults(fault)
    fleet.mark()
    assert fleet.plan("--detailed-exitcode").code == 0
    lists = [call for call in fleet.requests() if call.startswith(f"GET {PATH}")]
    assert len(lists) == 2, lists
