"""
What the state's database holds: its tables, and its one row of `meta`.

In: the head as `core` knows it. Out: a row with a checksum, and the same again, or a `StateError`. Nothing here opens a
file; rows of entries and intents are `backends.rows`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reconcile.backends.rows import RESTORE, broken, checksum, twins
from reconcile.core.ports import Head, Moved

APPLICATION_ID = 0x5243_4E43  # "RCNC"; `file` shows it, and no other SQLite database has it
VERSION = 3
KNOWN = (1, 2, 3)  # an older one is read as it is, and becomes one of this version at its first write

# `body` is the entry's JSON; `type`, `unit` and `under` repeat what queries need of it. Clustered by address, so that
# a scan in the order of the addresses reads the file once and sorts nothing.
_TABLES_2: tuple[str, ...] = (
    "CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), lineage TEXT NOT NULL, serial INTEGER NOT NULL,"
    " fleet TEXT NOT NULL, accounts TEXT NOT NULL, epoch INTEGER NOT NULL, entries INTEGER NOT NULL, run TEXT,"
    " used TEXT NOT NULL, step INTEGER NOT NULL, mark TEXT NOT NULL, whole_step INTEGER NOT NULL,"
    " whole_mark TEXT NOT NULL, sum BLOB NOT NULL)",
    "CREATE TABLE entries (address TEXT PRIMARY KEY, type TEXT NOT NULL, unit TEXT NOT NULL, under TEXT,"
    " body TEXT NOT NULL, sum BLOB NOT NULL) WITHOUT ROWID",
    "CREATE INDEX entries_unit ON entries (type, unit)",
    "CREATE INDEX entries_under ON entries (under) WHERE under IS NOT NULL",
    "CREATE TABLE operations (n INTEGER PRIMARY KEY, operation TEXT NOT NULL UNIQUE, address TEXT NOT NULL,"
    " change TEXT NOT NULL, begun TEXT NOT NULL, epoch INTEGER NOT NULL, sum BLOB NOT NULL)",
    "CREATE TABLE plans (digest TEXT PRIMARY KEY, applied TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE leases (scope TEXT PRIMARY KEY, id TEXT NOT NULL, holder TEXT NOT NULL, epoch INTEGER NOT NULL,"
    " since TEXT NOT NULL, expires TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL,"
    " process TEXT NOT NULL, until REAL NOT NULL DEFAULT 0) WITHOUT ROWID",
)
_HISTORY: tuple[str, ...] = (
    "CREATE TABLE runs (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, serial INTEGER NOT NULL, begun TEXT NOT NULL,"
    " about TEXT NOT NULL, ended TEXT, outcome TEXT, counts TEXT)",
    "CREATE TABLE changes (n INTEGER PRIMARY KEY, run TEXT NOT NULL, address TEXT NOT NULL, body TEXT NOT NULL)",
    "CREATE INDEX changes_run ON changes (run)",
    "CREATE TABLE moved (one INTEGER PRIMARY KEY CHECK (one = 1), place TEXT NOT NULL, done INTEGER NOT NULL)",
    "CREATE TABLE kept (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at TEXT NOT NULL, serial INTEGER NOT NULL,"
    " entries INTEGER NOT NULL, why TEXT NOT NULL)",
    "CREATE TABLE kept_parts (id TEXT NOT NULL, part INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (id, part))",
)
_META_1 = (
    "CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), lineage TEXT NOT NULL, serial INTEGER NOT NULL,"
    " fleet TEXT NOT NULL, accounts TEXT NOT NULL, epoch INTEGER NOT NULL, entries INTEGER NOT NULL,"
    " sum BLOB NOT NULL)"
)
_LEASES_1 = _TABLES_2[-1].replace(", until REAL NOT NULL DEFAULT 0", "")
_TABLES_1 = (_META_1, *_TABLES_2[1:-1], _LEASES_1)
TABLES = (*_TABLES_2, *_HISTORY)
_OF_VERSION = {1: _TABLES_1, 2: _TABLES_2, 3: TABLES}


def refuse_twins(db: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """
    Refuses one unit under two addresses, because each of the two would be written over the other for ever.

    Only roots are looked at: what hangs on one is identified by it and by its own key, which is the address.

    Args:
        rows: of `ENTRY_COLUMNS`, about to be put, with distinct addresses. Entries that they replace, and those that
            are dropped with them, are out of the table by now: units may move, and change places.

    Raises:
        StateError: naming both addresses. Nothing of the transaction may stay.
    """
    taken: dict[tuple[str, str], str] = {}
    for address, type_path, unit, under, *_ in rows:
        if under is not None or not unit:
            continue
        if (other := taken.setdefault((type_path, unit), address)) == address:
            found = db.execute(
                "SELECT address FROM entries WHERE type = ? AND unit = ? AND under IS NULL LIMIT 1", (type_path, unit)
            ).fetchone()
            if found is None:
                continue
            other = found[0]
        raise twins(address, other, unit)


@dataclass(frozen=True, slots=True)
class Step:
    """A transaction: its number, and a random mark, since copies count on by themselves."""

    n: int = 0
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Meta:
    """
    The one row of `meta`. Every transaction writes it.

    Attributes:
        epoch: the newest. `entries`: the number that there must be.
        used: the process that uses it, under a name drawn at random; "" when the last one that wrote has closed it.
        step: the transaction that wrote this row.
        whole: one that the file holds by itself, whatever becomes of its log.
    """

    head: Head
    epoch: int = 0
    entries: int = 0
    used: str = ""
    step: Step = Step()
    whole: Step = Step()

    def save(self, db: sqlite3.Connection) -> None:
        """Writes it, within the caller's transaction."""
        head = self.head
        accounts = {name: list(pair) for name, pair in sorted(head.accounts.items())}
        columns = (
            *(head.lineage, head.serial, head.fleet, json.dumps(accounts), self.epoch, self.entries, head.run),
            *(self.used, self.step.n, self.step.mark, self.whole.n, self.whole.mark),
        )
        db.execute(f"INSERT OR REPLACE INTO meta VALUES (1, ?{', ?' * len(columns)})", (*columns, checksum(*columns)))


