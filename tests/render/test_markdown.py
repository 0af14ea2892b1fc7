"""Plans as Markdown, judged as a browser would see them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_seen import Seen
from plans import TYPES, bindings, config, device, field, hidden, mixed, plan, retarget

from reconcile.core.address import Address
from reconcile.core.digest import digest_of
from reconcile.core.plan import Absent, Action, Blocked, Cause, NotCompared, Plan, Reason, Unread, Unsettled
from reconcile.core.values import SecretRef
from reconcile.errors import Position
from reconcile.render.markdown.folds import Fold, fitted
from reconcile.render.markdown.marks import code, text
from reconcile.render.report import PlanReport, Repository, rendered

FILES = "https://git.example/fleets/blob/0123456789abcdef/"

# Inputs 71 to 78: what live values and names may hold.
HOSTILE = [
    "\x1b[2J\x1b]8;;http://evil\x07click",
    "one\ntwo\n# three",
    "all good\rrm -rf",
    "\u202egpj.exe",
    "```",
    "`````diff\n- gone",
    "# heading",
    "@everyone",
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "</code></summary></details><b>out",
    "</pre>--><!-- x -->",
    "[x](javascript:alert(1))",
    "![x](https://evil.example/p.png)",
    "| a | b |",
    "::add-mask::x",
    "::error::broken",
    "##vso[task.setvariable variable=a]b",
    "##teamcity[buildStop]",
    "[link=https://evil.example]x[/link]",
    '=HYPERLINK("https://evil.example")',
    "www.evil.example",
    "https://evil.example/",
    "mail@evil.example",
    "#12",
    "owner/repo#12",
    "!12 ~label %milestone $12 &epic GH-12",
    ":tada:",
    "**bold** _thin_ ~~gone~~",
    "$$\\sqrt{2}$$",
    "&lt;b&gt; &#60;i&#62;",
    "\\`\\<",
    "x" * 70_000,
    "a\u2028b\u2029c",
    "\ufeff\u200b\u00ad",
    "---\n***",
    "    indented",
    "<details open>",
]


def report(made: Plan, **more: Any) -> PlanReport:
    usual: dict[str, Any] = {"digest": digest_of(made), "applies": "reconcile apply a.plan"}
    return PlanReport(made, TYPES, **{**usual, "shows": "reconcile show a.plan", **more})


def markdown(made: Plan, format_: str = "markdown", **more: Any) -> str:
    return "".join(rendered(format_, report(made, **more)))


def hostile(said: str) -> Plan:
    """A plan in which it stands everywhere that a stranger can write."""
    where = Position(said, 3, 1)
    unit = Address.of("microvisor.devices", [said])
    return plan(
        device(said, field("logging", said, "b" + said, Cause.SOMEBODY, where=where), notes=(said,), where=where),
        device("y", field("app", said, said + "\n1"), blocked=said, former_name=said, overwrites=said, block=None),
        config("y", said, field("value", None, said), action=Action.CREATE, reason=Reason.NOT_LIVE),
        *(config(f"g{at}", said, field("value", said, f"{said}{at}")) for at in range(6)),
        *(
            device(f"h{at}", field("name", None, said), labels={said: said}, block=f"microvisor.devices.{said}")
            for at in range(6)
        ),
        device("gone", action=Action.DELETE, reason=Reason.NOT_IN_FILES, before={"name": said, said: {said: said}}),
        config("z", "psk", hidden("env:X", note=said)),
        unread=[Unread("microvisor.devices", unit, said, hint=said), Unread(said, None, said, allow=said)],
        unsettled=[Unsettled(unit, "pending", said, said, 5, {said: {said: said}})],
        absent=[Absent(unit, said, where, said)],
        not_compared=[NotCompared(unit, said, SecretRef("env", said), "no value")],
        blocked=[Blocked(said, said)],
        warnings=[said],
        last_run={"at": said, "by": said, "host": said, "job": said},
    )


@pytest.mark.parametrize("said", HOSTILE, ids=[repr(said[:20]) for said in HOSTILE])
@pytest.mark.parametrize("drift", [False, True])
def test_what_strangers_wrote_is_text(said: str, drift: bool) -> None:
    made = markdown(hostile(said), drift=drift, repository=Repository(FILES))
    Seen(made).assert_harmless(FILES)
    assert not set(map(ord, made)) & {*range(10), *range(11, 32), 127, 0x202E, 0x2028, 0x2029, 0xFEFF}
    for line in made.splitlines():
        assert not line.lstrip().startswith("::") and "##vso[" not in line and "##teamcity[" not in line
    assert len(made.encode()) <= 60_000


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30), st.sampled_from(HOSTILE))
def test_any_text_is_text(some: str, more: str) -> None:
    for said in (some, some + more[:40], more[:40] + some):
        seen = Seen(f"before {text(said)} **{code(said)}**\n\n| {text(said)} | {code(said)} |\n|---|---|\n")
        assert Counter(tag for tag, _ in seen.tags if tag != "span") == Counter(
            {"p": 1, "strong": 1, "code": 2, "table": 1, "thead": 1, "tr": 1, "th": 2}
        ), seen.html


@pytest.mark.parametrize("said", ["@user", "#12", "o/r#12", "!12", "~bug", "%2.0", "$3", "&4", "a@b.example"])
def test_what_forges_look_for_stands_apart_from_its_sign(said: str) -> None:
    """They look in texts between tags, after entities were read."""
    pieces: list[str] = []
    parser = HTMLParser()
    parser.handle_data = pieces.append  # type: ignore[method-assign]
    parser.feed(Seen(f"before {text(said)} after").html)
    assert said not in pieces and not any(said in piece for piece in pieces)
    assert said in "".join(pieces)


def test_the_first_line_is_for_machines_and_the_second_is_the_verdict() -> None:
    made = mixed()
    lines = markdown(made, commit="0123456789abcdef").splitlines()
    assert lines[0].startswith("<!-- reconcile:plan ") and lines[0].endswith(" -->")
    said = json.loads(lines[0].removeprefix("<!-- reconcile:plan ").removesuffix(" -->"))
    assert said == {"v": 1, "fleet": "cold-chain-prod", "digest": digest_of(made), "commit": "0123456789abcdef"}
    assert lines[1] == (
        "### <code>cold-chain-prod</code>: Plan: 2 to import, 3 to add, 9 to change, 3 to destroy, 1 to forget."
    )
    assert "commit" not in markdown(made, commit="--> <b>").splitlines()[0]


def test_sections_stand_apart_and_what_is_blocked_or_destroyed_comes_first() -> None:
    headings = [line[5:] for line in markdown(mixed()).splitlines() if line.startswith("#### ")]
    assert headings[:3] == ["Blocked", "Removed", "Replaced"]
    assert headings[-6:] == ["Not compared", "Pending", "Failed", "Leases to renew", "Not managed here", "Warnings"]
    assert "Not read" in headings


def test_the_symbol_stands_in_the_first_column_of_a_diff() -> None:
    seen = Seen(markdown(mixed()))
    first = {line[0] for block in seen.blocks for line in block.splitlines() if line}
    assert first <= set("+-!. WNroG"), first
    assert any(line.startswith("-   microvisor.configs") for line in seen.blocks[1].splitlines())
    assert {"lang": "diff"} in [attrs for tag, attrs in seen.tags if tag == "pre"]


def test_links_lead_to_the_line_where_the_pipeline_tells_the_commit() -> None:
    made = plan(device("a", field("logging", False, True), where=Position("prod/über uns.yaml", 4, 1)))
    assert Seen(markdown(made)).links() == []
    seen = Seen(markdown(made, repository=Repository(FILES, "fleets/")))
    assert seen.links() == [f"{FILES}fleets/prod/%C3%BCber%20uns.yaml#L4"]
    outside = plan(device("a", field("logging", False, True), where=Position("../../x.yaml", 4, 1)))
    assert Seen(markdown(outside, repository=Repository(FILES, "fleets/"))).links() == []


def test_a_plan_of_one_group_is_under_a_hundred_lines() -> None:
    made = plan(*(device(f"d-{at}", field("app", "a", "b"), block="pumps") for at in range(12_000)))
    said = markdown(made)
    assert len(said.splitlines()) < 100
    assert "12,000 devices of pumps" in said and "SEL: <code>pumps</code>" in said
    assert len(markdown(retarget(12_000)).splitlines()) < 100


@pytest.mark.parametrize(("format_", "room"), [("markdown", 60_000), ("summary", 2**20)])
def test_what_does_not_fit_is_counted_and_nothing_is_cut(format_: str, room: int) -> None:
    changes = [
        device(f"d-{at}", field(f"attribute-{at}", "a" * 60, "b" * 60), block=f"microvisor.devices.block-{at}")
        for at in range(20_000)
    ]
    gone = [device(f"gone-{at}", action=Action.DELETE, reason=Reason.NOT_IN_FILES) for at in range(3)]
    said = markdown(plan(*changes, *gone), format_)
    assert len(said.encode()) <= room
    seen = Seen(said)
    seen.assert_harmless()
    assert all(f"microvisor.devices.gone-{at}" in seen.text for at in range(3))
    lines = [line[2:] for line in said.splitlines() if line.startswith("- 25 changes")]
    whole = [words for words in seen.summaries if words.startswith("25 changes")]
    left_out = seen.text.partition("for want of room: ")[2].partition(" under")[0]
    counted = int(left_out.replace(",", "") or "0")
    assert whole and 25 * (len(lines) + len(whole)) + counted == 20_000
    rows = [row for block in seen.blocks for row in block.splitlines() if row.startswith("!   microvisor")]
    assert len(rows) == 25 * len(whole)
    assert said.rstrip().endswith("```") and "Plan digest:" in said


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400), st.integers(1, 50)), max_size=40), st.integers(0, 9_000)
)
def test_folds_are_whole_or_one_line_or_counted(sizes: list[tuple[int, int, int]], room: int) -> None:
    folds = [
        Fold(f"S{section}", f"t{at}", ["x" * width] * lines)
        for at, (section, width, lines) in enumerate(sorted(sizes, key=lambda size: size[0]))
    ]
    pieces = list(fitted(folds, room + 1_200))
    assert len("".join(pieces).encode()) <= room + 1_200
    shown = [fold for fold in folds if fold.whole() in pieces or fold.short() in pieces]
    assert folds[: len(shown)] == shown
    if len(shown) < len(folds):
        assert "Not shown here for want of room" in pieces[-1]


def test_no_changes_is_said_as_everywhere() -> None:
    said = markdown(plan())
    assert "No changes. Your infrastructure matches the configuration." in said and "To apply" not in said


def test_nothing_of_a_secret_is_in_it() -> None:
    made = plan(config("a", "psk", hidden("env:PSK"), after={"value": SecretRef("env", "PSK")}))
    said = markdown(made)
    assert "(sensitive value)" in said


def test_drift_is_told_from_what_was_applied_to_what_is_live() -> None:
    made = plan(device("a", field("logging", "live", "files", Cause.SOMEBODY, prior="files")))
    said = markdown(made, drift=True, digest=None, applies=None)
    assert "Drift: 1 changed, 0 deleted by somebody else." in said and '"files" -> "live"' in said
    assert '"drift": true' in said.splitlines()[0]
    assert "apply" not in said.split("####")[1].partition("SEL")[0]


def test_the_fleet_of_an_incomplete_plan_is_not_said_to_match() -> None:
    made = replace(plan(), unread=[Unread("microvisor.devices", None, "503")], bindings=bindings())
    said = markdown(made)
    assert "matches" not in said and "Incomplete: 1 read failed" in said
