"""Devices that take a while: installing, failing, logging that ends, on a clock that the test moves."""

from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from simulated_fleet import APPS, DEVICES, small_world

from reconcile.simulator.serving import Running


def _world(**device: Any) -> dict[str, Any]:
    world = small_world()
    world["microvisor"]["devices"] = {DEVICES[0]: device}
    return world


def _target(client: httpx.Client, app: str) -> Any:
    return client.post(f"/v1/Devices/{DEVICES[0]}", data={"TargetApp": app}).json()["app"]


def _app(client: httpx.Client) -> Any:
    return client.get(f"/v1/Devices/{DEVICES[0]}").json()["app"]


def test_a_device_from_the_factory_has_no_app(client: httpx.Client) -> None:
    assert _app(client) is None


def test_targeting_only_targets(client: httpx.Client) -> None:
    app = _target(client, "sensor-1")
    assert (app["target_sid"], app["reported_sid"]) == (APPS[0], None)
    assert app["target_hash"] == client.get("/v1/Apps/sensor-1").json()["hash"]
    assert (app["update_status"], app["update_error_code"]) == ("pending", 0)


def test_a_device_installs_when_it_next_connects(client: httpx.Client, sim: Running) -> None:
    sim.put(_world(check_in_s=3600))
    targeted = _target(client, "sensor-1")
    sim.advance(3000)
    assert _app(client)["update_status"] == "pending"
    sim.advance(600)
    app = _app(client)
    assert (app["update_status"], app["reported_sid"]) == ("up-to-date", APPS[0])
    assert app["date_reported"] > targeted["date_targeted"]
    assert app["date_targeted"] == targeted["date_targeted"]


def test_a_device_that_is_offline_never_connects(client: httpx.Client, sim: Running) -> None:
    sim.put(_world(online=False))
    _target(client, "sensor-1")
    sim.advance(30 * 86400)
    assert _app(client)["update_status"] == "pending"


def test_a_device_that_comes_online_connects_after_that_and_not_before(client: httpx.Client, sim: Running) -> None:
    sim.put(_world(online=False))
    _target(client, "sensor-1")
    sim.advance(1000)
    world = sim.world
    world["microvisor"]["devices"][DEVICES[0]]["online"] = True
    sim.put(world)
    assert _app(client)["update_status"] == "pending"
    sim.advance(60)
    assert _app(client)["date_reported"] >= world["now"]


def test_a_device_that_cannot_update_reports_an_error_and_keeps_its_app(client: httpx.Client, sim: Running) -> None:
    sim.put(_world(fail_update=True, app={"target_sid": APPS[0], "reported_sid": APPS[0]}))
    _target(client, "sensor-2")
    sim.advance(60)
    app = _app(client)
    assert (app["update_status"], app["target_sid"], app["reported_sid"]) == ("error", APPS[1], APPS[0])
    assert app["update_error_code"] != 0
    assert _target(client, "sensor-2")["update_status"] == "pending"


def test_the_app_that_is_reported_already_is_up_to_date_at_once(client: httpx.Client, sim: Running) -> None:
    sim.put(_world(app={"target_sid": APPS[0], "reported_sid": APPS[0]}))
    assert _target(client, "sensor-2")["update_status"] == "pending"
    back = _target(client, "sensor-1")
    assert (back["update_status"], back["target_sid"]) == ("up-to-date", APPS[0])
    sim.advance(60)
    assert _app(client)["reported_sid"] == APPS[0]


def test_the_same_target_again_does_not_put_the_installation_off(client: httpx.Client, sim: Running) -> None:
    first = _target(client, "sensor-1")
    sim.advance(30)
    assert _target(client, "sensor-1") == first


def test_putting_back_the_world_does_not_put_the_installation_off(client: httpx.Client, sim: Running) -> None:
    _target(client, "sensor-1")
    sim.advance(30)
    sim.put(sim.world)
    sim.advance(31)
    assert _app(client)["update_status"] == "up-to-date"


@pytest.mark.parametrize("spelling", ["true", "True", "TRUE"])
def test_logging_ends_24_hours_after_it_was_enabled(client: httpx.Client, sim: Running, spelling: str) -> None:
    path = f"/v1/Devices/{DEVICES[0]}"
    answer = client.post(path, data={"LoggingEnabled": spelling})
    logging = answer.json()["logging"]
    expires = logging["date_expires"].replace("T", " ").replace("Z", "")
    now = parsedate_to_datetime(answer.headers["Date"])
    assert logging["enabled"] is True
    assert 24 * 3600 - 2 <= (now.fromisoformat(expires + "+00:00") - now).total_seconds() <= 24 * 3600
    sim.advance(23 * 3600)
    assert client.get(path).json()["logging"] == logging
    sim.advance(3600)
    assert client.get(path).json()["logging"] == {"enabled": False, "date_expires": None}


def test_enabling_logging_again_extends_it(client: httpx.Client, sim: Running) -> None:
    path = f"/v1/Devices/{DEVICES[0]}"
    first = client.post(path, data={"LoggingEnabled": "true"}).json()["logging"]
    sim.advance(20 * 3600)
    assert client.post(path, data={"LoggingEnabled": "true"}).json()["logging"]["date_expires"] > first["date_expires"]
    assert client.post(path, data={"LoggingEnabled": "false"}).json()["logging"]["enabled"] is False


def test_a_restart_is_counted_in_the_world_and_shows_nowhere_else(client: httpx.Client, sim: Running) -> None:
    path = f"/v1/Devices/{DEVICES[0]}"
    shown = client.get(path).json()
    after = client.post(path, data={"RestartApp": "true"}).json()
    assert {**after, "date_updated": shown["date_updated"]} == shown
    assert sim.world["microvisor"]["devices"][DEVICES[0]]["restarts"] == 1


def test_the_date_header_carries_the_simulated_time(client: httpx.Client, sim: Running) -> None:
    before = parsedate_to_datetime(client.get("/v1/Devices").headers["Date"])
    sim.advance(86400)
    for path in ("/v1/Devices", "/v1/Nothing", "/_sim/state"):
        passed = parsedate_to_datetime(client.get(path).headers["Date"]) - before
        assert passed.total_seconds() >= 86400
