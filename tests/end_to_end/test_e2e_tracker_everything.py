"""The example of the vendor's reference, and every setting once: they validate, apply, settle and plan empty."""

from __future__ import annotations

import copy
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "config"))

from tracker_documents import EVERYTHING, SEED_EXAMPLE
from tracker_rig import (
    HOUR,
    SCHEMES,
    TRUCK,
    YEAR,
    MakeTrackers,
    TrackerRig,
    assert_pending,
    assert_settled,
    truck,
)


def leaves(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """The scalars of a document by path, MAC addresses in one form and `simUpdate` inside."""
    if not isinstance(value, dict):
        return {path: value}
    found: dict[tuple[str, ...], Any] = {}
    for key, inner in value.items():
        found |= leaves(inner, (*path, re.sub("[:-]", "", key).lower() if "generic" in path else key))
    return found


def life(rig: TrackerRig, wanted: dict[str, Any]) -> None:
    """Applied, staged, delivered, and a year later; the tracker has what was wanted."""
    rig.mark()
    ran = rig.apply()
    assert ran.code == 0, ran
    assert rig.patches() == ["PATCH /A1/cfg"]
    assert_pending(rig, TRUCK)
    rig.sim.advance(HOUR)
    assert_settled(rig)
    tracker = rig.tracker("A1")
    live = leaves(tracker["reported"])
    for path, value in leaves({**wanted["configuration"], "simUpdate": wanted["simUpdate"]}).items():
        assert live[path] == (value if isinstance(value, (bool, str)) else pytest.approx(value, rel=1e-7)), path
    assert tracker["agent_log_level"] == wanted["agentConfiguration"]["debug"]["logLevel"]
    rig.sim.advance(YEAR)
    assert_settled(rig)
    # As good without the state.
    rig.lose_state()
    rig.mark()
    assert rig.apply().code == 0
    assert rig.patches() == []
    assert_settled(rig)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_seeds_own_example_applies_after_the_edits_that_the_errors_name(
    make_trackers: MakeTrackers, scheme: str
) -> None:
    rig = make_trackers({"A1": {"scheme": scheme}})
    example = json.loads(SEED_EXAMPLE)
    rig.trackers["truck"] = {"agent": "A1", **copy.deepcopy(example)}
    rig.mark()
    ran = rig.run("validate", str(rig.fleet))
    assert ran.code == 3, ran
    text = (rig.fleet / "fleet.yaml").read_text().splitlines()
    named: dict[str, Any] = {}
    for key in ("description", "updateId"):
        line = next(number for number, row in enumerate(text, 1) if f'"{key}"' in row)
        assert f"line {line}" in ran.err and key in ran.err, ran
        named[key] = line
    # Each says to leave it out, and nothing else is wrong.
    assert ran.err.count("Error:") == 2, ran
    assert ran.err.lower().count("leave it out") + ran.err.lower().count("left out") >= 2, ran
    assert rig.apply().code == 3 and rig.requests() == []
    del rig.trackers["truck"]["description"]
    del rig.trackers["truck"]["configuration"]["updateId"]
    ran = rig.run("validate", str(rig.fleet))
    assert ran.code == 0, ran
    wanted = copy.deepcopy(example)
    del wanted["configuration"]["updateId"]
    life(rig, wanted)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("reported", [True, False], ids=["reported", "shipment mode"])
def test_a_document_with_every_setting_once(
    make_trackers: MakeTrackers, scheme: str, inside: bool, reported: bool
) -> None:
    condition: dict[str, Any] = {"scheme": scheme}
    if not reported:
        condition["reported"] = None
    rig = make_trackers({"A1": condition})
    entry = copy.deepcopy(EVERYTHING)
    if inside:
        entry["configuration"]["simUpdate"] = entry.pop("simUpdate")
    rig.trackers["truck"] = {"agent": "A1", **entry}
    ran = rig.run("validate", str(rig.fleet))
    assert ran.code == 0, ran
    life(rig, EVERYTHING)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_seeds_example_of_an_update_applies(make_trackers: MakeTrackers, scheme: str) -> None:
    """Its `debug` has slipped out of `configuration`: a brace is misplaced there."""
    rig = make_trackers({"A1": {"scheme": scheme}})
    fence = {"enabled": True, "lat": 51.502857552631525, "lng": 0.003137042517757941, "radius": 500}
    rig.trackers["truck"] = {
        **truck(
            locationTracking={"locReadingPeriod": 10, "geofence": fence},
            connectingPeriod=30,
            debug={"logLevel": "DEBUG"},
        ),
        "agentConfiguration": {"debug": {"logLevel": "DEBUG"}},
    }
    rig.apply_well()
    assert_pending(rig, TRUCK)
    rig.sim.advance(HOUR)
    assert_settled(rig)
    assert rig.reported("A1")["connectingPeriod"] == 30


def test_a_live_value_that_no_document_could_hold_is_a_difference(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {"reported": {"connectingPeriod": 0.5, "readingPeriod": -4}}})
    rig.trackers["truck"] = truck(connectingPeriod=60)
    rig.apply_well()
    rig.sim.advance(HOUR)
    assert_settled(rig)


