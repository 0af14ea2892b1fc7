"""
Tracker: its settings, which are staged at its agent, fetched when it next connects, and rounded to 32-bit floats.

docs/apis/asset_tracker.md. A tracker is hardware: adopted and forgotten, never made or deleted.
`configuration` and `simUpdate` are staged; `agentConfiguration` is applied at once. What waits, what was lost and what
failed is told in `updates`, what is sent in `patches`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from reconcile.core.tree import get, put
from reconcile.provider import (
    ApiError,
    Attrs,
    BadAnswer,
    Edit,
    Entry,
    Mistake,
    NotFound,
    Observed,
    Patch,
    Reading,
    Ref,
    ResourceType,
    Target,
    View,
)
from reconcile.providers.asset_tracker import checks, patches, updates
from reconcile.providers.asset_tracker.beacons import respelled
from reconcile.providers.asset_tracker.configuration import Tracker
from reconcile.providers.asset_tracker.connection import Agents, server_time, unit_of
from reconcile.providers.asset_tracker.defaults import DEFAULTS

MACS = ("configuration", "locationTracking", "bleDevices", "generic")  # in a PATCH


class TrackerType(ResourceType[Agents]):
    """Trackers, each behind its agent."""

    path = "asset_tracker.trackers"
    singular = "tracker"
    noun = "tracker"
    Model = Tracker
    listed = "unit"
    names = "shared"
    identity = "tracker"
    defaults: ClassVar[Attrs] = DEFAULTS
    staging = updates.Updates()

    def unit(self, attrs: Attrs, key: str) -> tuple[str | None, str]:
        return unit_of(attrs), key

    def check(self, attrs: Attrs, key: str) -> list[Mistake]:
        return checks.mistakes(attrs, key)

    def cautions(self, attrs: Attrs, key: str) -> list[Mistake]:
        return checks.cautions(attrs, key)

    def stranger(self, api: Agents, target: Target) -> str | None:
        return api.stranger(target)

    def view(self, seen: Observed, prior: Entry | None, now: datetime) -> View:
        view = updates.read(seen, prior, now)
        return replace(view, learned=updates.learned(seen, prior, now)) if prior is not None else view

    def facts(self, seen: Observed, prior: Entry | None = None) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        if (update := updates.followed(seen, prior)) is not None:
            found["update"] = update.to_json()
            if prior is not None and not update.applied and "released" in prior.facts:
                found["released"] = prior.facts["released"]
        for name in ("scheme", "tracker"):
            if seen.facts.get(name) is not None:
                found[name] = seen.facts[name]
        if kept := updates.kept(seen, prior):
            found["kept"] = kept
        if dropped := updates.dropped(seen, prior):
            found["dropped"] = dropped
        return found

    def recalled(self, entry: Entry, id_of: Callable[[Ref], str | None]) -> Observed:
        """As if the last update was applied: nobody asks what became of it; a write is checked before it is sent."""
        update = updates.update_of(entry.facts)
        attrs = {**entry.attrs, "configuration": updates.configuration_of(entry.attrs)}
        facts = {"scheme": entry.facts.get("scheme"), "current": update.id if update else None}
        return Observed(entry.id, updates.both_places(attrs), facts=facts)

    def compose(self, edit: Edit) -> Patch | None:
        return patches.compose(edit)

    async def read(self, api: Agents, target: Target) -> Reading:
        try:
            answer = await api.get(target)
        except NotFound as missing:
            if "no handler" in (missing.message or "").lower():
                raise BadAnswer("another application runs behind this agent: it knows no GET of /cfg") from None
            return Reading(None)
        now = server_time(answer)
        seen = observed(api.unit(target), answer.body, now)
        # An endpoint is its identity: what was asked for by a URL below the base URL is the agent that it names.
        return Reading(replace(seen, aliases=(target.id,)) if target.id not in (None, seen.id) else seen, now)

    async def update(self, api: Agents, target: Target, patch: Attrs) -> Observed:
        # Sent a second time, an update might replace one that somebody else staged meanwhile: so it is read back.
        staged = "configuration" in patch
        try:
            answer = await api.patch(target, patch, idempotent=not staged)
        except ApiError as refusal:
            if refusal.status != 400 or (macs := get(patch, MACS)) is None:
                raise
            # docs/apis/asset_tracker.md, "Beacons": some agents take the one spelling, some the other. Nothing was
            # staged; where it was about something else, the second refusal says so.
            answer = await api.patch(target, put(patch, MACS, respelled(macs)), idempotent=not staged)
        return Observed(target.id or "", {}, facts={"date": server_time(answer).isoformat()})


def observed(unit: str, body: Any, now: datetime) -> Observed:
    """
    A tracker as its agent answers it, in the words of the model.

    Raises:
        BadAnswer: it is no configuration, or of a scheme that is not known.
    """
    if not isinstance(body, dict):
        raise BadAnswer("the agent answered without an object")
    description = body.get("description")
    if not isinstance(description, dict):
        raise BadAnswer("the agent answered without a description, which every tracker has")
    scheme = description.get("cfgSchemeVersion", "1.1")
    major, _, minor = str(scheme).partition(".")
    if major != "1" or not minor.isdecimal():
        raise BadAnswer(f"the agent speaks configuration scheme {scheme}; 1.0 and 1.1 are known")
    configuration = dict(_object(body.get("configuration")))
    current = configuration.pop("updateId", None)
    if isinstance(body.get("simUpdate"), dict):
        configuration["simUpdate"] = body["simUpdate"]
    attrs = {"configuration": configuration, "agentConfiguration": _object(body.get("agentConfiguration"))}
    pending, restarted = description.get("pendingUpdateId"), description.get("cfgTimestamp")
    return Observed(
        unit,
        updates.both_places(attrs),
        version=str(current) if current is not None else "",
        facts={
            "scheme": "1.0" if minor == "0" else "1.1",
            "tracker": tracker if isinstance(tracker := description.get("trackerId"), str) and tracker else None,
            "current": str(current) if current is not None else None,
            "pending": str(pending) if pending not in (None, "") else None,
            "restarted": restarted if isinstance(restarted, int) else None,
            "date": now.isoformat(),
        },
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
