"""
The plan that somebody reviewed, to be compared with the one that is made now: from its file, or from its JSON.

Nothing of it is carried out, so nobody has to vouch for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconcile.core.address import Address
from reconcile.core.digest import digest_of, effects_of
from reconcile.core.plan import Action, Cause, Change, FieldChange, Reason
from reconcile.core.tree import get
from reconcile.core.values import FileRef, SecretRef
from reconcile.errors import InvalidInput, Problem
from reconcile.files import NotRead, open_anywhere
from reconcile.files import read as read_bytes
from reconcile.planfile import looks_like_plan, read

_MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Reviewed:
    """
    Attributes:
        digest: of the whole plan.
        changes: by address, with the digest of each that does something.
    """

    digest: str
    changes: Mapping[Address, tuple[str, Change]]


def reviewed(path: Path, **sealing: Any) -> Reviewed:
    """
    The plan that a file holds, a saved one or its JSON.

    Raises:
        InvalidInput: it is neither.
    """
    if looks_like_plan(path):
        plan = read(path, **sealing, only_shown=True).plan
        return Reviewed(digest_of(plan), effects_of(plan))
    try:
        with open_anywhere(path) as file:
            said = json.loads(read_bytes(file, _MOST_BYTES))
        return Reviewed(_hex(said["reconcile"]["digest"]), dict(_changes(said["resource_changes"])))
    except NotRead as wrong:
        raise InvalidInput(Problem(f"{path} {wrong.why}")) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        hint = "plan --out FILE, and show FILE --format json, make them"
        raise InvalidInput(Problem(f"{path} is neither a plan file nor the JSON of one", hint=hint)) from None


def _hex(text: Any) -> str:
    if not isinstance(text, str) or len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise ValueError("no digest")
    return text


def _changes(rows: list[dict[str, Any]]) -> Iterator[tuple[Address, tuple[str, Change]]]:
    for row in rows:
        ours, sides = row["reconcile"], row["change"]
        if ours["digest"] is None:
            continue
        address = Address.parse(row["address"])
        before, after = sides["before"] or {}, sides["after"] or {}
        change = Change(
            address,
            Action(ours["action"]),
            Reason(row["action_reason"]),
            id=ours["id"],
            before=_with_files(before),
            after=_with_files(after),
            fields=tuple(_field(cause, before, after, sides) for cause in ours["causes"]),
            block=ours["block"],
            labels=ours["labels"],
        )
        yield address, (_hex(ours["digest"]), change)


def _field(cause: Mapping[str, Any], before: Any, after: Any, sides: Mapping[str, Any]) -> FieldChange:
    path = tuple(map(str, cause["path"]))
    hidden = get(sides["after_sensitive"] or {}, path) is True
    reference = SecretRef.parse(cause.get("reference", ""))
    wanted = reference if hidden else _with_files(get(after, path))
    return FieldChange(path, Cause(cause["cause"]), None if hidden else get(before, path), wanted, sensitive=hidden)


def _with_files(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"path", "sha256"}:
            return FileRef(value["path"], value["sha256"])
        return {name: _with_files(member) for name, member in value.items()}
    return value
