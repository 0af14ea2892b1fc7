"""Faults: what a client meets when the API, or the way to it, misbehaves."""

import time
from typing import Any

import httpx
import pytest
from simulated_fleet import ACCOUNT, TOKEN

from reconcile.simulator.serving import Running

CREATE = {"Key": "k", "Value": "v"}


def _has_k(sim: Running) -> bool:
    return "k" in sim.world["microvisor"]["configs"]


def test_an_answer_is_given_without_the_work(client: httpx.Client, sim: Running) -> None:
    fault = {"effect": {"status": 429, "headers": {"Retry-After": 3}}}
    assert client.put("/_sim/faults", json=[fault]).status_code == 204
    answer = client.post("/v1/Configs", data=CREATE)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    assert answer.json()["code"] == 20429
    assert answer.headers["Date"]
    assert not _has_k(sim)
    assert sim.requests() == [{"n": 1, "method": "POST", "path": "/v1/Configs", "status": 429}]


@pytest.mark.parametrize(
    ("body", "headers", "text", "content_type"),
    [
        ("<html>", {}, "<html>", "text/plain; charset=utf-8"),
        ("<html>", {"content-type": "text/html"}, "<html>", "text/html"),
        ({"a": 1}, {}, '{"a": 1}', "application/json"),
        (None, {}, "null", "application/json"),
        ("", {}, "", None),
    ],
)
def test_the_body_of_a_fault_is_sent_as_given(
    client: httpx.Client, sim: Running, body: Any, headers: Any, text: str, content_type: str | None
) -> None:
    sim.set_faults({"effect": {"status": 503, "headers": headers, "body": body}})
    answer = client.get("/v1/Devices")
    assert answer.text == text
    if content_type:
        assert answer.headers["Content-Type"] == content_type


def test_an_answer_dropped_before_leaves_the_work_undone(client: httpx.Client, sim: Running) -> None:
    sim.set_faults({"effect": {"drop": "before"}})
    with pytest.raises(httpx.TransportError):
        client.post("/v1/Configs", data=CREATE)
    assert not _has_k(sim)
    assert sim.requests()[0]["status"] is None


def test_an_answer_dropped_after_leaves_the_work_done(
    client: httpx.Client, sim: Running, caplog: pytest.LogCaptureFixture
) -> None:
    sim.set_faults({"effect": {"drop": "after"}, "times": 1})
    with pytest.raises(httpx.TransportError):
        client.post("/v1/Configs", data=CREATE)
    assert _has_k(sim)
    assert sim.requests()[0]["status"] is None
    assert client.post("/v1/Configs", data=CREATE).status_code == 409
    assert not caplog.records


def test_a_delayed_answer_comes_after_the_work(client: httpx.Client, sim: Running) -> None:
    sim.set_faults({"effect": {"delay_s": 0.05}})
    began = time.monotonic()
    assert client.post("/v1/Configs", data=CREATE).status_code == 201
    assert time.monotonic() - began >= 0.05


def test_a_client_that_does_not_wait_for_a_delayed_answer_does_not_hinder_others(sim: Running) -> None:
    sim.set_faults({"effect": {"delay_s": 0.2}, "times": 1})
    with httpx.Client(base_url=sim.url, auth=(ACCOUNT, TOKEN), verify=False) as impatient:
        with pytest.raises(httpx.ReadTimeout):
            impatient.get("/v1/Devices", timeout=0.02)
        assert impatient.get("/v1/Devices").status_code == 200


def test_times_are_counted_down(client: httpx.Client, sim: Running) -> None:
    sim.set_faults({"effect": {"status": 500}, "times": 2})
    assert [client.get("/v1/Devices").status_code for _ in range(4)] == [500, 500, 200, 200]
    assert client.get("/_sim/faults").json()[0]["times"] == 0


def test_the_first_fault_that_matches_counts(client: httpx.Client, sim: Running) -> None:
    sim.set_faults(
        {"match": {"method": "POST"}, "effect": {"status": 500}},
        {"match": {"path": "/v1/Dev*"}, "times": 1, "effect": {"status": 502}},
        {"match": {"path": "/v1/*"}, "effect": {"status": 503}},
    )
    got = [client.get(path).status_code for path in ("/v1/Devices", "/v1/Devices", "/v1/Configs", "/nowhere")]
    assert got == [502, 503, 503, 404]
    assert client.post("/v1/Configs").status_code == 500


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("/v1/Configs/a b", "/v1/Configs/a%20b", True),
        ("/v1/*/Configs/*", "/v1/Devices/UV1/Configs/site", True),
        ("/v1/Devices", "/v1/Devices?PageSize=1", True),
        ("/v1/Devices", "/v1/Devices/UV1", False),
        ("/v1/[AD]*", "/v1/Apps", True),
        ("/v1/devices", "/v1/Devices", False),
    ],
)
def test_a_path_is_a_glob_over_the_decoded_path(
    client: httpx.Client, sim: Running, glob: str, path: str, matches: bool
) -> None:
    sim.set_faults({"match": {"path": glob}, "effect": {"status": 599}})
    assert (client.get(path).status_code == 599) is matches


def test_a_die_falls_the_same_way_for_the_same_seed(client: httpx.Client, sim: Running) -> None:
    runs = []
    for seed in (1, 1, 2):
        sim.set_faults({"probability": 0.5, "seed": seed, "effect": {"status": 500}})
        runs.append([client.get("/v1/Devices").status_code for _ in range(30)])
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {200, 500}


def test_the_control_meets_no_faults_and_asks_for_no_credentials(client: httpx.Client, sim: Running) -> None:
    client.put("/_sim/faults", json=[{"effect": {"drop": "before"}}], auth=None)
    assert client.get("/_sim/state", auth=None).status_code == 200
    assert client.put("/_sim/faults", json=[], auth=None).status_code == 204
    assert client.get("/v1/Devices").status_code == 200
    assert len(sim.requests()) == 1


@pytest.mark.parametrize(
    ("faults", "path"),
    [
        ({}, "$"),
        ([1], "$[0]"),
        ([{}], "$[0].effect"),
        ([{"effect": {}}], "$[0].effect"),
        ([{"effect": {"drop": "now"}}], "$[0].effect.drop"),
        ([{"effect": {"status": 99}}], "$[0].effect.status"),
        ([{"effect": {"status": "500"}}], "$[0].effect.status"),
        ([{"effect": {"delay_s": -1}}], "$[0].effect.delay_s"),
        ([{"effect": {"status": 500, "headers": {"a b": "c"}}}], '$[0].effect.headers["a b"]'),
        ([{"effect": {"status": 500, "headers": {"A": "b\r\nC: d"}}}], "$[0].effect.headers.A"),
        ([{"effect": {"delay_s": 1, "body": "x"}}], "$[0].effect.body"),
        ([{"effect": {"status": 500}}, {"effect": {"status": 500}, "times": -1}], "$[1].times"),
        ([{"effect": {"status": 500}, "probability": 2}], "$[0].probability"),
        ([{"effect": {"status": 500}, "match": {"host": "x"}}], "$[0].match.host"),
        ([{"effect": {"status": 500}, "match": {"method": ""}}], "$[0].match.method"),
    ],
)
def test_a_fault_of_the_wrong_shape_is_a_400_with_its_path(client: httpx.Client, faults: Any, path: str) -> None:
    before = client.get("/_sim/faults").json()
    answer = client.put("/_sim/faults", json=faults)
    assert (answer.status_code, answer.json()["path"]) == (400, path)
    assert client.get("/_sim/faults").json() == before
