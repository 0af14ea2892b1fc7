"""
The history of a state: who ran what, when, from where, and what became of it.

A run is one command that wrote to the state. What it changed is told by resource, attribute by attribute; a secret is
only said to be written, and a long value is told by its checksum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconcile.core.address import Address
from reconcile.core.form import Form

WRITTEN = "(sensitive value, written)"
"""In the place of the value of a secret."""

DONE, PARTLY, FAILED, INTERRUPTED, UNFINISHED = "done", "partly", "failed", "interrupted", "unfinished"
"""What became of a run. Unfinished: nobody said how it ended, so it was killed or is still at it."""


@dataclass(frozen=True, slots=True)
class About:
    """
    What is known of a run as it begins.

    Attributes:
        by: the user. host: the machine. job: URL of the pipeline's job, and `commit` what it works on, in a pipeline.
        version: of reconcile. command: `apply`, `destroy`, `state rm` and so on.
        plan: digest of the saved plan that is applied. options: those of the plan that are not as usual.
        planned: how many changes it sets out to make.
    """

    command: str = ""
    by: str = ""
    host: str = ""
    job: str | None = None
    commit: str | None = None
    version: str = ""
    plan: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    planned: int = 0

    @property
    def doing(self) -> str:
        """What whoever waits for it is told: `apply of 312 changes`."""
        return f"{self.command} of {self.planned:,} change{'' if self.planned == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Run:
    """
    A run.

    Attributes:
        id: as `Head.run`. serial: that it made. begun, ended: RFC 3339 UTC.
        counts: how many resources came to what: done, failed, unknown, skipped, conflict.
    """

    id: str
    serial: int
    begun: str
    about: About
    ended: str | None = None
    outcome: str = UNFINISHED
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changed:
    """
    What a run did to one resource.

    Attributes:
        at: RFC 3339 UTC. fields: `{path, before, after}` of each attribute; a value that is long is
            `{sha256, characters}`, a secret a sentence.
    """

    address: Address
    action: str
    at: str = ""
    fields: Sequence[Mapping[str, Any]] = ()


ABOUT: Form[About] = Form(About)
