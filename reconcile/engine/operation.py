"""
One change at the API: precondition, intent, request, read-back where the answer was lost, outcome.

After a lost answer nothing is repeated blindly: the unit is read back first. A restart, which cannot be, is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from reconcile.core.address import Address
from reconcile.core.events import Noted
from reconcile.core.lost import Rename, named_for_now
from reconcile.core.plan import Action, Change, FieldChange
from reconcile.core.ports import Ended, Env, Secrets
from reconcile.core.resource import Entry, Observed, Reading, Status, Target
from reconcile.core.resource_type import ResourceType, landed, naming_of, target_of
from reconcile.core.schema import Mark, fields_of
from reconcile.core.text import side_by_side, stored_otherwise
from reconcile.core.tree import same
from reconcile.core.values import Attrs, Secret, SecretRef
from reconcile.engine import answers
from reconcile.engine.done import Done
from reconcile.engine.intents import Intents
from reconcile.engine.journal import Journal
from reconcile.engine.late import outwait
from reconcile.engine.precondition import answered_otherwise, as_planned, conflict, unforeseen
from reconcile.engine.resolved import resolved
from reconcile.engine.send import LOOK_EVERY_S, Outcome, Stopped, Write
from reconcile.engine.young import Basis, fresh, resting_on
from reconcile.errors import BadAnswer, Conflict, NoAnswer, NotFound, ReconcileError


@dataclass(frozen=True, slots=True)
class _Footing:
    """What a write rests on that is none to the plan's own unit, and how that is read again when it is too old."""

    basis: Callable[[], Basis]
    refresh: Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Operation:
    """
    The requests of one change, in the order in which they are asked for.

    Attributes:
        made: ids of what this run created, by address; shared by all operations. `named`: by type and name.
        made_at: the loop's times of that.
        read_at: the loop's time at which this process read it for the plan; None for a saved plan.
        again, again_at: what a second reading found, and when by the loop's time, once there was one.
        again_now: the server's clock then, if it said so.
        as_planned: what is live is what the plan wants, though not what it saw: nothing is sent.
        late_s: how long after its intent a request of this provider may still arrive.
        stopping: whether the user wants nothing to be waited for any more.
        leaving: addresses that this plan takes out of the state.
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
    made_at: dict[Address, float]
    named: dict[tuple[str, str], str]
    read_at: float | None = None
    late_s: float = 0.0
    stopping: Callable[[], bool] = lambda: False
    leaving: Set[Address] = frozenset()
    again: Observed | None = None
    again_at: float | None = None
    again_now: datetime | None = None
    as_planned: bool = False
    started: bool = False
    begun_at: float | None = None
    intents: Intents = field(init=False)
    done: Done = field(init=False)

    def __post_init__(self) -> None:
        self.intents = Intents(self.change, self.journal)
        self.done = Done(self.change, self.kind, self.secrets, self.opened, self.env, self.lineage)

    @property
    def compares(self) -> bool:
        """
        Whether it writes to something that is there, or makes what the API would make twice: then what is live has to
        be what the plan saw. Where the API refuses a second one of a name, its refusal says so.
        """
        if self.change.action is Action.CREATE:
            return self.kind.names != "unique"
        return bool(self.change.fields) or self.change.action is Action.DELETE

    @property
    def must_read(self) -> bool:
        """Whether the precondition needs a reading."""
        return self.compares and not fresh(self.read_at)

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
            case _ if fields and self.as_planned:
                self.done.took(fields, self.again if self.kind.staging is None else None, self._parent())
                await self._record(self.intents.next())
            case _ if fields:
                await self._update(fields)
            case Action.FORGET:
                await self._let_go(self.intents.next())
            case Action.NOOP if not change.after:  # it left, and was gone already
                await self._let_go(self.intents.next())
            case _:
                await self._record(self.intents.next())

    async def _record(self, operation: str, drop: tuple[Address, ...] = ()) -> None:
        """What was done so far is what the state says. Raises Stopped."""
        await self.intents.end(Ended(operation, (self.entry(),), drop, self.done.told()))

    async def _let_go(self, operation: str) -> None:
        """The state has it no more. Raises Stopped."""
        await self.intents.end(Ended(operation, drop=(self.change.address,), told=self.done.told()))

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
        at = Target(self.change.address, id)
        read_at = 0.0

        async def holds_it() -> bool:
            nonlocal read_at
            asked = asyncio.get_running_loop().time()
            try:
                seen = (await answers.read(self.kind, self.api, at)).seen
            except ReconcileError as error:
                why = f"the unit that is let go of could not be read: {error}"
                raise Stopped(Outcome.FAILED, why, error) from None
            read_at = asked
            return seen is not None and seen.name == self.change.seen.get("former")

        async def refresh() -> None:
            if not await holds_it():
                raise Stopped(Outcome.CONFLICT, "the unit that is let go of was renamed after the plan was made")

        if await holds_it():
            await self.rename(id, name, _Footing(lambda: Basis(read_at), refresh))

    async def rename(
        self,
        id: str,
        name: str,
        footing: _Footing | None = None,
    ) -> None:
        """Gives a unit a name that frees the one another unit needs."""
        naming = naming_of(self.kind.Model)
        assert naming is not None  # only a type that has names frees one
        operation = self.intents.next()
        await self.intents.begin(operation, self._parent(), rename=Rename(id, name))
        at = Target(self.change.address, id, None, self.change.parent)
        patch = {naming: name}
        await self._send(
            operation,
            lambda: answers.update(self.kind, self.api, at, patch),
            lambda: self._landed(at, patch, operation, other=id != self.change.id),
            footing=footing,
        )
        self.done.named = self.done.named or id == self.change.id
        known = (await self.journal.store.get([self.change.address])).get(self.change.address)
        ours = known is not None and known.id == id
        await self.intents.end(Ended(operation, (named_for_now(known, naming, name),) if known and ours else ()))

    # -- precondition -----------------------------------------------------------------------------------------------

    async def _precondition(self) -> None:
        """What the plan saw must still be so, or the write is a conflict and is not carried out."""
        if not fresh(self.again_at):
            try:
                await self._read(self._target())
            except ReconcileError as error:
                raise Stopped(Outcome.FAILED, f"could not be read before the write: {error}", error) from None
        why = await self._conflict(self.again)
        if why is None:
            return
        self.as_planned = await self._is_as_planned()
        if not self.as_planned:
            raise Stopped(Outcome.CONFLICT, why)
        self.env.emit(Noted(f"{self.change.address}: it is as planned already"))

    async def _is_as_planned(self) -> bool:
        """Whether somebody did meanwhile just what is planned: then nothing is sent, and that is recorded."""
        change, seen = self.change, self.again
        if seen is None or not change.fields or change.action in (Action.CREATE, Action.DELETE):
            return False
        view = self.kind.view(seen, await self._prior(seen), self.again_now or self.env.now())
        sent = change.patch or self._sendable(_sent(self.kind, change, {part.path[0] for part in change.fields}))
        return as_planned(self.kind, change, sent, seen, view)

    async def _read(self, at: Target) -> Reading:
        """Reads it again: what is written next rests on this."""
        asked = asyncio.get_running_loop().time()
        reading = await answers.read(self.kind, self.api, at)
        self.again, self.again_at, self.again_now = reading.seen, asked, reading.now
        return reading

    async def _conflict(self, seen: Observed | None, landed: Set[str] = frozenset()) -> str | None:
        """`landed`: attributes that are as an earlier try of this write wants them."""
        now = self.again_now or self.env.now()
        return conflict(self.kind, self.change, seen, await self._prior(seen), now, self.done.ours | landed)

    async def _prior(self, seen: Observed | None) -> Entry | None:
        """The state's entry, where it is of the unit that was seen."""
        entry = (await self.journal.store.get([self.change.address])).get(self.change.address)
        return entry if entry is not None and seen is not None and entry.id == seen.id else None

    def _basis(self) -> Basis:
        """What the next write rests on: a reading, where it has to be compared; an intent, where it may come late."""
        read_at = max((at for at in (self.read_at, self.again_at) if at is not None), default=None)
        late = self.change.action is Action.CREATE and self.kind.names != "unique"
        begun_at = self.intents.begun_at if late else None
        return Basis(read_at if self.compares else None, begun_at)

    # -- the three writes -------------------------------------------------------------------------------------------

    async def _create(self) -> None:
        change, operation = self.change, self.intents.next()
        attrs, at = self._sendable(change.after), self._target()
        namesake = change.seen.get("namesake")
        begun = {"namesake": namesake, "late_s": self.late_s}
        await self.intents.begin(operation, self._parent(), **begun)

        async def verb() -> Observed:
            return await answers.create(self.kind, self.api, at, attrs)

        async def there() -> Reading:
            reading = await self._read(at)
            other = reading.seen is not None and reading.seen.id == namesake
            return replace(reading, seen=None) if other else reading

        async def again() -> Observed | None:
            seen = (await self._outwaited(there)).seen
            if seen is not None and any(isinstance(value, Secret) for value in attrs.values()):
                # It is there; whether with our value, nobody can read. Writing it says so (docs/architecture.md, "Lost
                # answers").
                return await answers.update(self.kind, self.api, replace(at, id=seen.id, alias=None), attrs)
            return seen

        try:
            seen = await self._send(operation, verb, again, begun)
        except Stopped as refused:
            # Somebody made it meanwhile; where the API keeps names unique it is the same one, if it is as planned.
            if not isinstance(refused.error, Conflict) or self.kind.names != "unique":
                raise
            found = await self._made_meanwhile(there, attrs)
            if found is None:
                raise
            seen = found
        await self._taken(operation, attrs, seen, change.fields)
        drop = await self._leaves_to(seen.id)
        self.done.took(change.fields, seen, self._parent())
        self.made[change.address], self.made_at[change.address] = seen.id, asyncio.get_running_loop().time()
        if change.name is not None:
            self.named[self.kind.path, change.name] = seen.id
        await self._record(operation, drop)

    async def _made_meanwhile(self, there: Callable[[], Awaitable[Reading]], attrs: Attrs) -> Observed | None:
        """What is there in place of what could not be made, if it has all the values that are planned; else None."""
        if any(isinstance(value, Secret) for value in attrs.values()):
            return None
        try:
            seen = (await there()).seen
        except ReconcileError:
            return None
        if seen is None or not landed(self.kind, attrs, seen):
            return None
        self.env.emit(Noted(f"{self.change.address}: it is as planned already"))
        return seen

    async def _leaves_to(self, id: str) -> tuple[Address, ...]:
        """The address that leaves this unit to the one that was just made of it. Raises Stopped when one keeps it."""
        if self.change.address.parent is not None:
            return ()
        known = (await self.journal.store.by_unit(self.kind.path, [id])).get(id)
        if known is None or known.address == self.change.address:
            return ()
        if known.address not in self.leaving:
            said = f"the API answered with {id}, which is {known.address}, as if it had just been created"
            raise Stopped(Outcome.UNKNOWN, said, BadAnswer(said))
        return (known.address,)

    async def _outwaited(self, there: Callable[[], Awaitable[Reading]]) -> Reading:
        """What is there once the request cannot arrive any more; what is there before counts at once."""
        loop, until = asyncio.get_running_loop(), (self.intents.begun_at or 0.0) + self.late_s
        found = await there()

        async def look() -> bool:
            nonlocal found
            found = await there()
            return found.seen is not None or found.begun

        wait_s = until - loop.time()
        if self.kind.names == "unique" or found.seen is not None or found.begun or wait_s <= 0:
            return found
        said = f"{self.change.address}: the request to create it may still arrive; waiting up to {wait_s:.0f} s"
        self.env.emit(Noted(said))
        if not await outwait(look, until, self.stopping):
            raise NoAnswer("it may still arrive, and the wait for it was cut short")
        return found

    async def _update(self, fields: Sequence[FieldChange]) -> None:
        operation, at = self.intents.next(), self._target()
        patch = self.change.patch or self._sendable(_sent(self.kind, self.change, {part.path[0] for part in fields}))
        if self.change.patch:
            names = tuple(sorted({part.path[0] for part in fields}))
            more = {"patch": patch, "stamp": self.change.stamp, "facts": self.done.facts}
            await self.intents.begin(operation, self._parent(), fields=names, **more)
        else:
            await self.intents.begin(operation, self._parent(), fields=tuple(sorted(patch)))
        shape = fields_of(self.kind.Model)
        triggers = any(Mark.TRIGGER in shape[part.path[0]].marks for part in fields)

        async def again() -> Observed | None:
            return None if triggers else await self._landed(at, patch, operation)

        async def verb() -> Observed:
            return await answers.update(self.kind, self.api, at, patch)

        try:
            seen = await self._send(operation, verb, again, once=triggers)
        except Stopped as lost:
            if triggers and lost.outcome is Outcome.UNKNOWN:
                self.done.took(fields, None, self._parent())
                await self._record(operation)
                raise Stopped(lost.outcome, f"{lost.detail}; it counts as done and is not sent again") from None
            raise
        if not self.change.patch:
            await self._taken(operation, patch, seen, fields)
        self.done.took(fields, seen, self._parent())
        await self._record(operation)

    async def _delete(self) -> None:
        change, operation, at = self.change, self.intents.next(), self._target()
        await self.intents.begin(operation, self._parent())

        async def delete() -> Observed:
            await self.kind.delete(self.api, at)
            return Observed(change.id or "", {})

        async def again() -> Observed | None:
            gone = (await self._read(at)).seen is None
            return Observed(change.id or "", {}) if gone else None

        await self._send(operation, delete, again)
        await self._let_go(operation)

    async def _landed(
        self, at: Target, patch: Mapping[str, Any], operation: str, other: bool = False
    ) -> Observed | None:
        """
        The unit, if it is as the patch wants it; a secret never tells, so its write is repeated instead.

        Raises Stopped when it is neither so nor as the plan saw it. `other`: the unit is not the plan's.
        """
        seen = (await (answers.read(self.kind, self.api, at) if other else self._read(at))).seen
        if seen is None or any(isinstance(value, Secret) for value in patch.values()):
            return None
        if landed(self.kind, patch, seen):
            return seen
        as_sent = {name for name, value in patch.items() if same(seen.attrs.get(name), value)}
        why = None if other else unforeseen(self.kind, self.change, seen) or await self._conflict(seen, as_sent)
        if why is not None:
            await self.intents.end(Ended(operation))
            raise Stopped(Outcome.CONFLICT, why)
        return None

    async def _taken(
        self, operation: str, sent: Mapping[str, Any], seen: Observed, fields: Sequence[FieldChange]
    ) -> None:
        """Raises Stopped when the API's own answer to a write has another value than the one that was sent."""
        name = answered_otherwise(self.kind, self.change, sent, seen)
        if name is None:
            return
        wrote, kept = sent[name], seen.attrs.get(name)
        wanted = Entry(self.change.address, seen.id, self.change.after)
        view = self.kind.view(seen, wanted, self.again_now or self.env.now())
        failed = view.detail if view.status is Status.FAILED and self.kind.staging is None else None
        if failed is None and not stored_otherwise(wrote, kept):
            await self.intents.end(Ended(operation))
            raise Stopped(Outcome.FAILED, f"the API accepted the write but answered with a different {name}")
        # It was done, and it is ours: only the unit could not do it, or not as it was sent.
        self.done.took(fields, seen, self._parent())
        await self._record(operation)
        if failed is not None:
            raise Stopped(Outcome.FAILED, failed)
        was, now = side_by_side(wrote, str(kept))
        raise Stopped(Outcome.FAILED, f"the API keeps the {name} {was} as {now}: write it as it is kept")

    async def _send(
        self,
        operation: str,
        verb: Callable[[], Awaitable[Observed]],
        read_back: Callable[[], Awaitable[Observed | None]],
        begun: Mapping[str, Any] | None = None,
        *,
        once: bool = False,
        footing: _Footing | None = None,
    ) -> Observed:
        """`begun`: with what its intent is written again where it gets too old; None = its age does not matter."""

        async def closed() -> None:
            await self.intents.end(Ended(operation))

        async def resting() -> Observed:
            rests = (footing.basis if footing else self._basis)()
            if begun is not None and rests.begun_long_ago:
                await self.intents.begin(operation, self._parent(), **begun)
                rests = self._basis()
            with resting_on(rests):
                return await verb()

        async def known() -> Observed:
            while True:
                try:
                    return await resting()
                except NotFound:  # what this run made is there, whatever a part of the API that lags behind says
                    made_at = max((self.made_at.get(need, 0.0) for need in self._rests_on()), default=0.0)
                    if asyncio.get_running_loop().time() >= made_at + self.late_s or self.stopping():
                        raise
                await asyncio.sleep(LOOK_EVERY_S)

        async def refreshed() -> None:
            try:
                await (footing.refresh if footing else self._precondition)()
            except Stopped:
                await closed()  # nothing was sent
                raise

        taken = Outcome.CONFLICT if self.change.action is Action.CREATE else Outcome.FAILED
        write = Write(known, read_back, refreshed, closed, self.journal.turn, self.env.rng, taken, once, self.late_s)
        return await write.send()

    # -- what is sent, and what is recorded -------------------------------------------------------------------------

    def _sendable(self, attrs: Mapping[str, Any]) -> dict[str, Any]:
        return resolved(self.change, attrs, self.opened, self.named, self.directory)

    def _rests_on(self) -> tuple[Address, ...]:
        """Other resources that a write names."""
        parent = self.change.address.parent
        return self.change.needs if parent is None else (*self.change.needs, parent)

    def _parent(self) -> str | None:
        parent = self.change.address.parent
        return self.change.parent or (self.made.get(parent) if parent is not None else None)

    def _target(self) -> Target:
        change = self.change
        return target_of(self.kind, change.address, change.after, self.done.id, change.name, self._parent())

    def entry(self) -> Entry:
        """What the state shall say now: what is wanted, less what is not done yet."""
        return self.done.entry(self._parent())


def _sent(rtype: ResourceType, change: Change, names: Set[str]) -> dict[str, Any]:
    """The attributes of a write, with those that travel together with them."""
    shape = fields_of(rtype.Model)
    groups = {shape[name].together for name in names} - {None}
    along = {name: value for name, value in change.along.items() if name in names or shape[name].together in groups}
    return {name: change.after[name] for name in names if name in change.after} | along
