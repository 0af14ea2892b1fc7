"""
Staged updates: what became of the last one that we sent, told from one reading and the state. Pure.

An agent keeps one pending update in memory until the tracker fetches it (docs/apis/asset_tracker.md, "Staged updates",
"One pending update" and "Applied"): a reading shows the old configuration, and `pendingUpdateId` beside it. An update
is *applied* when the reported `updateId` is its own; nothing else proves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconcile.core.compare import spelled
from reconcile.core.forms import aligned, normal
from reconcile.core.schema import fields_of
from reconcile.core.tree import MISSING, Path, differences, get, leaves, merged, put, same, without
from reconcile.provider import Attrs, Entry, Observed, Staging, Status, View
from reconcile.providers.asset_tracker.configuration import SETS, Configuration

FALLBACK = "myDefaultCfg"  # the updateId of the reference default, on which a tracker starts when nothing else works
PREFIX = "reconcile-"  # of every updateId that we make
# docs/apis/asset_tracker.md, "Applied": a configuration that a tracker cannot apply restarts it every time
ATTEMPTS = 3
TRACKER, AGENT = ("configuration", "configuration_extra"), ("agentConfiguration", "agentConfiguration_extra")
"""What a document writes of the tracker, and of its agent: the second of each is passed through as it is."""
_AGENT_LEVEL = ("agentConfiguration", "debug", "logLevel")
_LEAST = timedelta(hours=1)
_EXTRA = {TRACKER[1], AGENT[1]}
_SHAPE = fields_of(Configuration)
_OFTEN = timedelta(minutes=10)  # how often it is recorded that an update still waits: by feel, well below _LEAST


@dataclass(frozen=True, slots=True)
class Update:
    """
    The last update that we sent to a tracker.

    Attributes:
        id: its `updateId`. `content`: what of the files it was to bring about, as a digest.
        base: the `updateId` that was reported when it was composed; "" = none.
        restarted: the `cfgTimestamp` then, None when there was none.
        attempts: how often this content was sent while the tracker did not apply it, this time included.
        patch: its `configuration`, `simUpdate` in it, without the id.
        sent: when the agent took it, and `waiting` when it was last seen to wait, by the agent's clock; None while
            that is not known.
        applied: whether a reading has shown that the tracker reported it.
        was: what was reported when it was composed, of what is in the patch; until it is applied.
    """

    id: str
    content: str
    base: str
    restarted: int | None
    attempts: int
    patch: Mapping[str, Any]
    sent: datetime | None = None
    waiting: datetime | None = None
    applied: bool = False
    was: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, for the state."""
        row = {part.name: getattr(self, part.name) for part in fields(self)}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def update_of(facts: Mapping[str, Any]) -> Update | None:
    """The last update that an entry's facts (or a stamp) tell of."""
    found = facts.get("update")
    if not isinstance(found, Mapping):
        return None
    row = {part.name: found[part.name] for part in fields(Update) if part.name in found}
    moments = {name: datetime.fromisoformat(row[name]) for name in ("sent", "waiting") if row.get(name)}
    return Update(**{**row, **moments})


def followed(seen: Observed, prior: Entry | None) -> Update | None:
    """The last update, given a reading: whether it was applied is seen only as long as no other one is."""
    update = update_of(prior.facts) if prior is not None else None
    if update is not None and not update.applied and update.id == seen.facts.get("current"):
        return replace(update, applied=True, was={})
    return update


def learned(seen: Observed, prior: Entry, now: datetime) -> Mapping[str, Any] | None:
    """The entry's facts, when the reading shows for the first time that an update was applied, or that it waits yet."""
    before, update = update_of(prior.facts), followed(seen, prior)
    if before is None or update is None:
        return None
    facts = {**prior.facts, "dropped": lost} if (lost := dropped(seen, prior)) else dict(prior.facts)
    if update.id == seen.facts.get("pending") and (update.waiting is None or now - update.waiting >= _OFTEN):
        update = replace(update, waiting=now)
    return {**facts, "update": update.to_json()} if update != before else None


