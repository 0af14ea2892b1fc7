"""
Which homes of states there are: ours, and other people's, found through the entry point group `reconcile.backends`.

An entry point is named as the scheme of its URLs is, and names a `core.home.Backend`. Ours win a scheme; nothing is
imported before a URL needs it.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

from reconcile.core.home import Backend, Place
from reconcile.errors import InvalidInput, Problem

GROUP = "reconcile.backends"
_OURS = {
    "postgresql": ("reconcile.backends.postgres", "postgres"),
    "postgres": ("reconcile.backends.postgres", "postgres"),
}


def backend_of(place: Place) -> Backend:
    """
    What opens the state at a URL.

    Raises:
        InvalidInput: nothing here knows its scheme, or what does cannot be loaded.
    """
    scheme = place.url.reveal().partition("://")[0].lower()
    if scheme in _OURS:
        module, name = _OURS[scheme]
        found: Backend = getattr(import_module(module), name)
        return found
    others = {point.name: point for point in entry_points(group=GROUP)}
    if scheme not in others:
        known = ", ".join(f"{one}://" for one in sorted({*_OURS, *others} - {"postgres"}))
        what = "the URL of the state has a scheme that nothing here knows"
        raise InvalidInput(Problem(what, place.where, address=place.setting, hint=f"There is {known}"))
    try:
        loaded: Backend = others[scheme].load()
    except Exception as broken:
        what = f"the home of states {scheme} cannot be loaded: {type(broken).__name__}"
        raise InvalidInput(Problem(what, place.where, address=place.setting)) from broken
    return loaded
