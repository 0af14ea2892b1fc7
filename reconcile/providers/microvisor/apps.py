"""
App (`KA…`): a bundle of bytes, uploaded once and never changed.

docs/apis/microvisor.md, "Apps" and "Uploads": no create in the main API, the upload host takes multipart `File` and
`UniqueName`; there is no update; `hash` is of a manifest that the service computes, so local bytes cannot be compared
with it: the SHA-256 of the uploaded file is recorded in the state beside the returned sid and hash.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from reconcile.provider import (
    Attrs,
    BadAnswer,
    Begins,
    Entry,
    FileRef,
    InvalidInput,
    Largest,
    Mark,
    Mistake,
    NotFound,
    Observed,
    Page,
    Problem,
    Reading,
    ResourceType,
    StrictModel,
    Target,
    Upload,
    View,
)
from reconcile.provider.rest import body, really_gone, server_time
from reconcile.providers.microvisor.connection import Api, pages
from reconcile.providers.microvisor.names import name_problems


class App(StrictModel):
    """`microvisor.apps.<name>`. The key is the unique name unless `unique_name` says otherwise."""

    bundle: Annotated[FileRef, Mark.IMMUTABLE, Largest(1 << 30), Begins(b"PK", "a zip")] = Field(
        description="The zip to upload."
    )
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$"), Mark.ASIDE] | None = Field(
        default=None, description="SHA-256 of the bundle, hex; stands in for the file until it is uploaded."
    )
    unique_name: Annotated[str, Mark.NAME] | None = Field(default=None, description="Its name at the API.")


class AppType(ResourceType[Api]):
    """Apps of the account."""

    path = "microvisor.apps"
    singular = "app"
    noun = "app"
    Model = App

    def unit(self, attrs: Attrs, key: str) -> tuple[str | None, str]:
        return None, str(attrs.get("unique_name") or key)

    def check(self, attrs: Attrs, key: str) -> list[Mistake]:
        return name_problems(attrs, key)

    def facts(self, seen: Observed, prior: Entry | None = None) -> Mapping[str, Any]:
        return {"hash": seen.facts.get("hash")}

    def view(self, seen: Observed, prior: Entry | None, now: datetime) -> View:
        live, uploaded = seen.facts.get("hash"), prior.facts.get("hash") if prior is not None else None
        if prior is None or not uploaded or not live or uploaded == live:
            return View(seen.attrs)
        said = f"{seen.id} with hash {live} is live, what was uploaded was {prior.id} with hash {uploaded}"
        return View(seen.attrs, not_ours=said)

    async def listing(self, api: Api, parent: str | None) -> AsyncIterator[Page]:
        async for page in pages(api, "Apps", key="apps", read=lambda member, _: _observed(member)):
            yield page

    async def read(self, api: Api, target: Target) -> Reading:
        try:
            answer = await api.main.get("Apps", target.id or target.name or "")
        except NotFound:
            return Reading(None)
        return Reading(_observed(body(answer, "Microvisor")), server_time(answer))

    async def create(self, api: Api, target: Target, attrs: Attrs) -> Observed:
        bundle: FileRef = attrs["bundle"]
        answer = await api.upload.send(
            "POST",
            "Apps",
            form={"UniqueName": str(target.name)},
            files={"File": Upload(Path(bundle.path).name, Path(bundle.path), bundle.sha256)},
            idempotent=False,
        )
        made = _observed(body(answer, "Microvisor"))
        if made.name != target.name:
            told = "without a name" if made.name is None else f"with the name {made.name!r}"
            what = f"the upload was answered with the app {made.id} {told}, and {target.name!r} was sent"
            raise InvalidInput(Problem(what, hint=f"Name it at the API, or use it by its SID: app: {made.id}"))
        return made

    async def delete(self, api: Api, target: Target) -> None:
        try:
            answer = await api.main.send("DELETE", "Apps", target.id or target.name or "", idempotent=True)
        except NotFound:
            return

        async def there() -> bool:
            return (await self.read(api, target)).seen is not None

        await really_gone(answer, f"the app {target.name or target.id}", there)


def _observed(member: Mapping[str, Any]) -> Observed:
    sid = member.get("sid")
    if not isinstance(sid, str):
        raise BadAnswer("the Microvisor API answered with an app that has no sid")
    name = member.get("unique_name")
    return Observed(sid, {"unique_name": name}, name=name, facts={"hash": member.get("hash")})