def test_trackers_of_a_table_settle_and_plan_empty(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({f"A{number}": {"scheme": SCHEMES[number % 2]} for number in range(30)})
    rows = [f"t{number},A{number},{64.256 - number / 7},{118.8839949 - number / 3}" for number in range(30)]
    (rig.fleet / "yards.csv").write_text("\n".join(["name,agent,lat,lng", *rows]) + "\n")
    rig.trackers["yards"] = {
        "for_each": "yards.csv",
        "key": "{{ row.name }}",
        "agent": "{{ row.agent }}",
        "configuration": {
            "locationTracking": {
                "geofence": {"enabled": True, "lat": "{{ row.lat }}", "lng": "{{ row.lng }}", "radius": 250}
            }
        },
    }
    ran = rig.plan()
    assert ran.code == 0 and "30 to import" in ran.out, ran
    assert len(ran.out.splitlines()) < 40, ran  # one group
    rig.mark()
    assert rig.apply().code == 0
    assert len(rig.patches()) == 30
    rig.assert_in_sync()
    ran = rig.plan()
    assert "Pending: 30 resources" in ran.out and len(ran.out.splitlines()) < 40, ran
    rig.sim.advance(HOUR)
    assert_settled(rig)
    rig.sim.advance(YEAR)
    assert_settled(rig)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_setting_can_be_changed_and_changed_back(make_trackers: MakeTrackers, scheme: str) -> None:
    """One by one over a tracker that has them all, so that each is sent and arrives by itself."""
    rig = make_trackers({"A1": {"scheme": scheme}})
    rig.trackers["truck"] = {"agent": "A1", **copy.deepcopy(EVERYTHING)}
    assert rig.apply().code == 0
    rig.sim.advance(HOUR)
    assert_settled(rig)
    for path, value in _leaves_of(EVERYTHING):
        level = rig.trackers["truck"]
        for step in path[:-1]:
            level = level[step]
        level[path[-1]] = _other(path, value)
        ran = rig.plan("--detailed-exitcode")
        assert ran.code == 2, (path, ran)
        assert path[-1] in ran.out, (path, ran)
        ran = rig.apply()
        assert ran.code == 0, (path, ran)
        rig.assert_in_sync()
        rig.sim.advance(HOUR)
        assert rig.pending("A1") is None
        rig.assert_in_sync()


def _leaves_of(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if not isinstance(value, dict):
        return [(path, value)]
    return [leaf for key, inner in value.items() for leaf in _leaves_of(inner, (*path, key))]


def _other(path: tuple[str, ...], value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return "DEBUG"
    return value + 1 if isinstance(value, int) else value + 0.05
