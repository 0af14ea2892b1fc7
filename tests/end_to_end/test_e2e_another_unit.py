"""Answers about another unit than the one that was asked for: nothing is written, recorded or deleted on their word."""

from __future__ import annotations

from typing import Any

import pytest
from fleet_rig import Rig, sid
from management_rig import ManagementRig, id_of, make_management, management
from tracker_rig import HOUR, MakeTrackers, truck

__all__ = ["make_management", "management"]  # fixtures

SEAL = {"RECONCILE_FINGERPRINT_KEY": "b" * 64}  # a plan that nobody vouches for is made again, not compared


def answered_as(method: str, path: str, other: str, **more: Any) -> dict[str, Any]:
    return {"match": {"method": method, "path": path}, "effect": {"other": other}, **more}


def account(rig: Rig) -> None:
    """Two of everything that Microvisor has; they say the same, so that only who is asked tells them apart."""
    rig.environ |= {**SEAL, "PSK": "value-of-the-psk"}
    rig.apps.update({name: {"bundle": rig.bundle(f"{name}.zip")} for name in ("v1", "v2")})
    rig.configs.update(a="1", b="1")
    rig.secrets.update(s="env:PSK", t="env:PSK")
    for number in (1, 2):
        rig.devices[f"d{number}"] = {
            "sid": sid(number),
            "app": "v1",
            "configs": {"a": "1"},
            "secrets": {"s": "env:PSK"},
            "logging": True,
        }
    rig.apply_well()


MICROVISOR = {
    "configs": ("/v1/Configs/a", "b", lambda rig: rig.configs.update(a="2")),
    "a config that leaves": ("/v1/Configs/a", "b", lambda rig: rig.configs.pop("a")),
    "secrets": ("/v1/Secrets/s", "t", lambda rig: rig.secrets.pop("s")),
    "devices": (f"/v1/Devices/{sid(1)}", sid(2), lambda rig: rig.devices["d1"].update(unique_name="new")),
    "device configs": (
        f"/v1/Devices/{sid(1)}/Configs*",
        sid(2),
        lambda rig: rig.devices["d1"]["configs"].update(a="2"),
    ),
}


@pytest.mark.parametrize("what", MICROVISOR)
def test_a_reading_of_another_one_lets_nothing_be_written(rig: Rig, what: str):
    account(rig)
    path, other, edit = MICROVISOR[what]
    edit(rig)
    plan = rig.saved()
    before, entries = rig.world, rig.entries()
    rig.sim.set_faults(answered_as("GET", path, other))
    rig.mark()
    ran = rig.apply_file(plan)
    assert ran.code == 7, ran
    assert "the API answered with" in ran.err or "conflict" in ran.err, ran
    assert rig.mutations() == []
    rig.sim.set_faults()
    assert rig.world == before
    assert rig.entries() == entries


def management_of(rig: ManagementRig) -> None:
    rig.environ |= SEAL
    rig.groups.update(north={}, south={})
    for number in (1, 2):
        rig.devices[f"pump-{number}"] = {"id": id_of(number), "groups": ["north"]}
    rig.firmware("one")
    for name in ("spring", "autumn"):
        rig.campaigns[name] = {"manifest": "one", "devices": ["pump-1"], "start": False}
    rig.apply_well()


def id_in(rig: ManagementRig, section: str, name: str) -> str:
    return str(rig.live(section, name)["id"])


@pytest.mark.parametrize("section", ["groups", "devices", "campaigns", "memberships"])
def test_a_reading_of_another_resource_lets_nothing_be_written(management: ManagementRig, section: str):
    management_of(management)
    match section:
        case "groups":
            path, other = f"device-groups/{id_in(management, 'groups', 'north')}", id_in(management, "groups", "south")
            management.groups["north"]["description"] = "new"
        case "devices":
            path, other = f"devices/{id_of(1)}", id_of(2)
            management.devices["pump-1"]["description"] = "new"
        case "memberships":
            path, other = f"devices/{id_of(1)}", id_of(3)
            management.devices["pump-1"]["groups"] = []
        case _:
            path = f"update-campaigns/{id_in(management, 'campaigns', 'spring')}"
            other = id_in(management, "campaigns", "autumn")
            management.campaigns["spring"]["description"] = "new"
    plan = management.saved()
    before, entries = management.world, management.entries()
    management.sim.set_faults(answered_as("GET", f"/v3/{path}*", other))
    management.mark()
    ran = management.apply_file(plan)
    assert ran.code == 7, ran
    assert other in ran.err, ran
    assert management.mutations() == []
    management.sim.set_faults()
    assert management.world == before
    assert management.entries() == entries


