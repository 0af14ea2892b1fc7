"""One file, one state: other names, logs that are gone, cut or of another copy, and what killed runs leave."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from test_sqlite import ROOT, Fleet, device, run, sees_processes

from reconcile.backends import holders
from reconcile.backends.sqlite import connection, file
from reconcile.core.history import About
from reconcile.core.ports import Begun, Ended, Lease
from reconcile.errors import Locked, StateError


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    made.close()


def wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def copied(fleet: Fleet, tmp_path: Path, *ends: str, name: str = "copy") -> Fleet:
    """What a kill at this moment would leave, or as much of it as somebody copied."""
    copy = Fleet(tmp_path / name)
    copy.path.parent.mkdir(parents=True)
    for end in ("", *ends):
        shutil.copy2(f"{fleet.path}{end}", f"{copy.path}{end}")
    return copy


def in_use(fleet: Fleet) -> Lease:
    """Five devices and an intent, by a run that goes on."""
    store = fleet.store()
    lease = fleet.take(store)
    run(store.begin_run(lease, {"m": ("AC1", "api")}, About("apply")))
    run(store.write(lease, [Ended("o", put=tuple(device(n) for n in range(5)))]))
    run(store.write(lease, [Begun("o-6", device(6).address, {"a": 1})]))
    return lease


# ------------------------------------------------------------------ names


def test_a_state_with_a_second_name_is_not_used_under_either(fleet: Fleet) -> None:
    """SQLite calls log and locks after the name: two runs would each hold "the" lease."""
    fleet.filled()
    other = Fleet(fleet.path.parent.parent / "other")
    other.path.parent.mkdir(parents=True)
    os.link(fleet.path, other.path)
    for one in (fleet, other):
        with pytest.raises(StateError, match="has 2 names") as caught:
            run(one.store().head())
        with pytest.raises(StateError, match="has 2 names"):
            one.take(one.store())
        assert f"mv {one.path}.copy {one.path}" in str(caught.value)
    shutil.copy2(other.path, other.path.with_name("x"))
    other.path.with_name("x").rename(other.path)  # the way out
    for one in (fleet, other):
        one.take(one.store())


KILLED = """
import asyncio, os, random, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from reconcile.backends.holders import Process
from reconcile.backends.sqlite.store import SqliteStore
process = Process("h1", os.getpid())
store = SqliteStore(Path(sys.argv[1]), now=lambda: datetime.now(UTC), rng=random.Random(), process=process)
at, link = sys.argv[2], os.link
def die(source, target):
    if at == "linked":
        link(source, target)
    os.kill(os.getpid(), signal.SIGKILL)
