"""What an expression yielded → a value of the schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reconcile.config.compile.layers import ABSENT
from reconcile.config.compile.sections import ANY, ENTRY, ResourceField, SectionField, is_bare, scalar_of
from reconcile.config.expressions.coerce import as_boolean, as_number, as_text, choose, clean, shown
from reconcile.config.report import did_you_mean, listed
from reconcile.core.schema import Field, Kind
from reconcile.core.text import flaw_in_name
from reconcile.errors import Flaw
from reconcile.yaml import Map, Node

SPECIAL = (Kind.SECRET, Kind.FILE)
WANTED = {
    Kind.TEXT: "a string",
    Kind.INTEGER: "a whole number",
    Kind.NUMBER: "a number",
    Kind.BOOLEAN: "true or false",
    Kind.SECRET: "a reference to a secret",
    Kind.FILE: "the path of a file",
    Kind.LIST: "a list",
    Kind.MAP: "a map",
    Kind.OBJECT: "a map",
    Kind.ANY: "a value",
}


def from_data(field: Field, value: Any, special: Callable[[Field, str], Any] | None = None) -> Any:
    """
    What an expression yielded, as the field's kind; ABSENT when it is none.

    Raises:
        Flaw: it is something else.
    """
    kind = field.kind
    if value is None:
        return ABSENT
    if kind is Kind.TEXT:
        found = as_text(value)
        return choose(found, field.choices) if field.choices else found
    if kind is Kind.BOOLEAN:
        return as_boolean(value)
    if kind is Kind.NUMBER or kind is Kind.INTEGER:
        return as_number(value, kind is Kind.INTEGER)
    if kind is Kind.ANY:
        return clean(value)
    if kind in SPECIAL:
        if special is None:
            raise Flaw(f"{WANTED[kind]} cannot be made by an expression here")
        return special(field, as_text(value) or "")
    if kind is Kind.LIST:
        if not isinstance(value, list):
            raise Flaw(f"expected a list, got {shown(value)}", kind="list")
        members = [from_data(field.member or ANY, member, special) for member in value]
        return [member for member in members if member is not ABSENT]
    if (scalar := scalar_of(field)) is not None and not isinstance(value, dict):
        value = {scalar: value}
    if isinstance(value, list) and is_bare(field):
        value = {as_text(member) or "": {} for member in value}
    if not isinstance(value, dict):
        raise Flaw(f"expected a map, got {shown(value) if kind is not Kind.OBJECT else 'a value'}", kind="map")
    return _from_map(field, value, special)


def _from_map(field: Field, value: Mapping[str, Any], special: Callable[[Field, str], Any] | None) -> Any:
    found = {}
    for name, member in value.items():
        inner = field.fields.get(name) if field.kind is Kind.OBJECT else field.member
        if inner is None:
            raise unknown_key(field, name)
        if inner.computed and member is not None:
            raise not_to_be_set(inner)
        if isinstance(field, SectionField) and (wrong := flaw_in_name(name)):
            raise Flaw(f"the key {shown(name)} {wrong}", kind="key")
        kept = from_data(inner, member, special)
        if kept is not ABSENT:
            found[name] = kept
    if isinstance(field, ResourceField):
        there = found.pop("when", True) is not False and (field.scalar is None or field.scalar in found)
        return found if there else ABSENT
    return found


def hint_for(field: Field, node: Node) -> str | None:
    """What to do where a list or a map stands in place of a scalar."""
    if field.kind is Kind.SECRET:
        return "Write a reference: env:NAME or file:path#/pointer"
    if field.kind is Kind.TEXT and type(node) is Map:
        return "Quote it if it is a string; {file: path} is the text of a file"
    return None


def stands_for_scalar(node: Node, field: Field) -> bool:
    """Whether a node in place of a resource is the value of its one field, as in `configs: {site: oslo}`."""
    if type(node) is Map:
        return set(node.members) == {"file"} and "file" not in field.fields
    return True


def not_to_be_set(field: Field) -> Flaw:
    """What is said of a field that no document sets."""
    notes = [f"{field.name}: {field.description}"] if field.description else []
    what = f"{field.name} cannot be set in a document"
    return Flaw(what, notes=notes, hint="Leave it out", kind=("computed", field.name))


def unknown_key(field: Field, name: str) -> Flaw:
    """What is said of a key that a map does not have."""
    if name in ENTRY:
        words: dict[str, tuple[str, str | None]] = {
            "for_each": ("a block cannot stand inside a resource", "One expression may yield a map"),
            "profile": ("profiles do not nest, and stand only in a resource's entry", None),
        }
        what, way = words.get(name, (f"{name} cannot stand here", "It belongs to a resource's entry"))
        return Flaw(what, hint=way, kind=("entry key", name))
    known = [key for key, inner in field.fields.items() if not inner.computed]
    return Flaw(
        f"{shown(name)} is not a key here",
        notes=[f"There is: {listed(known, 20)}"],
        hint=lambda: _deeper(field, name) or did_you_mean(name, known) or field.beside,
        kind=("unknown key", name),
    )


def _deeper(field: Field, name: str, path: tuple[str, ...] = ()) -> str | None:
    """Where a key belongs that stands too far outside."""
    for outer, inner in field.fields.items():
        if not isinstance(inner, SectionField) and name in inner.fields:
            return f"It belongs in {'.'.join((*path, outer))}"
    for outer, inner in field.fields.items():
        if not isinstance(inner, SectionField) and (found := _deeper(inner, name, (*path, outer))) is not None:
            return found
    return None
