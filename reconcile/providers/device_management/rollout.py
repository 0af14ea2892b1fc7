"""
How a campaign is read: its phase, its counts, and the devices that its filter stands for. Pure.

docs/apis/device_management.md, "Update campaigns": phases draft, awaiting_approval, timed, starting, active, stopping,
stopped, archived, deleted, and maybe others one day; a start that fails is a 202, and leaves a draft that says why;
metrics `{total, success, failed, skipped, pending}_count`, 404 until it is started. There is no
filter by group, so that a group is its members at the moment of the writing; `id__neq=<group>`, which every device
satisfies, says which group was meant, so that a campaign can be compared with the files though the state is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconcile.provider import Attrs, BadAnswer, Entry, Observed, Status, View
from reconcile.provider.rest import dated, moment
from reconcile.providers.device_management.connection import id_of, text
from reconcile.providers.device_management.fields import version_of

DRAFT = "draft"
STARTED = "started"  # a fact of the entry: the API has taken its start
RUNNING = ("awaiting_approval", "timed", "starting", "active")
ENDED = ("stopping", "stopped", "archived")
PHASES = (DRAFT, *RUNNING, *ENDED, "deleted")
_MOVES_ON = {"starting": "active", "stopping": "stopped"}  # by themselves: nobody has to do anything
WORDS = {
    "awaiting_approval": "waits for its approval",
    "timed": "waits for its time",
    "starting": "is starting",
}
_OPERATORS = ("eq", "neq", "lte", "gte", "in", "nin")
_COUNTS = ("total", "success", "failed", "skipped", "pending")

Counts = Mapping[str, int]
"""`total`, `success`, `failed`, `skipped`, `pending` devices."""


def filter_of(devices: Iterable[str], group: str | None) -> str:
    """The `device_filter` that stands for these devices, and for the group that they were taken from."""
    return f"id__in={','.join(sorted(devices))}" + (f"&id__neq={group}" if group else "")


def targets_of(device_filter: str) -> dict[str, Any]:
    """`devices` or `group` of a filter as `filter_of` writes it; {} for one that somebody else wrote otherwise."""
    pairs = [part.partition("=")[::2] for part in device_filter.split("&")]
    match pairs:
        case [("id__in" | "id__eq" | "id", devices)] if devices:
            return {"devices": sorted(devices.split(","))}
        case [("id__in", _), ("id__neq", group)]:
            return {"group": group}
    return {}


def flaw_in_filter(text: str) -> str | None:
    """The first part of a filter that is no condition, quoted; None when all of them are."""
    for part in text.split("&"):
        name, is_one, value = part.partition("=")
        if not is_one or not name or not value or name.rpartition("__")[2] not in (*_OPERATORS, name):
            return repr(part)
    return None


def counts_of(metrics: Mapping[str, Any]) -> Counts:
    """The counts of an answer. Raises BadAnswer."""
    found = {name: metrics.get(f"{name}_count") for name in _COUNTS}
    if not all(isinstance(count, int) and not isinstance(count, bool) for count in found.values()):
        raise BadAnswer("the Device Management API answered with metrics that are no counts")
    return found  # type: ignore[return-value]


def read_campaign(member: Mapping[str, Any]) -> Observed:
    """A campaign as the API answers it, in the words of the model; one that has ended as if it was done. BadAnswer."""
    phase = text(member, "phase")
    attrs: dict[str, Any] = {
        "name": text(member, "name"),
        "description": text(member, "description"),
        "manifest": text(member, "root_manifest_id") or None,
        "strategy": text(member, "campaign_strategy") or None,
        "autostop": member.get("autostop"),
        "autostop_success_percent": member.get("autostop_success_percent"),
        "approval_required": member.get("approval_required"),
        "start": phase != DRAFT,
        "start_at": dated(member.get("when")),
        "device_filter": text(member, "device_filter"),
        **targets_of(text(member, "device_filter")),
    }
    since = text(member, "active_at") or text(member, "started_at")
    reason, etag = text(member, "autostop_reason") or None, text(member, "etag")
    facts = {"phase": phase, "reason": reason, "since": since, "etag": etag, STARTED: phase not in ("", DRAFT)}
    version = version_of({**attrs, "phase": _MOVES_ON.get(phase, phase)})
    return Observed(id_of(member, "update campaign"), attrs, attrs["name"] or None, version=version, facts=facts)


def event_of(member: Mapping[str, Any]) -> str:
    """Why some of its devices failed, in the words of the API: `3 × Update error (UPD4_FAIL_101)`."""
    count, code = member.get("count"), text(member, "event_type")
    said = text(member, "description") or code or "a reason that the API does not name"
    return f"{count} × {said}" + (f" ({code})" if code and code != said else "")


def counted(seen: Observed, counts: Counts, events: Sequence[str] = ()) -> Observed:
    """
    A campaign with its counts; `start` of one that ended before it had done what it was for is false.

    Args:
        events: why devices failed, in words.
    """
    undone = seen.facts["phase"] in ENDED and not _done(seen.attrs, counts)
    attrs = {**seen.attrs, "start": False} if undone else seen.attrs
    return replace(seen, attrs=attrs, facts={**seen.facts, "counts": counts, "events": tuple(events)})


def unstarted(seen: Observed) -> Observed:
    """One that has ended and has no counts, so that it never ran: `start` is false, unless the API ended it itself."""
    attrs = seen.attrs if seen.facts["reason"] else {**seen.attrs, "start": False}
    return replace(seen, attrs=attrs, facts={**seen.facts, "never_ran": True})


def was_started(prior: Entry | None) -> bool | None:
    """Whether the state has a campaign as started; None where it does not know it, or not what the start came to."""
    if prior is None or (prior.attrs.get("start") is True and not prior.facts.get(STARTED)):
        return None
    return prior.attrs.get("start") is True


def failed_start(seen: Observed, started: bool | None) -> str | None:
    """
    Why it could not start, in words; None where it did, or where nobody tried.

    Args:
        started: as `was_started` tells.
    """
    reason = seen.facts.get("reason")
    if seen.facts.get("never_ran") and reason:
        return f"could not start: {reason}"
    if seen.facts.get("phase") != DRAFT or not (started or (reason and started is None)):
        return None
    return f"could not start: {reason}" if reason else "could not start, and the API does not say why"


def view_of(seen: Observed, started: bool | None) -> View:
    """
    The progress of a campaign: pending while devices are, failed when it could not start, or ended and some failed.

    Args:
        started: as in `failed_start`.
    """
    phase, counts = seen.facts.get("phase"), seen.facts.get("counts")
    since = moment(seen.facts.get("since"))
    if phase is not None and phase not in PHASES:
        said = (
            f"is in the phase {phase!r}, which this version does not know" if phase else "is in no phase that is told"
        )
        return View(seen.attrs, Status.PENDING, said, since)
    if phase in WORDS:
        return View(seen.attrs, Status.PENDING, WORDS[phase], since)
    if (why := failed_start(seen, started)) is not None:
        # Only if asked to is it done again: a draft is started once more, of one that has ended another one is made.
        reported = seen.attrs if phase == DRAFT else {**seen.attrs, "manifest": None}
        return View({**seen.attrs, "start": True}, Status.FAILED, why, reported=reported, retry=True)
    if counts is None or not seen.attrs["start"]:
        return View(seen.attrs)
    words, reason = _progress(counts), "; ".join(filter(None, (seen.facts.get("reason"), *seen.facts["events"])))
    if phase == "active" and (counts["pending"] or not counts["total"]):
        return View(seen.attrs, Status.PENDING, words, since)
    if counts["failed"] or not counts["total"]:
        detail = f"is {phase}, {words}" + (f" ({reason})" if reason else "")
        # Only if asked to is it done again, and then by another campaign.
        return View(seen.attrs, Status.FAILED, detail, reported={**seen.attrs, "manifest": None}, retry=True)
    return View(seen.attrs)


def _done(attrs: Attrs, counts: Counts) -> bool:
    """True if it ended because it had done what it was for: no device is left, or as many succeeded as were wanted."""
    if not counts["pending"]:
        return True
    percent = attrs["autostop_success_percent"]
    if attrs["autostop"] is not True or not isinstance(percent, int | float):
        return False
    return (counts["success"] + counts["skipped"]) * 100 >= percent * counts["total"]


def _progress(counts: Counts) -> str:
    if not counts["total"]:
        return "with no device"
    done, total = counts["success"] + counts["skipped"], counts["total"]
    failed = f", {counts['failed']} failed" if counts["failed"] else ""
    pending = f", {counts['pending']} pending" if counts["pending"] else ""
    return f"{done} of {total} device{'' if total == 1 else 's'} updated{failed}{pending}"
