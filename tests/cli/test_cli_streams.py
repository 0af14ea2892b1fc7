"""Nobody reads standard output or standard error any more: the command does what it was asked for all the same."""

from __future__ import annotations

import os
import subprocess

import pytest
from fleet_rig import Rig, command, sid
from program import start


def unread_pipe() -> int:
    """The end to write to of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def ended(rig: Rig, *arguments: str, stream: str = "stdout") -> tuple[int, str]:
    """The exit code, and what the other stream said."""
    writing = unread_pipe()
    process = start(rig, *arguments, **{stream: writing})
    os.close(writing)
    out, err = process.communicate(timeout=30)
    return process.returncode, err if stream == "stdout" else out


@pytest.fixture
def large(rig: Rig) -> Rig:
    """More lines than a buffer holds."""
    for number in range(1, 6):
        rig.devices[f"d{number}"] = {"sid": sid(number), "configs": {f"k{n}": "x" * n for n in range(60)}}
    return rig


def test_apply_applies_everything(large: Rig) -> None:
    code, err = ended(large, "apply", str(large.fleet), "--auto-approve")
    assert code == 0, err
    assert "Error" not in err and "Traceback" not in err
    large.assert_in_sync()


@pytest.mark.parametrize("format_", ["text", "json"])
def test_the_exit_code_is_kept(large: Rig, format_: str) -> None:
    arguments = (str(large.fleet), "--format", format_)
    assert ended(large, "plan", "--detailed-exitcode", *arguments)[0] == 2
    large.sim.set_faults({"match": {"method": "POST"}, "effect": {"status": 400}})
    code, err = ended(large, "apply", "--auto-approve", *arguments)
    assert code == 7, err
    assert "Traceback" not in err
    large.sim.set_faults({"match": {"method": "GET"}, "effect": {"status": 401}})
    assert ended(large, "plan", *arguments)[0] == 4
    large.files["microvisor"]["nonsense"] = 1
    assert ended(large, "validate", *arguments)[0] == 3
    assert ended(large, "show", *arguments)[0] == 3


def test_standard_error_that_nobody_reads_stops_nothing_either(large: Rig) -> None:
    code, out = ended(large, "apply", str(large.fleet), "--auto-approve", "-vv", stream="stderr")
    assert code == 0
    assert "Apply complete!" in out
    large.assert_in_sync()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["plan", "--help"], ["state", "pull", "FLEET"]])
def test_what_is_asked_for_and_not_read_is_no_error(large: Rig, arguments: list[str]) -> None:
    assert large.apply().code == 0
    given = [str(large.fleet) if part == "FLEET" else part for part in arguments]
    assert ended(large, *given) == (0, "")


def test_a_process_without_standard_output_works(large: Rig) -> None:
    large.save()
    script = '"$@" >&- 2>&- <&-'
    whole = ["sh", "-c", script, "sh", *command(), "apply", str(large.fleet), "--auto-approve"]
    assert subprocess.run(whole, env=large.env(), timeout=30, check=False).returncode == 0
    large.assert_in_sync()
