"""The outcomes of a staged update, told from one reading and the state; and the body of the next one. Data in, out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconcile.core.address import Address
from reconcile.provider import Edit, Entry, Observed, Status
from reconcile.providers.asset_tracker import patches, updates
from reconcile.providers.asset_tracker.trackers import observed
from reconcile.providers.asset_tracker.updates import ATTEMPTS, FALLBACK, Update, update_of

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TRACKER = Address.of("asset_tracker.trackers", ("one",))
BOOT = 1_700_000_000
SENT = Update("reconcile-1", "content", "before", BOOT, 1, {"readingPeriod": 60}, NOW - HOUR / 2, NOW - HOUR / 2)
LATE = {"sent": NOW - 2 * HOUR, "waiting": NOW - 2 * HOUR}
OLD, NEW = 30, 60


def tracker(
    current: str | None = "before",
    pending: str | None = None,
    restarted: int = BOOT,
    scheme: str = "1.1",
    **configuration: Any,
) -> Observed:
    description = {"pendingUpdateId": pending, "cfgTimestamp": restarted, "cfgSchemeVersion": scheme}
    body = {"description": description, "configuration": {"readingPeriod": OLD, "updateId": current, **configuration}}
    return observed("agent", body, NOW)


def entry(update: Update | None, **facts: Any) -> Entry:
    told = {"update": update.to_json()} if update is not None else {}
    return Entry(TRACKER, "agent", {"configuration": {"readingPeriod": NEW}}, facts={**told, **facts})


def sent(**more: Any) -> Update:
    return replace(SENT, **more)


@pytest.mark.parametrize(
    ("update", "seen", "status", "period", "words"),
    [
        (None, tracker(), Status.SETTLED, OLD, ""),
        (None, tracker(pending="theirs"), Status.PENDING, OLD, "the update theirs, which somebody else staged"),
        (None, tracker(pending="reconcile-9"), Status.PENDING, OLD, "which reconcile with another state"),
        (SENT, tracker("reconcile-1", readingPeriod=NEW), Status.SETTLED, NEW, ""),
        (SENT, tracker(pending="reconcile-1"), Status.PENDING, NEW, "staged, and fetched by the tracker when"),
        (SENT, tracker(pending="theirs"), Status.PENDING, OLD, "the update theirs, which somebody else staged"),
        (sent(applied=True), tracker("other"), Status.SETTLED, OLD, ""),
        (SENT, tracker("other"), Status.SETTLED, OLD, ""),
        (SENT, tracker(FALLBACK), Status.SETTLED, OLD, ""),
        (SENT, tracker(), Status.PENDING, NEW, "fetched or lost, and not reported"),
        (sent(sent=None, waiting=None), tracker(), Status.PENDING, NEW, "fetched or lost, and not reported"),
        (sent(**LATE), tracker(connectingPeriod=3600), Status.PENDING, NEW, "fetched or lost, and not reported"),
        (SENT, tracker(restarted=BOOT + 1), Status.PENDING, NEW, "delivered, but the tracker came back"),
        (sent(**LATE), tracker(), Status.SETTLED, OLD, ""),
        (sent(**LATE, attempts=ATTEMPTS), tracker(), Status.FAILED, NEW, "sent 3 times, and the tracker came back"),
        (
            sent(**LATE, attempts=ATTEMPTS),
            tracker(pending="theirs", restarted=BOOT + 1),
            Status.FAILED,
            NEW,
            "--retry-failed sends it again. Now the update theirs",
        ),
        (sent(attempts=ATTEMPTS), tracker(pending="theirs"), Status.PENDING, OLD, "the update theirs"),
    ],
    ids=[
        "nothing was sent",
        "somebody else's waits",
        "that of another state waits",
        "applied",
        "it waits",
        "somebody else's took its place",
        "applied, and then another one",
        "another one was applied instead",
        "the tracker fell back to its default",
        "under way",
        "under way since nobody knows when",
        "under way for three connections",
        "delivered, and the tracker came back without it",
        "lost",
        "failed",
        "failed, and somebody else's waits",
        "somebody else's waits, and the last attempt was never tried",
    ],
)
def test_what_became_of_an_update(update: Any, seen: Observed, status: Status, period: int, words: str) -> None:
    view = updates.read(seen, entry(update), NOW)
    assert (view.status, view.attrs["configuration"]["readingPeriod"]) == (status, period)
    assert words in (view.detail or "")


@pytest.mark.parametrize(
    ("update", "seen", "lost"),
    [
        (SENT, tracker(pending="theirs"), "its update was replaced by theirs, which somebody else staged"),
        (SENT, tracker(FALLBACK), "not applied: the tracker fell back to its default configuration"),
        (sent(**LATE), tracker(), "sent once and not applied by the tracker"),
        (sent(**LATE, attempts=2), tracker(), "sent 2 times and not applied by the tracker"),
        (SENT, tracker("other"), None),
        (SENT, tracker(), None),
        (sent(**LATE, attempts=ATTEMPTS), tracker(), None),
    ],
)
def test_a_lost_update_says_why_it_is_sent_again(update: Update, seen: Observed, lost: str | None) -> None:
    assert updates.read(seen, entry(update), NOW).lost == lost


@pytest.mark.parametrize(
    ("update", "seen", "more"),
    [
        (SENT, tracker(pending="reconcile-1"), {"version": "reconcile-1", "since": SENT.sent}),
        (SENT, tracker(), {"version": "reconcile-1", "returned": False}),
        (SENT, tracker(restarted=BOOT + 1), {"returned": True}),
        (SENT, tracker(pending="theirs"), {"foreign": True, "reported": None}),
        (None, tracker(pending="theirs"), {"foreign": True}),
        (SENT, tracker("other"), {"returned": True, "lost": None}),
        (SENT, tracker(FALLBACK), {"returned": True}),
        (sent(**LATE, attempts=ATTEMPTS), tracker(), {"retry": True}),
    ],
)
def test_what_else_a_reading_says_of_an_update(update: Any, seen: Observed, more: dict[str, Any]) -> None:
    view = updates.read(seen, entry(update), NOW)
    assert {name: getattr(view, name) for name in more} == more


@pytest.mark.parametrize(
    ("update", "seen", "applied", "waiting"),
    [
        (SENT, tracker(), False, None),
        (SENT, tracker("reconcile-1"), True, SENT.waiting),
        (SENT, tracker(pending="reconcile-1"), False, NOW),
        (sent(waiting=NOW - timedelta(minutes=9)), tracker(pending="reconcile-1"), False, None),
        (sent(applied=True), tracker("reconcile-1"), False, None),
    ],
)
def test_what_a_later_reading_could_not_tell_is_learned(
    update: Update, seen: Observed, applied: Any, waiting: Any
) -> None:
    told = updates.learned(seen, entry(update, scheme="1.1"), NOW)
    if waiting is None:
        assert told is None
        return
    assert told is not None and told["scheme"] == "1.1"
    assert update_of(told) == replace(update, applied=applied, waiting=waiting)


def test_an_update_comes_back_from_its_json() -> None:
    for update in (SENT, sent(sent=None, waiting=None, restarted=None), sent(applied=True)):
        assert update_of({"update": update.to_json()}) == update
    assert update_of({}) is None
    older = {name: value for name, value in SENT.to_json().items() if name != "applied"}
    assert update_of({"update": older}) == SENT


def test_beacons_that_an_agent_keeps_are_told_and_not_sent_again() -> None:
    beacons = {"0c:2a:69:04:6a:49": {"lat": 1.0, "lng": 2.0}}
    tracking = {"locationTracking": {"bleDevices": {"generic": beacons}}}
    update = sent(patch={"locationTracking": {"bleDevices": {"generic": {}}}})
    seen = tracker("reconcile-1", scheme="1.0", **tracking)
    view = updates.read(seen, entry(update), NOW)
    assert view.status is Status.FAILED and "still there: 0c2a69046a49" in (view.detail or "")
    assert view.attrs["configuration"]["locationTracking"]["bleDevices"]["generic"] == {}
    assert updates.read(tracker("reconcile-1", **tracking), entry(update), NOW).status is Status.SETTLED


# -- what is sent ------------------------------------------------------------------------------------------------------


def composed(wanted: dict[str, Any], seen: Observed, paths: str, also: str = "", prior: Entry | None = None) -> Any:
    split = [[tuple(path.split(".")) for path in text.split()] for text in (paths, also)]
    return patches.compose(Edit(*split, wanted, seen, prior))


CENTRE = {"locationTracking": {"geofence": {"lat": 1.0, "lng": 2.0, "radius": 3.0}}}
FENCE = "configuration.locationTracking.geofence"


@pytest.mark.parametrize(
    ("configuration", "seen", "paths", "body"),
    [
        ({"readingPeriod": NEW}, tracker(), "configuration.readingPeriod", {"readingPeriod": NEW}),
        (
            {"locationTracking": {"geofence": {"lat": 9.0}}},
            tracker(**CENTRE),
            f"{FENCE}.lat",
            {"locationTracking": {"geofence": {"lat": 9.0, "lng": 2.0, "radius": 3.0}}},
        ),
        (
            {"locationTracking": {"motionMonitoring": {"movementAccMin": 0.2, "movementAccMax": 0.4}}},
            tracker(),
            "configuration.locationTracking.motionMonitoring.movementAccMin",
            {"locationTracking": {"motionMonitoring": {"movementAccMin": 0.2, "movementAccMax": 0.4}}},
        ),
    ],
    ids=["a setting", "a centre, the rest of it as it is live", "a pair"],
)
def test_what_travels_together(configuration: Any, seen: Observed, paths: str, body: Any) -> None:
    patch = composed({"configuration": configuration}, seen, paths)
    assert not patch.mistakes
    sent_body = dict(patch.body["configuration"])
    assert sent_body.pop("updateId") == patch.stamp["update"]["id"]
    assert sent_body == patch.stamp["update"]["patch"] == body


@pytest.mark.parametrize(
    ("configuration", "seen", "paths", "what"),
    [
        (
            {"locationTracking": {"geofence": {"lat": 9.0, "lng": 8.0}}},
            tracker(),
            f"{FENCE}.lat {FENCE}.lng",
            "geofence cannot be sent without radius, which neither the files nor the tracker say",
        ),
        (
            {"locationTracking": {"geofence": {"lat": 9.0, "lng": 8.0}}},
            tracker(scheme="1.0"),
            f"{FENCE}.lat {FENCE}.lng",
            "geofence cannot be sent without radius, which neither the files nor the tracker say",
        ),
        (
            {"locationTracking": {"motionMonitoring": {"movementAccMin": 0.9}}},
            tracker(locationTracking={"motionMonitoring": {"movementAccMin": 0.1, "movementAccMax": 0.4}}),
            "configuration.locationTracking.motionMonitoring.movementAccMin",
            "motionMonitoring.movementAccMin (the files say 0.9) has to be at most motionMonitoring.movementAccMax"
            " (the tracker has 0.4)",
        ),
    ],
)
def test_what_cannot_be_sent(configuration: Any, seen: Observed, paths: str, what: str) -> None:
    patch = composed({"configuration": configuration}, seen, paths)
    assert [mistake[1] for mistake in patch.mistakes] == [what] and patch.mistakes[0][0][0] == "configuration"


@pytest.mark.parametrize(
    "wanted", [{"simUpdate": {"enabled": True}}, {"configuration": {"simUpdate": {"enabled": True}}}]
)
@pytest.mark.parametrize(("scheme", "beside"), [("1.0", True), ("1.1", False)])
def test_sim_updates_stand_where_the_scheme_has_them(wanted: Any, scheme: str, beside: bool) -> None:
    path = "simUpdate.enabled" if "simUpdate" in wanted else "configuration.simUpdate.enabled"
    body = composed(wanted, tracker(scheme=scheme), path).body
    assert ("simUpdate" in body, "simUpdate" in body["configuration"]) == (beside, not beside)


def test_the_agents_own_settings_are_applied_at_once() -> None:
    level = {"agentConfiguration": {"debug": {"logLevel": "INFO"}}}
    patch = composed(level, tracker(), "agentConfiguration.debug.logLevel")
    assert (patch.body, patch.stamp, patch.notes) == (level, {}, ("applied by the agent at once",))


def test_what_waits_already_is_not_sent_again_and_goes_along_with_what_is() -> None:
    wanted = {"configuration": {"readingPeriod": NEW}}
    first = composed(wanted, tracker(), "configuration.readingPeriod")
    id = first.stamp["update"]["id"]
    assert composed(wanted, tracker(pending=id), "configuration.readingPeriod").body == {}
    more = {"configuration": {"readingPeriod": NEW, "connectingPeriod": 90}}
    both = composed(more, tracker(pending=id), "configuration.connectingPeriod", "configuration.readingPeriod")
    assert both.stamp["update"]["patch"] == {"connectingPeriod": 90, "readingPeriod": NEW}
    assert both.notes[0].endswith("with it goes what was accepted before and is not applied yet")


@pytest.mark.parametrize(
    ("seen", "attempts"),
    [
        (tracker(), 2),
        (tracker(restarted=BOOT + 1), 2),
        (tracker(pending="theirs"), 1),
        (tracker(pending="theirs", restarted=BOOT + 1), 2),
        (tracker("other"), 1),
    ],
    ids=["lost", "tried", "replaced before it was tried", "replaced after it was tried", "on another base"],
)
def test_an_attempt_is_counted_when_the_tracker_may_have_tried_it(seen: Observed, attempts: int) -> None:
    wanted = {"configuration": {"readingPeriod": NEW}}
    stamp = composed(wanted, tracker(), "configuration.readingPeriod").stamp
    facts = updates.Updates().accepted(stamp, Observed("agent", {}, facts={"date": NOW.isoformat()}))
    again = composed(wanted, seen, "configuration.readingPeriod", prior=Entry(TRACKER, "agent", wanted, facts=facts))
    assert again.stamp["update"]["attempts"] == attempts
