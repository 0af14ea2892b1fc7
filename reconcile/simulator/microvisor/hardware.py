"""
Devices that take a while: what the hardware behind a Device resource does as simulated time passes.

Nothing runs in the background. A device's state is a function of its record and the time, so `settle` brings
one device up to date in O(1) when it is read, and everybody sees what would have happened in between.
"""

from dataclasses import dataclass, field

from reconcile.simulator.clock import next_connection

# docs/apis/microvisor.md, "Logging": logging turns itself off 24 h after it was enabled.
LOGGING_LEASE_S = 24 * 3600
# What a device with `fail_update` reports; the vendor documents no values, only that 0 is none.
UPDATE_FAILED = 1

UP_TO_DATE = "up-to-date"
PENDING = "pending"
ERROR = "error"

# The value of a config or secret, and when it was last written.
Entry = tuple[str, int]


@dataclass(slots=True)
class DeviceApp:
    """The app a device is targeted with, and the one it reports. Dates are whole seconds."""

    target_sid: str | None = None
    target_hash: str | None = None
    date_targeted: int | None = None
    update_status: str = UP_TO_DATE
    update_error_code: int = 0
    reported_sid: str | None = None
    date_reported: int | None = None


@dataclass(slots=True)
class Device:
    """One unit and its Device resource. `logging` is when it turns itself off; None while it is off."""

    sid: str
    date_created: int
    date_updated: int
    unique_name: str | None = None
    app: DeviceApp | None = None
    logging: int | None = None
    configs: dict[str, Entry] = field(default_factory=dict)
    secrets: dict[str, Entry] = field(default_factory=dict)
    online: bool = True
    check_in_s: float = 60
    fail_update: bool = False
    restarts: int = 0


def settle(device: Device, now: float, since: float) -> None:
    """
    Lets everything happen that was due by `now`.

    Args:
        since: when the world was put in place; a device that is pending in it connects after that, not before.
    """
    app = device.app
    if app is not None and app.update_status == PENDING and device.online:
        due = next_connection(app.date_targeted, device.check_in_s, since)
        if due <= now:
            _connect(device, app, int(due))
    if device.logging is not None and device.logging <= now:
        device.logging = None


def _connect(device: Device, app: DeviceApp, at: int) -> None:
    if device.fail_update:
        app.update_status = ERROR
        app.update_error_code = UPDATE_FAILED
        return
    app.update_status = UP_TO_DATE
    app.update_error_code = 0
    app.reported_sid = app.target_sid
    app.date_reported = at


def target(device: Device, app_sid: str, app_hash: str | None, now: int) -> None:
    """
    Targets a device; it installs the app when it next connects (docs/apis/microvisor.md, "Target and report").

    The app that it reports already is up to date at once. The same target again changes nothing while it is
    pending, and is a new attempt after an error.
    """
    app = device.app
    if app is None:
        app = device.app = DeviceApp()
    if app.target_sid == app_sid and app.update_status != ERROR:
        return
    app.target_sid = app_sid
    app.target_hash = app_hash
    app.date_targeted = now
    app.update_error_code = 0
    app.update_status = UP_TO_DATE if app.reported_sid == app_sid else PENDING
