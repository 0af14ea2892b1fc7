"""Whether a saved plan is for the state that is here: the same one, at the same serial, after the same run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconcile.core.bindings import Bindings, check_bindings
from reconcile.errors import Refused

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BOUND = Bindings("f", ".", "L", 3, run="r3")


def refusal(here: Bindings, bound: Bindings = BOUND) -> str:
    with pytest.raises(Refused) as caught:
        check_bindings(bound, here, NOW)
    return str(caught.value)


def test_the_same_serial_after_the_same_run_is_good() -> None:
    check_bindings(BOUND, BOUND, NOW)
    check_bindings(replace(BOUND, run=None), BOUND, NOW)  # of an older version, which knew only the serial


@pytest.mark.parametrize("run", ["another", None])
def test_a_state_that_counted_to_the_same_serial_by_itself_is_refused(run: str | None) -> None:
    """Put back from a backup, and applied since: serial and lineage alone would say nothing."""
    assert "restored from a backup, or another run wrote serial 3" in refusal(replace(BOUND, run=run))


def test_a_state_at_a_lower_serial_than_the_plan_was_put_back() -> None:
    assert "restored from a backup" in refusal(replace(BOUND, serial=2, run="r2"))
    assert "restored from a backup" in refusal(replace(BOUND, serial=2), replace(BOUND, run=None))


def test_a_state_at_a_higher_serial_makes_the_plan_stale() -> None:
    told = refusal(replace(BOUND, serial=4, run="r4"))
    assert "made at serial 3, the state is at 4" in told
    assert "backup" not in told


def test_another_lineage_is_another_state_whatever_its_serial() -> None:
    assert "another state" in refusal(replace(BOUND, lineage="M", serial=2, run="x"))


def test_a_plan_before_there_was_a_state_is_good_until_a_run_began() -> None:
    first = Bindings("f", ".")
    check_bindings(first, Bindings("f", ".", "L", 0), NOW)
    assert "before there was a state" in refusal(Bindings("f", ".", "L", 1, run="r1"), first)


def test_a_path_that_holds_another_fleet_is_told_with_both_names_and_a_way_out() -> None:
    with pytest.raises(Refused) as caught:
        check_bindings(BOUND, replace(BOUND, fleet="g"), NOW)
    (problem,) = caught.value.problems
    assert problem.what == "the plan is for the fleet f, but . now holds the fleet g"
    assert problem.hint == "Plan again"


def test_another_account_is_told_with_both_and_a_way_out() -> None:
    bound, here = ({"microvisor": (account, "h")} for account in ("AC1", "AC2"))
    with pytest.raises(Refused) as caught:
        check_bindings(replace(BOUND, accounts=bound), replace(BOUND, accounts=here), NOW)
    (problem,) = caught.value.problems
    assert problem.what == "the plan is for microvisor AC1 at h, but this run is for microvisor AC2 at h"
    assert problem.hint == "Use the credentials that the plan was made with, or plan again"
