"""
Pelion (Izuma) Device Management: groups, devices and their memberships, firmware, update campaigns, pre-shared keys.

What the API does: docs/apis/device_management.md. Order of the types: what is referred to comes before what refers.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from reconcile.provider import Binding, Desired, Net, OpenSecret, Provider, SecretRef
from reconcile.providers.device_management.campaigns import CampaignType
from reconcile.providers.device_management.connection import Api, ManagementSettings, connect
from reconcile.providers.device_management.devices import DeviceType
from reconcile.providers.device_management.firmware import ImageType, ManifestType
from reconcile.providers.device_management.groups import GroupType
from reconcile.providers.device_management.keys import SharedKeyType
from reconcile.providers.device_management.memberships import MembershipType


class DeviceManagement(Provider[ManagementSettings, Api, Net]):
    """The provider `device_management`."""

    name = "device_management"
    Settings = ManagementSettings
    types = (
        GroupType(),
        DeviceType(),
        MembershipType(),
        ImageType(),
        ManifestType(),
        CampaignType(),
        SharedKeyType(),
    )

    async def connect(self, settings: ManagementSettings, net: Net, open_secret: OpenSecret) -> tuple[Api, Binding]:
        return await connect(settings, net, open_secret)

    def simulated(self, settings: ManagementSettings, url: str, credentials: Mapping[str, str]) -> ManagementSettings:
        return settings.model_copy(update={"base_url": url, "api_key": SecretRef("simulator", "api_key")})

    def simulated_units(
        self, wanted: Callable[[str], Iterable[Desired]], settings: ManagementSettings
    ) -> Mapping[str, Any]:
        rtype = DeviceType()
        units = []
        for want in wanted(rtype.path):
            if not rtype.lifecycle(want.attrs).create:  # else an apply makes it
                id, endpoint = want.attrs.get("id"), want.attrs.get("endpoint_name")
                name = None if id or endpoint else rtype.unit(want.attrs, want.address.key)[1]
                units.append({"id": str(id).lower() if id else None, "endpoint_name": endpoint, "name": name})
        return {"devices": units}
