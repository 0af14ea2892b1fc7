"""The conventions of the simulated Device Management API, by docs/apis/device_management.md."""

import json
import socket
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_management import API_KEY, NOBODY, NORTH, PUMPS, Account

# Paths that exist, one of each kind, and some that do not.
PATHS = [
    "/v3/devices/",
    f"/v3/devices/{PUMPS[0]}",
    "/v3/device-groups/",
    f"/v3/device-groups/{NORTH}/devices/",
    "/v3/firmware-images",
    "/v3/firmware-manifests",
    "/v3/update-campaigns",
    "/v2/device-shared-keys",
    "/v3/nothing",
    "/v3",
    "/v2",
]
LISTS = [path for path in PATHS if path.startswith("/v3/") and path not in (PATHS[1], PATHS[8])]


# Credentials.


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("authorization", "type_"),
    [
        (None, "invalid_auth"),
        ("Bearer", "invalid_auth"),
        (API_KEY, "invalid_auth"),
        ("Basic QUM6eA==", "auth_mismatch"),
        ("Bearer ak_another", "invalid_apikey"),
        ("Bearer eyJhbGciOi", "invalid_token"),
    ],
)
def test_every_path_asks_for_the_key_first(managed: Account, path: str, authorization: str | None, type_: str) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for method in ("GET", "POST"):
        answer = httpx.request(method, managed.sim.url + path, headers=headers, trust_env=False)
        assert (answer.status_code, answer.json()["type"]) == (401, type_)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_the_scheme_of_the_key_is_read_in_any_case(managed: Account) -> None:
    headers = {"Authorization": f"bEARER {API_KEY}"}
    assert managed.http.get("/v3/devices", headers=headers).status_code == 200


def test_the_key_of_the_world_is_the_key(managed: Account) -> None:
    managed.sim.put({"api_key": "ak_another"})
    assert managed.http.get("/v3/devices").status_code == 401
    assert managed.http.get("/v3/devices", headers={"Authorization": "Bearer ak_another"}).status_code == 200


def test_a_key_in_the_query_is_no_key(managed: Account) -> None:
    answer = httpx.get(f"{managed.sim.url}/v3/devices?api_key={API_KEY}", trust_env=False)
    assert answer.json()["type"] == "invalid_auth"


# Answers and errors.


def test_every_answer_has_a_request_id_of_its_own(managed: Account) -> None:
    seen = set()
    for method, path, status in (
        ("GET", "/v3/devices", 200),
        ("GET", f"/v3/devices/{NOBODY}", 404),
        ("DELETE", f"/v3/devices/{PUMPS[0]}", 204),
        ("PATCH", "/v3/devices", 405),
        ("POST", "/v3/devices", 400),
    ):
        answer = managed.http.request(method, path)
        assert answer.status_code == status
        number = answer.headers["X-Request-ID"]
        assert 0 < len(number) <= 32
        if answer.is_error:
            assert answer.json()["request_id"] == number
        seen.add(number)
    assert len(seen) == 5


def test_an_error_has_the_fields_of_the_seeds_model(managed: Account) -> None:
    body = managed.put(f"/v3/devices/{PUMPS[0]}", 400, name=1, description="x" * 2001)
    assert body.keys() == {"object", "code", "type", "message", "fields", "request_id"}
    assert (body["object"], body["code"], body["type"]) == ("error", 400, "validation_error")
    assert [set(field) for field in body["fields"]] == [{"name", "message"}] * 2
    assert [field["name"] for field in body["fields"]] == ["name", "description"]


