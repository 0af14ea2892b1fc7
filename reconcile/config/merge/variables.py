"""
Variables (docs/document.md, "Variables"): declared in the files, given in five places, typed; the later place wins.

default < `RECONCILE_VAR_name` < `values` < `--var-file` < `--var`
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconcile.config.expressions.coerce import Spelled, as_boolean, as_number, plain, shown
from reconcile.config.expressions.templates import is_template
from reconcile.config.merge.fleet import FleetParts, Said
from reconcile.config.read.json_text import json_data
from reconcile.config.read.sources import Sources
from reconcile.config.report import Report, Showing, listed, suggestion
from reconcile.errors import Flaw, Position
from reconcile.yaml import Map, Node, Scalar, decode, parse, place

TYPES = ("text", "number", "boolean", "list", "map")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYS = ("type", "default", "description", "allowed")


@dataclass(slots=True)
class Variables:
    """
    Attributes:
        values: by name, plain data.
        origins: by name, where the value comes from.
        given: by name, the values that the command line gave, as `--var` takes them.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """SHA-256, hex, of the values."""
        text = json.dumps(_written(self.values), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _as_given(value: Any) -> str:
    """A value as `--var` takes it: a text as it is, anything else as JSON, numbers as they were spelled."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_as_member(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_as_member, value)) + "]"
    return value.text if isinstance(value, Spelled) else json.dumps(value)


def _as_member(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else _as_given(value)


def _written(value: Any) -> Any:
    if isinstance(value, Spelled):
        return ["number", value.text]
    if isinstance(value, dict):
        return {key: _written(member) for key, member in value.items()}
    return [_written(member) for member in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class _Declared:
    name: str
    type: str
    allowed: tuple[Any, ...] | None
    at: int


@dataclass(frozen=True, slots=True)
class _Given:
    """A value that some place gives: a node, or a text from outside the files."""

    value: Node | str
    origin: str
    where: Position | None
    by_hand: bool = False  # on the command line


@dataclass(frozen=True, slots=True)
class _Taking:
    """
    Where values are given: the last one wins.

    Attributes:
        declared: what the files declare. known: those of them that can have a value.
        torn: whether declarations may lack, because a file could not be read: then no name is called undeclared.
    """

    declared: Mapping[str, Said]
    sources: Sources
    report: Report
    torn: bool
    known: dict[str, _Declared] = field(default_factory=dict)
    given: dict[str, _Given] = field(default_factory=dict)

    def undeclared(self, name: str, where: Position | None, what: str) -> None:
        """A value for what no file declares."""
        if not self.torn:
            self.report.add(
                f"{what}: no variable {shown(name)} is declared",
                where,
                notes=[f"Variables: {listed(self.declared)}" if self.declared else "No variable is declared"],
                hint=suggestion(name, self.declared),
                shown=Showing(line=False),
            )

    def map(self, node: Node, origin: str, by_hand: bool = False) -> None:
        """The values of a map, as in `values` or a file."""
        if type(node) is not Map:
            where = self.sources.position(*place(node.at))
            self.report.add(f"{origin} is a map from variables to values", where, shown=Showing(line=False))
            return
        for name, member, at in node.items():
            where = self.sources.position(*place(at))
            if name not in self.declared:
                self.undeclared(name, where, origin)
            elif _has_template(member):
                place_of = self.sources.position(*place(member.at))
                self.report.add("the value of a variable is not a template", place_of)
            elif name in self.known and not (type(member) is Scalar and member.null):
                self.given[name] = _Given(
                    member, f"{origin} ({where})", self.sources.position(*place(member.at)), by_hand
                )

    def file(self, path: Path) -> None:
        """The values of a file of `--var-file`."""
        name = self.sources.show(path)
        try:
            text = decode(self.sources.read_given(path))
            self.sources.keep(path, text)
            tree = parse(text, self.sources.number(path))
        except Flaw as flaw:
            self.report.flaw(flaw, Position(name))
            return
        for line, column, mistake in tree.mistakes:
            self.report.flaw(mistake, Position(name, line, column))
        if tree.root is not None and not (type(tree.root) is Scalar and tree.root.null):
            self.map(tree.root, name, True)

    def option(self, text: str) -> None:
        """The value of a `--var`."""
        name, equals, value = text.partition("=")
        if not equals:
            self.report.add(f"--var {shown(name)} has no value", hint="Write --var name=value")
        elif name not in self.declared:
            self.undeclared(name, None, f"--var {name}")
        else:
            self.given[name] = _Given(value, "--var", None, True)


@dataclass(frozen=True, slots=True)
class Outside:
    """
    Where values come from beside the files: the later wins.

    Attributes:
        environ: the environment. held: by name, what a saved plan was given, as `--var` takes it.
        var_files: resolved paths. var: `name=value`, as on the command line.
    """

    environ: Mapping[str, str]
    held: Mapping[str, str]
    var_files: Sequence[Path]
    var: Sequence[str]


def resolve(parts: FleetParts, outside: Outside, sources: Sources, report: Report) -> Variables:
    """
    The value of every variable that is declared. What is wrong is reported.
    """
    taking = _Taking(parts.variables, sources, report, parts.torn)
    known, given = taking.known, taking.given
    for name, said in parts.variables.items():
        found = _declaration(name, said, given, sources, report)
        if found is not None:
            known[name] = found
    for name in known:
        if (text := outside.environ.get(f"RECONCILE_VAR_{name}")) is not None:
            given[name] = _Given(text, f"RECONCILE_VAR_{name}", None)
    if (values := parts.main.get("values")) is not None:
        taking.map(values, "values")
    for name in outside.held.keys() & known.keys():
        given[name] = _Given(outside.held[name], "the plan", None, True)
    for path in outside.var_files:
        taking.file(path)
    for text in outside.var:
        taking.option(text)
    found_values = Variables()
    for name, variable in known.items():
        if (one := given.get(name)) is None:
            report.add(
                f"variable {name} has no value",
                sources.position(*place(variable.at)),
                hint=f"Give it a default, or say it in `values`, or --var {name}=…, or RECONCILE_VAR_{name}",
            )
            continue
        try:
            value = _typed(variable, one.value)
            if variable.allowed is not None and value not in variable.allowed:
                near = suggestion(value, variable.allowed) if isinstance(value, str) else None
                allowed = listed(variable.allowed, show=shown)
                raise Flaw(f"{shown(value)} is not allowed", notes=[f"Allowed: {allowed}"], hint=near)
        except Flaw as flaw:
            report.add(
                f"variable {name}: {flaw.what}",
                one.where or sources.position(*place(variable.at)),
                notes=(*flaw.notes, f"The value comes from {one.origin}"),
                hint=flaw.written_hint,
                shown=Showing(line=one.where is not None),
            )
            continue
        found_values.values[name], found_values.origins[name] = value, one.origin
        if one.by_hand:
            found_values.given[name] = _as_given(value)
    return found_values


def _declaration(name: str, said: Said, given: dict[str, _Given], sources: Sources, report: Report) -> _Declared | None:
    node, where = said.node, sources.position(*place(said.at))
    if not _NAME.fullmatch(name):
        report.add(f"{shown(name)} is not the name of a variable", where, hint="It is made of A-Z, a-z, 0-9 and _")
        return None
    if type(node) is Scalar and node.null:
        return _Declared(name, "text", None, said.at)
    if type(node) is not Map:
        report.add(
            f"variable {name} is a map with {', '.join(_KEYS)}",
            where,
            hint=f"Write  {name}: {{default: …}}",
        )
        return None
    for key in node.members:
        if key not in _KEYS:
            report.add(
                f"{shown(key)} is not a key of a variable",
                sources.position(*place(node.key_at(key))),
                notes=[f"There is: {', '.join(_KEYS)}"],
                hint=suggestion(key, _KEYS),
            )
    default, kind = node.get("default"), node.get("type")
    type_name = _type_of(default)
    if kind is not None:
        type_name = kind.text if type(kind) is Scalar else "?"
        if type_name not in TYPES:
            report.add(
                f"{shown(type_name)} is not a type",
                sources.position(*place(kind.at)),
                notes=[f"There is: {', '.join(TYPES)}"],
                hint=suggestion(type_name, TYPES, {"string": 'Did you mean "text"?'}.get(type_name)),
            )
            return None
    if default is not None:
        if _has_template(default):
            report.add("a default is not a template", sources.position(*place(default.at)))
            return None
        given[name] = _Given(default, "its default", sources.position(*place(default.at)))
    variable = _Declared(name, type_name, None, said.at)
    allowed = node.get("allowed")
    if allowed is None:
        return variable
    try:
        if type(allowed) is Scalar or type(allowed) is Map:
            raise Flaw("allowed is a list of values")
        return _Declared(name, type_name, tuple(_typed(variable, one) for one in allowed.members), said.at)  # type: ignore[union-attr]
    except Flaw as flaw:
        report.flaw(flaw, sources.position(*place(allowed.at)))
        return None


def _type_of(default: Node | None) -> str:
    if default is None:
        return "text"
    value = plain(default)
    if isinstance(value, bool):
        return "boolean"
    for kind, name in (((int, float), "number"), (list, "list"), (dict, "map")):
        if isinstance(value, kind):
            return name
    return "text"


def _has_template(node: Node) -> bool:
    if isinstance(node, Scalar):
        return is_template(node.text)
    members = node.members.values() if isinstance(node, Map) else node.members
    return any(_has_template(member) for member in members)


def _typed(variable: _Declared, value: Node | str) -> Any:
    kind = variable.type
    if isinstance(value, str):
        return _from_text(kind, value)
    if kind == "text":
        if type(value) is not Scalar:
            raise Flaw("expected a string")
        return value.text
    found = plain(value)
    if kind == "boolean" and isinstance(found, bool):
        return found
    if kind == "number" and isinstance(found, (int, float)) and not isinstance(found, bool):
        return found
    if (kind == "list" and isinstance(found, list)) or (kind == "map" and isinstance(found, dict)):
        return found
    raise Flaw(f"{shown(found)} is not a {kind}")


def _from_text(kind: str, text: str) -> Any:
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Flaw("the value holds a character that no text has")
    if kind == "text":
        return text
    if kind == "boolean":
        return as_boolean(text)
    if kind == "number":
        found = as_number(text, whole=False)
        return Spelled(text) if isinstance(found, float) else found
    try:
        found = json_data(text)
    except (ValueError, RecursionError):
        raise Flaw(f"the value is not a {kind} written as JSON") from None
    if not isinstance(found, list if kind == "list" else dict):
        raise Flaw(f"the value is not a {kind} written as JSON")
    return found
