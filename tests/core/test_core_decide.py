"""The three-way table of one resource: who changed what, and what follows. Data in, data out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconcile.core.address import Address
from reconcile.core.decide import decide
from reconcile.core.plan import Action, Cause, Reason
from reconcile.core.resource import Desired, Entry, Observed
from reconcile.core.sighting import Decision, Match, Resolved, Sighting
from reconcile.core.values import Ref, SecretRef
from reconcile.providers.microvisor.configs import DeviceConfigType
from reconcile.providers.microvisor.devices import DeviceType
from reconcile.providers.microvisor.secrets import SecretType

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CONFIG = Address.of("microvisor.devices.configs", ("one", "site"))
SECRET = Address.of("microvisor.secrets", ("pw",))
DEVICE = Address.of("microvisor.devices", ("one",))
UNIT = f"UV{1:032x}"


def unresolved(ref: Ref) -> Resolved:
    raise AssertionError(ref)


def config(want: str, live: str | None, prior: str | None) -> Decision:
    seen = Observed("site", {"value": live}, "site", UNIT) if live is not None else None
    entry = Entry(CONFIG, "site", {"value": prior}, UNIT) if prior is not None else None
    return decide(DeviceConfigType(), Sighting(Desired(CONFIG, {"value": want}), seen, NOW, entry), unresolved, {})


@pytest.mark.parametrize(
    ("want", "live", "prior", "action", "reason", "cause"),
    [
        ("1", "1", "1", None, None, None),
        ("2", "1", "1", Action.UPDATE, Reason.FIELDS_DIFFER, Cause.YOU),
        ("1", "2", "1", Action.UPDATE, Reason.FIELDS_DIFFER, Cause.SOMEBODY),
        ("3", "2", "1", Action.UPDATE, Reason.FIELDS_DIFFER, Cause.BOTH),
        ("2", "2", "1", Action.NOOP, Reason.RECORD, None),
        ("1", "1", None, Action.ADOPT, Reason.NOT_IN_STATE, None),
        ("2", "1", None, Action.ADOPT, Reason.NOT_IN_STATE, Cause.ADOPTION),
        ("1", None, None, Action.CREATE, Reason.NOT_LIVE, Cause.YOU),
        ("1", None, "1", Action.CREATE, Reason.GONE, Cause.SOMEBODY),
        ("2", None, "1", Action.CREATE, Reason.GONE, Cause.SOMEBODY),
    ],
)
def test_every_combination_of_files_api_and_state(
    want: str, live: str | None, prior: str | None, action: Any, reason: Any, cause: Any
) -> None:
    change = config(want, live, prior).change
    if action is None:
        assert change is None
        return
    assert change is not None
    assert (change.action, change.reason) == (action, reason)
    assert [part.cause for part in change.fields] == ([cause] if cause else [])


def secret(match: Match, *, rotated: bool = False, prior: bool = True, **more: Any) -> Decision:
    seen = Observed("pw", {}, "pw", version="later" if rotated else "then", facts={"date_rotated": "then"})
    reference = SecretRef("env", "PW")
    entry = Entry(SECRET, "pw", {"value": reference}, prints={"value": {}}, facts={"date_rotated": "then"})
    want = Desired(SECRET, {"value": reference})
    sighting = Sighting(want, seen, NOW, entry if prior else None, matches={"value": match}, **more)
    return decide(SecretType(), sighting, unresolved, {})


@pytest.mark.parametrize(
    ("match", "rotated", "more", "cause"),
    [
        (Match.SAME, False, {}, None),
        (Match.CHANGED, False, {}, Cause.YOU),
        (Match.SAME, True, {}, Cause.SOMEBODY),
        (Match.CHANGED, True, {}, Cause.BOTH),
        (Match.NO_RECORD, False, {}, Cause.VALUE_UNKNOWN),
        (Match.OTHER_KEY, False, {}, None),
        (Match.OTHER_KEY, False, {"rewrite": True}, Cause.YOU),
        (Match.SAME, False, {"rewrite": True}, Cause.YOU),
        (Match.UNRESOLVED, False, {}, None),
        (Match.SAME, False, {"uncertain": True}, Cause.VALUE_UNKNOWN),
        (Match.SAME, True, {"uncertain": True}, Cause.VALUE_UNKNOWN),
    ],
)
def test_what_is_known_of_a_secret_decides_whether_it_is_written(
    match: Match, rotated: bool, more: dict[str, Any], cause: Cause | None
) -> None:
    decision = secret(match, rotated=rotated, **more)
    causes = [part.cause for part in decision.change.fields] if decision.change else []
    assert causes == ([cause] if cause else [])
    untold = match in (Match.OTHER_KEY, Match.UNRESOLVED) and not more
    assert [which for which, *_ in decision.untold] == ([match] if untold else [])


def test_a_secret_of_another_unit_is_always_written() -> None:
    former = Entry(SECRET, "pw", {"value": SecretRef("env", "PW")})
    decision = secret(Match.SAME, prior=False, former=former)
    assert decision.change is not None
    assert [part.cause for part in decision.change.fields] == [Cause.UNIT]


def device(want: dict[str, Any], live: dict[str, Any], prior: Entry | None, **more: Any) -> Decision:
    facts = more.pop("facts", {})
    seen = Observed(UNIT, {"unique_name": "one", "app": None, "logging": False, **live}, "one", facts=facts)
    sighting = Sighting(Desired(DEVICE, {"sid": UNIT, **want}), seen, NOW, prior, **more)
    return decide(DeviceType(), sighting, lambda ref: Resolved(ref.name, f"id of {ref.name}", None), {})


def entry(**attrs: Any) -> Entry:
    return Entry(DEVICE, UNIT, {"sid": UNIT, "unique_name": "one", **attrs})


def test_a_trigger_is_first_recorded_and_then_sent_when_it_differs() -> None:
    first = device({"restart": "1"}, {}, entry()).change
    assert first is not None and first.action is Action.NOOP and not first.fields
    assert device({"restart": "1"}, {}, entry(restart="1")).change is None
    second = device({"restart": "2"}, {}, entry(restart="1")).change
    assert second is not None and [part.path for part in second.fields] == [("restart",)]


@pytest.mark.parametrize(("hours", "renewed"), [(24, False), (6, False), (5.99, True), (-1, True)])
def test_a_lease_is_renewed_when_less_than_six_hours_are_left(hours: float, renewed: bool) -> None:
    ends = (NOW + timedelta(hours=hours)).isoformat()
    change = device({"logging": True}, {"logging": True}, entry(logging=True), facts={"logging_ends": ends}).change
    assert (change is not None) == renewed
    if change is not None:
        assert (change.action, change.reason) == (Action.NOOP, Reason.LEASE_ENDS)
        assert not change.drifted


def test_a_lease_that_ran_out_by_itself_is_not_drift_and_one_that_was_ended_is() -> None:
    for hours, cause in ((-1, Cause.LEASE), (1, Cause.SOMEBODY)):
        ends = (NOW + timedelta(hours=hours)).isoformat()
        prior = replace(entry(logging=True), facts={"logging_ends": ends})
        change = device({"logging": True}, {"logging": False}, prior).change
        assert change is not None
        assert [part.cause for part in change.fields] == [cause]


def test_another_unit_is_a_replacement_with_the_former_ones_id() -> None:
    former = replace(entry(), id=f"UV{2:032x}")
    change = device({}, {}, None, former=former).change
    assert change is not None
    assert (change.action, change.reason, change.former) == (Action.REPLACE, Reason.ANOTHER_UNIT, former.id)
    blocked = device({}, {}, None, former=replace(former, protect=True)).change
    assert blocked is not None and blocked.blocked


def test_protection_is_kept_until_false_is_written() -> None:
    prior = replace(entry(), protect=True)
    assert device({}, {}, prior).change is None
    seen = Observed(UNIT, {"unique_name": "one", "app": None, "logging": False}, "one")
    want = Desired(DEVICE, {"sid": UNIT}, protect=False)
    change = decide(DeviceType(), Sighting(want, seen, NOW, prior), unresolved, {}).change
    assert change is not None and change.protect is False


def test_an_observed_reference_is_compared_by_the_name_that_it_has() -> None:
    names = {"microvisor.apps": {"KA1": "v1"}}
    seen = Observed(UNIT, {"unique_name": "one", "app": "KA1", "logging": False}, "one")
    want = Desired(DEVICE, {"sid": UNIT, "app": Ref("microvisor.apps", "v1")})
    prior = entry(app=Ref("microvisor.apps", "v1"))

    def resolve(ref: Ref) -> Resolved:
        return Resolved("v1", "KA1", None)

    assert decide(DeviceType(), Sighting(want, seen, NOW, prior), resolve, names).change is None


def test_a_field_that_is_not_written_is_not_compared() -> None:
    assert device({}, {"app": "KA1", "logging": True}, entry()).change is None
