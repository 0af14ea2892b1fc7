"""
Twilio Microvisor: apps, configs and secrets of an account, and its devices with their own configs and secrets.

What the API does: docs/apis/microvisor.md.
Order of the types: what is referred to comes before what refers.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from reconcile.provider import Attrs, Binding, Desired, Provider, SecretRef
from reconcile.providers.microvisor.apps import AppType
from reconcile.providers.microvisor.configs import ConfigType, DeviceConfigType
from reconcile.providers.microvisor.connection import Settings, connect
from reconcile.providers.microvisor.devices import DeviceType
from reconcile.providers.microvisor.secrets import DeviceSecretType, SecretType


class Microvisor(Provider):
    """The provider `microvisor`."""

    name = "microvisor"
    Settings = Settings
    types = (AppType(), ConfigType(), SecretType(), DeviceType(), DeviceConfigType(), DeviceSecretType())

    async def connect(self, settings: Attrs, net: Any, open_secret: Any) -> tuple[Any, Binding]:
        return await connect(settings, net, open_secret)

    def simulated(self, settings: Attrs, url: str, credentials: Mapping[str, str]) -> Attrs:
        return {
            **settings,
            "base_url": f"{url}/v1",
            "upload_url": f"{url}/upload/v1",
            "account_sid": credentials["account_sid"],
            "auth_token": SecretRef("simulator", "auth_token"),
            "api_key_sid": None,
            "api_key_secret": None,
        }

    def simulated_units(self, wanted: Callable[[str], Iterable[Desired]], settings: Attrs) -> Mapping[str, Any]:
        units: dict[str, Any] = {"devices": []}
        for want in wanted(DeviceType.path):
            sid = want.attrs.get("sid")
            name = None if sid else str(want.attrs.get("unique_name") or want.address.key)
            units["devices"].append({"sid": sid, "unique_name": name})
        account = settings.get("account_sid")
        if isinstance(account, str) and account.startswith("AC"):
            units["account_sid"] = account
        return units
