"""Whole texts, kept in files, so that a reviewer sees what a person sees."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_GOLDEN = Path(__file__).parent / "golden"


def check(name: str, lines: Iterable[str]) -> None:
    """Fails unless the lines are those of the file; RECONCILE_WRITE_GOLDEN=1 writes it instead."""
    text, file = "".join(f"{line}\n" for line in lines), _GOLDEN / f"{name}.txt"
    if os.environ.get("RECONCILE_WRITE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
