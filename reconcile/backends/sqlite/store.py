"""
The local state: one SQLite file per fleet, `state/<fleet>.db`.

In: records of what was begun and what came of it. Out: entries, intents, leases. Calls run on the event loop, each for
at most `file.BUSY_S` while another process writes; then they are tried again after a sleep. Reading makes no
file: where there is none, there is nothing. The file is in WAL mode, so that a reader never waits for a writer.
"""

from __future__ import annotations

import json
import random
import re
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from reconcile.backends.holders import Process, no_lease, past, process_of, stamp
from reconcile.backends.rows import (
    ENTRY_COLUMNS,
    about_text,
    begun_row,
    body_of,
    entry_of,
    entry_row,
    intent_of,
    parts_of,
    run_of,
    text_of_parts,
    told_of,
    told_text,
    written,
)
from reconcile.backends.sqlite import leases
from reconcile.backends.sqlite.connection import StateFile
from reconcile.backends.sqlite.file import Busy
from reconcile.backends.sqlite.schema import Meta, meta_of, moved_of, refuse_twins, version_of
from reconcile.core.address import Address
from reconcile.core.bindings import APPLIED
from reconcile.core.dump import first_part, last_part
from reconcile.core.history import DONE, About, Changed, Run
from reconcile.core.ports import KEPT, Begun, Dump, Head, Intent, Kept, Lease, Moved, Record, Store
from reconcile.core.resource import Entry
from reconcile.errors import Locked, Problem, Refused

CHUNK = 500  # values in one IN list; SQLite took no more than 999 before 3.32
ROWS = 1000  # fetched at a time
_OPERATIONS = "SELECT operation, address, change, begun, epoch, sum FROM operations ORDER BY n"
SURROGATE = re.compile("[\ud800-\udfff]")


