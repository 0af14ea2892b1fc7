"""Sets of beacons: sent whole, compared normalised, and removed where the agent removes."""

from __future__ import annotations

from typing import Any

import pytest
from tracker_rig import (
    HOUR,
    NO_CHANGES,
    SCHEMES,
    TRUCK,
    YEAR,
    MakeTrackers,
    TrackerRig,
    assert_settled,
    truck,
)

MACS = ["0c2a69046a49", "0c2a69046a50", "db9786256c43"]
UUID = "0112233445566778899aabbccddeeff0"


def here(number: float) -> dict[str, float]:
    return {"lat": number, "lng": -number}


def plain(members: dict[str, Any]) -> dict[str, Any]:
    """With MAC addresses in one form."""
    return {key.replace(":", "").replace("-", "").lower(): value for key, value in members.items()}


def sent(rig: TrackerRig, kind: str = "generic") -> Any:
    pending = rig.pending("A1")
    assert pending is not None
    return pending["locationTracking"]["bleDevices"].get(kind)


def ble(rig: TrackerRig) -> dict[str, Any]:
    """The section of the document."""
    return rig.trackers["truck"]["configuration"]["locationTracking"]["bleDevices"]  # type: ignore[no-any-return]


def live(rig: TrackerRig, kind: str = "generic") -> dict[str, Any]:
    return rig.reported("A1")["locationTracking"]["bleDevices"][kind]  # type: ignore[no-any-return]


def with_beacons(make_trackers: MakeTrackers, scheme: str) -> TrackerRig:
    """Three generic beacons and three iBeacons, applied."""
    rig = make_trackers({"A1": {"scheme": scheme}})
    ibeacons = {UUID: {"1800": {"1286": here(1), "1287": here(2)}, "1801": {"1": here(3)}}}
    generic = {mac: here(number) for number, mac in enumerate(MACS, 1)}
    rig.trackers["truck"] = truck(locationTracking={"bleDevices": {"generic": generic, "iBeacon": ibeacons}})
    assert rig.apply().code == 0
    rig.sim.advance(HOUR)
    assert_settled(rig)
    return rig


@pytest.fixture
def replaces(make_trackers: MakeTrackers) -> TrackerRig:
    return with_beacons(make_trackers, "1.1")


@pytest.fixture
def merges(make_trackers: MakeTrackers) -> TrackerRig:
    return with_beacons(make_trackers, "1.0")


@pytest.fixture(params=SCHEMES)
def either(make_trackers: MakeTrackers, request: pytest.FixtureRequest) -> TrackerRig:
    return with_beacons(make_trackers, request.param)


def test_a_beacon_that_is_added_is_sent_with_all_the_others(either: TrackerRig) -> None:
    ble(either)["generic"]["aabbccddeeff"] = here(9)
    either.apply_well()
    assert set(plain(sent(either))) == {*MACS, "aabbccddeeff"}
    either.sim.advance(HOUR)
    assert_settled(either)
    assert len(live(either)) == 4 and len(live(either, "iBeacon")[UUID]) == 2


def test_a_beacon_that_moves_is_sent_with_all_the_others(either: TrackerRig) -> None:
    ble(either)["generic"][MACS[0]]["lat"] = 64.256
    either.apply_well()
    assert plain(sent(either)) == {
        **{mac: here(n) for n, mac in enumerate(MACS, 1)},
        MACS[0]: {"lat": 64.256, "lng": -1},
    }
    either.sim.advance(HOUR)
    assert_settled(either)


def test_an_ibeacon_that_moves_is_sent_with_all_the_others(either: TrackerRig) -> None:
    ble(either)["iBeacon"][UUID]["1801"]["1"] = here(8)
    either.apply_well()
    assert sent(either, "iBeacon") == {UUID: {"1800": {"1286": here(1), "1287": here(2)}, "1801": {"1": here(8)}}}
    either.sim.advance(HOUR)
    assert_settled(either)


