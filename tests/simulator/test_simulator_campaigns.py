"""Update campaigns on the simulated clock (docs/apis/device_management.md, "Update campaigns")."""

import hashlib
from typing import Any

import pytest
from simulated_management import IMAGE, NOBODY, NORTH, PUMPS, Account, account, pumps_world

CHECKSUM = hashlib.sha256(IMAGE).hexdigest()
ALL = "name__in=pump 1,pump 2,pump 3,pump 4,pump 5"
GOOD = f"id__in={PUMPS[0]},{PUMPS[1]}"
METADATA = {"id", "object", "etag", "created_at", "updated_at", "campaign", "device_id", "deployment_state"}


def test_a_campaign_is_a_draft_until_it_is_started(managed: Account) -> None:
    path = managed.campaign(GOOD, name="first", description="d")
    campaign = managed.get(path)
    assert campaign["object"] == "update-campaign"
    assert (campaign["phase"], campaign["name"], campaign["description"]) == ("draft", "first", "d")
    assert (campaign["campaign_strategy"], campaign["autostop"], campaign["autostop_success_percent"]) == (
        "one-shot",
        True,
        100,
    )
    assert campaign["approval_required"] is False
    assert managed.phase(path, 10_000) == "draft"
    managed.call("GET", f"{path}/metrics", 404)
    assert managed.states(path) == {}


def test_a_draft_can_be_changed(managed: Account) -> None:
    path = managed.campaign(GOOD)
    manifest = managed.manifest()
    changes: dict[str, Any] = {
        "name": "n",
        "description": "d",
        "device_filter": ALL,
        "root_manifest_id": manifest,
        "autostop": False,
        "autostop_success_percent": 12.5,
        "approval_required": True,
        "when": "2030-01-01T00:00:00Z",
    }
    for name, value in changes.items():
        assert managed.put(path, **{name: value})[name] == value
    assert manifest in managed.get(path)["root_manifest_url"]
    # What is decided when it is made.
    assert managed.put(path, campaign_strategy="continuous", phase="active")["campaign_strategy"] == "one-shot"
    assert managed.get(path)["phase"] == "draft"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("device_filter", ""),
        ("device_filter", None),
        ("device_filter", "bogus__eq=1"),
        ("device_filter", "pump 1"),
        ("device_filter", "name__eq=pump 1&"),
        ("device_filter", f"groups__in={NORTH}"),
        ("root_manifest_id", NOBODY),
        ("root_manifest_id", 1),
        ("name", "x" * 129),
        ("description", "x" * 2001),
        ("campaign_strategy", "two-shot"),
        ("autostop", "yes"),
        ("autostop_success_percent", 101),
        ("autostop_success_percent", -1),
        ("autostop_success_percent", "100"),
        ("approval_required", 0),
        ("when", "soon"),
    ],
)
def test_a_campaign_that_cannot_be_is_refused(managed: Account, field: str, value: Any) -> None:
    body = managed.post("/v3/update-campaigns", 400, **{"device_filter": GOOD, field: value})
    assert (body["type"], [error["name"] for error in body["fields"]]) == ("validation_error", [field])
    assert managed.ids("/v3/update-campaigns") == []


def test_a_campaign_needs_a_filter_to_be_made_and_a_manifest_to_be_started(managed: Account) -> None:
    assert managed.post("/v3/update-campaigns", 400)["fields"][0]["name"] == "device_filter"
    path = f"/v3/update-campaigns/{managed.post('/v3/update-campaigns', device_filter=GOOD)['id']}"
    assert managed.post(f"{path}/start", 400)["fields"][0]["name"] == "root_manifest_id"
    managed.put(path, root_manifest_id=managed.manifest())
    managed.post(f"{path}/start", 202)


