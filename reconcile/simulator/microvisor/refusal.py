"""
Errors and other answers that all Microvisor resources share: the vendor's error object, wrong methods, lists
by page.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from reconcile.simulator import paging
from reconcile.simulator.exchange import Call, Reply, json_answer

INVALID = 20001
UNAUTHORIZED = 20003
NOT_ALLOWED = 20004
NOT_FOUND = 20404
CONFLICT = 20409
TOO_MANY = 20429

_CODES = {
    400: INVALID,
    401: UNAUTHORIZED,
    404: NOT_FOUND,
    405: NOT_ALLOWED,
    409: CONFLICT,
    413: INVALID,
    415: INVALID,
    429: TOO_MANY,
}


T = TypeVar("T")


class Refused(Exception):
    """Ends the work on a request with an answer."""

    def __init__(self, status: int, message: str, allow: str = "") -> None:
        self.answer = error(status, message)
        if allow:
            self.answer.headers["Allow"] = allow
        super().__init__(message)


# Chosen by feel: every console shows such a name.
_MAX_NAME = 256


def error(status: int, message: str, detail: str | None = None) -> Reply:
    """An error as the vendor writes it; docs/apis/microvisor.md, "Errors" names some codes; others are the status."""
    code = _CODES.get(status, status)
    value = {"code": code, "message": message}
    if detail is not None:
        value["detail"] = detail
    return json_answer(status, {**value, "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": status})


def not_found(request: Call) -> Refused:
    return Refused(404, f"The requested resource /{'/'.join(request.segments)} was not found")


def required(request: Call, unit: T | None) -> T:
    if unit is None:
        raise not_found(request)
    return unit


def methods(request: Call, **handlers: Callable[[], Reply]) -> Reply:
    handler = handlers.get(request.method)
    if handler is None:
        raise Refused(405, f"{request.method} is not allowed here", ", ".join(sorted(handlers)))
    return handler()


def listing(request: Call, kind: str, keys: list[str], name: str, url: str, view: Any) -> Reply:
    """
    A page of a list.

    Args:
        kind: of paging: "cursor" or "offset".
        name: the field of the answer that holds the list.
    """
    if request.omit:
        keys = [key for key in keys if key != request.omit]
    taken, meta = paging.page(keys, request.query, url, name, kind, request.endless)
    return json_answer(200, {name: [view(key) for key in taken], "meta": meta})


def unique_name(name: str) -> str:
    if not 1 <= len(name) <= _MAX_NAME:
        raise Refused(400, f"UniqueName must have 1 to {_MAX_NAME} characters")
    return name
