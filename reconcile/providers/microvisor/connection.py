"""
How the Microvisor API is reached: settings, credentials, the two hosts, and how its pages and dates are read.

docs/apis/microvisor.md, "Hosts and credentials", "Lists" and "Dates": HTTP Basic with account SID and auth token (or an
API key pair), lists through `meta.next_page_url`, dates in UTC in whole seconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconcile.provider import (
    Answer,
    BadAnswer,
    BasicAuth,
    Binding,
    Client,
    InvalidInput,
    Net,
    Observed,
    OpenSecret,
    Page,
    Problem,
    SecretRef,
    in_turns,
)
from reconcile.provider.rest import HttpSettings, about, client_of, server_time

PAGE_SIZE = 1000  # the API's maximum


class MicrovisorSettings(HttpSettings):
    """
    `providers.microvisor`.

    `account_sid` is a reference, or written literally: then it pins the account. Credentials are the auth token, or
    an API key pair (`SK…` and its secret).
    """

    base_url: str = "https://microvisor.twilio.com/v1"
    upload_url: str = "https://microvisor-upload.twilio.com/v1"
    account_sid: str = "env:TWILIO_ACCOUNT_SID"
    auth_token: SecretRef = SecretRef("env", "TWILIO_AUTH_TOKEN")
    api_key_sid: SecretRef | None = None
    api_key_secret: SecretRef | None = None


@dataclass(frozen=True, slots=True)
class Api:
    """The `api` of the wire halves: the two hosts, and the account."""

    main: Client
    upload: Client
    account: str


async def connect(settings: MicrovisorSettings, net: Net, open_secret: OpenSecret) -> tuple[Api, Binding]:
    """
    The two clients and the account that they speak for. Sends nothing.

    Raises:
        InvalidInput: a credential is missing, or the account SID is none.
    """
    account = settings.account_sid
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
    user, word = account, settings.auth_token
    if settings.api_key_sid or settings.api_key_secret:
        if not (settings.api_key_sid and settings.api_key_secret):
            raise InvalidInput(
                Problem(
                    "api_key_sid and api_key_secret go together",
                    address="providers.microvisor",
                    hint="Write both, or neither and the auth token",
                )
            )
        user, word = (await open_secret(settings.api_key_sid)).reveal(), settings.api_key_secret
    auth = BasicAuth(user, await open_secret(word))
    clients = []
    for setting, host, name in (
        ("base_url", "microvisor.twilio.com", "microvisor"),
        ("upload_url", "microvisor-upload.twilio.com", "microvisor upload"),
    ):
        at = settings.model_copy(update={"base_url": getattr(settings, setting)})
        try:
            clients.append(client_of(net, at, default_host=host, auth=auth, name=name, refuses=refuses))
        except InvalidInput as error:
            raise about(error, f"providers.microvisor.{setting}") from None
    main, upload = clients
    return Api(main, upload, account), Binding(account, main.host)


def refuses(body: Any) -> bool:
    """True of an error object (docs/apis/microvisor.md, "Errors"): `{code, message, more_info, status}`."""
    if not isinstance(body, dict):
        return False
    status = body.get("status")
    failed = isinstance(status, int) and status >= 400
    return failed or (isinstance(body.get("code"), int) and isinstance(body.get("message"), str))


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


def _hex(text: str) -> bool:
    return all(letter in "0123456789abcdefABCDEF" for letter in text)
