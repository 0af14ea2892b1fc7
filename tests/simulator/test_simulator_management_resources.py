"""The resources of the simulated Device Management API, one by one (docs/apis/device_management.md)."""

import base64
import hashlib
import json
from typing import Any
from urllib.parse import quote

import pytest
from simulated_management import IMAGE, NOBODY, NORTH, PUMPS, Account, pumps_world

DEVICE = f"/v3/devices/{PUMPS[0]}"
GROUP = f"/v3/device-groups/{NORTH}"


def refused(body: Any) -> list[str]:
    """The fields that a validation error names."""
    assert body["type"] == "validation_error"
    return [field["name"] for field in body["fields"]]


# Devices.


def test_a_device_has_the_fields_of_its_page(managed: Account) -> None:
    device = managed.get(DEVICE)
    assert device["object"] == "device"
    assert (device["id"], device["endpoint_name"], device["name"]) == (PUMPS[0], "pump-0001", "pump 1")
    assert (device["state"], device["deployed_state"], device["firmware_checksum"]) == ("registered", "production", "")
    assert device["groups"] == [NORTH]
    assert len(device["account_id"]) == 32
    # How the simulated unit behaves is no field of the API.
    assert not device.keys() & {"online", "check_in_s", "fail_update", "version"}


WRITABLE = {
    "name": "Device.",
    "description": "Testing.",
    "custom_attributes": {"site": "Oslo ø", "line": ""},
    "endpoint_type": "pump",
    "host_gateway": NOBODY,
    "device_key": "00:11",
    "ca_id": NOBODY,
    "auto_update": True,
}


def test_a_put_changes_what_it_names_and_nothing_else(managed: Account) -> None:
    before = managed.get(DEVICE)
    for name, value in WRITABLE.items():
        after = managed.put(DEVICE, **{name: value})
        assert after[name] == value
        assert after == managed.get(DEVICE)
        same = {key for key in before if after[key] == before[key]}
        assert before.keys() - same <= {name, "etag", "updated_at"}
        before = after


def test_a_put_replaces_all_custom_attributes(managed: Account) -> None:
    assert managed.put(DEVICE, custom_attributes={"site": "oslo"})["custom_attributes"] == {"site": "oslo"}
    assert managed.put(DEVICE, name="x")["custom_attributes"] == {"site": "oslo"}
    assert managed.put(DEVICE, custom_attributes={})["custom_attributes"] == {}


def test_a_put_of_nothing_is_no_write(managed: Account) -> None:
    assert managed.put(DEVICE)["etag"] == managed.put(DEVICE)["etag"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 129),
        ("name", None),
        ("name", 7),
        ("name", ["x"]),
        ("name", "\ud800"),
        ("description", "x" * 2001),
        ("endpoint_type", "x" * 65),
        ("device_key", "x" * 513),
        ("ca_id", "x" * 501),
        ("auto_update", "true"),
        ("auto_update", 1),
        ("custom_attributes", None),
        ("custom_attributes", []),
        ("custom_attributes", {f"k{n}": "x" for n in range(6)}),
        ("custom_attributes", {"1st": "x"}),
        ("custom_attributes", {"": "x"}),
        ("custom_attributes", {"_x": "x"}),
        ("custom_attributes", {"k" * 129: "x"}),
        ("custom_attributes", {"k": "x" * 129}),
        ("custom_attributes", {"k": 1}),
        ("custom_attributes", {"k": None}),
    ],
)
def test_a_value_that_a_device_cannot_have_is_named_and_nothing_is_written(
    managed: Account, field: str, value: Any
) -> None:
    before = managed.get(DEVICE)
    # As ASCII, which carries half a surrogate pair as an escape.
    content = json.dumps({"description": "y", field: value})
    for method, path in (("PUT", DEVICE), ("POST", "/v3/devices")):
        body = managed.call(method, path, 400, content=content, headers={"Content-Type": "application/json"})
        assert refused(body) == [field]
    assert managed.get(DEVICE) == before
    assert len(managed.ids("/v3/devices")) == 5


