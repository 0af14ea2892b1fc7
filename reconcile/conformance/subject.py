"""
A case read against the model of its type: which fields it has, and how its entries look. Pure, but for the registry
that the type is found in.
"""

from __future__ import annotations

import copy
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from reconcile.conformance.case import Case, Path
from reconcile.core.address import Address
from reconcile.core.resource_type import Provider, ResourceType, naming_of
from reconcile.core.schema import Field, Kind, Mark, fields_of
from reconcile.core.values import SecretRef
from reconcile.wiring import registry

_NOT_SENT = frozenset((Mark.COMPUTED, Mark.LOCATOR, Mark.ASIDE, Mark.CREDENTIAL, Mark.RECORDED))
_FIXED = frozenset((Mark.IMMUTABLE,))


@dataclass(frozen=True)
class Leaf:
    """A field, however deep, that is compared and sent by itself."""

    path: Path
    spec: Field

    def __str__(self) -> str:
        return ".".join(self.path)

    @property
    def secret(self) -> bool:
        return self.spec.secret

    @property
    def trigger(self) -> bool:
        return Mark.TRIGGER in self.spec.marks

    def of(self, values: Mapping[str, Any]) -> Any:
        """What stands there; None when nothing does."""
        found: Any = values
        for step in self.path:
            found = found.get(step) if isinstance(found, Mapping) else None
        return found

    def put(self, values: Mapping[str, Any], value: Any) -> dict[str, Any]:
        """A copy of `values` with another value there."""
        made = copy.deepcopy(dict(values))
        inner = made
        for step in self.path[:-1]:
            inner = inner.setdefault(step, {})
        inner[self.path[-1]] = value
        return made


@dataclass(frozen=True)
class Example:
    """
    A resource of the document.

    Attributes:
        id: by which the account names it.
        values: its entry, as a map.
    """

    key: str
    id: str
    address: Address
    values: Mapping[str, Any]


