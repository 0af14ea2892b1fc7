"""
The tables of the states in a database: one schema, `reconcile`, for many fleets. Versioned, and made on first use.

Every row belongs to a fleet under its name in the database (`cold-chain`, or `cold-chain.simulator` for rehearsals).
Bodies with a checksum are `text`: `jsonb` writes numbers in another way. Addresses are ordered by code point, as Python
orders them, whatever the database's collation is.
"""

from __future__ import annotations

from psycopg import AsyncConnection

VERSION = 1
# By a catalogue that everybody may read; `to_regclass` goes by a cache, which a lock of ours does not renew.
THERE = "select 1 from pg_catalog.pg_tables where schemaname = 'reconcile' and tablename = 'version'"
_LOCK = 0x5243_4E43  # "RCNC": of the transaction that makes the tables, so that two first runs do not meet in it

_MADE: tuple[str, ...] = (
    "create schema if not exists reconcile",
    "create table reconcile.version (one boolean primary key default true check (one), version integer not null)",
    "create table reconcile.fleets (fleet text primary key, name text not null, lineage text not null,"
    " serial bigint not null, accounts text not null, run text, moved_to text, moved boolean)",
    # `root` is the unit of what hangs on nothing: two addresses with one would be written over each other for ever.
    # Deferred, since units may change places within one statement.
    'create table reconcile.entries (fleet text not null, address text collate "C" not null, type text not null,'
    " unit text not null, under text, body text not null, sum bytea not null,"
    " root text generated always as (case when under is null and unit <> '' then unit end) stored,"
    " primary key (fleet, address),"
    " constraint one_address unique (fleet, type, root) deferrable initially deferred)",
    "create index entries_unit on reconcile.entries (fleet, type, unit)",
    "create index entries_under on reconcile.entries (fleet, under) where under is not null",
    "create table reconcile.operations (fleet text not null, operation text not null,"
    " n bigint not null generated always as identity, address text not null, change text not null,"
    " begun text not null, epoch bigint not null, sum bytea not null, primary key (fleet, operation))",
    "create table reconcile.plans (fleet text not null, digest text not null, run text not null,"
    " applied timestamptz not null default clock_timestamp(), primary key (fleet, digest))",
    # A lease that was given back or ended stays, with an empty id: its epoch goes on from there.
    "create table reconcile.leases (fleet text not null, scope text not null, id text not null, holder text not null,"
    " epoch bigint not null, since timestamptz not null, expires timestamptz not null,"
    " lasts double precision not null, host text not null, pid integer not null, process text not null,"
    " primary key (fleet, scope))",
    "create table reconcile.runs (fleet text not null, id text not null,"
    " n bigint not null generated always as identity, serial bigint not null, begun text not null,"
    " about text not null, ended text, outcome text, counts text, primary key (fleet, id))",
    "create table reconcile.changes (fleet text not null, n bigint not null generated always as identity,"
    " run text not null, batch text not null, at bigint not null, address text not null, body text not null,"
    " primary key (fleet, run, n), unique (fleet, batch, at))",
    "create table reconcile.kept (fleet text not null, id text not null,"
    " n bigint not null generated always as identity, at text not null, serial bigint not null,"
    " entries bigint not null, why text not null, primary key (fleet, id))",
    "create table reconcile.kept_parts (fleet text not null, id text not null, part integer not null,"
    " body bytea not null, primary key (fleet, id, part))",
    f"insert into reconcile.version (version) values ({VERSION})",
)


async def version_of(connection: AsyncConnection[tuple[object, ...]]) -> int | None:
    """The version of the tables; None where there are none."""
    if await (await connection.execute(THERE.encode())).fetchone() is None:
        return None
    row = await (await connection.execute("select version from reconcile.version")).fetchone()
    return int(str(row[0])) if row is not None else None


async def make(connection: AsyncConnection[tuple[object, ...]]) -> None:
    """Makes the tables, or brings them up to this version. Raises psycopg.Error where the user may not."""
    async with connection.transaction():
        await connection.execute(f"select pg_advisory_xact_lock({_LOCK})")
        if await version_of(connection) is None:
            for statement in _MADE:
                await connection.execute(statement.encode())
