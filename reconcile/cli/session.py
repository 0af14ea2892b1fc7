"""
Runs a command's story on one event loop: signals, progress that stays alive, everything closed at the end, and the one
exit code of all that happened.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from reconcile.cli.advice import completed, with_commands
from reconcile.cli.options import Watch, duration, request_of
from reconcile.cli.output import fail, since_start_s
from reconcile.core.plan import Plan
from reconcile.core.values import SecretRef
from reconcile.errors import AccessDenied, Interrupted, InvalidInput, Locked, Problem, ReconcileError, worst
from reconcile.wiring import Wired

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Session:
    """
    What a story gets: the wired parts, the watch, and a place to say how it is stopped.

    Attributes:
        on_first_signal: called at the first signal; while None, a signal ends the command at once.
        on_deadline: called when the deadline is reached; while None, that ends the command.
        given: the command line.
        codes: of what happened on the way. However the story ends, the worst of these and its own is the exit code.
    """

    def __init__(self, wired: Wired, watch: Watch, codes: list[int], given: Mapping[str, Any]) -> None:
        self.wired, self.world, self.watch, self.codes, self.given = wired, wired.world, watch, codes, given
        self.on_first_signal: Callable[[], object] | None = None
        self.on_deadline: Callable[[], object] | None = None
        self._late: ReconcileError | None = None
        self.signals = 0
        self._denied: set[str] = set()

    async def planned(self, made: Plan) -> None:
        """
        What a plan could not read counts from now on, whatever becomes of the plan (docs/architecture.md, "Exit
        codes").
        """
        from reconcile.workflow import absent_allowed, unread_allowed

        self.watch.close()
        made.blocked = [replace(row, hint=row.hint and with_commands(row.hint, self.given)) for row in made.blocked]
        made.unread = [replace(row, hint=row.hint and with_commands(row.hint, self.given)) for row in made.unread]
        for provider in dict.fromkeys(row.type_path.partition(".")[0] for row in made.unread if row.denied):
            self.denied(provider)
        if not await unread_allowed(self.world, made) or not await absent_allowed(self.world, made):
            self.codes.append(ReconcileError.exit_code)

    def denied(self, provider: str) -> None:
        """The credentials of a provider were refused: says which they were, once, and what there is to do."""
        self.codes.append(AccessDenied.exit_code)
        if provider in self._denied:
            return
        self._denied.add(provider)
        settings = self.world.document.settings.get(provider)
        named = [
            f"{name} ({value})"
            for name in (type(settings).model_fields if settings is not None else ())
            if isinstance(value := getattr(settings, name), SecretRef)
        ]
        used = f": {', '.join(named)}" if named else ""
        what = f"the credentials of {provider} were refused{used}"
        hint = f"Set them to those of the account, or name others in the files (providers.{provider})"
        fail(InvalidInput(Problem(what, address=f"providers.{provider}", hint=hint)))

    def overdue(self, task: asyncio.Task[int]) -> None:
        """The deadline was reached: nothing new is started from now on."""
        if self.on_deadline is not None:
            self.on_deadline()
            return
        waits, text = self.world.waits, self.given["deadline"]
        doing = "waiting for another run" if waits else "planning"
        problem = Problem(f"the deadline of {text} was reached while {doing}, so nothing was sent")
        self._late = Locked(problem) if waits else ReconcileError(problem)
        task.cancel()

    def ended(self) -> ReconcileError:
        """Why the story was cancelled."""
        return self._late if self._late is not None and not self.signals else Interrupted("interrupted")

    def signalled(self, task: asyncio.Task[int]) -> None:
        """A signal came: the first one is the story's, if it wants it."""
        self.signals += 1
        self.codes.append(Interrupted.exit_code)
        if self.signals == 1 and self.on_first_signal is not None:
            self.on_first_signal()
        else:
            task.cancel()


def run_session(given: dict[str, Any], story: Callable[[Session], Awaitable[int]]) -> int:
    """Runs a story over the fleet that the command line names, and returns the exit code."""
    watch = Watch(given.get("verbose", 0))
    request = request_of(given, watch)
    codes: list[int] = []

    async def main() -> None:
        async with Wired(request) as wired:
            session = Session(wired, watch, codes, given)
            loop = asyncio.get_running_loop()
            task = asyncio.ensure_future(story(session))
            for number in SIGNALS:
                loop.add_signal_handler(number, session.signalled, task)
            beat = asyncio.create_task(_beat(watch))
            overdue = None
            if given.get("deadline") is not None:
                left = duration(given["deadline"]).total_seconds() - since_start_s()
                overdue = loop.call_later(max(left, 0.0), session.overdue, task)
            try:
                codes.append(await task)
            except asyncio.CancelledError:
                raise session.ended() from None
            finally:
                beat.cancel()
                if overdue is not None:
                    overdue.cancel()
                for number in SIGNALS:
                    loop.remove_signal_handler(number)
                watch.close()
                codes.extend(map(fail, session.world.failures))

    try:
        asyncio.run(main())
        return worst(codes)
    except ReconcileError as error:
        watch.close()
        error.problems = tuple(completed(problem, given) for problem in error.problems)
        return worst([fail(error, given.get("format_", "text")), *codes])
    finally:
        watch.close()


async def _beat(watch: Watch) -> None:
    while True:
        await asyncio.sleep(1)
        watch.tick()
