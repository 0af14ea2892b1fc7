"""The language of selection: what each form covers, as a table, and what holds of every one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.core.address import Address
from reconcile.core.options import Options
from reconcile.core.selection import Selection, Selectors, Survey
from reconcile.errors import InvalidInput

DEVICES = "microvisor.devices"
A1 = Address.of(DEVICES, ("a-1",))
A1_SITE = A1.child("configs", "site")
ODD = Address.of("microvisor.configs", ('mqtt.host "x" *',))

KEYS = st.text(min_size=1, max_size=8)
ADDRESSES = st.builds(
    lambda child, keys: Address.of(f"{DEVICES}.configs" if child else DEVICES, keys[: 1 + child]),
    st.booleans(),
    st.tuples(KEYS, KEYS),
)


@pytest.mark.parametrize(
    ("text", "address", "block", "covers"),
    [
        ("microvisor.devices.a-1", A1, None, True),
        ("microvisor.devices.a-1", A1_SITE, None, True),
        ("microvisor.devices.a-1.configs", A1_SITE, None, True),
        ("microvisor.devices.a-1.configs", A1, None, False),
        ("microvisor.devices.a", A1, None, False),
        ("microvisor.devices", A1, None, True),
        ("microvisor", A1_SITE, None, True),
        ("micro", A1, None, False),
        ('microvisor.devices["a-1"]', A1, None, True),
        ("freezers", A1, "freezers", True),
        ("freezers", A1_SITE, "freezers", True),
        ("freezers", A1, "freezers-2", False),
        ("freezers", A1, None, False),
        ("microvisor.devices.freezers", A1_SITE, "freezers", True),
        ("microvisor.apps.freezers", A1, "freezers", False),
        ("freez*", A1, "freezers", True),
        ("microvisor.devices.freez*", A1, "freezers", True),
        ("microvisor.devices.a-*", A1_SITE, None, True),
        ("microvisor.devices.*", A1_SITE, None, True),
        ("microvisor.*", A1, None, True),
        ("*.devices.*-1", A1, None, True),
        ("microvisor.devices.*.configs.site", A1_SITE, None, True),
        ("microvisor.devices.*.configs.si*", A1, None, False),
        ("microvisor.devices.*.configs.host", A1_SITE, None, False),
        ("microvisor.*site", A1_SITE, None, False),  # within one segment
        ("microvisor.configs.mqtt*", ODD, None, True),
        ('microvisor.configs["mqtt.*"]', ODD, None, True),
        ('microvisor.configs["mqtt.host \\"x\\" *"]', ODD, None, True),
        ("microvisor.configs.mqtt", ODD, None, False),
    ],
)
def test_what_a_selection_covers(text: str, address: Address, block: str | None, covers: bool) -> None:
    selectors = Selectors((text,))
    assert selectors.covers(address, block) is covers
    assert list(dict.fromkeys(selectors.naming(address, block))) == ([text] if covers else [])


@pytest.mark.parametrize(
    "text", ["", ".", ".a", "a.", "a..b", "a b", 'a["', 'a["x]', "a[x]", "a[?]", "a?", "a/b", 'a["\\q"]']
)
def test_what_is_no_selection_is_said(text: str) -> None:
    with pytest.raises(InvalidInput, match="selects nothing") as refused:
        Selectors((text,))
    assert "* stands for any part of one segment" in str(refused.value.problems[0].hint)


@given(ADDRESSES)
def test_an_address_covers_itself_and_what_lies_beneath_it(address: Address) -> None:
    for above in (address, address.root, address.provider):
        assert Selectors((above,)).covers(address)
    assert not Selectors((address.child("configs", "x"),)).covers(address)
    assert Selectors((address.child("configs", "x"),)).touches(address.root)


@given(ADDRESSES, ADDRESSES)
def test_an_address_covers_no_other(one: Address, other: Address) -> None:
    beneath = other == one or other.parent == one
    assert Selectors((one,)).covers(other) is beneath


@given(ADDRESSES, st.lists(ADDRESSES, max_size=4), st.lists(ADDRESSES, max_size=4))
def test_what_is_selected_is_read(address: Address, targets: list[Address], excludes: list[Address]) -> None:
    selection = Selection(Options(tuple(targets), tuple(excludes)))
    if selection.selects(address):
        assert selection.touches(address.root) or address.root in excludes
    assert not (selection.selects(address) and selection.excludes(address))


def test_patterns_may_touch_what_hangs_on_a_root() -> None:
    selection = Selection(Options(("microvisor.devices.*.configs.site",)))
    assert selection.touches(A1) and not selection.selects(A1) and selection.selects(A1_SITE)
    assert not selection.touches(ODD)


def test_a_survey_names_what_names_nothing_and_the_providers_that_are_asked() -> None:
    survey = Survey(Options(("microvisor.devices.a-1", "freezer"), ("microvisor.devices.a-l",), rewrite=(A1_SITE,)))
    survey.meets(A1, "freezers", secret=False)
    survey.meets(A1_SITE, "freezers", secret=False)
    survey.meets(Address.of("other.things", ("x",)), None, secret=True)
    assert survey.providers == {"microvisor"}
    with pytest.raises(InvalidInput) as refused:
        survey.check()
    assert [(problem.what.split(" in ")[0], problem.hint) for problem in refused.value.problems] == [
        ("--target freezer does not name anything", 'Did you mean "freezers"?'),
        ("--exclude microvisor.devices.a-l does not name anything", 'Did you mean "microvisor.devices.a-1"?'),
        (f"--rewrite {A1_SITE} does not name a secret", f'Did you mean "{A1_SITE}"?'),
    ]
