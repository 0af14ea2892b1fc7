"""An untrusted document opens what whoever runs the tool allows, and sends a credential to nobody that is new."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from fleet_rig import Ran
from tracker_rig import NO_CHANGES, PASSWORD, USERNAME, DirectRig, MakeTrackers, TrackerRig, truck

from reconcile.simulator import running

TRACKERS = "asset_tracker.trackers"
NOT_YET = "Not read: not trusted yet"
MakeRig = Callable[..., TrackerRig]


@pytest.fixture
def rig(make_trackers: MakeTrackers) -> TrackerRig:
    """Three agents at a host of the vendor's, and the Microvisor account beside them, both with credentials here."""
    made = make_trackers({"A1": {}, "A2": {}, "EVIL": {}}, direct=True)
    world = made.sim.world
    made.files["microvisor"] = {"configs": {"site": "oslo"}}
    made.files["providers"]["microvisor"] = {
        "base_url": f"{made.sim.url}/v1",
        "upload_url": f"{made.sim.url}/upload/v1",
    }
    made.environ |= {"TWILIO_ACCOUNT_SID": world["account_sid"], "TWILIO_AUTH_TOKEN": world["auth_token"]}
    return made


@contextlib.contextmanager
def listener() -> Iterator[tuple[str, list[str]]]:
    """Somebody's own server: what it was sent as `Authorization`."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers.get("Authorization", ""))
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def unread(ran: Ran) -> dict[str | None, dict[str, Any]]:
    """What a plan's JSON says was not read, by address (or type)."""
    return {row["address"] or row["type_path"]: row for row in ran.json["reconcile"]["unread"]}


def tracker_requests(rig: TrackerRig) -> list[str]:
    return [request for request in rig.requests() if request.endswith("/cfg")]


# -- agents -----------------------------------------------------------------------------------------------------------


def test_an_agent_that_the_state_does_not_know_gets_no_credential(rig: TrackerRig) -> None:
    rig.trackers["truck"] = truck("A1", connectingPeriod=60)
    assert rig.apply().code == 0
    rig.trackers["new"] = truck("EVIL", connectingPeriod=60)
    rig.mark()
    ran = rig.plan("--untrusted", "--detailed-exitcode")
    assert ran.code == 0, ran  # it counts for nothing
    assert tracker_requests(rig) == ["GET /A1/cfg"]
    assert ran.out.splitlines()[0].count("untrusted document") == 1
    assert f"{NOT_YET} " in ran.out and f"  {TRACKERS}.new: EVIL" in ran.out, ran
    assert "--allow-agent EVIL, or RECONCILE_ALLOWED_AGENTS" in ran.out, ran
    assert NO_CHANGES not in ran.out and "Incomplete" not in ran.out, ran
    shown = rig.plan("--untrusted", "--format", "json")
    assert shown.code == 0, shown
    assert shown.json["reconcile"]["untrusted"] is True
    assert shown.json["complete"] is False
    row = unread(shown)[f"{TRACKERS}.new"]
    assert (row["allow_agent"], row["error"]) == ("EVIL", "not trusted yet")
    assert rig.plan("--format", "json").json["reconcile"]["untrusted"] is False


@pytest.mark.parametrize("how", ["option", "variable", "both"])
def test_whoever_runs_it_vouches_for_an_agent(rig: TrackerRig, how: str) -> None:
    rig.trackers.update({"one": truck("A1"), "two": truck("A2"), "bad": truck("EVIL")})
    options = {"option": ["A1", "A2"], "variable": [], "both": ["A2"]}[how]
    if how != "option":
        rig.environ["RECONCILE_ALLOWED_AGENTS"] = "A1 , A2" if how == "variable" else "A1"
    rig.environ["RECONCILE_UNTRUSTED"] = "1"
    rig.mark()
    ran = rig.plan(*[part for id in options for part in ("--allow-agent", id)])
    assert ran.code == 0, ran
    assert sorted(tracker_requests(rig)) == ["GET /A1/cfg", "GET /A2/cfg"]
    assert f"{TRACKERS}.bad: EVIL" in ran.out, ran