class SqliteStore(Store):
    """
    `core.ports.Store` in a file; what its methods promise stands there.

    `entries`, `units` and `pull` read through their own connection, so that writes meanwhile neither wait nor show.

    Args:
        path: of the file; its directory is made when the state is.
        now: wall clock, aware UTC: for expiry and for what people read.
        rng: draws lease ids and sleeps.
        process: the one that holds a lease.
        without_log: a state that is in use may lack its log, so that `unlock` can end that.
    """

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], datetime],
        rng: random.Random,
        process: Process,
        without_log: bool = False,
    ) -> None:
        self._rng, self._now, self._process = rng, now, process
        self._file = StateFile(path.absolute(), rng, without_log=without_log)

    def __str__(self) -> str:
        return str(self._file.path)

    # ------------------------------------------------------------------ reading

    async def head(self) -> Head | None:
        return await self._file.read(lambda db: replace(meta_of(self._file.path, db).head, moved=moved_of(db)), None)

    async def get(self, addresses: Sequence[Address]) -> dict[Address, Entry]:
        found = await self._chosen("address IN ({})", addresses)
        return {entry.address: entry for entry in found}

    async def by_unit(self, path: str, ids: Sequence[str]) -> dict[str, Entry]:
        found = await self._chosen("type = ? AND unit IN ({})", ids, path)
        return {entry.id: entry for entry in reversed(found)}

    async def under(self, parents: Sequence[Address]) -> list[Entry]:
        return await self._chosen("under IN ({})", parents)

    async def entries(self, path: str | None = None) -> AsyncGenerator[Sequence[Entry], None]:
        with self._file.snapshot() as db:
            if db is not None:
                for rows in _entry_rows(db, path):
                    yield [entry_of(self._file.path, row) for row in rows]

    async def units(self, path: str) -> AsyncGenerator[Sequence[tuple[Address, str]], None]:
        with self._file.snapshot() as db:
            if db is not None:
                # Only the columns are read, without the checksum: whoever acts on one gets its entry.
                query = "SELECT address, unit FROM entries WHERE type = ? ORDER BY address"
                for rows in _batches(db.execute(query, (path,))):
                    yield [(Address(address), unit) for address, unit in rows]

    async def count(self, path: str | None = None) -> int:
        where, values = ("", ()) if path is None else (" WHERE type = ?", (path,))
        query = f"SELECT count(*) FROM entries{where}"
        return await self._file.read(lambda db: int(db.execute(query, values).fetchone()[0]), 0)

    async def unfinished(self) -> list[Intent]:
        return await self._file.read(
            lambda db: [intent_of(self._file.path, row) for row in db.execute(_OPERATIONS)], []
        )

    async def applied(self, plan: str) -> bool:
        query = "SELECT 1 FROM plans WHERE digest = ?"
        return await self._file.read(lambda db: db.execute(query, (plan,)).fetchone() is not None, False)

    async def leases(self) -> list[Lease]:
        return await self._file.read(lambda db: [leases.lease_of(row) for row in leases.rows(db)], [])

    async def runs(self, since: datetime | None = None) -> AsyncGenerator[Sequence[Run], None]:
        with self._file.snapshot() as db:
            if db is not None and version_of(db) >= 3:
                query = "SELECT id, serial, begun, about, ended, outcome, counts FROM runs WHERE begun >= ?"
                query += " ORDER BY begun DESC, n DESC"
                for rows in _batches(db.execute(query, (stamp(since) if since else "",))):
                    yield [run_of(self._file.path, row) for row in rows]

    async def changes(self, run: str) -> AsyncGenerator[Sequence[Changed], None]:
        with self._file.snapshot() as db:
            if db is not None and version_of(db) >= 3:
                query = "SELECT address, body FROM changes WHERE run = ? ORDER BY n"
                for rows in _batches(db.execute(query, (run,))):
                    yield [told_of(self._file.path, row) for row in rows]

    async def pull(self, kept: str | None = None) -> AsyncGenerator[str, None]:
        with self._file.snapshot() as db:
            if db is None or (kept is not None and version_of(db) < 3):
                return
            if kept is None:
                for piece in self._dumped(db):
                    yield piece
                return
            parts = db.execute("SELECT body FROM kept_parts WHERE id = ? ORDER BY part", (kept,)).fetchall()
            for piece in text_of_parts(self._file.path, (body for (body,) in parts)) if parts else ():
                yield piece

    def _dumped(self, db: sqlite3.Connection) -> Iterator[str]:
        """The text of the whole state, as `core.dump` has it."""
        yield first_part(meta_of(self._file.path, db).head)
        between = "\n"
        for rows in _entry_rows(db, None):
            yield between + ",\n".join(body_of(self._file.path, row) for row in rows)
            between = ",\n"
        operations = [intent_of(self._file.path, row) for row in db.execute(_OPERATIONS)]
        yield last_part(operations, [digest for (digest,) in db.execute("SELECT digest FROM plans ORDER BY digest")])

    async def mark(self, lease: Lease, moved: Moved | None) -> None:
        def put(db: sqlite3.Connection, meta: Meta) -> tuple[None, Meta]:
            leases.check(db, lease)
            db.execute("DELETE FROM moved")
            if moved is not None:
                db.execute("INSERT INTO moved VALUES (1, ?, ?)", (moved.place, moved.done))
            return None, meta

        await self._file.write(put)

    async def remember(self, lease: Lease, run: Run, changes: Sequence[Changed]) -> None:
        columns = "id, serial, begun, about, ended, outcome, counts"
        row = (run.id, run.serial, run.begun, about_text(run.about), run.ended, run.outcome, json.dumps(run.counts))
        told = [(run.id, str(change.address), told_text(change)) for change in changes]

        def take(db: sqlite3.Connection, meta: Meta) -> tuple[None, Meta]:
            leases.check(db, lease)
            db.execute("DELETE FROM runs WHERE id = ?", (run.id,))
            db.execute("DELETE FROM changes WHERE run = ?", (run.id,))
            db.execute(f"INSERT INTO runs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            db.executemany("INSERT INTO changes (run, address, body) VALUES (?, ?, ?)", told)
            return None, meta

        await self._file.write(take)

    async def kept(self) -> list[Kept]:
        query = "SELECT id, at, serial, entries, why FROM kept ORDER BY n DESC"

        def read(db: sqlite3.Connection) -> list[Kept]:
            return [Kept(*row) for row in db.execute(query)] if version_of(db) >= 3 else []

        return await self._file.read(read, [])

    async def _chosen(self, condition: str, members: Sequence[str], *first: str) -> list[Entry]:
        """Entries that meet a condition with an IN list, in the order of their addresses."""
        # A string that is not valid Unicode, as an API may answer, cannot be in the file.
        wanted = sorted({str(member) for member in members if not SURROGATE.search(member)})

        def read(db: sqlite3.Connection) -> list[Entry]:
            found: list[Entry] = []
            for at in range(0, len(wanted), CHUNK):
                chunk = wanted[at : at + CHUNK]
                where = condition.format(",".join("?" * len(chunk)))
                query = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE {where}"
                found += (entry_of(self._file.path, row) for row in db.execute(query, (*first, *chunk)))
            return sorted(found, key=lambda entry: entry.address)

        return await self._file.read(read, []) if wanted else []

    # ------------------------------------------------------------------ the lease

    async def acquire(self, *, scope: str, holder: str, ttl_s: float, lineage: str, fleet: str) -> Lease:
        def take(db: sqlite3.Connection, meta: Meta) -> tuple[Lease, Meta]:
            if meta.head.fleet != fleet:
                what = f"{self._file.path} is the state of the fleet {meta.head.fleet!r}, and this is {fleet!r}"
                raise Refused(Problem(what, hint="Name the state of this fleet with --state"))
            now, process = self._now(), self._process
            row = leases.row_of(db, scope)
            if row is not None and (held := leases.obstacle(row, now, process)) is not None:
                raise held
            id, expires = f"{self._rng.getrandbits(64):016x}", stamp(now + timedelta(seconds=ttl_s))
            taken = Lease(id, scope, holder, meta.epoch + 1, stamp(now), expires)
            db.execute(
                f"INSERT OR REPLACE INTO leases ({leases.COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(taken.scope, taken.id, taken.holder, taken.epoch, taken.since, taken.expires),
                    *(process.host, process.pid, process_of(process.pid), process.uptime() + ttl_s),
                ),
            )
            return taken, replace(meta, epoch=taken.epoch)

        try:
            self._file.make(Head(lineage, 0, fleet))
            return await self._file.write(take)
        except Busy as busy:
            raise await self._held_up(scope) from busy

    async def _held_up(self, scope: str | None) -> Locked:
        """The error that names the holder of a state in the middle of a write: readers see what was before it."""
        none: list[tuple[Any, ...]] = []
        rows = await self._file.read(leases.rows, none)
        ours = (row for row in rows if scope in (None, row[0]))
        standing = (row for row in ours if leases.alive(row, self._process.host) is not False)
        return leases.busy(self._file.path, next(standing, None))

    async def renew(self, lease: Lease, ttl_s: float) -> Lease:
        def extend(db: sqlite3.Connection, meta: Meta) -> tuple[Lease, Meta]:
            leases.check(db, lease)
            later = replace(lease, expires=stamp(self._now() + timedelta(seconds=ttl_s)))
            until = self._process.uptime() + ttl_s
            db.execute("UPDATE leases SET expires = ?, until = ? WHERE scope = ?", (later.expires, until, later.scope))
            return later, meta

        return await self._file.write(extend)

    async def release(self, lease: Lease) -> None:
        def drop(db: sqlite3.Connection, meta: Meta) -> tuple[None, Meta]:
            db.execute("DELETE FROM leases WHERE id = ? AND epoch = ?", (lease.id, lease.epoch))
            return None, meta

        await self._file.write(drop, nothing=lambda: None)

    async def break_lease(self, id: str) -> None:
        def end(db: sqlite3.Connection, meta: Meta) -> tuple[None, Meta]:
            held = leases.rows(db)
            scopes = [row[0] for row in held if str(row[1]) == id]
            if not scopes and (not id or id != meta.used):
                raise no_lease(id, [leases.lease_of(row) for row in held])
            db.executemany("DELETE FROM leases WHERE scope IS ?", [(scope,) for scope in scopes])
            return None, replace(meta, epoch=meta.epoch + 1)

        def nowhere() -> None:
            raise no_lease(id, [])

        try:
            await self._file.write(end, nothing=nowhere)
        except Busy as busy:
            raise await self._held_up(None) from busy

    # ------------------------------------------------------------------ writing

    async def begin_run(
        self, lease: Lease, accounts: Mapping[str, tuple[str, str]], about: About, keep: timedelta | None = None
    ) -> Head:
        plan, text, now = about.plan, about_text(about), self._now()

        def begin(db: sqlite3.Connection, meta: Meta) -> tuple[Head, Meta]:
            leases.check(db, lease)
            if plan is not None:
                if db.execute("SELECT 1 FROM plans WHERE digest = ?", (plan,)).fetchone():
                    raise Refused(APPLIED)
                db.execute("INSERT INTO plans VALUES (?, ?)", (plan, stamp(now)))
            run = f"{self._rng.getrandbits(128):032x}"
            accounted = {**meta.head.accounts, **accounts}
            head = replace(meta.head, serial=meta.head.serial + 1, accounts=accounted, run=run)
            if keep is not None:
                old = (stamp(now - keep),)
                db.execute("DELETE FROM changes WHERE run IN (SELECT id FROM runs WHERE begun < ?)", old)
                db.execute("DELETE FROM runs WHERE begun < ?", old)
            doing = (f"{lease.holder}, {about.doing}", lease.scope)
            db.execute("UPDATE leases SET holder = ? WHERE scope = ?", doing)
            row = (run, head.serial, stamp(now), text)
            db.execute("INSERT INTO runs (id, serial, begun, about) VALUES (?, ?, ?, ?)", row)
            return head, replace(meta, head=head)

        return await self._file.write(begin)

    async def end_run(self, lease: Lease, run: str, outcome: str, counts: Mapping[str, int]) -> None:
        def end(db: sqlite3.Connection, meta: Meta) -> tuple[None, Meta]:
            leases.check(db, lease)
            row = (stamp(self._now()), outcome, json.dumps(counts), run)
            db.execute("UPDATE runs SET ended = ?, outcome = ?, counts = ? WHERE id = ?", row)
            return None, meta

        await self._file.write(end)

    async def write(self, lease: Lease, records: Sequence[Record]) -> None:
        new = written(records, stamp(self._now()), lease.epoch)

        def commit(db: sqlite3.Connection, meta: Meta) -> tuple[Locked | None, Meta]:
            row = leases.check(db, lease)
            ended = bool(new.opened) and leases.has_ended(row, self._now(), self._process)
            closed = [name for name, row in new.operations.items() if row is None or not ended]
            db.executemany("DELETE FROM operations WHERE operation = ?", [(name,) for name in closed])
            db.executemany(
                "INSERT INTO operations (operation, address, change, begun, epoch, sum) VALUES (?, ?, ?, ?, ?, ?)",
                [] if ended else new.opened,
            )
            gone = db.executemany("DELETE FROM entries WHERE address = ?", [(name,) for name in new.entries]).rowcount
            put = new.put
            refuse_twins(db, put)
            db.executemany(f"INSERT INTO entries ({ENTRY_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", put)
            history = [(meta.head.run or "", *row) for row in new.told]
            db.executemany("INSERT INTO changes (run, address, body) VALUES (?, ?, ?)", history)
            # Nothing may begin any more; what came of what had begun is recorded.
            late = past(lease, str(row[5])) if ended else None
            return late, replace(meta, entries=meta.entries + len(put) - max(gone, 0))

        if records and (late := await self._file.write(commit)) is not None:
            raise late

    async def replace(self, lease: Lease, dump: Dump, about: About) -> Head:
        text, at = about_text(about), stamp(self._now())
        put = [entry_row(entry) for entry in dump.entries]
        opened = [begun_row(Begun(one.operation, one.address, one.change), one.begun, 0) for one in dump.operations]

        def exchange(db: sqlite3.Connection, meta: Meta) -> tuple[Head, Meta]:
            leases.check(db, lease)
            id, run = f"{self._rng.getrandbits(32):08x}", f"{self._rng.getrandbits(128):032x}"
            row = (id, at, meta.head.serial, meta.entries, about.command)
            db.execute("INSERT INTO kept (id, at, serial, entries, why) VALUES (?, ?, ?, ?, ?)", row)
            parts = ((id, part, body) for part, body in enumerate(parts_of(self._dumped(db))))
            db.executemany("INSERT INTO kept_parts VALUES (?, ?, ?)", parts)
            db.execute("DELETE FROM kept WHERE id NOT IN (SELECT id FROM kept ORDER BY n DESC LIMIT ?)", (KEPT,))
            db.execute("DELETE FROM kept_parts WHERE id NOT IN (SELECT id FROM kept)")
            db.execute("DELETE FROM entries")
            db.execute("DELETE FROM operations")
            refuse_twins(db, put)
            db.executemany(f"INSERT INTO entries ({ENTRY_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", put)
            db.executemany(
                "INSERT INTO operations (operation, address, change, begun, epoch, sum) VALUES (?, ?, ?, ?, ?, ?)",
                opened,
            )
            db.executemany("INSERT OR IGNORE INTO plans VALUES (?, ?)", [(digest, at) for digest in dump.plans])
            head = replace(dump.head, fleet=meta.head.fleet, run=run)
            done = (run, head.serial, at, text, at, DONE, json.dumps({DONE: len(put)}))
            columns = "id, serial, begun, about, ended, outcome, counts"
            db.execute(f"INSERT INTO runs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", done)
            return head, replace(meta, head=head, entries=len(put))

        return await self._file.write(exchange)

    async def migrate(self) -> None:
        """Nothing: the file is made, and brought up to date, by the first run that writes."""

    async def close(self) -> None:
        self._file.close()


def _entry_rows(db: sqlite3.Connection, path: str | None) -> Iterator[list[tuple[Any, ...]]]:
    """Batches of rows of entries, in the order of their addresses."""
    # "+" keeps SQLite from going by type and sorting: the table itself has the right order.
    where, values = ("", ()) if path is None else (" WHERE +type = ?", (path,))
    return _batches(db.execute(f"SELECT {ENTRY_COLUMNS} FROM entries{where} ORDER BY address", values))


def _batches(rows: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
    while batch := rows.fetchmany(ROWS):
        yield batch