def test_a_beacon_that_is_removed_sends_the_remaining_set_and_is_gone(replaces: TrackerRig) -> None:
    del ble(replaces)["generic"][MACS[1]]
    ran = replaces.plan("--detailed-exitcode")
    assert ran.code == 2 and MACS[1] in ran.out, ran
    replaces.apply_well()
    assert plain(sent(replaces)) == {MACS[0]: here(1), MACS[2]: here(3)}
    replaces.sim.advance(HOUR)
    assert_settled(replaces)
    assert set(live(replaces)) == {MACS[0], MACS[2]}
    assert len(live(replaces, "iBeacon")[UUID]) == 2


@pytest.mark.parametrize("path", [("1800", "1286"), ("1801",), ()])
def test_an_ibeacon_that_is_removed_at_any_level_is_gone(replaces: TrackerRig, path: tuple[str, ...]) -> None:
    level, steps = ble(replaces)["iBeacon"], [UUID, *path]
    for step in steps[:-1]:
        level = level[step]
    del level[steps[-1]]
    replaces.apply_well()
    replaces.sim.advance(HOUR)
    assert_settled(replaces)
    left = live(replaces, "iBeacon")
    assert left == ble(replaces)["iBeacon"]
    assert len(live(replaces)) == 3


def test_a_removal_that_does_not_take_is_said_plainly_and_is_not_planned_for_ever(merges: TrackerRig) -> None:
    del ble(merges)["generic"][MACS[1]]
    assert merges.apply().code == 0
    assert set(plain(sent(merges))) == {MACS[0], MACS[2]}
    merges.sim.advance(HOUR)
    assert MACS[1] in plain(live(merges))
    ran = merges.plan("--detailed-exitcode")
    assert ran.code == 0 and NO_CHANGES in ran.out, ran
    assert MACS[1] in ran.out.replace(":", "") and "still there" in ran.out, ran
    merges.assert_in_sync()
    merges.sim.advance(YEAR)
    merges.assert_in_sync()


def test_a_removal_that_did_not_take_stays_said_and_unplanned_while_and_after_another_setting_changes(
    merges: TrackerRig,
) -> None:
    del ble(merges)["generic"][MACS[1]]
    assert merges.apply().code == 0
    merges.sim.advance(HOUR)
    merges.assert_in_sync()
    for value in (70, 80):
        merges.trackers["truck"]["configuration"]["connectingPeriod"] = value
        assert merges.apply().code == 0
        merges.assert_in_sync()
        merges.sim.advance(HOUR)
        merges.assert_in_sync()
        ran = merges.plan()
        assert MACS[1] in ran.out.replace(":", "") and "still there" in ran.out, ran
    assert merges.reported("A1")["connectingPeriod"] == 80


def test_a_removal_that_did_not_take_does_not_hide_another_change_of_the_set(merges: TrackerRig) -> None:
    del ble(merges)["generic"][MACS[1]]
    assert merges.apply().code == 0
    merges.sim.advance(HOUR)
    ble(merges)["generic"][MACS[0]] = here(44)
    ble(merges)["generic"]["aabbccddeeff"] = here(9)
    assert list(merges.changes()) == [TRUCK]
    assert merges.apply().code == 0
    merges.assert_in_sync()
    merges.sim.advance(HOUR)
    merges.assert_in_sync()
    assert plain(live(merges))[MACS[0]] == here(44)
    assert "aabbccddeeff" in plain(live(merges))


def test_a_beacon_that_did_not_go_and_is_written_again_is_managed_again(merges: TrackerRig) -> None:
    del ble(merges)["generic"][MACS[1]]
    assert merges.apply().code == 0
    merges.sim.advance(HOUR)
    ble(merges)["generic"][MACS[1]] = here(5)
    assert merges.apply().code == 0
    merges.sim.advance(HOUR)
    assert_settled(merges)
    assert plain(live(merges))[MACS[1]] == here(5)


def test_taking_generic_out_altogether_removes_what_the_state_knows(replaces: TrackerRig) -> None:
    del ble(replaces)["generic"]
    ran = replaces.plan("--detailed-exitcode")
    assert ran.code == 2, ran
    assert all(mac in ran.out for mac in MACS), ran
    replaces.apply_well()
    replaces.sim.advance(HOUR)
    assert_settled(replaces)
    assert live(replaces) == {}
    assert len(live(replaces, "iBeacon")[UUID]) == 2


