"""
Whether a secret changed, without keeping it: HMAC-SHA256 over where it was written and what it was
(docs/architecture.md, "Fingerprints"). Pure.

Lineage, type, unit and name go into it, so that equal secrets do not look equal; they are recorded as they were when
the secret was written, so that a renamed row or a moved state entry rewrites nothing. The unit is a parameter of
`matches`' caller: another unit under the same key has another record, or none.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from reconcile.core.values import Secret
from reconcile.errors import StateError
from reconcile.secrets.key import FingerprintKey

_FIELDS = ("key_id", "lineage", "type_path", "unit", "name", "mac")


@dataclass(frozen=True, slots=True)
class Print:
    """
    The fingerprint of a secret as it was written.

    Attributes:
        key_id: of the key that made it.
        lineage: of the state.
        type_path: the resource type, `microvisor.devices.secrets`.
        unit: the identity of what holds the secret, such as a device's SID; the account's for its own secrets.
        name: the secret's key at the API.
        mac: 64 hex digits.
    """

    key_id: str
    lineage: str
    type_path: str
    unit: str
    name: str
    mac: str

    def to_json(self) -> dict[str, str]:
        """As it stands in the state."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Print:
        """The inverse of `to_json`; other members are ignored. StateError when it is of another shape."""
        if not isinstance(value, Mapping) or not all(isinstance(value.get(name), str) for name in _FIELDS):
            raise StateError("the state contains an invalid fingerprint")
        return cls(*(value[name] for name in _FIELDS))


def fingerprint(key: FingerprintKey, *, lineage: str, type_path: str, unit: str, name: str, value: Secret) -> Print:
    """The fingerprint of `value`, written under `name` to `unit`."""
    mac = _mac(key, lineage, type_path, unit, name, value)
    return Print(key.key_id, lineage, type_path, unit, name, mac)


def matches(recorded: Print, key: FingerprintKey | None, value: Secret) -> bool | None:
    """Whether `value` is what was written; None = cannot tell, because another key made the record."""
    if key is None or recorded.key_id != key.key_id:
        return None
    mac = _mac(key, recorded.lineage, recorded.type_path, recorded.unit, recorded.name, value)
    return hmac.compare_digest(mac.encode(), recorded.mac.encode())


def _mac(key: FingerprintKey, lineage: str, type_path: str, unit: str, name: str, value: Secret) -> str:
    return keyed(key, "secret fingerprint", lineage, type_path, unit, name, value)


def keyed(key: FingerprintKey, purpose: str, *parts: str | Secret) -> str:
    """
    HMAC-SHA256, hex, of the parts, with the subkey of one purpose.

    Each part goes in after its length in bytes, so that no two lists of parts run together to the same text.
    """
    texts = [part.reveal() if isinstance(part, Secret) else part for part in parts]
    encoded = [text.encode(errors="surrogatepass") for text in texts]
    message = b"".join(len(part).to_bytes(8, "big") + part for part in encoded)
    return hmac.digest(key.subkey(purpose), message, hashlib.sha256).hex()
