"""How many changes of a type may fail before the rest of it is left alone."""

from __future__ import annotations

import pytest

from reconcile.core.address import Address
from reconcile.core.failures import ALIKE, FailureBudget
from reconcile.core.plan import Action, Change, Reason
from reconcile.core.ports import Limit
from reconcile.errors import ApiError, NoAnswer, ReconcileError


def change(number: int, path: str = "microvisor.configs") -> Change:
    return Change(Address.of(path, (f"c{number}",)), Action.CREATE, Reason.NOT_LIVE)


PLANNED = [*map(change, range(40)), *(change(n, "microvisor.secrets") for n in range(10))]
REFUSED = ApiError("POST", "/x", 400, "20001", "no")


def spent(limit: Limit | None, outcomes: str, failure: ReconcileError = REFUSED) -> dict[str, str]:
    budget = FailureBudget(limit, PLANNED)
    for number, outcome in enumerate(outcomes):
        budget.count(change(number), outcome == "+", failure if outcome == "-" else None)
    return budget.spent


@pytest.mark.parametrize(
    ("limit", "outcomes", "is_spent"),
    [
        (None, "-" * (ALIKE - 1), False),
        (None, "-" * ALIKE, True),
        (None, "+" + "-" * 40, False),
        (None, "?" * 40, False),
        (Limit(number=0), "-", True),
        (Limit(number=2), "--", False),
        (Limit(number=2), "+-+-+", False),
        (Limit(number=2), "+-+-+-", True),
        (Limit(number=2), "+-?-??", False),
        (Limit(share=0.1), "+----", False),
        (Limit(share=0.1), "+-----", True),
    ],
)
def test_when_a_type_is_left_alone(limit: Limit | None, outcomes: str, is_spent: bool) -> None:
    assert set(spent(limit, outcomes)) == ({"microvisor.configs"} if is_spent else set())


def test_only_refusals_that_are_alike_are_a_mistake_of_the_whole() -> None:
    assert spent(None, "-" * 40, NoAnswer("no answer")) == {}
    budget = FailureBudget(None, PLANNED)
    for number in range(2 * ALIKE - 2):
        budget.count(change(number), False, ApiError("POST", "/x", 400 + number % 2, "20001"))
    assert budget.spent == {}
