"""
Of several things that happen the exit code is the first of 130, 4, 7, 5, 6, 3, 8, 1, 2 (docs/architecture.md, "Exit
codes").
"""

from __future__ import annotations

import os
import pty
from typing import Any

import pytest
from fleet_rig import Rig, sid
from program import said, start


def refused(path: str, status: int = 403) -> dict[str, Any]:
    return {"match": {"method": "GET", "path": path}, "effect": {"status": status}}


@pytest.fixture
def denied(rig: Rig) -> Rig:
    """A fleet with a change, and one device whose configs may not be read."""
    rig.configs["host"] = "1"
    rig.devices.update({"one": {"sid": sid(1), "configs": {"a": "1"}}, "two": {"sid": sid(2), "configs": {"a": "1"}}})
    rig.apply_well()
    rig.configs["host"] = "2"
    rig.sim.set_faults(refused(f"/v1/Devices/{sid(1)}/Configs*"))
    rig.mark()
    return rig


@pytest.mark.parametrize("status", [401, 403])
def test_a_denied_reading_wins_over_a_guard(denied: Rig, status: int) -> None:
    denied.sim.set_faults(refused(f"/v1/Devices/{sid(1)}/Configs*", status))
    denied.files["limits"] = {"change": 0}
    ran = denied.apply()
    assert ran.code == 4, ran
    assert "Blocked" in ran.err
    assert denied.mutations() == []


def test_a_denied_reading_wins_over_an_apply_that_nobody_can_approve(denied: Rig) -> None:
    ran = denied.run("apply", str(denied.fleet))
    assert ran.code == 4, ran
    assert "no terminal" in ran.err
    assert denied.mutations() == []


def test_a_denied_reading_wins_over_a_no(denied: Rig) -> None:
    ours, theirs = pty.openpty()
    process = start(denied, "apply", str(denied.fleet), stdin=theirs)
    os.close(theirs)
    assert process.stderr is not None
    said(process.stderr.fileno(), "Enter a value: ")
    os.write(ours, b"no\n")
    out, err = process.communicate(timeout=10)
    os.close(ours)
    assert process.returncode == 4, (out, err)


def test_a_denied_reading_wins_over_changes(denied: Rig) -> None:
    assert denied.plan("--detailed-exitcode").code == 4
    assert denied.run("drift", str(denied.fleet)).code == 4
    assert denied.apply().code == 4


def test_a_denied_reading_wins_over_a_saved_plan_that_is_blocked(denied: Rig) -> None:
    denied.files["limits"] = {"change": 0}
    file = denied.directory / "saved.plan"
    assert denied.plan("--out", str(file)).code == 4
    ran = denied.apply_file(file)
    assert ran.code == 4, ran
    assert denied.mutations() == []


def test_a_denied_reading_wins_over_a_saved_plan_that_nobody_vouches_for(
    denied: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    denied.sim.set_faults()
    file = denied.saved()
    denied.lose_key()
    monkeypatch.chdir(denied.directory)
    denied.sim.set_faults(refused(f"/v1/Devices/{sid(1)}/Configs*"))
    with denied.outside() as world:
        world["configs"]["host"] = "theirs"
    ran = denied.apply_file(file)
    assert ran.code == 4, ran
    assert "would be planned now" in ran.err
    assert denied.mutations() == []


def limited(rig: Rig, unread: Any, *silent: str) -> int:
    """The exit code of a plan with `limits.unread`, while these paths answer with an error."""
    rig.files["limits"] = {"unread": unread}
    rig.sim.set_faults(*(refused(path, 500) for path in silent))
    return rig.plan().code


def configs_of(*numbers: int) -> list[str]:
    return [f"/v1/Devices/{sid(number)}/Configs*" for number in numbers]


def test_unread_is_a_number_or_a_share_of_what_the_state_holds(rig: Rig) -> None:
    for number in range(1, 5):
        rig.devices[f"d{number}"] = {"sid": sid(number), "configs": {"a": "1"}}
    assert limited(rig, "100%", *configs_of(1)) == 1  # the state holds nothing yet
    rig.sim.set_faults()
    rig.apply_well()
    assert limited(rig, 1, *configs_of(1)) == 0
    assert limited(rig, 1, *configs_of(1, 2)) == 1
    assert limited(rig, 0, *configs_of(1)) == 1
    assert limited(rig, "25%", *configs_of(1)) == 0
    assert limited(rig, "25%", *configs_of(1, 2)) == 1
    assert limited(rig, "50%", *configs_of(1, 2)) == 0
    rig.configs.update({f"c{number}": "1" for number in range(50)})  # in the files, not in the state
    assert limited(rig, "25%", *configs_of(1, 2)) == 1


def test_one_device_that_does_not_answer_counts_once(rig: Rig) -> None:
    rig.environ["PSK"] = "psk-of-the-tests"
    rig.devices["d1"] = {"sid": sid(1), "configs": {"a": "1"}, "secrets": {"psk": "env:PSK"}}
    rig.apply_well()
    assert limited(rig, 1, f"/v1/Devices/{sid(1)}/*") == 0


def test_a_listing_that_does_not_answer_is_never_within_the_limit(rig: Rig) -> None:
    rig.configs["host"] = "1"
    rig.devices["d1"] = {"sid": sid(1)}
    rig.apply_well()
    for unread in (1000, "100%"):
        assert limited(rig, unread, "/v1/Configs*") == 1
        assert limited(rig, unread, "/v1/Devices*") == 1
