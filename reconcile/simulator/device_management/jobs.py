"""
Uploads of large images in chunks: `/v3/firmware-images/upload-jobs` (docs/apis/device_management.md, "Upload jobs").

Of the bytes only their digest is kept, and of the jobs nothing outlives the simulator's process.
"""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

from reconcile.simulator import bodies
from reconcile.simulator.device_management.body import accepted
from reconcile.simulator.device_management.directory import Directory, created
from reconcile.simulator.device_management.fields import Record
from reconcile.simulator.device_management.refusal import Invalid, Refused, methods, not_found, unrecognized
from reconcile.simulator.device_management.resources import IMAGE, IMAGES
from reconcile.simulator.exchange import Call, Reply, json_answer

LEAST_CHUNK, MOST_CHUNK, MOST_CHUNKS = 5_000_000, 100 * 1024 * 1024, 10_000
_CHUNK_TYPE = "binary/octet-stream"


@dataclass(slots=True)
class Job:
    """
    One upload.

    Attributes:
        record: name and description of the image, and when the job was made.
        chunks: the length of each that came. image: the id of what they became, once the empty one came.
    """

    record: Record
    chunks: list[int] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)
    image: str | None = None


def answer_jobs(request: Call, directory: Directory, rest: list[str]) -> Reply:
    """
    Args:
        rest: the path behind `upload-jobs`.
    """
    jobs: dict[str, Job] = directory.upload_jobs
    if not rest:
        return methods(request, POST=lambda: _begin(request, directory))
    if rest[0] not in jobs:
        raise not_found("Upload job", rest[0])
    id_, job = rest[0], jobs[rest[0]]
    match rest[1:]:
        case []:
            return methods(request, GET=lambda: json_answer(200, _view(id_, job)), DELETE=lambda: _end(jobs, id_))
        case ["chunks"]:
            return methods(request, POST=lambda: _chunk(request, directory, job))
    raise unrecognized(request)


def _begin(request: Call, directory: Directory) -> Reply:
    job = Job({**accepted(request, IMAGE, creating=True), **created(request.now)})
    id_ = directory.new_id(request.now)
    directory.upload_jobs[id_] = job
    return json_answer(201, _view(id_, job))


def _end(jobs: dict[str, Job], id_: str) -> Reply:
    del jobs[id_]
    return Reply(204)


def _view(id_: str, job: Job) -> dict[str, Any]:
    done = job.image is not None
    return {
        "object": "upload-job",
        "id": id_,
        "name": job.record["name"],
        "description": job.record.get("description", ""),
        "created_at": job.record["created_at"],
        "status": "done" if done else "active",
        "firmware_image_id": job.image,
    }


def _chunk(request: Call, directory: Directory, job: Job) -> Reply:
    body = request.body
    if job.image is not None:
        raise Refused(409, "The upload is complete")
    if bodies.media_type(request.content_type) != _CHUNK_TYPE:
        raise Refused(400, f"The content type must be {_CHUNK_TYPE}")
    if request.content_md5 != base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode():
        raise Invalid([("Content-MD5", "is not that of the chunk")])
    if body and (len(body) > MOST_CHUNK or len(job.chunks) >= MOST_CHUNKS):
        raise Refused(413, f"A chunk has at most {MOST_CHUNK} bytes, an upload {MOST_CHUNKS} chunks")
    if body and job.chunks and job.chunks[-1] < LEAST_CHUNK:
        raise Refused(400, f"Every chunk but the last has at least {LEAST_CHUNK} bytes")
    if not body and not job.chunks:
        raise Refused(400, "There is nothing to upload")
    if body:
        job.chunks.append(len(body))
        job.digest.update(body)
    else:
        job.image = directory.new_id(request.now)
        found = {"datafile_checksum": job.digest.hexdigest(), "datafile_size": sum(job.chunks)}
        directory.add(IMAGES, job.image, {**job.record, **found, **created(request.now)})
    view = {"object": "upload-chunk", "id": directory.new_id(request.now), "length": len(body)}
    return json_answer(201, {**view, "hash": request.content_md5})
