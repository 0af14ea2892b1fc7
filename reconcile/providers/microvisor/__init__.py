"""
Twilio Microvisor: apps, configs and secrets of an account, and its devices with their own configs and secrets.

What the API does: docs/apis/microvisor.md.
Order of the types: what is referred to comes before what refers.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from reconcile.provider import Binding, Desired, Net, OpenSecret, Provider, SecretRef
from reconcile.providers.microvisor.apps import AppType
from reconcile.providers.microvisor.configs import ConfigType, DeviceConfigType
from reconcile.providers.microvisor.connection import Api, MicrovisorSettings, connect
from reconcile.providers.microvisor.devices import DeviceType
from reconcile.providers.microvisor.secrets import DeviceSecretType, SecretType


class Microvisor(Provider[MicrovisorSettings, Api, Net]):
    """The provider `microvisor`."""

    name = "microvisor"
    Settings = MicrovisorSettings
    types = (AppType(), ConfigType(), SecretType(), DeviceType(), DeviceConfigType(), DeviceSecretType())

    async def connect(self, settings: MicrovisorSettings, net: Net, open_secret: OpenSecret) -> tuple[Api, Binding]:
        return await connect(settings, net, open_secret)

    def simulated(self, settings: MicrovisorSettings, url: str, credentials: Mapping[str, str]) -> MicrovisorSettings:
        there = {
            "base_url": f"{url}/v1",
            "upload_url": f"{url}/upload/v1",
            "account_sid": credentials["account_sid"],
            "auth_token": SecretRef("simulator", "auth_token"),
            "api_key_sid": None,
            "api_key_secret": None,
        }
        return settings.model_copy(update=there)

    def simulated_units(
        self, wanted: Callable[[str], Iterable[Desired]], settings: MicrovisorSettings
    ) -> Mapping[str, Any]:
        units: dict[str, Any] = {"devices": []}
        for want in wanted(DeviceType.path):
            sid = want.attrs.get("sid")
            name = None if sid else str(want.attrs.get("unique_name") or want.address.key)
            units["devices"].append({"sid": sid, "unique_name": name})
        if settings.account_sid.startswith("AC"):
            units["account_sid"] = settings.account_sid
        return units
