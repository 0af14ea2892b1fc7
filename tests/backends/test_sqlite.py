"""The local state: what is written is there, what is broken is said, and only the newest lease writes."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shlex
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from reconcile.backends import holders
from reconcile.backends.rows import entry_row
from reconcile.backends.sqlite import connection, file
from reconcile.backends.sqlite.store import SqliteStore
from reconcile.core.address import Address
from reconcile.core.history import About
from reconcile.core.ports import Begun, Ended, Head, Lease
from reconcile.core.resource import Entry, entry_from_json
from reconcile.core.values import Ref, Secret, SecretRef
from reconcile.errors import Locked, ReconcileError, Refused, StateError

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
START = datetime(2026, 1, 1, tzinfo=UTC)


sees_processes = pytest.mark.skipif(not holders.process_of(os.getpid()), reason="no /proc to tell processes by")


class Clock:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


def run(work: Awaitable[T]) -> T:
    async def main() -> T:
        return await work

    return asyncio.run(main())


def flat(stream: AsyncIterator[Sequence[T]]) -> list[T]:
    """All that comes in batches, or in pieces of text."""

    async def gathered() -> list[T]:
        return [one async for batch in stream for one in batch]

    return run(gathered())


def device(n: int, **more: Any) -> Entry:
    return Entry(Address.of("m.devices", (f"d-{n:05}",)), f"UV{n}", {"app": Ref("m.apps", "a")}, at="2026", **more)


def config(n: int, key: str) -> Entry:
    return Entry(Address.of("m.devices.configs", (f"d-{n:05}", key)), key, {"value": "x"}, parent=f"UV{n}")


class Fleet:
    """A fleet's state with a clock; makes as many stores over it as a test wants."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "state" / "depot.db"
        self.clock = Clock()
        self.made: list[SqliteStore] = []

    def store(self, host: str = "h1", pid: int | None = None, without_log: bool = False, **more: Any) -> SqliteStore:
        process = holders.Process(host, os.getpid() if pid is None else pid, **more)
        rng = random.Random(len(self.made))
        store = SqliteStore(self.path, now=self.clock, rng=rng, process=process, without_log=without_log)
        self.made.append(store)
        return store

    def take(self, store: SqliteStore, scope: str = "fleet", lineage: str = "L") -> Lease:
        return run(store.acquire(scope=scope, holder="me@h1:1", ttl_s=60, lineage=lineage, fleet="depot"))

    def close(self) -> None:
        for store in self.made:
            run(store.close())

    def filled(self) -> None:
        """A state with five devices, closed."""
        store = self.store()
        lease = self.take(store)
        run(store.begin_run(lease, {"m": ("AC1", "api")}, About("apply", plan="plan-1")))
        run(store.write(lease, [Ended("o", put=tuple(device(n) for n in range(5)))]))
        run(store.write(lease, [Begun("o-6", device(6).address, {"a": 1})]))
        run(store.release(lease))
        run(store.close())

    def sql(self, *statements: str) -> None:
        """What somebody does to the file with another program."""
        db = sqlite3.connect(self.path, isolation_level=None)
        for statement in statements:
            db.execute(statement)
        db.close()

    def everything(self) -> tuple[Any, ...]:
        """All that the state says, read by a store of its own."""
        store = self.store()
        try:
            entries = flat(store.entries())
            addresses = [entry.address for entry in entries]
            return (
                run(store.head()), entries, run(store.get(addresses)), run(store.by_unit("m.devices", ["UV1", "UV4"])),
                run(store.count()), run(store.count("m.devices")), run(store.unfinished()),
                run(store.applied("plan-1")),
            )  # fmt: skip
        finally:
            run(store.close())


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    made.close()


# ------------------------------------------------------------------ reading and writing


def test_reading_makes_nothing(fleet: Fleet) -> None:
    store = fleet.store()
    assert run(store.head()) is None
    assert run(store.get([device(1).address])) == {}
    assert run(store.by_unit("m.devices", ["UV1"])) == {}
    assert run(store.under([device(1).address])) == []
    assert flat(store.entries()) == [] == flat(store.pull())
    assert run(store.count()) == 0
    assert run(store.unfinished()) == [] == run(store.leases())
    assert not run(store.applied("x"))
    with pytest.raises(Locked):
        run(store.break_lease("x"))
    assert list(fleet.path.parent.parent.iterdir()) == []


