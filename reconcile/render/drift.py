"""What somebody else changed since the last apply, as a person reads it: from what was applied to what is live."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconcile.core.plan import Action, Change, Plan
from reconcile.render.detail import one, since_lines
from reconcile.render.grouped import group_lines
from reconcile.render.groups import as_drift, groups
from reconcile.render.paint import BOLD, GREEN, RED, Paint
from reconcile.render.text import WIDTH, absent_lines, header, last_applied, unread_lines, warning_lines
from reconcile.render.words import Types, many


def drift_text(plan: Plan, *, types: Types, color: bool = False, width: int = WIDTH) -> Iterator[str]:
    """The lines of `drift`. A plan in which only the files changed has none."""
    paint = Paint(color, width)
    drifted = [as_drift(change) for change in plan.changes if change.drifted]
    yield from header(plan, types, paint)
    if drifted:
        yield ""
        yield paint.heading("Changed by somebody else since the last apply")
    for members in groups(drifted).values():
        for group in members:
            yield from group_lines(group, types, paint) if group.grouped else one(group, paint)
            yield from since_lines(group.members, paint)
    yield from unread_lines(plan.unread, types, paint)
    yield from absent_lines(plan.absent, types, paint)
    yield from warning_lines(plan.warnings, paint)
    yield ""
    yield from last_applied(plan)
    if said := drift_verdict(plan, drifted):
        yield paint(said, BOLD if drifted else GREEN)
    if drifted:
        yield "`plan` shows what an apply would put back."
    if silent := sum(row.allow is None for row in plan.unread):
        yield paint("Incomplete:", RED) + f" {many(silent, 'read')} failed; what did not answer may differ."


def drift_verdict(plan: Plan, drifted: Sequence[Change]) -> str:
    """The sentence; "" where nothing drifted and something was not read."""
    if drifted:
        gone = sum(1 for change in drifted if change.action is Action.DELETE)
        return f"Drift: {len(drifted) - gone} changed, {gone} deleted by somebody else."
    if plan.complete and not plan.absent:
        return "No drift: nothing was changed by somebody else since the last apply."
    return ""
