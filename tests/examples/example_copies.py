"""Copies of the examples in a repository of their own, and commands that are run in them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PYTHON = sys.executable


class Copy:
    """
    One example in a git repository.

    Attributes:
        directory: of the example.
        environ: without anything that the machine has set for a fleet of its own.
    """

    def __init__(self, name: str, room: Path) -> None:
        self.repository = room / "repository"
        self.directory = self.repository / "examples" / name
        shutil.copytree(
            EXAMPLES / name, self.directory, ignore=shutil.ignore_patterns("__pycache__", "*.db", "*.db-*", "state")
        )
        shutil.copy(ROOT / ".gitignore", self.repository)
        names = ("RECONCILE_", "TWILIO_", "CFG_REST_API_", "COLD_CHAIN_", "GIT_")
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(names)}
        self.environ.update(HOME=str(room), XDG_CONFIG_HOME=str(room / "config"), PYTHONPATH=str(ROOT))
        self._git("init", "-q")
        self._git("add", "-A")

    def reconcile(self, *arguments: str, code: int = 0) -> str:
        """What a command prints; it has to exit with `code`."""
        done = self.run("-m", "reconcile", *arguments)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Python with these arguments, to its end."""
        return subprocess.run(
            [PYTHON, *arguments],
            cwd=self.directory,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def begin(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Python with these arguments, under way."""
        return subprocess.Popen(
            [PYTHON, *arguments],
            cwd=self.directory,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextlib.contextmanager
    def simulator(self, fleet: str) -> Iterator[str]:
        """A simulator that is filled for the fleet, and `RECONCILE_SIMULATOR` set to it."""
        process = self.begin("-m", "reconcile", "simulator", "--port", "0", "--for", fleet)
        try:
            line = process.stdout.readline() if process.stdout else ""
            assert line.startswith("listening on "), process.communicate()
            self.environ["RECONCILE_SIMULATOR"] = line.split()[-1]
            yield line.split()[-1]
        finally:
            self.environ.pop("RECONCILE_SIMULATOR", None)
            process.terminate()
            process.communicate(timeout=10)

    def changed(self, ignored: bool = False) -> str:
        """What git shows as new or changed; with `ignored`, what it hides as well."""
        # `git add` stands for the commit, so everything that was copied counts as known.
        status = self._git("status", "--porcelain", *(["--ignored"] if ignored else []))
        return "".join(f"{line}\n" for line in status.splitlines() if not line.startswith("A  "))

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.repository, env=self.environ, capture_output=True, text=True, check=True
        )
        return done.stdout
