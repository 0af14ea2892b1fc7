"""An agent and its tracker over time: what GET shows, what is staged, when it is delivered, what is then reported."""

from typing import Any

import httpx
import pytest
from simulated_trackers import AGENT, SEED_EXAMPLE, SEED_UPDATE, USER, agents, seed_tracker

SCHEMES = ["1.0", "1.1"]
UUID = "0112233445566778899aabbccddeeff0"


def sim_update_of(answer: dict[str, Any]) -> dict[str, Any]:
    inside: dict[str, Any] = answer["configuration"].get("simUpdate") or answer["simUpdate"]
    return inside


# What GET shows.


def test_1_1_answers_with_sim_update_inside_and_without_what_is_not_known() -> None:
    with agents(a={"cfg_timestamp": 1_651_659_656, "tracker_id": "600a0002d7026715"}) as (agent,):
        answer = agent.get()
        assert list(answer) == ["description", "configuration", "agentConfiguration"]
        assert answer["description"] == {
            "trackerId": "600a0002d7026715",
            "cfgTimestamp": 1_651_659_656,
            "cfgSchemeVersion": "1.1",
        }
        assert answer["configuration"]["simUpdate"] == {"enabled": False, "duration": 60}
        assert answer["agentConfiguration"] == {"debug": {"logLevel": "DEBUG"}}


def test_1_0_answers_with_sim_update_beside_and_null_for_what_is_not_known() -> None:
    with agents(a={"scheme": "1.0", "cfg_timestamp": None, "tracker_id": "600a0002d7026715"}) as (agent,):
        answer = agent.get()
        assert list(answer) == ["description", "configuration", "simUpdate", "agentConfiguration"]
        assert answer["description"] == {
            "trackerId": "600a0002d7026715",
            "cfgTimestamp": None,
            "cfgSchemeVersion": "1.0",
            "pendingUpdateId": None,
        }
        assert "simUpdate" not in answer["configuration"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_new_tracker_has_the_seeds_defaults(scheme: str) -> None:
    with agents(a={"scheme": scheme}) as (agent,):
        configuration = agent.get()["configuration"]
    assert configuration["updateId"] == "myDefaultCfg"
    assert (configuration["connectingPeriod"], configuration["readingPeriod"]) == (180, 60)
    tracking = configuration["locationTracking"]
    assert tracking["motionMonitoring"] == {
        "enabled": True,
        "movementAccMin": 0.2,
        "movementAccMax": 0.40000001,
        "movementAccDur": 0.25,
        "motionTime": 15,
        "motionVelocity": 0.5,
        "motionDistance": 5,
        "motionStopTimeout": 10,
    }
    assert tracking["repossessionMode"]["after"] == 1_667_598_736
    assert tracking["geofence"] == {"enabled": False, "lat": 0, "lng": 0, "radius": 0}
    assert configuration["alerts"]["shockDetected"] == {"enabled": True, "threshold": 8}
    assert configuration["alerts"]["batteryLow"] == {"enabled": False, "threshold": 12}


def test_the_seeds_example_is_answered_to_the_letter() -> None:
    with agents(**{AGENT: seed_tracker()}) as (agent,):
        assert agent.get() == SEED_EXAMPLE


@pytest.mark.parametrize(("scheme", "unknown"), [("1.0", {"cfgTimestamp": None, "pendingUpdateId": None}), ("1.1", {})])
def test_a_tracker_that_never_reported_has_no_configuration(scheme: str, unknown: dict[str, Any]) -> None:
    with agents(a={"reported": None, "scheme": scheme, "online": False, "tracker_id": "t"}) as (agent,):
        agent.sim.advance(86_400)
        assert agent.get() == {
            "description": {"trackerId": "t", "cfgSchemeVersion": scheme, **unknown},
            "agentConfiguration": {"debug": {"logLevel": "DEBUG"}},
        }


# Credentials, methods, paths.


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("credentials", [None, (USER, "wrong"), ("wrong", "password-of-the-trackers"), ("", "")])
def test_without_the_agents_credentials_there_is_a_401(method: str, credentials: tuple[str, str] | None) -> None:
    with agents(a={}) as (agent,):
        answer = httpx.request(method, agent.sim.url + agent.path, auth=credentials)
        assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})
        assert answer.headers["Content-Type"] == "application/json"


