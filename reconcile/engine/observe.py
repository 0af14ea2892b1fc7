"""
API → observed: reads what the files and the state name, joins it with both, and shows the planner each sighting.

A listing is joined page by page and dropped; nothing here grows with pages times models. What a listing lacks is
read by id before it is called gone (docs/architecture.md, "Reading").
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from reconcile.core.address import Address
from reconcile.core.events import ReadingAdvanced, ReadingDone, ReadingStarted
from reconcile.core.owned import with_group
from reconcile.core.plan import Action
from reconcile.core.planner import Planner
from reconcile.core.ports import Document, Env, Secrets, Store
from reconcile.core.resource import Alias, Desired, Entry, Observed, Page, Reading, Target
from reconcile.core.resource_type import Named, ResourceType, target_of
from reconcile.core.schema import Mark, fields_of
from reconcile.core.sighting import Match, Sighting
from reconcile.core.trust import TRUSTED, Trust
from reconcile.core.values import SecretRef
from reconcile.engine import answers
from reconcile.engine.family import Families, recorded
from reconcile.engine.leaving import Leaving
from reconcile.engine.pool import each
from reconcile.engine.unanswered import UNANSWERED
from reconcile.errors import AccessDenied, BadAnswer, InvalidInput, NotAllowed, Problem

_BATCH = 1000


class Observer:
    """
    Reads every type of one provider that the document or the state uses.

    Args of the constructor:
        api: what the provider's `connect` returned.
        types: the provider's types by path, in the order of their references.
        workers: how many families are read at once.
        trust: how far the document is trusted.
    """

    def __init__(
        self,
        *,
        api: Any,
        types: Mapping[str, ResourceType],
        document: Document,
        store: Store,
        secrets: Secrets,
        planner: Planner,
        env: Env,
        workers: int = 16,
        uncertain: Mapping[Address, Mapping[str, Any]] | None = None,
        trust: Trust = TRUSTED,
    ) -> None:
        self.api, self.types, self.document, self.store = api, types, document, store
        self.secrets, self.planner, self.env, self.workers = secrets, planner, env, workers
        self.uncertain, self.trust = uncertain or {}, trust
        self.broken: set[str] = set()  # types whose listing did not end

    async def run(self) -> None:
        """Reads everything. What does not answer is noted in the plan; nothing of that kind is raised."""
        for path, kind in self.types.items():
            if path.count(".") == 1:
                await _Roots(self, kind).run()

    def parts(self, root: ResourceType) -> list[ResourceType]:
        """The types of what hangs on a root."""
        return [kind for path, kind in self.types.items() if path.startswith(f"{root.path}.")]

    def needs_of(self, kind: ResourceType) -> set[str]:
        """Types that must have been read before references of `kind` can be resolved."""
        return {spec.names for spec in fields_of(kind.Model).values() if spec.names}

    async def read(self, kind: ResourceType, at: Target, prior: Entry | None) -> Reading:
        """
        One unit, by itself; `prior` is what the state has of it. Raises as `ResourceType.read`.

        Raises:
            NotAllowed: a credential of its own may not be opened in this document.
        """
        for reference in at.attrs.values():  # its own are the default of no setting
            if isinstance(reference, SecretRef) and (refusal := self.trust.refusal(reference)) is not None:
                raise NotAllowed(refusal)
        return await answers.read(kind, self.api, at, prior)

    async def strangers(self, kind: ResourceType, targets: Mapping[int, Target]) -> dict[int, str]:
        """Those of an untrusted document for which neither the state nor anybody else vouches, and what names each."""
        if not self.trust.untrusted:
            return {}
        found = {handle: unit for handle, at in targets.items() if (unit := kind.stranger(self.api, at)) is not None}
        known = {*await self.store.by_unit(kind.path, sorted(set(found.values()))), *self.trust.agents}
        return {handle: unit for handle, unit in found.items() if unit not in known}

    async def matches(self, kind: ResourceType, want: Desired, prior: Entry | None) -> dict[str, Match]:
        """By secret field, how the value behind its reference compares with what was recorded."""
        found: dict[str, Match] = {}
        shape = fields_of(kind.Model)
        for name, value in want.attrs.items():
            if not isinstance(value, SecretRef) or Mark.CREDENTIAL in shape[name].marks:
                continue
            try:
                secret = await self.secrets.open(value)
            except InvalidInput as closed:
                found[name] = Match.NOT_ALLOWED if isinstance(closed, NotAllowed) else Match.UNRESOLVED
                self.planner.plan.unresolved_secrets += 1
                continue
            recorded = prior.prints.get(name) if prior else None
            if not recorded:
                found[name] = Match.NO_RECORD
            else:
                same = self.secrets.matches(recorded, secret)
                found[name] = Match.OTHER_KEY if same is None else Match.SAME if same else Match.CHANGED
        return found


class _Roots:
    """One root type: its listing, what the files name of it, and what leaves."""

    def __init__(self, observer: Observer, kind: ResourceType) -> None:
        self.observer, self.kind = observer, kind
        self.document, self.store, self.planner = observer.document, observer.store, observer.planner
        self.families = Families(observer, kind)
        self.claimed: dict[str, int] = {}  # unit id → handle
        self.loose: dict[str, tuple[Observed, datetime]] = {}  # live, in the state, named by no file (yet)
        self.matched: set[int] = set()
        self.read = 0
        self.unmanaged = 0
        self.selected = False  # only what is named was read
        self.spare: dict[int, tuple[Observed, datetime]] = {}  # of this name too, where the state knows another one
        self.wanted = self.held = 0
        self.complete = True

    async def run(self) -> None:
        kind, document = self.kind, self.document
        wanted = self.wanted = document.count(kind.path)
        held = self.held = await self.store.count(kind.path)
        if not wanted and not held and not self._users_wanted() and not self._used_leaves():
            return
        if broken := self.observer.needs_of(kind) & self.observer.broken:
            cause = BadAnswer(f"not read, because {', '.join(sorted(broken))} did not answer")
            self.planner.unread(kind.path, None, cause, False)
            return
        emit = self.observer.env.emit
        emit(ReadingStarted(kind.path, kind.noun, wanted or None))
        try:
            async for page in self._listing():
                await self._page(page)
                self._advanced(len(page.members))
        except UNANSWERED as error:
            self.complete = False
            self.observer.broken.add(kind.path)
            self.planner.unread(kind.path, None, error, isinstance(error, AccessDenied))
        if self.complete:
            await self._absent()
            self.planner.usage.claims(self.claimed)
            await Leaving(self.observer, kind, self.claimed, self.loose).run()
            if self.unmanaged and self.planner.options.refresh and not self.selected:
                self.planner.plan.unmanaged[kind.path] = self.unmanaged
        emit(ReadingDone(kind.path, self.read, self.complete))

    def _advanced(self, count: int) -> None:
        self.read += count
        self.observer.env.emit(ReadingAdvanced(self.kind.path, self.read))

    def _users_wanted(self) -> bool:
        return any(
            self.document.count(path)
            for path, other in self.observer.types.items()
            if self.kind.path in self.observer.needs_of(other)
        )

    def _used_leaves(self) -> bool:
        """Whether something leaves that units of this type may use: then even those that no file names count."""
        needs = self.observer.needs_of(self.kind)
        changes = self.planner.plan.changes if needs else ()
        return any(change.action is Action.DELETE and change.address.type_path in needs for change in changes)

    async def _listing(self) -> AsyncIterator[Page]:
        if self.planner.options.refresh:
            if self.kind.listed == "unit":
                return
            chosen = await self.kind.selection(self.observer.api, Named(self.wanted + self.held, self._named))
            self.selected = chosen is not None
            async for page in chosen or self.kind.listing(self.observer.api, None):
                yield page
            return
        batch: list[Observed] = []
        for entry in self.store.entries(self.kind.path):
            batch.append(recorded(self.kind, entry, self.planner))
            if len(batch) == _BATCH:
                yield Page(batch, self.observer.env.now())
                batch = []
        yield Page(batch, self.observer.env.now())

    def _named(self) -> Iterator[tuple[str | None, str]]:
        """Every unit that the files or the state name: its id (or alias) and its name."""
        for handle in self.document.roots(self.kind.path):
            want = self.document.at(handle)
            yield self.kind.unit(want.attrs, want.address.key)
        for address, id in self.store.units(self.kind.path):
            yield id, address.key

    # -- what the files name ----------------------------------------------------------------------------------------

    async def _page(self, page: Page) -> None:
        kind, path = self.kind, self.kind.path
        fresh: list[tuple[int | None, Observed]] = []
        for seen in page.members:
            if seen.id in self.claimed or seen.id in self.loose:
                continue  # pages shift while they are read: the same unit twice
            if path in self.planner.referred:
                self.planner.live(kind, seen)
            handle = self.document.find(path, seen.id, seen.name, seen.aliases)
            if handle is not None and kind.names != "unique" and not await self._meant(handle, seen, page.now):
                handle = None
            if handle is not None and handle in self.matched:
                handle = None
            if handle is not None:
                self.claimed[seen.id] = handle
                self.matched.add(handle)
            fresh.append((handle, seen))
        by_unit = await self.store.by_unit(path, [seen.id for handle, seen in fresh if handle is None])
        for handle, seen in fresh:
            if handle is None:
                self.planner.usage.holds(kind, seen, None)
                self.planner.usage.uses(kind, seen, seen.name or seen.id)
                if seen.id in by_unit:
                    self.loose[seen.id] = seen, page.now
                else:
                    self.unmanaged += 1
        pairs = [(handle, seen, page.now) for handle, seen in fresh if handle is not None]
        await self.families.join(pairs)
        await asyncio.sleep(0)

    async def _meant(self, handle: int, seen: Observed, now: datetime) -> bool:
        """Whether a live one is what the files mean, where several may have one name: the state's, else the first."""
        want = self.document.at(handle)
        if self.kind.unit(want.attrs, want.address.key)[0] in (seen.id, *seen.aliases):
            return True
        entry = (await self.store.get([want.address])).get(want.address)
        if entry is not None and entry.id != seen.id:
            self.spare.setdefault(handle, (seen, now))
            return False
        if handle in self.matched and entry is None and self.kind.names != "newest":
            self._twice(want, seen)
        return handle not in self.matched

    # -- what the listing lacks -------------------------------------------------------------------------------------

    async def _absent(self) -> None:
        """What the files name and the listing lacks: renamed by somebody, gone, or not made yet."""
        kind = self.kind
        absent = [handle for handle in self.document.roots(kind.path) if handle not in self.matched]
        for start in range(0, len(absent), _BATCH):
            wants = [(handle, self.document.at(handle)) for handle in absent[start : start + _BATCH]]
            entries = await self.store.get([want.address for _, want in wants])
            strangers = await self.observer.strangers(kind, {handle: self._target(want) for handle, want in wants})
            found: list[tuple[int, Observed, datetime]] = []
            lost: list[tuple[int, Desired, Entry | None, str | None]] = []

            async def look(
                piece: tuple[int, Desired],
                entries: Mapping[Address, Entry] = entries,
                found: list[tuple[int, Observed, datetime]] = found,
                lost: list[tuple[int, Desired, Entry | None, str | None]] = lost,
                strangers: Mapping[int, str] = strangers,
            ) -> None:
                handle, want = piece
                entry = entries.get(want.address)
                if kind.listed == "unit" and self.planner.passes_over(want.address, want.block):
                    return
                id, _ = kind.unit(want.attrs, want.address.key)
                # Of what is made by us, other bytes under its key are the same resource: that is refused, with both.
                if entry is not None and (id is None or kind.names == "newest") and entry.id in self.loose:
                    seen, now = self.loose.pop(entry.id)
                    found.append((handle, seen, now))
                    return
                made = entry is None and kind.lifecycle(want.attrs).create
                if made and (kind.names == "unique" or not self.planner.options.refresh):
                    lost.append((handle, want, None, None))
                    return
                if handle in strangers:
                    self.planner.stranger(kind.path, want.address, strangers[handle], want.block)
                    self._keeps(handle, entry)
                    return
                try:
                    reading = await self._found(want, entry)
                except UNANSWERED as error:
                    self.planner.unread(kind.path, want.address, error, isinstance(error, AccessDenied), want.block)
                    self._keeps(handle, entry)
                    return
                except InvalidInput as wrong:  # where its own endpoint or credentials are written
                    for problem in wrong.problems:  # what is wrong with the provider's settings is said as it is
                        own = replace(problem, where=want.where, address=want.address)
                        self.planner.problem(problem if problem.address else own)
                    return
                self._advanced(kind.listed == "unit")
                if reading.seen is None and handle in self.spare:
                    found.append((handle, *self.spare[handle]))
                elif reading.seen is None:
                    lost.append((handle, want, entry, None))
                elif made and reading.seen.id in self.claimed:  # that one is another's; names need not be unique
                    lost.append((handle, want, None, reading.seen.id))
                elif reading.seen.id in self.claimed:
                    self._twice(want, reading.seen)
                else:
                    found.append((handle, reading.seen, reading.now or self.observer.env.now()))

            await each(wants, look, self.observer.workers)
            found.sort(key=lambda piece: piece[0])
            doubled = answers.doubled(kind, [(handle, seen) for handle, seen, _ in found])
            for handle, lie in doubled.items():
                want = self.document.at(handle)
                self.planner.unread(kind.path, want.address, lie, False, want.block)
                self._keeps(handle, entries.get(want.address))
            found = [piece for piece in found if piece[0] not in doubled]
            for handle, seen, _ in list(found):
                if self.claimed.setdefault(seen.id, handle) != handle:
                    self._twice(self.document.at(handle), seen)
                    continue
                if kind.path in self.planner.referred:
                    self.planner.live(kind, seen)
                self.matched.add(handle)
            await self.families.join([piece for piece in found if self.claimed[piece[1].id] == piece[0]])
            for handle, want, entry, namesake in sorted(lost, key=lambda piece: piece[0]):
                await self._not_live(handle, want, entry, namesake)

    async def _found(self, want: Desired, entry: Entry | None) -> Reading:
        """By the id that the state knows first, where that is of what the files name; by what they name it after."""
        kind = self.kind
        named, name = kind.unit(want.attrs, want.address.key)
        if entry is not None and (named is None or isinstance(named, Alias)):
            known, _ = kind.unit(entry.attrs, entry.address.key)
            if named is None or kind.names == "newest" or named == known:
                reading = await self.observer.read(
                    kind, target_of(kind, want.address, want.attrs, entry.id, name), entry
                )
                if reading.seen is not None or (named is None and name == entry.id):
                    return reading
        return await self.observer.read(kind, self._target(want), entry)

    def _keeps(self, handle: int, entry: Entry | None) -> None:
        """The files name what the state has under this address; that it was not read is no reason to let it go."""
        if entry is not None:
            self.claimed.setdefault(entry.id, handle)

    def _target(self, want: Desired) -> Target:
        """What the files name it by."""
        name = self.kind.unit(want.attrs, want.address.key)[1]
        return target_of(self.kind, want.address, want.attrs, None, name)

    def _twice(self, want: Desired, seen: Observed) -> None:
        handle = self.claimed.get(seen.id)
        if handle is None:  # two that are live have the one name that the files say
            self.planner.problem(
                Problem(
                    f"two live {self.kind.noun}s are named {seen.name!r}, one of them {seen.id}",
                    want.where,
                    want.address,
                    hint="Say which one is meant by its id",
                )
            )
            return
        other = self.document.at(handle)
        self.planner.problem(
            Problem(
                f"two {self.kind.noun}s are one unit: {other.address} ({other.where}) is {seen.id}, which is named"
                f" {seen.name!r}",
                want.where,
                want.address,
                hint="Remove one of them, or give this one its own id",
            )
        )

    async def _not_live(self, handle: int, want: Desired, entry: Entry | None, namesake: str | None) -> None:
        kind = self.kind
        if not kind.lifecycle(want.attrs).create:
            id, name = kind.unit(want.attrs, want.address.key)
            unit = repr(name) if id is None else id if "://" in id else id.replace(":", " ")  # an alias: `field:value`
            self.planner.missing(kind, want.address, unit, want.where, want.block)
            return
        matches, now = await self.observer.matches(kind, want, None), self.observer.env.now()
        self.planner.see(kind, Sighting(want, None, now, entry, matches=matches, namesake=namesake), handle)
        for child in self.document.children(handle):  # what hangs on it is made with it
            part = self.observer.types[child.address.type_path]
            child = with_group(part, child)
            matches = await self.observer.matches(part, child, None)
            self.planner.see(part, Sighting(child, None, now, matches=matches), handle)
