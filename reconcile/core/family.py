"""
Roots that were found, joined with the files and the state, together with everything that hangs on them.

A family is a root and its children: listed together, decided together, one request for each kind of child that the
files or the state know of there. Pure: each step yields what it needs (`asks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from reconcile.core.address import Address
from reconcile.core.asks import ByUnit, EntriesAt, Joining, Listings, Read, Reads, Steps, Under, matches
from reconcile.core.lost import told
from reconcile.core.owned import dropped_memberships, group_type, with_group
from reconcile.core.plan import Action
from reconcile.core.resource import Desired, Entry, Observed, Page, Reading
from reconcile.core.resource_type import ResourceType, target_of
from reconcile.core.sighting import Sighting
from reconcile.errors import ReconcileError


@dataclass(frozen=True, slots=True)
class Pair:
    """A unit that is what a root of the files means, and the server's clock when it was read."""

    handle: int
    seen: Observed
    now: datetime


@dataclass(slots=True)
class Family:
    """
    A root that was found, with everything that hangs on it.

    Attributes:
        prior: what was last applied to the unit, `moved_from` its address then, if that was another.
        former: what was last applied to another unit under this address.
        children: as the files want them. known: what the state has of them, under any of these addresses.
        live: by type path what is there, by name, else by id, and the server's clock; no type that did not answer.
        unread: whether a type did not answer.
    """

    handle: int
    want: Desired
    children: Sequence[Desired]
    seen: Observed
    now: datetime
    prior: Entry | None = None
    former: Entry | None = None
    moved_from: Address | None = None
    known: list[Entry] = field(default_factory=list)
    live: dict[str, tuple[dict[str, Observed], datetime]] = field(default_factory=dict)
    unread: bool = False

    def known_of(self, part: ResourceType) -> list[Entry]:
        """What the state has of a type, of this very unit."""
        path, unit = part.path, self.seen.id
        return [entry for entry in self.known if entry.address.type_path == path and entry.parent == unit]


def families(joining: Joining, rtype: ResourceType, pairs: Sequence[Pair]) -> Steps:
    """Joins and decides the families of these roots."""
    document, planner = joining.document, joining.planner
    # A root and what hangs on it are one row of the files: asked for together, they are built once.
    found = [
        Family(pair.handle, document.at(pair.handle), document.children(pair.handle), pair.seen, pair.now)
        for pair in pairs
    ]
    entries: Mapping[Address, Entry] = yield EntriesAt([family.want.address for family in found])
    strange = [family.seen.id for family in found if _id(entries.get(family.want.address)) != family.seen.id]
    by_unit: Mapping[str, Entry] = yield ByUnit(rtype.path, strange)
    for family in found:
        want, seen = family.want, family.seen
        here, elsewhere = entries.get(want.address), by_unit.get(seen.id)
        # What can be made again under its key is the same resource made anew; another device is another unit.
        if here is not None and (here.id == seen.id or rtype.lifecycle(want.attrs).create):
            family.prior = here
        else:
            if elsewhere is not None:
                family.prior, family.moved_from = elsewhere, elsewhere.address
            if here is not None and document.find(rtype.path, here.id, None) is None:
                family.former = here  # else the unit that was here has moved to another key
        planner.named(rtype, seen, want)
    yield from _children(joining, rtype, found)
    for family in found:
        if not family.unread:  # else it is left alone: it must not start an app with settings that nobody knows
            yield from _decide(joining, rtype, family)
            for part in joining.parts(rtype):
                yield from _decide_part(joining, family, part)


def _id(entry: Entry | None) -> str | None:
    return entry.id if entry is not None else None


def _decide(joining: Joining, rtype: ResourceType, family: Family) -> Steps:
    want, prior, options = family.want, family.prior, joining.planner.options
    found = yield from matches(rtype, want, prior)
    uncertain = joining.uncertain.get(want.address)
    if uncertain is not None:
        prior = told(want.address, rtype, prior, family.seen, uncertain, family.now)
    sighting = Sighting(
        want,
        family.seen,
        family.now,
        prior,
        family.former,
        family.moved_from,
        None,
        found,
        joining.planner.selection.rewrites(want.address, want.block),
        uncertain is not None,
        options.retry_failed,
    )
    joining.planner.see(rtype, sighting, family.handle)


def _decide_part(joining: Joining, family: Family, part: ResourceType) -> Steps:
    """The children of one type: those that the files want, then those that leave."""
    if part.path not in family.live or joining.needs_of(part) & joining.torn:
        return
    live, now = family.live[part.path]
    # Where the unit moved to the key of another one, both have left entries: its own count.
    entries = sorted(family.known, key=lambda entry: entry.parent == family.seen.id)
    known = {entry.address.key: entry for entry in entries if entry.address.type_path == part.path}
    taken: set[str] = set()
    for want in family.children:
        if want.address.type_path != part.path:
            continue
        name = part.unit(want.attrs, want.address.key)[1]
        if part.membership is not None:
            want = with_group(part, want)
            group = joining.planner.resolved(want.attrs[part.membership.key], want)
            if group is None:
                known.pop(want.address.key, None)
                continue
            name = group.id or ""
            taken.add(name)
        entry = known.pop(want.address.key, None)
        yield from _decide_child(joining, family, part, (want, live.get(name), now, entry))
    if part.membership is not None:
        ours = taken | {entry.id for entry in known.values()}
        dropped = dropped_memberships(part, family.seen.id, family.want, live, ours, _key_of(joining, part))
        known.update((entry.address.key, entry) for entry in dropped)
    for key, entry in known.items():
        gone = entry.parent != family.seen.id
        action = Action.FORGET if entry.on_removal == "forget" or entry.id in taken else Action.DELETE
        seen = None if gone else live.get(entry.id if part.membership else key)
        address = family.want.address.child(part.path.rpartition(".")[2], key)
        notes = ("it stays on the unit that is let go of",) if gone else None
        joining.planner.leave(entry, seen, action, family.handle, address, notes)


