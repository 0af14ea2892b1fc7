"""
Device: what the account knows of a piece of hardware (docs/apis/device_management.md, "Devices").

It is addressed by its id, or found by its endpoint name, of which one at a time is in use (the older entry of a device
that enrolled anew is deregistered), or by its name, which is not unique. The Device ID is needed, never that of a
pre-shared key. Most devices enrol themselves, so that one is adopted and forgotten, unless the document says
`lifecycle: managed`. `groups` of an answer are its memberships: nobody has to ask for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from reconcile.provider import (
    Alias,
    Attrs,
    BadAnswer,
    Edit,
    Entry,
    Lifecycle,
    Mark,
    Mistake,
    Named,
    Observed,
    Page,
    Patch,
    Reading,
    Ref,
    ResourceType,
    StrictModel,
    Target,
)
from reconcile.provider.rest import body
from reconcile.providers.device_management import fields
from reconcile.providers.device_management.connection import (
    API,
    PAGE_SIZE,
    Api,
    by_id,
    count,
    delete,
    id_of,
    matching,
    pages,
    send,
    text,
)

DEVICES = ("v3", "devices")
MEMBERSHIPS = "device_management.devices.groups"
MOST_ATTRIBUTES = 5
DEREGISTERED = "deregistered"
IN_FILTER, FILTER_LENGTH = 100, 4000  # of one `__in` filter: values, and characters of a URL that any proxy takes

_BY_ENDPOINT = "endpoint_name:"
_SENT = ("description", "custom_attributes", "endpoint_type", "host_gateway", "device_key", "ca_id", "auto_update")


class Device(StrictModel):
    """`device_management.devices.<name>`. The groups that it is in are resources of their own, under it."""

    id: Annotated[str, Field(pattern="^[0-9a-fA-F]{32}$"), Mark.LOCATOR] | None = Field(
        default=None, description="The Device ID: 32 hex digits. Not the id of its pre-shared key."
    )
    endpoint_name: Annotated[str, Field(min_length=1, max_length=64), Mark.LOCATOR] | None = Field(
        default=None, description="What the device calls itself; finds it where the id is not known."
    )
    name: Annotated[str, Mark.NAME] | None = Field(
        default=None, description="Its name at the API; the key unless it is written."
    )
    lifecycle: Annotated[Literal["managed", "adopted"], Mark.RECORDED] | None = Field(
        default=None,
        description="managed: made when it is not there, and deleted when it leaves the files. Else only adopted.",
    )
    description: fields.Description | None = Field(default=None, description="Up to 2,000 characters.")
    custom_attributes: (
        Annotated[dict[str, fields.AttributeValue], Field(max_length=MOST_ATTRIBUTES), Mark.MEMBERS] | None
    ) = Field(default=None, description="Up to 5 texts by key; those that are not mentioned stay as they are.")
    endpoint_type: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="A class of devices.")
    host_gateway: str | None = Field(
        default=None, description="The gateway that hosts it: its id, or its endpoint name where the API is of 2019."
    )
    device_key: Annotated[str, Field(max_length=512)] | None = Field(
        default=None, description="The fingerprint of its certificate."
    )
    ca_id: Annotated[str, Field(max_length=500)] | None = Field(
        default=None, description="The id of the certificate's issuer."
    )
    auto_update: bool | None = Field(default=None, description="Whether it updates its firmware by itself.")


class DeviceType(ResourceType[Api]):
    """Devices of the account."""

    path = "device_management.devices"
    singular = "device"
    noun = "device"
    defaults: ClassVar[Attrs] = {"auto_update": False}
    Model = Device
    names = "shared"

    def unit(self, attrs: Attrs, key: str) -> tuple[str | None, str]:
        return _located(attrs), fields.name_of(attrs, key)

    def lifecycle(self, attrs: Attrs) -> Lifecycle:
        managed = attrs.get("lifecycle") == "managed"
        # The API gives the id, so that one which has it already cannot be made.
        return Lifecycle(managed and not attrs.get("id"), managed, "delete" if managed else "forget")

    def check(self, attrs: Attrs, key: str) -> list[Mistake]:
        return fields.name_problems(attrs, key) + fields.attribute_problems(attrs)

    def compose(self, edit: Edit) -> Patch | None:
        return fields.composed(edit, MOST_ATTRIBUTES, self.noun)

    def recalled(self, entry: Entry, id_of: Callable[[Ref], str | None]) -> Observed:
        found = _located({"endpoint_name": entry.attrs.get("endpoint_name")})
        return replace(super().recalled(entry, id_of), aliases=(found,) if found else ())

    async def listing(self, api: Api, parent: str | None) -> AsyncIterator[Page]:
        async for page in pages(api, *DEVICES, read=read_device):
            yield page

    async def selection(self, api: Api, named: Named) -> AsyncIterator[Page] | None:
        if not named.count:
            return None
        # A filter takes 100 values at most, so that more requests than these cannot be saved by asking one by one.
        listed = -(-await count(api, *DEVICES) // PAGE_SIZE)
        if listed * IN_FILTER <= named.count // 2:
            return None
        filters = list(filters_for(await named.units()))
        return self._selected(api, filters) if len(filters) < listed else None

    async def _selected(self, api: Api, filters: Iterable[tuple[str, str]]) -> AsyncIterator[Page]:
        for name, value in filters:
            async for page in pages(api, *DEVICES, read=read_device, params={name: value}):
                yield page

    async def read(self, api: Api, target: Target) -> Reading:
        if target.id is not None:
            return await by_id(api, *DEVICES, target.id, read=read_device)
        endpoint = target.alias.removeprefix(_BY_ENDPOINT) if target.alias is not None else None
        by = {"name__eq": target.name or ""} if endpoint is None else {"endpoint_name__eq": endpoint}
        found, now = await matching(api, *DEVICES, read=read_device, **by)
        in_use = [seen for seen in found if seen.retired is None]
        found = in_use or found
        if len(found) > 1:
            ids = " and ".join(sorted(seen.id for seen in found[:2]))
            raise BadAnswer(f"two live devices answer to {next(iter(by.values()))!r}: {ids}")
        return Reading(found[0] if found else None, now)

    async def create(self, api: Api, target: Target, attrs: Attrs) -> Observed:
        sent = {name: attrs[name] for name in (*_SENT, "endpoint_name") if name in attrs}
        answer = await send(api, "POST", *DEVICES, json={**sent, "name": target.name}, idempotent=False)
        return read_device(body(answer, API))

    async def update(self, api: Api, target: Target, patch: Attrs) -> Observed:
        answer = await send(api, "PUT", *DEVICES, target.id or "", json=patch, idempotent=True)
        return read_device(body(answer, API))

    async def delete(self, api: Api, target: Target) -> None:
        await delete(api, *DEVICES, target.id or "")


def filters_for(units: Iterable[tuple[str | None, str]]) -> Iterator[tuple[str, str]]:
    """
    What asks for these units and few others, as the fewest filters.

    Args:
        units: of each its id, or `endpoint_name:…`, or None; and its name, which finds those without.
    """
    values: dict[str, dict[str, None]] = {"id": {}, "endpoint_name": {}, "name": {}}
    for id, name in units:
        if id is None:
            values["name"][name] = None
        elif id.startswith(_BY_ENDPOINT):
            values["endpoint_name"][id.removeprefix(_BY_ENDPOINT)] = None
        else:
            values["id"][id] = None
    for field, wanted in values.items():
        batch: list[str] = []
        for value in wanted:
            if "," in value:  # it would be two values of a list
                yield f"{field}__eq", value
                continue
            if len(batch) == IN_FILTER or sum(map(len, batch)) + len(value) > FILTER_LENGTH:
                yield f"{field}__in", ",".join(batch)
                batch = []
            batch.append(value)
        if batch:
            yield f"{field}__in", ",".join(batch)


def read_device(member: Mapping[str, Any]) -> Observed:
    """A device as the API answers it, in the words of the model, with its memberships. Raises BadAnswer."""
    id = id_of(member, "device")
    attrs: dict[str, Any] = {
        name: text(member, name) for name in ("name", "description", "endpoint_type", "host_gateway", "device_key")
    }
    attrs |= {
        "ca_id": text(member, "ca_id"),
        "auto_update": member.get("auto_update") is True,
        fields.ATTRIBUTES: fields.attributes_of(member, "device"),
    }
    endpoint = text(member, "endpoint_name")
    return Observed(
        id,
        {**attrs, "endpoint_name": endpoint} if endpoint else attrs,
        attrs["name"] or None,
        version=fields.version_of(attrs),
        aliases=(_BY_ENDPOINT + endpoint,) if endpoint else (),
        retired=state if (state := text(member, "state")) == DEREGISTERED else None,
        parts={MEMBERSHIPS: [Observed(group, {"group": group}, parent=id) for group in _groups(member)]},
    )


def _groups(member: Mapping[str, Any]) -> list[str]:
    found = member.get("groups")
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(group, str) for group in found):
        raise BadAnswer("the Device Management API answered with a device whose groups are no list of ids")
    return found


def _located(attrs: Attrs) -> str | None:
    """Its id in the spelling of the API, or its endpoint name, marked as one; None where only its name is written."""
    if id := attrs.get("id"):
        return str(id).lower()
    endpoint = attrs.get("endpoint_name")
    return Alias(f"{_BY_ENDPOINT}{endpoint}") if endpoint else None
