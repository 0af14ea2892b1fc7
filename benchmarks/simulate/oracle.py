"""
What must hold in any history, whatever is drawn. The words of docs/apis/asset_tracker.md, and none of the provider's.

The oracle is told of every PATCH that arrives and of every update that ends, and asked after every command. It keeps
what is wrong in `violations`; it raises nothing, since it is called from within the tool.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.simulate.agents import Agents, Reading
from benchmarks.simulate.fleet import Ran
from benchmarks.simulate.settings import (
    COMPANIONS,
    NOWHERE,
    SETS,
    at,
    content,
    equal,
    extras,
    leaves,
    members,
    missing,
    overlaid,
    same_point,
    staged,
)

# docs/architecture.md, "Preconditions": what this process has read within that time it need not read again
FRESH_S = 30.0
LEAST_WINDOW_S = 3600.0
SENDS = 3  # docs/apis/asset_tracker.md, "Applied"
ADDRESS = "asset_tracker.trackers."


@dataclass(frozen=True, slots=True)
class Sent:
    """An update of ours: what the document said, the PATCH, and the configuration that it was made for."""

    content: str
    patch: str
    base: str


@dataclass(frozen=True, slots=True)
class Taken:
    """When an agent took an update, and the `updateId` that was reported then."""

    id: str
    at: float
    current: str | None


@dataclass
class Oracle:
    """
    Attributes:
        document: the section `asset_tracker.trackers`; each key is the id of its agent.
        overwrite, retry: `--overwrite-pending` and `--retry-failed` of the command that runs.
        taken_at: by agent, the last update of ours that the tool knows to be taken.
        sends: by agent, a content and how often it was taken, one after the other. certain: no answer was ever lost.
        owned: by agent and set, the beacons that were written when an apply ended well last, and are nobody else's.
        taken_now: agents that took an update in this command. doubted: those whose answer was lost, for this content.
        shown: of a saved plan, by agent, whose pending update it says is lost; None when the plan is of this command.
        sent: updates of ours by id. known: those that the state can know.
        chances: by agent, a content and how often a tracker had it and did not apply it, one after the other.
        named: by agent and set, the beacons that were ours at some time. arrived: when somebody else staged last.
    """

    document: dict[str, Any]
    agents: Agents | None = None
    violations: list[str] = field(default_factory=list)
    overwrite: bool = False
    retry: bool = False
    shown: Mapping[str, str] | None = None
    sent: dict[str, Sent] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    latest: dict[str, str] = field(default_factory=dict)
    chances: dict[str, tuple[str, int]] = field(default_factory=dict)
    arrived: dict[str, float] = field(default_factory=dict)
    named: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    taken_at: dict[str, Taken] = field(default_factory=dict)
    sends: dict[str, tuple[str, int]] = field(default_factory=dict)
    certain: bool = True
    taken_now: set[str] = field(default_factory=set)
    doubted: set[str] = field(default_factory=set)
    owned: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    patches: int = 0

    def violate(self, what: str) -> None:
        """Something does not hold."""
        self.violations.append(what)

    @property
    def sim(self) -> Agents:
        assert self.agents is not None
        return self.agents

    # -- what happens -------------------------------------------------------------------------------------------------

    def theirs(self, agent: str) -> None:
        self.owned.pop(agent, None)
        self.arrived[agent] = self.sim.clock.now

    def staged_since(self, began: float) -> bool:
        """Whether somebody else has staged an update since then."""
        return any(at > began for at in self.arrived.values())

    def forgotten(self, agent: str | None = None) -> None:
        """The state is lost, or no longer knows a tracker."""
        for one in [agent] if agent is not None else list(self.chances):
            self.chances.pop(one, None)
        for one in [agent] if agent is not None else list({**self.taken_at, **self.owned}):
            self.taken_at.pop(one, None)
            self.owned.pop(one, None)
        if agent is None:
            self.known.clear()
        else:
            self.known -= {id for id in self.known if self.latest.get(agent) == id}

    def in_doubt(self) -> None:
        """Answers were lost, or the tool died: it cannot know what was taken."""
        self.taken_at.clear()
        self.certain = False
        self.doubted.update(self.taken_now)

    def rebased(self, agent: str) -> None:
        """docs/apis/asset_tracker.md, "Applied": a new base, and so another attempt altogether."""
        self.chances.pop(agent, None)
        self.taken_at.pop(agent, None)

    def ended(self, agent: str, id: str, applied: bool, fetched: bool = True) -> None:
        # What was sent before the state was lost, nobody knows any more; nor what came and went without a trace.
        if applied:
            self.chances.pop(agent, None)
        elif id in self.known and (fetched or agent not in self.doubted):
            before, count = self.chances.get(agent, ("", 0))
            same = before == self.sent[id].content
            self.chances[agent] = (self.sent[id].content, count + 1 if same else 1)

    def patched(self, agent: str, body: Mapping[str, Any], read: Reading | None) -> None:
        self.patches += 1
        entry = self.document.get(agent)
        if entry is None or read is None:
            self.violate(f"{agent}: a PATCH to a tracker that {'was not read' if entry else 'no document names'}")
            return
        level = at(body, ("agentConfiguration", "debug", "logLevel"))
        if level is not NOWHERE and level != at(entry, ("agentConfiguration", "debug", "logLevel")):
            self.violate(f"{agent}: the agent's log level is not ours to change")
        if "configuration" in body:
            self._staging(agent, body, entry, read)
        elif "simUpdate" in body:
            self.violate(f"{agent}: simUpdate without an updateId")

    def _staging(self, agent: str, body: Mapping[str, Any], entry: Mapping[str, Any], read: Reading) -> None:
        tracker = self.sim.tracker(agent)
        id, patch, desired = body["configuration"]["updateId"], staged(body), staged(entry)
        pending = tracker.pending["updateId"] if tracker.pending else None
        if pending is not None and pending not in self.sent:
            self._overwriting(agent, pending, read)
        if id == tracker.update_id:
            self.violate(f"{agent}: {id} is reported already, so the update is silently ignored")
        made = Sent(content(entry), json.dumps(patch, sort_keys=True), json.dumps(read.configuration, sort_keys=True))
        before = self.sent.get(id)
        if before is not None and before.patch != made.patch:
            self.violate(f"{agent}: {id} was the id of another patch")
        elif before is not None and before.base != made.base:
            self.violate(f"{agent}: {id} was the id of the same patch on another base")
        for other, was in self.sent.items():
            if other != id and (was.patch, was.base) == (made.patch, made.base) and other == self.latest.get(agent):
                self.violate(f"{agent}: the same patch on the same base was {other} and is {id}")
        what, count = self.chances.get(agent, ("", 0))
        if what == made.content and count >= SENDS and not self.retry:
            lost = "after lost answers, " if agent in self.doubted else ""
            self.violate(f"{agent}: {lost}sent again: the tracker had it {count} times and did not apply it")
        self._too_early(agent, made.content, read)
        self._only_ours(agent, patch, desired, read)
        lacking = missing(desired, overlaid(read.configuration, patch, tracker.scheme), tracker.scheme)
        if lacking:
            self.violate(f"{agent}: the patch lacks {', '.join(lacking)}")
        self.sent[id] = made

    def _overwriting(self, agent: str, pending: str, read: Reading) -> None:
        """docs/architecture.md, "Preconditions": what came after a reading that is younger than 30 s is not seen."""
        now = self.sim.clock.now
        if self.arrived.get(agent, 0.0) >= read.at and now - read.at <= FRESH_S:
            return
        first = self.sim.first.get(agent)
        shown = first.pending if self.shown is None and first is not None else (self.shown or {}).get(agent)
        if not self.overwrite or shown != pending:
            self.violate(f"{agent}: {pending}, which is somebody else's, was overwritten silently")

    def _too_early(self, agent: str, what: str, read: Reading) -> None:
        """docs/apis/asset_tracker.md, "Applied": what nobody confirms is waited for, before it is sent again."""
        last = self.taken_at.get(agent)
        if last is not None and last.at > read.at:
            self.violate(f"{agent}: sent again without a reading since an agent took the last one")
        if (
            last is None
            or last.at > read.at
            or self.retry
            or read.pending is not None
            or self.sent[last.id].content != what
        ):
            return
        period = at(read.configuration, ("connectingPeriod",))
        window = max(LEAST_WINDOW_S, 3 * period if isinstance(period, int | float) else 0)
        age = int(self.sim.clock.now) - int(last.at)
        if read.current == last.current and age < window:
            self.violate(f"{agent}: sent again after {age} s, and it may be under way for {window:g} s")

    def _only_ours(self, agent: str, patch: Mapping[str, Any], desired: Mapping[str, Any], read: Reading) -> None:
        """Nothing but what the document says, and what has to travel with it as it is."""
        last = self.sent.get(self.latest.get(agent, ""))
        waiting = json.loads(last.patch) if last is not None else {}
        for path, value in leaves(patch):
            said, live, name = at(desired, path), at(read.configuration, path), ".".join(path)
            if said is NOWHERE and (path not in COMPANIONS or not equal(value, live)):
                self.violate(f"{agent}: {name} is not managed, is {live!r} and would be {value!r}")
            elif said is not NOWHERE and value != said:
                self.violate(f"{agent}: {name} is sent as {value!r} and written as {said!r}")
            elif said is not NOWHERE and path not in COMPANIONS and equal(said, live):
                # Unless it takes back what the last update was to change.
                same = at(waiting, path) is NOWHERE or equal(said, at(waiting, path))
                if same:
                    self.violate(f"{agent}: {name} is sent although it is so")
        for of in SETS:
            sending, wanted, live_set = members(patch, of), members(desired, of), members(read.configuration, of) or {}
            if sending is None:
                continue
            if wanted is None:  # taken out of the document: what we had put there goes, the rest stays
                had = self.named.get(agent, {}).get(of[-1], set())
                wanted = {key: point for key, point in live_set.items() if key in sending or key not in had}
            if sending.keys() != wanted.keys() or not all(same_point(wanted[key], sending[key]) for key in wanted):
                self.violate(f"{agent}: {of[-1]} is sent as {sorted(sending)} and wanted as {sorted(wanted)}")

    def taken(self, agent: str, body: Mapping[str, Any], status: int) -> None:
        if status != 200:
            self.violate(f"{agent}: the agent refuses {json.dumps(body)} ({status})")
        elif "configuration" in body:
            id = body["configuration"]["updateId"]
            self.latest[agent] = id
            self.known.add(id)
            self.taken_now.add(agent)
            what, count = self.sends.get(agent, ("", 0))
            self.sends[agent] = (self.sent[id].content, count + 1 if what == self.sent[id].content else 1)
            self.taken_at[agent] = Taken(id, self.sim.clock.now, self.sim.tracker(agent).update_id)
            if self.chances.get(agent, ("", 0))[0] != self.sent[id].content or self.retry:
                self.doubted.discard(agent)
                self.chances[agent] = (self.sent[id].content, 0)

    # -- what is asked ------------------------------------------------------------------------------------------------

    def names(self) -> None:
        """A set that the document names now is ours, those in it included that it wants gone."""
        for agent, entry in self.document.items():
            for of in SETS:
                found = members(staged(entry), of)
                if found is not None:
                    live = members(self.sim.tracker(agent).reported or {}, of) or {}
                    self.named.setdefault(agent, {}).setdefault(of[-1], set()).update(found, live)

    def may_refuse(self) -> bool:
        """Whether something waits somewhere that the state cannot know."""
        for agent, entry in self.document.items():
            tracker = self.sim.tracker(agent)
            id = tracker.pending["updateId"] if tracker.pending else None
            if id is None or id in self.known:
                continue
            ours = self.sent.get(id)
            if ours is None or ours.content != content(entry):
                return True
            if ours.base != json.dumps(tracker.reported or {}, sort_keys=True):
                return True
            # docs/architecture.md, "Three-way": it covers an edit that was taken back while it was pending, which only
            # the state remembers.
            base = json.loads(ours.base)
            if any(
                path not in COMPANIONS and equal(value, at(base, path))
                for path, value in leaves(json.loads(ours.patch))
            ):
                return True
        return False

    def applied(self, ran: Ran, after: Ran) -> None:
        """
        After an apply that ended well.

        Args:
            after: a second apply right after it, without faults.
        """
        assert after.made is not None
        if after.made.changes:
            self.violate(f"the plan right after an apply has changes: {_changes(after)}")
        said = {str(row.address).removeprefix(ADDRESS): row for row in after.made.unsettled}
        for agent, entry in self.document.items():
            tracker, desired = self.sim.tracker(agent), staged(entry)
            for of in SETS:
                if (written := members(desired, of)) is not None:
                    self.owned.setdefault(agent, {})[of[-1]] = set(written)
            level = at(entry, ("agentConfiguration", "debug", "logLevel"))
            if level is not NOWHERE and tracker.agent_log_level != level:
                self.violate(f"{agent}: the agent's log level is {tracker.agent_log_level}, applied was {level}")
            pending, reported = tracker.pending, tracker.reported or {}
            gave_up = agent in said and said[agent].kind == "failed" and missing(desired, reported, tracker.scheme)
            if gave_up and self.certain and self.sends.get(agent, ("", 0))[1] < SENDS:
                self.violate(f"{agent}: given up after {self.sends.get(agent, ('', 0))[1]} times")
            if pending is not None and pending["updateId"] in self.known:
                lacking = missing(desired, overlaid(reported, pending, tracker.scheme), tracker.scheme)
                if lacking:
                    self.violate(f"{agent}: what waits lacks {', '.join(lacking)}")
                if agent not in said:
                    self.violate(f"{agent}: our update waits, and nobody says so")
            elif agent not in said and (lacking := missing(desired, reported, tracker.scheme)):
                self.violate(f"{agent}: said to be in sync, although nothing waits and {', '.join(lacking)} differs")

    def settled(self, after: Ran) -> None:
        """At the end: what is reported is what the document says, nothing waits, and the plan is empty."""
        assert after.made is not None
        if after.made.changes:
            self.violate(f"it does not settle: {_changes(after)}")
        said = {str(row.address).removeprefix(ADDRESS): row for row in after.made.unsettled}
        for agent, entry in self.document.items():
            tracker, desired = self.sim.tracker(agent), staged(entry)
            lacking = missing(desired, tracker.reported or {}, tracker.scheme)
            if lacking:
                self.violate(f"{agent}: it does not settle: {', '.join(lacking)} differs")
            if tracker.pending is not None:
                self.violate(f"{agent}: {tracker.pending['updateId']} waits at the end")
            for of in SETS if tracker.scheme != "1.0" else ():
                left = self.owned.get(agent, {}).get(of[-1], set()) & (members(tracker.reported or {}, of) or {}).keys()
                if left and members(desired, of) is None:
                    self.violate(f"{agent}: taken out of the document and still there: {', '.join(sorted(left))}")
            stuck = extras(desired, tracker.reported or {})
            row = said.get(agent)
            if row is not None and not stuck and not self._left(agent, desired):
                self.violate(f"{agent}: it has settled and is said to be {row.kind}: {row.detail}")
            elif row is None and stuck:
                self.violate(f"{agent}: {', '.join(stuck)} cannot be taken out, and nobody says so")

    def _left(self, agent: str, desired: Mapping[str, Any]) -> list[str]:
        """Beacons of a set that is not managed any more, put there by us, that an agent of scheme 1.0 keeps."""
        tracker = self.sim.tracker(agent)
        return [
            key
            for of in SETS
            if tracker.scheme == "1.0" and members(desired, of) is None
            for key in members(tracker.reported or {}, of) or {}
            if key in self.named.get(agent, {}).get(of[-1], set())
        ]


def _changes(ran: Ran) -> str:
    assert ran.made is not None
    return "; ".join(
        f"{change.address} {change.action} ({change.reason})"
        + "".join(f" {'.'.join(part.path)} {part.before!r} -> {part.after!r} [{part.cause}]" for part in change.fields)
        + "".join(f" # {note}" for note in change.notes)
        for change in ran.made.changes
    )
