"""`validate` of several fleets: what they claim together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fleet_rig import Rig, sid
from junitparser import JUnitXml
from management_rig import id_of

MICROVISOR = f"microvisor:\n  devices:\n    {{}}: {{{{sid: {sid(1)}}}}}\n"
OURS, THEIRS = "AC" + "1" * 32, "AC" + "2" * 32


def fleets(directory: Path, *documents: str) -> list[str]:
    for name, document in zip("abc", documents, strict=False):
        (directory / name).mkdir()
        (directory / name / "fleet.yaml").write_text(f"fleet: {name}\n{document}")
    return [str(directory / name) for name, _ in zip("abc", documents, strict=False)]


def pinned(account: str) -> str:
    return f"providers: {{microvisor: {{account_sid: {account}}}}}\n"


@pytest.mark.parametrize(
    ("documents", "noun"),
    [
        ((MICROVISOR.format("one"), MICROVISOR.format("two")), f"the device {sid(1)}"),
        ((pinned(OURS) + MICROVISOR.format("one"), MICROVISOR.format("two")), f"the device {sid(1)}"),
        (("asset_tracker: {trackers: {t: {agent: A1}}}\n",) * 2, "the tracker A1"),
        ((f"device_management: {{devices: {{p: {{id: {id_of(1)}}}}}}}\n",) * 2, f"the device {id_of(1)}"),
    ],
)
def test_a_unit_in_two_fleets_is_a_warning_with_both_places(
    rig: Rig, tmp_path: Path, documents: tuple[str, ...], noun: str
) -> None:
    paths = fleets(tmp_path, *documents)
    ran = rig.run("validate", *paths)
    assert ran.code == 0 and f"{noun} is in two fleets: it is " in ran.err, ran
    for name in "ab":
        assert f" of {name} ({tmp_path / name / 'fleet.yaml'}:" in ran.err, ran
    first, second = json.loads(rig.run("validate", *paths, "--format", "json").out)
    assert first["valid"] and second["valid"] and noun in json.dumps(second) and noun not in json.dumps(first)


def test_what_is_no_id_or_another_account_is_no_warning(rig: Rig, tmp_path: Path) -> None:
    name = "device_management: {devices: {p: {endpoint_name: pump-0001}}, groups: {north: {}}}\n"
    one, other = (pinned(account) + MICROVISOR.format("one") + name for account in (OURS, THEIRS))
    ran = rig.run("validate", *fleets(tmp_path, one, other, "microvisor: {configs: {host: x}}\n"))
    assert ran.code == 0 and "two fleets" not in ran.err, ran


def test_a_fleet_that_is_wrong_hides_nothing_of_the_others(rig: Rig, tmp_path: Path) -> None:
    paths = fleets(tmp_path, MICROVISOR.format("one"), "microvisor: {nothing: 1}\n", MICROVISOR.format("two"))
    ran = rig.run("validate", *paths)
    assert ran.code == 3 and f"the device {sid(1)} is in two fleets" in ran.err, ran


def test_junit_has_a_suite_for_each_fleet_and_a_case_for_each_mistake(rig: Rig, tmp_path: Path) -> None:
    wrong = "microvisor: {devices: {x: {sdi: 1}, y: {'<b>]]>': 1}}}\n"
    paths = fleets(tmp_path, "microvisor: {}\n", wrong)
    ran = rig.run("validate", *paths, "--format", "junit")
    assert ran.code == 3 and ran.err == "", ran
    good, bad = JUnitXml.fromstring(ran.out.encode())
    assert (good.name, good.tests, good.failures) == (paths[0], 1, 0)
    assert bad.failures == bad.tests == len(list(bad)) >= 2
    assert any('"sdi" is not a key here' in case.result[0].message for case in bad)
    assert "<b>" not in ran.out


def test_sarif_has_the_place_in_the_repository_and_a_print_that_does_not_move(rig: Rig, tmp_path: Path) -> None:
    (path,) = fleets(tmp_path, "microvisor: {devices: {x: {sdi: 1}}}\n")
    before = rig.run("validate", path, "--format", "sarif").json
    main = Path(path) / "fleet.yaml"
    main.write_text("# more\n" + main.read_text())
    after = rig.run("validate", path, "--format", "sarif").json
    results = [run["runs"][0]["results"][0] for run in (before, after)]
    assert before["version"] == "2.1.0" and before["runs"][0]["tool"]["driver"]["name"] == "reconcile"
    places = [row["locations"][0]["physicalLocation"] for row in results]
    assert [place["region"]["startLine"] for place in places] == [2, 3]
    assert places[0]["artifactLocation"]["uri"].endswith("/a/fleet.yaml")
    assert results[0]["partialFingerprints"] == results[1]["partialFingerprints"]
    assert {row["ruleId"] for row in results} <= {rule["id"] for rule in before["runs"][0]["tool"]["driver"]["rules"]}
