"""What somebody else changed since the last apply, as a person reads it: from what was applied to what is live."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reconcile.core.plan import Action, Cause, Change, Plan, Reason
from reconcile.render.detail import one, since_lines
from reconcile.render.grouped import group_lines
from reconcile.render.groups import groups, turned
from reconcile.render.paint import BOLD, GREEN, RED, Paint
from reconcile.render.text import WIDTH, absent_lines, header, last_applied, unread_lines, warning_lines
from reconcile.render.words import Types, many


def drift_text(plan: Plan, *, types: Types, color: bool = False, width: int = WIDTH) -> Iterator[str]:
    """The lines of `drift`. A plan in which only the files changed has none."""
    paint = Paint(color, width)
    drifted = [as_drift(change) for change in plan.changes if change.drifted]
    yield from header(plan, paint)
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
    if drifted:
        gone = sum(1 for change in drifted if change.action is Action.DELETE)
        yield paint(f"Drift: {len(drifted) - gone} changed, {gone} deleted by somebody else.", BOLD)
        yield "`plan` shows what an apply would put back."
    elif plan.complete and not plan.absent:
        yield paint("No drift: nothing was changed by somebody else since the last apply.", GREEN)
    if silent := sum(row.allow is None for row in plan.unread):
        yield paint("Incomplete:", RED) + f" {many(silent, 'read')} failed; what did not answer may differ."


def as_drift(change: Change) -> Change:
    """The same change told from the other side: before = what was applied, after = what is live."""
    if change.reason is Reason.GONE:
        return replace(change, action=Action.DELETE, fields=(), blocked=None)
    fields = tuple(turned(field) for field in change.fields if field.cause in (Cause.SOMEBODY, Cause.BOTH))
    return replace(change, action=Action.UPDATE, reason=Reason.FIELDS_DIFFER, fields=fields, blocked=None, notes=())
