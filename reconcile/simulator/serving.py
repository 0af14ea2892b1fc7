"""
Running a simulator: until a signal (`serve`, behind the command), or in a thread beside a test (`running`).
"""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, Unpack

from reconcile.simulator import faults
from reconcile.simulator.server import ServerOptions, Simulator

T = TypeVar("T")


def serve(
    *, announce: Callable[[str], None], complain: Callable[[str], None], **options: Unpack[ServerOptions]
) -> None:
    """
    Serves until SIGTERM or SIGINT, and then ends within 2 s.

    Args:
        options: those of a `Simulator`.
        announce: gets `listening on http://127.0.0.1:<port>` once the port is bound, and nothing else.
        complain: gets a line per credential that `world` does not name, before that.

    Raises:
        ValueError: a host that is not loopback, a port that is taken, a world of the wrong shape, a file that
            is not a simulator's database. One sentence.
    """
    asyncio.run(_serve(Simulator(**options), announce, complain))


async def _serve(simulator: Simulator, announce: Callable[[str], None], complain: Callable[[str], None]) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Not in the main thread, or not on this platform: whoever started it ends it.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, ended.set)
    async with simulator:
        if simulator.simulation.resumed:
            complain("the world is the one that the database holds")
        for key in simulator.simulation.untold:
            complain(f"{key} = {simulator.simulation.world.credentials[key]}")
        announce(f"listening on {simulator.url}")
        await ended.wait()


class Running:
    """A simulator in a thread of its own. Everything here may be called from any thread."""

    def __init__(self, simulator: Simulator, loop: asyncio.AbstractEventLoop) -> None:
        self._simulator = simulator
        self._loop = loop
        self.url = simulator.url

    @property
    def world(self) -> dict[str, Any]:
        """The world as `GET /_sim/state` answers it."""
        return self._call(lambda: self._simulator.world)

    def put(self, world: dict[str, Any]) -> None:
        """Replaces the world."""
        self._call(lambda: self._simulator.simulation.put(world))

    def advance(self, seconds: float) -> None:
        """Moves the clock; everything due has happened."""
        self._call(lambda: self._simulator.simulation.world.advance(seconds))

    def set_faults(self, *documents: dict[str, Any]) -> None:
        """Replaces the faults."""
        parsed = faults.parse(list(documents), self._simulator.simulation.seed)
        self._call(lambda: setattr(self._simulator.simulation, "faults", parsed))

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """The request log after the n-th."""
        return self._call(lambda: self._simulator.simulation.log.since(since))

    def _call(self, work: Callable[[], T]) -> T:
        async def done() -> T:
            result = work()
            self._simulator.simulation.keep()
            return result

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result()


@contextlib.contextmanager
def running(**options: Unpack[ServerOptions]) -> Iterator[Running]:
    """
    A simulator in a background thread, for tests: `with running(world={…}) as sim: sim.url, sim.world`.

    The options are those of a `Simulator`. `sim.put`, `sim.advance`, `sim.set_faults` and `sim.requests` are the
    control without HTTP.
    """
    simulator = Simulator(**options)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulator", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(simulator.__aenter__(), loop).result()
        try:
            yield Running(simulator, loop)
        finally:
            asyncio.run_coroutine_threadsafe(simulator.__aexit__(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_rest(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _cancel_rest() -> None:
    """Ends what still waits for clients that have gone, as `asyncio.run` does."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
