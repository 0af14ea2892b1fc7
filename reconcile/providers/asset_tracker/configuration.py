"""
What a document may say about a tracker: every setting of docs/apis/asset_tracker.md, "Settings and ranges", in the
API's own spelling.

A setting that is not written is not managed. The defaults named here are the tracker's own, chosen for testing
(docs/apis/asset_tracker.md, "Defaults"); nothing is filled in. What one field alone cannot say is in `checks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from reconcile.core.schema import Field as Setting
from reconcile.core.schema import Kind, fields_of
from reconcile.provider import Beside, Mark, Same, SecretRef, StrictModel, Together

LogLevel = Literal["ERROR", "INFO", "DEBUG"]

Single = Annotated[float, Field(strict=True), Same("float32")]
"""A number that the tracker stores as a 32-bit float; a whole number stays one."""


def _range(low: float, high: float, about: str) -> Any:
    """A field of numbers from `low` to `high`, both included."""
    return Field(default=None, ge=low, le=high, description=f"{about} {low} to {high}.")


def _plain(about: str) -> Any:
    """A field without a range."""
    return Field(default=None, description=about)


def _off_or_from_a_tenth(distance: float) -> float:
    if 0 < distance < 0.1:
        raise ValueError("Has to be 0 (off) or at least 0.1")
    return distance


class Point(StrictModel):
    """The place of a beacon: both or nothing."""

    lat: Single = Field(ge=-90, le=90, description="Latitude in degrees, -90 to 90.")
    lng: Single = Field(ge=-180, le=180, description="Longitude in degrees, -180 to 180.")


class MotionMonitoring(StrictModel):
    """Locations are read from the moment the tracker begins to move."""

    enabled: bool | None = _plain("Whether it is on. Default: true.")
    movementAccMin: Annotated[Single, Together("movementAcc", always=True)] | None = _range(
        0.1, 4, "The lowest acceleration that counts as movement, in g. Not above movementAccMax. Default: 0.2."
    )
    movementAccMax: Annotated[Single, Together("movementAcc", always=True)] | None = _range(
        0.1, 4, "The highest acceleration threshold of a movement, in g. Default: 0.4."
    )
    movementAccDur: Single | None = _range(
        0.01, 1.27, "How long the threshold has to be exceeded, in seconds. Default: 0.25."
    )
    motionTime: Single | None = _range(
        1, 3600, "The time allowed to confirm motion after the first movement, in seconds. Default: 15."
    )
    motionVelocity: Single | None = _range(0.1, 20, "The least speed that confirms motion, in m/s. Default: 0.5.")
    motionDistance: Annotated[Single, AfterValidator(_off_or_from_a_tenth)] | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="The least distance that confirms motion, in metres; 0 = not looked at. Default: 5. 0, or 0.1 to "
        "1000.",
    )
    motionStopTimeout: Single | None = _range(
        10, 3600, "How long there is no movement before motion counts as ended, in seconds. Default: 10."
    )


class RepossessionMode(StrictModel):
    """From a date on locations are read, so that the tracker can be collected."""

    enabled: bool | None = _plain("Whether it is on.")
    after: Annotated[int, Field(strict=True)] | None = Field(
        default=None,
        ge=0,
        le=2**31 - 1,
        description="The date, in whole Unix seconds; 1585666384 or later is meant. Default: 1667598736.",
    )


class BleDevices(StrictModel):
    """Bluetooth beacons at known places; each set is managed as one."""

    enabled: bool | None = _plain("Whether they are looked for. Default: false.")
    generic: Annotated[Mapping[str, Point], Mark.WHOLE, Same("mac"), Together("beacons")] | None = _plain(
        "Generic beacons: MAC address (12 hex digits) to place."
    )
    iBeacon: (
        Annotated[Mapping[str, Mapping[str, Mapping[str, Point]]], Mark.WHOLE, Same("uuid"), Together("beacons")] | None
    ) = _plain("iBeacons: UUID (32 hex digits) to major to minor (0 to 65535) to place.")


class Geofence(StrictModel):
    """A circle whose border is watched. Its centre is written as a whole."""

    enabled: bool | None = _plain("Whether it is on. Default: false.")
    lat: Annotated[Single, Together("geofence", always=True)] | None = _range(
        -90, 90, "Latitude of the centre, in degrees."
    )
    lng: Annotated[Single, Together("geofence", always=True)] | None = _range(
        -180, 180, "Longitude of the centre, in degrees."
    )
    radius: Annotated[Single, Together("geofence", always=True)] | None = _range(
        0, 6371009, "Its radius, in metres. Default: 0."
    )


class LocationTracking(StrictModel):
    """When locations are read, and what is known about places."""

    locReadingPeriod: Single | None = _range(
        10, 360000, "How often the location is read while it is read, in seconds. Default: 180."
    )
    alwaysOn: bool | None = _plain("Whether the location is always read. Default: false.")
    motionMonitoring: MotionMonitoring | None = _plain("Read locations while the tracker moves.")
    repossessionMode: RepossessionMode | None = _plain("Read locations from a date on.")
    bleDevices: BleDevices | None = _plain("Bluetooth beacons that tell where the tracker is.")
    geofence: Geofence | None = _plain("A circle whose border is watched.")


class ShockDetected(StrictModel):
    """The tracker was hit or moved suddenly."""

    enabled: bool | None = _plain("Whether the alert is on. Default: true.")
    threshold: Single | None = _range(
        0.016, 16, "The shock that raises it, in g; above 4 the accelerometer is less exact. Default: 8."
    )


class Temperature(StrictModel):
    """The temperature crosses a limit."""

    enabled: bool | None = _plain("Whether the alert is on. Default: true.")
    threshold: Single | None = _range(
        -90, 90, "The limit, in °C; temperatureLow's is below temperatureHigh's. Default: 10 (low), 25 (high)."
    )
    hysteresis: Single | None = _range(
        0.1, 10, "How far it has to come back before the alert is raised again, in °C. Default: 1."
    )


class BatteryLow(StrictModel):
    """The battery is nearly empty."""

    enabled: bool | None = _plain("Whether the alert is on. Default: false.")
    threshold: Single | None = _range(0, 100, "The charge that raises it, in %. Default: 12.")


class TamperingDetected(StrictModel):
    """The case was opened."""

    enabled: bool | None = _plain("Whether the alert is on. Default: false.")
    pollingPeriod: Single | None = _range(0.1, 86400, "How often the case is looked at, in seconds.")


class Alerts(StrictModel):
    """Reports besides locations."""

    shockDetected: ShockDetected | None = _plain("The tracker was hit or moved suddenly.")
    temperatureLow: Temperature | None = _plain("The temperature fell below a limit.")
    temperatureHigh: Temperature | None = _plain("The temperature rose above a limit.")
    batteryLow: BatteryLow | None = _plain("The battery is nearly empty.")
    tamperingDetected: TamperingDetected | None = _plain("The case was opened.")


class Debug(StrictModel):
    """Logging, of the tracker or of its agent."""

    logLevel: LogLevel | None = _plain("ERROR, INFO or DEBUG. Default: DEBUG.")


class SimUpdate(StrictModel):
    """Over-the-air updates of the SIM."""

    enabled: bool | None = _plain("Whether every connection waits for one.")
    duration: Single | None = _range(5, 300, "How long a connection is then kept, in seconds.")


class Configuration(StrictModel):
    """The tracker's own settings. They are staged: the tracker fetches them when it next connects."""

    updateId: Annotated[str, Mark.COMPUTED] | None = _plain("Made anew for every update.")
    locationTracking: LocationTracking | None = _plain("When locations are read.")
    connectingPeriod: Single | None = _range(
        10, 360000, "How often the tracker connects to the network, in seconds. Default: 180."
    )
    readingPeriod: Single | None = _range(
        10, 360000, "How often the tracker reads its sensors, in seconds. Default: 60."
    )
    alerts: Alerts | None = _plain("What is reported besides locations.")
    debug: Debug | None = _plain("The tracker's logging.")
    simUpdate: SimUpdate | None = _plain("Updates of the SIM; here or at the top level, not in both places.")


