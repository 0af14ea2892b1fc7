"""Trackers behind simulated agents, and what tests look at: what is reported, what is pending, and the clock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fleet_rig import Rig

from reconcile.simulator import running

USERNAME, PASSWORD = "fleet", "password-of-the-trackers"
HOUR = 3600


class TrackerRig(Rig):
    """A fleet of trackers and nothing else."""

    def __init__(self, directory: Path, sim: Any) -> None:
        super().__init__(directory, sim)
        self.files = {"fleet": "tests", "asset_tracker": {"trackers": {}}}

    @property
    def trackers(self) -> dict[str, Any]:
        return self.files["asset_tracker"]["trackers"]  # type: ignore[no-any-return]

    def tracker(self, agent: str) -> dict[str, Any]:
        """A tracker as the simulator has it."""
        return self.sim.world["trackers"][agent]  # type: ignore[no-any-return]

    def reported(self, agent: str) -> dict[str, Any]:
        return self.tracker(agent)["reported"]  # type: ignore[no-any-return]

    def pending(self, agent: str) -> dict[str, Any] | None:
        return self.tracker(agent)["pending"]  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def outside_trackers(self) -> Iterator[dict[str, Any]]:
        """Somebody else changes trackers: that section of the world, put back afterwards."""
        world = self.sim.world
        yield world["trackers"]
        self.sim.put(world)

    def restart_agent(self, agent: str) -> None:
        """The agent forgets what it has staged: it is kept in memory only."""
        with self.outside_trackers() as trackers:
            trackers[agent]["pending"] = None

    def patches(self) -> list[str]:
        """The PATCH requests since the mark."""
        return [request for request in self.requests() if request.startswith("PATCH ")]


@contextlib.contextmanager
def tracker_rigged(directory: Path, trackers: dict[str, Any]) -> Iterator[TrackerRig]:
    """A rig over a fresh simulator with these trackers."""
    world = {"tracker_username": USERNAME, "tracker_password": PASSWORD, "trackers": trackers}
    with running(world=world) as sim:
        yield TrackerRig(directory, sim)
