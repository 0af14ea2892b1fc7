"""
Errors of the Device Management API (docs/apis/device_management.md, "Answers and errors"): the error object, its types,
and the request id that every answer carries.
"""

import uuid
from collections.abc import Callable, Iterable

from reconcile.simulator.exchange import Call, Reply, json_answer

REQUEST_ID = "X-Request-ID"

# The general types of the reference. It names none for 409, 413 and 429: those are made up, as "expect new types"
# allows.
_TYPES = {
    400: "bad_request",
    401: "invalid_auth",
    403: "access_denied",
    404: "not_found",
    405: "method_not_supported",
    409: "conflict",
    413: "request_too_large",
    429: "too_many_requests",
}


class Refused(Exception):
    """Ends the work on a request with an error."""

    def __init__(self, status: int, message: str, type: str = "", allow: str = "") -> None:
        self.answer = error(status, message, type)
        if allow:
            self.answer.headers["Allow"] = allow
        super().__init__(message)


class Invalid(Refused):
    """A validation error: a message for each field that is wrong, and nothing has changed."""

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = list(problems)
        super().__init__(400, "Validation error")
        self.answer = error(400, "Validation error", "validation_error", self.problems)


def request_id() -> str:
    """A new request id: 32 characters, the most that there are."""
    return uuid.uuid4().hex


def error(status: int, message: str, type: str = "", fields: Iterable[tuple[str, str]] = ()) -> Reply:
    """
    An error as the vendor writes it, with its request id in the body and in the header.

    Args:
        type: left out, the general one of that status.
        fields: names and messages.
    """
    number = request_id()
    answer = json_answer(
        status,
        {
            "object": "error",
            "code": status,
            "type": type or _TYPES.get(status, "internal_server_error" if status >= 500 else "bad_request"),
            "message": message,
            "fields": [{"name": name, "message": text} for name, text in fields],
            "request_id": number,
        },
    )
    answer.headers[REQUEST_ID] = number
    return answer


def not_found(what: str, id_: str) -> Refused:
    return Refused(404, f"{what} {id_!r} was not found")


def unrecognized(request: Call) -> Refused:
    return Refused(404, f"Unrecognized request URL /{'/'.join(request.segments)}", "unrecognized_request")


def methods(request: Call, **handlers: Callable[[], Reply]) -> Reply:
    """The answer of the handler for the request's method."""
    handler = handlers.get(request.method)
    if handler is None:
        raise Refused(405, f"{request.method} is not supported here", allow=", ".join(sorted(handlers)))
    return handler()
