"""
Templates inside scalars (docs/document.md, "Templates"): found, read once per text, evaluated over plain data.

The frequent forms, `{{ row.x }}` and `{{ var.x }}` (with `| lower`, alone or in a text), are looked up without
loading Jinja2; everything else is parsed by it (`expressions`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reconcile.config.budget import CHARS_PER_FIELD, MAX_CHARS, STEPS_PER_FIELD, too_large
from reconcile.config.expressions.coerce import as_text
from reconcile.config.expressions.operations import Missing, Names, bounded, use
from reconcile.errors import Flaw

Run = Callable[[Names], Any]

_SIMPLE = re.compile(r"\{\{ *(row|var)\.([A-Za-z_]\w*) *(?:\| *(lower|upper|trim) *)?\}\}")
_CASES: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper, "trim": str.strip}


@dataclass(frozen=True, slots=True)
class Template:
    """
    A template. `run(names)` gives its value: any plain data when `whole`, that is when it is one expression.

    `run` raises Flaw.
    """

    source: str
    run: Run
    whole: bool


def is_template(text: str) -> bool:
    """Whether a scalar has to be evaluated."""
    return "{{" in text or "{%" in text


class Templates:
    """Every text once."""

    def __init__(self) -> None:
        self._known: dict[str, Template | Flaw] = {}

    def read(self, source: str) -> Template:
        """
        The template of a text.

        Raises:
            Flaw: it is none, or uses what templates do not have.
        """
        known = self._known.get(source)
        if known is None:
            try:
                known = _read(source)
            except Flaw as flaw:
                known = flaw
            if len(self._known) < 10_000:
                self._known[source] = known
        if isinstance(known, Flaw):
            raise known
        return known


def _read(source: str) -> Template:
    if "{%" in source:
        raise Flaw("statements ({% … %}) are not read", hint="A block with for_each stands for many resources")
    if (found := _SIMPLE.fullmatch(source)) is not None:
        return Template(source, _lookup(found), True)
    parts: list[str | Run] = []
    at = 0
    for found in _SIMPLE.finditer(source):
        parts += [source[at : found.start()], _lookup(found)]
        at = found.end()
    parts.append(source[at:])
    if not any(isinstance(part, str) and ("{{" in part or "}}" in part) for part in parts):
        return Template(source, _joined([part for part in parts if part != ""]), False)
    from reconcile.config.expressions import evaluate as expressions

    run, whole = expressions.parse(source)
    return Template(source, _guarded(run), whole)


def _lookup(found: re.Match[str]) -> Run:
    of, name, case = found[1], found[2], _CASES.get(found[3] or "")

    def plain(names: Names) -> Any:
        try:
            value = names[of][name]
        except KeyError:
            value = _explain(of, name, names)
        return use(value) if type(value) is Missing else value

    if case is None:
        return plain

    def cased(names: Names) -> Any:
        text = bounded(as_text(plain(names)) or "")
        if len(text) > CHARS_PER_FIELD:
            names.around.budget.spend(len(text))
        return case(text)

    return cased


def _explain(of: str, name: str, names: Names) -> Any:
    from reconcile.config.expressions import evaluate as expressions

    return expressions.parse("{{ " + f"{of}.{name}" + " }}")[0](names)


def _joined(parts: list[str | Run]) -> Run:
    steps = len(parts)

    def run(names: Names) -> str:
        if steps > STEPS_PER_FIELD:
            names.around.budget.step(steps)
        words = [part if isinstance(part, str) else as_text(part(names)) or "" for part in parts]
        chars = sum(map(len, words))
        if chars > CHARS_PER_FIELD:
            if chars > MAX_CHARS:
                raise too_large()
            names.around.budget.spend(chars)
        return "".join(words)

    return run


def _guarded(run: Run) -> Run:
    def guarded(names: Names) -> Any:
        try:
            return use(run(names))
        except RecursionError:
            raise Flaw("the template is nested too deep") from None
        except (TypeError, ValueError, ArithmeticError) as error:
            raise Flaw(f"this cannot be evaluated: {error}") from None

    return guarded
