"""
The real command line as its own process, against the real simulator or a hostile server, with everything that must
hold of every run: no traceback, no secret, nothing that moves a terminal, 512 MB.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

from bad_input_cases import Seen, sid

ACCOUNT = "AC00000000000000000000000000000001"
TOKEN = "canary/of the token+40%"  # every encoding of it differs from it
SECRET = "canary/of a secret<&>"
TIMEOUT_S = 20  # for a busy machine; the bar is 2 s, and is measured apart from the tests
MEMORY_KB = 512 * 1024

# What a terminal acts on or an eye does not see. A line feed ends a line of ours.
_UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


@dataclass(frozen=True)
class Ran:
    """How a command ended; `kilobytes` is the most memory it held, never less than the test's own at that time."""

    code: int
    out: str
    err: str
    seconds: float
    kilobytes: int

    @property
    def said(self) -> str:
        return f"exit {self.code}\n{self.out}\n{self.err}"

    @property
    def errors(self) -> list[str]:
        """Every `Error:` of the output with the lines that belong to it."""
        return re.split(r"^(?=Error: )", self.err, flags=re.MULTILINE)[1:]

    def has_error(self, seen: Seen) -> bool:
        return any(all(text in error for text in seen) for error in self.errors)


def encodings(secret: str) -> set[str]:
    """The forms in which a secret could leak."""
    raw = secret.encode()
    return {
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        base64.b64encode(f"{ACCOUNT}:{secret}".encode()).decode().rstrip("="),
        raw.hex(),
    }


LEAKS = frozenset(form for secret in (TOKEN, SECRET) for form in encodings(secret))


def environment(home: Path, simulator: str | None = None, **more: str) -> dict[str, str]:
    """Nothing of the machine that the tests run on; credentials always, so that an error is never about them."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "CANARY": SECRET,
    }
    if simulator is not None:
        env["RECONCILE_SIMULATOR"] = simulator
    return {**env, **more}


def run(
    *arguments: str, cwd: Path, env: Mapping[str, str], interrupt: tuple[int, Callable[[], bool]] | None = None
) -> Ran:
    """
    Runs `reconcile` to its end and asserts what holds of every run, whatever its input.

    Args:
        interrupt: a signal, and what has to be true before it is sent.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, "-m", "reconcile", *arguments],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        while True:
            done, status, usage = os.wait4(child.pid, os.WNOHANG)
            if done:
                break
            if time.monotonic() - began > TIMEOUT_S:
                child.kill()
                os.wait4(child.pid, 0)
                raise AssertionError(f"reconcile {' '.join(arguments)} still ran after {TIMEOUT_S} s")
            if interrupt is not None and interrupt[1]():
                child.send_signal(interrupt[0])
                interrupt = None
            time.sleep(0.005)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode())  # strict: what is printed is UTF-8
    ran = Ran(child.returncode, *texts, seconds, usage.ru_maxrss)
    if log := os.environ.get("BAD_INPUTS_FIGURES"):
        with Path(log).open("a") as figures:
            test = os.environ.get("PYTEST_CURRENT_TEST", "?").partition("::")[2]
            figures.write(f"{ran.seconds:.2f} s\t{ran.kilobytes // 1024} MB\t{test}\t{' '.join(arguments)[:60]}\n")
    check_output(ran)
    return ran


def check_output(ran: Ran) -> None:
    """What holds of every output."""
    text = ran.out + ran.err
    assert "Traceback" not in text, ran.said
    assert "reconcile itself is broken" not in text, ran.said
    assert ran.code >= 0 or ran.code == -signal.SIGKILL, f"ended by signal {-ran.code}\n{ran.said}"
    leaked = [form for form in LEAKS if form in text]
    assert not leaked, f"{leaked} in\n{ran.said}"
    unsafe = _UNSAFE.search(text)
    assert unsafe is None, f"{unsafe[0]!a} in\n{ran.said!a}" if unsafe else ""
    assert ran.kilobytes <= MEMORY_KB, f"{ran.kilobytes // 1024} MB"


def write(directory: Path, files: Mapping[str, str | bytes]) -> Path:
    """The fleet on disk."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return directory


def world(**microvisor: object) -> dict[str, object]:
    """An account with three devices as from the factory, and whatever a case adds to it."""
    return {
        "account_sid": ACCOUNT,
        "auth_token": TOKEN,
        "microvisor": {"devices": {sid(number): {} for number in (1, 2, 3)}, **microvisor},
    }


def mutations(requests: list[dict[str, object]]) -> list[str]:
    """What was sent that is no read."""
    return [f"{one['method']} {one['path']}" for one in requests if one["method"] not in ("GET", "HEAD")]
