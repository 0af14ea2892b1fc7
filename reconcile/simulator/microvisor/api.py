"""
The Microvisor API: `/v1/…`, and `/upload/v1/Apps` for its upload host (contract: microvisor.md; read with the
vendor's OpenAPI document of 2024). Requests in, answers in the vendor's shapes out.
"""

import base64
import binascii
import hmac
from dataclasses import replace

from reconcile.simulator import bodies, paging
from reconcile.simulator.exchange import Answer, Request
from reconcile.simulator.microvisor import bundle
from reconcile.simulator.microvisor.account import DEVICE_SID
from reconcile.simulator.microvisor.apps import answer_apps, answer_upload
from reconcile.simulator.microvisor.devices import answer_devices, end_of_name
from reconcile.simulator.microvisor.entries import Entries
from reconcile.simulator.microvisor.refusal import Refused, error, methods, not_found
from reconcile.simulator.world import World

_MAX_FORM = 1 << 20
_MAX_BUNDLE = 512 << 20


class MicrovisorApi:
    """Answers for `exchange.Api`."""

    def claims(self, segments: list[str]) -> bool:
        return segments[0] == "v1" or segments[:2] == ["upload", "v1"]

    def refuse(self, request: Request, world: World) -> Answer | None:
        if request.authorization in world.basic or _authorized(request.authorization, world):
            return None
        answer = error(
            401,
            "Authentication Error - " + ("invalid username" if request.authorization else "No credentials provided"),
            "Your AccountSid or AuthToken was incorrect.",
        )
        answer.headers["WWW-Authenticate"] = 'Basic realm="Twilio API"'
        return answer

    def max_body(self, request: Request) -> int:
        return _MAX_BUNDLE if request.segments[0] == "upload" else _MAX_FORM

    def error(self, status: int, message: str) -> Answer:
        return error(status, message)

    def about(self, request: Request, id_: str) -> Request | None:
        segments = _about(request, id_)
        return None if segments is None else replace(request, method="GET", segments=segments, body=b"")

    def answer(self, request: Request, world: World) -> Answer:
        try:
            return _route(request, world)
        except Refused as refused:
            return refused.answer
        except bodies.BodyError as e:
            return error(e.status, str(e))
        except (bundle.BundleError, paging.PagingError) as e:
            return error(400, str(e))


def _authorized(header: str, world: World) -> bool:
    """The slow way, for headers that another client has written in another form."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    canonical = "Basic " + base64.b64encode(decoded.encode()).decode()
    return any(hmac.compare_digest(canonical, accepted) for accepted in world.basic)


def _about(request: Request, id_: str) -> list[str] | None:
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


def _route(request: Request, world: World) -> Answer:
    segments = request.segments
    if segments[0] == "upload":
        if segments == ["upload", "v1", "Apps"]:
            return methods(request, POST=lambda: answer_upload(request, world))
        raise not_found(request)
    match segments[1:]:
        case ["Apps", *rest]:
            return answer_apps(request, world, rest)
        case ["Devices", *rest]:
            return answer_devices(request, world, rest)
        case ["Configs", *rest]:
            return Entries(request, world, "configs", None).answer(rest)
        case ["Secrets", *rest]:
            return Entries(request, world, "secrets", None).answer(rest)
    raise not_found(request)
