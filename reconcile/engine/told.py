"""What the history tells of a change that was carried out: its attributes before and after, and never a secret."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from reconcile.core.address import Address
from reconcile.core.history import WRITTEN, Changed
from reconcile.core.plan import Action, Change, FieldChange
from reconcile.core.values import Attrs, FileRef, Ref, SecretRef, to_json

LONGEST = 200  # characters of a value that is told as it is


def changed(change: Change, fields: Sequence[FieldChange], at: str) -> Changed:
    """What was done of a change: these of its fields, or all that there was where it leaves."""
    if change.action is Action.DELETE:
        told = [{"path": name, "before": _shown(value), "after": None} for name, value in change.before.items()]
        return Changed(change.address, str(change.action), at, tuple(told))
    return Changed(change.address, str(change.action), at, tuple(map(_told, fields)))


def attempted(address: Address, action: str, after: Attrs, at: str) -> Changed:
    """What an earlier run did, of which only its intent is known: the attributes that it made, or that it is gone."""
    told = [{"path": name, "before": None, "after": _shown(value)} for name, value in after.items()]
    return Changed(address, action, at, tuple(told))


def _told(part: FieldChange) -> dict[str, Any]:
    if part.sensitive or isinstance(part.after, SecretRef):
        return {"path": ".".join(part.path), "before": None, "after": WRITTEN}
    return {"path": ".".join(part.path), "before": _shown(part.before), "after": _shown(part.after)}


def _shown(value: Any) -> Any:
    if isinstance(value, SecretRef):
        return WRITTEN
    if isinstance(value, Ref):
        return value.name
    if isinstance(value, FileRef):
        return {"file": value.path, "sha256": value.sha256}
    plain = to_json(value)
    text = plain if isinstance(plain, str) else json.dumps(plain)
    if len(text) <= LONGEST:
        return plain
    return {"sha256": hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest(), "characters": len(text)}
