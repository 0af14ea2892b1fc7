"""The rig of the end-to-end tests, and the real program in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "end_to_end"))

from fleet_rig import Rig, rigged


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Five devices as from the factory, and nothing else."""
    with rigged(tmp_path) as made:
        yield made
