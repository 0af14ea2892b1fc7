"""
When a request is sent again, and after how long (docs/architecture.md, "Retries"). Pure:
time and randomness are passed in.

| what happened | again |
| --- | --- |
| never sent: refused, no route, connecting took too long | always, by the one attempt of `outage` |
| 429: the API did not look at it | always |
| 500, 502, 503, 504; no answer, or half of one | only what is idempotent |
| a certificate that is not trusted; any other status | never |

Every repetition of what was asked is paid from the client's budget, so that an API in trouble is asked at most 1.1
times as often as one in health. A 429 holds the whole client back instead (`limit.Limit.pause`), and so does a
connection that does not come about (`outage.Outage`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

TOO_MANY = 429
UNCERTAIN = frozenset({500, 502, 503, 504})
"""Statuses after which nobody knows whether the work was done."""


@dataclass(frozen=True, slots=True)
class Policy:
    """
    Seconds and counts of one client; chosen by feel, except where said.

    Attributes:
        attempts: sends of one request, the first included; those that nothing could be sent by do not count.
        base_s, cap_s: full jitter draws from 0 … min(cap_s, base_s · 2^n).
        after_cap_s: the longest `Retry-After` that is honoured.
        deadline_s: no attempt begins later than this after the first one, nor after the API could last be reached.
        first_contact_s: the same for an API that was never reached: more likely a wrong address than a restart.
        budget_share, budget_floor: repetitions a client may make: the floor plus a share of its requests (10 %).
    """

    attempts: int = 8
    base_s: float = 0.5
    cap_s: float = 20.0
    after_cap_s: float = 60.0
    deadline_s: float = 120.0
    first_contact_s: float = 30.0
    budget_share: float = 0.1
    budget_floor: int = 10

    def wait_s(self, attempt: int, after_s: float | None, rng: random.Random) -> float:
        """Seconds between attempt number `attempt` (1-based) and the next; never less than the server asks for."""
        jitter = rng.uniform(0, min(self.cap_s, self.base_s * 2 ** (attempt - 1)))
        return max(jitter, min(after_s or 0.0, self.after_cap_s))


class RetryBudget:
    """How many repetitions a client may still make."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._requests = 0
        self._spent = 0

    def earn(self) -> None:
        """A request was made."""
        self._requests += 1

    def spend(self) -> bool:
        """Takes one repetition out of the budget; False when there is none left."""
        if self._spent >= self._policy.budget_floor + self._policy.budget_share * self._requests:
            return False
        self._spent += 1
        return True


def retry_after_s(value: str | None, now: datetime | None) -> float | None:
    """
    Seconds that the server asks us to wait (RFC 9110 §10.2.3), not yet capped.

    Args:
        value: the `Retry-After` header: delta-seconds or an HTTP-date.
        now: the `Date` of the same answer, so that only the server's clock counts; a date without it says nothing.

    Returns:
        Seconds, never negative (a date that has passed is 0); None when the header is absent or neither form.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:10]) if len(value) <= 10 else float("inf")
    date = http_date(value)
    if date is None or now is None:
        return None
    return max(0.0, (date - now).total_seconds())


def http_date(value: str | None) -> datetime | None:
    """An HTTP-date (RFC 9110 §5.6.7) as aware UTC, or None when it is absent or not one."""
    if not value or len(value) > 64:
        return None
    try:
        date = parsedate_to_datetime(value)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