os.link = die
asyncio.run(store.acquire(scope="fleet", holder="it", ttl_s=60, lineage="L", fleet="depot"))
"""


@pytest.mark.parametrize("at", ["built", "linked"])
def test_the_draft_of_a_run_that_was_killed_while_it_made_the_state_is_removed(fleet: Fleet, at: str) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(fleet.path), at], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    assert any(".new" in path.name for path in fleet.path.parent.iterdir())
    store = fleet.store()
    head = run(store.head())  # a second name that is a draft's is no dead end for those who only read, either
    assert (head.serial if head else None) == (0 if at == "linked" else None)
    run(store.release(fleet.take(store)))
    run(store.close())
    assert [fleet.path] == list(fleet.path.parent.iterdir())


def test_drafts_that_are_being_built_are_left_alone(fleet: Fleet) -> None:
    fleet.filled()
    drafts = [fleet.path.with_name(f".depot.db.{n:016x}.new{end}") for n in (1, 2) for end in ("", "-wal")]
    others = [fleet.path.with_name(name) for name in (".other.db.00.new", ".depot.db.new", "depot.db.copy")]
    for path in (*drafts, *others):
        path.touch()
    builder = os.open(fleet.path.parent, os.O_RDONLY)
    fcntl.flock(builder, fcntl.LOCK_SH)
    store = fleet.store()
    run(store.release(fleet.take(store)))
    assert all(path.exists() for path in (*drafts, *others))
    os.close(builder)
    fleet.take(store)
    assert not any(path.exists() for path in drafts)
    assert all(path.exists() for path in others)


# ------------------------------------------------------------------ the log


def test_a_state_in_use_without_its_log_is_told_and_unlock_accepts_it(fleet: Fleet, tmp_path: Path) -> None:
    lease = in_use(fleet)
    copy = copied(fleet, tmp_path)
    before = copy.path.read_bytes()
    for call in (
        lambda store: store.head(),
        lambda store: store.acquire(scope="fleet", holder="me", ttl_s=60, lineage="L", fleet="depot"),
        lambda store: store.break_lease(lease.id),
    ):
        with pytest.raises(StateError, match=r"its log, depot\.db-wal, is not beside it") as caught:
            run(call(copy.store()))
        assert "me@h1:1" in str(caught.value)
        assert f"reconcile unlock {lease.id}" in str(caught.value)
        copy.close()
    assert before == copy.path.read_bytes()
    run(copy.store(without_log=True).break_lease(lease.id))
    copy.close()
    assert [copy.path] == list(copy.path.parent.iterdir())
    assert fleet.everything() == copy.everything()  # what was told to be recorded is in the file itself


def test_a_state_in_use_without_a_lease_is_unlocked_by_the_name_that_the_error_says(
    fleet: Fleet, tmp_path: Path
) -> None:
    lease = in_use(fleet)
    run(fleet.made[0].release(lease))
    copy = copied(fleet, tmp_path)
    with pytest.raises(StateError, match=r"reconcile unlock [0-9a-f]{16}") as caught:
        run(copy.store().head())
    with pytest.raises(Locked, match="no lease has the id"):
        run(copy.store(without_log=True).break_lease(""))
    run(copy.store(without_log=True).break_lease(str(caught.value).partition("unlock ")[2][:16]))
    copy.close()
    assert fleet.everything() == copy.everything()


def test_a_state_in_use_is_moved_with_its_log(fleet: Fleet, tmp_path: Path) -> None:
    lease = in_use(fleet)
    copy = copied(fleet, tmp_path, "-wal")
    assert fleet.everything() == copy.everything()
    assert [lease.id] == [one.id for one in run(copy.store().leases())]


def test_a_closed_state_is_whole_by_itself(fleet: Fleet, tmp_path: Path) -> None:
    """Whether the lease was given back or not: closed is closed."""
    in_use(fleet)
    run(fleet.made[0].close())
    assert [fleet.path] == list(fleet.path.parent.iterdir())
    assert fleet.everything() == copied(fleet, tmp_path).everything()


def test_whoever_only_reads_leaves_the_log_of_a_killed_run(fleet: Fleet, tmp_path: Path) -> None:
    in_use(fleet)
    copy = copied(fleet, tmp_path, "-wal")
    size = wal(copy.path).stat().st_size
    says = copy.everything()
    with pytest.raises(Locked):
        copy.take(copy.store(host="h2"))
    copy.close()
    assert size == wal(copy.path).stat().st_size
    copy.clock.at += timedelta(hours=1)
    store = copy.store(host="h2")
    copy.take(store)
    copy.close()
    assert [copy.path] == list(copy.path.parent.iterdir())
    assert says == copy.everything()


def test_a_log_that_was_cut_takes_nothing_with_it_that_was_told_to_be_recorded(fleet: Fleet, tmp_path: Path) -> None:
    in_use(fleet)
    says = fleet.everything()
    size = wal(fleet.path).stat().st_size
    for length in (1, 31, 32, 56, 4152, *range(5000, size, 3001), size - 1):
        copy = copied(fleet, tmp_path, "-wal", name=f"cut-{length}")
        os.truncate(wal(copy.path), length)
        assert says == copy.everything(), length


def test_a_reader_of_an_older_moment_keeps_what_is_new_in_the_log(fleet: Fleet, tmp_path: Path) -> None:
    """`state list | less` during a run: then the log is needed, and a copy without it is told."""
    lease = in_use(fleet)
    writer, reader = fleet.made[0], fleet.store()
    run(writer.write(lease, [Ended("o", put=tuple(device(n) for n in range(20, 1020)))]))

    async def meanwhile() -> int:
        stream = reader.entries()
        first = await anext(stream)
        for n in range(10, 15):
            await writer.write(lease, [Ended("o", put=(device(n),))])
        for name, ends in (("both", ("-wal",)), ("alone", ())):
            copied(fleet, tmp_path, *ends, name=name).close()
        return len(first) + sum([len(batch) async for batch in stream])

    assert run(meanwhile()) == 1005
    assert len(Fleet(tmp_path / "both").everything()[1]) == 1010
    with pytest.raises(StateError, match="is not beside it"):
        Fleet(tmp_path / "alone").everything()


def _yesterday(fleet: Fleet) -> dict[str, bytes]:
    return {end: Path(f"{fleet.path}{end}").read_bytes() for end in ("", "-wal") if Path(f"{fleet.path}{end}").exists()}


def _put_back(fleet: Fleet, copy: dict[str, bytes], *ends: str) -> None:
    for end in ends:
        Path(f"{fleet.path}{end}").write_bytes(copy[end])


def test_an_older_copy_under_the_log_of_a_later_one_is_told(fleet: Fleet, tmp_path: Path) -> None:
    fleet.filled()
    closed = _yesterday(fleet)
    store = fleet.store()
    lease = fleet.take(store)
    run(store.write(lease, [Ended("p", put=(device(10),))]))
    used = _yesterday(fleet)
    run(store.write(lease, [Ended("p", put=(device(11),))]))
    run(store.write(lease, [Ended("p", put=(device(12),))]))
    for name, copy in (("closed", closed), ("in use", used)):
        crashed = copied(fleet, tmp_path, "-wal", name=name)
        _put_back(crashed, copy, "")
        log = wal(crashed.path).read_bytes()
        with pytest.raises(StateError, match="continues a later copy") as caught:
            crashed.everything()
        crashed.close()
        assert (crashed.path.read_bytes(), wal(crashed.path).read_bytes()) == (copy[""], log)
        assert f"`{shlex.join(['rm', f'{crashed.path}-wal', f'{crashed.path}-shm'])}`" in str(caught.value)
        for end in ("-wal", "-shm"):
            Path(f"{crashed.path}{end}").unlink(missing_ok=True)
    assert len(Fleet(tmp_path / "closed").everything()[1]) == 5


def test_an_older_log_beside_a_later_file_is_told(fleet: Fleet, tmp_path: Path) -> None:
    lease = in_use(fleet)
    older = _yesterday(fleet)
    for n in range(10, 13):
        run(fleet.made[0].write(lease, [Ended("p", put=(device(n),))]))
    crashed = copied(fleet, tmp_path, "-wal")
    _put_back(crashed, older, "-wal")
    with pytest.raises(StateError, match="belongs to an earlier copy"):
        crashed.everything()


def test_the_log_of_a_copy_that_went_its_own_way_is_told(fleet: Fleet, tmp_path: Path) -> None:
    fleet.filled()
    other = copied(fleet, tmp_path)
    for one, n in ((fleet, 10), (other, 20)):
        store = one.store()
        run(store.write(one.take(store), [Ended("p", put=(device(n),))]))
    crashed = copied(fleet, tmp_path, "-wal", name="crashed")
    _put_back(crashed, _yesterday(other), "-wal")
    with pytest.raises(StateError, match="belongs to a different copy"):
        crashed.everything()


def test_the_log_of_another_state_is_told(fleet: Fleet, tmp_path: Path) -> None:
    in_use(fleet)
    other = Fleet(tmp_path / "other")
    store = other.store()
    other.take(store, lineage="M")
    crashed = copied(fleet, tmp_path, "-wal")
    _put_back(crashed, _yesterday(other), "-wal")
    with pytest.raises(StateError):
        crashed.everything()


def test_an_older_copy_is_told_by_a_log_in_which_a_run_was_killed_as_it_began_to_write(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The head of the log is new, and what follows is of the round before: it holds nothing, and shows a later run."""
    fleet.filled()
    closed = _yesterday(fleet)
    in_use(fleet)
    crashed = copied(fleet, tmp_path, "-wal")
    with wal(crashed.path).open("r+b") as log:
        head = bytearray(log.read(32))
        head[16:24] = os.urandom(8)
        log.seek(0)
        log.write(head)
    assert fleet.everything() == crashed.everything()
    _put_back(crashed, closed, "")
    with pytest.raises(StateError, match="from a run that was still using it"):
        crashed.everything()


