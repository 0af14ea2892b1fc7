"""Real processes: killed at any point, interrupted once and twice, two at once."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet_rig import Rig, bundle, command, rigged, sid

COUNT = 12


def fill(rig: Rig) -> None:
    rig.environ["PSK"] = "psk-of-the-tests"
    rig.apps["v1"] = {"bundle": rig.bundle("v1.zip")}
    for number in range(1, COUNT + 1):
        rig.devices[f"d{number}"] = {
            "sid": sid(number),
            "app": "v1",
            "configs": {"a": "1", "b": "2"},
            "secrets": {"psk": "env:PSK"},
        }


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Rig]:
    with rigged(tmp_path, devices={sid(number): {} for number in range(1, COUNT + 1)}) as rig:
        fill(rig)
        yield rig


def start(rig: Rig, *arguments: str) -> subprocess.Popen[str]:
    rig.save()
    return subprocess.Popen(
        [*command(), "apply", str(rig.fleet), "--auto-approve", "--parallelism", "2", *arguments],
        env=rig.env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def writes(rig: Rig) -> int:
    return len(rig.mutations())


def wait_for_writes(rig: Rig, process: subprocess.Popen[str], count: int) -> None:
    """Until so many requests that change something came in, or the process has ended."""
    while process.poll() is None and writes(rig) < count:
        time.sleep(0.002)


def assert_whole(rig: Rig) -> None:
    ran = rig.apply()
    assert ran.code == 0, ran
    rig.assert_in_sync()
    world = rig.world
    assert len(world["apps"]) == 1
    for number in range(1, COUNT + 1):
        device = rig.device(number)
        assert device["unique_name"] == f"d{number}"
        assert (device["configs"], device["secrets"]) == ({"a": "1", "b": "2"}, {"psk": "psk-of-the-tests"})


def slow(rig: Rig, delay_s: float) -> None:
    rig.sim.set_faults({"match": {"method": "POST"}, "effect": {"delay_s": delay_s}})


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random_points_the_rerun_converges_without_duplicates(fleet: Rig, seed: int) -> None:
    dice = random.Random(seed)
    begin = fleet.sim.world
    for _ in range(6):
        fleet.sim.put(begin)
        fleet.lose_state()
        fleet.mark()
        slow(fleet, 0.003)
        process = start(fleet)
        wait_for_writes(fleet, process, dice.randint(1, 4 * COUNT))
        time.sleep(dice.uniform(0, 0.006))
        process.kill()
        process.communicate()
        fleet.sim.set_faults()
        assert_whole(fleet)


def test_killed_again_and_again_it_gets_there(fleet: Rig) -> None:
    slow(fleet, 0.003)
    fleet.mark()
    for turn in range(1, 5):
        process = start(fleet)
        wait_for_writes(fleet, process, 10 * turn)
        process.kill()
        process.communicate()
    fleet.sim.set_faults()
    assert_whole(fleet)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_finishes_what_is_in_flight_and_starts_nothing_new(fleet: Rig, number: signal.Signals) -> None:
    slow(fleet, 0.1)
    fleet.mark()
    process = start(fleet)
    wait_for_writes(fleet, process, 5)
    process.send_signal(number)
    sent = writes(fleet)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, (out, err)
    assert "Stopping" in err
    assert "Apply incomplete:" in out and "skipped" in out, (out, err)
    assert "0 failed, 0 unknown" in out, (out, err)
    assert writes(fleet) <= sent + 2  # as many as may be under way
    # Nothing is left open: every request had its answer and its record.
    with sqlite3.connect(fleet.state) as db:
        assert db.execute("SELECT count(*) FROM operations").fetchone() == (0,)
    db.close()
    fleet.sim.set_faults()
    assert_whole(fleet)


def test_the_second_signal_leaves_at_once_with_the_journal_intact(fleet: Rig) -> None:
    slow(fleet, 30)
    fleet.mark()
    process = start(fleet)
    deadline = time.monotonic() + 20
    while not _intents(fleet) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    while process.stderr is not None and "Stopping" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    process.communicate(timeout=10)
    assert process.returncode == 130
    assert time.monotonic() - begun < 3  # a second, on a machine that has something else to do
    assert _intents(fleet) >= 1
    fleet.sim.set_faults()
    assert_whole(fleet)


def _intents(rig: Rig) -> int:
    if not rig.state.exists():
        return 0
    db = sqlite3.connect(rig.state)
    try:
        return int(db.execute("SELECT count(*) FROM operations").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()


def test_a_signal_while_planning_ends_the_command(fleet: Rig) -> None:
    fleet.sim.set_faults({"match": {"path": "/v1/*"}, "effect": {"delay_s": 30}})
    process = start(fleet)
    while not fleet.sim.requests() and process.poll() is None:
        if process.stderr is not None and process.stderr.readable():
            break
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130


def test_of_two_applies_at_once_the_second_is_refused_or_waits(fleet: Rig) -> None:
    assert fleet.apply().code == 0
    for number in range(1, COUNT + 1):
        fleet.devices[f"d{number}"]["configs"]["c"] = "3"
    slow(fleet, 0.3)
    fleet.mark()
    first = start(fleet)
    wait_for_writes(fleet, first, 1)
    second = fleet.apply()
    assert second.code == 6, second
    assert "locked" in second.err
    listed = fleet.run("lock", "list", str(fleet.fleet))
    assert f":{first.pid}" in listed.out
    wrong = fleet.run("unlock", "0000", "--path", str(fleet.fleet))
    assert wrong.code == 6, wrong
    waiting = start(fleet, "--lock-timeout", "60")
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, (out, err)
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, (out, err)
    assert "No changes." in out
    fleet.sim.set_faults()
    fleet.assert_in_sync()


def test_two_first_applies_at_once_make_one_fleet(fleet: Rig) -> None:
    slow(fleet, 0.01)
    both = [start(fleet), start(fleet)]
    ended = [(process.communicate(timeout=60), process.returncode) for process in both]
    codes = {code for _, code in ended}
    assert 0 in codes and codes <= {0, 5, 6}, ended
    fleet.sim.set_faults()
    assert_whole(fleet)


def test_a_run_whose_lease_is_broken_sends_nothing_more(fleet: Rig) -> None:
    slow(fleet, 0.2)
    fleet.mark()
    process = start(fleet)
    wait_for_writes(fleet, process, 3)
    (line,) = fleet.run("lock", "list", str(fleet.fleet)).out.splitlines()
    assert fleet.run("unlock", line.split()[0], "--path", str(fleet.fleet)).code == 0
    sent = writes(fleet)
    out, err = process.communicate(timeout=60)
    assert process.returncode in (6, 7), (out, err)
    assert writes(fleet) <= sent + 4
    fleet.sim.set_faults()
    assert_whole(fleet)


def test_a_bundle_is_uploaded_as_it_is(fleet: Rig) -> None:
    (fleet.fleet / "v1.zip").write_bytes(bundle(main="x" * 300_000))
    process = start(fleet)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert_whole(fleet)