@pytest.mark.parametrize(
    ("method", "path", "status", "type_"),
    [
        ("GET", f"/v3/devices/{NOBODY}", 404, "not_found"),
        ("GET", "/v3/devices/pump-0001", 404, "not_found"),
        ("GET", f"/v3/device-groups/{NOBODY}", 404, "not_found"),
        ("GET", f"/v3/device-groups/{NOBODY}/devices/", 404, "not_found"),
        ("GET", f"/v3/firmware-images/{NOBODY}", 404, "not_found"),
        ("DELETE", f"/v3/firmware-manifests/{NOBODY}", 404, "not_found"),
        ("POST", f"/v3/update-campaigns/{NOBODY}/start", 404, "not_found"),
        ("GET", "/v2/device-shared-keys/nobody-has-this-name", 404, "not_found"),
        ("GET", "/v3/users", 404, "unrecognized_request"),
        ("GET", "/v3", 404, "unrecognized_request"),
        ("GET", f"/v3/devices/{PUMPS[0]}/more", 404, "unrecognized_request"),
        ("GET", f"/v3/device-groups/{NORTH}/more", 404, "unrecognized_request"),
        ("GET", f"/v3/firmware-images/{NOBODY}/more", 404, "unrecognized_request"),
        ("PATCH", f"/v3/devices/{PUMPS[0]}", 405, "method_not_supported"),
        ("DELETE", "/v3/devices/", 405, "method_not_supported"),
        ("PUT", f"/v3/device-groups/{NORTH}/devices/add/", 405, "method_not_supported"),
        ("PUT", "/v3/firmware-images", 405, "method_not_supported"),
        ("PUT", "/v2/device-shared-keys/endpoint-of-pump-1", 405, "method_not_supported"),
    ],
)
def test_what_is_not_there_is_refused_by_type(
    managed: Account, method: str, path: str, status: int, type_: str
) -> None:
    answer = managed.http.request(method, path)
    assert (answer.status_code, answer.json()["type"]) == (status, type_)
    assert ("Allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b"\xff", b'{"name": NaN}', b"[" * 100_000])
def test_a_body_that_is_no_object_is_a_bad_request(managed: Account, body: bytes) -> None:
    for method, path in (
        ("POST", "/v3/devices"),
        ("PUT", f"/v3/devices/{PUMPS[0]}"),
        ("POST", "/v2/device-shared-keys"),
    ):
        answer = managed.call(method, path, 400, content=body, headers={"Content-Type": "application/json"})
        assert answer["type"] == "bad_request"


def test_a_body_of_another_type_is_a_bad_request(managed: Account) -> None:
    assert managed.call("POST", "/v3/devices", 400, data={"name": "pump"})["type"] == "bad_request"
    assert managed.call("POST", "/v3/firmware-images", 400, json={"name": "image"})["type"] == "bad_request"


@pytest.mark.parametrize(("path", "size"), [("/v3/devices", 1 << 21), ("/v3/firmware-images", 120_000_000)])
def test_a_body_that_is_too_large_is_a_413_before_it_is_read(managed: Account, path: str, size: int) -> None:
    where = urlsplit(managed.sim.url)
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {API_KEY}\r\nContent-Length: {size}\r\n\r\n"
    with socket.create_connection((where.hostname, where.port), timeout=5) as connection:
        connection.sendall(head.encode())
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"X-Request-ID" in answer


@pytest.mark.parametrize("path", [path for path in PATHS if path.count("/") > 1 and path != "/v3/nothing"])
def test_a_path_is_the_same_with_and_without_its_last_slash(managed: Account, path: str) -> None:
    bare = path.rstrip("/")
    assert managed.get(bare) == managed.get(f"{bare}/")


def test_dates_are_utc_and_an_etag_changes_with_every_write(managed: Account) -> None:
    path = f"/v3/devices/{PUMPS[0]}"
    tags = [managed.get(path)["etag"]]
    for name in ("a", "b", "b"):
        device = managed.put(path, name=name)
        tags.append(device["etag"])
        assert len(device["updated_at"]) == 20 and device["updated_at"].endswith("Z")
        assert device["created_at"] == "2024-01-01T00:00:00Z"
    assert len(set(tags)) == 4


def test_dates_of_answers_follow_the_simulated_clock(managed: Account) -> None:
    def now() -> datetime:
        return parsedate_to_datetime(managed.http.get("/v3/devices").headers["Date"])

    before = now()
    managed.sim.advance(400 * 86400)
    assert timedelta(days=400) <= now() - before < timedelta(days=401)
    assert managed.post("/v3/devices")["created_at"].startswith(f"{now():%Y-%m-%d}")


_any_texts = st.text(st.characters(), max_size=150)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _any_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_any_texts, inner, max_size=3),
    max_leaves=6,
)
_fields = [
    "name",
    "description",
    "custom_attributes",
    "auto_update",
    "endpoint_name",
    "state",
    "device_execution_mode",
    "connector_expiration_date",
    "device_filter",
    "root_manifest_id",
    "autostop_success_percent",
    "when",
    "device_id",
    "secret_hex",
]


