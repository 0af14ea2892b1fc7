"""The vendor's own Python client, unchanged, against the simulator: only the host is another."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from simulated_fleet import ACCOUNT, APPS, DEVICES, TOKEN
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from reconcile.simulator.serving import Running


class _Redirected(TwilioHttpClient):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._to = urlsplit(url)

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        parts = urlsplit(url)
        return super().request(method, urlunsplit(self._to[:2] + parts[2:]), *args, **kwargs)


@pytest.fixture
def microvisor(sim: Running) -> Iterator[Any]:
    http = _Redirected(sim.url)
    yield Client(ACCOUNT, TOKEN, http_client=http).microvisor.v1
    http.session.close()


def test_client_lists_devices_page_by_page(microvisor: Any) -> None:
    assert [device.sid for device in microvisor.devices.list(page_size=1)] == DEVICES


def test_client_fetches_a_device_by_sid_and_by_name(microvisor: Any) -> None:
    device = microvisor.devices(DEVICES[1]).fetch()
    assert device.unique_name == "warehouse-7"
    assert device.app["reported_sid"] == APPS[0]
    assert device.date_created.tzinfo == UTC
    assert microvisor.devices("warehouse-7").fetch().sid == DEVICES[1]


def test_client_updates_a_device(microvisor: Any, sim: Running) -> None:
    device = microvisor.devices(DEVICES[0]).update(
        unique_name="dock-1", target_app="sensor-2", logging_enabled=True, restart_app=True
    )
    assert device.unique_name == "dock-1"
    assert device.app["target_sid"] == APPS[1]
    assert device.app["update_status"] == "pending"
    assert device.logging["enabled"] is True
    assert sim.world["microvisor"]["devices"][DEVICES[0]]["restarts"] == 1


@pytest.mark.parametrize("owner", ["account", "device"])
def test_client_creates_reads_updates_and_deletes_configs(microvisor: Any, owner: str) -> None:
    if owner == "account":
        collection, one = microvisor.account_configs, microvisor.account_configs
    else:
        collection = microvisor.devices(DEVICES[0]).device_configs
        one = microvisor.devices(DEVICES[0]).device_configs
    assert collection.create(key="interval", value="300").value == "300"
    assert one("interval").update(value="").value == ""
    fetched = one("interval").fetch()
    assert (fetched.key, fetched.value) == ("interval", "")
    assert isinstance(fetched.date_updated, datetime)
    assert "interval" in [config.key for config in collection.list()]
    assert one("interval").delete()
    with pytest.raises(TwilioRestException) as refused:
        one("interval").fetch()
    assert (refused.value.status, refused.value.code) == (404, 20404)


@pytest.mark.parametrize("owner", ["account", "device"])
def test_client_creates_rotates_and_deletes_secrets(microvisor: Any, owner: str) -> None:
    if owner == "account":
        secrets = microvisor.account_secrets
    else:
        secrets = microvisor.devices("warehouse-7").device_secrets
    assert secrets.create(key="pin", value="0000").key == "pin"
    assert isinstance(secrets("pin").update(value="1111").date_rotated, datetime)
    assert "pin" in [secret.key for secret in secrets.list(page_size=1)]
    assert secrets("pin").delete()


def test_client_reads_and_deletes_apps(microvisor: Any) -> None:
    assert [app.sid for app in microvisor.apps.list(page_size=1)] == APPS
    assert microvisor.apps("sensor-2").fetch().hash.startswith("sha256:")
    assert microvisor.apps(APPS[1]).app_manifests().fetch().app_sid == APPS[1]
    assert microvisor.apps(APPS[1]).delete()
    assert [app.sid for app in microvisor.apps.list()] == APPS[:1]


@pytest.mark.parametrize("key", ["a/b", "two words", "grün", "50%", "a:b@c", "a/b/c d"])
def test_keys_that_the_client_leaves_unencoded_are_found(microvisor: Any, key: str) -> None:
    for configs in (microvisor.account_configs, microvisor.devices("warehouse-7").device_configs):
        configs.create(key=key, value="1")
        assert configs(key).fetch().key == key
        assert configs(key).update(value="2").value == "2"
        assert configs(key).delete()


def test_client_sees_the_vendors_error_on_a_taken_name(microvisor: Any) -> None:
    with pytest.raises(TwilioRestException) as refused:
        microvisor.devices(DEVICES[0]).update(unique_name="warehouse-7")
    assert (refused.value.status, refused.value.code) == (409, 20409)
