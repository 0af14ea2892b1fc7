"""One run writes its plan in every format; `drift` and `show` too; and files that cannot be are said first."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from fleet_rig import Rig, sid, world_of
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from reconcile.render.report import IN_FILES


@pytest.fixture
def fleet(rig: Rig) -> Rig:
    rig.environ["RECONCILE_FINGERPRINT_KEY"] = "11" * 32
    rig.configs["host"] = "1"
    rig.devices["one"] = {"sid": sid(1), "labels": {"site": "oslo"}, "configs": {"a": "1", "b": "2"}}
    rig.devices["two"] = {"sid": sid(2), "configs": {"a": "1"}}
    rig.apply_well()
    rig.devices["one"]["configs"]["a"] = "2"
    return rig


def test_one_run_writes_every_format(fleet: Rig, tmp_path: Path) -> None:
    files = {name: tmp_path / f"report.{name}" for name in IN_FILES}
    options = [word for name, file in files.items() for word in ("--report", f"{name}={file}")]
    fleet.mark()
    ran = fleet.plan(*options, "--out", str(tmp_path / "saved.plan"))
    assert ran.code == 0, ran
    asked = len(fleet.requests())
    fleet.mark()
    assert fleet.plan().code == 0 and len(fleet.requests()) == asked
    assert files["text"].read_text() in ran.out
    made = json.loads(files["json"].read_text())
    assert made["resource_changes"][0]["address"] == "microvisor.devices.one.configs.a"
    assert files["markdown"].read_text().startswith("<!-- reconcile:plan ")
    assert files["summary"].read_text() == files["markdown"].read_text()
    assert "<!DOCTYPE html>" in files["html"].read_text()
    assert json.loads(files["gitlab"].read_text()) == {"create": 0, "update": 1, "delete": 0}
    families = list(text_string_to_metric_families(files["openmetrics"].read_text()))
    assert families[0].name == "reconcile_changes"
    for format_ in ("json", "markdown", "html", "gitlab"):
        shown = fleet.run("show", str(tmp_path / "saved.plan"), "--format", format_)
        assert shown.code == 0 and shown.err == "", shown
        assert fleet.plan("--format", format_).code == 0
    report = tmp_path / "shown.md"
    assert fleet.run("show", str(tmp_path / "saved.plan"), "--report", f"markdown={report}").code == 0
    assert "Plan: 0 to add, 1 to change, 0 to destroy." in report.read_text()


def test_a_child_has_the_labels_of_its_device(fleet: Rig) -> None:
    row = fleet.changes()["microvisor.devices.one.configs.a"]
    assert row["reconcile"]["labels"] == {"site": "oslo"}
    del fleet.devices["one"]["configs"]["b"]
    assert fleet.changes()["microvisor.devices.one.configs.b"]["reconcile"]["labels"] == {"site": "oslo"}


def test_a_blocked_plan_is_reported_too(fleet: Rig, tmp_path: Path) -> None:
    fleet.files["limits"] = {"delete": 0}
    del fleet.devices["two"]["configs"]["a"]
    report = tmp_path / "a.md"
    ran = fleet.plan("--report", f"markdown={report}")
    assert ran.code == 5, ran
    said = report.read_text()
    assert "Blocked" in said and "--allow delete=1" in said and "To apply" not in said


def test_what_cannot_be_written_is_said_before_the_first_request(fleet: Rig, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    for options, said in (
        (["--report", "markdown"], "'markdown' is not FORMAT=FILE"),
        (["--report", "pdf=a.pdf"], "FORMAT is one of text, json"),
        (["--report", f"html={tmp_path}/directory"], "cannot be written"),
        (["--report", f"html={tmp_path}/no/where.html"], "cannot be written"),
        (["--report", f"html={fleet.fleet}/fleet.yaml"], "is no report of a plan, so it is not replaced"),
        (["--report", f"html={tmp_path}/a", "--report", f"json={tmp_path}/x/../a"], "two results would be written to"),
        (["--report", f"json={tmp_path}/b", "--out", f"{tmp_path}/b"], "two results would be written to"),
    ):
        fleet.mark()
        for command in (fleet.plan, lambda *more: fleet.run("drift", str(fleet.fleet), *more)):
            if "--out" in options and command is not fleet.plan:
                continue
            ran = command(*options)
            assert ran.code == 3 and said in ran.err, ran
        assert fleet.requests() == []
    saved = fleet.saved()
    ran = fleet.apply_file(saved, "--report", f"json={saved}")
    assert ran.code == 3 and "is not replaced" in ran.err, ran
    assert fleet.apply_file(saved).code == 0


def test_reports_replace_each_other(fleet: Rig, tmp_path: Path) -> None:
    for first in IN_FILES:
        for second in ("text", "json"):
            assert fleet.plan("--report", f"{first}={tmp_path}/a").code == 0
            ran = fleet.plan("--report", f"{second}={tmp_path}/a")
            assert ran.code == 0, ran


def test_a_report_of_an_earlier_run_is_not_taken_for_one_of_this(fleet: Rig, tmp_path: Path) -> None:
    report = tmp_path / "a.md"
    assert fleet.plan("--report", f"markdown={report}").code == 0
    fleet.sim.set_faults({"match": {"method": "GET"}, "effect": {"status": 401}})
    fleet.plan("--report", f"markdown={report}")
    assert "To apply exactly this" not in report.read_text()


def test_the_summary_of_a_step_is_gone_on_with(fleet: Rig, tmp_path: Path) -> None:
    step = tmp_path / "step.md"
    step.write_text("### another fleet\n")
    fleet.environ["GITHUB_STEP_SUMMARY"] = str(step)
    assert fleet.plan("--report", f"summary={step}").code == 0
    assert step.read_text().startswith("### another fleet\n<!-- reconcile:plan ")


def test_links_lead_to_the_files_of_the_commit(fleet: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fleet.directory)
    fleet.environ |= {
        "GITHUB_SERVER_URL": "https://git.example",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_SHA": "0123456789abcdef",
        "GITHUB_WORKSPACE": str(fleet.directory.parent),
    }
    said = fleet.run("plan", "fleet", "--format", "markdown").out
    name = fleet.directory.name
    assert f"(https://git.example/o/r/blob/0123456789abcdef/{name}/fleet/fleet.yaml#L" in said
    fleet.environ = {"CI_PROJECT_URL": "https://lab.example/g/p", "CI_COMMIT_SHA": "0123456789abcdef"}
    fleet.environ["CI_PROJECT_DIR"] = str(fleet.directory)
    said = fleet.run("plan", "fleet", "--format", "markdown").out
    assert "(https://lab.example/g/p/-/blob/0123456789abcdef/fleet/fleet.yaml#L" in said


def test_the_commands_that_a_comment_names_do_what_it_says(fleet: Rig) -> None:
    fleet.files["variables"] = {"site": {"default": "oslo"}}
    fleet.devices["one"]["configs"]["b"] = "{{ var.site }}"
    said = fleet.plan("--format", "markdown", "--var", "site=ber gen", "--target", "microvisor.devices.one").out
    shows, applies = [block.splitlines()[0] for block in said.split("```sh\n")[1:]]
    words = shlex.split(shows.replace("SEL", "microvisor.devices.one.configs.a"))
    assert words[:2] == ["reconcile", "plan"]
    shown = fleet.run(*words[1:])
    assert shown.code == 0 and "Plan: 0 to add, 1 to change" in shown.out, shown
    ran = fleet.run(*shlex.split(applies)[1:], "--auto-approve")
    assert ran.code == 0 and fleet.device(1)["configs"] == {"a": "2", "b": "ber gen"}, ran


def test_an_apply_reports_the_plan_that_it_carries_out(fleet: Rig, tmp_path: Path) -> None:
    out, report, other = fleet.saved(), tmp_path / "a.json", tmp_path / "b.md"
    assert fleet.apply("--report", f"json={report}").code == 0
    assert json.loads(report.read_text())["resource_changes"][0]["address"] == "microvisor.devices.one.configs.a"
    fleet.configs["host"] = "2"
    assert fleet.apply_file(fleet.saved(), "--report", f"markdown={other}").code == 0
    assert "microvisor.configs.host" in other.read_text()
    assert fleet.apply_file(out, "--report", f"markdown={other}").code == 5


# -- what needs nothing, and what is nobody's --------------------------------------------------------------------------


def test_what_is_unchanged_and_unmanaged_is_shown_one_by_one(fleet: Rig, tmp_path: Path) -> None:
    with fleet.outside() as world:
        world["devices"][sid(4)]["unique_name"] = "warehouse\x1b[2J"
    ran = fleet.plan("--show-unchanged", "--show-unmanaged")
    assert ran.code == 0, ran
    assert f"  device {sid(3)}\n" in ran.out and "Not managed here: 3 resources" in ran.out
    assert f"  device {sid(4)} (warehouse\\x1b[2J)\n" in ran.out
    assert "Unchanged: 5 resources" in ran.out and "\n    microvisor.devices.two.configs.a\n" in ran.out
    assert "Options:" not in ran.out
    ours = fleet.plan("--show-unchanged", "--show-unmanaged", "--format", "json").json["reconcile"]
    assert "microvisor.devices.one.configs.b" in ours["unchanged"] and len(ours["unchanged"]) == 5
    assert {"type_path": "microvisor.devices", "id": sid(3), "name": None} in ours["strangers"]
    out = fleet.saved("--show-unmanaged", name="with.plan")
    assert f"device {sid(3)}" in fleet.run("show", str(out)).out
    assert fleet.apply_file(out).code == 0
    assert "strangers" not in fleet.plan("--format", "json").json["reconcile"]


def test_in_a_selection_only_what_is_selected_is_shown_as_unchanged(fleet: Rig) -> None:
    ran = fleet.plan("--show-unchanged", "--target", "microvisor.devices.two")
    assert "Unchanged: 2 resources" in ran.out and "devices.one" not in ran.out, ran


# -- drift -------------------------------------------------------------------------------------------------------------


def test_drift_has_the_formats_and_a_target(fleet: Rig, tmp_path: Path) -> None:
    with fleet.outside() as world:
        world["devices"][sid(2)]["configs"]["a"] = "theirs"
        world["configs"]["host"] = "theirs"
    metrics, page, notes = tmp_path / "a.prom", tmp_path / "a.html", tmp_path / "a.md"
    reports = ["--report", f"openmetrics={metrics}", "--report", f"html={page}", "--report", f"markdown={notes}"]
    ran = fleet.run("drift", str(fleet.fleet), *reports)
    assert ran.code == 2 and "Drift: 2 changed, 0 deleted by somebody else." in ran.out, ran
    families = {one.name: one for one in text_string_to_metric_families(metrics.read_text())}
    assert sum(sample.value for sample in families["reconcile_drifted"].samples) == 2
    assert "Drift: 2 changed" in page.read_text()
    said = notes.read_text()
    assert '"1" -> "theirs"' in said and "digest" not in said and '"drift": true' in said.splitlines()[0]
    ran = fleet.run("drift", str(fleet.fleet), "--target", "microvisor.configs")
    assert ran.code == 2 and "Drift: 1 changed" in ran.out, ran
    ran = fleet.run(
        "drift", str(fleet.fleet), "--target", "microvisor.devices.one", "--report", f"openmetrics={metrics}"
    )
    assert ran.code == 0, ran
    families = {one.name: one for one in text_string_to_metric_families(metrics.read_text())}
    assert sum(sample.value for sample in families["reconcile_drifted"].samples) == 0
    assert fleet.run("drift", str(fleet.fleet), "--target", "microvisor.nothing").code == 3


def test_a_state_has_text_and_json_and_a_part_of_a_plan_too(fleet: Rig) -> None:
    ran = fleet.run("show", str(fleet.fleet), "--format", "html")
    assert ran.code == 3 and "a state is shown as text or json" in ran.err, ran
    ran = fleet.run("show", str(fleet.saved()), "microvisor.devices", "--format", "markdown")
    assert ran.code == 3 and "a part of a plan is shown as text or json" in ran.err, ran


def test_a_group_s_members_are_shown_with_their_values(rig: Rig) -> None:
    rig.environ["RECONCILE_FINGERPRINT_KEY"] = "11" * 32
    rig.sim.put(world_of(devices={sid(number): {} for number in range(1, 9)}))
    rows = "".join(f"d{at},{sid(at)}\n" for at in range(1, 9))
    (rig.fleet / "all.csv").write_text(f"name,sid\n{rows}")
    rig.files["tables"] = {"all": {"file": "all.csv", "key": "name"}}
    configs = {"n": "{{ row.name }}"}
    rig.devices["pumps"] = {"for_each": "all", "key": "{{ row.name }}", "sid": "{{ row.sid }}", "configs": configs}
    out = rig.saved()
    ran = rig.run("show", str(out), "pumps")
    assert ran.code == 0, ran
    for number in range(1, 9):
        assert f"microvisor.devices.d{number}.configs.n" in ran.out and f'value = "d{number}"' in ran.out
