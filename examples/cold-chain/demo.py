"""
`make demo`: a fleet of 503 devices and 52 trackers is validated, planned, applied, disturbed from outside and
repaired, and a setting of a tracker is staged and delivered.

Everything runs on a copy of this directory in a temporary place, against a simulator on loopback, and is removed at
the end. What is printed are the commands as one would type them and what they really print. The exit code is 0 only if
every step did what it should.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
COMMAND = [sys.executable, "-m", "reconcile"]
TERMINAL = sys.stdout.isatty()
COLOR = TERMINAL and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
NO_CHANGES = "No changes. Your infrastructure matches the configuration."
TRUCK = "asset_tracker.trackers.truck-12"
NOT_READ = ("state", "__pycache__", "*.pyc")  # of a reader who tried the example in place


class Unexpected(Exception):
    """A step did something else than it should."""


class Demo:
    """The copy, the simulator that it runs against, and how commands are shown."""

    def __init__(self, room: Path) -> None:
        self.directory = room / "cold-chain"
        shutil.copytree(HERE, self.directory, ignore=shutil.ignore_patterns(*NOT_READ))
        # Nothing that the reader has set for a fleet of their own takes part.
        ours = ("RECONCILE_", "TWILIO_", "CFG_REST_API_")
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        # The copy is no repository, so that ../base would lie outside of what a fleet may read.
        self.environ.update(RECONCILE_ROOT=str(self.directory))
        self.environ.update(XDG_CONFIG_HOME=str(room / "config"), PYTHONUNBUFFERED="1")
        self.complaints = room / "simulator.txt"
        self.steps = 0
        self.url = ""
        self.account: dict[str, str] = {}

    def step(self, heading: str, *sentences: str) -> None:
        """Begins a step."""
        self.steps += 1
        print(f"\n{bold(f'{self.steps}. {heading}')}", *sentences, "", sep="\n", flush=True)

    def run(self, *arguments: str, code: int = 0, says: tuple[str, ...] = (), never: tuple[str, ...] = ()) -> None:
        """
        One command, shown with all that it prints.

        Args:
            code: the exit code that it should have.
            says: patterns that its output has to hold, and `never` those that it must not.
        """
        print(bold(f"$ reconcile {' '.join(arguments)}"), flush=True)
        found, output = (on_terminal if TERMINAL else plainly)([*COMMAND, *arguments], self.directory, self.environ)
        print(f"[exit code {found}]\n", flush=True)
        if found != code:
            raise Unexpected(f"exit code {found}, expected {code}")
        for pattern in says:
            if not re.search(pattern, output):
                raise Unexpected(f"the output does not say {pattern!r}")
        for pattern in never:
            if re.search(pattern, output):
                raise Unexpected(f"the output says {pattern!r}")

    @contextlib.contextmanager
    def simulator(self) -> Iterator[None]:
        """`reconcile simulator --for dev`, for as long as the block lasts."""
        print(bold("$ reconcile simulator --port 0 --for dev &"), flush=True)
        with self.complaints.open("w") as complaints:
            process = subprocess.Popen(
                [*COMMAND, "simulator", "--port", "0", "--for", "dev"],
                cwd=self.directory,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                start_new_session=True,  # Ctrl-C is for the demonstration, which then ends the simulator
            )
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            if not line.startswith("listening on "):
                raise Unexpected(f"the simulator did not start: {self.complaints.read_text()}")
            self.url = line.removeprefix("listening on ")
            self.environ["RECONCILE_SIMULATOR"] = self.url
            print(f"{line}\n{bold(f'$ export RECONCILE_SIMULATOR={self.url}')}", flush=True)
            self.account = self.control("GET", "state?only=account_sid,auth_token")
            yield
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def control(self, method: str, call: str, body: Any = None) -> Any:
        """A call to the simulator's control, which is not part of any vendor's API."""
        data = None if body is None else json.dumps(body).encode()
        return send(method, f"{self.url}/_sim/{call}", data, {"Content-Type": "application/json"})

    def vendor(self, method: str, path: str, **form: str) -> None:
        """A call to the vendor's API, as a colleague's script or the vendor's console would make it."""
        print(f"  {method} {path}", *(f"{key}={value}" for key, value in form.items()), flush=True)
        word = base64.b64encode(f"{self.account['account_sid']}:{self.account['auth_token']}".encode()).decode()
        data = urllib.parse.urlencode(form).encode() if form else None
        send(method, self.url + path, data, {"Authorization": f"Basic {word}"})


