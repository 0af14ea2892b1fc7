"""
Entries → resources: a hand-written entry is one, a block (`for_each`) one for each row of its table.

A resource is (entry, row) until it is built; what a build needs of an entry is compiled once and kept with the block.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from reconcile.config.compile.build import Shape
from reconcile.config.compile.layers import ABSENT, Layer, Path_, Scope
from reconcile.config.compile.sections import ENTRY, WHEN, ResourceField
from reconcile.config.expressions.coerce import as_text, shown
from reconcile.config.expressions.operations import Names
from reconcile.config.merge.fleet import Said
from reconcile.config.read.tables import Table
from reconcile.config.report import did_you_mean, listed, suggestion
from reconcile.config.world import Loading
from reconcile.core.address import quote
from reconcile.core.schema import Field, Kind
from reconcile.core.text import flaw_in_name
from reconcile.errors import Flaw, Position
from reconcile.yaml import Map, Node, Scalar

_KEY = Field("*", Kind.OBJECT, fields={"key": Field("key", Kind.TEXT)})
_WHEN = Field("*", Kind.OBJECT, fields={"when": WHEN})
_PROFILE = Field("*", Kind.OBJECT, fields={"profile": Field("profile", Kind.LIST, member=Field("*", Kind.TEXT))})
_ONE_PROFILE = Field("*", Kind.OBJECT, fields={"profile": Field("profile", Kind.ANY)})
_ENTRY = frozenset(ENTRY)
MAX_PROFILES = 100  # of one resource: each is looked at for each of its values


@dataclass(slots=True)
class Shared:
    """What all entries of a fleet share."""

    world: Loading
    names: Names
    profiles: Mapping[str, Said]


@dataclass(slots=True)
class Built:
    """
    A resource's map of values, with all that it came from. `value` is ABSENT when it is not there (`when`, none).

    Attributes:
        flaws: what was wrong with its row: `(place, path, flaw, shows its line)`.
    """

    key: str
    value: Any
    shape: Shape
    flaws: list[tuple[int, Path_, Flaw, bool]] = field(default_factory=list)


KEPT = 2_000
"""Hand-written entries of one section and file that are kept as they were built: more are data, not handwriting."""


class Entries:
    """
    The hand-written entries of a section in one file.

    Attributes:
        start: the handle of the first. `kept`: the places in `keys` of those that are there.
    """

    def __init__(self, shared: Shared, family: ResourceField, node: Map, run: Sequence[tuple[int, str]]) -> None:
        self.shared, self.family, self.node = shared, family, node
        self.keys = [key for _, key in run]
        self._ordinals = array("I", [ordinal for ordinal, _ in run])
        self.kept = array("I")
        self.start = 0
        self.table: Table | None = None
        self.block: str | None = None
        self._built: dict[int, Built | None] = {}  # an entry has a shape of its own, so it is not compiled twice

    @property
    def rows(self) -> int:
        """How many entries may be there."""
        return len(self.keys)

    def where(self, row: int) -> Position:
        """The place of an entry."""
        at = 8 * self._ordinals[row]
        return self.shared.world.position(int.from_bytes(self.node.keys[at : at + 8], "little"))

    def say(self, row: int) -> str | None:
        """The row in words: there is none."""
        return None

    def layers(self, row: int) -> tuple[Scope, list[Layer]]:
        """What an entry that is there is built of: what its templates see, and its layers."""
        key = self.keys[row]
        node = self.node.members[key]
        scope = Scope(self.shared.names.seeing("key", key))
        if type(node) is not Map or _ENTRY.isdisjoint(node.members):
            return scope, [Layer(node)]
        heads = _Heads(self.shared, node, f"{self.family.type.path}{quote(key)}")
        return scope, [*_profile_layers(self.shared, heads.profiles(scope)), Layer(_without_entry(node))]

    def build(self, row: int) -> Built | None:
        """The entry; None when it is reported as wrong or says nothing."""
        if row in self._built:
            return self._built[row]
        built = self._build(row)
        if len(self._built) < KEPT:
            self._built[row] = built
        return built

    def _build(self, row: int) -> Built | None:
        key = self.keys[row]
        node = self.node.members[key]
        if type(node) is Scalar and node.null:
            return None
        shared, path = self.shared, self.family.type.path
        address = f"{path}{quote(key)}"
        scope = Scope(shared.names.seeing("key", key))
        profiles: tuple[str, ...] = ()
        layers = [Layer(node)]
        if type(node) is Map and not _ENTRY.isdisjoint(node.members):
            if "key" in node.members:
                flaw = Flaw("key stands in a block", hint="Say for_each too, or leave it out")
                shared.world.report.flaw(flaw, shared.world.position(node.key_at("key")), address=address)
            heads = _Heads(shared, node, address)
            if not heads.there(scope):
                return Built(key, ABSENT, heads.empty, scope.flaws)
            profiles = heads.profiles(scope)
            layers = [*_profile_layers(shared, profiles), Layer(_without_entry(node))]
        shape = Shape(shared.world, self.family, layers, address, alike=True)
        return Built(key, shape.build(scope), shape, scope.flaws)


class Block:
    """
    An entry with `for_each`.

    Attributes:
        start: the handle of the first resource. `kept`: the rows that are there.
    """

    def __init__(self, shared: Shared, family: ResourceField, name: str, at: int, node: Map, table: Table) -> None:
        self.shared, self.family, self.table, self.block, self.node = shared, family, table, name, node
        self.kept = array("I")
        self.start = 0
        self.address = f"{family.type.path}{quote(name)}"
        self.at = at
        self._body = _without_entry(node)
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self._heads = _Heads(shared, node, self.address)
        self._names = Names(shared.names, replace(shared.names.around, shown=table.shown))

    @property
    def rows(self) -> int:
        """How many rows its table has."""
        return len(self.table)

    def where(self, row: int) -> Position:
        """The place of a row in the table's file."""
        return self.table.where(row)

    def say(self, row: int) -> str | None:
        """A row in words."""
        return self.table.say(row)

    def layers(self, row: int) -> tuple[Scope, list[Layer]]:
        """What a row that is there is built of: what its templates see, and its layers."""
        scope = Scope(self._names.seeing("row", self.table.row(row)))
        scope.names["key"] = self._heads.key(scope)
        return scope, [*_profile_layers(self.shared, self._heads.profiles(scope)), Layer(self._body)]

    def build(self, row: int) -> Built | None:
        """The resource of a row; its value is ABSENT when `when` says no, its key empty when that is wrong."""
        scope = Scope(self._names.seeing("row", self.table.row(row)))
        heads = self._heads
        if not heads.there(scope):
            return Built("", ABSENT, heads.empty, scope.flaws)
        key = heads.key(scope)
        scope.names["key"] = key
        chosen = heads.profiles(scope)
        shape = self._shapes.get(chosen)
        if shape is None:
            layers = [*_profile_layers(self.shared, chosen), Layer(self._body)]
            shape = Shape(self.shared.world, self.family, layers, self.address)
            if len(self._shapes) < 1000:
                self._shapes[chosen] = shape
        return Built(key, shape.build(scope), shape, scope.flaws)


