"""
The page of a plan in a headless browser: seconds until it is made, until its rows are there, and for a search; beside
them the same rows as static HTML, which is how a report without a script would be.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from reconcile.core.address import Address
from reconcile.core.bindings import Bindings
from reconcile.core.digest import digest_of
from reconcile.core.plan import Action, Cause, Change, FieldChange, Plan, Reason
from reconcile.providers.registry import Providers
from reconcile.render.report import PlanReport, rendered

SIZES = (1, 500, 20_000)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def changes(count: int) -> Iterator[Change]:
    """Devices that get another app."""
    for number in range(count):
        field = FieldChange(("app",), Cause.YOU, f"app-{number % 3}", "app-new")
        address = Address.of("microvisor.devices", [f"sensor-{number:05}"])
        labels = {"site": f"site-{number % 40}"}
        yield Change(
            address, Action.UPDATE, Reason.FIELDS_DIFFER, id=f"UV{number:032x}", fields=(field,), labels=labels
        )


def bench_page(scratch: Path) -> None:
    """Measures every size and prints its rows."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        print("\nThe page of a plan: left out, there is no Chromium or no playwright here")
        return
    types: dict[str, Any] = {kind.path: kind for kind in Providers()["microvisor"].types}
    print(
        f"\n{'The page of a plan':<25}{'made s':>8}{'drawn s':>9}{'search s':>10}{'MB':>7}{'static rows, drawn s':>22}"
    )
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=FLAGS)
        for count in SIZES:
            plan = Plan(Bindings("bench", "bench", made="2026-01-01T00:00:00+00:00"), list(changes(count)))
            begun = time.perf_counter()
            text = "".join(rendered("html", PlanReport(plan, types, digest=digest_of(plan))))
            made = time.perf_counter() - begun
            file, static = scratch / "page.html", scratch / "static.html"
            file.write_text(text, encoding="utf-8")
            rows = "".join(f"<tr><td>{escape(str(one.address))}<td>{one.fields[0].after}" for one in plan.changes)
            static.write_text(f"<!DOCTYPE html><table>{rows}</table>", encoding="utf-8")
            page = browser.new_page()
            begun = time.perf_counter()
            page.goto(file.as_uri())
            page.locator("#rows > li").first.wait_for()
            drawn = time.perf_counter() - begun
            begun = time.perf_counter()
            page.fill("#search", f"sensor-{count - 1:05}")
            page.locator("#rows > li").first.inner_text()
            search = time.perf_counter() - begun
            begun = time.perf_counter()
            page.goto(static.as_uri())
            page.locator("td").last.wait_for()
            plain = time.perf_counter() - begun
            page.close()
            figures = f"{made:>8.2f}{drawn:>9.2f}{search:>10.2f}{len(text) / 1e6:>7.2f}{plain:>22.2f}"
            print(f"{f'{count:,} changes':<25}{figures}")
        browser.close()
