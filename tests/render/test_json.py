"""The plan as JSON: the shape that policy and summary tools read, and what is ours beside it."""

from __future__ import annotations

import json
from typing import Any

from plans import ACCOUNT, HOST, TYPES, config, device, field, hidden, mixed, plan, retarget, secret

from reconcile.core.address import Address
from reconcile.core.digest import digest_of_change
from reconcile.core.events import ChangeDone
from reconcile.core.plan import Action, Cause, Change, Reason
from reconcile.core.ports import Head
from reconcile.core.resource import Entry
from reconcile.core.values import FileRef, Ref, SecretRef
from reconcile.errors import Position, Problem
from reconcile.render.apply import Applied
from reconcile.render.json import apply_json, plan_json, plan_json_text, problems_json, state_json


def only(change: Change) -> dict[str, Any]:
    rows = plan_json(plan(change), TYPES)["resource_changes"]
    assert len(rows) == 1
    found: dict[str, Any] = rows[0]
    return found


def test_a_change_whole() -> None:
    change = device(
        "w-7",
        field(
            "app",
            Ref("microvisor.apps", "a"),
            Ref("microvisor.apps", "b"),
            where=Position("f", 3, 5),
            origin="profile p",
        ),
        before={"app": Ref("microvisor.apps", "a"), "logging": True},
        after={"app": Ref("microvisor.apps", "b"), "logging": True},
        block="sensors",
        wave=2,
        where=Position("f", 2),
    )
    assert only(change) == {
        "address": "microvisor.devices.w-7",
        "mode": "managed",
        "type": "microvisor_device",
        "name": "w-7",
        "provider_name": "reconcile/microvisor",
        "action_reason": "fields_differ",
        "change": {
            "actions": ["update"],
            "before": {"app": "a", "logging": True},
            "after": {"app": "b", "logging": True},
            "after_unknown": {},
            "before_sensitive": {},
            "after_sensitive": {},
        },
        "reconcile": {
            "action": "update",
            "section": "you",
            "id": "UVw-7",
            "block": "sensors",
            "wave": 2,
            "where": {"filename": "f", "line": 2, "column": 0, "row": None},
            "labels": {},
            "digest": digest_of_change(change),
            "causes": [
                {
                    "path": ["app"],
                    "cause": "you",
                    "where": {"filename": "f", "line": 3, "column": 5, "row": None},
                    "origin": "profile p",
                }
            ],
        },
    }


def test_the_actions_of_the_field() -> None:
    def actions(action: Action, *fields: Any) -> Any:
        return only(device("s", *fields, action=action))["change"]["actions"]

    assert actions(Action.CREATE) == ["create"]
    assert actions(Action.UPDATE) == ["update"]
    assert actions(Action.REPLACE) == ["delete", "create"]
    assert actions(Action.DELETE) == ["delete"]
    assert actions(Action.FORGET) == ["forget"]
    assert actions(Action.NOOP) == ["no-op"]
    assert actions(Action.ADOPT) == ["no-op"]
    assert actions(Action.ADOPT, field("app", "a", "b", Cause.ADOPTION)) == ["update"]


def test_an_adoption_imports_an_id() -> None:
    made = only(device("s", action=Action.ADOPT, reason=Reason.NOT_IN_STATE, before={"app": "a"}, after={"app": "a"}))
    assert made["change"]["importing"] == {"id": "UVs"}
    assert made["change"]["before"] == made["change"]["after"] == {"app": "a"}
    assert made["action_reason"] == "not_in_state"


def test_a_create_and_what_only_the_apply_will_know() -> None:
    made = only(
        Change(
            Address.of("microvisor.apps", ["a.1"]),
            Action.CREATE,
            Reason.NOT_LIVE,
            after={"bundle": FileRef("a.zip", "ab"), "deep": {"n": 1}},
        )
    )
    assert made["name"] == '["a.1"]'
    assert made["change"] == {
        "actions": ["create"],
        "before": None,
        "after": {"bundle": {"path": "a.zip", "sha256": "ab"}, "deep": {"n": 1}},
        "after_unknown": {"id": True},
        "before_sensitive": False,
        "after_sensitive": {},
    }


def test_what_leaves_has_no_after() -> None:
    for action in (Action.DELETE, Action.FORGET):
        made = only(config("s", "a", action=action, before={"value": "x"}))
        assert made["change"]["before"] == {"value": "x"}
        assert (made["change"]["after"], made["change"]["after_sensitive"]) == (None, False)
        assert made["type"] == "microvisor_device_config" and made["name"] == "s.configs.a"


def test_a_secret_is_null_and_marked() -> None:
    made = only(secret("s", "psk", hidden("env:PSK"), after={"value": SecretRef("env", "PSK")}, before={"value": None}))
    assert made["change"]["before"] == made["change"]["after"] == {"value": None}
    assert made["change"]["before_sensitive"] == made["change"]["after_sensitive"] == {"value": True}
    assert made["reconcile"]["causes"][0]["reference"] == "env:PSK"


def test_a_secret_inside_a_map_masks_no_more_than_itself() -> None:
    made = only(
        device(
            "s",
            field("wifi.psk", None, SecretRef("env", "PSK"), sensitive=True),
            before={"wifi": {"ssid": "a", "psk": "leaked"}},
            after={"wifi": {"ssid": "a", "psk": SecretRef("env", "PSK")}},
        )
    )
    assert made["change"]["before"] == made["change"]["after"] == {"wifi": {"ssid": "a", "psk": None}}
    assert made["change"]["before_sensitive"] == {"wifi": {"psk": True}}


