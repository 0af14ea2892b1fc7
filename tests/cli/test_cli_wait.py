"""`--wait settled`: after the summary, without the lease, until it ends by itself or by a signal."""

from __future__ import annotations

import signal
import subprocess

import pytest
from fleet_rig import Rig, app_sid, sid
from program import said, start, until


@pytest.fixture
def slow(rig: Rig) -> Rig:
    """Two devices that do not connect, and an app for them."""
    with rig.outside() as world:
        world["apps"][app_sid(1)] = {"unique_name": "v1"}
        for number in (1, 2):
            world["devices"][sid(number)]["online"] = False
    rig.devices.update({"one": {"sid": sid(1), "app": "v1"}, "two": {"sid": sid(2), "app": "v1"}})
    return rig


def waiting(rig: Rig, *options: str) -> tuple[subprocess.Popen[str], str]:
    """An apply that waits, and what it said on standard output until then."""
    process = start(rig, "apply", str(rig.fleet), "--auto-approve", "--wait", "settled", *options)
    assert process.stdout is not None and process.stderr is not None
    out = said(process.stdout.fileno(), "Apply complete!" if "json" not in options else '"results"')
    said(process.stderr.fileno(), "Waiting for devices")
    return process, out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_the_wait_and_what_is_pending_is_named(slow: Rig, number: signal.Signals) -> None:
    process, _ = waiting(slow)
    process.send_signal(number)
    out, err = process.communicate(timeout=5)
    assert process.returncode == 130, (out, err)
    assert "Pending: 2" in out and "microvisor.devices.one" in out, (out, err)
    assert "Apply complete!" not in out


def test_the_lease_is_given_back_before_the_wait(slow: Rig) -> None:
    process, _ = waiting(slow)
    until(lambda: "Nobody" in slow.run("lock", "list", str(slow.fleet)).out, 5)
    slow.configs["host"] = "1"
    assert slow.apply().code == 0
    with slow.outside() as world:
        for number in (1, 2):
            world["devices"][sid(number)] |= {"online": True, "check_in_s": 0.001}
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, (out, err)
    assert "Pending" not in out


def test_what_is_pending_at_the_timeout_is_an_error(slow: Rig) -> None:
    ran = slow.apply("--wait", "settled", "--timeout", "5")
    assert ran.code == 1, ran
    assert "Apply complete!" in ran.out and "Pending: 2" in ran.out, ran


def test_a_wait_that_reads_nothing_ends_at_its_timeout(slow: Rig) -> None:
    process, _ = waiting(slow, "--timeout", "2")
    slow.sim.set_faults({"match": {"method": "GET"}, "effect": {"delay_s": 60}})
    out, err = process.communicate(timeout=10)
    assert process.returncode == 1, (out, err)
    assert "Pending: 2" in out


def test_credentials_that_are_refused_during_the_wait_are_exit_4(slow: Rig) -> None:
    process, _ = waiting(slow)
    slow.sim.set_faults({"match": {"method": "GET"}, "effect": {"status": 401}})
    out, err = process.communicate(timeout=20)
    assert process.returncode == 4, (out, err)
    assert "Pending: 2" in out and "401" in err, (out, err)


def test_json_is_one_document_and_what_is_pending_stands_beside_it(slow: Rig) -> None:
    ran = slow.apply("--wait", "settled", "--timeout", "5", "--format", "json")
    assert ran.code == 1, ran
    assert ran.json["complete"] is True
    assert "Pending: 2" in ran.err


def test_an_interrupted_apply_is_not_waited_for(slow: Rig) -> None:
    slow.sim.set_faults({"match": {"method": "POST"}, "effect": {"delay_s": 1}})
    slow.mark()
    process = start(slow, "apply", str(slow.fleet), "--auto-approve", "--wait", "settled", "--parallelism", "1")
    until(slow.mutations)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130, (out, err)
    assert "Apply incomplete" in out and "Stopping" in err
