"""Running the simulator: the command's function in a process of its own, the database, the world for a document."""

import ast
import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import httpx
import pytest
from simulated_fleet import ACCOUNT, APPS, DEVICES, TOKEN, bundle, small_world

import reconcile.simulator
from reconcile.simulator import Simulator, running, serve, world_for

ROOT = Path(reconcile.__file__).parent
SERVE = textwrap.dedent("""
    import sys
    from reconcile.simulator import serve
    serve(
        announce=lambda line: print(line, flush=True),
        complain=lambda line: print(line, file=sys.stderr, flush=True),
        **{arguments!r},
    )
""")


def _serving(**arguments: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", SERVE.replace("{arguments!r}", repr(arguments))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT.parent)},
    )


@pytest.mark.parametrize("effect", [{"delay_s": 600}, {"late": True, "delay_s": 600}])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_announces_one_line_and_ends_at_a_signal_while_requests_wait(
    number: signal.Signals, effect: dict[str, Any]
) -> None:
    process = _serving(seed=5)
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("listening on ").strip()
    httpx.put(f"{url}/_sim/faults", json=[{"effect": effect}])
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{url}/v1/Devices", timeout=0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=2)
    assert process.returncode == 0
    assert out == ""
    assert [line.split(" = ")[0] for line in err.splitlines()] == [
        "account_sid",
        "auth_token",
        "api_key",
        "tracker_username",
        "tracker_password",
    ]


def test_serve_tells_only_the_credentials_that_the_world_does_not_name() -> None:
    process = _serving(world={"account_sid": ACCOUNT, "api_key": "ak_x", "tracker_username": "u"})
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("listening on ").strip()
    process.terminate()
    _, err = process.communicate(timeout=2)
    assert url.startswith("http://127.0.0.1:")
    assert [line.split(" = ")[0] for line in err.splitlines()] == ["auth_token", "tracker_password"]


def test_generated_credentials_depend_on_the_seed_alone() -> None:
    credentials = []
    for seed in (1, 1, 2):
        with running(seed=seed) as sim:
            world = sim.world
            credentials.append((world["account_sid"], world["auth_token"], world["api_key"]))
    assert credentials[0] == credentials[1]
    assert not set(credentials[0]) & set(credentials[2])


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com", ""])
def test_serve_refuses_to_listen_beyond_loopback(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        serve(host=host, announce=print, complain=print)


def test_serve_says_that_a_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port}"):
            serve(port=port, announce=print, complain=print)


def test_serve_refuses_a_world_of_the_wrong_shape() -> None:
    with pytest.raises(ValueError, match=r"\$\.microvisor"):
        serve(world={"microvisor": 1}, announce=print, complain=print)


def test_a_simulator_runs_in_the_loop_of_its_caller() -> None:
    async def run() -> int:
        async with Simulator(world=small_world()) as sim, httpx.AsyncClient(auth=(ACCOUNT, TOKEN)) as client:
            assert sim.world["account_sid"] == ACCOUNT
            return (await client.get(f"{sim.url}/v1/Devices")).status_code

    assert asyncio.run(run()) == 200


# The database.


def test_the_world_is_the_same_after_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "world.db")
    with (
        running(world=small_world(), database=path) as sim,
        httpx.Client(base_url=sim.url, auth=(ACCOUNT, TOKEN)) as client,
    ):
        client.post("/v1/Configs", data={"Key": "a/ü", "Value": "1"})
        client.delete("/v1/Secrets/mqtt_password")
        client.post(f"/v1/Devices/{DEVICES[0]}", data={"UniqueName": "dock-1", "TargetApp": "sensor-2"})
        client.post(f"/v1/Devices/{DEVICES[0]}/Secrets", data={"Key": "pin", "Value": "0000"})
        client.post("/upload/v1/Apps", files={"File": ("b.zip", bundle(app=b"x"))}, data={"UniqueName": "new"})
        client.post("/_sim/fleet", json={"devices": 3, "trackers": 1})
        client.post("/_sim/clock", json={"advance_s": 86400})
        before = sim.world
    with running(database=path) as sim:
        after = sim.world
        assert {**after, "now": before["now"]} == before
        assert after["now"] >= before["now"]


