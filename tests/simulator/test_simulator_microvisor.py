"""What the simulated Microvisor API answers, by docs/apis/microvisor.md."""

import base64
import hashlib
from urllib.parse import quote

import httpx
import pytest
from simulated_fleet import ACCOUNT, APPS, DEVICES, TOKEN, bundle, small_world

from reconcile.simulator import running
from reconcile.simulator.serving import Running

# Paths that exist, one of each kind, and some that do not.
PATHS = [
    "/v1/Apps",
    f"/v1/Apps/{APPS[0]}",
    f"/v1/Apps/{APPS[0]}/Manifest",
    "/v1/Devices",
    f"/v1/Devices/{DEVICES[1]}",
    f"/v1/Devices/{DEVICES[1]}/Configs",
    f"/v1/Devices/{DEVICES[1]}/Secrets/wifi_psk",
    "/v1/Configs/mqtt_host",
    "/v1/Secrets",
    "/upload/v1/Apps",
    "/v1/Nothing",
    "/nothing",
    "/",
]


# Shapes: the field names of the JSON examples in the vendor's pages.

APP = {"sid", "account_sid", "hash", "unique_name", "date_created", "date_updated", "url", "links"}
DEVICE = {"sid", "unique_name", "account_sid", "app", "logging", "date_created", "date_updated", "url", "links"}
DEVICE_APP = {
    "target_sid",
    "target_hash",
    "date_targeted",
    "update_status",
    "update_error_code",
    "reported_sid",
    "date_reported",
}
OLDER_DEVICE = {
    "sid",
    "account_sid",
    "unique_name",
    "logging_enabled",
    "date_logging_expires",
    "app_update",
    "info",
    "status",
    "date_created",
    "date_updated",
    "url",
}
META = {"page", "page_size", "first_page_url", "previous_page_url", "url", "next_page_url", "key"}


def test_an_app_has_the_fields_of_the_vendors_example(client: httpx.Client) -> None:
    app = client.get(f"/v1/Apps/{APPS[0]}").json()
    assert app.keys() == APP
    assert app["links"].keys() == {"app_manifests"}


def test_a_device_has_the_fields_of_the_vendors_example(client: httpx.Client) -> None:
    device = client.get(f"/v1/Devices/{DEVICES[1]}").json()
    assert device.keys() == DEVICE
    assert device["app"].keys() == DEVICE_APP
    assert device["logging"] == {"enabled": False, "date_expires": None}
    assert device["links"].keys() == {"device_configs", "device_secrets"}


def test_a_world_can_answer_devices_in_the_older_shape(client: httpx.Client, sim: Running) -> None:
    world = small_world()
    world["microvisor"]["older_device_shape"] = True
    sim.put(world)
    device = client.post(f"/v1/Devices/{DEVICES[1]}", data={"TargetApp": "sensor-2"}).json()
    assert device.keys() == OLDER_DEVICE
    assert device["status"] == "scheduled"


@pytest.mark.parametrize("name", ["Apps", "Devices", "Configs", "Secrets"])
def test_a_list_has_the_meta_of_the_vendors_example(client: httpx.Client, sim: Running, name: str) -> None:
    page = client.get(f"/v1/{name}").json()
    assert page.keys() == {name.lower(), "meta"}
    assert page["meta"].keys() == META
    assert page["meta"]["key"] == name.lower()
    assert page["meta"]["first_page_url"] == f"{sim.url}/v1/{name}?PageSize=50&Page=0"
    assert page["meta"]["next_page_url"] is None


def test_an_error_has_the_fields_of_the_vendors_example(client: httpx.Client) -> None:
    answer = client.get("/v1/Devices", auth=("somebody", "else"))
    assert answer.status_code == 401
    assert answer.json().keys() == {"code", "detail", "message", "more_info", "status"}


def test_dates_are_utc_in_whole_seconds(client: httpx.Client) -> None:
    device = client.get(f"/v1/Devices/{DEVICES[1]}").json()
    for text in (device["date_created"], device["app"]["date_targeted"]):
        assert len(text) == 20 and text.endswith("Z")