def test_drift_goes_from_what_was_applied_to_what_is_live() -> None:
    change = config(
        "s", "a", field("value", "60", "300", Cause.SOMEBODY), before={"value": "60"}, after={"value": "300"}
    )
    made = plan_json(plan(change), TYPES)
    (drift,) = made["resource_drift"]
    assert drift["change"]["actions"] == ["update"]
    assert (drift["change"]["before"], drift["change"]["after"]) == ({"value": "300"}, {"value": "60"})
    assert (made["resource_changes"][0]["change"]["before"]) == {"value": "60"}
    both = config("s", "a", field("value", "60", "9", Cause.BOTH, prior="300"), before={"value": "60"})
    assert plan_json(plan(both), TYPES)["resource_drift"][0]["change"]["before"] == {"value": "300"}
    gone = config("s", "a", action=Action.CREATE, reason=Reason.GONE, after={"value": "1"})
    assert plan_json(plan(gone), TYPES)["resource_drift"][0]["change"]["actions"] == ["delete"]


def test_a_move_names_the_previous_address() -> None:
    made = only(device("s", action=Action.NOOP, reason=Reason.MOVED, moved_from=Address("microvisor.devices.t")))
    assert made["previous_address"] == "microvisor.devices.t"


def test_the_frame() -> None:
    made = plan_json(mixed(), TYPES)
    assert list(made) == [
        *("format_version", "terraform_version", "timestamp", "errored", "complete", "applyable"),
        *("resource_drift", "resource_changes", "planned_values", "configuration", "checks", "reconcile"),
    ]
    assert (made["format_version"], made["timestamp"]) == ("1.2", "2026-11-02T10:00:00Z")
    assert (made["errored"], made["complete"], made["applyable"]) == (False, False, False)
    ours = made["reconcile"]
    assert ours["bindings"]["accounts"] == {"microvisor": {"account": ACCOUNT, "host": HOST}}
    assert ours["summary"]["import"] == 2 and ours["summary"]["forget"] == 1
    assert [row["address"] for row in ours["pending"]] == ["microvisor.devices.w-3"]
    assert [row["address"] for row in ours["failed"]] == ["microvisor.devices.w-4"]
    assert ours["renewals"] == ["microvisor.devices.w-10"]
    assert ours["unread"][0]["address"] == "microvisor.devices.w-5"
    assert ours["blocked"][0]["hint"] == "--allow forget=3411"
    assert ours["unmanaged"] == {"microvisor.configs": 2, "microvisor.devices": 14}


def test_a_plan_in_sync_is_not_applyable_and_json_is_never_grouped() -> None:
    assert plan_json(plan(), TYPES)["applyable"] is False
    made = plan_json(retarget(500), TYPES)
    assert made["applyable"] is True and len(made["resource_changes"]) == 538


def test_the_stream_is_the_same_value() -> None:
    for made in (plan(), mixed(), retarget(50)):
        streamed = list(plan_json_text(made, TYPES))
        assert json.loads("\n".join(streamed)) == json.loads(json.dumps(plan_json(made, TYPES)))


def test_the_state() -> None:
    entry = Entry(
        Address("microvisor.devices.s.secrets.psk"),
        "psk",
        {"value": SecretRef("env", "PSK")},
        parent="UV1",
        prints={"value": {"mac": "abc"}},
        needs=(Address("microvisor.devices.s"),),
        at="2026-11-02T10:00:00Z",
    )
    made = state_json([entry], Head("b1f0", 3, "f", {"microvisor": ("AC", HOST)}), TYPES)
    (row,) = made["values"]["root_module"]["resources"]
    assert row["values"] == {"value": None} and row["sensitive_values"] == {"value": True}
    assert row["type"] == "microvisor_device_secret" and row["depends_on"] == ["microvisor.devices.s"]
    assert made["reconcile"]["serial"] == 3 and "abc" not in json.dumps(made)


def test_problems() -> None:
    problem = Problem("no", Position("f.yaml", 3, 5), "a.b.c", "  x: y", ("is z",), "write w")
    made = problems_json([problem], ["careful"])
    assert (made["valid"], made["error_count"], made["warning_count"]) == (False, 1, 1)
    assert made["diagnostics"][0] == {
        "severity": "error",
        "summary": "no",
        "detail": "is z\nwrite w",
        "address": "a.b.c",
        "range": {"filename": "f.yaml", "start": {"line": 3, "column": 5}},
        "snippet": {"code": "  x: y", "start_line": 3, "highlight_start_offset": 4},
    }
    assert problems_json([])["valid"] is True


def test_an_apply() -> None:
    at = Address("microvisor.devices.s")
    made = apply_json(
        [ChangeDone(at, "Updating", "done", 1.23456), ChangeDone(at, "Updating", "failed", 1, "no")], Applied(changed=1)
    )
    assert made["complete"] is False
    assert made["outcomes"] == {"done": 1, "failed": 1, "unknown": 0, "conflict": 0, "skipped": 0, "not_read": 0}
    assert made["results"][0]["seconds"] == 1.235
    assert apply_json([], Applied())["complete"] is True
