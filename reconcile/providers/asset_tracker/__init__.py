"""
Asset Tracker "Southbound" API: the settings of trackers, each behind an agent of its own.

What the API does: docs/apis/asset_tracker.md. One agent per tracker, so nothing is listed: what the files name is read,
each by itself.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from reconcile.provider import Attrs, Binding, Desired, Provider, SecretRef
from reconcile.providers.asset_tracker.connection import Settings, connect, simulated_agent
from reconcile.providers.asset_tracker.trackers import TrackerType


class AssetTracker(Provider):
    """The provider `asset_tracker`."""

    name = "asset_tracker"
    Settings = Settings
    types = (TrackerType(),)

    async def connect(self, settings: Attrs, net: Any, open_secret: Any) -> tuple[Any, Binding]:
        return connect(settings, net, open_secret)

    def simulated(self, settings: Attrs, url: str, credentials: Mapping[str, str]) -> Attrs:
        return {
            **settings,
            "base_url": url,
            "username": SecretRef("simulator", "tracker_username"),
            "password": SecretRef("simulator", "tracker_password"),
            "simulated": True,
        }

    def simulated_units(self, wanted: Callable[[str], Iterable[Desired]], settings: Attrs) -> Mapping[str, Any]:
        kind = self.types[0]
        units = (kind.unit(want.attrs, want.address.key)[0] for want in wanted(kind.path))
        return {"trackers": [{"agent": simulated_agent(unit)} for unit in units if unit]}
