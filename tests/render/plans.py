"""Plans that the tests render: values, made by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconcile.core.address import Address
from reconcile.core.bindings import Bindings
from reconcile.core.plan import (
    Action,
    Blocked,
    Cause,
    Change,
    FieldChange,
    NotCompared,
    Plan,
    Reason,
    Unread,
    Unsettled,
)
from reconcile.core.values import FileRef, Ref, SecretRef
from reconcile.errors import Position

ACCOUNT = "AC00000000000000000000000000000001"
HOST = "microvisor.twilio.com"


@dataclass(frozen=True)
class Kind:
    noun: str
    singular: str


TYPES = {
    "microvisor.apps": Kind("app", "app"),
    "microvisor.configs": Kind("config", "config"),
    "microvisor.secrets": Kind("secret", "secret"),
    "microvisor.devices": Kind("device", "device"),
    "microvisor.devices.configs": Kind("device config", "device_config"),
    "microvisor.devices.secrets": Kind("device secret", "device_secret"),
    "asset_tracker.trackers": Kind("tracker", "tracker"),
}
FLEET = Position("prod/fleet.yaml", 4, 9)


def bindings(**more: Any) -> Bindings:
    return Bindings(
        **{
            "fleet": "cold-chain-prod",
            "path": "prod",
            "lineage": "b1f0",
            "serial": 412,
            "accounts": {"microvisor": (ACCOUNT, HOST)},
            "tool": "0.1.0",
            "made": "2026-11-02T10:00:00Z",
            **more,
        }
    )


def plan(*changes: Change, **more: Any) -> Plan:
    return Plan(more.pop("bindings", bindings()), list(changes), **{"units": 3, "requests": 7, **more})


def device(name: str, *fields: FieldChange, **more: Any) -> Change:
    base: dict[str, Any] = {"action": Action.UPDATE, "reason": Reason.FIELDS_DIFFER, "id": f"UV{name}"}
    return Change(Address.of("microvisor.devices", [name]), fields=fields, **{**base, **more})


def config(device_name: str, key: str, *fields: FieldChange, **more: Any) -> Change:
    base: dict[str, Any] = {"action": Action.UPDATE, "reason": Reason.FIELDS_DIFFER, "id": key, "parent": "UV"}
    return Change(Address.of("microvisor.devices.configs", [device_name, key]), fields=fields, **{**base, **more})


def secret(device_name: str, key: str, *fields: FieldChange, **more: Any) -> Change:
    base: dict[str, Any] = {"action": Action.UPDATE, "reason": Reason.FIELDS_DIFFER, "id": key, "parent": "UV"}
    return Change(Address.of("microvisor.devices.secrets", [device_name, key]), fields=fields, **{**base, **more})


def field(name: str, before: Any, after: Any, cause: Cause = Cause.YOU, **more: Any) -> FieldChange:
    return FieldChange(tuple(name.split(".")), cause, before, after, **more)


def hidden(ref: str, cause: Cause = Cause.YOU, **more: Any) -> FieldChange:
    parsed = SecretRef.parse(ref)
    assert parsed
    return FieldChange(("value",), cause, None, parsed, sensitive=True, **more)


def retarget(devices: int) -> Plan:
    """A new app for a whole fleet: three versions before, one after, and some drift in passing."""
    where, changes = Position("base/microvisor.yaml", 12, 15), []
    for at in range(devices):
        name, before = f"s-{at:05}", "sensor-b-2.3.1" if at % 5 else "sensor-b-2.3.0" if at % 10 else "sensor-b-2.2.9"
        changes.append(
            device(
                name,
                field("app", before, Ref("microvisor.apps", "sensor-b-2.4.0"), where=where, origin="profile hw-B"),
                block="sensors",
                where=Position("base/microvisor.yaml", 30),
                labels={"site": f"S{at % 40}"},
            )
        )
    for at in range(37):
        changes.append(
            config(
                f"s-{at:05}",
                "sample_s",
                field("value", "60" if at else "5", "300", Cause.SOMEBODY),
                block="sensors",
                where=Position("base/microvisor.yaml", 11),
            )
        )
    app = Address.of("microvisor.apps", ["sensor-b-2.4.0"])
    bundle = FileRef("build/sensor-b-2.4.0.zip", "ab" * 32)
    changes.insert(
        0,
        Change(
            app,
            Action.CREATE,
            Reason.NOT_LIVE,
            after={"bundle": bundle},
            fields=(field("bundle", None, bundle),),
            where=Position("base/microvisor.yaml", 21),
        ),
    )
    return plan(
        *changes,
        units=devices,
        requests=2 * devices + 40,
        expected_requests=devices + 39,
        in_sync={"microvisor.devices.configs": 4 * devices - 37},
    )


def adoption(devices: int) -> Plan:
    """A fleet that is live and in no state: devices with three configs and a secret each."""
    changes = []
    for at in range(devices):
        name, labels = f"s-{at:05}", {"site": f"S{at % 40}"}
        where = Position("inventory/erp.csv", at + 2, row=at + 1)
        adopted: dict[str, Any] = {"block": "sensors", "labels": labels, "where": where}
        adopted |= {"action": Action.ADOPT, "reason": Reason.NOT_IN_STATE}
        changes.append(device(name, **adopted))
        changes.append(config(name, "sample_s", **adopted))
        changes.append(config(name, "site", **adopted))
        changes.append(config(name, "broker", field("value", "old", f"b{at % 40}", Cause.ADOPTION), **adopted))
        changes.append(
            secret(name, "wifi_psk", hidden(f"file:secrets/wifi.json#/S{at % 40}", Cause.VALUE_UNKNOWN), **adopted)
        )
    return plan(*changes, bindings=bindings(serial=None), units=devices, requests=3 * devices)


def mixed() -> Plan:
    """A little of everything."""
    apps, row = Ref("microvisor.apps", "a-2"), Position("inventory/erp.csv", 18, row=17)
    cert = "-----BEGIN-----\nAAA\nBBB\n-----END-----\n"
    changes = [
        Change(
            Address.of("microvisor.apps", ["a-1"]),
            Action.DELETE,
            Reason.NOT_IN_FILES,
            id="KA1",
            blocked="microvisor.devices.w-7 still targets it",
        ),
        Change(
            Address.of("microvisor.apps", ["a-2"]),
            Action.CREATE,
            Reason.NOT_LIVE,
            after={"bundle": FileRef("a-2.zip", "cd" * 32)},
            where=Position("fleet.yaml", 5),
        ),
        Change(
            Address.of("microvisor.configs", ["mqtt.host"]),
            Action.DELETE,
            Reason.NOT_IN_FILES,
            id="mqtt.host",
            before={"value": "mqtt.old.example"},
        ),
        device("gone", action=Action.FORGET, reason=Reason.NOT_IN_FILES),
        device(
            "s-00017",
            field("logging", None, True, Cause.UNIT),
            action=Action.REPLACE,
            reason=Reason.ANOTHER_UNIT,
            id="UV99",
            former="UV07",
            former_name="s-00017.replaced-000007",
            where=row,
        ),
        secret("s-00017", "wifi_psk", hidden("file:secrets/wifi.json#/OSL-1", Cause.UNIT)),
        device("w-1", field("logging", False, True, Cause.ADOPTION), action=Action.ADOPT, reason=Reason.NOT_IN_STATE),
        device("w-2", action=Action.ADOPT, reason=Reason.NOT_IN_STATE),
        device(
            "w-7",
            field("app", Ref("microvisor.apps", "a-1"), apps, where=Position("fleet.yaml", 9), origin="profile cold"),
            field("restart", None, "2026-11-02"),
            where=Position("fleet.yaml", 30),
        ),
        config("w-7", "cert", field("value", cert, cert.replace("BBB", "CCC\r"))),
        secret("w-7", "wifi_psk", hidden("env:PSK")),
        config("w-7", "sample_s", field("value", "60", "300", Cause.SOMEBODY)),
        config("w-7", "site", field("value", "oslo", "bergen", Cause.BOTH, prior="narvik")),
        config("w-8", "deleted", action=Action.CREATE, reason=Reason.GONE, after={"value": "x"}),
        secret("w-8", "key", hidden("env:KEY", Cause.VALUE_UNKNOWN)),
        secret("w-8", "other", hidden("env:OTHER", Cause.SOMEBODY, note="rotated by somebody else at 2026-11-01")),
        device("new-9", action=Action.NOOP, reason=Reason.MOVED, moved_from=Address("microvisor.devices.old-9")),
        device("w-9", action=Action.NOOP, reason=Reason.RECORD, notes=("app is not managed any more",)),
        device("w-10", field("logging", True, True, Cause.LEASE), action=Action.NOOP, reason=Reason.LEASE_ENDS),
    ]
    forgotten = "3,411 devices would be forgotten, limits.forget is 20"
    return plan(
        *changes,
        unsettled=[
            Unsettled(Address("microvisor.devices.w-3"), "pending", "app a-2 not installed yet", "2026-11-01T08:00Z"),
            Unsettled(Address("microvisor.devices.w-4"), "failed", "update failed with code 42"),
        ],
        unread=[Unread("microvisor.devices", Address("microvisor.devices.w-5"), "GET /v1/Devices/w-5 answered 503")],
        blocked=[Blocked(forgotten, "--allow forget=3411", "forget", 3411)],
        warnings=["fleet.yaml:3: looks like a reference"],
        unmanaged={"microvisor.configs": 2, "microvisor.devices": 14},
        in_sync={"microvisor.devices": 1},
        expected_requests=18,
        unresolved_secrets=1,
        not_compared=[
            NotCompared(Address("microvisor.secrets.b"), "value", SecretRef("env", "NOT_HERE"), "no value"),
            *(
                NotCompared(
                    Address(f"microvisor.devices.w-{at}.secrets.psk"), "value", SecretRef("file", "psk"), "another key"
                )
                for at in range(5)
            ),
        ],
    )
