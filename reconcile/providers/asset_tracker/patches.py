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

from reconcile.core.schema import fields_of
from reconcile.core.together import completed
from reconcile.core.tree import Path, get, leaves, mentioned, put
from reconcile.provider import Attrs, Edit, Entry, Mistake, Observed, Patch
from reconcile.providers.asset_tracker.beacons import spelled
from reconcile.providers.asset_tracker.configuration import SETS, Configuration
from reconcile.providers.asset_tracker.updates import (
    AGENT,
    PREFIX,
    TRACKER,
    Update,
    configuration_of,
    followed,
    restarted_since,
    same_base,
)

_MOTION: Path = ("locationTracking", "motionMonitoring")
_ALERTS: Path = ("alerts",)


def compose(edit: Edit) -> Patch:
    """
    The update that makes a tracker agree with the files.

    What waits already (`edit.also`) is part of a new update, and no reason for one.

    Returns:
        An empty body when exactly this update waits at the agent already, so that only the state must learn of it.
    """
    paths, also, wanted, seen = edit.paths, edit.also, edit.wanted, edit.seen
    configuration = configuration_of(wanted)
    staged = _staged(paths)
    body: dict[str, Any] = {}
    for path in paths:
        if path[0] in AGENT:
            body = put(body, ("agentConfiguration", *path[1:]), get(wanted, path))
    if not staged:
        return Patch(body, notes=("applied by the agent at once",))
    patch = _patch([*staged, *_staged(also)], configuration, seen)
    patch, mistakes = _complete(patch, configuration, seen)
    if mistakes:
        return Patch({}, mistakes=tuple(_placed(mistake, wanted) for mistake in mistakes))
    update = _update(patch, configuration, seen, edit.prior)
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
    return [path[1:] if path[0] in TRACKER else path for path in paths if path[0] not in AGENT]


def _patch(staged: Sequence[Path], configuration: Attrs, seen: Observed) -> dict[str, Any]:
    patch: dict[str, Any] = {}
    for path in staged:
        of = next((members for members in SETS if path[: len(members)] == members), None)
        if of is None:
            patch = put(patch, path, get(configuration, path))
        elif get(patch, of) is None:
            patch = put(patch, of, get(configuration, of) or {})
    return patch


def _complete(patch: Attrs, configuration: Attrs, seen: Observed) -> tuple[dict[str, Any], list[Mistake]]:
    """A patch with all that must travel with it; and a mistake for all that neither the files nor the tracker say."""
    reported = seen.attrs.get("configuration", {})
    whole, lacking = completed(fields_of(Configuration), patch, configuration, reported)
    found: list[Mistake] = []
    for path, missing in lacking:
        for name in [name for name in missing if (*path, name) in SETS]:  # it has reported none yet
            whole = put(whole, (*path, name), {})
        if needed := [name for name in missing if (*path, name) not in SETS]:
            said = (
                f"{path[-1]} cannot be sent without {' and '.join(needed)}, which neither the files nor the tracker say"
            )
            found.append((path, said, f"Write {' and '.join(needed)}"))
    for of, form in SETS.items():
        if (members := get(whole, of)) is not None:
            whole = put(whole, of, spelled(form, members, get(reported, of) or {}))
    return whole, found or _ordered(whole, configuration, reported)


def _ordered(patch: Attrs, configuration: Attrs, reported: Attrs) -> list[Mistake]:
    """Mistakes in pairs that have an order: offline the files are checked alone, here against the tracker as well."""
    found: list[Mistake] = []
    pairs = (
        ((*_MOTION, "movementAccMin"), (*_MOTION, "movementAccMax"), True),
        ((*_ALERTS, "temperatureLow", "threshold"), (*_ALERTS, "temperatureHigh", "threshold"), False),
    )
    for low, high, equal in pairs:
        if get(patch, low) is None and get(patch, high) is None:
            continue
        values = []
        for path in (low, high):
            value = get(configuration, path)
            values.append(get(reported, path) if value is None else value)
        least, most = values
        if not _number(least) or not _number(most) or least < most or (equal and least == most):
            continue
        written = low if get(configuration, low) is not None else high
        says = {
            path: "the files say" if get(configuration, path) is not None else "the tracker has" for path in (low, high)
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
    was = mentioned(seen.attrs.get("configuration", {}), patch)
    # On another base, such as the default that a tracker falls back to, it is another attempt altogether.
    if last is not None and last.content == content and same_base(last, seen) and not last.applied:
        # Where somebody else's update took its place, the tracker may never have had the chance to refuse it.
        replaced = pending and pending != last.id and not restarted_since(last, seen)
        attempts = last.attempts if replaced else last.attempts + 1
    return Update(id, content, current, seen.facts.get("restarted"), attempts, patch, was=was)


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _placed(mistake: Mistake, wanted: Attrs) -> Mistake:
    """A mistake at the place where the document says it: `simUpdate` stands in one of two."""
    path, what, hint = mistake
    return (("configuration", *path) if "configuration" in wanted else path, what, hint)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
