"""What an author sees: tests named after behaviours, and in the report of one that fails, what was run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from signs import case_of, signage

from reconcile.conformance import checks_of, suite
from reconcile.conformance.bench import Lab
from reconcile.conformance.proxy import proxied
from reconcile.conformance.subject import Subject
from reconcile.provider import Lifecycle

pytest_plugins = ["pytester"]

HERE = Path(__file__).parent
FILE = """
import sys
sys.path.insert(0, {here!r})
from signs import case_of, signage
from reconcile.conformance import suite

class Broken(signage.SignType):
    async def create(self, api, at, attrs):
        return await super().create(api, at, {{**attrs, "text": "something else"}})

TestSigns = suite(case_of(signage.SignType))
TestBroken = suite(case_of(Broken))
"""


def test_a_suite_is_collected_and_a_failure_shows_what_was_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FILE.format(here=str(HERE)))
    ran = pytester.runpytest_subprocess(
        "-p", "reconcile.conformance.plugin", "-v", "-k", "what_is_written_is_live or sets_every_field"
    )
    ran.assert_outcomes(passed=3, failed=1)
    ran.stdout.fnmatch_lines(
        [
            "*::TestSigns::test_what_is_written_is_live_after_an_apply PASSED*",
            "*::TestBroken::test_what_is_written_is_live_after_an_apply FAILED*",
            "*the API accepted the write but answered with a different text*",
            "*commands of this check*",
            "reconcile plan * exit 0, 1 requests",
            "reconcile apply * exit 7, * requests",
        ]
    )


def test_checks_that_a_type_cannot_be_asked_are_left_out() -> None:
    class Kept(signage.SignType):  # type: ignore[misc,name-defined]
        def lifecycle(self, attrs: Any) -> Lifecycle:
            return Lifecycle(delete=False, on_removal="forget")

    class Unit(Kept):
        listed = "unit"

    every = {check.name for check in checks_of(Subject(case_of(signage.SignType)))}
    kept = {check.name for check in checks_of(Subject(case_of(Kept)))}
    unpaged = {check.name for check in checks_of(Subject(case_of(Unit)))}
    assert every - kept == {"test_answers_that_are_lost_while_it_is_deleted"}
    assert kept - unpaged == {
        "test_pages_that_move_while_they_are_read_lose_and_double_nothing",
        "test_an_answer_about_another_one_is_not_believed",  # what has an endpoint of its own need not say whose it is
    }
    assert "test_what_cannot_be_changed_is_replaced_or_refused" not in every


def test_a_case_that_cannot_be_run_says_why() -> None:
    with pytest.raises(ValueError, match=r"signage has no type signage\.signs"):
        suite(case_of(type("Lamp", (signage.SignType,), {"path": "signage.posters"})))
    child = type("Line", (signage.SignType,), {"path": "signage.signs"})
    with pytest.raises(ValueError, match=r"signage\.signs\.one\.lines is no place for entries of signage\.signs"):
        suite(case_of(child, place=("signage", "signs", "one", "lines")))


def test_the_proxy_adds_unknown_members_at_every_level_and_leaves_data_alone() -> None:
    with proxied("http://127.0.0.1:9", frozenset({"GET"}), frozenset({"labels"})) as proxy:
        proxy.unknown = True
        body = json.dumps({"list": [{"id": 1, "labels": {"a": "b"}}], "empty": None}).encode()
        first, second = (json.loads(proxy.answered(body)) for _ in range(2))
    assert first["list"][0]["id"] == 1 and first["list"][0]["labels"] == {"a": "b"}
    assert "unknown_text" in first and "unknown_text" in first["list"][0]
    assert first["unknown_text"] != second["unknown_text"]


def test_a_saved_plan_is_shown_in_the_words_of_the_provider_under_test(tmp_path: Path) -> None:
    class Boards(signage.SignType):  # type: ignore[misc,name-defined]
        noun = "board"

    with Lab(Subject(case_of(Boards)), tmp_path) as lab:
        bench, saved = lab.bench(), str(tmp_path / "saved.plan")
        bench.write(*(lab.subject.member(number) for number in range(6)))
        planned, shown = bench.plan("--out", saved), bench.run("show", saved)
    for ran in (planned, shown):
        assert (ran.code, "+ 6 boards" in ran.out) == (0, True), ran