def test_a_campaign_goes_its_way_on_the_clock(managed: Account) -> None:
    path = managed.started(GOOD)
    assert managed.phase(path) == "starting"
    assert (managed.counts(path), managed.states(path)) == ({}, {})
    assert managed.phase(path, 5) == "starting"
    assert managed.phase(path, 6) == "active"
    assert managed.states(path) == dict.fromkeys(PUMPS[:2], "pending")
    assert managed.counts(path) == {"total": 2, "pending": 2}
    assert managed.states(path, 60) == dict.fromkeys(PUMPS[:2], "updated_connector_channel")
    assert managed.counts(path) == {"total": 2, "pending": 2}
    assert managed.get(f"/v3/devices/{PUMPS[0]}")["firmware_checksum"] == ""
    assert managed.states(path, 60) == dict.fromkeys(PUMPS[:2], "deployed")
    assert managed.counts(path) == {"total": 2, "success": 2}
    assert managed.phase(path) == "stopping"
    assert managed.phase(path, 11) == "stopped"
    campaign = managed.get(path)
    assert campaign["finished"] == campaign["stopped_at"] > campaign["active_at"] > campaign["started_at"]
    for n, id_ in enumerate(PUMPS):
        assert managed.get(f"/v3/devices/{id_}")["firmware_checksum"] == (CHECKSUM if n < 2 else "")
    assert managed.get(f"/v3/devices/{PUMPS[0]}")["manifest_timestamp"] is not None


def test_a_year_in_one_step_is_the_same_as_many_steps(managed: Account) -> None:
    path = managed.started(ALL)
    managed.sim.advance(365 * 86400)
    assert managed.phase(path) == "stopped"
    campaign = managed.get(path)
    assert campaign["active_at"] < campaign["stopped_at"] < campaign["active_at"][:4] + "-12-31T23:59:59Z"
    assert managed.counts(path) == {"total": 5, "success": 4, "failed": 1}


def test_devices_that_cannot_be_updated_fail_and_the_others_do_not(managed: Account) -> None:
    path = managed.started(ALL)
    states = managed.states(path, 131)
    assert states == {**dict.fromkeys(PUMPS[:4], "deployed"), PUMPS[4]: "failed_connector_channel_update"}
    assert managed.counts(path) == {"total": 5, "success": 4, "failed": 1}
    assert managed.phase(path) == "stopping"
    assert managed.get(path)["autostop_reason"] == "No device is pending any more"
    assert managed.get(f"/v3/devices/{PUMPS[4]}")["firmware_checksum"] == ""


def test_a_device_that_has_the_image_already_is_skipped(managed: Account) -> None:
    world = pumps_world()
    world["device_management"]["devices"][PUMPS[0]]["firmware_checksum"] = CHECKSUM
    managed.sim.put(world)
    path = managed.started(GOOD)
    assert managed.states(path, 71) == {PUMPS[0]: "deployed", PUMPS[1]: "updated_connector_channel"}
    assert managed.counts(path) == {"total": 2, "skipped": 1, "pending": 1}


def test_an_offline_device_stays_pending_and_keeps_the_campaign_active(managed: Account) -> None:
    world = pumps_world()
    world["device_management"]["devices"][PUMPS[1]]["online"] = False
    managed.sim.put(world)
    path = managed.started(GOOD)
    assert managed.states(path, 86400) == {PUMPS[0]: "deployed", PUMPS[1]: "pending"}
    assert managed.phase(path) == "active"
    # It comes online, and goes on.
    world = managed.sim.world
    world["device_management"]["devices"][PUMPS[1]]["online"] = True
    managed.sim.put(world)
    assert managed.states(path) == {PUMPS[0]: "deployed", PUMPS[1]: "pending"}
    assert managed.states(path, 120) == dict.fromkeys(PUMPS[:2], "deployed")
    assert managed.phase(path, 10) == "stopped"


def test_devices_connect_on_periods_of_their_own(managed: Account) -> None:
    world = pumps_world()
    world["device_management"]["devices"][PUMPS[1]]["check_in_s"] = 600
    managed.sim.put(world)
    path = managed.started(GOOD)
    assert managed.states(path, 131) == {PUMPS[0]: "deployed", PUMPS[1]: "pending"}
    assert managed.states(path, 480)[PUMPS[1]] == "updated_connector_channel"
    assert managed.states(path, 600)[PUMPS[1]] == "deployed"


def test_a_campaign_stops_when_enough_devices_have_succeeded(managed: Account) -> None:
    world = pumps_world()
    for id_ in PUMPS[2:]:
        world["device_management"]["devices"][id_]["check_in_s"] = 3600
    managed.sim.put(world)
    path = managed.started(ALL, autostop_success_percent=40)
    assert managed.phase(path, 141) == "stopped"
    assert managed.get(path)["autostop_reason"] == "The wanted share of devices succeeded"
    # The rest never gets it.
    assert managed.states(path, 86400) == {
        **dict.fromkeys(PUMPS[:2], "deployed"),
        **dict.fromkeys(PUMPS[2:], "pending"),
    }
    assert managed.counts(path) == {"total": 5, "success": 2, "pending": 3}