# Credentials.


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("authorization", [None, "Basic", "Basic !!", "Bearer nothing", "Basic QUM6eA=="])
def test_every_path_asks_for_credentials_first(client: httpx.Client, path: str, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for method in ("GET", "POST"):
        answer = client.request(method, path, headers=headers, auth=None)
        assert (answer.status_code, answer.json()["code"]) == (401, 20003)


def test_an_api_key_is_accepted_like_the_auth_token(client: httpx.Client, sim: Running) -> None:
    key = "SK" + "0" * 32
    world = small_world()
    world["microvisor"]["api_keys"] = {key: "its secret"}
    sim.put(world)
    assert client.get("/v1/Devices", auth=(key, "its secret")).status_code == 200
    assert client.get("/v1/Devices", auth=(key, TOKEN)).status_code == 401


def test_the_scheme_of_credentials_is_read_in_any_case(client: httpx.Client) -> None:
    header = "bASIC " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    assert client.get("/v1/Devices", headers={"Authorization": header}, auth=None).status_code == 200


# Errors.


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/Apps"),
        ("PUT", f"/v1/Apps/{APPS[0]}"),
        ("DELETE", f"/v1/Devices/{DEVICES[0]}"),
        ("POST", "/v1/Devices"),
        ("PATCH", "/v1/Configs/mqtt_host"),
        ("DELETE", "/v1/Secrets"),
        ("GET", "/upload/v1/Apps"),
        ("POST", f"/v1/Apps/{APPS[0]}/Manifest"),
        ("OPTIONS", "/v1/Devices"),
    ],
)
def test_a_wrong_method_is_a_405_that_names_the_right_ones(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["Allow"]
    assert method not in answer.headers["Allow"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/Devices/nobody",
        "/v1/Devices/nobody/Configs",
        "/v1/Apps/nothing",
        "/v1/Apps/nothing/Manifest",
        "/v1/Configs/none",
        f"/v1/Devices/{DEVICES[1]}/Secrets/none",
        "/v1",
        "/v1/Other",
    ],
)
def test_what_does_not_exist_is_a_404(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)


@pytest.mark.parametrize("base", ["/v1/Configs", "/v1/Secrets", f"/v1/Devices/{DEVICES[0]}/Configs"])
@pytest.mark.parametrize(
    "form",
    [
        {},
        {"Key": "k"},
        {"Value": "v"},
        {"Key": "", "Value": "v"},
        {"Key": "k" * 101, "Value": "v"},
        {"Key": "k", "Value": "v" * 4097},
    ],
)
def test_keys_and_values_outside_their_limits_are_refused(
    client: httpx.Client, base: str, form: dict[str, str]
) -> None:
    answer = client.post(base, data=form)
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


def test_limits_count_characters_and_not_bytes(client: httpx.Client) -> None:
    key, value = "ü" * 100, "😀" * 4096
    assert client.post("/v1/Configs", data={"Key": key, "Value": value}).status_code == 201
    assert client.get(f"/v1/Configs/{quote(key)}").json()["value"] == value


def test_a_taken_key_is_a_409(client: httpx.Client) -> None:
    answer = client.post("/v1/Secrets", data={"Key": "mqtt_password", "Value": "x"})
    assert (answer.status_code, answer.json()["code"]) == (409, 20409)


