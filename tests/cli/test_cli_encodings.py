"""Output on a stream that is not UTF-8: escapes for what it cannot carry, and the exit code as always."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "reconcile"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_a_stream_cannot_carry_is_an_escape(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "fleet.yaml").write_text('fleet: f\nmicrovisor: {configs: {site: "Łódź …"}}\n', encoding="utf-8")
    ran = subprocess.run(
        [*PROGRAM, "explain", str(tmp_path), "microvisor.configs.site"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert ran.returncode == 0, ran
    assert "\\u0141" in ran.stdout.decode(encoding), ran
    (tmp_path / "fleet.yaml").write_text('fleet: f\nmicrovisor: {devices: {a: {sid: "Łódź"}}}\n', encoding="utf-8")
    ran = subprocess.run(
        [*PROGRAM, "validate", str(tmp_path)],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert ran.returncode == 3 and b"\\u0141" in ran.stderr and b"broken" not in ran.stderr, ran


def test_a_file_name_that_is_no_utf_8_is_printed(tmp_path: Path) -> None:
    fleet = tmp_path / os.fsdecode(b"f\xff")
    fleet.mkdir()
    (fleet / "fleet.yaml").write_text("fleet: F!\n")
    ran = subprocess.run([*PROGRAM, "validate", str(fleet)], capture_output=True, check=False)
    assert ran.returncode == 3 and b"broken" not in ran.stderr and ran.stderr.startswith(b"Error:"), ran
