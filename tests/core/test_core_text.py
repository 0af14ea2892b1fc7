"""Strings that look alike, and strings that an API keeps otherwise than they were sent."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.core.text import look_alike, meant, side_by_side, stored_otherwise

NFC, NFD = "Łódź", unicodedata.normalize("NFD", "Łódź")


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (NFC, NFD, True),
        ("a b", "a\u00a0b", True),
        ("1", "\uff11", True),
        (NFC, NFC, False),
        (NFC, "Lodz", False),
        ("a", "b", False),
        ("a", "a ", False),
    ],
)
def test_which_look_alike(one: str, other: str, alike: bool) -> None:
    assert look_alike(one, other) is look_alike(other, one) is alike


def test_side_by_side_the_difference_is_seen() -> None:
    assert side_by_side(NFC, NFD) == (
        '"\\u0141\\xf3d\\u017a" (NFC)',
        '"\\u0141o\\u0301dz\\u0301" (NFD)',
    )
    assert side_by_side("a ", "a") == ('"a "', '"a"')
    assert side_by_side("x" * 100 + "1", "x" * 100 + "2") == ('"…' + "x" * 20 + '1"', '"…' + "x" * 20 + '2"')


@given(st.text(max_size=80), st.text(max_size=80))
def test_two_that_differ_are_never_shown_the_same(one: str, other: str) -> None:
    if one != other:
        left, right = side_by_side(one, other)
        assert left != right and not look_alike(left, right)


def test_what_was_meant_is_never_what_looks_the_same() -> None:
    assert meant("oslo-1", "OSL-1") == 'Did you mean "OSL-1"?'
    here, there = side_by_side(NFC, NFD)
    assert meant(NFC, NFD) == f"{there} looks the same, and this is {here}: write both in one way"


@pytest.mark.parametrize(
    ("sent", "stored", "otherwise"),
    [
        (" a\n", "a", True),
        (NFD, NFC, True),
        (NFD + " ", NFC, True),
        ("a", "a", False),
        ("a", "b", False),
        ("a b", "ab", False),
        ("A", "a", False),
        (1, "1", False),
        (None, "", False),
    ],
)
def test_what_was_trimmed_or_composed(sent: object, stored: object, otherwise: bool) -> None:
    assert stored_otherwise(sent, stored) is otherwise
