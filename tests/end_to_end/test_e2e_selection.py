"""One language of selection on the command line: what it names, what it narrows, and what names nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fleet_rig import Rig, sid

from reconcile.render.words import NO_CHANGES


@pytest.fixture
def fleet(rig: Rig) -> Rig:
    rig.environ |= {"PSK": "a", "PIN": "b"}
    rig.configs.update({"host": "1", "port": "2"})
    rig.files["microvisor"]["secrets"] = {"psk": "env:PSK"}
    rig.devices["a-1"] = {"sid": sid(1), "configs": {"site": "x", "unit": "y"}, "secrets": {"pin": "env:PIN"}}
    rig.devices["a-2"] = {"sid": sid(2), "configs": {"site": "x"}}
    rig.devices["b-1"] = {"sid": sid(3)}
    return rig


def named(rig: Rig, *options: str) -> set[str]:
    """The addresses that a plan with these options changes."""
    return {address.removeprefix("microvisor.") for address in rig.changes(*options)}


@pytest.mark.parametrize(
    ("options", "addresses"),
    [
        (["--target", "microvisor.devices.a-*"], "devices.a-1 devices.a-2"),
        (["--target", "microvisor.devices.*.configs.site"], "devices.a-1.configs.site devices.a-2.configs.site"),
        (["--target", "microvisor.configs", "--exclude", "microvisor.configs.h*"], "configs.port"),
        (["--target", "microvisor.devices.a-1", "--exclude", "microvisor.devices.*.configs"], "devices.a-1"),
    ],
)
def test_a_part_of_the_fleet(fleet: Rig, options: list[str], addresses: str) -> None:
    found = named(fleet, *options)
    wanted = set(addresses.split())
    assert wanted <= found
    for address in found - wanted:  # what lies beneath what is named
        assert any(address.startswith(f"{above}.") for above in wanted), address
        assert "--exclude" not in options or ".configs" not in address


def test_selections_of_a_file(fleet: Rig, tmp_path: Path) -> None:
    file = tmp_path / "sel.txt"
    file.write_text("# the two\nmicrovisor.devices.a-2  # one\n\nmicrovisor.configs.host\n")
    found = named(fleet, "--target", f"@{file}")
    assert found == {"devices.a-2", "devices.a-2.configs.site", "configs.host"}
    file.write_text("microvisor.configs.host\nnot one\n")
    ran = fleet.plan("--target", f"@{file}")
    assert ran.code == 3 and f"{file} line 2" in ran.err and "'not one' selects nothing" in ran.err, ran
    ran = fleet.plan("--target", f"@{tmp_path / 'none'}")
    assert ran.code == 3 and "none" in ran.err and "Traceback" not in ran.err, ran


def test_a_file_that_names_nothing_selects_nothing(fleet: Rig, tmp_path: Path) -> None:
    file = tmp_path / "sel.txt"
    file.write_text("# nothing yet\n")
    ran = fleet.plan("--target", f"@{file}")
    assert ran.code == 3 and "selects nothing" in ran.err, ran


@pytest.mark.parametrize("flag", ["--target", "--exclude", "--rewrite"])
@pytest.mark.parametrize("command", ["plan", "apply"])
def test_what_names_nothing_is_an_error_before_the_first_request(fleet: Rig, flag: str, command: str) -> None:
    fleet.mark()
    run: Any = fleet.plan if command == "plan" else fleet.apply
    ran = run(flag, "microvisor.secrets.pks", flag, "microvisor.secrets.psk")
    assert ran.code == 3 and f"{flag} microvisor.secrets.pks does not name" in ran.err, ran
    assert 'Did you mean "microvisor.secrets.psk"?' in ran.err and fleet.requests() == [], ran


def test_a_part_that_has_no_changes_says_nothing_of_the_rest(fleet: Rig) -> None:
    fleet.apply_well()
    fleet.configs["host"] = "other"
    ran = fleet.plan("--exclude", "microvisor.configs.host", "--detailed-exitcode")
    assert ran.code == 0 and f"{NO_CHANGES}\nThat is of what was selected; nothing is said of the rest." in ran.out, ran


def test_a_selection_that_leaves_nothing_is_no_plan(fleet: Rig) -> None:
    fleet.mark()
    for options in (["--exclude", "microvisor"], ["--target", "microvisor.configs", "--exclude", "microvisor.*"]):
        ran = fleet.plan(*options)
        assert ran.code == 3 and "the selection leaves nothing" in ran.err and fleet.requests() == [], ran


def test_what_left_the_files_is_named_by_the_state(fleet: Rig) -> None:
    fleet.apply_well()
    del fleet.configs["host"]
    fleet.configs["port"] = "3"
    assert named(fleet, "--target", "microvisor.configs.host") == {"configs.host"}


def test_secrets_of_what_is_named_are_written_again(fleet: Rig) -> None:
    fleet.apply_well()
    assert named(fleet, "--rewrite", "microvisor.devices.a-*") == {"devices.a-1.secrets.pin"}
    assert named(fleet, "--rewrite", "microvisor.secrets") == {"secrets.psk"}
    ran = fleet.plan("--rewrite", "microvisor.configs.host")
    assert ran.code == 3 and "does not name a secret" in ran.err, ran


def test_an_out_that_cannot_be_written_is_an_error_before_the_first_request(fleet: Rig, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("mine")
    (tmp_path / "dir").mkdir()
    fleet.mark()
    for file in ("no/where.plan", "text", "dir"):
        ran = fleet.plan("--out", str(tmp_path / file))
        assert ran.code == 3 and file.partition("/")[0] in ran.err, ran
    assert fleet.requests() == [] and (tmp_path / "text").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] == ".") == []


def test_a_part_of_a_plan_is_shown_with_its_values(fleet: Rig, tmp_path: Path) -> None:
    file = tmp_path / "plan"
    assert fleet.plan("--out", str(file)).code == 0
    ran = fleet.run("show", str(file), "microvisor.devices.a-*.configs")
    assert ran.code == 0 and '+ value = "x"' in ran.out and '+ value = "y"' in ran.out, ran
    assert "microvisor.configs.host" not in ran.out
    ran = fleet.run("show", str(file), "microvisor.devices.*.configs.site", "--format", "json")
    assert [row["address"] for row in json.loads(ran.out)["resource_changes"]] == [
        "microvisor.devices.a-1.configs.site",
        "microvisor.devices.a-2.configs.site",
    ]
    ran = fleet.run("show", str(file), "microvisor.devices.a-3")
    assert ran.code == 3 and "microvisor.devices.a-3 names nothing in the plan" in ran.err, ran


def test_the_state_by_selection(fleet: Rig) -> None:
    path = str(fleet.fleet)
    fleet.apply_well()
    ran = fleet.run("state", "list", path, "microvisor.devices.*.configs", "microvisor.configs.host")
    assert ran.out.splitlines() == [
        "microvisor.configs.host",
        "microvisor.devices.a-1.configs.site",
        "microvisor.devices.a-1.configs.unit",
        "microvisor.devices.a-2.configs.site",
    ]
    ran = fleet.run("state", "show", "microvisor.configs", "--path", path)
    assert ran.code == 0 and "microvisor.configs.port" in ran.out and "devices" not in ran.out, ran
    ran = fleet.run("state", "rm", "microvisor.configs.*", "microvisor.nothing", "--path", path)
    assert ran.code == 3 and "microvisor.nothing names nothing in the state" in ran.err, ran
    ran = fleet.run("state", "rm", "microvisor.configs.*", "microvisor.devices.a-1", "--path", path)
    assert ran.code == 0 and "Removed microvisor.devices.a-1.secrets.pin" in ran.out, ran
    left = fleet.run("state", "list", path).out.splitlines()
    assert left == [
        "microvisor.devices.a-2",
        "microvisor.devices.a-2.configs.site",
        "microvisor.devices.b-1",
        "microvisor.secrets.psk",
    ]


def test_explain_by_selection(fleet: Rig) -> None:
    fleet.plan()  # writes the files
    ran = fleet.run("explain", str(fleet.fleet), "microvisor.devices.a-*.configs.site")
    assert "microvisor.devices.a-1.configs.site" in ran.out and "microvisor.devices.a-2.configs.site" in ran.out, ran
    ran = fleet.run("explain", str(fleet.fleet), "microvisor.devices.a-l")
    assert ran.code == 3 and 'Did you mean "microvisor.devices.a-' in ran.err, ran
