"""
The embedded simulator: the vendors' APIs on loopback, written from the pages of docs/apis alone.

It imports nothing else of this package, so that a misreading of an API cannot cancel itself out. Importing it
is cheap; what serves is imported when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconcile.simulator.server import Simulator
    from reconcile.simulator.serving import running, serve
    from reconcile.simulator.worlds import world_for

__all__ = ["Simulator", "running", "serve", "world_for"]

_MODULES = {"Simulator": "server", "running": "serving", "serve": "serving", "world_for": "worlds"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
