"""
Bodies that clients send to the Device Management API: JSON objects, and uploads with a `datafile`
(docs/apis/device_management.md, "Firmware images"). All of a body is checked before any of it is done.
"""

from typing import Any

from reconcile.simulator import bodies, shape
from reconcile.simulator.bodies import BodyError
from reconcile.simulator.device_management.fields import Record, Resource
from reconcile.simulator.device_management.refusal import Invalid, Refused
from reconcile.simulator.exchange import JSON, Call
from reconcile.simulator.shape import ShapeError


def document(request: Call) -> dict[str, Any]:
    """
    The JSON object of a body.

    Raises:
        Refused: it is something else.
    """
    if bodies.media_type(request.content_type) != JSON:
        raise Refused(400, f"The content type must be {JSON}")
    try:
        value = shape.loads(request.body)
    except ShapeError as e:
        raise Refused(400, f"The body {e.message}") from None
    if not isinstance(value, dict):
        raise Refused(400, f"The body must be an object, is {shape.kind(value)}")
    return value


def accepted(request: Call, resource: Resource, *, creating: bool) -> Record:
    """
    What a JSON body sets.

    Raises:
        Refused: it is none, or a field has a value that it cannot have.
    """
    record, problems = resource.accepted(document(request), creating=creating)
    if problems:
        raise Invalid(problems)
    return record


def upload(request: Call, resource: Resource) -> tuple[Record, dict[str, memoryview]]:
    """
    What an upload sets, and its parts.

    Raises:
        Refused: no multipart form, no `datafile`, or a field has a value that it cannot have.
    """
    try:
        parts = bodies.parts(request.content_type, request.body)
    except BodyError as e:
        raise Refused(400, str(e)) from None
    texts: dict[str, Any] = {}
    problems: list[tuple[str, str]] = []
    for name in ("name", "description"):
        if name in parts:
            try:
                texts[name] = bytes(parts[name]).decode()
            except UnicodeDecodeError:
                problems.append((name, "is not UTF-8"))
    if "datafile" not in parts:
        problems.append(("datafile", "is missing"))
    record, more = resource.accepted(texts, creating=True)
    refused = {name for name, _ in problems}
    problems += [(name, message) for name, message in more if name not in refused]
    if problems:
        raise Invalid(problems)
    return record, parts
