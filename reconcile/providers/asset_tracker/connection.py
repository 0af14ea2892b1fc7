"""
How agents are reached: settings, credentials, and the one endpoint of each tracker.

docs/apis/asset_tracker.md, "Agents": `https://agent.electricimp.com/<agent id>/cfg` or a URL of its own, `GET` and
`PATCH`, JSON both ways, HTTP Basic; fleets usually share one pair of credentials, a tracker may have its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import Field

from reconcile.provider import (
    AccessDenied,
    Answer,
    Attrs,
    BasicAuth,
    Binding,
    Client,
    InvalidInput,
    Net,
    OpenSecret,
    Problem,
    Secret,
    SecretRef,
    Target,
    Terms,
)
from reconcile.provider.rest import HttpSettings, about, client_of

HOST = "agent.electricimp.com"
ENDPOINT = "cfg"
_OTHERS = re.compile(r"[^A-Za-z0-9_-]+")


class AgentSettings(HttpSettings):
    """`providers.asset_tracker`: where agents are, and the credentials that trackers share."""

    base_url: str = f"https://{HOST}"
    username: SecretRef = SecretRef("env", "CFG_REST_API_USERNAME")
    password: SecretRef = SecretRef("env", "CFG_REST_API_PASSWORD")
    max_concurrency: Annotated[int, Field(ge=1, le=256)] = 64

    @property
    def terms(self) -> Terms:
        # The published agent sends JSON as a plain text (its source calls `send` with a string and sets no type).
        return replace(super().terms, any_type=True)

    @property
    def simulated(self) -> bool:
        """True if the agents are those of the embedded simulator, which has one host and one pair of credentials."""
        return self.username.scheme == "simulator"


@dataclass(slots=True)
class Agents:
    """
    What the wire half of trackers gets: a client for each host, and credentials that are opened when they are needed.

    A tracker is one endpoint that takes one request at a time; the engine never has two under way for one resource.
    """

    settings: AgentSettings
    net: Net
    open_secret: OpenSecret
    main: Client
    others: dict[str, Client] = field(default_factory=dict)
    shared: BasicAuth | None = None

    async def get(self, target: Target) -> Answer:
        """The tracker's whole configuration. Raises as `Client.get`; InvalidInput for its URL or its credentials."""
        client, path = self._endpoint(target)
        try:
            return await client.using(await self._auth(target)).get(*path)
        except AccessDenied as refused:
            whose = "of this tracker" if "password" in target.attrs else "of providers.asset_tracker"
            said = f"{refused.message or 'refused'}: the username and password {whose}"
            raise AccessDenied(
                refused.method, refused.path, refused.status, refused.code, said, refused.request_id
            ) from None

    async def patch(self, target: Target, body: Attrs, idempotent: bool) -> Answer:
        """Sends an update. Raises as `Client.send`; InvalidInput for its URL or its credentials."""
        client, path = self._endpoint(target)
        return await client.using(await self._auth(target)).send("PATCH", *path, json=body, idempotent=idempotent)

    def unit(self, target: Target) -> str:
        """The identity of a tracker here: the id of its agent also where a URL below the base URL names it."""
        unit = unit_of(target.attrs) or target.id or ""
        inner = unit.removeprefix(f"{self.main.base_url}/").removesuffix(f"/{ENDPOINT}")
        return unit if "/" in inner else inner

    def stranger(self, target: Target) -> str | None:
        """
        What names an agent that anybody may own: every one but a URL at a host that was allowed for its own sake.

        An agent is its owner's code, and the host serves every customer: which one, only the path says. Below a base
        URL with a path that is not the agent's id alone, so the whole URL is its name there, which no state has.
        """
        unit, main = unit_of(target.attrs) or target.id or "", urlsplit(self.main.base_url)
        if "://" in unit and not self.settings.simulated:
            try:
                client, _ = self._endpoint(target)
            except InvalidInput:
                return None  # nothing can be sent there; the reading says why
            if client.named and urlsplit(client.base_url).netloc not in (HOST, main.netloc):
                return None
        if main.path:
            return unit if "://" in unit else f"{self.main.base_url}/{unit}/{ENDPOINT}"
        return self.unit(target)

    def _endpoint(self, target: Target) -> tuple[Client, tuple[str, ...]]:
        unit = unit_of(target.attrs) or target.id or ""
        if self.settings.simulated:
            return self.main, (simulated_agent(unit), ENDPOINT)
        if "://" not in unit:
            return self.main, (unit, ENDPOINT)
        parts = urlsplit(unit)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self.others:
            self.others[origin] = _client(self.net, self.settings, origin)
        return self.others[origin], tuple(unquote(part) for part in parts.path.split("/")[1:])

    async def _auth(self, target: Target) -> BasicAuth:
        username, password = target.attrs.get("username"), target.attrs.get("password")
        if isinstance(username, SecretRef) and isinstance(password, SecretRef) and not self.settings.simulated:
            try:
                return await self._opened(username, password)
            except InvalidInput as missing:  # of this tracker, not of the section
                raise InvalidInput(
                    *(
                        replace(problem, address=None, hint="It is a credential of this tracker: set it")
                        for problem in missing.problems
                    )
                ) from None
        if self.shared is None:
            self.shared = await self._opened(self.settings.username, self.settings.password)
        return self.shared

    async def _opened(self, username: SecretRef, password: SecretRef) -> BasicAuth:
        opened: list[Secret] = []
        missing: list[Problem] = []
        for reference in (username, password):
            try:
                opened.append(await self.open_secret(reference))
            except InvalidInput as error:
                missing += error.problems
        if missing:
            raise InvalidInput(*missing)
        return BasicAuth(opened[0].reveal(), opened[1])


