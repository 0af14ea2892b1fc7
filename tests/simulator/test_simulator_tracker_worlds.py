"""Trackers in the world of a simulator: put and got, kept in a database, made as a fleet, met by faults."""

import ctypes
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_fleet import ACCOUNT, TOKEN
from simulated_trackers import AGENT, PASSWORD, USER, Agent, agents, seed_tracker

from reconcile.simulator import running, world_for
from reconcile.simulator.asset_tracker.defaults import DEFAULT
from reconcile.simulator.asset_tracker.floats import printed
from reconcile.simulator.asset_tracker.trackers import Trackers, dump, parse
from reconcile.simulator.clock import date

# The section.


def test_a_tracker_that_says_nothing_has_every_default() -> None:
    with agents(**{AGENT: {}}) as (agent,):
        tracker = agent.sim.world["trackers"][AGENT]
        assert tracker.pop("cfg_timestamp") == pytest.approx(time.time(), abs=60)
        assert tracker.pop("tracker_id").startswith("600a0002")
        assert tracker == {
            "username": USER,
            "password": PASSWORD,
            "reported": DEFAULT,
            "pending": None,
            "online": True,
            "scheme": "1.1",
            "published": False,
            "agent_log_level": "DEBUG",
            "fail_apply": False,
            "fallback": False,
            "next_connection": None,
        }


def test_what_a_reported_configuration_leaves_out_has_its_default_and_the_rest_stands() -> None:
    reported = {"updateId": "61", "connectingPeriod": 0.5, "alerts": {"batteryLow": {"threshold": 64.26}}}
    with agents(a={"reported": reported}) as (agent,):
        configuration = agent.get()["configuration"]
    assert configuration == {
        **DEFAULT,
        "updateId": "61",
        "connectingPeriod": 0.5,
        "alerts": {**DEFAULT["alerts"], "batteryLow": {"enabled": False, "threshold": 64.26}},
    }


def test_trackers_share_what_they_have_in_common() -> None:
    reported = json.loads(json.dumps({**DEFAULT, "connectingPeriod": 60}))
    section = {"a": {"reported": reported}, "b": {"reported": json.loads(json.dumps(DEFAULT))}, "c": {}}
    trackers = parse(section, ("trackers",), USER, PASSWORD, 0).by_agent
    assert trackers["b"].reported is trackers["c"].reported is DEFAULT
    assert trackers["a"].reported is not None
    for block in ("locationTracking", "alerts", "simUpdate"):
        assert trackers["a"].reported[block] is DEFAULT[block]


def test_putting_what_was_got_changes_nothing_not_even_the_next_connection() -> None:
    trackers: dict[str, dict[str, Any]] = {
        "waiting": {"pending": {"updateId": "u", "simUpdate": {"enabled": True}}},
        "offline": {"pending": {"updateId": "u"}, "online": False},
        "shipped": {"reported": None, "scheme": "1.0"},
        "broken": {"fail_apply": 3, "fallback": True, "agent_log_level": "ERROR", "cfg_timestamp": None},
        AGENT: seed_tracker(),
    }
    with agents(**trackers) as (waiting, *_):
        for _ in range(3):
            before = waiting.sim.world
            waiting.sim.put(before)
            assert {**waiting.sim.world, "now": before["now"]} == before
            waiting.sim.advance(59)
        assert waiting.wait(4)["updateId"] == "u"


