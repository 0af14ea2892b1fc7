"""
The embedded simulator: the vendors' APIs on loopback, written from the contracts alone (design §8).

It imports nothing else of this package, so that a misreading of an API cannot cancel itself out. Importing it
is cheap; what serves is imported when it is asked for.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconcile.simulator.server import Simulator
    from reconcile.simulator.serving import Running

__all__ = ["Simulator", "running", "serve", "world_for"]


def serve(
    *,
    port: int = 0,
    world: dict[str, Any] | None = None,
    database: str | None = None,
    seed: int = 0,
    host: str = "127.0.0.1",
    announce: Callable[[str], None],
    complain: Callable[[str], None],
) -> None:
    """
    Serves until SIGTERM or SIGINT, and then ends within 2 s.

    Args:
        port: 0 picks a free one.
        world: as `PUT /_sim/state` takes it; None is an empty one.
        database: path of a SQLite file that keeps the world. What it holds from an earlier run goes before `world`.
        seed: of credentials that the world does not name, of fleets and of dice.
        announce: gets `listening on http://127.0.0.1:<port>` once the port is bound, and nothing else.
        complain: gets a line per credential that `world` does not name, before that.

    Raises:
        ValueError: a host that is not loopback, a port that is taken, a world of the wrong shape, a file that
            is not a simulator's database. One sentence.
    """
    from reconcile.simulator.serving import serve

    serve(
        port=port,
        world=world,
        database=database,
        seed=seed,
        host=host,
        announce=announce,
        complain=complain,
    )


def running(
    *,
    world: dict[str, Any] | None = None,
    port: int = 0,
    database: str | None = None,
    seed: int = 0,
    host: str = "127.0.0.1",
) -> "AbstractContextManager[Running]":
    """
    A simulator in a background thread, for tests: `with running(world={…}) as sim: sim.url, sim.world`.

    The arguments are those of `serve`. `sim.put`, `sim.advance`, `sim.set_faults` and `sim.requests` are the
    control without HTTP.
    """
    from reconcile.simulator.serving import running

    return running(world=world, port=port, database=database, seed=seed, host=host)


def world_for(units: dict[str, Any]) -> dict[str, Any]:
    """
    An otherwise empty world with exactly these units, as from the factory: no name, no app, no settings.

    Args:
        units: `{"microvisor": {"devices": [{"sid": "UV…" or None, "unique_name": None or "name"}], "account_sid":
            "AC…" or None}, "asset_tracker": {"trackers": [{"agent": "…"}]}, "device_management": {"devices": [{"id":
            "…" or None, "endpoint_name": "…" or None, "name": None or "name"}]}}`. A device given by its id has that
            id and no name yet; one known by its name alone has that name and an id made from it.

    Raises:
        ValueError: units of another shape.
    """
    from reconcile.simulator.worlds import world_for

    return world_for(units)


def __getattr__(name: str) -> Any:
    if name == "Simulator":
        from reconcile.simulator.server import Simulator

        return Simulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
