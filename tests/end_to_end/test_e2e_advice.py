"""Every command that is printed as advice is run as it is printed, by a shell, in a place that has to be quoted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fleet_rig import Ran, Rig, sid
from tracker_rig import HOUR, TrackerRig, tracker_rigged, truck

from reconcile.backends.holders import Process
from reconcile.backends.sqlite.store import SqliteStore
from reconcile.cli.advice import completed, with_commands
from reconcile.core.address import Address
from reconcile.core.ports import Ended
from reconcile.core.resource import Entry
from reconcile.errors import StateError

IN_TICKS = r"""`((?:reconcile|rm|chmod) (?:'[^']*'|"[^"]*"|[^`'"])+)`"""
WRITTEN = re.compile(rf"^ +(reconcile .+)$|{IN_TICKS}|(?:meant|with it): (reconcile .+)$", re.MULTILINE)


class Quoted(Rig):
    """A fleet whose path, state and variables have to be quoted, and given again."""

    def __init__(self, directory: Path, sim: object) -> None:
        super().__init__(directory / "it's a $HOME", sim)
        self.files["variables"] = {"site": {"type": "text"}}
        self.kept = self.directory / "a `state.db"
        self.more = ["--state", str(self.kept), "--var", 'site=it\'s $1 "x"']

    def command(self, name: str, *options: str) -> Ran:
        return self.run(name, str(self.fleet), *self.more, *options)

    def approved(self, *options: str) -> Ran:
        return self.command("apply", "--auto-approve", *options)


class Place(Quoted):
    """Of Microvisor."""

    def __init__(self, directory: Path, sim: object) -> None:
        super().__init__(directory, sim)
        self.configs["site"] = "{{ var.site }}"


class TrackerPlace(Quoted, TrackerRig):
    """Of trackers."""


@pytest.fixture
def place(rig: Rig, tmp_path: Path) -> Place:
    (tmp_path / "it's a $HOME").mkdir()
    return Place(tmp_path, rig.sim)