def test_the_state_vouches_for_its_units_under_whatever_key(rig: TrackerRig) -> None:
    rig.trackers["truck"] = truck("A1", connectingPeriod=60)
    assert rig.apply().code == 0
    rig.trackers["renamed"] = rig.trackers.pop("truck")
    rig.mark()
    ran = rig.plan("--untrusted")
    assert ran.code == 0, ran
    assert NOT_YET not in ran.out and tracker_requests(rig) == ["GET /A1/cfg"], ran


def test_another_unit_under_a_known_key_is_new_and_the_old_one_is_not_let_go_of(rig: TrackerRig) -> None:
    rig.trackers["truck"] = truck("A1", connectingPeriod=60)
    assert rig.apply().code == 0
    rig.trackers["truck"]["agent"] = "EVIL"
    rig.mark()
    ran = rig.plan("--untrusted")
    assert ran.code == 0, ran
    assert tracker_requests(rig) == []
    assert "0 to destroy." in ran.out, ran  # nor forgotten


def test_a_path_before_the_agents_makes_all_of_them_new(rig: TrackerRig) -> None:
    """At `https://host/EVIL`, `/EVIL/A1/cfg` is answered by EVIL."""
    rig.trackers["truck"] = truck("A1", connectingPeriod=60)
    assert rig.apply().code == 0
    rig.files["providers"]["asset_tracker"]["base_url"] = f"{rig.sim.url}/EVIL"
    rig.mark()
    ran = rig.plan("--untrusted", "--allow-agent", "A1")
    assert ran.code == 0, ran
    assert tracker_requests(rig) == []
    assert f"{TRACKERS}.truck: {rig.sim.url}/EVIL/A1/cfg" in ran.out, ran
    rig.plan("--untrusted", "--allow-agent", f"{rig.sim.url}/EVIL/A1/cfg")
    assert tracker_requests(rig) == ["GET /EVIL/A1/cfg"]


def test_a_url_at_a_host_of_many_is_new_and_one_at_a_host_that_was_named_is_not(rig: TrackerRig) -> None:
    with listener() as (url, heard):
        rig.trackers.update({"shared": {"url": f"{rig.sim.url}/EVIL/cfg"}, "own": {"url": f"{url}/t17/cfg"}})
        rig.mark()
        ran = rig.plan("--untrusted")
        assert ran.code == 0, ran
        assert tracker_requests(rig) == [] and heard == []
        assert f"{TRACKERS}.own: {url}/t17/cfg" in ran.out and f"{TRACKERS}.shared: EVIL" in ran.out, ran
        ran = rig.plan("--untrusted", "--allow-host", url.removeprefix("http://"))
        assert len(heard) == 1 and tracker_requests(rig) == [], ran
        # The host that agents are at is many people's, named or not.
        rig.plan("--untrusted", "--allow-host", rig.sim.url.removeprefix("http://"))
        assert len(heard) == 1 and tracker_requests(rig) == []
        rig.plan("--untrusted", "--allow-agent", f"{url}/t17/cfg")
        assert len(heard) == 2 and tracker_requests(rig) == []


def test_no_variable_of_the_job_goes_to_somebody_elses_agent(rig: TrackerRig) -> None:
    rig.environ |= {"AWS_SECRET_ACCESS_KEY": "canary"}
    with listener() as (url, heard):
        rig.trackers["new"] = {
            "url": f"{url}/x/cfg",
            "username": "env:AWS_SECRET_ACCESS_KEY",
            "password": "env:TWILIO_AUTH_TOKEN",
        }
        assert rig.plan("--untrusted").code == 0
        # Somebody vouched for the agent, and for none of its credentials.
        ran = rig.plan("--untrusted", "--allow-agent", f"{url}/x/cfg")
        assert ran.code == 1, ran
        assert heard == []
        assert "env:AWS_SECRET_ACCESS_KEY is not allowed in an untrusted document" in ran.out, ran
        rig.environ["RECONCILE_ALLOWED_ENV"] = "AWS_*"
        ran = rig.plan("--untrusted", "--allow-agent", f"{url}/x/cfg")
        assert ran.code == 1 and heard == [], ran
        assert "env:TWILIO_AUTH_TOKEN is not allowed in an untrusted document" in ran.out, ran
        del rig.environ["RECONCILE_ALLOWED_ENV"]
        rig.plan()
        assert len(heard) == 1  # the listener does hear