def test_without_autostop_a_campaign_runs_until_it_is_stopped(managed: Account) -> None:
    path = managed.started(GOOD, autostop=False)
    assert managed.phase(path, 86400) == "active"
    managed.post(f"{path}/stop", 202)
    assert managed.phase(path) == "stopping"
    assert managed.phase(path, 11) == "stopped"


def test_a_device_that_has_its_manifest_finishes_in_a_stopped_campaign(managed: Account) -> None:
    world = pumps_world()
    world["device_management"]["devices"][PUMPS[1]]["check_in_s"] = 600
    managed.sim.put(world)
    path = managed.started(GOOD)
    assert managed.states(path, 71)[PUMPS[0]] == "updated_connector_channel"
    managed.post(f"{path}/stop", 202)
    assert managed.states(path, 5000) == {PUMPS[0]: "deployed", PUMPS[1]: "pending"}
    assert managed.phase(path) == "stopped"


def test_a_campaign_without_a_device_stops_with_a_reason(managed: Account) -> None:
    path = managed.started("name__eq=nobody")
    assert managed.phase(path, 11) == "stopping"
    assert managed.get(path)["autostop_reason"] == "No device matches the device filter"
    assert managed.counts(path) == {}


@pytest.mark.parametrize(
    ("device_filter", "found"),
    [
        (GOOD, [0, 1]),
        ("endpoint_name__in=pump-0003,pump-0004", [2, 3]),
        ("custom_attributes__line=0", [1, 3]),
        ("custom_attributes__line=1&name__neq=pump 1", [2, 4]),
        ("state__eq=registered&created_at__lte=2024-01-02T00:00:00Z", [0, 1]),
        ("name=pump 3", [2]),
    ],
)
def test_the_filter_is_text_that_is_not_encoded(managed: Account, device_filter: str, found: list[int]) -> None:
    states = managed.states(managed.started(device_filter), 11)
    assert states == {PUMPS[n]: "pending" for n in found}


def test_devices_are_those_that_match_when_the_campaign_becomes_active(managed: Account) -> None:
    path = managed.started("name__eq=late")
    managed.put(f"/v3/devices/{PUMPS[3]}", name="late")
    assert list(managed.states(path, 11)) == [PUMPS[3]]
    managed.put(f"/v3/devices/{PUMPS[2]}", name="late")
    managed.put(f"/v3/devices/{PUMPS[3]}", name="early")
    assert list(managed.states(path)) == [PUMPS[3]]


def test_a_continuous_campaign_takes_up_devices_that_come_to_match(managed: Account) -> None:
    path = managed.started("custom_attributes__wave=1", campaign_strategy="continuous")
    assert managed.phase(path, 3600) == "active"
    managed.put(f"/v3/devices/{PUMPS[3]}", custom_attributes={"wave": "1"})
    new = managed.post("/v3/devices", custom_attributes={"wave": "1"})["id"]
    assert managed.states(path) == {PUMPS[3]: "pending", new: "pending"}
    assert managed.states(path, 121) == {PUMPS[3]: "deployed", new: "deployed"}
    assert managed.phase(path, 3600) == "active"
    managed.post(f"{path}/stop", 202)
    assert managed.phase(path, 11) == "stopped"


def test_a_campaign_that_needs_approval_waits_for_it(managed: Account) -> None:
    path = managed.started(GOOD, approval_required=True)
    assert managed.phase(path) == "awaiting_approval"
    managed.call("GET", f"{path}/metrics", 404)
    assert managed.phase(path, 50) == "awaiting_approval"
    assert managed.phase(path, 12) == "starting"
    assert managed.phase(path, 10) == "active"


def test_nobody_approves_in_a_world_that_says_so(managed: Account) -> None:
    world = pumps_world()
    world["device_management"]["approval_s"] = None
    managed.sim.put(world)
    path = managed.started(GOOD, approval_required=True)
    assert managed.phase(path, 86400) == "awaiting_approval"
    managed.post(f"{path}/stop", 202)
    assert managed.phase(path, 11) == "stopped"


# Phases and what they allow.

ALLOWED = {
    "draft": {"start", "words", "put", "delete"},
    "awaiting_approval": {"stop", "words"},
    "starting": {"stop", "words"},
    "active": {"stop", "words"},
    "stopping": {"words"},
    "stopped": {"archive", "delete", "words"},
    "archived": {"delete", "words"},
}
CALLS = {"start": 202, "stop": 202, "archive": 202, "words": 200, "put": 200, "delete": 204}


