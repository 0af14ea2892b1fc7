"""Names and keys that the Microvisor API can hold, checked before anything is sent."""

from __future__ import annotations

import re

from reconcile.provider import Attrs, Mistake, flaw_in_name

SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")
KEY_LENGTH, VALUE_LENGTH = 100, 4096  # characters; docs/apis/microvisor.md, "Configs"


def name_problems(attrs: Attrs, key: str) -> list[Mistake]:
    """Mistakes in the unique name, which is the key unless `unique_name` is written."""
    written = attrs.get("unique_name")
    name = str(written) if written is not None else key
    path: tuple[str, ...] = ("unique_name",) if written is not None else ()
    if flaw := flaw_in_name(name):
        return [(path, f"the name {flaw}", None)]
    if SID.fullmatch(name):
        return [
            (
                path,
                f"the name {name!r} looks like a SID",
                "The API takes a SID or a name in the same place; give it another name",
            )
        ]
    return []


def key_problems(key: str) -> list[Mistake]:
    """Mistakes in the key of a config or secret."""
    if flaw := flaw_in_name(key):
        return [((), f"the key {flaw}", None)]
    if len(key) > KEY_LENGTH:
        return [((), f"the key has {len(key)} characters", f"The API takes up to {KEY_LENGTH}")]
    return []


def normal_sid(sid: str) -> str:
    """A SID in the spelling in which the API gives it: the two letters, then lower-case hex."""
    return sid[:2].upper() + sid[2:].lower()