def test_the_simulator_rehearses_it(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {}, "EVIL": {}, "OWN": {}})
    rig.trackers["truck"] = truck("A1", connectingPeriod=60)
    assert rig.apply().code == 0
    rig.trackers.update({"new": truck("EVIL"), "own": {"agent": "OWN", "username": "env:A", "password": "env:B"}})
    rig.mark()
    ran = rig.plan("--untrusted", "--allow-agent", "OWN")
    assert ran.code == 1, ran
    assert rig.requests() == ["GET /A1/cfg"]
    assert f"{TRACKERS}.own: env:A is not allowed" in ran.out and f"{TRACKERS}.new: EVIL" in ran.out, ran


def test_a_limit_of_unread_counts_no_agent_that_was_not_asked(rig: TrackerRig) -> None:
    rig.trackers.update({"one": truck("A1"), "two": truck("A2"), "bad": truck("EVIL")})
    rig.files["limits"] = {"unread": 1}
    rig.sim.set_faults({"match": {"method": "GET", "path": "/A1/cfg"}, "effect": {"status": 500}})
    options = ("--untrusted", "--allow-agent", "A1", "--allow-agent", "A2")
    ran = rig.plan(*options)
    assert ran.code == 0 and "Incomplete: 1 resource could not be read" in ran.out, ran
    rig.files["limits"] = {"unread": 0}
    assert rig.plan(*options).code == 1


# -- references -------------------------------------------------------------------------------------------------------


def test_a_default_name_resolves_in_its_own_setting_alone(rig: TrackerRig) -> None:
    """The password of trackers is a default of theirs: as a secret of a device, or as another's token, it is not."""
    rig.trackers["truck"] = truck("A1")
    rig.files["microvisor"]["secrets"] = {"stolen": "env:CFG_REST_API_PASSWORD"}
    ran = rig.plan("--untrusted", "--allow-agent", "A1")
    assert ran.code == 0, ran
    assert "microvisor.configs.site" in ran.out and f"{TRACKERS}.truck" in ran.out, ran
    assert (
        "Not compared: 1 secret\n"
        "  microvisor.secrets.stolen (env:CFG_REST_API_PASSWORD): not allowed in an untrusted document\n"
    ) in ran.out, ran
    rig.files["providers"]["microvisor"]["auth_token"] = "env:CFG_REST_API_PASSWORD"
    rig.mark()
    ran = rig.plan("--untrusted", "--allow-agent", "A1", "--format", "json")
    assert ran.code == 1, ran  # a provider that is not read is counted
    assert rig.requests() == ["GET /A1/cfg"]
    assert "providers.microvisor.auth_token: env:CFG_REST_API_PASSWORD" in unread(ran)["microvisor.secrets"]["error"]
    assert [row["address"] for row in ran.json["resource_changes"]] == [f"{TRACKERS}.truck"]
    text = rig.plan("--untrusted", "--allow-agent", "A1").out
    assert "Not read\n" in text and "microvisor.configs" in text and NO_CHANGES not in text


def test_a_name_that_is_allowed_connects_a_provider_and_is_compared(rig: TrackerRig) -> None:
    rig.environ |= {"OTHER_TOKEN": rig.environ["TWILIO_AUTH_TOKEN"], "FLEET_PSK": "psk"}
    rig.files["providers"]["microvisor"]["auth_token"] = "env:OTHER_TOKEN"
    rig.files["microvisor"]["secrets"] = {"psk": "env:FLEET_PSK"}
    assert rig.apply().code == 0
    rig.environ["RECONCILE_ALLOWED_ENV"] = " OTHER_TOKEN ,FLEET_*"
    ran = rig.plan("--untrusted", "--detailed-exitcode")
    assert ran.code == 0 and NO_CHANGES in ran.out, ran
    rig.environ["FLEET_PSK"] = "another"
    ran = rig.plan("--untrusted", "--detailed-exitcode")
    assert ran.code == 2 and "the value behind env:FLEET_PSK changed" in ran.out, ran
    rig.environ["RECONCILE_ALLOWED_ENV"] = "OTHER_TOKEN"
    ran = rig.plan("--untrusted", "--detailed-exitcode")
    assert ran.code == 2 and NO_CHANGES not in ran.out, ran  # nothing was compared, so nothing agrees
    assert "No changes found; 1 secret could not be compared." in ran.out, ran


