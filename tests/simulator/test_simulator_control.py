"""The control of the simulator: the world put and got, the clock, the fleet, the request log."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_fleet import ACCOUNT, APPS, DEVICES, TOKEN, small_world

from reconcile.simulator.clock import Clock, date
from reconcile.simulator.serving import Running
from reconcile.simulator.worlds import Credentials, parse

# The world.


def test_an_empty_world_has_everything_but_units(client: httpx.Client, sim: Running) -> None:
    assert client.put("/_sim/state", json={}).status_code == 204
    world = client.get("/_sim/state").json()
    assert world.pop("now")
    assert world == {
        "account_sid": ACCOUNT,
        "auth_token": TOKEN,
        "api_key": "ak_tests",
        "tracker_username": "fleet",
        "tracker_password": "password-of-the-trackers",
        "microvisor": {
            "api_keys": {},
            "secrets_update": True,
            "configs_update": True,
            "paging": "cursor",
            "older_device_shape": False,
            "apps": {},
            "configs": {},
            "secrets": {},
            "devices": {},
            "dates": {"configs": {}, "secrets": {}, "devices": {}},
        },
        "trackers": {},
        "device_management": {
            "approval_s": 60,
            "start_fails": None,
            "devices": {},
            "groups": {},
            "firmware_images": {},
            "firmware_manifests": {},
            "campaigns": {},
            "shared_keys": {},
        },
    }


def test_the_world_holds_the_values_of_secrets(sim: Running) -> None:
    microvisor = sim.world["microvisor"]
    assert microvisor["secrets"] == {"mqtt_password": "hunter2hunter2"}
    assert microvisor["devices"][DEVICES[1]]["secrets"] == {"wifi_psk": "hunter3hunter3"}


def test_credentials_can_be_replaced(client: httpx.Client, sim: Running) -> None:
    sim.put({**small_world(), "auth_token": "another"})
    assert client.get("/v1/Devices").status_code == 401
    assert client.get("/v1/Devices", auth=(ACCOUNT, "another")).status_code == 200


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100)
_entries = st.dictionaries(_names, _texts, max_size=3)
_hex = st.text("0123456789abcdefABCDEF", min_size=32, max_size=32)
_dates = st.integers(0, 4_000_000_000).map(date)
_maybe_app = st.none() | st.sampled_from(APPS)
_devices = st.fixed_dictionaries(
    {},
    optional={
        "app": st.none()
        | st.fixed_dictionaries(
            {"target_sid": _maybe_app, "reported_sid": _maybe_app},
            optional={
                "date_targeted": _dates,
                "update_status": st.sampled_from(["up-to-date", "pending", "error"]),
                "update_error_code": st.integers(0, 99),
            },
        ),
        "logging": st.fixed_dictionaries({"enabled": st.booleans()}, optional={"date_expires": st.none() | _dates}),
        "configs": _entries,
        "secrets": _entries,
        "online": st.booleans(),
        "check_in_s": st.integers(1, 10_000) | st.floats(0.5, 100),
        "fail_update": st.booleans(),
        "restarts": st.integers(0, 9),
        "date_created": _dates,
    },
)
_settings = st.fixed_dictionaries(
    {"updateId": _texts},
    optional={
        "connectingPeriod": st.integers(-1, 10_000) | st.floats(-1e38, 1e38),
        "locationTracking": st.fixed_dictionaries(
            {"alwaysOn": st.booleans()},
            optional={
                "bleDevices": st.fixed_dictionaries(
                    {"generic": st.dictionaries(_names, st.just({"lat": 1.5, "lng": 2}), max_size=2)}
                )
            },
        ),
        "simUpdate": st.fixed_dictionaries({}, optional={"enabled": st.booleans(), "duration": st.integers(0, 99)}),
    },
)
_trackers = st.fixed_dictionaries(
    {},
    optional={
        "username": _names,
        "password": _names,
        "reported": st.none() | _settings,
        "pending": st.none() | _settings,
        "online": st.booleans(),
        "scheme": st.sampled_from(["1.0", "1.1"]),
        "tracker_id": _texts,
        "cfg_timestamp": st.none() | st.integers(0, 4_000_000_000),
        "agent_log_level": st.sampled_from(["ERROR", "INFO", "DEBUG"]),
        "fail_apply": st.booleans() | st.integers(0, 3),
        "fallback": st.booleans(),
        "next_connection": st.none() | st.floats(0, 4_000_000_000),
    },
)
_worlds = st.fixed_dictionaries(
    {},
    optional={
        "now": _dates,
        "account_sid": _hex.map("AC".__add__),
        "auth_token": _names,
        "api_key": _names,
        "microvisor": st.fixed_dictionaries(
            {},
            optional={
                "apps": st.dictionaries(_hex.map("KA".__add__), st.just({}), max_size=2),
                "configs": _entries,
                "secrets": _entries,
                "devices": st.dictionaries(_hex.map("UV".__add__), _devices, max_size=3),
                "paging": st.sampled_from(["cursor", "offset"]),
                "secrets_update": st.booleans(),
            },
        ),
        "trackers": st.dictionaries(_names, _trackers, max_size=2),
    },
)


@given(_worlds)
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_putting_what_was_got_changes_nothing(document: dict[str, Any]) -> None:
    world = parse(document, Credentials(1), Clock())
    got = world.dump()
    again = parse(json.loads(json.dumps(got)), Credentials(2), world.clock).dump()
    assert list(got) == list(again)
    # Time goes on meanwhile; nothing else does.
    assert {**again, "now": got["now"]} == got


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | _texts, lambda x: st.lists(x) | st.dictionaries(_texts, x))
)
@settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_any_json_is_taken_or_refused_with_a_path(client: httpx.Client, value: Any) -> None:
    for method, path in (("PUT", "state"), ("PUT", "faults"), ("POST", "clock"), ("POST", "fleet")):
        answer = client.request(method, f"/_sim/{path}", content=json.dumps(value))
        if answer.status_code not in (200, 204):
            assert answer.status_code == 400
            assert answer.json()["path"].startswith("$")


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ([], "$"),
        ({"clock": 1}, "$.clock"),
        ({"now": "yesterday"}, "$.now"),
        ({"now": "1969-12-31T23:59:59Z"}, "$.now"),
        ({"account_sid": "AC1"}, "$.account_sid"),
        ({"auth_token": ""}, "$.auth_token"),
        ({"api_key": 7}, "$.api_key"),
        ({"trackers": {"a b": 1}}, '$.trackers["a b"]'),
        ({"microvisor": {"devices": []}}, "$.microvisor.devices"),
        ({"microvisor": {"devices": {"UV1": {}}}}, "$.microvisor.devices.UV1"),
        ({"microvisor": {"devices": {DEVICES[0]: {"onlin": True}}}}, f"$.microvisor.devices.{DEVICES[0]}.onlin"),
        ({"microvisor": {"devices": {DEVICES[0]: {"online": 1}}}}, f"$.microvisor.devices.{DEVICES[0]}.online"),
        ({"microvisor": {"devices": {DEVICES[0]: {"check_in_s": 0}}}}, f"$.microvisor.devices.{DEVICES[0]}.check_in_s"),
        (
            {"microvisor": {"devices": {DEVICES[0]: {"unique_name": ""}}}},
            f"$.microvisor.devices.{DEVICES[0]}.unique_name",
        ),
        (
            {"microvisor": {"devices": {DEVICES[0]: {"app": {"target_sid": "x"}}}}},
            f"$.microvisor.devices.{DEVICES[0]}.app.target_sid",
        ),
        ({"microvisor": {"configs": {"k": 300}}}, "$.microvisor.configs.k"),
        ({"microvisor": {"secrets": {"k" * 101: ""}}}, f"$.microvisor.secrets.{'k' * 101}"),
        ({"microvisor": {"configs": {"k": "v" * 4097}}}, "$.microvisor.configs.k"),
        ({"microvisor": {"configs": None}}, "$.microvisor.configs"),
        ({"microvisor": {"apps": {"x": {}}}}, "$.microvisor.apps.x"),
        ({"microvisor": {"apps": {APPS[0]: {"manifest": "!"}}}}, f"$.microvisor.apps.{APPS[0]}.manifest"),
        ({"microvisor": {"dates": {"configs": {}, "x": 1}}}, "$.microvisor.dates.x"),
        ({"microvisor": {"paging": "random"}}, "$.microvisor.paging"),
    ],
)
def test_a_wrong_shape_is_a_400_with_its_path_and_changes_nothing(
    client: httpx.Client, sim: Running, document: Any, path: str
) -> None:
    before = {**sim.world, "now": None}
    answer = client.put("/_sim/state", json=document)
    assert (answer.status_code, answer.json()["path"]) == (400, path)
    assert answer.json()["message"].startswith(f"{path}: ")
    assert {**sim.world, "now": None} == before


def test_two_units_cannot_have_one_name(client: httpx.Client) -> None:
    devices = {sid: {"unique_name": "twin"} for sid in DEVICES[:2]}
    answer = client.put("/_sim/state", json={"microvisor": {"devices": devices}})
    assert answer.json()["path"] == f"$.microvisor.devices.{DEVICES[1]}.unique_name"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"{} {}", b'{"now": NaN}', b"9" * 5000])
def test_what_is_no_json_is_a_400(client: httpx.Client, body: bytes) -> None:
    for path in ("state", "faults"):
        assert client.put(f"/_sim/{path}", content=body).status_code == 400


def test_half_of_a_surrogate_pair_is_refused(client: httpx.Client) -> None:
    answer = client.put("/_sim/state", content=b'{"microvisor": {"configs": {"k": "\\ud800"}}}')
    assert answer.json()["path"] == "$.microvisor.configs.k"


def test_wrong_calls_of_the_control_say_what_there_is(client: httpx.Client) -> None:
    unknown = client.get("/_sim/world")
    assert unknown.status_code == 404 and "/_sim/state" in unknown.json()["message"]
    wrong = client.delete("/_sim/state")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, PUT")


# The clock.


def test_now_sets_the_clock(client: httpx.Client, sim: Running) -> None:
    sim.put({**small_world(), "now": "2021-01-01T12:00:00Z"})
    assert client.get("/v1/Devices").headers["Date"].startswith("Fri, 01 Jan 2021 12:0")
    assert client.get(f"/v1/Devices/{DEVICES[0]}").json()["date_created"].startswith("2021-01-01T12:0")


def test_the_clock_answers_the_time_that_it_has_become(client: httpx.Client, sim: Running) -> None:
    sim.put({"now": "2021-01-01T12:00:00Z"})
    answer = client.post("/_sim/clock", json={"advance_s": 86400.5})
    assert answer.status_code == 200
    assert answer.json()["now"].startswith("2021-01-02T12:0")


@pytest.mark.parametrize("document", [{}, {"advance_s": -1}, {"advance_s": "1"}, {"advance_s": 1e300}, {"s": 1}, 7])
def test_the_clock_refuses_what_is_no_time_to_wait(client: httpx.Client, document: Any) -> None:
    assert client.post("/_sim/clock", json=document).status_code == 400


def test_the_clock_ends_with_the_year_9998(client: httpx.Client, sim: Running) -> None:
    sim.put({"now": "9998-12-31T00:00:00Z"})
    assert client.post("/_sim/clock", json={"advance_s": 2 * 86400}).status_code == 400
    assert client.get("/_sim/state").status_code == 200


# The fleet.


def test_a_fleet_depends_on_its_seed_alone(client: httpx.Client, sim: Running) -> None:
    fleets = []
    for _ in range(2):
        sim.put({})
        fleets.append(client.post("/_sim/fleet", json={"devices": 3, "trackers": 2, "seed": 5}).json())
    assert fleets[0] == fleets[1]
    assert [len(fleets[0][key]) for key in ("devices", "trackers")] == [3, 2]
    assert set(sim.world["microvisor"]["devices"]) == set(fleets[0]["devices"])
    assert set(sim.world["trackers"]) == set(fleets[0]["trackers"])


def test_the_same_seed_again_adds_the_next_units(client: httpx.Client, sim: Running) -> None:
    first = client.post("/_sim/fleet", json={"devices": 2}).json()["devices"]
    second = client.post("/_sim/fleet", json={"devices": 2}).json()["devices"]
    assert not set(first) & set(second)
    assert len(sim.world["microvisor"]["devices"]) == len(DEVICES) + 4


# The request log.


def test_the_log_has_every_request_of_the_vendors_paths_in_order(client: httpx.Client, sim: Running) -> None:
    client.get("/v1/Devices?PageSize=1")
    client.post("/v1/Configs", data={"Key": "k", "Value": "body-text"})
    client.get("/v1/Configs/a%2Fb")
    client.get("/v1/Devices", auth=("no", "body"))
    log = client.get("/_sim/requests").json()
    assert log == [
        {"n": 1, "method": "GET", "path": "/v1/Devices?PageSize=1", "status": 200},
        {"n": 2, "method": "POST", "path": "/v1/Configs", "status": 201},
        {"n": 3, "method": "GET", "path": "/v1/Configs/a%2Fb", "status": 404},
        {"n": 4, "method": "GET", "path": "/v1/Devices", "status": 401},
    ]
    assert "body-text" not in json.dumps(log)
    assert client.get("/_sim/requests?since=3").json() == log[3:]
    assert client.get("/_sim/requests?since=4").json() == []
    assert sim.requests(2) == log[2:]


@pytest.mark.parametrize("since", ["-1", "x", "", "9" * 99])
def test_the_log_refuses_a_place_that_is_no_number(client: httpx.Client, since: str) -> None:
    assert client.get(f"/_sim/requests?since={since}").status_code == 400
