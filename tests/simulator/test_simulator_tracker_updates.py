"""What an agent accepts and what it refuses: every range at its bounds, every group, every key."""

from collections.abc import Iterator
from typing import Any

import pytest
from simulated_trackers import SEED_CURL, SEED_EXAMPLE, SEED_UPDATE, Agent, agents, at, read

TRACKING = "locationTracking"
MOTION = f"{TRACKING}.motionMonitoring"
BLE = f"{TRACKING}.bleDevices"
FENCE = f"{TRACKING}.geofence"
MAC, UUID = "db9786256c43", "0112233445566778899aabbccddeeff0"

# What has to stand beside a setting in its object.
BESIDE: dict[str, dict[str, Any]] = {
    MOTION: {"movementAccMin": 0.1, "movementAccMax": 4},
    FENCE: {"lat": 0, "lng": 0, "radius": 0},
    f"{BLE}.generic.{MAC}": {"lat": 0, "lng": 0},
    f"{BLE}.iBeacon.{UUID}.0.65535": {"lat": 0, "lng": 0},
}

# Path, the bounds, and values just beyond them.
RANGES: list[tuple[str, float, float, float, float]] = [
    (f"{TRACKING}.locReadingPeriod", 10, 360_000, 9.99, 360_001),
    (f"{MOTION}.movementAccMin", 0.1, 4, 0.099, 4.001),
    (f"{MOTION}.movementAccMax", 0.1, 4, 0.099, 4.001),
    (f"{MOTION}.movementAccDur", 0.01, 1.27, 0.0099, 1.2701),
    (f"{MOTION}.motionTime", 1, 3600, 0.99, 3600.1),
    (f"{MOTION}.motionVelocity", 0.1, 20, 0.099, 20.001),
    (f"{MOTION}.motionDistance", 0.1, 1000, 0.099, 1000.1),
    (f"{MOTION}.motionStopTimeout", 10, 3600, 9.99, 3600.1),
    (f"{BLE}.generic.{MAC}.lat", -90, 90, -90.001, 90.001),
    (f"{BLE}.generic.{MAC}.lng", -180, 180, -180.001, 180.001),
    (f"{BLE}.iBeacon.{UUID}.0.65535.lat", -90, 90, -90.001, 90.001),
    (f"{BLE}.iBeacon.{UUID}.0.65535.lng", -180, 180, -180.001, 180.001),
    (f"{FENCE}.lat", -90, 90, -90.001, 90.001),
    (f"{FENCE}.lng", -180, 180, -180.001, 180.001),
    (f"{FENCE}.radius", 0, 6_371_009, -0.001, 6_371_010),
    ("connectingPeriod", 10, 360_000, 9.99, 360_001),
    ("readingPeriod", 10, 360_000, 9.99, 360_001),
    ("alerts.shockDetected.threshold", 0.016, 16, 0.0159, 16.001),
    ("alerts.temperatureLow.threshold", -90, 90, -90.001, 90.001),
    ("alerts.temperatureLow.hysteresis", 0.1, 10, 0.099, 10.001),
    ("alerts.temperatureHigh.threshold", -90, 90, -90.001, 90.001),
    ("alerts.temperatureHigh.hysteresis", 0.1, 10, 0.099, 10.001),
    ("alerts.batteryLow.threshold", 0, 100, -0.001, 100.001),
    ("alerts.tamperingDetected.pollingPeriod", 0.1, 86_400, 0.099, 86_401),
    ("simUpdate.duration", 5, 300, 4.99, 300.1),
]
SWITCHES = [
    f"{TRACKING}.alwaysOn",
    f"{MOTION}.enabled",
    f"{TRACKING}.repossessionMode.enabled",
    f"{BLE}.enabled",
    f"{FENCE}.enabled",
    *(
        f"alerts.{alert}.enabled"
        for alert in ("shockDetected", "temperatureLow", "temperatureHigh", "batteryLow", "tamperingDetected")
    ),
    "simUpdate.enabled",
]
OBJECTS = [
    TRACKING,
    MOTION,
    f"{TRACKING}.repossessionMode",
    BLE,
    f"{BLE}.generic",
    f"{BLE}.generic.{MAC}",
    f"{BLE}.iBeacon",
    f"{BLE}.iBeacon.{UUID}",
    f"{BLE}.iBeacon.{UUID}.1",
    f"{BLE}.iBeacon.{UUID}.1.2",
    FENCE,
    "alerts",
    "alerts.shockDetected",
    "alerts.temperatureLow",
    "alerts.temperatureHigh",
    "alerts.batteryLow",
    "alerts.tamperingDetected",
    "debug",
    "simUpdate",
]


