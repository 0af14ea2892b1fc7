"""`history`: who applied what, when and from where, and what that changed; never a secret."""

from __future__ import annotations

import subprocess
import time

import pytest
from fleet_rig import MakeRig, Rig, command, sid


@pytest.fixture
def fleet(make_rig: MakeRig) -> Rig:
    rig = make_rig(configs={"old": "live"})
    rig.environ |= {"PSK": "hunter2-canary", "GITHUB_SHA": "c0ffee"}
    rig.environ |= {"GITHUB_SERVER_URL": "https://git.example.com", "GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "7"}
    rig.configs.update(a="1", old="mine", long="x" * 500)
    rig.secrets["psk"] = "env:PSK"
    rig.devices["one"] = {"sid": sid(1), "configs": {"site": "oslo"}}
    rig.apply_well()
    return rig


def history(rig: Rig, *words: str) -> list[dict[str, object]]:
    ran = rig.run("history", *words, "--path", str(rig.fleet), "--format", "json")
    assert ran.code == 0, ran
    assert "hunter2" not in str(ran)
    return ran.json["runs"]  # type: ignore[no-any-return]


def test_a_run_says_who_when_from_where_and_what_became_of_it(fleet: Rig) -> None:
    (run,) = history(fleet)
    assert run["command"] == "apply" and run["outcome"] == "done" and run["serial"] == 1
    assert run["job"] == "https://git.example.com/a/b/actions/runs/7" and run["commit"] == "c0ffee"
    assert run["by"] and run["host"] and run["version"] and str(run["ended"]) >= str(run["begun"]) > "2026"
    assert run["planned"] == 6 and run["counts"] == {"done": 6}


def test_it_tells_attributes_before_and_after_and_never_a_secret(fleet: Rig) -> None:
    fleet.configs["a"] = "2"
    fleet.environ["PSK"] = "hunter2-canary-2"
    del fleet.configs["long"]
    fleet.apply_well()
    last, first = history(fleet)
    told = {row["address"]: (row["action"], row["fields"]) for row in last["changes"]}  # type: ignore[attr-defined]
    written = "(sensitive value, written)"
    assert told.pop("microvisor.configs.long")[0] == "delete"
    assert told == {
        "microvisor.configs.a": ("update", [{"path": "value", "before": "1", "after": "2"}]),
        "microvisor.secrets.psk": (
            told["microvisor.secrets.psk"][0],
            [{"path": "value", "before": None, "after": written}],
        ),
    }
    made = {row["address"]: row for row in first["changes"]}  # type: ignore[attr-defined]
    (value,) = made["microvisor.configs.long"]["fields"]
    assert value["after"]["characters"] == 500 and len(value["after"]["sha256"]) == 64
    (taken,) = made["microvisor.configs.old"]["fields"]
    assert (taken["before"], taken["after"]) == ("live", "mine")


def test_a_selection_gives_the_runs_that_changed_it(fleet: Rig) -> None:
    fleet.configs["a"] = "2"
    fleet.apply_well()
    assert [run["serial"] for run in history(fleet, "microvisor.configs.a")] == [2, 1]
    assert [run["serial"] for run in history(fleet, "microvisor.devices.*")] == [1]
    ran = fleet.run("history", "microvisor.configs.a", "--path", str(fleet.fleet))
    assert '~ microvisor.configs.a\n        value = "1" -> "2"' in ran.out, ran
    assert "microvisor.devices.one" not in ran.out
    ran = fleet.run("history", "microvisor.configs.nothing", "--path", str(fleet.fleet))
    assert ran.code == 3 and "microvisor.configs.nothing" in ran.err, ran
    assert history(fleet, "--since", "1s") in ([], history(fleet)) and fleet.run("history", "--since", "x").code == 3


def test_what_failed_in_part_and_what_was_killed_is_told_as_that(fleet: Rig) -> None:
    fleet.configs["a"], fleet.configs["b"] = "2", "1"
    fault = {"match": {"method": "PUT", "path": "/v1/Configs/a"}, "effect": {"status": 400}}
    fleet.sim.set_faults(fault, {**fault, "match": {"method": "POST", "path": "/v1/Configs/a"}})
    fleet.apply()
    fleet.sim.set_faults()
    fleet.configs["c"] = fleet.configs["d"] = "1"
    fleet.crash(8)
    outcomes = [run["outcome"] for run in history(fleet)]
    assert outcomes[1:] == ["partly", "done"] and outcomes[0] == "unfinished"


def test_what_a_killed_run_did_is_learned_by_the_next_one(fleet: Rig) -> None:
    fleet.configs["c"] = "new"
    fleet.save()
    fleet.sim.set_faults({"match": {"method": "POST"}, "effect": {"late": True, "delay_s": 0.5}})
    fleet.mark()
    line = [*command(), "apply", str(fleet.fleet), "--auto-approve"]
    with subprocess.Popen(line, env=fleet.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        while running.poll() is None and not fleet.mutations():
            time.sleep(0.02)
        running.kill()
    while "c" not in fleet.world["configs"]:
        time.sleep(0.02)
    fleet.sim.set_faults()
    ran = fleet.apply()
    assert ran.code == 0 and "it was made" in ran.err, ran
    (killed, _) = history(fleet)
    assert killed["outcome"] == "unfinished" and killed["serial"] == 2
    (row,) = killed["changes"]  # type: ignore[misc]
    assert (row["address"], row["action"]) == ("microvisor.configs.c", "create")
    assert row["fields"] == [{"path": "value", "before": None, "after": "new"}]


def test_what_looks_after_the_state_is_a_run_too(fleet: Rig) -> None:
    path = ("--path", str(fleet.fleet))
    assert fleet.run("state", "mv", "microvisor.configs.a", "microvisor.configs.z", *path).code == 0
    assert fleet.run("state", "rm", "microvisor.configs.z", *path).code == 0
    assert [run["command"] for run in history(fleet, "microvisor.configs.z")] == ["state rm", "state mv"]
    assert [run["command"] for run in history(fleet)] == ["state rm", "state mv", "apply"]


def test_drift_and_a_plan_that_puts_something_back_say_who_applied_last(fleet: Rig) -> None:
    assert "Last applied" not in fleet.plan().out
    with fleet.outside() as world:
        world["configs"]["a"] = "theirs"
    said = "@" + str(history(fleet)[0]["host"]) + ", job https://git.example.com/a/b/actions/runs/7."
    for ran in (fleet.run("drift", str(fleet.fleet)), fleet.plan()):
        assert "# written last 20" in ran.out, ran
        (line,) = (line for line in ran.out.splitlines() if line.startswith("Last applied 20"))
        assert line.endswith(said), ran
    last = fleet.plan("--format", "json").json["reconcile"]["last_run"]
    assert last["commit"] == "c0ffee" and last["command"] == "apply"
    file = fleet.saved()
    assert "Last applied" in fleet.run("show", str(file)).out


def test_nothing_to_tell(rig: Rig) -> None:
    ran = rig.run("history", "--path", str(rig.fleet))
    assert (ran.code, ran.out) == (0, "") and "no state yet" in ran.err, ran
    assert history(rig) == []


def test_how_long_it_is_kept_is_in_the_files(rig: Rig) -> None:
    rig.files["state"] = {"history": "1s"}
    rig.configs["a"] = "1"
    rig.apply_well()
    rig.files["state"] = {"history": "a while"}
    ran = rig.plan()
    assert ran.code == 3 and "state.history" in ran.err and "90d" in ran.err, ran
