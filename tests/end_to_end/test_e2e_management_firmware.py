"""Images, manifests and campaigns of Device Management: from an upload to devices that run it, on the clock."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from management_rig import HOUR, ManagementRig, id_of, make_management, management

__all__ = ["make_management", "management"]  # fixtures

CAMPAIGN = "device_management.campaigns.spring"


@pytest.fixture
def fleet(management: ManagementRig) -> ManagementRig:
    """Three pumps, two of them in a group, and firmware for them."""
    management.groups["north"] = {}
    for n in (1, 2, 3):
        management.devices[f"pump-{n}"] = {"endpoint_name": f"pump-{n:04}", "groups": ["north"] if n < 3 else []}
    management.firmware("pump-1.4")
    return management


@pytest.fixture
def started(fleet: ManagementRig) -> ManagementRig:
    """A campaign for the group has begun."""
    fleet.campaigns["spring"] = {"manifest": "pump-1.4", "group": "north", "start": True}
    assert fleet.apply().code == 0
    return fleet


def pending(rig: ManagementRig) -> str:
    """What a plan says, which has no changes and something pending."""
    ran = rig.plan("--detailed-exitcode")
    assert ran.code == 0 and "No changes." in ran.out and "Pending: 1" in ran.out, ran
    return ran.out


def starts(rig: ManagementRig) -> list[str]:
    return [call for call in rig.mutations() if "update-campaigns" in call]


def test_images_and_manifests_are_uploaded_once(fleet: ManagementRig) -> None:
    fleet.section("firmware_images")["pump-1.4"]["description"] = "the fourth"
    fleet.apply_well()
    image = fleet.live("firmware_images", "pump-1.4")
    assert image["description"] == "the fourth" and image["datafile_size"] == len("firmware pump-1.4")
    assert fleet.live("firmware_manifests", "pump-1.4")["image_id"] == image["id"]
    # The API cannot change it, so that another one is only remembered.
    fleet.section("firmware_images")["pump-1.4"]["description"] = "still the fourth"
    fleet.mark()
    assert fleet.apply().code == 0 and fleet.mutations() == []
    fleet.assert_in_sync()


def large(rig: ManagementRig, extra: int = 1) -> str:
    with (rig.fleet / "large.bin").open("wb") as file:
        file.truncate(100 * 2**20 + extra)
    rig.section("firmware_images")["large"] = {"file": "large.bin", "description": "d"}
    return hashlib.sha256((rig.fleet / "large.bin").read_bytes()).hexdigest()


def test_a_large_image_is_uploaded_in_chunks(fleet: ManagementRig) -> None:
    checksum = large(fleet)
    assert fleet.apply().code == 0
    live = fleet.live("firmware_images", "large")
    assert (live["datafile_checksum"], live["datafile_size"]) == (checksum, 100 * 2**20 + 1)
    assert live["description"] == "d"
    calls = [call for call in fleet.mutations() if "upload-jobs" in call]
    assert len(calls) == 1 + 17 + 1 + 1 and calls[-1].startswith("DELETE"), calls
    fleet.assert_in_sync()


@pytest.mark.parametrize("lost", [{"drop": "after"}, {"status": 500, "body": {}}])
def test_a_large_image_whose_upload_breaks_off_is_uploaded_once(fleet: ManagementRig, lost: dict[str, Any]) -> None:
    large(fleet, 0)
    path = "/v3/firmware-images/upload-jobs/*/chunks"
    fleet.sim.set_faults({"match": {"method": "POST", "path": path}, "effect": lost, "times": 1})
    assert fleet.apply().code in (0, 7)
    fleet.sim.set_faults()
    fleet.apply()
    assert fleet.live("firmware_images", "large")["datafile_size"] == 100 * 2**20
    fleet.assert_in_sync()


def test_a_manifest_that_no_api_takes_is_seen_offline(fleet: ManagementRig) -> None:
    (fleet.fleet / "fat.manifest").write_bytes(bytes(2049))
    fleet.section("firmware_manifests")["fat"] = {"file": "fat.manifest"}
    ran = fleet.run("validate", str(fleet.fleet))
    assert ran.code == 3 and "fat.manifest has 2,049 bytes, at most 2,048 are uploaded" in ran.err, ran


def test_a_live_image_with_the_same_bytes_is_adopted(fleet: ManagementRig) -> None:
    fleet.apply_well()
    fleet.lose_state()
    fleet.mark()
    assert fleet.apply().code == 0
    assert fleet.mutations() == []
    fleet.assert_in_sync()


def test_a_live_image_of_the_name_with_other_bytes_is_another_one(fleet: ManagementRig) -> None:
    with fleet.outside() as world:
        world["firmware_images"]["e" * 32] = {"name": "pump-1.4"}
    fleet.apply_well()
    assert len(fleet.world["firmware_images"]) == 2
    assert fleet.entries()['device_management.firmware_images["pump-1.4"]']["id"] != "e" * 32


@pytest.mark.parametrize("section", ["firmware_images", "firmware_manifests"])
def test_other_bytes_under_a_name_that_is_recorded_are_refused(fleet: ManagementRig, section: str) -> None:
    fleet.apply_well()
    fleet.file(fleet.section(section)["pump-1.4"]["file"], "other bytes")
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 5, ran
    assert "sha256" in ran.out + ran.err and "new name" in ran.out + ran.err, ran
    assert fleet.mutations() == []


def test_the_file_is_not_needed_once_it_is_uploaded(fleet: ManagementRig) -> None:
    fleet.apply_well()
    for name in ("pump-1.4.bin", "pump-1.4.manifest"):
        (fleet.fleet / name).unlink()
    fleet.assert_in_sync()


def test_an_image_that_somebody_deleted_is_uploaded_again(fleet: ManagementRig) -> None:
    fleet.apply_well()
    with fleet.outside() as world:
        world["firmware_images"] = {}
    fleet.apply_well()
    assert fleet.live("firmware_images", "pump-1.4")["datafile_size"] == len("firmware pump-1.4")


def test_firmware_that_leaves_is_deleted(fleet: ManagementRig) -> None:
    fleet.apply_well()
    fleet.section("firmware_images").clear()
    fleet.section("firmware_manifests").clear()
    fleet.apply_well()
    assert fleet.world["firmware_images"] == {} and fleet.world["firmware_manifests"] == {}


def test_a_campaign_goes_from_draft_to_done(started: ManagementRig) -> None:
    campaign = started.live("campaigns", "spring")
    assert campaign["phase"] == "starting"
    assert set(campaign["device_filter"].partition("&")[0].removeprefix("id__in=").split(",")) == {id_of(1), id_of(2)}
    assert "is starting" in pending(started)
    started.sim.advance(20)
    out = pending(started)
    assert "of 2 devices updated" in out and "2 pending" in out, out
    started.sim.advance(HOUR)
    assert started.live("campaigns", "spring")["phase"] == "stopped"
    started.assert_in_sync()
    assert "Pending" not in started.plan().out and "Failed" not in started.plan().out
    checksum = started.live("firmware_images", "pump-1.4")["datafile_checksum"]
    assert [started.pump(n)["firmware_checksum"] == checksum for n in (1, 2, 3)] == [True, True, False]
    with started.outside() as world:
        world["campaigns"][campaign["id"]]["phase"] = "archived"
    started.assert_in_sync()


def test_a_campaign_of_the_document_is_made_once_whatever_its_phase_when_the_state_is_lost(
    started: ManagementRig,
) -> None:
    for seconds in (0, 20, HOUR):
        started.sim.advance(seconds)
        started.lose_state()
        started.mark()
        assert started.apply().code == 0
        assert starts(started) == []
    assert len(started.world["campaigns"]) == 1


def test_a_campaign_for_devices(fleet: ManagementRig) -> None:
    fleet.campaigns["spring"] = {"manifest": "pump-1.4", "devices": ["pump-3", "pump-1"], "start": True}
    assert fleet.apply().code == 0
    assert fleet.live("campaigns", "spring")["device_filter"] == f"id__in={id_of(1)},{id_of(3)}"
    pending(fleet)
    fleet.campaigns["spring"]["devices"] = ["pump-1", "pump-3"]
    pending(fleet)


def test_a_draft_is_changed_in_place_and_started_by_the_files(fleet: ManagementRig) -> None:
    fleet.firmware("pump-1.5")
    spring = fleet.campaigns["spring"] = {"manifest": "pump-1.4", "devices": ["pump-1"], "start": False}
    fleet.apply_well()
    draft = fleet.live("campaigns", "spring")
    assert draft["phase"] == "draft"
    more: dict[str, Any] = {
        "manifest": "pump-1.5",
        "devices": ["pump-2"],
        "description": "with care",
        "autostop": False,
        "autostop_success_percent": 80,
        "approval_required": True,
    }
    for name, value in more.items():
        spring[name] = value
        assert set(fleet.changes()) == {CAMPAIGN}
        fleet.apply_well()
    changed = fleet.live("campaigns", "spring")
    assert changed["id"] == draft["id"] and changed["description"] == "with care"
    assert changed["root_manifest_id"] == fleet.live("firmware_manifests", "pump-1.5")["id"]
    spring["start"] = True
    ran = fleet.plan()
    assert "start = false -> true" in ran.out, ran
    assert fleet.apply().code == 0
    assert "waits for its approval" in pending(fleet)
    fleet.sim.advance(HOUR)
    fleet.assert_in_sync()


@pytest.mark.parametrize("field", ["description", "autostop", "manifest", "devices"])
def test_what_somebody_changes_of_a_draft_is_put_back(fleet: ManagementRig, field: str) -> None:
    fleet.campaigns["spring"] = {
        "manifest": "pump-1.4",
        "devices": ["pump-1"],
        "start": False,
        "description": "with care",
        "autostop": True,
    }
    fleet.apply_well()
    before = fleet.live("campaigns", "spring")
    theirs = {"manifest": ("root_manifest_id", None), "devices": ("device_filter", "state__eq=registered")}
    with fleet.outside() as world:
        name, value = theirs.get(field, (field, {"description": "x", "autostop": False}.get(field)))
        world["campaigns"][before["id"]][name] = value
    assert fleet.run("drift", str(fleet.fleet)).code == 2
    fleet.apply_well()
    after = fleet.live("campaigns", "spring")
    assert {**after, "updated_at": "", "version": 0} == {**before, "updated_at": "", "version": 0}


def test_a_draft_takes_the_members_that_its_group_has_when_it_starts(fleet: ManagementRig) -> None:
    fleet.campaigns["spring"] = {"manifest": "pump-1.4", "group": "north", "start": False}
    fleet.apply_well()
    fleet.devices["pump-3"]["groups"] = ["north"]
    fleet.apply_well()
    fleet.campaigns["spring"]["start"] = True
    assert fleet.apply().code == 0
    assert id_of(3) in fleet.live("campaigns", "spring")["device_filter"]
    # Members that come later are not in it, and that makes no other campaign.
    fleet.devices["pump-4"] = {"endpoint_name": "pump-0004", "groups": ["north"]}
    assert fleet.apply().code == 0
    pending(fleet)
    assert len(fleet.world["campaigns"]) == 1


def test_a_campaign_for_a_group_without_members_is_not_made(fleet: ManagementRig) -> None:
    fleet.groups["south"] = {}
    fleet.campaigns["spring"] = {"manifest": "pump-1.4", "group": "south"}
    ran = fleet.apply()
    assert ran.code == 7 and "has no devices" in ran.out, ran
    assert fleet.world["campaigns"] == {}


def test_one_that_was_stopped_never_restarts_another_one_is_made(started: ManagementRig) -> None:
    started.sim.advance(15)
    with started.outside() as world:
        (campaign,) = world["campaigns"].values()
        campaign["phase"] = "stopped"
    ran = started.plan()
    assert "1 to add" in ran.out and "a stopped campaign never restarts: another one is made" in ran.out, ran
    assert started.apply().code == 0
    assert sorted(campaign["phase"] for campaign in started.world["campaigns"].values()) == ["starting", "stopped"]
    pending(started)
    started.sim.advance(HOUR)
    started.assert_in_sync()


@pytest.mark.parametrize("drop", ["before", "after"])
def test_another_one_whose_making_got_no_answer_is_not_taken_for_the_old_one(started: ManagementRig, drop: str) -> None:
    started.sim.advance(15)
    with started.outside() as world:
        (campaign,) = world["campaigns"].values()
        campaign["phase"] = "stopped"
    match = {"method": "POST", "path": "/v3/update-campaigns"}
    started.sim.set_faults({"match": match, "times": 1, "effect": {"drop": drop}})
    assert started.apply().code == 0
    assert sorted(campaign["phase"] for campaign in started.world["campaigns"].values()) == ["starting", "stopped"]
    pending(started)


def test_what_runs_is_not_changed_by_a_plan_that_asked_nobody(started: ManagementRig) -> None:
    started.sim.advance(15)
    started.campaigns["spring"]["description"] = "with care"
    before = started.live("campaigns", "spring")
    ran = started.apply("--no-refresh")
    assert ran.code == 7, ran
    assert started.live("campaigns", "spring") == before


def test_the_files_can_stop_it(started: ManagementRig) -> None:
    started.sim.advance(15)
    started.campaigns["spring"]["start"] = False
    ran = started.apply()
    assert ran.code == 0 and "start = true -> false" in ran.out, ran
    assert started.live("campaigns", "spring")["phase"] == "stopping"
    started.assert_in_sync()
    started.sim.advance(HOUR)
    started.assert_in_sync()
    started.campaigns["spring"]["start"] = True
    assert "never restarts" in started.plan().out


def test_one_that_is_done_is_not_stopped(started: ManagementRig) -> None:
    started.sim.advance(HOUR)
    started.campaigns["spring"]["start"] = False
    started.mark()
    assert started.apply().code == 0
    assert starts(started) == []
    started.assert_in_sync()


def test_another_manifest_makes_another_campaign(started: ManagementRig) -> None:
    started.sim.advance(HOUR)
    started.firmware("pump-1.5")
    started.campaigns["spring"]["manifest"] = "pump-1.5"
    ran = started.apply()
    assert ran.code == 0 and "cannot be changed any more: another one is made" in ran.out, ran
    assert len(started.world["campaigns"]) == 2
    started.sim.advance(HOUR)
    started.assert_in_sync()


@pytest.mark.parametrize("seconds", [0, 60, HOUR])
def test_the_words_of_one_that_runs_or_has_ended_can_be_changed(started: ManagementRig, seconds: int) -> None:
    started.sim.advance(seconds)
    started.campaigns["spring"]["description"] = "with care"
    assert started.apply().code == 0
    assert started.live("campaigns", "spring")["description"] == "with care"
    assert len(started.world["campaigns"]) == 1
    assert started.plan("--detailed-exitcode").code == 0


def tries(rig: ManagementRig) -> int:
    return sum(call.endswith("/start") for call in starts(rig))


def test_a_campaign_that_cannot_start_has_failed_and_is_started_again_only_if_asked(fleet: ManagementRig) -> None:
    with fleet.outside() as world:
        world["start_fails"] = "Insufficient billing credit."
    fleet.campaigns["spring"] = {"manifest": "pump-1.4", "group": "north"}
    said = "could not start: Insufficient billing credit."
    ran = fleet.apply()
    assert ran.code == 7 and said in ran.out and "somebody" not in ran.out, ran
    assert tries(fleet) == 1
    # The next plan says so again, sends nothing, and blames nobody.
    ran = fleet.plan()
    assert said in ran.out and "somebody" not in ran.out and "Failed: 1" in ran.out, ran
    assert fleet.apply().code == 0 and tries(fleet) == 1
    # As a draft it can be changed, and that starts nothing.
    fleet.campaigns["spring"]["description"] = "paid by now"
    assert fleet.apply().code == 0
    assert fleet.live("campaigns", "spring")["description"] == "paid by now" and tries(fleet) == 1
    assert said in fleet.plan().out
    # It fails once more, though it is asked to.
    assert fleet.apply("--retry-failed").code == 7 and tries(fleet) == 2
    with fleet.outside() as world:
        world["start_fails"] = None
    ran = fleet.apply("--retry-failed")
    assert ran.code == 0 and tries(fleet) == 3, ran
    fleet.sim.advance(HOUR)
    fleet.assert_in_sync()
    assert len(fleet.world["campaigns"]) == 1


def test_a_draft_that_could_not_start_is_the_same_without_a_state(fleet: ManagementRig) -> None:
    with fleet.outside() as world:
        world["start_fails"] = "Insufficient billing credit."
    fleet.campaigns["spring"] = {"manifest": "pump-1.4", "group": "north"}
    assert fleet.apply().code == 7
    fleet.lose_state()
    ran = fleet.plan()
    assert "could not start: Insufficient billing credit." in ran.out, ran
    assert fleet.apply().code == 0 and tries(fleet) == 1
    fleet.campaigns["spring"]["start"] = False  # it is what they want now
    assert fleet.apply().code == 0
    assert "could not start" not in fleet.plan().out
    fleet.assert_in_sync()


def test_a_campaign_by_the_filter_of_the_api(fleet: ManagementRig) -> None:
    filter_ = "endpoint_name__in=pump-0001,pump-0003"
    fleet.campaigns["spring"] = {"manifest": "pump-1.4", "device_filter": filter_, "start": False}
    fleet.campaigns["spring"]["start_at"] = "2026-12-01T09:00:00+01:00"
    fleet.apply_well()
    live = fleet.live("campaigns", "spring")
    assert (live["device_filter"], live["when"]) == (filter_, "2026-12-01T09:00:00+01:00")
    with fleet.outside() as world:
        world["campaigns"][live["id"]]["when"] = "2026-12-01T08:00:00.5Z"  # the same moment, spelled otherwise
    fleet.assert_in_sync()
    fleet.campaigns["spring"]["device_filter"] = "endpoint_name__eq=pump-0002"
    del fleet.campaigns["spring"]["start"]
    assert fleet.apply().code == 0
    assert fleet.live("campaigns", "spring")["device_filter"] == "endpoint_name__eq=pump-0002"
    assert len(fleet.world["campaigns"]) == 1


def test_failures_are_shown_and_done_again_only_if_asked(fleet: ManagementRig) -> None:
    with fleet.outside() as world:
        world["devices"][id_of(2)]["fail_update"] = True
    fleet.campaigns["spring"] = {"manifest": "pump-1.4", "group": "north", "start": True}
    assert fleet.apply().code == 0
    fleet.sim.advance(HOUR)
    ran = fleet.plan("--detailed-exitcode")
    assert ran.code == 0 and "Failed: 1" in ran.out and "1 of 2 devices updated, 1 failed" in ran.out, ran
    assert "(No device is pending any more; 1 × Update error, nonspecific network error (UPD4_FAIL_101))" in ran.out
    with fleet.outside() as world:
        world["devices"][id_of(2)]["fail_update"] = False
    ran = fleet.apply("--retry-failed")
    assert ran.code == 0 and "another one is made" in ran.out, ran
    fleet.sim.advance(HOUR)
    fleet.assert_in_sync()
    assert "Failed" not in fleet.plan().out


def test_a_campaign_that_leaves_is_deleted_with_its_firmware(started: ManagementRig) -> None:
    started.sim.advance(HOUR)
    started.campaigns.clear()
    started.section("firmware_manifests").clear()
    started.section("firmware_images").clear()
    started.apply_well()
    assert not any(started.world[section] for section in ("campaigns", "firmware_images", "firmware_manifests"))


def test_a_draft_that_leaves_is_deleted_with_its_manifest(fleet: ManagementRig) -> None:
    fleet.campaigns["spring"] = {"manifest": "pump-1.4", "devices": ["pump-1"], "start": False}
    fleet.apply_well()
    fleet.campaigns.clear()
    fleet.section("firmware_manifests").clear()
    fleet.apply_well()
    assert fleet.world["campaigns"] == {} and fleet.world["firmware_manifests"] == {}


def test_a_campaign_that_runs_is_stopped_before_it_is_deleted(started: ManagementRig) -> None:
    started.sim.advance(15)
    started.campaigns.clear()
    started.mark()
    ran = started.apply()
    assert ran.code == 7 and "must be stopped" in ran.out, ran  # the clock of the simulator is slower than this loop
    assert len([call for call in starts(started) if call.endswith("/stop")]) == 1
    started.sim.advance(HOUR)
    started.apply_well()
    assert started.world["campaigns"] == {}


def test_without_start_it_is_started(fleet: ManagementRig) -> None:
    fleet.campaigns["spring"] = {"manifest": "pump-1.4", "group": "north"}
    assert fleet.apply().code == 0
    assert fleet.live("campaigns", "spring")["phase"] == "starting"
    pending(fleet)


@pytest.mark.parametrize("written", [{}, {"start": True}])
def test_a_draft_that_was_left_behind_is_started_by_the_next_plan(
    fleet: ManagementRig, written: dict[str, bool]
) -> None:
    fleet.campaigns["spring"] = {"manifest": "pump-1.4", "group": "north", **written}
    path = "/v3/update-campaigns/*/start"
    fleet.sim.set_faults({"match": {"method": "POST", "path": path}, "effect": {"status": 500, "body": {}}})
    assert fleet.apply().code == 7
    fleet.sim.set_faults()
    assert fleet.live("campaigns", "spring")["phase"] == "draft"
    assert "start = false -> true" in fleet.plan().out
    assert fleet.apply().code == 0
    assert fleet.live("campaigns", "spring")["phase"] == "starting"
    pending(fleet)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"manifest": "pump-1.4"}, "neither devices nor a group"),
        ({"manifest": "pump-1.4", "group": "north", "devices": ["pump-1"]}, "devices and group are written"),
        (
            {"manifest": "pump-1.4", "group": "north", "device_filter": "id__eq=1"},
            "group and device_filter are written",
        ),
        ({"manifest": "pump-1.4", "device_filter": "id__eq=1&state"}, "'state' is no condition"),
        ({"manifest": "pump-1.4", "device_filter": "id__like=1"}, "'id__like=1' is no condition"),
        ({"manifest": "pump-1.4", "group": "north", "start_at": "tomorrow"}, "'tomorrow' is no date"),
        ({"group": "north"}, "manifest is missing"),
        ({"manifest": "pump-1.4", "devices": []}, "devices"),
        ({"manifest": "nothing", "group": "north"}, "nothing"),
    ],
)
def test_what_is_wrong_with_a_campaign_is_said_at_its_place(
    fleet: ManagementRig, written: dict[str, Any], said: str
) -> None:
    fleet.campaigns["spring"] = written
    ran = fleet.plan()
    assert ran.code == 3 and said in ran.err and "fleet.yaml" in ran.err, ran


def test_an_apply_can_wait_until_the_devices_are_updated(started: ManagementRig) -> None:
    ran = started.apply("--wait", "settled", "--timeout", "5")
    assert ran.code == 1 and "is starting" in ran.out + ran.err, ran
    started.sim.advance(HOUR)
    assert started.apply("--wait", "settled", "--timeout", "60").code == 0


def test_an_apply_that_makes_a_campaign_can_wait_for_it(fleet: ManagementRig) -> None:
    fleet.campaigns["spring"] = {"manifest": "pump-1.4", "group": "north"}
    ran = fleet.apply("--wait", "settled", "--timeout", "5")
    assert ran.code == 1 and "is starting" in ran.out + ran.err, ran
