"""What every evaluation of a load shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from reconcile.config.budget import Budget
from reconcile.config.expressions.templates import Templates
from reconcile.config.read.sources import Sources
from reconcile.config.report import Report
from reconcile.errors import Position
from reconcile.yaml import place


@dataclass(slots=True)
class Loading:
    """What every evaluation shares: files, templates and what they may cost, the report, and the secrets' schemes."""

    sources: Sources
    report: Report
    templates: Templates
    schemes: tuple[str, ...]
    budget: Budget = field(default_factory=Budget)

    def position(self, at: int) -> Position:
        """The place of a packed place."""
        return self.sources.position(*place(at))

    def base(self, at: int) -> Path:
        """The directory of the file in which something stands."""
        return self.sources.paths[place(at)[0]].parent
