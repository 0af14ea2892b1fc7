"""
Every resource once, before anything else is done: models, keys, units, references. All mistakes are reported.

What is built is dropped again; only the indexes stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from reconcile.config.check.models import model_flaws
from reconcile.config.check.opened import Opened, references
from reconcile.config.check.resources import Member, address_of, members, with_refs
from reconcile.config.compile.blocks import Built, Source
from reconcile.config.compile.layers import ABSENT, Path_
from reconcile.config.compile.sections import ResourceField
from reconcile.config.expressions.coerce import shown
from reconcile.config.read.index import HashIndex
from reconcile.config.report import Showing, did_you_mean
from reconcile.config.world import Loading
from reconcile.core.address import Address
from reconcile.errors import Flaw, Position

_MOST_LOOKED_FOR = 100  # names that are not in the files, for which a near one is looked for
_MOST_WRONG = 5_000  # rows of one block: whoever mends these does not miss the rest
_FEW = 5000  # keys that a near miss is looked for among


@dataclass(slots=True)
class Known:
    """
    What is kept of the resources of a root type.

    Attributes:
        first, last: its handles, `first <= handle < last`.
        keys: handles by key. `ids`: by the unit's id, as the API spells it. `names`: by name, of those without an id.
    """

    family: ResourceField
    sources: Sequence[Source]
    first: int = 0
    last: int = 0
    keys: HashIndex = field(default_factory=HashIndex)
    ids: HashIndex = field(default_factory=HashIndex)
    names: HashIndex = field(default_factory=HashIndex)


@dataclass(frozen=True, slots=True)
class BuiltEntry:
    """An entry of the files, or a row of a block, as it was built."""

    source: Source
    row: int
    built: Built


class Checker:
    """Goes through all resources, type by type, and gives each root its handle."""

    def __init__(self, world: Loading, opened: Opened) -> None:
        self.world, self.opened = world, opened
        self.counts: Counter[str] = Counter()
        self._handle = 0
        self._named: dict[tuple[str, str], tuple[Address, Position]] = {}

    def run(self, known: Known) -> None:
        """All resources of a root type."""
        folded, all_names = HashIndex(), HashIndex()
        known.first = self._handle
        for source in known.sources:
            source.start = self._handle
            wrong = 0
            for row in range(source.rows):
                built = source.build(row)
                if built is None:
                    continue
                entry = BuiltEntry(source, row, built)
                for at, path, flaw, line in built.flaws:
                    self._say(entry, flaw, path, at, line)
                if built.flaws and (wrong := wrong + 1) >= _MOST_WRONG and row + 1 < source.rows:
                    self.world.report.add(
                        f"{wrong:,} rows have mistakes, so the other {source.rows - row - 1:,} were not looked at",
                        source.where(row),
                        shown=Showing(line=False),
                    )
                    break
                if built.value is ABSENT or not built.key:
                    continue
                handle = self._handle
                self._handle += 1
                source.kept.append(row)
                known.keys.add(built.key, handle)
                folded.add(built.key.casefold(), handle)
                self._members(known, entry, handle, all_names)
        known.last = self._handle
        for index in (known.keys, known.ids, known.names, folded, all_names):
            index.sort()
        self._twins(known, folded, all_names)

    def references(self, kinds: Mapping[str, Known], roots: Callable[[str], Sequence[str]]) -> None:
        """Warns of a name that is nearly that of a resource of the document."""
        keys: dict[str, Sequence[str]] = {}
        looked = 0
        for (path, name), (address, where) in self._named.items():
            known = kinds.get(path)
            if known is None or known.keys.find(name) or known.ids.find(name) or known.names.find(name):
                continue
            if known.last - known.first > _FEW or (looked := looked + 1) > _MOST_LOOKED_FOR:
                continue
            if path not in keys:
                keys[path] = roots(path)
            if near := did_you_mean(name, keys[path], cutoff=0.85):
                self.world.report.warn(f"{address} names {shown(name)}, which is not in the files. {near}", where)

    def _say(self, entry: BuiltEntry, flaw: Flaw, path: Path_ = (), at: int | None = None, line: bool = True) -> None:
        """`at`: the place, if it is known better than by the path."""
        source, row, built = entry.source, entry.row, entry.built
        at = _nearest(built.shape.places, path) if at is None else at
        address = built.shape.named(path)
        said = source.say(row)
        where = self.world.position(at) if at else source.where(row)
        alike = (source.family.type.path, path[-1:], flaw.kind) if said is None else None
        self.world.report.flaw(flaw, where, address=address, show_line=line, row=said, alike=alike)

    def _members(self, known: Known, entry: BuiltEntry, handle: int, all_names: HashIndex) -> None:
        built = entry.built
        try:
            for member in members(self.world, known.family, built):
                self.counts[member.field.type.path] += 1
                shape = built.shape
                if member.constant and member.path and ("checked", id(member.value)) in shape.cache:
                    continue
                if member.constant:
                    shape.cache["checked", id(member.value)] = True
                if not shape.broken and not built.flaws:
                    self._model(entry, member)
                if not member.path:
                    self._unit(known, member, handle, all_names)
                self._refers(member, entry)
                self._secrets(member, entry)
        except Flaw as flaw:
            self._say(entry, flaw, (), 0)

    def _model(self, entry: BuiltEntry, member: Member) -> None:
        kind, attrs = member.field.type, member.attrs
        wrong: set[Path_] = set()
        try:
            kind.Model.__pydantic_validator__.validate_python(attrs)
        except ValidationError as error:
            for path, flaw in model_flaws(error, attrs, kind.Model):
                full = (*member.path, *path)
                wrong.add(full)
                self._say(entry, flaw, full)
        said = with_refs(member.field, attrs)
        for path, what, hint in kind.check(said, member.keys[-1]):
            full = (*member.path, *path)
            if full in wrong:
                continue
            flaw = Flaw(what, hint=hint, kind=("check", path, hint))
            self._say(entry, flaw, full)
        for path, what, hint in kind.cautions(said, member.keys[-1]) if not wrong else ():
            self._warn(entry, (*member.path, *path), what, hint)

    def _warn(self, entry: BuiltEntry, path: Path_, what: str, hint: str | None) -> None:
        source, row, built = entry.source, entry.row, entry.built
        at = _nearest(built.shape.places, path)
        where = self.world.position(at) if at else source.where(row)
        said = source.say(row)
        sentence = f"{built.shape.named(path)}: {what}" + (f". {hint}" if hint else "")
        group = ("caution", path, hint, where) if said is not None else None
        alike = (source.family.type.path, path[-1:], hint) if said is None else None
        self.world.report.warn(sentence, where, row=said, group=group, alike=alike)

    def _unit(self, known: Known, member: Member, handle: int, all_names: HashIndex) -> None:
        id_, name = member.field.type.unit(with_refs(member.field, member.attrs), member.keys[-1])
        if id_ is not None:
            known.ids.add(id_, handle)
        else:
            known.names.add(name, handle)
        if member.field.type.names == "unique":
            all_names.add(name, handle)

    def _refers(self, member: Member, entry: BuiltEntry) -> None:
        source, row, built = entry.source, entry.row, entry.built
        key = member.field.type.membership.key if member.field.type.membership is not None else None
        for name, referring in member.field.referring:
            value = member.attrs.get(name, member.keys[-1] if name == key else None)
            for word in value if isinstance(value, list) else [value]:
                path = referring.names
                if not isinstance(word, str) or path is None or len(self._named) > 10_000:
                    continue
                if (path, word) not in self._named:
                    at = _nearest(built.shape.places, (*member.path, name))
                    where = self.world.position(at) if at else source.where(row)
                    self._named[path, word] = (address_of(member), where)

    def _secrets(self, member: Member, entry: BuiltEntry) -> None:
        built = entry.built
        for name in member.field.secrets:
            if (value := member.attrs.get(name)) is None:
                continue
            path = (*member.path, name)
            at = _nearest(built.shape.places, path)
            for reference in references(value):
                if (flaw := self.opened.note(reference, at)) is not None:
                    self._say(entry, flaw, path, at, line=False)

    def _twins(self, known: Known, folded: HashIndex, all_names: HashIndex) -> None:
        report, path = self.world.report, known.family.type.path
        same: set[tuple[int, int]] = set()
        for first, other in self._some(known.keys.twins()):
            one, two = locate(known, first), locate(known, other)
            a, b = one[0].build(one[1]), two[0].build(two[1])
            if a is None or b is None or a.key != b.key:
                continue
            same.add((first, other))
            if one[0].block is None and two[0].block is None:
                continue  # said when the files were merged
            report.add(
                f"{Address.of(path, [a.key])} is given twice, first in {one[0].where(one[1])}",
                two[0].where(two[1]),
                address=b.shape.address if two[0].block else None,
                hint="A key names one resource",
                shown=Showing(
                    row=two[0].say(two[1]), group=("key twice", path, b.shape.address) if two[0].block else None
                ),
            )
        noun = known.family.type.noun
        for index, what in ((known.ids, "id"), (all_names, "name")):
            for first, other in self._some(index.twins()):
                if (first, other) in same:
                    continue
                self._unit_twins(known, first, other, noun, what)
                same.add((first, other))
        for first, other in self._some(folded.twins()):
            one, two = locate(known, first), locate(known, other)
            a, b = one[0].build(one[1]), two[0].build(two[1])
            if a is not None and b is not None and a.key != b.key and a.key.casefold() == b.key.casefold():
                report.warn(
                    f"{Address.of(path, [a.key])} and {Address.of(path, [b.key])} differ only in case",
                    two[0].where(two[1]),
                )

    def _some(self, twins: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """As many as anybody mends at once; that there are more is said."""
        for count, pair in enumerate(twins):
            if count == _MOST_WRONG:
                self.world.report.add(f"more than {count:,} resources are doubled, so the others were not looked at")
                return
            yield pair

    def _unit_twins(self, known: Known, first: int, other: int, noun: str, what: str) -> None:
        found = []
        for handle in (first, other):
            source, row = locate(known, handle)
            built = source.build(row)
            if built is None or built.value is ABSENT:
                return
            root = next(members(self.world, known.family, built))
            unit = root.field.type.unit(with_refs(root.field, root.attrs), built.key)
            found.append((source, row, address_of(root), unit[0] if what == "id" else unit[1], source.where(row)))
        (_, _, one, unit_one, at_one), (source, row, two, unit_two, at_two) = found
        if unit_one != unit_two:
            return
        self.world.report.add(
            f"two {noun}s are one unit: {one} ({at_one}) and {two} ({at_two}), {what} {shown(unit_two)}",
            at_two,
            address=str(two),
            hint="One unit is one resource: keep one of them",
            shown=Showing(
                row=source.say(row), group=("unit", known.family.type.path, what) if source.block else None, line=False
            ),
        )


def locate(known: Known, handle: int) -> tuple[Source, int]:
    """The source and row of a handle."""
    low, high = 0, len(known.sources) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if known.sources[middle].start <= handle:
            low = middle
        else:
            high = middle - 1
    source = known.sources[low]
    return source, source.kept[handle - source.start]


def _nearest(places: Mapping[Path_, int], path: Path_) -> int:
    for depth in range(len(path), -1, -1):
        if (at := places.get(path[:depth])) is not None:
            return at
    return 0