class Updates(Staging):
    """The questions about an update that waits at an agent, told by its id."""

    def accepted(self, stamp: Mapping[str, Any], seen: Observed) -> Mapping[str, Any]:
        if not stamp:
            return {}
        update = {**stamp["update"], "sent": seen.facts["date"], "waiting": seen.facts["date"]}
        return {"update": update, "released": stamp.get("released", {})}

    def applied(self, patch: Attrs, seen: Observed) -> bool:
        """A PATCH is taken or refused whole, so that the id tells; one for the agent alone is read back by value."""
        if "configuration" in patch:
            return patch["configuration"]["updateId"] in (seen.facts.get("pending"), seen.facts.get("current"))
        return bool(get(patch, _AGENT_LEVEL) == get(seen.attrs, _AGENT_LEVEL))

    def foreign_update(self, seen: Observed, known: Iterable[Mapping[str, Any]]) -> str | None:
        pending = seen.facts.get("pending")
        ours = {update.id for facts in known if (update := update_of(facts)) is not None}
        return pending if pending and pending not in ours else None

    def signs_of(self, stamp: Mapping[str, Any], seen: Observed) -> Mapping[str, Any]:
        """The update as sent and waiting since the tracker's restart, where it seems to have had it and come back."""
        update = update_of(stamp)
        restarted = seen.facts.get("restarted")
        if update is None or restarted is None or not same_base(update, seen) or not restarted_since(update, seen):
            return {}
        then = datetime.fromtimestamp(restarted, UTC)
        return {"update": replace(update, sent=then, waiting=then).to_json()}

    def unfinished(self, prior: Entry) -> Attrs:
        """
        Beacons of sets that the files do not mention any more, until an update without them is applied.

        Nothing else tells that they are to go; and as each update replaces the one that waits
        (docs/apis/asset_tracker.md, "One pending update"), every one leaves them out until it is done.
        """
        update = update_of(prior.facts)
        found = prior.facts.get("released")
        return found if update is not None and not update.applied and isinstance(found, Mapping) else {}


def same_base(update: Update, seen: Observed) -> bool:
    """True if a tracker reports what it did when an update was composed, or reports for the first time since."""
    current = seen.facts.get("current") or ""
    return current == update.base or (current == FALLBACK and not update.base)


def restarted_since(update: Update, seen: Observed) -> bool:
    """True if the tracker has restarted since an update was composed: what it had fetched by then, it has tried."""
    restarted = seen.facts.get("restarted")
    return restarted is not None and (update.restarted is None or restarted > update.restarted)


def configuration_of(attrs: Attrs) -> dict[str, Any]:
    """The staged part of what a document says: its `configuration`, with what it writes beside that in it."""
    found = merged(attrs.get("configuration") or {}, attrs.get("configuration_extra") or {})
    return {**found, "simUpdate": attrs["simUpdate"]} if "simUpdate" in attrs else found


def both_places(attrs: Attrs) -> Attrs:
    """The inverse: all of it in `configuration` and beside it, so that it is found where a document writes it."""
    configuration, agent = attrs.get("configuration", {}), attrs.get("agentConfiguration", {})
    extra = {"configuration_extra": configuration, "agentConfiguration_extra": agent}
    return {**attrs, **extra, "simUpdate": configuration.get("simUpdate", {})}


