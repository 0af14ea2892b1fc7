"""
A plan as one page that needs nothing else: for a browser, from a disk, on paper.

The changes are an island of JSON, of which a script draws at most 200 at a time: 20,000 rows of HTML take a browser
seven seconds. A policy lets that script run and nothing else, and the page may load nothing.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from reconcile.core.plan import Action, Change, FieldChange
from reconcile.render.chapters import chapters_of, counts_of, facts_of, heading_of, headline, reasons_of
from reconcile.render.detail import attribute, change_title, remarks_above, remarks_below, symbol
from reconcile.render.grouped import group_lines
from reconcile.render.groups import Group, PlanSection, groups, leaves, section_of
from reconcile.render.json.values import dumps
from reconcile.render.paint import Paint
from reconcile.render.report import PlanReport
from reconcile.render.values import SENSITIVE, outside, show
from reconcile.render.words import asked_by, many, place, singular_of, whose

LONGEST = 2_000  # characters of a value
MOST_LINES = 200  # of a part; the rest is counted
FILTERS = ("action", "type", "provider", "label", "reason", "wave")
_PLAIN = Paint()


def report_html(report: PlanReport) -> Iterator[str]:
    """The page."""
    from jinja2 import Environment
    from markupsafe import Markup

    changes = report.changes
    grouped = groups(changes)
    css, js = _part("page.css"), _part("page.js")
    policy = f"default-src 'none'; style-src {_hash(css)}; script-src {_hash(js)}; base-uri 'none'; form-action 'none'"
    columns, counts = counts_of(report, changes)
    page = Environment(autoescape=True).from_string(_part("page.html"))
    yield from page.generate(
        policy=policy,
        css=Markup(css),
        js=Markup(js),
        island=Markup(_island(report, changes)),
        fleet=outside(report.plan.bindings.fleet),
        verdict=headline(report, changes),
        facts=list(facts_of(report)),
        digest=report.digest,
        alarms=reasons_of(report, changes),
        columns=columns,
        counts=counts,
        short=_cut(list(_short(report, grouped))),
        filters=FILTERS,
        leaving=_cut([f"{symbol(change):<3} {change_title(change, None)}" for change in changes if _leaves(change)]),
        parts=[(title, _cut(lines)) for title, lines in chapters_of(report, grouped)],
        applies=outside(report.applies) if report.applies and report.plan.changes else None,
    )


@cache
def _part(name: str) -> str:
    return (files(__name__) / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _leaves(change: Change) -> bool:
    return change.action in (Action.DELETE, Action.FORGET, Action.REPLACE)


def _short(report: PlanReport, grouped: Mapping[PlanSection, list[Group]]) -> Iterator[str]:
    """Every group as on a terminal, and how many changes stand alone."""
    for section, members in grouped.items():
        several = [group for group in members if group.grouped]
        if several:
            yield heading_of(report, section)
        for group in several:
            yield from group_lines(group, report.types, _PLAIN)
        if several and (single := len(members) - len(several)):
            yield f"      and {many(single, 'single change')}"


def _cut(lines: Sequence[str]) -> Sequence[str]:
    if len(lines) <= MOST_LINES:
        return lines
    return [*lines[: MOST_LINES - 1], f"and {len(lines) - MOST_LINES + 1:,} lines more"]


def _island(report: PlanReport, changes: Sequence[Change]) -> str:
    order = {section: at for at, section in enumerate(PlanSection)}
    ranked = sorted(changes, key=lambda change: order[section_of(change)])
    rows = ",\n".join(dumps(_told(_row(report, change))) for change in ranked)
    text = f'{{"changes": [{rows}]}}'
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without what is empty; the script of the page takes a name that is missing for that."""
    return {name: value for name, value in row.items() if value not in ("", None, [])}


def _row(report: PlanReport, change: Change) -> dict[str, Any]:
    section = section_of(change)
    title = change_title(change, section)
    return {
        "address": outside(change.address),
        "symbol": symbol(change).strip(),
        "action": change.action.value,
        "type": singular_of(report.types, change.address.type_path),
        "provider": outside(change.address.provider),
        "reason": heading_of(report, section),
        "what": title.removeprefix(outside(change.address)).strip().removeprefix("# "),
        "labels": [outside(f"{key}={value}") for key, value in change.labels.items()],
        "wave": change.wave + 1,
        "id": outside(change.id) if change.id is not None else None,
        "block": outside(change.block) if change.block is not None else None,
        "place": place(change.where),
        "written": outside(change.written) if change.drifted and change.written else None,
        "notes": [*remarks_above(change), *remarks_below(change)],
        "fields": [_told(part) for part in [_field(field, change) for field in leaves(change)] or _lost(change)],
    }


def _field(field: FieldChange, change: Change) -> dict[str, str]:
    created = change.action is Action.CREATE
    before, after = (SENSITIVE, SENSITIVE) if field.sensitive else (_value(field.before), _value(field.after))
    return {
        "name": attribute(field.path),
        "before": "" if created else before,
        "after": after,
        "whose": whose(field, created),
        "place": asked_by(field.where, field.origin),
    }


def _lost(change: Change) -> Iterator[dict[str, str]]:
    """What goes with a resource that is deleted."""
    if change.action is Action.DELETE:
        for name, value in change.before.items():
            if value is not None:
                yield {"name": attribute((name,)), "before": _value(value), "after": "", "whose": "", "place": ""}


def _value(value: Any) -> str:
    return "" if value is None else show(value, LONGEST)
