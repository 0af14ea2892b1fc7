"""
What the Microvisor account holds: the `microvisor` section of the world, parsed, dumped, and found by name.

The section is `{apps, configs, secrets, devices, dates}` and four knobs of the simulated service: `api_keys
{SK…: secret}` beside the auth token, `secrets_update` and `configs_update: false` (one cannot be updated, only deleted
and created: 405), `paging: "offset"` (a page token is a position, so that pages really shift; "cursor" resumes
after the last key), and `older_device_shape: true` (devices answered as the overview page of the vendor has
them).
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable
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
from reconcile.simulator.table import Collection, Column, matching, number, one_of, optional, whole
from reconcile.simulator.world import Key, SimulatedWorld

APP_SID = re.compile("KA[0-9a-fA-F]{32}")
DEVICE_SID = re.compile("UV[0-9a-fA-F]{32}")
_API_KEY_SID = re.compile("SK[0-9a-fA-F]{32}")

MAX_KEY = 100
MAX_VALUE = 4096
# A year: longer periods are written as `online: false`.
_MAX_PERIOD_S = 366 * 86400


@dataclass(slots=True)
class App:
    """An uploaded bundle; `manifest` is what the service computed from it, and `hash` is the hash of that."""

    sid: str
    date_created: int
    date_updated: int
    hash: str
    manifest: bytes
    unique_name: str | None = None


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
        # By the kinds of rows.
        self.collections: dict[str, Ordered[Any]] = {
            "app": self.apps,
            "configs": self.configs,
            "secrets": self.secrets,
            "device": self.devices,
        }
        self.app_names: dict[str, str] = {}
        self.device_names: dict[str, str] = {}
        self.api_keys: dict[str, str] = {}
        self.secrets_update = True
        self.configs_update = True
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


def _name(value: Any, path: Path) -> str | None:
    if value == "":
        raise ShapeError(path, "must not be empty; null is no name")
    return None if value is None else shape.text(value, path)


def _base64(value: Any, path: Path) -> bytes:
    text = shape.text(value, path)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ShapeError(path, "is not base64") from None


def _api_keys(value: Any, path: Path) -> dict[str, str]:
    keys = shape.mapping(value, path)
    for sid, secret in keys.items():
        shape.text(secret, (*path, sid))
        shape.matching(sid, (*path, sid), _API_KEY_SID)
    return keys


def _values(value: Any, path: Path) -> dict[str, str]:
    values = shape.mapping(value, path)
    for key, text in values.items():
        at = (*path, key)
        if not 1 <= len(shape.text(key, at)) <= MAX_KEY:
            raise ShapeError(at, f"keys have 1 to {MAX_KEY} characters")
        if len(shape.text(text, at)) > MAX_VALUE:
            raise ShapeError(at, f"values have at most {MAX_VALUE} characters")
    return values


def _dump_values(entries: dict[str, Entry]) -> dict[str, str]:
    return {key: entries[key][0] for key in sorted(entries)}


def _dump_date(at: int | None) -> str | None:
    return None if at is None else date(at)


def dump_logging(expires: int | None) -> dict[str, Any]:
    """The logging of a device, as the world and the API write it."""
    return {"enabled": expires is not None, "date_expires": _dump_date(expires)}


def dump_device_app(app: DeviceApp | None) -> dict[str, Any] | None:
    """The app of a device, as the world and the API write it."""
    return None if app is None else _DEVICE_APP.dump(app)


def dump_dates(configs: dict[str, Entry], secrets: dict[str, Entry]) -> dict[str, Any]:
    return {
        "configs": {key: date(configs[key][1]) for key in sorted(configs)},
        "secrets": {key: date(secrets[key][1]) for key in sorted(secrets)},
    }


_SID = Column(optional(matching(APP_SID)))
_FLAG = Column(shape.boolean)
_DATE = Column(shape.date, date)
_OPTIONAL_DATE = Column(optional(shape.date), _dump_date)
_VALUES = Column(_values, _dump_values)

SERVICE = Collection(
    api_keys=Column(_api_keys, lambda keys: dict(sorted(keys.items()))),
    secrets_update=_FLAG,
    configs_update=_FLAG,
    paging=Column(one_of("cursor", "offset")),
    older_device_shape=_FLAG,
)
APP = Collection(
    unique_name=Column(_name),
    hash=Column(shape.text),
    manifest=Column(_base64, lambda manifest: base64.b64encode(manifest).decode()),
    date_created=_DATE,
    date_updated=_DATE,
)
_DEVICE_APP = Collection(
    target_sid=_SID,
    target_hash=Column(optional(shape.text)),
    date_targeted=_OPTIONAL_DATE,
    update_status=Column(one_of(UP_TO_DATE, PENDING, ERROR)),
    update_error_code=Column(whole(0, 2**31)),
    reported_sid=_SID,
    date_reported=_OPTIONAL_DATE,
)
_LOGGING = Collection(enabled=_FLAG, date_expires=_OPTIONAL_DATE)
DEVICE = Collection(
    unique_name=Column(_name),
    app=Column(optional(_DEVICE_APP.parse), dump_device_app),
    logging=Column(_LOGGING.parse, dump_logging),
    configs=_VALUES,
    secrets=_VALUES,
    online=_FLAG,
    check_in_s=Column(number(0.001, _MAX_PERIOD_S)),
    fail_update=_FLAG,
    restarts=Column(whole(0, 2**53)),
    date_created=_DATE,
    date_updated=_DATE,
)


# The value of a row, by its kind; configs and secrets of a device are in the device's.
ROWS: dict[str, Callable[[Any], Any]] = {
    "app": APP.dump,
    "configs": list,
    "secrets": list,
    "device": lambda device: {"device": DEVICE.dump(device), "dates": dump_dates(device.configs, device.secrets)},
}


def parse(value: Any, path: Path, world: SimulatedWorld) -> Account:
    """
    The section of a world. Dates that are left out are now.

    Raises:
        ShapeError: the shape is wrong somewhere, or two units have one name.
    """
    now = int(world.clock.now())
    account = Account(world.credentials["account_sid"], world.since)
    account.changed = world.changed
    for key, knob in SERVICE.parse(value, path, ("apps", "configs", "secrets", "devices", "dates")).items():
        setattr(account, key, knob)
    pairs = {account.sid: world.credentials["auth_token"], **account.api_keys}
    account.authorizations = frozenset(
        "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() for user, password in pairs.items()
    )
    world.authorizations |= account.authorizations
    for sid, item in shape.mapping(value.get("apps", {}), (*path, "apps")).items():
        at = (*path, "apps", sid)
        app = account.apps.by_key[sid] = _app(sid, item, at, now)
        _claim(account.app_names, app.unique_name, sid, at)
    at = (*path, "dates")
    dates = shape.mapping(value.get("dates", {}), at, ("configs", "secrets", "devices"))
    dates_of_devices = shape.mapping(dates.get("devices", {}), (*at, "devices"))
    for kind, entries in (("configs", account.configs), ("secrets", account.secrets)):
        values = _values(value.get(kind, {}), (*path, kind))
        entries.extend(_entries(values, dates.get(kind, {}), (*at, kind), now).items())
    for sid, item in shape.mapping(value.get("devices", {}), (*path, "devices")).items():
        device = _device(sid, item, (*path, "devices", sid), now, account.apps.by_key)
        own = shape.mapping(dates_of_devices.get(sid, {}), (*at, "devices", sid), ("configs", "secrets"))
        for kind in ("configs", "secrets"):
            device[kind] = _entries(device.get(kind, {}), own.get(kind, {}), (*at, "devices", sid, kind), now)
        _claim(account.device_names, device.get("unique_name"), sid, (*path, "devices", sid))
        account.devices.by_key[sid] = Device(sid, **device)
    return account


def _claim(names: dict[str, str], name: str | None, sid: str, path: Path) -> None:
    if name is None:
        return
    if name in names:
        raise ShapeError((*path, "unique_name"), f"is the unique name of {names[name]} already")
    names[name] = sid


def _entries(values: dict[str, str], dates: Any, path: Path, now: int) -> dict[str, Entry]:
    """Configs or secrets with the dates at which they were written."""
    written = shape.mapping(dates, path)
    return {
        key: (value, shape.date(written[key], (*path, key)) if key in written else now) for key, value in values.items()
    }


def _app(sid: str, value: Any, path: Path, now: int) -> App:
    shape.matching(sid, path, APP_SID)
    app = APP.parse(value, path)
    app.setdefault("manifest", json.dumps({"app": sid}).encode())
    app.setdefault("hash", "sha256:" + hashlib.sha256(app["manifest"]).hexdigest())
    app.setdefault("date_created", now)
    app.setdefault("date_updated", app["date_created"])
    return App(sid, **app)


def _device(sid: str, value: Any, path: Path, now: int, apps: dict[str, App]) -> dict[str, Any]:
    """What a world says of a device."""
    shape.matching(sid, path, DEVICE_SID)
    device = DEVICE.parse(value, path)
    device.setdefault("date_created", now)
    device.setdefault("date_updated", device["date_created"])
    if device.get("app") is not None:
        device["app"] = _device_app(device["app"], now, apps)
    if "logging" in device:
        logging = device["logging"]
        expires = logging.get("date_expires")
        device["logging"] = (now + LOGGING_LEASE_S if expires is None else expires) if logging.get("enabled") else None
    return device


def _device_app(app: dict[str, Any], now: int, apps: dict[str, App]) -> DeviceApp:
    target, reported = app.get("target_sid"), app.get("reported_sid")
    app.setdefault("date_targeted", None if target is None else now)
    app.setdefault("date_reported", None if reported is None else now)
    app.setdefault("update_status", UP_TO_DATE if target in (None, reported) else PENDING)
    if target in apps:
        app.setdefault("target_hash", apps[target].hash)
    return DeviceApp(**app)


def dump(account: Account) -> dict[str, Any]:
    """The section in its complete form, in the order of its keys."""
    devices = {sid: account.devices.by_key[sid] for sid in account.devices.order()}
    with_values = {sid: device for sid, device in devices.items() if device.configs or device.secrets}
    return {
        **SERVICE.dump(account),
        "apps": {sid: APP.dump(account.apps.by_key[sid]) for sid in account.apps.order()},
        "configs": _dump_values(account.configs.by_key),
        "secrets": _dump_values(account.secrets.by_key),
        "devices": {sid: DEVICE.dump(device) for sid, device in devices.items()},
        "dates": {
            **dump_dates(account.configs.by_key, account.secrets.by_key),
            "devices": {sid: dump_dates(device.configs, device.secrets) for sid, device in with_values.items()},
        },
    }
