"""Attributes as the wire takes them: references by id, secrets opened, files where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from reconcile.core.plan import Change
from reconcile.core.values import FileRef, Ref, Secret, SecretRef
from reconcile.engine.send import Outcome, Stopped


def resolved(
    change: Change,
    attrs: Mapping[str, Any],
    opened: Mapping[SecretRef, Secret],
    named: Mapping[tuple[str, str], str],
    directory: Path,
) -> dict[str, Any]:
    """
    What is sent for attributes of a change.

    Args:
        named: ids of what this run made, by type and name.
        directory: that files are named relative to.

    Raises:
        Stopped: it needs what was not made.
    """
    found: dict[str, Any] = {}
    for name, value in attrs.items():
        if isinstance(value, SecretRef):
            found[name] = opened[value]
        elif isinstance(value, Ref):
            found[name] = _id_of(change, name, value, named)
        elif isinstance(value, list) and any(isinstance(member, Ref) for member in value):
            found[name] = [_id_of(change, f"{name}.{ref.name}", ref, named) for ref in value]
        elif isinstance(value, FileRef):
            found[name] = replace(value, path=str(directory / value.path))
        else:
            found[name] = value
    return found


def _id_of(change: Change, name: str, ref: Ref, named: Mapping[tuple[str, str], str]) -> str:
    if (known := change.refers.get(name)) is not None:
        return known
    if (made := named.get((ref.path, ref.name))) is not None:
        return made
    if any(need.type_path == ref.path for need in change.needs):
        raise Stopped(Outcome.SKIPPED, f"{ref.name} was not made")
    return ref.name  # planned without asking the API, which takes a name as well and knows whether there is one
