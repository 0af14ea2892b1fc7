"""What older versions wrote still opens: states with their tables, and a saved plan that knows of no run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from test_sqlite import Fleet, device, flat, run

from reconcile.backends.sqlite import schema
from reconcile.core.bindings import Bindings, check_bindings
from reconcile.core.history import About, Changed
from reconcile.core.ports import Ended, Lease
from reconcile.errors import Locked, Refused
from reconcile.planfile import read

DATA = Path(__file__).parents[1] / "data" / "version-1"


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path)
    fleet.path.parent.mkdir()
    shutil.copy(DATA / "state.db", fleet.path)
    fleet.path.chmod(0o600)
    yield fleet
    fleet.close()


def take(fleet: Fleet) -> Lease:
    return run(fleet.store().acquire(scope="fleet", holder="me@h1:1", ttl_s=60, lineage="L", fleet="old"))


def test_a_state_of_version_1_is_read_as_it_is(old: Fleet) -> None:
    before = old.path.read_bytes()
    head, entries, *_ = old.everything()
    assert (head.fleet, head.serial, head.run) == ("old", 1, None)
    assert head.accounts == {"microvisor": ("AC00000000000000000000000000000001", "loopback")}
    assert len(entries) == 7
    assert run(old.store().leases()) == []
    old.close()
    assert before == old.path.read_bytes()


def test_a_state_of_version_1_becomes_one_of_this_version_when_it_is_written(old: Fleet) -> None:
    head, entries, *_ = old.everything()
    lease = take(old)
    store = old.made[-1]
    assert schema.version_of(store._file._db) == schema.VERSION  # type: ignore[arg-type]
    begun = run(store.begin_run(lease, {}, About("apply")))
    assert (begun.lineage, begun.serial) == (head.lineage, 2)
    assert begun.run
    run(store.write(lease, [Ended("o", put=(device(1),))]))
    run(store.release(lease))
    assert sorted([*entries, device(1)], key=lambda entry: entry.address) == old.everything()[1]


@pytest.mark.parametrize("expires", ["2025-12-31T00:00:00Z", "2026-01-01T00:01:00Z"])
def test_a_lease_of_version_1_counts_by_the_clock(old: Fleet, expires: str) -> None:
    old.sql(f"INSERT INTO leases VALUES ('fleet', 'id', 'ann', 3, '2025', '{expires}', 'h2', 1, '')")
    assert [lease.id for lease in run(old.store().leases())] == ["id"]
    if expires < "2026":
        take(old)
    else:
        with pytest.raises(Locked, match="ann"):
            take(old)
        run(old.store().break_lease("id"))
        take(old)


def test_a_saved_plan_of_the_first_version_is_read_and_judged_without_a_run() -> None:
    plan = read(DATA / "plan", seal_key=None, key_id=None).plan
    bound = plan.bindings
    assert (bound.fleet, bound.serial, bound.run) == ("old", 1, None)
    assert [str(change.address) for change in plan.changes] == ["microvisor.configs.port"]
    here = Bindings(
        bound.fleet, ".", bound.lineage, 1, bound.document, bound.variables, bound.accounts, bound.tool, run="any"
    )
    check_bindings(bound, here, datetime(2026, 12, 1, tzinfo=UTC))
    with pytest.raises(Refused, match="stale"):
        check_bindings(bound, replace(here, serial=2), datetime(2026, 12, 1, tzinfo=UTC))


def test_a_state_of_version_2_is_read_as_it_is_and_gets_a_history_when_it_is_written(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.path.parent.mkdir()
    shutil.copy(DATA.parent / "version-2" / "state.db", fleet.path)
    fleet.path.chmod(0o600)
    before, store = fleet.everything(), fleet.store()
    assert len(before[1]) == 5 and flat(store.runs()) == [] == flat(store.changes("x"))
    lease = fleet.take(store)
    begun = run(store.begin_run(lease, {}, About("apply")))
    run(store.write(lease, [Ended("o", told=Changed(device(1).address, "update"))]))
    assert [row.id for row in flat(store.runs())] == [begun.run] and begun.serial == 2
    assert [row.address for row in flat(store.changes(begun.run or ""))] == [device(1).address]
    assert before[1] == fleet.everything()[1]
    fleet.close()
