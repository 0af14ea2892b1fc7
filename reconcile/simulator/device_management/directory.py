"""
What the account holds: devices and their groups, firmware, campaigns with the devices in them, pre-shared keys,
and what finds them.

Whoever changes a record does it here, so that `changed` names it for the database.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

from reconcile.simulator.clock import date
from reconcile.simulator.device_management.fields import Kind, Record, Resource, touched
from reconcile.simulator.device_management.filters import Condition
from reconcile.simulator.device_management.resources import (
    CAMPAIGNS,
    DEPLOYMENTS,
    DEREGISTERED,
    DEVICE,
    DEVICES,
    GROUPS,
    IMAGES,
    KEYS,
    MANIFESTS,
    RESOURCES,
)
from reconcile.simulator.ordered import Ordered

# What can be filtered besides a resource's own fields.
_COMPUTED: dict[str, dict[str, Kind]] = {
    DEVICES: {"account_id": Kind.TEXT},
    GROUPS: {"devices_count": Kind.NUMBER},
    IMAGES: {"datafile": Kind.TEXT},
    MANIFESTS: {"datafile": Kind.TEXT},
    CAMPAIGNS: {},
}


def _kinds(section: str, resource: Resource) -> dict[str, Kind]:
    own = {field.name: field.kind for field in resource.fields.values() if field.filtered}
    return {**own, "id": Kind.TEXT, "etag": Kind.DATE, **_COMPUTED[section]}


# The fields by which each kind of entity can be filtered.
FILTERED = {section: _kinds(section, RESOURCES[section]) for section in _COMPUTED}


class Directory:
    """
    One account.

    Attributes:
        changed: (kind, id) of every record that was written; the kinds are those of the sections of the world, with
            `device_management.` before them, and one for devices in campaigns (`<campaign>/<device>`).
        account_id: of the answers.
    """

    def __init__(self) -> None:
        self.changed: set[tuple[str, str]] = set()
        self.account_id = "0" * 32
        self.devices: Ordered[Record] = Ordered()
        self.groups: Ordered[Record] = Ordered()
        self.images: Ordered[Record] = Ordered()
        self.manifests: Ordered[Record] = Ordered()
        self.campaigns: Ordered[Record] = Ordered()
        self.keys: Ordered[Record] = Ordered()
        self.collections = {
            DEVICES: self.devices,
            GROUPS: self.groups,
            IMAGES: self.images,
            MANIFESTS: self.manifests,
            CAMPAIGNS: self.campaigns,
            KEYS: self.keys,
        }
        self.by_endpoint: dict[str, set[str]] = {}
        self.by_group_name: dict[str, str] = {}
        # Members by group, groups by device, and devices by campaign.
        self.members: dict[str, set[str]] = {}
        self.memberships: dict[str, set[str]] = {}
        self.deployments: dict[str, dict[str, Record]] = {}
        self.upload_jobs: dict[str, Any] = {}
        self._made = 0

    def device_called(self, endpoint: str) -> str | None:
        """The device of an endpoint name that is not deregistered; one at most, but in a world that says otherwise."""
        for id_ in sorted(self.by_endpoint.get(endpoint, ())):
            if DEVICE.get(self.devices.by_key[id_], "state") != DEREGISTERED:
                return id_
        return None

    def mark(self, section: str, id_: str) -> None:
        self.changed.add((f"device_management.{section}", id_))

    def new_id(self, now: float) -> str:
        """An id like the vendor's: it begins with the time, so that the order of ids is that of creation."""
        while True:
            self._made += 1
            id_ = f"{int(now * 1000):012x}0000000000{0x0100100000 + self._made % 0x100000:010x}"
            if not any(id_ in collection.by_key for collection in self.collections.values()):
                return id_

    def add(self, section: str, id_: str, record: Record) -> None:
        """Adds an entity, found from now on by its names."""
        self.collections[section].add(id_, record)
        if section == DEVICES:
            self.by_endpoint.setdefault(record["endpoint_name"], set()).add(id_)
        elif section == GROUPS:
            self.by_group_name[record["name"]] = id_
            self.members[id_] = set()
        elif section == CAMPAIGNS:
            self.deployments[id_] = {}
        self.mark(section, id_)

    def write(self, section: str, id_: str, fields: Record, now: float) -> None:
        """Sets fields of an entity."""
        record = self.collections[section].by_key[id_]
        if section == GROUPS and fields.get("name", record["name"]) != record["name"]:
            del self.by_group_name[record["name"]]
            self.by_group_name[fields["name"]] = id_
        record.update(fields, **touched(record, now))
        self.mark(section, id_)

    def remove(self, section: str, id_: str, now: float) -> None:
        """Removes an entity, and with it what hangs on it: memberships, and devices in a campaign."""
        record = self.collections[section].by_key[id_]
        if section == DEVICES:
            for group in list(self.memberships.get(id_, ())):
                self.leave(group, id_, now)
            self.by_endpoint[record["endpoint_name"]].discard(id_)
        elif section == GROUPS:
            for device in list(self.members[id_]):
                self.leave(id_, device, now)
            del self.by_group_name[record["name"]], self.members[id_]
        elif section == CAMPAIGNS:
            for device in self.deployments.pop(id_):
                self.mark(DEPLOYMENTS, f"{id_}/{device}")
        self.collections[section].remove(id_)
        self.mark(section, id_)

    def join(self, group: str, device: str, now: float) -> None:
        """Makes a device a member; a second time changes nothing."""
        if device not in self.members[group]:
            self.members[group].add(device)
            self.memberships.setdefault(device, set()).add(group)
            self._membership_written(group, device, now)

    def leave(self, group: str, device: str, now: float) -> None:
        """Ends a membership; without one it changes nothing."""
        if device in self.members[group]:
            self.members[group].discard(device)
            self.memberships[device].discard(group)
            if not self.memberships[device]:
                del self.memberships[device]
            self._membership_written(group, device, now)

    def _membership_written(self, group: str, device: str, now: float) -> None:
        record = self.groups.by_key[group]
        record.update(touched(record, now))
        self.mark(GROUPS, group)
        # The database keeps memberships with the device: a large group would be written whole for each of them.
        self.mark(DEVICES, device)

    def value(self, section: str, id_: str, name: str) -> Any:
        """The value of a field that can be filtered."""
        record = self.collections[section].by_key[id_]
        match name:
            case "id":
                return id_
            case "etag":
                return RESOURCES[section].etag(record)
            case "account_id":
                return self.account_id
            case "devices_count":
                return len(self.members[id_])
            case "datafile":
                return datafile(id_)
        return RESOURCES[section].get(record, name)

    def matches(self, section: str, id_: str, conditions: Iterable[Condition]) -> bool:
        return all(condition.holds(self.value(section, id_, condition.name)) for condition in conditions)

    def candidates(self, section: str, conditions: Iterable[Condition]) -> list[str]:
        """Ids, in order, outside of which no entity satisfies the conditions: found by id or name where possible."""
        collection = self.collections[section]
        for condition in conditions:
            if condition.operator not in ("eq", "in"):
                continue
            if condition.name == "id":
                return sorted({id_ for id_ in condition.wanted if id_ in collection.by_key})
            if condition.name == "endpoint_name":
                return sorted({id_ for name in condition.wanted for id_ in self.by_endpoint.get(name, ())})
        return collection.order()


def datafile(id_: str) -> str:
    """Where the bytes of an image or manifest would be; the simulator keeps none."""
    return f"https://firmware-catalog.invalid/{id_}"


def deployment_id(campaign: str, device: str) -> str:
    """The id of a device in a campaign."""
    return hashlib.sha256(f"{campaign}/{device}".encode()).hexdigest()[:32]


def created(now: float) -> Record:
    """The dates of a record that is made now."""
    return {"created_at": date(int(now)), "updated_at": date(int(now))}