@pytest.mark.parametrize("levels", ["bleDevices", "locationTracking", "configuration"])
def test_taking_what_is_around_the_sets_out_removes_what_the_state_knows(replaces: TrackerRig, levels: str) -> None:
    entry = replaces.trackers["truck"]
    match levels:
        case "bleDevices":
            entry["configuration"] = {"locationTracking": {"alwaysOn": False}}
        case "locationTracking":
            entry["configuration"] = {"connectingPeriod": 180}
        case _:
            del entry["configuration"]
    replaces.apply_well()
    replaces.sim.advance(HOUR)
    assert_settled(replaces)
    assert live(replaces) == {} and live(replaces, "iBeacon") == {}


def test_a_set_that_the_state_does_not_know_is_left_alone(make_trackers: MakeTrackers) -> None:
    reported = {"locationTracking": {"bleDevices": {"generic": {MACS[0]: here(1)}}}}
    rig = make_trackers({"A1": {"reported": reported}})
    rig.trackers["truck"] = truck(connectingPeriod=60, locationTracking={"bleDevices": {"enabled": True}})
    assert rig.apply().code == 0
    assert sent(rig) is None
    rig.sim.advance(HOUR)
    assert_settled(rig)
    assert set(live(rig)) == {MACS[0]}


@pytest.mark.parametrize("more", [{}, {MACS[0]: here(7)}], ids=["added", "added and changed"])
def test_what_somebody_else_does_to_a_set_is_shown_as_theirs_and_put_back(
    replaces: TrackerRig, more: dict[str, Any]
) -> None:
    with replaces.outside_trackers() as trackers:
        reported = trackers["A1"]["reported"]
        reported["updateId"] = "theirs"
        reported["locationTracking"]["bleDevices"]["generic"] |= {"aabbccddeeff": here(9), **more}
    ran = replaces.plan()
    assert "omebody else" in ran.out and "aabbccddeeff" in ran.out, ran
    ran = replaces.run("drift", str(replaces.fleet))
    assert ran.code == 2 and "aabbccddeeff" in ran.out, ran
    replaces.apply_well()
    replaces.sim.advance(HOUR)
    assert_settled(replaces)
    assert set(live(replaces)) == set(MACS)


def test_a_beacon_that_somebody_else_removes_is_shown_as_theirs_and_put_back(replaces: TrackerRig) -> None:
    with replaces.outside_trackers() as trackers:
        reported = trackers["A1"]["reported"]
        reported["updateId"] = "theirs"
        del reported["locationTracking"]["bleDevices"]["generic"][MACS[1]]
    ran = replaces.run("drift", str(replaces.fleet))
    assert ran.code == 2 and MACS[1] in ran.out, ran
    replaces.apply_well()
    replaces.sim.advance(HOUR)
    assert_settled(replaces)
    assert set(live(replaces)) == set(MACS)


def test_an_empty_set_that_is_written_empties_it(make_trackers: MakeTrackers) -> None:
    reported = {"locationTracking": {"bleDevices": {"generic": {MACS[0]: here(1)}}}}
    rig = make_trackers({"A1": {"reported": reported}})
    rig.trackers["truck"] = truck(locationTracking={"bleDevices": {"generic": {}}})
    rig.apply_well()
    assert sent(rig) == {}
    rig.sim.advance(HOUR)
    assert_settled(rig)
    assert live(rig) == {}


SPELLINGS = ["0C:2A:69:04:6A:49", "0c:2a:69:04:6a:49", "0c-2a-69-04-6a-49", "0C2A69046A49", "0c2a69046a49"]