@pytest.mark.parametrize("way", ["in place", "in place, shorter"])
def test_a_copy_that_is_put_in_place_during_a_run_is_noticed(fleet: Fleet, way: str) -> None:
    fleet.filled()
    older = fleet.path.read_bytes()
    store = fleet.store()
    lease = fleet.take(store)
    run(store.write(lease, [Ended("o", put=tuple(device(n) for n in range(5, 200)))]))
    os.utime(fleet.path, ns=(1, 1))  # so that the writing shows on a coarse clock too
    with fleet.path.open("r+b") as state:
        if way != "in place":
            state.truncate(0)
        state.write(older)
    with pytest.raises(StateError):
        run(store.write(lease, [Ended("o", put=(device(300),))]))


# ------------------------------------------------------------------ who holds it


@sees_processes
def test_a_living_holder_on_this_host_is_not_taken_over_because_a_clock_was_set(fleet: Fleet) -> None:
    store = fleet.store()
    lease = fleet.take(store)
    for step in (timedelta(days=400), timedelta(days=-800), timedelta(hours=6)):
        fleet.clock.at += step
        with pytest.raises(Locked, match=lease.id):
            fleet.take(fleet.store())
    run(store.write(lease, [Ended("o", put=(device(1),))]))


@sees_processes
def test_a_holder_that_is_stopped_for_too_long_is_taken_over(fleet: Fleet) -> None:
    up = holders.uptime()
    lease = fleet.take(fleet.store(uptime=lambda: up))
    with pytest.raises(Locked):
        fleet.take(fleet.store(uptime=lambda: up + 59))
    assert fleet.take(fleet.store(uptime=lambda: up + 61)).epoch > lease.epoch


