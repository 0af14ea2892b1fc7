"""
Layers of nodes → a value: profiles first, then what the entry says itself, merged and of the kinds of the schema.

Compiled once for a block and its profiles: what is no template is a constant, what is one a function of the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from reconcile.config.compile.layers import (
    ABSENT,
    Const,
    Layer,
    Part,
    Path_,
    Scope,
    as_map,
    merge,
    object_part,
    value_of,
)
from reconcile.config.compile.references import looks_like_reference, secret_reference
from reconcile.config.compile.sections import ANY, ResourceField, SectionField, is_bare, scalar_of
from reconcile.config.compile.yielded import (
    SPECIAL,
    WANTED,
    from_data,
    hint_for,
    not_to_be_set,
    stands_for_scalar,
    unknown_key,
)
from reconcile.config.expressions.coerce import as_text, choose, scalar, shown
from reconcile.config.expressions.templates import Template, is_template
from reconcile.config.world import Loading
from reconcile.core.schema import Field, Kind
from reconcile.core.text import flaw_in_name
from reconcile.core.values import FileRef
from reconcile.errors import Flaw
from reconcile.yaml import Map, Node, Scalar, Seq


class Shape:
    """
    A compiled entry: `part` makes its map of values.

    Attributes:
        places, profiles: by path, where a value is written and the profile that says it.
        broken: whether something was reported while it was compiled.
        constants: the identities of the resources' maps that no row changes.
        fields: how many templates it has.
    """

    __slots__ = (
        "_world",
        "address",
        "alike",
        "broken",
        "cache",
        "constants",
        "fields",
        "part",
        "places",
        "plain_texts",
        "profiles",
        "wrapped",
    )

    def __init__(
        self,
        world: Loading,
        field: Field,
        layers: Sequence[Layer],
        address: str,
        alike: bool = False,
        plain_texts: bool = False,
    ) -> None:
        """
        Args:
            address: what messages call it.
            alike: whether it is one of many hand-written entries, whose equal mistakes are counted.
            plain_texts: whether a text that looks like a reference to a secret may well be one.
        """
        self._world, self.address, self.alike, self.plain_texts = world, address, alike, plain_texts
        self.constants: set[int] = set()
        self.wrapped: set[Path_] = set()
        self.places: dict[Path_, int] = {}
        self.profiles: dict[Path_, str] = {}
        self.cache: dict[Any, Any] = {}
        self.broken = False
        self.fields = 0
        self.part = self._value(field, layers, ()) or Const({})

    def build(self, scope: Scope) -> Any:
        """The map of values, or ABSENT. What is constant is shared: do not change it."""
        part = self.part
        if isinstance(part, Const):
            return part.value
        self._world.budget.fields += self.fields
        return part(scope)

    # What is wrong

    def _wrong(self, flaw: Flaw, at: int, path: Path_, secret: bool = False) -> None:
        self.broken = True
        where = self._world.position(at)
        if secret:
            self._world.report.hide(where)
        self._world.report.flaw(
            flaw,
            where,
            address=self.named(path),
            show_line=not secret,
            alike=(path[-1:], flaw.kind) if self.alike else None,
        )

    def named(self, path: Path_) -> str:
        """What messages call the value at a path: as it is written, so without the field that a scalar stands for."""
        written = path[:-1] if path in self.wrapped else path
        return f"{self.address} ({'.'.join(written)})" if written else self.address

    # Values

    def _value(self, field: Field, layers: Sequence[Layer], path: Path_) -> Part | None:
        """None when no layer says anything."""
        written = layers
        for layer in layers:
            if type(layer.node) is Scalar and layer.node.null:
                written = [one for one in layers if not (type(one.node) is Scalar and one.node.null)]
                break
        if not written:
            return None
        if field.computed:
            self._wrong(not_to_be_set(field), written[-1].node.at, path)
            return None
        if field.kind is Kind.OBJECT or field.kind is Kind.MAP:
            return self._map(field, written, path)
        if field.kind is Kind.ANY and type(written[-1].node) is Map:
            maps = [layer for layer in written if type(layer.node) is Map]
            return self._members(field, maps, path, lambda name: ANY)
        if field.kind in (Kind.LIST, Kind.ANY) and type(written[-1].node) is Seq:
            return self._list(field, written[-1], path)
        return self._leaf(field, written, path)

    def _leaf(self, field: Field, layers: Sequence[Layer], path: Path_) -> Part | None:
        layer = layers[-1]
        node, below = layer.node, layers[:-1]
        secret = field.kind is Kind.SECRET
        self.places[path] = node.at
        if layer.profile is not None:
            self.profiles[path] = layer.profile
        if secret:
            self._world.report.hide(self._world.position(node.at))
        if type(node) is Map and field.kind is Kind.TEXT and set(node.members) == {"file"}:
            return self._file_text(node, path)
        if type(node) is not Scalar:
            what = f"expected {WANTED[field.kind]}, got {'a map' if type(node) is Map else 'a list'}"
            self._wrong(Flaw(what, hint=hint_for(field, node)), node.at, path, secret)
            return None
        try:
            if is_template(node.text):
                template = self._world.templates.read(node.text)
                beneath = self._value(field, below, path) if below and template.whole else None
                self.places[path] = node.at
                return self._dynamic_leaf(field, node, template, beneath, path)
            if field.kind is Kind.TEXT:
                if looks_like_reference(node.text, self._world.schemes):
                    self._warn_reference(node.at, path)
                return Const(choose(node.text, field.choices) if field.choices else node.text)
            if field.kind in SPECIAL:
                return Const(self._special(field, node.text, node.at))
            return Const(scalar(field.kind, node))
        except Flaw as flaw:
            self._wrong(flaw, node.at, path, secret)
            return None

    def _warn_reference(self, at: int, path: Path_) -> None:
        if self.plain_texts:
            return
        self._world.report.warn(
            f"{self.named(path)} looks like a reference to a secret and is an ordinary text",
            self._world.position(at),
        )

    def _special(self, field: Field, text: str, at: int) -> Any:
        world = self._world
        if field.kind is Kind.SECRET:
            reference = secret_reference(text, world.schemes, world.base(at), world.sources.directory)
            if reference.scheme == "file":
                world.sources.secret(reference.rest)
            return reference
        path = world.sources.upload(text, world.base(at), "the file", at)
        return FileRef(world.sources.relative(path))

    def _dynamic_leaf(self, field: Field, node: Scalar, template: Template, beneath: Part | None, path: Path_) -> Part:
        self.fields += 1
        run, kind, at, world = template.run, field.kind, node.at, self._world
        secret, special, choices = kind is Kind.SECRET, kind in SPECIAL, field.choices
        warned = False

        def leaf(scope: Scope) -> Any:
            nonlocal warned
            try:
                value = run(scope.names)
                if value is None:
                    return value_of(beneath, scope)
                if kind is Kind.TEXT:
                    found = value if type(value) is str else as_text(value) or ""
                    if not warned and ":" in found[:12] and looks_like_reference(found, world.schemes):
                        warned = True
                        self._warn_reference(at, path)
                    return choose(found, choices) if choices else found
                if special:
                    return self._special(field, as_text(value) or "", at)
                return from_data(field, value)
            except Flaw as flaw:
                scope.wrong(at, path, flaw, not secret)
                return ABSENT

        return leaf

    def _file_text(self, node: Map, path: Path_) -> Part | None:
        named = node.members["file"]
        if type(named) is not Scalar or named.null:
            self._wrong(Flaw("{file: …} names one file"), node.at, path)
            return None
        world, base = self._world, self._world.base(named.at)

        def text_of(name: str) -> str:
            return world.sources.read_text(world.sources.find(name, base, "the file", named.at))

        try:
            if not is_template(named.text):
                return Const(text_of(named.text))
            run = world.templates.read(named.text).run
            self.fields += 1
        except Flaw as flaw:
            self._wrong(flaw, named.at, path)
            return None

        def leaf(scope: Scope) -> Any:
            try:
                return text_of(as_text(run(scope.names)) or "")
            except Flaw as flaw:
                scope.wrong(named.at, path, flaw, True)
                return ABSENT

        return leaf

    def _list(self, field: Field, layer: Layer, path: Path_) -> Part | None:
        assert type(layer.node) is Seq
        self.places[path] = layer.node.at
        if layer.profile is not None:
            self.profiles[path] = layer.profile
        inner = field.member or ANY
        parts = [
            self._value(inner, [Layer(member, layer.profile)], (*path, str(index)))
            for index, member in enumerate(layer.node.members)
        ]
        known = [part for part in parts if part is not None]
        fixed = [part for part in known if isinstance(part, Const)]
        if len(fixed) == len(known):
            return Const([part.value for part in fixed])
        return lambda scope: [value for value in (value_of(part, scope) for part in known) if value is not ABSENT]

    # Maps

    def _map(self, field: Field, layers: Sequence[Layer], path: Path_) -> Part | None:
        whole: list[Layer] = []
        plain = True
        scalar, bare = scalar_of(field), is_bare(field)
        for layer in layers:
            node = layer.node
            if scalar is not None and stands_for_scalar(node, field):
                self.wrapped.add((*path, scalar))
                node = Map({scalar: node}, node.at, node.at.to_bytes(8, "little"))
            elif type(node) is Seq and bare:
                if any(type(member) is Scalar and is_template(member.text) for member in node.members):
                    plain = False
                else:
                    node = self._named_members(node, path)
            elif type(node) is Scalar and is_template(node.text):
                plain = False
            elif type(node) is not Map:
                what = "a list" if type(node) is Seq else "a string"
                self.places[path] = node.at
                wanted = "list of names" if bare else "map"
                self._wrong(Flaw(f"expected a {wanted}, got {what}"), node.at, path)
                continue
            whole.append(Layer(node, layer.profile))
        if not whole:
            return None
        if plain:
            return self._plain_map(field, whole, path)
        parts = [self._layer_map(field, layer, path) for layer in whole]

        def merged(scope: Scope) -> Any:
            value: Any = ABSENT
            for part in parts:
                value = merge(value, value_of(part, scope))
            return value

        return merged

    def _layer_map(self, field: Field, layer: Layer, path: Path_) -> Part | None:
        node = layer.node
        if type(node) is Map:
            return self._plain_map(field, [layer], path)
        if type(node) is Seq:
            return self._templated_names(field, layer, node, path)
        assert type(node) is Scalar
        self.places[path] = node.at
        if layer.profile is not None:
            self.profiles[path] = layer.profile
        try:
            template = self._world.templates.read(node.text)
            self.fields += 1
            if not template.whole:
                raise Flaw("expected a map, got a string", hint="Only a value that is one expression yields a map")
        except Flaw as flaw:
            self._wrong(flaw, node.at, path)
            return None

        def expression(scope: Scope) -> Any:
            try:
                value = template.run(scope.names)
                return from_data(field, value, lambda inner, text: self._special(inner, text, node.at))
            except Flaw as flaw:
                scope.wrong(node.at, path, flaw, True)
                return ABSENT

        return expression

    def _templated_names(self, field: Field, layer: Layer, node: Seq, path: Path_) -> Part:
        """A list of names with templates among them: a name that is none is not written."""
        self.places[path] = node.at
        if layer.profile is not None:
            self.profiles[path] = layer.profile
        name = Field("*", Kind.TEXT)
        parts = [
            (member.at, self._value(name, [Layer(member, layer.profile)], (*path, str(index))))
            for index, member in enumerate(node.members)
        ]

        def names(scope: Scope) -> Any:
            found = [(at, value_of(part, scope)) for at, part in parts if part is not None]
            for at, value in found:
                if value is not ABSENT and (wrong := flaw_in_name(value)):
                    scope.wrong(at, path, Flaw(f"the key {shown(value)} {wrong}", kind="key"), True)
                    return ABSENT
            return {value: {} for _, value in found if value is not ABSENT}

        return names

    def _named_members(self, node: Seq, path: Path_) -> Map:
        members: dict[str, Node] = {}
        for member in node.members:
            if type(member) is Scalar and not member.null and not is_template(member.text):
                members[member.text] = Map({}, member.at, b"")
            else:
                self._wrong(Flaw("expected a list of names"), member.at, path)
        return Map(members, node.at, b"")

    def _plain_map(self, field: Field, layers: Sequence[Layer], path: Path_) -> Part:
        if field.kind is Kind.OBJECT:
            return self._object(field, layers, path)
        return self._members(field, layers, path, lambda name: field.member)

    def _members(self, field: Field, layers: Sequence[Layer], path: Path_, pick: Callable[[str], Field | None]) -> Part:
        items: list[tuple[str, Part]] = []
        top = as_map(layers[-1].node)
        self.places.setdefault(path, top.at)
        names: Iterable[str] = top.members
        if len(layers) > 1:
            names = dict.fromkeys(name for layer in layers for name in as_map(layer.node).members)
        resources = isinstance(field, SectionField)
        for name in names:
            if len(layers) == 1:
                nodes = [Layer(top.members[name], layers[0].profile)]
                owner = top
            else:
                said = [(as_map(layer.node), layer.profile) for layer in layers]
                said = [(node, profile) for node, profile in said if name in node.members]
                nodes = [Layer(node.members[name], profile) for node, profile in said]
                owner = said[-1][0]
            inner = pick(name)
            if inner is None:
                self._unknown(field, name, owner, path)
            elif resources and (wrong := flaw_in_name(name)):
                self._wrong(Flaw(f"the key {shown(name)} {wrong}"), owner.key_at(name), path)
            elif (part := self._value(inner, nodes, (*path, name))) is not None:
                items.append((name, part))
        return object_part(items)

    def _object(self, field: Field, layers: Sequence[Layer], path: Path_) -> Part:
        part = self._members(field, layers, path, field.fields.get)
        if not isinstance(field, ResourceField):
            return part
        # A resource: `when` decides first, and one whose only value is not written is not there.
        needs = field.scalar
        mentions = needs is not None and any(needs in as_map(layer.node).members for layer in layers)
        if isinstance(part, Const):
            value = part.value
            if value.get("when") is False or (mentions and needs not in value):
                return Const(ABSENT)
            value.pop("when", None)
            self.constants.add(id(value))
            return Const(value)
        maps = [as_map(layer.node) for layer in layers]
        whens = [Layer(node.members["when"]) for node in maps if "when" in node.members]
        when = self._value(field.fields["when"], whens, (*path, "when")) if whens else None

        if when is None and not mentions:
            return part

        def child(scope: Scope) -> Any:
            if when is not None and value_of(when, scope) is not True:
                return ABSENT
            found = part(scope)
            if mentions and needs not in found:
                return ABSENT
            if when is not None:
                found.pop("when", None)
            return found

        return child

    def _unknown(self, field: Field, name: str, node: Map, path: Path_) -> None:
        # What stands under a misspelt key may be a secret; the words of the message say enough.
        secret = not path or any(inner.kind is Kind.SECRET for inner in field.fields.values())
        self._wrong(unknown_key(field, name), node.key_at(name), path, secret=secret)
