"""
The story over a World: load → observe → plan → apply.

A `World` is everything that the story touches; `wiring` makes it from a command line, a test from its own parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from reconcile.core.address import Address
from reconcile.core.asks import Joining, secrets_of
from reconcile.core.bindings import APPLIED, KEYED, Bindings, check_bindings, check_head, refuse_moved
from reconcile.core.dump import dump_of
from reconcile.core.empty import EmptyDocument
from reconcile.core.events import Noted
from reconcile.core.failures import FailureBudget
from reconcile.core.guard import refuse, refuse_not_compared
from reconcile.core.history import About
from reconcile.core.lost import attempt_of
from reconcile.core.options import Options, unusual
from reconcile.core.plan import Plan
from reconcile.core.planner import Planner
from reconcile.core.policy import judge
from reconcile.core.ports import Document, Ended, Env, Head, Limit, Moved, Secrets, Store
from reconcile.core.resource import Entry, Status
from reconcile.core.resource_type import Binding, ResourceType
from reconcile.core.selection import Survey
from reconcile.core.trust import TRUSTED, Trust
from reconcile.core.values import Secret, SecretRef
from reconcile.engine.apply import Apply, Result, Stop, outcome_of
from reconcile.engine.journal import Journal, acquire
from reconcile.engine.observe import Observer
from reconcile.engine.opened import digests, open_secrets, still_not_compared, written
from reconcile.engine.recover import Recovery
from reconcile.engine.send import Outcome
from reconcile.engine.settle import Settle
from reconcile.engine.uploads import files_are_there
from reconcile.engine.words import verb_of
from reconcile.errors import NotAllowed, Problem, ReconcileError, Refused, StateError

SURVEYED_AT_ONCE = 1_000  # resources, before anything else may run
CEILING_PER_S = 1_500.0  # writes a second of one process with its journal, seen on a laptop

__all__ = [
    "Apply",
    "Hands",
    "Outcome",
    "Planned",
    "Result",
    "SavedPlan",
    "Stop",
    "World",
    "absent_allowed",
    "apply_fleet",
    "apply_saved",
    "bind",
    "lease_on",
    "lock",
    "move_state",
    "plan_fleet",
    "unread_allowed",
    "verb_of",
    "waiting",
]


@dataclass(slots=True)
class World:
    """
    Everything that a run touches.

    Attributes:
        types: resource types by path, of every provider that the document or the state uses.
        connect: by provider, makes the API and says which account at which host it is. Sends nothing.
        guard: sets what is called right before every request, with its method and the number of the attempt.
        requests: how many requests were sent so far; http_s: seconds during which one was under way.
        tool: version of reconcile.
        lineage: for the state that a first apply makes.
        make_key: sees to a key by which secrets that are about to be written are recorded.
        late_s: by provider, how long after its intent a request may still arrive: as long as its client waits for an
            answer, and the lag.
        trust: how far the document is trusted.
        barred: by provider, why it was not connected: an untrusted document may not have its credentials opened.
        about: who runs this, from where, with which version.
        max_failures: how many changes of a type may fail in one apply, in place of `limits.failures`.
        waits: whether it is waiting for another run.
        failures: what went wrong beside the story and changes nothing of what it did: told at its end.
    """

    document: Document
    types: Mapping[str, ResourceType]
    connect: Mapping[str, Callable[[], Awaitable[tuple[Any, Binding]]]]
    store: Store
    secrets: Secrets
    env: Env
    guard: Callable[[Callable[[str, int], None]], None]
    requests: Callable[[], int]
    http_s: Callable[[], float]
    tool: str
    lineage: str
    make_key: Callable[[], Awaitable[None]]
    workers: int = 16
    late_s: Mapping[str, float] = field(default_factory=dict)
    apis: dict[str, Any] = field(default_factory=dict)
    accounts: dict[str, tuple[str, str]] = field(default_factory=dict)
    trust: Trust = TRUSTED
    barred: dict[str, NotAllowed] = field(default_factory=dict)
    failures: list[ReconcileError] = field(default_factory=list)
    max_failures: Limit | None = None
    about: About = field(default_factory=About)
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """
    A plan, and what is known of how it was made.

    Attributes:
        read_at: the loop's time at which its reading began: what is younger than 30 s is not read again. None when
            the API was not asked.
        per_s: how many writes a second to expect, judged by how long the readings took.
        learned: entries that say now what only this reading could tell; `remember` records them.
    """

    plan: Plan
    read_at: float | None
    per_s: float | None = None
    learned: Sequence[Entry] = ()


async def surveyed(world: World, options: Options) -> frozenset[str] | None:
    """
    The providers of which the options select something; None where they select nothing in particular.

    Raises:
        InvalidInput: a selection that names nothing in the files or the state.
    """
    survey = Survey(options)
    if not survey.narrows:
        return None
    for met, want in enumerate(world.document.resources(), 1):
        kind = world.types[want.address.type_path]
        survey.meets(want.address, want.block, secret=bool(secrets_of(kind, want)))
        if not met % SURVEYED_AT_ONCE:
            await asyncio.sleep(0)
    async for entries in world.store.entries():
        for entry in entries:
            survey.meets(entry.address, None, secret=bool(entry.prints))
    survey.check()
    return frozenset(survey.providers) if options.targets or options.excludes else None


async def connect(world: World, providers: Collection[str] | None = None) -> None:
    """
    Connects every provider once, or of `providers` those that are not connected yet.

    Raises:
        Refused: the state belongs to another account or host.
        InvalidInput: a credential is missing.
    """
    for name, connecting in world.connect.items():
        if name in world.apis or name in world.barred or (providers is not None and name not in providers):
            continue
        try:
            world.apis[name], binding = await connecting()
            world.accounts[name] = (binding.account, binding.host)
        except NotAllowed as barred:
            if not world.trust.untrusted:
                raise
            world.barred[name] = barred
    head = await world.store.head()
    if head is not None:
        check_head(head, world.document.fleet, world.accounts, str(world.store))


async def plan_fleet(world: World, options: Options, expires: timedelta | None = None) -> Planned:
    """
    What would change. Takes no lock and writes nothing.

    Raises:
        InvalidInput: a device or app that the account lacks.
        Refused: the state belongs to something else.
        StateError: the state cannot be used.
    """
    providers = await surveyed(world, options)
    await connect(world, providers)
    options = replace(options, untrusted=world.trust.untrusted)
    read_at, before, spent = asyncio.get_running_loop().time(), world.requests(), world.http_s()
    head = await world.store.head()
    document = EmptyDocument(world.document) if options.destroy else world.document

    def protects(address: Address) -> bool:
        want = world.document.get(address) if options.destroy else None
        return want is not None and bool(want.protect)

    planner = Planner(world.types, document, _bindings(world, options, head, expires), options, protects)
    uncertain = {intent.address: attempt_of(intent) for intent in await world.store.unfinished()}
    for name, api in world.apis.items():
        if providers is not None and name not in providers:
            continue
        types = {path: kind for path, kind in world.types.items() if path.partition(".")[0] == name}
        joining = Joining(types, document, planner, world.env.now(), uncertain)
        await Observer(api, joining, world.store, world.secrets, world.env, world.workers, world.trust).run()
    for path in world.types:
        barred = world.barred.get(path.partition(".")[0])
        if barred and path.count(".") == 1 and (document.count(path) or await world.store.count(path)):
            planner.unread(path, None, barred)
    held = {path: await world.store.count(path) for path in world.types}
    wanted = sum(document.count(path) for path in world.types)
    made = planner.finish(world.document.limits, held, wanted)
    files_are_there(made, Path(world.document.directory))
    if not options.refresh_only:
        judge(made, world.document.policies, world.types)
    made.requests = world.requests() - before
    if any(change.drifted for change in made.changes):
        made.last_run = await _last_run(world.store)
    made.warnings[:0] = world.document.warnings
    seconds = world.http_s() - spent
    worth_saying = seconds > 0 and made.expected_requests >= 100
    per_s = min(world.workers * made.requests / seconds, CEILING_PER_S) if worth_saying else None
    return Planned(made, read_at if options.refresh else None, per_s, planner.learned)


async def _last_run(store: Store) -> dict[str, Any] | None:
    """Who applied last, as far as the history goes back."""
    async with aclosing(store.runs()) as batches:
        async for runs in batches:
            for run in runs:
                if run.about.command in ("apply", "destroy"):
                    about, at = run.about, run.ended or run.begun
                    who = {"by": about.by, "host": about.host, "job": about.job, "commit": about.commit}
                    return {"at": at, "command": about.command, **who}
    return None


async def remember(planned: Planned, journal: Journal) -> None:
    """Records what a reading told of units, under the lease and before anything is sent; no run, so no new serial."""
    if planned.learned:
        await journal.write(Ended("learned", tuple(planned.learned)))


def _bindings(world: World, options: Options, head: Head | None, expires: timedelta | None) -> Bindings:
    now = world.env.now()
    return Bindings(
        world.document.fleet,
        world.document.path,
        head.lineage if head else None,
        head.serial if head else None,
        world.document.digest,
        _variables(world),
        dict(world.accounts),
        world.tool,
        now.isoformat(timespec="seconds"),
        (now + expires).isoformat(timespec="seconds") if expires else None,
        options,
        run=head.run if head else None,
    )


def _variables(world: World) -> str:
    """The digest of the variables; "" without a key: a PIN among them could be tried out against a bare one."""
    keyed = world.secrets.keyed("plan variables", world.document.variables)
    return KEYED + keyed if keyed is not None else ""


async def bind(world: World, plan: Plan) -> None:
    """
    Binds a plan that is about to be saved to the variables and to the values of the secrets that it writes. With a key
    that seals it, it holds the variables that the command line gave; without one, their names.
    """
    keyed = _variables(world)
    given = {name: value if keyed else None for name, value in world.document.given.items()}
    plan.bindings = replace(plan.bindings, variables=keyed, secrets=await digests(world.secrets, plan), given=given)


def writes_secrets(plan: Plan) -> bool:
    """Whether the plan writes a secret, so that there has to be a key to record it with."""
    return next(written(plan), None) is not None


async def unread_allowed(world: World, plan: Plan) -> bool:
    """
    Whether what did not answer is within `limits.unread`: named, left alone, and no reason to fail.

    A listing that did not answer hides how many resources it has, so it is never within. Ask before anything is
    applied: a share is of what the state held then.
    """
    limit = world.document.limits.get("unread", Limit(number=0))
    silent: dict[str, set[Address]] = {}
    for unread in plan.unread:
        if unread.allow is not None:
            continue  # nobody asked it
        if unread.address is None or unread.denied:
            return False
        silent.setdefault(unread.address.type_path, set()).add(unread.address)
    if limit.share is None:
        return sum(map(len, silent.values())) <= (limit.number or 0)
    for path, addresses in silent.items():
        if len(addresses) > int(limit.share * await world.store.count(path)):
            return False
    return True


async def absent_allowed(world: World, plan: Plan) -> bool:
    """Whether what is not there yet is within `limits.absent`, type by type; what only waits for it is not counted."""
    limit = world.document.limits.get("absent", Limit(number=0))
    lacking: dict[str, int] = {}
    for absent in plan.absent:
        if not absent.waits:
            path = absent.address.type_path
            lacking[path] = lacking.get(path, 0) + 1
    for path, count in lacking.items():
        most = limit.number or 0
        if limit.share is not None:
            live = plan.in_sync.get(path, 0) + sum(change.address.type_path == path for change in plan.changes)
            most = int(limit.share * (await world.store.count(path) or live))
        if count > most:
            return False
    return True


async def lock(world: World, wait_s: float) -> Journal:
    """
    The lease on the state, which is made if there is none; checked before every request.

    Raises:
        Locked: another run has it. Refused: it was moved.
    """
    journal = await lease_on(world, world.store, world.lineage, wait_s)
    head = await world.store.head()
    if head is not None and head.moved is not None:
        await world.store.release(journal.lease)
        refuse_moved(str(world.store), head.moved)
    world.guard(journal.check)
    return journal


async def lease_on(world: World, store: Store, lineage: str, wait_s: float) -> Journal:
    """The lease on a state, whatever stands in it; of one that is not there a state of this lineage. Raises Locked."""
    world.waits = True
    try:
        return await acquire(
            store,
            env=world.env,
            lineage=lineage,
            fleet=world.document.fleet,
            wait_s=wait_s,
            not_released=world.failures.append,
        )
    finally:
        world.waits = False


async def move_state(world: World, here: Store, there: Store) -> list[str]:
    """
    Moves a fleet's state to another place, with its history, its open operations and the plans that were applied. From
    then on nobody goes on with the one that was here. Done again where it was broken off, it goes on.

    Returns:
        What was done, in sentences.

    Raises:
        Refused: there is nothing to move, or there is another state, or a newer one, where it should go.
        Locked: a run holds one of them.
    """
    before = await here.head()
    if before is None:
        raise Refused(Problem(f"there is no state in {here}", hint="The first apply makes one"))
    if str(here) == str(there):
        raise Refused(Problem(f"the state is in {here} already", hint="Name two places"))
    place = str(there)
    if before.moved is not None and before.moved.place != place:
        refuse_moved(str(here), before.moved)
    if before.moved is not None and before.moved.done:
        return [f"The state in {here} was moved to {place} before."]
    async with (
        await lease_on(world, here, before.lineage, 0) as source,
        await lease_on(world, there, before.lineage, 0) as target,
    ):
        head, found = await here.head(), await there.head()
        assert head is not None and found is not None
        if found.lineage != head.lineage:
            what = f"{place} holds a state of another lineage, {found.lineage}"
            raise Refused(Problem(what, hint="Look whose it is; another place or another fleet's name is free"))
        if found.serial > head.serial and head.moved is None:
            what = f"{place} holds a newer state: serial {found.serial}, and {here} has {head.serial}"
            raise Refused(Problem(what, hint="Go on with that one"))
        await here.mark(source.lease, Moved(place, done=False))
        if found.serial <= head.serial:
            dump = dump_of("".join([piece async for piece in here.pull()]))
            await there.mark(target.lease, None)
            about = replace(world.about, command="state copy", planned=len(dump.entries))
            await there.replace(target.lease, replace(dump, head=replace(dump.head, serial=head.serial + 1)), about)
        runs = [run async for batch in here.runs() for run in batch]
        for run in reversed(runs):
            await there.remember(target.lease, run, [one async for batch in here.changes(run.id) for one in batch])
        await here.mark(source.lease, Moved(place, done=True))
        entries, landed = await there.count(), await there.head()
    serial = landed.serial if landed is not None else 0
    return [
        f"Moved to {place}: {entries:,} entries and {len(runs):,} runs, as serial {serial}.",
        f"The state in {here} is not used any more; `state copy` the other way round is the way back.",
    ]


@asynccontextmanager
async def held(world: World, wait_s: float, made: Plan | None = None) -> AsyncIterator[Journal]:
    """
    The lease, over a state in which nothing is unfinished and that is still the one that a plan was made for.

    Args:
        made: the plan, if it was made before.

    Raises:
        Locked: another run has it. Refused: the plan is for something else than what is here by now.
    """
    try:
        async with await lock(world, wait_s) as journal:
            if made is not None:
                await check_plan(world, made)
            # What an earlier run left open is read back before anything else is done, of whatever provider.
            await connect(world, {intent.address.provider for intent in await world.store.unfinished()})
            recovery = Recovery(journal, world.store, world.types, world.apis, world.env, world.late_s, world.workers)
            for sentence in await recovery.run():
                world.env.emit(Noted(sentence))
            yield journal
    finally:
        world.guard(lambda method, attempt: None)  # what is read afterwards needs no lease


async def check_plan(world: World, plan: Plan) -> None:
    """
    Refuses a plan that is for something else than what is here now.

    Raises:
        Refused: naming the first thing that differs.
    """
    head = await world.store.head()
    here = _bindings(world, Options(), head, None)
    if not plan.bindings.variables.startswith(KEYED):  # of an earlier version: a bare digest
        here = replace(here, variables=world.document.variables)
    check_bindings(plan.bindings, here, world.env.now())
    if plan.bindings.lineage is None and await world.store.unfinished():
        raise Refused(Problem("another run began after the plan was made", hint="Plan again"))


# -- the stories ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hands:
    """
    What a story does through whoever runs it.

    Attributes:
        show: tells what was planned. May raise, and then nothing is done.
        ask: asks for the approval of a plan; also gets the one that was approved before it, if any. Raises without it.
        stop: gets what carries the plan out, so that a signal can stop it.
    """

    show: Callable[[Planned], Awaitable[None]]
    ask: Callable[[Plan, Plan | None], Awaitable[None]]
    stop: Callable[[Apply], None]


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan of a file, and the digest of that, so that it is not applied twice."""

    plan: Plan
    digest: str


