"""
Staged updates: what became of the last one that we sent, told from one reading and the state. Pure.

An agent keeps one pending update in memory until the tracker fetches it (contract "What makes this hard", 1 to 3):
a reading shows the old configuration, and `pendingUpdateId` beside it. An update is *applied* when the reported
`updateId` is its own; nothing else proves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from reconcile.provider import Attrs, Entry, Observed, Status, View

FALLBACK = "myDefaultCfg"  # the updateId of the reference default, on which a tracker starts when nothing else works
PREFIX = "reconcile-"  # of every updateId that we make
ATTEMPTS = 3  # contract 3: a configuration that a tracker cannot apply restarts it every time
SETS = (("locationTracking", "bleDevices", "generic"), ("locationTracking", "bleDevices", "iBeacon"))
_LEAST = timedelta(hours=1)


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
        sent: when the agent took it, by the agent's clock; None while that is not known.
    """

    id: str
    content: str
    base: str
    restarted: int | None
    attempts: int
    patch: Mapping[str, Any]
    sent: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, for the state."""
        return {
            "id": self.id,
            "content": self.content,
            "base": self.base,
            "restarted": self.restarted,
            "attempts": self.attempts,
            "patch": dict(self.patch),
            "sent": self.sent.isoformat() if self.sent else None,
        }


def update_of(facts: Mapping[str, Any]) -> Update | None:
    """The last update that an entry's facts (or a stamp) tell of."""
    found = facts.get("update")
    if not isinstance(found, Mapping):
        return None
    sent = found.get("sent")
    return Update(
        found["id"],
        found["content"],
        found["base"],
        found["restarted"],
        found["attempts"],
        found["patch"],
        datetime.fromisoformat(sent) if sent else None,
    )


def both_places(attrs: Attrs) -> Attrs:
    """`simUpdate` as a document may say it: in `configuration` and beside it."""
    configuration = attrs.get("configuration", {})
    return {**attrs, "simUpdate": configuration.get("simUpdate", {})}


def read(seen: Observed, prior: Entry | None, now: datetime) -> View:
    """How a tracker is read, given the last update that the state knows."""
    update = update_of(prior.facts) if prior is not None else None
    pending, current, scheme = seen.facts.get("pending"), seen.facts.get("current") or "", seen.facts.get("scheme")
    reported = seen.attrs
    if update is None or (update.id == current and pending != update.id):
        return _settled(seen, prior, pending)
    accepted = both_places({**reported, "configuration": overlaid(reported["configuration"], update.patch, scheme)})
    if pending == update.id:
        said = "staged, and fetched by the tracker when it next connects"
        return View(accepted, Status.PENDING, said, update.sent, update.patch, reported=reported)
    if pending:
        said, lost = foreign_words(pending), f"its update was replaced by {pending}, which somebody else staged"
        return View(reported, Status.PENDING, said, lost=lost, foreign=True)
    if current not in (update.base, FALLBACK):
        return View(reported, returned=True)  # somebody else's was applied since: a difference is theirs
    fell_back = current == FALLBACK and update.base not in (FALLBACK, "")
    if not fell_back and _may_yet(update, reported, now):
        restarted = seen.facts.get("restarted")
        returned = restarted is not None and (update.restarted is None or restarted > update.restarted)
        said = "fetched or lost, and not reported by the tracker yet"
        if returned:
            said = "delivered, but the tracker came back with what it had before"
        return View(accepted, Status.PENDING, said, update.sent, update.patch, reported=reported, returned=returned)
    if update.attempts < ATTEMPTS:
        times = "once" if update.attempts == 1 else f"{update.attempts} times"
        return View(reported, lost=f"sent {times} and not applied by the tracker")
    assert prior is not None
    wanted = overlaid(reported["configuration"], _configuration_of(prior.attrs), scheme)
    said = f"sent {update.attempts} times, and the tracker came back without it; --retry-failed sends it again"
    return View(
        both_places({**reported, "configuration": wanted}),
        Status.FAILED,
        said,
        update.sent,
        update.patch,
        reported=reported,
        retry=True,
    )


