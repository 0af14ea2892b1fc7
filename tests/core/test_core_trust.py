"""Which references a document may have opened, and the words of the environment that say so."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field

from reconcile.core.trust import Trust, agents_of, credentials, names_of, patterns, said
from reconcile.core.values import SecretRef
from reconcile.errors import InvalidInput

TOKEN = SecretRef("env", "TOKEN")


def opens(trust: Trust, text: str, own: bool = False) -> bool:
    reference = SecretRef.parse(text)
    assert reference is not None
    return trust.refusal(reference, own=own) is None


def test_a_trusted_document_opens_what_it_names():
    assert opens(Trust(), "env:ANY") and opens(Trust(), "file:any")


@pytest.mark.parametrize("untrusted", [False, True])
def test_a_list_of_names_binds(untrusted):
    trust = Trust(untrusted, ("TOKEN", "FLEET_*"))
    assert opens(trust, "env:TOKEN") and opens(trust, "env:FLEET_1") and opens(trust, "env:FLEET_")
    assert not opens(trust, "env:TOKEN2") and not opens(trust, "env:FLEET") and not opens(trust, "env:token")
    assert opens(trust, "env:OTHER", own=True)


def test_an_empty_list_allows_nothing_but_defaults():
    assert not opens(Trust(names=()), "env:TOKEN")
    assert opens(Trust(names=()), "env:TOKEN", own=True)


def test_an_untrusted_document_opens_defaults_in_their_own_settings_and_no_file():
    trust = Trust(untrusted=True)
    assert opens(trust, "env:TOKEN", own=True) and not opens(trust, "env:TOKEN")
    assert not opens(trust, "file:psk") and not opens(trust, "file:psk", own=True) and not opens(trust, "vault:x")


@pytest.mark.parametrize("name", ["RECONCILE_FINGERPRINT_KEY", "reconcile_state", "RECONCILE_"])
@pytest.mark.parametrize("trust", [Trust(), Trust(names=("RECONCILE_*",)), Trust(True, ("RECONCILE_*",))])
def test_a_variable_of_ours_is_never_opened(name, trust):
    assert not opens(trust, f"env:{name}") and not opens(trust, f"env:{name}", own=True)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("RECONCILE_STATE_PASSWORD", {"state.url", "state.password"}),
        ("reconcile_state", {"state.url", "state.password"}),
        ("RECONCILE_FINGERPRINT_KEY", set()),
        ("reconcile_fingerprint_key", set()),
        ("GITHUB_TOKEN", {"state.password"}),
        ("ci_job_token", {"state.password"}),
        ("TOKEN", {"", "state.url", "state.username", "state.password"}),
    ],
)
def test_where_the_state_is_may_be_told_by_variables_that_nothing_else_gets(name, settings):
    for setting in ("", "state.url", "state.username", "state.password"):
        refusal = Trust().refusal(SecretRef("env", name), setting=setting)
        assert (refusal is None) == (setting in settings), setting
        assert refusal is None or f"env:{name} is not opened" in refusal.what


def test_a_refusal_names_the_reference_and_the_way_out():
    refusal = Trust(True, ("A", "B_*")).refusal(TOKEN)
    assert refusal is not None
    assert refusal.what == "env:TOKEN is not allowed in an untrusted document"
    # Nothing to paste: it would stand in the log of a pull request whose author nobody trusts.
    assert refusal.hint == (
        "If a review of the document finds that it needs the value: add its name to RECONCILE_ALLOWED_ENV"
    )
    bound = Trust(False, ("A", "B_*")).refusal(TOKEN)
    assert bound is not None and bound.hint == "If that is meant: RECONCILE_ALLOWED_ENV=A,B_*,TOKEN"


@pytest.mark.parametrize(
    ("text", "names"),
    [(None, None), ("", ()), (" , ", ()), ("A", ("A",)), (" A ,B_*,, A", ("A", "B_*"))],
)
def test_names_stand_between_commas(text, names):
    assert names_of(text) == names


@pytest.mark.parametrize("text", ["*", "A*B", "*A", "A**", "A B", "1A", "A-B", "A;B", "env:A", "A\n B", "Ä"])
def test_what_is_no_name_is_an_error(text):
    with pytest.raises(InvalidInput, match="RECONCILE_ALLOWED_ENV"):
        names_of(text)


def test_agents_stand_between_commas():
    assert agents_of(None, "A, B", "", "https://x/B/cfg/") == {"A", "B", "https://x/B/cfg"}


@pytest.mark.parametrize(("text", "yes"), [(None, False), ("", False), ("0", False), ("1", True), (" TRUE ", True)])
def test_a_switch_says_yes_or_no(text, yes):
    assert said("RECONCILE_UNTRUSTED", text) is yes


def test_a_switch_that_says_neither_is_an_error():
    with pytest.raises(InvalidInput, match="RECONCILE_UNTRUSTED is 'yse'"):
        said("RECONCILE_UNTRUSTED", "yse")


ROWS = [f"FLEET_PSK_{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        ([], ()),
        ([{"B"}, {"A"}, {"B"}], ("A", "B")),
        ([set(ROWS), {"A"}], ("A", "FLEET_PSK_*")),
        ([set(ROWS), {"FLEET_PSK_X"}, {"FLEET_X"}], ("FLEET_PSK_*", "FLEET_X")),
        ([set(ROWS[:10])], tuple(sorted(ROWS[:10]))),  # few enough to be read
        ([{row} for row in ROWS], tuple(sorted(ROWS))),  # each written by hand
        ([{f"{letter}_PSK" for letter in "ABCDEFGHIJKL"}], tuple(f"{letter}_PSK" for letter in "ABCDEFGHIJKL")),
        ([{f"__{letter}" for letter in "ABCDEFGHIJKL"}], tuple(f"__{letter}" for letter in "ABCDEFGHIJKL")),
    ],
)
def test_what_a_template_made_many_of_is_one_pattern(groups, found):
    assert patterns(groups) == found
    assert names_of(", ".join(found)) == found  # it can be pasted


class Settings(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    url: str = "https://example.com"
    account: str = "env:ACCOUNT"
    token: SecretRef = TOKEN
    other: SecretRef | None = None
    short: Annotated[SecretRef, Field(alias="long")] = SecretRef("env", "LONG")


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        (
            {"url": "https://example.com", "account": "env:ACCOUNT", "token": TOKEN, "other": None, "short": None},
            [("account", "env:ACCOUNT", True), ("token", "env:TOKEN", True)],
        ),
        ({"account": "AC1", "token": SecretRef("env", "ACCOUNT"), "short": None}, [("token", "env:ACCOUNT", False)]),
        (
            {"account": None, "token": None, "other": TOKEN, "short": TOKEN},
            [("other", "env:TOKEN", False), ("long", "env:TOKEN", False)],
        ),
        ({"account": None, "token": None, "short": SecretRef("env", "LONG")}, [("long", "env:LONG", True)]),
    ],
)
def test_a_default_is_one_in_its_own_setting_alone(settings, found):
    assert [
        (name, str(reference), own) for name, reference, own in credentials(Settings.model_construct(**settings))
    ] == found
