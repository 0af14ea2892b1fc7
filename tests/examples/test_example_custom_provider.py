"""The custom provider: installed as a package of its own, found through its entry point, and held to the suite."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconcile.conformance.checks import CHECKS

EXAMPLE = Path(__file__).parents[2] / "examples" / "custom-provider"
TOKEN = "the-token-of-the-signs"
PIN = "pin-of-the-example"


class Shop:
    """A copy of the example, its provider installed, and its server."""

    def __init__(self, directory: Path, environ: Mapping[str, str], server: subprocess.Popen[str], url: str) -> None:
        self.directory, self.environ, self.server, self.url = directory, environ, server, url

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments], cwd=self.directory, env=self.environ, capture_output=True, text=True
        )

    def reconcile(self, *arguments: str, code: int = 0) -> str:
        done = self.python("-m", "reconcile", *arguments)
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        assert PIN not in done.stdout + done.stderr and TOKEN not in done.stdout + done.stderr
        return done.stdout

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """A request of somebody else."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Authorization": f"Bearer {TOKEN}"}, method=method
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    room = tmp_path_factory.mktemp("shop")
    copy, packages = room / "custom-provider", room / "packages"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__", "state"))
    names = ("RECONCILE_", "SIGN", "PYTEST_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    # The repository's own modules are imported from where they are; the provider only as it was installed.
    path = os.pathsep.join([str(packages), str(Path(__file__).parents[2])])
    environ |= {"HOME": str(room), "XDG_CONFIG_HOME": str(room / "config"), "PYTHONPATH": path}
    environ |= {"SIGNAGE_TOKEN": TOKEN, "SIGN_PIN": PIN, "PYTHONDONTWRITEBYTECODE": "1"}
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    installed = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", *offline, "--target", str(packages), str(copy)],
        capture_output=True,
        text=True,
    )
    assert installed.returncode == 0, installed.stderr
    (copy / "signage.py").unlink()
    server = subprocess.Popen(
        [sys.executable, "signs_server.py", "0"], cwd=copy, env=environ, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[2].rstrip(",")
        fleet = copy / "fleet.yaml"
        fleet.write_text(fleet.read_text("utf-8").replace("http://127.0.0.1:8099", url), "utf-8")
        yield Shop(copy, environ, server, url)
    finally:
        server.terminate()
        server.communicate(timeout=10)


def test_the_provider_is_under_60_lines_and_needs_nothing_of_the_house_but_provider() -> None:
    lines = (EXAMPLE / "signage.py").read_text("utf-8").splitlines()
    assert len(lines) < 60
    assert [line for line in lines if "reconcile" in line and "import" in line] == [
        "from reconcile import provider as r",
        "from reconcile.provider import rest",
    ]


def test_it_is_found_planned_applied_and_followed_like_any_other(shop: Shop) -> None:
    assert "Success! The configuration is valid: shop" in shop.reconcile("validate")
    assert "Plan: 2 to add, 0 to change, 0 to destroy." in shop.reconcile("plan")
    assert "Resources: 2 added, 0 changed, 0 destroyed." in shop.reconcile("apply", "--auto-approve")
    assert "No changes." in shop.reconcile("plan", "--detailed-exitcode")
    live = shop.api("GET", "/signs")["signs"]
    assert [(sign["name"], sign["text"], sign["brightness"]) for sign in live] == [
        ("aisle 7/bread", "Fresh since 6", 50),
        ("entrance", "Open till 8", 80),
    ]
    shop.api("PATCH", "/signs/aisle%207%2Fbread", {"text": "Closed"})
    assert '"Closed" -> "Fresh since 6"' in shop.reconcile("plan", "--detailed-exitcode", code=2)
    assert 'signage.signs["aisle 7/bread"]' in shop.reconcile("drift", code=2)
    assert "1 changed" in shop.reconcile("apply", "--auto-approve")
    assert "2 destroyed" in shop.reconcile("destroy", "--auto-approve")
    assert shop.api("GET", "/signs")["signs"] == []


def test_a_mistake_in_the_document_is_told_with_its_line(shop: Shop) -> None:
    fleet = shop.directory / "fleet.yaml"
    good = fleet.read_text("utf-8")
    try:
        fleet.write_text(good.replace("brightness: 80", "brightness: 800"), "utf-8")
        done = shop.python("-m", "reconcile", "validate")
    finally:
        fleet.write_text(good, "utf-8")
    assert done.returncode == 3
    assert "fleet.yaml line 10, in signage.signs.entrance" in done.stderr, done.stderr


def test_it_passes_the_conformance_suite(shop: Shop) -> None:
    ran = shop.python(
        "-m", "pytest", "-p", "reconcile.conformance.plugin", "-p", "no:cacheprovider", "-q", "test_signage.py"
    )
    assert ran.returncode == 0, ran.stdout
    concern_signs = len(CHECKS) - 1  # none of its fields is immutable
    assert f"{concern_signs} passed" in ran.stdout
