"""One world with units of all vendors, and a client that has the credentials of each."""

from collections.abc import Iterator
from typing import Any

import httpx
from simulated_fleet import ACCOUNT, TOKEN, small_world
from simulated_management import API_KEY, pumps_world
from simulated_trackers import PASSWORD, USER

from reconcile.simulator.serving import Running

TRUCK, TRAILER = "LPoC4xOL8ESr_", "Q0oC4xOL8ESr_"


def all_vendors() -> dict[str, Any]:
    """The small fleet, the pumps, and two trackers that connect every 10 s."""
    managed = pumps_world()
    tracker = {"reported": {"connectingPeriod": 10}}
    return {
        **small_world(),
        "api_key": API_KEY,
        "tracker_username": USER,
        "tracker_password": PASSWORD,
        "trackers": {TRUCK: tracker, TRAILER: tracker},
        "device_management": managed["device_management"],
    }


class Vendors(httpx.Auth):
    """The credentials that belong to a request's path."""

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        first = request.url.path.split("/")[1]
        if first in ("v2", "v3"):
            request.headers["Authorization"] = f"Bearer {API_KEY}"
            yield request
        elif first in ("v1", "upload"):
            yield from httpx.BasicAuth(ACCOUNT, TOKEN).auth_flow(request)
        else:
            yield from httpx.BasicAuth(USER, PASSWORD).auth_flow(request)


def client_of(sim: Running) -> httpx.Client:
    # Without TLS there is nothing to verify, and loading certificates takes longer than most tests.
    return httpx.Client(base_url=sim.url, auth=Vendors(), verify=False, trust_env=False)
