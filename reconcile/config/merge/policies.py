"""
Policies of the main file, and of files that whoever runs the tool names (docs/document.md, "Policies"): read and
checked here, judged over each change of a plan by `core.policy`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reconcile.config.budget import Budget
from reconcile.config.expressions.coerce import shown
from reconcile.config.expressions.operations import Around, Names, use
from reconcile.config.merge.fleet import FleetParts
from reconcile.config.report import suggestion
from reconcile.config.world import Loading
from reconcile.core.policy import NAMES
from reconcile.core.ports import PolicyRule
from reconcile.errors import Flaw, Position
from reconcile.yaml import Map, Node, Scalar, decode, parse

_KEYS = ("deny", "warn", "message")


def policies(world: Loading, parts: FleetParts, files: Sequence[Path]) -> tuple[PolicyRule, ...]:
    """Every policy: of the main file, then of the files. What is wrong is reported."""
    found = _read(world, parts.main.get("policies"))
    for path in files:
        found += _of_file(world, path)
    return tuple(found)


def _of_file(world: Loading, path: Path) -> list[PolicyRule]:
    sources, report = world.sources, world.report
    name = sources.show(path)
    try:
        text = decode(sources.read_given(path))
        sources.keep(path, text)
        tree = parse(text, sources.number(path))
    except Flaw as flaw:
        report.flaw(flaw, Position(name))
        return []
    for line, column, mistake in tree.mistakes:
        report.flaw(mistake, Position(name, line, column))
    node = tree.root.get("policies") if type(tree.root) is Map else None
    if node is None:
        if not tree.mistakes:
            report.flaw(Flaw("there are no policies in it", hint="Write  policies: {NAME: {deny: …}}"), Position(name))
        return []
    return _read(world, node)


def _read(world: Loading, node: Node | None) -> list[PolicyRule]:
    if node is None or (type(node) is Scalar and node.null):
        return []
    if type(node) is not Map:
        world.report.add("policies is a map from names to policies", world.position(node.at))
        return []
    found = []
    for name, member, at in node.items():
        try:
            found.append(_policy(world, name, member, at))
        except Flaw as flaw:
            world.report.flaw(flaw, world.position(member.at), address=f"policies.{name}")
    return found


def _policy(world: Loading, name: str, node: Node, at: int) -> PolicyRule:
    if type(node) is not Map:
        raise Flaw("a policy is a map", hint='Write  NAME: {deny: "{{ … }}", message: …}')
    for key in node.members:
        if key not in _KEYS:
            notes = [f"There is: {', '.join(_KEYS)}"]
            raise Flaw(f"{shown(key)} is not a key of a policy", notes=notes, hint=suggestion(key, _KEYS))
    said = [key for key in ("deny", "warn") if node.get(key) is not None]
    if len(said) != 1:
        raise Flaw("a policy denies or warns: it has one of the two", hint='Write  deny: "{{ … }}"')
    text, message = _text(node.get(said[0]), said[0]), _text(node.get("message"), "message")
    return PolicyRule(name, said[0] == "deny", message or name, _judge(text), text, world.position(at))


def _text(node: Node | None, key: str) -> str:
    if node is None:
        return ""
    if type(node) is not Scalar:
        raise Flaw(f"{key} is a text")
    return node.text


def _judge(text: str) -> Any:
    from reconcile.config.expressions import evaluate

    run, whole = evaluate.parse(text.strip(), NAMES)
    if not whole:
        raise Flaw("a policy is one expression", hint='Write  "{{ … }}", and nothing around it')

    def judge(names: Mapping[str, Any]) -> Any:
        budget = Budget()
        budget.fields = 1
        try:
            return use(run(Names(names, Around(budget))))
        except RecursionError:
            raise Flaw("the expression is nested too deep") from None
        except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
            raise Flaw(f"cannot tell: {error}") from None

    return judge
