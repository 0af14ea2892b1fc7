"""
The `device_management` section of the world: parsed, dumped, and by row for the database.

It is `{devices, groups, firmware_images, firmware_manifests, campaigns, shared_keys, approval_s, start_fails}`,
entities by id and keys by endpoint name, with the fields of the API and those of the world (`resources`); every field
may be left out. Left out, `endpoint_name` of a device and `name` of a group are the id, `datafile_checksum` of an image
that of the id. Several devices may have one `endpoint_name`. Groups have `devices: [<id>…]`, campaigns `devices: {<id>:
{deployment_state, …}}`: left out of a campaign that is active, it is the devices that match. `approval_s` is how long
somebody takes to approve a campaign that needs it, null for never; `start_fails` is why no campaign can start, null
where they can.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from reconcile.simulator import shape
from reconcile.simulator.clock import date
from reconcile.simulator.device_management import filters
from reconcile.simulator.device_management.directory import FILTERED
from reconcile.simulator.device_management.fields import Record
from reconcile.simulator.device_management.resources import (
    CAMPAIGN,
    CAMPAIGNS,
    DEPLOYMENT,
    DEPLOYMENTS,
    DEVICE,
    DEVICES,
    ENDPOINT,
    GROUP,
    GROUPS,
    ID,
    IMAGE,
    IMAGES,
    KEY,
    KEYS,
    MANIFEST,
    MANIFESTS,
    RESOURCES,
    Phase,
)
from reconcile.simulator.device_management.rollout import Rollout
from reconcile.simulator.shape import Path, ShapeError
from reconcile.simulator.world import Key, SimulatedWorld

# Of the kinds of rows.
_PREFIX = "device_management."
KINDS = [_PREFIX + name for name in RESOURCES]

_SECTION = (DEVICES, GROUPS, IMAGES, MANIFESTS, CAMPAIGNS, KEYS, "approval_s", "start_fails")
_MAX_APPROVAL_S = 366 * 86400

# Since when a campaign is in its phase, and when it began.
_STARTED = ("started_at", "starting_at")
_DATES = {
    Phase.AWAITING_APPROVAL: ("requested_at",),
    Phase.STARTING: _STARTED,
    Phase.ACTIVE: (*_STARTED, "active_at"),
    Phase.STOPPING: (*_STARTED, "stopping_at"),
    Phase.STOPPED: (*_STARTED, "stopped_at", "finished"),
    Phase.ARCHIVED: (*_STARTED, "stopped_at", "finished", "archived_at"),
}


def parse(value: Any, path: Path, world: SimulatedWorld) -> Rollout:
    """
    The section of a world. Dates that are left out are now; the account's id is made from its other one.

    Raises:
        ShapeError: the shape is wrong somewhere, or two entities have one name.
    """
    section = shape.mapping(value, path, _SECTION)
    directory = Rollout()
    directory.account_id = _digest(world.credentials["account_sid"])[:32]
    approval = section.get("approval_s", directory.approval_s)
    if approval is not None:
        approval = shape.number(approval, (*path, "approval_s"), 0, _MAX_APPROVAL_S)
    directory.approval_s = approval
    if (reason := section.get("start_fails")) is not None:
        directory.start_fails = shape.text(reason, (*path, "start_fails"))
    now = world.clock.now()
    today = date(int(now))
    for id_, item, at in _entities(section, DEVICES, path):
        device = DEVICE.parse(item, at, today)
        device["endpoint_name"] = device.get("endpoint_name") or id_
        directory.add(DEVICES, id_, device)
    for id_, item, at in _entities(section, IMAGES, path):
        image = IMAGE.parse(item, at, today)
        image.setdefault("name", id_)
        image.setdefault("datafile_checksum", _digest(id_))
        directory.add(IMAGES, id_, image)
    for id_, item, at in _entities(section, MANIFESTS, path):
        manifest = MANIFEST.parse(item, at, today)
        manifest.setdefault("name", id_)
        manifest.setdefault("timestamp", manifest["created_at"])
        directory.add(MANIFESTS, id_, manifest)
    for id_, item, at in _entities(section, GROUPS, path):
        _group(directory, id_, item, at, today, now)
    unfilled = [
        id_ for id_, item, at in _entities(section, CAMPAIGNS, path) if _campaign(directory, id_, item, at, today)
    ]
    for endpoint, item in shape.mapping(section.get(KEYS, {}), (*path, KEYS)).items():
        at = (*path, KEYS, endpoint)
        shape.matching(endpoint, at, ENDPOINT)
        directory.add(KEYS, endpoint, KEY.parse(item, at, today))
        if "secret_hex" not in directory.keys.by_key[endpoint]:
            raise ShapeError((*at, "secret_hex"), "is missing")
    directory.schedule(world.since, now)
    for id_ in unfilled:
        directory.take_up(id_, now)
    directory.changed = world.changed
    world.authorizations.add(f"Bearer {world.credentials['api_key']}")
    return directory


def _entities(section: dict[str, Any], name: str, path: Path) -> Iterator[tuple[str, Any, Path]]:
    for id_, item in shape.mapping(section.get(name, {}), (*path, name)).items():
        at = (*path, name, id_)
        yield shape.matching(id_, at, ID), item, at


def _group(directory: Rollout, id_: str, item: Any, path: Path, today: str, now: float) -> None:
    group = GROUP.parse(item, path, today, ("devices",))
    name = group.setdefault("name", id_)
    if name in directory.by_group_name:
        raise ShapeError((*path, "name"), f"is that of {directory.by_group_name[name]} already")
    written = dict(group)
    directory.add(GROUPS, id_, group)
    for n, device in enumerate(shape.array(item.get("devices", []), (*path, "devices"))):
        at = (*path, "devices", n)
        if shape.text(device, at) not in directory.devices.by_key:
            raise ShapeError(at, "is not the id of a device of this world")
        directory.join(id_, device, now)
    # That a world names the members is no write to the group.
    group.clear()
    group.update(written)


def _campaign(directory: Rollout, id_: str, item: Any, path: Path, today: str) -> bool:
    """Adds a campaign; answers whether it is active and its devices are still to be found."""
    campaign = CAMPAIGN.parse(item, path, today, ("devices",))
    try:
        filters.of_text(CAMPAIGN.get(campaign, "device_filter"), FILTERED[DEVICES], "device_filter")
    except filters.FilterError as invalid:
        raise ShapeError((*path, "device_filter"), invalid.problems[0][1]) from None
    phase = CAMPAIGN.get(campaign, "phase")
    for name in _DATES.get(phase, ()):
        campaign.setdefault(name, today)
    directory.add(CAMPAIGNS, id_, campaign)
    for device, deployment in shape.mapping(item.get("devices", {}), (*path, "devices")).items():
        at = (*path, "devices", device)
        shape.matching(device, at, ID)
        directory.deployments[id_][device] = DEPLOYMENT.parse(deployment, at, today)
    return phase == Phase.ACTIVE and "devices" not in item


def dump(directory: Rollout) -> dict[str, Any]:
    """The section in its complete form, in the order of its keys."""
    dumped: dict[str, Any] = settings(directory)
    for name, collection in directory.collections.items():
        dumped[name] = {id_: RESOURCES[name].complete(collection.by_key[id_]) for id_ in collection.order()}
    for id_, group in dumped[GROUPS].items():
        group["devices"] = sorted(directory.members[id_])
    for id_, campaign in dumped[CAMPAIGNS].items():
        held = directory.deployments[id_]
        campaign["devices"] = {device: DEPLOYMENT.complete(held[device]) for device in sorted(held)}
    return dumped


def rows(directory: Rollout) -> Iterator[Key]:
    """The keys of the rows."""
    for name, collection in directory.collections.items():
        yield from ((_PREFIX + name, id_) for id_ in collection.by_key)
    for campaign, held in directory.deployments.items():
        yield from ((_PREFIX + DEPLOYMENTS, f"{campaign}/{device}") for device in held)


def row(directory: Rollout, kind: str, id_: str) -> Record | None:
    """The value of a row; None when there is nothing under that id any more."""
    name = kind.removeprefix(_PREFIX)
    if name == DEPLOYMENTS:
        campaign, _, device = id_.partition("/")
        return directory.deployments.get(campaign, {}).get(device)
    record = directory.collections[name].by_key.get(id_)
    if name == DEVICES and record is not None:
        return {**record, "groups": sorted(directory.memberships.get(id_, ()))}
    return record


def assemble(settings: dict[str, Any], kept: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """
    The section, as `parse` takes it.

    Args:
        settings: may be a whole section, as older databases keep it.
    """
    section = dict(settings)
    for name in (DEVICES, GROUPS, IMAGES, MANIFESTS, CAMPAIGNS, KEYS):
        section[name] = {**section.get(name, {}), **kept.get(_PREFIX + name, {})}
    for id_, device in kept.get(_PREFIX + DEVICES, {}).items():
        for group in device.pop("groups"):
            section[GROUPS][group].setdefault("devices", []).append(id_)
    for campaign in kept.get(_PREFIX + CAMPAIGNS, {}).values():
        campaign["devices"] = {}
    for id_, deployment in kept.get(_PREFIX + DEPLOYMENTS, {}).items():
        campaign_id, _, device_id = id_.partition("/")
        section[CAMPAIGNS][campaign_id]["devices"][device_id] = deployment
    return section


def settings(directory: Rollout) -> dict[str, Any]:
    """What is no entity."""
    return {"approval_s": directory.approval_s, "start_fails": directory.start_fails}


def units(value: Any, path: Path) -> dict[str, Any]:
    """
    The `devices` of a section with exactly these units, as from the factory.

    Args:
        value: `[{"id", "endpoint_name", "name"}]`, each null or left out. One given by id has that id, one by endpoint
            name alone an id made from it; a name is given to what is known by nothing else.

    Raises:
        ShapeError: units of another shape.
    """
    devices: dict[str, Any] = {}
    for n, unit in enumerate(shape.array(value, path)):
        at = (*path, n)
        shape.mapping(unit, at)
        known = {key: shape.text(unit[key], (*at, key)) for key in ("id", "endpoint_name", "name") if unit.get(key)}
        if "id" in known:
            id_ = shape.matching(known["id"], (*at, "id"), ID)
            devices.setdefault(id_, {}).update({k: v for k, v in known.items() if k == "endpoint_name"})
        elif "endpoint_name" in known:
            devices[_digest(f"endpoint:{known['endpoint_name']}")[:32]] = {"endpoint_name": known["endpoint_name"]}
        elif "name" in known:
            devices[_digest(f"named:{known['name']}")[:32]] = {"name": known["name"]}
        else:
            raise ShapeError(at, "needs an id, an endpoint_name or a name")
    return devices


def _digest(what: str) -> str:
    return hashlib.sha256(what.encode()).hexdigest()