@pytest.mark.parametrize("phase", ALLOWED)
def test_a_phase_allows_only_some_calls(managed: Account, phase: str) -> None:
    manifest = managed.manifest()
    campaign = {"phase": phase, "device_filter": GOOD, "root_manifest_id": manifest}
    for call, status in CALLS.items():
        world = managed.sim.world
        world["device_management"]["campaigns"] = {NOBODY: campaign}
        managed.sim.put(world)
        path = f"/v3/update-campaigns/{NOBODY}"
        methods = {"words": ("PUT", path), "put": ("PUT", path), "delete": ("DELETE", path)}
        method, where = methods.get(call, ("POST", f"{path}/{call}"))
        answer = managed.http.request(method, where, json={"name": "x", "autostop": call != "put"})
        if call in ALLOWED[phase]:
            assert (call, answer.status_code) == (call, status)
        else:
            assert (call, answer.status_code) == (call, 403 if call == "put" else 409)
            assert phase in answer.json()["message"]
            assert managed.phase(path) == phase


def test_a_campaign_whose_start_fails_is_a_draft_again_and_says_why(managed: Account) -> None:
    world = pumps_world()
    world["device_management"]["start_fails"] = "Insufficient billing credit."
    managed.sim.put(world)
    path = managed.campaign(GOOD, root_manifest_id=managed.manifest())
    managed.post(f"{path}/start", 202)
    campaign = managed.get(path)
    assert (campaign["phase"], campaign["autostop_reason"]) == ("draft", "Insufficient billing credit.")
    managed.call("GET", f"{path}/metrics", 404)
    world = managed.sim.world
    world["device_management"]["start_fails"] = None
    managed.sim.put(world)
    managed.post(f"{path}/start", 202)
    campaign = managed.get(path)
    assert (campaign["phase"], campaign["autostop_reason"]) == ("starting", None)


def test_the_statistics_say_why_devices_failed(managed: Account) -> None:
    world = pumps_world()
    world["device_management"]["devices"][PUMPS[1]]["fail_update"] = True
    managed.sim.put(world)
    path = managed.started(GOOD)
    managed.sim.advance(600)
    counts = {one["id"]: one["count"] for one in managed.get(f"{path}/statistics")["data"]}
    assert counts == {"success": 1, "fail": 1, "skipped": 0, "info": 0}
    (event,) = managed.get(f"{path}/statistics/fail/event_types")["data"]
    assert (event["event_type"], event["count"], event["summary_status"]) == ("UPD4_FAIL_101", 1, "FAIL")
    assert event["description"] == "Update error, nonspecific network error"
    assert managed.get(f"{path}/statistics/fail/event_types/upd4_fail_101") == event
    assert managed.get(f"{path}/statistics/success")["count"] == 1
    managed.call("GET", f"{path}/statistics/none", 404)
    managed.call("GET", f"{path}/statistics/fail/event_types/none", 404)


def test_a_stopped_campaign_never_restarts(managed: Account) -> None:
    path = managed.started(GOOD)
    assert managed.phase(path, 200) == "stopped"
    assert managed.post(f"{path}/start", 409)["type"] == "conflict"
    managed.post(f"{path}/archive", 202)
    campaign = managed.get(path)
    assert campaign["phase"] == "archived" and campaign["archived_at"] is not None
    managed.post(f"{path}/start", 409)
    managed.delete(path)
    managed.call("GET", path, 404)


def test_a_campaign_that_is_stopped_and_deleted_while_it_starts_leaves_nothing(managed: Account) -> None:
    path = managed.started(GOOD)
    managed.post(f"{path}/stop", 202)
    assert managed.phase(path, 10) == "stopped"
    assert managed.states(path, 3600) == {}
    managed.delete(path)
    managed.sim.advance(3600)
    assert managed.get(f"/v3/devices/{PUMPS[0]}")["firmware_checksum"] == ""


# What goes away while a campaign runs.


def test_a_device_that_is_deleted_meanwhile_is_deregistered(managed: Account) -> None:
    path = managed.started(GOOD)
    assert managed.phase(path, 11) == "active"
    managed.delete(f"/v3/devices/{PUMPS[0]}")
    assert managed.states(path) == {PUMPS[0]: "deregistered", PUMPS[1]: "pending"}
    assert managed.states(path, 120) == {PUMPS[0]: "deregistered", PUMPS[1]: "deployed"}
    assert managed.counts(path) == {"total": 2, "success": 1, "failed": 1}


