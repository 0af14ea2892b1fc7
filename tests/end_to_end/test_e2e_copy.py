"""`state copy`: a fleet's state moves elsewhere and back; nothing is lost, and nobody goes on with the old one."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
import servers
from fleet_rig import Ran, Rig, sid

from reconcile.backends.holders import Process
from reconcile.backends.sqlite.store import SqliteStore
from reconcile.core.address import Address
from reconcile.core.ports import Begun, Moved

NAMES = (f"copy_{n}" for n in count())


@pytest.fixture
def fleet(rig: Rig) -> Rig:
    rig.environ["RECONCILE_FINGERPRINT_KEY"] = "k" * 64
    rig.configs.update(a="1", b="1")
    rig.devices["one"] = {"sid": sid(1), "configs": {"site": "oslo"}}
    rig.apply_well()
    return rig


@pytest.fixture
def url(server: servers.Postgres) -> str:
    return server.url(server.make(next(NAMES)))


def copy(rig: Rig, source: str | Path, destination: str | Path) -> Ran:
    ran = rig.run("state", "copy", str(source), str(destination), "--path", str(rig.fleet))
    assert servers.PASSWORD not in str(ran), ran
    return ran


def at(rig: Rig, place: str | Path, *words: str) -> Ran:
    return rig.run(*words, "--state", str(place))


def pulled(rig: Rig, place: str | Path) -> dict[str, object]:
    ran = at(rig, place, "state", "pull", str(rig.fleet))
    assert ran.code == 0, ran
    return json.loads(ran.out)  # type: ignore[no-any-return]


def open_something(path: Path) -> None:
    """An operation of which nobody knows what it did."""

    async def main() -> None:
        store = SqliteStore(path, now=lambda: datetime.now(UTC), rng=random.Random(0), process=Process("h", 1))
        lease = await store.acquire(scope="fleet", holder="me@h:1", ttl_s=60, lineage="", fleet="tests")
        await store.write(lease, [Begun("9:x:1", Address("microvisor.configs.c"), {"n": 1})])
        await store.release(lease)
        await store.close()

    asyncio.run(main())


def test_a_state_moves_from_a_laptop_to_a_team_and_back(fleet: Rig, url: str) -> None:
    file = fleet.state
    assert fleet.run("apply", str(fleet.saved()), "--auto-approve").code == 0
    open_something(file)
    before = pulled(fleet, file)
    fleet.environ["TEAM"] = url
    ran = copy(fleet, file, "env:TEAM")
    assert ran.code == 0 and "4 entries and 2 runs" in ran.out, ran
    after = pulled(fleet, url)
    for name in ("entries", "operations", "plans", "lineage", "accounts", "fleet"):
        assert after[name] == before[name], name
    assert before["plans"] and before["operations"] and after["serial"] == int(str(before["serial"])) + 1
    runs = at(fleet, url, "history", "--path", str(fleet.fleet), "--format", "json").json["runs"]
    assert [run["command"] for run in runs] == ["state copy", "apply", "apply"]
    assert len(runs[-1]["changes"]) == 4

    for words in (["plan"], ["apply", "--auto-approve"], ["show"], ["drift"], ["state", "list"], ["lock", "list"]):
        ran = at(fleet, file, words[0], *words[1:2], str(fleet.fleet)) if words[0] in ("state", "lock") else None
        ran = ran or at(fleet, file, words[0], str(fleet.fleet), *words[1:])
        assert ran.code == 5 and "was moved to the database" in ran.err, ran
        assert servers.PASSWORD not in str(ran)
    assert pulled(fleet, file) == before
    assert copy(fleet, file, url).code == 0  # it was moved before

    assert at(fleet, url, "state", "rm", "microvisor.configs.b", "--path", str(fleet.fleet)).code == 0
    ran = copy(fleet, url, file)
    assert ran.code == 0 and "3 entries" in ran.out, ran
    assert at(fleet, url, "plan", str(fleet.fleet)).code == 5
    assert len(at(fleet, file, "state", "list", str(fleet.fleet)).out.splitlines()) == 3
    runs = at(fleet, file, "history", "--path", str(fleet.fleet), "--format", "json").json["runs"]
    assert [run["command"] for run in runs] == ["state copy", "state rm", "state copy", "apply", "apply"]


def test_a_copy_that_was_broken_off_goes_on(fleet: Rig, url: str) -> None:
    file, before = fleet.state, pulled(fleet, fleet.state)

    async def half() -> None:
        store = SqliteStore(file, now=lambda: datetime.now(UTC), rng=random.Random(0), process=Process("h", 1))
        lease = await store.acquire(scope="fleet", holder="me@h:1", ttl_s=60, lineage="", fleet="tests")
        head = await store.head()
        assert head is not None
        place = "the database {1} at {0} (user reconcile)".format(*url.rpartition("@")[2].split("/"))
        await store.mark(lease, Moved(place, False))
        await store.release(lease)
        await store.close()

    asyncio.run(half())
    ran = at(fleet, file, "plan", str(fleet.fleet))
    assert ran.code == 5 and "is being moved" in ran.err and "state copy" in ran.err, ran
    ran = copy(fleet, file, fleet.directory / "elsewhere.db")
    assert ran.code == 5 and "is being moved to the database" in ran.err, ran
    ran = copy(fleet, file, url)
    assert ran.code == 0, ran
    assert pulled(fleet, url)["entries"] == before["entries"]
    fleet.environ["RECONCILE_STATE"] = url
    fleet.assert_in_sync()


def test_what_must_not_be_written_over_is_not(fleet: Rig, url: str, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    assert at(fleet, other, "apply", str(fleet.fleet), "--auto-approve").code == 0
    before = pulled(fleet, other)
    ran = copy(fleet, fleet.state, other)
    assert ran.code == 5 and "another lineage" in ran.err, ran
    assert pulled(fleet, other) == before
    assert at(fleet, fleet.state, "plan", str(fleet.fleet)).code == 0
    for source, destination, said in (
        (tmp_path / "none.db", url, "no state"),
        (fleet.state, fleet.state, "already"),
        ("env:NOT_SET", url, "NOT_SET is not set"),
    ):
        ran = copy(fleet, source, destination)
        assert ran.code in (3, 5) and said in ran.err, ran
    copied = tmp_path / "copied.db"
    assert copy(fleet, fleet.state, copied).code == 0 and copied.is_file()
