"""The page of a plan, in a real browser, from a disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from plans import TYPES, config, device, field, hidden, mixed, plan, secret
from playwright.sync_api import Browser, Error, Page, sync_playwright
from servers import NOT_HERE
from test_markdown import HOSTILE, hostile

from reconcile.core.digest import digest_of
from reconcile.core.plan import Action, Plan, Reason
from reconcile.render.report import PlanReport, rendered

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text("utf-8")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason=f"chromium {NOT_HERE} chromium)"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


class Opened:
    """A page that was opened, and what it did on the way."""

    def __init__(self, browser: Browser, place: Path, made: Plan, drift: bool, more: dict[str, Any]) -> None:
        report = PlanReport(made, TYPES, drift, digest_of(made), applies="reconcile apply a.plan")
        file = place / "plan.html"
        file.write_text("".join(rendered("html", report)), encoding="utf-8")
        self.page: Page = browser.new_context(**more).new_page()
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        self.page.goto(file.as_uri())
        self.url = file.as_uri()

    def rows(self) -> int:
        return self.page.locator("#rows > li").count()

    def said(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def assert_quiet(self) -> None:
        assert self.wrong == [] and self.asked == [self.url]


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Any]:
    pages: list[Opened] = []

    def opening(made: Plan, drift: bool = False, **more: Any) -> Opened:
        pages.append(Opened(browser, tmp_path, made, drift, more))
        return pages[-1]

    yield opening
    for one in pages:
        one.page.context.close()


def many(count: int) -> Plan:
    return plan(
        *(
            device(f"d-{at}", field("app", "a", f"b-{at % 3}"), block=f"block-{at % 2}", labels={"site": f"s{at % 7}"})
            for at in range(count)
        )
    )


@pytest.mark.parametrize("count", [1, 500, 20_000])
def test_at_most_200_rows_are_drawn_and_all_can_be_reached(open_page: Any, count: int) -> None:
    opened = open_page(many(count))
    assert opened.rows() == min(count, 200)
    assert f"of {count:,} changes" in opened.said("#count")
    if count > 200:
        opened.page.click("#after")
        assert opened.said("#count").startswith("201 to ") and opened.rows() == 200
        assert "microvisor.devices.d-200 " in opened.said("#rows > li:first-child")
        opened.page.click("#before")
        opened.page.fill("#search", f"d-{count - 1}")
        assert opened.rows() == 1 and "1 to 1 of 1 changes" in opened.said("#count")
    opened.assert_quiet()


def test_filters_narrow_and_show_all_takes_them_back(open_page: Any) -> None:
    opened = open_page(mixed())
    everything = opened.rows()
    for name, value in (
        ("action", "delete"),
        ("type", "device secret"),
        ("reason", "Changed by somebody else since the last apply, and put back"),
    ):
        opened.page.select_option(f"#{name}", value)
        found = opened.rows()
        assert 0 < found < everything, name
        opened.page.click("button[type=reset]")
        opened.page.locator("#rows > li").nth(everything - 1).wait_for()
    labels = open_page(many(500))
    labels.page.select_option("#label", "site=s3")
    assert labels.rows() == 71
    labels.page.fill("#search", "b-1 D-10")
    assert 0 < labels.rows() < 71
    labels.page.fill("#search", "nothing like this")
    assert labels.said("#count") == "No change is like this."


def test_a_row_opens_by_key_and_tells_both_sides_and_where(open_page: Any) -> None:
    opened = open_page(mixed())
    row = opened.page.locator("#rows > li", has_text="microvisor.devices.w-7 ").first
    row.locator("summary").focus()
    opened.page.keyboard.press("Enter")
    cells = row.locator("tbody tr").first.locator("td").all_inner_texts()
    assert cells == ["app", '"a-1"', '"a-2"', "fleet.yaml:9 (profile cold)"]
    reached = []
    opened.page.locator("body").click(position={"x": 1, "y": 1})
    for _ in range(9):
        opened.page.keyboard.press("Tab")
        reached.append(opened.page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert reached[0] == "search" and "SUMMARY" in reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("made", [mixed(), plan(), many(500)], ids=["mixed", "empty", "many"])
def test_axe_finds_nothing(open_page: Any, scheme: str, made: Plan) -> None:
    opened = open_page(made, color_scheme=scheme)
    for summary in opened.page.locator("#rows summary").all()[:12]:
        summary.click()
    opened.page.evaluate(AXE)
    found = opened.page.evaluate(
        "axe.run().then((found) => found.violations.map(({id, nodes}) => [id, nodes[0].html]))"
    )
    assert found == []
    opened.assert_quiet()


def test_what_strangers_wrote_is_text_on_the_page(open_page: Any) -> None:
    opened = open_page(plan())
    tags = set(opened.page.evaluate("[...document.querySelectorAll('body *')].map((one) => one.tagName)"))
    tags |= {"LI", "DETAILS", "SUMMARY", "SPAN", "DIV", "TABLE", "THEAD", "TBODY", "TR", "TH", "TD", "PRE"}
    made = plan()
    for each in map(hostile, HOSTILE):
        for name in ("changes", "unread", "unsettled", "absent", "not_compared", "blocked", "warnings"):
            getattr(made, name).extend(getattr(each, name))
        made.last_run = each.last_run
    opened = open_page(made)
    for _ in range(len(made.changes) // 200 + 1):
        opened.page.evaluate("document.querySelectorAll('#rows details').forEach((one) => { one.open = true; })")
        opened.page.locator("#rows .inside").last.wait_for()
        found = set(opened.page.evaluate("[...document.querySelectorAll('body *')].map((one) => one.tagName)"))
        assert found <= tags, found - tags
        assert "\u202e" not in opened.page.content() and "\x1b" not in opened.page.content()
        opened.page.evaluate("document.getElementById('after').click()")
    opened.assert_quiet()


def test_the_policy_of_the_page_lets_no_other_script_run(open_page: Any) -> None:
    opened = open_page(mixed())
    with pytest.raises(Error):
        opened.page.add_script_tag(content="window.broken = 1")
    assert opened.page.evaluate("window.broken") is None
    opened.page.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))")
    assert any("Content Security Policy" in said for said in opened.wrong)


def test_without_scripts_the_page_says_what_leaves(open_page: Any) -> None:
    made = plan(device("old", action=Action.DELETE, reason=Reason.NOT_IN_FILES))
    opened = open_page(made, java_script_enabled=False)
    body = opened.said("body")
    assert "Plan: 0 to add, 0 to change, 1 to destroy." in body and "microvisor.devices.old" in body


def test_on_paper_every_row_is_open(open_page: Any) -> None:
    opened = open_page(mixed())
    opened.page.pdf()
    assert opened.page.locator("#rows details:not([open])").count() == 0


def test_no_value_of_a_secret_and_no_reference_as_a_value(open_page: Any) -> None:
    opened = open_page(plan(secret("a", "psk", hidden("env:PSK")), config("a", "k", field("value", "1", "2"))))
    opened.page.locator("#rows summary").first.click()
    assert "(sensitive value)" in opened.said("#rows")


def test_drift_is_told_from_what_was_applied(open_page: Any) -> None:
    from reconcile.core.plan import Cause

    made = plan(device("a", field("logging", "live", "files", Cause.SOMEBODY, prior="files")))
    opened = open_page(made, drift=True)
    assert "Drift: 1 changed, 0 deleted by somebody else." in opened.said("h1")
    assert '"files" → "live"' in opened.said("#rows")
