"""
The state in PostgreSQL.

In: records of what was begun and what came of it. Out: entries, intents, leases. Each change is one statement, which is
a transaction of its own: no process that is stopped holds a lock of the server, a pooler that lends a connection for
one transaction does, and a statement that is sent again after a connection was lost finds what it did the first time.

A lease is a row, and the server's clock alone says when it ends. A statement that writes holds that row while it does,
so that a takeover comes before or after it, and never in between.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from psycopg import errors

from reconcile.backends.holders import ended, lives, locked, no_lease, past, process_of, stamp, taken_over
from reconcile.backends.postgres.address import ServerAddress
from reconcile.backends.postgres.link import Connection, Link, Rows
from reconcile.backends.rows import (
    ENTRY_COLUMNS,
    about_text,
    begun_row,
    body_of,
    broken,
    entry_of,
    entry_row,
    intent_of,
    parts_of,
    run_of,
    text_of_parts,
    told_of,
    told_text,
    twins,
    written,
)
from reconcile.core.address import Address
from reconcile.core.bindings import APPLIED
from reconcile.core.dump import first_part, last_part
from reconcile.core.history import DONE, About, Changed, Run
from reconcile.core.home import Opening
from reconcile.core.ports import KEPT, Begun, Dump, Head, Intent, Kept, Lease, Moved, Record, Store
from reconcile.core.resource import Entry
from reconcile.errors import Locked, Problem, Refused, StateError

ROWS = 1000  # fetched at a time
_HEAD = "select name, lineage, serial, accounts, run, moved_to, moved from reconcile.fleets where fleet = %(fleet)s"
_OPERATIONS = (
    "select operation, address, change, begun, epoch, sum from reconcile.operations where fleet = %(fleet)s order by n"
)
_PLANS = "select digest from reconcile.plans where fleet = %(fleet)s order by digest"
_ENTRY = tuple(ENTRY_COLUMNS.split(", "))
_OPERATION = ("operation", "address", "change", "begun", "epoch", "sum")
_LEASE = "scope, id, holder, epoch, since, expires, host, pid, process"
_HELD = """held as (
    select 1 from reconcile.leases
    where fleet = %(fleet)s and scope = %(scope)s and id = %(id)s and epoch = %(epoch)s
      and (not %(sends)s or expires > clock_timestamp())
    for share
)"""


def _put(source: str) -> str:
    """Entries as they are given, where there is a row of `source`."""
    return f"""insert into reconcile.entries (fleet, {ENTRY_COLUMNS})
    select %(fleet)s, r.address, r.type, r.unit, r.under, r.body, r.sum
    from {source}, unnest(%(put_address)s::text[], %(put_type)s::text[], %(put_unit)s::text[], %(put_under)s::text[],
                      %(put_body)s::text[], %(put_sum)s::bytea[]) as r (address, type, unit, under, body, sum)
    on conflict (fleet, address) do update
    set type = excluded.type, unit = excluded.unit, under = excluded.under, body = excluded.body, sum = excluded.sum"""


def _opened(source: str) -> str:
    """Operations that began, in the order in which they are given, where there is a row of `source`."""
    return f"""insert into reconcile.operations (fleet, operation, address, change, begun, epoch, sum)
    select %(fleet)s, r.operation, r.address, r.change, r.begun, r.epoch, r.sum
    from {source}, unnest(%(opened_operation)s::text[], %(opened_address)s::text[], %(opened_change)s::text[],
                      %(opened_begun)s::text[], %(opened_epoch)s::bigint[], %(opened_sum)s::bytea[])
         with ordinality as r (operation, address, change, begun, epoch, sum, at)
    order by r.at
    on conflict (fleet, operation) do update
    set n = default, address = excluded.address, change = excluded.change, begun = excluded.begun,
        epoch = excluded.epoch, sum = excluded.sum"""


# Addresses and operations of the parts differ, so that none of them sees what another one does.
_WRITE = f"""with {_HELD}, closed as (
    delete from reconcile.operations o using held where o.fleet = %(fleet)s and o.operation = any(%(closed)s::text[])
), opened as (
    {_opened("held")}
), told as (
    insert into reconcile.changes (fleet, run, batch, at, address, body)
    select %(fleet)s, coalesce(f.run, ''), %(batch)s, r.at, r.address, r.body
    from held, reconcile.fleets f, unnest(%(told_address)s::text[], %(told_body)s::text[])
         with ordinality as r (address, body, at)
    where f.fleet = %(fleet)s
    order by r.at
    on conflict (fleet, batch, at) do nothing
), dropped as (
    delete from reconcile.entries e using held where e.fleet = %(fleet)s and e.address = any(%(dropped)s::text[])
), put as (
    {_put("held")}
)
select count(*) from held"""

# `run` is drawn by whoever asks: sent again, it is found to have begun already, and nothing is counted twice.
_BEGIN = f"""with {_HELD}, fresh as (
    insert into reconcile.plans (fleet, digest, run)
    select %(fleet)s, %(plan)s, %(run)s from held where %(plan)s::text is not null
    on conflict (fleet, digest) do nothing
    returning 1
), begun as (
    update reconcile.fleets f set serial = f.serial + 1, accounts = %(accounts)s, run = %(run)s
    from held
    where f.fleet = %(fleet)s and f.run is distinct from %(run)s
      and (%(plan)s::text is null or exists (select 1 from fresh))
    returning f.serial
), named as (
    update reconcile.leases l set holder = %(doing)s
    from begun where l.fleet = %(fleet)s and l.scope = %(scope)s and l.id = %(id)s
), forgotten as (
    delete from reconcile.changes c using begun where c.fleet = %(fleet)s and c.run in
        (select id from reconcile.runs where fleet = %(fleet)s and begun < %(keep)s)
), pruned as (
    delete from reconcile.runs r using begun where r.fleet = %(fleet)s and r.begun < %(keep)s
)
insert into reconcile.runs (fleet, id, serial, begun, about)
select %(fleet)s, %(run)s, serial, %(at)s, %(about)s from begun
returning 1"""

# A lease that stands is taken when it has ended, when it is given back, or when it is the one that was found to be of a
# process that is gone.
_TAKE = f"""insert into reconcile.leases as l (fleet, {_LEASE}, lasts)
values (%(fleet)s, %(scope)s, %(id)s, %(holder)s, 1, clock_timestamp(),
        clock_timestamp() + make_interval(secs => %(lasts)s), %(host)s, %(pid)s, %(process)s, %(lasts)s)
