"""Fleets that are links: what is named counts, and links are followed only to check where they lead."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fleet_rig import Rig, sid

DEVICE = f"one: {{sid: {sid(1)}, configs: {{a: {{file: text}}}}}}"
MAIN = f"fleet: tests\ninclude: [more]\nmicrovisor:\n  devices:\n    {DEVICE}\n"
FILES = {"fleet.yaml": MAIN, "text": "from a file", "more/configs.yaml": "microvisor:\n  configs: {host: x}\n"}


def release(directory: Path, name: str, files: dict[str, str] = FILES) -> Path:
    for path, content in files.items():
        file = directory / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return directory / name


class Mount:
    """A directory as a ConfigMap is mounted: each file a link into `..data`, which is a link into what is current."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.number = 0
        self.again()
        for name in {path.partition("/")[0] for path in FILES}:
            (directory / name).symlink_to(f"..data/{name}")

    def again(self, files: dict[str, str] = FILES) -> None:
        """Mounted anew, as the kubelet does: another directory, and the old one is gone."""
        old, self.number = self.directory / f"..{self.number}", self.number + 1
        release(self.directory, f"..{self.number}", files)
        link = self.directory / "..data_tmp"
        link.symlink_to(f"..{self.number}")
        link.replace(self.directory / "..data")
        shutil.rmtree(old, ignore_errors=True)


@pytest.mark.parametrize("named", ["", "fleet.yaml"])
def test_a_config_map_keeps_its_state_and_its_plan_over_another_mount(rig: Rig, tmp_path: Path, named: str) -> None:
    mount = Mount(tmp_path / "m")
    path = str(mount.directory / named)
    file = tmp_path / "saved.plan"
    ran = rig.run("plan", path, "--out", str(file))
    assert ran.code == 0 and "m/fleet.yaml:5" in ran.out and ".." not in ran.out.replace("…", ""), ran
    mount.again()
    assert rig.apply_file(file).code == 0
    assert (mount.directory / "state" / "tests.simulator.db").is_file()
    mount.again()
    ran = rig.run("plan", path, "--detailed-exitcode")
    assert ran.code == 0 and "serial 1" in ran.out, ran
    mount.again({**FILES, "text": "from another file"})
    ran = rig.run("apply", path, "--auto-approve")
    assert ran.code == 0 and rig.device(1)["configs"] == {"a": "from another file"}, ran
    ran = rig.run("apply", str(file), "--auto-approve")
    assert ran.code == 5, ran


def test_another_bytes_under_the_same_names_are_another_document(rig: Rig, tmp_path: Path) -> None:
    mount = Mount(tmp_path / "m")
    file = tmp_path / "saved.plan"
    assert rig.run("plan", str(mount.directory), "--out", str(file)).code == 0
    mount.again({**FILES, "more/configs.yaml": "microvisor:\n  configs: {host: y}\n"})
    ran = rig.apply_file(file)
    assert ran.code == 5 and "the files changed after the plan was made" in ran.err, ran


def program(rig: Rig, *words: str, cwd: Path, pwd: Path) -> subprocess.CompletedProcess[str]:
    """The program itself, in a directory that the shell has under another name."""
    environ = {**os.environ, **rig.env(), "PWD": str(pwd)}
    return subprocess.run(
        [sys.executable, "-m", "reconcile", *words], cwd=cwd, env=environ, capture_output=True, text=True
    )


def test_a_release_that_a_link_names_is_known_by_the_link(rig: Rig, tmp_path: Path) -> None:
    files = {**FILES, "fleet.yaml": MAIN + "state: {path: ../shared.db}\n"}
    first = release(tmp_path / "repo" / "releases", "1", files)
    (tmp_path / "repo" / ".git").mkdir()
    current = tmp_path / "repo" / "current"
    current.symlink_to("releases/1")
    ran = program(rig, "plan", "--out", "../saved.plan", cwd=current, pwd=current)
    assert ran.returncode == 0 and " fleet.yaml:5" in ran.stdout, ran
    ran = program(rig, "plan", str(current), cwd=tmp_path, pwd=tmp_path)
    assert ran.returncode == 0 and "repo/current/fleet.yaml:5" in ran.stdout and "releases" not in ran.stdout, ran
    # A `PWD` that is not where the command runs says nothing.
    ran = program(rig, "plan", cwd=first, pwd=tmp_path)
    assert ran.returncode == 0 and " fleet.yaml:5" in ran.stdout, ran


def test_a_link_into_a_repository_may_name_what_the_repository_has(rig: Rig, tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    (repo / ".git").mkdir(parents=True)
    release(repo, "fleet", {**FILES, "fleet.yaml": MAIN.replace("[more]", "[../common]")})
    release(repo, "common", {"configs.yaml": "microvisor:\n  configs: {host: x}\n"})
    (tmp_path / "link").symlink_to(repo / "fleet")
    ran = rig.run("plan", str(tmp_path / "link"))
    assert ran.code == 0 and "microvisor.configs.host" in ran.out, ran


def test_one_file_under_two_names_is_read_once(rig: Rig, tmp_path: Path) -> None:
    fleet = release(tmp_path, "f", {**FILES, "extra.yaml": "microvisor:\n  configs: {port: y}\n"})
    (fleet / "other.yaml").symlink_to("extra.yaml")
    ran = rig.run("plan", str(fleet))
    assert ran.code == 0 and "microvisor.configs.port" in ran.out, ran


@pytest.mark.parametrize("what", ["fleet.yaml", "text", "more"])
def test_a_link_that_leads_outside_is_refused_as_before(rig: Rig, tmp_path: Path, what: str) -> None:
    fleet = release(tmp_path, "f")
    outside = release(tmp_path, "outside")
    shutil.rmtree(fleet / what) if (fleet / what).is_dir() else (fleet / what).unlink()
    (fleet / what).symlink_to(outside / what)
    rig.mark()
    ran = rig.run("plan", str(fleet))
    assert ran.code == 3 and "outside the root" in ran.err and rig.requests() == [], ran