@given(st.dictionaries(st.sampled_from(_fields), _values, max_size=5))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_object_is_taken_or_refused_and_what_is_taken_is_answered(
    managed: Account, caplog: pytest.LogCaptureFixture, body: dict[str, Any]
) -> None:
    # Surrogates go as escapes, as any client can send them.
    content, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
    for method, path in (
        ("POST", "/v3/devices/"),
        ("PUT", f"/v3/devices/{PUMPS[0]}"),
        ("POST", "/v3/device-groups/"),
        ("PUT", f"/v3/device-groups/{NORTH}"),
        ("POST", f"/v3/device-groups/{NORTH}/devices/add/"),
        ("POST", "/v3/update-campaigns"),
        ("POST", "/v2/device-shared-keys"),
    ):
        answer = managed.http.request(method, path, content=content, headers=headers)
        assert answer.status_code in (200, 201, 400, 404, 409), answer.text
        if answer.is_success:
            sent = {name: body[name] for name in answer.json().keys() & body.keys() & {"name", "description", "when"}}
            assert {name: answer.json()[name] for name in sent} == sent
    managed.sim.put(managed.sim.world)
    assert not caplog.records


# Lists.


@pytest.mark.parametrize("path", LISTS)
def test_a_list_has_the_fields_of_the_seeds_example(managed: Account, path: str) -> None:
    page = managed.get(path)
    assert page.keys() == {"object", "limit", "after", "order", "data", "has_more"}
    assert (page["object"], page["limit"], page["after"], page["order"]) == ("list", 50, None, "ASC")
    assert "total_count" in managed.get(path, include="total_count")


@pytest.mark.parametrize(("asked", "given"), [("0", 2), ("1", 2), ("-7", 2), ("2", 2), ("1000", 1000), ("5000", 1000)])
def test_a_limit_out_of_range_is_clamped(managed: Account, asked: str, given: int) -> None:
    page = managed.get("/v3/devices", limit=asked)
    assert (page["limit"], len(page["data"])) == (given, min(given, 5))


@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize("limit", [2, 3, 5])
def test_pages_follow_each_other_by_the_last_id(managed: Account, order: str, limit: int) -> None:
    seen: list[str] = []
    after: dict[str, Any] = {}
    while True:
        page = managed.get("/v3/devices", limit=limit, order=order, include="total_count", **after)
        seen += [device["id"] for device in page["data"]]
        assert page["total_count"] == 5
        if not page["has_more"]:
            break
        after = {"after": seen[-1]}
        assert page["order"] == order
    assert seen == (PUMPS if order == "ASC" else PUMPS[::-1])
    # A last page that is full is known to be the last.
    assert len(managed.sim.requests()) == -(-5 // limit)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("limit", "many"), ("limit", "2.5"), ("order", "UP"), ("after", "pump-0001"), ("after", "0")],
)
def test_a_parameter_that_cannot_be_is_named(managed: Account, parameter: str, value: str) -> None:
    body = managed.call("GET", "/v3/devices", 400, params={parameter: value})
    assert [field["name"] for field in body["fields"]] == [parameter]


def test_a_page_starts_behind_an_entity_that_is_gone(managed: Account) -> None:
    assert managed.ids("/v3/devices", limit=2) == PUMPS[:2]
    managed.delete(f"/v3/devices/{PUMPS[1]}")
    assert managed.ids("/v3/devices", limit=2, after=PUMPS[1]) == PUMPS[2:4]


def test_a_device_that_is_added_between_two_pages_is_on_a_later_one(managed: Account) -> None:
    first = managed.ids("/v3/devices", limit=2)
    added = [managed.post("/v3/devices")["id"] for _ in range(3)]
    rest = managed.ids("/v3/devices", after=first[-1])
    # The order of ids is that of creation.
    assert rest == [*PUMPS[2:], *added]
    assert managed.ids("/v3/devices", order="DESC", limit=3) == added[::-1]


