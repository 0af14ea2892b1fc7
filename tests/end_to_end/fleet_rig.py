"""
A fleet's directory, a simulator, and the real command line between them, in this process.

The fleet is a dict that is written as JSON (a `.yaml` file may hold JSON), so that a test edits it in place. Waits are
the event loop's, and its clock runs ahead here: a back-off of seconds takes milliseconds, and nothing else differs.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import io
import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from reconcile.conformance.haste import Eager
from reconcile.conformance.inprocess import run_here
from reconcile.engine.journal import Journal
from reconcile.simulator import running
from reconcile.simulator.serving import Running
from reconcile.transport import Net
from reconcile.wiring import Parts

ACCOUNT = "AC00000000000000000000000000000001"
TOKEN = "token-of-the-end-to-end-tests"


def sid(number: int) -> str:
    """The SID of the n-th device."""
    return f"UV{number:032x}"


def app_sid(number: int) -> str:
    """The SID of an app that a world begins with."""
    return f"KA{number:032x}"


def bundle(**members: str) -> bytes:
    """A zip with these members, the same bytes each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def __str__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class _Killed(BaseException):
    """The process is gone."""


async def _leave_it(self: Journal, *_: object) -> None:
    """What a killed process does with its journal; only the tasks of this loop have to end."""
    for task in (self._keeper, self._flusher):
        if task is not None:
            task.cancel()
    await asyncio.gather(*filter(None, (self._keeper, self._flusher)), return_exceptions=True)


