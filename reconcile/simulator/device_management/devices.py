"""
Devices: `/v3/devices/` (contract: device).

Where the contract is silent: `endpoint_name` of a device that is made without one is its id; one that is taken is
a 409; fields that are read-only are passed over, `endpoint_name` and `groups` of a PUT among them.
"""

from typing import Any

from reconcile.simulator.device_management import filters
from reconcile.simulator.device_management.body import accepted
from reconcile.simulator.device_management.directory import FILTERED, Directory, created
from reconcile.simulator.device_management.listing import listing
from reconcile.simulator.device_management.refusal import Refused, methods, not_found, unrecognized
from reconcile.simulator.device_management.resources import DEVICE, DEVICES, UNENROLLED
from reconcile.simulator.device_management.rollout import Rollout
from reconcile.simulator.exchange import Answer, Request, json_answer


def answer_devices(request: Request, directory: Rollout, rest: list[str]) -> Answer:
    match rest:
        case []:
            return methods(
                request,
                GET=lambda: list_devices(request, directory, None),
                POST=lambda: _create(request, directory),
            )
        case [id_]:
            if id_ not in directory.devices.by_key:
                raise not_found("Device", id_)
            return methods(
                request,
                GET=lambda: json_answer(200, device_view(directory, id_)),
                PUT=lambda: _update(request, directory, id_),
                DELETE=lambda: _delete(request, directory, id_),
            )
    raise unrecognized(request)


def list_devices(request: Request, directory: Directory, members: set[str] | None) -> Answer:
    """The devices that the filters let through; with `members`, of these only."""
    conditions = filters.of_query(request.query, FILTERED[DEVICES])
    keys = directory.candidates(DEVICES, conditions)
    if members is not None:
        keys = sorted(members) if len(members) < len(keys) else [key for key in keys if key in members]
    return listing(
        request,
        keys,
        (lambda id_: directory.matches(DEVICES, id_, conditions)) if conditions else None,
        lambda id_: device_view(directory, id_),
    )


def device_view(directory: Directory, id_: str) -> dict[str, Any]:
    return {
        **DEVICE.view(id_, directory.devices.by_key[id_]),
        "account_id": directory.account_id,
        "groups": sorted(directory.memberships.get(id_, ())),
    }


def _create(request: Request, directory: Rollout) -> Answer:
    sent = accepted(request, DEVICE, creating=True)
    id_ = directory.new_id(request.now)
    device = {"state": UNENROLLED, **sent, **created(request.now)}
    endpoint = device["endpoint_name"] = sent.get("endpoint_name") or id_
    if endpoint in directory.by_endpoint:
        raise Refused(409, f"endpoint_name {endpoint!r} is that of Device {directory.by_endpoint[endpoint]}")
    directory.add(DEVICES, id_, device)
    directory.device_written(id_, device, request.now)
    return json_answer(201, device_view(directory, id_))


def _update(request: Request, directory: Rollout, id_: str) -> Answer:
    sent = accepted(request, DEVICE, creating=False)
    if sent:
        directory.write(DEVICES, id_, sent, request.now)
        directory.device_written(id_, directory.devices.by_key[id_], request.now)
    return json_answer(200, device_view(directory, id_))


def _delete(request: Request, directory: Rollout, id_: str) -> Answer:
    directory.remove(DEVICES, id_, request.now)
    return Answer(204)
