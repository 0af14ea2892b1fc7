"""What libyaml says of a text that is not YAML, in the words of somebody who writes fleets."""

from __future__ import annotations

import re
from enum import StrEnum

import yaml

from reconcile.errors import Flaw

NO_ALIAS = (
    "Aliases, anchors and merge keys are not read. What several resources share stands in a profile, "
    "many alike are a block with for_each"
)
_INNER_QUOTES = re.compile(r'"[^"]*\{\{[^"}]*"[^"]*"')

MAX_DEPTH = 64


class Unsupported(StrEnum):
    """The kinds of what YAML knows and is not read here, in words that tell nothing of the file."""

    TWICE = "a name stands twice in the same map"
    ALIAS = "it has anchors or aliases, which are not read"
    TAG = "it has tags, which are not read"
    KEY = "it has a name that is not text"
    DEEP = "it is nested too deep"
    DOCUMENTS = "it is not one JSON or YAML document"


def unquoted(source: str, line: int, column: int, kind: Unsupported | None = None) -> Flaw:
    """What is said of `app: {{ row.app }}`."""
    name, colon, value = source.strip().partition(":")
    value = value.strip()
    way = "YAML reads `{{` as a map"
    if colon and value.startswith("{{"):
        way += f'. Write:  {name}: "{value}"'
    elif not colon or "{{" in value:
        way += ". Put the whole value in double quotes"
    return Flaw("quote a template that begins a value", hint=way, kind=kind, at=(line, column))


def aliased() -> Flaw:
    """What is said of `*name`."""
    what = "a value that begins with * is read as a YAML alias"
    return Flaw(what, hint=f"Quote it. {NO_ALIAS}", kind=Unsupported.ALIAS)


def explain(error: yaml.MarkedYAMLError, text: str) -> tuple[int, int, Flaw]:
    """`(line, column, flaw)` of what libyaml says, in words that help."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 0)
    if "maximum nesting depth" in (error.problem or ""):  # of libyaml since 0.2.6, which looks far ahead
        return line, column, Flaw(f"this is nested more than {MAX_DEPTH} deep", kind=Unsupported.DEEP)
    lines = text.split("\n")

    def source(number: int) -> str:
        # The patterns below go back and forth in it, and one line may be the whole of a file.
        return lines[number - 1][:1000] if 0 < number <= len(lines) else ""

    problem, context = error.problem or "", error.context or ""
    began = error.context_mark.line + 1 if error.context_mark else line
    for number in dict.fromkeys((line, began, line - 1)):
        here = source(number)
        if _INNER_QUOTES.search(here):
            return (
                number,
                here.find("{{") + 1,
                Flaw("double quotes end inside the template", hint="Use single quotes in it: row['Ext. ID']"),
            )
        if "{{" in here and ("flow" in context or "block" in context or "simple key" in context):
            start = here.find("{{") + 1
            if re.search(r":\s*\{\{", here):
                return number, start, unquoted(here, number, start)
            return (
                number,
                start,
                Flaw("quote a value that holds a template", hint="YAML reads `{` and `}` itself: put it in quotes"),
            )
    if not source(line).strip() and error.context_mark:
        line, column = began, error.context_mark.column + 1  # it is noticed at the end, and began here
    here = source(line)
    if "alias" in context:
        return line, column, aliased()
    if "\\t" in problem or "\t" in here[: max(column, 1)]:
        return line, column, Flaw("tab used for indentation; YAML needs spaces", hint="Indent with spaces")
    if "found character" in problem:
        return (
            line,
            column,
            Flaw(f"this is not YAML: {problem}", hint="Quote a value that begins with such a character"),
        )
    words = f"{context}, {problem}" if context and problem else problem or context
    since = f" that began on line {began}" if began != line else ""
    return line, column, Flaw(f"this is not YAML: {words}{since}")