def test_the_limits_themselves_are_taken(managed: Account) -> None:
    attributes = {f"k{n}" + "x" * 126: "x" * 128 for n in range(5)}
    device = managed.put(DEVICE, name="x" * 128, description="x" * 2000, custom_attributes=attributes)
    assert device["custom_attributes"] == attributes


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", NOBODY),
        ("endpoint_name", "another"),
        ("state", "deregistered"),
        ("groups", []),
        ("firmware_checksum", "0" * 64),
        ("deployed_state", "development"),
        ("created_at", "2001-01-01T00:00:00Z"),
        ("etag", "x"),
        ("object", "x"),
        ("online", False),
        ("unheard_of", {"x": [1]}),
    ],
)
def test_fields_that_are_read_only_or_unknown_are_passed_over(managed: Account, field: str, value: Any) -> None:
    before = managed.get(DEVICE)
    assert managed.put(DEVICE, **{field: value}) == before


def test_a_device_is_created_and_deleted(managed: Account) -> None:
    device = managed.post("/v3/devices/", endpoint_name="pump-0006", serial_number="S6", **WRITABLE)
    assert len(device["id"]) == 32 and int(device["id"], 16)
    assert {name: device[name] for name in WRITABLE} == WRITABLE
    assert (device["endpoint_name"], device["serial_number"], device["state"]) == ("pump-0006", "S6", "unenrolled")
    path = f"/v3/devices/{device['id']}"
    assert managed.get(path) == device
    managed.delete(path)
    managed.call("GET", path, 404)
    managed.call("DELETE", path, 404)
    # Its name is free again.
    managed.post("/v3/devices", endpoint_name="pump-0006")


def test_an_endpoint_name_is_there_once(managed: Account) -> None:
    body = managed.post("/v3/devices/", 409, endpoint_name="pump-0001")
    assert body["type"] == "conflict" and PUMPS[0] in body["message"]
    # Without one it is the id.
    device = managed.post("/v3/devices/")
    assert device["endpoint_name"] == device["id"]
    assert managed.ids("/v3/devices", endpoint_name__eq=device["id"]) == [device["id"]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("endpoint_name", "x" * 65),
        ("device_class", "x" * 33),
        ("vendor_id", "x" * 256),
        ("mechanism", "pigeon"),
        ("state", "gone"),
        ("device_execution_mode", 2),
        ("connector_expiration_date", "tomorrow"),
    ],
)
def test_a_value_that_a_new_device_cannot_have_is_named(managed: Account, field: str, value: Any) -> None:
    assert refused(managed.post("/v3/devices", 400, **{field: value})) == [field]


def test_a_new_device_registers_when_it_first_connects(managed: Account) -> None:
    path = f"/v3/devices/{managed.post('/v3/devices')['id']}"
    managed.sim.advance(50)
    assert managed.get(path)["state"] == "unenrolled"
    managed.sim.advance(12)
    device = managed.get(path)
    assert device["state"] == "registered"
    assert device["bootstrapped_timestamp"] == device["updated_at"]
    # One that was made in a state stays in it.
    path = f"/v3/devices/{managed.post('/v3/devices', state='deregistered')['id']}"
    managed.sim.advance(1000)
    assert managed.get(path)["state"] == "deregistered"


def test_a_deleted_device_leaves_its_groups(managed: Account) -> None:
    managed.delete(DEVICE)
    assert managed.get(GROUP)["devices_count"] == 1
    assert managed.ids(f"{GROUP}/devices/") == [PUMPS[1]]


# Groups.


def test_a_group_is_created_changed_and_deleted(managed: Account) -> None:
    attributes = {f"k{n}": "x" for n in range(10)}
    group = managed.post("/v3/device-groups/", name="south", description="d", custom_attributes=attributes)
    assert (group["object"], group["name"], group["devices_count"]) == ("device-group", "south", 0)
    path = f"/v3/device-groups/{group['id']}"
    after = managed.put(path, description="e")
    assert (after["name"], after["description"], after["custom_attributes"]) == ("south", "e", attributes)
    assert managed.put(path, name="west", custom_attributes={})["custom_attributes"] == {}
    assert managed.get(path)["name"] == "west"
    managed.delete(path)
    managed.call("GET", path, 404)


