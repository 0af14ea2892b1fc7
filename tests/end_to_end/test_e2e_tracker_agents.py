"""Where the agents are and who may speak to them: urls, credentials, silent agents, and no password anywhere."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest
from tracker_rig import (
    HOUR,
    PASSWORD,
    SCHEMES,
    TRUCK,
    USERNAME,
    MakeTrackers,
    TrackerRig,
    assert_pending,
    assert_settled,
    truck,
)

VAN = "asset_tracker.trackers.van"
OWN = {"username": "van-user", "password": "password-of-the-van"}


@pytest.fixture
def fleet(make_trackers: MakeTrackers) -> TrackerRig:
    """A tracker with the section's credentials, and one with its own, which the document does not say yet."""
    rig = make_trackers({"A1": {}, "A2": OWN}, direct=True)
    rig.trackers["truck"] = truck(connectingPeriod=60)
    rig.trackers["van"] = truck("A2", connectingPeriod=60)
    return rig


def with_own(rig: TrackerRig) -> None:
    rig.trackers["van"] |= {"username": "env:VAN_USER", "password": "env:VAN_PASSWORD"}
    rig.environ |= {"VAN_USER": OWN["username"], "VAN_PASSWORD": OWN["password"]}


def test_a_tracker_has_its_own_credentials(fleet: TrackerRig) -> None:
    with_own(fleet)
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert sorted(fleet.patches()) == ["PATCH /A1/cfg", "PATCH /A2/cfg"]
    assert_pending(fleet, TRUCK, VAN)
    fleet.sim.advance(HOUR)
    assert_settled(fleet)


def test_the_sections_credentials_may_be_named_otherwise(fleet: TrackerRig) -> None:
    del fleet.trackers["van"]
    fleet.files["providers"]["asset_tracker"] |= {"username": "env:WHO", "password": "file:secret.txt"}
    fleet.environ = {"WHO": USERNAME}
    (fleet.fleet / "secret.txt").write_text(PASSWORD + "\n")
    ran = fleet.apply()
    assert ran.code == 0, ran


def test_wrong_credentials_of_one_tracker_are_exit_4_and_the_others_are_shown(fleet: TrackerRig) -> None:
    ran = fleet.plan()
    assert ran.code == 4, ran
    said = ran.out + ran.err
    assert VAN in said and "401" in said and "/A2/cfg" in said, ran
    assert TRUCK in ran.out and "connectingPeriod" in ran.out, ran
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 4, ran
    assert fleet.patches() == ["PATCH /A1/cfg"]
    assert "A2" in ran.out + ran.err
    # Once they are right, the rest follows.
    with_own(fleet)
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert fleet.patches() == ["PATCH /A2/cfg"]


def test_credentials_that_turn_wrong_forget_nothing(fleet: TrackerRig) -> None:
    with_own(fleet)
    assert fleet.apply().code == 0
    before = fleet.entries()
    fleet.environ["VAN_PASSWORD"] = "wrong"
    assert fleet.plan().code == 4
    assert fleet.apply().code == 4
    assert fleet.entries() == before
    fleet.environ["VAN_PASSWORD"] = OWN["password"]
    assert_pending(fleet, TRUCK, VAN)


@pytest.mark.parametrize("missing", ["CFG_REST_API_USERNAME", "CFG_REST_API_PASSWORD"])
def test_a_missing_variable_of_the_section_is_exit_3_and_said_once(fleet: TrackerRig, missing: str) -> None:
    del fleet.environ[missing]
    fleet.mark()
    ran = fleet.plan()
    assert ran.code == 3, ran
    assert ran.err.count("Error:") == 1, ran
    assert fleet.requests() == []
    assert fleet.apply().code == 3


