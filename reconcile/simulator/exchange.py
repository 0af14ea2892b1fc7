"""
One request and its answer, as vendor APIs see them: no sockets, no framework.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"

# Of `Request.endless`.
AGAIN = "again"
EMPTY = "empty"


@dataclass(slots=True)
class Call:
    """
    A request whose path has been taken apart.

    Attributes:
        segments: the path, each segment decoded on its own, so that `%2F` stays inside one.
        query: the last value of each parameter.
        base: scheme and host that the client used, for the absolute URLs of answers.
        content_type, content_md5: the whole headers; empty when there are none.
        now: simulated seconds.
        omit: what a listing that is asked for lacks, by its id in that listing; everything else is as if it were not
            there. Empty for nothing.
        endless: the listing names another page after every page, under a token that is new as far as there are any.
            `AGAIN`: the next page has the members of this one; `EMPTY`: this one has none, the next begins where it
            began. Empty for neither.
    """

    method: str
    segments: list[str]
    query: Mapping[str, str]
    base: str
    authorization: str
    content_type: str
    now: float
    body: bytes = b""
    content_md5: str = ""
    omit: str = ""
    endless: str = ""


@dataclass(slots=True)
class Reply:
    """What is sent back. `Date` is added by the server."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


_encode = json.JSONEncoder(separators=(",", ":")).encode


def json_answer(status: int, value: Any) -> Reply:
    return Reply(status, _encode(value).encode())
