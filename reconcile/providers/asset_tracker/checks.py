"""
What the model of a tracker cannot say: fields that depend on each other, spellings, and what deserves a warning.

Only what the document writes is looked at; what it leaves to the reported configuration is checked when that is known.
Every tracker of a fleet comes through here, so a look at what is not written costs next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from reconcile.core.schema import Field as Setting
from reconcile.core.schema import fields_of
from reconcile.provider import Attrs, Mistake
from reconcile.providers.asset_tracker.beacons import normal
from reconcile.providers.asset_tracker.configuration import AgentConfiguration, Configuration

Path = tuple[str, ...]

# docs/apis/asset_tracker.md, "Settings and ranges": above the one, the other is too fine to be told
SHOCK_G, MOVEMENT_G = 4, 0.1
EARLIEST = 1585666384  # docs/apis/asset_tracker.md, "Settings and ranges": declared, not enforced

_AGENT = re.compile(r"[A-Za-z0-9_-]+")
_URL = re.compile(r"[!-\[\]-~]+")  # ASCII without spaces and the backslash
_NUMBER = re.compile(r"0|[1-9][0-9]{0,4}")
_BEACON = "12 hex digits, as in 0c2a69046a49 or 0C:2A:69:04:6A:49"
_UUID = "32 hex digits, as in 0112233445566778899aabbccddeeff0, with or without dashes"

_CONFIGURATION: Path = ("configuration",)
_TRACKING: Path = (*_CONFIGURATION, "locationTracking")
_MOTION: Path = (*_TRACKING, "motionMonitoring")
_BLE: Path = (*_TRACKING, "bleDevices")
_ALERTS: Path = (*_CONFIGURATION, "alerts")
_NOTHING: Mapping[str, Any] = {}


def mistakes(attrs: Attrs, key: str) -> list[Mistake]:
    """
    Everything that is wrong with a tracker whose fields are right one by one.

    Args:
        attrs: as the document gives them: plain maps, what is not written is not there.
        key: of its address.
    """
    found = _unit(attrs)
    if ("username" in attrs) != ("password" in attrs):
        there, missing = ("username", "password") if "username" in attrs else ("password", "username")
        found.append(((there,), f"{there} without {missing}", "A tracker has both of its own, or neither"))
    for name, model in (("configuration", Configuration), ("agentConfiguration", AgentConfiguration)):
        _extra(found, attrs.get(f"{name}_extra"), fields_of(model), (f"{name}_extra",))
    configuration = attrs.get("configuration")
    if not configuration:
        return found
    if "simUpdate" in configuration and "simUpdate" in attrs:
        path = (*_CONFIGURATION, "simUpdate")
        found.append((path, "simUpdate stands in configuration and beside it", "Keep one of them"))
    if tracking := configuration.get("locationTracking"):
        if motion := tracking.get("motionMonitoring"):
            _ordered(found, motion, _MOTION)
        if geofence := tracking.get("geofence"):
            _centre(found, geofence, (*_TRACKING, "geofence"))
        if ble := tracking.get("bleDevices"):
            if generic := ble.get("generic"):
                _spelled(found, "mac", generic, (*_BLE, "generic"))
            if beacons := ble.get("iBeacon"):
                _beacons(found, beacons, (*_BLE, "iBeacon"))
    if alerts := configuration.get("alerts"):
        _temperatures(found, alerts)
    return found


def cautions(attrs: Attrs, key: str) -> list[Mistake]:
    """Warnings about settings that are allowed and yet hardly meant; the arguments are those of `mistakes`."""
    configuration = attrs.get("configuration")
    if not configuration:
        return []
    found: list[Mistake] = []
    tracking = configuration.get("locationTracking") or _NOTHING
    if (after := _in(tracking, "repossessionMode", "after")) is not None and after < EARLIEST:
        found.append(
            (
                (*_TRACKING, "repossessionMode", "after"),
                f"{after} is before {EARLIEST}, the earliest date that is meant for it",
                "It is in Unix seconds",
            )
        )
    shock = _in(configuration.get("alerts") or _NOTHING, "shockDetected", "threshold")
    if shock is not None and shock > SHOCK_G:
        least = _in(tracking, "motionMonitoring", "movementAccMin")
        if least is not None and least <= MOVEMENT_G:
            found.append(
                (
                    (*_ALERTS, "shockDetected", "threshold"),
                    f"with a shock threshold above {SHOCK_G} g the accelerometer is too coarse for a movementAccMin "
                    f"of {MOVEMENT_G} g",
                    f"Set movementAccMin above {MOVEMENT_G}, or the threshold to {SHOCK_G} or less",
                )
            )
    return found


def _extra(found: list[Mistake], extra: Any, known: Mapping[str, Setting], path: Path) -> None:
    """What is passed through is none of the settings that are known, which have a range."""
    for key, value in (extra or {}).items():
        if (spec := known.get(key)) is None:
            continue
        if spec.fields and isinstance(value, Mapping):
            _extra(found, value, spec.fields, (*path, key))
        else:
            at = ".".join((path[0].removesuffix("_extra"), *path[1:], key))
            found.append(((*path, key), f"{key} is no setting of its own", f"Write it as {at}"))


def _in(outer: Mapping[str, Any], part: str, name: str) -> Any:
    inner = outer.get(part)
    return inner.get(name) if inner else None


# -- the unit ----------------------------------------------------------------------------------------------------------


def _unit(attrs: Attrs) -> list[Mistake]:
    """docs/apis/asset_tracker.md, "Agents": one agent for each tracker, named by its id or its whole URL."""
    agent, url = attrs.get("agent"), attrs.get("url")
    if url is not None:
        if agent is not None:
            return [(("url",), "agent and url both name the unit", "Keep one of them")]
        wrong = _wrong_url(url)
        return [(("url",), f"the url {wrong[0]}", wrong[1])] if wrong else []
    if agent is None:
        return [
            (
                (),
                "neither agent nor url says which unit it is",
                "Write the id of its agent, as in agent: LPoC4xOL8ESr_, or its url: https://…/cfg",
            )
        ]
    if _AGENT.fullmatch(agent):
        return []
    hint = "It is the part before /cfg of the agent's URL, made of letters, digits, _ and -"
    if "://" in agent:  # not shown: it may hold credentials
        return [(("agent",), "agent is a URL", "A URL goes into url:")]
    return [(("agent",), f"{agent[:80]!r} is not the id of an agent", hint)]


def _wrong_url(url: str) -> tuple[str, str | None] | None:
    """The mistake in a URL, and the hint. The URL itself is not repeated: it may hold credentials."""
    if not _URL.fullmatch(url):
        return "holds spaces or characters that no URL has", None
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return "is none", None
    if parts.scheme not in ("http", "https"):
        return "is neither https nor http", "Write the whole of it: https://…/<agent>/cfg"
    if "@" in parts.netloc:
        return "holds credentials", "Take them out; username and password refer to them"
    if not usable:
        return "names no host", None
    if "?" in url or "#" in url:
        return "has a query or a fragment", "It ends in /cfg"
    if not parts.path.rstrip("/").endswith("/cfg"):
        return "does not end in /cfg", "Write the whole of it: https://…/<agent>/cfg"
    return None


# -- what depends on each other ----------------------------------------------------------------------------------------


def _ordered(found: list[Mistake], motion: Mapping[str, Any], path: Path) -> None:
    least, most = motion.get("movementAccMin"), motion.get("movementAccMax")
    if least is not None and most is not None and least > most:
        found.append(
            (
                (*path, "movementAccMin"),
                f"movementAccMin {least} is above movementAccMax {most}",
                "The lower one is movementAccMin",
            )
        )


def _centre(found: list[Mistake], geofence: Mapping[str, Any], path: Path) -> None:
    if ("lat" in geofence) != ("lng" in geofence):
        there, missing = ("lat", "lng") if "lat" in geofence else ("lng", "lat")
        found.append(((*path, there), f"{there} without {missing}", "They are one point: write both"))


def _temperatures(found: list[Mistake], alerts: Mapping[str, Any]) -> None:
    low, high = _in(alerts, "temperatureLow", "threshold"), _in(alerts, "temperatureHigh", "threshold")
    if low is not None and high is not None and low >= high:
        found.append(
            (
                (*_ALERTS, "temperatureLow", "threshold"),
                f"temperatureLow.threshold {low} is not below temperatureHigh.threshold {high}",
                None,
            )
        )


# -- beacons -----------------------------------------------------------------------------------------------------------


def _spelled(found: list[Mistake], form: str, keys: Mapping[str, Any], path: Path) -> None:
    first: dict[str, str] = {}
    for key in keys:
        try:
            same = first.setdefault(normal(form, key), key)
        except ValueError:
            what, how = ("MAC address", _BEACON) if form == "mac" else ("UUID", _UUID)
            found.append(((*path, key), f"{key[:80]!r} is not a {what}", f"It has {how}"))
            continue
        if same != key:
            found.append(((*path, key), f"{key} is the same beacon as {same}", "Keep one of them"))


def _beacons(found: list[Mistake], beacons: Mapping[str, Mapping[str, Mapping[str, Any]]], path: Path) -> None:
    _spelled(found, "uuid", beacons, path)
    for uuid, majors in beacons.items():
        if not majors:
            found.append(((*path, uuid), "a UUID without a major", "Write its majors and minors, or leave it out"))
        _numbers(found, "major", majors, (*path, uuid))
        for major, minors in majors.items():
            if not minors:
                found.append(((*path, uuid, major), "a major without a minor", "Write its minors, or leave it out"))
            _numbers(found, "minor", minors, (*path, uuid, major))


def _numbers(found: list[Mistake], what: str, keys: Mapping[str, Any], path: Path) -> None:
    """Written in one way only, so that no number can stand there twice."""
    for key in keys:
        if not _NUMBER.fullmatch(key) or int(key) > 65535:
            found.append(((*path, key), f"{key[:80]!r} is not a {what}", "It is 0 to 65535, without leading zeros"))
