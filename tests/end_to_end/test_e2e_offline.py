"""`plan --offline [--against DIR]`: what files alone can tell of a pull request, and what they cannot."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fleet_rig import Ran, Rig, sid

NEVER = {"RECONCILE_SIMULATOR": "http://127.0.0.1:9", "XDG_CONFIG_HOME": "/dev/null"}  # nobody listens there


class Review:
    """A pull request: the files of its branch, and those that it would be merged into."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.base = rig.directory / "base" / "fleet"
        rig.save()
        shutil.copytree(rig.fleet, self.base)
        rig.environ |= NEVER

    def base_file(self, change: Any) -> None:
        files = copy.deepcopy(self.rig.files)
        change(files)
        (self.base / "fleet.yaml").write_text(json.dumps(files))

    def plan(self, *options: str) -> Ran:
        return self.rig.plan("--offline", "--against", str(self.base), *options)

    def rows(self, *options: str) -> dict[str, Any]:
        ran = self.plan("--format", "json", *options)
        assert ran.code in (0, 5), ran
        return {row["address"]: row for row in ran.json["resource_changes"]}


@pytest.fixture
def review(rig: Rig) -> Review:
    rig.files["variables"] = {"site": {"default": "oslo"}}
    rig.configs["host"] = "1"
    rig.secrets["token"] = "env:TOKEN"
    rig.devices["one"] = {"sid": sid(1), "configs": {"a": "1", "site": "{{ var.site }}"}, "secrets": {"psk": "env:PSK"}}
    rig.devices["two"] = {"sid": sid(2), "logging": True, "labels": {"ring": "1"}, "protect": True}
    return Review(rig)


def test_without_another_side_it_counts_and_compares_nothing(review: Review) -> None:
    ran = review.rig.plan("--offline")
    assert ran.code == 0, ran
    assert ran.out.splitlines()[0] == "tests · offline: the files; nothing live was read"
    assert "2 devices, 2 device configs, 1 device secret" in ran.out
    assert "nothing was compared" in ran.out and "No changes." not in ran.out
    made = review.rig.plan("--offline", "--format", "json").json
    assert made["resource_changes"] == [] and made["complete"] is False and made["applyable"] is False
    assert made["reconcile"]["digest"] is None
    assert not (review.rig.fleet / "state").exists() and review.rig.requests() == []


def test_it_is_told_what_comes_goes_and_changes(review: Review) -> None:
    rig = review.rig
    rig.configs["host"], rig.configs["new"] = "2", "x"
    del rig.devices["two"]["logging"]
    rig.devices["one"]["configs"].pop("a")
    rig.apps["a-1"] = {"bundle": rig.bundle("a-1.zip")}
    rows = review.rows()
    actions = {address: row["change"]["actions"] for address, row in rows.items()}
    assert actions == {
        "microvisor.apps.a-1": ["create"],
        "microvisor.configs.host": ["update"],
        "microvisor.configs.new": ["create"],
        "microvisor.devices.one.configs.a": ["delete"],
        "microvisor.devices.two": ["no-op"],
    }
    host = rows["microvisor.configs.host"]
    assert (host["change"]["before"], host["change"]["after"]) == ({"value": "1"}, {"value": "2"})
    assert host["reconcile"]["where"]["filename"].endswith("fleet.yaml")
    assert rows["microvisor.devices.two"]["reconcile"]["labels"] == {"ring": "1"}
    ran = review.plan("--detailed-exitcode")
    assert ran.code == 2 and "Plan: 2 to add, 1 to change, 1 to destroy." in ran.out, ran
    assert ran.out.splitlines()[0].endswith(f"the files against those in {review.base}; nothing live was read")


def test_no_difference_is_no_claim_about_what_is_live(review: Review) -> None:
    ran = review.plan("--detailed-exitcode")
    assert ran.code == 0 and "Infrastructure" not in ran.out and "matches" not in ran.out, ran
    assert "No changes between the two checkouts. Nothing live was read." in ran.out
    assert "Not compared: 2 secrets" in ran.out


def test_each_side_has_its_own_defaults_and_both_get_the_values_of_the_command_line(review: Review) -> None:
    review.rig.files["variables"]["site"]["default"] = "bergen"
    assert list(review.rows()) == ["microvisor.devices.one.configs.site"]
    assert list(review.rows("--var", "site=narvik")) == []
    review.rig.files["variables"]["more"] = {"default": "x"}
    assert list(review.rows("--var", "site=narvik", "--var", "more=y")) == []