Source = Entries | Block


class _Heads:
    """What an entry says of itself: `when`, `key`, `profile`."""

    __slots__ = ("_key", "_known", "_one", "_profile", "_shared", "_when", "_where", "empty")

    def __init__(self, shared: Shared, node: Map, address: str) -> None:
        self._shared = shared
        self._where = {name: node.members[name].at for name in _ENTRY if name in node.members}
        self._when = self._part(node, "when", _WHEN, address)
        self._key = self._part(node, "key", _KEY, address)
        profile = node.get("profile")
        self._one = type(profile) is Scalar
        self._profile = self._part(node, "profile", _ONE_PROFILE if self._one else _PROFILE, address)
        self.empty = self._when or Shape(shared.world, _WHEN, [], address)
        self._known: dict[Any, tuple[str, ...]] = {}

    def _part(self, node: Map, name: str, field: Field, address: str) -> Shape | None:
        said = node.get(name)
        if said is None:
            return None
        return Shape(self._shared.world, field, [Layer(Map({name: said}, node.at, b""))], address)

    def there(self, scope: Scope) -> bool:
        """Whether `when` lets it be. One that cannot be told (a flaw) is not."""
        if self._when is None:
            return True
        return not self._when.broken and self._when.build(scope).get("when", False) is True

    def key(self, scope: Scope) -> str:
        """The key that `key:` makes; empty, with a flaw, when it makes none."""
        if self._key is None:
            return ""
        flaws = len(scope.flaws)
        key = self._key.build(scope).get("key", "")
        if len(scope.flaws) == flaws and not self._key.broken and (wrong := flaw_in_name(key)):
            flaw = Flaw(f"the key {shown(key)} {wrong}" if key else "the key is empty", kind=("key", wrong))
            scope.wrong(self._where["key"], ("key",), flaw, True)
            return ""
        return str(key)

    def profiles(self, scope: Scope) -> tuple[str, ...]:
        """The names of its profiles that there are; the others are flaws."""
        if self._profile is None:
            return ()
        said = self._profile.build(scope).get("profile")
        try:
            if said is None:
                return ()
            names = [said] if not isinstance(said, list) else said
            words = tuple([word for word in map(as_text, names) if word is not None])
        except Flaw as flaw:
            scope.wrong(self._where["profile"], ("profile",), flaw, True)
            return ()
        if (known := self._known.get(words)) is not None:
            return known
        if len(words) > MAX_PROFILES:
            many = Flaw(f"a resource has at most {MAX_PROFILES} profiles, not {len(words):,}", kind="profiles")
            scope.wrong(self._where["profile"], ("profile",), many, True)
            return ()
        there = self._shared.profiles
        for word in words:
            if word not in there:
                note = f"Profiles: {listed(there)}" if there else "There are no profiles"
                missing = Flaw(
                    f"there is no profile {shown(word)}",
                    notes=[note],
                    hint=lambda word=word: did_you_mean(word, there),  # type: ignore[misc]
                    kind=("profile", word),
                    silent=self._shared.names.around.torn,
                )
                scope.wrong(self._where["profile"], ("profile",), missing, True)
        if all(word in there for word in words):
            if len(self._known) < 1000:
                self._known[words] = words
            return words
        return tuple([word for word in words if word in there])