Applied = tuple[Plan, Sequence[Result]]
"""The plan that was carried out, and what became of each change."""


async def apply_fleet(
    world: World, options: Options, hands: Hands, wait_s: float, saved: SavedPlan | None = None
) -> Applied:
    """
    Plans, shows that, asks, and carries it out.

    Another run's changes would make a plan stale: so the lease comes first, once there is a state. Where there is
    none, a plan that nobody wants must not make one: so it is made first, and anew where another run was quicker.

    Args:
        wait_s: how long to wait for another run.
        saved: the plan of a file that nobody vouches for, in place of which this is planned: it must be for what is
            here, and not applied yet.

    Raises:
        Locked: another run holds the state.
        Refused: the plan is blocked, or for something else than what is here by now.
        InvalidInput: a secret has no value, or (Refused) another one. Nothing was sent.
    """
    await connect(world, await surveyed(world, options))
    if saved is not None:
        await _is_new(world, saved)
        await check_plan(world, saved.plan)
    file, digest = (saved.plan, saved.digest) if saved is not None else (None, None)
    if await world.store.head() is not None:
        if file is not None:
            refuse(file)
        async with held(world, wait_s, file) as journal:
            planned = await _agreed(world, options, hands)
            await remember(planned, journal)
            return planned.plan, await _carry_out(world, planned, journal, hands, digest)
    planned = await _agreed(world, options, hands)
    if not planned.plan.changes and saved is None:
        return planned.plan, ()
    # Before there is a state: without a value of a secret none is made.
    opened: dict[SecretRef, Secret] | None = await open_secrets(world.secrets, planned.plan)
    async with held(world, wait_s, planned.plan if saved is not None else None) as journal:
        if saved is None and await _overtaken(world):
            world.env.emit(Noted("Another run made the state meanwhile, so this is planned again."))
            planned = await _agreed(world, options, hands, planned.plan)
            await remember(planned, journal)
            opened = None
        return planned.plan, await _carry_out(world, planned, journal, hands, digest, opened)


