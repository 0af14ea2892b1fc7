"""How a campaign is read, and when another one is made: every phase, with every outcome."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.core.address import Address
from reconcile.core.resource_type import landed
from reconcile.core.schema import fields_of
from reconcile.provider import BadAnswer, Edit, Entry, Observed, Ref, Status
from reconcile.providers.device_management.campaigns import CampaignType
from reconcile.providers.device_management.rollout import (
    counted,
    counts_of,
    event_of,
    filter_of,
    read_campaign,
    targets_of,
    unstarted,
)

CAMPAIGN = CampaignType()
IDS = st.lists(st.text("0123456789abcdef", min_size=32, max_size=32), min_size=1, max_size=20, unique=True)
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def campaign(phase: str, counts: str = "", **more: Any) -> Observed:
    """One as the API answers it; `counts` are total, success, failed, skipped and pending."""
    member = {
        "id": "c" * 32,
        "name": "spring",
        "phase": phase,
        "device_filter": f"id__in={'a' * 32}",
        "root_manifest_id": "e" * 32,
        "autostop": True,
        "autostop_success_percent": 100.0,
        "active_at": "2026-03-02",
    }
    seen = read_campaign({**member, **more})
    if not counts:
        return seen
    names = ("total_count", "success_count", "failed_count", "skipped_count", "pending_count")
    return counted(seen, counts_of(dict(zip(names, map(int, counts.split()), strict=True))))


@given(IDS, st.none() | IDS.map(lambda ids: ids[0]))
def test_a_filter_tells_what_it_was_made_from(ids: list[str], group: str | None) -> None:
    assert targets_of(filter_of(ids, group)) == ({"group": group} if group else {"devices": sorted(ids)})
    assert filter_of(ids, group) == filter_of(reversed(ids), group)


@pytest.mark.parametrize("text", ["", "state__eq=registered", "id__in=", "id__nin=a", "id__in=a&state=x", "&&", "id"])
def test_a_filter_that_somebody_else_wrote_stands_for_nothing_of_ours(text: str) -> None:
    assert targets_of(text) == {}


@pytest.mark.parametrize("text", ["id=a", "id__eq=a", "id__in=a"])
def test_filters_for_one_device(text: str) -> None:
    assert targets_of(text) == {"devices": ["a"]}


@pytest.mark.parametrize(
    ("phase", "counts", "start", "status", "words"),
    [
        ("draft", "", False, Status.SETTLED, None),
        ("awaiting_approval", "", True, Status.PENDING, "waits for its approval"),
        ("timed", "", True, Status.PENDING, "waits for its time"),
        ("starting", "", True, Status.PENDING, "is starting"),
        ("active", "", True, Status.SETTLED, None),
        ("active", "0 0 0 0 0", True, Status.PENDING, "with no device"),
        ("active", "3 1 1 0 1", True, Status.PENDING, "1 of 3 devices updated, 1 failed, 1 pending"),
        ("active", "3 2 0 1 0", True, Status.SETTLED, None),
        ("active", "3 2 1 0 0", True, Status.FAILED, "is active, 2 of 3 devices updated, 1 failed"),
        ("stopping", "3 3 0 0 0", True, Status.SETTLED, None),
        ("stopping", "3 1 0 0 2", False, Status.SETTLED, None),
        ("stopped", "3 1 1 0 1", False, Status.SETTLED, None),
        ("stopped", "1 0 1 0 0", True, Status.FAILED, "is stopped, 0 of 1 device updated, 1 failed"),
        ("stopped", "0 0 0 0 0", True, Status.FAILED, "is stopped, with no device"),
        ("archived", "2 1 0 1 0", True, Status.SETTLED, None),
        ("archived", "2 1 0 0 1", False, Status.SETTLED, None),
        ("stopped", "", True, Status.SETTLED, None),
        ("paused", "", True, Status.PENDING, "is in the phase 'paused', which this version does not know"),
        ("", "", True, Status.PENDING, "is in no phase that is told"),
    ],
)
def test_every_phase_is_read(phase: str, counts: str, start: bool, status: Status, words: str | None) -> None:
    seen = campaign(phase, counts)
    view = CAMPAIGN.view(seen, None, NOW)
    assert (seen.attrs["start"], view.status, view.detail) == (start, status, words)
    assert set(seen.attrs) <= set(fields_of(CAMPAIGN.Model))


def test_one_that_stopped_because_enough_succeeded_is_done() -> None:
    assert campaign("stopped", "10 8 0 0 2", autostop_success_percent=80).attrs["start"] is True
    assert campaign("stopped", "10 7 0 0 3", autostop_success_percent=80).attrs["start"] is False
    assert campaign("stopped", "10 8 0 0 2", autostop_success_percent=80, autostop=False).attrs["start"] is False


def test_the_reason_of_the_api_is_told() -> None:
    view = CAMPAIGN.view(campaign("stopped", "0 0 0 0 0", autostop_reason="The manifest was removed"), None, NOW)
    assert view.detail == "is stopped, with no device (The manifest was removed)"


@pytest.mark.parametrize("metrics", [{}, {"total_count": "1"}, {f"{n}_count": True for n in ("total", "success")}])
def test_metrics_that_are_none_are_a_bad_answer(metrics: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer):
        counts_of(metrics)


ENTRY = Entry(Address.of(CAMPAIGN.path, ("spring",)), "c" * 32, {"start": True}, facts={"started": True})


@pytest.mark.parametrize(
    ("reason", "prior", "said"),
    [
        ("no credit", ENTRY, "could not start: no credit"),
        (None, ENTRY, "could not start, and the API does not say why"),
        ("no credit", None, "could not start: no credit"),
        (None, None, None),
        # The answer to its start was lost: without a word of the API it may never have come.
        ("no credit", replace(ENTRY, facts={}), "could not start: no credit"),
        (None, replace(ENTRY, facts={}), None),
        # It is meant to be a draft.
        ("no credit", replace(ENTRY, attrs={"start": False}), None),
    ],
)
def test_a_draft_that_could_not_start_has_failed(reason: str | None, prior: Entry | None, said: str | None) -> None:
    seen = campaign("draft", autostop_reason=reason)
    view = CAMPAIGN.view(seen, prior, NOW)
    assert (view.status, view.detail, view.retry) == (Status.FAILED if said else Status.SETTLED, said, bool(said))
    assert view.attrs["start"] is bool(said) and seen.attrs["start"] is False


def test_one_that_the_api_stopped_before_it_ran_could_not_start() -> None:
    view = CAMPAIGN.view(unstarted(campaign("stopped", autostop_reason="conflict")), ENTRY, NOW)
    assert (view.status, view.detail, view.retry) == (Status.FAILED, "could not start: conflict", True)
    assert view.attrs["start"] is True and view.reported is not None and view.reported["manifest"] is None
    # One that somebody stopped is put back, by another one.
    view = CAMPAIGN.view(unstarted(campaign("stopped")), ENTRY, NOW)
    assert (view.status, view.attrs["start"]) == (Status.SETTLED, False)


def test_why_devices_failed_is_told() -> None:
    events = [
        event_of({"count": 3, "event_type": "UPD4_FAIL_101", "description": "Update error"}),
        event_of({"count": 1}),
    ]
    counts = counts_of(
        {"total_count": 3, "success_count": 0, "failed_count": 3, "skipped_count": 0, "pending_count": 0}
    )
    view = CAMPAIGN.view(counted(campaign("stopped"), counts, events), None, NOW)
    assert view.detail == (
        "is stopped, 0 of 3 devices updated, 3 failed"
        " (3 × Update error (UPD4_FAIL_101); 1 × a reason that the API does not name)"
    )


def replaces(paths: Any, seen: Observed) -> str | None:
    wanted = {"start": not seen.attrs["start"]}
    patch = CAMPAIGN.compose(Edit(paths, [], wanted, seen, None))
    return patch.replaces if patch is not None else None


@pytest.mark.parametrize(
    ("seen", "changed", "why"),
    [
        (campaign("draft"), "manifest devices start description", None),
        (campaign("draft"), "strategy", "strategy of spring cannot be changed"),
        (campaign("active", "2 0 0 0 2"), "description", None),
        (campaign("active", "2 0 0 0 2"), "start", None),
        (
            campaign("active", "2 0 0 0 2"),
            "manifest",
            "is active and cannot be changed any more: another one is made, and",
        ),
        (campaign("starting"), "devices description", "is starting and cannot be changed"),
        (campaign("stopped", "2 1 0 0 1"), "start", "is stopped, and a stopped campaign never restarts"),
        (campaign("stopping", "2 1 0 0 1"), "start", "is stopping, and a stopped campaign never restarts"),
        (campaign("stopped", "2 2 0 0 0"), "start", None),
        (campaign("archived", "2 2 0 0 0"), "group", "is archived and cannot be changed any more"),
    ],
)
def test_another_one_is_made_where_this_one_cannot_change(seen: Observed, changed: str, why: str | None) -> None:
    said = replaces([(name,) for name in changed.split()], seen)
    assert said == why or (said is not None and why is not None and why in said)


def test_a_failed_one_is_done_again_by_another_one_if_asked() -> None:
    seen = campaign("stopped", "2 1 1 0 0")
    view = CAMPAIGN.view(seen, None, NOW)
    assert view.retry and view.reported is not None
    changed = [(name,) for name, value in view.reported.items() if value != seen.attrs[name]]
    assert replaces(changed, seen)


def test_what_is_sent_for_one_that_runs_or_has_ended() -> None:
    running, ended = campaign("active", "2 0 0 0 2"), campaign("stopped", "2 2 0 0 0")
    assert CAMPAIGN.compose(Edit([("start",)], [], {"start": False}, running, None)) is None
    patch = CAMPAIGN.compose(Edit([("start",)], [], {"start": False}, ended, None))
    assert patch is not None and patch.body == {} and patch.mistakes == ()
    for seen in (running, ended, campaign("paused")):
        assert CAMPAIGN.compose(Edit([("description",)], [], {"description": "x"}, seen, None)) is None


def test_only_what_has_not_ended_needs_its_manifest_and_its_devices() -> None:
    assert {(use.field, use.id) for use in CAMPAIGN.uses(campaign("active"))} == {
        ("manifest", "e" * 32),
        ("devices", "a" * 32),
    }
    assert list(CAMPAIGN.uses(campaign("stopped", "1 1 0 0 0"))) == []


def test_a_lost_start_is_read_back_by_value_whatever_the_order_of_the_devices() -> None:
    seen = campaign("draft", device_filter="id__in=b,a")
    assert landed(CAMPAIGN, {"devices": ["b", "a"], "start": False}, seen)
    assert not landed(CAMPAIGN, {"devices": ["b"]}, seen)


@pytest.mark.parametrize(
    ("attrs", "paths"),
    [
        ({"devices": [Ref("device_management.devices", "a")]}, []),
        ({"group": Ref("device_management.groups", "a")}, []),
        ({}, [()]),
        ({"group": Ref("device_management.groups", "a"), "devices": []}, [("group",)]),
    ],
)
def test_a_campaign_is_for_devices_or_for_a_group(attrs: dict[str, Any], paths: list[tuple[str, ...]]) -> None:
    assert [path for path, _, _ in CAMPAIGN.check(attrs, "spring")] == paths
    assert [path for path, _, _ in CAMPAIGN.cautions({**attrs, "strategy": "continuous"}, "spring")] == [("strategy",)]
