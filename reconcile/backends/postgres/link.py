"""
The connections to a database: one for what is asked and written, and one for each stream that is read meanwhile.

In: statements that may be sent twice. Out: their rows, or a `StateError` that names host, port, database and user, and
neither a password nor a row. A connection that is lost is made anew for a while, and the statement is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

import psycopg
from psycopg import AsyncConnection, OperationalError, errors

from reconcile.backends.postgres import tables
from reconcile.backends.postgres.address import ServerAddress
from reconcile.errors import Problem, StateError

Connection = AsyncConnection[tuple[Any, ...]]
Rows = list[tuple[Any, ...]]

PATIENCE_S = 20.0  # how long a connection that was lost is tried again: a server that is started anew, or fails over
ANSWER_S = 60.0  # of one statement

# What libpq says when there is no connection, in its own words, and ours; nothing else of its text is shown.
_SAID = (
    ("password authentication failed", "it refused the user or the password", "Check username and password"),
    ("no password supplied", "it wants a password, and none was given", "Give one: `password: env:NAME`"),
    ("does not exist", "there is no such database or user", "Check the name, or have it made"),
    ("no pg_hba.conf entry", "it does not let this user in from here", "Ask who looks after it"),
    ("Connection refused", "nothing listens there", "Check host and port, and that the server runs"),
    ("timeout expired", "it does not answer", "Check host and port, and what is between"),
    ("resolve host", "its name is not known", "Check the host"),
    ("Name or service not known", "its name is not known", "Check the host"),
    ("server does not support SSL", "it does not speak TLS", "Off this machine TLS is needed"),
    ("certificate", "its certificate cannot be checked", "Check sslmode and sslrootcert"),
    ("too many", "it has too many connections", "Try again later"),
    ("starting up", "it is starting", "Try again"),
    ("service", "the service is not defined", "Check PGSERVICEFILE"),
)


class Link:
    """
    What talks to one database.

    Args:
        address: of the database.
        rng: draws the lengths of sleeps.
    """

    def __init__(self, address: ServerAddress, rng: random.Random) -> None:
        self.address = address
        self._rng = rng
        self._one: Connection | None = None
        self._spare: Connection | None = None
        self._turn = asyncio.Lock()
        self.made = False  # whether the tables are there, of a version that is known

    async def run(self, statement: str, given: Mapping[str, Any]) -> Rows:
        """
        The rows of one statement, which is a transaction of its own.

        Raises:
            StateError: it did not come through.
            psycopg.errors.UniqueViolation: as it is, for whoever knows what that means there.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_S
        async with self._turn:
            while True:
                try:
                    connection = self._one = self._one or await self._connected()
                    async with asyncio.timeout(ANSWER_S):
                        cursor = await connection.execute(statement.encode(), given)
                        return await cursor.fetchall() if cursor.description else []
                except errors.UniqueViolation:
                    raise
                except (OperationalError, TimeoutError) as error:
                    lost = self._one is None or self._one.closed or isinstance(error, TimeoutError)
                    await _closed(self._one)
                    self._one = None
                    # One that never came about is a mistake in the address, rather than a server that is away.
                    if not lost or not self.made or loop.time() >= until:
                        raise self.translated(error) from None
                    await asyncio.sleep(0.1 + self._rng.random() / 2)
                except psycopg.Error as error:
                    raise self.translated(error) from None

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection of its own that sees one moment, whatever is written meanwhile."""
        connection, self._spare = self._spare, None
        try:
            if connection is None or connection.closed:
                connection = await self._connected()
            async with connection.transaction():
                await connection.execute("set transaction isolation level repeatable read, read only")
                yield connection
        except psycopg.Error as error:
            raise self.translated(error) from None
        finally:
            if self._spare is None and connection is not None and not connection.closed:
                self._spare = connection
            else:
                await _closed(connection)

    async def version(self) -> int | None:
        """
        The version of the tables; None where there are none.

        Raises:
            StateError: it is one that this reconcile does not know, or they may not be read.
        """
        if not await self.run(tables.THERE, {}):
            return None
        rows = await self.run("select version from reconcile.version", {})
        version = int(rows[0][0]) if rows else -1
        if version != tables.VERSION:
            newer = version > tables.VERSION
            raise StateError(
                Problem(
                    f"{self.address}: its tables are of version {version}, this reconcile knows {tables.VERSION}",
                    hint="Use the reconcile that made them, or a later one" if newer else "`reconcile state migrate`",
                )
            )
        self.made = True
        return version

    async def make(self) -> None:
        """Makes the tables where there are none. Raises StateError where this user may not."""
        try:
            async with self._turn:
                self._one = self._one or await self._connected()
                await tables.make(self._one)
        except errors.InsufficientPrivilege:
            raise StateError(
                Problem(
                    f"{self.address}: this user may not make the tables of the state",
                    hint="Who may: `reconcile state migrate`; then this user needs usage of the schema reconcile, and"
                    " to select, insert, update and delete in its tables (to plan: select)",
                )
            ) from None
        except psycopg.Error as error:
            raise self.translated(error) from None
        await self.version()

    async def close(self) -> None:
        """Closes the connections; a later call makes new ones."""
        await _closed(self._one)
        await _closed(self._spare)
        self._one = self._spare = None

    async def _connected(self) -> Connection:
        try:
            # No statement is prepared: a pooler may give the next one to another connection of the server.
            return await AsyncConnection.connect(
                **self.address.parameters,  # type: ignore[arg-type]
                autocommit=True,
                prepare_threshold=None,
            )
        except UnicodeError:
            raise OperationalError("resolve host") from None

    def translated(self, error: BaseException) -> StateError:
        """What went wrong, in words that hold nothing of a row, a password or a URL."""
        text = str(error) if isinstance(error, OperationalError) else ""
        state = getattr(error, "sqlstate", None)
        if isinstance(error, TimeoutError):
            what, hint = "it did not answer in time", "Check the server, and what is between"
        elif isinstance(error, errors.InsufficientPrivilege):
            what, hint = (
                "this user may not do that there",
                "Grant it (docs/state.md has the words), or use another user",
            )
        elif isinstance(error, OperationalError) and state is None:
            found = (row for row in _SAID if row[0] in text)
            _, what, hint = next(found, ("", "the connection was lost or could not be made", "Try again"))
        else:
            # Beginning with 22 and 23, a message may hold a value of a row.
            said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
            plain = said if said and not str(state).startswith(("22", "23")) else type(error).__name__
            what, hint = f"{plain} ({state})", "The server's log says more"
        return StateError(Problem(f"the state in {self.address} cannot be used: {what}", hint=hint))


async def _closed(connection: Connection | None) -> None:
    if connection is not None:
        with contextlib.suppress(psycopg.Error, OSError):
            await connection.close()
