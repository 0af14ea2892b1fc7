"""
What the expressions of a document may cost, all of them together: characters that they make and members that they go
through. It grows with every row and field, so that what is linear in the rows never meets it.

A field's own share also covers what is not counted because it cannot cost more: a template's nodes, and the frequent
forms that `templates` evaluates alone. Everything is spent before its result is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reconcile.errors import Flaw

CHARS = 1 << 20
CHARS_PER_FIELD = 64 << 10
STEPS_PER_FIELD = 10_000
MAX_CHARS = 1 << 20  # of one result
MAX_MEMBERS = 100_000
_LONG = 256  # characters that cost less to compare than to count


def too_large() -> Flaw:
    """What is said of one result that is too large."""
    return Flaw("the result is too large", hint=f"At most {MAX_CHARS:,} characters or {MAX_MEMBERS:,} members")


class Budget:
    """
    What is left to the expressions of one load.

    Attributes:
        fields: how often a field with a template was evaluated: each adds its share.
    """

    __slots__ = ("_chars", "_steps", "fields")

    def __init__(self) -> None:
        self.fields = 0
        self._chars = self._steps = 0

    def spend(self, chars: int) -> None:
        """Characters that are about to be made or searched. Raises Flaw when they are more than what is left."""
        if self._chars + chars > CHARS + CHARS_PER_FIELD * self.fields:
            raise _spent(f"{CHARS:,} characters and {CHARS_PER_FIELD:,} more for each row and field")
        self._chars += chars

    def make(self, chars: int) -> None:
        """The characters of one text that is about to be made. Raises Flaw as `spend` does, or when it is too large."""
        if chars > MAX_CHARS:
            raise too_large()
        self.spend(chars)

    def step(self, members: int) -> None:
        """Members that are about to be gone through. Raises Flaw as `spend` does."""
        if self._steps + members > STEPS_PER_FIELD * self.fields:
            raise _spent(f"{STEPS_PER_FIELD:,} steps for each row and field")
        self._steps += members

    def weigh(self, value: Any) -> int:
        """About the characters of plain data, the more the deeper; its members are steps. Raises Flaw."""
        if isinstance(value, str):
            return len(value)
        chars, left = 0, [value]
        while left:
            one = left.pop()
            if isinstance(one, str):
                chars += len(one) + 4
            elif isinstance(one, dict):
                self.step(len(one))
                chars += sum(map(len, one)) + 4
                left += one.values()
            elif isinstance(one, (list, tuple)):
                self.step(len(one))
                chars += 4
                left += one
            else:
                chars += 8
            if chars > MAX_CHARS:
                raise too_large()
        return chars

    def compare(self, left: Any, right: Any) -> None:
        """Two values that are about to be compared. Raises Flaw."""
        if isinstance(left, str):
            if len(left) > _LONG and isinstance(right, str):
                self.spend(min(len(left), len(right)))
        elif isinstance(left, (list, dict)) and isinstance(right, (list, dict)):
            self.spend(self.weigh(left))

    def search(self, needle: Any, hay: Any) -> None:
        """A value that is about to be looked for in a text or list. Raises Flaw."""
        if isinstance(hay, str):
            if len(hay) > _LONG:
                # Python's search for a long text in another takes the product of both at worst.
                self.spend(len(hay) * (1 + (len(needle) // 64 if isinstance(needle, str) else 0)))
        elif isinstance(hay, list):
            if isinstance(needle, (list, dict)):
                self.spend(self.weigh(hay))
            self.step(len(hay))

    def call(self, name: str, args: list[Any], named: Mapping[str, Any]) -> None:
        """A filter or test that is about to be applied. Raises Flaw."""
        if name in _FREE:
            return
        cost = _COSTS.get(name)
        if cost is not None:
            cost(self, *args, **named)
            return
        self.spend(sum([self.weigh(arg) for arg in args]))


def _spent(what: str) -> Flaw:
    return Flaw(
        "the expressions of this document are too expensive",
        notes=[f"Together they may make {what}"],
        hint="Make long values once, outside the rows, or in what writes the table",
        kind="budget",
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _replace(budget: Budget, value: Any, old: Any, new: Any, count: Any = None) -> None:
    source, before, after = _text(value), _text(old), _text(new)
    budget.search(before, source)
    budget.make(len(source) + source.count(before) * len(after))


def _join(budget: Budget, value: Any, between: Any = "") -> None:
    if isinstance(value, (str, dict)):
        budget.step(len(value))
        chars = sum(map(len, value))
    else:
        chars = budget.weigh(value)
    budget.make(chars + len(_text(between)) * len(value))


def _trim(budget: Budget, value: Any, chars: Any = None) -> None:
    budget.spend(len(_text(value)) * (1 + len(_text(chars)) // 8))


def _split(budget: Budget, value: Any, at: Any = None) -> None:
    budget.search(at, _text(value))
    budget.spend(len(_text(value)))


def _members(budget: Budget, value: Any, *_: Any, **__: Any) -> None:
    if isinstance(value, (str, dict)):
        budget.step(len(value))
    budget.spend(budget.weigh(value))


_FREE = frozenset(("default", "d", "length", "count", "first", "last", "string", "even", "odd"))
_FREE |= frozenset(("none", "true", "false", "boolean", "number", "mapping", "sequence"))
_COMPARE = ("eq", "equalto", "ne", "lt", "lessthan", "le", "gt", "greaterthan", "ge")
_COSTS: Mapping[str, Callable[..., None]] = {
    "replace": _replace,
    "join": _join,
    "trim": _trim,
    "split": _split,
    **dict.fromkeys(("list", "min", "max", "sort", "unique"), _members),
    **dict.fromkeys(_COMPARE, Budget.compare),
    "in": Budget.search,
}
