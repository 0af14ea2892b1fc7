"""
How the Device Management API is reached: settings, credentials, its lists, filters and dates.

docs/apis/device_management.md, "Hosts and credentials", "Lists" and "Filters": a bearer key that is never in a URL;
lists by cursor (`limit`, `after`, `has_more`); filters as `field__op=value`; dates in RFC 3339 or compact. Fields and
types that are not known are passed over.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconcile.provider import (
    Address,
    Answer,
    ApiError,
    BadAnswer,
    BearerAuth,
    Binding,
    Client,
    InvalidInput,
    Net,
    NoAnswer,
    NotFound,
    Observed,
    OpenSecret,
    Page,
    Problem,
    Reading,
    SecretRef,
    in_turns,
)
from reconcile.provider.rest import HttpSettings, about, body, client_of, really_gone, server_time

API = "Device Management"  # in messages
HOST = "api.us-east-1.mbedcloud.com"
PAGE_SIZE = 1000  # the API's maximum
LEAST_PAGE = 2  # its minimum, with which one counts

_BAD_LIMIT = "INVALID_LIMIT"
_NO_SUCH_URL = "unrecognized_request"  # a 404 that says nothing about a resource

Read = Callable[[Mapping[str, Any]], Observed]
"""Makes an observation of one member of a list, or of one resource by itself."""


class ManagementSettings(HttpSettings):
    """`providers.device_management`: where the API is, without a path, and its key."""

    base_url: str = f"https://{HOST}"
    api_key: SecretRef = SecretRef("env", "MBED_CLOUD_SDK_API_KEY")


@dataclass(frozen=True, slots=True)
class Api:
    """
    What the wire halves of the types get.

    Attributes:
        sent: by address, what tells a resource that this process makes from others of its name, where names are not
            unique: kept from before the request, so that a lost answer can be read back.
    """

    main: Client
    sent: dict[Address, Mapping[str, Any]] = field(default_factory=dict)


async def connect(settings: ManagementSettings, net: Net, open_secret: OpenSecret) -> tuple[Api, Binding]:
    """
    The client, and the account: a key belongs to one, and which is not known without a request.

    Raises:
        InvalidInput: the key is missing or can be no header, or the base URL cannot be used.
    """
    base = settings.base_url
    if "://" in base and base.partition("://")[2].rstrip("/").count("/"):
        raise InvalidInput(
            Problem(
                "the base URL has a path, and every call has its own",
                address="providers.device_management.base_url",
                hint=f"Write the host alone, as in https://{HOST}",
            )
        )
    key = await open_secret(settings.api_key)
    try:
        main = client_of(
            net, settings, default_host=HOST, auth=BearerAuth(key), name="device management", refuses=refuses
        )
    except InvalidInput as error:
        setting = "api_key" if any("API key" in problem.what for problem in error.problems) else "base_url"
        raise about(error, f"providers.device_management.{setting}") from None
    return Api(main), Binding("account", main.host)


def refuses(body: Any) -> bool:
    """True of an error object, or the bare word of a v2 call (docs/apis/device_management.md, "Answers and errors")."""
    return isinstance(body, str) or (isinstance(body, dict) and body.get("object") == "error")


@contextmanager
def remembered(api: Api, address: Address, sent: Mapping[str, Any]) -> Iterator[None]:
    """A request that is remembered (`Api.sent`), and forgotten again when it was certainly not done."""
    api.sent[address] = sent
    try:
        yield
    except (NoAnswer, BadAnswer):
        raise
    except BaseException as error:
        if not isinstance(error, ApiError) or error.status < 500:
            api.sent.pop(address, None)
        raise


async def pages(
    api: Api, *path: str, read: Read, params: Mapping[str, str | int] | None = None, marker: str | None = None
) -> AsyncIterator[Page]:
    """
    A whole list, page by page.

    Args:
        params: filters, and the order.
        marker: the answer's field that asks for the next page, where it is not the id of the last member.

    Raises:
        BadAnswer: a page without `data` or `has_more`, or one that says that there is more and not where; a list
            without an end.
    """

    def following(answer: Answer) -> Mapping[str, str | int] | None:
        if not answer.body["has_more"]:
            return None
        last = answer.body.get(marker) if marker else answer.body["data"][-1].get("id") if answer.body["data"] else None
        if not isinstance(last, str) or not last:
            raise BadAnswer(f"GET /{'/'.join(path)} says that there is more, and not after what")
        return {"after": last}

    ids: list[str] = []

    async def asked(size: Mapping[str, str | int]) -> AsyncIterator[Page]:
        async for answer in api.main.pages(
            *path,
            params={**size, **(params or {})},
            slash=_slash(path),
            next=following,
            ids=lambda _: ids,
            total=_total,
        ):
            ids.clear()
            async for part in in_turns(_members(answer, path)):
                page = Page([read(member) for member in part], server_time(answer))
                ids.extend(seen.id for seen in page.members)
                yield page

    try:
        async for page in asked({"limit": PAGE_SIZE}):
            yield page
    except ApiError as refusal:
        # docs/apis/device_management.md, "Pre-shared keys": the largest page of v2 is documented nowhere.
        if path[0] != "v2" or refusal.status != 400 or _BAD_LIMIT not in (refusal.message or ""):
            raise
        async for page in asked({}):
            yield page


async def count(api: Api, *path: str) -> int:
    """The number of them on the account. Raises BadAnswer when the API does not say."""
    answer = await api.main.get(*path, params={"limit": LEAST_PAGE, "include": "total_count"}, slash=_slash(path))
    _members(answer, path)
    total = _total(answer)
    if total is None:
        raise BadAnswer(f"GET /{'/'.join(path)} answered without a total_count")
    return total


async def by_id(api: Api, *path: str, read: Read) -> Reading:
    """
    One at a path of its own, which ends in its id; `seen` is None when there is none.

    Raises:
        As `Client.get`; BadAnswer too when the answer is about another one.
    """
    try:
        answer = await api.main.get(*path, slash=_slash(path))
    except NotFound as error:
        if error.code == _NO_SUCH_URL:
            raise
        return Reading(None)
    seen = read(body(answer, API))
    if seen.id != path[-1]:
        raise BadAnswer(f"GET /{'/'.join(path)} was answered about {seen.id}")
    return Reading(seen, server_time(answer))


async def matching(api: Api, *path: str, read: Read, **filters: str) -> tuple[list[Observed], datetime | None]:
    """All that filters let through, and the server's clock then."""
    found: list[Observed] = []
    now = None
    async for page in pages(api, *path, read=read, params=filters):
        found += page.members
        now = page.now
    return found, now