def test_a_missing_variable_of_many_trackers_is_said_once(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({f"A{number}": {} for number in range(1, 9)}, direct=True)
    for number in range(1, 9):
        rig.trackers[f"t{number}"] = {**truck(f"A{number}", connectingPeriod=60), "password": "env:NOT_THERE"}
        rig.trackers[f"t{number}"]["username"] = "env:CFG_REST_API_USERNAME"
    rig.mark()
    ran = rig.plan()
    assert ran.code == 3, ran
    assert "NOT_THERE" in ran.err and ran.err.count("Error:") == 1, ran
    assert rig.patches() == []


def test_a_missing_variable_of_one_tracker_names_it(fleet: TrackerRig) -> None:
    with_own(fleet)
    del fleet.environ["VAN_PASSWORD"]
    ran = fleet.plan()
    assert ran.code == 3, ran
    assert "VAN_PASSWORD" in ran.err and VAN in ran.err and "fleet.yaml" in ran.err, ran


def test_validate_needs_no_credentials(fleet: TrackerRig) -> None:
    with_own(fleet)
    fleet.environ = {}
    fleet.mark()
    ran = fleet.run("validate", str(fleet.fleet))
    assert ran.code == 0, ran
    assert fleet.requests() == []


@pytest.mark.parametrize("field", ["username", "password"])
def test_a_literal_credential_is_an_error_that_does_not_repeat_it(fleet: TrackerRig, field: str) -> None:
    fleet.trackers["van"][field] = "literal-in-the-file"
    ran = fleet.run("validate", str(fleet.fleet))
    assert ran.code == 3, ran
    assert "env:" in ran.err and "fleet.yaml" in ran.err, ran


def test_a_slash_at_the_end_of_the_base_url_is_ignored(fleet: TrackerRig) -> None:
    del fleet.trackers["van"]
    fleet.files["providers"]["asset_tracker"]["base_url"] += "/"
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert fleet.patches() == ["PATCH /A1/cfg"]


def test_a_tracker_is_found_by_its_url(fleet: TrackerRig) -> None:
    del fleet.trackers["van"]
    fleet.files["providers"] = {}  # the default host, which the url stands in for
    fleet.trackers["truck"] = {"url": f"{fleet.sim.url}/A1/cfg", "configuration": {"connectingPeriod": 60}}
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert fleet.patches() == ["PATCH /A1/cfg"]
    assert_pending(fleet, TRUCK)
    fleet.sim.advance(HOUR)
    assert_settled(fleet)


def test_a_url_elsewhere_gets_no_credentials(fleet: TrackerRig) -> None:
    fleet.trackers["van"] = {"url": "https://agent.example.com/A2/cfg", "configuration": {"connectingPeriod": 60}}
    fleet.mark()
    for ran in (fleet.plan(), fleet.apply()):
        assert ran.code == 3, ran
        assert "agent.example.com" in ran.err and "--allow-host" in ran.err, ran
    assert fleet.patches() == []


@pytest.mark.parametrize("unit", [{}, {"agent": "A2", "url": "http://127.0.0.1:1/A2/cfg"}])
def test_a_tracker_has_an_agent_or_a_url(fleet: TrackerRig, unit: dict[str, str]) -> None:
    fleet.trackers["van"] = {**unit, "configuration": {"connectingPeriod": 60}}
    ran = fleet.run("validate", str(fleet.fleet))
    assert ran.code == 3, ran
    assert "agent" in ran.err and "url" in ran.err and VAN in ran.err, ran


EFFECTS: dict[str, dict[str, Any]] = {
    "no answer": {"drop": "before"},
    "500": {"status": 500},
    "html": {"status": 200, "body": "<html>busy</html>", "headers": {"Content-Type": "text/html"}},
    "another JSON": {"status": 200, "body": "[]", "headers": {"Content-Type": "application/json"}},
    "an empty object": {"status": 200, "body": "{}", "headers": {"Content-Type": "application/json"}},
}


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS)
@pytest.mark.parametrize("known", [False, True])
def test_a_silent_agent_makes_the_plan_incomplete_and_stops_nothing_else(
    make_trackers: MakeTrackers, effect: dict[str, Any], known: bool
) -> None:
    rig = make_trackers({"A1": {}, "A2": {}, "A3": {}})
    for number, key in enumerate(("truck", "van", "ship"), 1):
        rig.trackers[key] = truck(f"A{number}", connectingPeriod=60)
    if known:
        assert rig.apply().code == 0
        rig.sim.advance(HOUR)
        for entry in rig.trackers.values():
            entry["configuration"]["connectingPeriod"] = 70
    before = rig.entries()
    rig.sim.set_faults({"match": {"path": "/A2/cfg"}, "effect": effect})
    rig.mark()
    ran = rig.plan("--detailed-exitcode")
    assert ran.code == 1, ran
    assert VAN in ran.out and "ncomplete" in ran.out and "not" in ran.out, ran
    assert set(rig.changes()) == {TRUCK, "asset_tracker.trackers.ship"}
    assert rig.plan("--format", "json").json["complete"] is False
    ran = rig.apply()
    assert ran.code == 1, ran
    assert sorted(rig.patches()) == ["PATCH /A1/cfg", "PATCH /A3/cfg"]
    assert rig.entries().get(VAN) == before.get(VAN)
    # It comes back.
    rig.sim.set_faults()
    rig.mark()
    assert rig.apply().code == 0
    assert rig.patches() == ["PATCH /A2/cfg"]
    rig.sim.advance(HOUR)
    assert_settled(rig)


