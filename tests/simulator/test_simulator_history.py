"""What a world was: random histories, whose past must be what it was when it was the present."""

import random
from typing import Any
from urllib.parse import urlencode

import pytest
from simulated_fleet import APPS, DEVICES
from simulated_management import NORTH, PUMPS
from simulated_vendors import TRAILER, TRUCK, all_vendors

from reconcile.simulator import history
from reconcile.simulator.clock import ClockStopped
from reconcile.simulator.exchange import JSON, Call, json_answer
from reconcile.simulator.sections import SECTIONS as APIS
from reconcile.simulator.simulation import Simulation

FORM = "application/x-www-form-urlencoded"


class Story:
    """A simulation on a clock that moves only when it is told to."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.simulation = Simulation({**all_vendors(), "now": "2024-05-01T00:00:00Z"}, None, 0)
        self.clock = ClockStopped(self.simulation.world.clock.now())
        self.simulation.world.clock = self.clock
        self.campaigns: list[str] = []

    def ask(self, method: str, path: str, body: dict[str, Any]) -> Any:
        segments = path[1:].split("/")
        api = next(api for api in APIS if api.claims(segments))
        form = segments[0] == "v1"
        raw = urlencode(body).encode() if form else json_answer(200, body).body
        request = Call(method, segments, {}, "http://sim", "", FORM if form else JSON, self.clock.at, raw)
        answer = api.answer(request, self.simulation.world)
        self.simulation.keep()
        return answer

    def step(self) -> None:
        choose, n = self.dice.choice, self.dice.randrange(1000)
        device, pump, key = choose(DEVICES), choose(PUMPS), choose("abc")
        campaign = choose(self.campaigns or ["none"])
        method, path, body = choose(
            [
                ("POST", f"/v1/Devices/{device}", {"UniqueName": f"n{n}"}),
                ("POST", f"/v1/Devices/{device}", {"TargetApp": choose(APPS), "LoggingEnabled": "true"}),
                ("POST", f"/v1/Devices/{device}/Configs", {"Key": key, "Value": n}),
                ("DELETE", f"/v1/Devices/{device}/Configs/{key}", {}),
                ("POST", "/v1/Configs", {"Key": key, "Value": n}),
                ("POST", f"/v1/Configs/{key}", {"Value": n}),
                ("DELETE", f"/v1/Configs/{key}", {}),
                ("PATCH", f"/{choose([TRUCK, TRAILER])}/cfg", {"configuration": {"updateId": f"u{n}"}}),
                ("PUT", f"/v3/devices/{pump}", {"name": f"n{n}"}),
                ("DELETE", f"/v3/devices/{pump}", {}),
                ("POST", "/v3/devices", {"endpoint_name": f"e{n}"}),
                ("POST", f"/v3/device-groups/{NORTH}/devices/{choose(['add', 'remove'])}", {"device_id": pump}),
                ("POST", "/v3/update-campaigns", {"device_filter": f"id__neq={pump}", "root_manifest_id": "f" * 32}),
                ("POST", f"/v3/update-campaigns/{campaign}/{choose(['start', 'stop'])}", {}),
                ("DELETE", f"/v3/update-campaigns/{campaign}", {}),
            ]
        )
        self.ask(method, path, body)
        self.campaigns = list(self.simulation.world.device_management.campaigns.by_key)

    def wait(self) -> None:
        self.clock.at += self.dice.choice([0.25, 7, 31, 64.5, 4000])
        if self.dice.random() < 0.3:
            self.simulation.world.settle()
            self.simulation.keep()


@pytest.mark.parametrize("seed", range(12))
def test_the_past_is_what_it_was(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    forgetful = seed % 3 == 2
    if forgetful:
        monkeypatch.setattr(history, "_MOST", 5)
    story = Story(seed)
    manifest = {"name": "m", "image_id": None}
    story.simulation.world.device_management.add("firmware_manifests", "f" * 32, {**manifest, **_dates()})
    story.simulation.keep()
    told: list[tuple[float, dict[str, Any]]] = []
    for _ in range(40):
        story.step()
        told.append((story.clock.at, story.simulation.world.dump()))
        story.wait()
    past, credentials = story.simulation.history, story.simulation.credentials
    known = [(at, world) for at, world in told if at >= past.since]
    assert (len(known) < len(told)) is forgetful
    for at, world in [*reversed(known), *known]:
        assert past.world(at, credentials).dump() == world
    if forgetful:
        assert past.world(0, credentials).dump() == known[0][1]


def _dates() -> dict[str, str]:
    return dict.fromkeys(("created_at", "updated_at", "timestamp"), "2024-05-01T00:00:00Z")