def test_an_offline_tracker_that_comes_online_connects_after_its_period() -> None:
    with agents(a={"online": False, "pending": {"updateId": "u"}}) as (agent,):
        agent.sim.advance(86_400)
        world = agent.sim.world
        assert world["trackers"]["a"]["next_connection"] is None
        world["trackers"]["a"]["online"] = True
        agent.sim.put(world)
        assert agent.wait(178)["updateId"] == "myDefaultCfg"
        assert agent.wait(2)["updateId"] == "u"


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ([], ""),
        ({"": {}}, '[""]'),
        ({"v1": {}}, ".v1"),
        ({"_sim": {}}, "._sim"),
        ({"a": None}, ".a"),
        ({"a": {"onlin": True}}, ".a.onlin"),
        ({"a": {"online": 1}}, ".a.online"),
        ({"a": {"scheme": "2.0"}}, ".a.scheme"),
        ({"a": {"scheme": 1.1}}, ".a.scheme"),
        ({"a": {"username": ""}}, ".a.username"),
        ({"a": {"password": None}}, ".a.password"),
        ({"a": {"tracker_id": 7}}, ".a.tracker_id"),
        ({"a": {"cfg_timestamp": 1.5}}, ".a.cfg_timestamp"),
        ({"a": {"agent_log_level": "debug"}}, ".a.agent_log_level"),
        ({"a": {"fail_apply": "yes"}}, ".a.fail_apply"),
        ({"a": {"fail_apply": -1}}, ".a.fail_apply"),
        ({"a": {"fallback": 1}}, ".a.fallback"),
        ({"a": {"next_connection": "soon"}}, ".a.next_connection"),
        ({"a": {"reported": []}}, ".a.reported"),
        ({"a": {"reported": {"updateId": 61}}}, ".a.reported.updateId"),
        ({"a": {"reported": {"colour": 1}}}, ".a.reported.colour"),
        ({"a": {"reported": {"connectingPeriod": True}}}, ".a.reported.connectingPeriod"),
        ({"a": {"reported": {"connectingPeriod": 1e39}}}, ".a.reported.connectingPeriod"),
        ({"a": {"reported": {"alerts": {"batteryLow": 1}}}}, ".a.reported.alerts.batteryLow"),
        ({"a": {"reported": {"debug": {"logLevel": "WARN"}}}}, ".a.reported.debug.logLevel"),
        (
            {"a": {"reported": {"locationTracking": {"repossessionMode": {"after": 2**31}}}}},
            ".a.reported.locationTracking.repossessionMode.after",
        ),
        (
            {"a": {"reported": {"locationTracking": {"bleDevices": {"generic": {"m": {"lon": 1}}}}}}},
            ".a.reported.locationTracking.bleDevices.generic.m.lon",
        ),
        ({"a": {"pending": {}}}, ".a.pending.updateId"),
        ({"a": {"pending": {"updateId": None}}}, ".a.pending.updateId"),
        ({"a": {"pending": {"updateId": "u", "simUpdate": {"duration": "5"}}}}, ".a.pending.simUpdate.duration"),
    ],
)
def test_a_wrong_shape_is_a_400_with_its_path_and_changes_nothing(section: Any, path: str) -> None:
    with agents(a={}) as (agent,):
        before = {**agent.sim.world, "now": None}
        answer = agent.http.put("/_sim/state", json={"trackers": section})
        assert (answer.status_code, answer.json()["path"]) == (400, f"$.trackers{path}")
        assert {**agent.sim.world, "now": None} == before


# Credentials of all trackers.


def test_credentials_of_the_trackers_can_be_asked_for_alone() -> None:
    with agents(a={}) as (agent,):
        answer = agent.http.get("/_sim/state?only=tracker_username,tracker_password,api_key").json()
        assert list(answer) == ["tracker_username", "tracker_password", "api_key"]
        assert (answer["tracker_username"], answer["tracker_password"]) == (USER, PASSWORD)


def test_a_world_that_is_put_later_keeps_the_credentials_of_the_trackers() -> None:
    with agents(a={}) as (agent,):
        agent.sim.put({"trackers": {"a": {}}})
        assert agent.get()
        agent.sim.put({"tracker_password": "another", "trackers": {"a": {}}})
        assert agent.http.get(agent.path).status_code == 401
        assert agent.http.get(agent.path, auth=(USER, "another")).status_code == 200


def test_generated_credentials_of_the_trackers_depend_on_the_seed_alone() -> None:
    passwords = []
    for seed in (1, 1, 2):
        with running(seed=seed) as sim:
            assert sim.world["tracker_username"] == "fleet"
            passwords.append(sim.world["tracker_password"])
    assert passwords[0] == passwords[1] != passwords[2]


# Fleets, and worlds for documents.


def test_a_fleet_of_trackers_has_ids_like_the_vendors_and_the_credentials_of_the_world() -> None:
    with agents(a={}) as (agent,):
        made = agent.http.post("/_sim/fleet", json={"trackers": 50, "seed": 7}).json()["trackers"]
        more = agent.http.post("/_sim/fleet", json={"trackers": 50, "seed": 7}).json()["trackers"]
        assert len({*made, *more}) == 100
        assert all(len(name) == 13 and name[0].isalnum() and name.isascii() for name in made)
        assert not set("".join(made)) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
        for name in (made[0], more[-1]):
            assert agent.http.get(f"/{name}/cfg").json()["configuration"]["updateId"] == "myDefaultCfg"
        assert len({tracker["tracker_id"] for tracker in agent.sim.world["trackers"].values()}) == 101
        agent.sim.put({})
        assert agent.http.post("/_sim/fleet", json={"trackers": 50, "seed": 7}).json()["trackers"] == made


