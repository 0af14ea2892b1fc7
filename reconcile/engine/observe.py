"""
API → observed: reads what the join asks for, of the API, the state and the secrets. Nothing is decided here.

A listing is joined page by page and dropped; nothing here grows with pages times models.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconcile.core.asks import (
    Ask,
    ByUnit,
    EntriesAt,
    Joining,
    Listings,
    Matches,
    Read,
    Reads,
    Steps,
    Strangers,
    Under,
)
from reconcile.core.events import ReadingAdvanced, ReadingDone, ReadingStarted
from reconcile.core.join import Roots
from reconcile.core.leaving import leaving
from reconcile.core.ports import Env, Secrets, Store
from reconcile.core.resource import Observed, Page, Reading
from reconcile.core.resource_type import Named, ResourceType
from reconcile.core.sighting import Match
from reconcile.core.trust import TRUSTED, Trust
from reconcile.core.values import SecretRef
from reconcile.engine import answers
from reconcile.engine.pool import each
from reconcile.errors import UNANSWERED, InvalidInput, NotAllowed, ReconcileError


@dataclass(slots=True)
class Observer:
    """
    Reads every type of one provider that the document or the state uses.

    Attributes:
        api: what the provider's `connect` returned.
        workers: how many requests are under way at once.
        trust: how far the document is trusted.
    """

    api: Any
    joining: Joining
    store: Store
    secrets: Secrets
    env: Env
    workers: int = 16
    trust: Trust = TRUSTED
    _read: int = 0

    async def run(self) -> None:
        """Reads everything. What does not answer is noted in the plan; nothing of that kind is raised."""
        for rtype in self.joining.root_types():
            if self.joining.is_read(rtype, held := await self.store.count(rtype.path)):
                await self._roots(rtype, held)

    async def _roots(self, rtype: ResourceType, held: int) -> None:
        roots, wanted = Roots(self.joining, rtype), self.joining.document.count(rtype.path)
        self.env.emit(ReadingStarted(rtype.path, rtype.noun, wanted or None))
        self._read = 0
        try:
            chosen = await self._selection(roots, wanted + held)
            async for page in chosen if chosen is not None else self._listing(rtype):
                await self._answer_all(roots.page(page))
                await asyncio.sleep(0)
                self._advance(rtype, len(page.members))
        except UNANSWERED as error:
            roots.torn(error)
        if roots.complete:
            await self._answer_all(roots.absent())
            roots.close(whole_account=self.joining.planner.options.refresh and chosen is None)
            async for units in self.store.units(rtype.path):
                await self._answer_all(leaving(self.joining, roots, units))
        self.env.emit(ReadingDone(rtype.path, self._read, roots.complete))

    def _advance(self, rtype: ResourceType, count: int) -> None:
        self._read += count
        self.env.emit(ReadingAdvanced(rtype.path, self._read))

    # -- the roots of a type ---------------------------------------------------------------------------------------

    async def _selection(self, roots: Roots, count: int) -> AsyncIterator[Page] | None:
        rtype, document = roots.rtype, self.joining.document

        async def named() -> list[tuple[str | None, str]]:
            wants = map(document.at, document.roots(rtype.path))
            units = [rtype.unit(want.attrs, want.address.key) for want in wants]
            async for held in self.store.units(rtype.path):
                units += ((id, address.key) for address, id in held)
            return units

        if not self.joining.planner.options.refresh or rtype.listed == "unit":
            return None
        return await rtype.selection(self.api, Named(count, named))

    async def _listing(self, rtype: ResourceType) -> AsyncIterator[Page]:
        if not self.joining.planner.options.refresh:
            async for page in self._recalled(rtype):
                yield page
        elif rtype.listed != "unit":
            async for page in rtype.listing(self.api, None):
                yield page

    async def _recalled(self, rtype: ResourceType) -> AsyncIterator[Page]:
        """The state's word for all of them, where the API is not asked."""
        async for entries in self.store.entries(rtype.path):
            yield Page([self.joining.recalled(rtype, entry) for entry in entries], self.env.now())

    # -- what the join asks for ------------------------------------------------------------------------------------

    async def _answer_all(self, steps: Steps) -> None:
        answer: Any = None
        try:
            while True:
                answer = await self._answer(steps.send(answer))
        except StopIteration:
            return

    async def _answer(self, ask: Ask) -> Any:
        match ask:
            case EntriesAt(addresses):
                return await self.store.get(addresses)
            case ByUnit(path, ids):
                return await self.store.by_unit(path, ids)
            case Under(addresses):
                return await self.store.under(addresses)
            case Matches():
                return await self._matches(ask)
            case Strangers():
                return await self._strangers(ask)
            case Reads(reads):
                return await self._reads(reads)
            case Listings(of):
                return await self._listings(of)

    async def _reads(self, reads: Sequence[Read]) -> list[Reading | ReconcileError]:
        found: dict[int, Reading | ReconcileError] = {}

        async def read(piece: tuple[int, Read]) -> None:
            at, one = piece
            try:
                self._may_open(one)
                reading = await answers.read(one.rtype, self.api, one.target, one.prior)
                found[at] = replace(reading, now=reading.now or self.env.now())
                if one.rtype.listed == "unit":
                    self._advance(one.rtype, 1)
            except (*UNANSWERED, InvalidInput) as error:
                found[at] = error

        await each(enumerate(reads), read, self.workers)
        return [found[at] for at in range(len(reads))]

    def _may_open(self, read: Read) -> None:
        """Raises NotAllowed: a credential of its own may not be opened in this document."""
        for reference in read.target.attrs.values():  # its own are the default of no setting
            if isinstance(reference, SecretRef) and (refusal := self.trust.refusal(reference)) is not None:
                raise NotAllowed(refusal)

    async def _listings(self, of: Sequence[tuple[ResourceType, str]]) -> list[Page | ReconcileError]:
        found: dict[int, Page | ReconcileError] = {}

        async def list_one(piece: tuple[int, tuple[ResourceType, str]]) -> None:
            at, (part, unit) = piece
            members: list[Observed] = []
            now = self.env.now()
            try:
                async for page in answers.listing(part, self.api, unit):
                    members += page.members
                    now = page.now
                found[at] = Page(members, now)
            except UNANSWERED as error:
                found[at] = error

        await each(enumerate(of), list_one, self.workers)
        return [found[at] for at in range(len(of))]

    async def _strangers(self, ask: Strangers) -> dict[int, str]:
        if not self.trust.untrusted:
            return {}
        named = {at: unit for at, one in ask.targets.items() if (unit := ask.rtype.stranger(self.api, one)) is not None}
        known = {*await self.store.by_unit(ask.rtype.path, sorted(set(named.values()))), *self.trust.agents}
        return {at: unit for at, unit in named.items() if unit not in known}

    async def _matches(self, ask: Matches) -> Mapping[str, Match]:
        found: dict[str, Match] = {}
        for name, reference in ask.references.items():
            try:
                secret = await self.secrets.open(reference)
            except InvalidInput as closed:
                found[name] = Match.NOT_ALLOWED if isinstance(closed, NotAllowed) else Match.UNRESOLVED
                continue
            if len(secret.reveal()) > ask.longest.get(name, sys.maxsize):
                found[name] = Match.TOO_LONG
                continue
            recorded = ask.prior.prints.get(name) if ask.prior is not None else None
            same = self.secrets.matches(recorded, secret) if recorded else None
            if not recorded:
                found[name] = Match.NO_RECORD
            else:
                found[name] = Match.OTHER_KEY if same is None else Match.SAME if same else Match.CHANGED
        return found
