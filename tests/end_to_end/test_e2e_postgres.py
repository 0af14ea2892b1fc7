"""A team and its pipelines share one state in PostgreSQL: two runners with separate homes, real commands."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import servers
from fleet_rig import Ran, Rig, sid

KEY = "k" * 64
NAMES = (f"e2e_{n}" for n in count())


class Runner(Rig):
    """One of several that have the same files and account, and homes of their own."""

    def __init__(self, rig: Rig, name: str, url: str) -> None:
        directory = rig.directory / name
        directory.mkdir()
        super().__init__(directory, rig.sim)
        self.files = rig.files
        self.environ |= {"RECONCILE_STATE": url, "RECONCILE_FINGERPRINT_KEY": KEY}


Runners = tuple[Runner, Runner]


@pytest.fixture
def database(server: servers.Postgres) -> str:
    return server.make(next(NAMES))


@pytest.fixture
def runners(rig: Rig, server: servers.Postgres, database: str) -> Runners:
    rig.configs["a"] = rig.configs["b"] = "1"
    rig.devices["one"] = {"sid": sid(1), "configs": {"site": "oslo"}}
    return Runner(rig, "laptop", server.url(database)), Runner(rig, "ci", server.url(database))


def test_one_runners_removal_is_the_others(runners: Runners) -> None:
    laptop, ci = runners
    laptop.apply_well()
    assert not list(laptop.fleet.glob("state/*.db")), "the state is not beside the fleet as well"
    ci.assert_in_sync()
    assert ci.entries() == laptop.entries() and ci.serial() == laptop.serial() == 1
    del ci.configs["b"]
    ran = ci.apply_well()
    assert "1 destroyed" in ran.out and list(ci.world["configs"]) == ["a"]
    assert ran.out.count("serial 1") == 1
    assert "microvisor.configs.b" not in laptop.entries()
    laptop.assert_in_sync()


def test_a_saved_plan_of_one_is_applied_by_the_other(runners: Runners) -> None:
    laptop, ci = runners
    plan = laptop.saved()
    ran = ci.run("apply", str(plan), "--auto-approve")
    assert ran.code == 0, ran
    laptop.assert_in_sync()
    assert laptop.run("apply", str(plan), "--auto-approve").code == 5  # applied already


def test_a_rehearsal_has_a_state_of_its_own(runners: Runners, server: servers.Postgres, database: str) -> None:
    runners[0].apply_well()
    found = server.sql("select fleet, name from reconcile.fleets", database=database)
    assert found == [("tests.simulator", "tests")]


def test_the_commands_that_look_after_a_state_are_the_same(runners: Runners) -> None:
    laptop, ci = runners
    fleet = str(ci.fleet)
    assert "no state yet" in ci.run("show", fleet).out
    laptop.apply_well()
    assert ci.run("state", "list", fleet).out.splitlines() == [
        "microvisor.configs.a", "microvisor.configs.b", "microvisor.devices.one", "microvisor.devices.one.configs.site",
    ]  # fmt: skip
    assert "oslo" in ci.run("state", "show", "microvisor.devices.one.configs.site", "--path", fleet).out
    assert ci.run("state", "mv", "microvisor.configs.a", "microvisor.configs.c", "--path", fleet).code == 0
    assert ci.run("state", "rm", "microvisor.configs.*", "--path", fleet).code == 0
    assert laptop.run("lock", "list", fleet).out == "Nobody holds the state.\n"
    assert laptop.run("unlock", "x", "--path", fleet).code == 6
    assert [row["address"] for row in json.loads(ci.run("state", "pull", fleet).out)["entries"]] == [
        "microvisor.devices.one", "microvisor.devices.one.configs.site",
    ]  # fmt: skip


def test_one_waits_or_is_refused_with_who_since_when_and_from_where(runners: Runners) -> None:
    laptop, ci = runners
    laptop.environ["CI_JOB_URL"] = "https://ci.example.com/7"
    laptop.save()
    laptop.sim.set_faults({"match": {"method": "POST"}, "effect": {"delay_s": 20}})
    line = [sys.executable, "-m", "reconcile", "apply", str(laptop.fleet), "--auto-approve"]
    with subprocess.Popen(line, env=laptop.env(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as holder:
        try:
            while holder.poll() is None and ci.run("lock", "list", str(ci.fleet)).out.startswith("Nobody"):
                pass
            ran = ci.apply("--lock-timeout", "0")
            said = (f":{holder.pid}, job https://ci.example.com/7", " of 4 changes since 2", "unlock")
            assert ran.code == 6 and all(word in " ".join(ran.err.split()) for word in said), ran
        finally:
            holder.kill()
    laptop.sim.set_faults()
    # Its process was on this host, and is certainly gone.
    ran = ci.apply("--lock-timeout", "0")
    assert ran.code == 0, ran
    ci.assert_in_sync()


@pytest.mark.parametrize("command", ["plan", "apply FILE"])
def test_a_saved_plan_needs_the_key_that_everybody_has(
    runners: Runners, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop, ci = runners
    monkeypatch.chdir(laptop.directory)
    plan = laptop.saved() if command == "apply FILE" else laptop.directory / "p"
    laptop.mark()
    del ci.environ["RECONCILE_FINGERPRINT_KEY"]
    ran = ci.run("apply", str(plan), "--auto-approve") if command == "apply FILE" else ci.plan("--out", str(plan))
    assert ran.code == 3 and "RECONCILE_FINGERPRINT_KEY is not set" in ran.err and "key new" in ran.err, ran
    assert ci.mutations() == []
    assert ci.plan().code == 0  # without a file, nobody needs it


def test_an_apply_of_secrets_needs_it_too(runners: Runners) -> None:
    laptop, ci = runners
    ci.secrets["psk"] = "env:PSK"
    laptop.environ["PSK"] = ci.environ["PSK"] = "value-of-the-psk"
    del ci.environ["RECONCILE_FINGERPRINT_KEY"]
    ran = ci.apply()
    assert ran.code == 3 and "RECONCILE_FINGERPRINT_KEY is not set" in ran.err, ran
    assert ci.mutations() == [] and not list(ci.directory.rglob("fingerprint.key"))
    laptop.apply_well()
    ran = ci.apply()
    assert ran.code == 3, ran


def test_another_key_is_named_with_both_ids_and_a_new_one_is_taken_by_writing_anew(runners: Runners) -> None:
    laptop, ci = runners
    laptop.secrets["psk"] = "env:PSK"
    laptop.environ["PSK"] = ci.environ["PSK"] = "value-of-the-psk"
    laptop.apply_well()
    known = laptop.run("key", "show-id").out.split()[0]
    ci.environ["RECONCILE_FINGERPRINT_KEY"] = "another key of another runner, which is long enough"
    here = ci.run("key", "show-id").out.split()[0]
    ran = ci.plan("--out", str(ci.directory / "p"))
    assert ran.code == 3 and known in ran.err and here in ran.err and "--rewrite" in ran.err, ran
    assert ci.apply().code == 3  # not compared
    ran = ci.apply("--rewrite", "microvisor.secrets.psk")
    assert ran.code == 0, ran
    ci.assert_in_sync()
    assert ci.plan("--out", str(ci.directory / "p")).code == 0


# -- where it is ---------------------------------------------------------------------------------------------------


def refused(runner: Runner, *said: str) -> Ran:
    ran = runner.plan()
    assert ran.code == 3, ran
    for one in said:
        assert one in ran.err, ran
    assert servers.PASSWORD not in str(ran) and "s3cret" not in str(ran), ran
    return ran


def test_a_document_names_it_with_references(runners: Runners, server: servers.Postgres, database: str) -> None:
    laptop, _ = runners
    del laptop.environ["RECONCILE_STATE"]
    laptop.files["state"] = {
        "url": f"postgresql://127.0.0.1:{server.port}/{database}?application_name=x",
        "username": "env:PGU", "password": "env:RECONCILE_STATE_PASSWORD",
    }  # fmt: skip
    laptop.environ |= {"PGU": servers.USER, "RECONCILE_STATE_PASSWORD": servers.PASSWORD}
    laptop.apply_well()
    laptop.files["state"] = {"url": "env:RECONCILE_STATE_URL"}
    laptop.environ["RECONCILE_STATE_URL"] = server.url(database)
    laptop.assert_in_sync()


DOCUMENTS = {
    "a password": ({"url": "postgresql://me:s3cret@127.0.0.1/db"}, ["holds a password"]),
    "a literal password": ({"url": "postgresql://127.0.0.1/db", "password": "s3cret"}, ["a secret is a reference"]),
    "another host": ({"url": "postgresql://state.example.com/db"}, ["nobody allowed", "--allow-host state."]),
    "two hosts": ({"url": "postgresql://127.0.0.1,state.example.com/db"}, ["one host"]),
    "a socket": ({"url": "postgresql://%2Ftmp/db"}, ["not the name of one host"]),
    "no host": ({"url": "postgresql:///db"}, ["not the name of one host"]),
    "hostaddr": ({"url": "postgresql://127.0.0.1/db?hostaddr=10.0.0.1"}, ["says more than a document may"]),
    "host once more": ({"url": "postgresql://127.0.0.1/db?host=10.0.0.1"}, ["nobody allowed"]),
    "a service": ({"url": "postgresql://127.0.0.1/db?service=prod"}, ["says more than a document may"]),
    "a pass file": ({"url": "postgresql://127.0.0.1/db?passfile=/etc/s3cret"}, ["says more than a document may"]),
    "a parameter that is none": ({"url": "postgresql://127.0.0.1/db?s3cret=1"}, ["libpq"]),
    "a password in a parameter": ({"url": "postgresql://127.0.0.1/db?password=s3cret"}, ["holds a password"]),
    "no database": ({"url": "postgresql://127.0.0.1"}, ["a database"]),
    "an at sign in a password": ({"url": "postgresql://me:s3@cret@127.0.0.1/db"}, ["holds a password"]),
    "no URL": ({"url": "s3cret"}, ["not a URL"]),
    "another scheme": ({"url": "mysql://127.0.0.1/s3cret"}, ["a scheme that nothing here knows", "postgresql://"]),
    "a path as well": ({"url": "postgresql://127.0.0.1/db", "path": "state/x.db"}, ["a path and a url"]),
    "a username alone": ({"username": "me"}, ["state.username is of a state.url"]),
    "our key": ({"url": "env:RECONCILE_FINGERPRINT_KEY"}, ["not opened"]),
    "our hosts": ({"url": "postgresql://127.0.0.1/db", "username": "env:RECONCILE_X"}, ["not opened"]),
    "a pipeline's token": ({"url": "env:GITHUB_TOKEN"}, ["the pipeline's own token"]),
    "what is not set": ({"url": "env:NOT_SET"}, ["NOT_SET is not set"]),
    "a key that is none": ({"uri": "x"}, ["uri"]),
}  # fmt: skip


@pytest.mark.parametrize(("state", "said"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_url_in_a_document_is_not_trusted(rig: Rig, state: dict[str, str], said: list[str]) -> None:
    runner = Runner(rig, "laptop", "")
    runner.environ["GITHUB_TOKEN"] = "s3cret"
    runner.files["state"] = state
    refused(runner, *said)
    assert runner.requests() == []


COMMANDS = {
    "an at sign in a password": ("postgresql://me:s3@cret@127.0.0.1/db", ["not a URL"]),
    "a slash in a password": ("postgresql://me:s3cret/x@127.0.0.1/db", ["not a URL"]),
    "a question mark in a password": ("postgresql://me:x?s3cret@127.0.0.1/db", ["not a URL"]),
    "a parameter that is none": ("postgresql://127.0.0.1/db?s3cret=1", ["libpq"]),
    "a mode that is none": ("postgresql://127.0.0.1/db?sslmode=s3cret", ["an sslmode that libpq does not know"]),
    "a mode that is weak": ("postgresql://state.example.com/db?sslmode=disable", ["Off this machine it is require"]),
    "another scheme": ("s3cret://x", ["a scheme that nothing here knows"]),
}


@pytest.mark.parametrize(("url", "said"), COMMANDS.values(), ids=COMMANDS)
def test_no_piece_of_a_url_that_was_not_understood_is_shown(rig: Rig, url: str, said: list[str]) -> None:
    refused(Runner(rig, "laptop", url), *said)


def test_a_refused_password_is_said_with_host_port_database_and_user(rig: Rig, server: servers.Postgres) -> None:
    runner = Runner(rig, "laptop", f"postgresql://{servers.USER}:s3cret@127.0.0.1:{server.port}/postgres")
    ran = runner.plan()
    assert ran.code == 1 and "s3cret" not in str(ran), ran
    assert "refused the user or the password" in ran.err, ran
    assert f"the database postgres at 127.0.0.1:{server.port} (user {servers.USER})" in " ".join(ran.err.split()), ran


def test_a_password_is_in_no_advice(runners: Runners, server: servers.Postgres, database: str) -> None:
    laptop, _ = runners
    ran = laptop.plan("--state", server.url(database), "--out", str(laptop.directory / "p"))
    assert ran.code == 0 and "--state" in ran.out + ran.err and "pw" not in ran.out + ran.err, ran


def test_a_home_of_other_people_is_found_by_the_scheme_of_its_urls(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "toys.py").write_text(
        "from pathlib import Path\n"
        "from reconcile.backends.holders import Process\n"
        "from reconcile.backends.sqlite.store import SqliteStore\n"
        "def home(place, opening):\n"
        "    path = Path(place.url.reveal().removeprefix('toy://')) / f'{opening.fleet}.db'\n"
        "    return SqliteStore(path, now=opening.now, rng=opening.rng, process=Process(opening.host, opening.pid))\n"
    )
    info = tmp_path / "toys-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[reconcile.backends]\ntoy = toys:home\n")
    rig.configs["a"] = "1"
    rig.save()
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from reconcile.__main__ import main; sys.exit(main())"
    )
    line = [sys.executable, "-c", program, "apply", str(rig.fleet), "--auto-approve"]
    done = subprocess.run(
        line, env={**rig.env(), "RECONCILE_STATE": f"toy://{tmp_path}"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done
    assert (tmp_path / "tests.simulator.db").is_file() and rig.world["configs"] == {"a": "1"}


def test_without_the_extra_nothing_of_it_is_needed_but_what_it_says(rig: Rig) -> None:
    rig.configs["a"] = "1"
    rig.save()
    program = "import sys; sys.modules['psycopg'] = None; from reconcile.__main__ import main; sys.exit(main())"
    for state, code in (({}, 0), ({"RECONCILE_STATE": "postgresql://127.0.0.1/db"}, 3)):
        line = [sys.executable, "-c", program, "apply", str(rig.fleet), "--auto-approve"]
        done = subprocess.run(line, env={**rig.env(), **state}, capture_output=True, text=True)
        assert done.returncode == code and "Traceback" not in done.stderr, done
    assert "pip install 'reconcile[postgres]'" in done.stderr


def test_without_a_server_it_says_so(rig: Rig) -> None:
    ran = Runner(rig, "laptop", f"postgresql://127.0.0.1:{servers.free_port()}/db").plan()
    assert ran.code == 1 and "nothing listens there" in ran.err, ran


# -- rights ----------------------------------------------------------------------------------------------------------


def test_who_only_plans_needs_to_read_alone(runners: Runners, server: servers.Postgres, database: str) -> None:
    laptop, ci = runners
    laptop.apply_well()
    role = f"reader_{database}"
    server.sql(
        f"create role {role} login password '{servers.PASSWORD}'",
        f"grant usage on schema reconcile to {role}",
        f"grant select on all tables in schema reconcile to {role}",
        database=database,
    )
    ci.environ["RECONCILE_STATE"] = server.url(database, user=role)
    for command in (["plan"], ["drift"], ["show"], ["state", "list"]):
        ran = ci.run(*command, str(ci.fleet))
        assert ran.code == 0, ran
    ci.configs["a"] = "2"
    ran = ci.apply()
    assert ran.code == 1 and "this user may not do that there" in ran.err, ran
    assert ci.world["configs"]["a"] == "1"


def test_who_may_not_make_tables_is_told_who_may(runners: Runners, server: servers.Postgres, database: str) -> None:
    laptop, _ = runners
    role = f"applier_{database}"
    server.sql(f"create role {role} login password '{servers.PASSWORD}'", database=database)
    laptop.environ["RECONCILE_STATE"] = server.url(database, user=role)
    assert laptop.plan().code == 0
    ran = laptop.apply()
    assert ran.code == 1 and "`reconcile state migrate" in ran.err, ran
    assert laptop.mutations() == []
    laptop.environ["RECONCILE_STATE"] = server.url(database)
    for _ in range(2):
        assert laptop.run("state", "migrate", str(laptop.fleet)).code == 0
    server.sql(
        f"grant usage on schema reconcile to {role}",
        f"grant select, insert, update, delete on all tables in schema reconcile to {role}",
        database=database,
    )
    laptop.environ["RECONCILE_STATE"] = server.url(database, user=role)
    laptop.apply_well()


# -- a holder that is gone, stopped, or elsewhere -----------------------------------------------------------------


@contextlib.contextmanager
def applying(runner: Runner, delay_s: float) -> Iterator[subprocess.Popen[bytes]]:
    """An apply in a process of its own, with a lease of five seconds, that has begun to write."""
    runner.save()
    runner.sim.set_faults({"match": {"method": "POST"}, "effect": {"delay_s": delay_s}})
    runner.environ["RECONCILE_LEASE"] = "5s"
    runner.mark()
    line = [sys.executable, "-m", "reconcile", "apply", str(runner.fleet), "--auto-approve", "--parallelism", "1"]
    with subprocess.Popen(line, env=runner.env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        try:
            while running.poll() is None and not runner.mutations():
                time.sleep(0.02)
            yield running
        finally:
            running.kill()


def waiting(runner: Runner) -> None:
    """An apply in a process of its own, which waits for the state as long as it takes; the clock of ours runs ahead."""
    runner.save()
    line = [sys.executable, "-m", "reconcile", "apply", str(runner.fleet), "--auto-approve", "--lock-timeout", "30"]
    done = subprocess.run(line, env=runner.env(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    assert "Waiting for the state" in done.stderr, done


def elsewhere(server: servers.Postgres, database: str) -> None:
    """As if the holder were on another host."""
    server.sql("update reconcile.leases set host = 'another'", database=database)


def test_a_holder_that_was_killed_on_another_host_is_free_after_its_lease(
    runners: Runners, server: servers.Postgres, database: str
) -> None:
    laptop, ci = runners
    with applying(laptop, 20) as holder:
        elsewhere(server, database)
        holder.kill()
    laptop.sim.set_faults()
    ran = ci.apply("--lock-timeout", "0")
    assert ran.code == 6 and "since" in ran.err, ran
    waiting(ci)
    ci.assert_in_sync()
    assert sorted(ci.world["configs"]) == ["a", "b"]


def test_a_holder_that_is_stopped_past_its_lease_sends_and_writes_nothing_when_it_wakes(
    runners: Runners, server: servers.Postgres, database: str
) -> None:
    laptop, ci = runners
    with applying(laptop, 1) as holder:
        holder.send_signal(signal.SIGSTOP)
        laptop.sim.set_faults()
        waiting(ci)
        ci.assert_in_sync()
        before, entries, serial = ci.world, ci.entries(), ci.serial()
        ci.mark()
        holder.send_signal(signal.SIGCONT)
        out, _ = holder.communicate(timeout=60)
    assert holder.returncode in (6, 7), out
    assert ci.mutations() == [] and ci.world == before
    assert (ci.entries(), ci.serial()) == (entries, serial)
    ci.assert_in_sync()


def test_a_server_that_is_killed_and_started_again_loses_nothing(runners: Runners, server: servers.Postgres) -> None:
    laptop, ci = runners
    laptop.configs.update({f"c{n}": "1" for n in range(30)})
    with applying(laptop, 0.05) as running:
        server.kill()
        time.sleep(1)
        server.start()
        out, _ = running.communicate(timeout=60)
    assert running.returncode == 0, out
    laptop.sim.set_faults()
    ci.assert_in_sync()


@pytest.mark.parametrize("length", ["4s", "11m", "60", "x", "-5s"])
def test_a_lease_of_no_such_length_is_refused(rig: Rig, length: str) -> None:
    rig.environ["RECONCILE_LEASE"] = length
    ran = rig.plan()
    assert ran.code == 3 and "RECONCILE_LEASE" in ran.err and "5s to 10m" in ran.err, ran
