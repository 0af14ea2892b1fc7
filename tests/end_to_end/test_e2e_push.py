"""`state pull`, `push` and `restore`, in every home: nothing that was there is lost, and nothing older wins unasked."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import servers
from fleet_rig import Ran, Rig, sid

NAMES = (f"push_{n}" for n in count())


@pytest.fixture(params=["a file", "PostgreSQL"])
def fleet(rig: Rig, request: pytest.FixtureRequest) -> Rig:
    """A fleet that was applied twice; `first.json` in its directory is the state in between."""
    if request.param == "PostgreSQL":
        server: servers.Postgres = request.getfixturevalue("server")
        rig.environ["RECONCILE_STATE"] = server.url(server.make(next(NAMES)))
        rig.environ["RECONCILE_FINGERPRINT_KEY"] = "k" * 64
    rig.configs.update(a="1", b="1")
    rig.devices["one"] = {"sid": sid(1), "configs": {"site": "oslo"}}
    rig.apply_well()
    (rig.directory / "first.json").write_text(state(rig, "pull").out)
    del rig.configs["b"]
    rig.apply_well()
    return rig


def state(rig: Rig, command: str, *words: str) -> Ran:
    return rig.run("state", command, *(() if command == "pull" else ("--path",)), str(rig.fleet), *words)


def pulled(rig: Rig) -> Any:
    ran = state(rig, "pull")
    assert ran.code == 0, ran
    return json.loads(ran.out)


def edited(rig: Rig, change: Callable[[Any], None]) -> str:
    value = pulled(rig)
    change(value)
    (rig.directory / "edited.json").write_text(json.dumps(value))
    return str(rig.directory / "edited.json")


def test_what_was_pulled_says_all_and_pushed_again_changes_nothing(fleet: Rig) -> None:
    value = pulled(fleet)
    assert (value["version"], value["fleet"], value["serial"]) == (2, "tests", 2)
    assert value["entries"][0]["address"] == "microvisor.configs.a" and len(value["entries"]) == 3
    assert value["operations"] == [] == value["plans"] and value["run"] and value["lineage"]
    ran = state(fleet, "push", edited(fleet, lambda value: None))
    assert ran.code == 0 and "The state is as" in ran.out, ran
    assert pulled(fleet) == value


def test_a_lower_serial_is_refused_and_a_backup_is_forced_and_brought_back(fleet: Rig) -> None:
    first, now = str(fleet.directory / "first.json"), pulled(fleet)
    ran = state(fleet, "push", first)
    assert ran.code == 5 and "of serial 1" in ran.err and "--force" in ran.err, ran
    assert pulled(fleet) == now
    ran = state(fleet, "push", first, "--force")
    assert ran.code == 0 and "as serial 3" in ran.out and "state restore" in ran.out, ran
    after = pulled(fleet)
    assert after["serial"] == 3 and len(after["entries"]) == 4 and after["run"] != now["run"]
    (kept,) = json.loads(state(fleet, "restore", "--format", "json").out)
    assert (kept["serial"], kept["entries"], kept["why"]) == (2, 3, "state push")
    assert kept["id"] in state(fleet, "restore").out
    ran = state(fleet, "restore", kept["id"])
    assert ran.code == 0 and "as serial 4" in ran.out, ran
    assert [row["address"] for row in pulled(fleet)["entries"]] == [row["address"] for row in now["entries"]]
    fleet.assert_in_sync()
    runs = fleet.run("history", "--path", str(fleet.fleet), "--format", "json").json["runs"]
    assert [run["command"] for run in runs] == ["state restore", "state push", "apply", "apply"]


def test_another_lineage_and_the_same_serial_with_other_content_are_refused(fleet: Rig) -> None:
    def other(value: Any) -> None:
        value["lineage"] = "another"

    ran = state(fleet, "push", edited(fleet, other))
    assert ran.code == 5 and "lineage another" in ran.err, ran
    ran = state(fleet, "push", edited(fleet, lambda value: value["entries"].pop()))
    assert ran.code == 5 and "says something else" in ran.err, ran


def test_a_newer_state_lands_above_both(fleet: Rig) -> None:
    def newer(value: Any) -> None:
        value["serial"] = 10
        value["entries"] = value["entries"][:1]

    plan = fleet.saved()
    ran = state(fleet, "push", edited(fleet, newer))
    assert ran.code == 0 and "as serial 11, with 1 entries" in ran.out, ran
    assert fleet.apply_file(plan).code == 5  # of a state that is not there any more
    fleet.apply_well()


def test_a_state_is_pushed_where_there_is_none(fleet: Rig, server: servers.Postgres) -> None:
    file, value = edited(fleet, lambda value: None), pulled(fleet)
    fleet.environ["RECONCILE_STATE"] = server.url(server.make(next(NAMES)))
    assert state(fleet, "push", file).code == 0
    after = pulled(fleet)
    assert (after["lineage"], after["serial"], after["entries"]) == (value["lineage"], 3, value["entries"])
    fleet.assert_in_sync()


WRONG: dict[str, tuple[Callable[[Any], None], int, str]] = {
    "another fleet": (lambda value: value.update(fleet="yard"), 5, "'yard'"),
    "another format": (lambda value: value.update(version=3), 3, "format"),
    "a key that none has": (lambda value: value.update(more=1), 3, "'more'"),
    "no serial": (lambda value: value.update(serial="x"), 3, "its serial is not a count"),
    "no lineage": (lambda value: value.update(lineage=None), 3, "no lineage"),
    "a broken entry": (lambda value: value["entries"][0].pop("id"), 3, "cannot be read"),
    "an address twice": (lambda value: value["entries"].append(value["entries"][0]), 3, "twice"),
}


@pytest.mark.parametrize(("change", "code", "said"), WRONG.values(), ids=WRONG)
def test_a_state_that_is_wrong_is_not_pushed(fleet: Rig, change: Callable[[Any], None], code: int, said: str) -> None:
    before = pulled(fleet)
    ran = state(fleet, "push", edited(fleet, change))
    assert ran.code == code and said in ran.err, ran
    assert pulled(fleet) == before


def test_a_file_that_is_none_is_not_pushed(fleet: Rig, tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text((fleet.directory / "first.json").read_text()[:100])
    for name, said in (("half.json", "not JSON"), ("none.json", "does not exist")):
        ran = state(fleet, "push", str(tmp_path / name))
        assert ran.code == 3 and said in ran.err, ran
    ran = state(fleet, "restore", "nothing")
    assert ran.code == 3 and "state restore" in ran.err, ran
    assert state(fleet, "restore").out == "No state is kept: none was replaced.\n"
