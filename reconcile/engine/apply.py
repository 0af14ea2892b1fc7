"""
Plan → apply: carries out what a plan says, wave by wave, family by family, each write journalled.

A family is a root with what hangs on it. Within one the order of the type's stages holds (name, then configs and
secrets, then the app, then logging and restart), and what fails stops what comes after it; families do not wait for
each other. Every change ends in exactly one outcome.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from reconcile.core.address import Address
from reconcile.core.events import ApplyStarted, ChangeDone, ChangeStarted
from reconcile.core.failures import FailureBudget
from reconcile.core.history import DONE, FAILED, INTERRUPTED, PARTLY
from reconcile.core.plan import Action, Change, FieldChange, Plan
from reconcile.core.ports import Ended, Env, Secrets
from reconcile.core.resource import Entry, Observed
from reconcile.core.resource_type import ResourceType
from reconcile.core.schema import CHILDREN, fields_of
from reconcile.core.values import Secret, SecretRef
from reconcile.engine import answers
from reconcile.engine.journal import Journal
from reconcile.engine.moves import record_moves
from reconcile.engine.operation import Operation
from reconcile.engine.pool import each
from reconcile.engine.send import Outcome, Stopped
from reconcile.engine.words import verb_of
from reconcile.errors import AccessDenied, Locked, NotSent, Position, ReconcileError

SILENT = 3  # changes in a row that could not be sent at all; one that was done ends the row


class Stop(StrEnum):
    """Why an apply starts nothing new."""

    INTERRUPTED = "interrupted"
    DEADLINE = "the deadline was reached"
    DENIED = "the credentials were refused"
    SILENT = "the API does not answer"
    BROKEN = "nothing more may be sent"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one change; `entry` is what the state says of it now, where it was done and stays."""

    change: Change
    outcome: Outcome
    detail: str | None = None
    error: ReconcileError | None = None
    entry: Entry | None = None

    @property
    def where(self) -> Position | None:
        """The place in the files that is to blame when it was not done: of the attribute that the API names, if any."""
        said = self.detail or ""
        best, where = 1, self.change.where
        for part in self.change.fields:
            depth = next((at for at in range(len(part.path), 1, -1) if ".".join(part.path[:at]) in said), 0)
            if depth > best and part.where is not None:
                best, where = depth, part.where
        return where


