"""
Filters of lists and of campaigns (docs/apis/device_management.md, "Filters"): `field__op=value`, `field=value` for
equality, and `custom_attributes__<key>=<value>`, which knows equality only.

They come as parameters of a list, as its one parameter `filter=…` (encoded once more), or as the text of a
campaign's `device_filter`, which is not encoded. What cannot be filtered is a validation error: a filter that
was passed over would answer everything.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from reconcile.simulator.device_management.fields import Kind, moment

# Parameters of lists that are no filters.
PAGING = ("limit", "after", "order", "include")
ATTRIBUTES = "custom_attributes"

_EQUALITY = ("eq", "neq", "in", "nin")
_ORDERED = (*_EQUALITY, "lte", "gte")
_OPERATORS: dict[Kind, tuple[str, ...]] = {
    Kind.TEXT: _EQUALITY,
    Kind.FLAG: _EQUALITY,
    Kind.NUMBER: _ORDERED,
    Kind.DATE: _ORDERED,
    Kind.DAY: _ORDERED,
    Kind.ATTRIBUTES: ("eq",),
}


class FilterError(ValueError):
    """Filters that cannot be; `problems` has the parameters and what is wrong with them."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{name}: {message}" for name, message in problems))


@dataclass(frozen=True, slots=True)
class Condition:
    """
    One filter.

    Attributes:
        name: of the field.
        key: of the custom attribute, when it is one.
        wanted: the values as the field's kind compares them; one, but for `in` and `nin`, which may have hundreds.
    """

    name: str
    kind: Kind
    operator: str
    wanted: frozenset[Any]
    key: str = ""

    def holds(self, value: Any) -> bool:
        """Whether the field's value satisfies it; a field without a value is the empty text, and no date or number."""
        found = self._comparable(value)
        match self.operator:
            case "eq" | "in":
                return found in self.wanted
            case "neq" | "nin":
                return found not in self.wanted
            case "lte":
                return found is not None and all(found <= bound for bound in self.wanted)
            case _:
                return found is not None and all(found >= bound for bound in self.wanted)

    def _comparable(self, value: Any) -> Any:
        if self.kind is Kind.ATTRIBUTES:
            return value.get(self.key)
        if self.kind is Kind.TEXT:
            return "" if value is None else value
        return moment(value) if self.kind in (Kind.DATE, Kind.DAY) and value is not None else value


def of_query(query: Mapping[str, str], kinds: Mapping[str, Kind]) -> list[Condition]:
    """
    The filters of a list, in both forms.

    Args:
        query: decoded once.
        kinds: the fields that can be filtered.

    Raises:
        FilterError: a parameter that is no filter, or one with a value that its field cannot have.
    """
    pairs = [(name, value) for name, value in query.items() if name not in (*PAGING, "filter")]
    pairs += parse_qsl(query.get("filter", ""), keep_blank_values=True)
    return _conditions(pairs, kinds)


def of_text(text: str, kinds: Mapping[str, Kind], field: str) -> list[Condition]:
    """
    The filters of a `device_filter`; an empty one, which only a world can hold, lets every device through.

    Args:
        field: what the errors name.

    Raises:
        FilterError: the text is no filter.
    """
    if not text:
        return []
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in text.split("&"))]
    try:
        return _conditions(pairs, kinds)
    except FilterError as refused:
        raise FilterError([(field, f"{name}: {message}") for name, message in refused.problems]) from None


def _conditions(pairs: Iterable[tuple[str, str]], kinds: Mapping[str, Kind]) -> list[Condition]:
    conditions: list[Condition] = []
    problems: list[tuple[str, str]] = []
    for name, value in pairs:
        try:
            conditions.append(_condition(name, value, kinds))
        except ValueError as e:
            problems.append((name, str(e)))
    if problems:
        raise FilterError(problems)
    return conditions


def _condition(parameter: str, value: str, kinds: Mapping[str, Kind]) -> Condition:
    name, _, operator = parameter.rpartition("__")
    if not name or operator not in _ORDERED:
        name, operator = parameter, "eq"
    key = ""
    if name.startswith(f"{ATTRIBUTES}__"):
        name, _, key = name.partition("__")
    kind = kinds.get(name)
    if kind is None or (kind is Kind.ATTRIBUTES and not key):
        raise ValueError(f"{name} cannot be filtered")
    if operator not in _OPERATORS[kind]:
        raise ValueError(f"{operator} is no operator of {name}")
    values = value.split(",") if operator in ("in", "nin") else [value]
    read = _READERS.get(kind, str)
    return Condition(name, kind, operator, frozenset(read(text) for text in values), key)


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


_READERS: dict[Kind, Callable[[str], Any]] = {
    Kind.FLAG: _flag,
    Kind.NUMBER: _number,
    Kind.DATE: moment,
    Kind.DAY: moment,
}