class Rig:
    """
    One fleet and its simulator.

    Attributes:
        files: the document; `save` writes it, and every command saves it first.
        environ: of the commands, beside what the rig sets itself.
        patience_s: how long after its intent a request may still arrive.
    """

    def __init__(self, directory: Path, sim: Running) -> None:
        self.directory, self.sim = directory, sim
        self.fleet = directory / "fleet"
        self.fleet.mkdir(exist_ok=True)
        self.environ: dict[str, str] = {}
        self.patience_s = 2.0
        self.files: dict[str, Any] = {"fleet": "tests", "microvisor": {}}
        self._mark = 0

    # -- the fleet ----------------------------------------------------------------------------------------------------

    @property
    def devices(self) -> dict[str, Any]:
        return self.files["microvisor"].setdefault("devices", {})  # type: ignore[no-any-return]

    @property
    def configs(self) -> dict[str, Any]:
        return self.files["microvisor"].setdefault("configs", {})  # type: ignore[no-any-return]

    @property
    def secrets(self) -> dict[str, Any]:
        return self.files["microvisor"].setdefault("secrets", {})  # type: ignore[no-any-return]

    @property
    def apps(self) -> dict[str, Any]:
        return self.files["microvisor"].setdefault("apps", {})  # type: ignore[no-any-return]

    def save(self) -> None:
        """Writes the document."""
        (self.fleet / "fleet.yaml").write_text(json.dumps(self.files, indent=2))

    def bundle(self, name: str, **members: str) -> str:
        """Writes an app bundle beside the fleet; returns its path in the document."""
        (self.fleet / name).write_bytes(bundle(**(members or {"main": name})))
        return name

    @property
    def state(self) -> Path:
        return self.fleet / "state" / f"{self.files['fleet']}.simulator.db"

    def lose_state(self) -> None:
        """Deletes the state, as somebody would."""
        for file in self.state.parent.glob("*.db*"):
            file.unlink()

    def entries(self) -> dict[str, Any]:
        """The state's entries by address, as `state pull` prints them."""
        ran = self.run("state", "pull", str(self.fleet))
        assert ran.code == 0, ran
        return {entry["address"]: entry for entry in json.loads(ran.out)["entries"]} if ran.out.strip() else {}

    def serial(self) -> int:
        """How many runs have written to the state."""
        ran = self.run("state", "pull", str(self.fleet))
        return int(json.loads(ran.out)["serial"]) if ran.out.strip() else 0

    # -- the command line ---------------------------------------------------------------------------------------------

    def env(self) -> dict[str, str]:
        """The environment of a command."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "XDG_CONFIG_HOME": str(self.directory / "config"),
            "RECONCILE_SIMULATOR": self.sim.url,
            **self.environ,
        }

    def run(self, *arguments: str) -> Ran:
        """Runs a command in this process."""
        self.save()
        done = run_here(arguments, self.env(), Parts(random=Eager, patience_s=lambda settings: self.patience_s))
        ran = Ran(done.code, done.out, done.err)
        return ran

    def plan(self, *options: str) -> Ran:
        return self.run("plan", str(self.fleet), *options)

    def apply(self, *options: str) -> Ran:
        return self.run("apply", str(self.fleet), "--auto-approve", *options)

    def apply_file(self, file: Path, *options: str) -> Ran:
        return self.run("apply", str(file), "--auto-approve", *options)

    def crash(self, after: int) -> None:
        """An apply that ends as a killed process does, before its n-th request: no tidying up, its lease stays."""
        begun = 0

        def before_send(net: Net) -> None:
            nonlocal begun
            begun += 1
            if begun >= after:
                raise _Killed

        with (
            mock.patch.object(Net, "begin", before_send),
            mock.patch.object(Journal, "__aexit__", _leave_it),
            contextlib.suppress(_Killed),
        ):
            self.apply()
        # The lease of a dead process holds nobody up; this process is not dead.
        if self.state.exists():
            for line in self.run("lock", "list", str(self.fleet)).out.splitlines():
                if line and not line.startswith("Nobody"):
                    assert self.run("unlock", line.split()[0], "--path", str(self.fleet)).code == 0

    def saved(self, *options: str, name: str = "saved.plan") -> Path:
        """A saved plan."""
        file = self.directory / name
        ran = self.plan("--out", str(file), *options)
        assert ran.code in (0, 5), ran  # a plan that a guard blocks is saved all the same
        return file

    def lose_key(self) -> None:
        """Takes the local fingerprint key away, as on another machine; `find_key` brings it back."""
        (self.directory / "config").rename(self.directory / "key-is-elsewhere")

    def find_key(self) -> None:
        (self.directory / "key-is-elsewhere").rename(self.directory / "config")

    def changes(self, *options: str) -> dict[str, Any]:
        """By address, the resource changes of a plan's JSON that are not in sync; fails if there is no plan."""
        ran = self.plan("--format", "json", *options)
        assert ran.code in (0, 1, 5), ran
        return {row["address"]: row for row in ran.json["resource_changes"] if row["change"]["actions"] != ["no-op"]}

    # -- the account --------------------------------------------------------------------------------------------------

    @property
    def world(self) -> dict[str, Any]:
        return self.sim.world["microvisor"]  # type: ignore[no-any-return]

    def device(self, number: int) -> dict[str, Any]:
        """A device as the simulator has it."""
        return self.world["devices"][sid(number)]  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def outside(self) -> Iterator[dict[str, Any]]:
        """Somebody else changes the account: the `microvisor` section of the world, put back afterwards."""
        world = self.sim.world
        yield world["microvisor"]
        self.sim.put(world)

    def mark(self) -> None:
        """Forgets the requests so far."""
        log = self.sim.requests(0)
        self._mark = log[-1]["n"] if log else 0

    def requests(self) -> list[str]:
        """`METHOD path` of every request since the mark."""
        return [f"{row['method']} {row['path']}" for row in self.sim.requests(self._mark)]

    def mutations(self) -> list[str]:
        """Those that change something."""
        return [request for request in self.requests() if not request.startswith("GET ")]

    # -- what always holds --------------------------------------------------------------------------------------------

    def assert_in_sync(self) -> None:
        """The plan is empty, and an apply sends nothing."""
        ran = self.plan("--detailed-exitcode")
        assert ran.code == 0, ran
        assert "No changes. Your infrastructure matches the configuration." in ran.out, ran
        self.mark()
        serial = self.serial()
        ran = self.apply()
        assert ran.code == 0, ran
        assert self.mutations() == []
        assert self.serial() == serial, ran  # nothing was left to record either

    def apply_well(self, *options: str) -> Ran:
        """Applies, and checks that it was complete and that the plan after it is empty."""
        ran = self.apply(*options)
        assert ran.code == 0, ran
        assert "Apply complete!" in ran.out, ran
        self.assert_in_sync()
        return ran


def world_of(**section: Any) -> dict[str, Any]:
    """A world with these parts of Microvisor, and five devices as from the factory unless `devices` says otherwise."""
    section.setdefault("devices", {sid(number): {} for number in range(1, 6)})
    return {"account_sid": ACCOUNT, "auth_token": TOKEN, "api_key": "ak_tests", "microvisor": section}


@contextlib.contextmanager
def rigged(directory: Path, **section: Any) -> Iterator[Rig]:
    """A rig over a fresh simulator with this world."""
    with running(world=world_of(**copy.deepcopy(section))) as sim:
        yield Rig(directory, sim)


MakeRig = Callable[..., Rig]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def command() -> list[str]:
    """The real program, for a process of its own."""
    return [sys.executable, "-m", "reconcile"]
