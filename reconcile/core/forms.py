"""
The forms in which both sides are compared (`Same` marks): a live value that is equal in that form becomes the value
that the files write, so that nothing after this has to know about forms.

`float32` is what a device stores that keeps 32-bit floats and prints eight significant digits; `mac` and `uuid` are
keys of a map, and `moment` a date, that people spell in several ways.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from reconcile.core.schema import Field, Kind, Same
from reconcile.core.tree import same

_NO_HEX = re.compile(r"[^0-9a-f]")


def aligned(spec: Field, before: Any, after: Any) -> Any:
    """
    `before`, in which what equals `after` in the form of the marks is spelled as `after` spells it.

    Args:
        spec: of the attribute that both are values of.
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        if spec.kind is Kind.MAP and (form := _form(spec)) is not None:
            spelled = {normal(form, key): key for key in after}
            before = {spelled.get(normal(form, key), key): value for key, value in before.items()}
        return {
            key: aligned(inner, value, after[key])
            if key in after and (inner := spec.fields.get(key) or spec.member) is not None
            else value
            for key, value in before.items()
        }
    form = _form(spec)
    if form == "float32":
        return after if single(before, after) else before
    if form == "moment" and (at := moment(before)) is not None:
        return after if at == moment(after) else before
    return after if same(before, after) else before


def normal(form: str, key: str) -> str:
    """The one spelling of a key in a form. Text that is none of it is left as it is."""
    found = _NO_HEX.sub("", key.lower()) if form in ("mac", "uuid") else key
    return found or key


def single(one: Any, other: Any) -> bool:
    """
    Whether two numbers are one to a device that stores 32-bit floats and prints eight significant digits.

    Integers are exact. Eight digits are fewer than a 32-bit float needs, so that equality as such alone would leave
    a quarter of the longitudes between 100 and 128 different for ever.
    """
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    if isinstance(one, int) and isinstance(other, int):
        return one == other
    if not (isinstance(one, (int, float)) and isinstance(other, (int, float))):
        return False
    try:
        left, right = float32(one), float32(other)
    except OverflowError:
        return one == other
    return left == right or f"{left:.8g}" == f"{other:.8g}" or f"{right:.8g}" == f"{one:.8g}"


def moment(value: Any) -> datetime | None:
    """
    A date of any ISO 8601 spelling as a moment in UTC, cut to the second; None for null and for what is no date.

    Two answers spell one moment differently (a fraction, an offset, no hyphens), which is nobody's change. Without an
    offset, UTC is meant.
    """
    try:
        found = datetime.fromisoformat(value.upper())
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (AttributeError, ValueError, OverflowError):
        return None
    return found.replace(microsecond=0)


def float32(number: float) -> float:
    """The nearest 32-bit float. Raises OverflowError when there is none."""
    return float(struct.unpack("f", struct.pack("f", number))[0])


def _form(spec: Field) -> str | None:
    return next((mark.form for mark in spec.marks if isinstance(mark, Same)), None)
