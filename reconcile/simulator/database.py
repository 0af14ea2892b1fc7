"""
The world in a SQLite file: written row by row as it changes, read when a simulator starts.

One row per unit, so that a request writes what it changed and not the fleet. Simulated time goes on while no
simulator runs: what is kept is the clock's offset.
"""

import contextlib
import sqlite3
from collections.abc import Mapping
from typing import Any

from reconcile.simulator.world import Key

_FORMAT = 1


class Database:
    """
    Raises:
        ValueError: the file cannot be opened, or is not one of ours.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=2, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            # Outlives the process, not a power cut; a rehearsal need not, and every request would wait for the disk.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            found = self._connection.execute("PRAGMA user_version").fetchone()[0]
            tables = [row[0] for row in self._connection.execute("SELECT name FROM sqlite_master")]
            if found != (_FORMAT if "world" in tables else 0) or (tables and "world" not in tables):
                raise ValueError(f"{path} is not a simulator's database of this version")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS world "
                "(kind TEXT, id TEXT, value TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID"
            )
            self._connection.execute(f"PRAGMA user_version = {_FORMAT}")
        except sqlite3.Error as e:
            raise ValueError(f"{path} cannot be opened as a simulator's database: {e}") from None

    def load(self) -> dict[Key, str]:
        """The rows that were saved; none in a new file."""
        try:
            found = self._connection.execute("SELECT kind, id, value FROM world")
            return {(str(kind), str(id_)): value for kind, id_, value in found}
        except sqlite3.Error as e:
            raise ValueError(f"{self.path} is damaged: {e}") from None

    def save(self, changed: Mapping[Key, str | None]) -> None:
        """Writes these rows, as one transaction; None is a row that is gone."""
        kept = [(*key, text) for key, text in changed.items() if text is not None]
        gone = [key for key, text in changed.items() if text is None]
        with self._transaction():
            self._connection.executemany("INSERT OR REPLACE INTO world VALUES (?, ?, ?)", kept)
            self._connection.executemany("DELETE FROM world WHERE kind = ? AND id = ?", gone)

    def replace(self, rows: Mapping[Key, str]) -> None:
        """Writes the whole world."""
        with self._transaction():
            self._connection.execute("DELETE FROM world")
            whole = ((*key, text) for key, text in rows.items())
            self._connection.executemany("INSERT INTO world VALUES (?, ?, ?)", whole)

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    @contextlib.contextmanager
    def _transaction(self) -> Any:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
