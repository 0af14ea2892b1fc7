"""What connections to HTTP APIs share: settings, a client made of them, and how answers and dates are read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import Field

from reconcile.core.forms import moment
from reconcile.core.schema import StrictModel
from reconcile.errors import BadAnswer, InvalidInput
from reconcile.transport import Answer, BasicAuth, BearerAuth, Client, Net, Terms

T = TypeVar("T")

__all__ = [
    "HttpSettings",
    "about",
    "body",
    "caught_up",
    "client_of",
    "dated",
    "moment",
    "really_gone",
    "server_time",
]

LAG_S = 15.0  # how long a reading may lag behind a write: chosen by feel


class HttpSettings(StrictModel):
    """Settings that every HTTP API has: seconds for one attempt, and how hard it is driven."""

    base_url: str
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30
    max_concurrency: Annotated[int, Field(ge=1, le=256)] = 16
    requests_per_s: Annotated[float, Field(gt=0)] | None = None

    @property
    def terms(self) -> Terms:
        """How the API is driven."""
        return Terms(self.timeout_s, self.max_concurrency, self.requests_per_s)


def client_of(
    net: Net,
    settings: HttpSettings,
    *,
    default_host: str,
    auth: BasicAuth | BearerAuth | None,
    name: str,
    refuses: Callable[[Any], bool] | None = None,
) -> Client:
    """
    A client with these settings, as `Net.client`.

    Args:
        refuses: whether a body is the vendor's error object, which a 2xx does not make a success.

    Raises:
        InvalidInput: as `Net.client`.
    """
    base, terms = settings.base_url, settings.terms
    client = net.client(base_url=base, default_host=default_host, auth=auth, name=name, terms=terms)
    client.refuses = refuses
    return client


def about(error: InvalidInput, address: str) -> InvalidInput:
    """The same mistakes, of the setting at an address such as `providers.microvisor.base_url`."""
    return InvalidInput(*(replace(problem, address=address) for problem in error.problems))


def body(answer: Answer, api: str) -> Mapping[str, Any]:
    """The answer's object. Raises BadAnswer, in the name of the API, when it is none."""
    if not isinstance(answer.body, dict):
        raise BadAnswer(f"the {api} API answered {answer.status} without an object")
    return answer.body


async def caught_up(read: Callable[[], Awaitable[T]], has: Callable[[T], bool]) -> T:
    """A reading that has what was just written: made again while it lags behind, for 15 s; then the last one."""
    loop, pause = asyncio.get_running_loop(), 0.2
    end = loop.time() + LAG_S
    while not has(found := await read()) and loop.time() < end:
        await asyncio.sleep(pause)
        pause = min(2 * pause, 2.0)
    return found


async def really_gone(answer: Answer, what: str, there: Callable[[], Awaitable[bool]]) -> None:
    """
    Believes a 204 to a removal; after any other 2xx, which may say anything, it is looked for until it is gone.

    Raises:
        BadAnswer: it is still there.
    """
    if answer.status != 204 and await caught_up(there, lambda still: not still):
        raise BadAnswer(f"the removal of {what} was answered {answer.status}, and it is still there")


def server_time(answer: Answer) -> datetime:
    """The server's clock. Without a `Date` header the epoch: then every lease has time left, and nothing is old."""
    return answer.now or datetime.fromtimestamp(0, UTC)


def dated(value: Any) -> Any:
    """A date in one spelling, `2026-01-31T08:00:00Z`, so that two of one moment are equal; what is none as it is."""
    found = moment(value)
    return found.isoformat().replace("+00:00", "Z") if found is not None else value
