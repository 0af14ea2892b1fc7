"""The plan that was reviewed, applied elsewhere: another checkout, another runner, another home; and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fleet_rig import Ran, Rig, sid

from reconcile.backends.holders import Process, uptime
from reconcile.backends.sqlite.store import SqliteStore
from reconcile.conformance.haste import Eager
from reconcile.conformance.inprocess import run_here
from reconcile.wiring import Parts

OURS = "11" * 32


@pytest.fixture
def fleet(rig: Rig) -> Rig:
    rig.environ |= {"PSK": "psk-of-the-tests", "RECONCILE_FINGERPRINT_KEY": OURS}
    rig.files["variables"] = {"site": {"default": "oslo"}, "rate": {"type": "number", "default": 1}}
    rig.configs["host"] = "1"
    rig.devices["one"] = {"sid": sid(1), "configs": {"a": "1", "site": "{{ var.site }}"}, "secrets": {"psk": "env:PSK"}}
    rig.devices["two"] = {"sid": sid(2), "configs": {"rate": "{{ var.rate }}"}}
    rig.apply_well()
    rig.configs["host"] = "2"
    rig.devices["one"]["configs"]["a"] = "2"
    return rig


class Runner:
    """Another machine: its own checkout and home, the same state and the same account."""

    def __init__(self, fleet: Rig, place: Path) -> None:
        self.first, self.checkout, self.home = fleet, place / "build" / "checkout", place / "home"
        self.home.mkdir(parents=True)
        fleet.save()
        shutil.copytree(fleet.fleet, self.checkout, ignore=shutil.ignore_patterns("state"))

    def run(self, *arguments: str, **environ: str) -> Ran:
        env = {**self.first.env(), "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home), **environ}
        if arguments[0] != "show":
            arguments = (*arguments, "--state", str(self.first.state))
        done = run_here(arguments, env, Parts(random=Eager))
        return Ran(done.code, done.out, done.err)

    def apply(self, *options: str, **environ: str) -> Ran:
        return self.run("apply", str(self.checkout), "--auto-approve", *options, **environ)


@pytest.fixture
def runner(fleet: Rig, tmp_path: Path) -> Runner:
    return Runner(fleet, tmp_path / "elsewhere")


def digest(ran: Ran) -> str:
    assert ran.code in (0, 2), ran
    return str(ran.json["reconcile"]["digest"])


def planned(rig: Rig, *options: str) -> str:
    return digest(rig.plan("--format", "json", *options))


# -- the digest --------------------------------------------------------------------------------------------------------


def test_the_digest_is_the_same_in_text_json_markdown_and_of_the_saved_plan(fleet: Rig) -> None:
    out, md = fleet.directory / "a.plan", fleet.directory / "a.md"
    ran = fleet.plan("--out", str(out), "--report", f"markdown={md}")
    assert ran.code == 0, ran
    lines = ran.out.splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith("Plan digest: "))
    found = lines[at].removeprefix("Plan digest: ")
    assert len(found) == 64 and lines[at + 2].startswith("Saved the plan to: ")
    assert planned(fleet) == found
    assert f'"digest": "{found}"' in md.read_text().splitlines()[0]
    assert fleet.run("show", str(out), "--format", "json").json["reconcile"]["digest"] == found


def test_comments_another_checkout_and_another_home_do_not_change_it(fleet: Rig, runner: Runner) -> None:
    before = planned(fleet)
    text = (runner.checkout / "fleet.yaml").read_text()
    (runner.checkout / "fleet.yaml").write_text(f"# reviewed by ops\n{text}\n# end\n")
    assert digest(runner.run("plan", str(runner.checkout), "--format", "json")) == before


@pytest.mark.parametrize("what", ["a written config", "another config", "labels", "a renamed device", "another value"])
def test_what_changes_it(fleet: Rig, what: str) -> None:
    before = planned(fleet)
    with fleet.outside() as world:
        if what == "a written config":
            world["devices"][sid(1)]["configs"]["a"] = "theirs"
        elif what == "another config":
            world["devices"][sid(1)]["configs"]["site"] = "theirs"
        elif what == "a renamed device":
            world["devices"][sid(2)]["unique_name"] = "theirs"
    if what == "labels":
        fleet.devices["one"]["labels"] = {"ring": "1"}
    elif what == "another value":
        fleet.configs["host"] = "3"
    assert (planned(fleet) == before) is (what == "labels")


def test_the_value_of_a_secret_does_not_change_it_and_another_reference_does(fleet: Rig) -> None:
    fleet.devices["one"]["secrets"]["other"] = "env:OTHER"
    fleet.environ |= {"OTHER": "one value of it", "THIRD": "another value of it"}
    before = planned(fleet)
    fleet.environ["OTHER"] = "a third value of it"
    assert planned(fleet) == before
    fleet.devices["one"]["secrets"]["other"] = "env:THIRD"
    assert planned(fleet) != before


# -- `--expect-digest` -------------------------------------------------------------------------------------------------


def test_exactly_what_was_reviewed_is_applied_on_another_runner(fleet: Rig, runner: Runner) -> None:
    reviewed = planned(fleet)
    fleet.mark()
    ran = runner.apply("--expect-digest", reviewed)
    assert ran.code == 0, ran
    assert fleet.mutations() == ["POST /v1/Configs/host", f"POST /v1/Devices/{sid(1)}/Configs/a"]
    again = runner.apply("--expect-digest", reviewed)
    assert again.code == 5 and reviewed in again.err, again
    fleet.assert_in_sync()


def test_the_digest_is_no_approval(fleet: Rig, runner: Runner) -> None:
    ran = runner.run("apply", str(runner.checkout), "--expect-digest", planned(fleet))
    assert ran.code == 1 and "no terminal" in ran.err, ran


@pytest.mark.parametrize("form", ["none", "saved", "json"])
def test_anything_else_is_refused_with_what_differs(fleet: Rig, runner: Runner, form: str) -> None:
    out, told = fleet.directory / "a.plan", fleet.directory / "a.json"
    ran = fleet.plan("--out", str(out), "--report", f"json={told}")
    assert ran.code == 0, ran
    reviewed = json.loads(told.read_text())["reconcile"]["digest"]
    with fleet.outside() as world:
        world["devices"][sid(1)]["configs"]["a"] = "theirs"
        world["devices"][sid(1)]["configs"]["site"] = "theirs"
    fleet.mark()
    options = {"none": [], "saved": ["--expect-plan", str(out)], "json": ["--expect-plan", str(told)]}[form]
    refused = runner.apply("--expect-digest", reviewed, *options)
    assert refused.code == 5 and fleet.mutations() == [], refused
    assert f"expected digest: {reviewed}" in refused.err and "digest of this plan: " in refused.err
    assert "Plan: 0 to add, 3 to change, 0 to destroy." in refused.out
    if options:
        rest = refused.out.partition("Plan: ")[2]
        assert "Only in the plan that is made now: 1 change" in rest and "configs.site" in rest
        assert 'value = "1" -> "2"' in rest.partition("as it was reviewed")[2].partition("as it would")[0]
        assert '"theirs" -> "2"' in rest.partition("as it would be done now")[2]
        assert "microvisor.configs.host" not in rest


def test_wrong_inputs_name_themselves(fleet: Rig, runner: Runner) -> None:
    good = planned(fleet)
    other = fleet.directory / "other.json"
    other.write_text("{}")
    text = fleet.fleet / "fleet.yaml"
    for options, said in (
        (["--expect-digest", "abc"], "'abc' is no digest"),
        (["--expect-plan", str(other)], "--expect-plan needs --expect-digest"),
        (["--expect-digest", good, "--expect-plan", str(other)], "neither a plan file nor the JSON of one"),
        (["--expect-digest", good, "--expect-plan", str(text)], "neither a plan file nor the JSON of one"),
        (["--expect-digest", good, "--expect-plan", "nowhere"], "nowhere does not exist"),
        (["--path", "x"], "--path goes with a plan file"),
        (["--deadline", "soon"], "'soon' is not a length of time"),
    ):
        fleet.mark()
        ran = runner.apply(*options)
        assert ran.code == 3 and said in ran.err, ran
        assert fleet.requests() == []
    saved = fleet.saved()
    ran = runner.apply("--expect-digest", "0" * 64, "--expect-plan", str(saved))
    assert ran.code == 3 and "is not the plan that is expected" in ran.err, ran


def test_a_saved_plan_may_be_held_to_a_digest_too(fleet: Rig) -> None:
    out = fleet.saved()
    fleet.mark()
    ran = fleet.apply_file(out, "--expect-digest", "0" * 64)
    assert ran.code == 5 and fleet.mutations() == [], ran
    assert fleet.apply_file(out, "--expect-digest", planned(fleet)).code == 0


# -- `apply FILE --path DIR` -------------------------------------------------------------------------------------------


def test_a_saved_plan_goes_to_another_checkout_with_its_variables(fleet: Rig, runner: Runner) -> None:
    values = fleet.directory / "values.yaml"
    values.write_text("rate: 1.50\n")
    out = fleet.saved("--var", "site=bergen", "--var-file", str(values))
    values.unlink()
    shutil.move(fleet.fleet / "fleet.yaml", fleet.directory / "moved.yaml")
    ran = runner.run("apply", str(out), "--path", str(runner.checkout), "--auto-approve")
    assert ran.code == 0, ran
    assert fleet.device(1)["configs"]["site"] == "bergen" and fleet.device(2)["configs"]["rate"] == "1.50"


@pytest.mark.parametrize("what", ["another fleet", "another file", "another value", "stale"])
def test_what_does_not_fit_is_refused(fleet: Rig, runner: Runner, what: str) -> None:
    out, options = fleet.saved("--var", "site=bergen"), list[str]()
    main = runner.checkout / "fleet.yaml"
    if what == "another fleet":
        main.write_text(main.read_text().replace('"tests"', '"others"'))
    elif what == "another file":
        main.write_text(main.read_text() + "# more\n")
    elif what == "another value":
        options = ["--var", "site=oslo"]
    else:
        assert fleet.apply().code == 0
    fleet.mark()
    ran = runner.run("apply", str(out), "--path", str(runner.checkout), "--auto-approve", *options)
    assert ran.code == 5 and fleet.mutations() == [], ran


def test_without_the_key_variables_are_named_and_given_again(fleet: Rig, runner: Runner) -> None:
    del fleet.environ["RECONCILE_FINGERPRINT_KEY"]
    fleet.environ["XDG_CONFIG_HOME"] = "/dev/null"
    fleet.devices["one"].pop("secrets")
    shutil.rmtree(runner.checkout)
    fleet.lose_state()
    fleet.save()
    shutil.copytree(fleet.fleet, runner.checkout, ignore=shutil.ignore_patterns("state"))
    out = fleet.saved("--var", "site=bergen")
    assert "bergen" not in out.read_text().splitlines()[1]
    ran = runner.run("apply", str(out), "--path", str(runner.checkout), "--auto-approve", XDG_CONFIG_HOME="/dev/null")
    assert ran.code == 5 and "site" in ran.err, ran


# The loop's seconds are a tenth of a second here (`reconcile.conformance.haste`).

# -- `--deadline` ------------------------------------------------------------------------------------------------------


@pytest.fixture
def slow(fleet: Rig) -> Iterator[Rig]:
    yield fleet
    fleet.sim.set_faults()


def test_reached_while_planning_nothing_is_sent(slow: Rig, runner: Runner) -> None:
    slow.sim.set_faults({"match": {"method": "GET"}, "effect": {"delay_s": 0.5}})
    slow.mark()
    ran = runner.apply("--deadline", "1s")
    assert ran.code == 1 and "the deadline of 1s was reached while planning" in ran.err, ran
    assert slow.mutations() == []


def test_reached_while_another_run_holds_the_state(slow: Rig, runner: Runner) -> None:
    holder = f"ci@{socket.gethostname()}:{os.getpid()}"
    process = Process(socket.gethostname(), os.getpid(), uptime)

    async def take() -> None:
        store = SqliteStore(slow.state, now=lambda: datetime.now(UTC), rng=random.Random(0), process=process)
        await store.acquire(scope="fleet", holder=holder, ttl_s=600, lineage="", fleet="tests")
        await store.close()

    asyncio.run(take())
    ran = runner.apply("--deadline", "20s", "--lock-timeout", "600")
    assert ran.code == 6 and "the deadline of 20s was reached while waiting for another run" in ran.err, ran


def test_reached_while_changes_are_sent_what_is_left_is_told(slow: Rig, runner: Runner) -> None:
    slow.devices["two"]["configs"] |= {f"k{at}": str(at) for at in range(40)}
    slow.save()
    shutil.copy(slow.fleet / "fleet.yaml", runner.checkout / "fleet.yaml")
    slow.sim.set_faults({"match": {"method": "POST"}, "effect": {"delay_s": 0.5}})
    ran = runner.apply("--deadline", "20s", "--parallelism", "4")
    assert ran.code == 7 and "The deadline was reached" in ran.err, ran
    assert "the deadline was reached" in ran.out
    slow.sim.set_faults()
    assert runner.apply().code == 0
    slow.assert_in_sync()
