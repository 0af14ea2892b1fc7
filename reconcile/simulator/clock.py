"""
Simulated time and the dates of the API.

Time is the wall clock plus an offset that `POST /_sim/clock` moves. Dates are UTC in whole seconds,
`YYYY-MM-DDThh:mm:ssZ` (docs/apis/microvisor.md, "Dates"); inside they are seconds since
1970.
"""

import re
import time
from datetime import UTC, datetime
from functools import lru_cache

# Years that both strftime and every date library can write; beyond them nothing is simulated.
LATEST = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())

_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Clock:
    """The wall clock, moved."""

    __slots__ = ("offset_s",)

    def __init__(self, offset_s: float = 0.0) -> None:
        self.offset_s = offset_s

    def now(self) -> float:
        """Simulated seconds since 1970."""
        return time.time() + self.offset_s

    def advance(self, seconds: float) -> None:
        self.offset_s += seconds

    def set(self, now: float) -> None:
        self.offset_s = now - time.time()


class ClockStopped(Clock):
    """A clock that stands where it is set, for a world of the past."""

    __slots__ = ("at",)

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = at

    def now(self) -> float:
        return self.at


@lru_cache(maxsize=8192)
def date(seconds: int) -> str:
    """The date as the API writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@lru_cache(maxsize=64)
def http_date(seconds: int) -> str:
    """The date as a `Date` header writes it (RFC 9110 §5.6.7), whatever the locale."""
    at = time.gmtime(seconds)
    return (
        f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year:04} "
        f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT"
    )


def seconds(text: str) -> float:
    """
    Seconds since 1970 of an ISO 8601 date with a zone.

    Raises:
        ValueError: not such a date, or outside the years 1970 to 9998.
    """
    if not _DATE.fullmatch(text):
        raise ValueError(f"{text!r} is not a date like 2021-01-01T12:34:56Z")
    at = datetime.fromisoformat(text).timestamp()
    if not 0 <= at < LATEST:
        raise ValueError(f"{text!r} is outside the years 1970 to 9998")
    return at


def next_connection(begun: int | None, check_in_s: float, since: float) -> float:
    """
    When a unit next connects after something has begun to wait for it.

    Its period is counted from that moment, so a test that asks something of a unit always sees it pending for a whole
    period, and putting the same world again does not move the moment.

    Args:
        begun: None for a moment that is not known.
        since: when the world was put in place; a unit that is waited for in it connects after that, not before.
    """
    start = since if begun is None else begun
    if since < start + check_in_s:
        return start + check_in_s
    return start + ((since - start) // check_in_s + 1) * check_in_s
