"""
Firmware images and manifests: immutable, made by an upload, read and deleted (docs/apis/device_management.md,
"Firmware images" and "Firmware manifests"). Of their bytes only size and checksum are kept.

A real manifest is signed DER that holds the SHA-256 digest of its payload. Here one stands for the newest image
whose digest (raw or in hexadecimal) or id stands anywhere in its bytes; for the newest of all images when there is
none such, so that any bytes will do in a rehearsal; and for no image while there are none: devices cannot install
that. It is decided once, at the upload.

docs/apis/device_management.md, "What is not documented": an image or a manifest that is in use can be deleted. Devices
cannot install an image that is gone; a campaign whose manifest is gone stops.
"""

import hashlib
from typing import Any

from reconcile.simulator.clock import date
from reconcile.simulator.device_management.body import upload
from reconcile.simulator.device_management.directory import Directory, datafile
from reconcile.simulator.device_management.entities import Entities
from reconcile.simulator.device_management.fields import Record
from reconcile.simulator.device_management.jobs import answer_jobs
from reconcile.simulator.device_management.refusal import Refused
from reconcile.simulator.device_management.resources import IMAGES, MANIFESTS
from reconcile.simulator.exchange import Reply

MAX_DATAFILE = 100 * 1024 * 1024 - 1  # from here on in chunks (`jobs`)
MAX_MANIFEST = 2048


class Images(Entities):
    kind = IMAGES
    title = "Firmware image"
    mutable = False
    most = MAX_DATAFILE

    def answer(self, rest: list[str]) -> Reply:
        if self.kind == IMAGES and rest[:1] == ["upload-jobs"]:
            return answer_jobs(self.request, self.directory, rest[1:])
        return super().answer(rest)

    def view(self, id_: str) -> dict[str, Any]:
        return {**super().view(id_), "datafile": datafile(id_)}

    def create(self) -> Reply:
        record, parts = upload(self.request, self.resource)
        content = parts["datafile"]
        if len(content) > self.most:
            raise Refused(413 if self.kind == IMAGES else 400, f"The datafile holds more than {self.most} bytes")
        id_ = self.directory.new_id(self.request.now)
        return self.add(id_, {**record, "datafile_size": len(content), **self.computed(id_, parts)})

    def computed(self, id_: str, parts: dict[str, memoryview]) -> Record:
        """What the service finds out about an upload."""
        return {"datafile_checksum": hashlib.sha256(parts["datafile"]).hexdigest()}


class Manifests(Images):
    kind = MANIFESTS
    title = "Firmware manifest"
    most = MAX_MANIFEST

    def computed(self, id_: str, parts: dict[str, memoryview]) -> Record:
        image = _image_of(self.directory, bytes(parts["datafile"]))
        found = {"timestamp": date(int(self.request.now)), "image_id": image}
        return {**found, "key_table": f"{datafile(id_)}/key_table"} if parts.get("key_table") else found


def _image_of(directory: Directory, manifest: bytes) -> str | None:
    """The image that a manifest stands for."""
    newest_first = sorted(
        directory.images.by_key.items(), key=lambda item: (item[1]["created_at"], item[0]), reverse=True
    )
    lower = manifest.lower()
    for id_, image in newest_first:
        checksum: str = image["datafile_checksum"]
        if bytes.fromhex(checksum) in manifest or checksum.encode() in lower or id_.lower().encode() in lower:
            return id_
    return newest_first[0][0] if newest_first else None
