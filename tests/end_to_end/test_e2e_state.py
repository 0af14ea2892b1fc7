"""`state mv`, `rm` and `unprotect`: the state is changed, and nothing is sent."""

from __future__ import annotations

import pytest
from fleet_rig import MakeRig, Ran, Rig, sid


@pytest.fixture
def fleet(make_rig: MakeRig) -> Rig:
    rig = make_rig()
    rig.environ["PSK"] = "the value of the psk"
    rig.devices["one"] = {"sid": sid(1), "configs": {"a": "1"}, "secrets": {"psk": "env:PSK"}}
    rig.apply_well()
    rig.mark()
    return rig


def state(fleet: Rig, verb: str, *addresses: str) -> Ran:
    return fleet.run("state", verb, *addresses, "--path", str(fleet.fleet))


def test_a_resource_is_moved_with_what_hangs_on_it(fleet: Rig) -> None:
    assert state(fleet, "mv", "microvisor.devices.one", "microvisor.devices.uno").code == 0
    assert sorted(fleet.entries()) == [
        "microvisor.devices.uno",
        "microvisor.devices.uno.configs.a",
        "microvisor.devices.uno.secrets.psk",
    ]
    assert fleet.requests() == []
    fleet.devices["uno"] = fleet.devices.pop("one")
    assert list(fleet.changes()) == ["microvisor.devices.uno"]  # only its name: no secret is written again
    fleet.apply_well()


@pytest.mark.parametrize("to", ["microvisor.configs.one", "microvisor.devices.one", "one"])
def test_a_move_to_another_type_or_onto_something_is_refused(fleet: Rig, to: str) -> None:
    before = fleet.entries()
    assert state(fleet, "mv", "microvisor.devices.one", to).code == 3
    assert fleet.entries() == before


def test_what_is_removed_is_adopted_again_and_what_is_protected_is_not_removed(fleet: Rig) -> None:
    fleet.devices["one"]["protect"] = True
    fleet.apply_well()
    fleet.mark()
    assert state(fleet, "rm", "microvisor.devices.one").code == 5
    assert state(fleet, "unprotect", "microvisor.devices.one").code == 0
    assert state(fleet, "rm", "microvisor.devices.one").code == 0
    assert fleet.entries() == {}
    assert fleet.requests() == []
    ran = fleet.apply_well()
    assert "3 imported" in ran.out
