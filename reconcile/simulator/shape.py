"""
JSON from outside, checked: every reader takes a value and its path, and answers the value or raises
`ShapeError` naming the path.

A path is a tuple of keys and indices; it is written as JSONPath (`$.microvisor.devices.UV….online`) only in a
message.
"""

import json
import math
import re
from collections.abc import Iterable
from typing import Any

from reconcile.simulator import clock

Path = tuple[str | int, ...]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class ShapeError(ValueError):
    """A JSON value of the wrong shape; `path` says where."""

    def __init__(self, path: Path, message: str) -> None:
        self.path = written(path)
        self.message = message
        super().__init__(f"{self.path}: {message}")


def written(path: Path) -> str:
    """The path as JSONPath."""
    parts = ["$"]
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif _NAME.fullmatch(step):
            parts.append(f".{step}")
        else:
            parts.append(f"[{json.dumps(step)}]")
    return "".join(parts)


def loads(data: bytes) -> Any:
    """
    The JSON value of a body.

    Raises:
        ShapeError: not JSON in UTF-8, or nested too deep.
    """
    try:
        return json.loads(data, parse_constant=_no_constant)
    except RecursionError:
        raise ShapeError((), "is nested too deep") from None
    except ValueError as e:
        raise ShapeError((), f"is not JSON: {e}") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def kind(value: object) -> str:
    """What a value is, in the words of JSON."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def mapping(value: Any, path: Path, known: Iterable[str] | None = None) -> dict[str, Any]:
    """An object; with `known`, one that has no other keys."""
    if not isinstance(value, dict):
        raise ShapeError(path, f"must be an object, is {kind(value)}")
    if known is not None:
        for key in value:
            if key not in known:
                raise ShapeError((*path, key), f"is not a key; known are {', '.join(sorted(known))}")
    return value


def array(value: Any, path: Path) -> list[Any]:
    if not isinstance(value, list):
        raise ShapeError(path, f"must be an array, is {kind(value)}")
    return value


def text(value: Any, path: Path) -> str:
    if not isinstance(value, str):
        raise ShapeError(path, f"must be a string, is {kind(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ShapeError(path, "holds half of a surrogate pair") from None
    return value


def matching(value: Any, path: Path, pattern: re.Pattern[str]) -> str:
    """A string of the whole pattern."""
    value = text(value, path)
    if not pattern.fullmatch(value):
        raise ShapeError(path, f"must match ^{pattern.pattern}$")
    return str(value)


def boolean(value: Any, path: Path) -> bool:
    if not isinstance(value, bool):
        raise ShapeError(path, f"must be true or false, is {kind(value)}")
    return value


def integer(value: Any, path: Path, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ShapeError(path, f"must be a whole number, is {kind(value)}")
    if not least <= value <= most:
        raise ShapeError(path, f"must be {least} to {most}")
    return value


def number(value: Any, path: Path, least: float, most: float) -> float:
    """A finite number, left an integer when it is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ShapeError(path, f"must be a number, is {kind(value)}")
    if not least <= value <= most or math.isnan(value):
        raise ShapeError(path, f"must be {least} to {most}")
    return value


def choice(value: Any, path: Path, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise ShapeError(path, f"must be one of {', '.join(choices)}")
    return value


def date(value: Any, path: Path) -> int:
    """Whole seconds since 1970."""
    written_date = text(value, path)
    try:
        return int(clock.seconds(written_date))
    except ValueError as e:
        raise ShapeError(path, str(e)) from None
