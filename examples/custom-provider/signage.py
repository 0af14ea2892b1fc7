"""Signs behind a small REST API: a whole provider for reconcile."""

from contextlib import suppress
from typing import Annotated

from pydantic import Field

from reconcile import provider as r
from reconcile.provider import rest

HOST = "api.signage.example"


class Settings(rest.HttpSettings):
    base_url: str = f"https://{HOST}"
    token: r.SecretRef = r.SecretRef("env", "SIGNAGE_TOKEN")


class Sign(r.StrictModel):
    text: str
    brightness: Annotated[int, Field(strict=True, ge=1, le=100)] | None = None
    pin: r.SecretRef | None = None


class SignType(r.ResourceType):
    path, singular, noun, Model = "signage.signs", "sign", "sign", Sign

    def observed(self, sign):
        return r.Observed(sign["name"], {"text": sign["text"], "brightness": sign["brightness"]}, name=sign["name"])

    async def listing(self, api, parent):
        async for page in api.pages("signs", params={"limit": 100}, next=lambda page: page.body["next"]):
            yield r.Page([self.observed(sign) for sign in page.body["signs"]], rest.server_time(page))

    async def read(self, api, target):
        with suppress(r.NotFound):
            answer = await api.get("signs", target.id or target.name)
            return r.Reading(self.observed(answer.body), answer.now)
        return r.Reading(None)

    async def create(self, api, target, attrs):
        sign = {"name": target.name} | attrs
        return self.observed((await api.send("POST", "signs", json=sign, idempotent=False)).body)

    async def update(self, api, target, patch):
        return self.observed((await api.send("PATCH", "signs", target.id, json=patch, idempotent=True)).body)

    async def delete(self, api, target):
        with suppress(r.NotFound):
            await api.send("DELETE", "signs", target.id, idempotent=True)


class Signage(r.Provider):
    name, Settings, types = "signage", Settings, (SignType(),)

    async def connect(self, settings, net, open_secret):
        auth = r.BearerAuth(await open_secret(settings.token))
        api = rest.client_of(net, settings, default_host=HOST, auth=auth, name="signage")
        return api, r.Binding("signage", api.host)
