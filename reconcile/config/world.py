"""What every evaluation of a load shares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reconcile.config.report import Report
from reconcile.config.sources import Sources
from reconcile.config.templates import Templates
from reconcile.config.yaml import place
from reconcile.errors import Position


@dataclass(slots=True)
class World:
    """What every evaluation shares: files, templates, the report, and the schemes of secrets."""

    sources: Sources
    report: Report
    templates: Templates
    schemes: tuple[str, ...]

    def position(self, at: int) -> Position:
        """The place of a packed place."""
        return self.sources.position(*place(at))

    def base(self, at: int) -> Path:
        """The directory of the file in which something stands."""
        return self.sources.paths[place(at)[0]].parent
