"""
The fields of a pydantic model: their kind, and the marks that say how each is treated.

Models check and never transform (docs/architecture.md, "Models"). A provider writes `app: Annotated[str,
Refers("microvisor.apps")]`; the loader, the planner and the renderers read it through `fields_of`, never through
pydantic itself.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict

from reconcile.core.values import FileRef, SecretRef

LARGEST = 4 << 30
"""Bytes of a file that is uploaded, unless its field says fewer: what 32 bits count, as no firmware is larger."""


class StrictModel(BaseModel):
    """Base of models of documents and settings: an unknown key is an error, and no error shows a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)


class Mark(StrEnum):
    """A way in which a field is treated. A field may have several."""

    COMPUTED = "computed"  # the API makes it; an error in a document
    IMMUTABLE = "immutable"  # cannot be changed: another one is made, or the plan says why not
    TRIGGER = "trigger"  # an action: happens when it differs from the recorded one; cannot be read back
    LOCATOR = "locator"  # the unit's id: finds it, is never sent
    NAME = "name"  # the name at the API; the key in the document unless it is written
    LEASE = "lease"  # true runs out by itself and is renewed
    ASIDE = "aside"  # says something about another field of the document; neither compared nor sent
    CREDENTIAL = "credential"  # a reference to what opens the unit itself; neither compared nor sent to it
    RECORDED = "recorded"  # kept in the state, where it decides what happens later; neither compared nor sent
    MEMBERS = "members"  # a map whose members are ours one by one: those that are not written any more are taken out
    WHOLE = "whole"  # a map or list that is compared and sent as one


@dataclass(frozen=True, slots=True)
class Refers:
    """The field names a resource of the type at `path`: by its key in the document, or its name or id at the API."""

    path: str


@dataclass(frozen=True, slots=True)
class Together:
    """
    Fields of one group, beside each other in one object, travel in one write: where one is sent, all of them are.

    Attributes:
        always: they are sent with any other field of that object as well.
    """

    group: str
    always: bool = False


@dataclass(frozen=True, slots=True)
class Same:
    """The form in which both sides are compared, by name: `float32`, `mac`, `uuid`, `moment`."""

    form: str


@dataclass(frozen=True, slots=True)
class Largest:
    """The most bytes that a file may have which is uploaded."""

    bytes: int


@dataclass(frozen=True, slots=True)
class Longest:
    """The most characters that the value of a secret may have."""

    characters: int


@dataclass(frozen=True, slots=True)
class Begins:
    """The first bytes of a file that is uploaded, which every one of its kind has: `Begins(b"PK", "a zip")`."""

    bytes: bytes
    kind: str


@dataclass(frozen=True, slots=True)
class Beside:
    """Where a document writes what the model of this field does not know, in words: the hint for an unknown key."""

    words: str


@dataclass(frozen=True, slots=True)
class Stage:
    """The place of a field in the order of a unit's writes, 0 for those without; children are written at 1."""

    order: int


@dataclass(frozen=True, slots=True)
class Unwritten:
    """The value that a document means which does not write the field, where that is not "leave it as it is"."""

    value: Any


@dataclass(frozen=True, slots=True)
class Gap:
    """The cost of a write to the field, for the moment that it takes, in words: shown in the plan."""

    words: str


CHILDREN = 1
"""The stage of what hangs on a unit."""


