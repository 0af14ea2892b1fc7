"""
Numbers as a tracker keeps and prints them (docs/apis/asset_tracker.md, "Numbers").

Agent and tracker compute with 32-bit floats and print 8 significant digits; integers are exact 32-bit
integers.
"""

import json
import struct
from typing import Any

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
# What still rounds to a finite 32-bit float.
FLOAT_MAX = 3.4028234e38


def single(number: float) -> float:
    """The nearest 32-bit float. The number must be within `FLOAT_MAX`."""
    nearest: float = struct.unpack("<f", struct.pack("<f", number))[0]
    return nearest


def printed(number: float) -> int | float:
    """What comes back for a number that was sent: `0.15` as `0.15000001`, `500.0` as `500`."""
    if isinstance(number, int):
        return number
    short: int | float = json.loads(f"{single(number):.8g}")
    return short


def stored(value: Any) -> Any:
    """A value with every float in it as it comes back; nothing of it is changed in place."""
    if isinstance(value, dict):
        return {key: stored(inner) for key, inner in value.items()}
    return printed(value) if isinstance(value, float) else value
