"""Errors, what an apply did, the state: whole texts."""

from __future__ import annotations

from plans import ACCOUNT, HOST, TYPES

from reconcile.core.address import Address
from reconcile.core.events import ChangeDone
from reconcile.core.plan import Unread
from reconcile.core.ports import Head
from reconcile.core.resource import Entry
from reconcile.errors import ApiError, InvalidInput, Position, Problem
from reconcile.render.apply import Applied, apply_text
from reconcile.render.problems import errors_text, problem_text, warnings_text
from reconcile.render.show import entry_text, state_header


def test_an_error_in_its_shape() -> None:
    problem = Problem(
        "quote a template that begins a value",
        Position("fleet.yaml", 14, 12),
        "microvisor.devices.sensors",
        "      app: {{ row.app }}",
        ("YAML reads `{{` as a map.",),
        'Write:  app: "{{ row.app }}"',
    )
    assert list(problem_text(problem)) == [
        "Error: quote a template that begins a value",
        "  on fleet.yaml line 14, in microvisor.devices.sensors:",
        "    14 |       app: {{ row.app }}",
        "                    ^",
        "  YAML reads `{{` as a map.",
        '  Write:  app: "{{ row.app }}"',
    ]


def test_the_caret_stands_under_what_is_meant_whatever_comes_before() -> None:
    problem = Problem("no", Position("f", 7, 6), snippet="日\x1b本: x")
    line, caret = list(problem_text(problem))[2:]
    assert line == r"     7 | 日\x1b本: x"
    # 9 columns of margin; two wide characters, four of the escape, a colon.
    assert caret == " " * (9 + 2 + 4 + 2 + 1 + 1) + "^"


def test_a_line_without_end_is_cut_around_the_place() -> None:
    problem = Problem("no", Position("f.json", 1, 5001), snippet="x" * 5000 + "HERE" + "y" * 5000)
    line, caret = list(problem_text(problem))[2:]
    assert len(line) < 140 and line[caret.index("^") :].startswith("HERE")


def test_errors_without_a_place_are_short() -> None:
    assert list(problem_text(Problem("no state"))) == ["Error: no state"]
    assert list(problem_text(Problem("bad", Position("t.csv", 18, row=17)))) == [
        "Error: bad",
        "  on t.csv line 18 (row 17)",
    ]


def test_an_api_error_has_everything_that_support_asks_for() -> None:
    error = ApiError("POST", "/v1/Devices/UV1", 422, "20422", "name is taken", "RQ77")
    assert list(errors_text(error)) == [
        "Error: POST /v1/Devices/UV1 answered 422, 20422: name is taken, request id RQ77"
    ]


def test_all_errors_come_in_one_pass_and_the_same_mistake_once() -> None:
    rows = [
        Problem("not a number", Position("t.csv", at, row=at - 1), f"a.b.c{at}", hint="Use a point")
        for at in range(2, 9)
    ]
    assert list(errors_text(InvalidInput(*rows, "another"))) == [
        "Error: not a number",
        "  on t.csv line 2 (row 1), in a.b.c2:",
        "  Use a point",
        "  also: t.csv:3, a.b.c3",
        "  also: t.csv:4, a.b.c4",
        "  and 4 more like it",
        "",
        "Error: another",
    ]


def test_warnings() -> None:
    assert list(warnings_text(["one", Problem("two", Position("f", 3))])) == [
        "Warning: one",
        "",
        "Warning: two",
        "  on f line 3",
    ]


def done(count: int, outcome: str = "done", detail: str | None = None, first: int = 0) -> list[ChangeDone]:
    return [
        ChangeDone(Address(f"microvisor.devices.s-{at}"), "Updating", outcome, 1.0, detail and detail.format(at))
        for at in range(first, first + count)
    ]


def test_a_complete_apply() -> None:
    assert list(apply_text(done(3), Applied(added=1, changed=2))) == [
        "Apply complete! Resources: 1 added, 2 changed, 0 destroyed."
    ]
    assert list(apply_text([], Applied())) == ["Apply complete! Resources: 0 added, 0 changed, 0 destroyed."]
    assert list(apply_text(done(3), Applied(imported=2, forgotten=1)))[1:] == ["Also: 2 imported, 1 forgotten."]


def test_an_incomplete_apply_accounts_for_every_resource() -> None:
    results = [
        *done(10),
        *done(6, "failed", "POST /v1/Devices/{0} answered 422, 20422: taken, request id RQ{0}", 10),
        *done(1, "unknown", "no answer in 30s", 20),
        *done(2, "skipped", "microvisor.devices.s-10 failed", 30),
        *done(1, "conflict", None, 40),
    ]
    unread = [Unread("microvisor.devices", Address("microvisor.devices.s-50"), "answered 503")]
    assert list(apply_text(results, Applied(changed=10), types=TYPES, unread=unread)) == [
        "Failed",
        "  6 resources alike, the first:",
        "    microvisor.devices.s-10: POST /v1/Devices/10 answered 422, 20422: taken, request id RQ10",
        "    microvisor.devices.s-11: POST /v1/Devices/11 answered 422, 20422: taken, request id RQ11",
        "    microvisor.devices.s-12: POST /v1/Devices/12 answered 422, 20422: taken, request id RQ12",
        "    … and 3 more",
        "",
        "Unknown",
        "  microvisor.devices.s-20: no answer in 30s",
        "",
        "Conflict",
        "  microvisor.devices.s-40: Updating did not end",
        "",
        "Skipped",
        "  microvisor.devices.s-30: microvisor.devices.s-10 failed",
        "  microvisor.devices.s-31: microvisor.devices.s-10 failed",
        "",
        "Not read",
        "  microvisor.devices.s-50: answered 503",
        "",
        "Apply incomplete: 10 done, 6 failed, 1 unknown, 2 skipped, 1 conflicts, 1 not read.",
        "Done so far: 0 added, 10 changed, 0 destroyed. Run again: what is unknown is read back first, "
        "nothing is repeated blindly.",
    ]


def test_the_state() -> None:
    entry = Entry(
        Address("microvisor.devices.s"),
        "UV1",
        {"app": "a", "deep": {"x": 1, "y": []}},
        prints={"psk": {}},
        needs=(Address("microvisor.apps.a"),),
        protect=True,
        labels={"site": "oslo"},
        at="2026-11-02T10:00:00Z",
    )
    head = Head("b1f0", 3, "f", {"microvisor": (ACCOUNT, HOST)})
    assert [state_header(head), "", *entry_text(entry)] == [
        f"f · {ACCOUNT} at {HOST} · serial 3 · lineage b1f0",
        "",
        "# microvisor.devices.s",
        'id = "UV1"',
        'app = "a"',
        "deep.x = 1",
        "deep.y = []",
        "psk = (sensitive value)",
        "# protect: true",
        "# labels: site=oslo",
        "# uses: microvisor.apps.a",
        "# applied: 2026-11-02T10:00:00Z",
    ]
