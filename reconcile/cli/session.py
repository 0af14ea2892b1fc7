"""Runs a command's story on one event loop: signals, progress that stays alive, everything closed at the end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from reconcile.cli.options import Watch, request_of
from reconcile.cli.output import complain
from reconcile.errors import Interrupted
from reconcile.wiring import Wired

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Session:
    """
    What a story gets: the wired parts, the watch, and a place to say how it is stopped.

    Attributes:
        on_first_signal: called at the first signal; while None, a signal ends the command at once.
    """

    def __init__(self, wired: Wired, watch: Watch) -> None:
        self.wired, self.world, self.watch = wired, wired.world, watch
        self.on_first_signal: Callable[[], None] | None = None
        self.signals = 0


def run_session(given: dict[str, Any], story: Callable[[Session], Awaitable[T]]) -> T:
    """
    Runs a story over the fleet that the command line names.

    Raises:
        Interrupted: a signal ended it.
        ReconcileError: as the story does.
    """
    watch = Watch(given.get("verbose", 0))
    request = request_of(given, watch)

    async def main() -> T:
        async with Wired(request) as wired:
            session = Session(wired, watch)
            loop = asyncio.get_running_loop()
            task = asyncio.ensure_future(story(session))

            def stop() -> None:
                session.signals += 1
                if session.signals == 1 and session.on_first_signal is not None:
                    complain(
                        ["Stopping: what is in flight is finished, nothing new is started. Again to leave at once."]
                    )
                    session.on_first_signal()
                else:
                    task.cancel()

            for number in SIGNALS:
                loop.add_signal_handler(number, stop)
            beat = asyncio.create_task(_beat(watch))
            try:
                return await task
            except asyncio.CancelledError:
                raise Interrupted("interrupted") from None
            finally:
                beat.cancel()
                for number in SIGNALS:
                    loop.remove_signal_handler(number)

    try:
        return asyncio.run(main())
    finally:
        watch.close()


async def _beat(watch: Watch) -> None:
    while True:
        await asyncio.sleep(1)
        watch.tick()
