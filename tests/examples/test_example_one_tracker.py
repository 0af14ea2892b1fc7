"""`examples/one-tracker`: one file, one tracker, whose settings are staged and delivered."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path

import pytest
from example_copies import Copy

NO_CHANGES = "No changes. Your infrastructure matches the configuration."

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def test_it_is_valid_without_network_and_credentials(tmp_path: Path) -> None:
    assert "valid: one-tracker" in Copy("one-tracker", tmp_path).reconcile("validate")


def test_the_same_file_asks_for_the_credentials_of_real_agents(tmp_path: Path) -> None:
    done = Copy("one-tracker", tmp_path).run("-m", "reconcile", "plan")
    assert done.returncode == 3
    assert "CFG_REST_API_USERNAME" in done.stderr


def test_the_plan_is_empty_before_and_after_the_delivery(tmp_path: Path) -> None:
    copy = Copy("one-tracker", tmp_path)
    with copy.simulator(".") as url:
        assert "Staged: 1 update" in copy.reconcile("apply", "--auto-approve")
        waiting = copy.reconcile("plan", "--detailed-exitcode")
        assert NO_CHANGES in waiting and "Pending: 1 resource" in waiting and "connectingPeriod = 600" in waiting
        copy.reconcile("apply", "--auto-approve", "--wait", "settled", "--timeout", "1", code=1)
        send(url, "clock", {"advance_s": 600})
        copy.reconcile("apply", "--auto-approve", "--wait", "settled")
        settled = copy.reconcile("plan", "--detailed-exitcode")
        assert NO_CHANGES in settled and "Pending" not in settled
    assert copy.changed(ignored=True) == "!! examples/one-tracker/state/\n"


def test_what_somebody_else_staged_is_lost_only_if_that_is_asked_for(tmp_path: Path) -> None:
    copy = Copy("one-tracker", tmp_path)
    with copy.simulator(".") as url:
        world = json.loads(send(url, "state"))
        world["trackers"]["LPoC4xOL8ESr_"]["pending"] = {"updateId": "by-hand", "readingPeriod": 120}
        send(url, "state", world, "PUT")
        done = copy.run("-m", "reconcile", "apply", "--auto-approve")
        assert done.returncode == 5
        assert "--overwrite-pending" in done.stderr
        assert "by-hand" in done.stdout
        assert "Staged: 1 update" in copy.reconcile("apply", "--auto-approve", "--overwrite-pending")


def send(url: str, call: str, body: object = None, method: str | None = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/_sim/{call}", data, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return bytes(answer.read())
