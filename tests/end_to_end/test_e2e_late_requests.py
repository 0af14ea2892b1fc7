"""Requests that arrive when nobody waits for them any more: where names are not unique, none is made twice for that."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from fleet_rig import _Killed, _leave_it, command
from management_rig import ManagementRig, make_management, management

from reconcile.engine.journal import Journal
from reconcile.transport import Net

__all__ = ["make_management", "management"]  # fixtures

CREATES = {
    "firmware_images": "/v3/firmware-images",
    "firmware_manifests": "/v3/firmware-manifests",
    "campaigns": "/v3/update-campaigns",
    "devices": "/v3/devices*",
}


def fleet(rig: ManagementRig) -> None:
    """One of each kind whose names the API does not keep unique."""
    rig.firmware("one")
    rig.devices["pump-9"] = {"endpoint_name": "pump-9999", "lifecycle": "managed"}
    rig.campaigns["spring"] = {"manifest": "one", "devices": ["pump-9"], "start": False}


def late(path: str, delay_s: float = 0.4) -> dict[str, Any]:
    """The first POST gets no answer at once, and is done so many real seconds later."""
    effect = {"late": True, "delay_s": delay_s, "drop": "before"}
    return {"match": {"method": "POST", "path": path}, "times": 1, "effect": effect}


def crash_after(rig: ManagementRig, done: Callable[[Any], bool]) -> None:
    """An apply that ends as a killed process does, right after a request whose end satisfies `done`."""
    killed = False
    begin, end = Net.begin, Net.end

    def ended(net: Net, event: Any) -> None:
        nonlocal killed
        end(net, event)
        killed = killed or done(event)
        if killed:
            raise _Killed

    def begun(net: Net) -> None:
        if killed:
            raise _Killed
        begin(net)

    with (
        mock.patch.object(Net, "begin", begun),
        mock.patch.object(Net, "end", ended),
        mock.patch.object(Journal, "__aexit__", _leave_it),
        contextlib.suppress(_Killed),
    ):
        rig.apply()
    for line in rig.run("lock", "list", str(rig.fleet)).out.splitlines():
        if line and not line.startswith("Nobody"):
            assert rig.run("unlock", line.split()[0], "--path", str(rig.fleet)).code == 0


def posts_to(path: str) -> Callable[[Any], bool]:
    return lambda event: event.method == "POST" and event.path.startswith(path.rstrip("*"))


def assert_one_of_each(rig: ManagementRig) -> None:
    for section, names in (
        ("firmware_images", ["one"]),
        ("firmware_manifests", ["one"]),
        ("campaigns", ["spring"]),
    ):
        assert sorted(member["name"] for member in rig.world[section].values()) == names
    assert [member["endpoint_name"] for member in rig.world["devices"].values()].count("pump-9999") == 1


@pytest.mark.parametrize("section", CREATES)
def test_one_that_arrives_late_in_the_same_run_is_taken(management: ManagementRig, section: str):
    fleet(management)
    management.patience_s = 60.0
    management.sim.set_faults(late(CREATES[section]))
    ran = management.apply()
    assert ran.code == 0, ran
    assert "may still arrive" in ran.err, ran
    assert_one_of_each(management)
    management.assert_in_sync()


@pytest.mark.parametrize("section", CREATES)
def test_one_that_arrives_after_its_process_was_killed_is_taken(management: ManagementRig, section: str):
    fleet(management)
    management.patience_s = 60.0
    management.sim.set_faults(late(CREATES[section], 0.8))
    crash_after(management, posts_to(CREATES[section]))
    ran = management.apply()
    assert ran.code == 0, ran
    assert "it was made" in ran.err, ran
    assert_one_of_each(management)
    management.assert_in_sync()


def test_one_that_never_arrives_is_made_after_the_wait(management: ManagementRig):
    fleet(management)
    drop = {"match": {"method": "POST", "path": "/v3/firmware-images"}, "times": 1, "effect": {"drop": "before"}}
    management.sim.set_faults(drop)
    crash_after(management, posts_to("/v3/firmware-images"))
    ran = management.apply()
    assert ran.code == 0, ran
    assert "waiting up to" in ran.err, ran
    assert "it was not made" in ran.err, ran
    assert_one_of_each(management)
    management.assert_in_sync()


def test_several_are_waited_for_together(management: ManagementRig):
    for name in ("one", "two", "three", "four"):
        management.firmware(name)
    ended = 0

    def third(event: Any) -> bool:
        nonlocal ended
        ended += event.method == "POST"
        return ended == 3

    management.sim.set_faults({"match": {"method": "POST"}, "effect": {"drop": "before"}})
    crash_after(management, third)
    management.sim.set_faults()
    ran = management.apply()
    assert ran.code == 0, ran
    assert ran.err.count("waiting up to") == 1, ran
    management.assert_in_sync()
    assert len(management.world["firmware_images"]) == 4


def test_ctrl_c_ends_the_wait_and_the_next_run_finds_it(management: ManagementRig):
    fleet(management)
    management.save()
    management.sim.set_faults(late("/v3/firmware-images", 1.0))
    arguments = [*command(), "apply", str(management.fleet), "--auto-approve"]
    with subprocess.Popen(arguments, env=management.env(), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "may still arrive" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert "unknown" in rest, rest  # it said what is open, and did not wait for 45 s
    ran = management.apply()
    assert ran.code == 0, ran
    assert_one_of_each(management)
    management.assert_in_sync()


def test_an_older_campaign_of_the_name_is_not_the_one_that_was_made(management: ManagementRig):
    """One that ended is followed by another one of its name: what a killed run left is told by its own id."""
    management.firmware("one")
    management.firmware("two")
    management.devices["pump-1"] = {"endpoint_name": "pump-0001"}
    management.campaigns["spring"] = {"manifest": "one", "devices": ["pump-1"]}
    assert management.apply().code == 0
    management.sim.advance(24 * 3600)
    older = set(management.world["campaigns"])
    management.campaigns["spring"]["manifest"] = "two"
    management.sim.set_faults(
        {"match": {"method": "POST", "path": "/v3/update-campaigns"}, "times": 1, "effect": {"drop": "before"}}
    )
    crash_after(management, posts_to("/v3/update-campaigns"))
    assert set(management.world["campaigns"]) == older
    ran = management.apply()
    assert ran.code == 0, ran
    assert "it was not made" in ran.err, ran
    assert len(management.world["campaigns"]) == len(older) + 1
