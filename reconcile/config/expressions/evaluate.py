"""
A Jinja2 expression → a function of the names. Jinja2 parses; what it parsed is walked here and never compiled.

Only the node kinds below exist, over plain data: a member of a map is looked up by its key and nothing else, so
`row.items` is the column, and no attribute, method or global of Python can be reached. That is the sandbox.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, TemplateError, nodes

from reconcile.config.budget import MAX_CHARS, Budget, too_large
from reconcile.config.expressions.coerce import as_text, shown
from reconcile.config.expressions.operations import (
    ARITHMETIC,
    COMPARE,
    FILTERS,
    TESTS,
    Missing,
    Names,
    bounded,
    text,
    use,
)
from reconcile.config.read.tables import Table
from reconcile.config.report import did_you_mean, listed, no_such_characters
from reconcile.core.policy import Seen
from reconcile.errors import Flaw

Run = Callable[[Names], Any]

NAMES = ("var", "row", "table", "fleet", "key")
MAX_SOURCE = 20_000

# What looks like a method in Python is a filter here.
_METHODS = {
    "strip": "trim",
    "title": "title",
    "lower": "lower",
    "upper": "upper",
    "replace": "replace",
    "split": "split",
}

_ENVIRONMENT = Environment(
    comment_start_string="\x01#", comment_end_string="#\x01", keep_trailing_newline=True, autoescape=False
)


def parse(source: str, allowed: Sequence[str] = NAMES) -> tuple[Run, bool]:
    """
    The function that evaluates a template, and whether it is one expression (then its value keeps its type).

    Args:
        allowed: the names that it may use.

    What it evaluates is paid from the `Budget` around the names, which no template can reach.

    Raises:
        Flaw: it is not one, or uses what templates do not have.
    """
    if len(source) > MAX_SOURCE:
        raise Flaw(f"a template has at most {MAX_SOURCE:,} characters")
    tree = _parsed(source)
    try:
        parts: list[nodes.Expr] = [part for output in tree.body for part in _output(output)]
        whole = len(parts) == 1 and source.startswith("{{") and source.endswith("}}")
        runs = [_expression(part) for part in parts]
        for node in tree.find_all(nodes.Name):
            _check_name(node.name, allowed)
        if whole and not isinstance(parts[0], nodes.TemplateData):
            return runs[0], True
        return _joined(runs), False
    except RecursionError:
        raise Flaw("the template is nested too deep") from None


def _parsed(source: str) -> nodes.Template:
    try:
        return _ENVIRONMENT.parse(source)
    except RecursionError:
        raise Flaw("the template is nested too deep") from None
    except Exception as error:
        why = str(error)[:200] if isinstance(error, TemplateError) else "it cannot be read"  # 5,000 digits: ValueError
        raise Flaw(f"this is not a template: {why}") from None


def _output(node: nodes.Node) -> list[nodes.Expr]:
    if isinstance(node, nodes.Output):
        return node.nodes
    raise Flaw("statements ({% … %}) are not read", hint="A block with for_each stands for many resources")


def _joined(parts: list[Run]) -> Run:
    def run(names: Names) -> str:
        words, chars = [], 0
        for part in parts:
            words.append(word := text(use(part(names))))
            if (chars := chars + len(word)) > MAX_CHARS:
                raise too_large()
        _budget(names).spend(chars)
        return "".join(words)

    return run


def _budget(names: Names) -> Budget:
    return names.around.budget


def _expression(node: nodes.Node) -> Run:
    build = _KINDS.get(type(node).__name__)
    if build is None:
        raise Flaw(f"{type(node).__name__} is not something that templates have here")
    return build(node)


def _constant(node: Any) -> Run:
    value = bounded(node.value if isinstance(node, nodes.Const) else node.data)
    if isinstance(value, str):
        no_such_characters(value)
    return lambda names: value


def _check_name(name: str, allowed: Sequence[str]) -> None:
    if name in allowed:
        return
    way = did_you_mean(name, allowed)
    if name == "env":
        way = "Templates do not see the environment. A variable takes its value from RECONCILE_VAR_name"
    elif name in ("range", "lipsum", "dict", "cycler", "joiner", "namespace"):
        way = "There are no functions here"
    raise Flaw(f'"{name}" is undefined', notes=[f"There is: {', '.join(allowed)}"], hint=way)


def _name(node: nodes.Name) -> Run:
    name = node.name

    def run(names: Names) -> Any:
        try:
            return names[name]
        except KeyError:
            return Missing(Flaw(f"there is no {name} here", hint=_WHEN_MISSING.get(name), kind=("no name", name)))

    return run


_WHEN_MISSING = {
    "row": "A row is there in a block: an entry with for_each",
    "key": "The key is there once it is made: not in `key:` and not in the `when:` of a block",
}


def member(value: Any, key: Any, label: str, names: Names) -> Any:
    """The member of plain data under a key, or Missing with words about what there is."""
    if type(value) is dict:
        try:
            return value[key]
        except (KeyError, TypeError):
            pass
        word = key if isinstance(key, str) else as_text(key) or "none"
        if word in value:
            return value[word]
        return Missing(_no_member(word, value, label, names))
    if isinstance(value, Seen):
        return value.look(key if isinstance(key, str) else as_text(key) or "none")
    if isinstance(value, Table):
        _budget(names).step(len(value.columns))
        found = value.find(as_text(key))
        return Missing(value.no_row(as_text(key))) if found is None else found
    if isinstance(value, (list, str)) and isinstance(key, int) and not isinstance(key, bool):
        try:
            return value[key]
        except IndexError:
            return Missing(Flaw(f"{label} has no member {key}: it has {len(value)}", kind=("index", label)))
    if value is None:
        return Missing(Flaw(f"{label} is none and has no {shown(key)}", kind=("none", label)))
    return Missing(
        Flaw(
            f"{label} is {_kind(value)} and has no {shown(key)}",
            hint=f"Use the filter: {label} | {_METHODS[key]}" if isinstance(key, str) and key in _METHODS else None,
            kind=("member", label),
        )
    )


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    for kind, word in ((str, "a string"), (int, "a number"), (float, "a number"), (list, "a list")):
        if isinstance(value, kind):
            return word
    return "a value"


def _no_member(word: str, value: Mapping[str, Any], label: str, names: Names) -> Flaw:
    if label in ("var", "table") and (names.around.torn or word in names.around.broken):
        return Flaw("it is wrong where it is declared", silent=True)

    def near() -> str | None:
        return did_you_mean(word, value)

    there = listed(value, show=lambda name: f'"{name}"' if " " in name else name)
    if label == "row":
        of = f" in {names.around.shown}" if names.around.shown is not None else ""
        return Flaw(f'no column "{word}"{of}', notes=[f"Columns: {there}"], hint=near, kind=("column", word))
    if label == "var":
        note = f"Variables: {there}" if value else "No variable is declared"
        return Flaw(f'no variable "{word}" is declared', notes=[note], hint=near, kind=("var", word))
    if label == "table":
        note = f"Tables: {there}" if value else "There are no tables"
        return Flaw(f'no table "{word}"', notes=[note], hint=near, kind=("table", word))
    return Flaw(f"{label} has no {shown(word)}", notes=[f"It has: {there}"], hint=near, kind=("member", label, word))


def _label(node: nodes.Node) -> str:
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{_label(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem):
        inner = repr(node.arg.value) if isinstance(node.arg, nodes.Const) else _label(node.arg)
        return f"{_label(node.node)}[{inner}]"
    return "…"


def _getattr(node: nodes.Getattr) -> Run:
    of, key, label = _expression(node.node), node.attr, _label(node.node)

    def run(names: Names) -> Any:
        value = of(names)
        if type(value) is dict and key in value:
            return value[key]
        return member(use(value), key, label, names)

    return run


def _getitem(node: nodes.Getitem) -> Run:
    of, label = _expression(node.node), _label(node.node)
    if isinstance(node.arg, nodes.Slice):
        ends = [_expression(end) if end is not None else None for end in (node.arg.start, node.arg.stop, node.arg.step)]

        def cut(names: Names) -> Any:
            value = use(of(names))
            if not isinstance(value, (list, str)):
                raise Flaw(f"{label} is neither a string nor a list")
            span = slice(*(use(end(names)) if end is not None else None for end in ends))
            size = len(range(*span.indices(len(value))))
            if isinstance(value, str):
                _budget(names).spend(size)
            else:
                _budget(names).step(size)
            return value[span]

        return cut
    inner = _expression(node.arg)
    return lambda names: member(use(of(names)), use(inner(names)), label, names)


def _arithmetic(node: nodes.BinExpr) -> Run:
    compute, left, right = ARITHMETIC[type(node).__name__], _expression(node.left), _expression(node.right)

    def run(names: Names) -> Any:
        one, other = use(left(names)), use(right(names))
        if type(one) is str and type(other) is str:
            _budget(names).spend(len(one) + len(other))
        elif type(one) is list and type(other) is list:
            _budget(names).step(len(one) + len(other))
        try:
            return compute(one, other)
        except (ArithmeticError, ValueError):
            raise Flaw("this cannot be computed: it divides by zero, or no number holds the result") from None

    return run


def _unary(node: Any) -> Run:
    inner, zero = _expression(node.node), _expression(nodes.Const(0))
    compute = ARITHMETIC["Sub" if isinstance(node, nodes.Neg) else "Add"]
    return lambda names: compute(zero(names), use(inner(names)))


def _compare(node: nodes.Compare) -> Run:
    first = _expression(node.expr)
    rest = [(operand.op in ("in", "notin"), COMPARE[operand.op], _expression(operand.expr)) for operand in node.ops]

    def run(names: Names) -> bool:
        left = use(first(names))
        for within, compare, other in rest:
            right = use(other(names))
            if within:
                _budget(names).search(left, right)
            else:
                _budget(names).compare(left, right)
            try:
                if not compare(left, right):
                    return False
            except TypeError:
                raise Flaw(f"{shown(left)} and {shown(right)} cannot be compared", kind="compare") from None
            left = right
        return True

    return run


def _and(node: nodes.And) -> Run:
    left, right = _expression(node.left), _expression(node.right)
    return lambda names: use(left(names)) and right(names)


def _or(node: nodes.Or) -> Run:
    left, right = _expression(node.left), _expression(node.right)
    return lambda names: use(left(names)) or right(names)


def _not(node: nodes.Not) -> Run:
    inner = _expression(node.node)
    return lambda names: not use(inner(names))


def _condition(node: nodes.CondExpr) -> Run:
    test, then = _expression(node.test), _expression(node.expr1)
    otherwise = _expression(node.expr2) if node.expr2 is not None else None

    def run(names: Names) -> Any:
        if use(test(names)):
            return then(names)
        if otherwise is None:
            return Missing(Flaw("the condition does not hold and there is no else", hint="Write … else none"))
        return otherwise(names)

    return run


def _concat(node: nodes.Concat) -> Run:
    return _joined([_expression(part) for part in node.nodes])


def _list(node: Any) -> Run:
    members = [_expression(part) for part in node.items]
    return lambda names: [use(part(names)) for part in members]


def _dict(node: nodes.Dict) -> Run:
    pairs = [(_expression(pair.key), _expression(pair.value)) for pair in node.items]
    return lambda names: {text(use(key(names))): use(value(names)) for key, value in pairs}


def _filter(node: nodes.Filter) -> Run:
    apply = FILTERS.get(node.name)
    if apply is None:
        way = did_you_mean(node.name, FILTERS)
        raise Flaw(f'there is no filter "{node.name}"', notes=[f"Filters: {', '.join(sorted(FILTERS))}"], hint=way)
    if node.node is None:
        raise Flaw("a filter needs a value before it")
    lenient = node.name in ("default", "d")
    return _called(node, _expression(node.node), apply, f'filter "{node.name}"', lenient)


def _test(node: nodes.Test) -> Run:
    if node.name in ("defined", "undefined"):
        inner, wanted = _expression(node.node), node.name == "defined"
        return lambda names: (type(inner(names)) is not Missing) is wanted
    apply = TESTS.get(node.name)
    if apply is None:
        way = did_you_mean(node.name, TESTS)
        raise Flaw(f'there is no test "{node.name}"', notes=[f"Tests: {', '.join(sorted(TESTS))}"], hint=way)
    return _called(node, _expression(node.node), apply, f'test "{node.name}"', False)


def _called(node: Any, value: Run, apply: Callable[..., Any], what: str, lenient: bool) -> Run:
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise Flaw("* and ** are not read in a call")
    args = [_expression(arg) for arg in node.args]
    named = {pair.key: _expression(pair.value) for pair in node.kwargs}

    def run(names: Names) -> Any:
        given = value(names)
        try:
            words = [given if lenient else use(given), *[arg(names) if lenient else use(arg(names)) for arg in args]]
            more = {name: use(arg(names)) for name, arg in named.items()}
            _budget(names).call(node.name, words, more)
            return bounded(apply(*words, **more))
        except (TypeError, ValueError, ArithmeticError, AttributeError):
            raise Flaw(f"{what} cannot be applied to {shown(use(given))}", kind=("apply", what)) from None

    return run


def _call(node: nodes.Call) -> Run:
    target = node.node
    way = None
    if isinstance(target, nodes.Getattr) and target.attr in _METHODS:
        way = f"Use the filter: {_label(target.node)} | {_METHODS[target.attr]}"
    raise Flaw("templates have no functions and no methods", hint=way)


_KINDS: Mapping[str, Callable[[Any], Run]] = {
    "Const": _constant,
    "TemplateData": _constant,
    "Name": _name,
    "Getattr": _getattr,
    "Getitem": _getitem,
    **dict.fromkeys(ARITHMETIC, _arithmetic),
    "Neg": _unary,
    "Pos": _unary,
    "Compare": _compare,
    "And": _and,
    "Or": _or,
    "Not": _not,
    "CondExpr": _condition,
    "Concat": _concat,
    "List": _list,
    "Tuple": _list,
    "Dict": _dict,
    "Filter": _filter,
    "Test": _test,
    "Call": _call,
}