def test_the_name_of_a_group_is_there_once(managed: Account) -> None:
    assert managed.post("/v3/device-groups", 409, name="north")["type"] == "conflict"
    south = f"/v3/device-groups/{managed.post('/v3/device-groups', name='south')['id']}"
    managed.put(south, 409, name="north")
    assert managed.put(south, name="south")["name"] == "south"
    managed.put(GROUP, name="far north")
    assert managed.put(south, name="north")["name"] == "north"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, ["name"]),
        ({"name": ""}, ["name"]),
        ({"name": "x" * 129}, ["name"]),
        ({"name": "x", "description": "x" * 2001}, ["description"]),
        ({"name": "x", "custom_attributes": {f"k{n}": "" for n in range(11)}}, ["custom_attributes"]),
        ({"description": 1, "custom_attributes": 1}, ["name", "description", "custom_attributes"]),
    ],
)
def test_a_group_that_cannot_be_is_refused(managed: Account, fields: dict[str, Any], named: list[str]) -> None:
    assert refused(managed.post("/v3/device-groups", 400, **fields)) == named


def test_devices_join_and_leave_a_group_one_by_one(managed: Account) -> None:
    etag = managed.get(GROUP)["etag"]
    managed.post(f"{GROUP}/devices/add/", 204, device_id=PUMPS[4])
    assert managed.get(GROUP)["devices_count"] == 3
    assert managed.get(GROUP)["etag"] != etag
    assert managed.get(f"/v3/devices/{PUMPS[4]}")["groups"] == [NORTH]
    managed.post(f"{GROUP}/devices/remove", 204, device_id=PUMPS[0])
    assert managed.ids(f"{GROUP}/devices") == [PUMPS[1], PUMPS[4]]
    assert managed.get(DEVICE)["groups"] == []


def test_a_membership_that_is_as_asked_is_left_alone(managed: Account) -> None:
    etag = managed.get(GROUP)["etag"]
    managed.post(f"{GROUP}/devices/add/", 204, device_id=PUMPS[0])
    managed.post(f"{GROUP}/devices/remove/", 204, device_id=PUMPS[4])
    assert managed.get(GROUP)["etag"] == etag


def test_a_membership_of_nobody_is_refused(managed: Account) -> None:
    for call in ("add", "remove"):
        managed.post(f"{GROUP}/devices/{call}/", 404, device_id=NOBODY)
        assert refused(managed.post(f"{GROUP}/devices/{call}/", 400)) == ["device_id"]
        managed.post(f"/v3/device-groups/{NOBODY}/devices/{call}/", 404, device_id=PUMPS[0])


def test_a_deleted_group_is_no_group_of_its_devices(managed: Account) -> None:
    managed.delete(GROUP)
    assert managed.get(DEVICE)["groups"] == []
    managed.post("/v3/device-groups", name="north")


def test_the_devices_of_a_group_have_pages(managed: Account) -> None:
    for pump in PUMPS[2:]:
        managed.post(f"{GROUP}/devices/add/", 204, device_id=pump)
    page = managed.get(f"{GROUP}/devices/", limit=2, include="total_count", order="DESC")
    assert ([device["id"] for device in page["data"]], page["total_count"]) == (PUMPS[:2:-1], 5)


# Firmware.


