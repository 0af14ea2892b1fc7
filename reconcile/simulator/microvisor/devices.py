"""
Devices: read and updated, never made or deleted (docs/apis/microvisor.md, "Devices").

docs/apis/microvisor.md, "What is not documented": a taken UniqueName is a 409, an unknown TargetApp a 400, and fields
that the API does not know are ignored.
"""

from typing import Any

from reconcile.simulator import bodies
from reconcile.simulator.clock import date
from reconcile.simulator.exchange import Call, Reply, json_answer
from reconcile.simulator.microvisor.account import Account, dump_device_app, dump_logging
from reconcile.simulator.microvisor.entries import Entries
from reconcile.simulator.microvisor.hardware import ERROR, LOGGING_LEASE_S, PENDING, Device, settle, target
from reconcile.simulator.microvisor.refusal import Refused, listing, methods, required, unique_name


def answer_devices(request: Call, account: Account, rest: list[str]) -> Reply:
    devices = account.devices

    def view(sid: str) -> dict[str, Any]:
        device = devices.by_key[sid]
        settle(device, request.now, account.since)
        return _device_view(device, account, request)

    if not rest:
        url = f"{request.base}/v1/Devices"
        return methods(request, GET=lambda: listing(request, account.paging, devices.order(), "devices", url, view))
    split = end_of_name(rest)
    device = account.device("/".join(rest[:split]))
    if device is not None:
        settle(device, request.now, account.since)
    if split < len(rest):
        entries = Entries(request, account, rest[split].lower(), required(request, device))
        return entries.answer(rest[split + 1 :])
    return methods(
        request,
        GET=lambda: json_answer(200, _device_view(required(request, device), account, request)),
        POST=lambda: _update_device(required(request, device), request, account),
    )


def end_of_name(rest: list[str]) -> int:
    """
    How many segments after `Devices` are the device's name.

    A name may hold an unencoded `/`, and so may a key: the first collection after the name divides them.
    """
    return next((n for n in range(1, len(rest)) if rest[n] in ("Configs", "Secrets")), len(rest))


def _update_device(device: Device, request: Call, account: Account) -> Reply:
    """All of a form is checked before any of it is done."""
    fields = bodies.form(request.content_type, request.body)
    logging = _boolean(fields, "LoggingEnabled")
    restart = _boolean(fields, "RestartApp")
    name = fields.get("UniqueName")
    app = None
    if "TargetApp" in fields:
        app = account.app(fields["TargetApp"])
        if app is None:
            raise Refused(400, f"TargetApp {fields['TargetApp']!r} was not found")
    if name is not None:
        unique_name(name)
        owner = account.device_names.get(name, device.sid)
        if owner != device.sid:
            raise Refused(409, f"UniqueName {name!r} is taken by Device {owner}")

    now = int(request.now)
    if name is not None and name != device.unique_name:
        account.rename_device(device, name)
    if app is not None:
        target(device, app.sid, app.hash, now)
    if logging is not None:
        device.logging = now + LOGGING_LEASE_S if logging else None
    if restart:
        device.restarts += 1
    if name is not None or app is not None or logging is not None or restart:
        device.date_updated = now
        account.changed.add(("device", device.sid))
    return json_answer(200, _device_view(device, account, request))


def _boolean(fields: dict[str, str], name: str) -> bool | None:
    if name not in fields:
        return None
    match fields[name].lower():
        case "true":
            return True
        case "false":
            return False
    raise Refused(400, f"{name} must be true or false")


def _device_view(device: Device, account: Account, request: Call) -> dict[str, Any]:
    url = f"{request.base}/v1/Devices/{device.sid}"
    app = dump_device_app(device.app)
    logging = dump_logging(device.logging)
    if account.older_device_shape:
        status = "up-to-date" if app is None else app["update_status"]
        return {
            "sid": device.sid,
            "account_sid": account.sid,
            "unique_name": device.unique_name,
            "logging_enabled": logging["enabled"],
            "date_logging_expires": logging["date_expires"],
            "app_update": app,
            "info": None,
            "status": {PENDING: "scheduled", ERROR: "error"}.get(status, "up-to-date"),
            "date_created": date(device.date_created),
            "date_updated": date(device.date_updated),
            "url": url,
        }
    return {
        "sid": device.sid,
        "unique_name": device.unique_name,
        "account_sid": account.sid,
        "app": app,
        "logging": logging,
        "date_created": date(device.date_created),
        "date_updated": date(device.date_updated),
        "url": url,
        "links": {"device_configs": f"{url}/Configs", "device_secrets": f"{url}/Secrets"},
    }
