"""
What the state has and no file names any more: deleted, cleared or forgotten, as its entry or its type says.

Pure: each step yields what it needs (`asks`). Requires a complete listing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from reconcile.core.address import Address
from reconcile.core.asks import EntriesAt, Joining, Listings, Read, Reads, Steps, Strangers, Under
from reconcile.core.family import reading_of, unlisted
from reconcile.core.join import BATCH, Roots
from reconcile.core.plan import Action
from reconcile.core.resource import Entry, Observed, Page, Reading
from reconcile.core.resource_type import ResourceType, target_of
from reconcile.errors import NotFound, ReconcileError

LAST = 1 << 60
"""The order of what leaves: after everything that the files name."""


@dataclass(slots=True)
class _Leaver:
    """
    An entry that leaves, with what hangs on it.

    Attributes:
        seen: as it is live, if it was looked at.
        deletes, clears: whether it is deleted itself; whether what hangs on it is.
        live: by type path, what hangs on it, by name, else by id.
    """

    entry: Entry
    seen: Observed | None
    deletes: bool
    clears: bool
    under: list[Entry] = field(default_factory=list)
    live: dict[str, dict[str, Observed]] = field(default_factory=dict)


def leaving(joining: Joining, roots: Roots, units: Iterable[tuple[Address, str]]) -> Steps:
    """
    The entries of a root type that no file names any more and that did not move to another address.

    Args:
        units: the address and the unit's id of entries of the type; of all of them in one call, or in several.
    """
    path, document = roots.rtype.path, joining.document
    addresses = (
        address
        for address, id in units
        if id not in roots.claimed and document.handle(address) is None and document.find(path, id, None) is None
    )
    while batch := list(islice(addresses, BATCH)):
        entries: Mapping[Address, Entry] = yield EntriesAt(batch)
        yield from _leave(joining, roots, list(entries.values()))


def _leave(joining: Joining, roots: Roots, entries: Sequence[Entry]) -> Steps:
    leavers = {at: _leaver(joining, roots, entry) for at, entry in enumerate(entries)}
    yield from _look(joining, roots.rtype, leavers)
    owners = {leaver.entry.address: leaver for leaver in leavers.values()}
    under: Iterable[Entry] = yield Under(list(owners))
    for entry in under:
        if entry.address.parent is not None:
            owners[entry.address.parent].under.append(entry)
    yield from _list(joining, roots.rtype, leavers)
    for leaver in leavers.values():
        _let_go(joining, roots.rtype, leaver)


def _leaver(joining: Joining, roots: Roots, entry: Entry) -> _Leaver:
    destroy, lifecycle = joining.planner.options.destroy, roots.rtype.lifecycle(entry.attrs)
    removal = entry.on_removal or lifecycle.on_removal
    seen, _ = roots.unnamed.get(entry.id, (None, None))
    deletes = lifecycle.delete and (removal == "delete" or (destroy and removal != "forget"))
    return _Leaver(entry, seen, deletes, removal == "clear" or (destroy and entry.on_removal != "forget"))


def _look(joining: Joining, rtype: ResourceType, leavers: dict[int, _Leaver]) -> Steps:
    """Reads what is deleted and was not listed; what does not answer stays."""
    reads = {
        at: Read(
            rtype, target_of(rtype, one.entry.address, one.entry.attrs, one.entry.id, one.entry.address.key), one.entry
        )
        for at, one in leavers.items()
        if one.deletes and one.seen is None and joining.planner.options.refresh
    }
    if not reads:
        return
    strangers: Mapping[int, str] = yield Strangers(rtype, {at: read.target for at, read in reads.items()})
    for at, unit in strangers.items():
        joining.planner.stranger(rtype.path, leavers.pop(at).entry.address, unit, None)
        del reads[at]
    answers = (yield Reads(list(reads.values()))) if reads else ()
    for at, answer in zip(reads, answers, strict=True):
        if isinstance(answer, Reading):
            leavers[at].seen = answer.seen
        else:
            joining.planner.unread(rtype.path, leavers.pop(at).entry.address, answer)


def _list(joining: Joining, rtype: ResourceType, leavers: dict[int, _Leaver]) -> Steps:
    """Lists what is cleared of the children that the state has; a unit whose children do not answer stays."""
    wanted = [
        (at, part)
        for at, one in leavers.items()
        for part in joining.parts(rtype)
        if one.clears and any(child.address.type_path == part.path for child in one.under)
    ]
    pages = (yield Listings([(part, leavers[at].entry.id) for at, part in wanted])) if wanted else ()
    lacking: list[tuple[int, ResourceType, Entry]] = []
    failed: dict[int, tuple[ResourceType, ReconcileError]] = {}
    for (at, part), page in zip(wanted, pages, strict=True):
        if isinstance(page, Page):
            live = leavers[at].live[part.path] = {seen.name or seen.id: seen for seen in page.members}
            known = [child for child in leavers[at].under if child.address.type_path == part.path]
            lacking += [(at, part, entry) for entry in unlisted(known, live)]
        elif not isinstance(page, NotFound):  # else the unit itself is gone, and everything with it
            failed.setdefault(at, (part, page))
    answers = (yield Reads([reading_of(part, entry) for _, part, entry in lacking])) if lacking else ()
    for (at, part, _), answer in zip(lacking, answers, strict=True):
        if not isinstance(answer, Reading):
            failed.setdefault(at, (part, answer))
        elif answer.seen is not None:
            leavers[at].live[part.path][answer.seen.name or answer.seen.id] = answer.seen
    for at, (part, error) in failed.items():
        joining.planner.unread(part.path, leavers.pop(at).entry.address, error)


def _let_go(joining: Joining, rtype: ResourceType, leaver: _Leaver) -> None:
    planner = joining.planner
    planner.leave(leaver.entry, leaver.seen, Action.DELETE if leaver.deletes else Action.FORGET, LAST)
    for part in joining.parts(rtype):
        live = leaver.live.get(part.path, {})
        for child in leaver.under:
            if child.address.type_path == part.path:
                clears = leaver.clears and child.on_removal != "forget"
                there = live.get(child.id if part.membership else child.address.key)
                planner.leave(child, there, Action.DELETE if clears else Action.FORGET, LAST)
