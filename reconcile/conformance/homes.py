"""
What every home of the state must do: the checks of `core.ports.Store`, two writers at once included.

A home of other people passes them by a class in its own tests:

    class TestMyHome(HomeChecks):
        @pytest.fixture
        def home(self, tmp_path):
            return Home(lambda fleet, host: MyStore(tmp_path, fleet, host))

Time is the real one: leases last a fraction of a second here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from reconcile.core.address import Address
from reconcile.core.dump import dump_of
from reconcile.core.history import About, Changed, Run
from reconcile.core.ports import Begun, Dump, Ended, Lease, Moved, Record, Store
from reconcile.core.resource import Entry
from reconcile.core.values import Ref, Secret, SecretRef
from reconcile.errors import Locked, Refused, StateError

T = TypeVar("T")
SHORT_S = 0.4
LONG_S = 60.0


@dataclass
class Home:
    """
    A home that is empty.

    Attributes:
        open: another client of the state of a fleet, as a process of the named host would be; `here` is this machine's
            other process. Clients share nothing but the home.
    """

    open: Callable[[str, str], Store]
    made: list[Store] = field(default_factory=list)

    def store(self, host: str = "far-1", fleet: str = "depot") -> Store:
        """A client, closed at the end of the check."""
        self.made.append(self.open(fleet, host))
        return self.made[-1]


def device(n: int, **more: Any) -> Entry:
    """An entry of a root."""
    return Entry(Address.of("m.devices", (f"d-{n:05}",)), f"UV{n}", {"app": Ref("m.apps", "a")}, at="2026", **more)


async def take(store: Store, ttl_s: float = LONG_S, scope: str = "fleet", lineage: str = "L") -> Lease:
    """The lease of a client."""
    return await store.acquire(scope=scope, holder="me@far:1", ttl_s=ttl_s, lineage=lineage, fleet="depot")


async def flat(stream: AsyncIterator[Sequence[T]]) -> list[T]:
    """All that comes in batches."""
    return [one async for batch in stream for one in batch]


async def dumped(store: Store) -> Dump:
    """All that a client says of the state."""
    return dump_of("".join([piece async for piece in store.pull()]))


def checked(check: Callable[[Any, Home], Awaitable[None]]) -> Callable[[Any, Home], None]:
    """A check on an event loop of its own; its clients are closed on it."""

    def run(self: Any, home: Home) -> None:
        async def main() -> None:
            try:
                await check(self, home)
            finally:
                for store in home.made:
                    await store.close()

        asyncio.run(main())

    run.__name__, run.__doc__ = check.__name__, check.__doc__
    return run


class HomeChecks:
    """The checks; a subclass whose name begins with `Test` gives the fixture `home`."""

    @checked
    async def test_reading_makes_nothing(self, home: Home) -> None:
        store = home.store()
        assert await store.head() is None
        assert await store.get([device(1).address]) == {} == await store.by_unit("m.devices", ["UV1"])
        assert await store.under([device(1).address]) == [] == await flat(store.entries())
        assert await flat(store.units("m.devices")) == [] == await store.unfinished()
        assert await store.leases() == []
        assert [piece async for piece in store.pull()] == []
        assert await store.count() == 0 and not await store.applied("x")
        with pytest.raises(Locked):
            await store.break_lease("x")
        assert await store.head() is None

    @checked
    async def test_what_a_home_needs_is_made_as_often_as_one_likes(self, home: Home) -> None:
        store = home.store()
        await store.migrate()
        assert await store.head() is None
        await take(store)
        await home.store().migrate()
        head = await store.head()
        assert head is not None and (head.lineage, head.serial, head.fleet) == ("L", 0, "depot")

    @checked
    async def test_a_state_that_is_there_keeps_its_lineage_and_its_fleet(self, home: Home) -> None:
        one = home.store()
        await one.release(await take(one))
        again = home.store()
        await take(again, lineage="another")
        head = await again.head()
        assert head is not None and head.lineage == "L"
        with pytest.raises((Refused, Locked)):
            await home.store().acquire(scope="s", holder="me", ttl_s=1, lineage="L", fleet="other")

    @checked
    async def test_fleets_do_not_meet(self, home: Home) -> None:
        one, other = home.store(), home.store(fleet="yard")
        lease = await take(one)
        await one.write(lease, [Begun("o", device(1).address, {}), Ended("p", put=(device(2),))])
        assert await other.head() is None and await flat(other.entries()) == [] == await other.unfinished()
        mine = await other.acquire(scope="fleet", holder="me", ttl_s=LONG_S, lineage="M", fleet="yard")
        await other.write(mine, [Ended("q", put=(device(2, protect=True),))])
        assert await flat(one.entries()) == [device(2)]

    @checked
    async def test_what_was_written_is_read_back(self, home: Home) -> None:
        store = home.store()
        lease = await take(store)
        whole = device(
            1, prints={"psk": {"key": "k", "mac": "00"}}, facts={"n": [1, None, 1e300]}, needs=(device(2).address,),
            protect=True, on_removal="forget", labels={"s": "\u202e ä 😀 \0"},
        )  # fmt: skip
        secret = Entry(Address.of("m.devices.configs", ("d-00001", 'a."b"]')), 'a."b"]', {"v": SecretRef("env", "P")})
        await store.write(lease, [Ended("o", put=(secret, whole))])
        other = home.store("far-2")
        assert [whole, secret] == await flat(other.entries())
        assert [secret] == await other.under([whole.address]) == await flat(other.entries("m.devices.configs"))
        assert [(whole.address, "UV1")] == await flat(other.units("m.devices"))
        assert {whole.address: whole} == await other.get([whole.address, device(9).address])
        assert {"UV1": whole} == await other.by_unit("m.devices", ["UV1", "UV2", "\ud800", "U\0V"])
        assert (await other.count(), await other.count("m.devices"), await other.count("m.apps")) == (2, 1, 0)

    @checked
    async def test_many_entries_come_in_the_order_of_their_addresses(self, home: Home) -> None:
        store = home.store()
        lease = await take(store)
        entries = [device(n) for n in range(3000)] + [
            Entry(Address.of("m.devices", (key,)), f"U-{key}", {}) for key in ("Z", "_", "a", "é", "😀", "\uffee")
        ]
        await store.write(lease, [Ended("o", put=tuple(reversed(entries)))])
        ordered = sorted(entries, key=lambda entry: entry.address)
        assert ordered == await flat(store.entries())
        assert [(entry.address, entry.id) for entry in ordered] == await flat(store.units("m.devices"))
        assert len(await store.get([entry.address for entry in entries])) == len(entries)
        assert len(await store.by_unit("m.devices", [entry.id for entry in entries])) == len(entries)

    @checked
    async def test_records_act_in_their_order(self, home: Home) -> None:
        store = home.store()
        lease = await take(store)
        one, two = device(1), device(2)
        await store.write(
            lease,
            [
                Begun("a", one.address, {"n": 1}),
                Ended("a", put=(one, two)),
                Begun("d", two.address, {"n": 4}),
                Begun("b", one.address, {"n": 2}),
                Begun("c", two.address, {"n": 3}),
                Ended("b", drop=(one.address,)),
                Begun("d", two.address, {"n": 5}),
                Ended("never begun: state rm", drop=(device(7).address,)),
            ],
        )
        assert [two] == await flat(store.entries())
        left = [(intent.operation, intent.change) for intent in await store.unfinished()]
        assert left == [("c", {"n": 3}), ("d", {"n": 5})]
        await store.write(lease, [Begun("c", two.address, {"n": 6}), Ended("d")])
        await store.write(lease, [Begun("a", one.address, {"n": 7})])
        assert [(intent.operation, intent.change["n"]) for intent in await store.unfinished()] == [("c", 6), ("a", 7)]
        await store.write(lease, [])

    @checked
    async def test_an_entry_moves_in_one_record_and_units_change_places(self, home: Home) -> None:
        store = home.store()
        lease = await take(store)
        await store.write(lease, [Ended("o", put=(device(1),))])
        await store.write(lease, [Ended("mv", put=(device(2), device(1, protect=True)), drop=(device(1).address,))])
        assert [device(1, protect=True), device(2)] == await flat(store.entries())
        swapped = [Entry(device(2).address, "UV1", {}), Entry(device(1).address, "UV2", {})]
        await store.write(lease, [Ended("swap", put=tuple(swapped))])
        assert {entry.id: entry.address for entry in swapped} == {
            entry.id: entry.address for entry in await flat(store.entries())
        }

    @checked
    async def test_a_unit_is_under_one_address_only(self, home: Home) -> None:
        store = home.store()
        lease = await take(store)
        await store.write(lease, [Ended("o", put=(device(1),))])
        twin = Entry(device(2).address, "UV1", {})
        for put in ((device(3), twin), (twin, Entry(device(4).address, "UV4", {}))):
            with pytest.raises(StateError, match=r"d-0000[12] and m.devices.d-0000[12] "):
                await store.write(lease, [Ended("p", put=put)])
        with pytest.raises(StateError, match="one address only"):
            await store.write(lease, [Ended("p", put=(device(7), Entry(device(8).address, "UV7", {})))])
        assert [device(1)] == await flat(store.entries())
        await store.write(lease, [Ended("p", put=(twin,), drop=(device(1).address,))])
        children = [Entry(Address.of("m.devices.configs", (f"d-0000{n}", "site")), "site", {}) for n in (1, 2)]
        await store.write(lease, [Ended("q", put=tuple(children))])
        assert [twin, *children] == sorted(await flat(store.entries()), key=lambda entry: (entry.id, entry.address))

    @checked
    async def test_a_secret_is_never_written_and_nothing_else_with_it(self, home: Home) -> None:
        store = home.store()
        lease = await take(store)
        bad = {"x": {"y": [Secret("hunter2-canary")]}}
        records: list[Record] = [
            Ended("e", put=(Entry(device(1).address, "UV1", bad),)),
            Begun("b", device(1).address, bad),
        ]
        for record in records:
            with pytest.raises(TypeError):
                await store.write(lease, [Ended("first", put=(device(2),)), record])
        assert await store.count() == 0

    @checked
    async def test_what_cannot_be_kept_is_an_error_that_names_the_address(self, home: Home) -> None:
        store = home.store()
        lease = await take(store)
        for id, attrs in (("\ud800", {}), ("UV1", {"x": float("nan")})):
            with pytest.raises(StateError, match="d-00001"):
                await store.write(lease, [Ended("o", put=(Entry(device(1).address, id, attrs),))])
        assert await store.count() == 0

    @checked
    async def test_a_run_counts_the_serial_and_a_plan_runs_once(self, home: Home) -> None:
        store = home.store()
        lease = await take(store)
        assert not await store.applied("p")
        begun = await store.begin_run(lease, {"m": ("AC1", "api")}, About("apply", plan="p"))
        assert begun == await home.store("far-2").head() and begun.serial == 1
        assert await home.store("far-2").applied("p")
        with pytest.raises(Refused, match="applied already"):
            await store.begin_run(lease, {}, About("apply", plan="p"))
        head = await store.begin_run(lease, {"t": ("AC2", "api")}, About("apply"))
        assert head.serial == 2 and head.run and head.run != begun.run
        assert head.accounts == {"m": ("AC1", "api"), "t": ("AC2", "api")}

    @checked
    async def test_a_stream_is_of_one_moment(self, home: Home) -> None:
        writer, reader = home.store(), home.store("far-2")
        lease = await take(writer)
        entries = [device(n) for n in range(3000)]
        await writer.write(lease, [Ended("o", put=tuple(entries))])
        stream = reader.entries()
        seen = list(await anext(stream))
        await writer.write(lease, [Ended("p", drop=tuple(entry.address for entry in entries[500:]))])
        assert await reader.count() == 500
        assert len(await reader.get([entry.address for entry in entries])) == 500  # while the stream is open
        assert entries == seen + await flat(stream)
        assert entries[:500] == await flat(reader.entries())

    @checked
    async def test_the_whole_state_as_json(self, home: Home) -> None:
        store = home.store()
        lease = await take(store)
        await store.begin_run(lease, {"m": ("AC1", "api")}, About("apply", plan="p"))
        await store.write(lease, [Ended("o", put=tuple(device(n) for n in range(1500)))])
        await store.write(lease, [Begun("open", device(1).address, {"n": 1})])
        pulled = await dumped(store)
        head = await store.head()
        assert list(pulled.entries) == [device(n) for n in range(1500)] and pulled.head == head
        assert [(one.operation, one.change) for one in pulled.operations] == [("open", {"n": 1})]
        assert list(pulled.plans) == ["p"]

    @checked
    async def test_a_state_is_replaced_by_another_and_kept(self, home: Home) -> None:
        store, other = home.store(), home.store("far-2")
        lease = await take(store)
        await store.begin_run(lease, {"m": ("AC1", "api")}, About("apply", plan="p"))
        entries = tuple(device(n) for n in range(1200))
        await store.write(lease, [Ended("o", put=entries), Begun("open", device(1).address, {"n": 1})])
        before = await dumped(store)
        # Units change places, one is new, most leave; another lineage, and a plan more.
        put = [Entry(device(1).address, "UV2", {}), Entry(device(2).address, "UV1", {}), device(5000)]
        head = replace(before.head, lineage="M", serial=7, accounts={"t": ("AC2", "api")})
        landed = await store.replace(lease, Dump(head, put, (), ["q"]), About("state push", "me"))
        assert (landed.lineage, landed.serial, landed.accounts) == ("M", 7, {"t": ("AC2", "api")})
        assert landed.run != before.head.run and landed == await other.head()
        assert await flat(other.entries()) == put and await other.unfinished() == []
        assert await other.applied("p") and await other.applied("q")
        (kept,) = await other.kept()
        assert (kept.serial, kept.entries, kept.why) == (1, 1200, "state push")
        back = dump_of("".join([piece async for piece in other.pull(kept.id)]))
        assert back == before
        assert [run.about.command for run in await flat(other.runs())] == ["state push", "apply"]
        again = await store.replace(lease, replace(back, head=replace(back.head, serial=8)), About("state restore"))
        assert again.serial == 8 and await flat(store.entries()) == list(entries)
        assert [one.operation for one in await store.unfinished()] == ["open"]
        for serial in range(9, 20):
            await store.replace(lease, Dump(replace(head, serial=serial), []), About("state push"))
        assert [one.serial for one in await store.kept()] == list(range(18, 8, -1))
        assert [piece async for piece in store.pull(kept.id)] == [] and await store.count() == 0
        twins = [device(1), Entry(device(2).address, "UV1", {})]
        with pytest.raises(StateError, match="one address only"):
            await store.replace(lease, Dump(replace(head, serial=30), twins), About("state push"))
        await other.break_lease(lease.id)
        with pytest.raises(Locked):
            await store.replace(lease, Dump(replace(head, serial=30), []), About("state push"))
        assert (await store.head() or head).serial == 19

    @checked
    async def test_runs_are_remembered_with_what_they_changed(self, home: Home) -> None:
        store, reader = home.store(), home.store("far-2")
        assert await flat(store.runs()) == []
        lease = await take(store)
        about = About("apply", "me", "far-1", "https://ci.example.com/7", "c0ffee", "1.2", None, {"targets": ["x"]}, 3)
        first = await store.begin_run(lease, {}, about)
        told = [
            Changed(device(n).address, "update", "2026", ({"path": "a.b", "before": None, "after": "\0é"},))
            for n in range(1200)
        ]
        await store.write(lease, [Ended(f"o{n}", put=(device(n),), told=one) for n, one in enumerate(told)])
        ((unfinished,),) = [batch async for batch in reader.runs()]
        assert (unfinished.id, unfinished.about, unfinished.serial) == (first.run, about, 1)
        assert (unfinished.outcome, unfinished.ended) == ("unfinished", None)
        with pytest.raises(Locked, match="me@far:1, apply of 3 changes since 2"):
            await take(reader)
        await store.end_run(lease, first.run or "", "partly", {"done": 2, "failed": 1})
        second = await store.begin_run(lease, {}, About("destroy"))
        last, before = await flat(reader.runs())
        assert (last.id, last.about.command, last.serial) == (second.run, "destroy", 2)
        assert (before.outcome, before.counts) == ("partly", {"done": 2, "failed": 1}) and before.ended
        assert await flat(reader.changes(before.id)) == told
        assert await flat(reader.changes(last.id)) == [] == await flat(reader.changes("none"))
        later = datetime.now(UTC) + timedelta(hours=1)
        assert await flat(reader.runs(later)) == []

    @checked
    async def test_what_is_older_than_it_is_kept_is_forgotten_as_a_run_begins(self, home: Home) -> None:
        store = home.store()
        lease = await take(store)
        first = await store.begin_run(lease, {}, About("apply", plan="p"), timedelta(days=90))
        await store.write(lease, [Ended("o", told=Changed(device(1).address, "update"))])
        await store.begin_run(lease, {}, About("apply"), timedelta(days=90))
        assert len(await flat(store.runs())) == 2
        await asyncio.sleep(0.01)
        third = await store.begin_run(lease, {}, About("apply"), timedelta(milliseconds=1))
        assert [run.id for run in await flat(store.runs())] == [third.run]
        assert await flat(store.changes(first.run or "")) == []
        assert await store.applied("p")  # that it was applied is no matter of memory

    @checked
    async def test_a_state_that_was_moved_says_where_to(self, home: Home) -> None:
        store, other = home.store(), home.store("far-2")
        lease = await take(store)
        for moved in (Moved("there", False), Moved("there", True), None):
            await store.mark(lease, moved)
            head = await other.head()
            assert head is not None and head.moved == moved
        await other.break_lease(lease.id)
        with pytest.raises(Locked):
            await store.mark(lease, Moved("there", True))

    @checked
    async def test_runs_of_another_home_are_taken_over(self, home: Home) -> None:
        store = home.store()
        lease = await take(store)
        own = await store.begin_run(lease, {}, About("state copy"))
        told = [Changed(device(n).address, "update", "2026", ({"path": "a", "before": 1, "after": 2},)) for n in (2, 1)]
        runs = [
            Run(f"run-{n}", n, f"2026-01-0{n}T00:00:00Z", About("apply", by="ann"), None, "unfinished") for n in (1, 2)
        ]
        for _ in range(2):  # as often as one likes
            await store.remember(lease, runs[0], told)
            await store.remember(lease, runs[1], ())
        found = await flat(store.runs())
        assert [run.id for run in found] == [own.run, "run-2", "run-1"] and found[1:] == [runs[1], runs[0]]
        assert await flat(store.changes("run-1")) == told and await flat(store.changes("run-2")) == []

    # ------------------------------------------------------------------ the lease

    @checked
    async def test_one_holds_the_lease_at_a_time(self, home: Home) -> None:
        one, other = home.store(), home.store("far-2")
        first = await take(one)
        with pytest.raises(Locked) as caught:
            await take(other)
        told = str(caught.value)
        assert all(part in told for part in ("me@far:1", first.since, first.id, f"reconcile unlock {first.id}"))
        assert [first] == await other.leases()
        apart = await take(other, scope="another")
        assert await take(home.store("far-3"), scope="a third")
        await one.release(first)
        await one.release(first)
        second = await take(other)
        assert second.epoch > first.epoch and apart in await one.leases()
        await one.release(first)  # of what is another's by now
        assert second in await one.leases()

    @checked
    async def test_a_lease_that_ended_is_taken_over_and_its_holder_writes_no_more(self, home: Home) -> None:
        one, other = home.store(), home.store("far-2")
        first = await take(one, SHORT_S)
        await one.write(first, [Begun("o", device(1).address, {})])
        with pytest.raises(Locked):
            await take(other)
        await asyncio.sleep(SHORT_S)
        second = await take(other)
        assert second.epoch > first.epoch
        for late in (Ended("o", put=(device(1),)), Begun("p", device(2).address, {})):
            with pytest.raises(Locked, match="taken over"):
                await one.write(first, [late])
        with pytest.raises(Locked, match="taken over"):
            await one.renew(first, LONG_S)
        with pytest.raises(Locked, match="taken over"):
            await one.begin_run(first, {}, About("apply"))
        await one.release(first)
        assert [second] == await other.leases()
        assert await other.count() == 0 and [intent.operation for intent in await other.unfinished()] == ["o"]

    @checked
    async def test_after_its_end_a_lease_records_what_happened_and_begins_nothing(self, home: Home) -> None:
        store = home.store()
        lease = await take(store, SHORT_S)
        await store.write(lease, [Begun("o", device(1).address, {})])
        await asyncio.sleep(SHORT_S)
        with pytest.raises(Locked):
            await store.write(lease, [Begun("p", device(2).address, {})])
        with pytest.raises(Locked):  # both at once: what happened is recorded all the same
            await store.write(lease, [Begun("p", device(2).address, {}), Ended("o", put=(device(1),))])
        assert [device(1)] == await flat(store.entries()) and await store.unfinished() == []
        again = await store.renew(lease, LONG_S)
        assert again.epoch == lease.epoch
        await store.write(again, [Begun("p", device(2).address, {})])
        assert [intent.operation for intent in await store.unfinished()] == ["p"]

    @checked
    async def test_a_lease_is_renewed(self, home: Home) -> None:
        one, other = home.store(), home.store("far-2")
        lease = await take(one, SHORT_S)
        later = await one.renew(lease, LONG_S)
        assert (later.id, later.epoch, later.since) == (lease.id, lease.epoch, lease.since)
        assert later.expires > lease.expires and [later] == await other.leases()
        await asyncio.sleep(SHORT_S)
        with pytest.raises(Locked):
            await take(other)

    @checked
    async def test_a_lease_is_broken_by_its_id_alone(self, home: Home) -> None:
        one, other = home.store(), home.store("far-2")
        lease = await take(one)
        for wrong in ("", "x", lease.id[:-1]):
            with pytest.raises(Locked, match="no lease has the id"):
                await other.break_lease(wrong)
        await other.break_lease(lease.id)
        assert await other.leases() == []
        for call in (
            one.write(lease, [Ended("o", put=(device(1),))]),
            one.renew(lease, LONG_S),
            one.begin_run(lease, {}, About("apply")),
        ):
            with pytest.raises(Locked, match="unlock"):
                await call
        assert (await take(other)).epoch > lease.epoch
        assert await one.count() == 0

    # ------------------------------------------------------------------ two at once

    @checked
    async def test_of_many_that_come_at_once_one_takes_the_lease(self, home: Home) -> None:
        stores = [home.store(f"far-{n}") for n in range(8)]
        for turn in range(3):
            found = await asyncio.gather(*map(take, stores), return_exceptions=True)
            taken = [(store, one) for store, one in zip(stores, found, strict=True) if isinstance(one, Lease)]
            assert len(taken) == 1, found
            assert all(isinstance(one, Lease | Locked) for one in found), found
            assert turn or taken[0][1].epoch == 1
            await taken[0][0].release(taken[0][1])

    @checked
    async def test_no_count_is_lost_between_those_who_take_turns(self, home: Home) -> None:
        async def add(store: Store) -> None:
            for _ in range(5):
                while True:
                    try:
                        lease = await take(store)
                        break
                    except Locked:
                        await asyncio.sleep(0.01)
                entry = (await store.get([device(1).address])).get(device(1).address)
                count = (entry.facts["n"] if entry else 0) + 1
                await store.write(lease, [Ended("o", put=(device(1, facts={"n": count}),))])
                await store.begin_run(lease, {}, About("apply"))
                await store.release(lease)

        stores = [home.store(f"far-{n}") for n in range(4)]
        await asyncio.gather(*map(add, stores))
        ((entry,), head) = await flat(stores[0].entries()), await stores[0].head()
        assert entry.facts["n"] == 20 and head is not None and head.serial == 20

    @checked
    async def test_what_was_taken_over_is_written_by_nobody_else_from_then_on(self, home: Home) -> None:
        slow, quick = home.store(), home.store("far-2")
        lease = await take(slow, SHORT_S)
        written = 0

        async def go_on() -> None:
            nonlocal written
            while True:
                await slow.write(lease, [Ended("o", put=(device(1, facts={"n": written + 1}),))])
                written += 1
                await asyncio.sleep(0)

        async def take_over() -> int:
            await asyncio.sleep(SHORT_S)
            await take(quick)
            return int((await quick.get([device(1).address]))[device(1).address].facts["n"])

        writing = asyncio.create_task(go_on())
        seen = await take_over()
        with pytest.raises(Locked, match="taken over"):
            await writing
        entry = (await quick.get([device(1).address]))[device(1).address]
        assert entry.facts["n"] == seen == written > 0
