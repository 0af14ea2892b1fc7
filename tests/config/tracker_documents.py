"""Documents with one tracker for tests, the vendor's complete example, and every setting once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config_fleets import fleet, problems

from reconcile.core.address import Address
from reconcile.errors import Problem
from reconcile.providers.registry import Providers

PROVIDERS = Providers()
HEAD = "asset_tracker:\n  trackers:\n    t:\n"  # lines 2 to 4; a tracker's fields begin on line 5
MOTION, GEOFENCE = "locationTracking.motionMonitoring", "locationTracking.geofence"
BLE, LOW, HIGH = "locationTracking.bleDevices", "alerts.temperatureLow", "alerts.temperatureHigh"
RANGES: list[tuple[str, float, float]] = [
    ("locationTracking.locReadingPeriod", 10, 360000),
    (f"{MOTION}.movementAccMin", 0.1, 4),
    (f"{MOTION}.movementAccMax", 0.1, 4),
    (f"{MOTION}.movementAccDur", 0.01, 1.27),
    (f"{MOTION}.motionTime", 1, 3600),
    (f"{MOTION}.motionVelocity", 0.1, 20),
    (f"{MOTION}.motionDistance", 0, 1000),
    (f"{MOTION}.motionStopTimeout", 10, 3600),
    ("locationTracking.repossessionMode.after", 0, 2147483647),
    (f"{GEOFENCE}.radius", 0, 6371009),
    ("connectingPeriod", 10, 360000),
    ("readingPeriod", 10, 360000),
    ("alerts.shockDetected.threshold", 0.016, 16),
    (f"{LOW}.threshold", -90, 90),
    (f"{LOW}.hysteresis", 0.1, 10),
    (f"{HIGH}.threshold", -90, 90),
    (f"{HIGH}.hysteresis", 0.1, 10),
    ("alerts.batteryLow.threshold", 0, 100),
    ("alerts.tamperingDetected.pollingPeriod", 0.1, 86400),
    ("simUpdate.duration", 5, 300),
]
"""The ranges of docs/apis/asset_tracker.md, "Settings and ranges", that one field has by itself."""


def nested(path: str, value: Any) -> Any:
    for step in reversed(path.split(".")):
        value = {step: value}
    return value


def merged(*parts: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, dict) and isinstance(found.get(key), dict)
            found[key] = merged(found[key], value) if both else value
    return found


def written(*settings: Mapping[str, Any], unit: str = "agent: A-1_b", **fields: Any) -> str:
    """A tracker, its unit on line 5 and its configuration on line 6, as one line of JSON."""
    lines = [unit, *([f"configuration: {json.dumps(merged(*settings))}"] if settings else [])]
    lines += [f"{name}: {json.dumps(value)}" for name, value in fields.items()]
    return HEAD + "".join(f"      {line}\n" for line in lines)


def accepted(root: Path, body: str, **options: Any) -> Any:
    """The attributes of the tracker `t`; nothing is wrong and nothing is warned of."""
    document = fleet(root, body, providers=PROVIDERS, **options)
    assert list(document.warnings) == []
    found = document.get(Address("asset_tracker.trackers.t"))
    assert found is not None
    return found.attrs


def refused(root: Path, body: str, **options: Any) -> list[Problem]:
    return problems(root, body, providers=PROVIDERS, **options)


def one(root: Path, *settings: Mapping[str, Any], **fields: Any) -> Problem:
    """The one thing that is wrong with a tracker that has these settings."""
    (found,) = refused(root, written(*settings, **fields))
    return found


def warnings(root: Path, body: str, files: Mapping[str, str | bytes] | None = None) -> list[str]:
    return list(fleet(root, body, files, providers=PROVIDERS).warnings)


SEED_EXAMPLE = """\
{
  "description": {
    "trackerId": "600a0002d7026715",
    "cfgTimestamp": 1651659656,
    "cfgSchemeVersion": "1.0",
    "pendingUpdateId": "62"
  },
  "configuration": {
    "updateId": "61",
    "locationTracking": {
      "locReadingPeriod": 30,
      "alwaysOn": true,
      "motionMonitoring": {
        "enabled": true,
        "movementAccMin": 0.15000001,
        "movementAccMax": 0.30000001,
        "movementAccDur": 0.25,
        "motionTime": 5,
        "motionDistance": 1,
        "motionVelocity": 0.25,
        "motionStopTimeout": 10
      },
      "repossessionMode": {
        "enabled": false,
        "after": 1651655116
      },
      "bleDevices": {
        "enabled": true,
        "generic": {
          "0C:2A:69:04:6A:49": {
            "lng": 16.32,
            "lat": 64.255997
          }
        },
        "iBeacon": {
          "0112233445566778899aabbccddeeff0": {
            "1800": {
              "1286": {
                "lng": 16.32,
                "lat": 64.26
              },
              "1287": {
                "lng": 16.30,
                "lat": 64.29
              }
            }
          }
        }
      },
      "geofence": {
        "enabled": true,
        "lat": 0,
        "lng": 0,
        "radius": 0
      }
    },
    "connectingPeriod": 60,
    "readingPeriod": 20,
    "alerts": {
      "batteryLow": {
        "enabled": true,
        "threshold": 16
      },
      "shockDetected": {
        "enabled": true,
        "threshold": 3
      },
      "tamperingDetected": {
        "enabled": true,
        "pollingPeriod": 60
      },
      "temperatureHigh": {
        "enabled": true,
        "hysteresis": 1,
        "threshold": 25
      },
      "temperatureLow": {
        "enabled": true,
        "hysteresis": 1,
        "threshold": 20
      }
    },
    "debug": {
      "logLevel": "DEBUG"
    }
  },
  "simUpdate": {
    "enabled": false,
    "duration": 30
  },
  "agentConfiguration": {
    "debug": {
      "logLevel": "DEBUG"
    }
  }
}
"""

EVERYTHING: dict[str, Any] = {
    "configuration": {
        "locationTracking": {
            "locReadingPeriod": 180,
            "alwaysOn": False,
            "motionMonitoring": {
                "enabled": True,
                "movementAccMin": 0.15,
                "movementAccMax": 0.3,
                "movementAccDur": 0.25,
                "motionTime": 15,
                "motionVelocity": 0.5,
                "motionDistance": 5,
                "motionStopTimeout": 10,
            },
            "repossessionMode": {"enabled": False, "after": 1667598736},
            "bleDevices": {
                "enabled": True,
                "generic": {"0C:2A:69:04:6A:49": {"lat": 64.256, "lng": 16.32}},
                "iBeacon": {
                    "0112233445566778899aabbccddeeff0": {
                        "1800": {"1286": {"lat": 64.26, "lng": 118.8839949}, "1287": {"lat": 64.29, "lng": 16.3}}
                    }
                },
            },
            "geofence": {"enabled": True, "lat": 59.91, "lng": 10.75, "radius": 500},
        },
        "connectingPeriod": 60,
        "readingPeriod": 20,
        "alerts": {
            "shockDetected": {"enabled": True, "threshold": 3},
            "temperatureLow": {"enabled": True, "threshold": 2, "hysteresis": 0.5},
            "temperatureHigh": {"enabled": True, "threshold": 8, "hysteresis": 0.5},
            "batteryLow": {"enabled": True, "threshold": 12},
            "tamperingDetected": {"enabled": True, "pollingPeriod": 60},
        },
        "debug": {"logLevel": "ERROR"},
    },
    "simUpdate": {"enabled": True, "duration": 30},
    "agentConfiguration": {"debug": {"logLevel": "INFO"}},
}
"""Every setting of docs/apis/asset_tracker.md, "Settings and ranges", once."""
