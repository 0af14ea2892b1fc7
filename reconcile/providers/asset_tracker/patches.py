"""
What one PATCH holds: every difference, the groups that travel together, whole sets, and an id made of its content.

docs/apis/asset_tracker.md, "One pending update" (a patch is computed against the *reported* configuration), "Sets",
"Groups" and "Update ids". Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from reconcile.provider import Attrs, Entry, Mistake, Observed, Patch
from reconcile.providers.asset_tracker.beacons import spelled
from reconcile.providers.asset_tracker.updates import (
    PREFIX,
    SETS,
    Update,
    at,
    followed,
    leaves,
    restarted_since,
    same_base,
    with_value,
)

Path = tuple[str, ...]

_MOTION: Path = ("locationTracking", "motionMonitoring")
_GEOFENCE: Path = ("locationTracking", "geofence")
_ALERTS: Path = ("alerts",)
_FORMS = {"generic": "mac", "iBeacon": "uuid"}


def compose(paths: Sequence[Path], also: Sequence[Path], wanted: Attrs, seen: Observed, prior: Entry | None) -> Patch:
    """
    The update that makes a tracker agree with the files.

    Args:
        paths: every leaf that differs. also: what is pending: part of a new update, and no reason for one.
        wanted: what the files say.

    Returns:
        An empty body when exactly this update waits at the agent already, so that only the state must learn of it.
    """
    configuration = dict(wanted.get("configuration", {}))
    if "simUpdate" in wanted:
        configuration["simUpdate"] = wanted["simUpdate"]
    staged = _staged(paths)
    body: dict[str, Any] = {}
    for path in paths:
        if path[0] == "agentConfiguration":
            body = with_value(body, path, at(wanted, path))
    if not staged:
        return Patch(body, notes=("applied by the agent at once",))
    patch = _patch([*staged, *_staged(also)], configuration, seen)
    mistakes = _complete(patch, configuration, seen)
    if mistakes:
        return Patch({}, mistakes=tuple(_placed(mistake, wanted) for mistake in mistakes))
    update = _update(patch, configuration, seen, prior)
    note = "staged: the tracker fetches it when it next connects"
    note += "; agentConfiguration is applied at once" if body else ""
    if also:
        note += "; with it goes what was accepted before and is not applied yet"
    if update.id != seen.facts.get("pending"):
        sent = {"updateId": update.id, **patch}
        if seen.facts.get("scheme") == "1.0" and "simUpdate" in sent:
            # Scheme 1.0 has it beside `configuration`, scheme 1.1 in it; and drops it anywhere else with a 200.
            body["simUpdate"] = sent.pop("simUpdate")
        body["configuration"] = sent
    return Patch(body, {"update": update.to_json()}, (note,))


def _staged(paths: Sequence[Path]) -> list[Path]:
    """Those of the tracker, below `configuration`."""
    return [path[1:] if path[0] == "configuration" else path for path in paths if path[0] != "agentConfiguration"]


def _patch(staged: Sequence[Path], configuration: Attrs, seen: Observed) -> dict[str, Any]:
    patch: dict[str, Any] = {}
    for path in staged:
        of = next((members for members in SETS if path[: len(members)] == members), None)
        if of is None:
            patch = with_value(patch, path, at(configuration, path))
        elif at(patch, of) is None:
            live = at(seen.attrs.get("configuration"), of)
            scheme = str(seen.facts.get("scheme"))
            patch = with_value(patch, of, spelled(_FORMS[of[-1]], at(configuration, of) or {}, live or {}, scheme))
    return patch


def _complete(patch: dict[str, Any], configuration: Attrs, seen: Observed) -> list[Mistake]:
    """Adds what must travel with what is in `patch`; returns what neither the files nor the tracker say."""
    reported = seen.attrs.get("configuration", {})
    found: list[Mistake] = []
    radius = () if seen.facts.get("scheme") == "1.0" else ("radius",)  # of the group in scheme 1.1 only
    groups: tuple[tuple[Path, Path, Path], ...] = (
        (_MOTION, ("movementAccMin", "movementAccMax"), ()),
        (_GEOFENCE, ("lat", "lng", *radius), ("radius",)),
    )
    for path, needed, along in groups:
        part = at(patch, path)
        if part is None:
            continue
        missing = []
        for name in dict.fromkeys((*needed, *along)):
            value = at(configuration, (*path, name))
            value = at(reported, (*path, name)) if value is None else value
            if value is not None:
                part[name] = value
            elif name in needed:
                missing.append(name)
        if missing:
            found.append(
                (
                    path,
                    f"{path[-1]} cannot be sent without {' and '.join(missing)}, which neither the files nor the"
                    " tracker say",
                    f"Write {', '.join(needed)} together",
                )
            )
    return found or [*_ordered(patch, configuration, reported)]


def _ordered(patch: Attrs, configuration: Attrs, reported: Attrs) -> list[Mistake]:
    """What is checked offline where the files say both sides, against the tracker where they say one."""
    found: list[Mistake] = []
    pairs = (
        ((*_MOTION, "movementAccMin"), (*_MOTION, "movementAccMax"), True),
        ((*_ALERTS, "temperatureLow", "threshold"), (*_ALERTS, "temperatureHigh", "threshold"), False),
    )
    for low, high, equal in pairs:
        if at(patch, low) is None and at(patch, high) is None:
            continue
        values = []
        for path in (low, high):
            value = at(configuration, path)
            values.append(at(reported, path) if value is None else value)
        least, most = values
        if not _number(least) or not _number(most) or least < most or (equal and least == most):
            continue
        written = low if at(configuration, low) is not None else high
        says = {
            path: "the files say" if at(configuration, path) is not None else "the tracker has" for path in (low, high)
        }
        found.append(
            (
                written,
                f"{'.'.join(low[-2:])} ({says[low]} {least}) has to be"
                f" {'at most' if equal else 'below'} {'.'.join(high[-2:])} ({says[high]} {most})",
                "Write both",
            )
        )
    return found


def _update(patch: Attrs, configuration: Attrs, seen: Observed, prior: Entry | None) -> Update:
    current, pending = seen.facts.get("current") or "", seen.facts.get("pending")
    base = {"updateId": current, "configuration": seen.attrs.get("configuration", {})}
    # A set that is emptied because the files dropped it is a means, not a part of what they want: later plans may not
    # need it, and would count anew.
    said = [leaf for leaf in leaves(configuration) if leaf[1] != {}]
    content = _digest(sorted(said, key=lambda leaf: leaf[0]))
    id = f"{PREFIX}{_digest({'patch': patch, 'base': base})[:24]}"
    attempts, last = 1, followed(seen, prior)
    # On another base, such as the default that a tracker falls back to, it is another attempt altogether.
    if last is not None and last.content == content and same_base(last, seen) and not last.applied:
        # Where somebody else's update took its place, the tracker may never have had the chance to refuse it.
        replaced = pending and pending != last.id and not restarted_since(last, seen)
        attempts = last.attempts if replaced else last.attempts + 1
    return Update(id, content, current, seen.facts.get("restarted"), attempts, patch)


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _placed(mistake: Mistake, wanted: Attrs) -> Mistake:
    """A mistake at the place where the document says it: `simUpdate` stands in one of two."""
    path, what, hint = mistake
    return (("configuration", *path) if "configuration" in wanted else path, what, hint)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
