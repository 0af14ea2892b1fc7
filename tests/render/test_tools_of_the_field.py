"""The JSON of a plan, read by the tools that were made for its shape."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import regopy
from plans import TYPES, device, field, mixed, plan, retarget
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from test_markdown import HOSTILE, hostile

from reconcile.core.digest import digest_of
from reconcile.core.plan import Cause, Plan
from reconcile.render.report import PlanReport, rendered

MISMATCHED = """
Feature: apps
  Scenario: every device is protected
    Given I have microvisor_device defined
    When it has app
    Then its app must be a-2
"""


def report(made: Plan, drift: bool = False) -> PlanReport:
    return PlanReport(made, TYPES, drift, digest_of(made))


def written(made: Plan, format_: str, drift: bool = False) -> str:
    return "".join(rendered(format_, report(made, drift)))


def test_it_is_one_line() -> None:
    """A tool of the field takes the second line for the plan where there are two."""
    assert written(mixed(), "json").count("\n") == 1


def test_rego_reads_it(tmp_path: Path) -> None:
    policy = regopy.Interpreter()
    policy.add_module(
        "fleet",
        """
        package fleet
        import rego.v1
        deny contains change.address if {
            some change in input.resource_changes
            "update" in change.change.actions
            change.change.after.app != "a-2"
            change.type == "microvisor_device"
        }
        """,
    )
    made = plan(device("good", field("app", "a-1", "a-2"), after={"app": "a-2"}))
    made.changes.append(device("bad", field("app", "a-1", "a-3"), after={"app": "a-3"}))
    policy.set_input(json.loads(written(made, "json")))
    assert "microvisor.devices.bad" in str(policy.query("data.fleet.deny"))
    assert "microvisor.devices.good" not in str(policy.query("data.fleet.deny"))


@pytest.mark.parametrize(("app", "code"), [("a-2", 0), ("a-3", 1)])
def test_terraform_compliance_reads_it(tmp_path: Path, app: str, code: int) -> None:
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "apps.feature").write_text(MISMATCHED)
    file = tmp_path / "plan.json"
    file.write_text(written(plan(device("w", field("app", "a-1", app), after={"app": app})), "json"))
    program = Path(sys.executable).with_name("terraform-compliance")
    ran = subprocess.run(
        [program, "-f", tmp_path / "features", "-p", file, "--no-ansi"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        check=False,
    )
    assert ran.returncode == code, ran.stdout
    assert "every device is protected" in ran.stdout


def test_gitlab_gets_its_three_numbers() -> None:
    assert json.loads(written(mixed(), "gitlab")) == {"create": 3, "update": 9, "delete": 3}
    assert json.loads(written(plan(), "gitlab")) == {"create": 0, "update": 0, "delete": 0}
    drifted = plan(device("a", field("logging", 1, 2, Cause.SOMEBODY, prior=2)), device("b", field("logging", 1, 2)))
    assert json.loads(written(drifted, "gitlab", drift=True)) == {"create": 0, "update": 1, "delete": 0}


@pytest.mark.parametrize("drift", [False, True])
def test_openmetrics_are_parsed_whatever_strangers_wrote(drift: bool) -> None:
    for made in (mixed(), plan(), retarget(500), *map(hostile, HOSTILE)):
        families = {one.name: one for one in text_string_to_metric_families(written(made, "openmetrics", drift))}
        assert "reconcile_read_timestamp_seconds" in families
        fleets = {sample.labels["fleet"] for one in families.values() for sample in one.samples}
        assert fleets == {"cold-chain-prod"}


def test_openmetrics_count_what_the_plan_counts() -> None:
    families = {one.name: one for one in text_string_to_metric_families(written(mixed(), "openmetrics"))}
    counts: dict[str, float] = {}
    for sample in families["reconcile_changes"].samples:
        counts[sample.labels["action"]] = counts.get(sample.labels["action"], 0) + sample.value
    assert counts == {"import": 2, "add": 3, "change": 9, "destroy": 3, "forget": 1}
    assert families["reconcile_blocked"].samples[0].value == 1