@pytest.fixture(scope="module")
def both() -> Iterator[dict[str, Agent]]:
    """An agent of each scheme."""
    with agents(a={"scheme": "1.0"}, b={"scheme": "1.1"}) as (older, newer):
        yield {"1.0": older, "1.1": newer}


@pytest.fixture(params=["1.0", "1.1"])
def agent(request: pytest.FixtureRequest, both: dict[str, Agent]) -> Agent:
    return both[request.param]


def scheme_of(agent: Agent) -> str:
    version: str = agent.get()["description"]["cfgSchemeVersion"]
    return version


def update(agent: Agent, path: str, value: Any, beside: bool = True) -> dict[str, Any]:
    """A PATCH that sets one path of the configuration, with what its object demands, where the scheme has it."""
    nested = at(path, value)
    group, _, _ = path.rpartition(".")
    if beside and group in BESIDE:
        here = read(nested, group)
        for key, other in BESIDE[group].items():
            here.setdefault(key, other)
    document: dict[str, Any] = {"configuration": {"updateId": "next", **nested}}
    if "simUpdate" in nested and scheme_of(agent) == "1.0":
        document["simUpdate"] = document["configuration"].pop("simUpdate")
    return document


def refused(agent: Agent, document: Any) -> str:
    """The reason of a refusal, after which nothing has changed."""
    before = agent.get()
    answer = agent.patch(document)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert agent.get() == before
    return answer.text


# Ranges and types.


@pytest.mark.parametrize(("path", "least", "most", "below", "above"), RANGES, ids=[row[0] for row in RANGES])
def test_a_number_is_accepted_at_its_bounds_and_refused_beyond(
    agent: Agent, path: str, least: float, most: float, below: float, above: float
) -> None:
    for value in (least, most, float(least), float(most)):
        assert agent.patch(update(agent, path, value)).status_code == 200, value
    for value in (below, above, 1e300, -(10**30)):
        assert refused(agent, update(agent, path, value)).endswith(f"{path} - value not in range"), value


@pytest.mark.parametrize("path", [row[0] for row in RANGES])
@pytest.mark.parametrize("value", [True, "60", None, [60], {}])
def test_what_is_no_number_is_refused(agent: Agent, path: str, value: Any) -> None:
    assert refused(agent, update(agent, path, value)).endswith(f"{path} - type mismatch")


@pytest.mark.parametrize("path", SWITCHES)
def test_a_switch_is_true_or_false(agent: Agent, path: str) -> None:
    for value in (True, False):
        assert agent.patch(update(agent, path, value)).status_code == 200
    for wrong in (0, 1, "true", None):
        assert refused(agent, update(agent, path, wrong)).endswith(f"{path} - type mismatch")


@pytest.mark.parametrize("path", OBJECTS)
@pytest.mark.parametrize("value", [None, 1, "x", [], True])
def test_what_is_no_object_is_refused(agent: Agent, path: str, value: Any) -> None:
    assert refused(agent, update(agent, path, value, beside=False)).endswith(f"{path} - type mismatch")


@pytest.mark.parametrize("path", OBJECTS)
def test_an_unknown_key_is_refused_in_every_object(agent: Agent, path: str) -> None:
    reason = refused(agent, update(agent, f"{path}.colour", 1, beside=False))
    assert f"{path}.colour - " in reason
    assert any(word in reason for word in ("unknown key", "address error", "UUID error", '"major" error', '"minor"'))


def test_motion_distance_0_turns_it_off(agent: Agent) -> None:
    for value in (0, 0.0):
        assert agent.patch(update(agent, f"{MOTION}.motionDistance", value)).status_code == 200


def test_a_bound_is_met_in_single_precision(agent: Agent) -> None:
    # What a tracker prints for 0.01.
    assert agent.patch(update(agent, f"{MOTION}.movementAccDur", 0.0099999998)).status_code == 200


