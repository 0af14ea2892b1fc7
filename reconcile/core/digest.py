"""
The digest of a plan: equal for two plans that do the same to the same live resources, wherever they were made.

In it, sorted by address: the address, the action, the live id, and of each attribute the value before and the one
after: `(known after apply)` as such, a reference by its name, a file by its bytes, a secret as written and where its
value is. Beside them the fleet and its accounts, so that what was reviewed over a rehearsal binds nothing else.

Not in it: renewals, what is pending, what is only recorded, places, notes, facts, labels, time, and the serial of the
state. A secret that could not be compared is no change, so it is not in it either. It does not bind a secret's value:
a seal does.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from reconcile.core.address import Address
from reconcile.core.plan import Action, Cause, Change, FieldChange, Plan
from reconcile.core.values import LATER, FileRef, Ref, Secret, SecretRef

_ENCODER = json.JSONEncoder(allow_nan=False, sort_keys=True)
_KIND = ["reconcile plan digest", 1]


def digest_of(plan: Plan) -> str:
    """The digest, 64 hex digits; of an empty plan too."""
    whole = hashlib.sha256()
    made = plan.bindings
    accounts = {name: list(place) for name, place in made.accounts.items()}
    whole.update(_line([*_KIND, made.fleet, accounts]))
    for change in sorted(plan.changes, key=lambda change: change.address):
        if (own := digest_of_change(change)) is not None:
            whole.update(own.encode() + b"\n")
    return whole.hexdigest()


def digest_if_any(plan: Plan) -> str | None:
    """The digest of a plan that may be applied somewhere; None of one that is for reading alone."""
    return None if plan.bindings.untrusted or plan.bindings.options.offline else digest_of(plan)


def effects_of(plan: Plan) -> dict[Address, tuple[str, Change]]:
    """By address, each change that does something, with its digest."""
    told = ((digest_of_change(change), change) for change in plan.changes)
    return {change.address: (own, change) for own, change in told if own is not None}


def digest_of_change(change: Change) -> str | None:
    """The digest of one change, 64 hex digits: equal for changes that do the same. None where it does nothing live."""
    row = _row(change)
    return None if row is None else hashlib.sha256(_line(row)).hexdigest()


def _row(change: Change) -> list[Any] | None:
    fields = [field for field in change.fields if field.cause is not Cause.LEASE]
    if not any(change.counts) or (change.action is Action.UPDATE and not fields):
        return None
    sides = dict(_sides(change, fields))
    return [str(change.address), change.action.value, change.id or LATER, change.former, sides]


def _sides(change: Change, fields: list[FieldChange]) -> Iterator[tuple[str, Any]]:
    if change.action is Action.DELETE:
        for name, value in change.before.items():
            yield name, [_plain(value), None]
    elif change.action is Action.CREATE and not fields:
        for name, value in change.after.items():
            yield name, [None, _plain(value)]
    for field in fields:
        before = None if field.sensitive else _plain(field.before)
        after = {"written": _plain(field.after)} if field.sensitive else _plain(field.after)
        yield json.dumps(field.path), [before, after]


def _plain(value: Any) -> Any:
    match value:
        case SecretRef():
            return {"written": str(value)}
        case Secret():
            return {"written": None}
        case FileRef():
            return {"sha256": value.sha256} if value.sha256 else {"file": value.path}
        case Ref():
            return value.name
        case Mapping():
            return {str(key): _plain(member) for key, member in value.items()}
        case list() | tuple():
            return [_plain(member) for member in value]
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)  # an API may answer 5 for 5.0
        case float() if not math.isfinite(value):
            return str(value)
        case bool() | None | str() | float():
            return value
        case int():
            return value if value.bit_length() < 10_000 else hex(value)  # Python writes no longer one in decimal
    return type(value).__name__


def _line(row: Any) -> bytes:
    return _ENCODER.encode(row).encode() + b"\n"
