"""
Keys and values of an account or of a device: the calls that configs and secrets share.

docs/apis/microvisor.md, "Configs" and "Secrets": `/Configs`, `/Devices/{sid}/Configs` and the same
with `Secrets`; POST on the collection creates (201), POST on the member updates (200), DELETE removes (204). Some
deployments refuse to update one: then it is deleted and made again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from reconcile.provider import (
    ApiError,
    Attrs,
    BadAnswer,
    Mistake,
    NotFound,
    Observed,
    Page,
    Reading,
    ResourceType,
    Secret,
    Target,
)
from reconcile.provider.rest import body, really_gone, server_time
from reconcile.providers.microvisor.connection import Api, pages
from reconcile.providers.microvisor.names import key_problems, normal_sid


class KeyedType(ResourceType[Api]):
    """A type whose identity is its key, under the account or under a device."""

    scalar = "value"
    collection: ClassVar[str]
    """`Configs` or `Secrets`, in the path; lower-case it is the array of a listing."""

    def check(self, attrs: Attrs, key: str) -> list[Mistake]:
        return key_problems(key)

    def observed(self, member: Mapping[str, Any], parent: str | None) -> Observed:
        """An answer in the words of the model."""
        raise NotImplementedError

    async def listing(self, api: Api, parent: str | None) -> AsyncIterator[Page]:
        def read(member: Mapping[str, Any], _: object) -> Observed:
            return self.observed(member, parent)

        async for page in pages(api, *self._path(parent), key=self.collection.lower(), read=read):
            yield page

    async def read(self, api: Api, target: Target) -> Reading:
        try:
            answer = await api.main.get(*self._path(target.parent), key_of(target))
        except NotFound:
            return Reading(None)
        return Reading(self.observed(body(answer, "Microvisor"), target.parent), server_time(answer))

    async def create(self, api: Api, target: Target, attrs: Attrs) -> Observed:
        form: dict[str, str | Secret] = {"Key": key_of(target), "Value": attrs["value"]}
        answer = await api.main.send("POST", *self._path(target.parent), form=form, idempotent=False)
        return self.observed(body(answer, "Microvisor"), target.parent)

    async def update(self, api: Api, target: Target, patch: Attrs) -> Observed:
        form = {"Value": patch["value"]}
        try:
            answer = await api.main.send("POST", *self._path(target.parent), key_of(target), form=form, idempotent=True)
            return self.observed(body(answer, "Microvisor"), target.parent)
        except ApiError as refusal:
            if refusal.status not in (404, 405) and not _is_not_updated(refusal):
                raise
        # Between the two requests there is none; after a crash there the next plan finds it gone and makes it.
        await self.delete(api, target)
        made = await self.create(api, target, patch)
        note = f"the API refuses to update {self.collection.lower()}: deleted and made again"
        return replace(made, facts={**made.facts, "note": note})

    async def delete(self, api: Api, target: Target) -> None:
        try:
            answer = await api.main.send("DELETE", *self._path(target.parent), key_of(target), idempotent=True)
        except NotFound:
            return

        async def there() -> bool:
            return (await self.read(api, target)).seen is not None

        await really_gone(answer, f"the {self.noun} {key_of(target)}", there)

    def _path(self, parent: str | None) -> tuple[str, ...]:
        return ("Devices", parent, self.collection) if parent is not None else (self.collection,)


def _is_not_updated(refusal: ApiError) -> bool:
    """True of "Configs can't yet be updated", as the vendor's pages say it (docs/apis/microvisor.md, "Configs")."""
    words = (refusal.message or "").lower()
    return refusal.status == 400 and "updated" in words and ("can't" in words or "cannot" in words)


def key_of(target: Target) -> str:
    """The key at the API: the last key of the address."""
    return target.name or target.id or target.address.key


def owner(member: Mapping[str, Any], parent: str | None) -> str | None:
    """The device that an answer is about: as it says, else the one that was asked for."""
    sid = member.get("device_sid")
    return normal_sid(sid) if isinstance(sid, str) and parent is not None else parent


def member_key(member: Mapping[str, Any]) -> str:
    """The key of an answer. Raises BadAnswer when there is none."""
    key = member.get("key")
    if not isinstance(key, str):
        raise BadAnswer("the Microvisor API answered with a config or secret that has no key")
    return key
