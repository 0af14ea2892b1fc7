"""
What the Microvisor account holds: the `microvisor` section of the world, parsed, dumped, and found by name.

The section is `{apps, configs, secrets, devices, dates}` and four knobs of the simulated service: `api_keys
{SK…: secret}` beside the auth token, `secrets_update: false` (a secret cannot be updated, only deleted and
created: 405), `paging: "offset"` (a page token is a position, so that pages really shift; "cursor" resumes
after the last key), and `older_device_shape: true` (devices answered as the overview page of the vendor has
them).
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reconcile.simulator import shape
from reconcile.simulator.clock import date
from reconcile.simulator.microvisor.hardware import (
    ERROR,
    LOGGING_LEASE_S,
    PENDING,
    UP_TO_DATE,
    Device,
    DeviceApp,
    Entry,
    settle,
)
from reconcile.simulator.ordered import Ordered
from reconcile.simulator.shape import Path, ShapeError
from reconcile.simulator.world import Key, World

APP_SID = re.compile("KA[0-9a-fA-F]{32}")
DEVICE_SID = re.compile("UV[0-9a-fA-F]{32}")
_API_KEY_SID = re.compile("SK[0-9a-fA-F]{32}")

MAX_KEY = 100
MAX_VALUE = 4096
# A year: longer periods are written as `online: false`.
_MAX_PERIOD_S = 366 * 86400

_SECTION = (
    "apps",
    "configs",
    "secrets",
    "devices",
    "dates",
    "api_keys",
    "secrets_update",
    "paging",
    "older_device_shape",
)
_APP = ("unique_name", "hash", "manifest", "date_created", "date_updated")
_DEVICE = (
    "unique_name",
    "app",
    "logging",
    "configs",
    "secrets",
    "online",
    "check_in_s",
    "fail_update",
    "restarts",
    "date_created",
    "date_updated",
)
_DEVICE_APP = (
    "target_sid",
    "target_hash",
    "date_targeted",
    "update_status",
    "update_error_code",
    "reported_sid",
    "date_reported",
)


@dataclass(slots=True)
class App:
    """An uploaded bundle; `manifest` is what the service computed from it, and `hash` is the hash of that."""

    sid: str
    unique_name: str | None
    hash: str
    manifest: bytes
    date_created: int
    date_updated: int


class Account:
    """
    One account. `now` in its methods is simulated seconds.

    Attributes:
        since: when its world was put in place; a device that is pending in it connects after that, not before.
        changed: gets the keys of rows that were written.
        authorizations: the headers that are accepted, as they stand.
    """

    def __init__(self, sid: str = "", since: float = 0) -> None:
        self.sid = sid
        self.since = since
        self.changed: set[Key] = set()
        self.authorizations: frozenset[str] = frozenset()
        self.apps: Ordered[App] = Ordered()
        self.configs: Ordered[Entry] = Ordered()
        self.secrets: Ordered[Entry] = Ordered()
        self.devices: Ordered[Device] = Ordered()
        self.app_names: dict[str, str] = {}
        self.device_names: dict[str, str] = {}
        self.api_keys: dict[str, str] = {}
        self.secrets_update = True
        self.paging = "cursor"
        self.older_device_shape = False

    def app(self, sid_or_name: str) -> App | None:
        """A SID wins over a unique name that reads the same."""
        found = self.apps.by_key.get(sid_or_name)
        return found or self.apps.by_key.get(self.app_names.get(sid_or_name, ""))

    def device(self, sid_or_name: str) -> Device | None:
        found = self.devices.by_key.get(sid_or_name)
        return found or self.devices.by_key.get(self.device_names.get(sid_or_name, ""))

    def add_app(self, app: App) -> None:
        self.apps.add(app.sid, app)
        if app.unique_name is not None:
            self.app_names[app.unique_name] = app.sid

    def remove_app(self, app: App) -> None:
        self.apps.remove(app.sid)
        if app.unique_name is not None:
            del self.app_names[app.unique_name]

    def rename_device(self, device: Device, name: str) -> None:
        if device.unique_name is not None:
            del self.device_names[device.unique_name]
        device.unique_name = name
        self.device_names[name] = device.sid

    def add_devices(self, devices: Iterable[Device]) -> None:
        """Adds many at once; names must be free."""
        added = [(device.sid, device) for device in devices]
        self.devices.extend(added)
        self.device_names.update((d.unique_name, sid) for sid, d in added if d.unique_name is not None)

    def settle(self, now: float) -> None:
        """Everything due happens, on every device."""
        for device in self.devices.by_key.values():
            settle(device, now, self.since)


def parse(value: Any, path: Path, world: World) -> Account:
    """
    The section of a world. Dates that are left out are now.

    Raises:
        ShapeError: the shape is wrong somewhere, or two units have one name.
    """
    section = shape.mapping(value, path, _SECTION)
    now = int(world.clock.now())
    account = Account(world.credentials["account_sid"], world.since)
    account.changed = world.changed
    account.secrets_update = shape.boolean(section.get("secrets_update", True), (*path, "secrets_update"))
    account.paging = shape.choice(section.get("paging", "cursor"), (*path, "paging"), ("cursor", "offset"))
    account.older_device_shape = shape.boolean(section.get("older_device_shape", False), (*path, "older_device_shape"))
    for sid, secret in shape.mapping(section.get("api_keys", {}), (*path, "api_keys")).items():
        at = (*path, "api_keys", sid)
        account.api_keys[shape.matching(sid, at, _API_KEY_SID)] = shape.text(secret, at)
    for sid, item in shape.mapping(section.get("apps", {}), (*path, "apps")).items():
        app = _app(sid, item, (*path, "apps", sid), now)
        _claim(account.app_names, app.unique_name, sid, (*path, "apps", sid, "unique_name"))
        account.apps.by_key[sid] = app

    dates = shape.mapping(section.get("dates", {}), (*path, "dates"), ("configs", "secrets", "devices"))
    at = (*path, "dates", "devices")
    dates_of_devices = shape.mapping(dates.get("devices", {}), at)
    account.configs.extend(_entries(section, dates, "configs", path, (*path, "dates"), now).items())
    account.secrets.extend(_entries(section, dates, "secrets", path, (*path, "dates"), now).items())
    for sid, item in shape.mapping(section.get("devices", {}), (*path, "devices")).items():
        device = _device(sid, item, (*path, "devices", sid), now, account.apps.by_key)
        own = shape.mapping(dates_of_devices.get(sid, {}), (*at, sid), ("configs", "secrets"))
        device.configs = _entries(item, own, "configs", (*path, "devices", sid), (*at, sid), now)
        device.secrets = _entries(item, own, "secrets", (*path, "devices", sid), (*at, sid), now)
        _claim(account.device_names, device.unique_name, sid, (*path, "devices", sid, "unique_name"))
        account.devices.by_key[sid] = device
    pairs = {account.sid: world.credentials["auth_token"], **account.api_keys}
    account.authorizations = frozenset(
        "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() for user, password in pairs.items()
    )
    world.authorizations |= account.authorizations
    return account


def _claim(names: dict[str, str], name: str | None, sid: str, path: Path) -> None:
    if name is None:
        return
    if name in names:
        raise ShapeError(path, f"is the unique name of {names[name]} already")
    names[name] = sid


def _app(sid: str, value: Any, path: Path, now: int) -> App:
    shape.matching(sid, path, APP_SID)
    item = shape.mapping(value, path, _APP)
    name = _name(item.get("unique_name"), (*path, "unique_name"))
    if "manifest" in item:
        try:
            manifest = base64.b64decode(shape.text(item["manifest"], (*path, "manifest")), validate=True)
        except ShapeError:
            raise
        except ValueError:
            raise ShapeError((*path, "manifest"), "is not base64") from None
    else:
        manifest = json.dumps({"app": sid}).encode()
    hashed = item.get("hash", "sha256:" + hashlib.sha256(manifest).hexdigest())
    created = shape.date(item.get("date_created", date(now)), (*path, "date_created"))
    updated = shape.date(item.get("date_updated", date(created)), (*path, "date_updated"))
    return App(sid, name, shape.text(hashed, (*path, "hash")), manifest, created, updated)


def _name(value: Any, path: Path) -> str | None:
    if value is None:
        return None
    if value == "":
        raise ShapeError(path, "must not be empty; null is no name")
    return shape.text(value, path)


def _entries(
    section: dict[str, Any], dates: dict[str, Any], what: str, path: Path, path_of_dates: Path, now: int
) -> dict[str, Entry]:
    values = section.get(what)
    written = shape.mapping(dates.get(what, {}), (*path_of_dates, what))
    if values is None and what not in section:
        return {}
    entries = {}
    for key, value in shape.mapping(values, (*path, what)).items():
        at = (*path, what, key)
        if not 1 <= len(shape.text(key, at)) <= MAX_KEY:
            raise ShapeError(at, f"keys have 1 to {MAX_KEY} characters")
        if len(shape.text(value, at)) > MAX_VALUE:
            raise ShapeError(at, f"values have at most {MAX_VALUE} characters")
        changed = shape.date(written[key], (*path_of_dates, what, key)) if key in written else now
        entries[key] = (value, changed)
    return entries


def _device(sid: str, value: Any, path: Path, now: int, apps: dict[str, App]) -> Device:
    shape.matching(sid, path, DEVICE_SID)
    item = shape.mapping(value, path, _DEVICE)
    created = shape.date(item.get("date_created", date(now)), (*path, "date_created"))
    updated = shape.date(item.get("date_updated", date(created)), (*path, "date_updated"))
    device = Device(sid, created, updated)
    device.unique_name = _name(item.get("unique_name"), (*path, "unique_name"))
    if item.get("app") is not None:
        device.app = _device_app(item["app"], (*path, "app"), now, apps)
    if "logging" in item:
        device.logging_expires = _logging(item["logging"], (*path, "logging"), now)
    device.online = shape.boolean(item.get("online", True), (*path, "online"))
    device.check_in_s = shape.number(item.get("check_in_s", 60), (*path, "check_in_s"), 0.001, _MAX_PERIOD_S)
    device.fail_update = shape.boolean(item.get("fail_update", False), (*path, "fail_update"))
    device.restarts = shape.integer(item.get("restarts", 0), (*path, "restarts"), 0, 2**53)
    return device


def _device_app(value: Any, path: Path, now: int, apps: dict[str, App]) -> DeviceApp:
    item = shape.mapping(value, path, _DEVICE_APP)
    sids: dict[str, str | None] = {}
    dates: dict[str, int | None] = {}
    for sid_key, date_key in (("target_sid", "date_targeted"), ("reported_sid", "date_reported")):
        sid = item.get(sid_key)
        sids[sid_key] = None if sid is None else shape.matching(sid, (*path, sid_key), APP_SID)
        at = item.get(date_key, None if sid is None else date(now))
        dates[date_key] = None if at is None else shape.date(at, (*path, date_key))
    target_sid, reported_sid = sids["target_sid"], sids["reported_sid"]
    installed = target_sid is None or target_sid == reported_sid
    status = shape.choice(
        item.get("update_status", UP_TO_DATE if installed else PENDING),
        (*path, "update_status"),
        (UP_TO_DATE, PENDING, ERROR),
    )
    app = apps.get(target_sid or "")
    target_hash = item.get("target_hash", app.hash if app else None)
    return DeviceApp(
        target_sid=target_sid,
        target_hash=None if target_hash is None else shape.text(target_hash, (*path, "target_hash")),
        date_targeted=dates["date_targeted"],
        update_status=status,
        update_error_code=shape.integer(item.get("update_error_code", 0), (*path, "update_error_code"), 0, 2**31),
        reported_sid=reported_sid,
        date_reported=dates["date_reported"],
    )


def _logging(value: Any, path: Path, now: int) -> int | None:
    item = shape.mapping(value, path, ("enabled", "date_expires"))
    enabled = shape.boolean(item.get("enabled", False), (*path, "enabled"))
    expires = item.get("date_expires")
    at = now + LOGGING_LEASE_S if expires is None else shape.date(expires, (*path, "date_expires"))
    return at if enabled else None


def settings(account: Account) -> dict[str, Any]:
    """The knobs of the service."""
    return {
        "api_keys": dict(sorted(account.api_keys.items())),
        "secrets_update": account.secrets_update,
        "paging": account.paging,
        "older_device_shape": account.older_device_shape,
    }


def dump(account: Account) -> dict[str, Any]:
    """The section in its complete form, in the order of its keys."""
    dates_of_devices = {}
    devices = {}
    for sid in account.devices.order():
        device = account.devices.by_key[sid]
        devices[sid] = dump_device(device)
        if device.configs or device.secrets:
            dates_of_devices[sid] = dump_dates(device.configs, device.secrets)
    return {
        **settings(account),
        "apps": {sid: dump_app(account.apps.by_key[sid]) for sid in account.apps.order()},
        "configs": _values(account.configs.by_key),
        "secrets": _values(account.secrets.by_key),
        "devices": devices,
        "dates": {
            **dump_dates(account.configs.by_key, account.secrets.by_key),
            "devices": dates_of_devices,
        },
    }


def dump_app(app: App) -> dict[str, Any]:
    return {
        "unique_name": app.unique_name,
        "hash": app.hash,
        "manifest": base64.b64encode(app.manifest).decode(),
        "date_created": date(app.date_created),
        "date_updated": date(app.date_updated),
    }


def dump_device(device: Device) -> dict[str, Any]:
    return {
        "unique_name": device.unique_name,
        "app": dump_device_app(device.app),
        "logging": dump_logging(device.logging_expires),
        "configs": _values(device.configs),
        "secrets": _values(device.secrets),
        "online": device.online,
        "check_in_s": device.check_in_s,
        "fail_update": device.fail_update,
        "restarts": device.restarts,
        "date_created": date(device.date_created),
        "date_updated": date(device.date_updated),
    }


def dump_device_app(app: DeviceApp | None) -> dict[str, Any] | None:
    """The app of a device, as the world and the API write it."""
    if app is None:
        return None
    return {
        "target_sid": app.target_sid,
        "target_hash": app.target_hash,
        "date_targeted": None if app.date_targeted is None else date(app.date_targeted),
        "update_status": app.update_status,
        "update_error_code": app.update_error_code,
        "reported_sid": app.reported_sid,
        "date_reported": None if app.date_reported is None else date(app.date_reported),
    }


def dump_logging(expires: int | None) -> dict[str, Any]:
    """The logging of a device, as the world and the API write it."""
    return {"enabled": expires is not None, "date_expires": None if expires is None else date(expires)}


def dump_dates(configs: dict[str, Entry], secrets: dict[str, Entry]) -> dict[str, Any]:
    return {
        "configs": {key: date(configs[key][1]) for key in sorted(configs)},
        "secrets": {key: date(secrets[key][1]) for key in sorted(secrets)},
    }


def _values(entries: dict[str, Entry]) -> dict[str, str]:
    return {key: entries[key][0] for key in sorted(entries)}
