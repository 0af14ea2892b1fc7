"""
How beacons are spelled (docs/apis/asset_tracker.md, "Beacons"): people paste MACs and UUIDs with colons, dashes, dots
and capitals, the tracker writes lower-case hex digits. Both sides are compared in that one form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reconcile.core import forms

# One separator throughout: 0c2a69046a49, 0C:2A:69:04:6A:49, 0c-2a-69-04-6a-49, 0c2a.6904.6a49.
_MAC = re.compile(
    r"[0-9a-f]{12}|[0-9a-f]{2}([:.-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}|[0-9a-f]{4}([:.-])[0-9a-f]{4}\2[0-9a-f]{4}"
)
_UUID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_FORMS = {"mac": _MAC, "uuid": _UUID}


def normal(form: str, key: str) -> str:
    """
    A beacon's key in the one spelling in which both sides are compared.

    Args:
        form: `mac` (12 lower-case hex digits) or `uuid` (32), as in `Same(form)`.
        key: as it is written or reported.

    Raises:
        ValueError: it is no spelling of one.
    """
    if not key.isascii() or not _FORMS[form].fullmatch(key.lower()):
        raise ValueError(f"{key!r} is not a {form}")
    return forms.normal(form, key)


def spelled(form: str, wanted: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """
    A set of beacons in the spelling that the agent uses.

    Args:
        live: the set as it is reported: a beacon that is there keeps its spelling, and a MAC has colons where one of
            those has them. A new one is in lower case: so the tracker compares (docs/apis/asset_tracker.md, "Beacons").
    """
    there = {forms.normal(form, key): key for key in live}
    colons = form == "mac" and any(":" in key for key in live)
    found = {}
    for key, value in wanted.items():
        digits = forms.normal(form, key)
        found[there.get(digits, with_colons(digits) if colons else digits)] = value
    return found


def respelled(macs: Mapping[str, Any]) -> dict[str, Any]:
    """A set of generic beacons in the other spelling: 12 digits where there are colons, else with them."""
    digits = {forms.normal("mac", key): value for key, value in macs.items()}
    return digits if any(":" in key for key in macs) else {with_colons(key): value for key, value in digits.items()}


def with_colons(digits: str) -> str:
    """A MAC of 12 digits with colons."""
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))
