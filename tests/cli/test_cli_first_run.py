"""Before there is a state: nothing is made until something is sent, and of two first runs one wins."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from typing import Any
from unittest import mock

import pytest
from fleet_rig import Rig, command, sid

from reconcile.backends.sqlite import connection, file
from reconcile.backends.sqlite.store import SqliteStore
from reconcile.core.ports import Lease


def after(rig: Rig, *arguments: str) -> Any:
    """Right before this process takes the lease, another one carries out a whole command."""
    acquire, ran = SqliteStore.acquire, []

    def run() -> None:
        ran.append(subprocess.run([*command(), *arguments], env=rig.env(), check=True, capture_output=True))

    async def later(self: SqliteStore, **given: Any) -> Lease:
        if not ran:
            run()
        return await acquire(self, **given)

    return mock.patch.object(SqliteStore, "acquire", later)


@pytest.mark.parametrize("other", ["its own plan", "another saved plan", "the same saved plan"])
@pytest.mark.parametrize("key", [True, False])
def test_of_two_saved_plans_for_no_state_one_is_applied(rig: Rig, other: str, key: bool) -> None:
    rig.configs["host"] = "1"
    if key:
        rig.environ["RECONCILE_FINGERPRINT_KEY"] = "ab" * 32
    file = rig.saved()
    second = {"its own plan": rig.fleet, "another saved plan": rig.saved(name="2"), "the same saved plan": file}[other]
    rig.mark()
    with after(rig, "apply", str(second), "--auto-approve"):
        ran = rig.apply_file(file)
    assert ran.code == 5, ran
    assert len(rig.mutations()) == 1
    rig.assert_in_sync()


def test_of_two_first_applies_one_is_carried_out_and_the_other_plans_again(rig: Rig) -> None:
    rig.configs["host"] = "1"
    rig.save()
    rig.mark()
    with after(rig, "apply", str(rig.fleet), "--auto-approve"):
        ran = rig.apply()
    assert ran.code == 0, ran
    assert "planned again" in ran.err
    assert ran.out.index("1 to add") < ran.out.index("No changes.")
    assert len(rig.mutations()) == 1
    rig.assert_in_sync()


def test_what_the_first_of_two_runs_left_is_carried_out_by_the_second(rig: Rig) -> None:
    rig.configs.update(host="1", port="1")
    rig.save()
    rig.mark()
    with after(rig, "apply", str(rig.fleet), "--auto-approve", "--target", "microvisor.configs.host"):
        ran = rig.apply()
    assert ran.code == 0, ran
    assert len(rig.mutations()) == 2
    rig.assert_in_sync()


def test_a_plan_that_became_another_one_while_it_waited_is_asked_about_again(rig: Rig) -> None:
    rig.configs.update(host="1", port="1")
    rig.save()
    asked = []

    async def answer(made: Any, *_: Any) -> None:
        asked.append(len(made.changes))

    with (
        mock.patch("reconcile.cli.apply.approve", answer),
        after(rig, "apply", str(rig.fleet), "--auto-approve", "--target", "microvisor.configs.host"),
    ):
        ran = rig.run("apply", str(rig.fleet))
    assert ran.code == 0, ran
    assert asked == [2, 1]


def test_a_lease_that_cannot_be_given_back_is_told_beside_what_was_done(rig: Rig) -> None:
    """Another program holds the file at the end of an apply: the summary stands, and the exit code says it."""
    rig.configs["host"] = "1"
    rig.save()
    release = SqliteStore.release

    async def held_up(self: SqliteStore, lease: Lease) -> None:
        other = sqlite3.connect(rig.state, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            await release(self, lease)
        finally:
            other.close()

    with (
        mock.patch.object(SqliteStore, "release", held_up),
        mock.patch.object(connection, "SLEEP_S", 0.0),
        mock.patch.object(file, "BUSY_S", 0.01),
    ):
        ran = rig.apply()
    assert ran.code == 1, ran
    assert "Apply complete! Resources: 1 added" in ran.out
    assert "could not be given back" in ran.err and "another process holds the file" in ran.err
    assert rig.plan("--detailed-exitcode").code == 0


def test_a_saved_plan_is_checked_again_under_the_lease(rig: Rig) -> None:
    rig.configs["host"] = "1"
    rig.apply_well()
    rig.configs["host"] = "2"
    file = rig.saved()
    rig.mark()
    with after(rig, "apply", str(rig.fleet), "--auto-approve"):
        ran = rig.apply_file(file)
    assert ran.code == 5, ran
    assert "stale" in ran.err
    assert len(rig.mutations()) == 1


def test_another_run_that_was_killed_makes_a_first_plan_stale(rig: Rig) -> None:
    rig.configs.update(a="1", b="1")
    file = rig.saved()
    rig.crash(after=4)
    assert rig.state.exists()
    rig.mark()
    assert rig.apply_file(file).code == 5
    assert rig.mutations() == []
    rig.apply_well()


@pytest.mark.parametrize("saved", [True, False])
def test_secrets_without_a_value_leave_nothing_behind(rig: Rig, saved: bool) -> None:
    rig.secrets["pw"] = "env:NOT_THERE"
    rig.devices["one"] = {"sid": sid(1), "secrets": {"psk": "env:NOT_THERE_EITHER"}}
    if saved:
        rig.environ |= {"NOT_THERE": "x", "NOT_THERE_EITHER": "y"}
    file = rig.saved()
    rig.environ.clear()
    config = rig.directory / "config"
    before = sorted(config.rglob("*"))
    rig.mark()
    ran = rig.apply_file(file) if saved else rig.apply()
    assert ran.code == 3, ran
    assert "NOT_THERE " in ran.err and "NOT_THERE_EITHER" in ran.err
    assert rig.mutations() == []
    assert not rig.state.parent.exists()
    assert sorted(config.rglob("*")) == before
    rig.environ |= {"NOT_THERE": "x", "NOT_THERE_EITHER": "y"}
    assert (rig.apply_file(file) if saved else rig.apply()).code == 0


def test_the_state_of_a_fleet_that_has_none(rig: Rig) -> None:
    fleet = str(rig.fleet)
    rig.configs["host"] = "1"
    pulled = rig.run("state", "pull", fleet)
    assert (pulled.code, pulled.err) == (0, "")
    nothing = {"version": 2, "fleet": "tests", "lineage": None, "serial": 0, "run": None, "accounts": {}}
    assert json.loads(pulled.out) == {**nothing, "entries": [], "operations": [], "plans": []}
    listed = rig.run("state", "list", fleet)
    assert (listed.code, listed.out) == (0, "")
    assert "no state yet" in listed.err
    assert rig.run("state", "list", fleet, "--format", "json").json == []
    shown = rig.run("show", fleet)
    assert (shown.code, shown.err) == (0, "")
    assert "no state yet" in shown.out
    assert rig.run("show", fleet, "--format", "json").json["values"]["root_module"]["resources"] == []
    assert rig.run("lock", "list", fleet).out == "Nobody holds the state.\n"
    for absent in (["show"], ["rm"], ["unprotect"], ["mv", "microvisor.configs.other"]):
        ran = rig.run("state", absent[0], "microvisor.configs.host", *absent[1:], "--path", fleet)
        assert ran.code == 3, ran
        assert "microvisor.configs.host names nothing in the state" in ran.err
    assert not rig.state.parent.exists()