def test_an_image_is_its_bytes(managed: Account) -> None:
    image = managed.upload("/v3/firmware-images", name="pumps 1.2", description="the first")
    assert image["object"] == "firmware-image"
    assert (image["name"], image["description"]) == ("pumps 1.2", "the first")
    assert image["datafile_checksum"] == hashlib.sha256(IMAGE).hexdigest()
    assert image["datafile_size"] == len(IMAGE)
    assert image["datafile"].startswith("https://") and image["id"] in image["datafile"]
    path = f"/v3/firmware-images/{image['id']}"
    assert managed.get(path) == image
    assert managed.ids("/v3/firmware-images", datafile_checksum__eq=image["datafile_checksum"]) == [image["id"]]
    assert managed.ids("/v3/firmware-images", name__neq="pumps 1.2") == []
    assert managed.ids("/v3/firmware-images", datafile__eq=image["datafile"]) == [image["id"]]


def test_the_same_bytes_and_name_twice_are_two_images(managed: Account) -> None:
    first, second = (managed.upload("/v3/firmware-images", name="same")["id"] for _ in range(2))
    assert managed.ids("/v3/firmware-images") == [first, second]


@pytest.mark.parametrize("content", [b"", b"\r\n--\r\n", bytes(range(256)) * 4000])
def test_any_bytes_are_an_image(managed: Account, content: bytes) -> None:
    image = managed.upload("/v3/firmware-images", content, name="odd")
    assert (image["datafile_size"], image["datafile_checksum"]) == (len(content), hashlib.sha256(content).hexdigest())


JOBS = "/v3/firmware-images/upload-jobs"
CHUNK = bytes(range(256)) * 20_000  # a little more than the least


def chunk(managed: Account, job: str, content: bytes, status: int = 201, md5: bytes | None = None) -> Any:
    digest = hashlib.md5(content).digest() if md5 is None else md5
    headers = {"Content-Type": "binary/octet-stream", "Content-MD5": base64.b64encode(digest).decode()}
    return managed.call("POST", f"{JOBS}/{job}/chunks", status, content=content, headers=headers)


def test_an_image_comes_in_chunks(managed: Account) -> None:
    job = managed.post(JOBS, name="large", description="d")
    assert job["firmware_image_id"] is None
    for content in (CHUNK, CHUNK, b"the rest"):
        chunk(managed, job["id"], content)
    assert managed.get(f"{JOBS}/{job['id']}")["firmware_image_id"] is None
    chunk(managed, job["id"], b"")
    made = managed.get(f"{JOBS}/{job['id']}")["firmware_image_id"]
    image = managed.get(f"/v3/firmware-images/{made}")
    assert (image["name"], image["description"], image["datafile_size"]) == ("large", "d", 2 * len(CHUNK) + 8)
    assert image["datafile_checksum"] == hashlib.sha256(CHUNK + CHUNK + b"the rest").hexdigest()
    chunk(managed, job["id"], b"more", 409)
    managed.delete(f"{JOBS}/{job['id']}")
    managed.call("GET", f"{JOBS}/{job['id']}", 404)
    assert managed.ids("/v3/firmware-images") == [image["id"]]


def test_a_chunk_that_cannot_be_is_refused(managed: Account) -> None:
    assert refused(managed.post(JOBS, 400)) == ["name"]
    job = managed.post(JOBS, name="large")["id"]
    assert refused(chunk(managed, job, CHUNK, 400, md5=b"x" * 16)) == ["Content-MD5"]
    chunk(managed, job, b"", 400)
    chunk(managed, job, b"too small but for the last")
    chunk(managed, job, CHUNK, 400)
    chunk(managed, job, b"")
    chunk(managed, NOBODY, CHUNK, 404)
    assert len(managed.ids("/v3/firmware-images")) == 1


@pytest.mark.parametrize(("kind", "most"), [("firmware-images", 100 * 2**20 - 1), ("firmware-manifests", 2048)])
def test_a_datafile_has_its_largest_size(managed: Account, kind: str, most: int) -> None:
    managed.upload(f"/v3/{kind}", bytes(most + 1), 413 if "images" in kind else 400, name="x")
    assert managed.ids(f"/v3/{kind}") == []
    assert managed.upload(f"/v3/{kind}", bytes(most), name="x")["datafile_size"] == most


