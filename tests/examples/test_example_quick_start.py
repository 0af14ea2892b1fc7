"""`examples/quick-start`: one file, five resources, from nothing to an empty plan."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from example_copies import Copy

from reconcile.wiring import CommandRequest, document

NO_CHANGES = "No changes. Your infrastructure matches the configuration."

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def test_it_is_one_file_with_five_resources(tmp_path: Path) -> None:
    copy = Copy("quick-start", tmp_path)
    assert [path.name for path in copy.directory.iterdir()] == ["fleet.yaml"]
    files = document(CommandRequest(str(copy.directory), environ={}))
    paths = ("configs", "secrets", "devices", "devices.configs", "devices.secrets")
    assert [files.count(f"microvisor.{path}") for path in paths] == [1, 1, 1, 1, 1]


def test_it_is_valid_without_network_and_credentials(tmp_path: Path) -> None:
    assert "valid: quick-start" in Copy("quick-start", tmp_path).reconcile("validate")


def test_it_is_applied_and_then_the_plan_is_empty(tmp_path: Path) -> None:
    copy = Copy("quick-start", tmp_path)
    copy.environ.update(MQTT_PASSWORD="demo-mqtt", WIFI_PSK="demo-wifi")
    with copy.simulator("."):
        assert "Plan: 1 to import, 4 to add, 1 to change, 0 to destroy." in copy.reconcile("plan")
        assert "Apply complete! Resources: 4 added, 1 changed, 0 destroyed." in copy.reconcile(
            "apply", "--auto-approve"
        )
        assert NO_CHANGES in copy.reconcile("plan", "--detailed-exitcode")
        copy.environ["WIFI_PSK"] = "demo-wifi-2"
        assert "the value behind env:WIFI_PSK changed" in copy.reconcile("plan", "--detailed-exitcode", code=2)
    assert copy.changed() == ""
    assert copy.changed(ignored=True) == "!! examples/quick-start/state/\n"


def test_without_its_secrets_an_apply_sends_nothing(tmp_path: Path) -> None:
    copy = Copy("quick-start", tmp_path)
    with copy.simulator("."):
        copy.reconcile("apply", "--auto-approve", code=3)
        copy.environ.update(MQTT_PASSWORD="demo-mqtt", WIFI_PSK="demo-wifi")
        assert "Plan: 1 to import, 4 to add" in copy.reconcile("plan")