def test_the_first_lease_makes_the_state_for_its_owner_alone(fleet: Fleet) -> None:
    store = fleet.store()
    before = os.umask(0)
    try:
        fleet.take(store)
    finally:
        os.umask(before)
    assert Head("L", 0, "depot") == run(store.head())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in fleet.path.parent.iterdir()}
    assert modes == {"depot.db": 0o600, "depot.db-wal": 0o600, "depot.db-shm": 0o600}
    assert stat.S_IMODE(fleet.path.parent.stat().st_mode) == 0o700
    run(store.close())
    assert [path.name for path in fleet.path.parent.iterdir()] == ["depot.db"]


def test_a_state_that_is_there_keeps_its_lineage(fleet: Fleet) -> None:
    fleet.filled()
    store = fleet.store()
    fleet.take(store, lineage="another")
    head = run(store.head())
    assert head is not None
    assert Head("L", 1, "depot", {"m": ("AC1", "api")}, head.run) == head


def test_the_state_of_another_fleet_is_refused(fleet: Fleet) -> None:
    fleet.filled()
    with pytest.raises(Refused, match="'depot'"):
        run(fleet.store().acquire(scope="fleet", holder="me", ttl_s=60, lineage="L", fleet="other"))


def test_what_was_written_is_read_back(fleet: Fleet) -> None:
    store = fleet.store()
    lease = fleet.take(store)
    whole = device(
        1, prints={"psk": {"key": "k", "mac": "00"}}, facts={"n": [1, None]}, needs=(device(2).address,),
        protect=True, on_removal="forget", labels={"s": "\u202e ä 😀"},
    )  # fmt: skip
    secret = Entry(Address.of("m.devices.configs", ("d-00001", 'a."b"]')), 'a."b"]', {"value": SecretRef("env", "P")})
    run(store.write(lease, [Ended("o", put=(secret, whole))]))
    assert [whole, secret] == flat(store.entries())
    assert [secret] == run(store.under([whole.address])) == flat(store.entries("m.devices.configs"))
    assert {whole.address: whole} == run(store.get([whole.address, device(9).address]))
    assert {"UV1": whole} == run(store.by_unit("m.devices", ["UV1", "UV2", "\ud800"]))
    assert (run(store.count()), run(store.count("m.devices")), run(store.count("m.apps"))) == (2, 1, 0)


def test_more_addresses_than_one_query_takes(fleet: Fleet) -> None:
    store = fleet.store()
    lease = fleet.take(store)
    entries = [device(n) for n in range(2500)]
    run(store.write(lease, [Ended("o", put=tuple(reversed(entries)))]))
    assert entries == flat(store.entries())
    assert len(run(store.get([entry.address for entry in entries]))) == 2500
    assert len(run(store.by_unit("m.devices", [entry.id for entry in entries]))) == 2500


def test_records_act_in_their_order(fleet: Fleet) -> None:
    store = fleet.store()
    lease = fleet.take(store)
    one, two = device(1), device(2)
    run(
        store.write(
            lease,
            [
                Begun("a", one.address, {"n": 1}),
                Ended("a", put=(one, two)),
                Begun("b", one.address, {"n": 2}),
                Begun("c", two.address, {"n": 3}),
                Ended("b", drop=(one.address,)),
                Ended("never begun: state rm", drop=(device(7).address,)),
            ],
        )
    )
    assert [two] == flat(store.entries())
    assert run(store.count()) == 1
    (left,) = run(store.unfinished())
    assert ("c", two.address, {"n": 3}, holders.stamp(START)) == (left.operation, left.address, left.change, left.begun)


def test_an_entry_moves_to_another_address_in_one_record(fleet: Fleet) -> None:
    """`state mv`, onto its own old address too: what is put wins."""
    store = fleet.store()
    lease = fleet.take(store)
    run(store.write(lease, [Ended("o", put=(device(1),))]))
    run(store.write(lease, [Ended("mv", put=(device(2), device(1, protect=True)), drop=(device(1).address,))]))
    assert [device(1, protect=True), device(2)] == flat(store.entries())


def test_reading_goes_on_over_a_moment_while_another_writes(fleet: Fleet) -> None:
    writer, reader = fleet.store(), fleet.store(host="h2")
    lease = fleet.take(writer)
    entries = [device(n) for n in range(3000)]
    run(writer.write(lease, [Ended("o", put=tuple(entries))]))

    async def meanwhile() -> list[Entry]:
        stream = reader.entries()
        seen = list(await anext(stream))
        await writer.write(lease, [Ended("p", drop=tuple(entry.address for entry in entries[500:]))])
        assert await reader.count() == 500
        return seen + [entry async for batch in stream for entry in batch]

    assert entries == run(meanwhile())
    assert entries[:500] == flat(reader.entries())


