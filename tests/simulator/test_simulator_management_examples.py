"""
The vendor's own examples (its page "Using the APIs"): the requests are taken, and the answers have the shapes that it
shows.
"""

import json
from typing import Any

import httpx
import pytest
from simulated_management import API_KEY, NOBODY, PUMPS, Account

# "The model for these requests", with the body as it stands there.
CURL_BODY = """{
      "name" : "Device.",
      "description" : "Testing."
}"""

# The error response model and the list, as they stand there; `…` is a value of the answer's own.
ERROR: dict[str, Any] = {
    "object": "error",
    "code": ...,
    "type": ...,
    "message": ...,
    "fields": [{"name": ..., "message": ...}],
    "request_id": ...,
}
LIST: dict[str, Any] = {"object": "list", "limit": ..., "after": ..., "order": ..., "data": [...]}


def like(example: Any, found: Any) -> bool:
    """Whether an answer has what the example has; unexpected fields are ignored (seed: Backward compatibility)."""
    if example is ...:
        return True
    if isinstance(example, dict):
        return all(key in found and like(value, found[key]) for key, value in example.items())
    if isinstance(example, list):
        return bool(found) and all(like(example[0], item) for item in found)
    return bool(example == found)


@pytest.mark.parametrize(("method", "path"), [("POST", "/v3/devices/"), ("PUT", f"/v3/devices/{PUMPS[0]}/")])
def test_the_model_of_a_request(managed: Account, method: str, path: str) -> None:
    headers = {"Authorization": "Bearer ak_272f4259b2b1470599c19bc4a473d3cb", "content-type": "application/json"}
    answer = httpx.request(method, managed.sim.url + path, headers=headers, content=CURL_BODY, trust_env=False)
    assert answer.status_code in (200, 201)
    assert answer.json().items() >= json.loads(CURL_BODY).items()
    assert API_KEY not in json.dumps(managed.sim.requests())


def test_the_error_response_model(managed: Account) -> None:
    answer = managed.http.put(f"/v3/devices/{PUMPS[0]}", json={"name": 1})
    assert like(ERROR, answer.json())
    assert (answer.json()["code"], answer.json()["type"]) == (400, "validation_error")
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


def test_the_list_that_the_example_of_a_filter_answers(managed: Account) -> None:
    # The page filters users, which are no part of a fleet: `GET /v3/users?status__eq=ACTIVE`.
    page = managed.get("/v3/devices?state__eq=registered")
    assert like(LIST, page)
    assert [device["id"] for device in page["data"]] == PUMPS
    after = managed.get("/v3/devices?after=2d238a89038b4ddb84699dd36a901063&order=DESC&include=total_count")
    assert like(LIST, after)
    assert (after["after"], after["total_count"]) == ("2d238a89038b4ddb84699dd36a901063", 5)


@pytest.mark.parametrize("date", ["2016-11-30T16:25:12.1234Z", "20161130T162512Z"])
def test_the_dates_of_filters(managed: Account, date: str) -> None:
    assert managed.ids("/v3/devices", created_at__gte=date) == PUMPS
    assert managed.ids("/v3/devices", created_at__lte=date) == []


@pytest.mark.parametrize(
    ("code", "type_", "call"),
    [
        (400, "bad_request", {"method": "POST", "url": "/v3/devices", "content": b"{"}),
        (400, "validation_error", {"method": "GET", "url": "/v3/devices?limit=x"}),
        (401, "invalid_auth", {"method": "GET", "url": "/v3/devices", "headers": {"Authorization": "x"}}),
        (401, "auth_mismatch", {"method": "GET", "url": "/v3/devices", "headers": {"Authorization": "Basic eDp5"}}),
        (401, "invalid_token", {"method": "GET", "url": "/v3/devices", "headers": {"Authorization": "Bearer x"}}),
        (401, "invalid_apikey", {"method": "GET", "url": "/v3/devices", "headers": {"Authorization": "Bearer ak_x"}}),
        (403, "access_restricted", {"method": "PUT", "url": "the campaign", "json": {"autostop": False}}),
        (404, "not_found", {"method": "GET", "url": f"/v3/devices/{NOBODY}"}),
        (404, "unrecognized_request", {"method": "GET", "url": "/v3/users?status__eq=ACTIVE"}),
        (405, "method_not_supported", {"method": "DELETE", "url": "/v3/devices"}),
        (500, "internal_server_error", {"method": "GET", "url": "/v3/firmware-images"}),
    ],
)
def test_the_table_of_error_types(managed: Account, code: int, type_: str, call: dict[str, Any]) -> None:
    if code == 403:
        call = {**call, "url": managed.started("state=registered")}
    if code == 500:
        managed.sim.set_faults({"effect": {"status": 500}})
    body = managed.http.request(**{"headers": {"Content-Type": "application/json"}, **call}).json()
    assert like({**ERROR, "fields": ...}, body)
    assert (body["code"], body["type"]) == (code, type_)
