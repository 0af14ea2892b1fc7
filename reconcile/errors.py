"""
Every error that a user can meet, and the exit code it leads to (docs/architecture.md, "Exit codes").

    ReconcileError                1   anything else
    ├── InvalidInput              3   document, arguments, variables, plan file; a reference that does not resolve
    │   └── NotAllowed            3   a reference that the document is not allowed to have opened
    ├── ApiError                  1   an API answered with an error
    │   ├── AccessDenied          4   a 401, a 403 to a reading, or a 403 whose type names the key
    │   ├── NotFound              1   a 404
    │   └── Conflict              1   a 409
    ├── NotSent                   1   the request never left: refused, no route, host not allowed
    ├── NoAnswer                  1   the request left and no answer came: what it did is unknown
    ├── BadAnswer                 1   an answer that no such API gives: HTML, truncated JSON, a foreign page link
    ├── StateError                1   a state that is there and cannot be used
    ├── Refused                   5   a guard, or a plan that is stale, expired, applied, or for something else
    ├── Locked                    6   another run holds the state
    ├── PartlyApplied             7   operations failed, are unknown, or met a conflict
    └── Interrupted             130   Ctrl-C, SIGTERM or SIGHUP

A `Problem` is one thing that is wrong, with the place where it stands; an error holds one or many, so that all of
them reach the user in one pass. No error ever holds the value of a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """
    A place in a file that the user wrote.

    Attributes:
        file: the path as the user would type it.
        line: 1-based; 0 when the whole file is meant.
        column: 1-based; 0 when the whole line is meant.
        row: of a table: the 1-based number of the data row (`line` is then the line in the table's file).
    """

    file: str
    line: int = 0
    column: int = 0
    row: int | None = None

    def __str__(self) -> str:
        parts = [self.file, *(str(n) for n in (self.line, self.column) if n)]
        return ":".join(parts) + (f" (row {self.row})" if self.row is not None else "")


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One thing that is wrong, in the shape of docs/architecture.md, "Errors".

    Attributes:
        what: one sentence without a final full stop.
        where: the place that has to change, if it stands in a file.
        address: the resource (or block) that it is about.
        snippet: the line of the file at `where`, as it is written; never of a secret.
        notes: the values in play and where they come from, one line each.
        hint: what to do, "did you mean" included.
    """

    what: str
    where: Position | None = None
    address: str | None = None
    snippet: str | None = None
    notes: tuple[str, ...] = ()
    hint: str | None = None

    def __str__(self) -> str:
        head = f"{self.where}: " if self.where else ""
        about = f"{self.address}: " if self.address else ""
        tail = f". {self.hint}" if self.hint else ""
        return f"{head}{about}{self.what}{tail}"


def summarised(problems: Sequence[Problem]) -> list[Problem]:
    """The same mistake in many resources as one problem with the first ones and a count."""
    if len(problems) <= 10:
        return list(problems)
    alike: dict[str, list[Problem]] = {}
    for problem in problems:
        alike.setdefault(_sort_of(problem), []).append(problem)
    found: list[Problem] = []
    for problem in problems:
        first, *others = alike[_sort_of(problem)]
        if len(others) < 3:
            found.append(problem)
        elif problem is first:
            notes = tuple(f"also {other.address}: {other.what}" for other in others[:2])
            found.append(replace(problem, notes=(*problem.notes, *notes, f"and {len(others) - 2} more")))
    return found


def _sort_of(problem: Problem) -> str:
    return f"{getattr(problem.address, 'type_path', '')}{problem.what.split(' ')[:4]}"


class ReconcileError(Exception):
    """
    Base of all errors that end a command. `problems` has at least one member; `exit_code` is that of
    docs/architecture.md, "Exit codes".
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, *problems: Problem | str) -> None:
        self.problems: tuple[Problem, ...] = tuple(
            Problem(problem) if isinstance(problem, str) else problem for problem in problems
        )
        super().__init__("; ".join(str(problem) for problem in self.problems))

    @property
    def what(self) -> str:
        """What is wrong, with its places, and without what there is to do about it."""
        return "; ".join(str(replace(problem, hint=None)) for problem in self.problems)

    @property
    def hint(self) -> str | None:
        """What there is to do, or None."""
        return ". ".join(dict.fromkeys(problem.hint for problem in self.problems if problem.hint)) or None


class InvalidInput(ReconcileError):
    """The document, arguments, variables or plan file cannot be used. Nothing was sent."""

    exit_code = 3


class NotAllowed(InvalidInput):
    """A document asks for a secret that it may not have opened. What needs it is not read, and not compared."""


class ApiError(ReconcileError):
    """
    An API answered, and the answer is an error.

    Attributes:
        method, path: of the request, path percent-encoded, without host and query.
        status: the HTTP status.
        code: the API's own error code, as text, or None.
        message: the API's own words, or None.
        request_id: what the vendor's support asks for, or None.
    """

    def __init__(
        self,
        method: str,
        path: str,
        status: int,
        code: str | None = None,
        message: str | None = None,
        request_id: str | None = None,
    ) -> None:
        self.method, self.path, self.status = method, path, status
        self.code, self.message, self.request_id = code, message, request_id
        words = [f"{method} {path} answered {status}"]
        if code or message:
            words.append(" ".join(filter(None, (f"{code}:" if code else None, message))))
        if request_id:
            words.append(f"request id {request_id}")
        super().__init__(Problem(", ".join(words)))


class AccessDenied(ApiError):
    """
    A 401, a 403 to a reading, or a 403 whose type names the key: the credentials are wrong, or not allowed to do this.
    Every later request of that provider would end the same.
    """

    exit_code = 4


class NotFound(ApiError):
    """404: there is no such resource."""


class Conflict(ApiError):
    """409: the key or name is taken, or the resource is in use."""


class NotSent(ReconcileError):
    """The request never reached the API, so nothing was done."""


class NoAnswer(ReconcileError):
    """The request may have reached the API and no answer came back: what it did is unknown until it is read back."""


class BadAnswer(ReconcileError):
    """The answer is not one that this API gives: not JSON, truncated, too large, or a page link to another host."""


class StateError(ReconcileError):
    """The state is there and cannot be used: empty, truncated, foreign, newer, not a plain file. Nothing was sent."""


class Refused(ReconcileError):
    """The plan cannot be applied as it is: a guard, or it is stale, expired, applied already, or for something else."""

    exit_code = 5


class Locked(ReconcileError):
    """Another run holds the lease on the state, or `unlock` was given the wrong id."""

    exit_code = 6


class PartlyApplied(ReconcileError):
    """Some operations failed, are unknown, or met a conflict. Run again."""

    exit_code = 7


class Interrupted(ReconcileError):
    """Stopped by a signal. What was in flight is finished or stands in the journal as unfinished."""

    exit_code = 130


# The first of these that holds is the exit code of a command in which several things happened (docs/architecture.md,
# "Exit codes").
PRECEDENCE: tuple[int, ...] = (130, 4, 7, 5, 6, 3, 8, 1, 2, 0)


def worst(codes: Sequence[int]) -> int:
    """The exit code of a command in which all of `codes` happened; 0 when nothing did."""
    return min(codes, key=PRECEDENCE.index, default=0)


UNANSWERED = (ApiError, NoAnswer, NotSent, BadAnswer, NotAllowed)
"""Errors that make a resource unreadable and stop nothing else: it is named in the plan and left alone."""


Hint = str | Callable[[], str | None] | None


class Flaw(Exception):
    """
    Something is wrong with a value.

    Attributes:
        what: one sentence without a full stop, without the place.
        written_hint: what to do, or what looks for it: see `hint`.
        kind: equal for the same mistake in different rows; `what` unless it is given.
        at: the line and the column, where only the file as a whole is being read.
        silent: it follows from another mistake, which is told.
    """

    def __init__(
        self,
        what: str,
        *,
        notes: Iterable[str] = (),
        hint: Hint = None,
        kind: Hashable = None,
        at: tuple[int, int] | None = None,
        silent: bool = False,
    ) -> None:
        super().__init__(what)
        self.what, self.notes, self.written_hint = what, tuple(notes), hint
        self.kind = what if kind is None else kind
        self.at, self.silent = at, silent

    @property
    def hint(self) -> str | None:
        """What to do. A suggestion costs time, so it is looked for only when it is shown."""
        return self.written_hint() if callable(self.written_hint) else self.written_hint
