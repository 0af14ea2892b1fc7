"""
What an expression may compute: the operators, filters and tests of Jinja2 that end soon and stay small.

Every result is bounded (`MAX_CHARS`, `MAX_MEMBERS`, `MAX_BITS`), checked before it is made; what all of them cost
together is bounded by the `Budget`. There are no functions, no methods and no loops.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from reconcile.config.budget import MAX_CHARS, MAX_MEMBERS, Budget
from reconcile.config.budget import too_large as _too_large
from reconcile.config.expressions.coerce import as_text, number_of, shown
from reconcile.errors import Flaw


@dataclass(frozen=True, slots=True)
class Around:
    """
    What stands around templates, and no template can reach.

    Attributes:
        budget: what they evaluate is paid from it.
        torn: whether declarations may lack, because a file could not be read.
        broken: variables and tables that are declared and wrong: said where they are declared, and nowhere again.
        shown: the table of the row, for messages.
    """

    budget: Budget
    torn: bool = False
    broken: Set[str] = frozenset()
    shown: str | None = None


class Names(dict[str, Any]):
    """What a template sees, by name."""

    __slots__ = ("around",)

    def __init__(self, seen: Mapping[str, Any], around: Around) -> None:
        super().__init__(seen)
        self.around = around

    def seeing(self, name: str, value: Any) -> Names:
        """The same, with one more name."""
        found = Names(self, self.around)
        found[name] = value
        return found


MAX_BITS = 2048
MAX_TRIMMED = 100  # different characters that `trim` takes off


class Missing:
    """What a name or member that is not there evaluates to; using it raises the flaw that it carries."""

    __slots__ = ("flaw",)

    def __init__(self, flaw: Flaw) -> None:
        self.flaw = flaw


def use(value: Any) -> Any:
    """`value`, which is used now. Raises its Flaw when it is missing."""
    if type(value) is Missing:
        raise value.flaw
    return value


def bounded(value: Any) -> Any:
    """`value`, if it is small enough. Raises Flaw."""
    if isinstance(value, str):
        if len(value) > MAX_CHARS:
            raise _too_large()
    elif isinstance(value, (list, tuple, dict)):
        if len(value) > MAX_MEMBERS:
            raise _too_large()
    elif isinstance(value, int):
        if value.bit_length() > MAX_BITS:
            raise _too_large()
    elif isinstance(value, float) and not math.isfinite(value):
        raise _too_large()
    return value


def _numbers(left: Any, right: Any, sign: str) -> None:
    for side in (left, right):
        if not isinstance(side, (int, float)) or isinstance(side, bool):
            hint = (
                "Make a number of it: | int or | float"
                if isinstance(side, str) and number_of(side) is not None
                else None
            )
            raise Flaw(f"{shown(side)} is not a number, {sign} needs one", hint=hint, kind=("operand", sign))


def add(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        if len(left) + len(right) > MAX_CHARS:
            raise _too_large()
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        if len(left) + len(right) > MAX_MEMBERS:
            raise _too_large()
        return left + right
    if isinstance(left, str) or isinstance(right, str):
        raise Flaw("+ joins two texts or adds two numbers, not one of each", hint="~ joins anything as text")
    _numbers(left, right, "+")
    return bounded(left + right)


def multiply(left: Any, right: Any) -> Any:
    _numbers(left, right, "*")
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > MAX_BITS:
        raise _too_large()
    return left * right


def power(left: Any, right: Any) -> Any:
    _numbers(left, right, "**")
    if isinstance(left, int) and isinstance(right, int) and max(left.bit_length(), 1) * abs(right) > MAX_BITS:
        raise _too_large()
    found = left**right
    if isinstance(found, complex):
        raise Flaw("the result is not a real number")
    return found


def _plain_numbers(sign: str, compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def run(left: Any, right: Any) -> Any:
        _numbers(left, right, sign)
        return bounded(compute(left, right))

    return run


ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "Add": add,
    "Sub": _plain_numbers("-", operator.sub),
    "Mul": multiply,
    "Div": _plain_numbers("/", operator.truediv),
    "FloorDiv": _plain_numbers("//", operator.floordiv),
    "Mod": _plain_numbers("%", operator.mod),
    "Pow": power,
}


def _within(left: Any, right: Any) -> bool:
    if isinstance(right, str) and not isinstance(left, str):
        raise Flaw(f"{shown(left)} is looked for in a string", hint="Make a string of it: | string")
    return left in right


COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
    "in": _within,
    "notin": lambda left, right: not _within(left, right),
}


def text(value: Any) -> str:
    """A value as a template writes it. None writes nothing."""
    return bounded(as_text(value) or "")  # type: ignore[no-any-return]


def _replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    source, before, after = text(value), text(old), text(new)
    times = source.count(before) if before else len(source) + 1
    if len(source) + times * len(after) > MAX_CHARS:
        raise _too_large()
    return source.replace(before, after, -1 if count is None else int(count))


def _join(value: Any, between: Any = "") -> str:
    parts, glue = [text(member) for member in _members(value)], text(between)
    if sum(map(len, parts)) + len(glue) * len(parts) > MAX_CHARS:
        raise _too_large()
    return glue.join(parts)


def _split(value: Any, at: Any = None) -> list[str]:
    between = None if at is None else text(at)
    if between == "":
        raise Flaw("split needs a string to split at")
    return [part.strip() for part in bounded(text(value).split(between, MAX_MEMBERS))]


def _trim(value: Any, chars: Any = None) -> str:
    if chars is not None and len(chars) > MAX_TRIMMED:
        raise Flaw(f"trim takes at most {MAX_TRIMMED} characters", kind="trim")
    return text(value).strip(chars)


def _members(value: Any) -> Any:
    if isinstance(value, (list, tuple, dict, str)):
        if len(value) > MAX_MEMBERS:
            raise _too_large()
        return value
    raise Flaw(f"{shown(value)} is not a list", kind="members")


_NOTHING = object()


def _int(value: Any, default: Any = _NOTHING) -> Any:
    return _number(value, default, int)


def _float(value: Any, default: Any = _NOTHING) -> Any:
    return _number(value, default, float)


def _number(value: Any, default: Any, make: Callable[[Any], Any]) -> Any:
    # Jinja makes 0 of what is no number; a geofence at 0,0 is nobody's wish, so it is an error without a default.
    found = value
    if isinstance(value, str):
        stripped = value.strip()
        found = number_of(stripped)
        if (
            found is None
            and stripped.lstrip("+-").isascii()
            and stripped.lstrip("+-").isdigit()
            and len(stripped) < 300
        ):
            found = int(stripped)
    if isinstance(found, (int, float)) and math.isfinite(found):
        return make(found)
    if default is not _NOTHING:
        return default
    raise Flaw(
        f"{shown(value)} is not a number", hint="Give a default for what is none: | int(0), | float(0)", kind="cast"
    )


def _round(value: Any, precision: int = 0, method: str = "common") -> Any:
    _numbers(value, precision, "round")
    if method not in ("common", "ceil", "floor") or not -300 <= precision <= 300:
        raise Flaw("round takes a precision and one of 'common', 'ceil', 'floor'")
    if method == "common":
        return round(float(value), int(precision))
    return getattr(math, method)(value * 10**precision) / 10**precision


def _default(value: Any, instead: Any = "", falsy: bool = False) -> Any:
    if type(value) is Missing or (falsy and not value):
        return use(instead)
    return value


def _unique(value: Any) -> list[Any]:
    found: dict[Any, Any] = {}
    for member in _members(value):
        found.setdefault(member.casefold() if isinstance(member, str) else member, member)
    return list(found.values())


def _sort(value: Any, reverse: bool = False) -> list[Any]:
    return sorted(
        _members(value),
        key=lambda member: member.casefold() if isinstance(member, str) else member,
        reverse=bool(reverse),
    )


def _edge(pick: Callable[[Any], Any], word: str) -> Callable[[Any], Any]:
    def run(value: Any) -> Any:
        members = _members(value)
        if not members:
            return Missing(Flaw(f"there is no {word} member: it is empty", kind=word))
        return pick(members)

    return run


def _tojson(value: Any) -> str:
    return bounded(json.dumps(value, ensure_ascii=False, sort_keys=True))  # type: ignore[no-any-return]


def _absolute(value: Any) -> Any:
    _numbers(value, 0, "abs")
    return abs(value)


def _length(value: Any) -> int:
    if isinstance(value, (int, float)) or value is None:
        raise Flaw(f"{shown(value)} has no length", kind="length")
    return len(value)


FILTERS: Mapping[str, Callable[..., Any]] = {
    "lower": lambda value: text(value).lower(),
    "upper": lambda value: text(value).upper(),
    "trim": _trim,
    "title": lambda value: text(value).title(),
    "capitalize": lambda value: text(value).capitalize(),
    "string": text,
    "replace": _replace,
    "split": _split,
    "join": _join,
    "tojson": _tojson,
    "int": _int,
    "float": _float,
    "round": _round,
    "abs": _absolute,
    "default": _default,
    "d": _default,
    "length": _length,
    "count": _length,
    "first": _edge(lambda members: next(iter(members)), "first"),
    "last": _edge(lambda members: next(reversed(members)), "last"),
    "min": _edge(min, "least"),
    "max": _edge(max, "greatest"),
    "sort": _sort,
    "unique": _unique,
    "list": lambda value: list(_members(value)),
}

TESTS: Mapping[str, Callable[..., bool]] = {
    "none": lambda value: value is None,
    "true": lambda value: value is True,
    "false": lambda value: value is False,
    "boolean": lambda value: isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "mapping": lambda value: isinstance(value, dict),
    "sequence": lambda value: isinstance(value, (list, str)),
    "in": _within,
    "even": lambda value: value % 2 == 0,
    "odd": lambda value: value % 2 == 1,
    "eq": operator.eq,
    "equalto": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lessthan": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "greaterthan": operator.gt,
    "ge": operator.ge,
}