def test_pages_hold_while_devices_before_and_behind_come_and_go(managed: Account) -> None:
    assert managed.ids("/v3/devices", limit=3) == PUMPS[:3]
    managed.delete(f"/v3/devices/{PUMPS[0]}")
    managed.delete(f"/v3/devices/{PUMPS[3]}")
    page = managed.get("/v3/devices", limit=3, after=PUMPS[2])
    assert [device["id"] for device in page["data"]] == PUMPS[4:]
    assert page["has_more"] is False


# Filters.

FILTERS = [
    ("name__eq=pump 1", [0]),
    ("name=pump 1", [0]),
    ("name__eq=Pump 1", []),
    ("name__neq=pump 1", [1, 2, 3, 4]),
    ("name__in=pump 1,pump 3,nobody", [0, 2]),
    ("name__nin=pump 1,pump 3", [1, 3, 4]),
    (f"id__eq={PUMPS[1]}", [1]),
    (f"id__in={PUMPS[4]},{PUMPS[1]},{PUMPS[1]},{NOBODY}", [1, 4]),
    (f"id__nin={PUMPS[4]}", [0, 1, 2, 3]),
    ("endpoint_name__eq=pump-0002", [1]),
    ("endpoint_name__in=pump-0002,pump-0003", [1, 2]),
    ("endpoint_name__eq=nobody", []),
    ("endpoint_name__neq=pump-0002", [0, 2, 3, 4]),
    ("state__eq=registered", [0, 1, 2, 3, 4]),
    ("state__nin=registered,deregistered", []),
    ("description__eq=", [0, 1, 2, 3, 4]),
    ("firmware_checksum__neq=" + "0" * 64, [0, 1, 2, 3, 4]),
    ("auto_update__eq=false", [0, 1, 2, 3, 4]),
    ("auto_update__eq=true", []),
    ("device_execution_mode__eq=0", [0, 1, 2, 3, 4]),
    ("custom_attributes__line=1", [0, 2, 4]),
    ("custom_attributes__line__eq=0", [1, 3]),
    ("custom_attributes__nothing=0", []),
    ("created_at__gte=2024-01-04T00:00:00Z", [3, 4]),
    ("created_at__gte=2024-01-03T23:59:59.1234Z", [3, 4]),
    ("created_at__lte=20240102T000000Z", [0, 1]),
    ("created_at__gte=20240102T000000Z&created_at__lte=2024-01-03T00:00:00Z", [1, 2]),
    ("created_at__eq=2024-01-02T00:00:00Z", [1]),
    ("created_at__in=2024-01-02T00:00:00Z,20240105T000000Z", [1, 4]),
    ("bootstrapped_timestamp__gte=2016-11-30T16:25:12.1234Z", []),
    ("custom_attributes__line=1&name__neq=pump 1", [2, 4]),
    ("account_id__eq=nobody", []),
]


@pytest.mark.parametrize(("text", "found"), FILTERS, ids=[text for text, _ in FILTERS])
def test_filters_are_taken_as_parameters_as_one_parameter_and_for_a_group(
    managed: Account, text: str, found: list[int]
) -> None:
    expected = [PUMPS[n] for n in found]
    parameters = dict(pair.split("=", 1) for pair in text.split("&"))
    assert managed.ids("/v3/devices", **parameters) == expected
    assert managed.ids(f"/v3/devices?filter={quote(text, safe='')}") == expected
    # `+` for blanks, inside and outside.
    assert managed.ids(f"/v3/devices?filter={quote(text.replace(' ', '+'), safe='')}") == expected
    assert managed.ids(f"/v3/device-groups/{NORTH}/devices/", **parameters) == [
        id_ for id_ in expected if id_ in PUMPS[:2]
    ]


