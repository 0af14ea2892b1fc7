"""
One fleet of a case: its directory, its server behind a proxy, and the real command line between them, in this process.

Waits are the event loop's, and its clock runs ahead here: a back-off of seconds takes milliseconds, nothing else
differs.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconcile.conformance.case import Account, Case
from reconcile.conformance.haste import Eager
from reconcile.conformance.inprocess import run_here
from reconcile.conformance.proxy import Proxy, Sent, proxied
from reconcile.conformance.subject import Example, Leaf, Subject
from reconcile.wiring import Parts

PATIENCE_S = 2.0  # how long after its intent a request may still arrive: none does here
PAGE = 2  # members of a page, where a case is paged: the least that any API here takes
_SYNC = "No changes. Your infrastructure matches the configuration."
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH")


@dataclass(frozen=True)
class Ran:
    """How a command ended, what it said, and what it asked of the server."""

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str
    sent: tuple[Sent, ...]

    @property
    def json(self) -> Any:
        """Its standard output as JSON."""
        try:
            return json.loads(self.out)
        except ValueError:
            raise AssertionError(f"no JSON: {self}") from None

    def __str__(self) -> str:
        requests = "".join(f"\n    {request}" for request in self.sent) or " none"
        return (
            f"\nreconcile {' '.join(self.arguments)}: exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"
            f"\n--- requests:{requests}\n"
        )


class Lab:
    """
    Makes the benches of one check, and closes them at its end.

    Attributes:
        history: every command that was run, in order.
    """

    def __init__(self, subject: Subject, directory: Path) -> None:
        self.subject, self.directory = subject, directory
        self.history: list[Ran] = []
        self._open = contextlib.ExitStack()
        self._made = 0

    @property
    def case(self) -> Case:
        return self.subject.case

    def bench(self) -> Bench:
        """A fleet without a document, and a server of its own."""
        self._made += 1
        directory = self.directory / str(self._made)
        directory.mkdir(parents=True)
        account = self._open.enter_context(self.case.account())
        proxy = self._open.enter_context(proxied(account.url, self.case.reads, self.subject.maps))
        return Bench(self.subject, directory, account, proxy, self.history)

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


class Bench:
    """
    One fleet.

    Attributes:
        members: the resources of the type in its document.
        environ: of the commands: of the case, and whatever a check changes.
    """

    def __init__(self, subject: Subject, directory: Path, account: Account, proxy: Proxy, history: list[Ran]) -> None:
        self.subject, self.case = subject, subject.case
        self.directory, self.account, self.proxy, self.history = directory, account, proxy, history
        self.fleet = directory / "fleet"
        self.fleet.mkdir()
        self.members: list[Example] = []
        self.environ = {**self.case.environ, **account.environ(proxy.url)}
        for name, content in self.case.files.items():
            file = self.fleet / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    # -- the document and the command line ----------------------------------------------------------------------------

    def write(self, *members: Example) -> None:
        """The document holds these resources of the type, and no others."""
        self.members = list(members)
        document: dict[str, Any] = {"fleet": "conformance", **self.subject.document(self.members)}
        if settings := dict(self.account.settings(self.proxy.url)):
            document["providers"] = {self.subject.provider.name: settings, **document.get("providers", {})}
        (self.fleet / "fleet.yaml").write_text(json.dumps(document, indent=2))

    def run(self, *arguments: str) -> Ran:
        """Runs a command."""
        self.proxy.begin()
        parts = Parts(random=Eager, providers=lambda: self.subject.providers, patience_s=lambda settings: PATIENCE_S)
        done = run_here(arguments, self._environ(), parts)
        ran = Ran(arguments, done.code, done.out, done.err, tuple(self.proxy.sent))
        self.history.append(ran)
        return ran

    def plan(self, *options: str) -> Ran:
        """A plan, as text."""
        return self.run("plan", str(self.fleet), *options)

    def apply(self, *options: str) -> Ran:
        """An apply, whatever becomes of it."""
        return self.run("apply", str(self.fleet), "--auto-approve", *options)

    def apply_well(self) -> Ran:
        """An apply that has to be complete; then time passes."""
        ran = self.apply()
        assert ran.code == 0, f"an apply that nothing disturbs fails: {ran}"
        self.account.settle()
        return ran

    def changes(self) -> dict[str, Any]:
        """By address, what a plan would change; the plan has to be whole."""
        ran = self.plan("--format", "json")
        assert ran.code == 0, f"the plan is not whole: {ran}"
        return {
            row["address"]: row
            for row in ran.json["resource_changes"]
            if row["change"]["actions"] != ["no-op"] or "importing" in row["change"]
        }

    def state(self) -> dict[str, Any]:
        """The state, as `state pull` prints it."""
        ran = self.run("state", "pull", str(self.fleet))
        assert ran.code == 0, f"there is no state: {ran}"
        found: dict[str, Any] = ran.json
        return found

    def small_pages(self) -> None:
        """From now on a page has two members, where the case says how pages are asked for."""
        if self.case.page_size is not None:
            self.proxy.page_size = (self.case.page_size, PAGE)

    def lose_state(self) -> None:
        """The state is deleted, as somebody would."""
        for file in self.fleet.rglob("*.db*"):
            file.unlink()

    def changing(self, ran: Ran) -> list[str]:
        """The requests of a command that may change something."""
        return [str(request) for request in ran.sent if request.method not in self.case.reads]

    # -- what is there ------------------------------------------------------------------------------------------------

    def live(self) -> dict[str, Mapping[str, Any]]:
        """Everything of the type that the server holds, by id."""
        found: dict[str, Mapping[str, Any]] = {}
        for id, fields in self.account.live():
            assert id not in found, f"the server holds {id!r} twice"
            found[id] = fields
        return found

    def assert_live(self, when: str) -> None:
        """The server holds what the document says, once, and nothing that the document does not know."""
        live = self.live()
        for member in self.members:
            assert member.id in live, f"{when}: the server lacks {member.address}; it holds {sorted(live)}"
            wanted, held = self.subject.expected(member), self.subject.shown(member, live[member.id])
            assert held == wanted, f"{when}: {member.address} is not what the document says"
        if self.subject.creates:
            strange = set(live) - {member.id for member in self.members}
            assert not strange, f"{when}: the server also holds {sorted(strange)}"

    def assert_in_sync(self, when: str) -> None:
        """The plan is empty."""
        ran = self.plan("--detailed-exitcode")
        assert ran.code == 0, f"{when}: the plan is not empty: {ran}"
        assert _SYNC in ran.out, f"{when}: the plan is not empty: {ran}"

    def assert_planned(self, member: Example, leaf: Leaf, cause: str) -> None:
        """The plan changes this field of this resource, as the change of `you` or `somebody`, and nothing else."""
        changes = self.changes()
        assert set(changes) == {member.address}, f"{leaf} is changed, and the plan shows {sorted(changes)}"
        causes = [(".".join(row["path"]), row["cause"]) for row in changes[member.address]["reconcile"]["causes"]]
        told = f"{leaf} is changed by {cause}, and the plan says {causes}: {self.history[-1]}"
        assert causes, told
        for path, whose in causes:
            assert path == str(leaf) or path.startswith(f"{leaf}."), told
            assert whose == cause, told

    # -- how a command is run -----------------------------------------------------------------------------------------

    def _environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        home = {"HOME": str(self.directory), "XDG_CONFIG_HOME": str(self.directory / "config")}
        return {**kept, **home, **self.environ}
