"""Fleets in files, and providers with declared halves only, for the tests of `reconcile.config`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from reconcile.config import Inputs, load
from reconcile.core.ports import Document
from reconcile.core.resource import Desired
from reconcile.core.resource_type import Provider, ResourceType
from reconcile.core.schema import Mark, Refers
from reconcile.core.values import FileRef, SecretRef
from reconcile.errors import InvalidInput, Problem

SID = "UV0000000000000000000000000000000"  # and one more digit
CANARY = "hunter2-correct-horse"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)


class App(Strict):
    bundle: Annotated[FileRef, Mark.IMMUTABLE]
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = None
    unique_name: Annotated[str, Mark.NAME] | None = None


class Config(Strict):
    value: Annotated[str, Field(max_length=4096)]


class Secret(Strict):
    value: SecretRef


class Device(Strict):
    sid: Annotated[str, Field(pattern="^UV[0-9a-fA-F]{32}$"), Mark.LOCATOR] | None = None
    unique_name: Annotated[str, Mark.NAME] | None = None
    app: Annotated[str, Refers("microvisor.apps")] | None = None
    logging: Annotated[bool, Mark.LEASE] | None = None
    restart: Annotated[str, Mark.TRIGGER] | None = None


class AppType(ResourceType):
    path, singular, noun, Model = "microvisor.apps", "app", "app", App

    def unit(self, attrs: Mapping[str, Any], key: str) -> tuple[str | None, str]:
        return None, str(attrs.get("unique_name") or key)


class ConfigType(ResourceType):
    path, singular, noun, Model, scalar = "microvisor.configs", "config", "config", Config, "value"


class SecretType(ResourceType):
    path, singular, noun, Model, scalar = "microvisor.secrets", "secret", "secret", Secret, "value"


class DeviceType(ResourceType):
    path, singular, noun, Model = "microvisor.devices", "device", "device", Device

    def unit(self, attrs: Mapping[str, Any], key: str) -> tuple[str | None, str]:
        sid = attrs.get("sid")
        return (sid[:2].upper() + sid[2:].lower()) if sid else None, str(attrs.get("unique_name") or key)

    def check(self, attrs: Mapping[str, Any], key: str) -> list[tuple[tuple[str, ...], str, str | None]]:
        return [((), "the name looks like a SID", "Give it another name")] if key.startswith("UV000") else []


class DeviceConfigType(ConfigType):
    path, singular, noun = "microvisor.devices.configs", "device_config", "device config"


class DeviceSecretType(SecretType):
    path, singular, noun = "microvisor.devices.secrets", "device_secret", "device secret"


class MicrovisorSettings(Strict):
    base_url: str = "https://microvisor.twilio.com/v1"
    account_sid: str = "env:TWILIO_ACCOUNT_SID"
    auth_token: SecretRef = SecretRef("env", "TWILIO_AUTH_TOKEN")
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30


class Microvisor(Provider):
    name, Settings = "microvisor", MicrovisorSettings
    types = (AppType(), ConfigType(), SecretType(), DeviceType(), DeviceConfigType(), DeviceSecretType())


class Geofence(Strict):
    enabled: bool | None = None
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    lng: Annotated[float, Field(ge=-180, le=180)] | None = None
    radius: Annotated[float, Field(gt=0)] | None = None


class Beacon(Strict):
    lat: float
    lng: float


class Ble(Strict):
    enabled: bool | None = None
    generic: dict[str, Beacon] | None = None


class Location(Strict):
    geofence: Geofence | None = None
    bleDevices: Ble | None = None


class Configuration(Strict):
    connectingPeriod: int | None = None
    locationTracking: Location | None = None
    updateId: Annotated[str, Mark.COMPUTED] | None = None


class Tracker(Strict):
    agent: Annotated[str, Mark.LOCATOR] | None = None
    url: str | None = None
    configuration: Configuration | None = None
    agentConfiguration: dict[str, Any] | None = None
    tags: list[str] | None = None


class TrackerType(ResourceType):
    path, singular, noun, Model = "asset_tracker.trackers", "tracker", "tracker", Tracker
    names = "shared"

    def unit(self, attrs: Mapping[str, Any], key: str) -> tuple[str | None, str]:
        return attrs.get("agent") or attrs.get("url"), key


class Login(Strict):
    username: SecretRef = SecretRef("env", "CFG_REST_API_USERNAME")
    password: SecretRef = SecretRef("env", "CFG_REST_API_PASSWORD")


class AssetTracker(Provider):
    name, Settings, types = "asset_tracker", Login, (TrackerType(),)


class Group(Strict):
    description: str | None = None


class Managed(Strict):
    endpoint_name: str | None = None
    description: str | None = None
    custom_attributes: dict[str, str] | None = None


class Empty(Strict):
    pass


class GroupType(ResourceType):
    path, singular, noun, Model = "device_management.groups", "group", "group", Group


class ManagedType(ResourceType):
    path, singular, noun, Model = "device_management.devices", "device", "device", Managed


class MembershipType(ResourceType):
    path, singular, noun, Model = "device_management.devices.groups", "membership", "membership", Empty


class DeviceManagement(Provider):
    name, Settings, types = "device_management", Empty, (GroupType(), ManagedType(), MembershipType())


PROVIDERS: Mapping[str, Provider] = {one.name: one() for one in (Microvisor, AssetTracker, DeviceManagement)}

FILES = {
    "build/a.zip": "zip",
    "t.csv": "name,sid,site,n\nDev-1,UV00000000000000000000000000000001,oslo,59.91\n"
    "Dev-2,UV00000000000000000000000000000002,bergen,60\n",
}


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Writes files; `fleet.yaml` gets its `fleet:` when it has none."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def fleet(root: Path, body: str, files: Mapping[str, str | bytes] | None = None, **options: Any) -> Document:
    """The document of a main file with this body, beside `FILES` and `files`."""
    write(root, {**FILES, "fleet.yaml": f"fleet: f\n{body}", **(files or {})})
    given: dict[str, Any] = {"environ": {}, "cwd": root, **options}
    return load(".", given.pop("providers", PROVIDERS), Inputs(**given))


def problems(root: Path, body: str, files: Mapping[str, str | bytes] | None = None, **options: Any) -> list[Problem]:
    """What is wrong with it. Every problem is checked not to show the canary."""
    try:
        fleet(root, body, files, **options)
    except InvalidInput as error:
        for problem in error.problems:
            assert CANARY not in repr(problem), problem
        return list(error.problems)
    raise AssertionError("nothing is wrong")


def said(found: list[Problem]) -> str:
    """All words of the problems."""
    return "\n".join(f"{problem} {problem.snippet} {' '.join(problem.notes)}" for problem in found)


def devices(document: Document) -> dict[str, Desired]:
    """The devices by key."""
    return {one.address.key: one for one in map(document.at, document.roots("microvisor.devices"))}


def device(root: Path, fields: str, files: Mapping[str, str | bytes] | None = None, **options: Any) -> Desired:
    """The one device of a fleet with these fields, in flow style."""
    document = fleet(root, f"microvisor: {{devices: {{d: {fields}}}}}", files, **options)
    return document.at(document.roots("microvisor.devices")[0])  # type: ignore[index]


def config(root: Path, scalar: str, files: Mapping[str, str | bytes] | None = None, **options: Any) -> Any:
    """The value of the one config of a fleet, None when it is not there."""
    document = fleet(root, f"microvisor:\n  configs:\n    c: {scalar}\n", files, **options)
    handles = list(document.roots("microvisor.configs"))
    return document.at(handles[0]).attrs["value"] if handles else None
