"""A user in no table of users, without a home, as in a container: what needs no key works, the rest says what to do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from fleet_rig import Ran, Rig, sid

# What such a user's lookup does; the rest is the program as it is.
NOBODY = "import pwd, sys; pwd.getpwuid = {}.__getitem__; from reconcile.__main__ import main; sys.exit(main())"


def alone(rig: Rig, *words: str) -> Ran:
    rig.save()
    kept = {name: value for name, value in rig.env().items() if name not in ("HOME", "XDG_CONFIG_HOME", "USER")}
    environ = {"PATH": os.environ["PATH"], **kept}
    done = subprocess.run([sys.executable, "-c", NOBODY, *words], env=environ, capture_output=True, text=True)
    return Ran(done.returncode, done.stdout, done.stderr)


def test_a_fleet_without_secrets_needs_no_home(rig: Rig) -> None:
    rig.configs["host"] = "1"
    rig.devices["one"] = {"sid": sid(1)}
    ran = alone(rig, "apply", str(rig.fleet), "--auto-approve")
    assert ran.code == 0 and rig.world["configs"] == {"host": "1"}, ran
    ran = alone(rig, "plan", str(rig.fleet), "--out", str(rig.directory / "saved.plan"))
    assert ran.code == 0 and "Not sealed: " in ran.out and "no home directory" in ran.out, ran


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_what_needs_a_key_says_how_it_is_given(rig: Rig, command: str) -> None:
    rig.environ["PSK"] = "x"
    rig.secrets["psk"] = "env:PSK"
    ran = alone(rig, command, str(rig.fleet), *(["--auto-approve"] if command == "apply" else []))
    assert "Traceback" not in ran.err, ran
    if command == "apply":
        assert ran.code != 0 and "RECONCILE_FINGERPRINT_KEY" in ran.err and rig.mutations() == [], ran
    rig.environ["RECONCILE_FINGERPRINT_KEY"] = "4a" * 32
    assert alone(rig, "apply", str(rig.fleet), "--auto-approve").code == 0