def test_two_devices_have_one_endpoint_name(managed: Account) -> None:
    world = pumps_world()
    devices = world["device_management"]["devices"]
    devices[PUMPS[0]] |= {"endpoint_name": "one", "state": "deregistered"}
    devices[PUMPS[1]]["endpoint_name"] = "one"
    managed.sim.put(world)
    assert managed.ids("/v3/devices", endpoint_name__eq="one") == [PUMPS[0], PUMPS[1]]
    managed.post("/v3/devices/", 409, endpoint_name="one")
    managed.delete(f"/v3/devices/{PUMPS[1]}/")
    managed.post("/v3/devices/", endpoint_name="one")


@pytest.mark.parametrize("kind", ["firmware-images", "firmware-manifests"])
def test_firmware_is_never_updated_and_is_deleted(managed: Account, kind: str) -> None:
    path = f"/v3/{kind}/{managed.upload(f'/v3/{kind}', name='x')['id']}"
    assert managed.put(path, 405, name="y")["type"] == "method_not_supported"
    managed.delete(f"{path}/")
    managed.call("GET", path, 404)
    managed.call("DELETE", path, 404)


@pytest.mark.parametrize("kind", ["firmware-images", "firmware-manifests"])
def test_an_upload_that_cannot_be_names_its_fields(managed: Account, kind: str) -> None:
    path = f"/v3/{kind}"
    assert refused(managed.upload(path, status=400)) == ["name"]
    assert refused(managed.upload(path, status=400, name="x" * 129, description="x" * 2001)) == ["name", "description"]
    files = {"name": (None, b"x"), "other": ("f", b"x")}
    assert refused(managed.call("POST", path, 400, files=files)) == ["datafile"]
    files = {"name": (None, b"\xff"), "datafile": ("f", b"x")}
    assert refused(managed.call("POST", path, 400, files=files)) == ["name"]
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    managed.call("POST", path, 400, content=b"--b\r\nbroken", headers=headers)
    assert managed.ids(path) == []


def test_a_manifest_has_the_fields_of_its_page(managed: Account) -> None:
    manifest = managed.upload("/v3/firmware-manifests", b"\x30\x82", name="m")
    assert manifest["object"] == "firmware-manifest"
    assert (manifest["datafile_size"], manifest["device_class"], manifest["key_table"]) == (2, "", "")
    assert manifest["timestamp"] == manifest["created_at"]
    assert "image_id" not in manifest
    files = {"datafile": ("m", b"\x30"), "key_table": ("k", b"table"), "name": (None, b"n")}
    assert managed.call("POST", "/v3/firmware-manifests", 201, files=files)["key_table"].startswith("https://")


def test_a_manifest_stands_for_the_image_that_it_names(managed: Account) -> None:
    def image_of(manifest: bytes) -> str:
        id_ = managed.upload("/v3/firmware-manifests", manifest, name="m")["id"]
        found: str = managed.sim.world["device_management"]["firmware_manifests"][id_]["image_id"]
        return found

    assert image_of(b"before there is an image") is None
    images = [managed.upload("/v3/firmware-images", content, name="i") for content in (b"one", b"two", b"three")]
    digest = hashlib.sha256(b"two").digest()
    assert image_of(b"\x30\x82" + digest + b"\x04\x20") == images[1]["id"]
    assert image_of(f'{{"payloadDigest": "{digest.hex().upper()}"}}'.encode()) == images[1]["id"]
    assert image_of(f"https://example.com/{images[0]['id']}".encode()) == images[0]["id"]
    assert image_of(b"names none: the newest") == images[2]["id"]


# Pre-shared keys.

KEYS = "/v2/device-shared-keys"


