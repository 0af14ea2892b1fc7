"""
Device groups: `/v3/device-groups/`, and their members, one device a call (docs/apis/device_management.md, "Groups" and
"Memberships").

A device that is a member already is added again, and one that is none removed, with
the same 204; a device that does not exist is a 404.
"""

from collections.abc import Callable
from typing import Any

from reconcile.simulator.device_management.body import document
from reconcile.simulator.device_management.devices import Devices
from reconcile.simulator.device_management.entities import Entities
from reconcile.simulator.device_management.fields import Record
from reconcile.simulator.device_management.refusal import Invalid, Refused, methods, not_found, unrecognized
from reconcile.simulator.device_management.resources import GROUPS
from reconcile.simulator.exchange import Reply


class Groups(Entities):
    kind = GROUPS
    title = "Device group"
    deep = True

    def view(self, id_: str) -> dict[str, Any]:
        return {**super().view(id_), "devices_count": len(self.directory.members[id_])}

    def checked(self, id_: str | None) -> Record:
        sent = super().checked(id_)
        owner = self.directory.by_group_name.get(sent["name"], id_) if "name" in sent else id_
        if owner != id_:
            raise Refused(409, f"name {sent['name']!r} is that of Device group {owner}")
        return sent

    def below(self, id_: str, rest: list[str]) -> Reply:
        directory = self.directory
        match rest:
            case ["devices"]:
                devices = Devices(self.request, directory)
                return methods(self.request, GET=lambda: devices.listing(directory.members[id_]))
            case ["devices", "add"]:
                return methods(self.request, POST=lambda: self._membership(id_, directory.join))
            case ["devices", "remove"]:
                return methods(self.request, POST=lambda: self._membership(id_, directory.leave))
        raise unrecognized(self.request)

    def _membership(self, id_: str, change: Callable[[str, str, float], None]) -> Reply:
        device = document(self.request).get("device_id")
        if not isinstance(device, str):
            raise Invalid([("device_id", "must be the id of a device")])
        if device not in self.directory.devices.by_key:
            raise not_found("Device", device)
        change(id_, device, self.request.now)
        return Reply(204)
