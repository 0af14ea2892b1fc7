"""How long a late request is waited for, and what a write rests on when its first byte leaves. Times are given."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.engine.late import outwait, remaining_s
from reconcile.engine.young import BEGUN_S, FRESH_S, Aged, Basis

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def begun(age_s: float) -> str:
    return (NOW - timedelta(seconds=age_s)).isoformat()


def test_the_wait_counts_from_the_intent():
    assert remaining_s(None, begun(0), NOW, 45) == 45
    assert remaining_s(None, begun(40), NOW, 45) == 5
    assert remaining_s(None, begun(46), NOW, 45) == 0


def test_an_intent_says_how_long_its_own_client_waits():
    assert remaining_s(615.0, begun(15), NOW, 45) == 600


@given(st.floats(-1e9, 1e9), st.floats(0, 1000))
def test_a_clock_that_was_set_makes_it_neither_longer_nor_negative(age_s: float, longest_s: float):
    assert 0 <= remaining_s(None, begun(age_s), NOW, longest_s) <= longest_s


@pytest.mark.parametrize("text", ["", "yesterday", "2026-03-01T00:00:00"])
def test_a_time_that_cannot_be_read_is_waited_for_in_full(text: str):
    assert remaining_s(None, text, NOW, 45) == 45


class Clock:
    """A loop whose time is what a test says: sleeping moves it."""

    def __init__(self, monkeypatch: Any) -> None:
        self.now = 100.0

        async def sleep(seconds: float) -> None:
            self.now += max(seconds, 0.001)

        monkeypatch.setattr(asyncio, "sleep", sleep)
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: self)

    def time(self) -> float:
        return self.now


def test_the_last_look_is_after_the_end_and_a_hit_ends_it_at_once(monkeypatch: Any):
    clock = Clock(monkeypatch)
    looks: list[float] = []

    async def nothing() -> bool:
        looks.append(clock.now)
        return False

    assert asyncio.run(outwait(nothing, 145.0, lambda: False))
    assert looks[-1] >= 145.0 > looks[-2]
    assert len(looks) < 20

    async def there() -> bool:
        return clock.now > 150.0

    assert asyncio.run(outwait(there, 900.0, lambda: False))
    assert clock.now < 160.0


def test_a_wait_that_the_user_ends_says_so(monkeypatch: Any):
    clock = Clock(monkeypatch)

    async def nothing() -> bool:
        return False

    assert not asyncio.run(outwait(nothing, 1000.0, lambda: clock.now > 110.0))
    assert clock.now < 111.0


def test_a_write_on_an_old_reading_does_not_leave(monkeypatch: Any):
    clock = Clock(monkeypatch)
    Basis(clock.now - FRESH_S).check("PUT", 1)
    with pytest.raises(Aged):
        Basis(clock.now - FRESH_S - 1).check("PUT", 1)
    with pytest.raises(Aged):
        Basis(clock.now, clock.now - BEGUN_S - 1).check("POST", 1)
    Basis(None, None).check("DELETE", 1)


def test_a_write_that_is_tried_again_is_looked_at_again_and_one_that_is_under_way_goes_on(monkeypatch: Any):
    clock = Clock(monkeypatch)
    basis = Basis(clock.now)
    basis.check("GET", 1)
    basis.check("POST", 1)  # answered 429: nothing was done
    clock.now += FRESH_S + 1
    with pytest.raises(Aged):
        basis.check("POST", 2)
    basis = Basis(clock.now)
    basis.check("POST", 1)  # done
    clock.now += FRESH_S + 1
    basis.check("POST", 1)  # the second half of the same write
    basis.check("GET", 1)
