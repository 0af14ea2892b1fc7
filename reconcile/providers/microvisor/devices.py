"""
Device (`UV…`): hardware. It is adopted, named and retargeted, never created or deleted (docs/apis/microvisor.md,
"Devices").

A write to the app only *targets*: the device installs it when it next connects, so what the API accepted
(`app.target_sid`) and what the device reports (`app.reported_sid`) are two readings. Logging is a lease of 24 hours.
The API's overview page shows an older shape (`logging_enabled`, `app_update`, `scheduled`): both are read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import Field

from reconcile.provider import (
    Attrs,
    BadAnswer,
    Entry,
    Mark,
    Mistake,
    NotFound,
    Observed,
    Page,
    Reading,
    Ref,
    Refers,
    ResourceType,
    Stage,
    Status,
    StrictModel,
    Target,
    Use,
    View,
)
from reconcile.provider.rest import body, dated, moment, server_time
from reconcile.providers.microvisor.connection import Api, pages
from reconcile.providers.microvisor.names import name_problems, normal_sid

RENEW_BEFORE = timedelta(hours=6)  # docs/apis/microvisor.md, "Logging"

_FORM = {"unique_name": "UniqueName", "app": "TargetApp", "logging": "LoggingEnabled", "restart": "RestartApp"}


class Device(StrictModel):
    """
    `microvisor.devices.<name>`. Its configs and secrets are resources of their own, under it.

    They are written after the name and before the app, so that an app never starts with the old settings
    (docs/apis/microvisor.md, "Order of writes to a device").
    """

    sid: Annotated[str, Field(pattern="^UV[0-9a-fA-F]{32}$"), Mark.LOCATOR] | None = Field(
        default=None, description="The unit. Without it the device is found by its name."
    )
    unique_name: Annotated[str, Mark.NAME] | None = Field(
        default=None, description="Its name at the API; the key unless it is written."
    )
    app: Annotated[str, Refers("microvisor.apps"), Stage(2)] | None = Field(
        default=None, description="The app it should run: of the document, live on the account, or a KA… SID."
    )
    logging: Annotated[bool, Mark.LEASE, Stage(3)] | None = Field(
        default=None, description="Whether application logging is on; every apply renews it when it is about to end."
    )
    restart: Annotated[str, Mark.TRIGGER, Stage(4)] | None = Field(
        default=None, description="Any token; the app is restarted when it differs from the recorded one."
    )


class DeviceType(ResourceType[Api]):
    """Devices of the account."""

    path = "microvisor.devices"
    singular = "device"
    noun = "device"
    defaults: ClassVar[Attrs] = {"logging": False}
    Model = Device

    def unit(self, attrs: Attrs, key: str) -> tuple[str | None, str]:
        sid = attrs.get("sid")
        return (normal_sid(str(sid)) if sid else None), str(attrs.get("unique_name") or key)

    def check(self, attrs: Attrs, key: str) -> list[Mistake]:
        return name_problems(attrs, key)

    def view(self, seen: Observed, prior: Entry | None, now: datetime) -> View:
        facts = seen.facts
        attrs = dict(seen.attrs)
        renew: frozenset[str] = frozenset()
        ends = moment(facts.get("logging_ends"))
        if attrs.get("logging") and ends is not None and ends - now < RENEW_BEFORE:
            renew = frozenset({"logging"})
        elif not attrs.get("logging") and prior is not None and prior.attrs.get("logging"):
            # Off, and we had it on: it ran out by itself, unless its time was not up yet. Then somebody ended it.
            recorded = moment(prior.facts.get("logging_ends"))
            if recorded is not None and recorded <= now:
                attrs["logging"], renew = True, frozenset({"logging"})
        target, reported, status = attrs.get("app"), facts.get("reported"), facts.get("update_status")
        since = moment(facts.get("targeted"))
        if target is None:
            return View(attrs, renew=renew)
        if status == "error":
            code = facts.get("update_error_code")
            return View(attrs, Status.FAILED, f"could not install {target}: error {code}", since, renew=renew)
        if reported != target or status in ("pending", "scheduled"):
            return View(attrs, Status.PENDING, f"{target} is not installed yet", since, renew=renew)
        if "update_status" in facts and status != "up-to-date":
            told = f"says {status!r}, which this version does not know" if status else "does not say"
            return View(attrs, Status.PENDING, f"whether {target} is installed the API {told}", since, renew=renew)
        return View(attrs, renew=renew)

    def facts(self, seen: Observed, prior: Entry | None = None) -> Mapping[str, Any]:
        return {"logging_ends": seen.facts.get("logging_ends")} if seen.attrs.get("logging") else {}

    def recalled(self, entry: Entry, id_of: Callable[[Ref], str | None]) -> Observed:
        known = super().recalled(entry, id_of)
        return replace(known, facts={**known.facts, "reported": known.attrs.get("app")})

    def uses(self, seen: Observed) -> Iterable[Use]:
        yield from super().uses(seen)
        reported = seen.facts.get("reported")
        if isinstance(reported, str):
            yield Use("app", reported, "reports", now=True)

    async def listing(self, api: Api, parent: str | None) -> AsyncIterator[Page]:
        async for page in pages(api, "Devices", key="devices", read=lambda member, _: read_device(member)):
            yield page

    async def read(self, api: Api, target: Target) -> Reading:
        try:
            answer = await api.main.get("Devices", target.id or target.name or "")
        except NotFound:
            return Reading(None)
        return Reading(read_device(body(answer, "Microvisor")), server_time(answer))

    async def update(self, api: Api, target: Target, patch: Attrs) -> Observed:
        form = {_FORM[name]: _text(name, value) for name, value in patch.items()}
        # Sent again, a restart is a second restart; everything else says how it should be and may be repeated.
        answer = await api.main.send(
            "POST", "Devices", target.id or target.name or "", form=form, idempotent="restart" not in patch
        )
        return read_device(body(answer, "Microvisor"))


def _text(name: str, value: Any) -> str:
    if name == "restart":
        return "true"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def read_device(member: Mapping[str, Any]) -> Observed:
    """A device as the API answers it, in the words of the model; the older shape of the overview page as well."""
    sid = member.get("sid")
    if not isinstance(sid, str):
        raise BadAnswer("the Microvisor API answered with a device that has no sid")
    app = _object(member.get("app")) or _object(member.get("app_update"))
    logging = _object(member.get("logging"))
    name = member.get("unique_name")
    enabled = logging.get("enabled", member.get("logging_enabled"))
    return Observed(
        normal_sid(sid),
        {"unique_name": name, "app": app.get("target_sid"), "logging": bool(enabled)},
        name=name,
        facts={
            "reported": app.get("reported_sid"),
            "update_status": app.get("update_status", app.get("status", member.get("status"))),
            "update_error_code": app.get("update_error_code"),
            "targeted": dated(app.get("date_targeted")),
            "logging_ends": dated(logging.get("date_expires", member.get("date_logging_expires"))),
        },
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
