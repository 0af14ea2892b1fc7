"""A rig over a small simulated account."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet_rig import MakeRig, Rig, rigged
from tracker_rig import DirectRig, MakeTrackers, TrackerRig, tracker_rigged


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[MakeRig]:
    """Makes rigs over worlds of the test's choice."""
    with contextlib.ExitStack() as stack:
        made: list[Rig] = []

        def make(**section: Any) -> Rig:
            directory = tmp_path / str(len(made))
            directory.mkdir()
            made.append(stack.enter_context(rigged(directory, **section)))
            return made[-1]

        yield make


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """Five devices as from the factory, and nothing else."""
    return make_rig()


@pytest.fixture
def make_trackers(tmp_path: Path) -> Iterator[MakeTrackers]:
    """Makes rigs over trackers of the test's choice, by agent id; `direct=True` for one that brings credentials."""
    with contextlib.ExitStack() as stack:
        made: list[TrackerRig] = []

        def make(trackers: dict[str, Any], *, direct: bool = False) -> TrackerRig:
            directory = tmp_path / f"trackers-{len(made)}"
            directory.mkdir()
            kind = DirectRig if direct else TrackerRig
            made.append(stack.enter_context(tracker_rigged(directory, copy.deepcopy(trackers), kind)))
            return made[-1]

        yield make
