"""
Device groups: `/v3/device-groups/`, and their members, one device a call (contract: group).

Where the contract is silent: a device that is a member already is added again, and one that is none removed, with
the same 204; a device that does not exist is a 404.
"""

from collections.abc import Callable
from typing import Any

from reconcile.simulator.device_management import filters
from reconcile.simulator.device_management.body import accepted, document
from reconcile.simulator.device_management.devices import list_devices
from reconcile.simulator.device_management.directory import FILTERED, Directory, created
from reconcile.simulator.device_management.listing import listing
from reconcile.simulator.device_management.refusal import Invalid, Refused, methods, not_found, unrecognized
from reconcile.simulator.device_management.resources import GROUP, GROUPS
from reconcile.simulator.exchange import Answer, Request, json_answer


def answer_groups(request: Request, directory: Directory, rest: list[str]) -> Answer:
    if not rest:
        return methods(request, GET=lambda: _listing(request, directory), POST=lambda: _create(request, directory))
    id_ = rest[0]
    if id_ not in directory.groups.by_key:
        raise not_found("Device group", id_)
    match rest[1:]:
        case []:
            return methods(
                request,
                GET=lambda: json_answer(200, _view(directory, id_)),
                PUT=lambda: _update(request, directory, id_),
                DELETE=lambda: _delete(request, directory, id_),
            )
        case ["devices"]:
            return methods(request, GET=lambda: list_devices(request, directory, directory.members[id_]))
        case ["devices", "add"]:
            return methods(request, POST=lambda: _membership(request, directory, id_, directory.join))
        case ["devices", "remove"]:
            return methods(request, POST=lambda: _membership(request, directory, id_, directory.leave))
    raise unrecognized(request)


def _listing(request: Request, directory: Directory) -> Answer:
    conditions = filters.of_query(request.query, FILTERED[GROUPS])
    return listing(
        request,
        directory.candidates(GROUPS, conditions),
        (lambda id_: directory.matches(GROUPS, id_, conditions)) if conditions else None,
        lambda id_: _view(directory, id_),
    )


def _view(directory: Directory, id_: str) -> dict[str, Any]:
    return {**GROUP.view(id_, directory.groups.by_key[id_]), "devices_count": len(directory.members[id_])}


def _free(directory: Directory, name: str, id_: str | None) -> None:
    owner = directory.by_group_name.get(name, id_)
    if owner != id_:
        raise Refused(409, f"name {name!r} is that of Device group {owner}")


def _create(request: Request, directory: Directory) -> Answer:
    sent = accepted(request, GROUP, creating=True)
    _free(directory, sent["name"], None)
    id_ = directory.new_id(request.now)
    directory.add(GROUPS, id_, {**sent, **created(request.now)})
    return json_answer(201, _view(directory, id_))


def _update(request: Request, directory: Directory, id_: str) -> Answer:
    sent = accepted(request, GROUP, creating=False)
    if "name" in sent:
        _free(directory, sent["name"], id_)
    if sent:
        directory.write(GROUPS, id_, sent, request.now)
    return json_answer(200, _view(directory, id_))


def _delete(request: Request, directory: Directory, id_: str) -> Answer:
    directory.remove(GROUPS, id_, request.now)
    return Answer(204)


def _membership(request: Request, directory: Directory, id_: str, change: Callable[[str, str, float], None]) -> Answer:
    device = document(request).get("device_id")
    if not isinstance(device, str):
        raise Invalid([("device_id", "must be the id of a device")])
    if device not in directory.devices.by_key:
        raise not_found("Device", device)
    change(id_, device, request.now)
    return Answer(204)