def read(seen: Observed, prior: Entry | None, now: datetime) -> View:
    """The reading of a tracker, given the last update that the state knows."""
    update = update_of(prior.facts) if prior is not None else None
    pending, current = seen.facts.get("pending"), seen.facts.get("current") or ""
    stuck, gone = kept(seen, prior), dropped(seen, prior)
    reported = _without(seen.attrs, stuck) if stuck else seen.attrs
    if prior is not None and (gone or _EXTRA & prior.attrs.keys()):
        reported = _untold(reported, gone, prior)
    if update is None or (update.id == current and pending != update.id):
        return _settled(reported, stuck, gone, pending)
    accepted = both_places({**reported, "configuration": overlaid(reported["configuration"], update.patch)})
    if pending == update.id:
        said = "staged, and fetched by the tracker when it next connects"
        return View(accepted, Status.PENDING, said, update.sent, update.patch, reported=reported, version=update.id)
    tried = same_base(update, seen) and update.attempts >= ATTEMPTS and restarted_since(update, seen)
    if pending and not tried:
        said, lost = foreign_words(pending), f"its update was replaced by {pending}, which somebody else staged"
        return View(reported, Status.PENDING, said, lost=lost, foreign=True)
    if update.applied or current not in (update.base, FALLBACK):
        return View(reported, returned=True)  # something else was applied since: a difference is not ours
    if current == FALLBACK and update.base not in (FALLBACK, ""):
        return View(reported, lost="not applied: the tracker fell back to its default configuration", returned=True)
    if not pending and _may_yet(update, reported, now):
        returned = restarted_since(update, seen)
        said = "fetched or lost, and not reported by the tracker yet"
        if returned:
            said = "delivered, but the tracker came back with what it had before"
        return View(
            accepted,
            Status.PENDING,
            said,
            update.sent,
            update.patch,
            reported=reported,
            returned=returned,
            version=update.id,
        )
    if update.attempts < ATTEMPTS:
        times = "once" if update.attempts == 1 else f"{update.attempts} times"
        return View(reported, lost=f"sent {times} and not applied by the tracker")
    assert prior is not None
    # What failed counts as accepted also where it was taken out of the files meanwhile: put back, it is no new request.
    wanted = overlaid(accepted["configuration"], configuration_of(prior.attrs))
    said = f"sent {update.attempts} times, and the tracker came back without it; --retry-failed sends it again"
    said += f". Now {foreign_words(pending)}" if pending else ""
    return View(
        both_places({**reported, "configuration": wanted}),
        Status.FAILED,
        said,
        update.sent,
        update.patch,
        reported=reported,
        retry=True,
    )


def _settled(reported: Attrs, stuck: Mapping[str, list[str]], lost: Attrs, pending: str | None) -> View:
    if pending:
        return View(reported, Status.PENDING, foreign_words(pending), foreign=True)
    said = []
    if stuck:
        names = ", ".join(sorted(key for keys in stuck.values() for key in keys))
        said.append(f"taken out, but still there: {names}")
        said.append("This agent adds to a set of beacons and removes nothing from it")
    if lost:
        names = ", ".join(".".join(path) for path, _ in leaves(lost))
        said.append(f"this agent drops {names}: the update was applied, and did not change it")
    return View(reported, Status.FAILED, ". ".join(said)) if said else View(reported)


def dropped(seen: Observed, prior: Entry | None) -> dict[str, Any]:
    """
    Settings that an applied update had and did not change, in the shape of `configuration`.

    docs/apis/asset_tracker.md, "simUpdate": an agent takes with a 200 what it does not look at. It is seen when the
    update is first seen to be applied, and stays known for as long as it is wanted and not reported.
    """
    if prior is None:
        return {}
    update, known = update_of(prior.facts), prior.facts.get("dropped", {})
    found = {path: sent for path, _, sent in _unlike(seen, known)}
    if update is not None and not update.applied and update.id == seen.facts.get("current"):
        for path, live, sent in _unlike(seen, update.patch):
            spec = _SHAPE[path[0]].at(path[1:])
            was = get(update.was, path, MISSING)
            if spec is not None and (was is live or same(aligned(spec, was, live), live)):
                found[path] = sent
    kept: dict[str, Any] = {}
    wanted = configuration_of(prior.attrs)
    for path, sent in found.items():
        if get(wanted, path, MISSING) is not MISSING:
            kept = put(kept, path, sent)
    return kept


def _unlike(seen: Observed, patch: Attrs) -> Iterator[tuple[Path, Any, Any]]:
    """The settings of a patch that are not reported as they were sent: path, what is reported, what was sent."""
    live = seen.attrs.get("configuration", {})
    for name, value in patch.items():
        if (spec := _SHAPE.get(name)) is not None:
            for path, before, sent in differences(spelled(spec, live.get(name, MISSING), value), value, spec):
                if sent is not MISSING:
                    yield from (
                        ((name, *path, *below), get(before, below, MISSING), leaf) for below, leaf in leaves(sent)
                    )