def test_a_manifest_that_is_deleted_meanwhile_stops_the_campaign(managed: Account) -> None:
    path = managed.started(GOOD)
    assert managed.phase(path, 11) == "active"
    managed.delete(f"/v3/firmware-manifests/{managed.get(path)['root_manifest_id']}")
    assert managed.states(path) == dict.fromkeys(PUMPS[:2], "manifestremoved")
    campaign = managed.get(path)
    assert (campaign["phase"], campaign["autostop_reason"]) == ("stopping", "The manifest was removed")


def test_a_manifest_that_is_deleted_before_the_start_is_missed(managed: Account) -> None:
    path = managed.campaign(GOOD)
    managed.delete(f"/v3/firmware-manifests/{managed.get(path)['root_manifest_id']}")
    managed.post(f"{path}/start", 400)


def test_devices_cannot_install_an_image_that_is_gone(managed: Account) -> None:
    path = managed.started(GOOD)
    managed.delete(f"/v3/firmware-images/{managed.ids('/v3/firmware-images')[0]}")
    assert set(managed.states(path, 131).values()) == {"failed_connector_channel_update"}


# Lists.


def test_the_devices_of_a_campaign_have_pages(managed: Account) -> None:
    path = managed.started(ALL)
    managed.sim.advance(11)
    seen: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = managed.get(f"{path}/campaign-device-metadata/", limit=2, include="total_count", **after)
        seen += page["data"]
        assert page["total_count"] == 5
        if not page["has_more"]:
            break
        after = {"after": seen[-1]["id"]}
    assert sorted(entry["device_id"] for entry in seen) == PUMPS
    assert all(entry.keys() >= METADATA for entry in seen)
    assert {entry["object"] for entry in seen} == {"update-campaign-device-metadata"}
    managed.call("GET", f"{path}/campaign-device-metadata/", 400, params={"deployment_state__eq": "pending"})


def test_campaigns_are_listed_and_filtered(managed: Account) -> None:
    first, second = (managed.campaign(GOOD, name=name).rpartition("/")[2] for name in ("one", "two"))
    assert managed.ids("/v3/update-campaigns") == [first, second]
    assert managed.ids("/v3/update-campaigns", name__eq="two") == [second]
    assert managed.ids("/v3/update-campaigns", device_filter__neq=GOOD) == []
    managed.post(f"/v3/update-campaigns/{first}/start", 202)
    assert managed.ids("/v3/update-campaigns", started_at__gte="2020-01-01T00:00:00Z") == [first]


def test_two_campaigns_bring_a_device_two_images_one_after_the_other(managed: Account) -> None:
    first = managed.started(GOOD)
    managed.sim.advance(200)
    managed.upload("/v3/firmware-images", b"newer", name="newer")
    manifest = managed.upload("/v3/firmware-manifests", b"the newest", name="m")["id"]
    second = managed.started(GOOD, root_manifest_id=manifest)
    managed.sim.advance(200)
    assert managed.counts(first) == managed.counts(second) == {"total": 2, "success": 2}
    checksum = managed.get(f"/v3/devices/{PUMPS[0]}")["firmware_checksum"]
    # `manifest()` of the second campaign uploads an image of its own, which is not the one that was named.
    assert checksum == hashlib.sha256(b"newer").hexdigest()


def test_a_campaign_goes_on_where_a_simulator_with_a_database_was_ended(tmp_path: Any) -> None:
    database = str(tmp_path / "simulator.db")
    with account(database=database) as managed:
        path = managed.started(ALL)
        assert managed.states(path, 71)[PUMPS[0]] == "updated_connector_channel"
        before = managed.sim.world["device_management"]
    with account(database=database) as managed:
        assert managed.sim.world["device_management"] == before
        assert managed.states(path, 60)[PUMPS[0]] == "deployed"
        assert managed.phase(path, 10) == "stopped"
    with account(database=database) as managed:
        assert managed.counts(path) == {"total": 5, "success": 4, "failed": 1}
        assert managed.get(f"/v3/devices/{PUMPS[0]}")["firmware_checksum"] == CHECKSUM
        managed.delete(path)
    with account(database=database) as managed:
        assert managed.ids("/v3/update-campaigns") == []