@pytest.mark.parametrize("value", [1_585_666_384, 0, -1, 2**31 - 1])
def test_repossession_takes_any_32_bit_integer(agent: Agent, value: int) -> None:
    """docs/apis/asset_tracker.md, "Settings and ranges": its range is declared and not enforced."""
    assert agent.patch(update(agent, f"{TRACKING}.repossessionMode.after", value)).status_code == 200


@pytest.mark.parametrize("value", [1_667_598_736.0, 1.5, 2**31, "1667598736", True, None])
def test_repossession_takes_no_other_number(agent: Agent, value: Any) -> None:
    reason = refused(agent, update(agent, f"{TRACKING}.repossessionMode.after", value))
    assert reason.endswith("after - type mismatch")


@pytest.mark.parametrize("block", ["configuration", "agentConfiguration"])
def test_a_log_level_is_one_of_three(agent: Agent, block: str) -> None:
    for level in ("ERROR", "INFO", "DEBUG"):
        document = {block: {"debug": {"logLevel": level}}}
        if block == "configuration":
            document[block]["updateId"] = f"level-{level}"  # type: ignore[assignment]
        assert agent.patch(document).status_code == 200
        for wrong in ("debug", "WARN", "", 1, None):
            document[block]["debug"] = {"logLevel": wrong}  # type: ignore[dict-item]
            assert "logLevel" in refused(agent, document)


@pytest.mark.parametrize("value", [None, 1, "x", [], {"colour": 1}, {"debug": {"colour": 1}}, {"debug": []}])
def test_what_is_no_agent_configuration_is_refused(agent: Agent, value: Any) -> None:
    assert "agentConfiguration" in refused(agent, {"agentConfiguration": value})


# The update as a whole.


@pytest.mark.parametrize("update_id", ["a", "x" * 50, "ü" * 50, "a b/c"])
def test_an_update_id_has_1_to_50_characters(agent: Agent, update_id: str) -> None:
    assert agent.patch({"configuration": {"updateId": update_id}}).status_code == 200
    assert agent.pending() == update_id


@pytest.mark.parametrize(
    ("update_id", "reason"),
    [("", "length not in range"), ("x" * 51, "length not in range"), (1, "type mismatch"), (None, "type mismatch")],
)
def test_another_update_id_is_refused(agent: Agent, update_id: Any, reason: str) -> None:
    assert refused(agent, {"configuration": {"updateId": update_id}}) == f"Field: configuration.updateId - {reason}"


def test_a_configuration_without_update_id_is_refused(agent: Agent) -> None:
    for configuration in ({}, {"connectingPeriod": 60}):
        assert refused(agent, {"configuration": configuration}) == "Field: configuration.updateId - not exist"


@pytest.mark.parametrize("document", [{}, {"colour": 1}, [], None, "x", 7])
def test_an_update_without_a_writable_block_is_refused(agent: Agent, document: Any) -> None:
    assert refused(agent, document)


def test_a_description_is_refused_whatever_is_beside_it(agent: Agent) -> None:
    document = {"description": {}, "agentConfiguration": {"debug": {"logLevel": "ERROR"}}}
    assert refused(agent, document) == "Field: description - read-only"


def test_an_unknown_block_is_refused(agent: Agent) -> None:
    document = {"debug": {"logLevel": "INFO"}, "configuration": {"updateId": "u"}}
    assert refused(agent, document) == "Field: debug - unknown key"


def test_keys_are_case_sensitive(agent: Agent) -> None:
    assert "ConnectingPeriod" in refused(agent, {"configuration": {"updateId": "u", "ConnectingPeriod": 60}})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{} {}",
        b"\xff",
        b'{"configuration": {"updateId": NaN}}',
        b"[" * 100_000,
        b'{"configuration": {"updateId": "\\ud800"}}',
        b'{"configuration": {"updateId": "u", "connectingPeriod": 1e999}}',
        b'{"\\udfff": 1, "configuration": {"updateId": "u"}}',
    ],
)
def test_what_is_no_json_is_refused(agent: Agent, body: bytes) -> None:
    before = agent.get()
    answer = agent.http.patch(agent.path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert answer.text
    assert agent.get() == before


def test_an_update_that_is_not_sent_as_json_is_refused(agent: Agent) -> None:
    body = b'{"configuration": {"updateId": "u"}}'
    for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}):
        assert agent.http.patch(agent.path, content=body, headers=headers).status_code == 400
    for accepted in ("application/json; charset=utf-8", "Application/JSON"):
        assert agent.http.patch(agent.path, content=body, headers={"Content-Type": accepted}).status_code == 200


