"""
The README is true: its `console` blocks are run as they stand, on a copy and against simulators, and print what it
shows. `RECONCILE_UPDATE_README=1 pytest tests/test_readme.py` writes what they print into it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

from reconcile import errors
from reconcile.cli import COMMANDS

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN_URL = "http://127.0.0.1:8080"
SHOWN_DIRECTORY = "/tmp/"
SHOWN_SINCE = "since 2026-03-02T08:15:00+00:00 (1s)"
EXAMPLES = ("quick-start", "one-tracker", "device-management")


class Shell:
    """What a reader's shell does: `$ reconcile …`, also with `&`, `$ export …`, `$ kill %1`, `$ curl -d … URL`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        names = ("RECONCILE_", "TWILIO_", "CFG_REST_API_", "MBED_CLOUD_SDK_")
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(names)}
        self.environ.update(XDG_CONFIG_HOME=str(directory / "config"), HOME=str(directory))
        self.background: list[subprocess.Popen[str]] = []
        self.url = SHOWN_URL

    def run(self, line: str) -> str:
        """What the line prints on standard output, with the port and the directory of the README."""
        words = shlex.split(self._here(line))
        if words[0] == "export":
            self.environ.update(word.split("=", 1) for word in words[1:])
            return ""
        if line == "kill %1":
            self.end()
            return ""
        if words[0] == "curl":
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(words[-1], words[-2].encode()).close()
            return ""
        assert words[0] == "reconcile", line
        if words[-1] == "&":
            # Any free port: the one of the README may be taken on this machine.
            return self._start([*words[1:-1], "--port", "0"])
        done = subprocess.run(
            [sys.executable, "-m", "reconcile", *words[1:]],
            cwd=self.directory,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{line}: {done.returncode}\n{done.stderr}"
        return self._shown(done.stdout)

    def _start(self, arguments: list[str]) -> str:
        process = subprocess.Popen(
            [sys.executable, "-m", "reconcile", *arguments],
            cwd=self.directory,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.background.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        self.url = line.strip().removeprefix("listening on ")
        if "RECONCILE_SIMULATOR" in self.environ:
            self.environ["RECONCILE_SIMULATOR"] = self.url  # the reader's second one has the port of the first
        return self._shown(line)

    def _here(self, text: str) -> str:
        return text.replace(SHOWN_URL, self.url).replace(SHOWN_DIRECTORY, f"{self.directory}/")

    def _shown(self, text: str) -> str:
        text = re.sub(r"since [-+:T0-9]+ \([0-9a-z]+\)", SHOWN_SINCE, text)
        return text.replace(self.url, SHOWN_URL).replace(f"{self.directory}/", SHOWN_DIRECTORY)

    def end(self) -> None:
        for process in self.background:
            process.terminate()
            process.wait(10)
        self.background = []


def test_the_readme_shows_what_the_commands_print(tmp_path: Path) -> None:
    for name in EXAMPLES:
        shutil.copytree(ROOT / "examples" / name, tmp_path / "examples" / name, ignore=shutil.ignore_patterns("state"))
    text = README.read_text("utf-8")
    shell = Shell(tmp_path)
    try:
        found = BLOCK.sub(lambda block: f"```console\n{replayed(shell, block[1])}```", text)
        assert len(shell.background) == 1, "one simulator at a time is started"
    finally:
        shell.end()
    if os.environ.get("RECONCILE_UPDATE_README"):
        README.write_text(found, "utf-8")
    assert found == README.read_text("utf-8")


def replayed(shell: Shell, block: str) -> str:
    """The block with its commands as they are and their output as it is now."""
    return "".join(
        f"{line}\n{shell.run(line.removeprefix('$ '))}" for line in block.splitlines() if line.startswith("$ ")
    )


def test_the_files_that_the_readme_shows_are_the_examples() -> None:
    for name in EXAMPLES:
        text = (ROOT / "examples" / name / "fleet.yaml").read_text("utf-8")
        assert f"```yaml\n{text}```" in README.read_text("utf-8"), name


def test_an_excerpt_that_the_readme_shows_is_from_the_example() -> None:
    excerpts = re.findall(r"^```yaml\n(    .*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    devices = (ROOT / "examples/cold-chain/base/devices.yaml").read_text("utf-8").splitlines()
    plain = [line.split("  #")[0].rstrip() for line in devices]
    assert excerpts
    for line in "".join(excerpts).splitlines():
        assert line.split("  #")[0].rstrip() in plain


def test_every_command_is_in_the_readme_and_nothing_else() -> None:
    rows = re.findall(r"^\| `([a-z]+)", section("Commands"), re.MULTILINE)
    assert sorted(set(rows)) == sorted(COMMANDS)


def test_the_exit_codes_of_the_readme_are_those_of_the_errors() -> None:
    rows = {int(code) for code in re.findall(r"^\| (\d+) \|", section("Exit codes"), re.MULTILINE)}
    ours = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ReconcileError)
    }
    assert rows == ours | {0, 2}


def test_links_of_the_documents_lead_to_files() -> None:
    documents = [README, *ROOT.glob("C*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    for document in documents:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
            assert (document.parent / link).exists(), f"{document.relative_to(ROOT)}: {link}"


def section(heading: str) -> str:
    return README.read_text("utf-8").split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
