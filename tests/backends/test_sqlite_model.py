"""The local state against a dictionary: any order of leases, writes, crashes and reopenings says the same."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reconcile.backends.sqlite import SqliteStore
from reconcile.core.address import Address
from reconcile.core.ports import Begun, Ended, Lease, Record
from reconcile.core.resource import Entry
from reconcile.errors import Locked

T = TypeVar("T")
numbers = st.integers(0, 5)
clients = st.integers(0, 1)


class Machine(RuleBasedStateMachine):
    """Two clients over one file; the model knows who may write."""

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.at = datetime(2026, 1, 1, tzinfo=UTC)
        self.loop = asyncio.new_event_loop()
        self.stores = [self.open(0), self.open(1)]
        self.held: list[Lease | None] = [None, None]
        self.holder: int | None = None
        self.expires = self.at
        self.entries: dict[Address, Entry] = {}
        self.begun: dict[str, Address] = {}
        self.serial = 0
        self.epoch = 0
        self.exists = False

    def open(self, client: int) -> SqliteStore:
        path = Path(self.directory.name) / "state" / "f.db"
        return SqliteStore(path, now=lambda: self.at, rng=random.Random(client), host=f"h{client}", pid=1)

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
        self.expires, self.exists = self.at + timedelta(seconds=ttl), True

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
            if self.holder == client:
                self.holder = None

    @precondition(lambda self: self.holder is not None)
    @rule(client=clients)
    def unlock(self, client: int) -> None:
        (lease,) = self.run(self.stores[client].leases())
        self.run(self.stores[client].break_lease(lease.id))
        self.holder = None
        self.epoch += 1

    @rule(client=clients)
    def begin_run(self, client: int) -> None:
        if (lease := self.held[client]) is not None and self.may(
            client, self.stores[client].begin_run(lease, {}, None)
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
        written = len(records)

        async def work() -> bool:
            await self.stores[client].write(lease, records)
            return written > 0

        if self.may(client, work()):
            for n in begin:
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
            self.run(self.stores[client].close())
        self.stores[client] = self.open(client)

    @staticmethod
    def address(n: int) -> Address:
        return Address.of("m.devices" if n % 2 else "m.apps", (f"k{n}",))

    @invariant()
    def both_see_what_the_model_says(self) -> None:
        for store in self.stores:
            head = self.run(store.head())
            assert (head.serial if head else None) == (self.serial if self.exists else None)
            assert sorted(self.entries.values(), key=lambda entry: entry.address) == list(store.entries())
            assert self.entries == self.run(store.get([self.address(n) for n in range(6)]))
            assert len(self.entries) == self.run(store.count())
            assert list(self.begun) == [intent.operation for intent in self.run(store.unfinished())]

    def teardown(self) -> None:
        for store in self.stores:
            self.run(store.close())
        self.loop.close()
        self.directory.cleanup()


TestSqliteAgainstAModel = Machine.TestCase
TestSqliteAgainstAModel.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
