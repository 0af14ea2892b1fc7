"""The vocabulary of a build: layers go in, parts come out, and a part gives its value for a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from reconcile.config.expressions.operations import Names
from reconcile.errors import Flaw
from reconcile.yaml import Map, Node

Path_ = tuple[str, ...]


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Any = _Absent()
"""Not written here."""


class Layer(NamedTuple):
    """A node, and the profile that it comes from; None = the entry itself."""

    node: Node
    profile: str | None = None


class Scope:
    """What a row's templates see, and what was wrong with them: `(place, path, flaw, shows its line)`."""

    __slots__ = ("flaws", "names")

    def __init__(self, names: Names) -> None:
        self.names = names
        self.flaws: list[tuple[int, Path_, Flaw, bool]] = []

    def wrong(self, at: int, path: Path_, flaw: Flaw, show_line: bool = True) -> None:
        """Remembers a flaw, without the frames that it came through: they hold this scope."""
        flaw.__traceback__ = flaw.__context__ = None
        self.flaws.append((at, path, flaw, show_line))


Fn = Callable[[Scope], Any]


class Const:
    """A value that no row changes."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


Part = Const | Fn


def value_of(part: Part | None, scope: Scope) -> Any:
    """The value of a part; ABSENT when there is none."""
    if part is None:
        return ABSENT
    return part.value if isinstance(part, Const) else part(scope)


def merge(below: Any, above: Any) -> Any:
    """Maps merge key by key; anything else is replaced; ABSENT lets the other through."""
    if above is ABSENT:
        return below
    if type(below) is dict and type(above) is dict:
        return {**below, **{name: merge(below.get(name, ABSENT), value) for name, value in above.items()}}
    return above


def object_part(items: list[tuple[str, Part]]) -> Part:
    """A map of parts as one part; constant when all of them are."""
    fixed: dict[str, Any] = {}
    moving: list[tuple[str, Fn]] = []
    for name, part in items:
        if isinstance(part, Const):
            if part.value is not ABSENT:
                fixed[name] = part.value
        else:
            fixed[name] = ABSENT  # keeps its place in the order
            moving.append((name, part))
    if not moving:
        return Const(fixed)

    if len(fixed) == 1:
        only, make = moving[0]

        def one(scope: Scope) -> dict[str, Any]:
            value = make(scope)
            return {} if value is ABSENT else {only: value}

        return one

    def run(scope: Scope) -> dict[str, Any]:
        found = dict(fixed)
        for name, part in moving:
            value = part(scope)
            if value is ABSENT:
                del found[name]
            else:
                found[name] = value
        return found

    return run


def as_map(node: Node) -> Map:
    """A node that is known to be a map."""
    assert isinstance(node, Map)
    return node
