"""
Values that stand for something else until the edge that needs them: secrets, files, other resources.

Everything here but `Secret` has one JSON form (`to_json`, `from_json`), so that a plan and a state are plain data.
Configurations are plain JSON values otherwise: str, int, float, bool, None, lists, and maps with text keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

from pydantic import BeforeValidator, Field, PlainSerializer, Strict

LATER = "(known after apply)"
"""Stands for what only the apply makes known; people and their scripts parse it."""

Attrs = Mapping[str, Any]
"""Attributes of a resource by name; leaves are JSON values or one of the references below."""


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is: `scheme:rest[#/json/pointer]`. It may be printed; what it points to may not."""

    scheme: str
    rest: str
    pointer: str | None = None

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}" + (f"#{self.pointer}" if self.pointer is not None else "")

    @classmethod
    def parse(cls, text: str) -> SecretRef | None:
        """The reference that `text` is, or None when it has no `scheme:` (the scheme itself is not checked)."""
        scheme, colon, rest = text.partition(":")
        if not colon or not scheme.isidentifier() or not rest:
            return None
        rest, mark, pointer = rest.partition("#")
        if not rest or (mark and pointer and not pointer.startswith("/")):
            return None
        return cls(scheme, rest, pointer if mark else None)


@dataclass(frozen=True, slots=True)
class FileRef:
    """
    A file that is uploaded, not copied into the document.

    Attributes:
        path: relative to the fleet's directory, with `/`: the same on every machine.
        sha256: of its bytes, hex; from the document when the file need not be there; None = not known offline.
    """

    path: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Ref:
    """Another resource, by its name in the document (or a name or id at the API): `Ref("microvisor.apps", "a-1")`."""

    path: str
    name: str


class Secret:
    """
    A secret's value, in memory between its reference and the request that carries it.

    It has no equality, repr, hash, pickle or JSON of its own, so that no accident prints or stores it. Only the
    transport's encoder and the fingerprint call `reveal`.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "(sensitive value)"

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("secrets are compared by fingerprint")

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


def to_json(value: Any) -> Any:
    """`value` with every reference in its JSON form: `{"$secret": "env:PSK"}`, `{"$ref": …}` and so on."""
    match value:
        case SecretRef():
            return {"$secret": str(value)}
        case FileRef():
            return {"$file": value.path, "sha256": value.sha256}
        case Ref():
            return {"$ref": value.path, "name": value.name}
        case Mapping():
            plain = {key: to_json(member) for key, member in value.items()}
            return {"$map": plain} if any(key.startswith("$") for key in plain) else plain
        case list() | tuple():
            return [to_json(member) for member in value]
        case Secret():
            raise TypeError("a secret is not written anywhere")
    return value


def from_json(value: Any) -> Any:
    """
    The inverse of `to_json`.

    A map with a key that begins with `$` is a reference; a plain map with such a key stands inside a `$map`.

    Raises:
        ValueError: such a map that is none of ours.
    """
    if isinstance(value, list):
        return [from_json(member) for member in value]
    if not isinstance(value, dict):
        return value
    if not any(key.startswith("$") for key in value):
        return {key: from_json(member) for key, member in value.items()}
    match value:
        case {"$secret": str(text), **rest} if not rest and (ref := SecretRef.parse(text)) is not None:
            return ref
        case {"$file": str(path), "sha256": str() | None as sha256, **rest} if not rest:
            return FileRef(path, sha256)
        case {"$ref": str(path), "name": str(name), **rest} if not rest:
            return Ref(path, name)
        case {"$map": dict(plain), **rest} if not rest and any(key.startswith("$") for key in plain):
            return {key: from_json(member) for key, member in plain.items()}
    raise ValueError("not a reference")


# -- types of fields that are kept on disk (`core.form`) ---------------------------------------------------------------

Value = Annotated[Any, BeforeValidator(from_json), PlainSerializer(to_json)]
"""A value that may be a reference, or hold some."""

Values = Annotated[Attrs, BeforeValidator(from_json), PlainSerializer(to_json)]
"""Attributes whose leaves may be references."""

Count = Annotated[int, Strict(), Field(ge=0, lt=2**63)]
Flag = Annotated[bool, Strict()]
