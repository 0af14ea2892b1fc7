"""
Units of the world by table: for each key of a unit's JSON, how it is read and how it is written.

What is left out of the JSON is left out of what is read: the unit's class has the default, or its vendor works it out.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from reconcile.simulator import shape
from reconcile.simulator.shape import Path

Read = Callable[[Any, Path], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A key: its reader, which raises `ShapeError`, and its writer; None writes the value as it is."""

    read: Read
    write: Callable[[Any], Any] | None = None


class Collection:
    """The keys of a unit, in their order; a unit has an attribute for each."""

    def __init__(self, **fields: Column) -> None:
        self._fields = fields
        self._values = attrgetter(*fields)
        self._writers = [(key, field.write) for key, field in fields.items() if field.write is not None]

    def parse(self, value: Any, path: Path, besides: Iterable[str] = ()) -> dict[str, Any]:
        """
        What an object has of the keys.

        Args:
            besides: other keys that it may have, left to the caller.

        Raises:
            ShapeError: the shape is wrong somewhere.
        """
        item = shape.mapping(value, path, (*self._fields, *besides))
        return {key: field.read(item[key], (*path, key)) for key, field in self._fields.items() if key in item}

    def dump(self, unit: object) -> dict[str, Any]:
        """All of the keys."""
        dumped = dict(zip(self._fields, self._values(unit), strict=True))
        for key, write in self._writers:
            dumped[key] = write(dumped[key])
        return dumped


def as_it_is(value: Any, path: Path) -> Any:
    """For a value that is checked later."""
    return value


def optional(read: Read) -> Read:
    """null, or what `read` reads."""
    return lambda value, path: None if value is None else read(value, path)


def whole(least: int, most: int) -> Read:
    return lambda value, path: shape.integer(value, path, least, most)


def number(least: float, most: float) -> Read:
    return lambda value, path: shape.number(value, path, least, most)


def one_of(*choices: str) -> Read:
    return lambda value, path: shape.choice(value, path, choices)


def matching(pattern: re.Pattern[str]) -> Read:
    return lambda value, path: shape.matching(value, path, pattern)
