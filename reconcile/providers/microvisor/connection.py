"""
How the Microvisor API is reached: settings, credentials, the two hosts, and how its pages and dates are read.

docs/apis/microvisor.md, "Hosts and credentials", "Lists" and "Dates": HTTP Basic with account SID and auth token (or an
API key pair), lists through `meta.next_page_url`, dates in UTC in whole seconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from reconcile.provider import (
    Answer,
    Attrs,
    BadAnswer,
    BasicAuth,
    Binding,
    Client,
    InvalidInput,
    Net,
    Observed,
    Page,
    Problem,
    Secret,
    SecretRef,
    in_turns,
)

PAGE_SIZE = 1000  # the API's maximum


class Settings(BaseModel):
    """
    `providers.microvisor`.

    `account_sid` is a reference, or written literally: then it pins the account. Credentials are the auth token, or
    an API key pair (`SK…` and its secret).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)

    base_url: str = "https://microvisor.twilio.com/v1"
    upload_url: str = "https://microvisor-upload.twilio.com/v1"
    account_sid: str = "env:TWILIO_ACCOUNT_SID"
    auth_token: SecretRef = SecretRef("env", "TWILIO_AUTH_TOKEN")
    api_key_sid: SecretRef | None = None
    api_key_secret: SecretRef | None = None
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30
    max_concurrency: Annotated[int, Field(ge=1, le=256)] = 16
    requests_per_s: Annotated[float, Field(gt=0)] | None = None


@dataclass(frozen=True, slots=True)
class Api:
    """What the wire halves of the types get: the two hosts, and the account."""

    main: Client
    upload: Client
    account: str


async def connect(
    settings: Attrs, net: Net, open_secret: Callable[[SecretRef], Awaitable[Secret]]
) -> tuple[Api, Binding]:
    """
    The two clients and the account that they speak for. Sends nothing.

    Raises:
        InvalidInput: a credential is missing, or the account SID is none.
    """
    account = str(settings["account_sid"])
    if reference := SecretRef.parse(account):
        account = (await open_secret(reference)).reveal()
    if len(account) != 34 or not account.startswith("AC") or not _hex(account[2:]):
        raise InvalidInput(
            Problem(
                "the Microvisor account SID is not one",
                address="providers.microvisor.account_sid",
                hint="It is AC and 32 hex digits, as the console shows it",
            )
        )
    user, word = account, settings["auth_token"]
    if settings.get("api_key_sid") or settings.get("api_key_secret"):
        if not (settings.get("api_key_sid") and settings.get("api_key_secret")):
            raise InvalidInput(
                Problem(
                    "api_key_sid and api_key_secret go together",
                    address="providers.microvisor",
                    hint="Write both, or neither and the auth token",
                )
            )
        user, word = (await open_secret(settings["api_key_sid"])).reveal(), settings["api_key_secret"]
    auth = BasicAuth(user, await open_secret(word))
    main = _client(net, settings, "base_url", "microvisor.twilio.com", auth, "microvisor")
    upload = _client(net, settings, "upload_url", "microvisor-upload.twilio.com", auth, "microvisor upload")
    return Api(main, upload, account), Binding(account, main.host)


def _client(net: Net, settings: Attrs, setting: str, default_host: str, auth: BasicAuth, name: str) -> Client:
    limits: dict[str, Any] = {limit: settings[limit] for limit in ("timeout_s", "max_concurrency", "requests_per_s")}
    try:
        return net.client(base_url=settings[setting], default_host=default_host, auth=auth, name=name, **limits)
    except InvalidInput as error:
        about = f"providers.microvisor.{setting}"
        raise InvalidInput(*(replace(problem, address=about) for problem in error.problems)) from None


async def pages(
    api: Api, *path: str, key: str, read: Callable[[Mapping[str, Any], datetime], Observed]
) -> AsyncIterator[Page]:
    """
    A whole listing, page by page.

    Args:
        key: the array's field in the answer, `meta.key`.
        read: makes an `Observed` of one member.

    Raises:
        BadAnswer: a page has no such array, or the listing does not end.
    """
    ids: list[str] = []
    async for answer in api.main.pages(*path, params={"PageSize": PAGE_SIZE}, next=_next_page, ids=lambda _: ids):
        members = answer.body.get(key) if isinstance(answer.body, dict) else None
        if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
            raise BadAnswer(f"GET /{'/'.join(path)} answered without a list of {key}")
        now = server_time(answer)
        ids.clear()
        async for part in in_turns(members):
            page = Page([read(member, now) for member in part], now)
            ids.extend(seen.id for seen in page.members)
            yield page


def _next_page(answer: Answer) -> str | None:
    meta = answer.body.get("meta") if isinstance(answer.body, dict) else None
    link = meta.get("next_page_url") if isinstance(meta, dict) else None
    return link if isinstance(link, str) and link else None


def server_time(answer: Answer) -> datetime:
    """The server's clock. Without a `Date` header, the epoch: then every lease has time left, and none is renewed."""
    return answer.now or datetime.fromtimestamp(0, UTC)


def moment(text: Any) -> datetime | None:
    """A date of the API (`2021-01-01T12:34:56Z`), aware; None for null or for what is no date."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def body(answer: Answer) -> Mapping[str, Any]:
    """The answer's object. Raises BadAnswer when it is none."""
    if not isinstance(answer.body, dict):
        raise BadAnswer(f"the Microvisor API answered {answer.status} without an object")
    return answer.body


def _hex(text: str) -> bool:
    return all(letter in "0123456789abcdefABCDEF" for letter in text)
