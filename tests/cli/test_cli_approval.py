"""The question before an apply, on a real terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fleet_rig import Rig
from program import said, start


@contextmanager
def asked(rig: Rig) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """An apply that waits for its answer, and the terminal to give it on."""
    ours, theirs = pty.openpty()
    try:
        process = start(rig, "apply", str(rig.fleet), stdin=theirs)
        os.close(theirs)
        assert process.stderr is not None
        question = said(process.stderr.fileno(), "Enter a value: ")
        assert "Only 'yes' will be accepted to approve." in question
        yield process, ours
    finally:
        process.kill()
        process.communicate()
        os.close(ours)


def held(rig: Rig) -> bool:
    return "Nobody holds the state." not in rig.run("lock", "list", str(rig.fleet)).out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("first_run", [True, False])
def test_a_signal_at_the_question_ends_at_once_and_gives_the_lease_back(
    rig: Rig, number: signal.Signals, first_run: bool
) -> None:
    if not first_run:
        rig.configs["host"] = "1"
        rig.apply_well()
    rig.configs["host"] = "2"
    rig.mark()
    with asked(rig) as (process, _):
        assert held(rig) is not first_run
        process.send_signal(number)
        out, err = process.communicate(timeout=5)
        assert process.returncode == 130, (out, err)
    assert not held(rig)
    assert rig.mutations() == []
    assert rig.state.exists() is not first_run


@pytest.mark.parametrize(("answer", "code"), [(b"yes\n", 0), (b"  yes \n", 0), (b"y\n", 1), (b"\n", 1), (b"\x04", 1)])
def test_only_yes_is_yes(rig: Rig, answer: bytes, code: int) -> None:
    rig.configs["host"] = "1"
    with asked(rig) as (process, terminal):
        os.write(terminal, answer)
        out, err = process.communicate(timeout=10)
        assert process.returncode == code, (out, err)
        assert code == 0 or "not approved" in err
    assert rig.world["configs"] == ({} if code else {"host": "1"})
    assert rig.state.exists() is (code == 0)


def test_a_terminal_that_goes_away_is_no_approval(rig: Rig) -> None:
    rig.configs["host"] = "1"
    ours, theirs = pty.openpty()
    process = start(rig, "apply", str(rig.fleet), stdin=theirs)
    os.close(theirs)
    assert process.stderr is not None
    said(process.stderr.fileno(), "Enter a value: ")
    os.close(ours)
    process.communicate(timeout=5)
    assert process.returncode == 1
    assert rig.world["configs"] == {}
