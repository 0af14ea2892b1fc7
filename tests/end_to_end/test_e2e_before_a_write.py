"""What has to hold when a write leaves: nothing of somebody else's is overwritten, deleted, or made a second time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet_rig import Rig, sid
from management_rig import HOUR, ManagementRig, id_of, make_management, management
from tracker_rig import MakeTrackers, truck

from reconcile.engine import young

__all__ = ["make_management", "management"]  # fixtures

PUMP = "device_management.devices.pump-1"


SEAL = {"RECONCILE_FINGERPRINT_KEY": "a" * 64}  # a plan that nobody vouches for is made again, not compared


# -- a create is looked for first --------------------------------------------------------------------------------------


def making(rig: ManagementRig) -> None:
    rig.environ |= SEAL
    rig.firmware("one")
    rig.devices["pump-9"] = {"endpoint_name": "pump-9999", "lifecycle": "managed"}
    rig.campaigns["spring"] = {"manifest": "one", "devices": ["pump-9"], "start": False}


def test_what_a_colleague_made_after_the_plan_is_a_conflict_and_not_made_twice(
    management: ManagementRig, tmp_path: Path
):
    making(management)
    plan = management.saved()
    (tmp_path / "colleague").mkdir()
    colleague = ManagementRig(tmp_path / "colleague", management.sim)
    making(colleague)
    assert colleague.apply().code == 0
    before = management.world
    ran = management.apply_file(plan)
    assert ran.code == 7, ran
    assert "was created by somebody else after the plan was made" in ran.err, ran
    assert management.world == before
    assert management.apply().code == 0
    management.assert_in_sync()
    for section in ("firmware_images", "firmware_manifests", "campaigns"):
        assert len(management.world[section]) == 1


def test_an_image_of_the_same_name_with_other_bytes_is_another_image(management: ManagementRig, tmp_path: Path):
    management.environ |= SEAL
    management.firmware("one")
    plan = management.saved()
    (tmp_path / "colleague").mkdir()
    colleague = ManagementRig(tmp_path / "colleague", management.sim)
    colleague.section("firmware_images")["one"] = {"file": colleague.file("one.bin", "other bytes")}
    assert colleague.apply().code == 0
    ran = management.apply_file(plan)
    assert ran.code == 0, ran
    assert len(management.world["firmware_images"]) == 2


def test_another_one_of_the_name_after_one_that_ended_is_made_once(management: ManagementRig):
    """The one that ended is what the plan saw of that name, and no conflict; a newer one is."""
    management.environ |= SEAL
    management.firmware("one")
    management.firmware("two")
    management.devices["pump-1"] = {"endpoint_name": "pump-0001"}
    management.campaigns["spring"] = {"manifest": "one", "devices": ["pump-1"]}
    assert management.apply().code == 0
    management.sim.advance(24 * HOUR)
    management.campaigns["spring"]["manifest"] = "two"
    plan, again = management.saved(), management.saved(name="again.plan")
    state = management.state.read_bytes()
    assert management.apply_file(plan).code == 0
    assert len(management.world["campaigns"]) == 2
    management.lose_state()
    management.state.write_bytes(state)
    management.state.chmod(0o600)
    ran = management.apply_file(again)
    assert ran.code in (5, 7), ran
    assert len(management.world["campaigns"]) == 2


# -- a listing that lacks one ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("section", ["firmware_images", "firmware_manifests", "campaigns", "devices", "groups"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "state lost"])
def test_what_a_listing_lacks_is_not_made_again(management: ManagementRig, section: str, known: bool):
    making(management)
    management.groups["north"] = {}
    assert management.apply().code == 0
    world = management.world
    id = next(i for i, one in world[section].items() if one.get("endpoint_name") in (None, "pump-9999"))
    path = {"campaigns": "update-campaigns", "groups": "device-groups"}.get(section, section.replace("_", "-"))
    lacks = {"match": {"method": "GET", "path": f"/v3/{path}*"}, "effect": {"omit": id}}
    if not known:  # then another list, by name, is all there is to find it: the first one lacks it
        management.lose_state()
        lacks["times"] = 1
    management.sim.set_faults(lacks)
    management.mark()
    ran = management.apply()
    assert ran.code == 0 or (not known and section == "groups"), ran  # of a name that is kept unique: a refusal
    assert not known or management.mutations() == []
    management.sim.set_faults()
    assert management.world == world


def test_what_hangs_on_a_device_and_a_listing_lacks_is_not_made_again(rig: Rig):
    rig.devices["d1"] = {"sid": sid(1), "configs": {"a": "1", "b": "2"}}
    rig.apply_well()
    rig.sim.set_faults({"match": {"method": "GET", "path": f"/v1/Devices/{sid(1)}/Configs"}, "effect": {"omit": "a"}})
    rig.assert_in_sync()
    del rig.devices["d1"]["configs"]["a"]
    assert rig.apply().code == 0
    assert set(rig.device(1)["configs"]) == {"b"}


# -- a write that waits ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def meanwhile(rig: Any, method: str, path: str, edit: Callable[[], None], monkeypatch: Any) -> Iterator[None]:
    """The first such request is answered 429, for longer than a reading counts; somebody does `edit` in that time."""
    monkeypatch.setattr(young, "FRESH_S", 3.0)
    too_many = {"status": 429, "headers": {"Retry-After": "8"}, "body": {}}
    rig.sim.set_faults({"match": {"method": method, "path": path}, "times": 1, "effect": too_many})
    edited = threading.Event()

    def watch() -> None:
        while not any(row["status"] == 429 for row in rig.sim.requests(0)):
            if edited.wait(0.02):
                return
        edit()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        edited.set()
        thread.join()


def renamed_by_hand(rig: ManagementRig) -> None:
    with rig.outside() as world:
        world["devices"][id_of(1)]["custom_attributes"] = {"line": "by hand"}


@pytest.mark.parametrize("saved", [True, False])
def test_an_edit_while_a_write_waits_is_a_conflict(management: ManagementRig, monkeypatch: Any, saved: bool):
    management.environ |= SEAL
    management.devices["pump-1"] = {"endpoint_name": "pump-0001", "custom_attributes": {"line": "1"}}
    management.apply_well()
    management.devices["pump-1"]["custom_attributes"]["line"] = "2"
    plan = management.saved() if saved else None
    with meanwhile(management, "PUT", "/v3/devices/*", lambda: renamed_by_hand(management), monkeypatch):
        ran = management.apply_file(plan) if plan is not None else management.apply()
    assert ran.code == 7, ran
    assert f"{PUMP}: Update conflict" in ran.err, ran
    assert management.pump(1)["custom_attributes"] == {"line": "by hand"}
    ran = management.apply()  # nothing stays open
    assert "was lost" not in ran.err, ran
    assert management.pump(1)["custom_attributes"] == {"line": "2"}


def test_a_write_that_waits_and_that_nobody_disturbs_is_done(management: ManagementRig, monkeypatch: Any):
    management.devices["pump-1"] = {"endpoint_name": "pump-0001", "custom_attributes": {"line": "1"}}
    management.apply_well()
    management.devices["pump-1"]["custom_attributes"]["line"] = "2"
    management.mark()
    with meanwhile(management, "PUT", "/v3/devices/*", lambda: None, monkeypatch):
        ran = management.apply()
    assert ran.code == 0, ran
    sent = management.requests()
    assert sent[-2:] == [f"GET /v3/devices/{id_of(1)}/", f"PUT /v3/devices/{id_of(1)}/"]  # read again right before


@pytest.mark.parametrize("section", ["firmware_images", "campaigns"])
def test_a_create_that_waits_is_looked_for_again(management: ManagementRig, monkeypatch: Any, section: str):
    making(management)
    assert management.apply().code == 0
    with management.outside() as world:
        id, made = world[section].popitem()
        if section == "firmware_images":
            world["campaigns"].clear()
    management.lose_state()

    def somebody() -> None:
        with management.outside() as world:
            world[section][id] = made

    path = {"firmware_images": "/v3/firmware-images", "campaigns": "/v3/update-campaigns"}[section]
    with meanwhile(management, "POST", path, somebody, monkeypatch):
        ran = management.apply()
    assert ran.code == 7, ran
    assert "was created by somebody else" in ran.err, ran
    assert list(management.world[section]) == [id]


def test_what_was_written_before_the_wait_is_no_conflict(rig: Rig, monkeypatch: Any):
    """The name is written, then a config, then the app waits: that the name is new is this run's own doing."""
    rig.apps["v1"] = {"bundle": rig.bundle("v1.zip")}
    rig.devices["d1"] = {"sid": sid(1), "configs": {"a": "1"}, "logging": True}
    rig.apply_well()
    rig.devices["d1"].update(unique_name="new", app="v1", configs={"a": "2"})
    wait = {"status": 429, "headers": {"Retry-After": "8"}, "body": {}}
    monkeypatch.setattr(young, "FRESH_S", 3.0)
    rig.sim.set_faults(
        {"match": {"method": "POST", "path": f"/v1/Devices/{sid(1)}/Configs/a"}, "times": 1, "effect": wait}
    )
    ran = rig.apply()
    assert ran.code == 0, ran
    rig.assert_in_sync()
    assert rig.device(1)["unique_name"] == "new"


