"""The small fleet that the tests of the simulator begin with."""

import io
import zipfile
from typing import Any

ACCOUNT = "AC00000000000000000000000000000001"
TOKEN = "token-of-the-tests"
APPS = ["KA0000000000000000000000000000000a", "KA0000000000000000000000000000000b"]
DEVICES = [
    "UV00000000000000000000000000000001",
    "UV00000000000000000000000000000002",
    "UV00000000000000000000000000000003",
]


def small_world() -> dict[str, Any]:
    """Two apps; a device as from the factory, one that reports an app, one that cannot be updated."""
    return {
        "account_sid": ACCOUNT,
        "auth_token": TOKEN,
        "api_key": "ak_tests",
        "tracker_password": "password-of-the-trackers",
        "microvisor": {
            "apps": {APPS[0]: {"unique_name": "sensor-1"}, APPS[1]: {"unique_name": "sensor-2"}},
            "configs": {"mqtt_host": "mqtt.example.com"},
            "secrets": {"mqtt_password": "hunter2hunter2"},
            "devices": {
                DEVICES[0]: {},
                DEVICES[1]: {
                    "unique_name": "warehouse-7",
                    "app": {"target_sid": APPS[0], "reported_sid": APPS[0]},
                    "configs": {"site": "oslo"},
                    "secrets": {"wifi_psk": "hunter3hunter3"},
                },
                DEVICES[2]: {"unique_name": "broken", "fail_update": True},
            },
        },
    }


def bundle(**members: bytes) -> bytes:
    """A zip with these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()
