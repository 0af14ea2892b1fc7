"""
A simulation without its sockets: the world, the faults, the request log and the database.

`control` and `server` work on one of these; nothing here waits.
"""

from typing import Any

from reconcile.simulator.clock import Clock
from reconcile.simulator.database import Database
from reconcile.simulator.faults import Fault
from reconcile.simulator.log import RequestLog
from reconcile.simulator.world import CREDENTIALS, Credentials, World, parse


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
        loaded = None if self.database is None else self.database.load(self.credentials)
        self.world: World = loaded or parsed
        self.resumed = loaded is not None
        if self.database is not None and not self.resumed:
            self.database.replace(self.world)
        # Credentials that this caller did not choose, so that they have to be told.
        chosen = {} if document is None or self.resumed else document
        self.untold = [key for key in CREDENTIALS if key not in chosen]
        # A world that is put later without credentials keeps those that the simulator was started with.
        for key, value in self.world.credentials().items():
            setattr(self.credentials, key, value)

    def put(self, document: Any) -> None:
        """
        Replaces the world.

        Raises:
            ShapeError: the wrong shape; the world is as it was.
        """
        self.world = parse(document, self.credentials, self.world.clock)
        if self.database is not None:
            self.database.replace(self.world)

    def keep(self) -> None:
        """To be called before a request that may have changed something is answered."""
        if self.world.changed:
            if self.database is not None:
                self.database.save(self.world)
            else:
                self.world.changed.clear()

    def close(self) -> None:
        if self.database is not None:
            self.keep()
            self.database.close()