async def apply_saved(world: World, saved: SavedPlan, hands: Hands, wait_s: float) -> Applied:
    """
    Carries out a plan that its seal vouches for.

    Raises:
        Locked, Refused, InvalidInput: as `apply_fleet`.
    """
    planned = Planned(saved.plan, None)
    await _is_new(world, saved)
    await hands.show(planned)
    await connect(world, saved.plan.bindings.accounts)
    await check_plan(world, saved.plan)
    refuse(saved.plan)
    opened = await open_secrets(world.secrets, saved.plan) if await world.store.head() is None else None
    async with held(world, wait_s, saved.plan) as journal:
        await _compare_now(world, saved.plan)
        return saved.plan, await _carry_out(world, planned, journal, hands, saved.digest, opened)


async def _agreed(world: World, options: Options, hands: Hands, before: Plan | None = None) -> Planned:
    """A plan that was shown, that no guard refuses, and that was approved. `before`: one that was approved already."""
    planned = await plan_fleet(world, options)
    await hands.show(planned)
    refuse(planned.plan)
    refuse_not_compared(planned.plan.not_compared, planned.plan.bindings.options.allow)
    await hands.ask(planned.plan, before)
    return planned


async def _compare_now(world: World, plan: Plan) -> None:
    """What the plan could not compare is compared before anything of it is sent. Raises Refused, InvalidInput."""
    if plan.not_compared:
        entries = await world.store.get([secret.address for secret in plan.not_compared])
        unknown = await still_not_compared(world.secrets, plan, entries)
        refuse_not_compared(unknown, plan.bindings.options.allow)


