"""Trackers behind simulated agents, and what tests look at: what is reported, what is pending, and the clock."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fleet_rig import Ran, Rig

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
        # Trackers of one process share what is the same: the reference default is not to be changed in place.
        world = copy.deepcopy(self.sim.world)
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
def tracker_rigged(
    directory: Path, trackers: dict[str, Any], kind: type[TrackerRig] | None = None
) -> Iterator[TrackerRig]:
    """A rig over a fresh simulator with these trackers."""
    world = {"tracker_username": USERNAME, "tracker_password": PASSWORD, "trackers": trackers}
    with running(world=world) as sim:
        yield (kind or TrackerRig)(directory, sim)


MakeTrackers = Callable[..., TrackerRig]


class DirectRig(TrackerRig):
    """
    The same without `RECONCILE_SIMULATOR`: the simulator is a vendor's host, so credentials are the document's.

    The section's pair is in the environment under its default names.
    """

    def __init__(self, directory: Path, sim: Any) -> None:
        super().__init__(directory, sim)
        self.files["providers"] = {"asset_tracker": {"base_url": sim.url}}
        self.environ |= {"CFG_REST_API_USERNAME": USERNAME, "CFG_REST_API_PASSWORD": PASSWORD}

    def env(self) -> dict[str, str]:
        return {name: value for name, value in super().env().items() if name != "RECONCILE_SIMULATOR"}

    @property
    def state(self) -> Path:
        return self.fleet / "state" / f"{self.files['fleet']}.db"


TRUCK = "asset_tracker.trackers.truck"
NO_CHANGES = "No changes. Your infrastructure matches the configuration."
SCHEMES = ["1.0", "1.1"]
MONTH, YEAR = 30 * 24 * HOUR, 365 * 24 * HOUR


def truck(agent: str = "A1", **configuration: Any) -> dict[str, Any]:
    """A tracker with these settings under `configuration`."""
    return {"agent": agent, "configuration": configuration}


def assert_pending(rig: TrackerRig, *addresses: str) -> Ran:
    """The plan is empty and an apply sends and records nothing; these and no others are pending, and none failed."""
    return _assert_quiet(rig, addresses, ())


def assert_failed(rig: TrackerRig, *addresses: str) -> Ran:
    """The plan is empty and an apply sends and records nothing; these and no others failed, and none is pending."""
    return _assert_quiet(rig, (), addresses)


def assert_settled(rig: TrackerRig) -> Ran:
    """The plan is empty and an apply sends and records nothing; nothing is pending and nothing failed."""
    return _assert_quiet(rig, (), ())


def _assert_quiet(rig: TrackerRig, pending: tuple[str, ...], failed: tuple[str, ...]) -> Ran:
    rig.assert_in_sync()
    ran = rig.plan()
    assert ran.code == 0, ran
    for word, addresses in (("Pending", pending), ("Failed", failed)):
        if addresses:
            assert f"{word}: {len(addresses)} resource" in ran.out, ran
            assert all(address in ran.out for address in addresses), ran
        else:
            assert f"{word}:" not in ran.out, ran
    shown = rig.plan("--format", "json").json["reconcile"]
    assert sorted(row["address"] for row in shown["pending"]) == sorted(pending)
    assert sorted(row["address"] for row in shown["failed"]) == sorted(failed)
    return ran
