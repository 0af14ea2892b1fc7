"""
Pre-shared key of a device (docs/apis/device_management.md, "Pre-shared keys"): a secret under an endpoint name.

The secret is in no answer. There is no update: rotating one is deleting it and making it again, and between the two
requests the device cannot bootstrap. Whether somebody else rotated it is told by `created_at`. Lists go on after
their `continuation_marker`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Field

from reconcile.provider import (
    Attrs,
    BadAnswer,
    Edit,
    Entry,
    Gap,
    InvalidInput,
    Mark,
    Mistake,
    Observed,
    Page,
    Patch,
    Problem,
    Reading,
    Ref,
    ResourceType,
    Secret,
    SecretRef,
    StrictModel,
    Target,
    View,
)
from reconcile.provider.rest import caught_up, dated, moment, server_time
from reconcile.providers.device_management.connection import Api, by_id, delete, pages, send, text

KEYS = ("v2", "device-shared-keys")

_ENDPOINT = re.compile(r"[ -~]{16,64}")
CLOCKS = timedelta(minutes=1)  # what the clocks of two of the API's servers may differ by: chosen by feel

_SECRET = re.compile(r"(0[xX])?[0-9a-fA-F]{32,64}", re.ASCII)


class SharedKey(StrictModel):
    """`device_management.shared_keys.<endpoint name>: env:NAME` or another reference; never the value itself."""

    endpoint_name: Annotated[str, Mark.NAME] | None = Field(
        default=None, description="What the device calls itself; the key unless it is written."
    )
    secret_hex: Annotated[
        SecretRef, Gap("rotated by deleting it and making it again: between the two the device cannot bootstrap")
    ] = Field(description="Where the secret is: 32 to 64 hex digits.")


class SharedKeyType(ResourceType[Api]):
    """Pre-shared keys of the account."""

    path = "device_management.shared_keys"
    singular = "shared_key"
    noun = "pre-shared key"
    Model = SharedKey
    scalar = "secret_hex"

    def unit(self, attrs: Attrs, key: str) -> tuple[str | None, str]:
        return None, _endpoint(attrs, key)

    def check(self, attrs: Attrs, key: str) -> list[Mistake]:
        if _ENDPOINT.fullmatch(_endpoint(attrs, key)):
            return []
        path: tuple[str, ...] = ("endpoint_name",) if attrs.get("endpoint_name") is not None else ()
        hint = "The API takes 16 to 64 printable ASCII characters"
        return [(path, f"{_endpoint(attrs, key)!r} cannot be the endpoint name of a pre-shared key", hint)]

    def facts(self, seen: Observed, prior: Entry | None = None) -> Mapping[str, Any]:
        return {"created_at": seen.version}

    def view(self, seen: Observed, prior: Entry | None, now: datetime) -> View:
        recorded = dated(prior.facts.get("created_at")) if prior is not None else None
        moved = bool(seen.version and recorded and seen.version != recorded)
        first = {"created_at": seen.version} if seen.version and prior is not None and not recorded else None
        return View(seen.attrs, rewritten=seen.version if moved else None, learned=first)

    def recalled(self, entry: Entry, id_of: Callable[[Ref], str | None]) -> Observed:
        return replace(super().recalled(entry, id_of), version=entry.facts.get("created_at"))

    def compose(self, edit: Edit) -> Patch | None:
        if ("endpoint_name",) not in edit.paths:
            return None
        said = f"a pre-shared key belongs to its endpoint name: that of {edit.seen.id!r} stays, and another one is made"
        return Patch({}, replaces=said)

    async def listing(self, api: Api, parent: str | None) -> AsyncIterator[Page]:
        async for page in pages(api, *KEYS, read=read_key, marker="continuation_marker"):
            yield page

    async def read(self, api: Api, target: Target) -> Reading:
        return await by_id(api, *KEYS, target.id or target.name or target.address.key, read=read_key)

    async def create(self, api: Api, target: Target, attrs: Attrs) -> Observed:
        return await self._make(api, target, target.name or target.address.key, _checked(attrs))

    async def update(self, api: Api, target: Target, patch: Attrs) -> Observed:
        # Checked before the old one is deleted: a value that the API refuses would leave the device without a key.
        secret, endpoint = _checked(patch), target.id or target.name or target.address.key
        await delete(api, *KEYS, endpoint)
        return await self._make(api, target, endpoint, secret)

    async def delete(self, api: Api, target: Target) -> None:
        await delete(api, *KEYS, target.id or target.name or target.address.key)

    async def _make(self, api: Api, target: Target, endpoint: str, secret: Secret) -> Observed:
        sent = {"endpoint_name": endpoint, "secret_hex": secret}
        answer = await send(api, "POST", *KEYS, json=sent, idempotent=False)
        earliest = server_time(answer) - CLOCKS

        def has(reading: Reading) -> bool:
            made = moment(reading.seen.version) if reading.seen is not None else earliest - CLOCKS
            return made is None or made >= earliest

        # The answer need not have the date by which a rotation of somebody else is told; and a reading may lag behind:
        # then there is none, or the one that was deleted to make this one.
        reading = await caught_up(lambda: by_id(api, *KEYS, endpoint, read=read_key), has)
        if reading.seen is None or not has(reading):
            return Observed(endpoint, {"endpoint_name": endpoint}, endpoint)
        return reading.seen


def read_key(member: Mapping[str, Any]) -> Observed:
    """A key as the API answers it: when it was made, and never its secret. Raises BadAnswer."""
    endpoint = text(member, "endpoint_name")
    if not endpoint:
        raise BadAnswer("the Device Management API answered with a pre-shared key that has no endpoint name")
    return Observed(endpoint, {"endpoint_name": endpoint}, endpoint, version=dated(text(member, "created_at")) or None)


def _endpoint(attrs: Attrs, key: str) -> str:
    written = attrs.get("endpoint_name")
    return str(written) if written is not None else key


def _checked(attrs: Attrs) -> Secret:
    """The secret, if it can be one; what is wrong is said without showing it."""
    secret: Secret = attrs["secret_hex"]
    if not _SECRET.fullmatch(secret.reveal()):
        raise InvalidInput(
            Problem("the value behind secret_hex is not 32 to 64 hex digits", hint="Look for a line break at its end")
        )
    return secret
