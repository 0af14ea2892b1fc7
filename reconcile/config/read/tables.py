"""
Tables (docs/document.md, "Tables"): csv, jsonl, json and yaml files → rows of plain data with their lines.

A row is held as a tuple of its cells, its names once for all; it becomes a map when a template looks at it.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconcile.config.compile.layers import ABSENT
from reconcile.config.expressions.coerce import as_text, plain, shown
from reconcile.config.expressions.operations import Missing
from reconcile.config.read.json_text import json_data
from reconcile.config.read.sources import YAML_ENDINGS, Sources
from reconcile.config.report import Report, Showing, did_you_mean, letters, listed, suggestion
from reconcile.core.text import meant
from reconcile.errors import Flaw, Position
from reconcile.files import NotText, text_of
from reconcile.yaml import Map, Scalar, Seq, decode, parse, place

ENDINGS = (".csv", ".jsonl", ".json", *YAML_ENDINGS)
MAX_ROWS = 5_000_000
_MOST_WRONG = 5_000  # rows of which each mistake is looked at
MAX_COLUMNS = 2_000
FEW_CELLS = 4_000_000  # beyond them, rows of different columns have no more cells than bytes
_NO_CODEC = frozenset(("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"))

_SEP = re.compile(r"sep=(.)\r?(?:\n|\Z)")

Rows = tuple[Sequence[str], list[tuple[Any, ...]], "array[int]"]


@dataclass(frozen=True, slots=True)
class Spec:
    """What a document says of a table, or the defaults when `for_each` names a path."""

    file: str
    key: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    delimiter: str = ","
    encoding: str | None = None
    min_rows: int = 1
    header_row: int = 1


class Table:
    """
    The rows of a table.

    Attributes:
        shown: its file as the user would type it.
        columns: names, ours for those that were renamed.
        rows: cells in the order of the columns; a column that a row lacks is `ABSENT`.
        lines: of the file, by row.
    """

    __slots__ = ("_by_key", "_by_letters", "_lengths", "columns", "key", "lines", "name", "rows", "shown")

    def __init__(self, name: str, shown: str, key: str | None, found: Rows) -> None:
        self.name, self.shown, self.key = name, shown, key
        self.columns, self.rows, self.lines = found
        self._by_key: dict[str, int] | None = None
        self._by_letters: dict[str, str] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, key: object) -> bool:
        return self.key is not None and as_text(key) in self.by_key

    def row(self, index: int) -> dict[str, Any]:
        """A row as a map, made afresh."""
        cells = self.rows[index]
        if ABSENT in cells:
            return {name: cell for name, cell in zip(self.columns, cells, strict=True) if cell is not ABSENT}
        return dict(zip(self.columns, cells, strict=True))

    def where(self, index: int) -> Position:
        """The place of a row."""
        return Position(self.shown, self.lines[index], 0, index + 1)

    def say(self, index: int) -> str:
        """The place of a row in words."""
        return f"{self.shown} row {index + 1} (line {self.lines[index]})"

    @property
    def by_key(self) -> dict[str, int]:
        """The number of the row under each key; of a key given twice the first."""
        if self._by_key is None:
            self._by_key = {}
            if self.key is not None and self.key in self.columns:
                at = list(self.columns).index(self.key)
                for index, cells in enumerate(self.rows):
                    self._by_key.setdefault(as_text(cells[at]) or "", index)
        return self._by_key

    def find(self, key: str | None) -> dict[str, Any] | None:
        """The row under a key, or None."""
        index = self.by_key.get(key) if key is not None else None
        return None if index is None else self.row(index)

    def no_row(self, key: str | None) -> Flaw:
        """What is said when `find` found nothing."""
        if self.key is None:
            return Flaw(
                f"table {self.name} has no key, so no row can be looked up in it",
                hint="Say `key:` with the column whose values are unique",
                kind=("no key", self.name),
            )
        return Flaw(
            f"table {self.name} has no row {shown(key)}",
            hint=lambda: self._near(key or ""),
            kind=("no row", self.name, key),
        )

    def _near(self, key: str) -> str | None:
        if self._by_letters is None:
            self._by_letters = {letters(name): name for name in self.by_key}
        if found := self._by_letters.get(letters(key)):
            return meant(key, found)
        return did_you_mean(key, self.by_key)


def read(name: str, spec: Spec, path: Path, sources: Sources, report: Report, where: Position | None) -> Table | None:
    """
    A table's rows. What is wrong with it is reported at `where` (the table's declaration) or at the row.

    Returns:
        None when it cannot be used at all.
    """
    shown_path = sources.show(path)
    try:
        data = sources.read(path)
        if path.suffix == ".csv":
            found = _csv(data, spec, shown_path, report)
        elif path.suffix == ".jsonl":
            found = _jsonl(data, spec, shown_path, report)
        elif path.suffix == ".json":
            found = _json(data, spec, shown_path)
        elif path.suffix in YAML_ENDINGS:
            found = _yaml(data, spec, path, sources, report)
        else:
            raise Flaw(f"{shown_path} is no table", hint=f"A table is a file that ends in {', '.join(ENDINGS)}")
        if found is None:
            return None
        for column, cell in zip(found[0], found[1][0], strict=True) if found[1] else ():
            if type(cell) is Missing and (column == spec.key or column in spec.columns.values()):
                raise cell.flaw
        columns = _renamed(found[0], spec, shown_path)
        table = Table(name, shown_path, spec.key, (columns, found[1], found[2]))
        _check_key(table, report)
        if len(table) < spec.min_rows:
            raise Flaw(
                f"{shown_path} has {len(table):,} rows, min_rows is {spec.min_rows:,}",
                hint="An export that is cut short must not empty a fleet. If it is right, say min_rows",
            )
        return table
    except Flaw as flaw:
        report.flaw(flaw, where)
    except RecursionError:
        report.add(f"{shown_path} is nested too deep", where)
    return None


def _renamed(columns: Sequence[str], spec: Spec, shown_path: str) -> list[str]:
    names = list(columns)
    for ours, theirs in spec.columns.items():
        if theirs not in columns:
            raise Flaw(
                f"{shown_path} has no column {shown(theirs)}",
                notes=[f"Columns: {listed(columns, show=shown)}"],
                hint=suggestion(theirs, columns),
            )
        if ours != theirs and ours in columns and ours not in spec.columns.values():
            raise Flaw(f"{shown_path} has a column {shown(ours)} already, it cannot be the name of {shown(theirs)}")
        names[list(columns).index(theirs)] = ours
    if spec.key is not None and spec.key not in names:
        raise Flaw(
            f"{shown_path} has no column {shown(spec.key)}, which is its key",
            notes=[f"Columns: {listed(names, show=shown)}"],
            hint=suggestion(spec.key, names),
        )
    return names


def _check_key(table: Table, report: Report) -> None:
    if table.key is None:
        return
    at, wrong = list(table.columns).index(table.key), 0
    for index, cells in enumerate(table.rows):
        if wrong == _MOST_WRONG:
            report.add(
                f"{wrong:,} rows of table {table.name} have a wrong {table.key}, so the others were not looked at",
                table.where(index),
            )
            return
        try:
            word = as_text(cells[at] if cells[at] is not ABSENT else None)
        except Flaw:
            word = None
        if not word:
            wrong += 1
            report.add(
                f"a row of table {table.name} has no {table.key}, which is its key",
                table.where(index),
                shown=Showing(row=table.say(index), group=("key", table.shown)),
            )
        elif (first := table.by_key.get(word, index)) != index:
            wrong += 1
            report.add(
                f"{table.key} {shown(word)} is there twice in table {table.name}, first in row {first + 1} "
                f"(line {table.lines[first]})",
                table.where(index),
                shown=Showing(row=table.say(index), group=("twice", table.shown)),
            )


def _text(data: bytes, spec: Spec, shown_path: str) -> str:
    if spec.encoding is None:
        try:
            text = text_of(data)
        except NotText as wrong:
            if wrong.why == "is UTF-16":
                raise Flaw(f"{shown_path} is UTF-16", hint="Say encoding: utf-16") from None
            raise Flaw(f"{shown_path} is not UTF-8 on line {wrong.line}", hint="Say encoding, such as cp1252") from None
    else:
        try:
            codec = codecs.lookup(spec.encoding)
            known = codec._is_text_encoding and codec.name.replace("-", "_") not in _NO_CODEC
        except (LookupError, ValueError):
            known = False
        if not known:
            raise Flaw(f"there is no encoding {shown(spec.encoding)}", hint="Such as utf-8, cp1252, iso-8859-1")
        try:
            text = data.decode(spec.encoding)
        except (UnicodeError, ValueError):
            raise Flaw(f"{shown_path} is not {spec.encoding}") from None
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        raise Flaw(f"{shown_path} holds the character U+0000")
    return text


def _csv(data: bytes, spec: Spec, shown_path: str, report: Report) -> Rows | None:
    text, delimiter, above = _from_header(_text(data, spec, shown_path), spec, shown_path)
    reader = csv.reader(io.StringIO(_without_spaces(text, delimiter), newline=""), delimiter=delimiter, strict=True)
    columns: list[str] | None = None
    rows: list[tuple[Any, ...]] = []
    lines = array("I")
    wrong = False
    line = above + 1
    try:
        for cells in reader:
            here, line = line, above + reader.line_num + 1
            row = tuple([cell.strip() for cell in cells])
            if not any(row):
                continue
            if columns is None:
                columns = _header(row, delimiter, shown_path)
            elif len(row) != len(columns):
                wrong = True
                report.add(
                    f"a row has {len(row)} cells, the header has {len(columns)}",
                    Position(shown_path, here, 0, len(rows) + 1),
                    shown=Showing(row=f"{shown_path} line {here}", group=("length", shown_path, len(row))),
                    hint="A cell that holds the delimiter stands in double quotes",
                )
            else:
                rows.append(row)
                lines.append(here)
                if len(rows) > MAX_ROWS:
                    raise Flaw(f"{shown_path} has more than {MAX_ROWS:,} rows")
    except csv.Error as error:
        raise Flaw(f"{shown_path} cannot be read as CSV on line {above + reader.line_num}: {error}") from None
    if columns is None:
        raise Flaw(f"{shown_path} is empty, it has not even a header")
    return None if wrong else _usable(columns, rows, lines, shown_path)


def _from_header(text: str, spec: Spec, shown_path: str) -> tuple[str, str, int]:
    """The text from its header on, the delimiter, and how many lines are above: `sep=;` of Excel, and titles."""
    said = _SEP.match(text)
    delimiter = said[1] if said is not None and spec.delimiter == "," else spec.delimiter
    above = max(spec.header_row - 1, 1 if said is not None else 0)
    parts = text.split("\n", above)
    if len(parts) <= above:
        raise Flaw(f"{shown_path} has no line {above + 1}, where its header should be")
    return parts[above], delimiter, above


def _without_spaces(text: str, delimiter: str) -> str:
    """The text without the spaces around quoted cells, which `csv` takes for a part of the cell, or refuses."""
    spaces = " " if delimiter == "\t" else "[ \t]"
    if '"' not in text or re.search(f'{spaces}"|"{spaces}', text) is None:
        return text
    of = re.escape(delimiter)
    return re.sub(f'(^|[{of}\n]){spaces}*("(?:[^"]|"")*"){spaces}*(?=[{of}\r\n]|\\Z)', r"\1\2", text)


def _usable(columns: list[str], rows: list[tuple[Any, ...]], lines: array[int], shown_path: str) -> Rows:
    """
    The columns that can be named. A delimiter at the end of every line makes an empty one without a name; of those with
    one name no cell can be used.
    """
    unnamed = [index for index, name in enumerate(columns) if not name]
    for index in unnamed:
        number = next((number for number, row in enumerate(rows) if row[index]), None)
        if number is not None:
            raise Flaw(
                f"column {index + 1} of {shown_path} has no name, and line {lines[number]} has a value there",
                hint="Give it a name in the header; or a cell holds the delimiter and has no quotes; or the header"
                " stands on a later line, which `header_row` says",
            )
    twice = {name for name in columns if name and columns.count(name) > 1}
    if not unnamed and not twice:
        return columns, rows, lines
    kept = [index for index, name in enumerate(columns) if name and columns.index(name) == index]
    doubled = {
        columns.index(name): Missing(
            Flaw(f"column {shown(name)} is there twice in {shown_path}", hint="Give one of the two another name")
        )
        for name in twice
    }
    cut = [tuple([doubled.get(index, row[index]) for index in kept]) for row in rows]
    return [columns[index] for index in kept], cut, lines


def _header(row: tuple[str, ...], delimiter: str, shown_path: str) -> list[str]:
    columns = list(row)
    if len(columns) == 1 and delimiter == ",":
        for other, name in ((";", ";"), ("\t", "\\t"), ("|", "|")):
            if other in columns[0]:
                raise Flaw(
                    f"{shown_path} has one column, {shown(columns[0])}", hint=f'Say delimiter: "{name}" in its table'
                )
    _check_width(len(columns), shown_path)
    return columns


def _check_width(columns: int, shown_path: str) -> None:
    if columns > MAX_COLUMNS:
        raise Flaw(
            f"{shown_path} has more than {MAX_COLUMNS:,} columns",
            hint="Is it turned on its side? A row is one unit, a column what it says of each",
        )


def _jsonl(data: bytes, spec: Spec, shown_path: str, report: Report) -> Rows | None:
    members: list[tuple[int, Any]] = []
    wrong = False
    for number, line in enumerate(_text(data, spec, shown_path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            found = json_data(line)
            if not isinstance(found, dict):
                raise ValueError("a row is a map")
            members.append((number, found))
        except ValueError as error:
            wrong = True
            report.add(
                f"a line is not a row of JSON: {getattr(error, 'msg', error)}",
                Position(shown_path, number),
                shown=Showing(row=f"{shown_path} line {number}", group=("jsonl", shown_path)),
            )
    return None if wrong else _from_maps(members, shown_path, len(data))


def _json(data: bytes, spec: Spec, shown_path: str) -> Rows:
    try:
        found = json_data(_text(data, spec, shown_path))
    except ValueError as error:
        line = f" on line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise Flaw(f"{shown_path} is not JSON{line}: {getattr(error, 'msg', error)}") from None
    return _of_data(found, spec, shown_path, len(data), lambda index, key: 1)


def _yaml(data: bytes, spec: Spec, path: Path, sources: Sources, report: Report) -> Rows | None:
    shown_path = sources.show(path)
    text = decode(data)
    sources.keep(path, text)
    tree = parse(text, sources.number(path))
    if tree.mistakes:
        for line, column, flaw in tree.mistakes:
            report.flaw(flaw, Position(shown_path, line, column))
        return None
    root = tree.root
    if root is None or (type(root) is Scalar and root.null):
        return [spec.key] if spec.key else [], [], array("I")

    def line_of(index: int, key: str | None) -> int:
        if type(root) is Map and key is not None:
            return place(root.key_at(key))[1]
        return place(root.members[index].at)[1] if type(root) is Seq else 1

    return _of_data(plain(root), spec, shown_path, len(data), line_of)


def _of_data(found: Any, spec: Spec, shown_path: str, size: int, line_of: Callable[[int, str | None], int]) -> Rows:
    if isinstance(found, list):
        members = [(line_of(index, None), row) for index, row in enumerate(found)]
    elif isinstance(found, dict) and spec.key is not None:
        # A map of maps: each key is the cell of the key's column.
        members = []
        for index, (key, row) in enumerate(found.items()):
            if isinstance(row, dict) and as_text(row.get(spec.key, key)) != key:
                raise Flaw(f"{shown_path} row {shown(key)} says another {spec.key} inside")
            members.append((line_of(index, key), {spec.key: key, **row} if isinstance(row, dict) else row))
    elif isinstance(found, dict):
        raise Flaw(f"{shown_path} is a map of rows, and its table has no key", hint="Say `key:` in its table")
    else:
        raise Flaw(f"{shown_path} is neither a list of rows nor a map of rows")
    for index, (_, row) in enumerate(members):
        if not isinstance(row, dict):
            raise Flaw(f"row {index + 1} of {shown_path} is not a map")
    return _from_maps(members, shown_path, size)


def _from_maps(members: list[tuple[int, Any]], shown_path: str, size: int) -> Rows:
    columns: dict[str, None] = {}
    for _, row in members:
        if row.keys() != columns.keys():
            columns.update(dict.fromkeys(row))
            _check_width(len(columns), shown_path)
    names = list(columns)
    if len(names) * len(members) > max(FEW_CELLS, size):
        raise Flaw(
            f"{shown_path} has {len(members):,} rows and {len(names):,} columns, and hardly a row has most of them",
            hint="Rows of one table are alike: make two tables of it, or one map of what is rare",
        )
    rows = [tuple([row.get(name, ABSENT) for name in names]) for _, row in members]
    return names, rows, array("I", [line for line, _ in members])