@pytest.mark.parametrize("section", ["groups", "devices", "campaigns"])
def test_a_write_that_is_answered_about_another_one_is_read_back(management: ManagementRig, section: str):
    management_of(management)
    name, other = {"groups": ("north", "south"), "campaigns": ("spring", "autumn")}.get(section, ("pump-1", ""))
    other = id_in(management, section, other) if other else id_of(2)
    getattr(management, section)[name]["description"] = "new"
    management.sim.set_faults(answered_as("PUT", "/v3/*", other, times=1))
    ran = management.apply()
    assert ran.code == 0, ran
    management.assert_in_sync()
    ids = {entry["id"] for entry in management.entries().values() if entry["type"] == f"device_management.{section}"}
    assert len(ids) == 2


@pytest.mark.parametrize("section", ["groups", "firmware_images", "campaigns"])
def test_a_create_that_is_answered_about_another_one_is_read_back(management: ManagementRig, section: str):
    management_of(management)
    other = next(iter(management.world[section]))
    if section == "firmware_images":
        management.firmware("two")
    elif section == "groups":
        management.groups["west"] = {}
    else:
        management.campaigns["winter"] = {"manifest": "one", "devices": ["pump-1"], "start": False}
    before = len(management.world[section])
    management.sim.set_faults(answered_as("POST", "/v3/*", other, times=1))
    ran = management.apply()
    assert ran.code == 0, ran
    management.assert_in_sync()
    assert len(management.world[section]) == before + 1
    ids = [entry["id"] for entry in management.entries().values() if entry["parent"] is None]
    assert len(set(ids)) == len(ids)


def test_a_listing_of_another_device_is_not_believed(rig: Rig):
    account(rig)
    rig.sim.set_faults(answered_as("GET", f"/v1/Devices/{sid(1)}/Configs", sid(2)))
    with rig.outside() as world:
        world["devices"][sid(2)]["configs"]["a"] = "other"
    ran = rig.plan("--format", "json")
    assert ran.code == 1, ran
    assert "those of" in ran.out + ran.err, ran
    changed = [row["address"] for row in ran.json["resource_changes"] if row["change"]["actions"] != ["no-op"]]
    assert changed == ["microvisor.devices.d2.configs.a"]


def test_an_agent_that_answers_for_another_tracker_is_not_read(make_trackers: MakeTrackers):
    rig = make_trackers({"A1": {}, "A2": {}})
    rig.trackers.update(one=truck("A1", connectingPeriod=120), two=truck("A2", connectingPeriod=240))
    assert rig.apply().code == 0
    rig.sim.advance(2 * HOUR)
    rig.assert_in_sync()
    rig.sim.set_faults(answered_as("GET", "/A1/cfg", "A2"))
    rig.mark()
    ran = rig.apply()
    assert ran.code == 1, ran
    assert rig.patches() == []
    assert "asset_tracker.trackers.one" in ran.out, ran
    assert "reconcile state rm asset_tracker.trackers.one" in " ".join(ran.out.split()), ran


def test_two_agents_that_answer_for_one_tracker_are_not_adopted(make_trackers: MakeTrackers):
    rig = make_trackers({"A1": {}, "A2": {}})
    rig.trackers.update(one=truck("A1", connectingPeriod=120), two=truck("A2", connectingPeriod=240))
    assert rig.apply().code == 0
    rig.sim.advance(2 * HOUR)
    rig.assert_in_sync()
    rig.lose_state()
    rig.mark()
    rig.sim.set_faults(answered_as("GET", "/A1/cfg", "A2", times=1))
    ran = rig.apply()
    assert ran.code == 1 and rig.patches() == [], ran
    assert "when it was asked for A1 and A2" in " ".join(ran.out.split()), ran
    rig.sim.set_faults()
    assert rig.apply().code == 0
    rig.assert_in_sync()
