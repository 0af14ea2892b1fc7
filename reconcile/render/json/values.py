"""Values, positions and names as plain JSON; no secret is in any of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from reconcile.core.address import Address
from reconcile.core.values import FileRef, Ref, Secret, SecretRef
from reconcile.errors import Position
from reconcile.render.words import Types


def dumps(value: Any) -> str:
    """JSON on one line, ASCII only: no character of it does anything to a terminal."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False)


def names(address: Address, types: Types) -> dict[str, Any]:
    """What identifies a resource: address, mode, type, name, provider_name."""
    path, provider = address.type_path, address.provider
    known = types.get(path)
    singular = known.singular if known else path.rpartition(".")[2].removesuffix("s")
    return {
        "address": str(address),
        "mode": "managed",
        "type": f"{provider}_{singular}",
        "name": address.name,
        "provider_name": f"reconcile/{provider}",
    }


def position_json(where: Position | None) -> dict[str, Any] | None:
    """A position as an object, or null."""
    if where is None:
        return None
    return {"filename": where.file, "line": where.line, "column": where.column, "row": where.row}


def plain(value: Any) -> Any:
    """A value as plain JSON: a reference by its name, a file by path and checksum, a secret as null."""
    match value:
        case SecretRef() | Secret():
            return None
        case FileRef():
            return {"path": value.path, "sha256": value.sha256}
        case Ref():
            return value.name
        case Mapping():
            return {str(key): plain(member) for key, member in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(member) for member in value]
        case float() if value != value or value in (float("inf"), float("-inf")):
            return str(value)
        case str():
            return str(value)
        case None | bool() | int() | float():
            return value
    return type(value).__name__


def sensitive(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """`true` where a secret is."""
    out: dict[str, Any] = {}
    for name, value in attrs.items():
        if isinstance(value, SecretRef | Secret):
            out[name] = True
        elif isinstance(value, Mapping) and (inner := sensitive(value)):
            out[name] = inner
    return out


def put(attrs: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Sets what stands at `path`, making the maps above it; None takes it out."""
    *above, last = path
    for name in above:
        inner = attrs.get(name)
        if not isinstance(inner, dict):
            inner = attrs[name] = {}
        attrs = inner
    if value is None:
        attrs.pop(last, None)
    else:
        attrs[last] = value


def masked(attrs: Mapping[str, Any], hidden: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `attrs` that is null wherever `hidden` says `true`."""
    out = dict(attrs)
    for name, mark in hidden.items():
        inner = out.get(name)
        out[name] = masked(inner if isinstance(inner, Mapping) else {}, mark) if isinstance(mark, Mapping) else None
    return out


def copied(value: Any) -> Any:
    """A copy whose maps can be written to."""
    return {name: copied(member) for name, member in value.items()} if isinstance(value, dict) else value