def _settled(seen: Observed, prior: Entry | None, pending: str | None) -> View:
    stuck = kept(seen, prior)
    attrs = seen.attrs if not stuck else both_places({**seen.attrs, "configuration": _without(seen.attrs, stuck)})
    if pending:
        return View(attrs, Status.PENDING, foreign_words(pending), foreign=True)
    if stuck:
        names = ", ".join(sorted(key for keys in stuck.values() for key in keys))
        said = f"taken out, but still there: {names}. This agent adds to a set of beacons and removes nothing from it"
        return View(attrs, Status.FAILED, said)
    return View(attrs)


def foreign_words(pending: str) -> str:
    """What is said of an update that waits and is not ours."""
    who = "somebody else" if not pending.startswith(PREFIX) else "reconcile with another state, or before it was lost,"
    return f"the update {pending}, which {who} staged, is not fetched yet; nobody here knows what it holds"


def _may_yet(update: Update, reported: Attrs, now: datetime) -> bool:
    """Contract 3: for so long after it was last seen pending, what is neither pending nor reported may be under way."""
    if update.sent is None:
        return True
    period = reported["configuration"].get("connectingPeriod")
    window = _LEAST
    if isinstance(period, (int, float)) and not isinstance(period, bool) and 0 < period < 10**8:
        window = max(window, timedelta(seconds=3 * period))
    return now - update.sent < window


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any], scheme: str | None) -> dict[str, Any]:
    """A configuration after a patch: settings replaced one by one, sets of beacons whole (1.1) or added to (1.0)."""
    return _overlaid(below, above, scheme, ())


def _overlaid(
    below: Mapping[str, Any], above: Mapping[str, Any], scheme: str | None, path: tuple[str, ...]
) -> dict[str, Any]:
    found = dict(below)
    for key, value in above.items():
        inner, was = (*path, key), below.get(key)
        nested = isinstance(value, Mapping) and isinstance(was, Mapping)
        whole = inner in SETS and scheme != "1.0"
        found[key] = _overlaid(was, value, scheme, inner) if nested and not whole else value  # type: ignore[arg-type]
    return found


def kept(seen: Observed, prior: Entry | None) -> dict[str, list[str]]:
    """
    Beacons that an applied update left out and that are reported all the same, by the name of their set.

    Contract 5: an agent of scheme 1.0 adds to a set. What is known of earlier updates stays known until it is gone.
    """
    if prior is None or seen.facts.get("scheme") != "1.0":
        return {}
    update, known = update_of(prior.facts), prior.facts.get("kept", {})
    found: dict[str, list[str]] = {}
    for path in SETS:
        live = at(seen.attrs.get("configuration", {}), path) or {}
        left = {key for key in known.get(path[-1], ()) if key in live}
        sent = at(update.patch, path) if update is not None and update.id == seen.facts.get("current") else None
        if isinstance(sent, Mapping):
            left = {key for key in live if key not in sent}
        if left:
            found[path[-1]] = sorted(left)
    return found


def _without(attrs: Attrs, stuck: Mapping[str, list[str]]) -> dict[str, Any]:
    configuration: dict[str, Any] = dict(attrs["configuration"])
    for path in SETS:
        if left_out := stuck.get(path[-1]):
            members = at(configuration, path) or {}
            configuration = with_value(configuration, path, {k: v for k, v in members.items() if k not in left_out})
    return configuration


def _configuration_of(attrs: Attrs) -> Mapping[str, Any]:
    """The staged part of what a document says, `simUpdate` in it."""
    found = dict(attrs.get("configuration", {}))
    if "simUpdate" in attrs:
        found["simUpdate"] = attrs["simUpdate"]
    return found


def at(value: Any, path: tuple[str, ...]) -> Any:
    """What stands at a path, None when nothing does."""
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def with_value(value: Mapping[str, Any], path: tuple[str, ...], leaf: Any) -> dict[str, Any]:
    """A copy with another value at a path."""
    found = dict(value)
    if len(path) > 1:
        below = found.get(path[0])
        leaf = with_value(below if isinstance(below, Mapping) else {}, path[1:], leaf)
    found[path[0]] = leaf
    return found
