"""
A simulation without its sockets: the world, the faults, the request log and the database.

`control` and `server` work on one of these; nothing here waits.
"""

from typing import Any

from reconcile.simulator import rows
from reconcile.simulator.clock import Clock
from reconcile.simulator.database import Database
from reconcile.simulator.faults import Fault
from reconcile.simulator.history import History
from reconcile.simulator.world import Key, SimulatedWorld
from reconcile.simulator.worlds import Credentials, parse


class RequestLog:
    """
    One line per request to a vendor path, in the order of arrival, without bodies.

    `status` is that of the answer, and null while there is none: the request is still being worked on, or its answer
    was dropped by a fault (before or after the work; the world tells which). `path` is as it came, with its query.
    """

    def __init__(self) -> None:
        self._requests: list[tuple[str, str]] = []
        self._statuses: list[int | None] = []

    def arrived(self, method: str, path: str) -> int:
        """Takes a request down; answers its place for `answered`."""
        self._requests.append((method, path))
        self._statuses.append(None)
        return len(self._statuses) - 1

    def answered(self, place: int, status: int) -> None:
        self._statuses[place] = status

    def since(self, n: int) -> list[dict[str, Any]]:
        """The requests after the n-th; the first is 1."""
        lines = zip(self._requests[n:], self._statuses[n:], strict=True)
        return [
            {"n": place, "method": method, "path": path, "status": status}
            for place, ((method, path), status) in enumerate(lines, n + 1)
        ]


class Simulation:
    """
    Args:
        document: the world to start with, as `PUT /_sim/state` takes it; not used when the database holds one already,
            so that a simulator that is started again goes on.
        database: path of a SQLite file; None keeps the world in memory.

    Raises:
        ValueError: a document of the wrong shape, or a file that is no database of a simulator.
    """

    def __init__(self, document: dict[str, Any] | None, database: str | None, seed: int) -> None:
        self.seed = seed
        self.faults: list[Fault] = []
        self.log = RequestLog()
        self.credentials = Credentials(seed)
        parsed = parse({} if document is None else document, self.credentials, Clock())
        self.database = None if database is None else Database(database)
        kept = {} if self.database is None else self.database.load()
        self.resumed = bool(kept)
        if self.database is not None and self.resumed:
            self.world = self._resume(self.database.path, kept)
        else:
            self._begin(parsed)
        # Credentials that this caller did not choose, so that they have to be told.
        chosen = {} if document is None or self.resumed else document
        self.untold = [name for name in self.credentials if name not in chosen]
        # A world that is put later without credentials keeps those that the simulator was started with.
        self.credentials.update(self.world.credentials)

    def _resume(self, path: str, kept: dict[Key, str]) -> SimulatedWorld:
        try:
            world = rows.assemble(kept, self.credentials)
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise ValueError(f"{path} is damaged: {e}") from None
        self.history = History(kept, world.clock.now())
        return world

    def _begin(self, world: SimulatedWorld) -> None:
        self.world = world
        first = rows.rows(world)
        world.changed.clear()
        self.history = History(first, world.clock.now())
        if self.database is not None:
            self.database.replace(first)

    def put(self, document: Any) -> None:
        """
        Replaces the world.

        Raises:
            ShapeError: the wrong shape; the world is as it was.
        """
        self._begin(parse(document, self.credentials, self.world.clock))

    def keep(self) -> None:
        """To be called before a request that may have changed something is answered."""
        world = self.world
        if world.changed:
            changed = {key: rows.row(world, *key) for key in world.changed}
            self.history.add(changed, world.clock.now())
            if self.database is not None:
                self.database.save(changed)
            world.changed.clear()

    def past(self, seconds: float) -> SimulatedWorld:
        """The world as it was that many simulated seconds ago, to be read only; its clock stands there."""
        return self.history.world(self.world.clock.now() - seconds, self.credentials)

    def close(self) -> None:
        if self.database is not None:
            self.keep()
            self.database.close()