@dataclass(slots=True)
class Apply:
    """
    One run over one plan.

    Args:
        types, apis: resource types by path, and what each provider's `connect` returned by its name.
        read_at: the loop's time at which this process read what the plan shows; None for a saved plan.
        workers: how many families are worked on at once, and how many of their changes.
        lineage: of the state, part of every fingerprint.
        directory: the fleet's, which files to upload are named relative to.
        older: by address, operations of an earlier run of which nobody knows what they did.
        late_s: by provider, how long after its intent a request may still arrive.
        budget: how many changes of a type may fail.
    """

    plan: Plan
    types: Mapping[str, ResourceType]
    apis: Mapping[str, Any]
    journal: Journal
    secrets: Secrets
    env: Env
    lineage: str
    directory: Path
    read_at: float | None = None
    workers: int = 16
    stop: Stop | None = None
    results: dict[Address, Result] = field(default_factory=dict)
    opened: dict[SecretRef, Secret] = field(default_factory=dict)
    made: dict[Address, str] = field(default_factory=dict)
    made_at: dict[Address, float] = field(default_factory=dict)
    named: dict[tuple[str, str], str] = field(default_factory=dict)
    operations: dict[Address, Operation] = field(default_factory=dict)
    older: dict[Address, list[str]] = field(default_factory=dict)
    late_s: Mapping[str, float] = field(default_factory=dict)
    budget: FailureBudget = field(default_factory=lambda: FailureBudget(None, ()))
    silent: dict[str, int] = field(default_factory=dict)
    stops: dict[str, Stop] = field(default_factory=dict)
    refusals: dict[str, ReconcileError] = field(default_factory=dict)
    slots: asyncio.Semaphore = field(init=False)
    leaving: frozenset[Address] = field(init=False)

    def __post_init__(self) -> None:
        self.slots = asyncio.Semaphore(self.workers)
        self.leaving = frozenset(change.address for change in self.plan.changes if not change.after)

    async def run(self) -> list[Result]:
        """
        Carries the plan out.

        Returns:
            One result for each change, in the order of the plan.
        """
        await record_moves(self.plan, self.journal)
        self.env.emit(ApplyStarted(len(self.plan.changes)))
        swaps = [change for change in self.plan.changes if change.temporary]
        await each(swaps, self._free_name, self.workers)
        waves: dict[int, dict[Address, list[Change]]] = {}
        for change in self.plan.changes:
            waves.setdefault(change.wave, {}).setdefault(change.address.root, []).append(change)
        for _, families in sorted(waves.items()):
            await each(families.values(), self._family, self.workers)
        for change in self.plan.changes:
            if change.address not in self.results:
                self._end(change, Outcome.SKIPPED, self._stop_of(change) or "not reached")
        return [self.results[change.address] for change in self.plan.changes]

    async def _free_name(self, change: Change) -> None:
        """A unit whose wanted name goes round takes another name first."""
        if self._stop_of(change) or change.temporary is None:
            return
        operation = self._operation(change)
        try:
            await operation.free_name(change.temporary)
        except Stopped as stopped:
            self._stopped(change, stopped)

    async def _family(self, changes: Sequence[Change]) -> None:
        root = next((change for change in changes if change.address.parent is None), None)
        parts = [change for change in changes if change.address.parent is not None]
        operations = {change.address: self._operation(change) for change in changes}
        await self._read_again(operations)
        stages = self._stages(root) if root is not None else {}
        middle = CHILDREN if root is not None else 0
        failed: str | None = None
        if root is not None:
            for number in [number for number in stages if number < middle]:
                failed = failed or await self._step(operations[root.address], stages[number])
        if failed is None:
            failed = await self._parts(operations, parts)
        else:
            for change in parts:
                self._end(change, Outcome.SKIPPED, failed)
        if root is None:
            return
        # Without a field to send there is still one thing to do: record it, or let go of it, after what hangs on it.
        for fields in [stages[number] for number in stages if number >= middle] if stages else [()]:
            failed = failed or await self._step(operations[root.address], fields)
        if root.address not in self.results:
            sent = bool(root.fields) and all(
                part.path[0] in operations[root.address].done.fields for part in root.fields
            )
            self._end(root, Outcome.DONE if sent or not failed else Outcome.SKIPPED, None if sent else failed)

    def _stages(self, change: Change) -> dict[int, list[FieldChange]]:
        """The fields of a change by the stage in which they are sent, in order; all at once where it is created."""
        if change.action is Action.CREATE:
            return {0: list(change.fields)}
        shape = fields_of(self.types[change.address.type_path].Model)
        stages: dict[int, list[FieldChange]] = {}
        for part in change.fields:
            stages.setdefault(shape[part.path[0]].stage, []).append(part)
        return dict(sorted(stages.items()))

    async def _parts(self, operations: Mapping[Address, Operation], parts: Sequence[Change]) -> str | None:
        """What hangs on a root; returns why what comes after is skipped, if it is."""

        async def carry(change: Change) -> None:
            failed = await self._step(operations[change.address], change.fields)
            if failed is None and change.address not in self.results:
                self._end(change, Outcome.DONE)

        await each(parts, carry, 4)
        for change in parts:
            result = self.results.get(change.address)
            if result is not None and result.outcome is not Outcome.DONE:
                return f"{change.address} was not done"
        return None

    async def _step(self, operation: Operation, fields: Sequence[FieldChange]) -> str | None:
        """One request for one change; returns why what comes after is skipped, if it is."""
        change = operation.change
        if change.address in self.results:
            return self.results[change.address].detail or "it was not done"
        for need in (*change.needs, *change.behind):
            result = self.results.get(need)
            if result is not None and result.outcome is not Outcome.DONE:
                self._end(change, Outcome.SKIPPED, f"{need} was not done")
                return f"{need} was not done"
        async with self.slots:
            if stop := self._stop_of(change):
                self._end(change, Outcome.SKIPPED, stop)
                return str(stop)
            if not operation.started:
                self.env.emit(ChangeStarted(change.address, verb_of(change)))
            try:
                await operation.carry_out(fields)
                if operation.kind.listed != "unit":
                    self.silent[change.address.provider] = 0
                for older in self.older.pop(change.address, ()):  # what it did is in what was recorded just now
                    await self.journal.write(Ended(older))
            except Stopped as stopped:
                self._stopped(change, stopped)
                return stopped.detail
            except Exception as defect:
                # A provider met something that it was not written for. What was sent is not known, and nothing
                # else may be: but every other change still gets its outcome.
                self.stop = self.stop or Stop.BROKEN
                self._end(change, Outcome.UNKNOWN, f"{type(defect).__name__} in the provider; run again")
                return "a defect in the provider"
        return None

    def _stopped(self, change: Change, stopped: Stopped) -> None:
        # Each of these was tried until its time was up; whoever is next would only wait as long.
        # A unit with an endpoint of its own says nothing about the others.
        alone, provider = self.types[change.address.type_path].listed == "unit", change.address.provider
        silent = self.silent.get(provider, 0)
        self.silent[provider] = 0 if not isinstance(stopped.error, NotSent) else silent if alone else silent + 1
        if self.silent[provider] >= SILENT:
            self.stops.setdefault(provider, Stop.SILENT)
        if stopped.denied and not alone and stopped.error is not None:
            self._denied(provider, stopped.error)
        if isinstance(stopped.error, Locked) or stopped.broken:
            self.stop = self.stop or Stop.BROKEN
        self._end(change, stopped.outcome, stopped.detail, stopped.error)

    def _denied(self, provider: str, refusal: ReconcileError) -> None:
        """The key of one provider was refused: that ends its work, and nobody else's."""
        self.stops.setdefault(provider, Stop.DENIED)
        self.refusals.setdefault(provider, refusal)

    def _stop_of(self, change: Change) -> str | None:
        """Why nothing more is sent of a change: of any, of its provider's, or of its type's."""
        stop = self.stop or self.stops.get(change.address.provider)
        return stop or self.budget.spent.get(change.address.type_path)

    def _operation(self, change: Change) -> Operation:
        if change.address not in self.operations:
            self.operations[change.address] = self._new_operation(change)
        return self.operations[change.address]

    def _new_operation(self, change: Change) -> Operation:
        return Operation(
            change=change,
            kind=self.types[change.address.type_path],
            api=self.apis[change.address.provider],
            journal=self.journal,
            secrets=self.secrets,
            opened=self.opened,
            env=self.env,
            lineage=self.lineage,
            directory=self.directory,
            made=self.made,
            made_at=self.made_at,
            named=self.named,
            read_at=self.read_at,
            late_s=self.late_s.get(change.address.provider, 0.0),
            stopping=lambda: self.stop is not None,
            leaving=self.leaving,
        )

    async def _read_again(self, operations: Mapping[Address, Operation]) -> None:
        """
        The precondition (docs/architecture.md, "Preconditions"): what will be written is read once more, in one listing
        where there is one.
        """
        groups: dict[tuple[str, str | None], list[Operation]] = {}
        for operation in operations.values():
            if operation.must_read:
                groups.setdefault((operation.kind.path, operation.change.parent), []).append(operation)
        for (_, parent), members in groups.items():
            if self._stop_of(members[0].change) or len(members) < 2 or members[0].kind.listed != "parent":
                continue
            live: dict[str, tuple[Observed, datetime]] = {}
            now = asyncio.get_running_loop().time()
            try:
                async for page in answers.listing(members[0].kind, members[0].api, parent or ""):
                    live.update({seen.name or seen.id: (seen, page.now) for seen in page.members})
            except AccessDenied as refusal:
                self._denied(members[0].change.address.provider, refusal)
                return
            except ReconcileError:
                continue  # each is then read by itself, and its own error is its own outcome
            for operation in members:
                found = live.get(operation.change.name or operation.change.address.key)
                if found is not None:  # what a listing lacks need not be gone: it is read by itself
                    (operation.again, operation.again_now), operation.again_at = found, now

    def _end(
        self, change: Change, outcome: Outcome, detail: str | None = None, error: ReconcileError | None = None
    ) -> None:
        self.budget.count(change, outcome is Outcome.DONE, error if outcome is Outcome.FAILED else None)
        operation = self.operations.pop(change.address, None)
        since = operation.begun_at if operation is not None else None
        seconds = asyncio.get_running_loop().time() - since if since is not None else 0.0
        if detail == Stop.DENIED:
            error = self.refusals.get(change.address.provider)
        entry = operation.entry() if operation is not None and outcome is Outcome.DONE and change.after else None
        result = self.results[change.address] = Result(change, outcome, detail, error, entry)
        where = None if outcome is Outcome.DONE else result.where
        self.env.emit(ChangeDone(change.address, verb_of(change), outcome, seconds, detail, where))


def outcome_of(results: Sequence[Result], stop: Stop | None) -> tuple[str, dict[str, int]]:
    """What became of a run, and how many of its changes came to what."""
    counts = Counter(str(result.outcome) for result in results)
    if stop is Stop.INTERRUPTED:
        return INTERRUPTED, dict(counts)
    if counts[Outcome.DONE] == len(results):
        return DONE, dict(counts)
    return PARTLY if counts[Outcome.DONE] else FAILED, dict(counts)
