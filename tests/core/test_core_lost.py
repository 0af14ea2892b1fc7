"""What the state says of a unit after a write with a lost answer: what was sent, what is read and what was recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from reconcile.core.address import Address
from reconcile.core.lost import ATTEMPTS, Attempt, Rename, attempt_of, entry_of, told
from reconcile.core.plan import Action
from reconcile.core.ports import Intent
from reconcile.core.resource import Entry, Observed
from reconcile.core.values import Ref, SecretRef
from reconcile.errors import StateError
from reconcile.providers.microvisor.devices import DeviceType
from reconcile.providers.microvisor.secrets import SecretType

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SECRET, DEVICE = Address("microvisor.secrets.one"), Address("microvisor.devices.a")
SENT = Attempt(
    Action.UPDATE, "one", "one", after={"value": SecretRef("env", "PW")}, fields=("value",), labels={"site": "n"}
)
SEEN = Observed("one", {}, "one", facts={"date_rotated": "2026-01-01T00:00:00Z"})
KNOWN = Entry(
    SECRET, "one", SENT.after, prints={"value": {"mac": "1"}}, facts={"date_rotated": "2025-01-01T00:00:00Z"}, at="2025"
)


@pytest.mark.parametrize(
    ("known", "sent", "expected"),
    [
        # A secret that was perhaps written has no fingerprint that could be trusted.
        (KNOWN, SENT, replace(KNOWN, prints={}, facts=SEEN.facts)),
        (KNOWN, replace(SENT, fields=()), KNOWN),
        (None, SENT, None),
    ],
)
def test_what_is_recorded_of_a_secret(known: Entry | None, sent: Attempt, expected: Entry | None) -> None:
    assert told(SECRET, SecretType(), known, SEEN, sent, NOW) == expected


def test_a_restart_counts_as_done_and_a_name_does_not() -> None:
    known = Entry(DEVICE, "UV1", {"restart": 1, "name": "a"})
    sent = Attempt(Action.UPDATE, "UV1", "a", after={"restart": 2, "name": "b"}, fields=("name", "restart"))
    found = told(DEVICE, DeviceType(), known, Observed("UV1", {}, "a"), sent, NOW)
    assert found is not None and found.attrs == {"restart": 2, "name": "a"}


def test_what_was_made_has_what_its_intent_says_and_no_fingerprint() -> None:
    sent = replace(SENT, action=Action.CREATE, protect=True, facts={"made": 1})
    found = entry_of(SECRET, SecretType(), sent, SEEN, {}, NOW)
    assert (found.id, found.attrs, found.labels, found.protect) == ("one", SENT.after, {"site": "n"}, True)
    assert (found.prints, found.facts, found.at) == ({}, {**SEEN.facts, "made": 1}, "2026-01-02T00:00:00+00:00")


@pytest.mark.parametrize(
    "attempt", [SENT, Attempt(Action.CREATE, rename=Rename("UV1", "b"), after={"app": Ref("m.apps", "a")}, late_s=0.5)]
)
def test_an_intent_is_read_as_it_was_written(attempt: Attempt) -> None:
    assert attempt_of(Intent("o", SECRET, ATTEMPTS.dump(attempt), "2026")) == attempt


@pytest.mark.parametrize(
    "wrong", [{}, {"action": "invent"}, {"action": "update", "later": 1}, {"action": "update", "protect": 1}]
)
def test_an_intent_that_says_something_else_is_an_error_of_the_state(wrong: dict[str, Any]) -> None:
    with pytest.raises(StateError, match="the intent o cannot be read"):
        attempt_of(Intent("o", SECRET, wrong, "2026"))
