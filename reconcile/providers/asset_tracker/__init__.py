"""
Asset Tracker "Southbound" API: the settings of trackers, each behind an agent of its own.

What the API does: docs/apis/asset_tracker.md. One agent per tracker, so nothing is listed: what the files name is read,
each by itself.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from reconcile.provider import Binding, Desired, Net, OpenSecret, Provider, SecretRef
from reconcile.providers.asset_tracker.connection import Agents, AgentSettings, connect, simulated_agent
from reconcile.providers.asset_tracker.trackers import TrackerType


class AssetTracker(Provider[AgentSettings, Agents, Net]):
    """The provider `asset_tracker`."""

    name = "asset_tracker"
    Settings = AgentSettings
    types = (TrackerType(),)

    async def connect(self, settings: AgentSettings, net: Net, open_secret: OpenSecret) -> tuple[Agents, Binding]:
        return connect(settings, net, open_secret)

    def simulated(self, settings: AgentSettings, url: str, credentials: Mapping[str, str]) -> AgentSettings:
        there = {
            "base_url": url,
            "username": SecretRef("simulator", "tracker_username"),
            "password": SecretRef("simulator", "tracker_password"),
        }
        return settings.model_copy(update=there)

    def simulated_units(self, wanted: Callable[[str], Iterable[Desired]], settings: AgentSettings) -> Mapping[str, Any]:
        rtype = self.types[0]
        units = (rtype.unit(want.attrs, want.address.key)[0] for want in wanted(rtype.path))
        return {"trackers": [{"agent": simulated_agent(unit)} for unit in units if unit]}
