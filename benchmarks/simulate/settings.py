"""
Settings as docs/apis/asset_tracker.md, "Numbers", "Beacons" and "Sets" have them compared: numbers in single precision,
beacons by their digits, sets whole. Written from docs/apis alone, so that a misreading in the provider cannot cancel
itself out.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.simulate.steps import Path

SETS = (("locationTracking", "bleDevices", "generic"), ("locationTracking", "bleDevices", "iBeacon"))
# docs/apis/asset_tracker.md, "Groups": what may be sent though no document says it.
COMPANIONS = frozenset(
    ("locationTracking", *path)
    for path in (
        ("motionMonitoring", "movementAccMin"),
        ("motionMonitoring", "movementAccMax"),
        ("geofence", "lat"),
        ("geofence", "lng"),
        ("geofence", "radius"),
    )
)
NOWHERE = object()


def single(number: float) -> float:
    """The nearest 32-bit float."""
    nearest: float = struct.unpack("<f", struct.pack("<f", number))[0]
    return nearest


def equal(desired: Any, reported: Any) -> bool:
    """docs/apis/asset_tracker.md, "Numbers"."""
    if desired is NOWHERE or reported is NOWHERE:
        return False
    if isinstance(desired, bool) or isinstance(reported, bool) or isinstance(desired, str):
        return type(desired) is type(reported) and bool(desired == reported)
    if isinstance(desired, int) and isinstance(reported, int):
        return desired == reported
    return single(desired) == single(reported) or f"{single(desired):.8g}" == f"{reported:.8g}"


def staged(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The staged settings that an entry of the document (or a PATCH) writes, `simUpdate` in them."""
    found = {key: value for key, value in entry.get("configuration", {}).items() if key != "updateId"}
    if "simUpdate" in entry:
        found["simUpdate"] = entry["simUpdate"]
    return found


def content(entry: Mapping[str, Any]) -> str:
    """What tells the staged settings of one entry from those of another."""
    return json.dumps(staged(entry), sort_keys=True)


def at(value: Any, path: Path) -> Any:
    """What stands at a path; `NOWHERE` when nothing does."""
    for step in path:
        if not isinstance(value, Mapping) or step not in value:
            return NOWHERE
        value = value[step]
    return value


def leaves(value: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every setting that is not a set of beacons."""
    for key, inner in value.items():
        if (*path, key) in SETS:
            continue
        if isinstance(inner, Mapping):
            yield from leaves(inner, (*path, key))
        else:
            yield (*path, key), inner


def members(settings: Any, of: Path) -> dict[str, Any] | None:
    """A set of beacons by their digits, `(uuid, major, minor)` in one; None when it is not mentioned."""
    found = at(settings, of)
    if found is NOWHERE:
        return None
    if of[-1] == "generic":
        return {key.lower().replace(":", "").replace("-", ""): point for key, point in found.items()}
    return {
        f"{uuid.lower().replace('-', '')}.{major}.{minor}": point
        for uuid, majors in found.items()
        for major, minors in majors.items()
        for minor, point in minors.items()
    }


def same_point(one: Any, other: Any) -> bool:
    """Whether two beacons are at one place."""
    return one is not None and other is not None and all(equal(one[name], other[name]) for name in ("lat", "lng"))


def missing(desired: Mapping[str, Any], live: Mapping[str, Any], scheme: str) -> list[str]:
    """
    What of `desired` is not so in `live`, as dotted paths.

    A beacon too many counts under 1.1 only: under 1.0 an agent adds to its sets (docs/apis/asset_tracker.md, "Sets").
    """
    found = [".".join(path) for path, value in leaves(desired) if not equal(value, at(live, path))]
    for of in SETS:
        wanted, there = members(desired, of), members(live, of) or {}
        if wanted is None:
            continue
        found += [f"{of[-1]}.{key}" for key, point in wanted.items() if not same_point(point, there.get(key))]
        if scheme != "1.0":
            found += [f"{of[-1]}.{key} (too many)" for key in there if key not in wanted]
    return found


def extras(desired: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    """Beacons that are reported, in sets that are managed, and that nobody wants."""
    found = []
    for of in SETS:
        wanted = members(desired, of)
        if wanted is not None:
            found += [f"{of[-1]}.{key}" for key in members(live, of) or {} if key not in wanted]
    return found


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any], scheme: str, path: Path = ()) -> dict[str, Any]:
    """A configuration after an update: settings one by one, sets whole (1.1) or added to (1.0)."""
    found = dict(below)
    for key, value in above.items():
        inner, was = (*path, key), below.get(key)
        whole = inner in SETS and scheme != "1.0"
        nested = isinstance(value, Mapping) and isinstance(was, Mapping) and not whole
        found[key] = overlaid(was, value, scheme, inner) if nested else value  # type: ignore[arg-type]
    return found
