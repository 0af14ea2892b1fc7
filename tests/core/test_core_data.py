"""Addresses, values, differences and plans: what goes through text or JSON comes back as it was."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.core.address import Address
from reconcile.core.form import Form
from reconcile.core.plan import Action, Cause, Change, FieldChange, Reason
from reconcile.core.resource import Entry, entry_from_json, entry_to_json
from reconcile.core.tree import same
from reconcile.core.values import FileRef, Ref, Secret, SecretRef, from_json, to_json
from reconcile.errors import InvalidInput, Position

FORM = Form(Change)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | KEYS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.just("$ref"), inner, max_size=3)
)
REFERENCES = st.one_of(
    st.builds(SecretRef, st.just("env"), st.from_regex(r"[A-Z]{1,5}", fullmatch=True)),
    st.builds(SecretRef, st.just("file"), st.just("a/b.json"), st.just("/oslo")),
    st.builds(FileRef, KEYS, st.none() | st.just("ab" * 32)),
    st.builds(Ref, st.just("microvisor.apps"), KEYS),
)
VALUES = JSON | REFERENCES | st.dictionaries(KEYS, JSON | REFERENCES, max_size=3)


@given(st.lists(KEYS, min_size=2, max_size=2))
def test_an_address_comes_back_from_its_text(keys: list[str]) -> None:
    address = Address.of("microvisor.devices.configs", keys)
    assert Address.parse(address) == address
    assert address.keys == tuple(keys)
    assert (address.key, address.type_path, address.provider) == (keys[1], "microvisor.devices.configs", "microvisor")
    parent = Address.of("microvisor.devices", keys[:1])
    assert address.parent == address.root == parent
    assert parent.parent is None and parent.root == parent
    assert parent.child("configs", keys[1]) == address
    assert f"{address.provider}.devices{'' if address.name.startswith('[') else '.'}{address.name}" == address


@pytest.mark.parametrize(
    "text", ["", "microvisor", "microvisor.devices", "a..b", "a.b.c.d", 'a.b["x', "a.b[x]", "a b.c.d"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Address.parse(text)


def test_quotes_that_are_not_needed_are_accepted() -> None:
    assert Address.parse('microvisor.configs["host"]') == "microvisor.configs.host"


@given(VALUES)
def test_a_value_comes_back_from_its_json(value: Any) -> None:
    assert same(from_json(json.loads(json.dumps(to_json(value)))), value)


@given(st.dictionaries(KEYS, VALUES, max_size=3))
def test_an_entry_comes_back_from_its_json(attrs: dict[str, Any]) -> None:
    entry = Entry(Address.of("microvisor.configs", ("a b",)), "id", attrs, "p", {"value": {"mac": "x"}}, {"d": None})
    assert entry_from_json(json.loads(json.dumps(entry_to_json(entry)))) == entry


@given(VALUES, VALUES, st.sampled_from(list(Cause)))
def test_a_change_comes_back_from_its_json(before: Any, after: Any, cause: Cause) -> None:
    address = Address.of("microvisor.devices", ("one",))
    field = FieldChange(("app",), cause, before, after, sensitive=True, where=Position("f.yaml", 1, 2, 3), naming=True)
    change = Change(
        address,
        Action.REPLACE,
        Reason.ANOTHER_UNIT,
        id="x",
        after={"app": after},
        before={"app": before},
        seen={"attrs": {"app": before}, "version": None},
        fields=(field,),
        former="y",
        moved_from=address.child("configs", "z"),
        needs=(address,),
        labels={"a": "b"},
        protect=True,
        wave=3,
        notes=("n",),
    )
    assert FORM.load(json.loads(json.dumps(FORM.dump(change)))) == change


def test_a_secret_is_written_nowhere() -> None:
    secret = Secret("hidden-value")
    assert "hidden" not in f"{secret} {secret!r} {[secret]}"
    for way in (to_json, pickle.dumps, json.dumps, hash, lambda value: value == value):
        with pytest.raises(TypeError):
            way(secret)
