"""The plan as text: whole screens, and the rules of grouping one by one."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from golden_texts import check
from plans import (
    TYPES,
    adoption,
    bindings,
    config,
    device,
    field,
    hidden,
    mixed,
    plan,
    retarget,
    secret,
)

from reconcile.core.address import Address
from reconcile.core.options import Options
from reconcile.core.plan import Action, Cause, Change, Plan, Reason, Unread, Unsettled
from reconcile.core.values import FileRef, Ref, SecretRef
from reconcile.errors import Position
from reconcile.render.drift import drift_text
from reconcile.render.groups import groups
from reconcile.render.show import change_text
from reconcile.render.text import plan_text


def lines_of(made: Plan) -> list[str]:
    return list(plan_text(made, types=TYPES))


def text_of(*changes: Change) -> str:
    return "\n".join(lines_of(plan(*changes)))


def test_a_small_plan_of_everything() -> None:
    check("mixed", lines_of(mixed()))


def test_a_new_app_for_twelve_thousand_devices_is_one_screen() -> None:
    lines = list(plan_text(retarget(12_000), types=TYPES, per_s=230))
    check("retarget", lines)
    assert len(lines) <= 24


def test_twelve_thousand_adopted_devices_are_one_screen() -> None:
    lines = lines_of(adoption(12_000))
    check("adoption", lines)
    assert len(lines) <= 24


def test_twelve_thousand_devices_that_leave_are_one_screen() -> None:
    changes = []
    for at in range(3_000):
        gone = {"action": Action.FORGET, "reason": Reason.DESTROY}
        changes += [device(f"s-{at}", **gone), *(config(f"s-{at}", f"k{key}", **gone) for key in range(5))]
    changes += [
        Change(Address.of("microvisor.configs", [f"c{at}"]), Action.DELETE, Reason.DESTROY, id=f"c{at}")
        for at in range(9)
    ]
    lines = lines_of(plan(*changes, bindings=bindings(options=Options(destroy=True, allow={"forget": 18_000}))))
    check("destroy", lines)
    assert len(lines) <= 40


def test_five_thousand_trackers_that_all_differ_are_one_group() -> None:
    changes = [
        Change(
            Address.of("asset_tracker.trackers", [f"truck-{at}"]),
            Action.UPDATE,
            Reason.FIELDS_DIFFER,
            fields=(
                field(
                    "configuration",
                    {"locationTracking": {"geofence": {"lat": 1.5, "lng": 1.5, "radius": 500}}},
                    {"locationTracking": {"geofence": {"lat": 2.0 + at, "lng": 3.0 + at % 40, "radius": 500}}},
                ),
            ),
            block="assets",
            labels={"site": f"S{at % 40}", "country": "NO"},
        )
        for at in range(5_000)
    ]
    check("geofences", lines_of(plan(*changes)))


def test_nothing_to_do() -> None:
    lines = lines_of(plan(in_sync={"microvisor.devices": 3}))
    check("no_changes", lines)


def test_pending_work_alone_leaves_the_verdict() -> None:
    unsettled = [
        Unsettled(Address(f"microvisor.devices.s-{at}"), "pending", "app not installed yet", f"2026-11-0{at + 1}")
        for at in range(5)
    ]
    check("pending", lines_of(plan(unsettled=unsettled)))


def test_a_plan_that_could_not_read_everything_claims_no_agreement() -> None:
    text = "\n".join(lines_of(plan(unread=[Unread("microvisor.devices", None, "GET /v1/Devices answered 503")])))
    assert "No changes." not in text
    assert "Plan: 0 to add, 0 to change, 0 to destroy." in text
    assert "Incomplete: 1 listing could not be read" in text
    assert "the listing of microvisor.devices: GET /v1/Devices answered 503" in text


def test_what_nobody_vouched_for_is_told_with_what_a_shell_takes() -> None:
    where = "asset_tracker.trackers"
    units = ["EVIL", "https://x.example/$(id)/cfg", *(f"A{number}" for number in range(30))]
    rows = [
        Unread(where, Address.of(where, [f"t{at}"]), "not trusted yet", allow=unit) for at, unit in enumerate(units)
    ]
    made = plan(unread=rows[:2], bindings=bindings(options=Options(untrusted=True)), unresolved_secrets=0)
    lines = lines_of(made)
    assert "cold-chain-prod" in lines[0] and " · untrusted document · " in lines[0]
    assert not any(line.startswith("Options") for line in lines)
    at = lines.index("Not read: not trusted yet (a credential would be sent to units that nobody has vouched for)")
    assert lines[at + 1 : at + 4] == [
        "  asset_tracker.trackers.t0: EVIL",
        "  asset_tracker.trackers.t1: https://x.example/$(id)/cfg",
        "  If that is meant: --allow-agent EVIL --allow-agent 'https://x.example/$(id)/cfg', or"
        " RECONCILE_ALLOWED_AGENTS with commas between them",
    ]
    assert "Not read" not in lines and not any("Incomplete" in line or "No changes" in line for line in lines)
    many = lines_of(plan(unread=rows))
    assert "  and 12 more" in many and sum("asset_tracker.trackers.t" in line for line in many) == 20


def test_the_first_line_names_every_account_and_host() -> None:
    accounts = {"microvisor": ("AC1", "one.example"), "device_management": ("acme", "two.example")}
    first = lines_of(plan(bindings=bindings(accounts=accounts, serial=None)))[0]
    assert first == (
        "cold-chain-prod · microvisor AC1 at one.example · device_management acme at two.example"
        " · no state yet · 3 units read (7 requests)"
    )


def test_a_ceiling_that_was_raised_is_shown() -> None:
    text = lines_of(plan(bindings=bindings(options=Options(("a.b.c",), allow={"forget": 3411}))))
    assert text[1] == "Options: targets a.b.c; allow forget=3411"


@pytest.mark.parametrize(("members", "grouped"), [(3, False), (4, True)])
def test_four_members_make_a_group(members: int, grouped: bool) -> None:
    changes = [device(f"s-{at}", field("app", "a", "b"), block="sensors") for at in range(members)]
    text = text_of(*changes)
    assert (f"~ {members} devices of sensors" in text) is grouped
    assert ("  ~ microvisor.devices.s-2" in text) is not grouped


@pytest.mark.parametrize(("pairs", "shown"), [(5, True), (6, False)])
def test_up_to_five_pairs_are_shown_one_by_one(pairs: int, shown: bool) -> None:
    changes = [device(f"s-{at}", field("app", f"old-{at % pairs}", f"new-{at % pairs}")) for at in range(60)]
    text = text_of(*changes)
    assert ('"old-0" -> "new-0"  12' in text) is shown
    assert ("6 different values" in text) is not shown


def test_many_values_before_and_few_after_keep_the_few() -> None:
    changes = [device(f"s-{at}", field("app", f"old-{at}", "new" if at else "other")) for at in range(20)]
    text = text_of(*changes)
    assert '19 different values -> "new"  19' in text
    assert '"old-0" -> "other"             1' in text


def test_a_label_explains_the_values() -> None:
    changes = [
        device(f"s-{at}", field("name", None, f"n-{at % 8}"), labels={"hw": "B", "site": f"S{at % 8}"})
        for at in range(40)
    ]
    assert '8 different values, one per site: S0 "n-0", S1 "n-1", S2 "n-2", …' in text_of(*changes)


def test_a_label_that_only_tells_the_value_is_not_one_to_one() -> None:
    changes = [device(f"s-{at}", field("name", None, f"n-{at % 8}"), labels={"row": f"R{at % 16}"}) for at in range(40)]
    assert "8 different values, told by row" in text_of(*changes)


def test_a_label_that_contradicts_explains_nothing() -> None:
    changes = [device(f"s-{at}", field("name", None, f"n-{at % 8}"), labels={"hw": f"{at % 3}"}) for at in range(40)]
    assert '8 different values: "n-0", "n-1", "n-2", …' in text_of(*changes)


def test_what_differs_in_action_block_or_attributes_is_not_one_group() -> None:
    changes = [device(f"a-{at}", field("app", "a", "b"), block="one") for at in range(4)]
    changes += [device(f"b-{at}", field("app", "a", "b"), block="two") for at in range(4)]
    changes += [device(f"c-{at}", field("logging", False, True), block="one") for at in range(4)]
    changes += [device(f"d-{at}", action=Action.FORGET, reason=Reason.NOT_IN_FILES, block="one") for at in range(4)]
    assert sum(len(found) for found in groups(changes).values()) == 4


def test_children_are_grouped_by_their_key() -> None:
    changes = [
        config(f"s-{at}", key, field("value", "1", "2"), block="sensors") for at in range(4) for key in ("a", "b")
    ]
    text = text_of(*changes)
    assert "4 device configs `a` of sensors" in text and "4 device configs `b` of sensors" in text


def test_children_whose_keys_all_differ_are_still_one_group() -> None:
    changes = [config(f"s-{at}", f"key-{at}", field("value", "1", "2"), block="sensors") for at in range(50)]
    assert "50 device configs (50 different keys) of sensors" in text_of(*changes)


def test_every_change_is_in_exactly_one_group() -> None:
    made = mixed()
    shown = [member.address for found in groups(made.changes).values() for group in found for member in group.members]
    assert sorted(shown) == sorted(change.address for change in made.changes)


def test_values_that_look_alike_when_shortened_are_cut_where_they_differ() -> None:
    long = "x" * 300
    text = text_of(device("s", field("note", long + "A" + long, long + "B" + long)))
    shown = re.search(r'note = "(.*)" \(601 characters\) -> "(.*)" \(601 characters\)', text)
    assert shown and "A" in shown[1] and "B" in shown[2]


def test_a_long_value_is_shortened_in_the_middle() -> None:
    text = text_of(device("s", field("note", None, "a" * 100 + "z" * 100)))
    assert re.search(r'\+ note = "a+…z+" \(200 characters\)', text)


def test_values_that_stand_for_something_else() -> None:
    text = text_of(
        device(
            "s",
            field("app", "x", Ref("microvisor.apps", "a")),
            field("bundle", FileRef("a.zip", None), FileRef("a.zip", "ef" * 32)),
            field("on", False, True),
            field("n", 1, 1.5),
            field("list", [1, "a"], ["b\x1b"]),
            field("gone", "x", None),
        )
    )
    assert '~ app = "x" -> "a"' in text
    assert '~ bundle = "a.zip" -> "a.zip" (sha256 efefefefefef)' in text
    assert "~ on = false -> true" in text
    assert "~ n = 1 -> 1.5" in text
    assert r'~ list = [1, "a"] -> ["b\u001b"]' in text
    assert '- gone = "x"' in text


def test_colour_changes_nothing_but_colour() -> None:
    for made in (mixed(), retarget(50)):
        painted = list(plan_text(made, types=TYPES, color=True))
        assert [re.sub(r"\x1b\[[\d;]*m", "", line) for line in painted] == lines_of(made)
    assert "\x1b[33m~\x1b[0m microvisor.devices.w-7" in "\n".join(plan_text(mixed(), types=TYPES, color=True))


def test_many_blocked_changes_are_grouped_with_their_reasons() -> None:
    changes = [
        device(f"s-{at}", action=Action.FORGET, reason=Reason.NOT_IN_FILES, protect=True, blocked="it is protected")
        for at in range(9)
    ]
    text = text_of(*changes)
    assert "9 devices  # not in the files any more: forgotten, nothing is sent\n      # it is protected\n" in text
    assert "Blocked: 9 changes above; apply refuses this plan." in text


def test_secrets_of_many_rows_say_why() -> None:
    changes = [
        secret(f"s-{at}", "psk", hidden(f"file:wifi.json#/S{at % 8}"), labels={"site": f"S{at % 8}"}, block="sensors")
        for at in range(40)
    ]
    text = text_of(*changes)
    assert "(sensitive value)  # 8 different references, one per site: S0 file:wifi.json#/S0, S1 file" in text


def test_drift_alone() -> None:
    check("drift", drift_text(mixed(), types=TYPES))
    quiet = list(drift_text(plan(device("s", field("app", "a", "b"))), types=TYPES))
    assert quiet[-1] == "No drift: nothing was changed by somebody else since the last apply."


def test_one_resource_of_a_plan_in_full() -> None:
    long = "y" * 500
    made = plan(
        device(
            "s",
            field("note", "x", long),
            block="sensors",
            labels={"site": "oslo"},
            after={"note": long, "psk": SecretRef("env", "PSK")},
            where=Position("f.yaml", 3),
        ),
        config("s", "a", field("value", "1", "2"), block="sensors"),
    )
    lines = list(change_text(made, "microvisor.devices.s", types=TYPES))
    assert f'      ~ note = "x" -> "{long}"' in lines
    assert "        psk = (sensitive value)" in lines
    assert "  ~ microvisor.devices.s.configs.a" in lines
    by_block = list(change_text(made, "microvisor.devices.sensors", types=TYPES))
    assert by_block[0] == "2 changes of microvisor.devices.sensors"
    assert not list(change_text(made, "microvisor.devices.t", types=TYPES))


def test_every_cause_and_action_can_be_shown() -> None:
    for action in Action:
        for reason in Reason:
            for cause in Cause:
                change = device("s", field("app", "a", "b", cause), hidden("env:X", cause))
                change = replace(change, action=action, reason=reason)
                assert lines_of(plan(change)) and list(drift_text(plan(change), types=TYPES))
                assert list(change_text(plan(change), change.address, types=TYPES))


def test_refresh_only_tells_what_the_state_takes_over() -> None:
    text = text_of(
        config(
            "s",
            "a",
            field("value", "60", "300", Cause.SOMEBODY, prior="300"),
            action=Action.NOOP,
            reason=Reason.RECORD,
            notes=("taken over into the state",),
        )
    )
    assert '~ value = "300" -> "60"\n      # taken over into the state' in text
    assert "No changes." in text


def test_a_lease_that_is_renewed_beside_a_change() -> None:
    made = device("s", field("app", "a", "b"), field("logging", True, True, Cause.LEASE))
    assert "~ logging = true  # renewed" in text_of(made)


def test_secrets_that_somebody_rotated_at_many_moments() -> None:
    changes = [
        secret(f"s-{at}", "psk", hidden("env:PSK", Cause.SOMEBODY, note=f"rotated by somebody else at {at}"))
        for at in range(7)
    ]
    assert "(sensitive value)  # 7 reasons, all different: s-0 rotated by somebody else at 0, s-1" in text_of(*changes)