class Kind(StrEnum):
    """The kind of value that a field holds."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    OBJECT = "object"  # a model: known keys
    MAP = "map"  # any keys
    LIST = "list"
    SECRET = "secret"
    FILE = "file"
    ANY = "any"


@dataclass(frozen=True)
class Field:
    """
    One field of a model.

    Attributes:
        kind: what a value of it is.
        marks: every mark of its annotation.
        fields: of an OBJECT: its fields by name.
        member: of a MAP or LIST: the shape of its members.
        choices: the strings that a Literal allows, else empty.
        refers: the path of the type that it refers to, or None.
        longest: of a SECRET: the characters that its value may have, or None.
        largest: of a FILE: the bytes that it may have. begins: what it begins with, or None.
        together, stage, unwritten, gap, beside: of the marks of that name; None (`stage`: 0) without.
        secret: whether it holds a secret, so that no rendering ever shows it.
        computed: whether only the API may say it.
        has_refers, has_secrets: whether a reference to another resource, or to a secret, stands in it or below.
        formed: whether it is compared in a form, itself or something in it. `whole`: whether it holds a whole map.
    """

    name: str
    kind: Kind
    required: bool = False
    marks: frozenset[Any] = frozenset()
    fields: Mapping[str, Field] = field(default_factory=dict)
    member: Field | None = None
    choices: tuple[Any, ...] = ()
    description: str | None = None
    refers: str | None = field(init=False, default=None)
    largest: int = field(init=False, default=LARGEST)
    longest: int | None = field(init=False, default=None)
    begins: Begins | None = field(init=False, default=None)
    together: Together | None = field(init=False, default=None)
    stage: int = field(init=False, default=0)
    unwritten: Any = field(init=False, default=None)
    gap: str | None = field(init=False, default=None)
    beside: str | None = field(init=False, default=None)
    secret: bool = field(init=False, default=False)
    computed: bool = field(init=False, default=False)
    has_refers: bool = field(init=False, default=False)
    has_secrets: bool = field(init=False, default=False)
    formed: bool = field(init=False, default=False)
    whole: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        # Asked for once for every resource: worked out once for every model.
        for mark in self.marks:
            match mark:
                case Refers(path):
                    object.__setattr__(self, "refers", path)
                case Largest(bytes):
                    object.__setattr__(self, "largest", min(self.largest, bytes))
                case Longest(characters):
                    object.__setattr__(self, "longest", characters)
                case Begins():
                    object.__setattr__(self, "begins", mark)
                case Together():
                    object.__setattr__(self, "together", mark)
                case Beside(words):
                    object.__setattr__(self, "beside", words)
                case Stage(order):
                    object.__setattr__(self, "stage", order)
                case Unwritten(value):
                    object.__setattr__(self, "unwritten", value)
                case Gap(words):
                    object.__setattr__(self, "gap", words)
        object.__setattr__(self, "secret", self.kind is Kind.SECRET)
        object.__setattr__(self, "computed", Mark.COMPUTED in self.marks)
        below = [*self.fields.values(), *([self.member] if self.member is not None else [])]
        object.__setattr__(self, "has_refers", self.refers is not None or any(inner.has_refers for inner in below))
        object.__setattr__(self, "has_secrets", self.secret or any(inner.has_secrets for inner in below))
        formed = any(isinstance(mark, Same) for mark in self.marks) or any(inner.formed for inner in below)
        object.__setattr__(self, "formed", formed)
        whole = (Mark.WHOLE in self.marks and self.kind is Kind.MAP) or any(inner.whole for inner in below)
        object.__setattr__(self, "whole", whole)

    @property
    def names(self) -> str | None:
        """The path of the type that it refers to, be it as a list of names."""
        return self.refers or (self.member.refers if self.member is not None else None)

    def at(self, path: tuple[str, ...]) -> Field | None:
        """The field or member at a path below this one; itself for none."""
        found: Field | None = self
        for step in path:
            if found is None:
                return None
            found = found.fields.get(step) or found.member
        return found


_MARKS = (Mark, Refers, Together, Same, Largest, Longest, Begins, Beside, Stage, Unwritten, Gap)
_SCALARS = {str: Kind.TEXT, bool: Kind.BOOLEAN, int: Kind.INTEGER, float: Kind.NUMBER}


@cache
def fields_of(model: type[BaseModel]) -> Mapping[str, Field]:
    """The fields of a model by their name in the document (the alias, if there is one), in order."""
    found = {}
    for name, info in model.model_fields.items():
        found[info.alias or name] = _field(
            info.alias or name, info.annotation, info.is_required(), tuple(info.metadata), info.description
        )
    return found


def _field(name: str, annotation: Any, required: bool, metadata: tuple[Any, ...], about: str | None) -> Field:
    marks = [mark for mark in metadata if isinstance(mark, _MARKS)]
    while get_origin(annotation) is Annotated:
        annotation, *extra = get_args(annotation)
        marks += [mark for mark in extra if isinstance(mark, _MARKS)]
    if get_origin(annotation) in (Union, types.UnionType):
        options = [option for option in get_args(annotation) if option is not type(None)]
        if len(options) == 1:
            return _field(name, options[0], required, tuple(marks), about)
        if set(options) == {int, float}:
            return Field(name, Kind.NUMBER, required, frozenset(marks), description=about)
        return Field(name, Kind.ANY, required, frozenset(marks), description=about)
    kind, fields, member, choices = Kind.ANY, {}, None, ()
    origin = get_origin(annotation)
    if annotation in _SCALARS:
        kind = _SCALARS[annotation]
    elif annotation is SecretRef:
        kind = Kind.SECRET
    elif annotation is FileRef:
        kind = Kind.FILE
    elif origin is Literal:
        kind, choices = Kind.TEXT, get_args(annotation)
    elif origin is not None and issubclass(origin, Mapping):
        kind, member = Kind.MAP, _field("*", get_args(annotation)[1], True, (), None)
    elif origin in (list, tuple):
        kind, member = Kind.LIST, _field("*", get_args(annotation)[0], True, (), None)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        kind, fields = Kind.OBJECT, dict(fields_of(annotation))
    return Field(name, kind, required, frozenset(marks), fields, member, choices, about)
