"""Single precision, printed short: whatever the files say, what comes back is never a difference."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tracker_rig import HOUR, SCHEMES, TRUCK, MakeTrackers, TrackerRig, assert_settled, truck

LAT, LNG = (-90.0, 90.0), (-180.0, 180.0)


def single(number: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", number))[0])


def beacons(points: list[tuple[float, float]]) -> dict[str, Any]:
    """Many coordinates in one tracker."""
    members = {f"{number:012x}": {"lat": lat, "lng": lng} for number, (lat, lng) in enumerate(points)}
    return {"locationTracking": {"bleDevices": {"generic": members}}}


def never_differs(rig: TrackerRig, configuration: dict[str, Any]) -> None:
    """It is applied once, and never again."""
    with rig.outside_trackers() as trackers:
        trackers["A1"] = {"scheme": trackers["A1"]["scheme"]}
    rig.lose_state()
    rig.trackers["truck"] = truck(**configuration)
    ran = rig.apply()
    assert ran.code == 0, ran
    rig.sim.advance(HOUR)
    assert rig.pending("A1") is None
    rig.mark()
    ran = rig.apply()
    assert ran.code == 0, ran
    assert "No changes." in ran.out and rig.patches() == [], ran
    # Without a state to lean on, too.
    rig.lose_state()
    ran = rig.plan("--detailed-exitcode")
    assert "->" not in ran.out, ran


@pytest.fixture(params=SCHEMES)
def fleet(make_trackers: MakeTrackers, request: pytest.FixtureRequest) -> TrackerRig:
    return make_trackers({"A1": {"scheme": request.param}})


AWKWARD = [0.15, 0.3, 1e-3, 16.32, 64.256, 118.8839949, 0.1, 1 / 3, 51.502857552631525, 0.003137042517757941, 1e-30]
AWKWARD += [-0.0, 127.99999, 99.999999, 100.00001, 179.99999999, 5e-324, 1.17549435e-38]


def test_numbers_that_have_no_short_single_never_differ(fleet: TrackerRig) -> None:
    never_differs(fleet, beacons([(max(-90, min(90, number)), number) for number in AWKWARD]))


def test_no_longitude_between_100_and_128_differs_for_ever(fleet: TrackerRig) -> None:
    """8 digits are fewer than a float32 needs there: what is printed is often not the number that is kept."""
    chance = random.Random(3)
    points = [(chance.uniform(*LAT), chance.uniform(100, 128)) for _ in range(1000)]
    points += [(0.0, round(chance.uniform(100, 128), digits)) for digits in range(4, 15) for _ in range(20)]
    assert any(single(lng) != single(float(f"{single(lng):.8g}")) for _, lng in points)
    never_differs(fleet, beacons(points))


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(points=st.lists(st.tuples(st.floats(*LAT), st.floats(*LNG)), min_size=1, max_size=60))
def test_no_coordinate_ever_differs(fleet: TrackerRig, points: list[tuple[float, float]]) -> None:
    never_differs(fleet, beacons(points))


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_setting_ever_differs(fleet: TrackerRig, data: st.DataObject) -> None:
    def number(least: float, most: float) -> Any:
        return data.draw(
            st.floats(least, most) | st.integers(int(least) + 1, int(most)) if most > 4 else st.floats(least, most)
        )

    accelerations = sorted(number(0.1, 4) for _ in range(2))
    low, high = sorted((number(-90, 0), number(1, 90)))
    never_differs(
        fleet,
        {
            "connectingPeriod": number(10, 600),
            "readingPeriod": number(10, 360000),
            "locationTracking": {
                "locReadingPeriod": number(10, 360000),
                "motionMonitoring": {
                    "movementAccMin": accelerations[0],
                    "movementAccMax": accelerations[1],
                    "movementAccDur": number(0.01, 1.27),
                    "motionTime": number(1, 3600),
                    "motionVelocity": number(0.1, 20),
                    "motionDistance": number(0.1, 1000),
                    "motionStopTimeout": number(10, 3600),
                },
                "repossessionMode": {"after": data.draw(st.integers(1585666384, 2**31 - 1))},
                "geofence": {"lat": number(*LAT), "lng": number(*LNG), "radius": number(0, 6371009)},
            },
            "alerts": {
                "shockDetected": {"threshold": number(0.016, 16)},
                "temperatureLow": {"threshold": low, "hysteresis": number(0.1, 10)},
                "temperatureHigh": {"threshold": high, "hysteresis": number(0.1, 10)},
                "batteryLow": {"threshold": number(0, 100)},
                "tamperingDetected": {"pollingPeriod": number(0.1, 86400)},
            },
            "simUpdate": {"duration": number(5, 300)},
        },
    )


@pytest.mark.parametrize("written", [64.256, 118.8839949, 0.15, 0.3, 16.32, 500, 500.0])
@pytest.mark.parametrize("form", ["as it was sent", "single", "8 digits", "9 digits"])
def test_an_agent_that_prints_another_number_of_digits_makes_no_difference(
    make_trackers: MakeTrackers, written: float, form: str
) -> None:
    told = {
        "as it was sent": written,
        "single": single(written),
        "8 digits": float(f"{single(written):.8g}"),
        "9 digits": float(f"{single(written):.9g}"),
    }
    fence = {"enabled": False, "lat": 0, "lng": told[form], "radius": told[form]}
    rig = make_trackers({"A1": {"reported": {"locationTracking": {"geofence": fence}}}})
    if written > 180:
        fence["lng"] = 0
        rig = make_trackers({"A1": {"reported": {"locationTracking": {"geofence": fence}}}})
    lng = 0 if written > 180 else written
    rig.trackers["truck"] = truck(locationTracking={"geofence": {"lat": 0, "lng": lng, "radius": written}})
    rig.mark()
    assert rig.apply().code == 0
    assert rig.patches() == []
    assert_settled(rig)


@pytest.mark.parametrize(("before", "after"), [(64.256, 64.25601), (118.88399, 118.88401), (0.15, 0.1500001)])
def test_what_differs_in_the_eighth_digit_is_a_change(fleet: TrackerRig, before: float, after: float) -> None:
    fence = {"lat": 0, "lng": before, "radius": 0}
    fleet.trackers["truck"] = truck(locationTracking={"geofence": fence})
    assert fleet.apply().code == 0
    fleet.sim.advance(HOUR)
    fence["lng"] = after
    assert list(fleet.changes()) == [TRUCK]


def test_two_integers_that_are_one_single_are_a_change(fleet: TrackerRig) -> None:
    assert single(1667598736) == single(1667598737)
    for after in (1667598737, 1667598738, 1667598737):
        fleet.trackers["truck"] = truck(locationTracking={"repossessionMode": {"after": after}})
        assert list(fleet.changes()) == [TRUCK]
        fleet.apply_well()
        pending = fleet.pending("A1")
        assert pending is not None
        sent = pending["locationTracking"]["repossessionMode"]["after"]
        assert sent == after and isinstance(sent, int)
        fleet.sim.advance(HOUR)
        assert_settled(fleet)
        assert fleet.reported("A1")["locationTracking"]["repossessionMode"]["after"] == after


def test_numbers_are_sent_as_they_are_written(fleet: TrackerRig) -> None:
    fence = {"enabled": True, "lat": 64.256, "lng": 118.8839949, "radius": 500}
    fleet.trackers["truck"] = truck(locationTracking={"geofence": fence})
    assert fleet.apply().code == 0
    pending = fleet.pending("A1")
    assert pending is not None and pending["locationTracking"]["geofence"] == fence


def test_the_same_number_written_otherwise_is_no_change(fleet: TrackerRig) -> None:
    fleet.trackers["truck"] = truck(connectingPeriod=60, locationTracking={"alwaysOn": True})
    assert fleet.apply().code == 0
    fleet.sim.advance(HOUR)
    for same in (60.0, 60.0000001):
        fleet.trackers["truck"]["configuration"]["connectingPeriod"] = same
        assert fleet.changes() == {}
        fleet.mark()
        assert fleet.apply().code == 0
        assert fleet.patches() == []


def test_the_same_number_written_otherwise_is_no_change_while_it_is_pending(fleet: TrackerRig) -> None:
    fleet.trackers["truck"] = truck(locationTracking={"geofence": {"lat": 64.256, "lng": 16.32, "radius": 1}})
    assert fleet.apply().code == 0
    fleet.trackers["truck"] = truck(locationTracking={"geofence": {"lat": 64.255997, "lng": 16.32, "radius": 1.0}})
    assert fleet.changes() == {}
    fleet.mark()
    assert fleet.apply().code == 0
    assert fleet.patches() == []
