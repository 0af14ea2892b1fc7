"""
Microvisor: `microvisor` in the world, and the API: `/v1/…`, and `/upload/v1/Apps` for its upload host
(docs/apis/microvisor.md; read with the vendor's OpenAPI document of 2024). Requests in, answers in the vendor's shapes
out.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from reconcile.simulator import bodies, paging, shape
from reconcile.simulator.clock import date
from reconcile.simulator.exchange import Call, Reply
from reconcile.simulator.microvisor import account, bundle
from reconcile.simulator.microvisor.account import DEVICE_SID, ROWS, SERVICE, Account
from reconcile.simulator.microvisor.apps import answer_apps, answer_upload
from reconcile.simulator.microvisor.devices import answer_devices, end_of_name
from reconcile.simulator.microvisor.entries import Entries
from reconcile.simulator.microvisor.hardware import Device
from reconcile.simulator.microvisor.refusal import Refused, error, methods, not_found
from reconcile.simulator.shape import Path, ShapeError
from reconcile.simulator.world import Credential, Key, Section, SimulatedWorld, digest, unused

_ACCOUNT_SID = re.compile("AC[0-9a-fA-F]{32}")

_MAX_FORM = 1 << 20
_MAX_BUNDLE = 512 << 20


class Microvisor(Section[Account]):
    """See `world.Section`."""

    name = "microvisor"
    provider = "microvisor"
    credentials = (
        Credential("account_sid", lambda seed: "AC" + digest(seed, "account")[:32], _ACCOUNT_SID),
        Credential("auth_token", lambda seed: digest(seed, "token")[:32]),
    )
    kinds = ROWS
    fleet = "devices"
    parse = staticmethod(account.parse)
    dump = staticmethod(account.dump)
    settle = staticmethod(Account.settle)
    settings = staticmethod(SERVICE.dump)

    def rows(self, held: Account) -> Iterator[Key]:
        return ((kind, id_) for kind, collection in held.collections.items() for id_ in collection.by_key)

    def row(self, held: Account, kind: str, id_: str) -> Any:
        unit = held.collections[kind].by_key.get(id_)
        return None if unit is None else ROWS[kind](unit)

    def assemble(self, settings: dict[str, Any], kept: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        devices = kept.get("device", {})
        section = {**settings, "apps": kept.get("app", {}), "dates": {}}
        section["devices"] = {sid: row["device"] for sid, row in devices.items()}
        section["dates"]["devices"] = {sid: row["dates"] for sid, row in devices.items()}
        for kind in ("configs", "secrets"):
            entries = kept.get(kind, {})
            section[kind] = {key: value for key, (value, _) in entries.items()}
            section["dates"][kind] = {key: date(int(written)) for key, (_, written) in entries.items()}
        return section

    def units(self, known: dict[str, Any], path: Path) -> dict[str, Any]:
        """Of `{"devices": [{"sid": "UV…" or None, "unique_name": "…" or None}], "account_sid": "AC…" or None}`."""
        devices: dict[str, dict[str, Any]] = {}
        for n, unit in enumerate(shape.array(known.get("devices", []), (*path, "devices"))):
            at = (*path, "devices", n)
            sid, name = shape.mapping(unit, at).get("sid"), unit.get("unique_name")
            if sid is not None:
                devices.setdefault(shape.matching(sid, (*at, "sid"), DEVICE_SID), {})
            elif name is not None:
                name = shape.text(name, (*at, "unique_name"))
                devices["UV" + digest(0, f"named:{name}")[:32]] = {"unique_name": name}
            else:
                raise ShapeError(at, "needs a sid or a unique_name")
        world: dict[str, Any] = {self.name: {"devices": devices}}
        if known.get("account_sid") is not None:
            world["account_sid"] = shape.matching(known["account_sid"], (*path, "account_sid"), _ACCOUNT_SID)
        return world

    def add_units(self, world: SimulatedWorld, count: int, seed: int) -> list[str]:
        held: Account = world.microvisor
        now = int(world.clock.now())
        sids = unused(count, held.devices.by_key, lambda n: "UV" + digest(seed, f"device:{n}")[:32])
        held.add_devices(Device(sid, now, now) for sid in sids)
        world.changed.update(("device", sid) for sid in sids)
        return sids

    def claims(self, segments: list[str]) -> bool:
        return segments[0] == "v1" or segments[:2] == ["upload", "v1"]

    def refuse(self, request: Call, world: SimulatedWorld) -> Reply | None:
        if _authorized(request.authorization, world.microvisor.authorizations):
            return None
        answer = error(
            401,
            "Authentication Error - " + ("invalid username" if request.authorization else "No credentials provided"),
            "Your AccountSid or AuthToken was incorrect.",
        )
        answer.headers["WWW-Authenticate"] = 'Basic realm="Twilio API"'
        return answer

    def max_body(self, request: Call) -> int:
        return _MAX_BUNDLE if request.segments[0] == "upload" else _MAX_FORM

    def error(self, status: int, message: str) -> Reply:
        return error(status, message)

    def about(self, request: Call, id_: str) -> Call | None:
        segments = _about(request, id_)
        return None if segments is None else replace(request, method="GET", segments=segments, body=b"")

    def answer(self, request: Call, world: SimulatedWorld) -> Reply:
        try:
            return _route(request, world.microvisor)
        except Refused as refused:
            return refused.answer
        except bodies.BodyError as e:
            return error(e.status, str(e))
        except (bundle.BundleError, paging.PagingError) as e:
            return error(400, str(e))


def _authorized(header: str, accepted: frozenset[str]) -> bool:
    if header in accepted:
        return True
    # The slow way, for headers that another client has written in another form.
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    canonical = "Basic " + base64.b64encode(decoded.encode()).decode()
    return any(hmac.compare_digest(canonical, own) for own in accepted)


def _about(request: Call, id_: str) -> list[str] | None:
    """
    The path of a unit in place of another.

    Of a config or secret of a device that is its device when the id is that of one, else the key.
    """
    match request.segments:
        case ["upload", "v1", "Apps"]:
            return ["v1", "Apps", id_]
        case ["v1", "Apps", _, *_, "Manifest"]:
            return ["v1", "Apps", id_, "Manifest"]
        case ["v1", "Devices", _, *_] as segments:
            end = 2 + end_of_name(segments[2:])
            device, entry = segments[:end], segments[end:]
            creating = len(entry) == 1 and request.method != "GET"
            if not entry or DEVICE_SID.fullmatch(id_):
                made = [bodies.form(request.content_type, request.body).get("Key", "")] if creating else []
                return ["v1", "Devices", id_, *entry, *made]
            return [*device, entry[0], id_] if creating or len(entry) > 1 else None
        case ["v1", collection, *rest] if rest or request.method != "GET":
            return ["v1", collection, id_]
    return None


def _route(request: Call, held: Account) -> Reply:
    segments = request.segments
    if segments[0] == "upload":
        if segments == ["upload", "v1", "Apps"]:
            return methods(request, POST=lambda: answer_upload(request, held))
        raise not_found(request)
    match segments[1:]:
        case ["Apps", *rest]:
            return answer_apps(request, held, rest)
        case ["Devices", *rest]:
            return answer_devices(request, held, rest)
        case ["Configs", *rest]:
            return Entries(request, held, "configs", None).answer(rest)
        case ["Secrets", *rest]:
            return Entries(request, held, "secrets", None).answer(rest)
    raise not_found(request)
