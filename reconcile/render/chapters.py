"""What a page says of a plan beside its changes, as data: the verdict, alarms, counts, and the parts that follow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from reconcile.core.plan import Change
from reconcile.render.drift import drift_verdict
from reconcile.render.groups import Group, PlanSection
from reconcile.render.paint import Paint
from reconcile.render.report import PlanReport
from reconcile.render.show import seal_line
from reconcile.render.text import (
    absent_lines,
    effort_lines,
    header,
    last_applied,
    not_compared_lines,
    one_by_one,
    policy_lines,
    renewal_lines,
    setting_lines,
    unread_lines,
    unsettled_lines,
    verdict,
    warning_lines,
)
from reconcile.render.values import outside
from reconcile.render.words import many, singular_of

_PLAIN = Paint()
_MOST_REASONS = 10
_COLUMNS = ("import", "add", "change", "destroy", "forget", "blocked")
_ORDER = (3, 5, 4, 1, 2, 0)  # what is destroyed first


def heading_of(report: PlanReport, section: PlanSection) -> str:
    """What stands above the changes of a section."""
    return "Changed by somebody else" if report.drift else section.value


def facts_of(report: PlanReport) -> Iterator[str]:
    """What it is of, how much there is to do, whether nobody vouches for its file, and who applied last."""
    plan = report.plan
    yield from header(plan, report.types, _PLAIN)
    if not report.drift:
        yield from effort_lines(plan, report.per_s)
    if report.seal is not None and not report.seal.verified:
        yield seal_line(report.seal, _PLAIN)
    yield from last_applied(plan)


def headline(report: PlanReport, changes: Sequence[Change]) -> str:
    """The verdict, on one line."""
    if not report.drift:
        return verdict(report.plan, _PLAIN).replace("\n", " ")
    return drift_verdict(report.plan, changes) or "Incomplete: what was read has no drift."


def reasons_of(report: PlanReport, changes: Sequence[Change]) -> list[str]:
    """Why nobody should take the plan for a whole one, or `apply` refuses it; the first is the sentence above them."""
    plan, said = report.plan, list[str]()
    if plan.refused and not report.drift:
        blocked = sum(change.blocked is not None for change in changes)
        some = f"{many(blocked, 'change')} {'is' if blocked == 1 else 'are'} blocked. " if blocked else ""
        said.append(f"Blocked: {some}Apply refuses this plan.")
        reasons = list(dict.fromkeys(reason.what for reason in plan.blocked))
        said += [outside(reason) for reason in reasons[:_MOST_REASONS]]
        if len(reasons) > _MOST_REASONS:
            said.append(f"and {many(len(reasons) - _MOST_REASONS, 'other reason')}")
    if silent := sum(row.allow is None for row in plan.unread):
        said.append(f"Incomplete: {many(silent, 'read')} failed; nothing is done to what was not read.")
    return said


def counts_of(report: PlanReport, changes: Sequence[Change]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """How many of each type and action: the names of the columns that have a number, and a row for each type."""
    counts: dict[str, list[int]] = {}
    for change in changes:
        if any(change.counts) or change.blocked:
            row = counts.setdefault(change.address.type_path, [0] * len(_COLUMNS))
            for at, number in enumerate((*change.counts, change.blocked is not None)):
                row[at] += number
    columns = [at for at in _ORDER if any(row[at] for row in counts.values())]
    return [_COLUMNS[at] for at in columns], [
        (singular_of(report.types, path), [f"{row[at]:,}" if row[at] else "" for at in columns])
        for path, row in counts.items()
    ]


def chapters_of(report: PlanReport, grouped: Mapping[PlanSection, list[Group]]) -> Iterator[tuple[str, list[str]]]:
    """What is told after the changes: each with its heading and lines."""
    plan, types = report.plan, report.types
    for lines in (
        setting_lines(plan.settings, _PLAIN),
        policy_lines(plan.policies, _PLAIN),
        unread_lines(plan.unread, types, _PLAIN),
        absent_lines(plan.absent, types, _PLAIN),
        not_compared_lines(plan.not_compared, types, _PLAIN),
        unsettled_lines(plan.unsettled, types, _PLAIN),
        renewal_lines(grouped.get(PlanSection.RENEWAL, []), types, _PLAIN),
        one_by_one(plan, types, _PLAIN),
    ):
        yield from _chapters(lines)
    if warned := list(warning_lines(plan.warnings, _PLAIN))[1:]:
        yield f"Warnings: {len(warned):,}", warned


def _chapters(lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Lines that begin with headings, cut at these: each with what stands beneath it, indented."""
    title, rows = None, list[str]()
    for line in lines:
        if not line:
            continue
        if line.startswith(" "):
            rows.append(line)
        else:
            if title is not None:
                yield title, rows
            title, rows = line, []
    if title is not None:
        yield title, rows