def test_no_secret_file_is_opened(rig: TrackerRig) -> None:
    """A file that cannot be read is told apart from one that was not looked for."""
    rig.files["microvisor"]["secrets"] = {"psk": "file:secrets/none"}
    rig.environ["RECONCILE_ALLOWED_ENV"] = "A"
    assert "there is no value here" in rig.plan().out
    ran = rig.plan("--untrusted")
    assert ran.code == 0 and "psk (file:secrets/none): not allowed in an untrusted" in ran.out, ran
    rig.files["providers"]["microvisor"]["auth_token"] = "file:secrets/none"
    ran = rig.plan("--untrusted")
    assert ran.code == 1 and "file:secrets/none is not allowed in an untrusted document" in ran.out, ran


def test_a_runner_that_has_neither_key_nor_state_shows_the_plan(rig: TrackerRig) -> None:
    rig.environ["PSK"] = "psk"
    rig.files["microvisor"]["secrets"] = {"psk": "env:PSK"}
    rig.environ |= {"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent"}
    ran = rig.plan("--untrusted")
    assert ran.code == 0 and "Plan: 2 to add" in ran.out, ran
    assert not list(rig.fleet.rglob("*.db"))


@pytest.mark.parametrize("trust", ["--untrusted", None])
@pytest.mark.parametrize(
    "place",
    ["secret", "template", "account_sid", "auth_token", "tracker"],
)
def test_a_variable_of_ours_is_an_error_with_its_place(rig: TrackerRig, place: str, trust: str | None) -> None:
    ours = "env:RECONCILE_FINGERPRINT_KEY"
    rig.environ |= {"RECONCILE_FINGERPRINT_KEY": "00" * 32, "RECONCILE_ALLOWED_ENV": "RECONCILE_*,TWILIO_AUTH_TOKEN"}
    match place:
        case "secret":
            rig.files["microvisor"]["secrets"] = {"stolen": ours}
        case "template":
            rig.files["variables"] = {"rest": {"default": "FINGERPRINT_KEY"}}
            rig.files["microvisor"]["secrets"] = {"stolen": "env:RECONCILE_{{ var.rest }}"}
        case "tracker":
            rig.trackers["truck"] = {"agent": "A1", "username": ours, "password": "env:TWILIO_AUTH_TOKEN"}
        case _:
            rig.files["providers"]["microvisor"][place] = ours
    for command in ("validate", "plan", "drift", "apply"):
        rig.mark()
        ran = rig.run(command, str(rig.fleet), *([trust] if trust and command != "apply" else []))
        assert ran.code == 3, ran
        assert "variables that begin with RECONCILE_ are reconcile's own" in ran.err and "fleet.yaml line" in ran.err
        assert rig.requests() == []


# -- the list of names without the flag -------------------------------------------------------------------------------


def test_a_list_of_names_binds_a_trusted_document_too(rig: TrackerRig) -> None:
    rig.environ |= {"A": "a", "B": "b", "RECONCILE_ALLOWED_ENV": "A"}
    rig.files["microvisor"]["secrets"] = {"one": "env:A", "two": "env:B", "three": "env:TWILIO_AUTH_TOKEN"}
    rig.trackers["truck"] = {"agent": "A1", "username": "env:B", "password": "env:A"}
    for command in ("validate", "plan", "drift", "apply", "destroy"):
        rig.mark()
        ran = rig.run(command, str(rig.fleet))
        assert ran.code == 3, ran
        assert ran.err.count("is not among the names of RECONCILE_ALLOWED_ENV") == 3, ran  # all of them at once
        assert "env:A is" not in ran.err and rig.requests() == [], ran
    rig.environ["RECONCILE_ALLOWED_ENV"] = "A, B, TWILIO_*"
    assert rig.run("validate", str(rig.fleet)).code == 0


