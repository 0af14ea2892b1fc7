"""Worlds of Device Management: what is put comes back, what cannot be is refused, and a database keeps it."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_management import API_KEY, NOBODY, NORTH, PUMPS, Account, account, pumps_world

from reconcile.simulator import running, world_for
from reconcile.simulator.clock import date


def busy(managed: Account) -> None:
    """Something of every kind, a campaign in the middle of its way among it."""
    managed.put(f"/v3/devices/{PUMPS[0]}", name="renamed", custom_attributes={"a": "ø"})
    managed.post("/v3/devices", endpoint_name="new", connector_expiration_date="2030-01-01")
    managed.post("/v3/device-groups", name="south", description="d")
    managed.post(f"/v3/device-groups/{NORTH}/devices/add", 204, device_id=PUMPS[3])
    managed.post("/v2/device-shared-keys", endpoint_name="another endpoint", secret_hex="5b" * 16)
    managed.started("custom_attributes__line=1", approval_required=True)
    managed.started("name__eq=renamed", campaign_strategy="continuous")
    managed.campaign("name__eq=nobody")
    managed.sim.advance(75)
    managed.post(f"/v3/update-campaigns/{managed.ids('/v3/update-campaigns')[1]}/stop", 202)


def test_a_world_that_is_put_back_changes_nothing(managed: Account) -> None:
    busy(managed)
    world = managed.sim.world
    devices = managed.get("/v3/devices")
    managed.sim.put(world)
    assert managed.sim.world["device_management"] == world["device_management"]
    assert managed.get("/v3/devices") == devices


def test_a_world_that_is_put_back_goes_on_as_it_would_have(managed: Account) -> None:
    path = managed.started("name__neq=pump 5")
    managed.sim.advance(75)
    managed.sim.put(managed.sim.world)
    assert set(managed.states(path).values()) == {"updated_connector_channel"}
    assert set(managed.states(path, 45).values()) == {"updated_connector_channel"}
    assert set(managed.states(path, 12).values()) == {"deployed"}


def test_what_is_left_out_has_its_default(managed: Account) -> None:
    section = {
        "devices": {NOBODY: {}},
        "groups": {NOBODY: {}},
        "firmware_images": {NOBODY: {}},
        "firmware_manifests": {NOBODY: {}},
        "campaigns": {NOBODY: {}},
    }
    managed.sim.put({"api_key": API_KEY, "device_management": section})
    device = managed.get(f"/v3/devices/{NOBODY}")
    assert (device["endpoint_name"], device["name"], device["state"]) == (NOBODY, "", "registered")
    assert managed.get(f"/v3/device-groups/{NOBODY}")["name"] == NOBODY
    assert len(managed.get(f"/v3/firmware-images/{NOBODY}")["datafile_checksum"]) == 64
    assert managed.get(f"/v3/firmware-manifests/{NOBODY}")["timestamp"] is not None
    assert managed.get(f"/v3/update-campaigns/{NOBODY}")["phase"] == "draft"
    held = managed.sim.world["device_management"]
    assert held["approval_s"] == 60
    assert held["devices"][NOBODY]["check_in_s"] == 60
    assert held["devices"][NOBODY]["online"] is True
    assert held["devices"][NOBODY]["fail_update"] is False
    assert held["groups"][NOBODY]["devices"] == []
    assert held["campaigns"][NOBODY]["devices"] == {}


def test_an_active_campaign_of_a_world_has_the_devices_that_match(managed: Account) -> None:
    world = pumps_world()
    world["device_management"]["campaigns"] = {
        NOBODY: {"phase": "active", "device_filter": "custom_attributes__line=0"},
        NORTH: {"phase": "stopped", "devices": {PUMPS[0]: {"deployment_state": "deployed"}}},
    }
    managed.sim.put(world)
    assert managed.states(f"/v3/update-campaigns/{NOBODY}") == {PUMPS[1]: "pending", PUMPS[3]: "pending"}
    assert managed.counts(f"/v3/update-campaigns/{NORTH}") == {"total": 1, "success": 1}


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ([], "$.device_management"),
        ({"nothing": {}}, "$.device_management.nothing"),
        ({"devices": []}, "$.device_management.devices"),
        ({"approval_s": -1}, "$.device_management.approval_s"),
        ({"devices": {"pump": {}}}, "$.device_management.devices.pump"),
        ({"devices": {NOBODY: []}}, f'$.device_management.devices["{NOBODY}"]'),
        ({"devices": {NOBODY: {"nmae": "x"}}}, f'$.device_management.devices["{NOBODY}"].nmae'),
        ({"devices": {NOBODY: {"name": 1}}}, f'$.device_management.devices["{NOBODY}"].name'),
        ({"devices": {NOBODY: {"online": 1}}}, f'$.device_management.devices["{NOBODY}"].online'),
        ({"devices": {NOBODY: {"check_in_s": 0}}}, f'$.device_management.devices["{NOBODY}"].check_in_s'),
        ({"devices": {NOBODY: {"created_at": "now"}}}, f'$.device_management.devices["{NOBODY}"].created_at'),
        ({"devices": {NOBODY: {"created_at": "2020-01-01"}}}, f'$.device_management.devices["{NOBODY}"].created_at'),
        (
            {"devices": {NOBODY: {"firmware_checksum": "x"}}},
            f'$.device_management.devices["{NOBODY}"].firmware_checksum',
        ),
        ({"start_fails": 1}, "$.device_management.start_fails"),
        ({"groups": {NOBODY: {"devices": {}}}}, f'$.device_management.groups["{NOBODY}"].devices'),
        ({"groups": {NOBODY: {"devices": [NORTH]}}}, f'$.device_management.groups["{NOBODY}"].devices[0]'),
        ({"groups": {NOBODY: {"name": "x"}, NORTH: {"name": "x"}}}, f'$.device_management.groups["{NORTH}"].name'),
        ({"campaigns": {NOBODY: {"phase": "lost"}}}, f'$.device_management.campaigns["{NOBODY}"].phase'),
        ({"campaigns": {NOBODY: {"device_filter": "x"}}}, f'$.device_management.campaigns["{NOBODY}"].device_filter'),
        (
            {"campaigns": {NOBODY: {"devices": {NORTH: {"deployment_state": "x"}}}}},
            f'$.device_management.campaigns["{NOBODY}"].devices["{NORTH}"].deployment_state',
        ),
        ({"shared_keys": {"short": {"secret_hex": "4a" * 16}}}, "$.device_management.shared_keys.short"),
        ({"shared_keys": {"x" * 16: {}}}, f"$.device_management.shared_keys.{'x' * 16}.secret_hex"),
        ({"shared_keys": {"x" * 16: {"secret_hex": "x"}}}, f"$.device_management.shared_keys.{'x' * 16}.secret_hex"),
    ],
)
def test_a_section_of_another_shape_is_refused_with_its_path(managed: Account, section: Any, path: str) -> None:
    before = managed.sim.world
    answer = httpx.put(f"{managed.sim.url}/_sim/state", json={"device_management": section}, trust_env=False)
    assert (answer.status_code, answer.json()["path"]) == (400, path)
    assert {**managed.sim.world, "now": ""} == {**before, "now": ""}


_hex = st.text("0123456789abcdef", min_size=32, max_size=32)
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=64)
_keys = st.from_regex(re.compile("[A-Za-z][a-z_ ]{0,20}"), fullmatch=True)
_dates = st.integers(0, 4_000_000_000).map(date)
_attributes = st.dictionaries(_keys, _texts, max_size=5)
_devices = st.fixed_dictionaries(
    {},
    optional={
        "name": _texts,
        "custom_attributes": _attributes,
        "auto_update": st.booleans(),
        "state": st.sampled_from(["unenrolled", "registered", "deregistered"]),
        "firmware_checksum": st.text("0123456789abcdef", min_size=64, max_size=64),
        "device_execution_mode": st.sampled_from([0, 1, 5]),
        "bootstrap_expiration_date": st.just("2030-01-01"),
        "manifest_timestamp": _dates,
        "created_at": _dates,
        "updated_at": _dates,
        "version": st.integers(1, 2_000_000),
        "online": st.booleans(),
        # Whole seconds: nothing is due within the second in which a world is put back.
        "check_in_s": st.integers(1, 100_000) | st.integers(1, 100_000).map(float),
        "fail_update": st.booleans(),
    },
)
_campaigns = st.fixed_dictionaries(
    {},
    optional={
        "name": _texts,
        "device_filter": st.sampled_from(["", "state=registered", "auto_update__eq=true&device_execution_mode__lte=1"]),
        "phase": st.sampled_from(
            ["draft", "awaiting_approval", "starting", "active", "stopping", "stopped", "archived"]
        ),
        "campaign_strategy": st.sampled_from(["one-shot", "continuous"]),
        "autostop": st.booleans(),
        "autostop_success_percent": st.integers(0, 100) | st.floats(0, 100),
        "approval_required": st.booleans(),
        "started_at": _dates,
        "starting_at": _dates,
        "active_at": _dates,
        "stopping_at": _dates,
        "requested_at": _dates,
        "devices": st.dictionaries(
            _hex,
            st.fixed_dictionaries(
                {}, optional={"deployment_state": st.sampled_from(["pending", "deployed"]), "updated_at": _dates}
            ),
            max_size=3,
        ),
    },
)
_sections = st.fixed_dictionaries(
    {},
    optional={
        "approval_s": st.none() | st.integers(0, 1000),
        "start_fails": st.none() | _texts,
        "devices": st.dictionaries(_hex, _devices, max_size=4),
        "groups": st.dictionaries(
            _hex, st.fixed_dictionaries({}, optional={"description": _texts, "custom_attributes": _attributes})
        ),
        "firmware_images": st.dictionaries(
            _hex, st.fixed_dictionaries({}, optional={"datafile_size": st.integers(0, 99)})
        ),
        "firmware_manifests": st.dictionaries(_hex, st.fixed_dictionaries({}, optional={"image_id": _hex})),
        "campaigns": st.dictionaries(_hex, _campaigns, max_size=3),
    },
)


@given(_sections)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_world_that_is_taken_is_stable(managed: Account, section: dict[str, Any]) -> None:
    managed.sim.put({"api_key": API_KEY, "device_management": section})
    first = managed.sim.world
    managed.sim.put(first)
    again = managed.sim.world
    if again["now"] == first["now"]:
        assert again["device_management"] == first["device_management"]
    managed.sim.advance(1000)
    ended = managed.sim.world
    managed.sim.put(ended)
    again = managed.sim.world
    if again["now"] == ended["now"]:
        assert again["device_management"] == ended["device_management"]


# Databases.


def test_a_database_keeps_everything(tmp_path: Path) -> None:
    database = str(tmp_path / "simulator.db")
    with account(database=database) as managed:
        busy(managed)
        kept = managed.sim.world
    with account(database=database) as managed:
        again = managed.sim.world
        assert again["device_management"] == kept["device_management"]
        assert managed.get(f"/v3/devices/{PUMPS[3]}")["groups"] == [NORTH]


def test_a_database_forgets_what_was_deleted(tmp_path: Path) -> None:
    database = str(tmp_path / "simulator.db")
    with account(database=database) as managed:
        managed.delete(f"/v3/devices/{PUMPS[0]}")
        managed.delete(f"/v3/device-groups/{NORTH}")
        managed.delete("/v2/device-shared-keys/endpoint-of-pump-1")
    with account(database=database) as managed:
        assert managed.ids("/v3/devices") == PUMPS[1:]
        assert managed.ids("/v3/device-groups") == []
        assert managed.get("/v2/device-shared-keys")["data"] == []


def test_what_was_due_while_no_simulator_ran_has_happened(tmp_path: Path) -> None:
    database = str(tmp_path / "simulator.db")
    with account(database=database) as managed:
        path = managed.started("name__eq=pump 1")
    # An hour passes: the offset of the clock is what is kept.
    with sqlite3.connect(database) as connection:
        [(row,)] = connection.execute("SELECT value FROM world WHERE kind = 'world'")
        moved = re.sub(r'"offset_s": [-0-9.e]+', '"offset_s": 3600.0', row)
        connection.execute("UPDATE world SET value = ? WHERE kind = 'world'", (moved,))
    with account(database=database) as managed:
        assert managed.states(path) == {PUMPS[0]: "deployed"}
        assert managed.phase(path) == "stopped"


# Worlds for units.


def test_a_world_is_made_for_units_as_from_the_factory() -> None:
    units = [
        {"id": PUMPS[0], "endpoint_name": "pump-0001", "name": "the name it will get"},
        {"id": PUMPS[1], "endpoint_name": None, "name": None},
        {"id": None, "endpoint_name": "pump-0003", "name": "x"},
        {"id": None, "endpoint_name": None, "name": "known by its name"},
        {"id": PUMPS[1]},
    ]
    world = world_for({"device_management": {"devices": units}})
    with running(world={**world, "api_key": API_KEY}) as sim:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        data = httpx.get(f"{sim.url}/v3/devices", headers=headers, trust_env=False).json()["data"]
    found = {device["endpoint_name"]: (device["id"], device["name"]) for device in data}
    assert found.pop("pump-0001") == (PUMPS[0], "")
    assert found.pop(PUMPS[1]) == (PUMPS[1], "")
    assert found.pop("pump-0003")[1] == ""
    assert [name for _, name in found.values()] == ["known by its name"]
    assert world == world_for({"device_management": {"devices": units}})


@pytest.mark.parametrize("unit", [{}, {"id": "pump"}, {"id": 1}, {"endpoint_name": 1}, "pump", {"name": None}])
def test_units_that_cannot_be_are_refused(unit: Any) -> None:
    with pytest.raises(ValueError, match=r"\$\.device_management\.devices\[0\]"):
        world_for({"device_management": {"devices": [unit]}})


def test_a_world_without_such_units_has_no_section() -> None:
    assert "device_management" not in world_for({"microvisor": {"devices": []}})
