"""
A plan as a reviewer of a pull request reads it: what will happen and whether to merge, on one screen.

It begins with a mark that machines find again, and ends with what applies it. What could be long stands in folds, of
which as many are shown as there is room for; the rest is counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from reconcile.core.plan import Change
from reconcile.errors import Position
from reconcile.render.chapters import chapters_of, counts_of, facts_of, heading_of, headline, reasons_of
from reconcile.render.detail import change_title, one, since_lines, symbol
from reconcile.render.grouped import group_lines, group_title
from reconcile.render.groups import Group, PlanSection, groups
from reconcile.render.markdown.folds import Fold, fitted
from reconcile.render.markdown.marks import DiffPaint, code, fence, text
from reconcile.render.paint import Paint
from reconcile.render.report import PlanReport
from reconcile.render.values import outside
from reconcile.render.words import many, place

COMMENT = 60_000
"""Bytes of a comment: the field refuses 65,536 characters."""
SUMMARY = 2**20 - 4_096
"""Bytes of the summary of a step: the field drops one of more than 1 MiB."""
TOGETHER = 25  # single changes in one fold
OPEN_LINES = 60  # lines of all folds up to which they are shown opened
FEW = 3


def report_markdown(report: PlanReport) -> Iterator[str]:
    """For a comment of a pull or merge request."""
    yield from markdown(report, COMMENT)


def report_summary(report: PlanReport) -> Iterator[str]:
    """The same with more room: for the summary of a step."""
    yield from markdown(report, SUMMARY)


def markdown(report: PlanReport, room: int) -> Iterator[str]:
    """The report in at most `room` bytes."""
    changes = report.changes
    head, tail = "".join(_head(report, changes)), "".join(_tail(report, changes))
    yield head
    yield from fitted(list(_folds(report, groups(changes))), room - len(head.encode()) - len(tail.encode()))
    yield tail


def marker(report: PlanReport) -> str:
    """The first line: what it is of, for those who look for it again."""
    said: dict[str, object] = {"v": 1, "fleet": report.plan.bindings.fleet}
    if report.drift:
        said["drift"] = True
    if report.plan.bindings.options.offline:
        said["offline"] = True
    if report.digest is not None:
        said["digest"] = report.digest
    if report.commit is not None and re.fullmatch(r"[0-9a-f]{7,64}", report.commit):
        said["commit"] = report.commit
    return f"<!-- reconcile:plan {json.dumps(said)} -->"


# -- what is always there ----------------------------------------------------------------------------------------------


def _head(report: PlanReport, changes: Sequence[Change]) -> Iterator[str]:
    yield f"{marker(report)}\n### {code(report.plan.bindings.fleet)}: {headline(report, changes)}\n\n"
    for line in facts_of(report):
        yield f"{text(line)}\n\n"
    for line in reasons_of(report, changes):
        above = line.startswith(("Blocked: ", "Incomplete: "))
        yield f"\n**{text(line)}**\n\n" if above else f"- {text(line)}\n"
    columns, counts = counts_of(report, changes)
    if counts:
        yield "\n| | " + " | ".join(columns) + " |\n" + "|---|" + "---:|" * len(columns) + "\n"
        yield from (f"| {text(name)} | " + " | ".join(numbers) + " |\n" for name, numbers in counts)


def _tail(report: PlanReport, changes: Sequence[Change]) -> Iterator[str]:
    if report.shows is not None and len(changes) > 1:
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


def _folds(report: PlanReport, grouped: Mapping[PlanSection, list[Group]]) -> Iterator[Fold]:
    found = list(_changes(report, grouped))
    opened = sum(len(fold.lines) for fold in found) <= OPEN_LINES
    grave = (PlanSection.BLOCKED.value, PlanSection.LEAVING.value, PlanSection.REPLACED.value)
    for fold in found:
        yield replace(fold, open=opened or (fold.section in grave and len(fold.lines) <= OPEN_LINES))
    for title, rows in chapters_of(report, grouped):
        opened = title.startswith("Warnings") and len(rows) <= FEW
        yield Fold(title.partition(":")[0], text(title), rows, counts=len(rows), open=opened)


def _changes(report: PlanReport, grouped: Mapping[PlanSection, list[Group]]) -> Iterator[Fold]:
    paint = DiffPaint()
    for section, members in grouped.items():
        if section is PlanSection.RENEWAL:
            continue
        heading = heading_of(report, section)
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
        for where in (*(field.where for field in change.fields), change.where):
            if where is not None:
                places.setdefault(place(where), where)
        if len(places) > FEW:
            break
    links = [(name, report.repository.link(where)) for name, where in list(places.items())[:FEW]]
    said = [f"[{text(name)}]({link})" for name, link in links if link is not None]
    return [f"In {', '.join(said)}" + (", …" if len(places) > FEW else "")] if said else []
