"""
The local state against a dictionary: any order of leases, writes, crashes, reopenings and copies says the same.

A crash is played by going on with copies of the files as they are between two calls, the log cut anywhere or not.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import tempfile
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from test_sqlite import flat

from reconcile.backends.holders import Process
from reconcile.backends.sqlite.store import SqliteStore
from reconcile.core.address import Address
from reconcile.core.history import About
from reconcile.core.ports import Begun, Ended, Lease, Record
from reconcile.core.resource import Entry
from reconcile.errors import Locked, StateError

T = TypeVar("T")
numbers = st.integers(0, 5)
clients = st.integers(0, 1)
KILLED = -1


class Machine(RuleBasedStateMachine):
    """Two clients over one file; the model knows who may write."""

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.at = datetime(2026, 1, 1, tzinfo=UTC)
        self.loop = asyncio.new_event_loop()
        self.copies = self.opened = 0
        self.user: int | None = None  # who wrote last and has not closed it since
        self.stores = [self.open(0), self.open(1)]
        self.held: list[Lease | None] = [None, None]
        self.holder: int | None = None
        self.expires = self.at
        self.entries: dict[Address, Entry] = {}
        self.begun: dict[str, Address] = {}
        self.serial = 0
        self.epoch = 0
        self.exists = False

    @property
    def path(self) -> Path:
        return Path(self.directory.name) / f"state-{self.copies}" / "f.db"

    def open(self, client: int) -> SqliteStore:
        self.opened += 1
        return SqliteStore(
            self.path,
            now=lambda: self.at,
            rng=random.Random(self.opened),
            process=Process(f"h{client}", 1, uptime=lambda: self.at.timestamp()),
        )

    def run(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(work)

    def may(self, client: int, work: Awaitable[T]) -> T | None:
        """Does it; it must be refused exactly when the model says that somebody else's epoch is newer."""
        try:
            result = self.run(work)
        except Locked:
            assert self.holder != client
            return None
        assert self.holder == client
        self.user = client
        return result

    @rule(client=clients, ttl=st.sampled_from([10, 60]))
    def acquire(self, client: int, ttl: int) -> None:
        free = self.holder is None or self.expires <= self.at
        work = self.stores[client].acquire(scope="fleet", holder=f"c{client}", ttl_s=ttl, lineage="L", fleet="f")
        try:
            lease = self.run(work)
        except Locked:
            assert not free
            return
        assert free
        assert lease.epoch > self.epoch
        self.held[client], self.holder, self.epoch = lease, client, lease.epoch
        self.expires, self.exists, self.user = self.at + timedelta(seconds=ttl), True, client

    @rule(client=clients)
    def renew(self, client: int) -> None:
        if (lease := self.held[client]) is not None and (
            later := self.may(client, self.stores[client].renew(lease, 30))
        ):
            self.held[client], self.expires = later, self.at + timedelta(seconds=30)

    @rule(client=clients)
    def release(self, client: int) -> None:
        """Of a lease that is somebody else's by now: nothing happens."""
        if (lease := self.held[client]) is not None:
            self.run(self.stores[client].release(lease))
            self.user = client
            if self.holder == client:
                self.holder = None

    @precondition(lambda self: self.holder is not None)
    @rule(client=clients)
    def unlock(self, client: int) -> None:
        (lease,) = self.run(self.stores[client].leases())
        self.run(self.stores[client].break_lease(lease.id))
        self.holder, self.user = None, client
        self.epoch += 1

    @rule(client=clients)
    def begin_run(self, client: int) -> None:
        if (lease := self.held[client]) is not None and self.may(
            client, self.stores[client].begin_run(lease, {}, About("apply"))
        ):
            self.serial += 1

    @rule(client=clients, begin=st.lists(numbers), put=st.lists(numbers), drop=st.lists(numbers), value=st.text())
    def write(self, client: int, begin: list[int], put: list[int], drop: list[int], value: str) -> None:
        if (lease := self.held[client]) is None:
            return
        records: list[Record] = [Begun(f"o{n}", self.address(n), {"n": n}) for n in begin]
        entries = [Entry(self.address(n), f"U{n}", {"value": value}) for n in put]
        records += [Ended(f"o{entry.id[1:]}", put=(entry,)) for entry in entries]
        records.append(Ended("rm", drop=tuple(map(self.address, drop))))
        ended = self.holder == client and self.expires <= self.at and bool(set(begin) - set(put))

        async def work() -> bool:
            try:
                await self.stores[client].write(lease, records)
            except Locked:
                if not ended:
                    raise
            else:
                assert not ended
            return True

        if self.may(client, work()):
            for n in begin if not ended else ():
                self.begun.pop(f"o{n}", None)
                self.begun[f"o{n}"] = self.address(n)
            for entry in entries:
                self.entries[entry.address] = entry
                self.begun.pop(f"o{entry.id[1:]}", None)
            for n in drop:
                self.entries.pop(self.address(n), None)

    @rule(seconds=st.sampled_from([1, 9, 30, 61]))
    def wait(self, seconds: int) -> None:
        self.at += timedelta(seconds=seconds)

    @rule(client=clients, politely=st.booleans())
    def reopen(self, client: int, politely: bool) -> None:
        """A new process; its lease is what it wrote down, as after a crash."""
        if politely:
            self.close(client)
        else:
            self.kill(client)
        self.stores[client] = self.open(client)

    def kill(self, client: int) -> None:
        """The system closes its files, without a word to SQLite."""
        for db in (self.stores[client]._file._db, self.stores[client]._file._reader):
            if db is not None:
                db.close()
        if self.user == client:
            self.user = KILLED

    def close(self, client: int) -> None:
        self.run(self.stores[client].close())
        if self.user == client:
            self.user = None

    @precondition(lambda self: self.exists)
    @rule(cut=st.floats(0, 1), shm=st.booleans())
    def crash(self, cut: float, shm: bool) -> None:
        """Everybody is killed, and the log is cut: whatever anybody was told to be recorded is there."""
        before, self.copies = self.path, self.copies + 1
        self.path.parent.mkdir()
        for end in ("", "-wal", *(["-shm"] if shm else [])):
            if Path(f"{before}{end}").exists():
                shutil.copy2(f"{before}{end}", f"{self.path}{end}")
        if (log := Path(f"{self.path}-wal")).exists() and log.stat().st_size:
            os.truncate(log, max(1, int(log.stat().st_size * cut)))
        for client in (0, 1):
            self.kill(client)
        self.stores = [self.open(0), self.open(1)]

    @precondition(lambda self: self.exists)
    @rule()
    def copy_without_its_log(self) -> None:
        """Good when it was closed; told while it is in use, or since a crash."""
        path = Path(self.directory.name) / "alone" / "f.db"
        path.parent.mkdir(exist_ok=True)
        shutil.copy2(self.path, path)
        store = SqliteStore(path, now=lambda: self.at, rng=random.Random(), process=Process("h9", 1))
        try:
            entries = flat(store.entries())
        except StateError:
            assert self.user is not None
        else:
            assert self.user is None
            assert sorted(self.entries.values(), key=lambda entry: entry.address) == entries
        finally:
            self.run(store.close())
        shutil.rmtree(path.parent)

    @precondition(lambda self: self.exists)
    @rule()
    def everybody_leaves(self) -> None:
        """After that, if nobody was killed before, one file is left, and it is whole."""
        for client in (0, 1):
            self.close(client)
        assert (self.user is None) == (not Path(f"{self.path}-wal").exists())

    @staticmethod
    def address(n: int) -> Address:
        return Address.of("m.devices" if n % 2 else "m.apps", (f"k{n}",))

    @invariant()
    def both_see_what_the_model_says(self) -> None:
        for store in self.stores:
            head = self.run(store.head())
            assert (head.serial if head else None) == (self.serial if self.exists else None)
            assert sorted(self.entries.values(), key=lambda entry: entry.address) == flat(store.entries())
            assert self.entries == self.run(store.get([self.address(n) for n in range(6)]))
            assert len(self.entries) == self.run(store.count())
            assert list(self.begun) == [intent.operation for intent in self.run(store.unfinished())]

    def teardown(self) -> None:
        for client in (0, 1):
            self.close(client)
        self.loop.close()
        self.directory.cleanup()


TestSqliteAgainstAModel = Machine.TestCase
TestSqliteAgainstAModel.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
