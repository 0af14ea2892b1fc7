"""The real program, in a process of its own."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable
from typing import Any

from fleet_rig import Rig, command


def start(rig: Rig, *arguments: str, **streams: Any) -> subprocess.Popen[str]:
    """A command that runs beside the test."""
    rig.save()
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen([*command(), *arguments], env=rig.env(), text=True, **pipes)


def until(holds: Callable[[], object], seconds: float = 20) -> None:
    """Returns when something holds; fails when it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def said(descriptor: int, words: str, seconds: float = 20) -> str:
    """What a descriptor gives, up to these words."""
    text, end = "", time.monotonic() + seconds
    while words not in text:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, end - time.monotonic()))
        assert ready, text
        text += os.read(descriptor, 4096).decode()
    return text
