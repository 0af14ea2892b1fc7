"""No secret value is on any surface, in any of its spellings, whatever goes wrong."""

from __future__ import annotations

import base64
import html
import json
import secrets
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet_rig import TOKEN, MakeRig, Ran, Rig, sid

from reconcile.render.report import IN_FILES


def spellings(value: str) -> set[bytes]:
    """The forms in which a value could show."""
    raw = value.encode()
    encoded = base64.b64encode(raw).decode().rstrip("=")
    found = {
        value,
        urllib.parse.quote(value, safe=""),
        urllib.parse.quote_plus(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        html.escape(value),
        html.escape(value, quote=False),
        raw.hex(),
        raw.hex().upper(),
        encoded,
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        repr(value)[1:-1],
        # As the middle of a longer base64 text, whatever stands before it.
        base64.b64encode(b"x" + raw).decode()[4:-4],
        base64.b64encode(b"xx" + raw).decode()[4:-4],
    }
    return {text.encode() for text in found}


class Canaries:
    """Random secrets, and a search for them."""

    def __init__(self) -> None:
        self.values = {
            name: f"{secrets.token_hex(6)} <{secrets.token_hex(3)}&\"'/ü+=%{secrets.token_urlsafe(9)}"
            for name in ("ONE", "TWO", "THREE", "FOUR")
        }
        self.values["PLAIN"] = secrets.token_hex(16)

    def absent_from(self, where: str, data: bytes) -> None:
        for name, value in {**self.values, "TOKEN": TOKEN}.items():
            for spelling in spellings(value):
                assert spelling not in data, f"{name} is in {where}"


def files_under(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if path.is_file())


def check(canaries: Canaries, rig: Rig, *runs: Ran) -> None:
    for ran in runs:
        canaries.absent_from("stdout", ran.out.encode())
        canaries.absent_from("stderr", ran.err.encode())
    canaries.absent_from("the request log", json.dumps(rig.sim.requests()).encode())
    for path in files_under(rig.directory):
        if path.name != "wifi.json":
            canaries.absent_from(str(path.name), path.read_bytes())


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture
def fleet(make_rig: MakeRig, canaries: Canaries) -> Rig:
    rig = make_rig()
    rig.environ |= canaries.values
    (rig.fleet / "wifi.json").write_text(json.dumps({"oslo": canaries.values["THREE"]}))
    rig.configs["host"] = "1"
    rig.secrets.update({"one": "env:ONE", "plain": "env:PLAIN"})
    rig.devices["one"] = {"sid": sid(1), "secrets": {"two": "env:TWO", "three": "file:wifi.json#/oslo"}}
    return rig


def test_when_all_goes_well(fleet: Rig, canaries: Canaries) -> None:
    # Written below the rig's directory, where `check` looks.
    every = [word for name in IN_FILES for word in ("--report", f"{name}={fleet.directory / name}")]
    file = fleet.saved("-vv", *every)
    check(
        canaries,
        fleet,
        fleet.plan("-vv"),
        fleet.plan("-vv", "--format", "json"),
        fleet.run("show", str(file)),
        fleet.run("show", str(file), "--format", "json"),
        fleet.apply_file(file, "-vv"),
    )
    assert fleet.device(1)["secrets"]["three"] == canaries.values["THREE"]
    fleet.environ["TWO"] = canaries.values["FOUR"]
    saved = fleet.saved("-vv", name="second.plan")
    check(
        canaries,
        fleet,
        fleet.plan("-vv"),
        fleet.plan("--format", "json"),
        fleet.plan(*every),
        fleet.plan("--format", "html"),
        fleet.plan("--format", "markdown"),
        fleet.plan("--offline", "--against", str(fleet.fleet)),
        fleet.run("show", str(saved), "microvisor.devices.one.secrets.two"),
        fleet.apply("-vv", "--format", "json"),
        fleet.run("state", "pull", str(fleet.fleet)),
        fleet.run("state", "show", "microvisor.devices.one.secrets.two", "--path", str(fleet.fleet)),
        fleet.run("state", "list", str(fleet.fleet)),
        fleet.run("validate", str(fleet.fleet)),
        fleet.run("drift", str(fleet.fleet), "-vv"),
        fleet.run("explain", "microvisor.devices.one.secrets.two", "--path", str(fleet.fleet)),
    )


@pytest.mark.parametrize(
    "effect",
    [
        {"drop": "before"},
        {"drop": "after"},
        {"status": 500},
        {"status": 429},
        {"status": 400},
        {"status": 401},
        {"status": 409},
        {"status": 405},
        {"status": 200, "body": "<html>"},
    ],
)
def test_when_writes_fail(fleet: Rig, canaries: Canaries, effect: dict[str, object]) -> None:
    fleet.sim.set_faults({"match": {"method": "POST", "path": "*ecrets*"}, "effect": effect})
    ran = fleet.apply("-vv")
    assert ran.code in (4, 7), ran
    check(canaries, fleet, ran, fleet.plan("-vv"), fleet.run("state", "pull", str(fleet.fleet)))
    fleet.sim.set_faults()
    check(canaries, fleet, fleet.apply("-vv"))


def test_when_the_api_echoes_what_it_was_sent(fleet: Rig, canaries: Canaries) -> None:
    for key, name in (("secrets.one", "ONE"), ("secrets.plain", "PLAIN"), ("devices.one.secrets.three", "THREE")):
        value = canaries.values[name]
        body = {"code": 20001, "message": f"Value {value} is not allowed", "status": 400, "detail": value}
        fleet.sim.set_faults({"match": {"method": "POST", "path": "*ecrets*"}, "effect": {"status": 400, "body": body}})
        ran = fleet.apply("-vv", "--target", f"microvisor.{key}")
        assert ran.code == 7, ran
        for surface in (ran.out, ran.err):
            assert value not in surface, ran


def test_a_secret_that_was_written_as_a_literal_is_an_error_that_does_not_show_it(
    fleet: Rig, canaries: Canaries
) -> None:
    fleet.secrets["literal"] = canaries.values["PLAIN"]
    for ran in (fleet.plan("-vv"), fleet.run("validate", str(fleet.fleet)), fleet.apply("-vv", "--format", "json")):
        assert ran.code == 3, ran
        assert canaries.values["PLAIN"] not in ran.out + ran.err
