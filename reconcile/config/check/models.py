"""What a model says against a value, in our words: never with a secret in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from reconcile.config.expressions.coerce import shown
from reconcile.core.schema import Field, fields_of
from reconcile.core.values import FileRef, SecretRef
from reconcile.errors import Flaw

_WORDS = {
    "greater_than": "has to be greater than {gt}",
    "greater_than_equal": "has to be at least {ge}",
    "less_than": "has to be less than {lt}",
    "less_than_equal": "has to be at most {le}",
    "string_too_long": "has more than {max_length:,} characters",
    "string_too_short": "has fewer than {min_length:,} characters",
    "too_long": "has more than {max_length:,} members",
    "too_short": "has fewer than {min_length:,} members",
    "string_pattern_mismatch": "must match {pattern}",
    "multiple_of": "has to be a multiple of {multiple_of}",
}


_BOUNDS = frozenset(("greater_than", "greater_than_equal", "less_than", "less_than_equal"))


def model_flaws(
    error: ValidationError, value: Mapping[str, Any], model: type[BaseModel]
) -> Iterator[tuple[tuple[str, ...], Flaw]]:
    """`(path, flaw)` for each mistake that pydantic found in `value`."""
    for mistake in error.errors(include_input=False, include_url=False):
        path = tuple(str(step) for step in mistake["loc"])
        kind = mistake["type"]
        name = ".".join(path)
        if kind == "missing":
            yield path, Flaw(f"{name} is missing", kind=("missing", path))
            continue
        given = _at(value, path)
        words = _WORDS.get(kind)
        context = {name: _whole(value) for name, value in mistake.get("ctx", {}).items()}
        said = words.format(**context) if words else _lower(mistake["msg"].removeprefix("Value error, "))
        about = "" if _secret(fields_of(model), path) or isinstance(given, (SecretRef, FileRef)) else f" {shown(given)}"
        if given is value:
            about = ""
        meant = _description(fields_of(model), path) if kind in _BOUNDS else None
        what = f"{name}{about} {said}" if words else f"{name}{about}: {said}".strip(": ")
        yield path, Flaw(what, notes=[meant] if meant else (), kind=(kind, path))


def _description(fields: Mapping[str, Field], path: tuple[str, ...]) -> str | None:
    found = fields[path[0]].at(path[1:]) if path and path[0] in fields else None
    return found.description if found is not None else None


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return value
    return value


def _secret(fields: Mapping[str, Field], path: tuple[str, ...]) -> bool:
    found: Field | None = None
    for step in path:
        found = fields.get(step) if found is None or found.fields else found.member
        if found is None:
            return False
        if found.secret:
            return True
        fields = found.fields
    return False
