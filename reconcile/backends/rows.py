"""
Entries and intents as rows of a database, with a checksum, and back; the same in every home.

`sum` is BLAKE2b-16 over the other columns, each preceded by its length. It is not keyed: it tells damage and editing by
hand, not an attacker who can compute it.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any

from reconcile.core.address import Address
from reconcile.core.history import ABOUT, UNFINISHED, About, Changed, Run
from reconcile.core.ports import Begun, Intent, Record
from reconcile.core.resource import Entry, entry_from_json, entry_to_json
from reconcile.errors import Problem, StateError

ROW_BYTES = 16 << 20  # of one row; a state of a hundred thousand devices has rows of a few hundred
RESTORE = "Put back a copy of it that is whole, or move it away: without a state, the next apply adopts what is live"
ENTRY_COLUMNS = "address, type, unit, under, body, sum"

_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def broken(what: str, *, address: str | None = None, hint: str = RESTORE) -> StateError:
    """The error of a state that is there and cannot be used."""
    return StateError(Problem(what, address=address, hint=hint))


def checksum(*columns: str | int | None) -> bytes:
    """BLAKE2b-16 over columns, each preceded by its length; None is told from the empty string."""
    digest = hashlib.blake2b(digest_size=16)
    for column in columns:
        data = b"" if column is None else str(column).encode()
        digest.update(b"%d:" % (-1 if column is None else len(data)))
        digest.update(data)
    return digest.digest()


def text_of(value: Any, address: str) -> str:
    """
    Plain JSON as a string in ASCII.

    Raises:
        StateError: it holds what JSON has no word for, such as a NaN, or is larger than a row may be.
        TypeError: it holds a secret, or anything else that is not JSON.
    """
    try:
        text = _ENCODER.encode(value)
    except ValueError as error:
        raise broken(
            f"a value cannot be kept in the state: {error}", address=address, hint="This is a fault of reconcile"
        ) from error
    if len(text) > ROW_BYTES - 4096:  # what stands beside it in the row
        raise broken(
            f"its record is {len(text):,} bytes; the state holds at most {ROW_BYTES:,} bytes per resource",
            address=address,
            hint="Make its values shorter",
        )
    return text


def entry_row(entry: Entry) -> tuple[Any, ...]:
    """
    An entry as its columns.

    Raises:
        StateError: it holds what cannot be kept; see `text_of`.
        TypeError: it holds a secret.
    """
    at = entry.address
    return _summed((str(at), at.type_path, entry.id, at.parent, text_of(entry_to_json(entry), str(at))), str(at))


def _summed(columns: tuple[Any, ...], address: str) -> tuple[Any, ...]:
    try:
        return (*columns, checksum(*columns))
    except UnicodeEncodeError as error:
        raise broken(
            f"an id or key that is not valid Unicode cannot be kept in the state: {error.object!a}",
            address=address.encode("ascii", "backslashreplace").decode(),
            hint="Rename the unit at its API",
        ) from error


def body_of(path: object, row: tuple[Any, ...]) -> str:
    """The entry's JSON out of its columns. Raises StateError naming the address when the checksum does not fit."""
    *columns, recorded = row
    if checksum(*columns) != recorded:
        raise broken(f"{path}: the entry was edited or damaged: its checksum does not fit", address=str(columns[0]))
    return str(columns[4])


def entry_of(path: object, row: tuple[Any, ...]) -> Entry:
    """The inverse of `entry_row`. Raises StateError naming the address when the row is damaged."""
    body = body_of(path, row)
    try:
        entry = entry_from_json(json.loads(body))
        if (entry.address, entry.id) != (row[0], row[2]):
            raise ValueError("its columns and its body differ")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise broken(f"{path}: the entry cannot be read: {error!r}", address=str(row[0])) from error
    return entry


def begun_row(record: Begun, at: str, epoch: int) -> tuple[Any, ...]:
    """An intent as its columns without `n`; raises as `entry_row` does."""
    address = str(record.address)
    columns = (record.operation, address, text_of(record.change, address), at, epoch)
    return _summed(columns, address)


def intent_of(path: object, row: tuple[Any, ...]) -> Intent:
    """The inverse of `begun_row`. Raises StateError naming the address when the row is damaged."""
    *columns, recorded = row
    operation, address, change, begun, _ = columns
    if checksum(*columns) != recorded:
        raise broken(
            f"{path}: the operation {operation} was edited or damaged: its checksum does not fit",
            address=str(address),
        )
    return Intent(operation, Address(address), json.loads(change), begun)