def test_pull_gives_the_whole_state_as_json(fleet: Fleet) -> None:
    fleet.filled()
    store = fleet.store()
    pulled = json.loads("".join(flat(store.pull())))
    (open_,) = pulled["operations"]
    head = run(store.head())
    assert head is not None and (open_["operation"], open_["change"]) == ("o-6", {"a": 1})
    assert {**pulled, "entries": [entry_from_json(row) for row in pulled["entries"]]} == {
        "version": 2, "fleet": "depot", "lineage": "L", "serial": 1, "run": head.run, "operations": [open_],
        "accounts": {"m": ["AC1", "api"]}, "entries": [device(n) for n in range(5)], "plans": ["plan-1"],
    }  # fmt: skip


def test_a_run_counts_the_serial_and_a_plan_runs_once(fleet: Fleet) -> None:
    store = fleet.store()
    lease = fleet.take(store)
    assert not run(store.applied("p"))
    begun = run(store.begin_run(lease, {"m": ("AC1", "api")}, About("apply", plan="p")))
    assert Head("L", 1, "depot", {"m": ("AC1", "api")}, begun.run) == begun == run(store.head())
    assert run(store.applied("p"))
    with pytest.raises(Refused, match="applied already"):
        run(store.begin_run(lease, {}, About("apply", plan="p")))
    head = run(store.begin_run(lease, {"t": ("AC2", "api")}, About("apply")))
    assert head == run(store.head())
    assert head.serial == 2
    assert begun.run and head.run and begun.run != head.run
    assert head.accounts == {"m": ("AC1", "api"), "t": ("AC2", "api")}


@pytest.mark.parametrize("place", ["attrs", "prints", "facts", "change"])
def test_a_secret_is_never_written(fleet: Fleet, place: str) -> None:
    store = fleet.store()
    lease = fleet.take(store)
    bad: dict[str, Any] = {"x": {"y": [Secret("hunter2-canary")]}}
    address = device(1).address
    record = Begun("b", address, bad) if place == "change" else Ended("e", put=(_entry(address, **{place: bad}),))
    with pytest.raises(TypeError):
        run(store.write(lease, [Ended("first", put=(device(2),)), record]))
    assert run(store.count()) == 0
    run(store.close())
    assert all(b"hunter2" not in path.read_bytes() for path in fleet.path.parent.iterdir())


def _entry(address: Address, **more: Any) -> Entry:
    return Entry(address, "UV1", **{"attrs": {}, **more})


@pytest.mark.parametrize("bad", [{"id": "\ud800"}, {"attrs": {"x": float("nan")}}])
def test_what_the_file_cannot_hold_is_an_error_that_names_the_address(fleet: Fleet, bad: dict[str, Any]) -> None:
    store = fleet.store()
    lease = fleet.take(store)
    entry = Entry(device(1).address, **{"id": "UV1", "attrs": {}, **bad})
    with pytest.raises(StateError, match="d-00001"):
        run(store.write(lease, [Ended("o", put=(entry,))]))
    assert run(store.count()) == 0


# ------------------------------------------------------------------ the lease


def test_one_holds_the_lease_at_a_time(fleet: Fleet) -> None:
    a, b = fleet.store(), fleet.store(host="h2")
    first = fleet.take(a)
    with pytest.raises(Locked) as caught:
        fleet.take(b)
    told = str(caught.value)
    assert all(part in told for part in ("me@h1:1", first.since, first.id, f"reconcile unlock {first.id}"))
    run(a.release(first))
    second = fleet.take(b)
    assert second.epoch > first.epoch
    assert [second] == run(a.leases())


def test_scopes_do_not_meet(fleet: Fleet) -> None:
    a, b = fleet.store(), fleet.store()
    one, two = fleet.take(a, "shard-1"), fleet.take(b, "shard-2")
    run(a.write(one, [Ended("o", put=(device(1),))]))
    run(b.write(two, [Ended("o", put=(device(2),))]))
    assert run(a.count()) == 2


