"""
Roots that were found, joined with the files and the state, together with everything that hangs on them.

A family is a root and its children: listed together, decided together, one request for each kind of child that the
files or the state know of there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from reconcile.core.address import Address
from reconcile.core.owned import dropped_memberships, group_type, with_group
from reconcile.core.plan import Action
from reconcile.core.planner import Planner
from reconcile.core.resource import Desired, Entry, Observed
from reconcile.core.resource_type import ResourceType
from reconcile.core.sighting import Sighting
from reconcile.engine import answers
from reconcile.engine.pool import each
from reconcile.engine.recover import told
from reconcile.engine.unanswered import UNANSWERED
from reconcile.engine.unlisted import unlisted
from reconcile.errors import AccessDenied

if TYPE_CHECKING:
    from reconcile.engine.observe import Observer


@dataclass(slots=True)
class Family:
    """A root that was found, with everything that hangs on it."""

    handle: int
    want: Desired
    seen: Observed
    now: datetime
    prior: Entry | None
    former: Entry | None
    moved_from: Address | None
    children: Sequence[Desired] = ()
    known: list[Entry] = field(default_factory=list)
    live: dict[str, tuple[dict[str, Observed], datetime]] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)


class Families:
    """Joins and decides the families of one root type."""

    def __init__(self, observer: Observer, kind: ResourceType) -> None:
        self.observer, self.kind = observer, kind
        self.document, self.store, self.planner = observer.document, observer.store, observer.planner

    async def join(self, pairs: Sequence[tuple[int, Observed, datetime]]) -> None:
        kind = self.kind
        # A root and what hangs on it are one row of the files: asked for together, they are built once.
        wants = [
            (handle, self.document.at(handle), self.document.children(handle), seen, now) for handle, seen, now in pairs
        ]
        entries = await self.store.get([want.address for _, want, _, _, _ in wants])
        strange = [seen.id for _, want, _, seen, _ in wants if not _of(entries.get(want.address), seen)]
        by_unit = await self.store.by_unit(kind.path, strange)
        families = []
        for handle, want, children, seen, now in wants:
            here, elsewhere = entries.get(want.address), by_unit.get(seen.id)
            prior = former = moved_from = None
            # What can be made again under its key is the same resource made anew; another device is another unit.
            if here is not None and (here.id == seen.id or kind.lifecycle(want.attrs).create):
                prior = here
            else:
                if elsewhere is not None:
                    prior, moved_from = elsewhere, elsewhere.address
                if here is not None and self.document.find(kind.path, here.id, None) is None:
                    former = here  # else the unit that was here has moved to another key
            if kind.path in self.planner.referred:
                self.planner.usage.stays(kind, seen)
                self.planner.live(kind, seen, kind.unit(want.attrs, want.address.key)[1])
            self.planner.usage.holds(kind, seen, kind.unit(want.attrs, want.address.key)[1])
            self.planner.usage.uses(kind, seen, want.address)
            families.append(Family(handle, want, seen, now, prior, former, moved_from, children))
        await self._children(families)
        for family in families:
            await self._decide(family)

    async def _decide(self, family: Family) -> None:
        observer, want = self.observer, family.want
        if family.unread:
            return  # named as not read, and left alone: it must not start an app with settings that nobody knows
        prior = family.prior
        if want.address in observer.uncertain:
            prior = told(want.address, self.kind, prior, family.seen, observer.uncertain[want.address], family.now)
        sighting = Sighting(
            want,
            family.seen,
            family.now,
            prior,
            family.former,
            family.moved_from,
            None,
            await observer.matches(self.kind, want, family.prior),
            want.address in self.planner.options.rewrite,
            want.address in observer.uncertain,
            self.planner.options.retry_failed,
        )
        self.planner.see(self.kind, sighting, family.handle)
        for part in observer.parts(self.kind):
            await self._decide_part(family, part)

    async def _decide_part(self, family: Family, part: ResourceType) -> None:
        observer, section = self.observer, part.path.rpartition(".")[2]
        wants = [child for child in family.children if child.address.type_path == part.path]
        # Where the unit moved to the key of another one, both have left entries: its own count.
        entries = sorted(family.known, key=lambda entry: entry.parent == family.seen.id)
        known = {entry.address.key: entry for entry in entries if entry.address.type_path == part.path}
        if part.path in family.unread or part.path not in family.live or observer.needs_of(part) & observer.broken:
            return
        live, now = family.live[part.path]
        taken: set[str] = set()
        for want in wants:
            name = part.unit(want.attrs, want.address.key)[1]
            if part.membership is not None:
                want = with_group(part, want)
                found = self.planner.resolved(want.attrs[part.membership.key], want)
                if found is None:
                    known.pop(want.address.key, None)
                    continue
                name = found.id or ""
                taken.add(name)
            entry = known.pop(want.address.key, None)
            mine = entry is not None and entry.parent == family.seen.id
            moved = entry.address if entry is not None and entry.address != want.address else None
            sighting = Sighting(
                want,
                live.get(name),
                now,
                entry if mine else None,
                None if mine else entry if family.former is not None else None,
                moved if mine else None,
                family.seen.id,
                await observer.matches(part, want, entry if mine else None),
                any(want.address == each or want.address.parent == each for each in self.planner.options.rewrite),
                want.address in observer.uncertain,
            )
            self.planner.see(part, sighting, family.handle)
        if part.membership is not None:
            held = taken | {entry.id for entry in known.values()}
            others = dropped_memberships(part, family.seen.id, family.want, live, held, self._key_of(part))
            known.update((entry.address.key, entry) for entry in others)
        for key, entry in known.items():
            gone = entry.parent != family.seen.id
            action = Action.FORGET if entry.on_removal == "forget" or entry.id in taken else Action.DELETE
            seen = None if gone else live.get(entry.id if part.membership else key)
            address = family.want.address.child(section, key)
            notes = ("it stays on the unit that is let go of",) if gone else None
            self.planner.leave(entry, seen, action, family.handle, address, notes)

    def _key_of(self, part: ResourceType) -> Callable[[str], str | None]:
        path = group_type(part)

        def key_of(id: str) -> str | None:
            handle = self.document.find(path, id, self.planner.name_of(path, id))
            return self.document.at(handle).address.key if handle is not None else None

        return key_of

    async def _children(self, families: Sequence[Family]) -> None:
        """Lists what hangs on each family, as far as the files or the state know of anything there."""
        parts = self.observer.parts(self.kind)
        if not parts:
            return
        owners: dict[Address, list[Family]] = {}
        for family in families:
            # Under its own address too: children may be recorded where the root is not, after a part of an apply.
            known = {family.want.address, *(entry.address for entry in (family.prior, family.former) if entry)}
            for address in known:
                owners.setdefault(address, []).append(family)
        for entry in await self.store.under(list(owners)):
            there = owners[entry.address.parent or entry.address]
            # Where keys were swapped, an entry belongs to its unit; where none has that unit, to who is there now.
            its = [family for family in there if family.seen.id == entry.parent]
            (its or [family for family in there if family.want.address == entry.address.parent] or there)[
                0
            ].known.append(entry)
        work: list[tuple[Family, ResourceType]] = []
        for family in families:
            if not self.planner.options.touches(family.want.address, family.want.block):
                continue
            used = {child.address.type_path for child in family.children}
            used |= {f"{self.kind.path}.{section}" for section in family.want.sections}
            used |= {entry.address.type_path for entry in family.known}
            work += [(family, part) for part in parts if part.path in used]
        await each(work, self._list_part, self.observer.workers)

    async def _list_part(self, piece: tuple[Family, ResourceType]) -> None:
        family, part = piece
        if (known := family.seen.parts.get(part.path)) is not None:
            family.live[part.path] = {seen.name or seen.id: seen for seen in known}, family.now
            return
        if not self.planner.options.refresh:
            members = {
                entry.id if part.membership else entry.address.key: recorded(part, entry, self.planner)
                for entry in family.known
                if entry.address.type_path == part.path
            }
            family.live[part.path] = members, family.now
            return
        live: dict[str, Observed] = {}
        now = family.now
        try:
            async for page in answers.listing(part, self.observer.api, family.seen.id):
                now = page.now
                for seen in page.members:
                    live[seen.name or seen.id] = seen
            mine = [entry for entry in family.known if entry.address.type_path == part.path]
            mine = [entry for entry in mine if entry.parent == family.seen.id]
            for key, seen in await unlisted(part, self.observer.api, mine, live):
                live[key] = seen
        except UNANSWERED as error:
            family.unread.add(part.path)
            self.planner.unread(part.path, family.want.address, error, isinstance(error, AccessDenied))
            return
        family.live[part.path] = live, now


def _of(entry: Entry | None, seen: Observed) -> bool:
    return entry is not None and entry.id == seen.id


def recorded(kind: ResourceType, entry: Entry, planner: Planner) -> Observed:
    """The state's word for it, where `--no-refresh` does not ask the API."""
    return kind.recalled(entry, lambda ref: planner.id_of(ref.path, ref.name))
