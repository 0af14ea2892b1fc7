"""Signs behind a small REST API: a whole provider for reconcile."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, Field

from reconcile import provider as r

HOST = "api.signage.example"
STRICT = {"extra": "forbid", "frozen": True, "arbitrary_types_allowed": True, "hide_input_in_errors": True}


class Settings(BaseModel, **STRICT):
    base_url: str = f"https://{HOST}"
    token: r.SecretRef = r.SecretRef("env", "SIGNAGE_TOKEN")


class Sign(BaseModel, **STRICT):
    text: str
    brightness: Annotated[int, Field(strict=True, ge=1, le=100)] | None = None
    pin: Annotated[r.SecretRef, r.Mark.SECRET] | None = None


class SignType(r.ResourceType):
    path, singular, noun, Model = "signage.signs", "sign", "sign", Sign

    def observed(self, sign):
        return r.Observed(sign["name"], {"text": sign["text"], "brightness": sign["brightness"]}, name=sign["name"])

    async def listing(self, api, parent):
        async for page in api.pages("signs", params={"limit": 100}, next=lambda page: page.body["next"]):
            yield r.Page([self.observed(sign) for sign in page.body["signs"]], page.now or datetime.now(UTC))

    async def read(self, api, at):
        with suppress(r.NotFound):
            answer = await api.get("signs", at.id or at.name)
            return r.Reading(self.observed(answer.body), answer.now)
        return r.Reading(None)

    async def create(self, api, at, attrs):
        return self.observed((await api.send("POST", "signs", json={"name": at.name, **attrs}, idempotent=False)).body)

    async def update(self, api, at, patch):
        return self.observed((await api.send("PATCH", "signs", at.id, json=patch, idempotent=True)).body)

    async def delete(self, api, at):
        with suppress(r.NotFound):
            await api.send("DELETE", "signs", at.id, idempotent=True)


class Signage(r.Provider):
    name, Settings, types = "signage", Settings, (SignType(),)

    async def connect(self, settings, net, open_secret):
        auth = r.BearerAuth(await open_secret(settings["token"]))
        api = net.client(base_url=settings["base_url"], default_host=HOST, auth=auth, name="signage")
        return api, r.Binding("signage", api.host)
