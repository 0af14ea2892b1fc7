"""
Bad inputs 79–92: states, saved plans, locks and keys that are damaged, foreign, stale or somebody else's.

Every case begins with a copy of one fleet that was really applied, and damages the copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bad_input_cases import APPLY, sid
from bad_input_harness import Ran, environment, mutations, run, world, write

from reconcile.backends.holders import Process
from reconcile.backends.sqlite.store import SqliteStore
from reconcile.simulator import running
from reconcile.simulator.serving import Running

STATE = "state/f.simulator.db"
DOCUMENT = f"""\
fleet: f
microvisor:
  configs: {{a: one, b: two}}
  secrets: {{s: env:CANARY}}
  devices:
    d: {{sid: {sid(1)}, configs: {{site: oslo}}}}
"""
CHANGED = DOCUMENT.replace("a: one", "a: 1")


@dataclass
class Applied:
    """A fleet that was applied; `home` is a copy that a test may damage, `key` the file of the fingerprint key."""

    home: Path
    simulator: Running
    already: int = 0

    @property
    def state(self) -> Path:
        return self.home / "f" / STATE

    @property
    def key(self) -> Path:
        return self.home / ".config/reconcile/fingerprint.key"

    def run(self, *arguments: str, **env: str) -> Ran:
        return run(*arguments, cwd=self.home / "f", env=environment(self.home, self.simulator.url, **env))

    def change(self, text: str = CHANGED) -> None:
        (self.home / "f/fleet.yaml").write_text(text)

    def sql(self, *statements: str) -> None:
        with contextlib.closing(sqlite3.connect(self.state)) as db, db:
            for statement in statements:
                db.execute(statement)

    @property
    def sent(self) -> list[str]:
        """What was sent since the test began that is no read."""
        return mutations(self.simulator.requests()[self.already :])


@pytest.fixture(scope="module")
def first_apply(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Applied, dict[str, Any]]]:
    with running(world=world()) as simulator:
        applied = Applied(tmp_path_factory.mktemp("applied"), simulator)
        write(applied.home / "f", {"fleet.yaml": DOCUMENT})
        ran = applied.run(*APPLY)
        assert ran.code == 0, ran.said
        yield applied, simulator.world


@pytest.fixture
def applied(first_apply: tuple[Applied, dict[str, Any]], tmp_path: Path) -> Applied:
    """A copy of the fleet as it was applied, and the world as it was then."""
    original, live = first_apply
    shutil.copytree(original.home, tmp_path / "home")
    original.simulator.put(live)
    return Applied(tmp_path / "home", original.simulator, len(original.simulator.requests()))


def test_the_fleet_that_the_cases_damage_is_sound(applied: Applied) -> None:
    unchanged = applied.run("plan", "--detailed-exitcode")
    applied.change()
    changed = applied.run(*APPLY)

    assert unchanged.code == 0, unchanged.said
    assert changed.code == 0, changed.said
    assert applied.sent == ["POST /v1/Configs/a"]


# -- the state --------------------------------------------------------------------------------------------------------


def cut(share: float) -> Callable[[Applied], None]:
    def damage(applied: Applied) -> None:
        os.truncate(applied.state, int(applied.state.stat().st_size * share))

    return damage


def bytes_instead(data: bytes) -> Callable[[Applied], None]:
    def damage(applied: Applied) -> None:
        applied.state.write_bytes(data)

    return damage


def sql(*statements: str) -> Callable[[Applied], None]:
    def damage(applied: Applied) -> None:
        applied.sql(*statements)

    return damage


def noise(applied: Applied) -> None:
    data = bytearray(applied.state.read_bytes())
    page = int.from_bytes(data[16:18], "big")  # of SQLite's header
    for at in range(page, len(data), page):
        data[at : at + 16] = bytes(range(0xF0, 0x100))
    applied.state.write_bytes(data)


def moved_behind(make: Callable[[Path, Path], None]) -> Callable[[Applied], None]:
    def damage(applied: Applied) -> None:
        elsewhere = applied.home / "elsewhere.db"
        applied.state.rename(elsewhere)
        make(applied.state, elsewhere)

    return damage


def mode(bits: int) -> Callable[[Applied], None]:
    def damage(applied: Applied) -> None:
        applied.state.chmod(bits)

    return damage


def only_a_log(applied: Applied) -> None:
    applied.state.rename(applied.state.with_name(f"{applied.state.name}-wal"))


def foreign_database(applied: Applied) -> None:
    applied.state.unlink()
    with contextlib.closing(sqlite3.connect(applied.state)) as db, db:
        db.execute("CREATE TABLE t (x)")
    applied.state.chmod(0o600)


TWICE = (
    "CREATE TABLE copy AS SELECT * FROM entries",
    "DROP TABLE entries",
    "CREATE TABLE entries (address TEXT, type TEXT, unit TEXT, under TEXT, body TEXT, sum BLOB)",
    "INSERT INTO entries SELECT * FROM copy UNION ALL SELECT * FROM copy",
    "DROP TABLE copy",
)
BAD_STATES: dict[str, tuple[Callable[[Applied], None], str]] = {
    "79: zero bytes": (bytes_instead(b""), "empty"),
    "80: half of it": (cut(0.5), "f.simulator.db"),
    "80: all but its last page": (cut(0.9), "f.simulator.db"),
    "80: its first bytes": (bytes_instead(b"SQLite format 3\x00"), "f.simulator.db"),
    "80: noise at the head of every page": (noise, "f.simulator.db"),
    "80: JSON of another tool": (bytes_instead(b'{"version": 4, "serial": 1}'), "not a state"),
    "80: somebody else's database": (foreign_database, "f.simulator.db"),
    "81: version 99": (sql("PRAGMA user_version = 99"), "99"),
    "82: a negative serial": (sql("UPDATE meta SET serial = -1"), "f.simulator.db"),
    "82: a lower serial": (sql("UPDATE meta SET serial = 0"), "f.simulator.db"),
    "83: another lineage, written by hand": (sql("UPDATE meta SET lineage = 'x'"), "f.simulator.db"),
    "84: an id edited by hand": (sql("UPDATE entries SET unit = 'b' WHERE address LIKE '%configs.a'"), "checksum"),
    "84: a value edited by hand": (sql("UPDATE entries SET body = replace(body, 'two', 'six')"), "checksum"),
    "84: a row taken out by hand": (sql("DELETE FROM entries WHERE address LIKE '%configs.a'"), "f.simulator.db"),
    "84: a checksum edited by hand": (sql("UPDATE entries SET sum = x'00'"), "checksum"),
    "84: rows of another shape": (sql("UPDATE entries SET body = '[]', sum = x''"), "f.simulator.db"),
    "85: every address twice": (sql(*TWICE), "f.simulator.db"),
    "86: a link": (moved_behind(lambda state, elsewhere: state.symlink_to(elsewhere)), "symbolic link"),
    "86: a link that leads nowhere": (moved_behind(lambda state, _: state.symlink_to("/nowhere")), "symbolic link"),
    "86: a directory": (moved_behind(lambda state, _: state.mkdir()), "directory"),
    "86: a FIFO": (moved_behind(lambda state, _: os.mkfifo(state)), "a pipe"),
    "86: open to everybody": (mode(0o777), "0777"),
    "86: readable for everybody": (mode(0o644), "chmod 600"),
    "86: under two names": (lambda applied: os.link(applied.state, applied.home / "other.db"), "has 2 names"),
    "87: only the log that a crash left": (only_a_log, "log is still there"),
}


@pytest.mark.parametrize("name", BAD_STATES)
def test_a_state_that_cannot_be_used_is_an_error_and_nothing_is_sent(name: str, applied: Applied) -> None:
    damage, word = BAD_STATES[name]
    damage(applied)
    applied.change()

    ran = applied.run(*APPLY)

    assert ran.code == 1, ran.said
    assert ran.has_error((word,)), ran.said
    assert applied.sent == []


def test_86_a_state_that_cannot_be_written_can_be_planned_with_and_not_applied(applied: Applied) -> None:
    applied.state.chmod(0o400)
    applied.change()

    planned = applied.run("plan", "--detailed-exitcode")
    ran = applied.run(*APPLY)

    assert planned.code == 2, planned.said
    assert ran.code == 1, ran.said
    assert ran.has_error(("read-only",)), ran.said
    assert applied.sent == []


# -- locks ------------------------------------------------------------------------------------------------------------

FAR = "2999-01-01T00:00:00.000000Z"
PAST = "2001-01-01T00:00:00.000000Z"


def lease(*, expires: str = FAR, host: str = "elsewhere", pid: Any = 1, process: str = "boot:pid:1") -> str:
    """A row of `leases`, as somebody else may have left it."""
    return (
        "INSERT OR REPLACE INTO leases (scope, id, holder, epoch, since, expires, host, pid, process)"
        f" VALUES ('fleet', 'the-id', 'ann@elsewhere:1', 7, '{PAST}', '{expires}', '{host}', {pid!r}, '{process}')"
    )


HELD = {
    "88: garbage in every column": lease(expires="\x1b[2J", pid="x", process=""),
    "88: held on another host, whose process nobody sees": lease(),
    "88: taken in the future": lease(expires=FAR),
    "88: held by a pid that lives, on another host": lease(pid=os.getpid()),
}


@pytest.mark.parametrize("name", HELD)
def test_a_lock_that_may_be_somebody_elses_is_respected(name: str, applied: Applied) -> None:
    applied.sql(HELD[name])
    applied.change()

    ran = applied.run(*APPLY)
    listed = applied.run("lock", "list")

    assert ran.code == 6, ran.said
    assert ran.has_error(("the-id",)), ran.said
    assert "the-id" in listed.out
    assert applied.sent == []


def test_88_a_pid_that_was_given_to_another_process_holds_nothing(applied: Applied) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    ours = f"{boot}:{Path('/proc/self/ns/pid').readlink()}"
    applied.sql(lease(host=os.uname().nodename, pid=os.getpid(), process=f"{ours}:1"))
    applied.change()

    ran = applied.run(*APPLY)

    assert ran.code == 0, ran.said
    assert applied.sent == ["POST /v1/Configs/a"]


def test_88_a_lock_that_ran_out_holds_nothing(applied: Applied) -> None:
    applied.sql(lease(expires=PAST))
    applied.change()

    assert applied.run(*APPLY).code == 0
    assert applied.sent == ["POST /v1/Configs/a"]


@pytest.mark.parametrize("wrong", ["the-i", "THE-ID", "%", "*", "the-id2"])
def test_89_a_lock_is_broken_by_its_exact_id_alone(wrong: str, applied: Applied) -> None:
    applied.sql(lease())

    refused = applied.run("unlock", wrong)

    assert refused.code == 6, refused.said
    assert "the-id" in applied.run("lock", "list").out


def test_89_a_lock_is_broken_by_its_id(applied: Applied) -> None:
    applied.sql(lease())
    applied.change()

    assert applied.run("unlock", "the-id").code == 0
    assert applied.run(*APPLY).code == 0


# -- saved plans ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved_plan(first_apply: tuple[Applied, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A plan that changes one config, made once."""
    original, live = first_apply
    original.simulator.put(live)
    home = tmp_path_factory.mktemp("planned") / "home"
    shutil.copytree(original.home, home)
    planning = Applied(home, original.simulator)
    planning.change()
    ran = planning.run("plan", "--out", "plan")
    assert ran.code == 0, ran.said
    return (home / "f/plan").read_bytes()