def test_a_key_is_created_read_without_its_secret_and_deleted(managed: Account) -> None:
    assert managed.post(KEYS, endpoint_name="my-endpoint-0001", secret_hex="0X" + "4A" * 32) is None
    key = managed.get(f"{KEYS}/my-endpoint-0001")
    assert key.keys() == {"endpoint_name", "created_at"}
    assert "4A4A" not in managed.http.get(KEYS).text
    held = managed.sim.world["device_management"]["shared_keys"]["my-endpoint-0001"]
    assert held["secret_hex"] == "0X" + "4A" * 32
    managed.delete(f"{KEYS}/my-endpoint-0001")
    managed.call("GET", f"{KEYS}/my-endpoint-0001", 404)
    # A second time it is gone as well.
    managed.delete(f"{KEYS}/my-endpoint-0001")


def test_a_key_is_rotated_by_deleting_and_creating_it(managed: Account) -> None:
    again = {"endpoint_name": "endpoint-of-pump-1", "secret_hex": "5b" * 16}
    assert managed.post(KEYS, 409, **again)["type"] == "conflict"
    assert managed.sim.world["device_management"]["shared_keys"]["endpoint-of-pump-1"]["secret_hex"] == "4a" * 16
    managed.delete(f"{KEYS}/endpoint-of-pump-1")
    managed.post(KEYS, **again)
    assert managed.sim.world["device_management"]["shared_keys"]["endpoint-of-pump-1"]["secret_hex"] == "5b" * 16


@pytest.mark.parametrize(
    ("name", "secret", "named"),
    [
        ("x" * 15, "4a" * 16, ["endpoint_name"]),
        ("x" * 65, "4a" * 16, ["endpoint_name"]),
        ("x" * 16 + "\n", "4a" * 16, ["endpoint_name"]),
        ("grün" * 4, "4a" * 16, ["endpoint_name"]),
        (None, "4a" * 16, ["endpoint_name"]),
        ("x" * 16, "4a" * 16 + "\n", ["secret_hex"]),
        ("x" * 16, "4a" * 15, ["secret_hex"]),
        ("x" * 16, "4a" * 33, ["secret_hex"]),
        ("x" * 16, "0y" + "4a" * 16, ["secret_hex"]),
        ("x" * 16, "4g" * 16, ["secret_hex"]),
        ("x" * 16, 4, ["secret_hex"]),
        (1, None, ["endpoint_name", "secret_hex"]),
    ],
)
def test_a_key_that_does_not_fit_the_patterns_is_refused(
    managed: Account, name: Any, secret: Any, named: list[str]
) -> None:
    assert refused(managed.post(KEYS, 400, endpoint_name=name, secret_hex=secret)) == named


@pytest.mark.parametrize("name", ["two words of mine", "a/b/c/d/e/f/g/h/i", "50% of the pumps", "what? is #this &=+"])
def test_a_key_is_found_by_a_name_that_needs_encoding(managed: Account, name: str) -> None:
    managed.post(KEYS, endpoint_name=name, secret_hex="4a" * 16)
    path = f"{KEYS}/{quote(name, safe='')}"
    assert managed.get(path)["endpoint_name"] == name
    managed.delete(path)
    managed.call("GET", path, 404)


def test_keys_are_listed_by_a_marker(managed: Account) -> None:
    managed.delete(f"{KEYS}/endpoint-of-pump-1")
    names = [f"endpoint-number-{n:04}" for n in range(5)]
    for name in names:
        managed.post(KEYS, endpoint_name=name, secret_hex="4a" * 16)
    page = managed.get(KEYS, limit=2)
    assert page["has_more"] is True
    # What the marker points behind may go.
    managed.delete(f"{KEYS}/{names[1]}")
    second = managed.get(KEYS, limit=2, after=page["continuation_marker"])
    third = managed.get(KEYS, limit=2, after=second["continuation_marker"])
    listed = [key["endpoint_name"] for answer in (page, second, third) for key in answer["data"]]
    assert listed == names
    assert third["has_more"] is False and "continuation_marker" not in third


@pytest.mark.parametrize("marker", ["endpoint-number-0001", "!", "/w=="])
def test_a_marker_of_somebody_else_is_refused(managed: Account, marker: str) -> None:
    assert refused(managed.call("GET", KEYS, 400, params={"after": marker})) == ["after"]
