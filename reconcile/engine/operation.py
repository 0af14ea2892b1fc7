"""
One change at the API: precondition, intent, request, read-back where the answer was lost, outcome.

After a lost answer nothing is repeated blindly: the unit is read back by its natural key first (design §6). What
cannot be read back (a restart) counts as done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reconcile.core.address import Address
from reconcile.core.diff import same
from reconcile.core.events import Noted
from reconcile.core.plan import Action, Cause, Change, FieldChange
from reconcile.core.ports import Begun, Ended, Env, Secrets
from reconcile.core.resource import Entry, Observed, Target
from reconcile.core.resource_type import ResourceType
from reconcile.core.schema import Mark, fields_of
from reconcile.core.values import FileRef, Ref, Secret, SecretRef, to_json
from reconcile.engine.journal import Journal
from reconcile.engine.precondition import conflict, unforeseen
from reconcile.engine.send import Outcome, Stopped, send
from reconcile.errors import ReconcileError

FRESH_S = 30.0  # a reading of this process that is younger needs no second one (design §5)

VERBS: Mapping[Action, str] = {
    Action.CREATE: "Creating",
    Action.UPDATE: "Updating",
    Action.REPLACE: "Replacing",
    Action.DELETE: "Deleting",
    Action.ADOPT: "Adopting",
    Action.FORGET: "Forgetting",
    Action.NOOP: "Recording",
}


def verb_of(change: Change) -> str:
    """What is done to a resource, for progress."""
    return "Renewing" if change.action is Action.NOOP and change.fields else VERBS[change.action]


@dataclass(slots=True)
class Operation:
    """
    The requests of one change, in the order in which they are asked for.

    Attributes:
        made: ids of what this run created, by address; shared by all operations. `named`: by type and name.
        read_at: the loop's time at which this process read it for the plan; None for a saved plan.
        again, again_at: what a second reading found, and when, once there was one.
    """

    change: Change
    kind: ResourceType
    api: Any
    journal: Journal
    secrets: Secrets
    opened: Mapping[SecretRef, Secret]
    env: Env
    lineage: str
    directory: Path
    made: dict[Address, str]
    named: dict[tuple[str, str], str]
    read_at: float | None = None
    again: Observed | None = None
    again_at: float | None = None
    started: bool = False
    begun_at: float | None = None
    number: int = 0
    done: dict[str, Any] = field(default_factory=dict)
    prints: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    id: str | None = None

    def __post_init__(self) -> None:
        self.prints, self.facts, self.id = dict(self.change.prints), dict(self.change.facts), self.change.id

    @property
    def must_read(self) -> bool:
        """Whether the precondition needs a reading: it writes to something that is there."""
        writes = bool(self.change.fields) or self.change.action is Action.DELETE
        return writes and self.change.action is not Action.CREATE and not _fresh(self.read_at)

    async def carry_out(self, fields: Sequence[FieldChange]) -> None:
        """
        Sends what `fields` ask for, in one request, and records the outcome.

        Raises:
            Stopped: it is not done; the outcome says how far it is known.
        """
        change = self.change
        first, self.started = not self.started, True
        if first:
            await self._begin_change()
        if first and change.former and change.former_name:
            await self._release(change.former, change.former_name)
        match change.action:
            case Action.DELETE:
                await self._delete()
            case Action.CREATE:
                await self._create()
            case _ if fields:
                await self._update(fields)
            case Action.FORGET:
                await self._record(Ended(self._next(), drop=(change.address,)))
            case Action.NOOP if not change.after:  # it left, and was gone already
                await self._record(Ended(self._next(), drop=(change.address,)))
            case _:
                await self._record(Ended(self._next(), (self.entry(),)))

    async def free_name(self, temporary: str) -> None:
        """Takes a name for the time until the wanted one is free. Raises Stopped."""
        await self._begin_change()
        await self.rename(self.change.id or "", temporary)

    async def _begin_change(self) -> None:
        if self.begun_at is None:
            self.begun_at = asyncio.get_running_loop().time()
            if self.must_read:
                await self._precondition()

    async def _release(self, id: str, name: str) -> None:
        """A unit that is let go of gives up its name, if it still holds the one that the plan saw."""
        try:
            seen = (await self.kind.read(self.api, Target(self.change.address, id))).seen
        except ReconcileError as error:
            raise Stopped(Outcome.FAILED, f"the unit that is let go of could not be read: {error}", error) from None
        if seen is not None and seen.name == self.change.seen.get("former"):
            await self.rename(id, name)

    async def rename(self, id: str, name: str) -> None:
        """Gives a unit a name that frees the one another unit needs."""
        naming = self.kind.naming
        assert naming is not None  # only a type that has names frees one
        operation = self._next()
        await self._begin(operation, {"rename": {"id": id, "name": name}})
        at = Target(self.change.address, id, None, self.change.parent)
        patch = {naming: name}
        await self._send(
            operation, lambda: self.kind.update(self.api, at, patch), lambda: self._landed(at, patch, operation)
        )
        await self._record(Ended(operation))

    # -- precondition -----------------------------------------------------------------------------------------------

    async def _precondition(self) -> None:
        """What the plan saw must still be so, or the write is a conflict and is not carried out."""
        change = self.change
        if not _fresh(self.again_at):
            try:
                self.again = (await self.kind.read(self.api, self._target())).seen
            except ReconcileError as error:
                raise Stopped(Outcome.FAILED, f"could not be read before the write: {error}", error) from None
        if (why := conflict(self.kind, change, self.again)) is not None:
            raise Stopped(Outcome.CONFLICT, why)

    # -- the three writes -------------------------------------------------------------------------------------------

    async def _create(self) -> None:
        change, operation = self.change, self._next()
        attrs = self._resolved(change.after)
        await self._begin(operation, {})
        located = self.kind.unit(change.after, change.address.key)[0]  # an alias, which the API need not take as an id
        at = self.kind.target(change.address, change.after, located, change.name, self._parent())

        async def again() -> Observed | None:
            seen = (await self.kind.read(self.api, at)).seen
            if seen is not None and any(isinstance(value, Secret) for value in attrs.values()):
                # It is there; whether with our value, nobody can read. Writing it says so (design §6).
                return await self.kind.update(self.api, replace(at, id=seen.id), attrs)
            return seen

        seen = await self._send(operation, lambda: self.kind.create(self.api, at, attrs), again)
        await self._taken(operation, attrs, seen)
        self._landed_fields(change.fields, seen)
        self.made[change.address] = seen.id
        if change.name is not None:
            self.named[self.kind.path, change.name] = seen.id
        await self._record(Ended(operation, (self.entry(),)))

    async def _update(self, fields: Sequence[FieldChange]) -> None:
        operation, at = self._next(), self._target()
        patch = self.change.patch or self._resolved({part.path[0]: self.change.after[part.path[0]] for part in fields})
        if self.change.patch:
            more = {"patch": patch, "stamp": self.change.stamp, "facts": self.facts}
            await self._begin(operation, {"fields": sorted({part.path[0] for part in fields}), **more})
        else:
            await self._begin(operation, {"fields": sorted(patch)})
        shape = fields_of(self.kind.Model)
        triggers = any(Mark.TRIGGER in shape[part.path[0]].marks for part in fields)

        async def again() -> Observed | None:
            return None if triggers else await self._landed(at, patch, operation)

        try:
            seen = await self._send(operation, lambda: self.kind.update(self.api, at, patch), again, once=triggers)
        except Stopped as lost:
            if triggers and lost.outcome is Outcome.UNKNOWN:
                self._landed_fields(fields, None)
                await self._record(Ended(operation, (self.entry(),)))
                raise Stopped(lost.outcome, f"{lost.detail}; it counts as done and is not sent again") from None
            raise
        if not self.change.patch:
            await self._taken(operation, patch, seen)
        self._landed_fields(fields, seen)
        await self._record(Ended(operation, (self.entry(),)))

    async def _delete(self) -> None:
        change, operation, at = self.change, self._next(), self._target()
        await self._begin(operation, {})

        async def delete() -> Observed:
            await self.kind.delete(self.api, at)
            return Observed(change.id or "", {})

        async def again() -> Observed | None:
            gone = (await self.kind.read(self.api, at)).seen is None
            return Observed(change.id or "", {}) if gone else None

        await self._send(operation, delete, again)
        await self._record(Ended(operation, drop=(change.address,)))

    async def _landed(self, at: Target, patch: Mapping[str, Any], operation: str) -> Observed | None:
        """The unit, if it is as the patch wants it; a secret never tells, so its write is repeated instead."""
        seen = (await self.kind.read(self.api, at)).seen
        if seen is None or any(isinstance(value, Secret) for value in patch.values()):
            return None
        if self.kind.landed(patch, seen):
            return seen
        if (why := unforeseen(self.kind, self.change, seen)) is not None:  # it must not be sent again
            await self._record(Ended(operation))
            raise Stopped(Outcome.CONFLICT, why)
        return None

    async def _taken(self, operation: str, sent: Mapping[str, Any], seen: Observed) -> None:
        """Raises Stopped when the API's own answer to a write has another value than the one that was sent."""
        shape = fields_of(self.kind.Model)
        for name, value in sent.items():
            told = seen.attrs.get(name)
            by_name = bool(shape[name].refers) and name not in self.change.refers  # sent as a name, answered as an id
            if told is None or not isinstance(value, (str, bool)) or by_name or Mark.TRIGGER in shape[name].marks:
                continue
            if not same(told, value):
                await self._record(Ended(operation))
                raise Stopped(Outcome.FAILED, f"the API answered as if it was done, with another {name} than was sent")

    async def _send(
        self,
        operation: str,
        verb: Callable[[], Awaitable[Observed]],
        read_back: Callable[[], Awaitable[Observed | None]],
        once: bool = False,
    ) -> Observed:
        async def closed() -> None:
            await self._record(Ended(operation))

        taken = Outcome.CONFLICT if self.change.action is Action.CREATE else Outcome.FAILED
        return await send(verb, read_back, closed=closed, rng=self.env.rng, taken=taken, once=once)

    # -- what is sent, and what is recorded -------------------------------------------------------------------------

    def _resolved(self, attrs: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes as the wire takes them: references by id, secrets opened, files where they lie."""
        resolved: dict[str, Any] = {}
        for name, value in attrs.items():
            if isinstance(value, SecretRef):
                resolved[name] = self.opened[value]
            elif isinstance(value, Ref):
                resolved[name] = self._id_of(name, value)
            elif isinstance(value, list) and any(isinstance(member, Ref) for member in value):
                resolved[name] = [self._id_of(f"{name}.{ref.name}", ref) for ref in value]
            elif isinstance(value, FileRef):
                resolved[name] = replace(value, path=str(self.directory / value.path))
            else:
                resolved[name] = value
        return resolved

    def _id_of(self, name: str, ref: Ref) -> str:
        change = self.change
        if (known := change.refers.get(name)) is not None:
            return known
        if (made := self.named.get((ref.path, ref.name))) is not None:
            return made
        if any(need.type_path == ref.path for need in change.needs):
            raise Stopped(Outcome.SKIPPED, f"{ref.name} was not made")
        return ref.name  # planned without asking the API, which takes a name as well and knows whether there is one

    def _parent(self) -> str | None:
        parent = self.change.address.parent
        return self.change.parent or (self.made.get(parent) if parent is not None else None)

    def _target(self) -> Target:
        change = self.change
        return self.kind.target(change.address, change.after, self.id, change.name, self._parent())

    def _landed_fields(self, fields: Sequence[FieldChange], seen: Observed | None) -> None:
        change = self.change
        for part in fields:
            name = part.path[0]
            self.done[name] = change.after.get(name)  # None: all of it is taken out
            if isinstance(part.after, SecretRef):
                found = self.secrets.print_of(
                    self.opened[part.after],
                    lineage=self.lineage,
                    type_path=change.address.type_path,
                    unit=self._parent() or "",
                    name=change.name or change.address.key,
                )
                if found is not None:
                    self.prints[name] = dict(found)
        if seen is not None:
            self.id = seen.id
            self.facts = {**self.facts, **self.kind.accepted(self.change.stamp, seen)}
            if note := seen.facts.get("note"):
                self.env.emit(Noted(f"{change.address}: {note}"))

    def entry(self) -> Entry:
        """What the state shall say now: what is wanted, less what is not done yet."""
        change = self.change
        waiting = {part.path[0]: part for part in change.fields if part.path[0] not in self.done}
        attrs: dict[str, Any] = {}
        for name, value in change.after.items():
            part = waiting.get(name)
            if part is None or part.cause is Cause.LEASE:
                attrs[name] = value
            elif part.prior is not None:
                attrs[name] = part.prior
        return Entry(
            change.address,
            self.id or "",
            attrs,
            self._parent(),
            self.prints,
            self.facts,
            change.needs,
            change.protect,
            change.on_removal,  # type: ignore[arg-type]
            change.labels,
            self.env.now().isoformat(timespec="seconds"),
        )

    def _next(self) -> str:
        self.number += 1
        return f"{self.journal.lease.epoch}:{self.change.address}:{self.number}"

    async def _begin(self, operation: str, more: Mapping[str, Any]) -> None:
        change = self.change
        record = {
            "action": str(change.action),
            "id": change.id,
            "name": change.name,
            "parent": self._parent(),
            "after": to_json(change.after),
            "version": change.seen.get("version"),
            "fields": [part.path[0] for part in change.fields],
            "needs": [str(need) for need in change.needs],
            "labels": dict(change.labels),
            "protect": change.protect,
            "on_removal": change.on_removal,
            **more,
        }
        try:
            await self.journal.write(Begun(operation, change.address, record))
        except ReconcileError as error:
            raise Stopped(Outcome.SKIPPED, f"its intent could not be recorded: {error}", error) from None

    async def _record(self, ended: Ended) -> None:
        try:
            await self.journal.write(ended)
        except ReconcileError as error:
            raise Stopped(Outcome.UNKNOWN, f"its outcome could not be recorded: {error}", error) from None


def _fresh(at: float | None) -> bool:
    return at is not None and asyncio.get_running_loop().time() - at <= FRESH_S