@pytest.mark.parametrize(
    "form",
    [
        {"LoggingEnabled": "yes"},
        {"RestartApp": "1"},
        {"UniqueName": ""},
        {"TargetApp": "nothing"},
        {"UniqueName": "good", "TargetApp": "nothing"},
        {"UniqueName": "warehouse-7", "LoggingEnabled": "true"},
    ],
)
def test_a_device_that_refuses_an_update_is_unchanged(client: httpx.Client, sim: Running, form: dict[str, str]) -> None:
    before = sim.world["microvisor"]
    assert 400 <= client.post(f"/v1/Devices/{DEVICES[0]}", data=form).status_code < 500
    assert sim.world["microvisor"] == before


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"Key": "k", "Value": "v"}'),
        ("text/plain", b"Key=k&Value=v"),
        ("multipart/form-data", b"Key=k&Value=v"),
    ],
)
def test_bodies_that_are_no_forms_are_refused(client: httpx.Client, content_type: str, body: bytes) -> None:
    answer = client.post("/v1/Configs", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 415


# Paths and keys.

ODD = ["a/b", "a b", "a?b", "a#b", "grün", "100%", "%2F", "a+b", "a&b=c", "😀", "\x00", "/", "Configs", "ü/ü"]


@pytest.mark.parametrize("key", ODD)
@pytest.mark.parametrize("base", ["/v1/Configs", "/v1/Secrets", f"/v1/Devices/{DEVICES[0]}/Configs"])
def test_any_key_is_addressed_by_its_encoded_form(client: httpx.Client, base: str, key: str) -> None:
    created = client.post(base, data={"Key": key, "Value": "v"})
    assert (created.status_code, created.json()["key"]) == (201, key)
    path = f"{base}/{quote(key, safe='')}"
    assert client.get(path).json()["key"] == key
    assert client.get(created.json()["url"]).json() == client.get(path).json()
    assert client.post(path, data={"Value": "w"}).status_code == 200
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("name", ["dock 1", "a/b", "grün", "x/Configs y"])
def test_a_device_is_addressed_by_its_unique_name(client: httpx.Client, name: str) -> None:
    client.post(f"/v1/Devices/{DEVICES[0]}", data={"UniqueName": name})
    path = f"/v1/Devices/{quote(name, safe='')}"
    assert client.get(path).json()["sid"] == DEVICES[0]
    assert client.post(f"{path}/Configs", data={"Key": "a/b", "Value": "v"}).json()["device_sid"] == DEVICES[0]
    assert client.get(f"{path}/Configs/a%2Fb").json()["value"] == "v"


def test_a_name_is_free_again_once_its_device_has_another(client: httpx.Client) -> None:
    client.post("/v1/Devices/warehouse-7", data={"UniqueName": "other"})
    assert client.get("/v1/Devices/warehouse-7").status_code == 404
    assert client.post(f"/v1/Devices/{DEVICES[0]}", data={"UniqueName": "warehouse-7"}).status_code == 200
    assert client.post(f"/v1/Devices/{DEVICES[0]}", data={"UniqueName": "warehouse-7"}).status_code == 200


# Secrets.


def test_no_answer_holds_the_value_of_a_secret(client: httpx.Client) -> None:
    client.post("/v1/Secrets", data={"Key": "k", "Value": "value-to-hide"})
    client.post("/v1/Secrets/k", data={"Value": "value-to-hide"})
    for path in ("/v1/Secrets", "/v1/Secrets/k", f"/v1/Devices/{DEVICES[1]}/Secrets", "/v1/Secrets/mqtt_password"):
        text = client.get(path).text
        assert "value-to-hide" not in text and "hunter" not in text
        assert '"value"' not in text


def test_rotating_a_secret_moves_its_date_and_not_that_of_the_device(client: httpx.Client, sim: Running) -> None:
    path = f"/v1/Devices/{DEVICES[1]}"
    device, secret = client.get(path).json(), client.get(f"{path}/Secrets/wifi_psk").json()
    sim.advance(10)
    rotated = client.post(f"{path}/Secrets/wifi_psk", data={"Value": "new"}).json()
    assert rotated["date_rotated"] > secret["date_rotated"]
    assert client.get(path).json()["date_updated"] == device["date_updated"]


def test_a_world_can_refuse_to_update_secrets(client: httpx.Client, sim: Running) -> None:
    world = small_world()
    world["microvisor"]["secrets_update"] = False
    sim.put(world)
    assert client.post("/v1/Secrets/mqtt_password", data={"Value": "x"}).status_code == 405
    assert client.delete("/v1/Secrets/mqtt_password").status_code == 204
    assert client.post("/v1/Secrets", data={"Key": "mqtt_password", "Value": "x"}).status_code == 201


# Apps.


def _upload(client: httpx.Client, content: bytes, **form: str) -> httpx.Response:
    return client.post("/upload/v1/Apps", files={"File": ("bundle.zip", content)}, data=form)


def test_an_upload_makes_an_app(client: httpx.Client) -> None:
    answer = _upload(client, bundle(app=b"code"), UniqueName="sensor-3")
    assert answer.status_code == 201
    assert answer.json().keys() == APP
    assert client.get("/v1/Apps/sensor-3").json() == answer.json()
    assert _upload(client, bundle(app=b"code")).json()["unique_name"] is None


def test_the_hash_is_that_of_a_manifest_and_not_of_the_bundle(client: httpx.Client) -> None:
    content = bundle(app=b"code")
    app = _upload(client, content).json()
    assert app["hash"] != "sha256:" + hashlib.sha256(content).hexdigest()
    manifest = client.get(f"/v1/Apps/{app['sid']}/Manifest").json()
    decoded = base64.b64decode(manifest["encoded_bytes"])
    assert app["hash"] == manifest["hash"] == "sha256:" + hashlib.sha256(decoded).hexdigest()
    assert _upload(client, bundle(app=b"other")).json()["hash"] != app["hash"]


def test_an_upload_under_a_taken_name_is_a_409(client: httpx.Client) -> None:
    answer = _upload(client, bundle(app=b"code"), UniqueName="sensor-1")
    assert (answer.status_code, answer.json()["code"]) == (409, 20409)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken", bundle()])
def test_an_upload_that_is_no_bundle_is_refused(client: httpx.Client, content: bytes) -> None:
    answer = _upload(client, content)
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


def test_an_upload_without_its_file_is_refused(client: httpx.Client) -> None:
    answer = client.post("/upload/v1/Apps", files={"Other": ("bundle.zip", bundle(app=b"code"))})
    assert answer.status_code == 400


def test_a_bundle_of_64_mib_is_accepted(client: httpx.Client) -> None:
    assert _upload(client, bundle(app=bytes(64 << 20)), UniqueName="large").status_code == 201


def test_an_app_that_a_device_targets_cannot_be_deleted(client: httpx.Client) -> None:
    answer = client.delete(f"/v1/Apps/{APPS[0]}")
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)
    client.post(f"/v1/Devices/{DEVICES[1]}", data={"TargetApp": "sensor-2"})
    assert client.delete("/v1/Apps/sensor-1").status_code == 204
    assert client.get(f"/v1/Apps/{APPS[0]}").status_code == 404


