"""A report for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconcile.render.drift import drift_text
from reconcile.render.report import PlanReport
from reconcile.render.text import plan_text


def report_text(report: PlanReport) -> Iterator[str]:
    """The lines of a plan, or of what somebody else changed."""
    seen: dict[str, Any] = {"types": report.types, "color": report.color, "width": report.width}
    if report.drift:
        lines = drift_text(report.plan, **seen)
    else:
        lines = plan_text(report.plan, **seen, per_s=report.per_s)
    yield from (f"{line}\n" for line in lines)
