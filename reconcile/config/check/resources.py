"""A built map of values → the resource and what hangs on it, as the engine wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconcile.config.compile.blocks import Built, Source
from reconcile.config.compile.build import Shape
from reconcile.config.compile.layers import Path_
from reconcile.config.compile.sections import ResourceField
from reconcile.config.world import Loading
from reconcile.core.address import Address
from reconcile.core.resource import Desired
from reconcile.core.schema import Field
from reconcile.core.values import FileRef, Ref
from reconcile.errors import Position


@dataclass(slots=True)
class Member:
    """
    One resource of a family.

    Attributes:
        path: where its map lies in the family's.
        attrs: of the model's words: files with their checksums, references to resources still texts.
        constant: whether every row of its shape has the very same.
    """

    field: ResourceField
    keys: tuple[str, ...]
    path: Path_
    attrs: dict[str, Any]
    value: Mapping[str, Any]
    constant: bool


def members(world: Loading, field: ResourceField, built: Built) -> Iterator[Member]:
    """
    The resources of a family: the root, then its children in the order of the types.

    Raises:
        Flaw: a file to upload cannot be read.
    """
    yield from _members(world, field, built.shape, (built.key,), (), built.value)


def _members(
    world: Loading, field: ResourceField, shape: Shape, keys: tuple[str, ...], path: Path_, value: dict[str, Any]
) -> Iterator[Member]:
    constant = id(value) in shape.constants
    yield Member(field, keys, path, _attrs(world, field, shape, value, constant), value, constant)
    for section, inner in field.sections.items():
        for key, child in value.get(section, _NOTHING).items():
            yield from _members(world, inner, shape, (*keys, key), (*path, section, key), child)


_NOTHING: dict[str, Any] = {}


def _attrs(world: Loading, field: ResourceField, shape: Shape, value: dict[str, Any], constant: bool) -> dict[str, Any]:
    if constant and (known := shape.cache.get(id(value))) is not None:
        return known  # type: ignore[no-any-return]
    attrs = value if field.apart.isdisjoint(value) else {n: v for n, v in value.items() if n not in field.apart}
    for name, spec in field.files:
        file = attrs.get(name)
        if isinstance(file, FileRef):
            written = attrs.get("sha256")
            path = world.sources.directory / file.path
            found = world.sources.sha256(path, spec)
            if isinstance(written, str):
                if found is not None and found != written.lower():
                    world.report.warn(f"{world.sources.show(path)} has other bytes than its sha256 says: {found}")
                found = written.lower()
            attrs = {**attrs, name: FileRef(file.path, found)}
    if constant:
        shape.cache[id(value)] = attrs
    return attrs


def with_refs(field: ResourceField, attrs: dict[str, Any]) -> dict[str, Any]:
    """Attributes with the names of other resources as references to them."""
    if not field.referring:
        return attrs
    return {**attrs, **{name: _ref(inner, attrs[name]) for name, inner in field.referring if name in attrs}}


def _ref(field: Field, value: Any) -> Any:
    if field.refers is not None and isinstance(value, str):
        return Ref(field.refers, value)
    if isinstance(value, list):
        inner = field.member
        if field.refers is not None:
            return [Ref(field.refers, member) if isinstance(member, str) else member for member in value]
        return [_ref(inner, member) for member in value] if inner is not None else value
    if isinstance(value, dict):
        return {
            name: _ref(inner, member) if (inner := field.fields.get(name) or field.member) is not None else member
            for name, member in value.items()
        }
    return value


def address_of(member: Member) -> Address:
    """Its address."""
    return Address.of(member.field.type.path, member.keys)


def desired(world: Loading, source: Source, row: int, built: Built, member: Member) -> Desired:
    """A resource as the engine wants it."""
    value = member.value
    shape = built.shape
    if source.block is not None:
        where: Position | None = source.where(row)
    elif member.path and (at := built.shape.places.get(member.path)) is not None:
        where = world.position(at)
    else:
        where = source.where(row)
    return Desired(
        address_of(member),
        with_refs(member.field, member.attrs),
        source.block,
        where,
        Places(lambda: _where(world, shape, member)[0]),
        Places(lambda: _where(world, shape, member)[1]),
        _labels(built.value, value),
        value.get("protect"),
        value.get("on_removal"),
        frozenset(name for name in member.field.sections if name in value),
    )


def _labels(root: Mapping[str, Any], value: Mapping[str, Any]) -> Mapping[str, str]:
    """A child's labels are its own and those of its device; where it has none they are the same map."""
    inherited: Mapping[str, str] = root.get("labels", _NOTHING)
    own: Mapping[str, str] = value.get("labels", _NOTHING)
    return {**inherited, **own} if inherited and own and value is not root else own or inherited


class Places(Mapping[str, Any]):
    """A map that is made when somebody looks at it: few of a plan's resources are shown."""

    __slots__ = ("_made",)

    def __init__(self, make: Callable[[], dict[str, Any]]) -> None:
        self._made: dict[str, Any] | Callable[[], dict[str, Any]] = make

    def _map(self) -> dict[str, Any]:
        if not isinstance(self._made, dict):
            self._made = self._made()
        return self._made

    def __getitem__(self, name: str) -> Any:
        return self._map()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._map())

    def __len__(self) -> int:
        return len(self._map())

    def __repr__(self) -> str:
        return repr(self._map())


def _below(shape: Shape, depth: int) -> Mapping[Path_, list[tuple[Path_, int]]]:
    """The places of a shape by the first steps of their paths: one resource may have thousands of children."""
    known = shape.cache.get(("below", depth))
    if known is None:
        known = shape.cache["below", depth] = {}
        for path, at in shape.places.items():
            known.setdefault(path[:depth], []).append((path, at))
    return known


def _where(world: Loading, shape: Shape, member: Member) -> tuple[dict[str, Position], dict[str, str]]:
    """The places and profiles of its attributes, by dotted path. Equal for all rows of a shape, so kept with it."""
    known = shape.cache.get(member.path)
    if known is None:
        depth, prefix = len(member.path), member.path
        fields, origins = {}, {}
        below = _below(shape, depth).get(prefix, ())
        if depth and not below:
            # An expression made the whole map: all of it stands where the expression does.
            outer = next((prefix[:n] for n in range(depth, -1, -1) if prefix[:n] in shape.places), None)
            for name in member.attrs:
                if outer is None:
                    break
                fields[name] = world.position(shape.places[outer])
                if outer in shape.profiles:
                    origins[name] = f"profile {shape.profiles[outer]}"
        for path, at in below:
            if len(path) > depth and path[depth] not in member.field.sections:
                name = ".".join(path[depth:])
                fields[name] = world.position(at)
                if path in shape.profiles:
                    origins[name] = f"profile {shape.profiles[path]}"
        known = (fields, origins)
        if len(shape.cache) < 5000:
            shape.cache[member.path] = known
    return known