# Pages.


def test_a_page_size_out_of_range_is_refused(client: httpx.Client) -> None:
    for query in (
        "PageSize=0",
        "PageSize=1001",
        "PageSize=-1",
        "PageSize=x",
        "PageSize=",
        "Page=-1",
        "Page=" + "9" * 99,
    ):
        answer = client.get(f"/v1/Devices?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, 20001), query


@pytest.mark.parametrize("token", ["x", "PT", "PT!!!", "PT" + "A" * 5000, "PTT3g", "ü", "%00", "PTT-8"])
def test_a_token_that_the_api_did_not_give_is_refused(client: httpx.Client, token: str) -> None:
    assert client.get(f"/v1/Devices?PageToken={token}").status_code == 400


def test_unknown_query_parameters_are_ignored(client: httpx.Client) -> None:
    assert client.get("/v1/Devices?PageSize=1&Colour=blue&x").status_code == 200


def test_page_alone_is_bookkeeping_and_moves_nothing(client: httpx.Client) -> None:
    first = client.get("/v1/Devices?PageSize=1").json()
    numbered = client.get("/v1/Devices?PageSize=1&Page=2").json()
    assert numbered["devices"] == first["devices"]
    assert numbered["meta"]["page"] == 2


def test_pages_lead_forwards_and_backwards(client: httpx.Client) -> None:
    first = client.get("/v1/Devices?PageSize=2").json()
    second = client.get(first["meta"]["next_page_url"]).json()
    assert [d["sid"] for d in first["devices"] + second["devices"]] == DEVICES
    assert second["meta"]["next_page_url"] is None
    assert client.get(second["meta"]["previous_page_url"]).json()["devices"] == first["devices"]


def test_pages_lead_to_the_host_that_the_client_used(client: httpx.Client, sim: Running) -> None:
    named = sim.url.replace("127.0.0.1", "localhost")
    page = client.get("/v1/Devices?PageSize=1", headers={"Host": named.removeprefix("http://")}).json()
    assert page["meta"]["next_page_url"].startswith(named + "/v1/Devices?")
    assert page["devices"][0]["url"].startswith(named)


def test_a_token_stays_valid_when_the_last_key_of_its_page_is_deleted(client: httpx.Client) -> None:
    for key in "abcd":
        client.post("/v1/Configs", data={"Key": key, "Value": key})
    page = client.get("/v1/Configs?PageSize=2").json()
    client.delete("/v1/Configs/b")
    client.post("/v1/Configs", data={"Key": "aa", "Value": "late"})
    rest = client.get(page["meta"]["next_page_url"] + "&PageSize=9").json()
    assert [c["key"] for c in rest["configs"]] == ["c", "d", "mqtt_host"]


def test_pages_by_offset_repeat_and_miss_keys_when_others_come_and_go(client: httpx.Client, sim: Running) -> None:
    world = small_world()
    world["microvisor"]["paging"] = "offset"
    world["microvisor"]["configs"] = dict.fromkeys("bcde", "")
    sim.put(world)
    page = client.get("/v1/Configs?PageSize=2").json()
    client.post("/v1/Configs", data={"Key": "a", "Value": ""})
    second = client.get(page["meta"]["next_page_url"]).json()
    assert [c["key"] for c in second["configs"]] == ["c", "d"]
    client.delete("/v1/Configs/a")
    client.delete("/v1/Configs/b")
    third = client.get(second["meta"]["next_page_url"]).json()
    assert third["configs"] == []


def test_a_fleet_of_many_pages_is_listed_once_each() -> None:
    with running(world={"account_sid": ACCOUNT, "auth_token": TOKEN}) as sim:
        sids = httpx.post(f"{sim.url}/_sim/fleet", json={"devices": 2500, "seed": 7}).json()["devices"]
        found: list[str] = []
        url: str | None = f"{sim.url}/v1/Devices?PageSize=1000"
        while url:
            page = httpx.get(url, auth=(ACCOUNT, TOKEN)).json()
            found += [device["sid"] for device in page["devices"]]
            url = page["meta"]["next_page_url"]
        assert found == sorted(sids)
