"""
Devices: `/v3/devices/` (docs/apis/device_management.md, "Devices").

docs/apis/device_management.md, "What is not documented": `endpoint_name` of a device that is made without one is its
id; one that is taken is a 409; fields that are read-only are passed over, `endpoint_name` and `groups` of a PUT among
them.
"""

from typing import Any

from reconcile.simulator.device_management.entities import Entities
from reconcile.simulator.device_management.refusal import Refused
from reconcile.simulator.device_management.resources import DEVICES, UNENROLLED
from reconcile.simulator.exchange import Reply


class Devices(Entities):
    kind = DEVICES
    title = "Device"

    def view(self, id_: str) -> dict[str, Any]:
        groups = sorted(self.directory.memberships.get(id_, ()))
        return {**super().view(id_), "account_id": self.directory.account_id, "groups": groups}

    def create(self) -> Reply:
        sent = self.checked(None)
        id_ = self.directory.new_id(self.request.now)
        endpoint = sent.get("endpoint_name") or id_
        if (known := self.directory.device_called(endpoint)) is not None:
            raise Refused(409, f"endpoint_name {endpoint!r} is that of Device {known}")
        answer = self.add(id_, {"state": UNENROLLED, **sent, "endpoint_name": endpoint})
        self.directory.device_written(id_, self.by_id[id_], self.request.now)
        return answer

    def update(self, id_: str) -> Reply:
        sent = self.checked(id_)
        if sent:
            self.directory.write(DEVICES, id_, sent, self.request.now)
            self.directory.device_written(id_, self.by_id[id_], self.request.now)
        return self.read(id_)
