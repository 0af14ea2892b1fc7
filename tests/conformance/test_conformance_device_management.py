"""Every resource type of Device Management passes the conformance suite."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from simulated import SimulatedAccount

from reconcile.conformance import Case, Unit, suite
from reconcile.conformance.bench import Lab
from reconcile.conformance.subject import Subject

pytest_plugins = ["reconcile.conformance.plugin"]

PAGE = "limit"
DEVICES = 16
FILES = {name: f"the content of {name}".encode() for name in ("v1.bin", "v2.bin", "v1.manifest", "v2.manifest")}
HARD_GROUPS = ("two words", "grün/日本", "a%2Fb", "a?b=c&d", "a#b+c", "a,b", 'say "it"')


def device(number: int) -> str:
    return f"0158d38771f70000000000010010{number:04x}"


def endpoint(number: int) -> str:
    return f"pump-{number:04}"


PUMPS = {"first": device(0), "second": device(1)}


class Managed(SimulatedAccount):
    """
    One section of the account, its members by name.

    Attributes:
        section: of the world. `naming`: the field by which the case finds a member.
        fields: those of the document that a member shows under the same name.
    """

    section: ClassVar[str]
    naming: ClassVar[str] = "name"
    fields: ClassVar[tuple[str, ...]] = ()
    added = 0

    def members(self) -> dict[str, dict[str, Any]]:
        return self.sim.world["device_management"][self.section]  # type: ignore[no-any-return]

    def live(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        return [(member[self.naming], self.shown(member)) for member in self.members().values()]

    def shown(self, member: Mapping[str, Any]) -> dict[str, Any]:
        return {name: member[name] for name in self.fields}

    def id_of(self, name: str) -> str:
        return next(id for id, member in self.members().items() if member[self.naming] == name)

    def change(self, id: str, path: tuple[str, ...], value: Any) -> None:
        unit = self.id_of(id)
        with self.outside("device_management") as world:
            inner = world[self.section][unit]
            for step in path[:-1]:
                inner = inner[step]
            inner[path[-1]] = value

    def remove(self, id: str) -> None:
        unit = self.id_of(id)
        with self.outside("device_management") as world:
            del world[self.section][unit]

    def add(self, name: str) -> str:
        self.added += 1
        with self.outside("device_management") as world:
            world[self.section][f"{self.added:032x}"] = {self.naming: name}
        return name


class Groups(Managed):
    section = "groups"
    fields = ("name", "description", "custom_attributes")


class Devices(Managed):
    section, naming = "devices", "endpoint_name"
    fields = (
        "name",
        "description",
        "custom_attributes",
        "endpoint_type",
        "host_gateway",
        "device_key",
        "ca_id",
        "auto_update",
    )


class Enrolled(Devices):
    """Devices that have enrolled themselves."""

    world: ClassVar[Mapping[str, Any]] = {
        "device_management": {"devices": {device(n): {"endpoint_name": endpoint(n)} for n in range(DEVICES)}}
    }


class Memberships(Enrolled):
    """The groups of the first device."""

    def live(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        groups = self.sim.world["device_management"]["groups"].values()
        return [(group["name"], {}) for group in groups if device(0) in group["devices"]]

    def remove(self, id: str) -> None:
        with self.outside("device_management") as world:
            group = next(group for group in world["groups"].values() if group["name"] == id)
            group["devices"].remove(device(0))


class Images(Managed):
    section = "firmware_images"

    def shown(self, member: Mapping[str, Any]) -> dict[str, Any]:
        found = (
            name for name, data in FILES.items() if hashlib.sha256(data).hexdigest() == member["datafile_checksum"]
        )
        return {"name": member["name"], "file": next(found, None)}


class Manifests(Managed):
    section = "firmware_manifests"

    def shown(self, member: Mapping[str, Any]) -> dict[str, Any]:
        found = (name for name, data in FILES.items() if len(data) == member["datafile_size"])
        return {"name": member["name"], "file": next(found, None)}


class Campaigns(Managed):
    section = "campaigns"
    settle_s = 600
    world: ClassVar[Mapping[str, Any]] = {
        "device_management": {
            "devices": {id: {"endpoint_name": f"pump-{name}", "name": name} for name, id in PUMPS.items()}
        }
    }

    def shown(self, member: Mapping[str, Any]) -> dict[str, Any]:
        world = self.sim.world["device_management"]
        manifest = world["firmware_manifests"].get(member["root_manifest_id"], {})
        ids = member["device_filter"].removeprefix("id__in=").split(",")
        return {
            "name": member["name"],
            "description": member["description"],
            "manifest": manifest.get("name"),
            "devices": sorted(name for name, id in PUMPS.items() if id in ids),
            "strategy": member["campaign_strategy"],
            "start_at": member["when"],
            "autostop": member["autostop"],
            "autostop_success_percent": member["autostop_success_percent"],
            "approval_required": member["approval_required"],
            "start": member["phase"] != "draft",
        }

    def change(self, id: str, path: tuple[str, ...], value: Any) -> None:
        (name,) = path
        wire: dict[str, tuple[str, Any]] = {"strategy": ("campaign_strategy", value), "start_at": ("when", value)}
        if name == "devices":
            wire[name] = "device_filter", f"id__in={','.join(PUMPS[pump] for pump in value)}"
        if name == "manifest":
            manifests = self.sim.world["device_management"]["firmware_manifests"]
            wire[name] = "root_manifest_id", next(id for id, held in manifests.items() if held["name"] == value)
        field, sent = wire.get(name, (name, value))
        super().change(id, (field,), sent)

    def add(self, name: str) -> str:
        self.added += 1
        with self.outside("device_management") as world:
            world["campaigns"][f"{self.added:032x}"] = {"name": name, "device_filter": f"id__eq={device(9)}"}
        return name


class CampaignsOfNameless(Campaigns):
    """Its devices have no names at the API yet."""

    world: ClassVar[Mapping[str, Any]] = {
        "device_management": {"devices": {id: {"endpoint_name": f"pump-{name}"} for name, id in PUMPS.items()}}
    }


class SharedKeys(Managed):
    section = "shared_keys"

    def live(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        return [
            (name, {"endpoint_name": name, "secret_hex": key["secret_hex"]}) for name, key in self.members().items()
        ]

    def change(self, id: str, path: tuple[str, ...], value: Any) -> None:
        self.sim.advance(2)  # dates are in whole seconds
        with self.outside("device_management") as world:
            world[self.section][id] = {"secret_hex": value}  # made anew, now

    def remove(self, id: str) -> None:
        with self.outside("device_management") as world:
            del world[self.section][id]

    def add(self, name: str) -> str:
        name = f"{name:0<16}"
        with self.outside("device_management") as world:
            world[self.section][name] = {"secret_hex": "0" * 32}
        return name


A_GROUP: dict[str, Any] = {
    "entry": {"name": "north", "description": "pumps", "custom_attributes": {"line": "3", "site": "oslo"}},
    "other": {"name": "north", "description": "grün & 1=2", "custom_attributes": {"line": "4", "site": "bergen"}},
}
A_DEVICE: dict[str, Any] = {
    "entry": {
        "name": "main",
        "description": "the first one",
        "custom_attributes": {"line": "3", "site": "oslo"},
        "endpoint_type": "pump",
        "host_gateway": "gateway-1",
        "device_key": "AA:BB",
        "ca_id": "0158d38771f70000000000090010000a",
        "auto_update": True,
    },
    "other": {
        "name": "spare",
        "description": "grün & 1=2",
        "custom_attributes": {"line": "4", "site": "bergen"},
        "endpoint_type": "valve",
        "host_gateway": "gateway-2",
        "device_key": "CC:DD",
        "ca_id": "0158d38771f70000000000090010000b",
        "auto_update": False,
    },
}


def a_campaign(*, start: bool, second: bool = False) -> dict[str, Any]:
    return {
        "name": "rollout",
        "description": "the second try" if second else "the first try",
        "manifest": "v2" if second else "v1",
        "devices": ["second"] if second else ["first", "second"],
        "strategy": "one-shot",
        "autostop": not second,
        "autostop_success_percent": 90.0 if second else 80.0,
        "approval_required": second,
        "start": start,
        "start_at": f"2026-12-0{1 + second}T08:00:00Z",
    }


CAMPAIGN: dict[str, Any] = {
    "type": "device_management.campaigns",
    "account": Campaigns.served,
    "around": {
        "device_management": {
            "devices": {name: {"id": id} for name, id in PUMPS.items()},
            "firmware_manifests": {"v1": {"file": "v1.manifest"}, "v2": {"file": "v2.manifest"}},
        }
    },
    "files": FILES,
    "page_size": PAGE,
}
IN_ITS_PHASE = "a campaign that was started cannot be changed: another one is made"

TestGroups = suite(Case(type="device_management.groups", account=Groups.served, page_size=PAGE, **A_GROUP))
TestDevicesThatHaveEnrolled = suite(
    Case(
        type="device_management.devices",
        account=Enrolled.served,
        unit=lambda number, key: Unit(key, endpoint(number), {"id": device(number)}),
        page_size=PAGE,
        **A_DEVICE,
    )
)
TestDevicesThatAreManaged = suite(
    Case(
        type="device_management.devices",
        account=Devices.served,
        unit=lambda number, key: Unit(
            key, endpoint(number), {"endpoint_name": endpoint(number), "lifecycle": "managed"}
        ),
        page_size=PAGE,
        **A_DEVICE,
    )
)
TestMemberships = suite(
    Case(
        type="device_management.devices.groups",
        account=Memberships.served,
        entry={},
        other={},
        place=("device_management", "devices", "pump", "groups"),
        around={
            "device_management": {
                "groups": {name: {} for name in ("one", *(f"one-{number}" for number in range(1, 5)), *HARD_GROUPS)},
                "devices": {"pump": {"id": device(0)}},
            }
        },
        hard_keys=HARD_GROUPS,
    )
)
TestFirmwareImages = suite(
    Case(
        type="device_management.firmware_images",
        account=Images.served,
        entry={"file": "v1.bin", "name": "pump 1.0"},
        other={"file": "v2.bin", "name": "pump 1.0"},
        files=FILES,
        page_size=PAGE,
    )
)
TestFirmwareManifests = suite(
    Case(
        type="device_management.firmware_manifests",
        account=Manifests.served,
        entry={"file": "v1.manifest", "name": "pump 1.0"},
        other={"file": "second.manifest", "name": "pump 1.0"},
        files={**FILES, "second.manifest": b"of another length"},
        page_size=PAGE,
    )
)
TestCampaignsThatAreDrafts = suite(
    Case(
        entry=a_campaign(start=False),
        other=a_campaign(start=False, second=True),
        left_out={
            "group": "the devices are written; a campaign is for one of them",
            "device_filter": "likewise",
            "strategy": "it cannot be changed: another one is made",
            "start": "see below",
        },
        **CAMPAIGN,
    )
)
TestCampaignsThatAreStarted = suite(
    Case(
        entry=a_campaign(start=True),
        other=a_campaign(start=True),
        left_out=dict.fromkeys((*a_campaign(start=True), "group", "device_filter"), IN_ITS_PHASE),
        **CAMPAIGN,
    )
)
TestSharedKeys = suite(
    Case(
        type="device_management.shared_keys",
        account=SharedKeys.served,
        entry={"endpoint_name": "pump-0000000000000001", "secret_hex": "env:FIRST"},
        other={"endpoint_name": "pump-0000000000000001", "secret_hex": "env:SECOND"},
        key="pump-0000000000000000",
        environ={"FIRST": "0123456789abcdef0123456789abcdef", "SECOND": "fedcba9876543210fedcba9876543210"},
        hard_keys=(
            "a pump with blanks",
            "a/pump/with/slashes",
            "a%2Fpump%with%25",
            'a?pump&with=a"#+;,',
            "....................x",
        ),
        page_size=PAGE,
    )
)


def test_a_campaign_may_name_devices_that_get_their_names_in_the_same_apply(tmp_path: Path) -> None:
    case = {**CAMPAIGN, "account": CampaignsOfNameless.served}
    subject = Subject(Case(entry=a_campaign(start=False), other=a_campaign(start=False), **case))
    with Lab(subject, tmp_path) as lab:
        bench = lab.bench()
        bench.write(subject.member())
        bench.apply_well()
        bench.assert_live("after the first apply")
        bench.assert_in_sync("after the first apply")
