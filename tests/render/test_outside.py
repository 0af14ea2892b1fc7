"""Whatever strangers wrote: it moves no cursor, hides nothing, turns nothing round, and no secret is shown."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from plans import TYPES, bindings, mixed, plan

from reconcile.core.address import Address
from reconcile.core.events import ChangeDone
from reconcile.core.options import Options
from reconcile.core.plan import Action, Blocked, Cause, Change, FieldChange, Plan, Reason, Unread, Unsettled
from reconcile.core.resource import Entry
from reconcile.core.values import FileRef, Ref, Secret, SecretRef
from reconcile.errors import Position, Problem
from reconcile.render.apply import Applied, apply_text
from reconcile.render.drift import drift_text
from reconcile.render.json import apply_json, dumps, plan_json, plan_json_text, problems_json, state_json
from reconcile.render.problems import problems_text, warnings_text
from reconcile.render.show import change_text, entry_text
from reconcile.render.text import plan_text
from reconcile.render.values import arrow, identity, outside, show

BIDI = {"LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
ZERO_WIDTH = set("\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff\u3164")

evil = st.sampled_from(
    [
        *("\x1b[2J", "\x1b]8;;http://evil\x07", "\r", "\n", "\x9b31m", "\u202e", "\u2066", "\u200b", "\ufeff"),
        *("\ud800", "\x00", "\u2028", "\x85", "::error::x", "##vso[task]", "##[group]", "##teamcity[x]", "[link=x]"),
    ]
)
texts = st.lists(st.one_of(evil, st.text(max_size=5)), max_size=4).map("".join)
names = texts.filter(bool)
leaf = st.one_of(
    texts,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.builds(FileRef, texts, st.none() | texts),
    st.builds(Ref, texts, texts),
    st.builds(SecretRef, texts, texts, st.none() | texts),
)
values: st.SearchStrategy[Any] = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2), max_leaves=4
)
places = st.none() | st.builds(Position, texts, st.integers(0, 9), st.integers(0, 9), st.none() | st.integers(0, 9))
fields = st.builds(
    FieldChange,
    st.lists(names, min_size=1, max_size=2).map(tuple),
    st.sampled_from(Cause),
    values,
    values,
    values,
    st.booleans(),
    places,
    st.none() | texts,
    st.none() | texts,
)
addresses = st.one_of(
    names.map(lambda name: Address.of("microvisor.devices", [name])),
    st.tuples(names, names).map(lambda both: Address.of("microvisor.devices.configs", both)),
)
changes = st.builds(
    Change,
    addresses,
    st.sampled_from(Action),
    st.sampled_from(Reason),
    id=st.none() | texts,
    after=st.dictionaries(texts, values, max_size=2),
    before=st.dictionaries(texts, values, max_size=2),
    fields=st.lists(fields, max_size=2).map(tuple),
    former=st.none() | texts,
    former_name=st.none() | texts,
    moved_from=st.none() | addresses,
    temporary=st.none() | texts,
    block=st.none() | texts,
    labels=st.dictionaries(texts, texts, max_size=2),
    where=places,
    blocked=st.none() | texts,
    notes=st.lists(texts, max_size=2).map(tuple),
)


def assert_harmless(lines: list[str]) -> None:
    for line in lines:
        for char in line:
            category, turning = unicodedata.category(char), unicodedata.bidirectional(char)
            assert category not in ("Cc", "Cs", "Zl", "Zp"), ascii(line)
            assert turning not in BIDI and char not in ZERO_WIDTH, ascii(line)
        assert not line.lstrip().startswith("::"), line
        assert "##vso[" not in line and "##[" not in line and "##teamcity[" not in line, line


@settings(max_examples=150, deadline=None)
@given(st.lists(changes, max_size=3), st.booleans(), texts, names)
def test_a_plan_of_arbitrary_names_and_values(found: list[Change], many: bool, text: str, name: str) -> None:
    if many and found:
        found += [replace(found[0], address=Address.of("microvisor.devices", [f"{name}{at}"])) for at in range(8)]
    at = Address.of("microvisor.devices", [name])
    made = plan(
        *found,
        bindings=bindings(fleet=text, accounts={text: (text, text)}, options=Options((text,), (text,), {text: 1})),
        unsettled=[Unsettled(at, kind, text, text) for kind in ("pending", "failed")],
        unread=[
            Unread("microvisor.devices", at, text),
            Unread(text, None, text),
            Unread(text, at, text, allow=text),
        ],
        blocked=[Blocked(text, text, text, 1)],
        warnings=[text],
        unmanaged={"a.b": 1},
    )
    assert_harmless(list(plan_text(made, types=TYPES)))
    assert_harmless(list(drift_text(made, types=TYPES)))
    for change in found[:3]:
        assert_harmless(list(change_text(made, change.address, types=TYPES)))
    whole = plan_json(made, TYPES)
    streamed = "\n".join(plan_json_text(made, TYPES))
    assert streamed.isascii()
    assert json.loads(streamed) == json.loads(dumps(whole))


@settings(max_examples=80, deadline=None)
@given(texts, texts, places, texts, texts, values)
def test_errors_outcomes_and_states_of_arbitrary_text(
    what: str, address: str, where: Position | None, snippet: str, note: str, value: Any
) -> None:
    problem = Problem(what, where, address, snippet, (note,), note)
    assert_harmless(list(problems_text([problem] * 5)))
    assert_harmless(list(warnings_text([what, problem])))
    at = Address.of("microvisor.devices", [address or "x"])
    results = [ChangeDone(at, what, outcome, 1.0, note) for outcome in ("done", "failed", "unknown")] * 4
    assert_harmless(list(apply_text(results, Applied())))
    entry = Entry(at, what, {note: value}, prints={note: {}}, labels={what: note}, at=what)
    assert_harmless(list(entry_text(entry)))
    for made in (problems_json([problem], [what]), apply_json(results, Applied()), state_json([entry], None, TYPES)):
        assert dumps(made).isascii()


@given(texts)
def test_text_from_outside_keeps_what_can_be_seen(text: str) -> None:
    if text.isascii() and text.isprintable() and "::" not in text and "##" not in text:
        assert outside(text) == text


def test_a_secret_value_is_never_rendered() -> None:
    """None should ever get here; if one does, it is not shown."""
    value = Secret("hunter2")
    change = Change(
        Address("microvisor.devices.s"),
        Action.UPDATE,
        Reason.FIELDS_DIFFER,
        after={"psk": value, "deep": {"psk": [value]}},
        before={"psk": value},
        fields=(
            FieldChange(("psk",), Cause.BOTH, value, value, value),
            FieldChange(("deep",), Cause.YOU, None, {"psk": [value]}),
            FieldChange(("clear",), Cause.SOMEBODY, "hunter2", "hunter2", "hunter2", sensitive=True),
        ),
    )
    made = Plan(bindings(), [replace(change, address=Address(f"microvisor.devices.s{at}")) for at in range(5)])
    entry = Entry(Address("microvisor.devices.s"), "s", {"psk": value})
    said = [
        *plan_text(made, types=TYPES),
        *plan_text(plan(change), types=TYPES),
        *drift_text(made, types=TYPES),
        *change_text(made, "microvisor.devices.s0", types=TYPES),
        *plan_json_text(made, TYPES),
        *entry_text(entry),
        dumps(state_json([entry], None, TYPES)),
        show(value, None),
        arrow([value], {"a": value}),
        str(identity(value)),
    ]
    assert "hunter2" not in "\n".join(said)
    assert "(sensitive value)" in "\n".join(said)


def test_the_rendered_plan_of_everything_names_references_only() -> None:
    text = "\n".join([*plan_text(mixed(), types=TYPES), *plan_json_text(mixed(), TYPES)])
    assert "the value behind env:PSK changed" in text