def test_what_was_answered_is_in_the_database_even_if_the_process_is_killed(tmp_path: Path) -> None:
    path = str(tmp_path / "world.db")
    process = _serving(world=small_world(), database=path)
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("listening on ").strip()
    httpx.post(f"{url}/v1/Configs", data={"Key": "k", "Value": "v"}, auth=(ACCOUNT, TOKEN))
    process.kill()
    process.communicate()
    with running(database=path) as sim:
        assert sim.world["microvisor"]["configs"]["k"] == "v"


def test_a_device_goes_on_while_no_simulator_runs(tmp_path: Path) -> None:
    path = str(tmp_path / "world.db")
    world = small_world()
    world["microvisor"]["devices"] = {DEVICES[0]: {"check_in_s": 0.01}}
    with running(world=world, database=path) as sim:
        httpx.post(f"{sim.url}/v1/Devices/{DEVICES[0]}", data={"TargetApp": APPS[0]}, auth=(ACCOUNT, TOKEN))
    with running(database=path) as sim:
        assert sim.world["microvisor"]["devices"][DEVICES[0]]["app"]["reported_sid"] == APPS[0]


def test_what_the_database_holds_goes_before_a_world_that_is_given(tmp_path: Path) -> None:
    path = str(tmp_path / "world.db")
    with running(world=small_world(), database=path) as sim:
        sim.put({"microvisor": {"configs": {"only": "this"}}})
    with running(world=small_world(), database=path) as sim:
        assert sim.world["microvisor"]["configs"] == {"only": "this"}


@pytest.mark.parametrize("content", [b"not a database" * 100, None, "foreign", "damaged"])
def test_a_file_that_is_no_database_of_a_simulator_is_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "world.db"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is None:
        path.mkdir()
    elif content == "foreign":
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE theirs (x)")
    else:
        with running(database=str(path)):
            pass
        with sqlite3.connect(path) as ours:
            ours.execute("UPDATE world SET value = '[]'")
    with pytest.raises(ValueError, match=r"world\.db"):
        serve(database=str(path), announce=print, complain=print)


# The world for a document.


def test_the_world_for_a_document_has_its_units_as_from_the_factory() -> None:
    units = {
        "microvisor": {
            "devices": [{"sid": DEVICES[0], "unique_name": "later"}, {"sid": None, "unique_name": "dock-1"}],
            "account_sid": ACCOUNT,
        }
    }
    assert world_for(units) == world_for(units)
    with running(world=world_for(units)) as sim:
        world = sim.world
    assert world["account_sid"] == ACCOUNT
    devices = world["microvisor"]["devices"]
    names = {sid: device["unique_name"] for sid, device in devices.items()}
    assert names.pop(DEVICES[0]) is None
    assert list(names.values()) == ["dock-1"]
    assert all(device["app"] is None and not device["logging"]["enabled"] for device in devices.values())


def test_a_document_without_units_has_an_empty_world() -> None:
    for units in ({}, {"microvisor": {"devices": [], "account_sid": None}}, {"asset_tracker": {}}):
        assert world_for(units) == {"microvisor": {"devices": {}}}


@pytest.mark.parametrize("unit", [{}, {"sid": "UV1"}, {"unique_name": 7}, 7])
def test_units_of_another_shape_are_refused(unit: Any) -> None:
    with pytest.raises(ValueError, match=r"\$\.microvisor\.devices\[0\]"):
        world_for({"microvisor": {"devices": [unit]}})


# The house.


def test_importing_the_simulator_imports_nothing_heavy() -> None:
    code = "import sys, reconcile.simulator; print([m for m in ('aiohttp', 'httpx', 'sqlite3') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT.parent)}
    )
    assert done.stdout.strip() == "[]"


def test_the_simulator_imports_nothing_of_the_house() -> None:
    for path in (ROOT / "simulator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
                names = [node.module or ""]
            for name in names:
                top = name.split(".")[0]
                assert name.startswith("reconcile.simulator") or top == "aiohttp" or top in sys.stdlib_module_names, (
                    f"{path}: {name}"
                )