def send(method: str, url: str, data: bytes | None, headers: dict[str, str]) -> Any:
    """A request to loopback, past any proxy; the JSON that is answered."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, data, headers, method=method)
    with opener.open(request, timeout=30) as answer:
        body = answer.read()
    return json.loads(body) if body else None


def plainly(command: list[str], directory: Path, environ: dict[str, str]) -> tuple[int, str]:
    """Runs a command without a terminal: exit code and output, which is shown as it comes."""
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
        return process.wait(), "".join(lines)
    finally:
        end(process)


def on_terminal(command: list[str], directory: Path, environ: dict[str, str]) -> tuple[int, str]:
    """The same on a terminal: standard output goes through a terminal of its own, so that it has its colours."""
    ours, theirs = pty.openpty()
    settings = termios.tcgetattr(theirs)
    settings[1] &= ~termios.OPOST  # line ends are the business of the terminal that shows them
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    columns, rows = shutil.get_terminal_size((100, 24))
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(command, cwd=directory, env=environ, stdin=subprocess.DEVNULL, stdout=theirs)
    os.close(theirs)
    chunks = []
    try:
        while chunk := read(ours):
            sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
            chunks.append(chunk)
        code = process.wait()
    finally:
        os.close(ours)
        end(process)
    return code, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", b"".join(chunks).decode())


def read(terminal: int) -> bytes:
    """What comes next; nothing when the other end was closed, which Linux calls an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def end(process: subprocess.Popen[Any]) -> None:
    """A command that was interrupted has two seconds to leave its state in order."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if COLOR else text


def story(demo: Demo) -> None:
    """The steps."""
    demo.step("Validate", "Every file of both fleets, without network or credentials.")
    demo.run("validate", "dev", "prod", says=("valid: cold-chain-dev", "valid: cold-chain-prod"))

    demo.step(
        "A simulated account",
        "It holds the devices and trackers that dev names, as they come from the factory, and nothing else.",
    )
    with demo.simulator():
        demo.step(
            "Plan",
            "What would change, grouped: 500 sensors and 50 trackers from tables; three gateways and two trackers by",
            "hand.",
        )
        demo.run(
            *("plan", "dev", "--out", "first.plan"),
            says=("Plan: 555 to import, 3015 to add, 555 to change, 0 to destroy.", "Nothing is blocked"),
        )

        demo.step("Apply", "Exactly the saved plan.")
        demo.run(
            *("apply", "first.plan"),
            says=("Apply complete! Resources: 3015 added, 555 changed, 0 destroyed.", "Staged: 52 updates"),
        )

        demo.step(
            "Plan again",
            "It is empty. The APIs have accepted everything; the devices install their apps, and the trackers fetch",
            "their settings, when they next connect.",
        )
        demo.run("plan", "dev", "--detailed-exitcode", says=(NO_CHANGES, "Pending: 555 resources"))
        print("Five minutes later, on the clock of the simulator:\n", flush=True)
        demo.control("POST", "clock", {"advance_s": 300})
        demo.run("plan", "dev", "--detailed-exitcode", says=(NO_CHANGES,), never=("Pending", "Not managed here"))

        demo.step("Disturbed from outside", "Somebody uses the vendor's API directly:")
        disturb(demo)

        demo.step("Drift", "What somebody else changed, told from what was applied to what is live.")
        demo.run(
            *("drift", "dev"),
            code=2,
            says=(
                r'~ value = "300" -> "5"',
                r'~ unique_name = "cc-00003" -> "left-door"',
                r'~ app = "sensor-a-2.3.1" -> "sensor-b-2.4.0"',
                r"cc-00006.configs.broker +# somebody else deleted it",
                r"mqtt_password(.*\n)+?.*rotated by somebody else",
                "Drift: 6 changed, 1 deleted by somebody else.",
            ),
        )

        demo.step(
            "Plan the repair",
            "Who changed what, and what would be put back. The two configs and the device that no file names are",
            "counted and left alone.",
        )
        demo.run(
            *("plan", "dev", "--detailed-exitcode", "--out", "repair.plan"),
            code=2,
            says=(
                "Changed by somebody else since the last apply, and put back",
                "Not managed here: 2 configs, 1 device.",
                "Plan: 1 to add, 6 to change, 0 to destroy.",
            ),
        )

        demo.step("Repair")
        demo.run("apply", "repair.plan", says=("Apply complete! Resources: 1 added, 6 changed, 0 destroyed.",))

        demo.step("Plan again", "It is empty, and what was foreign is still there.")
        demo.run(*("plan", "dev", "--detailed-exitcode"), says=(NO_CHANGES, "Not managed here: 2 configs, 1 device."))
        untouched(demo)
        staged(demo)


def staged(demo: Demo) -> None:
    """A setting of one tracker, from the edit until the tracker has it; the plan is empty all the while."""
    demo.step("A setting of a tracker", f"The geofence around {TRUCK} becomes wider:")
    edit(demo, "dev/trackers.yaml", "radius: 500", "radius: 750")
    before = len(patches(demo))
    demo.run(
        *("apply", "dev", "--target", TRUCK, "--auto-approve"),
        says=("geofence.radius = 500 -> 750", "Resources: 0 added, 1 changed, 0 destroyed.", "Staged: 1 update"),
    )

    demo.step(
        "Plan again",
        "It is empty. The agent holds the update until the tracker connects, which it does every ten minutes; what",
        "waits there is pending, and no change.",
    )
    demo.run(
        *("plan", "dev", "--detailed-exitcode"),
        says=(NO_CHANGES, "Pending: 1 resource ", f"{TRUCK}: staged(.*\n)+? +# geofence.radius = 750"),
    )
    print("A second apply does not send it again:\n", flush=True)
    demo.run("apply", "dev", "--target", TRUCK, "--auto-approve", says=(NO_CHANGES,))
    print("Ten minutes later, on the clock of the simulator:\n", flush=True)
    demo.control("POST", "clock", {"advance_s": 600})
    demo.run("plan", "dev", "--detailed-exitcode", says=(NO_CHANGES,), never=("Pending",))
    if len(patches(demo)) != before + 1:
        raise Unexpected(f"the update was sent {len(patches(demo)) - before} times")
    tracker = demo.control("GET", "state?only=trackers")["trackers"]["LPoC4xOL8ESr_"]
    if tracker["pending"] or tracker["reported"]["locationTracking"]["geofence"]["radius"] != 750:
        raise Unexpected("the tracker does not have the setting")


def edit(demo: Demo, file: str, old: str, new: str) -> None:
    """Changes a line of the copy, and shows it as a diff does."""
    path = demo.directory / file
    text = path.read_text("utf-8")
    (line,) = (line for line in text.splitlines() if old in line)
    path.write_text(text.replace(old, new), "utf-8")
    print(f"  {file}", f"  -{line}", f"  +{line.replace(old, new)}\n", sep="\n", flush=True)


def patches(demo: Demo) -> list[str]:
    """Every update that was sent to a tracker."""
    requests = demo.control("GET", "requests")
    return [request["path"] for request in requests if request["method"] == "PATCH"]


def disturb(demo: Demo) -> None:
    """Some drift, two foreign configs and one unknown device."""
    for sensor in ("cc-00001", "cc-00002"):
        demo.vendor("POST", f"/v1/Devices/{sensor}/Configs/sample_s", Value="5")
    demo.vendor("POST", "/v1/Devices/cc-00003", UniqueName="left-door")
    demo.vendor("POST", "/v1/Devices/cc-00004", TargetApp="sensor-b-2.4.0")
    demo.vendor("POST", "/v1/Devices/cc-00005/Secrets/wifi_psk", Value="typed-by-hand")
    demo.vendor("DELETE", "/v1/Devices/cc-00006/Configs/broker")
    demo.vendor("POST", "/v1/Secrets/mqtt_password", Value="typed-by-hand")
    print("\nand adds two configs and a device that no file of ours names:\n", flush=True)
    demo.vendor("POST", "/v1/Configs", Key="dashboard_url", Value="https://dashboard.example.com")
    demo.vendor("POST", "/v1/Configs", Key="debug", Value="1")
    added = demo.control("POST", "fleet", {"devices": 1, "seed": 503})["devices"]
    print(f"  a new unit: {added[0]}", flush=True)


def untouched(demo: Demo) -> None:
    """Whether what no file names is as it was, and what was disturbed is as the files say, asked of the simulator."""
    account = demo.control("GET", "state")["microvisor"]
    names = {device["unique_name"]: device for device in account["devices"].values()}
    facts = {
        "the foreign configs are gone": {"dashboard_url", "debug"} <= set(account["configs"]),
        "the unknown device was touched": names[None]["app"] is None and not names[None]["configs"],
        "the rotated secrets were not put back": "typed-by-hand"
        not in (account["secrets"]["mqtt_password"], names["cc-00005"]["secrets"]["wifi_psk"]),
    }
    for wrong, fine in facts.items():
        if not fine:
            raise Unexpected(wrong)


def main() -> int:
    # SIGTERM ends it as Ctrl-C does: by leaving every `with`.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="reconcile-demo-") as room:
            demo = Demo(Path(room))
            print(bold("Cold chain: 500 sensors, 3 gateways and 52 trackers, on a simulated account."))
            print("Everything runs on a copy of examples/cold-chain in a temporary directory.", flush=True)
            try:
                story(demo)
            except Unexpected as wrong:
                print(f"The demonstration failed in step {demo.steps}: {wrong}", file=sys.stderr)
                return 1
    except KeyboardInterrupt:
        print("\nInterrupted; nothing is left behind.", file=sys.stderr)
        return 130
    print(bold(f"Every step did what it should, in {time.monotonic() - began:.0f} s. Nothing is left behind."))
    print("The files of examples/cold-chain plan against the real APIs as they are: see README.md.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
