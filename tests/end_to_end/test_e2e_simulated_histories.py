"""The first of the random histories of `make simulate`: what they are made of keeps up with the tool."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HISTORIES = 80


def test_the_first_histories_break_no_rule() -> None:
    command = [sys.executable, "-m", "benchmarks.simulate", "--histories", str(HISTORIES), "--seed", "0"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert f"{HISTORIES} histories" in ran.stdout and " 0 violations" in ran.stdout