def version_of(db: sqlite3.Connection) -> int:
    """The version of the tables of an open state."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def meta_of(path: object, db: sqlite3.Connection) -> Meta:
    """
    The row of `meta`.

    Raises:
        StateError: there is none, the lineage is missing, the serial is negative, or the checksum does not fit.
    """
    more = "" if version_of(db) == 1 else "run, used, step, mark, whole_step, whole_mark, "
    row = db.execute(f"SELECT lineage, serial, fleet, accounts, epoch, entries, {more}sum FROM meta").fetchone()
    if row is None:
        raise broken(f"{path}: the state has no lineage: its first row is missing")
    lineage, serial, fleet, accounts, epoch, entries, *late, recorded = row
    if not isinstance(lineage, str) or not lineage:
        raise broken(f"{path}: the state has no lineage")
    if not isinstance(serial, int) or serial < 0:
        raise broken(f"{path}: the serial of the state is {serial!r}, which is not a count")
    if checksum(*row[:-1]) != recorded:
        raise broken(f"{path}: the head of the state was edited or damaged: its checksum does not fit")
    run, used, step, mark, whole, whole_mark = late or (None, "", 0, "", 0, "")
    try:
        bound = {name: (str(account), str(host)) for name, (account, host) in json.loads(accounts).items()}
        head = Head(lineage, serial, fleet, bound, run)
        return Meta(head, int(epoch), int(entries), used, Step(int(step), mark), Step(int(whole), whole_mark))
    except (AttributeError, TypeError, ValueError) as error:
        raise broken(f"{path}: the head of the state cannot be read: {error}") from error


def moved_of(db: sqlite3.Connection) -> Moved | None:
    """Where the state was moved to, if it was."""
    row = db.execute("SELECT place, done FROM moved").fetchone() if version_of(db) >= 3 else None
    return Moved(str(row[0]), bool(row[1])) if row is not None else None


def verify(path: object, db: sqlite3.Connection) -> None:
    """
    Checks that an open database is a state of this version with all of its entries.

    Raises:
        StateError: saying whose it is instead, or what is missing.
    """
    (application,) = db.execute("PRAGMA application_id").fetchone()
    version = version_of(db)
    if application != APPLICATION_ID:
        raise broken(
            f"{path} is a database, but not a state of reconcile",
            hint="Move it away, or name another file with --state",
        )
    if version not in KNOWN:
        newer = version > VERSION
        raise broken(
            f"{path} is a state of version {version}, and this reconcile knows version {VERSION}",
            hint="Use the reconcile that wrote it, or a later one" if newer else RESTORE,
        )
    found = {sql for (sql,) in db.execute("SELECT sql FROM sqlite_master") if sql is not None}
    if found != set(_OF_VERSION[version]):
        raise broken(f"{path}: the tables of the state are not those of version {version}")
    meta = meta_of(path, db)
    (entries,) = db.execute("SELECT count(*) FROM entries").fetchone()
    if entries != meta.entries:
        raise broken(f"{path}: the state holds {entries} entries and should hold {meta.entries}")


def build(db: sqlite3.Connection, head: Head) -> None:
    """Makes an empty state in an empty database, in WAL mode."""
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")
    for table in TABLES:
        db.execute(table)
    Meta(head).save(db)
    db.execute("COMMIT")


def upgrade(path: object, db: sqlite3.Connection) -> None:
    """Makes a state of an older version one of this version, within the caller's transaction."""
    version = version_of(db)
    if version == VERSION:
        return
    if version == 1:
        meta, leases = meta_of(path, db), db.execute("SELECT * FROM leases").fetchall()
        for name, table in (("meta", _TABLES_2[0]), ("leases", _TABLES_2[-1])):
            db.execute(f"DROP TABLE {name}")
            db.execute(table)
        meta.save(db)
        db.executemany("INSERT INTO leases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)", leases)
    for table in _HISTORY:
        db.execute(table)
    db.execute(f"PRAGMA user_version = {VERSION}")