def test_an_expired_lease_is_taken_over_and_its_holder_writes_no_more(fleet: Fleet) -> None:
    """T13: A sleeps, B runs, A wakes up."""
    a, b = fleet.store(), fleet.store(host="h2")
    old = fleet.take(a)
    fleet.clock.at += timedelta(seconds=60)
    new = fleet.take(b)
    for late in (
        lambda: a.write(old, [Ended("o", put=(device(1),))]),
        lambda: a.begin_run(old, {}, About("apply")),
        lambda: a.renew(old, 60),
    ):
        with pytest.raises(Locked, match="taken over"):
            run(late())
    run(a.release(old))
    run(b.write(new, [Ended("o", put=(device(2),))]))
    assert [device(2)] == flat(a.entries())


def test_an_expired_lease_that_nobody_took_still_records_and_renews(fleet: Fleet) -> None:
    store = fleet.store()
    lease = fleet.take(store)
    fleet.clock.at += timedelta(hours=1)
    run(store.write(lease, [Ended("o", put=(device(1),))]))
    lease = run(store.renew(lease, 60))
    with pytest.raises(Locked):
        fleet.take(fleet.store(host="h2"))


def test_unlock_needs_the_exact_id_and_ends_the_holder(fleet: Fleet) -> None:
    a, b = fleet.store(), fleet.store(host="h2")
    old = fleet.take(a)
    for wrong in ("", old.id[:-1], old.id.upper() + "x", "%"):
        with pytest.raises(Locked, match="no lease has the id"):
            run(b.break_lease(wrong))
    run(b.break_lease(old.id))
    assert run(b.leases()) == []
    with pytest.raises(Locked, match="no longer holds"):
        run(a.write(old, [Ended("o", put=(device(1),))]))
    with pytest.raises(Locked):
        run(a.renew(old, 60))
    assert fleet.take(a).epoch > old.epoch + 1


HOLDER = """
import asyncio, os, random, sys
from datetime import UTC, datetime
from pathlib import Path
from reconcile.backends.holders import Process
from reconcile.backends.sqlite.store import SqliteStore
now = datetime(2026, 1, 1, tzinfo=UTC)
store = SqliteStore(Path(sys.argv[1]), now=lambda: now, rng=random.Random(), process=Process("h1", os.getpid()))
asyncio.run(store.acquire(scope="fleet", holder="it", ttl_s=60, lineage="L", fleet="depot"))
print("held", flush=True)
sys.stdin.read()
"""


def held_by_another(fleet: Fleet) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(fleet.path)], stdin=-1, stdout=-1, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


@sees_processes
def test_a_dead_holder_on_this_host_is_taken_over_at_once(fleet: Fleet) -> None:
    """Not yet reaped counts as dead; alive, or on another host, does not."""
    child = held_by_another(fleet)
    try:
        with pytest.raises(Locked):
            fleet.take(fleet.store())
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(Locked):
            fleet.take(fleet.store(host="h2"))
        assert fleet.take(fleet.store()).epoch == 2
    finally:
        child.kill()
        child.communicate()


@sees_processes
def test_a_pid_that_another_process_has_by_now_is_a_dead_holder(fleet: Fleet) -> None:
    fleet.take(fleet.store())
    with pytest.raises(Locked):
        fleet.take(fleet.store())
    place = holders.process_of(os.getpid()).rpartition(":")[0]
    fleet.sql(f"UPDATE leases SET process = '{place}:1'")
    fleet.take(fleet.store())


@pytest.mark.parametrize("process", ["", "another-boot:pid:[1]:5", "garbage"])
def test_a_holder_that_cannot_be_seen_counts_until_it_expires(fleet: Fleet, process: str) -> None:
    fleet.take(fleet.store())
    fleet.sql(f"UPDATE leases SET process = '{process}', pid = 999999999")
    with pytest.raises(Locked):
        fleet.take(fleet.store())
    fleet.clock.at += timedelta(seconds=61)
    fleet.take(fleet.store())


@pytest.mark.parametrize(
    "damage",
    [
        "expires = 'soon'",
        "expires = ''",
        "expires = '2026-01-01'",
        "expires = 5",
        "expires = '2999-01-01T00:00:00Z'",
        "epoch = 'x'",
        "id = x'00ff'",
        "holder = x'00'",
    ],
)
def test_a_lease_that_nobody_can_date_locks_until_it_is_unlocked_by_its_id(fleet: Fleet, damage: str) -> None:
    fleet.take(fleet.store())
    fleet.sql(f"UPDATE leases SET {damage}, host = 'h9'")
    store = fleet.store()
    fleet.clock.at += timedelta(days=1)
    (shown,) = run(store.leases())
    with pytest.raises(Locked) as caught:
        fleet.take(store)
    assert f"reconcile unlock {shlex.quote(holders.printable(shown.id))}" in str(caught.value)
    run(store.break_lease(shown.id))
    fleet.take(store)


