"""A reading that lags behind a write of this run is made again, before anything is called missing."""

from __future__ import annotations

from typing import Any

from fleet_rig import Rig, sid
from management_rig import ManagementRig, id_of, make_management, management

__all__ = ["make_management", "management"]  # fixtures

KEY = "pump-0001-of-the-tests"


def lag(path: str, times: int = 3, method: str = "GET", behind_s: int = 3600) -> dict[str, Any]:
    """So many readings answer as the world was."""
    return {"match": {"method": method, "path": path}, "times": times, "effect": {"stale_s": behind_s}}


def ready(rig: ManagementRig) -> None:
    """An hour in which nothing happened, so that the past has none of what an apply makes."""
    rig.sim.advance(2 * 3600)


def test_a_shared_key_that_was_just_made(management: ManagementRig):
    management.environ["KEY"] = "ab" * 16
    management.keys[KEY] = {"secret_hex": "env:KEY"}
    ready(management)
    management.sim.set_faults(lag(f"/v2/device-shared-keys/{KEY}"))
    management.apply_well()
    created = management.entries()[f"device_management.shared_keys.{KEY}"]["facts"]["created_at"]

    # Rotated: what lags behind is the one that was deleted.
    management.environ["KEY"] = "cd" * 16
    management.sim.advance(3600)
    management.sim.set_faults(lag(f"/v2/device-shared-keys/{KEY}", behind_s=60))
    management.apply_well()
    assert management.entries()[f"device_management.shared_keys.{KEY}"]["facts"]["created_at"] > created


def test_a_shared_key_of_which_no_reading_ever_tells_the_date(management: ManagementRig):
    """Its date is learned later; nobody is said to have rotated it."""
    management.environ["KEY"] = "ab" * 16
    management.keys[KEY] = {"secret_hex": "env:KEY"}
    ready(management)
    management.sim.set_faults(lag(f"/v2/device-shared-keys/{KEY}", times=1000))
    ran = management.apply()
    assert ran.code == 0, ran
    assert management.entries()[f"device_management.shared_keys.{KEY}"]["facts"] == {"created_at": None}
    management.sim.set_faults()
    ran = management.plan("--detailed-exitcode")
    assert ran.code == 0, ran
    management.mark()
    assert management.apply().code == 0
    assert management.mutations() == []
    assert management.entries()[f"device_management.shared_keys.{KEY}"]["facts"]["created_at"]
    management.assert_in_sync()


def test_a_campaign_that_was_just_made_and_a_group_that_was_just_filled(management: ManagementRig):
    management.firmware("one")
    management.groups["north"] = {}
    for n in (1, 2, 3):
        management.devices[f"pump-{n}"] = {"endpoint_name": f"pump-000{n}", "groups": ["north"]}
    management.campaigns["spring"] = {"manifest": "one", "group": "north"}
    ready(management)
    management.sim.set_faults(
        {
            "match": {"method": "GET", "path": "/v3/device-groups/*/devices/"},
            "times": 2,
            "effect": {"omit": id_of(3)},
        },
        lag("/v3/update-campaigns/0*", times=2),
    )
    ran = management.apply()
    assert ran.code == 0, ran
    campaign = management.live("campaigns", "spring")
    assert all(id_of(n) in campaign["device_filter"] for n in (1, 2, 3)), campaign
    assert campaign["phase"] != "draft"


def test_a_membership_of_a_group_that_was_just_made(management: ManagementRig):
    """The part of the API that is asked does not know the group yet: nothing is called gone."""
    management.patience_s = 10.0
    management.groups["north"] = {}
    management.devices["pump-1"] = {"endpoint_name": "pump-0001", "groups": ["north"]}
    not_found = {"object": "error", "code": 404, "type": "not_found", "message": "none", "request_id": "r" * 32}
    fault = {"match": {"method": "POST", "path": "/v3/device-groups/*/devices/add*"}, "times": 3}
    management.sim.set_faults({**fault, "effect": {"status": 404, "body": not_found}})
    management.apply_well()

    # Of a group that is there for long, a 404 says what it says.
    management.devices["pump-2"] = {"endpoint_name": "pump-0002", "groups": ["north"]}
    management.sim.set_faults({**fault, "effect": {"status": 404, "body": not_found}})
    management.mark()
    ran = management.apply()
    assert ran.code == 7, ran
    assert len([sent for sent in management.mutations() if "/add" in sent]) == 1


def test_a_lost_answer_and_a_reading_that_lags_behind(rig: Rig):
    """The second try is answered that it is there; so it is looked for until it is."""
    rig.configs["host"] = "1"
    rig.devices["one"] = {"sid": sid(1), "configs": {"a": "1"}}
    rig.sim.advance(2 * 3600)
    rig.sim.set_faults(
        {"match": {"method": "POST", "path": "/v1/Configs"}, "times": 1, "effect": {"drop": "after"}},
        lag("/v1/Configs/host", times=4),
    )
    rig.apply_well()
