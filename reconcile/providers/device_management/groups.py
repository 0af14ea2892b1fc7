"""
Device group: a name that devices are members of (docs/apis/device_management.md, "Groups").

The API refuses a second one of a name with a 409. Membership is written on the group, one device a call: see
`memberships`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from reconcile.provider import (
    Attrs,
    Edit,
    Mark,
    Mistake,
    Observed,
    Page,
    Patch,
    Reading,
    ResourceType,
    StrictModel,
    Target,
)
from reconcile.provider.rest import body
from reconcile.providers.device_management import fields
from reconcile.providers.device_management.connection import API, Api, by_id, delete, id_of, matching, pages, send, text

GROUPS = ("v3", "device-groups")
MOST_ATTRIBUTES = 10


class Group(StrictModel):
    """`device_management.groups.<name>`."""

    name: Annotated[str, Mark.NAME] | None = Field(
        default=None, description="Its name at the API; the key unless it is written."
    )
    description: fields.Description | None = Field(default=None, description="Up to 2,000 characters.")
    custom_attributes: (
        Annotated[dict[str, fields.AttributeValue], Field(max_length=MOST_ATTRIBUTES), Mark.MEMBERS] | None
    ) = Field(default=None, description="Up to 10 texts by key; those that are not mentioned stay as they are.")


class GroupType(ResourceType[Api]):
    """Device groups of the account."""

    path = "device_management.groups"
    singular = "group"
    noun = "device group"
    Model = Group

    def unit(self, attrs: Attrs, key: str) -> tuple[str | None, str]:
        return None, fields.name_of(attrs, key)

    def check(self, attrs: Attrs, key: str) -> list[Mistake]:
        return fields.name_problems(attrs, key) + fields.attribute_problems(attrs)

    def compose(self, edit: Edit) -> Patch | None:
        return fields.composed(edit, MOST_ATTRIBUTES, self.noun)

    async def listing(self, api: Api, parent: str | None) -> AsyncIterator[Page]:
        async for page in pages(api, *GROUPS, read=read_group):
            yield page

    async def read(self, api: Api, target: Target) -> Reading:
        if target.id is not None:
            return await by_id(api, *GROUPS, target.id, read=read_group)
        found, now = await matching(api, *GROUPS, read=read_group, name__eq=target.name or "")
        return Reading(next((seen for seen in found if seen.name == target.name), None), now)

    async def create(self, api: Api, target: Target, attrs: Attrs) -> Observed:
        sent = {**attrs, "name": target.name}
        return read_group(body(await send(api, "POST", *GROUPS, json=sent, idempotent=False), API))

    async def update(self, api: Api, target: Target, patch: Attrs) -> Observed:
        answer = await send(api, "PUT", *GROUPS, target.id or "", json=patch, idempotent=True)
        return read_group(body(answer, API))

    async def delete(self, api: Api, target: Target) -> None:
        await delete(api, *GROUPS, target.id or "")


def read_group(member: Mapping[str, Any]) -> Observed:
    """A group as the API answers it, in the words of the model. Raises BadAnswer."""
    attrs: dict[str, Any] = {
        "name": text(member, "name"),
        "description": text(member, "description"),
        fields.ATTRIBUTES: fields.attributes_of(member, "device group"),
    }
    return Observed(id_of(member, "device group"), attrs, attrs["name"] or None, version=fields.version_of(attrs))
