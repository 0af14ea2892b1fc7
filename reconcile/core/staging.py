"""
Staged updates: a write that the API takes at once and hands to the unit later, which may fetch it, lose it, or have
it replaced by somebody else's.

A type whose API works like that gives its `ResourceType.staging` one of these. The methods here are the answers of an
API that forgets nothing and where nothing is ever replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconcile.core.resource import Entry, Observed
from reconcile.core.values import Attrs


class Staging:
    """The questions that a staged update raises. Subclassed by a provider; every method is pure."""

    def accepted(self, stamp: Mapping[str, Any], seen: Observed) -> Mapping[str, Any]:
        """Facts of the entry once the API has taken a write: of its stamp, and of the answer."""
        return stamp

    def applied(self, patch: Attrs, seen: Observed) -> bool:
        """True if a reading shows that a write whose answer was lost did arrive."""
        return False

    def foreign_update(self, seen: Observed, known: Iterable[Mapping[str, Any]]) -> str | None:
        """
        Id of an update staged by somebody else that a write would discard, or None.

        Args:
            known: facts of the entry and stamps of writes, by which one's own are told.
        """
        return None

    def signs_of(self, stamp: Mapping[str, Any], seen: Observed) -> Mapping[str, Any]:
        """Facts to record when a reading shows that a write with a lost answer did reach the unit."""
        return {}

    def unfinished(self, prior: Entry) -> Attrs:
        """Members of whole maps that an earlier write was to remove, while no reading shows that it was done."""
        return {}