def test_a_secret_is_compared_by_its_reference(review: Review) -> None:
    review.rig.devices["one"]["secrets"]["psk"] = "env:PSK_2"
    ran = review.plan()
    assert "it comes from env:PSK_2 now" in ran.out and "Not compared: 1 secret" in ran.out, ran


def test_what_leaves_goes_as_the_base_said(review: Review) -> None:
    review.base_file(lambda files: files["microvisor"]["devices"]["one"].update(on_removal="clear"))
    del review.rig.devices["one"], review.rig.devices["two"]
    rows = review.rows()
    assert rows["microvisor.devices.one"]["change"]["actions"] == ["forget"]
    assert rows["microvisor.devices.one.configs.a"]["change"]["actions"] == ["delete"]
    assert "protected" in rows["microvisor.devices.two"]["reconcile"]["blocked"]
    ran = review.plan()
    assert ran.code == 5 and "Blocked" in ran.out, ran


def test_limits_of_both_sides_bind_and_their_change_is_shown(review: Review) -> None:
    review.base_file(lambda files: files.update(limits={"delete": 0}))
    review.rig.files["limits"] = {"delete": 100}
    del review.rig.configs["host"]
    ran = review.plan()
    assert ran.code == 5 and "limits.delete is 0" in ran.out, ran
    assert "limits.delete = 0 -> 100" in ran.out
    line = next(line for line in ran.out.splitlines() if line.startswith("    reconcile plan"))
    assert "--offline" in line and f"--against {review.base}" in line and "--allow delete=1" in line
    assert review.plan("--allow", "delete=1").code == 0


def test_settings_that_no_resource_shows(review: Review) -> None:
    rig = review.rig
    rig.files["providers"] = {"microvisor": {"auth_token": "env:OTHER_TOKEN"}}
    rig.files["state"] = {"path": "elsewhere.db"}
    alone = review.plan("--detailed-exitcode")
    assert alone.code == 2 and "No resource changes between the two checkouts; 2 settings did." in alone.out, alone
    rig.devices["two"]["protect"] = False
    ran = review.plan("--detailed-exitcode")
    assert ran.code == 2, ran
    for said in (
        "providers.microvisor.auth_token = env:TWILIO_AUTH_TOKEN -> env:OTHER_TOKEN",
        "state.path = state/tests.db -> elsewhere.db",
        "protect of microvisor.devices.two = true -> false",
    ):
        assert said in ran.out, ran


def test_an_emptied_file_is_refused(review: Review) -> None:
    review.rig.files["microvisor"] = {}
    ran = review.plan()
    assert ran.code == 5 and "the files declare no resources, but the others have 7" in ran.out, ran


def test_a_renamed_device_is_moved_and_another_unit_is_a_replacement(review: Review) -> None:
    review.rig.devices["uno"] = review.rig.devices.pop("one")
    review.rig.devices["two"]["sid"] = sid(3)
    rows = review.rows()
    assert rows["microvisor.devices.uno"]["previous_address"] == "microvisor.devices.one"
    assert rows["microvisor.devices.two"]["change"]["actions"] == ["delete", "create"]
    assert "microvisor.devices.one" not in rows


def test_it_is_saved_without_a_key_and_nobody_applies_it(review: Review) -> None:
    review.rig.configs["host"] = "2"
    out = review.rig.directory / "offline.plan"
    ran = review.plan("--out", str(out))
    assert ran.code == 0 and "apply refuses it" in ran.out, ran
    assert review.rig.run("show", str(out)).out.count("nothing live was read") == 1
    ran = review.rig.apply_file(out)
    assert ran.code == 5 and "the plan was made offline" in ran.err, ran
    assert review.rig.requests() == []


def test_in_markdown_its_mark_says_what_it_is(review: Review, tmp_path: Path) -> None:
    review.rig.configs["host"] = "2"
    said = review.plan("--format", "markdown").out
    assert '"offline": true' in said.splitlines()[0] and "digest" not in said
    assert "To apply" not in said


def test_wrong_inputs(review: Review, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "fleet.yaml").write_text("fleet: others\nmicrovisor: {}\n")
    for options, said in (
        (["--against", str(other)], "--against goes with --offline"),
        (["--offline", "--against", str(other)], "holds the fleet others"),
        (["--offline", "--against", str(tmp_path / "nowhere")], "nowhere"),
        (["--offline", "--against", str(review.base), "--target", "microvisor.nothing"], "microvisor.nothing"),
        (["--offline", "--refresh-only"], "--refresh-only needs more than files"),
        (["--offline", "--destroy"], "--destroy needs more than files"),
        (["--offline", "--rewrite", "microvisor"], "--rewrite needs more than files"),
    ):
        ran = review.rig.plan(*options)
        assert ran.code == 3 and said in ran.err, ran