# ------------------------------------------------------------------ what is there and cannot be used


def _replace(fleet: Fleet, data: bytes) -> None:
    fleet.path.write_bytes(data)


def _instead(make: Callable[[Path], object]) -> Callable[[Fleet], None]:
    def change(fleet: Fleet) -> None:
        fleet.path.unlink()
        make(fleet.path)

    return change


def _link(path: Path) -> None:
    (path.parent / "real.db").write_bytes(b"x")
    path.symlink_to("real.db")


def _socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


def _foreign(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE t (a)")
    db.close()
    path.chmod(0o600)


def _sql(*statements: str) -> Callable[[Fleet], None]:
    return lambda fleet: fleet.sql(*statements)


def _mode(mode: int) -> Callable[[Fleet], None]:
    return lambda fleet: fleet.path.chmod(mode)


def _side(name: str) -> Callable[[Fleet], None]:
    return lambda fleet: fleet.path.with_name(fleet.path.name + name).symlink_to("/etc/passwd")


def _log_alone(fleet: Fleet) -> None:
    fleet.path.rename(fleet.path.with_name(fleet.path.name + "-wal"))


BROKEN: dict[str, tuple[Callable[[Fleet], None], str]] = {
    "zero bytes": (lambda fleet: _replace(fleet, b""), "zero bytes"),
    "text": (lambda fleet: _replace(fleet, b"{}\n"), "not a state"),
    "binary": (lambda fleet: _replace(fleet, os.urandom(9000)), "not a state"),
    "half": (lambda fleet: _replace(fleet, fleet.path.read_bytes()[:20000]), "cut short|damaged"),
    "last byte missing": (lambda fleet: _replace(fleet, fleet.path.read_bytes()[:-1]), "cut short|damaged"),
    "one page": (lambda fleet: _replace(fleet, fleet.path.read_bytes()[:4096]), "cut short|damaged"),
    "header": (lambda fleet: _replace(fleet, fleet.path.read_bytes()[:100]), "cut short|damaged|not a state"),
    "foreign database": (_instead(_foreign), "not a state of reconcile"),
    "other application": (_sql("PRAGMA application_id = 7"), "not a state of reconcile"),
    "newer": (_sql("PRAGMA user_version = 99"), "version 99.*later one"),
    "older": (_sql("PRAGMA user_version = 0"), "version 0"),
    "a table more": (_sql("CREATE TABLE extra (a)"), "tables of the state"),
    "a trigger": (_sql("CREATE TRIGGER t AFTER DELETE ON plans BEGIN DELETE FROM entries; END"), "tables"),
    "no index": (_sql("DROP INDEX entries_unit"), "tables of the state"),
    "directory": (_instead(Path.mkdir), "a directory"),
    "FIFO": (_instead(lambda path: os.mkfifo(path, 0o600)), "a pipe"),
    "socket": (_instead(_socket), "a socket"),
    "link": (_instead(_link), "symbolic link"),
    "dangling link": (_instead(lambda path: path.symlink_to("nowhere")), "symbolic link"),
    "0777": (_mode(0o777), "0777.*written by others"),
    "0644": (_mode(0o644), "0644.*read by others"),
    "wal is a link": (_side("-wal"), "-wal is a symbolic link"),
    "shm is a link": (_side("-shm"), "-shm is a symbolic link"),
    "journal is a link": (_side("-journal"), "-journal is a symbolic link"),
    "log without its file": (_log_alone, "log is still there"),
    "negative serial": (_sql("UPDATE meta SET serial = -1"), "serial .*-1"),
    "lower serial": (_sql("UPDATE meta SET serial = 0"), "checksum"),
    "serial is text": (_sql("UPDATE meta SET serial = 'x'"), "serial"),
    "empty lineage": (_sql("UPDATE meta SET lineage = ''"), "no lineage"),
    "missing lineage": (_sql("DELETE FROM meta"), "no lineage"),
    "other lineage": (_sql("UPDATE meta SET lineage = 'M'"), "checksum"),
    "accounts edited": (_sql("UPDATE meta SET accounts = 'null'"), "checksum"),
    "a row dropped": (_sql("DELETE FROM entries WHERE unit = 'UV3'"), "4 entries and should hold 5"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_state_is_an_error_that_says_what_and_the_way_out(fleet: Fleet, case: str) -> None:
    fleet.filled()
    damage, words = BROKEN[case]
    damage(fleet)
    sizes = {path.name: path.lstat().st_size for path in fleet.path.parent.iterdir()}
    for call in (
        lambda store: store.head(),
        lambda store: store.get([device(1).address]),
        lambda store: store.acquire(scope="fleet", holder="me", ttl_s=60, lineage="L", fleet="depot"),
        lambda store: store.break_lease("x"),
    ):
        with pytest.raises(StateError, match=words) as caught:
            run(call(fleet.store()))
        assert str(fleet.path) in str(caught.value)
        assert caught.value.problems[0].hint
    for stream in (fleet.store().entries(), fleet.store().pull()):
        with pytest.raises(StateError, match=words):
            flat(stream)
    for path in fleet.path.parent.iterdir():
        # SQLite leaves an empty log beside a file that it found to be damaged; nothing else was made or changed.
        empty = path.name == "depot.db-shm" or (path.name == "depot.db-wal" and path.lstat().st_size == 0)
        assert sizes.get(path.name) == path.lstat().st_size or empty


@pytest.mark.parametrize(
    "edit",
    [
        "unit = 'UV9'",
        "body = replace(body, 'UV3', 'UV9')",
        "body = '{}'",
        "type = 'm.apps'",
        "under = 'm.devices.d-00001'",
        "sum = x'00'",
        "body = x'ff'",
        "address = 'm.devices.d-00009'",
    ],
)
def test_an_edited_entry_is_an_error_that_names_its_address(fleet: Fleet, edit: str) -> None:
    fleet.filled()
    fleet.sql(f"UPDATE entries SET {edit} WHERE unit = 'UV3'")
    store = fleet.store()
    with pytest.raises(StateError, match=r"m\.devices\.d-0000[39]"):
        flat(store.entries())
    with pytest.raises(StateError, match=r"m\.devices\.d-0000[39]"):
        run(store.get([device(3).address, device(9).address]))
    assert {device(1).address: device(1)} == run(store.get([device(1).address]))


def test_an_edited_operation_is_an_error(fleet: Fleet) -> None:
    fleet.filled()
    fleet.sql("UPDATE operations SET change = '{}'")
    with pytest.raises(StateError, match="o-6"):
        run(fleet.store().unfinished())


def test_a_row_that_is_too_large_is_an_error_before_it_is_built(fleet: Fleet) -> None:
    fleet.filled()
    fleet.sql("UPDATE entries SET body = zeroblob(17000000) WHERE unit = 'UV3'")
    started = time.process_time()
    with pytest.raises(StateError, match="more than 16,777,216 bytes"):
        flat(fleet.store().entries())
    assert time.process_time() - started < 2
    assert {device(1).address: device(1)} == run(fleet.store().get([device(1).address]))


def test_a_row_that_would_be_too_large_is_not_written(fleet: Fleet) -> None:
    fleet.filled()
    large = replace(device(3), attrs={"value": "x" * (16 << 20)})
    with pytest.raises(StateError, match="the state holds at most"):
        entry_row(large)


def test_no_flipped_byte_changes_what_the_state_says(fleet: Fleet) -> None:
    """A flip is an error, or it lies where nothing is kept; never other data, never another kind of error."""
    fleet.filled()
    whole, says, rng = fleet.path.read_bytes(), fleet.everything(), random.Random(1)
    refused = 0
    for at in [*range(108), *(rng.randrange(len(whole)) for _ in range(250))]:
        fleet.path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :])
        try:
            assert says == fleet.everything(), at
        except StateError:
            refused += 1
        for end in ("-wal", "-shm", "-journal"):
            fleet.path.with_name(fleet.path.name + end).unlink(missing_ok=True)
    assert refused > 20


def test_a_state_cut_at_any_page_or_length_is_an_error(fleet: Fleet) -> None:
    fleet.filled()
    whole = fleet.path.read_bytes()
    for length in sorted({*range(0, len(whole), 4096), *range(1, len(whole), 1777), len(whole) - 1}):
        fleet.path.write_bytes(whole[:length])
        with pytest.raises(StateError):
            fleet.everything()


def test_a_read_only_file_is_read_and_not_written(fleet: Fleet) -> None:
    fleet.filled()
    fleet.path.chmod(0o400)
    store = fleet.store()
    assert [device(n) for n in range(5)] == flat(store.entries())
    assert run(store.count()) == 5
    with pytest.raises(StateError, match="read-only"):
        fleet.take(store)
    assert [fleet.path] == list(fleet.path.parent.iterdir())


@pytest.mark.parametrize("replacement", ["removed", "another", "link"])
def test_a_file_that_is_replaced_during_a_run_is_noticed(fleet: Fleet, replacement: str) -> None:
    """A checkout or a clean-up in the middle of an apply: its records would go into a file without a name."""
    store = fleet.store()
    lease = fleet.take(store)
    run(store.write(lease, [Ended("o", put=(device(1),))]))
    moved = fleet.path.rename(fleet.path.with_name("moved"))
    if replacement == "another":
        fleet.path.write_bytes(moved.read_bytes())
    elif replacement == "link":
        fleet.path.symlink_to("moved")
    with pytest.raises(StateError, match="moved, replaced or removed"):
        run(store.write(lease, [Ended("o", put=(device(2),))]))


# ------------------------------------------------------------------ trouble below, and crashes


def test_another_writer_is_waited_for(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "BUSY_S", 0.01)
    store = fleet.store()
    lease = fleet.take(store)
    other = sqlite3.connect(fleet.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def work() -> None:
        write = asyncio.create_task(store.write(lease, [Ended("o", put=(device(1),))]))
        await asyncio.sleep(0.05)
        assert not write.done()
        assert await store.count() == 0  # readers do not wait
        other.execute("COMMIT")
        await write

    run(work())
    assert run(store.count()) == 1
    monkeypatch.setattr(connection, "SLEEP_S", 0.0)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateError, match="another process holds"):
        run(store.write(lease, [Ended("o", put=(device(2),))]))
    other.close()
    run(store.write(lease, [Ended("o", put=(device(2),))]))


def test_no_room_is_an_error_and_what_was_recorded_before_is_safe(fleet: Fleet) -> None:
    store = fleet.store()
    lease = fleet.take(store)
    run(store.write(lease, [Ended("o", put=(device(1),))]))
    db = store._file._db
    assert db is not None
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(StateError, match="disk is full"):
        run(store.write(lease, [Ended("p", put=tuple(device(n) for n in range(2, 500)))]))
    run(store.close())
    assert [device(1)] == flat(fleet.store().entries())


FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
"""

WRITER = """
import asyncio, os, random, sys
from datetime import UTC, datetime
from pathlib import Path
from reconcile.backends.holders import Process
from reconcile.backends.rows import entry_row
from reconcile.backends.sqlite.store import SqliteStore
from reconcile.core.address import Address
from reconcile.core.ports import Begun, Ended
from reconcile.core.resource import Entry
from reconcile.errors import StateError

async def main():
    path = Path(sys.argv[1])
    store = SqliteStore(path, now=lambda: datetime.now(UTC), rng=random.Random(), process=Process("h1", os.getpid()))
    lease = await store.acquire(scope="fleet", holder="it", ttl_s=60, lineage="L", fleet="depot")
    start = await store.count()
    print("ready", flush=True)
    for n in range(start, 10**6):
        address = Address.of("m.devices", (f"d-{n:05}",))
        await store.write(lease, [Begun(f"o-{n}", address, {"n": n})])
        await store.write(lease, [Ended(f"o-{n}", put=(Entry(address, f"UV{n}", {"pad": "x" * 300}),))])
        os.write(1, b"%d\\n" % n)

try:
    asyncio.run(main())
except StateError as error:
    print("error:", error, flush=True)
"""


def writer(fleet: Fleet, before: str = "") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", before + WRITER, str(fleet.path)], stdout=-1, stderr=-1, bufsize=0, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def told(output: bytes) -> int:
    """How many writes the process had been told were durable."""
    lines = [line for line in output.split(b"\n")[:-1] if line.isdigit()]
    return int(lines[-1]) + 1 if lines else 0


@sees_processes
def test_kill_9_in_the_middle_of_writes_leaves_a_state_with_all_that_was_told(fleet: Fleet) -> None:
    """25 kills, at random points of one state's life: the first making of it, its log, its checkpoints."""
    rng = random.Random(7)
    durable = 0
    for turn in range(25):
        child = writer(fleet)
        assert child.stdout is not None
        head = child.stdout.readline() if turn % 5 else b""
        time.sleep(rng.uniform(0, 0.08) if head else rng.uniform(0.1, 0.5))
        child.kill()
        output, _ = child.communicate()
        durable = max(durable, told(head + output))
        store = fleet.store()
        entries = flat(store.entries())
        assert len(entries) == run(store.count()) >= durable
        assert len(entries) <= durable + 1
        durable = len(entries)
        (*_, last) = [None, *run(store.unfinished())]
        assert last is None or last.operation == f"o-{len(entries)}"
        run(store.close())
    assert durable > 0
    store = fleet.store()  # after the last kill only the log is left; a run that ends well takes it away
    run(store.release(fleet.take(store)))
    run(store.close())
    assert [fleet.path] == list(fleet.path.parent.iterdir())


def test_a_file_that_may_not_grow_ends_in_a_state_error_with_all_that_was_told(fleet: Fleet) -> None:
    """The real thing: the kernel refuses the write. Nothing of SQLite reaches the caller."""
    output, errors = writer(fleet, FULL).communicate(timeout=60)
    assert errors == b""
    assert b"error: " in output
    assert str(fleet.path).encode() in output
    assert len(flat(fleet.store().entries())) >= told(output) > 0


def test_every_error_of_the_file_system_is_ours(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "link", fails)
    with pytest.raises(ReconcileError, match="Read-only file system"):
        fleet.take(fleet.store())
    assert list(fleet.path.parent.iterdir()) == []


def test_two_first_runs_make_one_state(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one's file appears between the look and the link: it is left alone, and its lease counts."""
    theirs = Fleet(tmp_path / "theirs")
    store = theirs.store(host="h2")
    theirs.take(store, lineage="theirs")
    run(store.close())
    link = os.link

    def late(source: Any, target: Any) -> None:
        shutil.copy2(theirs.path, target)
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(Locked):
        fleet.take(fleet.store(), lineage="ours")
    assert fleet.everything()[0].lineage == "theirs"


def test_a_state_that_another_run_is_just_giving_its_name_has_one_name(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look falls between the other run's link and its removal of the name under which it made the file."""
    fleet.filled()
    draft = fleet.path.with_name(f".{fleet.path.name}.00ff.new")
    os.link(fleet.path, draft)
    look = os.lstat

    def looked(path: Any) -> os.stat_result:
        found = look(path)
        if path == fleet.path:
            draft.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(os, "lstat", looked)
    assert run(fleet.store().head()) is not None


def test_one_unit_under_two_addresses_is_refused_and_nothing_is_written(fleet: Fleet) -> None:
    fleet.filled()
    store = fleet.store()
    lease = fleet.take(store)
    before = flat(store.entries())
    twin = replace(device(1), address=device(9).address)
    for puts in ([twin], [device(7), twin], [device(8), replace(device(8), address=device(9).address)]):
        with pytest.raises(StateError) as refused:
            run(store.write(lease, [Ended("o", put=tuple(puts))]))
        assert "d-00009" in str(refused.value)
        assert "d-00001" in str(refused.value) or "d-00008" in str(refused.value)
        assert flat(store.entries()) == before


def test_units_move_and_change_places_within_one_transaction(fleet: Fleet) -> None:
    fleet.filled()
    store = fleet.store()
    lease = fleet.take(store)
    one, two = device(1), device(2)
    swapped = (replace(one, address=two.address), replace(two, address=one.address))
    run(store.write(lease, [Ended("swap", put=swapped)]))
    run(
        store.write(
            lease, [Ended("move", put=(replace(device(3), address=device(9).address),), drop=(device(3).address,))]
        )
    )
    run(
        store.write(
            lease,
            [
                Ended("drop", drop=(device(4).address,)),
                Ended("put", put=(replace(device(4), address=device(8).address),)),
            ],
        )
    )
    found = {entry.address: entry.id for entry in flat(store.entries())}
    assert [found[device(n).address] for n in (1, 2, 9, 8)] == ["UV2", "UV1", "UV3", "UV4"]


def test_what_hangs_on_two_units_may_have_one_key(fleet: Fleet) -> None:
    fleet.filled()
    store = fleet.store()
    run(store.write(fleet.take(store), [Ended("o", put=(config(1, "a"), config(2, "a")))]))
    assert run(store.count("m.devices.configs")) == 2
