"""Limits at their boundaries: one more than allowed is refused, with the words that allow it."""

from __future__ import annotations

import pytest

from reconcile.core.address import Address
from reconcile.core.bindings import Bindings
from reconcile.core.guard import guard
from reconcile.core.plan import Action, Cause, Change, FieldChange, Plan, Reason
from reconcile.core.ports import Limit

PATH = "microvisor.configs"
NOUNS = {PATH: "config", "microvisor.devices": "device", "microvisor.devices.configs": "device config"}
ACTIONS = {"delete": Action.DELETE, "forget": Action.FORGET, "replace": Action.REPLACE, "change": Action.UPDATE}


def refused(kind: str, count: int, held: int, limit: Limit | None = None, allow: int | None = None) -> list[str]:
    changes = [Change(Address.of(PATH, (f"c{n}",)), ACTIONS[kind], Reason.NOT_IN_FILES) for n in range(count)]
    plan = Plan(Bindings("f", "."), changes)
    allowed = {kind: allow} if allow is not None else {}
    guard(plan, {kind: limit} if limit else {}, allowed, {PATH: held}, 1, NOUNS)
    return [str(blocked.hint) for blocked in plan.blocked]


@pytest.mark.parametrize("kind", ["delete", "forget", "replace"])
@pytest.mark.parametrize(("held", "most"), [(0, 10), (100, 10), (200, 10), (219, 10), (220, 11), (1000, 50)])
def test_unset_the_limit_is_ten_or_five_percent(kind: str, held: int, most: int) -> None:
    assert refused(kind, most, held) == []
    assert refused(kind, most + 1, held) == [f"If that is meant: --allow {kind}={most + 1}"]


def one(cause: Cause, overwrites: bool = False) -> tuple[FieldChange, ...]:
    return (FieldChange(("value",), cause, "a", "b", overwrites=overwrites),)


def test_a_written_limit_counts_every_change() -> None:
    assert refused("change", 2, 10, Limit(number=1)) == ["If that is meant: --allow change=2"]


@pytest.mark.parametrize(
    ("action", "fields", "counts"),
    [
        (Action.UPDATE, one(Cause.YOU), False),
        (Action.UPDATE, one(Cause.LEASE), False),
        (Action.UPDATE, one(Cause.SOMEBODY), True),
        (Action.UPDATE, one(Cause.BOTH), True),
        (Action.UPDATE, one(Cause.VALUE_UNKNOWN), True),
        (Action.ADOPT, one(Cause.ADOPTION), False),  # as from the factory
        (Action.ADOPT, one(Cause.ADOPTION, overwrites=True), True),
        (Action.ADOPT, one(Cause.VALUE_UNKNOWN), True),
        (Action.ADOPT, (), False),
        (Action.CREATE, one(Cause.YOU), False),
    ],
)
@pytest.mark.parametrize(("size", "most"), [(0, 100), (200, 100), (202, 101), (1000, 500)])
def test_unset_it_counts_what_no_edit_asked_for(
    action: Action, fields: tuple[FieldChange, ...], counts: bool, size: int, most: int
) -> None:
    def blocked(count: int) -> list[str]:
        rows = [Change(Address.of(PATH, (f"c{n}",)), action, Reason.RECORD, fields=fields) for n in range(count)]
        plan = Plan(Bindings("f", "."), rows)
        guard(plan, {}, {}, {PATH: size}, 1, NOUNS)
        return [blocked.what for blocked in plan.blocked]

    assert blocked(most) == []
    said = f"{most + 1} configs would be changed, limits.change is {most} (the default: 100 or 50 %, whichever is more)"
    assert blocked(most + 1) == ([said] if counts else [])


@pytest.mark.parametrize(("share", "most"), [(0.0, 0), (0.2, 2), (0.29, 2), (1.0, 10)])
def test_a_share_is_of_what_the_state_holds_of_the_type(share: float, most: int) -> None:
    assert refused("delete", most, 10, Limit(share=share)) == []
    if share < 1:
        assert refused("delete", most + 1, 10, Limit(share=share)) != []


def test_a_ceiling_allows_as_many_and_not_one_more() -> None:
    assert refused("delete", 12, 100, allow=12) == []
    assert refused("delete", 12, 100, allow=11) != []
    assert refused("delete", 12, 100, Limit(number=0), allow=12) == []


def test_what_hangs_on_a_forgotten_device_is_counted_with_it() -> None:
    root = Address.of("microvisor.devices", ("one",))
    parts = [Change(root.child("configs", f"c{n}"), Action.FORGET, Reason.NOT_IN_FILES) for n in range(50)]
    plan = Plan(Bindings("f", "."), [Change(root, Action.FORGET, Reason.NOT_IN_FILES), *parts])
    guard(plan, {}, {}, {"microvisor.devices": 1, "microvisor.devices.configs": 50}, 1, NOUNS)
    assert plan.blocked == []


def test_an_emptied_document_is_refused() -> None:
    plan = Plan(Bindings("f", "."), [Change(Address.of(PATH, ("c",)), Action.DELETE, Reason.NOT_IN_FILES)])
    guard(plan, {}, {}, {PATH: 1}, 0, NOUNS)
    (blocked,) = plan.blocked
    assert "destroy" in str(blocked.hint)
