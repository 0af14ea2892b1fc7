"""
Firmware images and manifests: immutable, made by an upload, read and deleted (contract: firmware image, firmware
manifest). Of their bytes only size and checksum are kept.

A real manifest is signed DER that holds the SHA-256 digest of its payload. Here one stands for the newest image
whose digest (raw or in hexadecimal) or id stands anywhere in its bytes; for the newest of all images when there is
none such, so that any bytes will do in a rehearsal; and for no image while there are none: devices cannot install
that. It is decided once, at the upload.

Where the contract is silent: an image or a manifest that is in use can be deleted. Devices cannot install an image
that is gone; a campaign whose manifest is gone stops.
"""

import hashlib
from typing import Any

from reconcile.simulator.clock import date
from reconcile.simulator.device_management import filters
from reconcile.simulator.device_management.body import upload
from reconcile.simulator.device_management.directory import FILTERED, Directory, created, datafile
from reconcile.simulator.device_management.listing import listing
from reconcile.simulator.device_management.refusal import Refused, methods, not_found, unrecognized
from reconcile.simulator.device_management.resources import IMAGES, RESOURCES
from reconcile.simulator.exchange import Answer, Request, json_answer

# Larger images go to the vendor in chunks, another call.
MAX_DATAFILE = 100_000_000


def answer_firmware(request: Request, directory: Directory, section: str, rest: list[str]) -> Answer:
    """
    Answers for images or for manifests.

    Args:
        section: which of the two.
    """
    match rest:
        case []:
            return methods(
                request,
                GET=lambda: _listing(request, directory, section),
                POST=lambda: _create(request, directory, section),
            )
        case [id_]:
            if id_ not in directory.collections[section].by_key:
                raise not_found("Firmware image" if section == IMAGES else "Firmware manifest", id_)
            return methods(
                request,
                GET=lambda: json_answer(200, _view(directory, section, id_)),
                DELETE=lambda: _delete(request, directory, section, id_),
            )
    raise unrecognized(request)


def _listing(request: Request, directory: Directory, section: str) -> Answer:
    conditions = filters.of_query(request.query, FILTERED[section])
    return listing(
        request,
        directory.candidates(section, conditions),
        (lambda id_: directory.matches(section, id_, conditions)) if conditions else None,
        lambda id_: _view(directory, section, id_),
    )


def _view(directory: Directory, section: str, id_: str) -> dict[str, Any]:
    view = RESOURCES[section].view(id_, directory.collections[section].by_key[id_])
    return {**view, "datafile": datafile(id_)}


def _create(request: Request, directory: Directory, section: str) -> Answer:
    record, parts = upload(request, RESOURCES[section])
    content = parts["datafile"]
    if len(content) > MAX_DATAFILE:
        raise Refused(413, f"The datafile holds more than {MAX_DATAFILE} bytes")
    id_ = directory.new_id(request.now)
    record |= created(request.now)
    record["datafile_size"] = len(content)
    if section == IMAGES:
        record["datafile_checksum"] = hashlib.sha256(content).hexdigest()
    else:
        record["timestamp"] = date(int(request.now))
        record["image_id"] = _image_of(directory, bytes(content))
        if parts.get("key_table"):
            record["key_table"] = f"{datafile(id_)}/key_table"
    directory.add(section, id_, record)
    return json_answer(201, _view(directory, section, id_))


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


def _delete(request: Request, directory: Directory, section: str, id_: str) -> Answer:
    directory.remove(section, id_, request.now)
    return Answer(204)
