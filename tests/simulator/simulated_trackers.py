"""Trackers of both schemes, and an agent as its clients see it."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import httpx

from reconcile.simulator import running
from reconcile.simulator.serving import Running

AGENT = "LPoC4xOL8ESr_"
USER, PASSWORD = "fleet", "password-of-the-trackers"


class Agent:
    """One agent of a running simulator."""

    def __init__(self, sim: Running, http: httpx.Client, agent: str) -> None:
        self.sim = sim
        self.http = http
        self.path = f"/{agent}/cfg"

    def get(self) -> dict[str, Any]:
        answer = self.http.get(self.path)
        assert answer.status_code == 200
        body: dict[str, Any] = answer.json()
        return body

    def patch(self, document: Any) -> httpx.Response:
        return self.http.patch(self.path, json=document)

    def stage(self, update_id: str, **settings: Any) -> None:
        """Sends an update of the configuration that must be accepted."""
        answer = self.patch({"configuration": {"updateId": update_id, **settings}})
        assert (answer.status_code, answer.text) == (200, "")

    def pending(self) -> str | None:
        found: str | None = self.get()["description"].get("pendingUpdateId")
        return found

    def wait(self, seconds: float) -> dict[str, Any]:
        """The configuration after that time."""
        self.sim.advance(seconds)
        configuration: dict[str, Any] = self.get()["configuration"]
        return configuration


@contextlib.contextmanager
def agents(**trackers: dict[str, Any]) -> Iterator[list[Agent]]:
    """The agents of a world with these trackers."""
    with (
        running(world={"tracker_username": USER, "tracker_password": PASSWORD, "trackers": trackers}) as sim,
        httpx.Client(base_url=sim.url, auth=(USER, PASSWORD), verify=False, trust_env=False) as http,
    ):
        yield [Agent(sim, http, agent) for agent in trackers]


def at(path: str, value: Any) -> dict[str, Any]:
    """`at("alerts.batteryLow", 1)` is `{"alerts": {"batteryLow": 1}}`."""
    for key in reversed(path.split(".")):
        value = {key: value}
    found: dict[str, Any] = value
    return found


def read(document: Any, path: str) -> Any:
    for key in path.split("."):
        document = document[key]
    return document


# The vendor's reference: its complete configuration, as it is received by a GET.
SEED_EXAMPLE: dict[str, Any] = json.loads("""
{
  "description": {
    "trackerId": "600a0002d7026715", "cfgTimestamp": 1651659656, "cfgSchemeVersion": "1.0", "pendingUpdateId": "62"
  },
  "configuration": {
    "updateId": "61",
    "locationTracking": {
      "locReadingPeriod": 30,
      "alwaysOn": true,
      "motionMonitoring": {
        "enabled": true, "movementAccMin": 0.15000001, "movementAccMax": 0.30000001, "movementAccDur": 0.25,
        "motionTime": 5, "motionDistance": 1, "motionVelocity": 0.25, "motionStopTimeout": 10
      },
      "repossessionMode": {"enabled": false, "after": 1651655116},
      "bleDevices": {
        "enabled": true,
        "generic": {"0C:2A:69:04:6A:49": {"lng": 16.32, "lat": 64.255997}},
        "iBeacon": {
          "0112233445566778899aabbccddeeff0": {
            "1800": {"1286": {"lng": 16.32, "lat": 64.26}, "1287": {"lng": 16.30, "lat": 64.29}}
          }
        }
      },
      "geofence": {"enabled": true, "lat": 0, "lng": 0, "radius": 0}
    },
    "connectingPeriod": 60,
    "readingPeriod": 20,
    "alerts": {
      "batteryLow": {"enabled": true, "threshold": 16},
      "shockDetected": {"enabled": true, "threshold": 3},
      "tamperingDetected": {"enabled": true, "pollingPeriod": 60},
      "temperatureHigh": {"enabled": true, "hysteresis": 1, "threshold": 25},
      "temperatureLow": {"enabled": true, "hysteresis": 1, "threshold": 20}
    },
    "debug": {"logLevel": "DEBUG"}
  },
  "simUpdate": {"enabled": false, "duration": 30},
  "agentConfiguration": {"debug": {"logLevel": "DEBUG"}}
}
""")

# The vendor's reference: its typical update, its two stray characters mended.
SEED_UPDATE: dict[str, Any] = json.loads("""
{
  "configuration": {
    "updateId": "app_device_route_alpha_congig_update_47",
    "locationTracking": {
      "locReadingPeriod": 10,
      "geofence": {"enabled": true, "lat": 51.502857552631525, "lng": 0.003137042517757941, "radius": 500}
    },
    "connectingPeriod": 30,
    "debug": {"logLevel": "DEBUG"}
  },
  "agentConfiguration": {"debug": {"logLevel": "DEBUG"}}
}
""")

# The body of the vendor's second curl command, which has `lon` where the schema has `lng`, and no updateId.
SEED_CURL: dict[str, Any] = json.loads(
    '{"configuration":{"locationTracking":{"geofence":'
    '{"enabled":true,"lat":51.502857552631525,"lon":0.003137042517757941,"radius":500}}}}'
)


def seed_tracker() -> dict[str, Any]:
    """The tracker of the vendor's example, as a world has it."""
    description = SEED_EXAMPLE["description"]
    return {
        "scheme": "1.0",
        "tracker_id": description["trackerId"],
        "cfg_timestamp": description["cfgTimestamp"],
        "reported": {**SEED_EXAMPLE["configuration"], "simUpdate": SEED_EXAMPLE["simUpdate"]},
        "pending": {"updateId": description["pendingUpdateId"]},
        "online": False,
    }
