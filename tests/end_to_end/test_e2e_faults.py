"""Every request of an apply of ten resources fails in turn, in every way: the rerun converges, without duplicates."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from fleet_rig import MakeRig, Rig, sid

EFFECTS: dict[str, dict[str, Any]] = {
    "429": {"status": 429, "headers": {"Retry-After": "0"}},
    "500": {"status": 500},
    "lost before the work": {"drop": "before"},
    "lost after the work": {"drop": "after"},
    "html": {"status": 200, "body": "<html>busy</html>", "headers": {"Content-Type": "text/html"}},
}
STRIKES = [*((effect, None) for effect in EFFECTS), ("429", 1), ("500", 1), ("lost after the work", 1)]


def ten_resources(rig: Rig) -> None:
    rig.environ |= {"PSK": "psk-of-the-tests", "PW": "password-of-the-tests"}
    rig.apps["v1"] = {"bundle": rig.bundle("v1.zip")}
    rig.configs["host"] = "1"
    rig.secrets["pw"] = "env:PW"
    for number, key in ((1, "one"), (2, "two")):
        rig.devices[key] = {
            "sid": sid(number),
            "app": "v1",
            "logging": True,
            "configs": {"a": "1"},
            "secrets": {"psk": "env:PSK"},
        }
    rig.devices["three"] = {"sid": sid(3)}


def second_version(rig: Rig) -> None:
    """An edit that renames, swaps, moves, retargets, deletes, creates and updates."""
    rig.environ["PSK"] = "second psk"
    rig.apps["v2"] = {"bundle": rig.bundle("v2.zip")}
    devices = rig.devices
    devices["one"] |= {"app": "v2", "unique_name": "two", "configs": {"a": "2"}}
    devices["two"] |= {"unique_name": "one", "configs": {"b": "1"}, "secrets": {}}
    devices["four"] = devices.pop("three")
    rig.configs.clear()
    rig.configs["port"] = "1"


def wanted(rig: Rig) -> dict[str, Any]:
    """What the account holds, without what differs from run to run."""
    world = rig.world
    names = {app_sid: app["unique_name"] for app_sid, app in world["apps"].items()}
    assert len(set(names.values())) == len(names)
    devices = {}
    for device_sid, device in world["devices"].items():
        target = (device["app"] or {}).get("target_sid")
        devices[device_sid] = {
            "app": names.get(target),
            "logging": device["logging"]["enabled"],
            **{key: device[key] for key in ("unique_name", "configs", "secrets")},
        }
    return {
        "apps": sorted(names.values()),
        "configs": world["configs"],
        "secrets": world["secrets"],
        "devices": devices,
    }


def nth(requests: list[str], at: int, effect: dict[str, Any], times: int | None) -> list[dict[str, Any]]:
    """Faults that strike the request at this place, told by how often its like came before."""
    method, target = requests[at].split(" ", 1)
    match = {"method": method, "path": target.partition("?")[0]}
    before = sum(request.partition("?")[0] == f"{method} {match['path']}" for request in requests[:at])
    strike: dict[str, Any] = {"match": match, "effect": effect}
    if times is not None:
        strike["times"] = times
    return [*([{"match": match, "times": before, "effect": {"delay_s": 0}}] if before else []), strike]


def converge(rig: Rig) -> None:
    rig.sim.set_faults()
    ran = rig.apply()
    assert ran.code == 0, ran
    rig.mark()
    ran = rig.apply()
    assert ran.code == 0, ran
    assert "No changes." in ran.out and rig.mutations() == [], ran


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, Any]]:
    """The requests of an undisturbed first apply, and what it leads to."""
    from fleet_rig import rigged

    with rigged(tmp_path_factory.mktemp("story")) as rig:
        ten_resources(rig)
        rig.mark()
        assert rig.apply("--parallelism", "1").code == 0
        return rig.requests(), wanted(rig)


@pytest.mark.parametrize(("effect", "times"), STRIKES)
def test_a_first_apply_survives_a_fault_at_every_request(
    make_rig: MakeRig, story: tuple[list[str], dict[str, Any]], effect: str, times: int | None
) -> None:
    requests, end = story
    rig = make_rig()
    ten_resources(rig)
    begin = rig.sim.world
    for at in range(len(requests)):
        rig.sim.put(begin)
        rig.lose_state()
        rig.sim.set_faults(*nth(requests, at, EFFECTS[effect], times))
        ran = rig.apply("--parallelism", "1")
        assert ran.code in (0, 1, 7), (requests[at], ran)
        converge(rig)
        assert wanted(rig) == end, requests[at]


@pytest.mark.parametrize("effect", ["lost before the work", "lost after the work", "500"])
def test_a_second_apply_survives_a_lasting_fault_at_every_request(make_rig: MakeRig, effect: str) -> None:
    rig = make_rig()
    ten_resources(rig)
    assert rig.apply().code == 0
    begin, state = rig.sim.world, rig.state.read_bytes()
    second_version(rig)
    rig.mark()
    assert rig.apply("--parallelism", "1", "--exclude", "microvisor.apps.v1").code == 0
    requests, end = rig.requests(), wanted(rig)
    for at in range(len(requests)):
        if requests[at].startswith("GET "):
            continue
        rig.sim.put(begin)
        rig.lose_state()
        rig.state.write_bytes(state)
        rig.state.chmod(0o600)
        rig.sim.set_faults(*nth(requests, at, EFFECTS[effect], None))
        ran = rig.apply("--parallelism", "1")
        assert ran.code in (0, 7), (requests[at], ran)
        converge(rig)
        assert wanted(rig) == end, requests[at]


def test_answers_that_are_lost_at_random_lead_to_no_duplicates(make_rig: MakeRig) -> None:
    rig = make_rig()
    ten_resources(rig)
    begin = rig.sim.world
    for seed in range(12):
        rig.sim.put(begin)
        rig.lose_state()
        rig.sim.set_faults(
            {"match": {}, "probability": 0.25, "seed": seed, "effect": {"drop": "after"}},
            {"match": {}, "probability": 0.25, "seed": seed + 1, "effect": {"drop": "before"}},
            {"match": {}, "probability": 0.1, "seed": seed + 2, "effect": {"status": 500}},
        )
        for _ in range(3):
            rig.apply()
        converge(rig)


def test_an_upload_that_was_done_and_not_answered_is_not_repeated(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.apps["v1"] = {"bundle": rig.bundle("v1.zip")}
    rig.sim.set_faults({"match": {"method": "POST", "path": "/upload*"}, "times": 1, "effect": {"drop": "after"}})
    rig.mark()
    ran = rig.apply()
    assert ran.code == 0, ran
    assert len(rig.mutations()) == 1
    rig.assert_in_sync()


def test_too_many_requests_is_not_an_error_of_the_run(make_rig: MakeRig) -> None:
    rig = make_rig()
    ten_resources(rig)
    rig.sim.set_faults({"match": {}, "probability": 0.5, "seed": 1, "effect": {"status": 429}})
    ran = rig.apply()
    assert ran.code == 0, ran
    converge(rig)


def test_a_wait_is_told_with_its_reason_and_its_length_once_for_all_that_wait(make_rig: MakeRig) -> None:
    rig = make_rig()
    for number in range(20):
        rig.configs[f"c{number}"] = "1"
    fault = {"match": {"method": "POST"}, "effect": {"status": 429, "headers": {"Retry-After": "2"}}, "times": 3}
    rig.sim.set_faults(fault)
    ran = rig.apply()
    assert ran.code == 0, ran
    host = rig.sim.url.partition("//")[2]
    told = [line for line in ran.err.splitlines() if f"429 from {host}, again in " in line]
    assert told and len(told) < 3 and told[0].endswith(" s, second try"), ran


def test_a_refusal_is_not_repeated(make_rig: MakeRig) -> None:
    rig = make_rig()
    ten_resources(rig)
    rig.sim.set_faults({"match": {"method": "POST"}, "effect": {"status": 400}})
    rig.mark()
    assert rig.apply().code == 7
    assert max(Counter(rig.mutations()).values()) == 1