def test_an_update_of_more_than_a_megabyte_is_refused(agent: Agent) -> None:
    beacons = {f"{n:012x}": {"lat": 0, "lng": 0} for n in range(40_000)}
    assert agent.patch(update(agent, f"{BLE}.generic", beacons, beside=False)).status_code == 413


# Settings that depend on each other.


@pytest.mark.parametrize(
    "motion",
    [{}, {"enabled": False}, {"motionTime": 5}, {"movementAccMin": 0.2}, {"enabled": True, "movementAccMax": 0.4}],
)
def test_motion_monitoring_without_its_range_is_refused(agent: Agent, motion: dict[str, Any]) -> None:
    reason = refused(agent, update(agent, MOTION, motion, beside=False))
    assert reason.endswith("specified together only: movementAccMin, movementAccMax")


def test_the_movement_range_may_be_a_point_and_not_be_turned_round(agent: Agent) -> None:
    same = {"movementAccMin": 0.15, "movementAccMax": 0.15}
    assert agent.patch(update(agent, MOTION, same, beside=False)).status_code == 200
    turned = {"movementAccMin": 0.3, "movementAccMax": 0.2}
    assert "movementAccMin" in refused(agent, update(agent, MOTION, turned, beside=False))


WHOLE_FENCE = {"lat": 59.91, "lng": 10.75, "radius": 500}


def test_1_1_refuses_every_geofence_without_its_three(both: dict[str, Agent]) -> None:
    agent = both["1.1"]
    assert agent.patch(update(agent, FENCE, WHOLE_FENCE, beside=False)).status_code == 200
    partial: list[dict[str, Any]] = [{}, {"enabled": False}]
    partial += [{key: value for key, value in WHOLE_FENCE.items() if key != gone} for gone in WHOLE_FENCE]
    for fence in partial:
        reason = refused(agent, update(agent, FENCE, fence, beside=False))
        assert reason.endswith("specified together only: lat, lng, radius")


def test_1_0_wants_latitude_and_longitude_of_a_geofence_together(both: dict[str, Agent]) -> None:
    agent = both["1.0"]
    for fence in (WHOLE_FENCE, {}, {"enabled": False}, {"radius": 500}, {"lat": 59.91, "lng": 10.75}):
        assert agent.patch(update(agent, FENCE, fence, beside=False)).status_code == 200
    for half in ({"lat": 59.91}, {"lng": 10.75, "radius": 500, "enabled": True}):
        assert "together only: lat, lng" in refused(agent, update(agent, FENCE, half, beside=False))


@pytest.mark.parametrize("path", [f"{BLE}.generic.{MAC}", f"{BLE}.iBeacon.{UUID}.1.2"])
@pytest.mark.parametrize("coordinates", [{}, {"lat": 1}, {"lng": 1}])
def test_a_beacon_without_its_coordinates_is_refused(agent: Agent, path: str, coordinates: dict[str, Any]) -> None:
    reason = refused(agent, update(agent, path, coordinates, beside=False))
    assert reason.endswith("specified together only: lat, lng")


def test_the_temperatures_are_compared_within_one_update(agent: Agent) -> None:
    def alerts(low: float, high: float) -> dict[str, Any]:
        return update(agent, "alerts", {"temperatureLow": {"threshold": low}, "temperatureHigh": {"threshold": high}})

    assert agent.patch(alerts(4, 4.5)).status_code == 200
    for low, high in ((4, 4), (8, 4)):
        assert "temperatureLow" in refused(agent, alerts(low, high))
    # The tracker reports a high of 25: an agent does not look at it.
    assert agent.patch(update(agent, "alerts.temperatureLow.threshold", 30)).status_code == 200


def test_a_shock_threshold_above_4_g_is_accepted_with_a_sensitive_motion_monitor(agent: Agent) -> None:
    document = update(agent, f"{MOTION}.movementAccMin", 0.1)
    document["configuration"]["alerts"] = {"shockDetected": {"threshold": 8}}
    assert agent.patch(document).status_code == 200


# Beacons.


