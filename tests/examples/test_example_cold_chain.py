"""`examples/cold-chain`: two fleets over one base, and the demonstration that `make demo` runs."""

from __future__ import annotations

import csv
import io
import json
import runpy
import shutil
import signal
import socket
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest
from example_copies import EXAMPLES, Copy

from reconcile.wiring import CommandRequest, document

COLD_CHAIN = EXAMPLES / "cold-chain"
NO_CHANGES = "No changes. Your infrastructure matches the configuration."

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def script(name: str) -> dict[str, Any]:
    """What a script of the example defines; it leaves no byte code beside it."""
    return runpy.run_path(str(COLD_CHAIN / name))


@pytest.mark.xdist_group("demo")
def test_the_demonstration_does_what_it_says_and_leaves_nothing(tmp_path: Path) -> None:
    copy = Copy("cold-chain", tmp_path)
    rooms = tmp_path / "rooms"
    rooms.mkdir()
    # What the reader has set for a fleet of their own must not take part.
    mine = {"RECONCILE_SIMULATOR": "http://127.0.0.1:1", "TWILIO_AUTH_TOKEN": "mine", "CFG_REST_API_PASSWORD": "mine"}
    done = copy.run("demo.py", TMPDIR=str(rooms), **mine)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every step did what it should" in done.stdout
    assert "Apply complete! Resources: 3015 added, 555 changed, 0 destroyed." in done.stdout
    staged = done.stdout.partition("A setting of a tracker")[2]
    assert "geofence.radius = 500 -> 750" in staged
    assert staged.count("No changes.") == 3, "before the delivery, at a second apply, and after it"
    assert staged.count("Pending: 1 resource ") == 2
    assert "\x1b" not in done.stdout, "colour without a terminal"
    for secret in secrets_of_dev():
        assert secret not in done.stdout + done.stderr
    assert copy.changed(ignored=True) == ""
    assert list(rooms.iterdir()) == []


def secrets_of_dev() -> list[str]:
    directory = COLD_CHAIN / "dev/secrets"
    plain = [(directory / name).read_text("utf-8").strip() for name in ("mqtt_password", "admin_pin")]
    return [*plain, *json.loads((directory / "wifi.json").read_text("utf-8")).values()]


@pytest.mark.xdist_group("demo")
def test_the_demonstration_can_be_interrupted(tmp_path: Path) -> None:
    copy = Copy("cold-chain", tmp_path)
    rooms = tmp_path / "rooms"
    rooms.mkdir()
    process = copy.begin("demo.py", TMPDIR=str(rooms))
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("listening on "):
            port = int(line.rpartition(":")[2])
        if line.startswith("$ reconcile plan"):
            break
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=20)
    assert process.returncode == 130, complaints
    assert "Traceback" not in complaints
    assert list(rooms.iterdir()) == []
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0, "the simulator still runs"


def test_a_step_that_goes_wrong_ends_the_demonstration(tmp_path: Path) -> None:
    copy = Copy("cold-chain", tmp_path)
    (copy.directory / "dev/secrets/wifi.json").unlink()
    (copy.directory / "base/account.yaml").write_text("microvisor: {configs: {ntp: [1]}}\n")
    done = copy.run("demo.py")
    assert done.returncode == 1
    assert "failed in step 1: exit code 3, expected 0" in done.stderr


def test_on_a_terminal_the_commands_have_their_colours(tmp_path: Path) -> None:
    demo, copy = script("demo.py"), Copy("cold-chain", tmp_path)
    environ = {**copy.environ, "TERM": "xterm"}
    environ.pop("NO_COLOR", None)
    code, output = demo["on_terminal"]([*demo["COMMAND"], "validate", "dev"], copy.directory, environ)
    assert (code, output) == (0, "Success! The configuration is valid: cold-chain-dev (dev).\n")


def test_both_fleets_are_valid_without_network_and_credentials(tmp_path: Path) -> None:
    copy = Copy("cold-chain", tmp_path)
    assert copy.reconcile("validate", "dev", "prod").splitlines() == [
        "Success! The configuration is valid: cold-chain-dev (dev).",
        "Success! The configuration is valid: cold-chain-prod (prod).",
        "Environment: COLD_CHAIN_ADMIN_PIN, COLD_CHAIN_MQTT_PASSWORD, COLD_CHAIN_WIFI",
    ]
    assert copy.changed(ignored=True) == ""


def test_the_same_files_ask_for_credentials_of_the_real_api(tmp_path: Path) -> None:
    copy = Copy("cold-chain", tmp_path)
    done = copy.run("-m", "reconcile", "plan", "prod")
    assert done.returncode == 3
    assert "TWILIO_AUTH_TOKEN" in done.stderr


def test_prod_plans_its_own_table_for_its_own_account(tmp_path: Path) -> None:
    copy = Copy("cold-chain", tmp_path)
    copy.environ.update(
        COLD_CHAIN_WIFI=(copy.directory / "dev/secrets/wifi.json").read_text("utf-8"),
        COLD_CHAIN_MQTT_PASSWORD="demo",
        COLD_CHAIN_ADMIN_PIN="demo",
    )
    with copy.simulator("prod"):
        plan = copy.reconcile("plan", "prod")
    assert plan.startswith("cold-chain-prod · microvisor AC00000000000000000000000000000001 at loopback · ")
    assert "Plan: 1201 to import, 6010 to add, 1201 to change, 0 to destroy." in plan
    assert "could not be opened" not in plan


