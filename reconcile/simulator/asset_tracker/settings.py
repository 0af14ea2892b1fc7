"""
What a configuration is made of: every setting with its type and the range that the agent accepts
(docs/apis/asset_tracker.md, "Settings and ranges"), and the two schemes with what differs between them.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a range; `off` is a value outside of the range that is accepted as well."""

    least: float
    most: float
    off: float | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """A 32-bit integer; the reference agent declares a range for the only one, and does not enforce it."""


@dataclass(frozen=True, slots=True)
class Switch:
    """true or false."""


@dataclass(frozen=True, slots=True)
class Level:
    """A logging level."""


@dataclass(frozen=True, slots=True)
class UpdateId:
    """The id that the client made up for an update."""


@dataclass(frozen=True, slots=True)
class Block:
    """
    An object with known keys.

    Attributes:
        together: keys that are refused when only some of them are there.
        always: `together` has to be there whenever the object is, whatever else is in it.
        required: keys that have to be there in any case.
    """

    fields: dict[str, "Rule"]
    together: tuple[str, ...] = ()
    always: bool = False
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Members:
    """A set of beacons: an object whose keys are their ids. `key` is the form of an id, `most` its largest number."""

    name: str
    key: re.Pattern[str]
    of: "Rule"
    most: int | None = None


Rule = Number | Whole | Switch | Level | UpdateId | Block | Members

LEVELS = ("ERROR", "INFO", "DEBUG")
MAX_UPDATE_ID = 50

_DEGREES: dict[str, Rule] = {"lat": Number(-90, 90), "lng": Number(-180, 180)}
_BEACON = Block(_DEGREES, together=("lat", "lng"), always=True)
_UUID = re.compile("[0-9a-f]{32}")
_UP_TO_5_DIGITS = re.compile("[0-9]{1,5}")
_IBEACON = Members(
    "iBeacon UUID",
    _UUID,
    Members(
        'iBeacon "major"', _UP_TO_5_DIGITS, Members('iBeacon "minor"', _UP_TO_5_DIGITS, _BEACON, most=65535), most=65535
    ),
)
_PERIOD = Number(10, 360_000)
_DEBUG = Block({"logLevel": Level()})
_TEMPERATURE = Block({"enabled": Switch(), "threshold": Number(-90, 90), "hysteresis": Number(0.1, 10)})
_ALERTS = Block(
    {
        "shockDetected": Block({"enabled": Switch(), "threshold": Number(0.016, 16)}),
        "temperatureLow": _TEMPERATURE,
        "temperatureHigh": _TEMPERATURE,
        "batteryLow": Block({"enabled": Switch(), "threshold": Number(0, 100)}),
        "tamperingDetected": Block({"enabled": Switch(), "pollingPeriod": Number(0.1, 86_400)}),
    }
)
_MOTION = Block(
    {
        "enabled": Switch(),
        "movementAccMin": Number(0.1, 4),
        "movementAccMax": Number(0.1, 4),
        "movementAccDur": Number(0.01, 1.27),
        "motionTime": Number(1, 3600),
        "motionVelocity": Number(0.1, 20),
        "motionDistance": Number(0.1, 1000, off=0),
        "motionStopTimeout": Number(10, 3600),
    },
    together=("movementAccMin", "movementAccMax"),
    always=True,
)
_SIM_UPDATE = Block({"enabled": Switch(), "duration": Number(5, 300)})


@dataclass(frozen=True, slots=True)
class Scheme:
    """
    A version of the configuration scheme.

    Attributes:
        update: what a PATCH may hold. A top-level `simUpdate` is not looked at unless `sim_update_beside`.
        report: what a tracker reports: the configuration, always with `simUpdate` inside.
        sim_update_inside: `simUpdate` is part of `configuration`.
        sim_update_beside: it is a block beside it. Where it is neither, it is taken with a 200 and dropped.
        sets_are_replaced: an update replaces `generic` and `iBeacon` whole, and does not add to them.
    """

    version: str
    update: Block
    report: Block
    sim_update_inside: bool
    sim_update_beside: bool
    sets_are_replaced: bool


def _scheme(version: str, mac: re.Pattern[str], geofence: Block, *, published: bool) -> Scheme:
    """`published`: of an application that was published, not of the Reference."""
    newer = version != "1.0"
    tracking = Block(
        {
            "locReadingPeriod": _PERIOD,
            "alwaysOn": Switch(),
            "motionMonitoring": _MOTION,
            "repossessionMode": Block({"enabled": Switch(), "after": Whole()}),
            "bleDevices": Block(
                {
                    "enabled": Switch(),
                    "generic": Members("Generic BLE device MAC address", mac, _BEACON),
                    "iBeacon": _IBEACON,
                }
            ),
            "geofence": geofence,
        }
    )
    fields: dict[str, Rule] = {
        "updateId": UpdateId(),
        "locationTracking": tracking,
        "connectingPeriod": _PERIOD,
        "readingPeriod": _PERIOD,
        "alerts": _ALERTS,
        "debug": _DEBUG,
    }
    report: dict[str, Rule] = {**fields, "simUpdate": _SIM_UPDATE}
    configuration = Block(report if newer else fields, required=("updateId",))
    update: dict[str, Rule] = {"configuration": configuration, "agentConfiguration": Block({"debug": _DEBUG})}
    if not published:
        update["simUpdate"] = _SIM_UPDATE
    places = {"sim_update_inside": newer, "sim_update_beside": not published}
    return Scheme(version, Block(update), Block(report), **places, sets_are_replaced=published)


_GEOFENCE: dict[str, Rule] = {"enabled": Switch(), **_DEGREES, "radius": Number(0, 6_371_009)}
_DIGITS = re.compile("[0-9A-Fa-f]{12}")
_WHOLE_GEOFENCE = Block(_GEOFENCE, together=("lat", "lng", "radius"), always=True)

SCHEMES = {
    # docs/apis/asset_tracker.md, "Beacons". The reference's example writes MAC addresses with colons and in capitals,
    # its text demands lowercase: all are taken.
    "1.0": _scheme(
        "1.0",
        re.compile("([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}|[0-9A-Fa-f]{12}"),
        Block(_GEOFENCE, together=("lat", "lng")),
        published=False,
    ),
    # The last published reference application.
    "1.1": _scheme("1.1", _DIGITS, _WHOLE_GEOFENCE, published=True),
}
# Scheme 1.0 as it was published (docs/apis/asset_tracker.md: "Beacons", "Groups", "simUpdate", "Sets").
PUBLISHED = {**SCHEMES, "1.0": _scheme("1.0", _DIGITS, _WHOLE_GEOFENCE, published=True)}
