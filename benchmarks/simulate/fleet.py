"""
The tool over a fleet's directory: `plan` and `apply` as the command line does them, without its words.

The real document, wiring, workflow, journal and SQLite state; only clock, randomness and the socket are passed in.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.simulate.agents import PASSWORD, USERNAME, Agents, Kill, Killed
from benchmarks.simulate.virtual import Clock, Loop, in_place, parts_of
from reconcile import planfile, wiring, workflow
from reconcile.backends.sqlite.store import SqliteStore
from reconcile.core.options import Options
from reconcile.core.plan import Plan
from reconcile.core.ports import Document
from reconcile.errors import ReconcileError
from reconcile.wiring import CommandRequest, Wired
from reconcile.wiring import document as load_document

LEASE_S = 61.0  # the lease of a killed process holds until it expires
EXPIRES = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Ran:
    """
    How a command ended.

    Attributes:
        code: the exit code (docs/architecture.md, "Exit codes"); 137 of a process that was killed.
        made: its plan, if it came to one.
        said: what went wrong, in words. began: when, by the clock of all.
    """

    code: int
    made: Plan | None = None
    said: tuple[str, ...] = ()
    began: float = 0.0

    def __str__(self) -> str:
        return f"exit {self.code}" + "".join(f"\n    {line}" for line in self.said)


async def _show(planned: workflow.Planned) -> None:
    """Nobody looks."""


async def _ask(made: Plan, before: Plan | None) -> None:
    """`--auto-approve`."""


HANDS = workflow.Hands(_show, _ask, lambda carrying: None)


def _ran(made: Plan, results: Sequence[workflow.Result]) -> Ran:
    unread = [f"not read: {row.address}: {row.error}" for row in made.unread]
    bad = [result for result in results if result.outcome is not workflow.Outcome.DONE]
    said = [f"{result.change.address}: {result.outcome}: {result.detail}" for result in bad]
    return Ran(7 if bad else 1 if unread else 0, made, (*unread, *said))


@dataclass
class Fleet:
    """
    One fleet in a directory of its own.

    Attributes:
        trackers: the section `asset_tracker.trackers` of the document; written before every command.
    """

    directory: Path
    clock: Clock
    agents: Agents
    rng: random.Random
    trackers: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._loop = Loop(self.clock)
        self._request = CommandRequest(
            str(self.directory),
            environ={
                "CFG_REST_API_USERNAME": USERNAME,
                "CFG_REST_API_PASSWORD": PASSWORD,
                "RECONCILE_FINGERPRINT_KEY": "5a" * 32,
                "XDG_CONFIG_HOME": str(self.directory / "config"),
            },
            parallelism=len(self.agents.trackers),
            parts=parts_of(self.clock, self.agents, self.rng),
        )
        self._written = ""
        self._files: Document | None = None

    def close(self) -> None:
        """Closes the loop."""
        self._loop.close()

    def lose_state(self) -> None:
        """Deletes the state, as somebody would."""
        for file in (self.directory / "state").glob("*.db*"):
            file.unlink()

    # -- commands -----------------------------------------------------------------------------------------------------

    def plan(self, **options: Any) -> Ran:
        """`plan`."""
        return self._run(lambda wired: self._plan(wired, Options(**options)))

    def save(self, file: Path, **options: Any) -> Ran:
        """`plan --out FILE`."""

        async def story(wired: Wired) -> Ran:
            made = (await workflow.plan_fleet(wired.world, Options(**options), EXPIRES)).plan
            assert wired.key is not None
            await workflow.bind(wired.world, made)
            planfile.write(made, file, seal_key=wired.key.subkey("seal"), key_id=wired.key.key_id)
            return Ran(1 if made.unread else 0, made)

        return self._run(story)

    def apply(self, kill: Kill | None = None, **options: Any) -> Ran:
        """`apply --auto-approve`; as a process that is killed on the way, if that is said."""
        return self._run(lambda wired: self._apply(wired, Options(**options)), kill)

    def apply_file(self, file: Path) -> Ran:
        """`apply FILE`, which may do what it was planned with and nothing else."""

        async def story(wired: Wired) -> Ran:
            key, world = wired.key, wired.world
            assert key is not None
            saved = planfile.read(file, seal_key=key.subkey("seal"), key_id=key.key_id)
            assert saved.seal.verified
            vouched = workflow.SavedPlan(saved.plan, saved.digest)
            return _ran(*await workflow.apply_saved(world, vouched, HANDS, 0.0))

        return self._run(story)

    async def _plan(self, wired: Wired, options: Options) -> Ran:
        made = (await workflow.plan_fleet(wired.world, options)).plan
        return Ran(1 if made.unread else 0, made)

    async def _apply(self, wired: Wired, options: Options) -> Ran:
        return _ran(*await workflow.apply_fleet(wired.world, options, HANDS, 0.0))

    # -- a process ----------------------------------------------------------------------------------------------------

    def _run(self, story: Callable[[Wired], Awaitable[Ran]], kill: Kill | None = None) -> Ran:
        """Runs a story as a process of its own would."""
        self._save()
        agents = self.agents
        agents.kill, agents.dead, agents.requests = kill, False, 0
        agents.read.clear()
        agents.first.clear()
        began = self.clock.now

        async def main() -> Ran:
            async with Wired(self._request) as wired:
                return await story(wired)

        with (
            in_place(self.clock),
            _mortal(agents),
            mock.patch.object(wiring, "document", self._document),
        ):
            try:
                return replace(self._loop.run_until_complete(_alive(main(), agents)), began=began)
            except ReconcileError as error:
                return Ran(error.exit_code, None, tuple(str(problem) for problem in error.problems))
            except Killed:
                self.clock.now += LEASE_S
                return Ran(137)
            finally:
                agents.kill, agents.dead = None, False
                agents.settle()

    def _save(self) -> None:
        files = {
            "fleet": "simulated",
            "providers": {"asset_tracker": {"base_url": "http://127.0.0.1:9"}},
            "limits": {"forget": "100%"},
            "asset_tracker": {"trackers": self.trackers},
        }
        text = json.dumps(files, indent=1)
        if text != self._written:
            (self.directory / "fleet.yaml").write_text(text)
            self._written, self._files = text, None

    def _document(self, request: CommandRequest) -> Document:
        """The files, loaded and checked anew when they have changed."""
        if self._files is None:
            self._files = load_document(request)
        return self._files


async def _alive(main: Coroutine[Any, Any, Ran], agents: Agents) -> Ran:
    """What a process returns; of a killed one, nothing that it still has under way is finished."""
    task = asyncio.ensure_future(main)
    while not task.done() and not agents.dead:
        await asyncio.wait({task}, timeout=1.0)
    if agents.dead:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for other in rest:
            other.cancel()
        await asyncio.gather(task, *rest, return_exceptions=True)
        raise Killed
    return task.result()


@contextlib.contextmanager
def _mortal(agents: Agents) -> Iterator[None]:
    """A killed process writes nothing to its state either, and gives no lease back."""

    def until_death(method: Any) -> Any:
        async def wrapped(self: SqliteStore, *given: Any, **named: Any) -> Any:
            if agents.dead:
                raise Killed
            return await method(self, *given, **named)

        return wrapped

    with contextlib.ExitStack() as stack:
        for name in ("write", "renew", "release", "begin_run"):
            stack.enter_context(mock.patch.object(SqliteStore, name, until_death(getattr(SqliteStore, name))))
        yield