def test_defaults_in_their_own_settings_need_no_leave(rig: TrackerRig) -> None:
    rig.environ["RECONCILE_ALLOWED_ENV"] = ""
    rig.trackers["truck"] = truck("A1", connectingPeriod=60)
    assert rig.apply().code == 0
    assert rig.plan().code == 0
    rig.files["providers"]["microvisor"]["auth_token"] = "env:OTHER"
    ran = rig.run("validate", str(rig.fleet))
    assert ran.code == 3 and "providers.microvisor.auth_token" in ran.err, ran


@pytest.mark.parametrize("command", ["validate", "plan", "apply"])
@pytest.mark.parametrize("names", ["*", "A*B", "A B"])
def test_what_is_no_name_stops_every_command(rig: TrackerRig, command: str, names: str) -> None:
    rig.environ["RECONCILE_ALLOWED_ENV"] = names
    ran = rig.run(command, str(rig.fleet))
    assert ran.code == 3 and "is not the name of a variable" in ran.err and rig.requests() == [], ran


# -- what `validate` says ---------------------------------------------------------------------------------------------


def environment_of(rig: TrackerRig, *options: str) -> list[str]:
    """The names that `validate` prints, which its JSON has too; what it prints can be pasted."""
    ran = rig.run("validate", str(rig.fleet), *options)
    assert ran.code == 0, ran
    told = [line.removeprefix("Environment: ") for line in ran.out.splitlines() if line.startswith("Environment: ")]
    found: list[str] = rig.run("validate", str(rig.fleet), "--format", "json", *options).json["reconcile"][
        "environment"
    ]
    assert told == ([", ".join(found)] if found else [])
    return found


@pytest.mark.parametrize("options", [(), ("--untrusted",)])
def test_validate_says_which_variables_to_allow(rig: TrackerRig, options: tuple[str, ...]) -> None:
    assert environment_of(rig, *options) == []
    rig.trackers["truck"] = {"agent": "A1", "username": "env:USER_2", "password": "env:TWILIO_AUTH_TOKEN"}
    rig.files["microvisor"]["secrets"] = {"one": "env:B", "two": "env:B#/x", "three": "file:psk"}
    rig.files["providers"]["microvisor"]["account_sid"] = "env:SID"
    assert environment_of(rig, *options) == ["B", "SID", "TWILIO_AUTH_TOKEN", "USER_2"]


@pytest.mark.parametrize(("rows", "found"), [(3, ["PSK_R0", "PSK_R1", "PSK_R2"]), (30, ["PSK_*"])])
def test_many_names_of_one_template_are_one_pattern(rig: TrackerRig, rows: int, found: list[str]) -> None:
    listed = [f"d{number},UV{number:032x},R{number}" for number in range(rows)]
    (rig.fleet / "table.csv").write_text("\n".join(["name,sid,psk", *listed]))
    rig.files["tables"] = {"units": {"file": "table.csv", "key": "name"}}
    rig.files["microvisor"]["devices"] = {
        "all": {
            "for_each": "units",
            "key": "{{ row.name }}",
            "sid": "{{ row.sid }}",
            "secrets": {"psk": "env:PSK_{{ row.psk }}"},
        }
    }
    assert environment_of(rig) == found
    rig.environ["RECONCILE_ALLOWED_ENV"] = ", ".join(found)
    assert rig.run("validate", str(rig.fleet)).code == 0
    rig.environ["RECONCILE_ALLOWED_ENV"] = "PSK_R1"
    ran = rig.run("validate", str(rig.fleet))
    assert ran.code == 3 and ran.err.count("Error:") == 1, ran  # one mistake, with its rows
    assert "env:PSK_R0 is not among the names" in ran.err and "also" in ran.err, ran


