"""An account of Device Management: pumps in a group, and its API as clients see it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx

from reconcile.simulator import running
from reconcile.simulator.serving import Running

# The key of the vendor's example.
API_KEY = "ak_272f4259b2b1470599c19bc4a473d3cb"
PUMPS = [f"0158d38771f7000000000001001000{n:02x}" for n in range(1, 6)]
NORTH = "0158d38771f80000000000010010000a"
NOBODY = "0" * 32
IMAGE = b"firmware of the pumps"


def pumps_world() -> dict[str, Any]:
    """Five pumps on two lines, the first two in the group north; the last cannot be updated."""
    devices: dict[str, dict[str, Any]] = {
        id_: {
            "endpoint_name": f"pump-000{n}",
            "name": f"pump {n}",
            "custom_attributes": {"line": str(n % 2)},
            "created_at": f"2024-01-0{n}T00:00:00Z",
        }
        for n, id_ in enumerate(PUMPS, 1)
    }
    devices[PUMPS[4]]["fail_update"] = True
    return {
        "api_key": API_KEY,
        "device_management": {
            "devices": devices,
            "groups": {NORTH: {"name": "north", "devices": PUMPS[:2], "custom_attributes": {"river": "Akerselva"}}},
            "shared_keys": {"endpoint-of-pump-1": {"secret_hex": "4a" * 16}},
        },
    }


class Account:
    """The API of a running simulator. Bodies are checked where a status is expected."""

    def __init__(self, sim: Running, http: httpx.Client) -> None:
        self.sim = sim
        self.http = http

    def call(self, method: str, path: str, status: int, **more: Any) -> Any:
        """The body of an answer that must have this status."""
        answer = self.http.request(method, path, **more)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def get(self, path: str, **parameters: Any) -> Any:
        # Without parameters the query of the path must stay.
        return self.call("GET", path, 200, params=parameters or None)

    def post(self, path: str, status: int = 201, **body: Any) -> Any:
        return self.call("POST", path, status, json=body)

    def put(self, path: str, status: int = 200, **body: Any) -> Any:
        return self.call("PUT", path, status, json=body)

    def delete(self, path: str, status: int = 204) -> Any:
        return self.call("DELETE", path, status)

    def ids(self, path: str, **parameters: Any) -> list[str]:
        """The ids of one page."""
        return [entity["id"] for entity in self.get(path, **parameters)["data"]]

    def upload(self, path: str, content: bytes = IMAGE, status: int = 201, **fields: str) -> Any:
        return self.call("POST", path, status, files={"datafile": ("datafile.bin", content)}, data=fields)

    def manifest(self) -> str:
        """The id of a manifest of a new image."""
        self.upload("/v3/firmware-images", name="image")
        id_: str = self.upload("/v3/firmware-manifests", b"any bytes", name="manifest")["id"]
        return id_

    def campaign(self, device_filter: str, **fields: Any) -> str:
        """The path of a new draft."""
        fields = {"root_manifest_id": self.manifest(), **fields, "device_filter": device_filter}
        return f"/v3/update-campaigns/{self.post('/v3/update-campaigns', **fields)['id']}"

    def started(self, device_filter: str, **fields: Any) -> str:
        """The path of a new campaign that has started."""
        path = self.campaign(device_filter, **fields)
        self.post(f"{path}/start", 202)
        return path

    def phase(self, campaign: str, seconds: float = 0) -> str:
        """The phase of a campaign after that time."""
        self.sim.advance(seconds)
        phase: str = self.get(campaign)["phase"]
        return phase

    def states(self, campaign: str, seconds: float = 0) -> dict[str, str]:
        """The deployment states in a campaign by device after that time."""
        self.sim.advance(seconds)
        page = self.get(f"{campaign}/campaign-device-metadata", limit=1000)
        return {entry["device_id"]: entry["deployment_state"] for entry in page["data"]}

    def counts(self, campaign: str) -> dict[str, int]:
        """The metrics of a campaign that are not 0."""
        metrics = self.get(f"{campaign}/metrics")
        return {key.removesuffix("_count"): n for key, n in metrics.items() if key.endswith("_count") and n}


@contextlib.contextmanager
def account(**more: Any) -> Iterator[Account]:
    """The account of a simulator of its own."""
    with running(**{"world": pumps_world(), **more}) as sim:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        with httpx.Client(base_url=sim.url, headers=headers, verify=False, trust_env=False) as http:
            yield Account(sim, http)
