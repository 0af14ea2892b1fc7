"""
What may stand where in a resource: a provider's models and types as one tree of slots.

A resource with its children is one map: the fields of its model, our own keys, and a map for each child section.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from reconcile.core.resource_type import Provider, ResourceType
from reconcile.core.schema import LARGEST, Field, Kind, Mark, fields_of


@dataclass(frozen=True, eq=False)
class Slot:
    """
    One place for a value.

    Attributes:
        kind: what a value of it is.
        fields: of an OBJECT, by name. `member`: of a MAP or LIST.
        choices: the texts that are allowed, else empty.
        refers: the path of the type that a text here names a resource of.
        computed: whether only the API may say it.
        scalar: of a resource: the field that a bare scalar stands for.
        type: of a child section (a MAP): the type of its members.
        largest: of a FILE: the bytes that it may have.
        names: whether a list of texts stands for a map of empty resources.
        about: what it is, in the words of the model.
    """

    name: str
    kind: Kind
    fields: Mapping[str, Slot] = field(default_factory=dict)
    member: Slot | None = None
    choices: tuple[object, ...] = ()
    refers: str | None = None
    computed: bool = False
    scalar: str | None = None
    type: ResourceType | None = None
    names: bool = False
    about: str | None = None
    largest: int = LARGEST

    @cached_property
    def has_refers(self) -> bool:
        """Whether a reference to another resource stands here or below, children aside."""
        if self.refers:
            return True
        if self.type is not None and self.kind is Kind.MAP:
            return False
        below = [*self.fields.values(), *([self.member] if self.member else [])]
        return any(slot.has_refers for slot in below)

    @cached_property
    def has_secrets(self) -> bool:
        """Whether a reference to a secret stands here or below."""
        below = [*self.fields.values(), *([self.member] if self.member else [])]
        return self.kind is Kind.SECRET or any(slot.has_secrets for slot in below)

    @cached_property
    def parts(self) -> EntryParts:
        """Of a resource: how its map is taken apart."""
        sections = tuple((name, inner) for name, inner in self.fields.items() if inner.type is not None)
        own = {name for name, inner in self.fields.items() if OWN.get(name) is inner} | {name for name, _ in sections}
        fields = [(name, inner) for name, inner in self.fields.items() if name not in own]
        return EntryParts(
            sections,
            frozenset(own),
            tuple((name, inner.largest) for name, inner in fields if inner.kind is Kind.FILE),
            tuple((name, inner) for name, inner in fields if inner.has_refers),
            tuple(name for name, inner in fields if inner.has_secrets),
        )


@dataclass(frozen=True, slots=True)
class EntryParts:
    """
    Of a resource's map of values.

    Attributes:
        sections: its children, by section. `apart`: what is no attribute: our own keys and the sections.
        files: attributes that are uploaded, with the bytes that each may have.
        refers: attributes that name other resources.
        secrets: attributes that are, or hold, references to secrets.
    """

    sections: tuple[tuple[str, Slot], ...]
    apart: frozenset[str]
    files: tuple[tuple[str, int], ...]
    refers: tuple[tuple[str, Slot], ...]
    secrets: tuple[str, ...]


OWN: Mapping[str, Slot] = {
    "labels": Slot("labels", Kind.MAP, member=Slot("*", Kind.TEXT)),
    "protect": Slot("protect", Kind.BOOLEAN),
    "on_removal": Slot("on_removal", Kind.TEXT, choices=("forget", "clear", "delete")),
}
"""Our own keys of every resource; root entries have `ENTRY` besides."""

ENTRY = ("for_each", "key", "when", "profile")
WHEN = Slot("when", Kind.BOOLEAN)


def _slot(of: Field) -> Slot:
    return Slot(
        of.name,
        of.kind,
        {name: _slot(member) for name, member in of.fields.items()},
        _slot(of.member) if of.member is not None else None,
        tuple(of.choices),
        of.refers,
        Mark.COMPUTED in of.marks,
        about=of.description,
        largest=of.largest,
    )


class FamilySlots:
    """A root type with all that can hang on it."""

    def __init__(self, root: ResourceType, types: Sequence[ResourceType]) -> None:
        self.type = root
        self.types = types
        self.slot = self._resource(root, top=True)

    def _resource(self, of: ResourceType, top: bool) -> Slot:
        fields = {name: _slot(member) for name, member in fields_of(of.Model).items()}
        fields |= OWN if top else {**OWN, "when": WHEN}
        for child in self.types:
            if child.path.rpartition(".")[0] == of.path:
                section = child.path.rpartition(".")[2]
                member = self._resource(child, top=False)
                bare = not any(info.is_required() for info in child.Model.model_fields.values())
                fields[section] = Slot(section, Kind.MAP, member=member, type=child, names=bare and not child.scalar)
        return Slot("*", Kind.OBJECT, fields, scalar=of.scalar, type=of)

    @cached_property
    def sections(self) -> Mapping[str, Slot]:
        """The child sections of the root."""
        return {name: slot for name, slot in self.slot.fields.items() if slot.type is not None}


def families(provider: Provider) -> Mapping[str, FamilySlots]:
    """The root types of a provider by their section."""
    return {
        kind.path.split(".")[1]: FamilySlots(kind, provider.types)
        for kind in provider.types
        if kind.path.count(".") == 1
    }


def settings_slots(provider: Provider) -> Slot:
    """What `providers.<name>` may hold."""
    fields = {name: _slot(member) for name, member in fields_of(provider.Settings).items()}
    return Slot(provider.name, Kind.OBJECT, fields)
