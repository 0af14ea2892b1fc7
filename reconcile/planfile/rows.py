"""
A plan as lines of JSON, and back. The form of each line is that of its dataclass (`core.form`).

A line has one spelling, its order is fixed, and none stands there twice; files are the business of the package itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from reconcile.core.address import Address
from reconcile.core.bindings import Bindings
from reconcile.core.form import Form
from reconcile.core.plan import (
    Absent,
    Blocked,
    Change,
    NotCompared,
    Plan,
    PolicyResult,
    SettingChange,
    Unmanaged,
    Unread,
    Unsettled,
)
from reconcile.core.values import Count

_ENCODER = json.JSONEncoder(allow_nan=False)


@dataclass(frozen=True, slots=True)
class Totals:
    """The numbers of a plan."""

    in_sync: Mapping[str, Count]
    unmanaged: Mapping[str, Count]
    units: Count
    requests: Count
    expected_requests: Count
    unresolved_secrets: Count
    last_run: Mapping[str, Any] | None = None
    in_files: Mapping[str, Count] = field(default_factory=dict)


CHANGES = Form(Change)
_BINDINGS, _TOTALS = Form(Bindings), Form(Totals)
# In the order in which they stand in the file: the form of each kind of line, and the list of the plan that it is in.
_KINDS: Mapping[str, tuple[Form[Any] | None, str]] = {
    "change": (CHANGES, "changes"),
    "unsettled": (Form(Unsettled), "unsettled"),
    "unread": (Form(Unread), "unread"),
    "blocked": (Form(Blocked), "blocked"),
    "not_compared": (Form(NotCompared), "not_compared"),
    "absent": (Form(Absent), "absent"),
    "policy": (Form(PolicyResult), "policies"),
    "setting": (Form(SettingChange), "settings"),
    "unmanaged": (Form(Unmanaged), "strangers"),
    "unchanged": (None, "unchanged"),
    "warning": (None, "warnings"),  # a sentence; it may be there several times, and is shown with its count
}
_ORDER = tuple(_KINDS)


def lines(plan: Plan) -> Iterator[bytes]:
    """
    A plan's lines, one at a time.

    Raises:
        TypeError: it holds a secret, or anything else that is not JSON.
    """
    yield line_of("bindings", _BINDINGS.dump(plan.bindings, whole=True))
    yield line_of("totals", {field.name: getattr(plan, field.name) for field in fields(Totals)})
    for kind, (form, name) in _KINDS.items():
        rows = getattr(plan, name)
        for row in dict.fromkeys(rows) if kind in ("unread", "blocked") else rows:  # said twice, written once
            yield line_of(kind, row if form is None else form.dump(row))


def line_of(kind: str, row: Any) -> bytes:
    """A line in its one spelling, ASCII, with its end."""
    return _ENCODER.encode({kind: row}).encode() + b"\n"


def bindings_of(kind: str, row: Any) -> Bindings:
    """The bindings of the first line of a plan. Raises ValueError when they are none."""
    if kind != "bindings":
        raise ValueError("a plan begins with its bindings")
    return _BINDINGS.load(row)


def plan_of(rows: Iterator[tuple[str, Any]]) -> Plan:
    """The plan of the lines. Raises ValueError when they are not one."""
    nothing: tuple[str, Any] = ("", None)
    bindings = bindings_of(*next(rows, nothing))
    kind, row = next(rows, nothing)
    if kind != "totals":
        raise ValueError("a plan has its totals after its bindings")
    totals = _TOTALS.load(row)
    plan = Plan(bindings, **{field.name: getattr(totals, field.name) for field in fields(Totals)})
    last, seen = 0, set[Any]()
    for kind, row in rows:
        if kind not in _ORDER or (at := _ORDER.index(kind)) < last:
            raise ValueError(f"{kind!r} does not belong here")
        last = at
        form, name = _KINDS[kind]
        if form is None:
            if not isinstance(row, str):
                raise ValueError("a text")
            getattr(plan, name).append(Address.canonical(row) if kind == "unchanged" else row)
            continue
        value = form.load(row)
        mark = (kind, value.address) if kind in ("change", "unsettled") else value
        if mark in seen:
            raise ValueError("stands there twice")
        seen.add(mark)
        getattr(plan, name).append(value)
    return plan
