"""
Tracker: its settings, which are staged at its agent, fetched when it next connects, and rounded to 32-bit floats.

docs/apis/asset_tracker.md. A tracker is hardware: adopted and forgotten, never made or deleted.
`configuration` and `simUpdate` are staged; `agentConfiguration` is applied at once. What waits, what was lost and what
failed is told in `updates`, what is sent in `patches`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from reconcile.provider import (
    Attrs,
    BadAnswer,
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
from reconcile.providers.asset_tracker.configuration import Tracker
from reconcile.providers.asset_tracker.connection import Agents, server_time, unit_of


class TrackerType(ResourceType):
    """Trackers, each behind its agent."""

    path = "asset_tracker.trackers"
    singular = "tracker"
    noun = "tracker"
    Model = Tracker
    listed = "unit"
    creatable = False
    deletable = False
    removal = "forget"
    keeps_name_unique = False
    identity = "tracker"

    def unit(self, attrs: Attrs, key: str) -> tuple[str | None, str]:
        return unit_of(attrs), key

    def check(self, attrs: Attrs, key: str) -> list[Mistake]:
        return checks.mistakes(attrs, key)

    def cautions(self, attrs: Attrs, key: str) -> list[Mistake]:
        return checks.cautions(attrs, key)

    def stranger(self, api: Agents, at: Target) -> str | None:
        return api.stranger(at)

    def view(self, seen: Observed, prior: Entry | None, now: datetime) -> View:
        return updates.read(seen, prior, now)

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
        return found

    def learned(self, seen: Observed, prior: Entry, now: datetime) -> Mapping[str, Any] | None:
        return updates.learned(seen, prior, now)

    def recalled(self, entry: Entry, id_of: Callable[[Ref], str | None]) -> Observed:
        """As if the last update was applied: nobody asks what became of it; a write is checked before it is sent."""
        update = updates.update_of(entry.facts)
        configuration = {**entry.attrs.get("configuration", {})}
        if "simUpdate" in entry.attrs:
            configuration["simUpdate"] = entry.attrs["simUpdate"]
        attrs = {**entry.attrs, "configuration": configuration}
        facts = {"scheme": entry.facts.get("scheme"), "current": update.id if update else None}
        return Observed(entry.id, updates.both_places(attrs), facts=facts)

    def compose(
        self,
        paths: Sequence[tuple[str, ...]],
        also: Sequence[tuple[str, ...]],
        wanted: Attrs,
        seen: Observed,
        prior: Entry | None,
    ) -> Patch | None:
        return patches.compose(paths, also, wanted, seen, prior)

    def foreign(self, seen: Observed, known: Iterable[Mapping[str, Any]]) -> str | None:
        pending = seen.facts.get("pending")
        ours = {update.id for facts in known if (update := updates.update_of(facts)) is not None}
        return pending if pending and pending not in ours else None

    def landed(self, patch: Attrs, seen: Observed) -> bool:
        """A PATCH is taken or refused whole, so that the id tells; one for the agent alone is read back by value."""
        if "configuration" in patch:
            return patch["configuration"]["updateId"] in (seen.facts.get("pending"), seen.facts.get("current"))
        level = updates.at(seen.attrs, ("agentConfiguration", "debug", "logLevel"))
        return bool(updates.at(patch, ("agentConfiguration", "debug", "logLevel")) == level)

    def unfinished(self, prior: Entry) -> Attrs:
        return updates.unfinished(prior)

    def traces(self, stamp: Mapping[str, Any], seen: Observed) -> Mapping[str, Any]:
        return updates.traces(stamp, seen)

    def accepted(self, stamp: Mapping[str, Any], seen: Observed) -> Mapping[str, Any]:
        if not stamp:
            return {}
        update = {**stamp["update"], "sent": seen.facts["date"], "waiting": seen.facts["date"]}
        return {"update": update, "released": stamp.get("released", {})}

    async def read(self, api: Agents, at: Target) -> Reading:
        try:
            answer = await api.get(at)
        except NotFound:
            return Reading(None)
        now = server_time(answer)
        seen = observed(api.unit(at), answer.body, now)
        # An endpoint is its identity: what was asked for by a URL below the base URL is the agent that it names.
        return Reading(replace(seen, aliases=(at.id,)) if at.id not in (None, seen.id) else seen, now)

    async def update(self, api: Agents, at: Target, patch: Attrs) -> Observed:
        # Sent a second time, an update might replace one that somebody else staged meanwhile: so it is read back.
        answer = await api.patch(at, patch, idempotent="configuration" not in patch)
        return Observed(at.id or "", {}, facts={"date": server_time(answer).isoformat()})


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
