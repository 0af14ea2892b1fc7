"""
Pre-shared keys: `/v2/device-shared-keys` (docs/apis/device_management.md, "Pre-shared keys"). The secret is in no
answer; to rotate one is to delete it and to create it.

The vendor's client sends the `continuation_marker` of a page as `after`. Not documented: it is
opaque, the key that it points behind need not be there any more, and deleting what is not there is a 204.
"""

import base64
import binascii
from bisect import bisect_right
from typing import Any

from reconcile.simulator.device_management import filters
from reconcile.simulator.device_management.body import document
from reconcile.simulator.device_management.directory import Directory, created
from reconcile.simulator.device_management.listing import limit
from reconcile.simulator.device_management.refusal import Invalid, Refused, methods, not_found
from reconcile.simulator.device_management.resources import ENDPOINT, KEY, KEYS
from reconcile.simulator.exchange import EMPTY, Call, Reply, json_answer


def answer_keys(request: Call, directory: Directory, rest: list[str]) -> Reply:
    if not rest:
        return methods(request, GET=lambda: _listing(request, directory), POST=lambda: _create(request, directory))
    # The vendor's client leaves `/` in names as it is.
    endpoint = "/".join(rest)
    return methods(
        request, GET=lambda: _read(directory, endpoint), DELETE=lambda: _delete(request, directory, endpoint)
    )


def _view(directory: Directory, endpoint: str) -> dict[str, Any]:
    return {"endpoint_name": endpoint, "created_at": directory.keys.by_key[endpoint]["created_at"]}


def _listing(request: Call, directory: Directory) -> Reply:
    filters.of_query(request.query, {})
    size = limit(request)
    marker = request.query.get("after") or None
    order = directory.keys.order()
    if request.omit:
        order = [endpoint for endpoint in order if endpoint != request.omit]
    behind, turns = ("", 0) if marker is None else _read_marker(marker)
    start = bisect_right(order, behind)
    taken = [] if request.endless == EMPTY else order[start : start + size]
    answer: dict[str, Any] = {
        "object": "list",
        "limit": size,
        "after": marker,
        "order": "ASC",
        "has_more": start + size < len(order) or bool(request.endless),
        "data": [_view(directory, endpoint) for endpoint in taken],
    }
    if answer["has_more"]:
        following = f"{behind}\0{turns + 1}" if request.endless else taken[-1]
        answer["continuation_marker"] = base64.urlsafe_b64encode(following.encode()).decode()
    return json_answer(200, answer)


def _read_marker(marker: str) -> tuple[str, int]:
    """The name that it points behind, and how often a page of a listing without end was asked for already."""
    try:
        name, _, turns = base64.b64decode(marker.encode(), b"-_", validate=True).decode().partition("\0")
        return name, int(turns or 0)
    except (binascii.Error, ValueError):
        raise Invalid([("after", "is not a continuation marker")]) from None


def _create(request: Call, directory: Directory) -> Reply:
    body = document(request)
    endpoint = body.get("endpoint_name")
    problems = []
    if not isinstance(endpoint, str) or not ENDPOINT.fullmatch(endpoint):
        problems.append(("endpoint_name", f"must match ^{ENDPOINT.pattern}$"))
    secret = body.get("secret_hex")
    problem = KEY.fields["secret_hex"].problem(secret)
    if problem is not None:
        problems.append(("secret_hex", problem))
    if problems:
        raise Invalid(problems)
    name = str(endpoint)
    if name in directory.keys.by_key:
        raise Refused(409, f"There is a key for {name!r} already; delete it first")
    directory.add(KEYS, name, {"secret_hex": secret, **created(request.now)})
    return Reply(201)


def _read(directory: Directory, endpoint: str) -> Reply:
    if endpoint not in directory.keys.by_key:
        raise not_found("Pre-shared key", endpoint)
    return json_answer(200, _view(directory, endpoint))


def _delete(request: Call, directory: Directory, endpoint: str) -> Reply:
    if endpoint in directory.keys.by_key:
        directory.remove(KEYS, endpoint, request.now)
    return Reply(204)