on conflict (fleet, scope) do update
set id = excluded.id, holder = excluded.holder, epoch = l.epoch + 1, since = clock_timestamp(),
    expires = clock_timestamp() + make_interval(secs => %(lasts)s), lasts = excluded.lasts, host = excluded.host,
    pid = excluded.pid, process = excluded.process
where l.id = '' or l.id = %(id)s or l.expires <= clock_timestamp() or (l.id = %(gone)s and l.epoch = %(gone_epoch)s)
returning {_LEASE}"""


# What is put in the place of it goes over what has its address; the rest leaves. `run` as for `_BEGIN`.
_REPLACE = f"""with {_HELD}, head as (
    update reconcile.fleets f
    set serial = %(serial)s, lineage = %(lineage)s, accounts = %(accounts)s, run = %(run)s
    from held where f.fleet = %(fleet)s and f.run is distinct from %(run)s
    returning 1
), kept as (
    insert into reconcile.kept (fleet, id, at, serial, entries, why)
    select %(fleet)s, %(kept)s, %(at)s, %(was)s, %(had)s, %(why)s from head
), kept_parts as (
    insert into reconcile.kept_parts (fleet, id, part, body)
    select %(fleet)s, %(kept)s, r.part, r.body
    from head, unnest(%(parts_body)s::bytea[]) with ordinality as r (body, part)
), forgotten as (
    delete from reconcile.kept k using head where k.fleet = %(fleet)s and k.id = any(%(forgotten)s::text[])
), forgotten_parts as (
    delete from reconcile.kept_parts k using head where k.fleet = %(fleet)s and k.id = any(%(forgotten)s::text[])
), left_behind as (
    delete from reconcile.entries e using head
    where e.fleet = %(fleet)s and not exists (
        select 1 from unnest(%(put_address)s::text[]) as r (address) where r.address = e.address)
), put as (
    {_put("head")}
), closed as (
    delete from reconcile.operations o using head
    where o.fleet = %(fleet)s and not o.operation = any(%(opened_operation)s::text[])
), opened as (
    {_opened("head")}
), applied as (
    insert into reconcile.plans (fleet, digest, run)
    select %(fleet)s, r.digest, %(run)s from head, unnest(%(plans)s::text[]) as r (digest)
    on conflict (fleet, digest) do nothing
), done as (
    insert into reconcile.runs (fleet, id, serial, begun, about, ended, outcome, counts)
    select %(fleet)s, %(run)s, %(serial)s, %(at)s, %(about)s, %(at)s, %(outcome)s, %(counts)s from head
)
select count(*) from held"""


class PostgresStore(Store):
    """
    `core.ports.Store` in a database; what its methods promise stands there.

    Args:
        database: where it is.
        opening: the fleet under whose name it is kept, and the process that asks.
    """

    def __init__(self, database: ServerAddress, opening: Opening) -> None:
        self._link, self._opening, self._rng = Link(database, opening.rng), opening, opening.rng

    def __str__(self) -> str:
        return str(self._link.address)

    # ------------------------------------------------------------------ reading

    async def head(self) -> Head | None:
        rows = await self._read(_HEAD, {})
        return self._head(rows[0]) if rows else None

    def _head(self, row: tuple[Any, ...]) -> Head:
        name, lineage, serial, accounts, run, place, done = row
        try:
            bound = {each: (str(account), str(host)) for each, (account, host) in json.loads(accounts).items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise broken(f"{self}: the head of the state cannot be read: {error}") from error
        return Head(lineage, serial, name, bound, run, Moved(place, bool(done)) if place is not None else None)

    async def get(self, addresses: Sequence[Address]) -> dict[Address, Entry]:
        return {entry.address: entry for entry in await self._chosen("address", addresses)}

    async def by_unit(self, path: str, ids: Sequence[str]) -> dict[str, Entry]:
        found = await self._chosen("unit", ids, "and type = %(type)s", type=path)
        return {entry.id: entry for entry in reversed(found)}

    async def under(self, parents: Sequence[Address]) -> list[Entry]:
        return await self._chosen("under", parents)

    async def entries(self, path: str | None = None) -> AsyncGenerator[Sequence[Entry], None]:
        async for rows in self._stream(_of_type(ENTRY_COLUMNS, path), {"type": path}):
            yield [entry_of(self, row) for row in rows]

    async def units(self, path: str) -> AsyncGenerator[Sequence[tuple[Address, str]], None]:
        # Only the columns are read, without the checksum: whoever acts on one gets its entry.
        async for rows in self._stream(_of_type("address, unit", path), {"type": path}):
            yield [(Address(address), unit) for address, unit in rows]

    async def count(self, path: str | None = None) -> int:
        of = "" if path is None else "and type = %(type)s"
        rows = await self._read(f"select count(*) from reconcile.entries where fleet = %(fleet)s {of}", {"type": path})
        return int(rows[0][0]) if rows else 0

    async def unfinished(self) -> list[Intent]:
        return [intent_of(self, row) for row in await self._read(_OPERATIONS, {})]

    async def applied(self, plan: str) -> bool:
        query = "select 1 from reconcile.plans where fleet = %(fleet)s and digest = %(digest)s"
        return bool(await self._read(query, {"digest": plan}))

    async def leases(self) -> list[Lease]:
        return [_lease_of(row) for row in await self._lease_rows() if row[1]]

    async def runs(self, since: datetime | None = None) -> AsyncGenerator[Sequence[Run], None]:
        query = "select id, serial, begun, about, ended, outcome, counts from reconcile.runs"
        query += " where fleet = %(fleet)s and begun >= %(since)s order by begun desc, n desc"
        async for rows in self._stream(query, {"since": stamp(since) if since else ""}):
            yield [run_of(self, row) for row in rows]

    async def changes(self, run: str) -> AsyncGenerator[Sequence[Changed], None]:
        query = "select address, body from reconcile.changes where fleet = %(fleet)s and run = %(run)s order by n"
        async for rows in self._stream(query, {"run": run}):
            yield [told_of(self, row) for row in rows]

    async def pull(self, kept: str | None = None) -> AsyncGenerator[str, None]:
        if not await self._there():
            return
        if kept is not None:
            query = "select body from reconcile.kept_parts where fleet = %(fleet)s and id = %(id)s order by part"
            parts = await self._read(query, {"id": kept})
            for piece in text_of_parts(self, (bytes(body) for (body,) in parts)) if parts else ():
                yield piece
            return
        async with self._link.transaction() as connection:
            row = await (await connection.execute(_HEAD.encode(), self._given({}))).fetchone()
            if row is None:
                return
            yield first_part(self._head(row))
            between = "\n"
            async for rows in self._fetched(connection, _of_type(ENTRY_COLUMNS, None), {}):
                yield between + ",\n".join(body_of(self, row) for row in rows)
                between = ",\n"
            operations = await (await connection.execute(_OPERATIONS.encode(), self._given({}))).fetchall()
            plans = await (await connection.execute(_PLANS.encode(), self._given({}))).fetchall()
            yield last_part([intent_of(self, one) for one in operations], [digest for (digest,) in plans])

    async def mark(self, lease: Lease, moved: Moved | None) -> None:
        await self._fenced(
            lease,
            f"""with {_HELD}, marked as (
                update reconcile.fleets f set moved_to = %(place)s, moved = %(done)s from held where f.fleet = %(fleet)s
            )
            select count(*) from held""",
            place=moved and moved.place,
            done=moved and moved.done,
        )

    async def remember(self, lease: Lease, run: Run, changes: Sequence[Changed]) -> None:
        told = [(str(change.address), told_text(change)) for change in changes]
        row = {"run": run.id, "serial": run.serial, "begun": run.begun, "about": about_text(run.about)}
        row |= {"ended": run.ended, "outcome": run.outcome, "counts": json.dumps(run.counts)}
        await self._fenced(
            lease,
            f"""with {_HELD}, known as (
                insert into reconcile.runs (fleet, id, serial, begun, about, ended, outcome, counts)
                select %(fleet)s, %(run)s, %(serial)s, %(begun)s, %(about)s, %(ended)s, %(outcome)s, %(counts)s
                from held
                on conflict (fleet, id) do nothing
            ), told as (
                insert into reconcile.changes (fleet, run, batch, at, address, body)
                select %(fleet)s, %(run)s, %(run)s, r.at, r.address, r.body
                from held, unnest(%(told_address)s::text[], %(told_body)s::text[])
                     with ordinality as r (address, body, at)
                order by r.at
                on conflict (fleet, batch, at) do nothing
            )
            select count(*) from held""",
            **row,
            **_columns("told", told, ("address", "body")),
        )

    async def kept(self) -> list[Kept]:
        query = "select id, at, serial, entries, why from reconcile.kept where fleet = %(fleet)s order by n desc"
        return [Kept(*row) for row in await self._read(query, {})]

    async def _stream(self, query: str, given: Mapping[str, Any]) -> AsyncGenerator[Rows, None]:
        if await self._there():
            async with self._link.transaction() as connection:
                async for rows in self._fetched(connection, query, given):
                    yield rows

    async def _fetched(
        self, connection: Connection, query: str, given: Mapping[str, Any]
    ) -> AsyncGenerator[Rows, None]:
        async with connection.cursor(name="rows") as cursor:
            await cursor.execute(query.encode(), self._given(given))
            while rows := await cursor.fetchmany(ROWS):
                yield rows

    async def _chosen(self, column: str, members: Sequence[str], more: str = "", **given: Any) -> list[Entry]:
        """Entries whose column is one of some texts, in the order of their addresses."""
        # A string that is not valid Unicode, or holds U+0000, as an API may answer, cannot be in a database.
        wanted = sorted({str(member) for member in members if _fits(member)})
        if not wanted:
            return []
        query = f"select {ENTRY_COLUMNS} from reconcile.entries where fleet = %(fleet)s"
        query += f" and {column} = any(%(members)s::text[]) {more} order by address"
        return [entry_of(self, row) for row in await self._read(query, {"members": wanted, **given})]

    async def _read(self, query: str, given: Mapping[str, Any]) -> Rows:
        """The rows of a query; none where there are no tables yet."""
        return await self._link.run(query, self._given(given)) if await self._there() else []

    async def _there(self) -> bool:
        return self._link.made or await self._link.version() is not None

    def _given(self, more: Mapping[str, Any]) -> dict[str, Any]:
        return {"fleet": self._opening.fleet, **more}

    # ------------------------------------------------------------------ the lease

    async def acquire(self, *, scope: str, holder: str, ttl_s: float, lineage: str, fleet: str) -> Lease:
        if not await self._there():
            await self._link.make()
        new = {"name": fleet, "lineage": lineage}
        await self._link.run(
            "insert into reconcile.fleets (fleet, name, lineage, serial, accounts)"
            " values (%(fleet)s, %(name)s, %(lineage)s, 0, '{}') on conflict (fleet) do nothing",
            self._given(new),
        )
        head = await self.head()
        if head is not None and head.fleet != fleet:
            what = f"{self} has the state of the fleet {head.fleet!r} under this name, and this is {fleet!r}"
            raise Refused(Problem(what, hint="Name the state of this fleet with --state"))
        given: dict[str, Any] = {
            **self._given({"scope": scope, "holder": holder, "lasts": ttl_s}),
            "id": f"{self._rng.getrandbits(64):016x}",
            "host": self._opening.host,
            "pid": self._opening.pid,
            "process": process_of(self._opening.pid),
            "gone": None,
            "gone_epoch": None,
        }
        while not (taken := await self._link.run(_TAKE, given)):
            rows = [row for row in await self._lease_rows() if row[0] == scope and row[1]]
            if rows and (rows[0][1], rows[0][3]) != (given["gone"], given["gone_epoch"]):
                host, pid, process = rows[0][6:9]
                if lives(host, pid, process, self._opening.host) is not False:
                    raise locked(_lease_of(rows[0]), now=self._opening.now())
                given["gone"], given["gone_epoch"] = rows[0][1], rows[0][3]
        return _lease_of(taken[0])

    async def renew(self, lease: Lease, ttl_s: float) -> Lease:
        rows = await self._link.run(
            "update reconcile.leases set expires = clock_timestamp() + make_interval(secs => %(lasts)s)"
            f" where fleet = %(fleet)s and scope = %(scope)s and id = %(id)s and epoch = %(epoch)s returning {_LEASE}",
            self._of(lease, lasts=ttl_s),
        )
        if not rows:
            raise await self._lost(lease)
        return replace(lease, expires=_lease_of(rows[0]).expires)

    async def release(self, lease: Lease) -> None:
        await self._link.run(
            "update reconcile.leases set id = '', expires = clock_timestamp()"
            " where fleet = %(fleet)s and scope = %(scope)s and id = %(id)s and epoch = %(epoch)s",
            self._of(lease),
        )

    async def break_lease(self, id: str) -> None:
        rows = await self._read(
            "update reconcile.leases set id = '', epoch = epoch + 1, expires = clock_timestamp()"
            " where fleet = %(fleet)s and id = %(id)s and id <> '' returning 1",
            {"id": id},
        )
        if not rows:
            raise no_lease(id, await self.leases())

    async def _lease_rows(self) -> Rows:
        return await self._read(f"select {_LEASE} from reconcile.leases where fleet = %(fleet)s order by scope", {})

    async def _lost(self, lease: Lease) -> Locked:
        """Why a lease is not the newest of its scope, or has ended."""
        for row in await self._lease_rows():
            if row[0] == lease.scope and row[1]:
                if (row[1], row[3]) != (lease.id, lease.epoch):
                    return taken_over(lease, _lease_of(row))
                return past(lease, stamp(row[5]))
        return ended(lease)

    async def _fenced(self, lease: Lease, statement: str, **given: Any) -> None:
        """A statement that counts the rows of `held`. Raises Locked when there is none, and it did nothing."""
        if not (await self._link.run(statement, self._of(lease, **given)))[0][0]:
            raise await self._lost(lease)

    def _of(self, lease: Lease, **more: Any) -> dict[str, Any]:
        return self._given({"scope": lease.scope, "id": lease.id, "epoch": lease.epoch, "sends": False, **more})

    # ------------------------------------------------------------------ writing

    async def begin_run(
        self, lease: Lease, accounts: Mapping[str, tuple[str, str]], about: About, keep: timedelta | None = None
    ) -> Head:
        before = await self.head()
        if before is None:
            raise broken(f"the state in {self} is missing: it was never made, or was removed during a run")
        run = f"{self._rng.getrandbits(128):032x}"
        accounted = {**before.accounts, **accounts}
        text = json.dumps({name: list(pair) for name, pair in sorted(accounted.items())})
        now = self._opening.now()
        old = stamp(now - keep) if keep is not None else ""
        more = {"about": about_text(about), "at": stamp(now), "keep": old, "plan": about.plan}
        more["doing"] = f"{lease.holder}, {about.doing}"
        begun = await self._link.run(_BEGIN, self._of(lease, accounts=text, run=run, **more))
        after = await self.head()
        if after is not None and after.run == run:
            return after
        if begun or not await self._holds(lease):
            raise await self._lost(lease)
        raise Refused(APPLIED)

    async def end_run(self, lease: Lease, run: str, outcome: str, counts: Mapping[str, int]) -> None:
        await self._fenced(
            lease,
            f"""with {_HELD}, ended as (
                update reconcile.runs r set ended = %(at)s, outcome = %(outcome)s, counts = %(counts)s
                from held where r.fleet = %(fleet)s and r.id = %(run)s
            )
            select count(*) from held""",
            run=run,
            outcome=outcome,
            counts=json.dumps(counts),
            at=stamp(self._opening.now()),
        )

    async def _holds(self, lease: Lease) -> bool:
        return any((row[1], row[3]) == (lease.id, lease.epoch) for row in await self._lease_rows())

    async def write(self, lease: Lease, records: Sequence[Record]) -> None:
        if not records:
            return
        new = written(records, stamp(self._opening.now()), lease.epoch)
        put, opened = _kept_as(new.put), new.opened
        dropped = [name for name, row in new.entries.items() if row is None]
        given: dict[str, Any] = {
            "closed": [name for name, row in new.operations.items() if row is None],
            "dropped": dropped,
            "batch": f"{self._rng.getrandbits(64):016x}",
            **_columns("told", new.told, ("address", "body")),
            **_columns("put", put, _ENTRY),
        }
        intents = _columns("opened", opened, _OPERATION)
        try:
            await self._recorded(lease, given, intents)
        except errors.UniqueViolation:
            raise await self._twins(put, dropped) from None

    async def _recorded(self, lease: Lease, given: Mapping[str, Any], intents: Mapping[str, list[Any]]) -> None:
        begins = any(intents.values())
        try:
            await self._fenced(lease, _WRITE, sends=begins, **given, **intents)
        except Locked:
            if begins:
                # Nothing may begin any more; what came of what had begun is recorded, as long as nobody else writes.
                with suppress(Locked):
                    await self._fenced(lease, _WRITE, **given, **{name: [] for name in intents})
            raise

    async def replace(self, lease: Lease, dump: Dump, about: About) -> Head:
        put = _kept_as(sorted(entry_row(entry) for entry in dump.entries))
        opened = [begun_row(Begun(one.operation, one.address, one.change), one.begun, 0) for one in dump.operations]
        before, at = await self.head(), stamp(self._opening.now())
        # Nobody writes meanwhile, or the statement finds another holder and does nothing.
        parts = list(parts_of([piece async for piece in self.pull()]))
        accounts = {name: list(pair) for name, pair in sorted(dump.head.accounts.items())}
        given: dict[str, Any] = {
            "serial": dump.head.serial,
            "lineage": dump.head.lineage,
            "accounts": json.dumps(accounts),
            "run": f"{self._rng.getrandbits(128):032x}",
            "kept": f"{self._rng.getrandbits(32):08x}",
            "at": at,
            "was": before.serial if before is not None else 0,
            "had": await self.count(),
            "why": about.command,
            "forgotten": [one.id for one in (await self.kept())[KEPT - 1 :]],
            "parts_body": parts,
            "plans": list(dump.plans),
            "about": about_text(about),
            "outcome": DONE,
            "counts": json.dumps({DONE: len(put)}),
            **_columns("put", put, _ENTRY),
            **_columns("opened", opened, _OPERATION),
        }
        try:
            await self._fenced(lease, _REPLACE, **given)
        except errors.UniqueViolation:
            raise await self._twins(put, ()) from None
        after = await self.head()
        if after is None:
            raise await self._lost(lease)
        return after

    async def _twins(self, put: Rows, dropped: Sequence[str]) -> StateError:
        """Which unit would stand under two addresses."""
        roots: dict[tuple[str, str], str] = {}
        query = f"select {ENTRY_COLUMNS} from reconcile.entries where fleet = %(fleet)s and type = %(type)s"
        query += " and root = %(unit)s and not address = any(%(gone)s::text[])"
        gone = [*dropped, *(row[0] for row in put)]
        for address, path, unit, under, *_ in put:
            if under is not None or not unit:
                continue
            other = roots.setdefault((path, unit), address)
            if other == address:
                found = await self._read(query, {"type": path, "unit": unit, "gone": gone})
                other = found[0][0] if found else address
            if other != address:
                return twins(address, other, unit)
        return broken(f"the state in {self}: a unit would stand under two addresses", hint="Plan again")

    async def migrate(self) -> None:
        await self._link.make()

    async def close(self) -> None:
        await self._link.close()


def _of_type(columns: str, path: str | None) -> str:
    of = "" if path is None else "and type = %(type)s"
    return f"select {columns} from reconcile.entries where fleet = %(fleet)s {of} order by address"


def _kept_as(put: Rows) -> Rows:
    """Rows of entries that PostgreSQL can keep. Raises StateError for another one."""
    for row in put:
        if "\0" in row[2]:
            what = "an id that holds the character U+0000 cannot be kept in PostgreSQL"
            raise broken(what, address=row[0], hint="Rename the unit at its API")
    return put


def _fits(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _columns(part: str, rows: Rows, names: Sequence[str]) -> dict[str, list[Any]]:
    """Rows as one list for each column, as a statement takes them: `put_address` and so on."""
    return {f"{part}_{name}": [row[at] for row in rows] for at, name in enumerate(names)}


def _lease_of(row: tuple[Any, ...]) -> Lease:
    scope, id, holder, epoch, since, expires = row[:6]
    return Lease(id, scope, holder, epoch, stamp(since), stamp(expires))