def test_filtered_lists_have_pages_and_a_count_of_what_matches(managed: Account) -> None:
    page = managed.get("/v3/devices", custom_attributes__line="1", limit=2, include="total_count")
    assert ([device["id"] for device in page["data"]], page["has_more"], page["total_count"]) == (
        [PUMPS[0], PUMPS[2]],
        True,
        3,
    )
    page = managed.get("/v3/devices", custom_attributes__line="1", limit=2, after=PUMPS[2])
    assert ([device["id"] for device in page["data"]], page["has_more"]) == ([PUMPS[4]], False)


@pytest.mark.parametrize(
    ("path", "parameter", "value"),
    [
        ("/v3/devices", "nmae__eq", "x"),
        ("/v3/devices", "name__like", "x"),
        ("/v3/devices", "name__gte", "x"),
        ("/v3/devices", "created_at__gte", "yesterday"),
        ("/v3/devices", "created_at__lte", "20241301T000000Z"),
        ("/v3/devices", "auto_update__eq", "perhaps"),
        ("/v3/devices", "device_execution_mode__eq", "five"),
        ("/v3/devices", "custom_attributes__line__neq", "1"),
        ("/v3/devices", "custom_attributes__line__in", "1,2"),
        ("/v3/devices", "custom_attributes", "1"),
        # A group has an endpoint of its own for its devices; there is no filter by it.
        ("/v3/devices", "groups__in", NORTH),
        ("/v3/devices", "device_groups__in", NORTH),
        ("/v3/devices", "online__eq", "true"),
        ("/v3/device-groups", "endpoint_name__eq", "x"),
        ("/v3/firmware-images", "custom_attributes__line", "x"),
        ("/v3/update-campaigns", "phase__eq", "draft"),
    ],
)
def test_what_cannot_be_filtered_is_refused_in_both_forms(
    managed: Account, path: str, parameter: str, value: str
) -> None:
    for query in (f"{parameter}={value}", f"filter={quote(f'{parameter}={value}', safe='')}"):
        body = managed.call("GET", f"{path}?{query}", 400)
        assert (body["type"], [field["name"] for field in body["fields"]]) == ("validation_error", [parameter])


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("/v3/device-groups", "name__eq=north", True),
        ("/v3/device-groups", "devices_count__gte=2", True),
        ("/v3/device-groups", "devices_count__eq=3", False),
        ("/v3/device-groups", "custom_attributes__river=Akerselva", True),
        ("/v3/device-groups", f"id__in={NORTH}", True),
        ("/v3/device-groups", "created_at__lte=2020-01-01T00:00:00Z", False),
        ("/v3/device-groups", "etag__gte=2020-01-01T00:00:00Z", True),
    ],
)
def test_groups_are_filtered_by_their_own_fields(managed: Account, path: str, text: str, found: bool) -> None:
    assert managed.ids(f"{path}?{text}") == ([NORTH] if found else [])


# Faults and the log.


def test_a_fault_has_the_vendors_error_with_a_request_id(managed: Account) -> None:
    managed.sim.set_faults({"match": {"path": "/v3/devices*"}, "times": 1, "effect": {"status": 503}})
    answer = managed.http.get("/v3/devices")
    body = answer.json()
    assert (answer.status_code, body["object"], body["code"]) == (503, "error", 503)
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert managed.http.get("/v3/devices").status_code == 200


def test_an_answer_is_lost_after_the_work_was_done(managed: Account) -> None:
    managed.sim.set_faults({"match": {"method": "POST", "path": "/v3/device-groups*"}, "effect": {"drop": "after"}})
    with pytest.raises(httpx.TransportError):
        managed.http.post("/v3/device-groups/", json={"name": "south"})
    managed.sim.set_faults()
    assert [group["name"] for group in managed.get("/v3/device-groups")["data"]] == ["north", "south"]


def test_requests_are_in_the_log(managed: Account) -> None:
    managed.get("/v3/devices", name__eq="pump 1")
    managed.delete(f"/v3/devices/{PUMPS[0]}/")
    assert [(entry["method"], entry["path"], entry["status"]) for entry in managed.sim.requests()] == [
        ("GET", "/v3/devices?name__eq=pump+1", 200),
        ("DELETE", f"/v3/devices/{PUMPS[0]}/", 204),
    ]