@pytest.fixture
def planned(applied: Applied, saved_plan: bytes) -> Applied:
    """The fleet with the saved plan in `f/plan`."""
    applied.change()
    (applied.home / "f/plan").write_bytes(saved_plan)
    return applied


def plan_of(applied: Applied) -> Path:
    return applied.home / "f/plan"


def replacing(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def tampered(data: bytes) -> bytes:
        assert data.count(old) >= 1
        return data.replace(old, new)

    return tampered


def flipped(share: float, bit: int = 1) -> Callable[[bytes], bytes]:
    def tampered(data: bytes) -> bytes:
        at = int((len(data) - 1) * share)
        return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]

    return tampered


def resealed(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Another body under checksums that fit: what only the seal can tell."""

    def tampered(data: bytes) -> bytes:
        import hashlib

        first, _, body = data.partition(b"\n")
        assert old in body
        body = body.replace(old, new)
        header = json.loads(first)
        header["sha256"] = hashlib.sha256(body).hexdigest()
        check = json.dumps({name: value for name, value in header.items() if name != "check"})
        header["check"] = hashlib.sha256(check.encode()).hexdigest()
        return json.dumps(header).encode() + b"\n" + body

    return tampered


TAMPERED: dict[str, Callable[[bytes], bytes]] = {
    "90 (T15): another value": replacing(b'"1"', b'"6"'),
    "90 (T15): another address": replacing(b"microvisor.configs.a", b"microvisor.configs.b"),
    "90 (T16): another serial": replacing(b'"serial": 1', b'"serial": 2'),
    "90 (T16): another fleet": replacing(b'"fleet": "f"', b'"fleet": "g"'),
    "90 (T17): another action": replacing(b'"update"', b'"delete"'),
    "90: a bit at the beginning": flipped(0.02),
    "90: a bit of the checksum": flipped(0.05),
    "90: a bit in the middle": flipped(0.5),
    "90: a bit of the last line": flipped(0.99),
    "90: the last byte": flipped(1.0),
    "90: cut in half": lambda data: data[: len(data) // 2],
    "90: cut before its last line": lambda data: b"\n".join(data.splitlines()[:-1]) + b"\n",
    "90: one byte more": lambda data: data + b" ",
    "90: its last line twice": lambda data: data + data.splitlines(keepends=True)[-1],
    "90: lines in another order": lambda data: b"".join(
        [*(lines := data.splitlines(keepends=True))[:1], *lines[:0:-1]]
    ),
    "90: a body without a header": lambda data: data.partition(b"\n")[2],
    "90: CRLF": lambda data: data.replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_plan_that_was_touched_is_refused(name: str, planned: Applied) -> None:
    file = plan_of(planned)
    file.write_bytes(TAMPERED[name](file.read_bytes()))

    ran = planned.run("apply", "plan")

    assert ran.code == 3, ran.said
    assert ran.errors, ran.said
    assert planned.sent == []


def test_90_a_plan_whose_checksums_were_made_to_fit_is_refused_by_its_seal(planned: Applied) -> None:
    file = plan_of(planned)
    file.write_bytes(resealed(b'"1"', b'"6"')(file.read_bytes()))

    ran = planned.run("apply", "plan")

    assert ran.code in (3, 5), ran.said
    assert ran.errors, ran.said
    assert planned.sent == []


def test_90_t18_a_plan_is_not_applied_from_another_directory(planned: Applied) -> None:
    other = planned.home / "other"
    write(other, {"fleet.yaml": DOCUMENT.replace("fleet: f", "fleet: other")})
    shutil.copy(plan_of(planned), other / "plan")

    ran = run("apply", "plan", cwd=other, env=environment(planned.home, planned.simulator.url))

    assert ran.code == 5, ran.said
    assert ran.errors, ran.said
    assert planned.sent == []


def edited_document(applied: Applied) -> None:
    applied.change(CHANGED.replace("two", "2"))


def applied_meanwhile(applied: Applied) -> None:
    text = (applied.home / "f/fleet.yaml").read_text()
    applied.change(DOCUMENT.replace("two", "2"))
    assert applied.run(*APPLY).code == 0
    applied.already = len(applied.simulator.requests())
    applied.change(text)


def another_state(applied: Applied) -> None:
    """83: the state of a fleet that was begun anew has another lineage."""
    applied.state.unlink()
    text = (applied.home / "f/fleet.yaml").read_text()
    applied.change(DOCUMENT)
    assert applied.run(*APPLY).code == 0
    applied.already = len(applied.simulator.requests())
    applied.change(text)


def another_account(applied: Applied) -> None:
    live = applied.simulator.world
    applied.simulator.put({**live, "account_sid": "AC" + "9" * 32})


def no_state(applied: Applied) -> None:
    applied.state.unlink()


STALE: dict[str, Callable[[Applied], None]] = {
    "90: the document was edited": edited_document,
    "82: somebody applied meanwhile": applied_meanwhile,
    "83: a state of another lineage": another_state,
    "83: the state is gone": no_state,
    "90: another account": another_account,
}


@pytest.mark.parametrize("name", STALE)
def test_a_plan_for_something_else_is_refused(name: str, planned: Applied) -> None:
    STALE[name](planned)

    ran = planned.run("apply", "plan")

    assert ran.code == 5, ran.said
    assert ran.errors, ran.said
    assert planned.sent == []


def test_82_a_state_put_back_from_an_older_copy_makes_the_plan_stale(applied: Applied) -> None:
    older = applied.state.read_bytes()
    applied.change()
    assert applied.run(*APPLY).code == 0
    applied.change(CHANGED.replace("two", "2"))
    assert applied.run("plan", "--out", "plan").code == 0
    applied.state.write_bytes(older)
    applied.already = len(applied.simulator.requests())

    ran = applied.run("apply", "plan")

    assert ran.code == 5, ran.said
    assert applied.sent == []


def test_82_a_state_put_back_and_applied_since_is_told_from_the_one_that_was_planned_with(applied: Applied) -> None:
    """The serial alone would be the same again."""
    older = applied.state.read_bytes()
    applied.change()
    assert applied.run(*APPLY).code == 0
    applied.change(CHANGED.replace("two", "2"))
    assert applied.run("plan", "--out", "plan").code == 0
    applied.state.write_bytes(older)
    applied.change()
    assert applied.run(*APPLY).code == 0
    applied.change(CHANGED.replace("two", "2"))
    applied.already = len(applied.simulator.requests())

    ran = applied.run("apply", "plan")

    assert ran.code == 5, ran.said
    assert ran.has_error(("restored from a backup",)), ran.said
    assert applied.sent == []


def in_use(applied: Applied) -> None:
    """What a copy of the one file says that was made while a run had it in use."""
    process = Process(os.uname().nodename, os.getpid())
    store = SqliteStore(applied.state, now=lambda: datetime.now(UTC), rng=random.Random(), process=process)

    async def taken() -> None:
        await store.acquire(scope="fleet", holder="ann@here:1", ttl_s=60, lineage="L", fleet="f")

    asyncio.run(taken())
    copy = applied.state.read_bytes()
    asyncio.run(store.close())
    applied.state.write_bytes(copy)


def test_87_a_state_in_use_without_its_log_is_told_and_unlock_is_the_way_out(applied: Applied) -> None:
    in_use(applied)
    applied.change()

    refused = [applied.run(*arguments) for arguments in (APPLY, ("plan",), ("state", "list"), ("show",))]
    listed = applied.run("lock", "list")
    id = listed.out.split()[0]
    broken = applied.run("unlock", id)
    ran = applied.run(*APPLY)

    assert {one.code for one in refused} == {1}, [one.said for one in refused]
    assert all(one.has_error(("f.simulator.db-wal, is not beside it",)) for one in refused)
    assert all(f"reconcile unlock {id}" in one.err for one in refused)
    assert (listed.code, broken.code, ran.code) == (0, 0, 0), ran.said
    assert applied.sent == ["POST /v1/Configs/a"]


def test_91_a_plan_is_applied_once(planned: Applied) -> None:
    first = planned.run("apply", "plan")
    second = planned.run("apply", "plan")

    assert first.code == 0, first.said
    assert second.code == 5, second.said
    assert second.has_error(("applied",)), second.said
    assert planned.sent == ["POST /v1/Configs/a"]


# -- the fingerprint key ----------------------------------------------------------------------------------------------


def test_92_without_the_key_nothing_is_rewritten_and_it_is_said(applied: Applied) -> None:
    applied.key.unlink()

    ran = applied.run("plan", "--detailed-exitcode")

    assert ran.code == 2, ran.said
    assert "No changes found; 1 secret could not be compared." in ran.out, ran.said


def test_92_another_key_rewrites_nothing_by_itself(applied: Applied) -> None:
    ran = applied.run("plan", "--detailed-exitcode", RECONCILE_FINGERPRINT_KEY="ab" * 32)
    rewritten = applied.run(*APPLY, "--rewrite", "microvisor.secrets.s", RECONCILE_FINGERPRINT_KEY="ab" * 32)
    after = applied.run("plan", "--detailed-exitcode", RECONCILE_FINGERPRINT_KEY="ab" * 32)

    assert ran.code == 2, ran.said
    assert "No changes found; 1 secret could not be compared." in ran.out, ran.said
    assert rewritten.code == 0, rewritten.said
    assert applied.sent == ["POST /v1/Secrets/s"]
    assert after.code == 0, after.said
    assert "compared" not in after.out + after.err, after.said


def test_92_a_plan_sealed_with_another_key_is_refused(planned: Applied) -> None:
    ran = planned.run("apply", "plan", RECONCILE_FINGERPRINT_KEY="ab" * 32)

    assert ran.code == 5, ran.said
    assert ran.has_error(("key",)), ran.said
    assert planned.sent == []


@pytest.mark.parametrize("short", ["", "x", "ab" * 15])
def test_92_a_key_that_is_too_short_is_no_key(short: str, applied: Applied) -> None:
    applied.change()

    ran = applied.run(*APPLY, RECONCILE_FINGERPRINT_KEY=short)

    assert ran.code == 3, ran.said
    assert ran.has_error(("RECONCILE_FINGERPRINT_KEY",)), ran.said
    assert applied.sent == []


def open_key(key: Path) -> None:
    key.chmod(0o644)


def empty_key(key: Path) -> None:
    key.write_bytes(b"")


def linked_key(key: Path) -> None:
    key.rename(key.with_name("elsewhere"))
    key.symlink_to(key.with_name("elsewhere"))


def directory_key(key: Path) -> None:
    key.unlink()
    key.mkdir()


@pytest.mark.parametrize("damage", [open_key, empty_key, linked_key, directory_key])
def test_92_a_key_file_that_cannot_be_trusted_is_an_error(damage: Callable[[Path], None], applied: Applied) -> None:
    damage(applied.key)
    applied.change()

    ran = applied.run(*APPLY)

    assert ran.code == 1, ran.said
    assert ran.has_error(("fingerprint.key",)), ran.said
    assert applied.sent == []