async def send(api: Api, method: str, *path: str, json: Any = None, idempotent: bool) -> Answer:
    """Changes something. Raises as `Client.send`."""
    return await api.main.send(method, *path, json=json, slash=_slash(path), idempotent=idempotent)


async def delete(api: Api, *path: str) -> None:
    """Deletes one; one that is gone already is no error."""
    try:
        answer = await send(api, "DELETE", *path, idempotent=True)
    except NotFound as error:
        if error.code == _NO_SUCH_URL:
            raise
        return

    async def there() -> bool:
        try:
            await api.main.get(*path, slash=_slash(path))
        except NotFound:
            return False
        return True

    await really_gone(answer, "/".join(path), there)


def id_of(member: Mapping[str, Any], noun: str) -> str:
    """The id of an answer. Raises BadAnswer when there is none."""
    id = member.get("id")
    if not isinstance(id, str) or not id:
        raise BadAnswer(f"the Device Management API answered with a {noun} that has no id")
    return id


def text(member: Mapping[str, Any], name: str) -> str:
    """A text of an answer; what was never set is empty, whether the API says null, nothing or the empty text."""
    value = member.get(name)
    return value if isinstance(value, str) else ""


def _total(answer: Answer) -> int | None:
    """The number of them, where the answer says so: it need not, unless it was asked to."""
    total = answer.body.get("total_count")
    return total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None


def _slash(path: tuple[str, ...]) -> bool:
    """True if a path ends in a slash (docs/apis/device_management.md, "Slashes"): those of devices and groups do."""
    return path[1] in ("devices", "device-groups")


def _members(answer: Answer, path: tuple[str, ...]) -> list[Mapping[str, Any]]:
    page = answer.body if isinstance(answer.body, dict) else {}
    data = page.get("data")
    if not isinstance(data, list) or not all(isinstance(member, dict) for member in data):
        raise BadAnswer(f"GET /{'/'.join(path)} answered without a list")
    if not isinstance(page.get("has_more"), bool):
        raise BadAnswer(f"GET /{'/'.join(path)} answered without saying whether there is more")
    return data
