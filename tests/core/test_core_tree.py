"""Nested values: `differences` and `same` agree on every pair, and walks give back what they were given."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.core.schema import Field, Kind, Mark
from reconcile.core.tree import MISSING, differences, get, leaves, merged, put, same, without

# Few keys and few values, so that pairs have much in common; 0, 0.0 and False are three spellings of two values.
KEYS = st.sampled_from(["lat", "radius", "a.b", "$ref", ""])
SCALARS = st.sampled_from([0, 0.0, False, True, 1, 1.0, 1.5, None, "", "0", -0.0, 10**20, 1e20])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
MAPS = st.dictionaries(KEYS, JSON, max_size=3)
WHOLE = Field("map", Kind.MAP, required=False, marks=frozenset({Mark.WHOLE}))


@given(JSON, JSON)
def test_whole_values_differ_exactly_where_they_are_not_the_same(before: Any, after: Any) -> None:
    """Of a map that counts as one whole, nothing is left out of the comparison."""
    assert (differences(before, after, WHOLE) == []) is same(before, after)


@given(JSON, JSON)
def test_every_reported_leaf_differs_and_nothing_else_does(before: Any, after: Any) -> None:
    found = differences(before, after, WHOLE)
    assert all(not same(one, other) for _, one, other in found)
    made = before
    for path, one, other in found:
        assert same(get(before, path, MISSING), one) or one is MISSING
        if not path:
            made = other
        elif other is MISSING:
            made = dropped(made, path)
        else:
            made = put(made, path, other)
    assert same(made, after)
    assert [path for path, _, _ in found] == sorted(path for path, _, _ in found)


def dropped(value: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Without what stands at a path; what becomes empty stays."""
    found = dict(value)
    if len(path) > 1:
        found[path[0]] = dropped(found[path[0]], path[1:])
    else:
        del found[path[0]]
    return found


@given(MAPS, MAPS)
def test_only_what_is_mentioned_counts(live: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert differences({**live, **wanted}, wanted) == []


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (0, 0.0, True),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        ({"a": 0}, {"a": 0.0}, True),
        ([], {}, False),
    ],
)
def test_zero_is_one_value_however_it_is_written(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is same([one], [other]) is same({"a": {"b": one}}, {"a": {"b": other}}) is equal
    beside = differences({"a": {"b": one, "c": 1}}, {"a": {"b": other, "c": 2}})
    assert [path for path, _, _ in beside] == ([("a", "c")] if equal else [("a", "b"), ("a", "c")])


@given(MAPS, MAPS)
def test_merging_keeps_what_is_over_and_adds_what_is_only_under(over: dict[str, Any], under: dict[str, Any]) -> None:
    found = merged(over, under)
    assert found.keys() == over.keys() | under.keys()
    for path, value in leaves(over):
        if path and not isinstance(value, Mapping):
            assert same(get(found, path), value)


@given(MAPS, st.lists(KEYS, min_size=1, max_size=3).map(tuple), SCALARS)
def test_what_is_put_is_there_and_what_is_taken_out_is_not(value: dict[str, Any], path: Any, leaf: Any) -> None:
    made = put(value, path, leaf)
    assert same(get(made, path), leaf) and get(without(made, path), path, MISSING) is MISSING


def test_flat_differences_are_found_without_the_library() -> None:
    """It takes longer to load than a small plan takes."""
    script = (
        "import sys\n"
        "from reconcile.core.tree import differences\n"
        "differences({'a': 1, 'b': {'c': 1}}, {'a': 2, 'b': {'c': 1.0}, 'd': {'e': 1}})\n"
        "print('deepdiff' in sys.modules)\n"
        "differences({'b': {'c': 1}}, {'b': {'c': 2}})\n"
        "print('deepdiff' in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True"]
