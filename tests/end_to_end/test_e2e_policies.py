"""Policies: what a plan may not do, judged over each change; and what nobody can tell counts as denied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fleet_rig import Rig, sid


@pytest.fixture
def fleet(rig: Rig) -> Rig:
    rig.environ |= {"PSK": "psk-of-the-tests", "RECONCILE_FINGERPRINT_KEY": "11" * 32}
    rig.configs["host"] = "1"
    rig.devices["one"] = {
        "sid": sid(1),
        "labels": {"ring": "prod"},
        "configs": {"a": "1", "b": "1"},
        "secrets": {"psk": "env:PSK"},
    }
    rig.devices["two"] = {"sid": sid(2), "configs": {"a": "1"}}
    rig.apply_well()
    return rig


def policy(rig: Rig, **said: str) -> None:
    rig.files["policies"] = {"rule": said}


def test_a_denied_change_blocks_the_plan(fleet: Rig) -> None:
    policy(
        fleet, deny="{{ 'delete' in change.actions and change.labels.ring == 'prod' }}", message="prod loses nothing"
    )
    assert fleet.plan().code == 0
    del fleet.devices["one"]["configs"]["a"]
    del fleet.devices["two"]["configs"]["a"]
    ran = fleet.plan()
    assert ran.code == 5, ran
    assert "Policies: 0 of 1 passed" in ran.out and "denied rule: prod loses nothing (1 change)" in ran.out
    assert "# microvisor.devices.one.configs.a" in ran.out
    assert "the policy rule denies 1 change: prod loses nothing" in ran.out
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 5 and fleet.mutations() == [], ran
    made = fleet.plan("--format", "json").json
    assert made["applyable"] is False
    (row,) = made["reconcile"]["policies"]
    assert (row["name"], row["kind"], row["status"], row["count"]) == ("rule", "deny", "fail", 1)
    (check,) = made["checks"]
    assert check["status"] == "fail" and check["instances"][0]["address"]["to_display"].endswith("one.configs.a")
    said = fleet.plan("--format", "markdown").out
    assert "prod loses nothing" in said and "Policies" in said


def test_a_warning_blocks_nothing(fleet: Rig) -> None:
    policy(fleet, warn="{{ change.type == 'microvisor_config' }}", message="an account config")
    fleet.configs["host"] = "2"
    ran = fleet.plan()
    assert ran.code == 0 and "warning rule: an account config (1 change)" in ran.out, ran
    assert fleet.apply().code == 0


def test_what_is_absent_is_none_and_summary_counts(fleet: Rig) -> None:
    fleet.files["policies"] = {
        "none": {"deny": "{{ change.labels.nothing is not none or change.after.nothing is not none }}"},
        "many": {"deny": "{{ summary.change > 1 or summary.destroy > 0 or summary.add > 0 }}"},
    }
    fleet.configs["host"] = "2"
    ran = fleet.plan()
    assert ran.code == 0 and "Policies: 2 of 2 passed" in ran.out, ran
    fleet.devices["two"]["configs"]["a"] = "2"
    ran = fleet.plan()
    assert ran.code == 5 and "denied many: many (2 changes)" in ran.out, ran


@pytest.mark.parametrize(
    "expression",
    [
        "change.after.value == 'x'",
        "change.before.value == none",
        "change.after == {'value': 'x'}",
        "change.after.value is defined and false",
        "(change.after.value | default('x')) == 'y'",
        "change.after.value < 3",
        "change.after.nothing.more == 1",
        "'neither'",
    ],
)
def test_what_nobody_can_tell_counts_as_denied(fleet: Rig, expression: str) -> None:
    fleet.environ["PSK"] = "another-psk"
    policy(fleet, deny=f"{{{{ {expression} }}}}")
    ran = fleet.plan()
    assert ran.code == 5 and "denied rule" in ran.out, ran
    assert "another-psk" not in ran.out
    assert fleet.plan("--format", "json").json["reconcile"]["policies"][0]["status"] == "unknown"
    policy(fleet, deny=f"{{{{ change.type != 'microvisor_device_secret' and ({expression}) }}}}")
    assert fleet.plan().code == 0


def test_policies_of_whoever_runs_it_bind_as_well(fleet: Rig, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text('policies: {frozen: {deny: "{{ true }}", message: nothing before monday}}\n')
    fleet.configs["host"] = "2"
    assert fleet.plan().code == 0
    ran = fleet.plan("--policies", str(file))
    assert ran.code == 5 and "denied frozen: nothing before monday" in ran.out, ran
    out = fleet.saved("--policies", str(file))
    ran = fleet.apply_file(out)
    assert ran.code == 5, ran
    file.write_text("rules: {}\n")
    ran = fleet.plan("--policies", str(file))
    assert ran.code == 3 and "there are no policies in it" in ran.err, ran
    ran = fleet.plan("--policies", str(tmp_path / "nowhere"))
    assert ran.code == 3 and "nowhere" in ran.err, ran


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"deny": "{{ row.x }}"}, '"row" is undefined'),
        ({"deny": "{{ chnge.type }}"}, 'Did you mean "change"'),
        ({"deny": "yes"}, "one expression"),
        ({"deny": "{{ true }}", "warn": "{{ true }}"}, "one of the two"),
        ({"message": "x"}, "one of the two"),
        ({"deny": "{{ true }}", "mesage": "x"}, '"mesage" is not a key of a policy'),
        ("x", "a policy is a map"),
    ],
)
def test_validate_checks_them(fleet: Rig, said: object, words: str) -> None:
    fleet.files["policies"] = {"rule": said}
    ran = fleet.run("validate", str(fleet.fleet))
    assert ran.code == 3 and words in ran.err and "policies.rule" in ran.err, ran
    assert "fleet.yaml line" in ran.err


def test_no_other_template_sees_their_names(fleet: Rig) -> None:
    fleet.configs["host"] = "{{ change.type }}"
    ran = fleet.run("validate", str(fleet.fleet))
    assert ran.code == 3 and '"change" is undefined' in ran.err, ran


def test_offline_both_sides_bind_and_a_changed_one_is_shown(fleet: Rig) -> None:
    policy(fleet, deny="{{ 'delete' in change.actions }}", message="nothing leaves")
    base = fleet.directory / "base"
    base.mkdir()
    (base / "fleet.yaml").write_text(json.dumps(fleet.files))
    fleet.files["policies"] = {}
    del fleet.devices["one"]["configs"]["a"]
    ran = fleet.plan("--offline", "--against", str(base))
    assert ran.code == 5 and "denied rule: nothing leaves" in ran.out, ran
    assert "policies.rule = deny" in ran.out and "-> not set" in ran.out
