"""Dependent fields travel with their object, and what an agent would refuse is an error before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest
from tracker_rig import HOUR, SCHEMES, MakeTrackers, TrackerRig, assert_settled, truck


def line_of(rig: TrackerRig, words: str) -> int:
    """The line of the document on which these words stand."""
    rig.save()
    lines = (rig.fleet / "fleet.yaml").read_text().splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if words in line]
    return number


def sent(rig: TrackerRig) -> dict[str, Any]:
    pending = rig.pending("A1")
    assert pending is not None
    return pending


def refused(rig: TrackerRig, words: str, code: int = 3) -> str:
    """An apply that sends nothing, for a reason on the line with these words."""
    rig.mark()
    ran = rig.apply()
    assert ran.code == code, ran
    assert rig.patches() == []
    assert f"line {line_of(rig, words)}" in ran.err, ran
    assert "asset_tracker.trackers.truck" in ran.err, ran
    assert rig.plan().code == code
    return ran.err


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_patch_of_motion_monitoring_carries_its_group_from_the_tracker(
    make_trackers: MakeTrackers, scheme: str
) -> None:
    group = {"movementAccMin": 0.33, "movementAccMax": 0.77}
    rig = make_trackers({"A1": {"scheme": scheme, "reported": {"locationTracking": {"motionMonitoring": group}}}})
    rig.trackers["truck"] = truck(locationTracking={"motionMonitoring": {"motionTime": 30}})
    rig.apply_well()
    assert sent(rig)["locationTracking"]["motionMonitoring"] == {"motionTime": 30, **group}
    rig.sim.advance(HOUR)
    assert_settled(rig)
    # It came along, and is not managed for that.
    with rig.outside_trackers() as trackers:
        trackers["A1"]["reported"]["locationTracking"]["motionMonitoring"]["movementAccMax"] = 3
    assert_settled(rig)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_patch_of_the_geofence_carries_its_group_from_the_tracker(make_trackers: MakeTrackers, scheme: str) -> None:
    group = {"lat": 64.255997, "lng": 118.88399, "radius": 500}
    rig = make_trackers({"A1": {"scheme": scheme, "reported": {"locationTracking": {"geofence": group}}}})
    rig.trackers["truck"] = truck(locationTracking={"geofence": {"enabled": True}})
    rig.apply_well()
    fence = sent(rig)["locationTracking"]["geofence"]
    assert fence == {"enabled": True, **group} or (scheme == "1.0" and fence == {"enabled": True})
    rig.sim.advance(HOUR)
    assert_settled(rig)
    assert rig.reported("A1")["locationTracking"]["geofence"] == {"enabled": True, **group}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_patch_carries_its_group_from_the_files(make_trackers: MakeTrackers, scheme: str) -> None:
    rig = make_trackers({"A1": {"scheme": scheme}})
    fence = {"enabled": False, "lat": 64.256, "lng": 118.8839949, "radius": 500}
    motion = {"motionTime": 15, "movementAccMin": 0.15, "movementAccMax": 0.3}
    rig.trackers["truck"] = truck(locationTracking={"geofence": fence, "motionMonitoring": motion})
    assert rig.apply().code == 0
    rig.sim.advance(HOUR)
    fence["enabled"], motion["motionTime"] = True, 20
    rig.apply_well()
    tracking = sent(rig)["locationTracking"]
    assert tracking["geofence"] == fence or (scheme == "1.0" and tracking["geofence"] == {"enabled": True})
    assert tracking["motionMonitoring"] == motion
    rig.sim.advance(HOUR)
    assert_settled(rig)


def test_radius_alone_carries_its_center_under_1_1(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {"reported": {"locationTracking": {"geofence": {"lat": 5, "lng": 6, "radius": 7}}}}})
    rig.trackers["truck"] = truck(locationTracking={"geofence": {"radius": 16.32}})
    rig.apply_well()
    assert sent(rig)["locationTracking"]["geofence"] == {"lat": 5, "lng": 6, "radius": 16.32}


def test_the_group_is_the_reported_one_and_not_that_of_a_foreign_pending_update(make_trackers: MakeTrackers) -> None:
    theirs = {"updateId": "theirs", "locationTracking": {"geofence": {"lat": 1, "lng": 1, "radius": 1}}}
    reported = {"locationTracking": {"geofence": {"lat": 5, "lng": 6, "radius": 7}}}
    rig = make_trackers({"A1": {"reported": reported, "pending": theirs}})
    rig.trackers["truck"] = truck(locationTracking={"geofence": {"enabled": True}})
    assert rig.apply("--overwrite-pending").code == 0
    assert sent(rig)["locationTracking"]["geofence"] == {"enabled": True, "lat": 5, "lng": 6, "radius": 7}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"geofence": {"enabled": True}}, '"enabled": true'),
        ({"geofence": {"lat": 1, "lng": 2}}, '"lat": 1'),
        ({"motionMonitoring": {"motionTime": 30}}, '"motionTime": 30'),
    ],
)
def test_a_group_that_neither_files_nor_tracker_have_is_an_error_with_its_line(
    make_trackers: MakeTrackers, setting: dict[str, Any], words: str
) -> None:
    rig = make_trackers({"A1": {"reported": None, "online": False}})
    rig.trackers["truck"] = truck(locationTracking=setting)
    rig.mark()
    ran = rig.apply()
    assert ran.code == 3, ran
    assert rig.patches() == []
    (block,) = setting
    first = line_of(rig, f'"{block}"')
    assert f"line {first}" in ran.err or f"line {line_of(rig, words)}" in ran.err, ran
    assert block in ran.err, ran


@pytest.mark.parametrize("published", [False, True])
def test_under_1_0_a_tracker_that_never_reported_needs_a_radius_too(
    make_trackers: MakeTrackers, published: bool
) -> None:
    rig = make_trackers({"A1": {"scheme": "1.0", "published": published, "reported": None, "online": False}})
    fence: dict[str, Any] = {"enabled": True, "lat": 1, "lng": 2}
    rig.trackers["truck"] = truck(locationTracking={"geofence": fence})
    ran = rig.apply()
    assert ran.code == 3 and "geofence cannot be sent without radius" in ran.err and rig.patches() == [], ran
    fence["radius"] = 3
    assert rig.apply().code == 0


@pytest.mark.parametrize("threshold", [25, 25.0, 30])
def test_low_at_or_above_the_reported_high_is_an_error_with_its_line(
    make_trackers: MakeTrackers, threshold: float
) -> None:
    rig = make_trackers({"A1": {}})
    rig.trackers["truck"] = truck(alerts={"temperatureLow": {"threshold": threshold}})
    err = refused(rig, f'"threshold": {threshold}')
    assert "25" in err and "temperatureHigh" in err


def test_high_at_or_below_the_reported_low_is_an_error_with_its_line(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {}})
    rig.trackers["truck"] = truck(alerts={"temperatureHigh": {"threshold": 9.5}})
    err = refused(rig, '"threshold": 9.5')
    assert "10" in err and "temperatureLow" in err


def test_low_and_high_that_are_both_written_are_not_held_against_what_is_reported(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {}})
    rig.trackers["truck"] = truck(alerts={"temperatureLow": {"threshold": 30}, "temperatureHigh": {"threshold": 40}})
    rig.apply_well()
    rig.sim.advance(HOUR)
    assert_settled(rig)
    rig.trackers["truck"] = truck(alerts={"temperatureLow": {"threshold": -30}, "temperatureHigh": {"threshold": -20}})
    rig.apply_well()
    rig.sim.advance(HOUR)
    assert_settled(rig)


@pytest.mark.parametrize(("key", "other"), [("movementAccMin", "movementAccMax"), ("movementAccMax", "movementAccMin")])
def test_half_of_a_group_is_sent_with_the_half_of_the_tracker(
    make_trackers: MakeTrackers, key: str, other: str
) -> None:
    group = {"movementAccMin": 0.5, "movementAccMax": 0.75}
    rig = make_trackers({"A1": {"reported": {"locationTracking": {"motionMonitoring": group}}}})
    rig.trackers["truck"] = truck(locationTracking={"motionMonitoring": {key: 0.625}})
    rig.apply_well()
    assert sent(rig)["locationTracking"]["motionMonitoring"] == {key: 0.625, other: group[other]}
    rig.sim.advance(HOUR)
    assert_settled(rig)


@pytest.mark.parametrize(("key", "value"), [("movementAccMin", 0.8), ("movementAccMax", 0.4)])
def test_an_acceleration_on_the_wrong_side_of_the_reported_one_is_an_error_with_its_line(
    make_trackers: MakeTrackers, key: str, value: float
) -> None:
    group = {"movementAccMin": 0.5, "movementAccMax": 0.75}
    rig = make_trackers({"A1": {"reported": {"locationTracking": {"motionMonitoring": group}}}})
    rig.trackers["truck"] = truck(locationTracking={"motionMonitoring": {key: value}})
    refused(rig, f'"{key}": {value}')


WORDS = "Field: configuration.connectingPeriod - you may not"


def test_a_refusal_of_the_agent_comes_with_its_words_the_address_and_the_line(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {}, "A2": {}})
    rig.trackers["truck"] = truck(connectingPeriod=61)
    rig.trackers["van"] = truck("A2", connectingPeriod=62)
    rig.sim.set_faults({"match": {"method": "PATCH", "path": "/A1/cfg"}, "effect": {"status": 400, "body": WORDS}})
    rig.mark()
    ran = rig.apply()
    assert ran.code == 7, ran
    said = ran.out + ran.err
    assert WORDS in said and "asset_tracker.trackers.truck" in said and "400" in said, ran
    # The line of the setting, or that of the tracker, and not only the plan's margin.
    failed = ran.out[ran.out.index("\nFailed\n") :] + ran.err
    lines = [line_of(rig, '"agent": "A1"') + shift for shift in (-1, 0, 2)]
    assert any(f"fleet.yaml:{line}" in failed or f"line {line}" in failed for line in lines), ran
    # A refusal is not repeated, and holds nobody else up.
    assert rig.patches().count("PATCH /A1/cfg") == 1
    assert rig.pending("A2") is not None and rig.pending("A1") is None
    # Nothing of it is taken for sent.
    rig.sim.set_faults()
    ran = rig.plan("--detailed-exitcode")
    assert ran.code == 2 and "connectingPeriod" in ran.out, ran
    rig.apply_well()
    rig.sim.advance(HOUR)
    assert_settled(rig)


def test_a_refusal_of_a_second_update_leaves_the_first_pending(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {}})
    rig.trackers["truck"] = truck(connectingPeriod=61)
    rig.apply_well()
    first = rig.pending("A1")
    rig.trackers["truck"]["configuration"]["readingPeriod"] = 20
    rig.sim.set_faults({"match": {"method": "PATCH"}, "effect": {"status": 400, "body": WORDS}})
    assert rig.apply().code == 7
    rig.sim.set_faults()
    assert rig.pending("A1") == first
    # Taken back: what is pending is still known as ours.
    del rig.trackers["truck"]["configuration"]["readingPeriod"]
    rig.mark()
    ran = rig.apply()
    assert ran.code == 0, ran
    assert rig.patches() == []
    rig.sim.advance(HOUR)
    assert_settled(rig)


def test_lon_is_asked_back_as_lng(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {}})
    rig.trackers["truck"] = truck(locationTracking={"geofence": {"enabled": True, "lat": 1, "lon": 2, "radius": 3}})
    ran = rig.run("validate", str(rig.fleet))
    assert ran.code == 3, ran
    assert "did you mean lng?" in ran.err.replace('"', "").lower(), ran
    line = line_of(rig, '"lon"')
    assert f"line {line}" in ran.err, ran
