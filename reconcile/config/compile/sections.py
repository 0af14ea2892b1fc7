"""
What may stand where in a resource: the models and types of a provider as one tree of fields.

A resource with its children is one map: the fields of its model, our own keys, and a map for each child section.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from reconcile.core.resource_type import Provider, ResourceType
from reconcile.core.schema import Field, Kind, fields_of


@dataclass(frozen=True, eq=False, kw_only=True)
class ResourceField(Field):
    """
    One resource of a document, with its children.

    Attributes:
        type: of the resource.
        scalar: the field that a bare scalar stands for.
    """

    type: ResourceType
    scalar: str | None = None

    @cached_property
    def sections(self) -> Mapping[str, ResourceField]:
        """What its children are, by section."""
        return {name: inner.member for name, inner in self.fields.items() if isinstance(inner, SectionField)}

    @cached_property
    def attributes(self) -> Mapping[str, Field]:
        """The fields of its model."""
        return {name: inner for name, inner in self.fields.items() if name not in self.apart}

    @cached_property
    def apart(self) -> frozenset[str]:
        """What is no attribute: our own keys and the sections."""
        own = (name for name, inner in self.fields.items() if OWN.get(name) is inner or inner is WHEN)
        return frozenset((*own, *self.sections))

    @cached_property
    def files(self) -> Sequence[tuple[str, Field]]:
        """Attributes that are uploaded."""
        return [(name, inner) for name, inner in self.attributes.items() if inner.kind is Kind.FILE]

    @cached_property
    def referring(self) -> Sequence[tuple[str, Field]]:
        """Attributes that name other resources."""
        return [(name, inner) for name, inner in self.attributes.items() if inner.has_refers]

    @cached_property
    def secrets(self) -> Sequence[str]:
        """Attributes that are, or hold, references to secrets."""
        return [name for name, inner in self.attributes.items() if inner.has_secrets]


@dataclass(frozen=True, eq=False, kw_only=True)
class SectionField(Field):
    """
    Resources of one type by their keys, in a resource.

    Attributes:
        member: one of them.
        bare: whether a list of strings stands for a map of empty resources.
    """

    member: ResourceField
    bare: bool = False


OWN: Mapping[str, Field] = {
    "labels": Field("labels", Kind.MAP, member=Field("*", Kind.TEXT)),
    "protect": Field("protect", Kind.BOOLEAN),
    "on_removal": Field("on_removal", Kind.TEXT, choices=("forget", "clear", "delete")),
}
"""Our own keys of every resource; root entries have `ENTRY` besides."""

ANY = Field("*", Kind.ANY)
ENTRY = ("for_each", "key", "when", "profile")
WHEN = Field("when", Kind.BOOLEAN)


def scalar_of(field: Field) -> str | None:
    """The field that a bare scalar stands for, of a resource."""
    return field.scalar if isinstance(field, ResourceField) else None


def is_bare(field: Field) -> bool:
    """Whether a list of strings stands for a map of empty resources."""
    return isinstance(field, SectionField) and field.bare


def families(provider: Provider) -> Mapping[str, ResourceField]:
    """The root types of a provider, with all that can hang on them, by their section."""
    roots = (root for root in provider.types if root.path.count(".") == 1)
    return {root.path.split(".")[1]: _resource(root, provider.types, OWN) for root in roots}


def _resource(of: ResourceType, types: Sequence[ResourceType], own: Mapping[str, Field]) -> ResourceField:
    fields = {**fields_of(of.Model), **own}
    for child in types:
        parent, _, section = child.path.rpartition(".")
        if parent == of.path:
            member = _resource(child, types, {**OWN, "when": WHEN})
            needs = any(info.is_required() for info in child.Model.model_fields.values())
            bare = not needs and child.scalar is None
            fields[section] = SectionField(section, Kind.MAP, member=member, bare=bare)
    return ResourceField("*", Kind.OBJECT, fields=fields, scalar=of.scalar, type=of)


def settings_fields(provider: Provider) -> Field:
    """What `providers.<name>` may hold."""
    return Field(provider.name, Kind.OBJECT, fields=fields_of(provider.Settings))
