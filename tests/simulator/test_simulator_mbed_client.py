"""The vendor's own Python client, unchanged, against the simulator: only the host is another."""

import hashlib
import io
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from simulated_management import API_KEY, IMAGE, NOBODY, NORTH, PUMPS, Account

with warnings.catch_warnings():
    # Its code is of 2019: escapes that Python has come to warn about.
    warnings.simplefilter("ignore")
    from mbed_cloud import SDK, ApiFilter, BootstrapAPI, DeviceDirectoryAPI, UpdateAPI
    from mbed_cloud.exceptions import CloudApiException
    from mbed_cloud.sdk import ApiErrorResponse

CHECKSUM = hashlib.sha256(IMAGE).hexdigest()


@pytest.fixture
def mbed(managed: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    sdk = SDK(api_key=API_KEY, host=managed.sim.url)
    yield sdk.foundation
    sdk.client.session.close()


@pytest.fixture
def older(managed: Account) -> dict[str, str]:
    """The configuration of the client's older interface."""
    return {"api_key": API_KEY, "host": managed.sim.url}


# The entities.


def test_client_lists_devices_page_by_page(mbed: Any, managed: Account) -> None:
    assert [device.id for device in mbed.device().list(page_size=2)] == PUMPS
    assert [device.id for device in mbed.device().list(order="DESC", max_results=3)] == PUMPS[:1:-1]
    assert len([entry for entry in managed.sim.requests() if entry["path"].startswith("/v3/devices")]) == 4


@pytest.mark.parametrize(
    ("definition", "found"),
    [
        ({"name": "pump 2"}, [1]),
        ({"endpoint_name": {"eq": "pump-0003"}}, [2]),
        ({"id": {"in": [PUMPS[3], PUMPS[0]]}}, [0, 3]),
        ({"name": {"neq": "pump 1", "nin": ["pump 2", "pump 3"]}}, [3, 4]),
        ({"created_at": {"gte": datetime(2024, 1, 2), "lte": datetime(2024, 1, 3, tzinfo=UTC)}}, [1, 2]),
        ({"auto_update": False, "state": "registered"}, [0, 1, 2, 3, 4]),
        ({"custom_attributes": {"line": "0"}}, [1, 3]),
        ({"custom_attributes__line": "0"}, [1, 3]),
    ],
)
def test_client_filters_devices(mbed: Any, definition: dict[str, Any], found: list[int]) -> None:
    chosen = ApiFilter(definition)
    assert [device.id for device in mbed.device().list(filter=chosen)] == [PUMPS[n] for n in found]


def test_client_counts_devices(mbed: Any) -> None:
    assert mbed.device().list(include="total_count").count() == 5


def test_client_reads_and_updates_a_device(mbed: Any) -> None:
    device = mbed.device(id=PUMPS[0]).read()
    assert (device.name, device.endpoint_name, device.state) == ("pump 1", "pump-0001", "registered")
    assert device.created_at == datetime(2024, 1, 1, tzinfo=UTC)
    # The client sends back all that it has read.
    device.name = "renamed"
    device.custom_attributes = {"site": "oslo"}
    device.update()
    again = mbed.device(id=PUMPS[0]).read()
    assert (again.name, again.custom_attributes, again.description) == ("renamed", {"site": "oslo"}, "")


def test_client_creates_and_deletes_a_device(mbed: Any) -> None:
    device = mbed.device(endpoint_name="pump-0006", name="pump 6", mechanism="connector", device_execution_mode=1)
    device.create()
    assert len(device.id) == 32
    device.delete()
    with pytest.raises(ApiErrorResponse) as refused:
        device.read()
    assert refused.value.status_code == 404


def test_client_sees_the_vendors_error(mbed: Any) -> None:
    with pytest.raises(ApiErrorResponse) as refused:
        mbed.device(id=PUMPS[0], name="x" * 129).update()
    assert refused.value.status_code == 400
    assert refused.value.content["type"] == "validation_error"
    assert refused.value.content["fields"][0]["name"] == "name"
    assert refused.value.content["request_id"] == refused.value.raw.headers["x-request-id"]


def test_client_keeps_a_group_and_its_members(mbed: Any) -> None:
    assert [group.name for group in mbed.device_group().list()] == ["north"]
    south = mbed.device_group(name="south", description="d", custom_attributes={"a": "b"}).create()
    for pump in PUMPS[3:]:
        mbed.device(id=pump).add_to_group(south.id)
    assert [device.id for device in south.devices()] == PUMPS[3:]
    assert south.read().devices_count == 2
    mbed.device(id=PUMPS[3]).remove_from_group(south.id)
    assert [device.id for device in south.devices(filter={"name": "pump 4"})] == []
    assert [group.id for group in mbed.device_group().list(filter={"devices_count": {"gte": 2}})] == [NORTH]
    south.name = "west"
    south.update()
    assert [group.name for group in mbed.device_group().list(filter={"name": {"in": ["west"]}})] == ["west"]
    south.delete()
    assert len(list(mbed.device_group().list())) == 1


def test_client_uploads_firmware(mbed: Any) -> None:
    image = mbed.firmware_image(name="pumps 1.2", description="d").create(io.BytesIO(IMAGE))
    assert (image.datafile_checksum, image.datafile_size) == (CHECKSUM, len(IMAGE))
    assert mbed.firmware_image(id=image.id).read().name == "pumps 1.2"
    # The client names fields as it calls them, and the API as that does.
    for chosen in ({"datafile_checksum": CHECKSUM}, {"datafile_url": image.datafile_url}):
        assert [found.id for found in mbed.firmware_image().list(filter=chosen)] == [image.id]
    manifest = mbed.firmware_manifest(name="m").create(io.BytesIO(b"\x30\x82"), io.BytesIO(b"table"))
    assert manifest.timestamp.tzinfo is not None
    assert manifest.key_table_url
    manifest.delete()
    image.delete()
    assert list(mbed.firmware_image().list()) == list(mbed.firmware_manifest().list()) == []


def test_client_runs_a_campaign(mbed: Any, managed: Account) -> None:
    mbed.firmware_image(name="i").create(io.BytesIO(IMAGE))
    manifest = mbed.firmware_manifest(name="m").create(io.BytesIO(b"\x30\x82"), None)
    campaign = mbed.update_campaign(name="first")
    campaign.device_filter_helper = {"id": {"in": PUMPS[:2]}, "custom_attributes": {"line": "1"}}
    campaign.create()
    assert campaign.device_filter == f"custom_attributes__line=1&id__in={PUMPS[0]},{PUMPS[1]}"
    # It sends back what it has read: no time, and no manifest yet.
    campaign.update()
    campaign.root_manifest_id = manifest.id
    campaign.update()
    campaign.start()
    assert campaign.read().phase == "starting"
    managed.sim.advance(75)
    states = {entry.device_id: entry.deployment_state for entry in campaign.device_metadata()}
    assert states == {PUMPS[0]: "updated_connector_channel"}
    assert {entry.campaign_id for entry in campaign.device_metadata()} == {campaign.id}
    with pytest.raises(ApiErrorResponse) as refused:
        campaign.delete()
    assert refused.value.status_code == 409
    managed.sim.advance(75)
    assert campaign.read().phase == "stopped"
    assert campaign.finished > campaign.started_at
    assert mbed.device(id=PUMPS[0]).read().firmware_checksum == CHECKSUM
    with pytest.raises(ApiErrorResponse):
        campaign.start()
    campaign.archive()
    assert campaign.read().phase == "archived"
    campaign.delete()
    assert list(mbed.update_campaign().list()) == []


def test_client_stops_a_campaign(mbed: Any, managed: Account) -> None:
    mbed.update_campaign(id=managed.started("state=registered").rpartition("/")[2]).stop()
    (campaign,) = mbed.update_campaign().list(filter={"device_filter": "state=registered"})
    assert campaign.phase == "stopping"


def test_client_keeps_shared_keys(mbed: Any) -> None:
    key = mbed.pre_shared_key()
    key.endpoint_name = "my-endpoint-0001"
    key.create(secret_hex="4a" * 16)
    assert isinstance(key.read().created_at, datetime)
    with pytest.raises(ApiErrorResponse) as refused:
        key.create(secret_hex="5b" * 16)
    assert refused.value.status_code == 409
    names = [found.endpoint_name for found in mbed.pre_shared_key().list(page_size=2)]
    assert names == ["endpoint-of-pump-1", "my-endpoint-0001"]
    key.delete()
    assert len(list(mbed.pre_shared_key().list())) == 1


# The older interface, which sends filters as one parameter.


def test_older_client_lists_and_filters_devices(older: dict[str, str], managed: Account) -> None:
    api = DeviceDirectoryAPI(older)
    assert [device.id for device in api.list_devices(limit=2)] == PUMPS[:2]
    chosen = {"name": {"$neq": "pump 1"}, "custom_attributes": {"line": {"$eq": "1"}}}
    assert [device.id for device in api.list_devices(filters=chosen)] == [PUMPS[2], PUMPS[4]]
    assert managed.sim.requests()[-1]["path"].startswith("/v3/devices/?filter=")
    assert [device.id for device in api.list_devices(filters={"alias": "pump-0002"})] == [PUMPS[1]]
    chosen = {"created_at": {"$gte": datetime(2024, 1, 4)}}
    assert [device.id for device in api.list_devices(filters=chosen)] == PUMPS[3:]


def test_older_client_counts_devices(older: dict[str, str], managed: Account) -> None:
    assert DeviceDirectoryAPI(older).list_devices(filters={"name": "pump 2"}).count() == 1
    assert "limit=2" in managed.sim.requests()[-1]["path"]


def test_older_client_changes_devices(older: dict[str, str]) -> None:
    api = DeviceDirectoryAPI(older)
    assert api.update_device(PUMPS[0], name="two words").name == "two words"
    assert [device.id for device in api.list_devices(filters={"name": "two words"})] == [PUMPS[0]]
    added = api.add_device(name="new", alias="pump-0006")
    assert api.get_device(added.id).alias == "pump-0006"
    api.delete_device(added.id)
    assert api.get_device(NOBODY) is None


def test_older_client_sees_the_vendors_error(older: dict[str, str]) -> None:
    with pytest.raises(CloudApiException) as refused:
        DeviceDirectoryAPI({**older, "api_key": "ak_another"}).get_device(PUMPS[0])
    assert refused.value.status == 401


def test_older_client_uploads_firmware_and_keeps_campaigns(older: dict[str, str], tmp_path: Any) -> None:
    file = tmp_path / "image.bin"
    file.write_bytes(IMAGE)
    api = UpdateAPI(older)
    assert api.add_firmware_image("image", str(file)).datafile_checksum == CHECKSUM
    manifest = api.add_firmware_manifest("manifest", str(file))
    assert [found.id for found in api.list_firmware_manifests()] == [manifest.id]
    campaign = api.add_campaign("c", {"state": {"$eq": "registered"}}, manifest_id=manifest.id)
    assert api.get_campaign(campaign.id).phase == "draft"
    assert list(api.list_campaign_device_states(campaign.id)) == []
    api.delete_campaign(campaign.id)
    api.delete_firmware_manifest(manifest.id)
    assert list(api.list_campaigns()) == list(api.list_firmware_manifests()) == []


def test_older_client_lists_shared_keys_by_their_marker(older: dict[str, str], managed: Account) -> None:
    api = BootstrapAPI(older)
    names = [f"endpoint-number-{n:04}" for n in range(4)]
    for name in names:
        api.add_psk(endpoint_name=name, secret_hex="4a" * 16)
    assert [key.endpoint_name for key in api.list_psks(page_size=2)] == [*names, "endpoint-of-pump-1"]
    assert len([entry for entry in managed.sim.requests() if "limit=2" in entry["path"]]) == 3
    api.delete_psk(names[0])
    assert api.get_psk(names[1]).endpoint_name == names[1]
