"""
Secret and Device Secret: texts under a key that are never returned (docs/apis/microvisor.md, "Secrets").

A read has `key` and `date_rotated` only, so whether somebody else rotated it is told by the date of the last write,
and whether the wanted value changed by a keyed fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from reconcile.provider import Entry, Longest, Observed, Ref, SecretRef, StrictModel, View
from reconcile.provider.rest import dated
from reconcile.providers.microvisor.keyed import KeyedType, member_key, owner


class SecretModel(StrictModel):
    """`secrets.<key>: env:NAME` or another reference; never the value itself."""

    value: Annotated[SecretRef, Longest(4096)] = Field(description="Where the value is, up to 4096 characters of it.")


class SecretType(KeyedType):
    """Secrets of the account."""

    path = "microvisor.secrets"
    singular = "secret"
    noun = "secret"
    Model = SecretModel
    collection = "Secrets"

    def observed(self, member: Mapping[str, Any], parent: str | None) -> Observed:
        key, rotated = member_key(member), dated(member.get("date_rotated"))
        of = owner(member, parent)
        return Observed(key, {}, name=key, parent=of, version=rotated, facts={"date_rotated": rotated})

    def facts(self, seen: Observed, prior: Entry | None = None) -> Mapping[str, Any]:
        return {"date_rotated": seen.facts.get("date_rotated")}

    def view(self, seen: Observed, prior: Entry | None, now: datetime) -> View:
        recorded = dated(prior.facts.get("date_rotated")) if prior is not None else None
        return View(seen.attrs, rewritten=seen.version if recorded not in (None, seen.version) else None)

    def recalled(self, entry: Entry, id_of: Callable[[Ref], str | None]) -> Observed:
        return replace(super().recalled(entry, id_of), version=entry.facts.get("date_rotated"))


class DeviceSecretType(SecretType):
    """Secrets of one device."""

    path = "microvisor.devices.secrets"
    singular = "device_secret"
    noun = "device secret"
    listed = "parent"
