"""`key new` and `key show-id`, and what an apply asks where no key is: real processes, since it is about their home."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from fleet_rig import Rig, command
from program import said, start

from reconcile.secrets import FingerprintKey


def ran(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], **environ}
    return subprocess.run([*command(), *arguments], env=env, capture_output=True, text=True, timeout=60)


def test_a_new_key_is_printed_and_kept_nowhere(tmp_path: Path) -> None:
    first, second = (ran("key", "new", HOME=str(tmp_path)) for _ in range(2))
    assert re.fullmatch("[0-9a-f]{64}\n", first.stdout) and first.stderr == ""
    assert first.stdout != second.stdout
    assert list(tmp_path.rglob("*")) == []
    key = first.stdout.strip()
    shown = ran("key", "show-id", HOME=str(tmp_path), RECONCILE_FINGERPRINT_KEY=key)
    assert shown.stdout.split() == [FingerprintKey(bytes.fromhex(key)).key_id, "RECONCILE_FINGERPRINT_KEY"]
    assert key not in shown.stdout + shown.stderr


@pytest.mark.parametrize("home", ["", "/dev/null"])
def test_where_no_key_is_the_way_out_is_said(tmp_path: Path, home: str) -> None:
    shown = ran("key", "show-id", HOME=home or str(tmp_path))
    assert shown.returncode == 1
    assert shown.stdout == "" and "no fingerprint key is here" in shown.stderr and "key new" in shown.stderr


def test_a_variable_that_is_no_key_is_invalid(tmp_path: Path) -> None:
    shown = ran("key", "show-id", HOME=str(tmp_path), RECONCILE_FINGERPRINT_KEY="short-canary")
    assert shown.returncode == 3 and "canary" not in shown.stderr


@pytest.mark.parametrize(("answer", "code"), [(b"yes\n", 0), (b"no\n", 1)])
def test_the_question_names_the_fleet_that_an_unvouched_file_names(rig: Rig, answer: bytes, code: int) -> None:
    rig.configs["host"] = "1"
    file = rig.saved()
    rig.lose_key()
    ours, theirs = pty.openpty()
    process = start(rig, "apply", str(file), stdin=theirs, cwd=rig.directory)
    os.close(theirs)
    assert process.stderr is not None
    question = said(process.stderr.fileno(), "Enter a value: ")
    assert f"the fleet in {rig.fleet}?" in question
    os.write(ours, answer)
    out, err = process.communicate(timeout=20)
    os.close(ours)
    assert process.returncode == code, (out, err)
    assert rig.world["configs"] == ({} if code else {"host": "1"})
    assert "host" in out