def connect(settings: AgentSettings, net: Net, open_secret: OpenSecret) -> tuple[Agents, Binding]:
    """
    The agents, and the host that most of them are at. Sends nothing, and opens no credential before it is needed.

    Raises:
        InvalidInput: the base URL cannot be used.
    """
    try:
        main = _client(net, settings)
    except InvalidInput as error:
        raise about(error, "providers.asset_tracker.base_url") from None
    return Agents(settings, net, open_secret, main), Binding("agents", main.host)


def _client(net: Net, settings: AgentSettings, base_url: str | None = None) -> Client:
    at = settings if base_url is None else settings.model_copy(update={"base_url": base_url})
    return client_of(net, at, default_host=HOST, auth=None, name="asset tracker", refuses=refuses)


def refuses(body: object) -> bool:
    """True of an object that names an error (docs/apis/asset_tracker.md, "Answers and errors")."""
    if not isinstance(body, dict) or "description" in body:
        return False
    status = body.get("status")
    failed = isinstance(status, int) and status >= 400
    return failed or bool(body.get("error")) or ("message" in body and "code" in body)


def unit_of(attrs: Attrs) -> str | None:
    """
    What identifies a tracker: the id of its agent, or its URL where that is not the usual one of an agent.

    Host names are spelled in lower case; the path as it is written, without a trailing slash.
    """
    if agent := attrs.get("agent"):
        return str(agent)
    if not (url := attrs.get("url")):
        return None
    try:
        parts = urlsplit(str(url))
    except ValueError:
        return str(url)
    path = parts.path.rstrip("/")
    usual = parts.netloc.lower() == HOST and re.fullmatch(rf"/([A-Za-z0-9_-]+)/{ENDPOINT}", path)
    return usual[1] if usual else f"{parts.scheme.lower()}://{parts.netloc.lower()}{path}"


def simulated_agent(unit: str) -> str:
    """The agent that stands for a unit in the simulator, where every agent has an id and no URL."""
    return unit if "://" not in unit else _OTHERS.sub("_", unit.partition("://")[2].removesuffix(f"/{ENDPOINT}"))


def server_time(answer: Answer) -> datetime:
    """The agent's clock; this machine's where an answer carries none, since the age of an update depends on it."""
    return answer.now or datetime.now(UTC)