def test_the_header_is_compared_to_the_letter() -> None:
    with agents(a={"username": "u", "password": "p"}) as (agent,):
        for header, status in (("Basic dTpw", 200), ("basic dTpw", 401), ("Bearer dTpw", 401), ("Basic u:p", 401)):
            answer = httpx.get(agent.sim.url + agent.path, headers={"Authorization": header})
            assert answer.status_code == status


def test_every_agent_has_its_own_credentials() -> None:
    with agents(a={"username": "änn", "password": "pä:ss"}, b={}) as (own, shared):
        assert own.http.get(own.path).status_code == 401
        assert own.http.get(own.path, auth=httpx.BasicAuth("änn".encode(), "pä:ss".encode())).status_code == 200
        assert shared.get()


def test_an_agent_that_does_not_exist_is_a_404_whatever_the_credentials() -> None:
    with agents(a={}) as (agent,):
        for auth in ((USER, "password-of-the-trackers"), ("", "")):
            answer = httpx.get(f"{agent.sim.url}/nobody/cfg", auth=auth)
            assert (answer.status_code, answer.text) == (404, "Agent not found")


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "HEAD", "OPTIONS"])
def test_other_methods_are_not_allowed(method: str) -> None:
    with agents(a={}) as (agent,):
        answer = agent.http.request(method, agent.path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, PATCH")


@pytest.mark.parametrize(
    "path", ["/v1/cfg", "/v2/cfg", "/v3/cfg", "/upload/cfg", "/a", "/a/cfg/x", "/a/config", "//cfg"]
)
def test_other_paths_are_not_an_agents(path: str) -> None:
    with agents(a={}) as (agent,):
        answer = agent.http.get(path)
        assert answer.status_code in (401, 404)
        assert "description" not in answer.text and answer.text != "Agent not found"


@pytest.mark.parametrize("name", ["a-b_c", "Zürich", "a b", "a%b", "..."])
def test_any_one_segment_is_an_agent_id(name: str) -> None:
    with agents(**{name: {"tracker_id": name}}) as (agent,):
        path = "".join(f"%{byte:02x}" for byte in name.encode())
        assert agent.http.get(f"/{path}/cfg").json()["description"]["trackerId"] == name


# Staged updates.


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_update_is_pending_until_the_tracker_connects(scheme: str) -> None:
    with agents(a={"scheme": scheme}) as (agent,):
        before = agent.get()
        agent.stage("u1", connectingPeriod=60)
        staged = agent.get()
        assert staged["description"].pop("pendingUpdateId") == "u1"
        before["description"].pop("pendingUpdateId", None)
        assert staged == before
        agent.sim.advance(178)
        assert agent.pending() == "u1"
        configuration = agent.wait(2)
        assert agent.pending() is None
        assert configuration == {**before["configuration"], "updateId": "u1", "connectingPeriod": 60}


def test_the_next_update_is_fetched_after_the_period_that_was_applied() -> None:
    with agents(a={}) as (agent,):
        agent.stage("u1", connectingPeriod=3600)
        agent.sim.advance(180)
        agent.stage("u2", readingPeriod=30)
        assert agent.wait(3500)["updateId"] == "u1"
        assert agent.wait(100)["updateId"] == "u2"


def test_a_new_update_replaces_the_pending_one_whole_and_does_not_put_its_delivery_off() -> None:
    with agents(a={}) as (agent,):
        agent.stage("u1", connectingPeriod=60, readingPeriod=30)
        agent.sim.advance(100)
        agent.stage("u2", readingPeriod=40)
        assert agent.pending() == "u2"
        configuration = agent.wait(80)
        assert (configuration["updateId"], configuration["connectingPeriod"]) == ("u2", 180)
        assert configuration["readingPeriod"] == 40


def test_time_that_passes_by_itself_delivers_as_well() -> None:
    with agents(a={"reported": {"connectingPeriod": 0}}) as (agent,):
        agent.stage("u1")
        assert agent.get()["configuration"]["updateId"] == "u1"


def test_an_offline_tracker_never_fetches() -> None:
    with agents(a={"online": False}) as (agent,):
        agent.stage("u1")
        assert agent.wait(10 * 365 * 86_400)["updateId"] == "myDefaultCfg"
        assert agent.pending() == "u1"


def test_an_update_with_the_current_id_is_ignored_before_it_is_validated() -> None:
    with agents(a={"reported": {"updateId": "now"}, "pending": {"updateId": "other"}, "online": False}) as (agent,):
        before = agent.get()
        for document in (
            {"configuration": {"updateId": "now", "connectingPeriod": 60}},
            {"configuration": {"updateId": "now", "connectingPeriod": "nonsense"}, "description": {}},
            {"configuration": {"updateId": "now"}, "agentConfiguration": {"debug": {"logLevel": "ERROR"}}},
        ):
            answer = agent.patch(document)
            assert (answer.status_code, answer.text) == (200, "")
            assert agent.get() == before


def test_the_pending_id_can_be_sent_again() -> None:
    with agents(a={}) as (agent,):
        agent.stage("u1", readingPeriod=30)
        agent.stage("u1", readingPeriod=30)
        assert agent.wait(180)["readingPeriod"] == 30


def test_agent_settings_hold_at_once_and_need_no_id() -> None:
    with agents(a={"online": False}) as (agent,):
        assert agent.patch({"agentConfiguration": {"debug": {"logLevel": "INFO"}}}).status_code == 200
        answer = agent.get()
        assert answer["agentConfiguration"] == {"debug": {"logLevel": "INFO"}}
        assert "pendingUpdateId" not in answer["description"]
        assert answer["configuration"]["debug"] == {"logLevel": "DEBUG"}
        for nothing in ({}, {"debug": {}}):
            assert agent.patch({"agentConfiguration": nothing}).status_code == 200
        assert agent.get() == answer


def test_of_a_refused_update_nothing_holds() -> None:
    with agents(a={}) as (agent,):
        agent.stage("u1")
        before = agent.get()
        document = {"agentConfiguration": {"debug": {"logLevel": "ERROR"}}, "configuration": {"updateId": ""}}
        assert agent.patch(document).status_code == 400
        assert agent.get() == before


def test_the_seeds_typical_update_arrives() -> None:
    with agents(**{AGENT: {**seed_tracker(), "online": True}}) as (agent,):
        assert agent.patch(SEED_UPDATE).status_code == 200
        configuration = agent.wait(60)
        assert configuration["updateId"] == "app_device_route_alpha_congig_update_47"
        assert configuration["connectingPeriod"] == 30
        geofence = {"enabled": True, "lat": 51.502857, "lng": 0.0031370425, "radius": 500}
        assert configuration["locationTracking"]["geofence"] == geofence
        assert configuration["alerts"] == SEED_EXAMPLE["configuration"]["alerts"]


# A tracker that never reported.


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_tracker_in_shipment_takes_an_update_and_reports_when_it_first_connects(scheme: str) -> None:
    with agents(a={"reported": None, "scheme": scheme}) as (agent,):
        agent.stage("u1", connectingPeriod=60)
        staged = agent.get()
        assert staged["description"]["pendingUpdateId"] == "u1"
        assert "configuration" not in staged
        configuration = agent.wait(180)
        assert (configuration["updateId"], configuration["connectingPeriod"]) == ("u1", 60)
        assert configuration["readingPeriod"] == 60
        assert agent.get()["description"]["cfgTimestamp"] > 0


def test_a_tracker_in_shipment_reports_the_default_when_nothing_is_pending() -> None:
    with agents(a={"reported": None}) as (agent,):
        agent.sim.advance(179)
        assert "configuration" not in agent.get()
        assert agent.wait(1)["updateId"] == "myDefaultCfg"


# Delivered is not applied.


def test_an_update_that_cannot_be_applied_disappears_and_only_the_timestamp_is_new() -> None:
    with agents(a={"fail_apply": True, "cfg_timestamp": 1}) as (agent,):
        before = agent.get()
        for n in range(3):
            agent.stage(f"u{n}", readingPeriod=30)
            agent.sim.advance(180)
            after = agent.get()
            assert "pendingUpdateId" not in after["description"]
            assert after["configuration"] == before["configuration"]
            assert after["description"]["cfgTimestamp"] > before["description"]["cfgTimestamp"]
            before = after


def test_a_tracker_can_fail_a_number_of_times() -> None:
    with agents(a={"fail_apply": 2}) as (agent,):
        applied = []
        for n in range(3):
            agent.stage(f"u{n}")
            applied.append(agent.wait(180)["updateId"])
        assert applied == ["myDefaultCfg", "myDefaultCfg", "u2"]
        assert agent.sim.world["trackers"]["a"]["fail_apply"] is False


def test_a_restart_of_the_agent_loses_what_is_pending() -> None:
    with agents(a={}) as (agent,):
        agent.stage("u1")
        world = agent.sim.world
        world["trackers"]["a"]["pending"] = None
        agent.sim.put(world)
        assert agent.pending() is None
        assert agent.wait(86_400)["updateId"] == "myDefaultCfg"


def test_a_tracker_that_cannot_start_falls_back_to_the_default_once() -> None:
    reported = {"updateId": "u1", "connectingPeriod": 60, "readingPeriod": 30}
    with agents(a={"reported": reported, "fallback": True, "cfg_timestamp": 1}) as (agent,):
        assert agent.wait(50)["updateId"] == "u1"
        configuration = agent.wait(10)
        assert (configuration["updateId"], configuration["readingPeriod"]) == ("myDefaultCfg", 60)
        assert agent.get()["description"]["cfgTimestamp"] > 1
        agent.stage("u2", readingPeriod=40)
        assert agent.wait(180)["updateId"] == "u2"


def test_an_update_that_is_pending_at_a_fallback_is_applied_to_the_default() -> None:
    pending = {"updateId": "u2", "connectingPeriod": 90}
    with agents(a={"reported": {"updateId": "u1", "readingPeriod": 30}, "pending": pending, "fallback": True}) as (
        agent,
    ):
        configuration = agent.wait(180)
        assert (configuration["updateId"], configuration["readingPeriod"]) == ("u2", 60)
        assert configuration["connectingPeriod"] == 90


def test_the_timestamp_is_when_the_update_was_applied() -> None:
    with agents(a={"reported": {"connectingPeriod": 3600}}) as (agent,):
        agent.sim.put({**agent.sim.world, "now": "2021-01-01T00:00:00Z"})
        agent.stage("u1")
        agent.sim.advance(86_400)
        applied = agent.get()["description"]["cfgTimestamp"]
        # 2021-01-01T01:00:00Z, and the moments that the requests took.
        assert 0 <= applied - (1_609_459_200 + 3600) < 60


# Numbers.


@pytest.mark.parametrize(
    ("sent", "printed"),
    [
        (0.15, "0.15000001"),
        (64.256, "64.255997"),
        (51.502857552631525, "51.502857"),
        (0.003137042517757941, "0.0031370425"),
        (59.91, "59.91"),
        (127.1234567, "127.12346"),
        (16.0, "16"),
        (16, "16"),
        (-0.0, "0"),
        (1e-7, "1e-07"),
        (-33.8688, "-33.868801"),
    ],
)
def test_numbers_come_back_in_single_precision_with_8_digits(sent: float, printed: str) -> None:
    with agents(a={}) as (agent,):
        agent.stage("u1", locationTracking={"geofence": {"lat": 0, "lng": sent, "radius": 0}})
        agent.sim.advance(180)
        text = agent.http.get(agent.path).text
        assert f'"lng":{printed},' in text.replace("}", ",")


def test_integers_come_back_exactly() -> None:
    with agents(a={}) as (agent,):
        # As a 32-bit float this would be 1667598720.
        agent.stage("u1", locationTracking={"repossessionMode": {"after": 1_667_598_737}})
        assert agent.wait(180)["locationTracking"]["repossessionMode"]["after"] == 1_667_598_737


# Objects are merged; sets are replaced or added to.


def test_an_update_is_merged_field_by_field() -> None:
    with agents(a={}) as (agent,):
        before = agent.get()["configuration"]
        agent.stage(
            "u1",
            alerts={"batteryLow": {"threshold": 30}},
            locationTracking={"motionMonitoring": {"movementAccMin": 0.5, "movementAccMax": 1}},
            simUpdate={"enabled": True},
        )
        after = agent.wait(180)
        assert after["alerts"] == {**before["alerts"], "batteryLow": {"enabled": False, "threshold": 30}}
        assert after["simUpdate"] == {"enabled": True, "duration": 60}
        motion = before["locationTracking"]["motionMonitoring"]
        expected = {**motion, "movementAccMin": 0.5, "movementAccMax": 1}
        assert after["locationTracking"] == {**before["locationTracking"], "motionMonitoring": expected}


BEACONS = {
    "enabled": True,
    "generic": {"0c2a69046a49": {"lat": 1, "lng": 1}, "0c2a69046a50": {"lat": 2, "lng": 2}},
    "iBeacon": {UUID: {"1800": {"1286": {"lat": 1, "lng": 1}}}, "f" * 32: {"1": {"2": {"lat": 3, "lng": 3}}}},
}
NEW_GENERIC = {"0c2a69046a50": {"lat": 5, "lng": 5}, "0c2a69046a51": {"lat": 6, "lng": 6}}
NEW_IBEACON = {UUID: {"1800": {"1287": {"lat": 7, "lng": 7}}}}


def beacons_after(scheme: str) -> dict[str, Any]:
    with agents(a={"scheme": scheme, "reported": {"locationTracking": {"bleDevices": BEACONS}}}) as (agent,):
        agent.stage("u1", locationTracking={"bleDevices": {"generic": NEW_GENERIC}})
        assert agent.wait(180)["locationTracking"]["bleDevices"]["iBeacon"] == BEACONS["iBeacon"]
        agent.stage("u2", locationTracking={"bleDevices": {"iBeacon": NEW_IBEACON}})
        found: dict[str, Any] = agent.wait(180)["locationTracking"]["bleDevices"]
        return found


def test_1_1_replaces_each_set_of_beacons_whole() -> None:
    assert beacons_after("1.1") == {"enabled": True, "generic": NEW_GENERIC, "iBeacon": NEW_IBEACON}


def test_1_0_adds_to_the_sets_of_beacons_so_that_a_removal_does_not_take() -> None:
    assert beacons_after("1.0") == {
        "enabled": True,
        "generic": {
            "0c2a69046a49": {"lat": 1, "lng": 1},
            "0c2a69046a50": {"lat": 5, "lng": 5},
            "0c2a69046a51": {"lat": 6, "lng": 6},
        },
        "iBeacon": {
            UUID: {"1800": {"1286": {"lat": 1, "lng": 1}, "1287": {"lat": 7, "lng": 7}}},
            "f" * 32: {"1": {"2": {"lat": 3, "lng": 3}}},
        },
    }


@pytest.mark.parametrize(("scheme", "left"), [("1.1", 0), ("1.0", 2)])
def test_an_empty_set_empties_it_under_1_1_alone(scheme: str, left: int) -> None:
    with agents(a={"scheme": scheme, "reported": {"locationTracking": {"bleDevices": BEACONS}}}) as (agent,):
        agent.stage("u1", locationTracking={"bleDevices": {"generic": {}, "iBeacon": {}}})
        found = agent.wait(180)["locationTracking"]["bleDevices"]
        assert [len(found[key]) for key in ("generic", "iBeacon")] == [left, left]


# simUpdate.


def test_1_0_stages_a_top_level_sim_update_with_the_configuration() -> None:
    with agents(a={"scheme": "1.0"}) as (agent,):
        document = {"configuration": {"updateId": "u1"}, "simUpdate": {"enabled": True, "duration": 30}}
        assert agent.patch(document).status_code == 200
        assert sim_update_of(agent.get()) == {"enabled": False, "duration": 60}
        agent.sim.advance(180)
        answer = agent.get()
        assert answer["simUpdate"] == {"enabled": True, "duration": 30}
        assert answer["configuration"]["updateId"] == "u1"


def test_1_1_drops_a_top_level_sim_update_beside_a_configuration() -> None:
    with agents(a={}) as (agent,):
        document = {"configuration": {"updateId": "u1"}, "simUpdate": {"enabled": True, "duration": 30}}
        assert agent.patch(document).status_code == 200
        configuration = agent.wait(180)
        assert configuration["updateId"] == "u1"
        assert configuration["simUpdate"] == {"enabled": False, "duration": 60}
        assert "simUpdate" not in agent.get()


def test_1_1_stages_a_sim_update_inside_the_configuration() -> None:
    with agents(a={}) as (agent,):
        agent.stage("u1", simUpdate={"enabled": True})
        assert agent.get()["configuration"]["simUpdate"] == {"enabled": False, "duration": 60}
        assert agent.wait(180)["simUpdate"] == {"enabled": True, "duration": 60}