@pytest.mark.parametrize("written", SPELLINGS)
@pytest.mark.parametrize(
    ("scheme", "told"),
    [("1.0", "0C:2A:69:04:6A:49"), ("1.0", "0c2a69046a49"), ("1.1", "0c2a69046a49"), ("1.1", "0C2A69046A49")],
)
def test_a_spelling_of_a_mac_address_is_never_a_difference_and_the_live_one_is_sent(
    make_trackers: MakeTrackers, scheme: str, told: str, written: str
) -> None:
    reported = {"locationTracking": {"bleDevices": {"generic": {told: here(1)}}}}
    rig = make_trackers({"A1": {"scheme": scheme, "reported": reported}})
    rig.trackers["truck"] = truck(locationTracking={"bleDevices": {"generic": {written: here(1)}}})
    rig.mark()
    assert rig.apply().code == 0
    assert rig.patches() == []
    assert_settled(rig)
    ble(rig)["generic"][written] = here(2)
    rig.apply_well()
    assert list(sent(rig)) == [told]
    rig.sim.advance(HOUR)
    assert_settled(rig)
    assert live(rig) == {told: here(2)}
    for other in SPELLINGS:
        ble(rig)["generic"] = {other: here(2)}
        assert rig.changes() == {}, other


@pytest.mark.parametrize("written", ["AA-BB-CC-DD-EE-FF", "aabbccddeeff", "AA:BB:CC:DD:EE:FF"])
@pytest.mark.parametrize(
    ("scheme", "told", "form"),
    [
        ("1.0", "0C:2A:69:04:6A:49", "aa:bb:cc:dd:ee:ff"),  # the tracker compares in lower case
        ("1.0", "0c:2a:69:04:6a:49", "aa:bb:cc:dd:ee:ff"),
        ("1.0", "0c2a69046a49", "aabbccddeeff"),
        ("1.1", "0c2a69046a49", "aabbccddeeff"),
    ],
)
def test_a_new_beacon_is_sent_in_the_form_of_the_live_ones(
    make_trackers: MakeTrackers, scheme: str, told: str, form: str, written: str
) -> None:
    reported = {"locationTracking": {"bleDevices": {"generic": {told: here(1)}}}}
    rig = make_trackers({"A1": {"scheme": scheme, "reported": reported}})
    members = {"0c2a69046a49": here(1), written: here(2)}
    rig.trackers["truck"] = truck(locationTracking={"bleDevices": {"generic": members}})
    rig.apply_well()
    assert sent(rig) == {told: here(1), form: here(2)}
    rig.sim.advance(HOUR)
    assert_settled(rig)


@pytest.mark.parametrize("written", SPELLINGS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_spelling_is_taken_by_a_tracker_that_has_no_beacon_yet(
    make_trackers: MakeTrackers, scheme: str, written: str
) -> None:
    rig = make_trackers({"A1": {"scheme": scheme}})
    rig.trackers["truck"] = truck(locationTracking={"bleDevices": {"generic": {written: here(1)}}})
    rig.apply_well()
    rig.sim.advance(HOUR)
    assert_settled(rig)
    assert plain(live(rig)) == {"0c2a69046a49": here(1)}


@pytest.mark.parametrize("written", [UUID, UUID.upper(), "01122334-4556-6778-899a-abbccddeeff0"])
def test_every_spelling_of_a_uuid_is_taken_and_is_no_difference(make_trackers: MakeTrackers, written: str) -> None:
    rig = make_trackers({"A1": {}})
    rig.trackers["truck"] = truck(locationTracking={"bleDevices": {"iBeacon": {written: {"1": {"2": here(1)}}}}})
    rig.apply_well()
    rig.sim.advance(HOUR)
    assert_settled(rig)
    assert list(live(rig, "iBeacon")) == [UUID]


def test_one_address_in_two_spellings_is_an_error(make_trackers: MakeTrackers) -> None:
    rig = make_trackers({"A1": {}})
    members = {SPELLINGS[0]: here(1), SPELLINGS[4]: here(2)}
    rig.trackers["truck"] = truck(locationTracking={"bleDevices": {"generic": members}})
    rig.mark()
    ran = rig.apply()
    assert ran.code == 3, ran
    assert SPELLINGS[0] in ran.err and SPELLINGS[4] in ran.err, ran
    assert rig.patches() == []
