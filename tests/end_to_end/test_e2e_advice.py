"""Every command that is printed as advice is run as it is printed, by a shell, in a place that has to be quoted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fleet_rig import Ran, Rig

from reconcile.cli.advice import with_commands

WRITTEN = re.compile(r"^ +(reconcile .+)$|`(reconcile [^`]+)`|(?:meant|with it): (reconcile .+)$", re.MULTILINE)


class Place(Rig):
    """A fleet whose path, state and variables have to be quoted, and given again."""

    def __init__(self, directory: Path, sim: object) -> None:
        super().__init__(directory / "it's a $HOME", sim)
        self.files["variables"] = {"site": {"type": "text"}}
        self.configs["site"] = "{{ var.site }}"
        self.more = ["--state", str(self.directory / "a state.db"), "--var", 'site=it\'s $1 "x"']

    def command(self, name: str, *options: str) -> Ran:
        return self.run(name, str(self.fleet), *self.more, *options)

    def approved(self, *options: str) -> Ran:
        return self.command("apply", "--auto-approve", *options)


@pytest.fixture
def place(rig: Rig, tmp_path: Path) -> Place:
    (tmp_path / "it's a $HOME").mkdir()
    return Place(tmp_path, rig.sim)


def advised(ran: Ran) -> list[str]:
    return [next(filter(None, found)) for found in WRITTEN.findall(f"{ran.out}\n{ran.err}")]


def carried_out(place: Place, line: str) -> Ran:
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


ADVICE: dict[str, tuple[Callable[[Place], Ran], int]] = {
    "a blocked plan": (blocked, 0),
    "a fleet that was emptied": (emptied, 1),  # it asks, and nobody answers
    "a lease that is not there": (no_such_lease, 0),
    "a plan that another key sealed": (no_key, 0),
    "an option that a saved plan lacks": (not_planned_with, 0),
}


@pytest.mark.parametrize(("make", "code"), ADVICE.values(), ids=ADVICE)
def test_the_way_out_is_accepted_as_it_is_printed(place: Place, make: Callable[[Place], Ran], code: int) -> None:
    ran = make(place)
    lines = advised(ran)
    assert lines, ran
    for line in lines:
        done = carried_out(place, line)
        assert done.code == code, f"{line}\n{done}"


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
    line = [sys.executable, "-m", "reconcile", "apply", str(place.fleet), "--auto-approve", *place.more]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RECONCILE")} | place.env()
    with subprocess.Popen(line, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as holder:
        try:
            lines: list[str] = []
            while holder.poll() is None and not lines:
                if (place.directory / "a state.db").exists():
                    lines = [line for line in advised(place.approved("--lock-timeout", "0")) if "unlock" in line]
            assert lines
            assert carried_out(place, lines[0]).code == 0
        finally:
            holder.kill()


def test_words_of_an_api_with_a_quotation_mark_stay_as_they_are() -> None:
    said = "the API says: `reconcile it's own clocks` first; `reconcile lock list` shows the leases"
    whole = "the API says: `reconcile it's own clocks` first; `reconcile lock list fleet` shows the leases"
    assert with_commands(said, {"path": "fleet"}) == whole