@contextlib.contextmanager
def applying(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """An apply in a process of its own; killed at the end."""
    line = [sys.executable, "-m", "reconcile", "apply", str(place.fleet), "--auto-approve", *place.more]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RECONCILE")} | place.env()
    with subprocess.Popen(line, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            yield running
        finally:
            running.kill()


def advised(ran: Ran) -> list[str]:
    return [next(filter(None, found)) for found in WRITTEN.findall(f"{ran.out}\n{ran.err}")]


def carried_out(place: Quoted, line: str) -> Ran:
    """What a shell makes of a line, with the answer `yes` where one is asked for."""
    shell = f'reconcile() {{ {sys.executable} -m reconcile "$@"; }}; {line}'
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RECONCILE")} | place.env()
    done = subprocess.run(["bash", "-c", shell], env=environ, cwd=place.directory, capture_output=True, text=True)
    ran = Ran(done.returncode, done.stdout, done.stderr)
    assert done.returncode != 2 and "No such" not in done.stderr and "Traceback" not in done.stderr, ran
    assert "there is no value" not in done.stderr and "command not found" not in done.stderr, ran
    return ran


def test_a_saved_plan_is_applied_by_the_line_that_is_printed(place: Place) -> None:
    file = place.directory / "the plan; of today"
    (line,) = advised(place.command("plan", "--out", str(file)))
    ran = carried_out(place, f"{line} --auto-approve")
    assert ran.code == 0 and place.world["configs"] == {"site": 'it\'s $1 "x"'}, ran


def blocked(place: Place) -> Ran:
    place.configs.update({f"c{number}": "1" for number in range(5)})
    assert place.approved().code == 0
    for number in range(5):
        del place.configs[f"c{number}"]
    place.files["limits"] = {"delete": 1}
    return place.command("plan", "--out", str(place.directory / "a plan"))


def unknown_secret(place: Place) -> Ran:
    place.environ["PSK"] = "x"
    place.secrets["psk"] = "env:PSK"
    assert place.approved().code == 0
    del place.environ["PSK"]
    return place.approved()


def emptied(place: Place) -> Ran:
    assert place.approved().code == 0
    place.configs.clear()
    return place.command("plan")


def not_planned_with(place: Place) -> Ran:
    file = place.directory / "a plan"
    assert place.command("plan", "--out", str(file)).code == 0
    return place.run("apply", str(file), *place.more, "--retry-failed")


def no_such_lease(place: Place) -> Ran:
    assert place.approved().code == 0
    return place.run("unlock", "nothing", "--path", str(place.fleet), *place.more)


def no_key(place: Place) -> Ran:
    file = place.directory / "a plan"
    assert place.command("plan", "--out", str(file)).code == 0
    place.environ["RECONCILE_FINGERPRINT_KEY"] = "another key, of another runner, which is long enough"
    return place.run("apply", str(file), *place.more, "--auto-approve")


def closed_copy(place: Quoted) -> bytes:
    """A state that no run has in use, as a backup of last night."""
    assert place.approved().code == 0
    return place.kept.read_bytes()


def under_a_later_log(place: Place) -> Ran:
    """The backup put back under the log of a run that was killed since."""
    before = closed_copy(place)
    place.configs["more"] = "1"
    killed_in_the_middle(place)
    place.kept.write_bytes(before)
    return place.command("plan")


def without_its_log(place: Place) -> Ran:
    closed_copy(place)
    place.configs["more"] = "1"
    killed_in_the_middle(place)
    for end in ("-wal", "-shm"):
        Path(f"{place.kept}{end}").unlink()
    return place.command("plan")


def killed_in_the_middle(place: Place) -> None:
    """An apply that is killed while its first request is under way."""
    place.save()
    place.sim.set_faults({"match": {"method": "POST"}, "effect": {"delay_s": 20}})
    with applying(place) as running:
        place.mark()
        while running.poll() is None and not place.mutations():
            time.sleep(0.05)
        running.kill()
    place.sim.set_faults()


def readable_by_others(place: Place) -> Ran:
    closed_copy(place)
    place.kept.chmod(0o644)
    return place.command("plan")


def a_key_that_others_can_read(place: Place) -> Ran:
    place.secrets["psk"] = "env:PSK"
    place.environ["PSK"] = "x"
    assert place.approved().code == 0
    (key,) = place.directory.rglob("fingerprint.key")
    key.chmod(0o640)
    return place.command("plan")


def a_table_of_the_owner_only(place: Place) -> Ran:
    table = place.fleet / "it's `devices.csv"
    table.write_text("name,sid\none," + sid(1))
    table.chmod(0o600)
    place.files["tables"] = {"devices": {"file": table.name, "key": "name"}}
    place.files["microvisor"]["devices"] = {"all": {"for_each": "devices", "sid": "{{ row.sid }}"}}
    return place.command("plan")


def protected(place: Place) -> Ran:
    place.files["microvisor"]["devices"] = {"it's `one": {"sid": sid(1), "protect": True}}
    assert place.approved().code == 0
    return place.run("state", "rm", "microvisor.devices.*", "--path", str(place.fleet), *place.more)


def taken_address(place: Place) -> Ran:
    place.configs["it's `b"] = place.configs["a"] = "1"
    assert place.approved().code == 0
    names = ("microvisor.configs.a", 'microvisor.configs["it\'s `b"]')
    return place.run("state", "mv", *names, "--path", str(place.fleet), *place.more)


def lost_key(place: Place) -> Ran:
    place.secrets["psk"] = "env:PSK"
    place.environ["PSK"] = "x"
    assert place.approved().code == 0
    place.lose_key()
    return place.run("key", "show-id")


ADVICE: dict[str, tuple[Callable[[Place], Ran], int]] = {
    "a blocked plan": (blocked, 0),
    "a fleet that was emptied": (emptied, 1),  # it asks, and nobody answers
    "a lease that is not there": (no_such_lease, 0),
    "a plan that another key sealed": (no_key, 0),
    "an option that a saved plan lacks": (not_planned_with, 0),
    "a state under the log of another copy": (under_a_later_log, 0),
    "a state in use without its log": (without_its_log, 0),
    "a state that others can read": (readable_by_others, 0),
    "a key that others can read": (a_key_that_others_can_read, 0),
    "a table that its owner alone can read": (a_table_of_the_owner_only, 0),
    "a protected resource": (protected, 0),
    "an address that is taken": (taken_address, 0),
    "a lost key": (lost_key, 0),
}


@pytest.mark.parametrize(("make", "code"), ADVICE.values(), ids=ADVICE)
def test_the_way_out_is_accepted_as_it_is_printed(place: Place, make: Callable[[Place], Ran], code: int) -> None:
    ran = make(place)
    lines = advised(ran)
    assert lines, ran
    for line in lines:
        done = carried_out(place, line)
        assert done.code == code, f"{line}\n{done}\n{ran}"


def test_a_plan_that_was_allowed_prints_how_it_is_applied_in_turn(place: Place) -> None:
    (allowing,) = advised(blocked(place))[-1:]
    (applying,) = advised(carried_out(place, allowing))
    assert carried_out(place, f"{applying} --auto-approve").code == 0
    assert list(place.world["configs"]) == ["site"]


def test_secrets_that_may_stay_as_they_are(place: Place) -> None:
    ran = unknown_secret(place)
    assert ran.code == 3 and "--allow unknown-secrets=1" in ran.err, ran
    assert place.approved("--allow", "unknown-secrets=1").code == 0


def test_a_lease_that_stands_is_broken_by_the_line_that_is_printed(place: Place) -> None:
    place.save()
    place.sim.set_faults({"match": {"method": "POST"}, "effect": {"delay_s": 20}})
    with applying(place) as holder:
        lines: list[str] = []
        while holder.poll() is None and not lines:
            if place.kept.exists():
                lines = [line for line in advised(place.approved("--lock-timeout", "0")) if "unlock" in line]
        assert lines
        assert carried_out(place, lines[0]).code == 0


@pytest.fixture
def trackers(tmp_path: Path) -> Iterator[TrackerPlace]:
    """Two trackers that have applied what the files say."""
    (tmp_path / "it's a $HOME").mkdir()
    with tracker_rigged(tmp_path, {"A1": {}, "A2": {}}, TrackerPlace) as place:
        assert isinstance(place, TrackerPlace)
        one = truck("A1", connectingPeriod=120) | {"labels": {"site": "{{ var.site }}"}}
        place.trackers.update({"it's `one": one, "two": truck("A2", connectingPeriod=240)})
        assert place.approved().code == 0
        place.sim.advance(2 * HOUR)
        yield place


def test_a_unit_that_was_exchanged_is_let_go_by_the_line_that_is_printed(trackers: TrackerPlace) -> None:
    other = {"match": {"method": "GET", "path": "/A1/cfg"}, "effect": {"other": "A2"}}
    trackers.sim.set_faults(other)
    (line,) = advised(trackers.command("plan"))
    assert "state rm" in line and carried_out(trackers, line).code == 0
    trackers.sim.set_faults()
    assert "1 to import" in trackers.command("plan").out


def test_one_of_two_addresses_of_a_unit_is_let_go_by_the_line_that_is_printed(place: Place) -> None:
    place.files["microvisor"]["devices"] = {"it's `one": {"sid": sid(1)}}
    assert place.approved().code == 0
    with pytest.raises(StateError, match="one address only") as caught:
        asyncio.run(under_another_address(place))
    given = {"path": str(place.fleet), "state": str(place.kept), "var": [place.more[-1]]}
    (line,) = advised(Ran(1, str(completed(caught.value.problems[0], given)), ""))
    assert "state rm" in line and carried_out(place, line).code == 0
    asyncio.run(under_another_address(place))


async def under_another_address(place: Place) -> None:
    """What an apply records that has a unit under another address than the state by now."""
    store = SqliteStore(place.kept, now=lambda: datetime.now(UTC), rng=random.Random(0), process=Process("here", 1))
    try:
        lease = await store.acquire(scope="fleet", holder="me@here:1", ttl_s=60, lineage="", fleet="tests")
        two = Entry(Address.of("microvisor.devices", ["two"]), sid(1), {}, at="2026-11-27T00:00:00Z")
        try:
            await store.write(lease, [Ended("o", put=(two,))])
        finally:
            await store.release(lease)
    finally:
        await store.close()


def test_a_pending_update_of_somebody_else_is_overwritten_by_the_line_that_is_printed(trackers: TrackerPlace) -> None:
    with trackers.outside_trackers() as live:
        live["A2"]["pending"] = {"updateId": "theirs-1", "alerts": {"batteryLow": {"enabled": True}}}
    trackers.trackers["two"]["configuration"]["readingPeriod"] = 20
    (allowing,) = advised(trackers.command("plan", "--out", str(trackers.directory / "a plan")))
    assert "--overwrite-pending" in allowing
    (applied,) = advised(carried_out(trackers, allowing))
    assert carried_out(trackers, f"{applied} --auto-approve").code == 0
    assert "readingPeriod" in str(trackers.pending("A2"))


def test_words_of_an_api_stay_as_they_are(trackers: TrackerPlace) -> None:
    """Only what is ours to advise is completed: a colleague's message may look like a command."""
    said = {"status": 500, "body": {"message": "`reconcile state rm it's`, says `reconcile plan`"}}
    trackers.sim.set_faults({"match": {"method": "GET", "path": "/A1/cfg"}, "effect": said})
    ran = trackers.command("plan")
    assert "says `reconcile plan`" in " ".join(ran.out.split()), ran


def test_a_name_with_quotes_and_backticks_is_one_word() -> None:
    said = "`reconcile unlock 'a`b'` or `reconcile lock list`, and `reconcile it's"
    whole = "`reconcile unlock 'a`b' --path fleet` or `reconcile lock list fleet`, and `reconcile it's"
    assert with_commands(said, {"path": "fleet"}) == whole
