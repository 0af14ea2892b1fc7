"""Faults that need a look at what is behind an answer: late work, the past, other units, listings that lie."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from simulated_fleet import APPS, DEVICES, bundle
from simulated_management import NORTH, PUMPS
from simulated_vendors import TRAILER, TRUCK, Vendors, all_vendors, client_of

from reconcile.simulator import Simulator, running
from reconcile.simulator.serving import Running


@pytest.fixture
def sim() -> Iterator[Running]:
    with running(world=all_vendors()) as simulator:
        yield simulator


@pytest.fixture
def http(sim: Running) -> Iterator[httpx.Client]:
    with client_of(sim) as client:
        yield client


def _until(holds: Callable[[], Any]) -> None:
    """Waits for something that a simulator does by itself."""
    for _ in range(1000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")


# A write of each vendor, and how a world shows that it was done.
WRITES: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = {
    "microvisor": (
        {"method": "POST", "url": "/v1/Configs", "data": {"Key": "k", "Value": "v"}},
        lambda world: "k" in world["microvisor"]["configs"],
    ),
    "upload": (
        {"method": "POST", "url": "/upload/v1/Apps", "files": {"File": bundle(main=b"x")}, "data": {"UniqueName": "n"}},
        lambda world: len(world["microvisor"]["apps"]) == len(APPS) + 1,
    ),
    "device_management": (
        {"method": "POST", "url": "/v3/firmware-images", "files": {"datafile": b"bytes"}, "data": {"name": "n"}},
        lambda world: len(world["device_management"]["firmware_images"]) == 1,
    ),
    "asset_tracker": (
        {"method": "PATCH", "url": f"/{TRUCK}/cfg", "json": {"configuration": {"updateId": "late"}}},
        lambda world: (world["trackers"][TRUCK]["pending"] or {}).get("updateId") == "late",
    ),
}


@pytest.mark.parametrize("write", WRITES)
def test_late_work_is_done_though_the_client_has_gone(sim: Running, http: httpx.Client, write: str) -> None:
    request, done = WRITES[write]
    sim.set_faults({"effect": {"late": True, "delay_s": 0.6}, "times": 1})
    with pytest.raises(httpx.ReadTimeout), client_of(sim) as impatient:
        impatient.request(**request, timeout=0.1)
    assert not done(sim.world)
    _until(lambda: done(sim.world))
    assert len(sim.requests()) == 1


def test_without_late_the_work_of_a_client_that_has_gone_is_dropped(sim: Running) -> None:
    request, done = WRITES["microvisor"]
    sim.set_faults({"effect": {"delay_s": 0.1}, "times": 1})
    with pytest.raises(httpx.ReadTimeout), client_of(sim) as impatient:
        impatient.request(**request, timeout=0.02)
    time.sleep(0.3)
    assert not done(sim.world)


@pytest.mark.parametrize("write", WRITES)
def test_a_client_that_waits_gets_the_answer_of_late_work(sim: Running, http: httpx.Client, write: str) -> None:
    request, done = WRITES[write]
    sim.set_faults({"effect": {"late": True, "delay_s": 0.05}})
    began = time.monotonic()
    assert http.request(**request).status_code in (200, 201)
    assert time.monotonic() - began >= 0.05
    assert done(sim.world)
    assert sim.requests()[0]["status"] in (200, 201)


@pytest.mark.parametrize("write", WRITES)
def test_late_work_follows_a_status_that_comes_at_once(sim: Running, http: httpx.Client, write: str) -> None:
    request, done = WRITES[write]
    sim.set_faults({"effect": {"late": True, "delay_s": 0.5, "status": 504}, "times": 1})
    assert http.request(**request).status_code == 504
    assert not done(sim.world)
    _until(lambda: done(sim.world))
    assert sim.requests()[0]["status"] == 504


@pytest.mark.parametrize(("drop", "done_by_then"), [("before", False), ("after", True)])
def test_late_work_follows_or_goes_before_a_drop(
    sim: Running, http: httpx.Client, drop: str, done_by_then: bool
) -> None:
    request, done = WRITES["device_management"]
    sim.set_faults({"effect": {"late": True, "delay_s": 0.5, "drop": drop}, "times": 1})
    with pytest.raises(httpx.TransportError):
        http.request(**request)
    assert done(sim.world) is done_by_then
    _until(lambda: done(sim.world))
    assert sim.requests()[0]["status"] is None


def test_late_work_comes_after_what_others_did_meanwhile(sim: Running, http: httpx.Client) -> None:
    request, _ = WRITES["microvisor"]
    sim.set_faults({"match": {"method": "POST"}, "times": 1, "effect": {"late": True, "delay_s": 0.1, "status": 504}})
    http.request(**request)
    assert http.post("/v1/Configs", data={"Key": "k", "Value": "colleague"}).status_code == 201
    time.sleep(0.2)
    # A create of a key that is there changes nothing.
    assert sim.world["microvisor"]["configs"]["k"] == "colleague"


def test_late_work_with_wrong_credentials_is_not_done(sim: Running, http: httpx.Client) -> None:
    request, done = WRITES["microvisor"]
    sim.set_faults({"effect": {"late": True, "delay_s": 0}})
    assert http.request(**request, auth=("nobody", "x")).status_code == 401
    assert not done(sim.world)


def test_late_work_does_not_outlive_its_simulator(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    request, done = WRITES["microvisor"]
    database = str(tmp_path / "world.db")

    async def run() -> None:
        async with Simulator(world=all_vendors(), database=database) as simulator, httpx.AsyncClient() as http:
            fault = {"effect": {"late": True, "delay_s": 0.1, "status": 504}}
            await http.put(f"{simulator.url}/_sim/faults", json=[fault])
            late = {**request, "url": simulator.url + request["url"]}
            assert (await http.request(**late, auth=Vendors())).status_code == 504
        await asyncio.sleep(0.2)

    asyncio.run(run())
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]
    with running(database=database) as again:
        assert not done(again.world)


# What is read of each vendor, a write that changes it, and what the answers must be told apart by.
Change = tuple[str, Callable[[httpx.Client], httpx.Response], Callable[[Any], Any]]
CHANGES: dict[str, Change] = {
    "a device": (
        f"/v1/Devices/{DEVICES[0]}",
        lambda http: http.post(f"/v1/Devices/{DEVICES[0]}", data={"UniqueName": "new"}),
        lambda body: body["unique_name"],
    ),
    "the devices": (
        "/v1/Devices",
        lambda http: http.post(f"/v1/Devices/{DEVICES[0]}", data={"UniqueName": "new"}),
        lambda body: [device["unique_name"] for device in body["devices"]],
    ),
    "the configs": (
        "/v1/Configs",
        lambda http: http.post("/v1/Configs", data={"Key": "k", "Value": "v"}),
        lambda body: [config["key"] for config in body["configs"]],
    ),
    "a config that was not there": (
        "/v1/Configs/k",
        lambda http: http.post("/v1/Configs", data={"Key": "k", "Value": "v"}),
        lambda body: body.get("value"),
    ),
    "a config that is gone": (
        "/v1/Configs/mqtt_host",
        lambda http: http.delete("/v1/Configs/mqtt_host"),
        lambda body: body.get("value"),
    ),
    "a config of a device": (
        f"/v1/Devices/{DEVICES[1]}/Configs/site",
        lambda http: http.post(f"/v1/Devices/{DEVICES[1]}/Configs/site", data={"Value": "bergen"}),
        lambda body: body["value"],
    ),
    "a pump": (
        f"/v3/devices/{PUMPS[0]}",
        lambda http: http.put(f"/v3/devices/{PUMPS[0]}", json={"name": "new"}),
        lambda body: body["name"],
    ),
    "the pumps that a name finds": (
        "/v3/devices?name__eq=new",
        lambda http: http.put(f"/v3/devices/{PUMPS[0]}", json={"name": "new"}),
        lambda body: len(body["data"]),
    ),
    "the members of a group": (
        f"/v3/device-groups/{NORTH}/devices",
        lambda http: http.post(f"/v3/device-groups/{NORTH}/devices/remove", json={"device_id": PUMPS[0]}),
        lambda body: [device["id"] for device in body["data"]],
    ),
    "the images": (
        "/v3/firmware-images?include=total_count",
        lambda http: http.post("/v3/firmware-images", files={"datafile": b"bytes"}, data={"name": "n"}),
        lambda body: (len(body["data"]), body["total_count"]),
    ),
    "the shared keys": (
        "/v2/device-shared-keys",
        lambda http: http.delete("/v2/device-shared-keys/endpoint-of-pump-1"),
        lambda body: len(body["data"]),
    ),
    "a tracker": (
        f"/{TRUCK}/cfg",
        lambda http: http.patch(f"/{TRUCK}/cfg", json={"configuration": {"updateId": "u"}}),
        lambda body: body["description"].get("pendingUpdateId"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_stale_reading_is_of_as_many_seconds_ago(sim: Running, http: httpx.Client, change: str) -> None:
    path, write, told = CHANGES[change]
    # The tracker would fetch meanwhile what was staged.
    sim.put({**sim.world, "trackers": {TRUCK: {"online": False}}})
    old = told(http.get(path).json())
    sim.advance(10)
    assert write(http).is_success
    new = told(http.get(path).json())
    assert new != old
    sim.advance(10)
    seen = []
    for stale_s in (0, 5, 15, 10_000):
        sim.set_faults({"effect": {"stale_s": stale_s}})
        seen.append(told(http.get(path).json()))
    assert seen == [new, new, old, old]
    sim.set_faults()
    assert told(http.get(path).json()) == new


def test_a_stale_reading_shows_what_had_happened_by_itself(sim: Running, http: httpx.Client) -> None:
    """A device installs 60 s after it was targeted, a tracker fetches after 10 s: both between two writes."""
    http.post(f"/v1/Devices/{DEVICES[0]}", data={"TargetApp": APPS[1]})
    http.patch(f"/{TRUCK}/cfg", json={"configuration": {"updateId": "u"}})
    sim.advance(100)
    http.post(f"/v1/Devices/{DEVICES[0]}", data={"UniqueName": "new"})

    def seen(stale_s: float) -> tuple[str, Any, Any]:
        sim.set_faults({"effect": {"stale_s": stale_s}})
        device = http.get(f"/v1/Devices/{DEVICES[0]}").json()
        tracker = http.get(f"/{TRUCK}/cfg").json()
        update = tracker["configuration"]["updateId"]
        return device["app"]["update_status"], device["unique_name"], update == "u"

    assert [seen(s) for s in (98, 80, 20, 0)] == [
        ("pending", None, False),
        ("pending", None, True),
        ("up-to-date", None, True),
        ("up-to-date", "new", True),
    ]
    # Back again: what was worked out for a later moment has not become the past.
    assert seen(98) == ("pending", None, False)


def test_a_stale_campaign_is_in_the_phase_that_it_was_in(sim: Running, http: httpx.Client) -> None:
    http.post("/v3/firmware-images", files={"datafile": b"bytes"}, data={"name": "n"})
    manifest = http.post("/v3/firmware-manifests", files={"datafile": b"m"}, data={"name": "n"}).json()["id"]
    body = {"root_manifest_id": manifest, "device_filter": f"id__eq={PUMPS[0]}"}
    campaign = f"/v3/update-campaigns/{http.post('/v3/update-campaigns', json=body).json()['id']}"
    sim.advance(5)
    http.post(f"{campaign}/start")
    sim.advance(1000)
    phases = []
    for stale_s in (1004, 998, 980, 0):
        sim.set_faults({"effect": {"stale_s": stale_s}})
        phases.append(http.get(campaign).json()["phase"])
    assert phases == ["draft", "starting", "active", "stopped"]


def test_a_stale_fault_leaves_writes_alone(sim: Running, http: httpx.Client) -> None:
    sim.advance(100)
    sim.set_faults({"effect": {"stale_s": 50}})
    assert http.post("/v1/Configs", data={"Key": "k", "Value": "v"}).json()["value"] == "v"
    assert http.get("/v1/Configs/k").status_code == 404
    assert http.post("/v1/Configs/k", data={"Value": "w"}).json()["value"] == "w"
    assert http.delete("/v1/Configs/k").status_code == 204
    assert http.patch(f"/{TRUCK}/cfg", json={"configuration": {"updateId": "u"}}).status_code == 200
    assert sim.world["trackers"][TRUCK]["pending"] == {"updateId": "u"}


def test_a_world_that_is_put_has_no_past(sim: Running, http: httpx.Client) -> None:
    sim.advance(100)
    sim.put({**sim.world, "microvisor": {"configs": {"k": "v"}}})
    sim.set_faults({"effect": {"stale_s": 50}})
    assert [config["key"] for config in http.get("/v1/Configs").json()["configs"]] == ["k"]


def test_a_past_that_was_read_from_a_database_begins_there(tmp_path: Any) -> None:
    database = str(tmp_path / "world.db")
    with running(world=all_vendors(), database=database) as sim, client_of(sim) as http:
        http.post("/v1/Configs", data={"Key": "k", "Value": "old"})
        sim.advance(100)
    with running(database=database) as sim, client_of(sim) as http:
        sim.advance(10)
        http.post("/v1/Configs/k", data={"Value": "new"})
        sim.advance(10)
        for stale_s, value in ((15, "old"), (1000, "old"), (5, "new")):
            sim.set_faults({"effect": {"stale_s": stale_s}})
            assert http.get("/v1/Configs/k").json()["value"] == value


def _pages(http: httpx.Client, path: str, most: int = 20) -> list[httpx.Response]:
    """A listing as a client of its vendor follows it, ended after so many pages."""
    pages: list[httpx.Response] = []
    following: str | None = path
    while following is not None and len(pages) < most:
        pages.append(http.get(following))
        assert pages[-1].status_code == 200, pages[-1].text
        body = pages[-1].json()
        if "meta" in body:
            following = body["meta"]["next_page_url"]
        elif not body["has_more"] or not (body.get("continuation_marker") or body["data"]):
            following = None
        else:
            cursor = body.get("continuation_marker") or body["data"][-1]["id"]
            following = str(httpx.URL(path).copy_merge_params({"after": cursor}))
    return pages


def _members(page: httpx.Response) -> list[str]:
    body = page.json()
    members = body["data"] if "data" in body else body[body["meta"]["key"]]
    return [next(m[key] for key in ("sid", "key", "id", "endpoint_name") if key in m) for m in members]


def _listed(http: httpx.Client, path: str) -> list[str]:
    return [member for page in _pages(http, path) for member in _members(page)]


LISTINGS = {
    "/v1/Devices?PageSize=2": (DEVICES, f"/v1/Devices/{DEVICES[1]}"),
    "/v1/Apps?PageSize=1": (APPS, f"/v1/Apps/{APPS[1]}"),
    "/v1/Configs": (["mqtt_host"], None),
    f"/v1/Devices/{DEVICES[1]}/Secrets": (["wifi_psk"], None),
    "/v3/devices?limit=2": (PUMPS, f"/v3/devices/{PUMPS[1]}"),
    f"/v3/device-groups/{NORTH}/devices": (PUMPS[:2], f"/v3/devices/{PUMPS[1]}"),
    "/v3/device-groups": ([NORTH], None),
    "/v2/device-shared-keys": (["endpoint-of-pump-1"], "/v2/device-shared-keys/endpoint-of-pump-1"),
}


@pytest.mark.parametrize("paging", ["cursor", "offset"])
@pytest.mark.parametrize("listing", LISTINGS)
def test_a_listing_lacks_what_is_omitted_and_nothing_else(
    sim: Running, http: httpx.Client, listing: str, paging: str
) -> None:
    members, _ = LISTINGS[listing]
    world = sim.world
    sim.put({**world, "microvisor": {**world["microvisor"], "paging": paging}})
    assert _listed(http, listing) == members
    for member in members:
        sim.set_faults({"effect": {"omit": member}})
        assert _listed(http, listing) == [other for other in members if other != member]


@pytest.mark.parametrize("member", [(path, one) for path, (_, one) in LISTINGS.items() if one is not None])
def test_what_a_listing_omits_is_found_by_its_id(sim: Running, http: httpx.Client, member: tuple[str, str]) -> None:
    listing, path = member
    sim.set_faults({"effect": {"omit": path.rpartition("/")[2]}})
    assert path.rpartition("/")[2] not in _listed(http, listing)
    assert http.get(path).status_code == 200


def test_pages_and_counts_are_those_of_a_listing_without_what_is_omitted(sim: Running, http: httpx.Client) -> None:
    sim.set_faults({"effect": {"omit": PUMPS[0]}})
    pages = _pages(http, "/v3/devices?limit=2&include=total_count")
    assert [(_members(page), page.json()["has_more"]) for page in pages] == [(PUMPS[1:3], True), (PUMPS[3:5], False)]
    assert {page.json()["total_count"] for page in pages} == {4}
    found = http.get("/v3/devices?name__eq=pump 1&include=total_count").json()
    assert (found["data"], found["total_count"]) == ([], 0)
    sim.set_faults({"effect": {"omit": DEVICES[2]}})
    assert http.get("/v1/Devices?PageSize=2").json()["meta"]["next_page_url"] is None


OTHERS = {
    f"/v1/Devices/{DEVICES[0]}": (DEVICES[1], f"/v1/Devices/{DEVICES[1]}"),
    "/v1/Devices/warehouse-7": (DEVICES[0], f"/v1/Devices/{DEVICES[0]}"),
    f"/v1/Apps/{APPS[0]}": (APPS[1], f"/v1/Apps/{APPS[1]}"),
    f"/v1/Apps/{APPS[0]}/Manifest": (APPS[1], f"/v1/Apps/{APPS[1]}/Manifest"),
    "/v1/Configs/not_there": ("mqtt_host", "/v1/Configs/mqtt_host"),
    f"/v1/Devices/{DEVICES[1]}/Configs/not_there": ("site", f"/v1/Devices/{DEVICES[1]}/Configs/site"),
    f"/v1/Devices/{DEVICES[0]}/Configs/site": (DEVICES[1], f"/v1/Devices/{DEVICES[1]}/Configs/site"),
    f"/v1/Devices/{DEVICES[0]}/Configs": (DEVICES[1], f"/v1/Devices/{DEVICES[1]}/Configs"),
    f"/v3/devices/{PUMPS[0]}": (PUMPS[1], f"/v3/devices/{PUMPS[1]}"),
    "/v3/devices?name__eq=pump 1": (PUMPS[1], "/v3/devices?name__eq=pump 2"),
    "/v3/devices?filter=name__eq%3Dpump 1&limit=7": (PUMPS[1], "/v3/devices?name__eq=pump 2&limit=7"),
    f"/v3/device-groups/{'9' * 32}/devices": (NORTH, f"/v3/device-groups/{NORTH}/devices"),
    "/v2/device-shared-keys/another/endpoint": ("endpoint-of-pump-1", "/v2/device-shared-keys/endpoint-of-pump-1"),
    f"/{TRUCK}/cfg": (TRAILER, f"/{TRAILER}/cfg"),
}


def _body(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("asked", OTHERS)
def test_a_reading_is_answered_about_another_unit(sim: Running, http: httpx.Client, asked: str) -> None:
    id_, told = OTHERS[asked]
    wanted = _body(http.get(told))
    assert (before := http.get(asked)).status_code == 404 or before.json() != wanted
    sim.set_faults({"effect": {"other": id_}})
    assert _body(http.get(asked)) == wanted


# A write, whom it is answered about, and where that is read.
TOLD_OF_OTHERS: dict[str, tuple[dict[str, Any], str, str, int]] = {
    "update a device": (
        {"method": "POST", "url": f"/v1/Devices/{DEVICES[0]}", "data": {"UniqueName": "new"}},
        DEVICES[1],
        f"/v1/Devices/{DEVICES[1]}",
        200,
    ),
    "create a config": (
        {"method": "POST", "url": "/v1/Configs", "data": {"Key": "new", "Value": "v"}},
        "mqtt_host",
        "/v1/Configs/mqtt_host",
        201,
    ),
    "update a config": (
        {"method": "POST", "url": "/v1/Configs/mqtt_host", "data": {"Value": "new"}},
        "port",
        "/v1/Configs/port",
        200,
    ),
    "create a config of a device": (
        {"method": "POST", "url": f"/v1/Devices/{DEVICES[1]}/Configs", "data": {"Key": "new", "Value": "v"}},
        "site",
        f"/v1/Devices/{DEVICES[1]}/Configs/site",
        201,
    ),
    "create a config of another device": (
        {"method": "POST", "url": f"/v1/Devices/{DEVICES[0]}/Configs", "data": {"Key": "site", "Value": "new"}},
        DEVICES[1],
        f"/v1/Devices/{DEVICES[1]}/Configs/site",
        201,
    ),
    "upload an app": (
        {"method": "POST", "url": "/upload/v1/Apps", "files": {"File": bundle(new=b"x")}},
        APPS[0],
        f"/v1/Apps/{APPS[0]}",
        201,
    ),
    "update a pump": (
        {"method": "PUT", "url": f"/v3/devices/{PUMPS[0]}", "json": {"name": "new"}},
        PUMPS[1],
        f"/v3/devices/{PUMPS[1]}",
        200,
    ),
    "make a group": (
        {"method": "POST", "url": "/v3/device-groups", "json": {"name": "new"}},
        NORTH,
        f"/v3/device-groups/{NORTH}",
        201,
    ),
}


@pytest.mark.parametrize("write", TOLD_OF_OTHERS)
def test_a_write_is_done_and_answered_about_another_unit(sim: Running, http: httpx.Client, write: str) -> None:
    request, id_, path, status = TOLD_OF_OTHERS[write]
    assert http.post("/v1/Configs", data={"Key": "port", "Value": "1883"}).status_code == 201
    before = sim.world
    wanted = _body(http.get(path))
    sim.set_faults({"effect": {"other": id_}})
    answer = http.request(**request)
    assert (answer.status_code, answer.json()) == (status, wanted)
    after = sim.world
    assert {**after, "now": 0} != {**before, "now": 0}
    sim.set_faults()
    assert _body(http.get(path)) == wanted


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"method": "DELETE", "url": "/v1/Configs/mqtt_host"}, 204),
        ({"method": "PATCH", "url": f"/{TRUCK}/cfg", "json": {"configuration": {"updateId": "u"}}}, 200),
        ({"method": "POST", "url": f"/v3/device-groups/{NORTH}/devices/add", "json": {"device_id": PUMPS[4]}}, 204),
        ({"method": "POST", "url": "/v1/Configs", "data": {"Key": "mqtt_host", "Value": "v"}}, 409),
        ({"method": "GET", "url": "/v1/Configs"}, 200),
        ({"method": "GET", "url": "/v3/devices?limit=7"}, 200),
        ({"method": "GET", "url": "/v3"}, 404),
    ],
)
def test_an_answer_about_no_unit_stays_what_it_is(
    sim: Running, http: httpx.Client, request_: dict[str, Any], status: int
) -> None:
    world = sim.world
    usual = http.request(**request_)
    sim.put(world)
    sim.set_faults({"effect": {"other": "site"}})
    answer = http.request(**request_)
    assert answer.status_code == usual.status_code == status
    assert {**_parsed(answer), "request_id": 0} == {**_parsed(usual), "request_id": 0}


def _parsed(answer: httpx.Response) -> dict[str, Any]:
    return dict(answer.json()) if answer.content else {}


def test_another_unit_that_is_not_there_is_a_404(sim: Running, http: httpx.Client) -> None:
    sim.set_faults({"effect": {"other": "nobody"}})
    assert http.get(f"/v1/Devices/{DEVICES[0]}").status_code == 404
    assert http.get(f"/{TRUCK}/cfg").status_code == 404
    assert http.put(f"/v3/devices/{PUMPS[0]}", json={"name": "new"}).status_code == 404
    assert sim.world["device_management"]["devices"][PUMPS[0]]["name"] == "new"


ENDLESS = [path for path in LISTINGS if not path.startswith("/v3")]


@pytest.mark.parametrize("paging", ["cursor", "offset"])
@pytest.mark.parametrize("listing", ENDLESS)
def test_an_endless_listing_has_the_same_members_under_a_new_token_each_time(
    sim: Running, http: httpx.Client, listing: str, paging: str
) -> None:
    world = sim.world
    sim.put({**world, "microvisor": {**world["microvisor"], "paging": paging}})
    first = _members(http.get(listing))
    sim.set_faults({"effect": {"endless": True}})
    pages = _pages(http, listing)
    assert [_members(page) for page in pages] == [first] * 20
    assert len({str(page.url) for page in pages}) == 20


@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_an_endless_listing_whose_tokens_are_ids_has_as_many_as_members(
    sim: Running, http: httpx.Client, order: str
) -> None:
    sim.set_faults({"effect": {"endless": True}})
    pages = _pages(http, f"/v3/devices?order={order}&include=total_count")
    assert [sorted(_members(page)) for page in pages] == [PUMPS] * 20
    assert {page.json()["total_count"] for page in pages} == {5}
    assert all(page.json()["has_more"] for page in pages)
    assert len({_members(page)[-1] for page in pages[:5]}) == 5


@pytest.mark.parametrize("listing", LISTINGS)
def test_an_empty_endless_listing_names_another_page_that_is_empty(
    sim: Running, http: httpx.Client, listing: str
) -> None:
    sim.set_faults({"effect": {"endless": "empty"}})
    pages = _pages(http, listing)
    assert [_members(page) for page in pages] == [[]] * len(pages)
    if listing in ENDLESS:
        assert len({str(page.url) for page in pages}) == 20
    else:
        # There is no id to go on from.
        assert [page.json()["has_more"] for page in pages] == [True]


@pytest.mark.parametrize("endless", [True, "empty"])
@pytest.mark.parametrize("listing", ENDLESS)
def test_a_listing_goes_on_where_it_was_when_it_is_endless_no_more(
    sim: Running, http: httpx.Client, listing: str, endless: Any
) -> None:
    usual = [_members(page) for page in _pages(http, listing)]
    sim.set_faults({"effect": {"endless": endless}, "times": 3})
    spoiled = [] if endless == "empty" else usual[0]
    assert [_members(page) for page in _pages(http, listing)] == [spoiled] * 3 + usual


def test_effects_that_are_of_listings_leave_everything_else_alone(sim: Running, http: httpx.Client) -> None:
    paths = (f"/{TRUCK}/cfg", f"/v1/Devices/{DEVICES[0]}", f"/v3/devices/{PUMPS[0]}", "/nowhere")
    usual = [http.get(path) for path in paths]
    sim.set_faults({"effect": {"endless": True, "omit": PUMPS[0]}})
    for path, before in zip(paths, usual, strict=True):
        assert (after := http.get(path)).status_code == before.status_code
        assert after.json() == before.json()


def test_effects_are_combined(sim: Running, http: httpx.Client) -> None:
    http.post("/v1/Configs", data={"Key": "a", "Value": "v"})
    sim.advance(10)
    http.post("/v1/Configs", data={"Key": "b", "Value": "v"})
    effect = {"delay_s": 0.02, "stale_s": 5, "omit": "mqtt_host", "endless": True}
    sim.set_faults({"match": {"path": "/v1/Configs"}, "times": 3, "effect": effect})
    began = time.monotonic()
    pages = _pages(http, "/v1/Configs")
    assert time.monotonic() - began >= 0.06
    assert [_members(page) for page in pages] == [["a"]] * 3 + [["a", "b", "mqtt_host"]]
    sim.set_faults({"effect": {"late": True, "delay_s": 0.01, "stale_s": 5, "other": "a"}})
    assert http.get("/v1/Configs/b").json()["key"] == "a"
    sim.set_faults({"effect": {"stale_s": 15, "other": "b"}})
    assert http.get("/v1/Configs/a").status_code == 404


EFFECTS = [
    {"late": True, "delay_s": 0},
    {"late": True, "delay_s": 1.5, "status": 504, "body": "x"},
    {"late": True, "delay_s": 1, "drop": "before"},
    {"stale_s": 0.5},
    {"omit": "mqtt_host", "delay_s": 1},
    {"other": DEVICES[0], "stale_s": 3, "late": True, "delay_s": 2},
    {"endless": True},
    {"endless": "empty", "omit": PUMPS[0]},
]


def test_faults_that_were_answered_can_be_put(http: httpx.Client) -> None:
    assert http.put("/_sim/faults", json=[{"effect": effect, "times": 2} for effect in EFFECTS]).status_code == 204
    answered = http.get("/_sim/faults").json()
    assert [fault["effect"] for fault in answered] == EFFECTS
    assert http.put("/_sim/faults", json=answered).status_code == 204
    assert http.get("/_sim/faults").json() == answered


@pytest.mark.parametrize(
    ("effect", "path"),
    [
        ({"late": True}, "late"),
        ({"late": False, "delay_s": 1}, "late"),
        ({"late": 1, "delay_s": 1}, "late"),
        ({"late": "yes", "delay_s": 1}, "late"),
        ({"stale_s": -1}, "stale_s"),
        ({"stale_s": "5"}, "stale_s"),
        ({"stale_s": True}, "stale_s"),
        ({"stale_s": 1e300}, "stale_s"),
        ({"stale_s": None}, "stale_s"),
        ({"omit": ""}, "omit"),
        ({"omit": 1}, "omit"),
        ({"omit": ["a"]}, "omit"),
        ({"other": ""}, "other"),
        ({"other": None}, "other"),
        ({"endless": False}, "endless"),
        ({"endless": 1}, "endless"),
        ({"endless": "full"}, "endless"),
        ({"endless": []}, "endless"),
        ({"omit": "a", "status": 500}, "omit"),
        ({"endless": True, "drop": "after"}, "endless"),
        ({"stale_s": 1, "drop": "before"}, "stale_s"),
        ({"other": "a", "status": 200, "late": True, "delay_s": 1}, "other"),
        ({"omit": "a", "body": "x"}, "body"),
    ],
)
def test_an_effect_of_the_wrong_shape_is_a_400_with_its_path(http: httpx.Client, effect: Any, path: str) -> None:
    answer = http.put("/_sim/faults", json=[{"effect": effect}])
    assert (answer.status_code, answer.json()["path"]) == (400, f"$[0].effect.{path}")
    assert http.get("/_sim/faults").json() == []
