"""
The reference default configuration, on which a tracker begins and to which it falls back.

Values are those of the vendor's reference (docs/apis/asset_tracker.md, "Defaults"). Where these name none
(`tamperingDetected.pollingPeriod`, `simUpdate`, whether `repossessionMode` is enabled) they are the reference
application's. The default of 8 g that the reference writes at `tamperingDetected` belongs to `shockDetected`.
"""

from typing import Any

from reconcile.simulator.asset_tracker.floats import stored

DEFAULT_ID = "myDefaultCfg"
DEFAULT_LOG_LEVEL = "DEBUG"

# As a tracker reports it: `movementAccMax` reads 0.40000001. Shared by all trackers, so never changed in place.
DEFAULT: dict[str, Any] = stored(
    {
        "updateId": DEFAULT_ID,
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
    }
)
