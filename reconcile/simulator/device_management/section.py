"""
Device Management: `device_management` in the world, and the API: `/v3/…`, and pre-shared keys under `/v2/…`
(docs/apis/device_management.md). Requests in, answers in the vendor's shapes out.
"""

import hmac
from dataclasses import replace
from typing import Any

from reconcile.simulator.device_management import account
from reconcile.simulator.device_management.campaigns import Campaigns
from reconcile.simulator.device_management.devices import Devices
from reconcile.simulator.device_management.entities import Entities
from reconcile.simulator.device_management.filters import PAGING, FilterError
from reconcile.simulator.device_management.firmware import Images, Manifests
from reconcile.simulator.device_management.groups import Groups
from reconcile.simulator.device_management.jobs import MOST_CHUNK
from reconcile.simulator.device_management.keys import answer_keys
from reconcile.simulator.device_management.refusal import (
    REQUEST_ID,
    Invalid,
    Refused,
    error,
    request_id,
    unrecognized,
)
from reconcile.simulator.device_management.rollout import Rollout
from reconcile.simulator.exchange import Call, Reply
from reconcile.simulator.shape import Path
from reconcile.simulator.world import Credential, Section, SimulatedWorld, digest

_MAX_BODY = 1 << 20
_UPLOADS = (["v3", "firmware-images"], ["v3", "firmware-manifests"])
_SCHEME = "bearer"


class DeviceManagement(Section[Rollout]):
    """See `world.Section`."""

    name = "device_management"
    provider = "device_management"
    credentials = (Credential("api_key", lambda seed: "ak_" + digest(seed, "key")),)
    kinds = account.KINDS
    parse = staticmethod(account.parse)
    dump = staticmethod(account.dump)
    settle = staticmethod(Rollout.settle)
    rows = staticmethod(account.rows)
    row = staticmethod(account.row)
    settings = staticmethod(account.settings)
    assemble = staticmethod(account.assemble)

    def units(self, known: dict[str, Any], path: Path) -> dict[str, Any]:
        """Of `{"devices": […]}`; see `account.units`."""
        devices = account.units(known.get("devices") or [], (*path, "devices"))
        return {self.name: {"devices": devices}} if devices else {}

    def claims(self, segments: list[str]) -> bool:
        return segments[0] in ("v2", "v3")

    def refuse(self, request: Call, world: SimulatedWorld) -> Reply | None:
        scheme, _, key = request.authorization.partition(" ")
        key = key.strip()
        if scheme.lower() != _SCHEME or not key:
            # Another scheme is a header that is valid, but not here.
            mismatch = bool(key) and scheme.lower() != _SCHEME
            refused = error(401, "The Authorization header is not one of this API", "auth_mismatch" if mismatch else "")
        elif hmac.compare_digest(key.encode("utf-8", "replace"), world.credentials["api_key"].encode()):
            return None
        elif key.startswith("ak_"):
            refused = error(401, "The API key is invalid", "invalid_apikey")
        else:
            refused = error(401, "The token is invalid", "invalid_token")
        refused.headers["WWW-Authenticate"] = "Bearer"
        return refused

    def max_body(self, request: Call) -> int:
        """The datafile of an upload is measured on its own; its form needs a little more."""
        return MOST_CHUNK + _MAX_BODY if request.segments[:2] in _UPLOADS else _MAX_BODY

    def error(self, status: int, message: str) -> Reply:
        return error(status, message)

    def about(self, request: Call, id_: str) -> Call | None:
        reading = request.method == "GET"
        match request.segments:
            case [_, _] if reading:
                # A listing is of a unit when it looks for one.
                paging = {name: value for name, value in request.query.items() if name in PAGING}
                return None if len(paging) == len(request.query) else replace(request, query={**paging, "id__eq": id_})
            case ["v3", section, _, *below] if reading:
                segments = ["v3", section, id_, *below]
            case [version, section, *_]:
                segments = [version, section, id_]
            case _:
                return None
        return replace(request, method="GET", segments=segments, body=b"")

    def answer(self, request: Call, world: SimulatedWorld) -> Reply:
        directory = world.device_management
        directory.settle(request.now)
        try:
            answer = _route(request, directory)
        except Refused as refused:
            return refused.answer
        except FilterError as e:
            return Invalid(e.problems).answer
        answer.headers[REQUEST_ID] = request_id()
        return answer


# By version and collection.
_ENTITIES: dict[tuple[str, str], type[Entities]] = {
    ("v3", "devices"): Devices,
    ("v3", "device-groups"): Groups,
    ("v3", "firmware-images"): Images,
    ("v3", "firmware-manifests"): Manifests,
    ("v3", "update-campaigns"): Campaigns,
}


def _route(request: Call, directory: Rollout) -> Reply:
    version, collection = (*request.segments, "")[:2]
    if (version, collection) == ("v2", "device-shared-keys"):
        return answer_keys(request, directory, request.segments[2:])
    if (version, collection) in _ENTITIES:
        return _ENTITIES[version, collection](request, directory).answer(request.segments[2:])
    raise unrecognized(request)