@pytest.mark.parametrize("uuid", [UUID, "f" * 32])
@pytest.mark.parametrize("number", ["0", "7", "65535", "00012"])
def test_ibeacons_have_a_lowercase_uuid_and_16_bit_numbers(agent: Agent, uuid: str, number: str) -> None:
    beacons = {uuid: {number: {number: {"lat": 1, "lng": 2}}}}
    assert agent.patch(update(agent, f"{BLE}.iBeacon", beacons, beside=False)).status_code == 200


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ((UUID.upper(), "1", "2"), "iBeacon UUID error"),
        ((UUID[:-1], "1", "2"), "iBeacon UUID error"),
        (("01122334-4556-6778-899a-abbccddeeff0", "1", "2"), "iBeacon UUID error"),
        ((UUID, "65536", "2"), 'iBeacon "major" error (more than 65535)'),
        ((UUID, "1", "65536"), 'iBeacon "minor" error (more than 65535)'),
        ((UUID, "-1", "2"), 'iBeacon "major" error'),
        ((UUID, "1", "x"), 'iBeacon "minor" error'),
        ((UUID, "1", ""), 'iBeacon "minor" error'),
        ((UUID, "000001", "1"), 'iBeacon "major" error'),
        ((UUID, "١", "1"), 'iBeacon "major" error'),
    ],
)
def test_other_ibeacons_are_refused(agent: Agent, keys: tuple[str, str, str], reason: str) -> None:
    uuid, major, minor = keys
    beacons = {uuid: {major: {minor: {"lat": 1, "lng": 2}}}}
    assert refused(agent, update(agent, f"{BLE}.iBeacon", beacons, beside=False)).endswith(f" - {reason}")


def accepts(agent: Agent, mac: str) -> bool:
    document = update(agent, f"{BLE}.generic", {mac: {"lat": 1, "lng": 2}}, beside=False)
    answer = agent.patch(document)
    assert answer.status_code == 200 or answer.text.endswith("Generic BLE device MAC address error")
    return answer.status_code == 200


@pytest.mark.parametrize("mac", ["0c2a69046a49", "0C2A69046A49"])
def test_both_schemes_take_12_hex_digits_for_a_mac(agent: Agent, mac: str) -> None:
    assert accepts(agent, mac)


@pytest.mark.parametrize("mac", ["0C:2A:69:04:6A:49", "0c:2a:69:04:6a:49"])
def test_1_0_alone_takes_colons_in_a_mac(both: dict[str, Agent], mac: str) -> None:
    assert accepts(both["1.0"], mac)
    assert not accepts(both["1.1"], mac)


@pytest.mark.parametrize("mac", ["", "0c2a69046a4", "0c2a69046a490", "0c2a69046a4g", "0c-2a-69-04-6a-49"])
def test_other_macs_are_refused(agent: Agent, mac: str) -> None:
    assert not accepts(agent, mac)


def test_empty_sets_are_accepted(agent: Agent) -> None:
    for beacons in ({"generic": {}, "iBeacon": {}}, {"iBeacon": {UUID: {}}}, {"iBeacon": {UUID: {"1": {}}}}):
        assert agent.patch(update(agent, BLE, beacons, beside=False)).status_code == 200


# simUpdate, which the schemes have in different places.


def test_1_0_refuses_sim_update_inside_the_configuration(both: dict[str, Agent]) -> None:
    document = {"configuration": {"updateId": "u", "simUpdate": {"enabled": True}}}
    assert refused(both["1.0"], document) == "Field: configuration.simUpdate - unknown key"


@pytest.mark.parametrize("beside", [{}, {"agentConfiguration": {"debug": {"logLevel": "ERROR"}}}])
def test_1_0_refuses_sim_update_without_a_new_update_id(both: dict[str, Agent], beside: dict[str, Any]) -> None:
    assert "configuration" in refused(both["1.0"], {"simUpdate": {"enabled": True}, **beside})


@pytest.mark.parametrize("value", [{"enabled": True, "duration": 60}, {"colour": 1}, None])
def test_1_1_takes_a_top_level_sim_update_and_drops_it(both: dict[str, Agent], value: Any) -> None:
    agent = both["1.1"]
    before = agent.get()
    assert agent.patch({"simUpdate": value}).status_code == 200
    assert agent.get() == before


# Scheme 1.0 as it was published, where that differs from the reference.


@pytest.fixture
def older() -> Iterator[Agent]:
    with agents(a={"scheme": "1.0", "published": True, "reported": {"connectingPeriod": 60}}) as (agent,):
        yield agent


