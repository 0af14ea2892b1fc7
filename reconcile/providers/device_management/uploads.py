"""
Uploads of large images in chunks (docs/apis/device_management.md, "Upload jobs").

What is lost on the way is not continued: the job is deleted, so that no part of an image becomes one, and whoever makes
it begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path

from reconcile.provider import ApiError, BadAnswer, NoAnswer, Piece, Upload, pieces_of
from reconcile.provider.rest import body, caught_up
from reconcile.providers.device_management.connection import API, Api, delete, id_of, send, text

JOBS = ("v3", "firmware-images", "upload-jobs")
LARGE_BYTES = 100 * 1024 * 1024  # from this size on the API takes an image in chunks only
CHUNK_BYTES = 6 * 1024 * 1024  # as the vendor's own tool sends them


def is_large(upload: Upload) -> bool:
    """True if it has to be uploaded in chunks."""
    try:
        return not isinstance(upload.content, bytes) and Path(upload.content).stat().st_size >= LARGE_BYTES
    except OSError:
        return False  # whoever opens it will say why it cannot be read


async def upload_in_chunks(api: Api, words: Mapping[str, str], upload: Upload) -> str:
    """
    The id of the image that an upload became.

    Args:
        words: its name and description.

    Raises:
        As `Client.send`; BadAnswer too when the upload ends without an image.
    """
    job = id_of(body(await send(api, "POST", *JOBS, json=words, idempotent=False), API), "upload job")
    try:
        for content in chain(pieces_of(upload, CHUNK_BYTES), (b"",)):  # an empty one says that this was all
            piece = Piece(content, "binary/octet-stream")
            await api.main.send("POST", *JOBS, job, "chunks", files=piece, idempotent=False)
        image = await caught_up(lambda: _image_of(api, job), bool)
    finally:  # done or not, nothing goes on with it
        with suppress(ApiError, BadAnswer, NoAnswer):
            await delete(api, *JOBS, job)
    if not image:
        raise BadAnswer(f"the upload of {upload.filename} is complete, and became no image")
    return image


async def _image_of(api: Api, job: str) -> str:
    """The id of the image that an upload became; "" while it is none."""
    return text(body(await api.main.get(*JOBS, job), API), "firmware_image_id")
