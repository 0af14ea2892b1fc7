"""
The control of a simulator: `/_sim/…` (docs/architecture.md, "Control"). JSON in; JSON out, or 204 without a body.

It needs no credentials, meets no faults and is not in the request log. A value of the wrong shape is a 400
with its JSON path, and then nothing has changed.
"""

from collections.abc import Callable

from reconcile.simulator import faults, shape
from reconcile.simulator.exchange import Reply, json_answer
from reconcile.simulator.sections import SECTIONS
from reconcile.simulator.shape import ShapeError
from reconcile.simulator.simulation import Simulation

_MAX_FLEET = 1_000_000
# The clock of a test that waits for a year at a time, many times.
_MAX_ADVANCE_S = 10_000 * 86400


def answer(simulation: Simulation, method: str, path: str, query: dict[str, str], body: bytes) -> Reply:
    """Answers one call; `path` begins with `/_sim`."""
    calls: dict[str, dict[str, Callable[[Simulation, dict[str, str], bytes], Reply]]] = {
        "/_sim/state": {"GET": _get_state, "PUT": _put_state},
        "/_sim/fleet": {"POST": _fleet},
        "/_sim/clock": {"POST": _clock},
        "/_sim/requests": {"GET": _requests},
        "/_sim/faults": {"GET": _get_faults, "PUT": _put_faults},
    }
    methods = calls.get(path)
    if methods is None:
        return json_answer(404, {"message": f"{path} is not a call; they are {', '.join(calls)}"})
    if method not in methods:
        refused = json_answer(405, {"message": f"{method} is not allowed here"})
        refused.headers["Allow"] = ", ".join(methods)
        return refused
    try:
        return methods[method](simulation, query, body)
    except ShapeError as e:
        return json_answer(400, {"message": str(e), "path": e.path})


def _get_state(simulation: Simulation, query: dict[str, str], body: bytes) -> Reply:
    only = query.get("only")
    if only is None:
        return json_answer(200, simulation.world.dump())
    # `?only=auth_token,api_key`: top-level keys, without building a world of 100,000 devices for them.
    world = simulation.world
    short = world.credentials
    keys = only.split(",")
    dumped = short if all(key in short for key in keys) else world.dump()
    return json_answer(200, {key: dumped[key] for key in keys if key in dumped})


def _put_state(simulation: Simulation, query: dict[str, str], body: bytes) -> Reply:
    simulation.put(shape.loads(body))
    return Reply(204)


def _fleet(simulation: Simulation, query: dict[str, str], body: bytes) -> Reply:
    fleets = {section.fleet: section for section in SECTIONS if section.fleet}
    document = shape.mapping(shape.loads(body), (), (*fleets, "seed"))
    counts = {key: shape.integer(document.get(key, 0), (key,), 0, _MAX_FLEET) for key in fleets}
    seed = shape.integer(document.get("seed", simulation.seed), ("seed",), -(2**63), 2**64)
    added = {key: section.add_units(simulation.world, counts[key], seed) for key, section in fleets.items()}
    return json_answer(200, added)


def _clock(simulation: Simulation, query: dict[str, str], body: bytes) -> Reply:
    document = shape.mapping(shape.loads(body), (), ("advance_s",))
    if "advance_s" not in document:
        raise ShapeError(("advance_s",), "is missing")
    seconds = shape.number(document["advance_s"], ("advance_s",), 0, _MAX_ADVANCE_S)
    return json_answer(200, {"now": simulation.world.advance(seconds)})


def _requests(simulation: Simulation, query: dict[str, str], body: bytes) -> Reply:
    since = query.get("since", "0")
    if not (since.isascii() and since.isdigit() and len(since) < 16):
        raise ShapeError(("since",), "must be a whole number, in the query")
    return json_answer(200, simulation.log.since(int(since)))


def _get_faults(simulation: Simulation, query: dict[str, str], body: bytes) -> Reply:
    return json_answer(200, [fault.dump() for fault in simulation.faults])


def _put_faults(simulation: Simulation, query: dict[str, str], body: bytes) -> Reply:
    simulation.faults = faults.parse(shape.loads(body), simulation.seed)
    return Reply(204)
