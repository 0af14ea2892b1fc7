"""
The settings of a tracker until somebody sets them: docs/apis/asset_tracker.md, "Defaults". Both schemes have the same.

Where the vendor's reference names no value it is that of its application.
"""

from typing import Any

DEFAULTS: dict[str, Any] = {
    "configuration": {
        "locationTracking": {
            "locReadingPeriod": 180,
            "alwaysOn": False,
            "motionMonitoring": {
                "enabled": True,
                "movementAccMin": 0.2,
                "movementAccMax": 0.4,
                "movementAccDur": 0.25,
                "motionTime": 15,
                "motionVelocity": 0.5,
                "motionDistance": 5,
                "motionStopTimeout": 10,
            },
            "repossessionMode": {"enabled": False, "after": 1667598736},
            "bleDevices": {"enabled": False, "generic": {}, "iBeacon": {}},
            "geofence": {"enabled": False, "lat": 0, "lng": 0, "radius": 0},
        },
        "connectingPeriod": 180,
        "readingPeriod": 60,
        "alerts": {
            "batteryLow": {"enabled": False, "threshold": 12},
            "shockDetected": {"enabled": True, "threshold": 8},
            "tamperingDetected": {"enabled": False, "pollingPeriod": 1},
            "temperatureHigh": {"enabled": True, "hysteresis": 1, "threshold": 25},
            "temperatureLow": {"enabled": True, "hysteresis": 1, "threshold": 10},
        },
        "simUpdate": {"enabled": False, "duration": 60},
        "debug": {"logLevel": "DEBUG"},
    },
    "simUpdate": {"enabled": False, "duration": 60},
    "agentConfiguration": {"debug": {"logLevel": "DEBUG"}},
}