def _profile_layers(shared: Shared, names: Sequence[str]) -> list[Layer]:
    return [Layer(shared.profiles[name].node, name) for name in names]


def _without_entry(node: Map) -> Map:
    members: dict[str, Node] = {}
    keys = b""
    for index, (name, member) in enumerate(node.members.items()):
        if name not in _ENTRY:
            members[name] = member
            keys += node.keys[8 * index : 8 * index + 8]
    return Map(members, node.at, keys)


def entries_of(shared: Shared, family: ResourceField, node: Map, tables: Mapping[str, Table | None]) -> list[Source]:
    """
    The blocks and runs of hand-written entries of a section in one file, in its order. What is wrong is reported.

    Args:
        tables: declared ones by name, read ones by path as `for_each` names them; None for one that cannot be used.
    """
    found: list[Source] = []
    run: list[tuple[int, str]] = []
    for ordinal, (key, member, key_at) in enumerate(node.items()):
        if type(member) is Map and "for_each" in member.members:
            if run:
                found.append(Entries(shared, family, node, run))
                run = []
            block = _block(shared, family, key, key_at, member, tables)
            if block is not None:
                found.append(block)
            continue
        if type(member) is Scalar and member.null:
            instead = "{} to manage it with no settings" if family.scalar is None else '"" for an empty string'
            shared.world.report.warn(
                f"{family.type.path}{quote(key)} has no value and is ignored; write {instead}",
                shared.world.position(key_at),
            )
            continue
        if wrong := flaw_in_name(key):
            at = shared.world.position(key_at)
            shared.world.report.flaw(
                Flaw(f"the key {shown(key)} {wrong}"), at, address=family.type.path, show_line=False
            )
            continue
        run.append((ordinal, key))
    if run:
        found.append(Entries(shared, family, node, run))
    return found


def _block(
    shared: Shared, family: ResourceField, name: str, at: int, node: Map, tables: Mapping[str, Table | None]
) -> Block | None:
    world = shared.world
    address = f"{family.type.path}{quote(name)}"
    if node.get("key") is None:
        flaw = Flaw("a block needs a key", hint='Say what names its resources:  key: "{{ row.name }}"')
        world.report.flaw(flaw, world.position(at), address=address)
    said = node.members["for_each"]
    text = said.text if type(said) is Scalar else ""
    table = tables.get(text)
    if text not in tables:
        known = [name for name in islice(tables, 100) if "/" not in name]
        flaw = Flaw(
            f"there is no table {shown(text)}" if text else "for_each takes the name of a table or a path",
            notes=[f"Tables: {listed(known)}" if known else "No table is declared"],
            hint=suggestion(
                text,
                (name for name in tables if "/" not in name),
                "for_each takes the name of a table, or the path of a file",
            ),
            silent=shared.names.around.torn,
        )
        world.report.flaw(flaw, world.position(said.at), address=address)
    if table is None or node.get("key") is None:
        return None
    return Block(shared, family, name, at, node, table)