def test_an_agent_that_does_not_exist_is_named_and_holds_nobody_up(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {}})
    rig.trackers["truck"] = truck(connectingPeriod=60)
    rig.trackers["van"] = truck("gone", connectingPeriod=60)
    ran = rig.plan()
    assert ran.code in (1, 3), ran
    assert VAN in ran.out + ran.err and "gone" in ran.out + ran.err, ran


def test_a_known_tracker_that_leaves_the_files_while_its_agent_is_silent_is_forgotten_without_a_request(
    make_trackers: MakeTrackers,
) -> None:
    rig = make_trackers({"A1": {}, "A2": {}})
    rig.trackers["truck"] = truck(connectingPeriod=60)
    rig.trackers["van"] = truck("A2", connectingPeriod=60)
    assert rig.apply().code == 0
    del rig.trackers["van"]
    rig.sim.set_faults({"match": {"path": "/A2/cfg"}, "effect": {"drop": "before"}})
    rig.mark()
    ran = rig.apply()
    assert ran.code == 0, ran
    assert rig.patches() == []
    assert VAN not in rig.entries()


def test_agents_are_asked_in_parallel(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({f"A{number}": {} for number in range(16)})
    for number in range(16):
        rig.trackers[f"t{number}"] = truck(f"A{number}", connectingPeriod=60)
    rig.sim.set_faults({"match": {}, "effect": {"delay_s": 0.3}})
    begin = time.monotonic()
    assert rig.plan().code == 0
    assert time.monotonic() - begin < 16 * 0.3


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_secret_is_in_any_output_plan_file_or_state(
    make_trackers: MakeTrackers, tmp_path: Path, scheme: str
) -> None:
    rig = make_trackers({"A1": {"scheme": scheme}, "A2": {**OWN, "scheme": scheme}, "A3": {}}, direct=True)
    for number, key in enumerate(("truck", "van", "ship"), 1):
        rig.trackers[key] = truck(f"A{number}", connectingPeriod=60)
    with_own(rig)
    rig.trackers["ship"] |= {"username": "env:VAN_USER", "password": "env:VAN_PASSWORD"}  # wrong: a 401
    said: list[str] = []
    file = rig.directory / "saved.plan"

    def run(*arguments: str) -> None:
        ran = rig.run(*arguments)
        said.append(ran.out + ran.err)

    fleet = str(rig.fleet)
    run("validate", fleet, "-vv")
    run("plan", fleet, "-vv", "--out", str(file))
    run("plan", fleet, "-vv", "--format", "json")
    run("show", str(file))
    run("apply", str(file), "--auto-approve", "-vv")
    rig.sim.set_faults({"match": {"path": "/A2/cfg"}, "effect": {"drop": "before"}})
    rig.trackers["van"]["configuration"]["readingPeriod"] = 20
    run("apply", fleet, "--auto-approve", "-vv", "--wait", "settled", "--timeout", "3")
    rig.sim.set_faults({"match": {"method": "PATCH"}, "effect": {"status": 400, "body": "Field: no"}})
    run("apply", fleet, "--auto-approve", "-vv")
    rig.sim.set_faults()
    run("apply", fleet, "--auto-approve", "-vv", "--format", "json")
    run("drift", fleet, "-vv")
    run("show", fleet)
    run("state", "pull", fleet)
    run("state", "show", VAN, "--path", fleet)
    run("explain", VAN, "--path", fleet)
    run("destroy", fleet, "--auto-approve", "-vv")
    assert any("PATCH" in text and "/A2/cfg" in text for text in said)  # -vv tells the requests
    secrets = [PASSWORD, OWN["password"]]
    for user, password in ((USERNAME, PASSWORD), (OWN["username"], OWN["password"])):
        secrets.append(base64.b64encode(f"{user}:{password}".encode()).decode())
    files = [path for path in rig.directory.rglob("*") if path.is_file()]
    assert file in files and rig.state in files
    for secret in secrets:
        assert not any(secret in text for text in said), secret
        assert not any(secret.encode() in path.read_bytes() for path in files), secret
