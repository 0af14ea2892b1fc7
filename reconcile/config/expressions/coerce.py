"""
A scalar, or what a template yielded, as the kind that the schema wants. The schema decides, YAML's guess does not.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from reconcile.config.report import suggestion
from reconcile.core.schema import Kind
from reconcile.core.text import printable
from reconcile.errors import Flaw
from reconcile.yaml import Map, Node, Scalar, Seq

# What YAML 1.2's core schema and JSON both read as a number; leading zeros and .inf are texts.
_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_TRUE, _FALSE = frozenset(("true", "True", "TRUE")), frozenset(("false", "False", "FALSE"))
_DIGITS = 300  # of a number


class Spelled(float):
    """A number that remembers how it was written, so that a text made of it is `1.10` and not `1.1`."""

    text: str

    def __new__(cls, text: str) -> Spelled:
        made = super().__new__(cls, text)
        made.text = text
        return made


def number_of(text: str) -> int | float | None:
    """The number that a text is written as, None when it is none."""
    if len(text) > _DIGITS:
        return None
    if _NUMBER.fullmatch(text):
        if text.lstrip("+-").isdigit():
            return int(text)
        found = Spelled(text)
        return found if math.isfinite(found) else None
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    return None


def plain(node: Node) -> Any:
    """A node as plain data: what a table or a variable holds. Plain scalars as YAML 1.2's core schema reads them."""
    if type(node) is Scalar:
        return _plain_scalar(node)
    if type(node) is Map:
        return {key: plain(member) for key, member in node.members.items()}
    assert isinstance(node, Seq)
    return [plain(member) for member in node.members]


def _plain_scalar(node: Scalar) -> Any:
    text = node.text
    if not node.plain:
        return text
    if node.null:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    number = number_of(text)
    return text if number is None else number


def clean(value: Any) -> Any:
    """Plain data without `Spelled`."""
    if isinstance(value, Spelled):
        return float(value)
    if isinstance(value, dict):
        return {key: clean(member) for key, member in value.items()}
    if isinstance(value, list):
        return [clean(member) for member in value]
    return value


def shown(value: Any) -> str:
    """A value in a message: on one line, short, in double quotes if it is text."""
    if isinstance(value, str):
        text = printable(value)
        return '"' + (text if len(text) <= 80 else text[:80] + "…") + '"'
    if isinstance(value, dict):
        return f"a map of {len(value)}"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    return as_text(value) or "nothing"


def as_text(value: Any) -> str | None:
    """
    A value as a text field holds it: text as it is, a number or boolean as JSON writes it; None for none.

    Raises:
        Flaw: it is a list or a map.
    """
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Spelled):
        return value.text
    if isinstance(value, (int, float)):
        if not math.isfinite(value):
            raise Flaw("JSON has no word for this number, so it cannot be a string", kind="finite")
        return json.dumps(value)
    kind = "map" if isinstance(value, dict) else "list"
    raise Flaw(f"expected a string, got a {kind}", hint="Pick a member, or write it as JSON with | tojson")


def as_boolean(value: Any) -> bool | None:
    """A boolean, or text that is written as one. Raises Flaw."""
    if isinstance(value, bool) or value is None:
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise Flaw(f"{shown(value)} is not true or false", kind="boolean")


def as_number(value: Any, whole: bool) -> int | float | None:
    """A number, or text that is written as JSON writes one. Raises Flaw."""
    if value is None:
        return None
    found: int | float | None = None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        found = value
    elif isinstance(value, str) and len(value) <= _DIGITS and _JSON_NUMBER.fullmatch(value):
        found = int(value) if value.lstrip("-").isdigit() else float(value)
    if found is None or not math.isfinite(found):
        raise not_a_number(value, whole)
    if isinstance(found, float):
        found = float(found)
        if whole:
            if not found.is_integer():
                raise not_a_number(value, whole)
            return int(found)
    return found


def not_a_number(value: Any, whole: bool) -> Flaw:
    """What is said of a value that is no number."""
    way = None
    if value == "":
        way = 'An empty cell can be left out: "{{ row.column or none }}"'
    elif isinstance(value, str) and re.fullmatch(r"-?[0-9]+,[0-9]+", value):
        way = "Numbers are written with a point. Did you mean  | replace(',', '.')?"
    return Flaw(f"{shown(value)} is not a {'whole ' if whole else ''}number", hint=way, kind=("number", whole))


def scalar(kind: Kind, node: Scalar) -> Any:
    """
    A scalar that is no template, as `kind`; the caller has seen that it is written at all.

    Raises:
        Flaw: it is not written as one.
    """
    text = node.text
    if kind is Kind.TEXT:
        return text
    if kind is Kind.BOOLEAN:
        if node.plain and text in _TRUE:
            return True
        if node.plain and text in _FALSE:
            return False
        quoted = "Write true or false without quotes" if text.lower() in ("true", "false") else "Write true or false"
        raise Flaw(f"{shown(text)} is not true or false", hint=quoted)
    if kind in (Kind.NUMBER, Kind.INTEGER):
        found = number_of(text) if node.plain else None
        if found is None:
            way = None
            if not node.plain and number_of(text) is not None:
                way = f"Write it without quotes: {text}"
            elif re.fullmatch(r"-?[0-9]+,[0-9]+", text):
                way = f"Numbers are written with a point: {text.replace(',', '.')}"
            elif re.fullmatch(r"0[0-9]+", text):
                way = "A number does not begin with 0"
            raise Flaw(f"{shown(text)} is not a {'whole ' if kind is Kind.INTEGER else ''}number", hint=way)
        return as_number(found, kind is Kind.INTEGER)
    if kind is Kind.ANY:
        return clean(_plain_scalar(node))
    words = {Kind.OBJECT: "a map", Kind.MAP: "a map", Kind.LIST: "a list"}
    raise Flaw(f"{shown(text)} where {words.get(kind, 'something else')} is wanted")


def choose(value: Any, choices: tuple[Any, ...]) -> Any:
    """`value` if it is one of the choices. Raises Flaw."""
    if value in choices:
        return value
    words = [str(choice) for choice in choices]
    near = suggestion(str(value), words)
    raise Flaw(f"{shown(value)} is not one of {', '.join(words)}", hint=near, kind=("choice", choices))
