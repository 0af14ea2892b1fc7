"""
The world by rows, one per unit: what the database keeps, and what the history is made of.

A row says how a unit was at the moment when it was last written; what has happened to it by itself since then follows
from the row and the time. So rows and a moment are a world. What is in no row of a section is in the world's own.
"""

import json
from collections.abc import Mapping
from typing import Any

from reconcile.simulator.clock import Clock
from reconcile.simulator.sections import SECTIONS
from reconcile.simulator.world import Key, SimulatedWorld
from reconcile.simulator.worlds import world_of

_WORLD = ("world", "")


def rows(world: SimulatedWorld) -> dict[Key, str]:
    """The whole world."""
    return {key: text for key in (_WORLD, *_units(world)) if (text := row(world, *key)) is not None}


def _units(world: SimulatedWorld) -> list[Key]:
    return [key for section in world.sections for key in section.rows(getattr(world, section.name))]


def row(world: SimulatedWorld, kind: str, id_: str) -> str | None:
    """The JSON of one row; None when there is nothing under that key any more."""
    value: Any = None
    if (kind, id_) == _WORLD:
        settings = {section.name: section.settings(getattr(world, section.name)) for section in world.sections}
        value = {"offset_s": world.clock.offset_s, "since": world.since, **world.credentials}
        value |= {name: kept for name, kept in settings.items() if kept}
    for section in world.sections:
        if kind in section.kinds:
            value = section.row(getattr(world, section.name), kind, id_)
    return None if value is None else json.dumps(value)


def assemble(texts: Mapping[Key, str], credentials: Mapping[str, str], clock: Clock | None = None) -> SimulatedWorld:
    """
    The world that rows describe, brought up to date.

    Args:
        credentials: of worlds that name none; rows that were written here name them.
        clock: None goes on by the offset that the rows have.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: they are not the rows of a world.
    """
    kept: dict[str, dict[str, Any]] = {}
    for (kind, id_), text in texts.items():
        kept.setdefault(kind, {})[id_] = json.loads(text)
    document = dict(kept["world"][""])
    offset_s, since = float(document.pop("offset_s")), float(document.pop("since"))
    for section in SECTIONS:
        document[section.name] = section.assemble(document.get(section.name, {}), kept)
    world = world_of(document, credentials, Clock(offset_s) if clock is None else clock, since)
    # Older databases have no rows for some kinds: what stood in the world's row before gets one of its own.
    world.changed.update(key for key in _units(world) if key not in texts)
    return world
