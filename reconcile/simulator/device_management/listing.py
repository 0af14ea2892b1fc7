"""
Lists by page (docs/apis/device_management.md, "Lists"): `limit`, `after`, `order` and `include=total_count`.

Entities stand in the order of their ids, which those that the service makes begin with their time of creation.
A page starts after an id that need not be there any more: whatever is added or removed between two requests,
what stays is listed once, and only in another place if it is another page's.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Any

from reconcile.simulator.device_management.refusal import Invalid
from reconcile.simulator.device_management.resources import ID
from reconcile.simulator.exchange import AGAIN, EMPTY, Call, Reply, json_answer

DEFAULT_LIMIT = 50
LEAST = 2
MOST = 1000

_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)


def limit(request: Call) -> int:
    """Out of range is clamped (docs/apis/device_management.md, "Lists")."""
    text = request.query.get("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not _WHOLE.fullmatch(text):
        raise Invalid([("limit", "must be a whole number")])
    return min(max(int(text), LEAST), MOST)


def listing(
    request: Call,
    keys: list[str],
    matches: Callable[[str], bool] | None,
    view: Callable[[str], dict[str, Any]],
) -> Reply:
    """
    The page that the request asks for; in a listing without end it is the first one again, in another order.

    Args:
        keys: the ids of all entities, in order.
        matches: what the filters let through; None is everything.
    """
    size = limit(request)
    order = request.query.get("order", "ASC")
    if order not in ("ASC", "DESC"):
        raise Invalid([("order", "must be ASC or DESC")])
    cursor = request.query.get("after") or None
    if cursor is not None and not ID.fullmatch(cursor):
        raise Invalid([("after", "must be the id of an entity")])
    if request.omit:
        keys = [key for key in keys if key != request.omit]
    start = None if request.endless == AGAIN else cursor
    rest = range(len(keys))
    if order == "DESC":
        rest = range((len(keys) if start is None else bisect_left(keys, start)) - 1, -1, -1)
    elif start is not None:
        rest = range(bisect_right(keys, start), len(keys))
    found: list[str] = []
    for place in rest:
        if matches is None or matches(keys[place]):
            found.append(keys[place])
            if len(found) > size:
                break
    more = len(found) > size or bool(request.endless)
    found = [] if request.endless == EMPTY else found[:size]
    if request.endless == AGAIN and cursor in found:
        # The cursor is the last member's id: a new one is to be had only by another order.
        turn = (found.index(cursor) + 2) % len(found)
        found = found[turn:] + found[:turn]
    answer = {
        "object": "list",
        "limit": size,
        "after": cursor,
        "order": order,
        "has_more": more,
        "data": [view(key) for key in found],
    }
    if "total_count" in request.query.get("include", "").split(","):
        answer["total_count"] = len(keys) if matches is None else sum(map(matches, keys))
    return json_answer(200, answer)
