"""
Firmware images and manifests: bytes that are uploaded once and never changed (docs/apis/device_management.md,
"Firmware images" and "Firmware manifests").

An image of 100 MiB or more goes in chunks. Names are not unique. Of an image the API tells the SHA-256, so that one
with the same bytes is found; of a manifest it does not, so that the newest of its name is meant until the state knows
which. There is no update: a description is sent with the upload and not compared afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from reconcile.provider import (
    Alias,
    Attrs,
    Entry,
    FileRef,
    Largest,
    Mark,
    Mistake,
    Observed,
    Page,
    Reading,
    Ref,
    ResourceType,
    StrictModel,
    Target,
    Upload,
    View,
)
from reconcile.provider.rest import body
from reconcile.providers.device_management import fields
from reconcile.providers.device_management.connection import (
    API,
    Api,
    by_id,
    delete,
    id_of,
    matching,
    pages,
    remembered,
    text,
)
from reconcile.providers.device_management.uploads import is_large, upload_in_chunks

NEWEST_FIRST = {"order": "DESC"}
_BYTES = " sha256:"


class Firmware(StrictModel):
    """Fields of images and of manifests. The key is the name unless `name` says otherwise."""

    file: Annotated[FileRef, Mark.IMMUTABLE] = Field(description="The file to upload.")
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$"), Mark.ASIDE] | None = Field(
        default=None, description="SHA-256 of the file, hex; stands in for it until it is uploaded."
    )
    name: Annotated[str, Mark.NAME] | None = Field(default=None, description="Its name at the API.")
    description: Annotated[fields.Description, Mark.RECORDED] | None = Field(
        default=None, description="Sent with the upload; the API cannot change it, so it is not compared."
    )


class FirmwareImage(Firmware):
    """`device_management.firmware_images.<name>`."""


class FirmwareManifest(Firmware):
    """`device_management.firmware_manifests.<name>`."""

    file: Annotated[FileRef, Mark.IMMUTABLE, Largest(2048)] = Field(description="The file to upload: 2 kB at most.")


class FirmwareType(ResourceType[Api]):
    """An upload that is never changed."""

    names = "newest"
    collection: ClassVar[str]
    """In the path, under `/v3`."""

    def check(self, attrs: Attrs, key: str) -> list[Mistake]:
        return fields.name_problems(attrs, key)

    def unit(self, attrs: Attrs, key: str) -> tuple[str | None, str]:
        return None, fields.name_of(attrs, key)

    def facts(self, seen: Observed, prior: Entry | None = None) -> Mapping[str, Any]:
        return {"checksum": checksum} if (checksum := seen.facts.get("checksum")) else {}

    def observed(self, member: Mapping[str, Any]) -> Observed:
        """An answer in the words of the model. Raises BadAnswer."""
        name, checksum = text(member, "name"), text(member, "datafile_checksum").lower()
        return Observed(
            id_of(member, self.noun),
            {"name": name},
            name or None,
            facts={"checksum": checksum} if checksum else {},
            aliases=(alias(name, checksum),) if checksum else (),
        )

    async def listing(self, api: Api, parent: str | None) -> AsyncIterator[Page]:
        async for page in pages(api, "v3", self.collection, read=self.observed, params=NEWEST_FIRST):
            yield page

    async def read(self, api: Api, target: Target) -> Reading:
        if target.id is not None:
            return await by_id(api, "v3", self.collection, target.id, read=self.observed)
        name, _, checksum = (target.alias or "").rpartition(_BYTES)
        filters = {"name__eq": name or target.name or "", **NEWEST_FIRST}
        found, now = await matching(api, "v3", self.collection, read=self.observed, **filters)
        wanted = checksum or api.sent.get(target.address, {}).get("checksum")
        if wanted is not None:  # one of that name with other bytes is another one
            found = [seen for seen in found if seen.facts.get("checksum") in (wanted, None)]
        if found and target.alias is not None and not found[0].aliases:  # the API does not tell its bytes
            found[0] = replace(found[0], aliases=(target.alias,))
        return Reading(found[0] if found else None, now)

    async def create(self, api: Api, target: Target, attrs: Attrs) -> Observed:
        file: FileRef = attrs["file"]
        words = {"name": str(target.name)} | ({"description": attrs["description"]} if "description" in attrs else {})
        upload = Upload(Path(file.path).name, Path(file.path), file.sha256)
        with remembered(api, target.address, {"checksum": file.sha256}):
            return self.observed(await self._uploaded(api, words, upload))

    async def _uploaded(self, api: Api, words: Mapping[str, str], upload: Upload) -> Mapping[str, Any]:
        """The answer about what was uploaded in one request."""
        files = {"datafile": upload}
        answer = await api.main.send("POST", "v3", self.collection, form=words, files=files, idempotent=False)
        return body(answer, API)

    async def delete(self, api: Api, target: Target) -> None:
        await delete(api, "v3", self.collection, target.id or "")


def alias(name: str, checksum: str) -> Alias:
    """The alias that finds an upload by its name and its bytes."""
    return Alias(f"{name}{_BYTES}{checksum.lower()}")


class ImageType(FirmwareType):
    """Firmware images of the account."""

    path = "device_management.firmware_images"
    singular = "firmware_image"
    noun = "firmware image"
    Model = FirmwareImage
    collection = "firmware-images"

    def unit(self, attrs: Attrs, key: str) -> tuple[str | None, str]:
        name, file = fields.name_of(attrs, key), attrs.get("file")
        known = file.sha256 if isinstance(file, FileRef) else None
        return (alias(name, known) if known else None), name

    def recalled(self, entry: Entry, id_of: Callable[[Ref], str | None]) -> Observed:
        known, checksum = super().recalled(entry, id_of), entry.facts.get("checksum")
        return replace(known, aliases=(alias(str(known.name), checksum),) if checksum else ())

    async def _uploaded(self, api: Api, words: Mapping[str, str], upload: Upload) -> Mapping[str, Any]:
        if not is_large(upload):
            return await super()._uploaded(api, words, upload)
        image = await upload_in_chunks(api, words, upload)
        return body(await api.main.get("v3", self.collection, image), API)

    def view(self, seen: Observed, prior: Entry | None, now: datetime) -> View:
        live, uploaded = seen.facts.get("checksum"), prior.facts.get("checksum") if prior is not None else None
        if prior is None or not uploaded or not live or uploaded == live:
            return View(seen.attrs)
        said = f"{seen.id} with sha256 {live} is live, what was uploaded was {prior.id} with sha256 {uploaded}"
        return View(seen.attrs, not_ours=said)


class ManifestType(FirmwareType):
    """Firmware manifests of the account."""

    path = "device_management.firmware_manifests"
    singular = "firmware_manifest"
    noun = "firmware manifest"
    Model = FirmwareManifest
    collection = "firmware-manifests"
