"""A fleet of Device Management and a simulated account: pumps that are enrolled already, and nothing else."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet_rig import Rig

from reconcile.simulator import running

API_KEY = "ak_end_to_end_tests_of_device_management"
MINUTE, HOUR = 60, 3600


def id_of(number: int) -> str:
    """The id of the n-th pump."""
    return f"0158d38771f70000000000010010{number:04x}"


def pumps(count: int = 5, **more: Any) -> dict[str, Any]:
    """Pumps by id, `pump-0001` and so on, as they enrol."""
    return {id_of(n): {"endpoint_name": f"pump-{n:04}", **more} for n in range(1, count + 1)}


class ManagementRig(Rig):
    """A fleet of Device Management and nothing else."""

    def __init__(self, directory: Path, sim: Any) -> None:
        super().__init__(directory, sim)
        self.files = {"fleet": "tests", "device_management": {}}

    def section(self, name: str) -> dict[str, Any]:
        """A section of the document."""
        return self.files["device_management"].setdefault(name, {})  # type: ignore[no-any-return]

    @property
    def groups(self) -> dict[str, Any]:
        return self.section("groups")

    @property
    def devices(self) -> dict[str, Any]:
        return self.section("devices")

    @property
    def campaigns(self) -> dict[str, Any]:
        return self.section("campaigns")

    @property
    def keys(self) -> dict[str, Any]:
        return self.section("shared_keys")

    @property
    def world(self) -> dict[str, Any]:
        return self.sim.world["device_management"]  # type: ignore[no-any-return]

    def live(self, section: str, name: str) -> dict[str, Any]:
        """The one of this name, with its id, as the simulator has it."""
        found = [{**member, "id": id} for id, member in self.world[section].items() if member["name"] == name]
        assert len(found) == 1, found
        return found[0]

    def pump(self, number: int) -> dict[str, Any]:
        """A pump as the simulator has it, with the names of its groups."""
        world = self.world
        groups = {group["name"] for group in world["groups"].values() if id_of(number) in group["devices"]}
        return {**world["devices"][id_of(number)], "groups": groups}

    @contextlib.contextmanager
    def outside(self) -> Iterator[dict[str, Any]]:
        """Somebody else changes the account: the section of the world, put back afterwards."""
        world = self.sim.world
        yield world["device_management"]
        self.sim.put(world)

    def file(self, name: str, content: str) -> str:
        """Writes a file beside the fleet; returns its path in the document."""
        (self.fleet / name).write_text(content)
        return name

    def firmware(self, version: str) -> None:
        """An image and its manifest in the document."""
        image = self.file(f"{version}.bin", f"firmware {version}")
        manifest = self.file(f"{version}.manifest", f"manifest of {version}")
        self.section("firmware_images")[version] = {"file": image}
        self.section("firmware_manifests")[version] = {"file": manifest}


@contextlib.contextmanager
def management_rigged(directory: Path, **section: Any) -> Iterator[ManagementRig]:
    """A rig over a fresh simulator with this section of the world; five pumps unless `devices` says otherwise."""
    section.setdefault("devices", pumps())
    with running(world={"api_key": API_KEY, "device_management": copy.deepcopy(section)}) as sim:
        yield ManagementRig(directory, sim)


MakeManagement = Callable[..., ManagementRig]


@pytest.fixture
def make_management(tmp_path: Path) -> Iterator[MakeManagement]:
    """Makes rigs over accounts of the test's choice."""
    with contextlib.ExitStack() as stack:
        made: list[ManagementRig] = []

        def make(**section: Any) -> ManagementRig:
            directory = tmp_path / f"management-{len(made)}"
            directory.mkdir()
            made.append(stack.enter_context(management_rigged(directory, **section)))
            return made[-1]

        yield make


@pytest.fixture
def management(make_management: MakeManagement) -> ManagementRig:
    """Five pumps and nothing else."""
    return make_management()