async def _is_new(world: World, saved: SavedPlan) -> None:
    if await world.store.applied(saved.digest):
        raise Refused(APPLIED)


async def _overtaken(world: World) -> bool:
    """Whether another run began first, so that a plan that was made before there was a state is of nothing now."""
    head = await world.store.head()
    return head is not None and head.serial > 0


async def _carry_out(
    world: World,
    planned: Planned,
    journal: Journal,
    hands: Hands,
    digest: str | None,
    opened: dict[SecretRef, Secret] | None = None,
) -> Sequence[Result]:
    """Sends a plan's changes under the lease; a saved plan (`digest`) of nothing is recorded as applied too."""
    plan = planned.plan
    if not plan.changes and digest is None:
        return ()
    if writes_secrets(plan):
        await world.make_key()
    refuse(plan)
    head = await world.store.head()
    if head is None:
        raise StateError("the state is gone")
    carrying = Apply(
        plan,
        world.types,
        world.apis,
        journal,
        world.secrets,
        world.env,
        plan.bindings.lineage or head.lineage,
        Path(world.document.directory),
        planned.read_at,
        world.workers,
        opened=opened if opened is not None else await open_secrets(world.secrets, plan),
        late_s=world.late_s,
        budget=FailureBudget(world.max_failures or world.document.limits.get("failures"), plan.changes),
    )
    for intent in await world.store.unfinished():
        carrying.older.setdefault(intent.address, []).append(intent.operation)
    hands.stop(carrying)
    command = "destroy" if plan.bindings.options.destroy else "apply"
    asked = {name: value for name, value in unusual(plan.bindings.options).items() if name != "destroy"}
    about = replace(world.about, command=command, plan=digest, options=asked, planned=len(plan.changes))
    begun = await world.store.begin_run(journal.lease, world.accounts, about, world.document.state.keep)
    results = await carrying.run()
    outcome, counts = outcome_of(results, carrying.stop)
    with suppress(ReconcileError):  # then it stays unfinished there
        await world.store.end_run(journal.lease, begun.run or "", outcome, counts)
    return results


async def waiting(world: World, made: Plan, results: Sequence[Result]) -> Settle:
    """The wait until units have done what the API accepted, now or before; needs no lease."""
    changed = {change.address for change in made.changes}
    pending = [row.address for row in made.unsettled if row.kind == Status.PENDING and row.address not in changed]
    entries = await world.store.get(pending) if pending else {}
    return Settle(world.types, world.apis, results, list(entries.values()), world.env, world.workers)
