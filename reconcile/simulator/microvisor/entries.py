"""
Configs and secrets, of the account and of a device (docs/apis/microvisor.md, "Configs" and "Secrets").

A secret is write-only: its value is in no answer. With `secrets_update: false` in the world it cannot be
updated either, nor a config with `configs_update: false`.
"""

from typing import Any
from urllib.parse import quote

from reconcile.simulator import bodies
from reconcile.simulator.clock import date
from reconcile.simulator.exchange import Call, Reply, json_answer
from reconcile.simulator.microvisor.account import MAX_KEY, MAX_VALUE, Account
from reconcile.simulator.microvisor.hardware import Device, Entry
from reconcile.simulator.microvisor.refusal import Refused, listing, methods, not_found
from reconcile.simulator.ordered import Ordered


class Entries:
    """The configs or the secrets of the account or of one device: four collections with one behaviour."""

    def __init__(self, request: Call, account: Account, name: str, device: Device | None) -> None:
        self.request = request
        self.account = account
        self.name = name
        self.device = device
        self.ordered: Ordered[Entry] | None = None
        if device is None:
            self.ordered = account.configs if name == "configs" else account.secrets
            self.entries = self.ordered.by_key
            self.url = f"{request.base}/v1/{name.capitalize()}"
        else:
            self.entries = device.configs if name == "configs" else device.secrets
            self.url = f"{request.base}/v1/Devices/{device.sid}/{name.capitalize()}"

    def answer(self, rest: list[str]) -> Reply:
        if not rest:
            return methods(self.request, GET=self._listing, POST=self._create)
        key = "/".join(rest)
        updates = self.account.secrets_update if self.name == "secrets" else self.account.configs_update
        if not updates:
            return methods(self.request, GET=lambda: self._read(key), DELETE=lambda: self._delete(key))
        return methods(
            self.request,
            GET=lambda: self._read(key),
            POST=lambda: self._update(key),
            DELETE=lambda: self._delete(key),
        )

    def _listing(self) -> Reply:
        keys = sorted(self.entries) if self.ordered is None else self.ordered.order()
        return listing(self.request, self.account.paging, keys, self.name, self.url, self._view)

    def _create(self) -> Reply:
        fields = bodies.form(self.request.content_type, self.request.body)
        key = fields.get("Key", "")
        if not 1 <= len(key) <= MAX_KEY:
            raise Refused(400, f"Key must have 1 to {MAX_KEY} characters")
        value = _value(fields)
        if key in self.entries:
            raise Refused(409, f"Key {key!r} exists already")
        self._write(key, value)
        return json_answer(201, self._view(key))

    def _read(self, key: str) -> Reply:
        self._require(key)
        return json_answer(200, self._view(key))

    def _update(self, key: str) -> Reply:
        self._require(key)
        self._write(key, _value(bodies.form(self.request.content_type, self.request.body)))
        return json_answer(200, self._view(key))

    def _delete(self, key: str) -> Reply:
        self._require(key)
        if self.ordered is None:
            del self.entries[key]
        else:
            self.ordered.remove(key)
        self._changed(key)
        return Reply(204)

    def _require(self, key: str) -> None:
        if key not in self.entries:
            raise not_found(self.request)

    def _write(self, key: str, value: str) -> None:
        entry = (value, int(self.request.now))
        if self.ordered is None:
            self.entries[key] = entry
        else:
            self.ordered.add(key, entry)
        self._changed(key)

    def _changed(self, key: str) -> None:
        self.account.changed.add((self.name, key) if self.device is None else ("device", self.device.sid))

    def _view(self, key: str) -> dict[str, Any]:
        """A secret's value is never in it."""
        value, written = self.entries[key]
        view: dict[str, Any] = {} if self.device is None else {"device_sid": self.device.sid}
        view["key"] = key
        if self.name == "configs":
            view["value"] = value
            view["date_updated"] = date(written)
        else:
            view["date_rotated"] = date(written)
        view["url"] = f"{self.url}/{quote(key, safe='')}"
        return view


def _value(fields: dict[str, str]) -> str:
    if "Value" not in fields:
        raise Refused(400, "Value is missing")
    if len(fields["Value"]) > MAX_VALUE:
        raise Refused(400, f"Value must have at most {MAX_VALUE} characters")
    return fields["Value"]