def _whole_maps(fields: Mapping[str, Setting], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, spec in fields.items():
        if spec.kind is Kind.MAP and Mark.WHOLE in spec.marks:
            yield (*path, name), next(mark.form for mark in spec.marks if isinstance(mark, Same))
        yield from _whole_maps(spec.fields, (*path, name))


SETS: Mapping[tuple[str, ...], str] = dict(_whole_maps(fields_of(Configuration)))
"""The sets of beacons: the path of each below `configuration`, and the form of its keys."""


class AgentConfiguration(StrictModel):
    """The agent's own settings. They hold at once."""

    debug: Debug | None = _plain("The agent's logging.")


_OWN = "A setting of an adapted application goes into {}"


class Tracker(StrictModel):
    """
    `asset_tracker.trackers.<name>`: a tracker, reached through its own agent (docs/apis/asset_tracker.md, "Agents").
    """

    agent: Annotated[str, Mark.LOCATOR] | None = _plain("The unit: the id of its agent. Either this or url.")
    url: Annotated[str, Mark.LOCATOR] | None = _plain(
        "The unit: the whole URL of its agent, https://…/cfg. Either this or agent."
    )
    username: Annotated[SecretRef, Mark.CREDENTIAL] | None = _plain(
        "Where its user name is, if it has one of its own; with password."
    )
    password: Annotated[SecretRef, Mark.CREDENTIAL] | None = _plain(
        "Where its password is, if it has one of its own; with username."
    )
    description: Annotated[Mapping[str, Any], Mark.COMPUTED] | None = _plain("What the agent says about the tracker.")
    configuration: Annotated[Configuration, Beside(_OWN.format("configuration_extra"))] | None = _plain(
        "The tracker's own settings, fetched when it next connects."
    )
    configuration_extra: Mapping[str, Any] | None = _plain(
        "Settings of an adapted application, sent in configuration as they are; compared where the agent reports them."
    )
    simUpdate: SimUpdate | None = _plain("Updates of the SIM; here or in configuration, not in both places.")
    agentConfiguration: Annotated[AgentConfiguration, Beside(_OWN.format("agentConfiguration_extra"))] | None = _plain(
        "The agent's own settings, which hold at once."
    )
    agentConfiguration_extra: Mapping[str, Any] | None = _plain(
        "The same for agentConfiguration: sent as they are; compared where the agent reports them."
    )
