"""
Membership of a device in a group (docs/apis/device_management.md, "Memberships").

It is written on the group, one device a call, and read on the device, in its `groups`. Adding a second time and
removing what is no member change nothing, so that both may be repeated.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from reconcile.provider import (
    Attrs,
    BadAnswer,
    Mark,
    Membership,
    NotFound,
    Observed,
    Page,
    Reading,
    Refers,
    ResourceType,
    StrictModel,
    Target,
)
from reconcile.provider.rest import caught_up, really_gone
from reconcile.providers.device_management.connection import Api, by_id, send
from reconcile.providers.device_management.devices import DEVICES, MEMBERSHIPS, read_device
from reconcile.providers.device_management.groups import GROUPS


class GroupMembership(StrictModel):
    """`device_management.devices.<name>.groups: [north, pumps]`."""

    group: Annotated[str, Refers("device_management.groups"), Mark.COMPUTED] | None = Field(
        default=None, description="The group: the key says it."
    )


class MembershipType(ResourceType[Api]):
    """The groups that a device is in, of those in the document; those in other groups are left alone."""

    path = MEMBERSHIPS
    singular = "membership"
    noun = "membership"
    Model = GroupMembership
    listed = "parent"
    membership = Membership("group", exclusive=True)

    def unit(self, attrs: Attrs, key: str) -> tuple[str | None, str]:
        return None, key

    async def listing(self, api: Api, parent: str | None) -> AsyncIterator[Page]:
        reading = await by_id(api, *DEVICES, parent or "", read=read_device)
        now = reading.now or datetime.fromtimestamp(0, UTC)
        yield Page(reading.seen.parts[MEMBERSHIPS] if reading.seen is not None else [], now)

    async def read(self, api: Api, target: Target) -> Reading:
        reading = await by_id(api, *DEVICES, target.parent or "", read=read_device)
        parts = reading.seen.parts[MEMBERSHIPS] if reading.seen is not None else []
        group = target.id or api.sent.get(target.address, {}).get("group")
        return Reading(next((seen for seen in parts if seen.id == group), None), reading.now)

    async def create(self, api: Api, target: Target, attrs: Attrs) -> Observed:
        group, device = str(attrs["group"]), target.parent or ""
        api.sent[target.address] = {"group": group}
        sent = {"device_id": device}
        answer = await send(api, "POST", *GROUPS, group, "devices", "add", json=sent, idempotent=True)
        if answer.status != 204:  # any other success may say anything

            async def joined() -> bool:
                return (await self.read(api, target)).seen is not None

            if not await caught_up(joined, bool):
                raise BadAnswer(f"adding {device} to the group was answered {answer.status}, and it is not in it")
        api.sent[target.address] = {"group": group, "device": device}
        return Observed(group, {"group": group}, parent=device)

    async def delete(self, api: Api, target: Target) -> None:
        sent = {"device_id": target.parent}
        try:
            answer = await send(api, "POST", *GROUPS, target.id or "", "devices", "remove", json=sent, idempotent=True)
        except NotFound:
            # The group or the device is gone, and the membership with it; a wrong URL is told by the reading.
            if (await self.read(api, target)).seen is not None:
                raise
            return

        async def there() -> bool:
            return (await self.read(api, target)).seen is not None

        await really_gone(answer, f"{target.parent} from the group", there)
