"""
A plan as a reviewer of a pull request reads it: what will happen and whether to merge, on one screen.

It begins with a mark that machines find again, and ends with what applies it. What could be long stands in folds, of
which as many are shown as there is room for; the rest is counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from reconcile.core.plan import Change
from reconcile.errors import Position
from reconcile.render.detail import change_title, one, since_lines, symbol
from reconcile.render.drift import drift_verdict
from reconcile.render.grouped import group_lines, group_title
from reconcile.render.groups import Group, PlanSection, groups
from reconcile.render.markdown.folds import Fold, chapters, fitted
from reconcile.render.markdown.marks import DiffPaint, code, fence, text
from reconcile.render.paint import Paint
from reconcile.render.report import PlanReport
from reconcile.render.text import (
    absent_lines,
    header,
    last_applied,
    not_compared_lines,
    one_by_one,
    renewal_lines,
    unread_lines,
    unsettled_lines,
    verdict,
    warning_lines,
)
from reconcile.render.values import outside
from reconcile.render.words import many, place, singular_of

COMMENT = 60_000
"""Bytes of a comment: the field refuses 65,536 characters."""
SUMMARY = 2**20 - 4_096
"""Bytes of the summary of a step: the field drops one of more than 1 MiB."""
TOGETHER = 25  # single changes in one fold
OPEN_LINES = 60  # lines of all folds up to which they are shown opened
_MOST_REASONS = 10
FEW = 3
_PLAIN = Paint()


def report_markdown(report: PlanReport) -> Iterator[str]:
    """For a comment of a pull or merge request."""
    yield from markdown(report, COMMENT)


def report_summary(report: PlanReport) -> Iterator[str]:
    """The same with more room: for the summary of a step."""
    yield from markdown(report, SUMMARY)


def markdown(report: PlanReport, room: int) -> Iterator[str]:
    """The report in at most `room` bytes."""
    changes = report.changes
    head, tail = "".join(_head(report, changes)), "".join(_tail(report))
    yield head
    yield from fitted(list(_folds(report, changes)), room - len(head.encode()) - len(tail.encode()))
    yield tail


def marker(report: PlanReport) -> str:
    """The first line: what it is of, for those who look for it again."""
    said: dict[str, object] = {"v": 1, "fleet": report.plan.bindings.fleet}
    if report.drift:
        said["drift"] = True
    if report.digest is not None:
        said["digest"] = report.digest
    if report.commit is not None and re.fullmatch(r"[0-9a-f]{7,64}", report.commit):
        said["commit"] = report.commit
    return f"<!-- reconcile:plan {json.dumps(said)} -->"


# -- what is always there ----------------------------------------------------------------------------------------------


def _head(report: PlanReport, changes: Sequence[Change]) -> Iterator[str]:
    plan = report.plan
    yield f"{marker(report)}\n### {code(plan.bindings.fleet)}: {_verdict(report, changes)}\n\n"
    for line in header(plan, _PLAIN):
        yield f"{text(line)}\n\n"
    for line in last_applied(plan):
        yield f"{text(line)}\n\n"
    reasons = list(dict.fromkeys(reason.what for reason in plan.blocked)) if not report.drift else []
    blocked = sum(change.blocked is not None for change in changes)
    if blocked or reasons:
        said = f"{many(blocked, 'change')} {'is' if blocked == 1 else 'are'} blocked. " if blocked else ""
        yield f"**Blocked: {said}Apply refuses this plan.**\n\n"
        yield from (f"- {text(reason)}\n" for reason in reasons[:_MOST_REASONS])
        if len(reasons) > _MOST_REASONS:
            yield f"- and {many(len(reasons) - _MOST_REASONS, 'other reason')}\n"
        yield "\n" if reasons else ""
    if silent := sum(row.allow is None for row in plan.unread):
        yield f"**Incomplete: {many(silent, 'read')} failed; nothing is done to what was not read.**\n\n"
    yield from _table(report, changes)


def _verdict(report: PlanReport, changes: Sequence[Change]) -> str:
    if not report.drift:
        return verdict(report.plan, _PLAIN).replace("\n", " ")
    return drift_verdict(report.plan, changes) or "Incomplete: what was read has no drift."


_COLUMNS = ("import", "add", "change", "destroy", "forget")


def _table(report: PlanReport, changes: Sequence[Change]) -> Iterator[str]:
    """How many of each type and action; columns without a number are left out."""
    counts: dict[str, list[int]] = {}
    for change in changes:
        if any(change.counts) or change.blocked:
            row = counts.setdefault(change.address.type_path, [0] * 6)
            for at, number in enumerate((*change.counts, change.blocked is not None)):
                row[at] += number
    if not counts:
        return
    order = [3, 5, 4, 1, 2, 0]  # what is destroyed first
    names = [*_COLUMNS, "blocked"]
    columns = [at for at in order if any(row[at] for row in counts.values())]
    yield "| | " + " | ".join(names[at] for at in columns) + " |\n"
    yield "|---|" + "---:|" * len(columns) + "\n"
    for path, row in counts.items():
        cells = [f"{row[at]:,}" if row[at] else "" for at in columns]
        yield f"| {text(singular_of(report.types, path))} | " + " | ".join(cells) + " |\n"


def _tail(report: PlanReport) -> Iterator[str]:
    if report.shows is not None and report.changes:
        yield "\nThe members of a fold, with their values:\n\n"
        yield "\n".join(fence([outside(f"{report.shows} SEL")], "sh")) + "\n"
    if report.digest is not None:
        yield f"\nPlan digest: `{report.digest}`\n"
    if report.applies is not None and report.plan.changes:
        yield "\nTo apply exactly this:\n\n"
        yield "\n".join(fence([outside(report.applies)], "sh")) + "\n"
    elif report.allows is not None:
        yield "\nIf that is meant:\n\n" + "\n".join(fence([outside(report.allows)], "sh")) + "\n"


# -- what can be opened ------------------------------------------------------------------------------------------------


def _folds(report: PlanReport, changes: Sequence[Change]) -> Iterator[Fold]:
    found = list(_changes(report, changes))
    opened = sum(len(fold.lines) for fold in found) <= OPEN_LINES
    grave = (PlanSection.BLOCKED.value, PlanSection.LEAVING.value, PlanSection.REPLACED.value)
    for fold in found:
        yield Fold(
            fold.section,
            fold.title,
            fold.lines,
            fold.below,
            fold.counts,
            opened or (fold.section in grave and len(fold.lines) <= OPEN_LINES),
        )
    plan, types = report.plan, report.types
    for lines in (
        unread_lines(plan.unread, types, _PLAIN),
        absent_lines(plan.absent, types, _PLAIN),
        not_compared_lines(plan.not_compared, types, _PLAIN),
        unsettled_lines(plan.unsettled, types, _PLAIN),
        renewal_lines(groups(changes).get(PlanSection.RENEWAL, []), types, _PLAIN),
        one_by_one(plan, types, _PLAIN),
    ):
        for title, rows in chapters(lines):
            heading = title.partition(":")[0]
            yield Fold(heading, text(title), rows, counts=len(rows))
    if warned := list(warning_lines(plan.warnings, _PLAIN))[1:]:
        yield Fold("Warnings", many(len(warned), "warning"), warned, counts=len(warned), open=len(warned) <= FEW)


def _changes(report: PlanReport, changes: Sequence[Change]) -> Iterator[Fold]:
    paint = DiffPaint()
    for section, members in groups(changes).items():
        if section is PlanSection.RENEWAL:
            continue
        heading = "Changed by somebody else" if report.drift else section.value
        single: list[Group] = []
        for group in members:
            if not group.grouped:
                single.append(group)
                if len(single) == TOGETHER:
                    yield _singles(report, heading, single, paint)
                    single = []
                continue
            if single:
                yield _singles(report, heading, single, paint)
                single = []
            lines = [*group_lines(group, report.types, paint), *_since(group, paint)]
            title = f"{code(symbol(group.members[0]).strip() or ' ')} {text(group_title(group, report.types))}"
            below = [f"SEL: {code(group.selection)}", *_links(report, group.members)]
            yield Fold(heading, title, lines, below, len(group.members))
        if single:
            yield _singles(report, heading, single, paint)


def _singles(report: PlanReport, heading: str, single: Sequence[Group], paint: Paint) -> Fold:
    changes = [group.members[0] for group in single]
    lines = [line for group in single for line in (*one(group, paint), *_since(group, paint))]
    titles = [
        f"{code(symbol(change).strip() or ' ')} {code(change_title(change, single[0].section))}" for change in changes
    ]
    title = titles[0] if len(titles) == 1 else f"{many(len(titles), 'change')}: {', '.join(titles[:3])}"
    title += ", …" if len(titles) > 3 else ""
    return Fold(heading, title, lines, _links(report, changes), len(changes))


def _since(group: Group, paint: Paint) -> list[str]:
    return list(since_lines((change for change in group.members if change.drifted), paint))


def _links(report: PlanReport, changes: Sequence[Change]) -> list[str]:
    """The lines of the files that ask for it, where the pipeline tells where the files can be looked at."""
    if report.repository is None:
        return []
    places: dict[str, Position] = {}
    for change in changes:
        for where in (change.where, *(field.where for field in change.fields)):
            if where is not None:
                places.setdefault(place(where), where)
        if len(places) > FEW:
            break
    links = [(name, report.repository.link(where)) for name, where in list(places.items())[:FEW]]
    said = [f"[{text(name)}]({link})" for name, link in links if link is not None]
    return [f"In {', '.join(said)}" + (", …" if len(places) > FEW else "")] if said else []
