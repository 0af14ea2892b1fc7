"""Errors and warnings as a person reads them: what, where, the line with a caret, the values in play, the hint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from reconcile.errors import Problem, ReconcileError
from reconcile.render.paint import DIM, RED, YELLOW, Paint
from reconcile.render.values import cells, outside
from reconcile.render.words import place

_SNIPPET = 120  # columns of a line that are shown; minified JSON is one line


def problem_text(problem: Problem, color: bool = False, title: str = "Error") -> Iterator[str]:
    """The lines of one problem, in the shape of docs/architecture.md, "Errors"."""
    paint = Paint(color)
    first, *rest = problem.what.split("\n")
    yield f"{paint(f'{title}:', RED if title == 'Error' else YELLOW)} {outside(first)}"
    for line in rest:
        yield f"  {outside(line)}"
    more = bool(problem.snippet or problem.notes or problem.hint)
    if at := _at(problem):
        yield f"  {at}" + (":" if more else "")
    if problem.snippet:
        yield from _snippet(problem, paint)
    for note in problem.notes:
        yield from _indented(note)
    if problem.hint:
        yield from _indented(problem.hint)


def _at(problem: Problem) -> str:
    where, said = problem.where, []
    if where is not None:
        line = f" line {where.line}" if where.line else ""
        row = f" (row {where.row})" if where.row is not None else ""
        said.append(f"on {outside(where.file)}{line}{row}")
    if problem.address:
        said.append(f"in {outside(problem.address)}")
    return ", ".join(said)


def _indented(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        yield f"  {outside(line)}".rstrip()


def _snippet(problem: Problem, paint: Paint) -> Iterator[str]:
    code = (problem.snippet or "").rstrip("\r\n")
    where = problem.where
    column = where.column if where else 0
    start = 0
    if len(code) > _SNIPPET:
        start = max(0, min(column - _SNIPPET // 2, len(code) - _SNIPPET))
    shown = code[start : start + _SNIPPET]
    lead = f"{where.line if where and where.line else '':>6} | "
    cut = "…" if start else ""
    yield paint(lead, DIM) + cut + outside(shown) + ("…" if start + _SNIPPET < len(code) else "")
    if column:
        yield " " * (len(lead) + len(cut) + cells(outside(shown[: column - 1 - start]))) + paint("^", RED)


def problems_text(problems: Iterable[Problem], color: bool = False, title: str = "Error") -> Iterator[str]:
    """All problems, a blank line between two; the same mistake in many places is told once, with three of them."""
    same: dict[tuple[str, str | None], list[Problem]] = {}
    for problem in problems:
        same.setdefault((problem.what, problem.hint), []).append(problem)
    told = False
    for members in same.values():
        few = members if len(members) <= 3 else members[:1]
        for problem in few:
            if told:
                yield ""
            told = True
            yield from problem_text(problem, color, title)
        if len(members) > 3:
            yield from _others(members[1:])


def _others(members: Sequence[Problem]) -> Iterator[str]:
    for problem in members[:2]:
        said = ", ".join(filter(None, (place(problem.where), outside(problem.address or ""))))
        if said:
            yield f"  also: {said}"
    left = len(members) - 2
    yield f"  and {left:,} more like it"


def errors_text(error: ReconcileError, color: bool = False) -> Iterator[str]:
    """All problems of an error."""
    yield from problems_text(error.problems, color)


def warnings_text(warnings: Iterable[str | Problem], color: bool = False) -> Iterator[str]:
    """`Warning: …` for each."""
    problems = (Problem(warning) if isinstance(warning, str) else warning for warning in warnings)
    yield from problems_text(problems, color, "Warning")
