"""
The world by rows, one per unit: what the database keeps, and what the history is made of.

A row says how a unit was at the moment when it was last written; what has happened to it by itself since then follows
from the row and the time. So rows and a moment are a world.
"""

import json
from collections.abc import Mapping
from typing import Any

from reconcile.simulator.asset_tracker.trackers import dump_tracker
from reconcile.simulator.clock import Clock, date
from reconcile.simulator.device_management import section as device_management
from reconcile.simulator.microvisor import account
from reconcile.simulator.microvisor.account import Account
from reconcile.simulator.microvisor.hardware import Entry
from reconcile.simulator.world import Credentials, World, parse

# Kind and id.
Key = tuple[str, str]


def rows(world: World) -> dict[Key, str]:
    """The whole world."""
    held = world.microvisor
    keys = [("world", "")]
    keys += [("app", sid) for sid in held.apps.by_key]
    keys += [("configs", key) for key in held.configs.by_key]
    keys += [("secrets", key) for key in held.secrets.by_key]
    keys += [("device", sid) for sid in held.devices.by_key]
    keys += [("tracker", agent) for agent in world.trackers.by_agent]
    keys += device_management.rows(world.device_management)
    return {key: text for key in keys if (text := row(world, *key)) is not None}


def row(world: World, kind: str, id_: str) -> str | None:
    """The JSON of one row; None when there is nothing under that key any more."""
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


def assemble(texts: Mapping[Key, str], credentials: Credentials, clock: Clock | None = None) -> World:
    """
    The world that rows describe, brought up to date.

    Args:
        clock: None goes on by the offset that the rows have.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: they are not the rows of a world.
    """
    rows: dict[str, dict[str, Any]] = {}
    for (kind, id_), text in texts.items():
        rows.setdefault(kind, {})[id_] = json.loads(text)
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
    clock = clock or Clock(offset_s)
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
