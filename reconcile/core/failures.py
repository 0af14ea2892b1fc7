"""
The failures that an apply takes before it leaves a type alone (docs/document.md, "Limits"). Pure.

Whatever the limit, refusals that are all alike, without one success, are a mistake of the whole and not of one change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from reconcile.core.plan import Change
from reconcile.core.ports import Limit
from reconcile.errors import ApiError, ReconcileError

ALIKE = 20  # refusals of one status and code, without one success, that end a type


@dataclass(slots=True)
class FailureBudget:
    """
    Failures by type.

    Attributes:
        limit: how many changes of a type may fail: a number, or a share of those that are planned; None = any number.
        spent: by type path, why nothing more of it is sent.
    """

    limit: Limit | None
    planned: Iterable[Change]
    spent: dict[str, str] = field(default_factory=dict)
    _failed: dict[str, int] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)
    _alike: dict[tuple[str, int, str | None], int] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for change in self.planned:
            path = change.address.type_path
            self._sizes[path] = self._sizes.get(path, 0) + 1
        self.planned = ()

    def count(self, change: Change, done: bool, failure: ReconcileError | None) -> None:
        """
        Counts an outcome; what is unknown, skipped or in conflict counts for nothing.

        Args:
            failure: why it failed; None when it did not.
        """
        path = change.address.type_path
        if done:
            self._done.add(path)
        if failure is None or path in self.spent:
            return
        self._failed[path] = self._failed.get(path, 0) + 1
        most = self._most(path)
        if most is not None and self._failed[path] > most:
            self.spent[path] = f"{self._failed[path]:,} changes of its type failed, limits.failures is {most:,}"
        if isinstance(failure, ApiError) and path not in self._done:
            alike = path, failure.status, failure.code
            self._alike[alike] = self._alike.get(alike, 0) + 1
            if self._alike[alike] >= ALIKE:
                code = f", {failure.code}" if failure.code else ""
                said = f"{ALIKE} changes of its type were refused alike ({failure.status}{code}), and none was done"
                self.spent.setdefault(path, said)

    def _most(self, path: str) -> int | None:
        if self.limit is None:
            return None
        return self.limit.number if self.limit.share is None else int(self.limit.share * self._sizes.get(path, 0))
