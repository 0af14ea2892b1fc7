"""
What the state knows and no file names any more: deleted, cleared or forgotten, as its entry or its type says.

Nothing is decided here on the strength of an incomplete listing; whoever calls this has read all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from reconcile.core.plan import Action
from reconcile.core.resource import Entry, Observed
from reconcile.core.resource_type import ResourceType, target_of
from reconcile.engine import answers
from reconcile.engine.pool import each
from reconcile.engine.unanswered import UNANSWERED
from reconcile.engine.unlisted import unlisted
from reconcile.errors import AccessDenied, NotFound

if TYPE_CHECKING:
    from reconcile.engine.observe import Observer

BATCH = 1000
LAST = 1 << 60  # the order of what leaves: after everything that the files name


class Leaving:
    """
    The entries of one root type that leave, with what hangs on them.

    Args of the constructor:
        claimed: ids of the units that the files name. loose: what is live and in the state and not among them.
    """

    def __init__(
        self,
        observer: Observer,
        kind: ResourceType,
        claimed: Mapping[str, int],
        loose: Mapping[str, tuple[Observed, datetime]],
    ) -> None:
        self.observer, self.kind, self.claimed, self.loose = observer, kind, claimed, loose

    async def run(self) -> None:
        """Entries that no file names any more and that did not move to another address."""
        document, store = self.observer.document, self.observer.store
        addresses = [
            address
            for address, id in store.units(self.kind.path)
            if id not in self.claimed
            and document.handle(address) is None
            and document.find(self.kind.path, id, None) is None
        ]
        for at in range(0, len(addresses), BATCH):
            leaving = await store.get(addresses[at : at + BATCH])
            await each(leaving.values(), self._leave, self.observer.workers)

    async def _leave(self, entry: Entry) -> None:
        kind, destroy = self.kind, self.observer.planner.options.destroy
        removal = entry.on_removal or kind.lifecycle(entry.attrs).on_removal
        deletes = kind.lifecycle(entry.attrs).delete and (removal == "delete" or (destroy and removal != "forget"))
        seen = self.loose[entry.id][0] if entry.id in self.loose else None
        if deletes and seen is None and self.observer.planner.options.refresh:
            try:
                at = target_of(kind, entry.address, entry.attrs, entry.id, entry.address.key)
                if stranger := (await self.observer.strangers(kind, {0: at})).get(0):
                    self.observer.planner.stranger(kind.path, entry.address, stranger, None)
                    return
                seen = (await self.observer.read(kind, at, entry)).seen
            except UNANSWERED as error:
                self.observer.planner.unread(kind.path, entry.address, error, isinstance(error, AccessDenied))
                return
        clears = removal == "clear" or (destroy and entry.on_removal != "forget")
        under = await self.observer.store.under([entry.address])
        leaving: list[tuple[Entry, Observed | None, Action]] = []
        for part in self.observer.parts(kind):
            known = [child for child in under if child.address.type_path == part.path]
            live = await self._live(entry, part, known) if clears and known else {}
            if live is None:
                return  # what hangs on it cannot be read, so it is not let go of either
            for child in known:
                action = Action.DELETE if clears and child.on_removal != "forget" else Action.FORGET
                there = live.get(child.id if part.membership else child.address.key)
                leaving.append((child, there, action))
        self.observer.planner.leave(entry, seen, Action.DELETE if deletes else Action.FORGET, LAST)
        for child, there, action in leaving:
            self.observer.planner.leave(child, there, action, LAST)

    async def _live(self, entry: Entry, part: ResourceType, known: Sequence[Entry]) -> dict[str, Observed] | None:
        """What hangs on a unit that leaves, by key; None when it did not answer. `known`: what the state has of it."""
        live: dict[str, Observed] = {}
        try:
            async for page in answers.listing(part, self.observer.api, entry.id):
                live.update({seen.name or seen.id: seen for seen in page.members})
            for child, seen in await unlisted(part, self.observer.api, known, live):
                live[child] = seen
        except NotFound:
            return {}  # the unit itself is gone, and everything with it
        except UNANSWERED as error:
            self.observer.planner.unread(part.path, entry.address, error, isinstance(error, AccessDenied))
            return None
        return live