def _untold(reported: Attrs, lost: Attrs, prior: Entry) -> Attrs:
    """A reading with what no reading tells: what the agent drops, and settings of our own that it does not report."""
    found = {**reported, "configuration": overlaid(reported["configuration"], lost)}
    for name, extra in (TRACKER, AGENT):
        found[name] = merged(found[name], prior.attrs.get(extra) or {})
    return both_places(found)


def foreign_words(pending: str) -> str:
    """The words about an update that waits and is not ours."""
    who = "somebody else" if not pending.startswith(PREFIX) else "reconcile with another state, or before it was lost,"
    return f"the update {pending}, which {who} staged, is not fetched yet; nobody here knows what it holds"


def _may_yet(update: Update, reported: Attrs, now: datetime) -> bool:
    """
    docs/apis/asset_tracker.md, "Applied": for so long after it was last seen pending, what is neither pending nor
    reported may be under way.
    """
    waited = update.waiting or update.sent
    if waited is None:
        return True
    period = reported["configuration"].get("connectingPeriod")
    window = _LEAST
    if isinstance(period, (int, float)) and not isinstance(period, bool) and 0 < period < 10**8:
        window = max(window, timedelta(seconds=3 * period))
    return now - waited < window


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[str, Any]:
    """
    A configuration with a patch over it: settings one by one, sets of beacons whole.

    So it is under scheme 1.1. Under 1.0 an agent only adds to sets; what it keeps of one that was sent without it is
    seen, and said, once the update is applied.
    """
    found = dict(below)
    for key, value in above.items():
        inner, was = (*path, key), below.get(key)
        nested = isinstance(value, Mapping) and isinstance(was, Mapping) and inner not in SETS
        found[key] = overlaid(was, value, inner) if nested else value  # type: ignore[arg-type]
    return found


def kept(seen: Observed, prior: Entry | None) -> dict[str, list[str]]:
    """
    Beacons that an applied update left out and that are reported all the same, by the name of their set.

    docs/apis/asset_tracker.md, "Sets": an agent of scheme 1.0 adds to a set. What is known of earlier updates stays
    known until it is gone.
    """
    if prior is None or seen.facts.get("scheme") != "1.0":
        return {}
    update, known = update_of(prior.facts), prior.facts.get("kept", {})
    found: dict[str, list[str]] = {}
    for path, form in SETS.items():
        live = {name for name, _ in _beacons(get(seen.attrs.get("configuration", {}), path) or {}, form)}
        left = {name for name in known.get(path[-1], ()) if name in live}
        sent = get(update.patch, path) if update is not None and update.id == seen.facts.get("current") else None
        if isinstance(sent, Mapping):
            left = live - {name for name, _ in _beacons(sent, form)}
        if left:
            found[path[-1]] = sorted(left)
    return found


def _beacons(members: Mapping[str, Any], form: str, keys: Path = ()) -> Iterator[tuple[str, Path]]:
    """
    The beacons of a set: the name of each, `uuid.major.minor` of an iBeacon, and the keys that lead to it.

    One may be there twice, in two spellings, where an agent adds to its sets.
    """
    for key, member in members.items():
        inner = (*keys, key)
        if isinstance(member, Mapping) and any(isinstance(value, Mapping) for value in member.values()):
            yield from _beacons(member, form, inner)
        else:
            yield ".".join((normal(form, inner[0]), *inner[1:])), inner


def _without(attrs: Attrs, stuck: Mapping[str, list[str]]) -> Attrs:
    configuration: dict[str, Any] = dict(attrs["configuration"])
    for path, form in SETS.items():
        if left_out := stuck.get(path[-1]):
            members = get(configuration, path) or {}
            for name, keys in list(_beacons(members, form)):
                if name in left_out:
                    members = without(members, keys)
            configuration = put(configuration, path, members)
    return both_places({**attrs, "configuration": configuration})
