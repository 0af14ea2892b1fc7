"""
A plan as lines of JSON, and back.

In: a `Plan`, or `(kind, row)` of each line. Out: lines, or the same plan; a row with an unknown name, a missing one or
a value of another type is refused, so that nothing odd reaches those who use the plan. Files are the business of the
package itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from reconcile.core.address import Address
from reconcile.core.bindings import KEYED, Bindings
from reconcile.core.options import Options
from reconcile.core.plan import Blocked, Change, Plan, Unread, Unsettled
from reconcile.core.resource import Status
from reconcile.errors import InvalidInput

_TOTALS = ("in_sync", "unmanaged", "units", "requests", "expected_requests", "unresolved_secrets")
_ENCODER = json.JSONEncoder(allow_nan=False)


def lines(plan: Plan) -> Iterator[bytes]:
    """
    A plan's lines, one at a time.

    Raises:
        TypeError: it holds a secret, or anything else that is not JSON.
    """
    yield line_of("bindings", _plain(plan.bindings))
    yield line_of("totals", {name: getattr(plan, name) for name in _TOTALS})
    for change in plan.changes:
        yield line_of("change", change.to_json())
    # What is said twice is written once: the reader refuses a line that stands there twice.
    unread, blocked = dict.fromkeys(plan.unread), dict.fromkeys(plan.blocked)
    for kind, rows in (("unsettled", plan.unsettled), ("unread", unread), ("blocked", blocked)):
        for row in rows:
            yield line_of(kind, _plain(row))
    for warning in plan.warnings:
        yield line_of("warning", warning)


def line_of(kind: str, row: Any) -> bytes:
    """A line in its one spelling, ASCII, with its end."""
    return _ENCODER.encode({kind: row}).encode() + b"\n"


def _plain(row: Any) -> dict[str, Any]:
    """A flat dataclass as JSON, every field in it."""
    # Plain JSON throughout: a name that begins with `$` is a name here, no reference.
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}


def plan_of(rows: Iterator[tuple[str, Any]]) -> Plan:
    """The plan of the lines. Raises ValueError, TypeError or KeyError when they are not one."""
    nothing: tuple[str, Any] = ("", None)
    kind, row = next(rows, nothing)
    plan = Plan(_bindings(row) if kind == "bindings" else _refuse(kind))
    kind, totals = next(rows, nothing)
    _check(totals if kind == "totals" else _refuse(kind), _TOTALS_SHAPE, required=_TOTALS)
    for name in _TOTALS:
        setattr(plan, name, totals[name])
    last = 0
    seen: set[Any] = set()
    for kind, row in rows:
        if (at := _ORDER.index(kind)) < last:
            raise ValueError(f"{kind} is out of order")
        last = at
        match kind:
            case "change":
                plan.changes.append(_change(row))
                _once(seen, (kind, plan.changes[-1].address))
            case "unsettled":
                plan.unsettled.append(Unsettled(**_known(row, Unsettled)))
                _once(seen, (kind, plan.unsettled[-1].address))
            case "unread":
                plan.unread.append(Unread(**_known(row, Unread)))
                _once(seen, plan.unread[-1])
            case "blocked":
                plan.blocked.append(Blocked(**_known(row, Blocked)))
                _once(seen, plan.blocked[-1])
            case _:  # a sentence may be there several times: it is shown with its count
                plan.warnings.append(row if _text(row) else _refuse(row))
    return plan


def _once(seen: set[Any], what: Any) -> None:
    if what in seen:
        raise ValueError("stands there twice")
    seen.add(what)


_ORDER = ("change", "unsettled", "unread", "blocked", "warning")


def _refuse(what: Any) -> Any:
    raise ValueError(f"{what!r} does not belong here")


def _bindings(row: Any) -> Bindings:
    known = _known(row, Bindings)
    known["accounts"] = {name: (account, host) for name, (account, host) in known["accounts"].items()}
    return Bindings(**known)


_LATER = {"secrets", "run", "allow"}
"""Names that plans of format 1 had not from the beginning: they may be missing."""


def _known(row: Any, kind: type) -> dict[str, Any]:
    """The fields of a flat row, each one there and of its type; an address made one."""
    _check(row, _SHAPES[kind], required=tuple(name for name in _SHAPES[kind] if name not in _LATER))
    out = dict(row)
    if out.get("address") is not None:
        out["address"] = Address(out["address"])
    return out


def _change(row: Any) -> Change:
    _check(row, _CHANGE_SHAPE, required=("address", "action", "reason"))
    for field in row.get("fields", ()):
        _check(field, _FIELD_SHAPE, required=("path", "cause"))
    change = Change.from_json(row)
    if not all(isinstance(getattr(change, name), Mapping) for name in _MAPS if name in row):
        raise ValueError("a reference where attributes belong")
    return change


Holds = Callable[[Any], bool]


def _check(row: Any, shape: Mapping[str, Holds], *, required: tuple[str, ...]) -> None:
    if not isinstance(row, dict):
        raise ValueError("not an object")
    for name in required:
        if name not in row:
            raise ValueError(f"{name} is missing")
    for name, value in row.items():
        if name not in shape or not shape[name](value):
            raise ValueError(f"{name} is not known, or of another type")


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _maybe_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _name(value: Any) -> bool:
    return _text(value) and re.fullmatch("[a-z0-9-]+", value) is not None


def _path(value: Any) -> bool:
    return _text(value) and 0 < len(value) <= 4096 and "\0" not in value


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _digest(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch("([0-9a-f]{64})?", value))


def _keyed(value: Any) -> bool:
    return isinstance(value, str) and _digest(value.removeprefix(KEYED))


def _digest_map(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_digest, value.values()))


def _moment(value: Any) -> bool:
    """RFC 3339 with an offset: it is compared with the time of day here."""
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _maybe_moment(value: Any) -> bool:
    return value is None or _moment(value)


def _options(value: Any) -> bool:
    return isinstance(value, dict) and Options.from_json(value).to_json() == value


def _state(value: Any) -> bool:
    return value in (Status.PENDING, Status.FAILED)


def _maybe_count(value: Any) -> bool:
    return value is None or _count(value)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _written(holds: Holds) -> Holds:
    """Of what is only written where it is not empty: the same plan has one spelling."""
    return lambda value: bool(value) and holds(value)


def _something(value: Any) -> bool:
    return value is not None


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _objects(value: Any) -> bool:
    return isinstance(value, list) and all(map(_object, value))


def _text_map(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_text, value.values()))


def _count_map(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_count, value.values()))


def _pair_map(value: Any) -> bool:
    return isinstance(value, dict) and all(_texts(pair) and len(pair) == 2 for pair in value.values())


def _address(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return bool(_PLAIN_ADDRESS.fullmatch(value)) or Address.parse(value) == value
    except InvalidInput:
        return False


def _maybe_address(value: Any) -> bool:
    return value is None or _address(value)


def _addresses(value: Any) -> bool:
    return isinstance(value, list) and all(map(_address, value))


def _place(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 4:
        return False
    file, line, column, row = value
    return _text(file) and _count(line) and _count(column) and _maybe_count(row)


# Most addresses are of this form, and telling so is ten times cheaper than taking them apart.
_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)+")

_TOTALS_SHAPE: dict[str, Holds] = {
    **dict.fromkeys(("units", "requests", "expected_requests", "unresolved_secrets"), _count),
    **dict.fromkeys(("in_sync", "unmanaged"), _count_map),
}
_MAPS = ("after", "before", "seen", "facts", "prints", "patch", "stamp", "along")
_CHANGE_SHAPE: dict[str, Holds] = {
    **dict.fromkeys(("action", "reason", "id", "name", "parent", "former", "former_name", "temporary"), _text),
    **dict.fromkeys(("block", "overwrites"), _text),
    **dict.fromkeys(("on_removal", "blocked"), _written(_text)),
    **dict.fromkeys(_MAPS, _written(_object)),
    **dict.fromkeys(("address", "moved_from"), _address),
    "needs": _written(_addresses),
    **dict.fromkeys(("labels", "refers"), _written(_text_map)),
    "protect": _written(_flag),
    "wave": _written(_count),
    "notes": _written(_texts),
    "where": _place,
    "fields": _written(_objects),
}
_FIELD_SHAPE: dict[str, Holds] = {
    "path": _written(_texts),
    **dict.fromkeys(("before", "after", "prior"), _something),
    "cause": _text,
    **dict.fromkeys(("origin", "note"), _written(_text)),
    **dict.fromkeys(("sensitive", "naming"), _written(_flag)),
    "where": _place,
}
_SHAPES: dict[type, dict[str, Holds]] = {
    Bindings: {
        "fleet": _name,
        "path": _path,
        "tool": _text,
        "document": _digest,
        "variables": _keyed,
        "made": _moment,
        "expires": _maybe_moment,
        **dict.fromkeys(("lineage", "run"), _maybe_text),
        "serial": _maybe_count,
        "accounts": _pair_map,
        "options": _options,
        "secrets": _digest_map,
    },
    Unsettled: {
        "address": _address,
        "kind": _state,
        "detail": _text,
        "since": _maybe_text,
        "age_s": _maybe_count,
        "holds": _object,
    },
    Unread: {
        **dict.fromkeys(("type_path", "error"), _text),
        "address": _maybe_address,
        "denied": _flag,
        "allow": _maybe_text,
    },
    Blocked: {"what": _text, "hint": _maybe_text, "kind": _maybe_text, "count": _count},
}
