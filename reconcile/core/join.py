"""
The join of one root type: a listing page is matched to the files and the state, and so is what the pages lack.

Pure. Each step yields what it needs (`asks`) and shows the planner every sighting. What a listing lacks is read by
itself before it is called gone (docs/architecture.md, "Reading").
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from reconcile.core.asks import Ask, ByUnit, EntriesAt, Joining, Read, Reads, Steps, Strangers, matches
from reconcile.core.family import Pair, families
from reconcile.core.owned import with_group
from reconcile.core.resource import Alias, Desired, Entry, Observed, Page, Reading, Target
from reconcile.core.resource_type import ResourceType, target_of
from reconcile.core.sighting import Sighting
from reconcile.errors import BadAnswer, InvalidInput, NotAllowed, Problem, ReconcileError

MOST_OTHERS = 2_000
BATCH = 1000
"""Resources that are looked at together, where no page of the API says how many."""


@dataclass(frozen=True, slots=True)
class _Absent:
    """
    A root of the files that no page showed.

    Attributes:
        entry: what the state has under its address. namesake: the id of a live one of its name that is another's.
    """

    handle: int
    want: Desired
    entry: Entry | None
    namesake: str | None = None


class Roots:
    """
    The units of one root type, matched to the files: first page by page, then what the pages lack.

    Attributes:
        claimed: by id of a unit, the handle of the root that names it.
        unnamed: units that are live and in the state, and that no file names (yet).
        unmanaged: how many are live, in no file and not in the state.
        complete: whether the whole account was listed.
    """

    def __init__(self, joining: Joining, rtype: ResourceType) -> None:
        self.joining, self.rtype = joining, rtype
        self.document, self.planner = joining.document, joining.planner
        self.claimed: dict[str, int] = {}
        self.unnamed: dict[str, tuple[Observed, datetime]] = {}
        self.unmanaged = 0
        self.complete = True
        self._matched: set[int] = set()
        self._strangers: dict[str, Observed] = {}  # by id, where they are to be shown
        self._others: list[str] = []  # ids and names of what is live and nobody's, for a "did you mean"
        self._alternates: dict[int, Pair] = {}  # of the name too, where the state knows another one
        self._retired: dict[int, Pair] = {}  # out of use, and meant only where no other one is called the same

    def page(self, page: Page) -> Steps:
        """Matches what a listing shows: to the files, else to the state."""
        path, fresh = self.rtype.path, []
        for seen in page.members:
            if seen.id in self.claimed or seen.id in self.unnamed:
                continue  # pages shift while they are read: the same unit twice
            self.planner.listed(self.rtype, seen)
            handle = self.document.find(path, seen.id, seen.name, seen.aliases)
            if handle is not None and not self._is_the_one(handle, seen, page.now):
                handle = None
            if (
                handle is not None
                and self.rtype.names != "unique"
                and not (yield from self._is_meant(handle, seen, page.now))
            ):
                handle = None
            if handle is not None and handle in self._matched:
                handle = None
            if handle is not None:
                self.claimed[seen.id] = handle
                self._matched.add(handle)
            fresh.append((handle, seen))
        known: Mapping[str, Entry] = yield ByUnit(path, [seen.id for handle, seen in fresh if handle is None])
        for handle, seen in fresh:
            if handle is None:
                self.planner.unnamed(self.rtype, seen)
                if seen.id in known:
                    self.unnamed[seen.id] = seen, page.now
                else:
                    self.unmanaged += 1
                    if self.planner.options.show_unmanaged:
                        self._strangers[seen.id] = seen
                    if len(self._others) < MOST_OTHERS:
                        self._others += filter(None, (seen.id, seen.name))
        found = [Pair(handle, seen, page.now) for handle, seen in fresh if handle is not None]
        yield from families(self.joining, self.rtype, found)

    def _is_the_one(self, handle: int, seen: Observed, now: datetime) -> bool:
        """Whether a live one that is found by an alias is meant: one at a time is called so, whatever came before."""
        want = self.document.at(handle)
        alias = self.rtype.unit(want.attrs, want.address.key)[0]
        if alias == seen.id or alias not in seen.aliases or self.rtype.names == "newest":
            return True
        if seen.retired is not None:
            self._retired.setdefault(handle, Pair(handle, seen, now))
            return False
        if handle in self._matched:
            ids = sorted({seen.id, *(id for id, claim in self.claimed.items() if claim == handle)})
            what = f"{len(ids)} live {self.rtype.noun}s have the {_spoken(alias)}: {' and '.join(ids)}"
            hint = "Write the id of the one that is meant"
            self.planner.problem(Problem(what, want.where, want.address, hint=hint))
        return handle not in self._matched

    def _is_meant(self, handle: int, seen: Observed, now: datetime) -> Generator[Ask, Any, bool]:
        """Whether a live one is what the files mean, where several may have one name: the state's, else the first."""
        want = self.document.at(handle)
        if self.rtype.unit(want.attrs, want.address.key)[0] in (seen.id, *seen.aliases):
            return True
        entry = (yield EntriesAt([want.address])).get(want.address)
        if entry is not None and entry.id != seen.id:
            self._alternates.setdefault(handle, Pair(handle, seen, now))
            return False
        if handle in self._matched and entry is None and self.rtype.names != "newest":
            self._twice(want, seen)
        return handle not in self._matched

    def close(self, *, whole_account: bool) -> None:
        """Once all of them are matched; `whole_account`: whether the API was asked for more than is named."""
        self.planner.claims(self.claimed)
        for handle, pair in self._retired.items():
            if handle in self._matched:
                want = self.document.at(handle)
                alias = _spoken(self.rtype.unit(want.attrs, want.address.key)[0] or "")
                said = f"{want.address}: {pair.seen.id} has the {alias} as well; it is {pair.seen.retired}"
                self.planner.warn(f"{said}, and left alone")
        if self.unmanaged and whole_account:
            self.planner.unmanaged(self.rtype.path, self.unmanaged, self._strangers.values())

    def torn(self, error: ReconcileError) -> None:
        """The listing did not end: nothing is said of what it lacks, nor of what refers to it."""
        self.complete = False
        self.joining.torn.add(self.rtype.path)
        self.planner.unread(self.rtype.path, None, error)

        # -- what the listing lacks ------------------------------------------------------------------------------------

    def absent(self) -> Steps:
        """What the files name and the listing lacks: renamed by somebody, gone, or not made yet."""
        absent = [handle for handle in self.document.roots(self.rtype.path) if handle not in self._matched]
        for start in range(0, len(absent), BATCH):
            wants = {handle: self.document.at(handle) for handle in absent[start : start + BATCH]}
            entries = yield EntriesAt([want.address for want in wants.values()])
            yield from self._look([_Absent(handle, want, entries.get(want.address)) for handle, want in wants.items()])

    def _look(self, absent: Sequence[_Absent]) -> Steps:
        strangers: Mapping[int, str] = yield Strangers(
            self.rtype, {one.handle: self._target(one.want) for one in absent}
        )
        found: list[Pair] = []
        lost: list[_Absent] = []
        unread: list[_Absent] = []
        for one in absent:
            want, entry = one.want, one.entry
            if self.rtype.listed == "unit" and self.planner.passes_over(want.address, want.block):
                continue
            if one.handle in self._retired:
                found.append(self._taken_back(self._retired.pop(one.handle)))
            elif entry is not None and entry.id in self.unnamed and self._is_renamed(want):
                found.append(Pair(one.handle, *self.unnamed.pop(entry.id)))
            elif self._is_made(one) and (self.rtype.names == "unique" or not self.planner.options.refresh):
                lost.append(one)
            elif one.handle in strangers:
                self.planner.stranger(self.rtype.path, want.address, strangers[one.handle], want.block)
                self._keep(one)
            else:
                unread.append(one)
        for one, answer in (yield from self._read(unread)):
            match self._sorted(one, answer):
                case Pair() as pair:
                    found.append(pair)
                case _Absent() as gone:
                    lost.append(gone)
        by_handle = {one.handle: one for one in absent}
        yield from families(self.joining, self.rtype, self._claim(sorted(found, key=_handle), by_handle))
        for one in sorted(lost, key=_handle):
            yield from self._not_live(one)

    def _taken_back(self, retired: Pair) -> Pair:
        """One that is out of use, since there is no other."""
        if self.unnamed.pop(retired.seen.id, None) is None:
            self.unmanaged -= 1
            self._strangers.pop(retired.seen.id, None)
        return retired

    def _is_renamed(self, want: Desired) -> bool:
        """
        Whether a unit that the state has under the address, and that no file names, is still the one that is meant.

        Of what is made by us, other bytes under its key are the same resource: that is refused, with both.
        """
        return self.rtype.names == "newest" or self.rtype.unit(want.attrs, want.address.key)[0] is None

    def _is_made(self, one: _Absent) -> bool:
        return one.entry is None and self.rtype.lifecycle(one.want.attrs).create

    def _read(self, absent: Sequence[_Absent]) -> Generator[Ask, Any, list[tuple[_Absent, Reading | ReconcileError]]]:
        """By the id that the state knows first, where that is of what the files name; by what they name it after."""
        told: dict[int, Reading | ReconcileError] = {}
        known = [(one, read) for one in absent if (read := self._by_known_id(one)) is not None]
        answers = (yield Reads([read for _, read in known])) if known else ()
        for (one, read), answer in zip(known, answers, strict=True):
            named_alike = read.prior is not None and self._unit(one)[0] is None and read.target.name == read.prior.id
            if not isinstance(answer, Reading) or answer.seen is not None or named_alike:
                told[one.handle] = answer
        rest = [one for one in absent if one.handle not in told]
        reads = [Read(self.rtype, self._target(one.want), one.entry) for one in rest]
        answers = (yield Reads(reads)) if reads else ()
        told |= {one.handle: answer for one, answer in zip(rest, answers, strict=True)}
        return [(one, told[one.handle]) for one in absent]

    def _by_known_id(self, one: _Absent) -> Read | None:
        entry, (named, name) = one.entry, self._unit(one)
        if entry is None or not (named is None or isinstance(named, Alias)):
            return None
        recorded, _ = self.rtype.unit(entry.attrs, entry.address.key)
        if named is not None and self.rtype.names != "newest" and named != recorded:
            return None
        return Read(self.rtype, target_of(self.rtype, one.want.address, one.want.attrs, entry.id, name), entry)

    def _sorted(self, one: _Absent, answer: Reading | ReconcileError) -> Pair | _Absent | None:
        """What a reading makes of an absent one; None when it is told already."""
        if isinstance(answer, ReconcileError):
            self._unread(one, answer)
            return None
        seen = answer.seen
        if seen is None:
            return self._alternates.get(one.handle, one)
        if seen.id not in self.claimed:
            return Pair(one.handle, seen, answer.now or self.joining.now)
        if self._is_made(one):  # that one is another's; names need not be unique
            return replace(one, namesake=seen.id)
        self._twice(one.want, seen)
        return None

    def _unread(self, one: _Absent, error: ReconcileError) -> None:
        if isinstance(error, InvalidInput) and not isinstance(error, NotAllowed):
            # Where its own endpoint or credentials are written; the provider's settings are said as they are.
            for problem in error.problems:
                own = replace(problem, where=one.want.where, address=one.want.address)
                self.planner.problem(problem if problem.address else own)
            return
        self.planner.unread(self.rtype.path, one.want.address, error, one.want.block)
        self._keep(one)

    def _claim(self, found: Sequence[Pair], absent: Mapping[int, _Absent]) -> list[Pair]:
        """Those that are nobody else's: what was read of two must not be one unit."""
        claimed = []
        doubled = _doubled(self.rtype, found)
        for pair in found:
            if pair.handle in doubled:
                self._unread(absent[pair.handle], doubled[pair.handle])
            elif self.claimed.setdefault(pair.seen.id, pair.handle) != pair.handle:
                self._twice(absent[pair.handle].want, pair.seen)
            else:
                self.planner.listed(self.rtype, pair.seen)
                self._matched.add(pair.handle)
                claimed.append(pair)
        return claimed

    def _keep(self, one: _Absent) -> None:
        """The files name what the state has under this address; that it was not read is no reason to let it go."""
        if one.entry is not None:
            self.claimed.setdefault(one.entry.id, one.handle)

    def _unit(self, one: _Absent) -> tuple[str | None, str]:
        return self.rtype.unit(one.want.attrs, one.want.address.key)

    def _target(self, want: Desired) -> Target:
        """What the files name it by."""
        name = self.rtype.unit(want.attrs, want.address.key)[1]
        return target_of(self.rtype, want.address, want.attrs, None, name)

    def _twice(self, want: Desired, seen: Observed) -> None:
        noun, handle = self.rtype.noun, self.claimed.get(seen.id)
        if handle is None:  # two that are live have the one name that the files say
            what = f"two live {noun}s are named {seen.name!r}, one of them {seen.id}"
            hint = "Say which one is meant by its id"
        else:
            other = self.document.at(handle)
            what = (
                f"two {noun}s are one unit: {other.address} ({other.where}) is {seen.id}, which is named {seen.name!r}"
            )
            hint = "Remove one of them, or give this one its own id"
        self.planner.problem(Problem(what, want.where, want.address, hint=hint))

    def _was_there(self, one: _Absent) -> bool:
        """Whether the state knows this very unit: by the id that the files name, or where they name none."""
        named = self._unit(one)[0]
        return one.entry is not None and (named is None or isinstance(named, Alias) or named == one.entry.id)

    def _not_live(self, one: _Absent) -> Steps:
        want = one.want
        if not self.rtype.lifecycle(want.attrs).create:
            id, name = self._unit(one)
            unit = repr(name) if id is None else id if "://" in id else _spoken(id)
            self.planner.missing(self.rtype, want, unit, self._was_there(one), self._others)
            self._keep(one)
            return
        found, now = (yield from matches(self.rtype, want, None)), self.joining.now
        sighting = Sighting(want, None, now, one.entry, matches=found, namesake=one.namesake)
        self.planner.see(self.rtype, sighting, one.handle)
        for child in self.document.children(one.handle):  # what hangs on it is made with it
            part = self.joining.types[child.address.type_path]
            child = with_group(part, child)
            found = yield from matches(part, child, None)
            self.planner.see(part, Sighting(child, None, now, matches=found), one.handle)


def _spoken(alias: str) -> str:
    """An alias, `field:value`, in words."""
    return alias.replace(":", " ", 1)


def _handle(one: Pair | _Absent) -> int:
    return one.handle


def _doubled(rtype: ResourceType, found: Sequence[Pair]) -> dict[int, BadAnswer]:
    """
    By handle, those of which the answers say that they are one unit, where an id does not tell: one of them is about
    another unit than the one that was asked for, and nobody knows which.
    """
    same: dict[object, list[Pair]] = {}
    for pair in found if rtype.identity is not None else ():
        if (told := pair.seen.facts.get(rtype.identity or "")) is not None:
            same.setdefault(told, []).append(pair)
    wrong: dict[int, BadAnswer] = {}
    for told, pairs in same.items():
        ids = " and ".join(pair.seen.id for pair in pairs[:3])
        said = f"the API answered about one {rtype.noun}, {told}, when it was asked for {ids}"
        wrong |= {pair.handle: BadAnswer(said) for pair in pairs if len(pairs) > 1}
    return wrong
