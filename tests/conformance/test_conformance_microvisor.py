"""Every resource type of Microvisor passes the conformance suite."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from simulated import SimulatedAccount

from reconcile.conformance import Case, Unit, suite

pytest_plugins = ["reconcile.conformance.plugin"]

PAGE = "PageSize"
OFFSET = {"paging": "offset"}  # a page token is a position: the harder of the two that the simulator has
DEVICES = 20


def sid(number: int) -> str:
    """The SID of the n-th device; others sort before it."""
    return f"UV{number + 100:032x}"


def bundle(name: str) -> bytes:
    """A bundle that is told by the name of what is in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), name)
    return buffer.getvalue()


BUNDLES = {name: bundle(name) for name in ("v1.zip", "v2.zip")}


class MicrovisorAccount(SimulatedAccount):
    world: ClassVar[Mapping[str, Any]] = {"microvisor": {**OFFSET, "devices": {sid(0): {}}}}

    @property
    def section(self) -> dict[str, Any]:
        return self.sim.world["microvisor"]  # type: ignore[no-any-return]


class KeyedAccount(MicrovisorAccount):
    """Configs or secrets, of the account or of one device."""

    values: ClassVar[str]
    device: ClassVar[str | None] = None

    def held(self, section: dict[str, Any]) -> dict[str, Any]:
        """Them, or their dates, in that part of the section."""
        return (section if self.device is None else section["devices"][self.device])[self.values]  # type: ignore[no-any-return]

    def live(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        return [(key, {"value": value}) for key, value in self.held(self.section).items()]

    def change(self, id: str, path: tuple[str, ...], value: Any) -> None:
        self.sim.advance(2)  # dates are in whole seconds
        with self.outside("microvisor") as section:
            self.held(section)[id] = value
            del self.held(section["dates"])[id]  # it is written now

    def remove(self, id: str) -> None:
        with self.outside("microvisor") as section:
            del self.held(section)[id], self.held(section["dates"])[id]

    def add(self, name: str) -> str:
        with self.outside("microvisor") as section:
            self.held(section)[name] = "somebody else's"
        return name


class Configs(KeyedAccount):
    values = "configs"


class DeviceConfigs(Configs):
    device = sid(0)


class Secrets(KeyedAccount):
    values = "secrets"


class DeviceSecrets(Secrets):
    device = sid(0)


class Apps(MicrovisorAccount):
    def live(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        for app in self.section["apps"].values():
            manifest = base64.b64decode(app["manifest"])
            bundle = next((name for name in BUNDLES if name.encode() in manifest), None)
            yield app["unique_name"], {"unique_name": app["unique_name"], "bundle": bundle}

    def remove(self, id: str) -> None:
        with self.outside("microvisor") as section:
            del section["apps"][self.sid_of(id)]

    def add(self, name: str) -> str:
        with self.outside("microvisor") as section:
            section["apps"][f"KA{len(section['apps']):032x}"] = {"unique_name": name}
        return name

    def sid_of(self, name: str) -> str:
        return next(sid for sid, app in self.section["apps"].items() if app["unique_name"] == name)


class Devices(Apps):
    world: ClassVar[Mapping[str, Any]] = {
        "microvisor": {**OFFSET, "devices": {sid(number): {} for number in range(DEVICES)}}
    }
    settle_s = 180
    added = 0

    def live(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        section = self.section
        names = {sid: app["unique_name"] for sid, app in section["apps"].items()}
        for sid, device in section["devices"].items():
            app = names.get((device["app"] or {}).get("target_sid"))
            logging = device["logging"]["enabled"]
            yield sid, {"unique_name": device["unique_name"], "app": app, "logging": logging}

    def change(self, id: str, path: tuple[str, ...], value: Any) -> None:
        with self.outside("microvisor") as section:
            device, (name,) = section["devices"][id], path
            device[name] = {
                "unique_name": value,
                "app": {"target_sid": self.sid_of(value)} if name == "app" else None,
                "logging": {"enabled": value},
            }[name]

    def remove(self, id: str) -> None:
        with self.outside("microvisor") as section:
            del section["devices"][id]
            section["dates"]["devices"].pop(id, None)

    def add(self, name: str) -> str:
        with self.outside("microvisor") as section:
            self.added += 1
            added = f"UV{self.added:032x}"
            section["devices"][added] = {"unique_name": name}
        return added


def on_one_device(kind: str) -> dict[str, Any]:
    """Where entries go that hang on a device."""
    return {
        "place": ("microvisor", "devices", "gateway", kind),
        "around": {"microvisor": {"devices": {"gateway": {"sid": sid(0)}}}},
    }


SECRETS = {"FIRST": "the-first-value-of-it", "SECOND": "the-second-value-of-it"}
A_SECRET: dict[str, Any] = {"entry": "env:FIRST", "other": "env:SECOND", "environ": SECRETS, "page_size": PAGE}
A_CONFIG: dict[str, Any] = {"entry": "300", "other": "grün & 1=2", "page_size": PAGE}

TestAccountConfigs = suite(Case(type="microvisor.configs", account=Configs.served, **A_CONFIG))
TestAccountSecrets = suite(Case(type="microvisor.secrets", account=Secrets.served, **A_SECRET))
TestDeviceConfigs = suite(
    Case(type="microvisor.devices.configs", account=DeviceConfigs.served, **A_CONFIG, **on_one_device("configs"))
)
TestDeviceSecrets = suite(
    Case(type="microvisor.devices.secrets", account=DeviceSecrets.served, **A_SECRET, **on_one_device("secrets"))
)
TestApps = suite(
    Case(
        type="microvisor.apps",
        account=Apps.served,
        entry={"bundle": "v1.zip", "unique_name": "sensor"},
        other={"bundle": "v2.zip", "unique_name": "sensor"},
        files=BUNDLES,
        page_size=PAGE,
    )
)
TestDevices = suite(
    Case(
        type="microvisor.devices",
        account=Devices.served,
        entry={"unique_name": "gateway", "app": "v1", "logging": True, "restart": "first"},
        other={"unique_name": "gateway-b", "app": "v2", "logging": False, "restart": "second"},
        unit=lambda number, key: Unit(key, sid(number), {"sid": sid(number)}),
        around={"microvisor": {"apps": {name.removesuffix(".zip"): {"bundle": name} for name in BUNDLES}}},
        files=BUNDLES,
        page_size=PAGE,
    )
)