@pytest.mark.parametrize("taken", [True, False])
def test_who_is_in_the_middle_of_a_write_for_too_long_is_named(
    fleet: Fleet, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped inside a transaction, say: that is a lock (6), and its holder's name can be read."""
    monkeypatch.setattr(file, "BUSY_S", 0.01)
    monkeypatch.setattr(connection, "SLEEP_S", 0.0)
    fleet.filled()
    lease = fleet.take(fleet.store()) if taken else None
    with contextlib.closing(sqlite3.connect(fleet.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for call in (lambda: fleet.take(fleet.store(host="h2")), lambda: run(fleet.store().break_lease("x"))):
            with pytest.raises(Locked, match="in the middle of a write" if lease is None else lease.id) as caught:
                call()
            assert lease is None or "in the middle of a write" in str(caught.value.problems[0].notes)


# ------------------------------------------------------------------ kills


@sees_processes
def test_what_a_killed_run_leaves_is_told_whole_or_told_to_be_incomplete(fleet: Fleet, tmp_path: Path) -> None:
    """Real kills: together with its log the state is good, without it it is told and has all that was recorded."""
    from test_sqlite import told, writer

    rng, durable = random.Random(3), 0
    for turn in range(6):
        child = writer(fleet)
        assert child.stdout is not None
        head = child.stdout.readline()
        while told(head) <= durable + rng.randrange(30):
            head += child.stdout.readline()
        child.kill()
        output, _ = child.communicate()
        durable = told(head + output)
        alone = copied(fleet, tmp_path, name=f"alone-{turn}")
        with pytest.raises(StateError, match="unlock") as caught:
            run(alone.store().head())
        run(alone.store(without_log=True).break_lease(str(caught.value).partition("unlock ")[2][:16]))
        assert run(alone.store().count()) >= durable
        both = copied(fleet, tmp_path, "-wal", name=f"both-{turn}")
        assert run(both.store().count()) >= durable
        for one in (alone, both):
            one.close()
