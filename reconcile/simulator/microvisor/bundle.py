"""
App bundles: what the service computes from an uploaded zip.

docs/apis/microvisor.md, "Apps": `hash` hashes the manifest, which the service computes, so an App cannot be compared
with local bytes. Ours names the members with their checksums, from the zip's directory; nothing is unpacked and nothing
is kept.
"""

import hashlib
import io
import json
import struct
import zipfile
import zlib


class BundleError(ValueError):
    """An upload that is no app bundle."""


def manifest(bundle: memoryview) -> bytes:
    """
    The manifest of a bundle.

    Raises:
        BundleError: not a zip that opens, or one without a member.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, struct.error, zlib.error, ValueError, OSError, NotImplementedError, EOFError):
        raise BundleError("File is not a zip archive") from None
    if not members:
        raise BundleError("File is a zip archive without members")
    listed = [{"name": m.filename, "size": m.file_size, "crc32": f"{m.CRC:08x}"} for m in members]
    listed.sort(key=lambda member: (member["name"], member["crc32"]))
    return json.dumps({"manifest_version": 1, "members": listed}, separators=(",", ":")).encode()


def manifest_hash(text: bytes) -> str:
    """`algorithm:value`, as the API writes it."""
    return "sha256:" + hashlib.sha256(text).hexdigest()