def twins(address: str, other: str, unit: str) -> StateError:
    """The error of one unit under two addresses, because each of the two would be written over the other for ever."""
    return broken(
        f"{address} and {other} would both be unit {unit}; a unit can be in the state under one address only",
        address=address,
        hint=f"Plan again; if {other} is not it any more, take it out: `reconcile state rm {quote(other)}`",
    )


def about_text(about: About) -> str:
    """What a run is about, as it is kept."""
    return text_of(ABOUT.dump(about), "the run")


def run_of(path: object, row: tuple[Any, ...]) -> Run:
    """A run from `id, serial, begun, about, ended, outcome, counts`. Raises StateError when it cannot be read."""
    id, serial, begun, about, ended, outcome, counts = row
    try:
        told = json.loads(counts) if counts else {}
        return Run(id, serial, begun, ABOUT.load(json.loads(about)), ended, outcome or UNFINISHED, told)
    except (TypeError, ValueError) as error:
        raise broken(
            f"{path}: the run {id} cannot be read: {error!r}", hint="Another run is not touched by it"
        ) from error


def told_text(told: Changed) -> str:
    """What a run did to a resource, as it is kept beside its address."""
    return text_of({"action": told.action, "at": told.at, "fields": list(told.fields)}, str(told.address))


def told_of(path: object, row: tuple[Any, ...]) -> Changed:
    """The inverse, of `address, body`. Raises StateError when it cannot be read."""
    address, body = row
    try:
        said = json.loads(body)
        return Changed(Address(address), said["action"], said["at"], tuple(said["fields"]))
    except (KeyError, TypeError, ValueError) as error:
        raise broken(f"{path}: the history cannot be read: {error!r}", address=str(address)) from error


@dataclass(frozen=True, slots=True)
class Written:
    """
    What several records come to, as rows by the key of each; None where there is none any more.

    Attributes:
        operations: in the order in which they last began. told: address and body, for the history.
    """

    entries: dict[str, tuple[Any, ...] | None]
    operations: dict[str, tuple[Any, ...] | None]
    told: list[tuple[Any, ...]]

    @property
    def put(self) -> list[tuple[Any, ...]]:
        """The rows of entries that are there, in the order of their addresses."""
        return [row for _, row in sorted(self.entries.items()) if row]

    @property
    def opened(self) -> list[tuple[Any, ...]]:
        """The rows of operations that began and did not end."""
        return [row for row in self.operations.values() if row]


def written(records: Sequence[Record], at: str, epoch: int) -> Written:
    """
    Records in their order, as rows.

    Raises:
        StateError, TypeError: as `entry_row` does.
    """
    all_of_it = Written({}, {}, [])
    entries, operations = all_of_it.entries, all_of_it.operations
    for record in records:
        operations.pop(record.operation, None)  # so that it stands where it last began
        if isinstance(record, Begun):
            operations[record.operation] = begun_row(record, at, epoch)
            continue
        operations[record.operation] = None
        if record.told is not None:
            all_of_it.told.append((str(record.told.address), told_text(record.told)))
        entries.update(dict.fromkeys(map(str, record.drop)))
        entries.update((str(entry.address), entry_row(entry)) for entry in record.put)
    return all_of_it


PART_BYTES = 4 << 20  # of a state that is kept: a row of a database is no place for all of a large one


def parts_of(text: Iterable[str]) -> Iterator[bytes]:
    """The text of a state, compressed, in parts that fit a row."""
    packer, held = zlib.compressobj(6), b""
    for piece in text:
        held += packer.compress(piece.encode())
        while len(held) > PART_BYTES:
            yield held[:PART_BYTES]
            held = held[PART_BYTES:]
    yield held + packer.flush()


def text_of_parts(path: object, parts: Iterable[bytes]) -> Iterator[str]:
    """The inverse of `parts_of`. Raises StateError when they are damaged."""
    unpacker, reader = zlib.decompressobj(), codecs.getincrementaldecoder("utf-8")()
    try:
        for part in parts:
            yield reader.decode(unpacker.decompress(part))
        yield reader.decode(unpacker.flush(), final=True)
        if not unpacker.eof:
            raise ValueError("it ends in the middle")
    except (zlib.error, ValueError) as error:
        raise broken(f"{path}: the state that is kept cannot be read: {error}", hint="Take another one") from error
