"""
What a resource consists of: a table of its fields, with their limits, that checks what clients send and what
worlds hold.

A record is a map of the fields that were set, in the vendor's names and forms (dates are texts); what it leaves
out has its field's default. Records are never changed inside a value: a new value replaces the old one.
"""

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from reconcile.simulator import clock, shape
from reconcile.simulator.shape import Path, ShapeError

Record = dict[str, Any]

MAX_ATTRIBUTE = 128
_ATTRIBUTE_KEY = re.compile(r"[A-Za-z][^\x00-\x1f]*")
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class Kind(Enum):
    """What a field's value is; `DAY` is a date without a time, or with one."""

    TEXT = "a string"
    FLAG = "true or false"
    NUMBER = "a number"
    DATE = "a date"
    DAY = "a day"
    ATTRIBUTES = "an object of strings"


@dataclass(frozen=True, slots=True)
class Field:
    """
    One field of a resource.

    Attributes:
        most: characters of a text, entries of a map, the largest number; 0 is no limit.
        choices: the only values, unless empty.
        create, update: whether POST and PUT take it; if not, they ignore it (it is read-only).
        shown: whether the API answers it; what is not shown is a fact of the simulated world.
        filtered: whether lists can be filtered by it.
        required: whether POST needs it; it is not empty.
        nullable: whether null can be sent, for none.
    """

    name: str
    kind: Kind = Kind.TEXT
    default: Any = None
    most: float = 0
    least: float = 0
    choices: tuple[Any, ...] = ()
    pattern: re.Pattern[str] | None = None
    create: bool = True
    update: bool = True
    shown: bool = True
    filtered: bool = True
    required: bool = False
    nullable: bool = False

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value, in a few words; None when nothing is."""
        if value is None and self.nullable:
            return None
        match self.kind:
            case Kind.TEXT:
                problem = self._text(value)
            case Kind.FLAG:
                problem = None if isinstance(value, bool) else f"must be true or false, is {shape.kind(value)}"
            case Kind.NUMBER:
                problem = self._number(value)
            case Kind.DATE | Kind.DAY:
                problem = self._date(value)
            case Kind.ATTRIBUTES:
                problem = self._attributes(value)
        if problem is None and self.choices and value not in self.choices:
            return f"must be one of {', '.join(str(choice) for choice in self.choices)}"
        return problem

    def _text(self, value: Any) -> str | None:
        if not isinstance(value, str):
            return f"must be a string, is {shape.kind(value)}"
        if not _encodable(value):
            return "holds half of a surrogate pair"
        if self.most and len(value) > self.most:
            return f"must have at most {self.most:g} characters"
        if self.required and not value:
            return "must not be empty"
        if self.pattern is not None and not self.pattern.fullmatch(value):
            return f"must match ^{self.pattern.pattern}$"
        return None

    def _number(self, value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"must be a number, is {shape.kind(value)}"
        return None if self.least <= value <= (self.most or 2**53) else f"must be {self.least:g} to {self.most:g}"

    def _date(self, value: Any) -> str | None:
        if not isinstance(value, str):
            return f"must be a date, is {shape.kind(value)}"
        if self.kind is Kind.DATE and _DAY.fullmatch(value):
            return f"{value!r} is not a date like 2021-01-01T12:34:56Z"
        try:
            moment(value)
        except ValueError as e:
            return str(e)
        return None

    def _attributes(self, value: Any) -> str | None:
        """
        docs/apis/device_management.md, "Texts and attributes": keys start with a letter, keys and values have at most
        128 characters.
        """
        if not isinstance(value, dict):
            return f"must be an object, is {shape.kind(value)}"
        if len(value) > self.most:
            return f"must have at most {self.most:g} entries"
        for key, text in value.items():
            if not _ATTRIBUTE_KEY.fullmatch(key) or len(key) > MAX_ATTRIBUTE or not _encodable(key):
                return f"the key {key[:200]!r} must start with a letter and have at most {MAX_ATTRIBUTE} characters"
            if not isinstance(text, str) or len(text) > MAX_ATTRIBUTE or not _encodable(text):
                return f"the value of {key!r} must be a string of at most {MAX_ATTRIBUTE} characters"
        return None


def _encodable(text: str) -> bool:
    return text.isascii() or not any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def moment(text: str) -> float:
    """
    Seconds since 1970 of a date as the API takes them: RFC 3339, the compact `20161130T162512Z`, or a day.

    Raises:
        ValueError: no such date.
    """
    compact = _COMPACT.fullmatch(text)
    if compact is not None:
        year, month, day, hour, minute, second = compact.groups()
        text = f"{year}-{month}-{day}T{hour}:{minute}:{second}Z"
    elif _DAY.fullmatch(text):
        at = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp()
        if at >= 0:
            return at
    return clock.seconds(text)


class Resource:
    """
    A type of resource: what it is called, and its fields.

    Attributes:
        name: the `object` of its answers.
    """

    def __init__(self, name: str, *fields: Field) -> None:
        self.name = name
        common = (
            Field("created_at", Kind.DATE, create=False, update=False),
            Field("updated_at", Kind.DATE, create=False, update=False),
            # Counts the writes, for an `etag` that no two states share.
            Field("version", Kind.NUMBER, 1, create=False, update=False, shown=False, filtered=False),
        )
        self.fields = {field.name: field for field in (*fields, *common)}
        self.defaults = {field.name: field.default for field in self.fields.values()}
        self.shown = [field.name for field in self.fields.values() if field.shown]

    def get(self, record: Record, name: str) -> Any:
        return record.get(name, self.defaults[name])

    def complete(self, record: Record) -> Record:
        """The record with what it leaves out, as a world has it."""
        return {**self.defaults, **record}

    def view(self, id_: str, record: Record) -> dict[str, Any]:
        """The record as the API answers it (docs/apis/device_management.md, "Ids and etags")."""
        shown = {name: record.get(name, self.defaults[name]) for name in self.shown}
        return {"id": id_, "object": self.name, "etag": self.etag(record), **shown}

    def etag(self, record: Record) -> str:
        """A date, as in the vendor's descriptions; its fraction counts the writes."""
        return f"{record['updated_at'][:-1]}.{int(self.get(record, 'version')) % 1_000_000:06}Z"

    def accepted(self, body: dict[str, Any], *, creating: bool) -> tuple[Record, list[tuple[str, str]]]:
        """
        What a body sets, and what is wrong with it. Fields that are unknown or read-only are passed over.
        """
        record: Record = {}
        problems: list[tuple[str, str]] = []
        for field in self.fields.values():
            if not (field.create if creating else field.update):
                continue
            if field.name not in body:
                if creating and field.required:
                    problems.append((field.name, "is missing"))
                continue
            problem = field.problem(body[field.name])
            if problem is None:
                record[field.name] = body[field.name]
            else:
                problems.append((field.name, problem))
        return record, problems

    def parse(self, value: Any, path: Path, now: str, besides: Iterable[str] = ()) -> Record:
        """
        A record of a world.

        Args:
            now: what dates of creation that are left out become.
            besides: keys that are no fields, left to the caller.

        Raises:
            ShapeError: the shape is wrong somewhere.
        """
        item = shape.mapping(value, path, (*self.fields, *besides))
        record: Record = {}
        for name, field in self.fields.items():
            if name not in item:
                continue
            given = item[name]
            # In a world, null is what was never set.
            if given is None or (given == field.default and type(given) is type(field.default)):
                continue
            problem = field.problem(given)
            if problem is not None:
                raise ShapeError((*path, name), problem)
            record[name] = given
        record.setdefault("created_at", now)
        record.setdefault("updated_at", record["created_at"])
        for name in ("created_at", "updated_at"):
            record[name] = clock.date(int(moment(record[name])))
        return record


def touched(record: Record, now: float) -> Record:
    """The fields that a write at this time sets besides its own."""
    return {"updated_at": clock.date(int(now)), "version": int(record.get("version", 1)) + 1}
