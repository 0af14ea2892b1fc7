"""
The work on a request, and what a fault makes of the answer: one of the past, without a member, about another unit,
without end. What these mean in a vendor's API is the API's to know.
"""

from dataclasses import replace
from typing import Any

from reconcile.simulator.exchange import Call, Reply
from reconcile.simulator.faults import Fault
from reconcile.simulator.simulation import Simulation
from reconcile.simulator.world import Section


def answered(api: Section[Any], request: Call, simulation: Simulation, fault: Fault | None) -> Reply:
    """Does the work now."""
    # Only now: while the body came, time has passed and the world may have been replaced.
    world = simulation.world
    request.now = world.clock.now()
    if fault is None:
        return api.answer(request, world)
    if request.method != "GET":
        done = api.answer(request, world)
        about = api.about(request, fault.other) if fault.other and 200 <= done.status < 300 and done.body else None
        if about is None:
            return done
        read = api.answer(about, world)
        return replace(read, status=done.status) if read.status == 200 else read
    if fault.other:
        request = api.about(request, fault.other) or request
    if fault.stale_s is not None:
        world = simulation.past(fault.stale_s)
        request.now = world.clock.now()
    request.omit, request.endless = fault.omit, fault.endless
    return api.answer(request, world)
