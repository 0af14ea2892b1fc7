"""How the program starts: in somebody's checkout, and when it is interrupted at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MODULES = (
    *("click", "yaml", "httpx", "pydantic", "jinja2", "rich", "aiohttp", "deepdiff", "certifi", "h11", "psycopg"),
    "evil",
)
STARTS = ([str(Path(sys.executable).with_name("reconcile"))], [sys.executable, "-m", "reconcile"])


@pytest.mark.parametrize("start", STARTS, ids=["script", "module"])
def test_nothing_of_the_working_directory_is_run(start: list[str], tmp_path: Path) -> None:
    ran = tmp_path / "RAN"
    for name in MODULES:
        (tmp_path / f"{name}.py").write_text(f"open({str(ran)!r}, 'a').write('{name} ')\n")
    (tmp_path / "evil-1.0.dist-info").mkdir()
    (tmp_path / "evil-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (tmp_path / "evil-1.0.dist-info" / "entry_points.txt").write_text("[reconcile.providers]\nevil = evil:E\n")
    (tmp_path / "fleet.yaml").write_text("fleet: f\nmicrovisor: {configs: {a: one}}\n")

    done = subprocess.run([*start, "validate", "."], cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    assert not ran.exists(), ran.read_text()


@pytest.mark.parametrize("start", STARTS, ids=["script", "module"])
def test_ctrl_c_while_modules_are_imported_shows_no_traceback(start: list[str], tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    # Stands for a slow disk: the first import of the command line takes long enough to be interrupted in it.
    (tmp_path / "site" / "click.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(30)\n")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    with subprocess.Popen(
        [*start, "validate", "."], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)

    assert (process.returncode, told) == (130, "Interrupted.\n")
