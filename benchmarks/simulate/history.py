"""A history carried out: the tool, the agents and the oracle together, step after step."""

from __future__ import annotations

import copy
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.simulate.agents import Agents, Fault, Kill
from benchmarks.simulate.fleet import Fleet, Ran
from benchmarks.simulate.oracle import Oracle
from benchmarks.simulate.steps import HOUR, History, Step
from benchmarks.simulate.virtual import Clock, in_place, scratch

DELIVERED_S = 240 * HOUR  # every period and every window (docs/apis/asset_tracker.md, "Applied") has passed by then
YEAR_S = 8766 * HOUR


@dataclass
class Told:
    """
    What became of a history.

    Attributes:
        violations: of its last step; empty when everything held. at: the index of that step.
        log: what each step did, in words.
    """

    seed: int
    steps: int = 0
    applies: int = 0
    patches: int = 0
    faults: int = 0
    at: int = 0
    violations: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


def run(history: History, steps: Sequence[Step] | None = None) -> Told:
    """Carries a history out, up to the first step after which something does not hold."""
    with tempfile.TemporaryDirectory(prefix="simulate-", dir=scratch()) as directory:
        return _Running(history, Path(directory)).run(history.steps if steps is None else steps)


class _Running:
    def __init__(self, history: History, directory: Path) -> None:
        self.told = Told(history.seed)
        document = copy.deepcopy({agent: dict(entry) for agent, entry in history.begin.items()})
        self.oracle = Oracle(document)
        clock, rng = Clock(), random.Random(f"tool {history.seed}")
        with in_place(clock):
            self.agents = Agents(clock, copy.deepcopy(dict(history.trackers)), self.oracle)
        self.oracle.agents = self.agents
        self.fleet = Fleet(directory, clock, self.agents, rng, document)
        self.file = directory / "saved.plan"
        self.saved: dict[str, str] | None = None
        self.touched = self.incomplete = False

    def run(self, steps: Sequence[Step]) -> Told:
        told, oracle = self.told, self.oracle
        try:
            for at, step in enumerate([*steps, ("settle",)]):
                told.at, told.steps = at, at + 1
                self.agents.settle()
                self._note(f"{at:3} {_words(step)}")
                self._step(step)
                if oracle.violations:
                    break
        finally:
            self.fleet.close()
        told.patches, told.violations = oracle.patches, list(oracle.violations)
        return told

    def _note(self, text: str) -> None:
        self.told.log.append(text)

    def _step(self, step: Step) -> None:
        agents = self.agents
        self.touched = self.touched or step[0] != "apply saved"
        match step:
            case ("document", str(agent), entry):
                self._write(agent, entry)
            case ("apply", options):
                self._applied(self._apply(**options), **options)
            case ("save", options):
                self._save(**options)
            case ("apply saved", _):
                self._apply_saved()
            case ("crash", options):
                self._note(f"      {self._apply(kill=Kill(**options))}")
            case (what, str(agent), *more):
                self._happens_to(agent, what, *more)
            case ("wait", seconds):
                agents.advance(seconds)
            case ("faults", faults):
                agents.faults = [Fault(**fault) for fault in copy.deepcopy(faults)]
            case ("calm",):
                agents.faults = []
            case ("lose the state",):
                self.fleet.lose_state()
                self.oracle.forgotten()
            case ("settle",):
                self._settle()
            case _:
                raise ValueError(step)

    def _happens_to(self, agent: str, what: str, value: Any = None) -> None:
        """What becomes of one tracker without the tool."""
        match what:
            case "foreign":
                self.agents.stage(agent, value)
            case "connect":
                self.agents.connect(agent)
            case "restart agent":
                self.agents.restart(agent)
            case "fail":
                self.agents.set(agent, fail_apply=value)
            case "fallback":
                self.agents.set(agent, fallback=True)
            case "online":
                self.agents.set(agent, online=value)
            case _:
                raise ValueError(what)

    def _write(self, agent: str, entry: Any) -> None:
        document = self.oracle.document
        if entry is None:
            document.pop(agent, None)
            self.oracle.forgotten(agent)
        else:
            document[agent] = copy.deepcopy(entry)

    # -- commands -----------------------------------------------------------------------------------------------------

    def _apply(self, overwrite: bool = False, retry: bool = False, kill: Kill | None = None) -> Ran:
        self.told.applies += 1
        self.agents.struck = False
        self.oracle.overwrite, self.oracle.retry, self.oracle.shown = overwrite, retry, None
        self.oracle.names()
        ran = self.fleet.apply(kill, overwrite_pending=overwrite, retry_failed=retry)
        self._counted(ran)
        return ran

    def _counted(self, ran: Ran) -> None:
        if self.agents.struck or ran.code == 137:
            self.told.faults += 1
            self.oracle.in_doubt()
        self.oracle.taken_now.clear()

    def _save(self, overwrite: bool) -> None:
        self.agents.struck = False
        self.file.unlink(missing_ok=True)
        ran = self.fleet.save(self.file, overwrite_pending=overwrite)
        self._note(f"      {ran}")
        self.saved = None
        if ran.made is not None:
            prefix = len("asset_tracker.trackers.")
            self.saved = {
                str(change.address)[prefix:]: change.overwrites for change in ran.made.changes if change.overwrites
            }
        elif not self.agents.struck:
            self.oracle.violate(f"a plan cannot be made: {ran}")
        self.incomplete = ran.code == 1
        self.touched = False

    def _apply_saved(self) -> None:
        if self.saved is None:
            return
        self.told.applies += 1
        self.agents.struck = False
        # What the saved plan was allowed to overwrite is written in it.
        self.oracle.overwrite, self.oracle.retry, self.oracle.shown = True, False, self.saved
        self.oracle.names()
        refused = self.oracle.may_refuse()
        ran = self.fleet.apply_file(self.file)
        self._counted(ran)
        allowed = {0, 5, 7, 1} if self.touched or self.agents.struck else {0, 5} if refused else {0}
        if self.incomplete:  # and it says so again
            allowed.add(1)
        self._expected(ran, allowed)
        if ran.code == 0 and not self.touched:  # else it carried out what it shows, and the world may have moved on
            self._again(ran)
        self.saved = None

    def _applied(self, ran: Ran, overwrite: bool = False, retry: bool = False) -> None:
        allowed = {0}
        if not overwrite and self.oracle.may_refuse():
            allowed.add(5)
        if self.agents.struck:
            allowed |= {1, 7}
        self._expected(ran, allowed)
        if ran.code == 0:
            self._again(ran)

    def _expected(self, ran: Ran, allowed: set[int]) -> None:
        self._note(f"      {ran}")
        if ran.code not in allowed:
            self.oracle.violate(f"{ran}, expected {sorted(allowed)}")

    def _again(self, ran: Ran) -> None:
        """A second apply, at the same moment and without faults: nothing is left to do."""
        agents, oracle = self.agents, self.oracle
        if oracle.staged_since(ran.began):
            return  # somebody staged an update between its readings and its end
        faults, latency, patches = agents.faults, agents.latency_s, oracle.patches
        agents.faults, agents.latency_s = [], 0.0
        after = self.fleet.apply()
        agents.faults, agents.latency_s = faults, latency
        if after.code != 0:
            oracle.violate(f"an apply right after one that ended well: {after}")
            return
        if oracle.patches != patches:
            oracle.violate("a second apply sends a PATCH")
        oracle.applied(ran, after)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Faults stop, trackers connect and apply, what somebody else staged is delivered: two applies are enough."""
        agents = self.agents
        agents.faults = []
        for agent in self.agents.trackers:
            agents.set(agent, online=True, fail_apply=False, fallback=False)
        agents.advance(DELIVERED_S)
        planned = self.fleet.plan()
        failed = planned.made is not None and any(row.kind == "failed" for row in planned.made.unsettled)
        for retry in (failed, False):
            self._expected(self._apply(retry=retry), {0})
            agents.advance(DELIVERED_S)
        agents.advance(YEAR_S)
        patches = self.oracle.patches
        after = self._apply()
        self._expected(after, {0})
        if self.oracle.patches != patches:
            self.oracle.violate("an apply at the end sends a PATCH")
        if not self.oracle.violations:
            self.oracle.settled(after)


def _words(step: Step) -> str:
    import json

    name, *arguments = step
    return " ".join((name, *(json.dumps(argument) for argument in arguments)))