class Subject:
    """A case and its type."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.providers = self._providers()
        self.provider = self.providers[case.type.partition(".")[0]]
        self.rtype = self._rtype()
        self.place = tuple(case.place) or tuple(case.type.split("."))
        if ".".join((self.place[0], *self.place[1::2])) != case.type:
            raise ValueError(f"place {'.'.join(self.place)} is no place for entries of {case.type}: say where they go")
        self.entry, self.other = self._map(case.entry), self._map(case.other)
        self.found_by_id = self._found_by_id()
        self.leaves = [leaf for leaf in _leaves(self.rtype, self.entry) if not leaf.spec.marks & _NOT_SENT]

    def _providers(self) -> Mapping[str, Provider]:
        """Every provider by name; read once, since looking for entry points takes as long as a small plan."""
        name, known = self.case.type.partition(".")[0], registry()
        if self.case.provider is not None:
            return ChainMap({name: self.case.provider}, cast(Any, known))
        if name not in known:
            raise ValueError(f"no provider {name} is installed; there are {', '.join(known)}")
        return known

    def _rtype(self) -> ResourceType:
        for rtype in self.provider.types:
            if rtype.path == self.case.type:
                return rtype
        raise ValueError(f"{self.provider.name} has no type {self.case.type}")

    def _map(self, entry: Mapping[str, Any] | str) -> dict[str, Any]:
        if isinstance(entry, Mapping):
            return copy.deepcopy(dict(entry))
        if self.rtype.scalar is None:
            raise ValueError(f"an entry of {self.case.type} is a map")
        return {self.rtype.scalar: entry}

    def _found_by_id(self) -> bool:
        unit = self.case.unit(0, self.case.key)
        return self.rtype.unit({**self.entry, **unit.fields}, unit.key)[0] is not None

    # -- fields -----------------------------------------------------------------------------------------------------

    @property
    def unset(self) -> list[str]:
        """Fields of the model that the case does not set, or to one value only."""
        return [
            ".".join(path)
            for path, spec in _model_leaves(fields_of(self.rtype.Model))
            if not spec.marks & _NOT_SENT
            and not any(".".join(path[:end]) in self.case.left_out for end in range(1, len(path) + 1))
            and not self._set(path, spec)
        ]

    @property
    def left_out_in_vain(self) -> list[str]:
        """What `left_out` names and no entry could set."""
        paths = [path for path, spec in _model_leaves(fields_of(self.rtype.Model)) if not spec.marks & _NOT_SENT]
        known = {".".join(path[:end]) for path in paths for end in range(1, len(path) + 1)}
        return sorted(name for name in self.case.left_out if name not in known)

    def _set(self, path: Path, spec: Field) -> bool:
        leaf = Leaf(path, spec)
        value, other = leaf.of(self.entry), leaf.of(self.other)
        if self._naming(leaf) and not self.found_by_id:
            return value is not None
        return value is not None and other is not None and value != other

    def _naming(self, leaf: Leaf) -> bool:
        return Mark.NAME in leaf.spec.marks

    @property
    def changeable(self) -> list[Leaf]:
        """What an update may send. A name by which a unit is found is none of it: it would be another unit."""
        return [
            leaf
            for leaf in self.leaves
            if not leaf.spec.marks & _FIXED
            and (self.found_by_id or not self._naming(leaf))
            and leaf.of(self.entry) != leaf.of(self.other)
        ]

    @property
    def fixed(self) -> list[Leaf]:
        """What cannot be changed once it is made."""
        return [leaf for leaf in self.leaves if leaf.spec.marks & _FIXED]

    @property
    def optional(self) -> list[str]:
        """Fields that an entry may leave out, all of them at once, and that are compared when it does not."""
        left = self.member()
        dropped: list[str] = []
        for name in dict.fromkeys(leaf.path[0] for leaf in self.changeable if not leaf.trigger and not leaf.secret):
            rest = {field: value for field, value in left.values.items() if field != name}
            required = fields_of(self.rtype.Model)[name].required or name == naming_of(self.rtype.Model)
            if not required and not self.rtype.check(rest, left.key):
                left, dropped = self.with_values(left, rest), [*dropped, name]
        return dropped

    @property
    def watched(self) -> list[Leaf]:
        """What a reading tells when somebody else changes it."""
        told = type(self.rtype).view is not ResourceType.view  # only a view says when a secret was rewritten
        return [leaf for leaf in self.changeable if not leaf.trigger and (told or not leaf.secret)]

    @property
    def creates(self) -> bool:
        """Whether one that is not there is made."""
        return self.rtype.lifecycle(self.member().values).create

    @property
    def maps(self) -> frozenset[str]:
        """Names of members of answers whose keys are data."""
        return frozenset(_maps(fields_of(self.rtype.Model))) | self.case.data

    # -- resources --------------------------------------------------------------------------------------------------

    def member(self, number: int = 0, key: str | None = None, *, other: bool = False, triggers: bool = True) -> Example:
        """
        The n-th resource.

        Args:
            key: in place of the case's.
            other: with the other values, of what can be changed. triggers: and of what sets something off.
        """
        plain = number == 0 and key is None
        key = key or (f"{self.case.key}-{number}" if number else self.case.key)
        unit = self.case.unit(number, key)
        values = {**copy.deepcopy(self.entry), **unit.fields}
        for leaf in self.changeable if other else ():
            if leaf.trigger <= triggers:
                values = leaf.put(values, leaf.of(self.other))
        naming = naming_of(self.rtype.Model)
        if naming is not None and naming in values and not plain:
            values[naming] = f"{key}-2" if other and self.found_by_id else key
        name = str(values.get(naming) or unit.key) if naming else unit.key
        address = Address.of(self.case.type, (*self.place[2::2], unit.key))
        return Example(unit.key, unit.id or name, address, values)

    def with_values(self, member: Example, values: Mapping[str, Any]) -> Example:
        """The same resource, with another entry."""
        return Example(member.key, member.id, member.address, values)

    def document(self, members: list[Example]) -> dict[str, Any]:
        """The sections of a document that holds these resources and what is around them."""
        made = copy.deepcopy(dict(self.case.around))
        inner = made
        for step in self.place[:-1]:
            inner = inner.setdefault(step, {})
        if self.rtype.membership is not None:  # memberships are written as a list of their keys
            inner[self.place[-1]] = [member.key for member in members]
        else:
            written = {member.key: self._written(member) for member in members}
            inner[self.place[-1]] = {**inner.get(self.place[-1], {}), **written}
        return made

    def _written(self, member: Example) -> Any:
        if not isinstance(self.case.entry, str):
            return dict(member.values)
        return member.values[self.rtype.scalar or ""]

    def held(self, leaf: Leaf, value: Any) -> Any:
        """A value of the document as the account shows it."""
        if leaf.secret and (reference := SecretRef.parse(str(value))) is not None and reference.scheme == "env":
            return self.case.environ[reference.rest]
        return sorted(value) if leaf.spec.names and isinstance(value, list) else value

    def expected(self, member: Example) -> dict[str, Any]:
        """By dotted path, what the server has to hold of it; triggers aside."""
        return {
            str(leaf): self.held(leaf, leaf.of(member.values))
            for leaf in self.leaves
            if not leaf.trigger and leaf.of(member.values) is not None
        }

    def shown(self, member: Example, fields: Mapping[str, Any]) -> dict[str, Any]:
        """By dotted path, what the server holds of what the document says."""
        found = {}
        for leaf in self.leaves:
            if not leaf.trigger and leaf.of(member.values) is not None:
                value = leaf.of(fields)
                found[str(leaf)] = sorted(value) if leaf.spec.names and isinstance(value, list) else value
        return found


def _leaves(rtype: ResourceType, values: Mapping[str, Any]) -> list[Leaf]:
    found: list[Leaf] = []

    def walk(path: Path, spec: Field, value: Any) -> None:
        if isinstance(value, Mapping) and spec.kind in (Kind.OBJECT, Kind.MAP) and Mark.WHOLE not in spec.marks:
            for key, inner in value.items():
                below = spec.at((key,))
                if below is not None:
                    walk((*path, key), below, inner)
        else:
            found.append(Leaf(path, spec))

    for name, spec in fields_of(rtype.Model).items():
        if name in values:
            walk((name,), spec, values[name])
    return found


def _model_leaves(fields: Mapping[str, Field], path: Path = ()) -> Iterator[tuple[Path, Field]]:
    for name, spec in fields.items():
        if spec.kind is Kind.OBJECT and spec.fields and Mark.WHOLE not in spec.marks and not spec.marks & _NOT_SENT:
            yield from _model_leaves(spec.fields, (*path, name))
        else:
            yield (*path, name), spec


def _maps(fields: Mapping[str, Field]) -> Iterator[str]:
    for name, spec in fields.items():
        if spec.kind in (Kind.MAP, Kind.ANY) and Mark.COMPUTED not in spec.marks:
            yield name
        yield from _maps(spec.fields)