# -- what was changed after the plan -----------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["started", "described", "archived"])
def test_a_campaign_that_somebody_touched_is_not_deleted(management: ManagementRig, what: str):
    management.environ |= SEAL
    management.firmware("one")
    management.devices["pump-1"] = {"endpoint_name": "pump-0001"}
    management.campaigns["spring"] = {"manifest": "one", "devices": ["pump-1"], "start": False}
    management.apply_well()
    del management.campaigns["spring"]
    plan = management.saved()
    with management.outside() as world:
        (campaign,) = world["campaigns"].values()
        campaign.update(
            {"started": {"phase": "active"}, "described": {"description": "mine"}}.get(what, {"phase": "archived"})
        )
    before = management.live("campaigns", "spring")["phase"]
    ran = management.apply_file(plan)
    assert ran.code == 7, ran
    assert "Destruction conflict" in ran.err, ran
    assert management.live("campaigns", "spring")["phase"] == before


def test_a_tracker_that_fetched_what_was_staged_is_no_conflict(make_trackers: MakeTrackers):
    rig = make_trackers({"A1": {}})
    rig.environ |= SEAL
    rig.trackers["truck"] = truck(connectingPeriod=120)
    assert rig.apply().code == 0
    assert rig.pending("A1") is not None
    rig.trackers["truck"]["configuration"]["readingPeriod"] = 77
    plan = rig.saved()
    rig.sim.advance(2 * HOUR)
    assert rig.pending("A1") is None
    assert rig.reported("A1")["connectingPeriod"] == 120
    ran = rig.apply_file(plan)
    assert ran.code == 0, ran
    rig.sim.advance(2 * HOUR)
    assert rig.reported("A1")["readingPeriod"] == 77
    rig.assert_in_sync()


def test_a_tracker_that_somebody_else_configured_is_a_conflict(make_trackers: MakeTrackers):
    rig = make_trackers({"A1": {}})
    rig.environ |= SEAL
    rig.trackers["truck"] = truck(connectingPeriod=120)
    assert rig.apply().code == 0
    rig.trackers["truck"]["configuration"]["connectingPeriod"] = 240
    plan = rig.saved()
    rig.sim.advance(2 * HOUR)
    with rig.outside_trackers() as trackers:
        trackers["A1"]["reported"].update(connectingPeriod=999, updateId="console")
    ran = rig.apply_file(plan)
    assert ran.code == 7, ran
    assert rig.pending("A1") is None