def test_the_published_1_0_takes_12_digits_only(older: Agent) -> None:
    assert accepts(older, "0c2a69046a49") and accepts(older, "0C2A69046A49")
    assert not accepts(older, "0c:2a:69:04:6a:49")


def test_the_published_1_0_wants_a_whole_geofence(older: Agent) -> None:
    for part in ({"enabled": False}, {"lat": 1, "lng": 2}):
        assert older.patch(update(older, FENCE, part, beside=False)).status_code == 400
    assert older.patch(update(older, FENCE, {"lat": 1, "lng": 2, "radius": 3}, beside=False)).status_code == 200


def test_the_published_1_0_drops_a_sim_update_and_applies_the_rest(older: Agent) -> None:
    document = {"configuration": {"updateId": "u", "connectingPeriod": 61}, "simUpdate": {"enabled": True}}
    assert older.patch(document).status_code == 200
    older.sim.advance(61)
    answer = older.get()
    assert (answer["configuration"]["updateId"], answer["configuration"]["connectingPeriod"]) == ("u", 61)
    assert "simUpdate" not in answer and "simUpdate" not in answer["configuration"]


def test_the_published_1_0_replaces_a_set(older: Agent) -> None:
    for id, mac in (("1", "0c2a69046a49"), ("2", "aabbccddeeff")):
        sets = {"generic": {mac: {"lat": 1, "lng": 2}}, "iBeacon": {}}
        tracking = {"locationTracking": {"bleDevices": sets}}
        assert older.patch({"configuration": {"updateId": id, **tracking}}).status_code == 200
        older.sim.advance(61)
    assert list(read(older.get()["configuration"], f"{BLE}.generic")) == ["aabbccddeeff"]


def test_a_published_agent_takes_keys_that_it_does_not_know_and_reports_them(older: Agent, tmp_path: Any) -> None:
    assert older.patch({"configuration": {"updateId": "u", "mine": {"mode": 3}}}).status_code == 200
    older.sim.advance(61)
    assert older.get()["configuration"]["mine"] == {"mode": 3}
    older.sim.put(older.sim.world)
    assert older.get()["configuration"]["mine"] == {"mode": 3}


@pytest.mark.parametrize(
    ("tracking", "taken"),
    [
        ({"bleDevices": {"generic": {}}}, True),
        ({"bleDevices": {"generic": {}}, "locReadingPeriod": 30}, False),
        ({"bleDevices": {"iBeacon": {}}, "alwaysOn": True}, False),
        ({"bleDevices": {"iBeacon": {}}, "alwaysOn": False}, True),
        ({"bleDevices": {"generic": {}, "iBeacon": {}}, "locReadingPeriod": 30}, True),
        ({"bleDevices": {"enabled": False, "generic": {}}, "locReadingPeriod": 30}, True),
    ],
)
def test_a_tracker_that_reads_locations_cannot_apply_one_set_of_beacons(tracking: Any, taken: bool) -> None:
    reported = {"connectingPeriod": 60, "locationTracking": {"alwaysOn": True, "bleDevices": {"enabled": True}}}
    with agents(a={"reported": reported}) as (agent,):
        before = agent.get()["description"]["cfgTimestamp"]
        assert agent.patch({"configuration": {"updateId": "u", "locationTracking": tracking}}).status_code == 200
        agent.sim.advance(61)
        answer = agent.get()
    assert (answer["configuration"]["updateId"] == "u") is taken
    assert answer["description"]["cfgTimestamp"] > before and "pendingUpdateId" not in answer["description"]


# The documents of the vendor's reference.


def test_the_seeds_typical_update_is_accepted(agent: Agent) -> None:
    assert agent.patch(SEED_UPDATE).status_code == 200
    assert agent.pending() == "app_device_route_alpha_congig_update_47"


def test_the_seeds_curl_command_is_refused_for_its_lon(agent: Agent) -> None:
    assert refused(agent, SEED_CURL) == "Field: configuration.locationTracking.geofence.lon - unknown key"


def test_the_seeds_complete_configuration_can_be_sent_back_but_for_its_description(both: dict[str, Agent]) -> None:
    agent = both["1.0"]
    assert refused(agent, SEED_EXAMPLE) == "Field: description - read-only"
    document = {key: value for key, value in SEED_EXAMPLE.items() if key != "description"}
    assert agent.patch(document).status_code == 200
    assert agent.pending() == "61"