# -- nobody applies it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["apply", "destroy"])
@pytest.mark.parametrize("how", ["option", "variable"])
def test_what_writes_takes_no_untrusted_document(rig: TrackerRig, command: str, how: str) -> None:
    file = rig.saved()
    if how == "variable":
        rig.environ["RECONCILE_UNTRUSTED"] = "true"
    option = ["--untrusted"] if how == "option" else []
    for path in (rig.fleet, file) if command == "apply" else (rig.fleet,):
        rig.mark()
        ran = rig.run(command, str(path), "--auto-approve", *option)
        assert ran.code == 3 and "an untrusted document cannot be applied" in ran.err, ran
        assert rig.requests() == []


def test_a_plan_of_an_untrusted_document_says_so_and_is_not_applied(rig: TrackerRig) -> None:
    file = rig.directory / "pull-request.plan"
    ran = rig.plan("--untrusted", "--out", str(file))
    assert ran.code == 0, ran
    assert "apply refuses plans of untrusted documents" in ran.out and f"reconcile apply {file}" not in ran.out
    seal, *shown = rig.run("show", str(file)).out.splitlines()
    assert seal.startswith("Seal verified") and "untrusted document" in next(line for line in shown if line)
    assert rig.run("show", str(file), "--format", "json").json["reconcile"]["untrusted"] is True
    assert json.loads(file.read_text().splitlines()[1])["bindings"]["options"]["untrusted"] is True
    rig.mark()
    ran = rig.apply_file(file)
    assert ran.code == 5 and "untrusted" in ran.err, ran
    # Nor where no credential is: that it is refused is known before anything is opened.
    for name in ("TWILIO_AUTH_TOKEN", "TWILIO_ACCOUNT_SID"):
        del rig.environ[name]
    ran = rig.apply_file(file)
    assert ran.code == 5 and rig.requests() == [], ran


@pytest.mark.parametrize(("word", "code"), [("", 0), ("0", 0), ("1", 0), ("maybe", 3)])
def test_the_variable_says_yes_or_no(rig: TrackerRig, word: str, code: int) -> None:
    rig.environ["RECONCILE_UNTRUSTED"] = word
    ran = rig.plan()
    assert ran.code == code, ran
    assert ("untrusted" in ran.out) == (word == "1"), ran


# -- drift ------------------------------------------------------------------------------------------------------------


def test_drift_of_an_untrusted_document(rig: TrackerRig) -> None:
    rig.trackers["truck"] = truck("A1")
    assert rig.apply().code == 0
    rig.trackers["new"] = truck("EVIL")
    rig.mark()
    ran = rig.run("drift", str(rig.fleet), "--untrusted")
    assert ran.code == 0 and NOT_YET in ran.out and "untrusted document" in ran.out.splitlines()[0], ran
    assert "Incomplete" not in ran.out and tracker_requests(rig) == ["GET /A1/cfg"], ran
    world = rig.sim.world
    world["microvisor"]["configs"]["site"] = "bergen"
    rig.sim.put(world)
    ran = rig.run("drift", str(rig.fleet), "--untrusted", "--format", "json")
    assert ran.code == 2 and ran.json["reconcile"]["untrusted"] is True, ran
    assert [row["address"] for row in ran.json["resource_drift"]] == ["microvisor.configs.site"]
    assert unread(ran)[f"{TRACKERS}.new"]["allow_agent"] == "EVIL"


def test_strangers_of_another_host_are_told_with_their_url(tmp_path: Path) -> None:
    """A fleet whose agents are at a host of its own: there a new URL needs no second leave, and an id does."""
    world = {"tracker_username": USERNAME, "tracker_password": PASSWORD, "trackers": {"A1": {}, "A2": {}}}
    with running(world=world) as main, running(world=world) as other:
        rig = DirectRig(tmp_path, main)
        rig.trackers.update({"id": truck("A1"), "url": {"url": f"{other.url}/A2/cfg"}})
        ran = rig.plan("--untrusted", "--allow-host", other.url.removeprefix("http://"))
        assert ran.code == 0, ran
        assert [row["path"] for row in other.requests(0)] == ["/A2/cfg"] and main.requests(0) == []
        assert f"{TRACKERS}.id: A1" in ran.out and f"{TRACKERS}.url" in ran.out, ran
