"""
Worlds: from the JSON of `PUT /_sim/state`, with credentials of their own, for the units of a fleet.

Any key and any section may be left out and then has its default.
"""

from collections.abc import Mapping
from typing import Any

from reconcile.simulator import shape
from reconcile.simulator.clock import Clock
from reconcile.simulator.sections import CREDENTIALS, SECTIONS
from reconcile.simulator.shape import ShapeError
from reconcile.simulator.world import SimulatedWorld


class Credentials(dict[str, str]):
    """What a world has when it names none: made from a seed, so the same for every run with that seed."""

    def __init__(self, seed: int) -> None:
        super().__init__({credential.name: credential.made(seed) for credential in CREDENTIALS})


def parse(value: Any, credentials: Mapping[str, str], clock: Clock) -> SimulatedWorld:
    """
    The world that a JSON value describes, with everything due done.

    Args:
        credentials: what is used where it names none.
        clock: goes on as the world's when `now` lies within its current second, so that putting back what was just
            answered does not turn it back by a fraction. Without `now`, the wall clock.

    Raises:
        ShapeError: the first value that has the wrong shape.
    """
    known = ("now", *(credential.name for credential in CREDENTIALS), *(section.name for section in SECTIONS))
    document = shape.mapping(value, (), known)
    moved = Clock()
    if "now" in document:
        now = shape.date(document["now"], ("now",))
        if now == int(clock.now()):
            moved = clock
        else:
            moved.set(now)
    return world_of(document, credentials, moved)


def world_of(
    document: Mapping[str, Any], credentials: Mapping[str, str], clock: Clock, since: float | None = None
) -> SimulatedWorld:
    """
    The world of a document, on a clock that is given.

    Args:
        since: when it was put in place; None is now.

    Raises:
        ShapeError: the first value that has the wrong shape.
    """
    world = SimulatedWorld(SECTIONS, clock, credentials, since)
    for credential in CREDENTIALS:
        if credential.name in document:
            at = (credential.name,)
            secret = shape.text(document[credential.name], at)
            if credential.pattern is not None:
                shape.matching(secret, at, credential.pattern)
            if not secret:
                raise ShapeError(at, "must not be empty")
            world.credentials[credential.name] = secret
    for section in SECTIONS:
        setattr(world, section.name, section.parse(document.get(section.name, {}), (section.name,), world))
    world.settle()
    return world


def world_for(units: dict[str, Any]) -> dict[str, Any]:
    """
    An otherwise empty world with exactly these units, as from the factory: no name, no app, no settings.

    Args:
        units: by the provider's name, what the documents know of them; see `units` of each section. One given by its id
            has that id and no name yet; one known by its name alone has that name and an id made from it.

    Raises:
        ValueError: units of another shape.
    """
    document = shape.mapping(units, ())
    world: dict[str, Any] = {}
    for section in SECTIONS:
        at = (section.provider,)
        world |= section.units(shape.mapping(document.get(section.provider, {}), at), at)
    return world