def test_a_hundred_thousand_trackers_are_no_burden() -> None:
    with agents(a={}) as (agent,):
        made = agent.http.post("/_sim/fleet", json={"trackers": 100_000}, timeout=60).json()["trackers"]
        agent.path = f"/{made[-1]}/cfg"
        agent.stage("u1")
        began = time.monotonic()
        assert agent.wait(366 * 86_400)["updateId"] == "u1"
        # A look at each takes ten times as long, a walk over their connections minutes.
        assert time.monotonic() - began < 1


def test_the_world_for_a_document_has_its_trackers_as_from_the_factory() -> None:
    units = {"asset_tracker": {"trackers": [{"agent": AGENT}, {"agent": "other"}, {"agent": AGENT}]}}
    with running(world=world_for(units)) as sim:
        found = sim.world["trackers"]
        assert list(found) == [AGENT, "other"]
        for tracker in found.values():
            assert (tracker["reported"], tracker["username"]) == (DEFAULT, sim.world["tracker_username"])
            assert tracker["password"] == sim.world["tracker_password"]


@pytest.mark.parametrize("unit", [{}, {"agent": None}, {"agent": 7}, 7])
def test_units_of_another_shape_are_refused(unit: Any) -> None:
    with pytest.raises(ValueError, match=r"\$\.asset_tracker\.trackers\[0\]"):
        world_for({"asset_tracker": {"trackers": [unit]}})


# The server around it.


def test_trackers_and_devices_live_in_one_world() -> None:
    world = {"account_sid": ACCOUNT, "auth_token": TOKEN, "trackers": {"a": {"username": "u", "password": "p"}}}
    with running(world=world) as sim:
        assert httpx.get(f"{sim.url}/a/cfg", auth=("u", "p")).status_code == 200
        assert httpx.get(f"{sim.url}/a/cfg", auth=(ACCOUNT, TOKEN)).status_code == 401
        assert httpx.get(f"{sim.url}/v1/Devices", auth=("u", "p")).status_code == 401
        assert httpx.get(f"{sim.url}/v1/Devices", auth=(ACCOUNT, TOKEN)).status_code == 200


def test_answers_carry_the_simulated_date() -> None:
    with agents(a={}) as (agent,):
        agent.sim.put({**agent.sim.world, "now": "2021-01-01T12:00:00Z"})
        for answer in (agent.http.get(agent.path), agent.patch({}), agent.http.get("/nobody/cfg")):
            assert answer.headers["Date"].startswith("Fri, 01 Jan 2021 12:0")


def test_faults_meet_agents_in_the_shape_of_their_answers() -> None:
    with agents(a={}, b={}) as (agent, other):
        match = {"method": "PATCH", "path": "/a/*"}
        agent.sim.set_faults(
            {"match": match, "times": 1, "effect": {"status": 401}},
            {"match": match, "times": 1, "effect": {"status": 503}},
            {"match": match, "times": 1, "effect": {"drop": "after"}},
        )
        document = {"configuration": {"updateId": "u1"}}
        assert agent.patch(document).json() == {"message": "Unauthorized"}
        broken = agent.patch(document)
        assert (broken.status_code, broken.headers["Content-Type"]) == (503, "text/plain; charset=utf-8")
        assert agent.pending() is None
        with pytest.raises(httpx.TransportError):
            agent.patch(document)
        assert agent.pending() == "u1"
        assert other.patch(document).status_code == 200


def test_the_request_log_has_the_paths_of_agents() -> None:
    with agents(a={}) as (agent,):
        agent.get()
        agent.patch({})
        assert agent.sim.requests() == [
            {"n": 1, "method": "GET", "path": "/a/cfg", "status": 200},
            {"n": 2, "method": "PATCH", "path": "/a/cfg", "status": 400},
        ]


# The database.


def connected(path: Path, world: dict[str, Any] | None = None) -> Any:
    return running(world=world, database=str(path))


def agent_of(sim: Any, http: httpx.Client, name: str) -> Agent:
    http.base_url = httpx.URL(sim.url)
    return Agent(sim, http, name)


def test_trackers_are_the_same_after_a_restart_of_the_simulator(tmp_path: Path) -> None:
    world = {"tracker_password": PASSWORD, "trackers": {"a": {}, "b": {"online": False}, AGENT: seed_tracker()}}
    http = httpx.Client(auth=(USER, PASSWORD), verify=False, trust_env=False)
    with http, connected(tmp_path / "w.db", world) as sim:
        agent = agent_of(sim, http, "a")
        agent.stage("u1", readingPeriod=30)
        agent.sim.advance(180)
        agent.stage("u2", readingPeriod=40)
        agent.patch({"agentConfiguration": {"debug": {"logLevel": "ERROR"}}})
        agent_of(sim, http, "b").stage("u3")
        http.post("/_sim/fleet", json={"trackers": 2})
        before = sim.world
        assert before["trackers"]["a"]["reported"]["updateId"] == "u1"
    with connected(tmp_path / "w.db") as sim:
        assert {**sim.world, "now": before["now"]} == before
        sim.advance(180)
        assert sim.world["trackers"]["a"]["reported"]["updateId"] == "u2"


