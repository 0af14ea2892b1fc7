"""
The world in a SQLite file: written row by row as it changes, read when a simulator starts.

One row per unit, so that a request writes what it changed and not the fleet. Simulated time goes on while no
simulator runs: what is kept is the clock's offset.
"""

import contextlib
import json
import sqlite3
from typing import Any

from reconcile.simulator.asset_tracker.trackers import dump_tracker
from reconcile.simulator.clock import Clock, date
from reconcile.simulator.device_management import section as device_management
from reconcile.simulator.microvisor import account
from reconcile.simulator.microvisor.account import Account
from reconcile.simulator.microvisor.hardware import Entry
from reconcile.simulator.world import Credentials, World, parse

_FORMAT = 1


class Database:
    """
    Raises:
        ValueError: the file cannot be opened, or is not one of ours.
    """

    def __init__(self, path: str) -> None:
        self._path = path
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

    def load(self, credentials: Credentials) -> World | None:
        """The world that was saved; None in a new file."""
        rows: dict[str, dict[str, Any]] = {}
        try:
            for kind, id_, value in self._connection.execute("SELECT kind, id, value FROM world"):
                rows.setdefault(kind, {})[id_] = json.loads(value)
            if "world" not in rows:
                return None
            return _assemble(rows, credentials)
        except (sqlite3.Error, ValueError, KeyError, TypeError, AttributeError) as e:
            raise ValueError(f"{self._path} is damaged: {e}") from None

    def save(self, world: World) -> None:
        """Writes what has changed since the last time, as one transaction."""
        rows = [(kind, id_, _row(world, kind, id_)) for kind, id_ in world.changed]
        with self._transaction():
            self._write(rows)
        world.changed.clear()

    def replace(self, world: World) -> None:
        """Writes the whole world."""
        held = world.microvisor
        keys = [("world", "")]
        keys += [("app", sid) for sid in held.apps.by_key]
        keys += [("configs", key) for key in held.configs.by_key]
        keys += [("secrets", key) for key in held.secrets.by_key]
        keys += [("device", sid) for sid in held.devices.by_key]
        keys += [("tracker", agent) for agent in world.trackers.by_agent]
        keys += device_management.rows(world.device_management)
        with self._transaction():
            self._connection.execute("DELETE FROM world")
            self._write([(kind, id_, _row(world, kind, id_)) for kind, id_ in keys])
        world.changed.clear()

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

    def _write(self, rows: list[tuple[str, str, str | None]]) -> None:
        kept = [row for row in rows if row[2] is not None]
        gone = [row[:2] for row in rows if row[2] is None]
        self._connection.executemany("INSERT OR REPLACE INTO world VALUES (?, ?, ?)", kept)
        self._connection.executemany("DELETE FROM world WHERE kind = ? AND id = ?", gone)


def _row(world: World, kind: str, id_: str) -> str | None:
    """The JSON of one row; None when there is nothing under that id any more."""
    held = world.microvisor
    value: Any = None
    match kind:
        case "world":
            value = _rest(world)
        case "app" if id_ in held.apps.by_key:
            value = account.dump_app(held.apps.by_key[id_])
        case "configs" | "secrets":
            entries = held.configs if kind == "configs" else held.secrets
            value = entries.by_key.get(id_)
        case "device" if id_ in held.devices.by_key:
            device = held.devices.by_key[id_]
            value = {
                "device": account.dump_device(device),
                "dates": account.dump_dates(device.configs, device.secrets),
            }
        case "tracker" if id_ in world.trackers.by_agent:
            value = dump_tracker(world.trackers.by_agent[id_])
        case _ if kind.startswith(device_management.PREFIX):
            value = device_management.row(world.device_management, kind, id_)
    return None if value is None else json.dumps(value)


def _rest(world: World) -> dict[str, Any]:
    """What is neither an app, a config, a secret, a device, a tracker nor of Device Management."""
    microvisor = account.dump(_without_units(world.microvisor))
    return {
        "offset_s": world.clock.offset_s,
        "since": world.since,
        **world.credentials(),
        "microvisor": microvisor,
        "device_management": device_management.settings(world.device_management),
    }


def _without_units(held: Account) -> Account:
    bare = Account()
    bare.api_keys = held.api_keys
    bare.secrets_update = held.secrets_update
    bare.paging = held.paging
    bare.older_device_shape = held.older_device_shape
    return bare


def _assemble(rows: dict[str, dict[str, Any]], credentials: Credentials) -> World:
    document = dict(rows["world"][""])
    offset_s, since = float(document.pop("offset_s")), float(document.pop("since"))
    devices = rows.get("device", {})
    document["microvisor"]["apps"] = rows.get("app", {})
    document["microvisor"]["devices"] = {sid: row["device"] for sid, row in devices.items()}
    document["microvisor"]["dates"] = {"devices": {sid: row["dates"] for sid, row in devices.items()}}
    # They stood in the world's row before they had rows of their own.
    moved = document.get("trackers", {})
    document["trackers"] = moved | rows.get("tracker", {})
    document["device_management"] = device_management.assembled(document.get("device_management", {}), rows)
    clock = Clock(offset_s)
    # What is due is due by this clock, not by that on the wall.
    document["now"] = date(int(clock.now()))
    world = parse(document, credentials, clock)
    world.clock = clock
    world.since = since
    world.device_management.rollout.schedule(since)
    for kind, entries in (("configs", world.microvisor.configs), ("secrets", world.microvisor.secrets)):
        loaded: dict[str, Entry] = {k: (str(value), int(at)) for k, (value, at) in rows.get(kind, {}).items()}
        entries.extend(loaded.items())
    world.changed.update(("tracker", agent) for agent in moved)
    return world
