"""
Which providers there are: ours, and other people's, found through the entry point group `reconcile.providers`.

An entry point names a `Provider` class. Ours win a name; nothing is imported before a document needs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points

from reconcile.core.resource_type import Provider
from reconcile.errors import InvalidInput, Problem

GROUP = "reconcile.providers"
_OURS = {
    "microvisor": ("reconcile.providers.microvisor", "Microvisor"),
    "asset_tracker": ("reconcile.providers.asset_tracker", "AssetTracker"),
    "device_management": ("reconcile.providers.device_management", "DeviceManagement"),
}


class Providers(Mapping[str, Provider]):
    """Providers by name, imported when they are first asked for. Iterating imports nothing."""

    def __init__(self) -> None:
        self._loaded: dict[str, Provider] = {}
        self._others = {point.name: point for point in entry_points(group=GROUP) if point.name not in _OURS}

    def __iter__(self) -> Iterator[str]:
        yield from _OURS
        yield from sorted(self._others)

    def __len__(self) -> int:
        return len(_OURS) + len(self._others)

    def __contains__(self, name: object) -> bool:
        return name in _OURS or name in self._others

    def __getitem__(self, name: str) -> Provider:
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> Provider:
        if name in _OURS:
            module, attribute = _OURS[name]
            found = getattr(import_module(module), attribute)
        elif name in self._others:
            try:
                found = self._others[name].load()
            except Exception as broken:
                raise InvalidInput(
                    Problem(f"the provider {name} cannot be loaded: {type(broken).__name__}: {broken}")
                ) from broken
        else:
            raise KeyError(name)
        provider = found() if isinstance(found, type) else found
        if not isinstance(provider, Provider):
            raise InvalidInput(Problem(f"the entry point {name} of {GROUP} is not a provider"))
        return provider