def test_a_tracker_goes_on_while_no_simulator_runs(tmp_path: Path) -> None:
    pending = {"updateId": "u1"}
    world = {"trackers": {"a": {"reported": {"connectingPeriod": 0.2}, "pending": pending}}}
    with connected(tmp_path / "w.db", world):
        time.sleep(0.2)
    with connected(tmp_path / "w.db") as sim:
        assert sim.world["trackers"]["a"]["reported"]["updateId"] == "u1"


def test_a_clock_in_the_past_is_kept_and_nothing_is_due_before_its_time(tmp_path: Path) -> None:
    world = {"now": "2021-01-01T00:00:00Z", "trackers": {"a": {"pending": {"updateId": "u1"}}}}
    with connected(tmp_path / "w.db", world):
        pass
    with connected(tmp_path / "w.db") as sim:
        assert sim.world["trackers"]["a"]["pending"] == {"updateId": "u1"}
        sim.advance(180)
        assert sim.world["trackers"]["a"]["reported"]["updateId"] == "u1"


def test_trackers_of_a_database_without_rows_for_them_get_rows(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    with connected(path, {"trackers": {}}):
        pass
    connection = sqlite3.connect(path)
    (text,) = connection.execute("SELECT value FROM world WHERE kind = 'world'").fetchone()
    row = json.loads(text)
    row["trackers"] = {"a": {"username": "fleet", "password": "p", "pending": None, "online": True, "scheme": "1.1"}}
    del row["tracker_username"], row["tracker_password"]
    connection.execute("UPDATE world SET value = ? WHERE kind = 'world'", (json.dumps(row),))
    connection.commit()
    connection.close()
    with connected(path) as sim:
        sim.advance(1)
    with connected(path) as sim:
        assert sim.world["trackers"]["a"]["password"] == "p"


# Whatever is sent.

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_block = st.fixed_dictionaries(
    {},
    optional={
        "updateId": _json | st.sampled_from(["u1", "myDefaultCfg"]),
        "connectingPeriod": _json | st.floats(10, 360_000),
        "locationTracking": _json
        | st.fixed_dictionaries({}, optional={"bleDevices": _json, "geofence": _json, "motionMonitoring": _json}),
        "alerts": _json | st.fixed_dictionaries({}, optional={"temperatureLow": _json, "temperatureHigh": _json}),
        "simUpdate": _json,
    },
)
_documents = _json | st.fixed_dictionaries(
    {}, optional={"configuration": _json | _block, "agentConfiguration": _json, "simUpdate": _json}
)


@pytest.fixture(scope="module")
def both() -> Any:
    with agents(a={"scheme": "1.0"}, b={"scheme": "1.1"}) as found:
        yield found


@given(st.sampled_from([0, 1]), _documents)
@settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_any_update_is_taken_or_refused_with_a_reason(both: list[Agent], which: int, document: Any) -> None:
    agent = both[which]
    body = json.dumps(document).encode()
    answer = agent.http.patch(agent.path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code == 400 and answer.text) or (answer.status_code == 200 and answer.text == "")
    agent.sim.advance(360_000)
    agent.sim.put(agent.sim.world)
    assert agent.get()["configuration"]


@given(st.floats(-6_371_009, 6_371_009, width=64))
@settings(max_examples=500, deadline=None, derandomize=True, database=None)
def test_a_number_is_printed_as_a_tracker_prints_it_and_stays_that_way(number: float) -> None:
    short = printed(number)
    assert f"{short:.8g}".lstrip("-") == f"{ctypes.c_float(number).value:.8g}".lstrip("-")
    assert printed(float(short)) == short


@given(st.integers(0, 4_000_000_000), st.floats(-1, 400_000), st.floats(0, 10_000_000))
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
def test_an_update_is_delivered_exactly_when_the_period_has_passed(begin: int, period: float, waited: float) -> None:
    section = {"a": {"reported": {"connectingPeriod": period}, "pending": {"updateId": "u"}}}
    trackers: Trackers = parse(section, ("trackers",), USER, PASSWORD, begin)
    trackers.settle(begin + waited)
    tracker = dump(trackers)["a"]
    delivered = begin + waited >= begin + max(0, period)
    assert (tracker["reported"]["updateId"] == "u") is delivered
    assert (tracker["pending"] is None) is delivered
    if delivered:
        assert tracker["cfg_timestamp"] == int(begin + max(0, period)), date(begin)
