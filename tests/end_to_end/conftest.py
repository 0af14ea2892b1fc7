"""A rig over a small simulated account."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet_rig import MakeRig, Rig, rigged


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
