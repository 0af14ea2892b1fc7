"""The counts that GitLab shows in a merge request (`artifacts: reports: terraform`); whoever sees it may read these."""

from __future__ import annotations

from collections.abc import Iterator

from reconcile.core.plan import Plan
from reconcile.render.json.values import dumps
from reconcile.render.report import PlanReport


def report_gitlab(report: PlanReport) -> Iterator[str]:
    """`{create, update, delete}`, all three, as GitLab insists."""
    yield dumps(gitlab_counts(report)) + "\n"


def gitlab_counts(report: PlanReport) -> dict[str, int]:
    """The three numbers; what is imported without a change is none of them."""
    counts = Plan(report.plan.bindings, report.changes).counts
    return {"create": counts[1], "update": counts[2], "delete": counts[3]}