def _decide_child(
    joining: Joining, family: Family, part: ResourceType, child: tuple[Desired, Observed | None, datetime, Entry | None]
) -> Steps:
    want, seen, now, entry = child
    mine = entry is not None and entry.parent == family.seen.id
    prior = entry if mine else None
    sighting = Sighting(
        want,
        seen,
        now,
        prior,
        None if mine else entry if family.former is not None else None,
        prior.address if prior is not None and prior.address != want.address else None,
        family.seen.id,
        (yield from matches(part, want, prior)),
        joining.planner.selection.rewrites(want.address, want.block),
        want.address in joining.uncertain,
    )
    joining.planner.see(part, sighting, family.handle)


def _key_of(joining: Joining, part: ResourceType) -> Callable[[str], str | None]:
    path = group_type(part)

    def key_of(id: str) -> str | None:
        handle = joining.document.find(path, id, joining.planner.name_of(path, id))
        return joining.document.at(handle).address.key if handle is not None else None

    return key_of


# -- what hangs on them ------------------------------------------------------------------------------------------------


def _children(joining: Joining, rtype: ResourceType, found: Sequence[Family]) -> Steps:
    """Lists what hangs on each family, as far as the files or the state know of anything there."""
    parts = joining.parts(rtype)
    if not parts:
        return
    yield from _recorded(found)
    listed: list[tuple[Family, ResourceType]] = []
    for family in found:
        for part in _parts_of(joining, rtype, family, parts):
            if (known := family.seen.parts.get(part.path)) is not None:
                family.live[part.path] = {seen.name or seen.id: seen for seen in known}, family.now
            elif joining.planner.options.refresh:
                listed.append((family, part))
            else:
                mine = [entry for entry in family.known if entry.address.type_path == part.path]
                live = {e.id if part.membership else e.address.key: joining.recalled(part, e) for e in mine}
                family.live[part.path] = live, family.now
    pages = (yield Listings([(part, family.seen.id) for family, part in listed])) if listed else ()
    lacking: list[tuple[Family, ResourceType, Entry]] = []
    for (family, part), page in zip(listed, pages, strict=True):
        if isinstance(page, Page):
            live = {seen.name or seen.id: seen for seen in page.members}
            family.live[part.path] = live, page.now
            lacking += [(family, part, entry) for entry in unlisted(family.known_of(part), live)]
        else:
            _unread(joining, family, part, page)
    # A listing proves presence, not absence: what the state holds and a listing lacks is read by itself.
    answers = (yield Reads([reading_of(part, entry) for _, part, entry in lacking])) if lacking else ()
    for (family, part, _), answer in zip(lacking, answers, strict=True):
        if not isinstance(answer, Reading):
            _unread(joining, family, part, answer)
        elif answer.seen is not None and part.path in family.live:
            family.live[part.path][0][answer.seen.name or answer.seen.id] = answer.seen


def _recorded(found: Sequence[Family]) -> Steps:
    """Gives every entry that hangs on one of these addresses to the family of its unit."""
    owners: dict[Address, list[Family]] = {}
    for family in found:
        # Under its own address too: children may be recorded where the root is not, after a part of an apply.
        known = {family.want.address, *(entry.address for entry in (family.prior, family.former) if entry)}
        for address in known:
            owners.setdefault(address, []).append(family)
    under: Iterable[Entry] = yield Under(list(owners))
    for entry in under:
        there = owners[entry.address.parent or entry.address]
        # Where keys were swapped, an entry belongs to its unit; where none has that unit, to who is there now.
        its = [family for family in there if family.seen.id == entry.parent]
        its = its or [family for family in there if family.want.address == entry.address.parent] or there
        its[0].known.append(entry)


def _parts_of(
    joining: Joining, rtype: ResourceType, family: Family, parts: Sequence[ResourceType]
) -> list[ResourceType]:
    """The types of children that the files or the state know of."""
    if not joining.planner.selection.touches(family.want.address, family.want.block):
        return []
    used = {child.address.type_path for child in family.children}
    used |= {f"{rtype.path}.{section}" for section in family.want.sections}
    used |= {entry.address.type_path for entry in family.known}
    return [part for part in parts if part.path in used]


def _unread(joining: Joining, family: Family, part: ResourceType, error: ReconcileError) -> None:
    if part.path in family.live or not family.unread:
        joining.planner.unread(part.path, family.want.address, error)
    family.live.pop(part.path, None)
    family.unread = True


def unlisted(known: Iterable[Entry], live: Mapping[str, Observed]) -> list[Entry]:
    """What the state has of a unit, and its listing lacks."""
    ids = {seen.id for seen in live.values()}
    return [entry for entry in known if entry.id not in ids]


def reading_of(part: ResourceType, entry: Entry) -> Read:
    """The reading of a child by what the state has of it."""
    return Read(part, target_of(part, entry.address, entry.attrs, entry.id, entry.address.key, entry.parent))
