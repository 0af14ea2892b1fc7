"""
Update campaign: gives devices the firmware of a manifest (docs/apis/device_management.md, "Update campaigns").

It is made as a draft and then started: two requests, and a draft that was left behind is started by the next plan. One
that could not start has failed, and only `--retry-failed` tries again. A draft can be changed; of any other only the
name and the description can, and what has stopped never starts again, so that then another campaign is made. How it is
read stands in `rollout`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from reconcile.provider import (
    ApiError,
    Attrs,
    BadAnswer,
    Conflict,
    Edit,
    Entry,
    InvalidInput,
    Mark,
    Mistake,
    Named,
    NoAnswer,
    NotFound,
    Observed,
    Page,
    Patch,
    Problem,
    Reading,
    Refers,
    ResourceType,
    Same,
    StrictModel,
    Target,
    Unwritten,
    Use,
    View,
)
from reconcile.provider.rest import body, caught_up, moment
from reconcile.providers.device_management import fields, rollout
from reconcile.providers.device_management.connection import API, Api, by_id, delete, matching, pages, remembered, send
from reconcile.providers.device_management.devices import read_device
from reconcile.providers.device_management.firmware import NEWEST_FIRST
from reconcile.providers.device_management.groups import GROUPS

CAMPAIGNS = ("v3", "update-campaigns")
STOPS_WITHIN_S, LOOK_EVERY_S = 60, 3  # the vendor's own tool waits and looks like this

_WIRE = {
    "name": "name",
    "description": "description",
    "manifest": "root_manifest_id",
    "strategy": "campaign_strategy",
    "autostop": "autostop",
    "autostop_success_percent": "autostop_success_percent",
    "approval_required": "approval_required",
    "start_at": "when",
    "device_filter": "device_filter",
}
_TARGETS = ("devices", "group", "device_filter")
_LATER = {"name", "description", "start"}  # what can be changed of one that is no draft


class Campaign(StrictModel):
    """`device_management.campaigns.<name>`."""

    name: Annotated[str, Mark.NAME] | None = Field(
        default=None, description="Its name at the API; the key unless it is written."
    )
    description: fields.Description | None = Field(default=None, description="Up to 2,000 characters.")
    manifest: Annotated[str, Refers("device_management.firmware_manifests")] = Field(
        description="The firmware manifest that the devices get."
    )
    devices: Annotated[list[Annotated[str, Refers("device_management.devices")]], Field(min_length=1)] | None = Field(
        default=None, description="The devices that get it; either these or a group."
    )
    group: Annotated[str, Refers("device_management.groups")] | None = Field(
        default=None, description="The group whose members, when it starts, get it."
    )
    device_filter: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="The API's own filter of the devices that get it, in place of devices or a group."
    )
    start_at: Annotated[str, Same("moment")] | None = Field(
        default=None, description="When it is to start: a date in RFC 3339, sent as `when`."
    )
    strategy: Literal["one-shot", "continuous"] | None = Field(
        default=None, description="continuous: devices that match later get it too."
    )
    autostop: bool | None = Field(default=None, description="Whether it stops by itself when it is done.")
    autostop_success_percent: Annotated[float, Field(ge=0, le=100)] | None = Field(
        default=None, description="The share of devices that have to succeed for that."
    )
    approval_required: bool | None = Field(default=None, description="Whether somebody has to approve its start.")
    start: Annotated[bool, Unwritten(True)] | None = Field(
        default=None, description="true, or not written: it is started. false: a draft, and one that runs is stopped."
    )


class CampaignType(ResourceType[Api]):
    """Update campaigns of the account."""

    path = "device_management.campaigns"
    singular = "campaign"
    noun = "update campaign"
    Model = Campaign
    names = "newest"

    def unit(self, attrs: Attrs, key: str) -> tuple[str | None, str]:
        return None, fields.name_of(attrs, key)

    def check(self, attrs: Attrs, key: str) -> list[Mistake]:
        found = fields.name_problems(attrs, key)
        written = [name for name in _TARGETS if attrs.get(name) is not None]
        if len(written) != 1:
            what = f"{' and '.join(written)} are written" if written else "neither devices nor a group is written"
            found.append(((written[-1],) if written else (), what, f"A campaign is for one of {', '.join(_TARGETS)}"))
        if (at := attrs.get("start_at")) is not None and moment(at) is None:
            found.append((("start_at",), f"{at!r} is no date", "Write one as 2026-12-01T08:00:00Z"))
        if (text := attrs.get("device_filter")) is not None and (flaw := rollout.flaw_in_filter(text)):
            found.append((("device_filter",), f"{flaw} is no condition", "Write field__operator=value, with & between"))
        return found

    def cautions(self, attrs: Attrs, key: str) -> list[Mistake]:
        if attrs.get("strategy") != "continuous" or attrs.get("device_filter") is not None:
            return []
        what = "it is for the devices that are named, or in the group, when it is made, and for none that come later"
        return [(("strategy",), what, None)]

    def view(self, seen: Observed, prior: Entry | None, now: datetime) -> View:
        return rollout.view_of(seen, rollout.was_started(prior))

    def facts(self, seen: Observed, prior: Entry | None = None) -> Mapping[str, Any]:
        known = prior is not None and prior.facts.get(rollout.STARTED)
        return {rollout.STARTED: True} if known or seen.facts.get(rollout.STARTED) else {}

    def uses(self, seen: Observed) -> Iterable[Use]:
        return () if seen.facts.get("phase") in rollout.ENDED else super().uses(seen)

    def compose(self, edit: Edit) -> Patch | None:
        seen, phase, changed = edit.seen, edit.seen.facts.get("phase"), {path[0] for path in edit.paths}
        starts = "start" in changed and edit.wanted.get("start") is True
        if "strategy" in changed or (starts and phase in rollout.ENDED) or (_is_fixed(phase) and changed - _LATER):
            return Patch({}, replaces=_why_another(seen, changed))
        # It shall not run, and does not: nothing is to be sent.
        return Patch({}) if changed == {"start"} and not starts and phase in (rollout.DRAFT, *rollout.ENDED) else None

    async def listing(self, api: Api, parent: str | None) -> AsyncIterator[Page]:
        async for page in pages(api, *CAMPAIGNS, read=rollout.read_campaign, params=NEWEST_FIRST):
            yield Page([seen for seen in page.members if _is_there(seen)], page.now)

    async def selection(self, api: Api, named: Named) -> AsyncIterator[Page] | None:
        """All of them, and how far those are that are named, which is one more request for each."""
        if not named.count:
            return None
        return self._followed(api, {text for unit in await named.units() for text in unit if text})

    async def _followed(self, api: Api, named: set[str]) -> AsyncIterator[Page]:
        async def follow(seen: Observed) -> Observed:
            return await _counted(api, seen) if seen.id in named or seen.name in named else seen

        async for page in self.listing(api, None):
            yield Page(await asyncio.gather(*map(follow, page.members)), page.now)

    async def read(self, api: Api, target: Target) -> Reading:
        sent = api.sent.get(target.address, {}) if target.id is None else {}
        if id := target.id or sent.get("id"):
            reading = await by_id(api, *CAMPAIGNS, id, read=rollout.read_campaign)
            found, now = [reading.seen] if reading.seen is not None else [], reading.now
        else:
            filters = {"name__eq": target.name or "", **NEWEST_FIRST}
            found, now = await matching(api, *CAMPAIGNS, read=rollout.read_campaign, **filters)
        if sent:  # of its name there may be older ones: the one that was made is still a draft
            found = [seen for seen in found if "id" in sent or _same_draft(seen, sent)]
            if found and sent["start"] and found[0].facts["phase"] == rollout.DRAFT:
                # Made and not started: what is sent again starts this one.
                api.sent[target.address] = {**sent, "id": found[0].id}
                return Reading(None, now, begun=True)
        found = [seen for seen in found if _is_there(seen)]
        return Reading(await _counted(api, found[0]) if found else None, now)

    async def create(self, api: Api, target: Target, attrs: Attrs) -> Observed:
        sent = api.sent.get(target.address)
        if sent is None or "id" not in sent:
            draft = {_WIRE[name]: value for name, value in attrs.items() if name in _WIRE}
            draft |= {"name": target.name, "device_filter": await _filter(api, attrs)}
            sent = {"start": attrs.get("start") is not False, "draft": draft}
            with remembered(api, target.address, sent):
                answer = await send(api, "POST", *CAMPAIGNS, json=draft, idempotent=False)
            made = rollout.read_campaign(body(answer, API))
            if made.name != target.name or made.facts["phase"] != rollout.DRAFT:  # it is not the one to be started
                raise BadAnswer(f"the making of a campaign was answered about {made.name!r}, {made.id}")
            api.sent[target.address] = sent = {**sent, "id": made.id}
            if not sent["start"]:
                return made
        else:
            made = await _written(api, str(sent["id"]))
        return await _start(api, made) if sent["start"] else made

    async def update(self, api: Api, target: Target, patch: Attrs) -> Observed:
        id, start = target.id or "", patch.get("start")
        seen = await _live(api, id)
        phase = seen.facts["phase"]
        if _is_fixed(phase) and patch.keys() - _LATER:
            raise InvalidInput(Problem(f"it is {phase}, and only a draft can be changed", hint="Plan again"))
        sent = {_WIRE[name]: value for name, value in patch.items() if name in _WIRE}
        named = patch if patch.keys() & _TARGETS else seen.attrs if start and phase == rollout.DRAFT else {}
        if named.get("devices") or named.get("group"):  # a group is its members of now
            sent["device_filter"] = await _filter(api, named)
        if sent:
            answer = await send(api, "PUT", *CAMPAIGNS, id, json=sent, idempotent=True)
            seen = rollout.read_campaign(body(answer, API))
        if start:
            return await _start(api, seen)
        return await _stop(api, id) if start is False and phase not in (rollout.DRAFT, *rollout.ENDED) else seen

    async def delete(self, api: Api, target: Target) -> None:
        id = target.id or ""
        try:
            await delete(api, *CAMPAIGNS, id)
        except Conflict:  # it is under way: it has to be stopped first
            await _stopped(api, id)
            await delete(api, *CAMPAIGNS, id)


async def _stopped(api: Api, id: str) -> None:
    """Stops a campaign, and waits until it is stopped or that takes too long."""
    loop = asyncio.get_running_loop()
    end = loop.time() + STOPS_WITHIN_S
    phase = (await _live(api, id)).facts["phase"]
    if phase in rollout.RUNNING:
        phase = (await _stop(api, id)).facts["phase"]
    while phase == "stopping" and loop.time() < end:
        await asyncio.sleep(LOOK_EVERY_S)
        phase = (await _live(api, id)).facts["phase"]


def _is_there(seen: Observed) -> bool:
    return bool(seen.facts["phase"] != "deleted")


def _same_draft(seen: Observed, sent: Mapping[str, Any]) -> bool:
    """True if a campaign is the draft whose making got no answer."""
    draft, wanted = sent["draft"], {_WIRE[name]: seen.attrs.get(name) for name in _WIRE}
    targets = rollout.targets_of(draft["device_filter"])
    return bool(
        seen.facts["phase"] == rollout.DRAFT
        and all(wanted[name] == value for name, value in draft.items() if name in wanted)
        and all(seen.attrs.get(name) == value for name, value in targets.items())
    )


async def _filter(api: Api, attrs: Attrs) -> str:
    """The filter of the devices, of the members that a group has now, or as it is written."""
    group = attrs.get("group")
    if group is None and not attrs.get("devices"):
        return str(attrs["device_filter"])
    if group is None:
        return rollout.filter_of(attrs["devices"], None)
    joined = {sent["device"] for sent in api.sent.values() if sent.get("group") == group and "device" in sent}

    async def read() -> list[str]:
        found: list[str] = []
        async for page in pages(api, *GROUPS, str(group), "devices", read=read_device):
            found += [seen.id for seen in page.members]
        return found

    # A reading that lags behind lacks devices that this run put into the group; they would be left out silently.
    members = await caught_up(read, joined.issubset)
    if not members:
        what = "its group has no devices, and a campaign for none would stop at once"
        raise InvalidInput(Problem(what, hint="Put devices in it first"))
    return rollout.filter_of(members, str(group))


async def _start(api: Api, draft: Observed) -> Observed:
    """Starts a campaign, and returns it then; one that could not start is a draft again. One that runs is no error."""

    def moved(reading: Reading) -> bool:
        """Whether a reading is later than the start; that which lags behind has what the draft had."""
        facts = reading.seen.facts if reading.seen is not None else {}
        said = facts.get("reason") and any(facts[name] != draft.facts[name] for name in ("reason", "etag"))
        return bool(facts and (facts["phase"] != rollout.DRAFT or said))

    try:
        await send(api, "POST", *CAMPAIGNS, draft.id, "start", idempotent=True)
    except Conflict:
        if (await _live(api, draft.id)).facts["phase"] == rollout.DRAFT:
            raise
    seen = await _written(api, draft.id, moved)
    attrs = {**seen.attrs, "start": seen.facts["phase"] != rollout.DRAFT}
    return replace(seen, attrs=attrs, facts={**seen.facts, rollout.STARTED: True})


async def _stop(api: Api, id: str) -> Observed:
    """Asks a campaign to stop, and returns it then. One that does so already is no error."""
    try:
        await send(api, "POST", *CAMPAIGNS, id, "stop", idempotent=True)
    except Conflict:
        if (await _live(api, id)).facts["phase"] in (rollout.DRAFT, *rollout.RUNNING):
            raise
    seen = await _written(api, id)
    return replace(seen, attrs={**seen.attrs, "start": False})


def _is_fixed(phase: str | None) -> bool:
    """True where little can be changed any more; of a phase that this version does not know, the API will say."""
    return phase in (*rollout.RUNNING, *rollout.ENDED)


def _why_another(seen: Observed, changed: set[str]) -> str:
    """Why another campaign is made in place of this one."""
    phase = seen.facts.get("phase")
    if "strategy" in changed:
        stays = f"this one, which is {phase}, goes on" if phase in rollout.RUNNING else "this one stays"
        return f"the strategy of {seen.name} cannot be changed: another one is made, and {stays}"
    if phase in rollout.ENDED and "start" in changed:
        return f"{seen.name} is {phase}, and a stopped campaign never restarts: another one is made"
    goes_on = "" if phase in rollout.ENDED else ", and this one goes on"
    return f"{seen.name} is {phase} and cannot be changed any more: another one is made{goes_on}"


def _is_seen(reading: Reading) -> bool:
    return reading.seen is not None


async def _written(api: Api, id: str, has: Callable[[Reading], bool] = _is_seen) -> Observed:
    """A campaign that the API has just taken a write of, so that it is there even if a reading lags behind."""
    reading = await caught_up(lambda: by_id(api, *CAMPAIGNS, id, read=rollout.read_campaign), has)
    if reading.seen is None:
        raise BadAnswer(f"the update campaign {id} was written, and is not there")
    return reading.seen


async def _live(api: Api, id: str) -> Observed:
    """A campaign by itself, without its counts. Raises NotFound when there is none, BadAnswer for another one."""
    seen = rollout.read_campaign(body(await api.main.get(*CAMPAIGNS, id), API))
    if seen.id != id:
        raise BadAnswer(f"GET /{'/'.join(CAMPAIGNS)}/{id} was answered about {seen.id}")
    return seen


async def _counted(api: Api, seen: Observed) -> Observed:
    """A campaign with its counts, where it has some."""
    if seen.facts["phase"] not in ("active", *rollout.ENDED):
        return seen
    try:
        answer = await api.main.get(*CAMPAIGNS, seen.id, "metrics")
    except NotFound:
        return rollout.unstarted(seen) if seen.facts["phase"] in rollout.ENDED else seen
    counts = rollout.counts_of(body(answer, API))
    return rollout.counted(seen, counts, await _events(api, seen.id) if counts["failed"] else ())


async def _events(api: Api, id: str) -> list[str]:
    """Why devices failed, in words; nothing where the API does not tell, since how many did is known."""
    try:
        answer = await api.main.get(*CAMPAIGNS, id, "statistics", "fail", "event_types")
    except (ApiError, NoAnswer, BadAnswer):
        return []
    members = body(answer, API).get("data")
    return [rollout.event_of(member) for member in members or () if isinstance(member, dict) and member.get("count")]
