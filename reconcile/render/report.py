"""
A plan, or what somebody else changed, in every format; and all that a format shows beside the plan itself.

A format is a function from a `PlanReport` to pieces of text. Its module is imported when it is asked for.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from urllib.parse import quote

from reconcile.core.plan import Change, Plan
from reconcile.core.seal import Seal
from reconcile.errors import Position
from reconcile.render.groups import as_drift
from reconcile.render.words import Types

_FORMATS = {
    "text": ("reconcile.render.screen", "report_text"),
    "json": ("reconcile.render.json.plan", "report_json"),
    "markdown": ("reconcile.render.markdown.plan", "report_markdown"),
    "summary": ("reconcile.render.markdown.plan", "report_summary"),
    "html": ("reconcile.render.html", "report_html"),
    "gitlab": ("reconcile.render.json.gitlab", "report_gitlab"),
    "openmetrics": ("reconcile.render.openmetrics", "report_openmetrics"),
}
ON_SCREEN = ("text", "json", "markdown", "html", "gitlab")
"""Formats of `--format`."""
IN_FILES = tuple(_FORMATS)
"""Formats of `--report FORMAT=FILE`."""


@dataclass(frozen=True, slots=True)
class Repository:
    """
    Where the fleet's files can be looked at.

    Attributes:
        files: URL of the files at the commit, to which a path is added.
        under: where the working directory is in the repository: `fleets/` or "".
    """

    files: str
    under: str = ""

    def link(self, where: Position) -> str | None:
        """The URL of a place; None where the file lies outside of the repository."""
        path = posixpath.normpath(posixpath.join(self.under, where.file))
        if path.startswith(("/", "../")):
            return None
        return f"{self.files}{quote(path)}" + (f"#L{where.line}" if where.line else "")


@dataclass(frozen=True, slots=True)
class PlanReport:
    """
    What a format shows.

    Attributes:
        drift: whether it tells what somebody else changed, in place of what an apply would do.
        digest: of the plan, if it has one. seal: of the file that holds it, if one does.
        per_s: requests a second to expect, if anybody knows.
        applies: the command that carries it out; None where none does. allows: the one that lets what is blocked by.
        shows: the beginning of a command that shows a part of it, to which a selection is added.
        color, width: of text on a terminal.
        commit: that the files are of.
    """

    plan: Plan
    types: Types
    drift: bool = False
    digest: str | None = None
    seal: Seal | None = None
    per_s: float | None = None
    applies: str | None = None
    allows: str | None = None
    shows: str | None = None
    repository: Repository | None = None
    commit: str | None = None
    color: bool = False
    width: int = 100

    @property
    def changes(self) -> list[Change]:
        """The changes as they are shown: of drift, from what was applied to what is live."""
        if not self.drift:
            return self.plan.changes
        return [as_drift(change) for change in self.plan.changes if change.drifted]


def rendered(format_: str, report: PlanReport) -> Iterator[str]:
    """The pieces of a report in one of the formats."""
    module, name = _FORMATS[format_]
    render: Callable[[PlanReport], Iterator[str]] = getattr(import_module(module), name)
    return render(report)