@pytest.mark.parametrize(("fleet", "sensors", "by_hand"), [("dev", 500, 3), ("prod", 1000, 1)])
def test_the_devices_are_those_of_the_table_and_those_by_hand(fleet: str, sensors: int, by_hand: int) -> None:
    text = (COLD_CHAIN / fleet / "inventory/erp.csv").read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text), delimiter=";"))
    assert sum(row["Status"] == "ACTIVE" for row in rows) == sensors < len(rows)
    files = document(CommandRequest(str(COLD_CHAIN / fleet), environ={}))
    assert files.count("microvisor.devices") == sensors + by_hand


@pytest.mark.parametrize(("fleet", "trailers", "by_hand"), [("dev", 50, 2), ("prod", 200, 0)])
def test_the_trackers_are_those_of_the_table_and_those_by_hand(fleet: str, trailers: int, by_hand: int) -> None:
    rows = list(csv.DictReader(io.StringIO((COLD_CHAIN / fleet / "inventory/trailers.csv").read_text("utf-8"))))
    assert sum(row["Status"] == "IN SERVICE" for row in rows) == trailers < len(rows)
    files = document(CommandRequest(str(COLD_CHAIN / fleet), environ={}))
    wanted = [files.at(handle).attrs for handle in files.roots("asset_tracker.trackers")]
    assert len(wanted) == trailers + by_hand
    fences = [attrs["configuration"]["locationTracking"]["geofence"] for attrs in wanted]
    assert len({(fence["lat"], fence["lng"]) for fence in fences}) == len(wanted), "each has its own"
    assert all(fence["enabled"] and fence["radius"] >= 250 for fence in fences)


def test_the_trackers_by_hand_show_alerts_beacons_and_the_setting_of_an_agent() -> None:
    files = document(CommandRequest(str(COLD_CHAIN / "dev"), environ={}))
    wanted = {(want := files.at(handle)).address.key: want.attrs for handle in files.roots("asset_tracker.trackers")}
    truck, trailer = wanted["truck-12"], wanted["trailer-3"]
    assert "agent" in truck and "url" in trailer
    assert truck["agentConfiguration"] == {"debug": {"logLevel": "INFO"}}
    assert {"temperatureLow", "temperatureHigh"} <= set(truck["configuration"]["alerts"])
    beacons = trailer["configuration"]["locationTracking"]["bleDevices"]
    assert len(beacons["generic"]) == 2 and beacons["iBeacon"]


def test_trackers_alone_plan_empty_before_and_after_the_delivery(tmp_path: Path) -> None:
    copy = Copy("cold-chain", tmp_path)
    directory = copy.repository / "trackers"
    for file in ("base/trackers.yaml", "base/variables.yaml", "dev/trackers.yaml", "dev/inventory/trailers.csv"):
        (directory / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(copy.directory / file, directory / file)
    fleet = (copy.directory / "dev/fleet.yaml").read_text("utf-8")
    table = fleet[fleet.index("  trailers:") : fleet.index("profiles:")]
    values = "values: {domain: example.com, release: {}}\n"
    (directory / "dev/fleet.yaml").write_text(f"fleet: trackers\ninclude: [../base]\n{values}tables:\n{table}", "utf-8")
    fleet_path = str(directory / "dev")
    with copy.simulator(fleet_path) as url:
        assert "Plan: 52 to import, 0 to add, 52 to change, 0 to destroy." in copy.reconcile("plan", fleet_path)
        assert "Staged: 52 updates" in copy.reconcile("apply", fleet_path, "--auto-approve")
        waiting = copy.reconcile("plan", fleet_path, "--detailed-exitcode")
        assert NO_CHANGES in waiting and "Pending: 52 resources" in waiting
        for wait_s in (180, 365 * 86400):  # the period of a tracker as from the factory; a year
            advance(url, wait_s)
            settled = copy.reconcile("plan", fleet_path, "--detailed-exitcode")
            assert NO_CHANGES in settled and "Pending" not in settled and "Failed" not in settled


def advance(url: str, seconds: int) -> None:
    body = json.dumps({"advance_s": seconds}).encode()
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url}/_sim/clock", body).close()


def test_the_bundles_are_zips_and_can_be_made_again(tmp_path: Path) -> None:
    script("make.py")["main"](tmp_path)
    made = [path.relative_to(tmp_path) for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert [path.name for path in made if path.suffix == ".zip"] == [
        path.name for path in sorted((COLD_CHAIN / "base/bundles").glob("*.zip"))
    ]
    for path in made:
        assert (tmp_path / path).read_bytes() == (COLD_CHAIN / path).read_bytes(), path
        if path.suffix == ".zip":
            with zipfile.ZipFile(COLD_CHAIN / path) as archive:
                assert archive.testzip() is None
                assert archive.namelist() == ["README.txt", "app.bin"]
