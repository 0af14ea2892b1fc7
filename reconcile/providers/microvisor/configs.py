"""
Config and Device Config: readable texts under a key (docs/apis/microvisor.md, "Configs").

There is no bulk read of device configs: one list request per device.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from reconcile.provider import Observed, StrictModel
from reconcile.provider.rest import dated
from reconcile.providers.microvisor.keyed import KeyedType, member_key, owner
from reconcile.providers.microvisor.names import VALUE_LENGTH


class Config(StrictModel):
    """`configs.<key>: text`. What the document writes as `300` or `1.10` is sent as those characters."""

    value: Annotated[str, Field(max_length=VALUE_LENGTH)] = Field(description="The text, up to 4096 characters.")


class ConfigType(KeyedType):
    """Configs of the account."""

    path = "microvisor.configs"
    singular = "config"
    noun = "config"
    Model = Config
    collection = "Configs"

    def observed(self, member: Mapping[str, Any], parent: str | None) -> Observed:
        key = member_key(member)
        of, written = owner(member, parent), dated(member.get("date_updated"))
        return Observed(key, {"value": member.get("value")}, name=key, parent=of, version=written)


class DeviceConfigType(ConfigType):
    """Configs of one device."""

    path = "microvisor.devices.configs"
    singular = "device_config"
    noun = "device config"
    listed = "parent"
