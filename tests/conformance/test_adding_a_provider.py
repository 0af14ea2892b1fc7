"""`docs/adding-a-provider.md` says what is so: its line counts, its checks, the files that it names."""

from __future__ import annotations

import os
import re
from pathlib import Path

from reconcile.conformance.checks import CHECKS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "adding-a-provider.md"
ROW = re.compile(r"^\| (?P<part>[^|]+) \| (?P<files>[^|]+) \| (?P<lines>[0-9,]+) \|$", re.M)


def lines_of(patterns: str) -> int:
    """The lines of all files that the backquoted patterns name."""
    files = {file for pattern in re.findall(r"`([^`]+)`", patterns) for file in ROOT.glob(pattern)}
    assert files, f"{patterns} names no file"
    return sum(len(file.read_text("utf-8").splitlines()) for file in files)


def counted(text: str) -> str:
    """The page with the counts of now."""
    before, mark, rest = text.partition("<!-- counts -->")
    table, end, after = rest.partition("<!-- /counts -->")
    table = ROW.sub(lambda row: f"| {row['part']} | {row['files']} | {lines_of(row['files']):,} |", table)
    return before + mark + table + end + after


def test_the_line_counts_are_within_a_tenth() -> None:
    text = PAGE.read_text("utf-8")
    if os.environ.get("RECONCILE_UPDATE_README"):
        PAGE.write_text(counted(text), "utf-8")
        text = counted(text)
    for said, found in zip(ROW.finditer(text), ROW.finditer(counted(text)), strict=True):
        told, now = (int(row["lines"].replace(",", "")) for row in (said, found))
        assert abs(told - now) <= max(10, now / 10), (
            f"{said['part']} has {now} lines, the page says {told}: RECONCILE_UPDATE_README=1 writes it anew"
        )


def test_every_file_of_the_provider_is_in_the_table() -> None:
    text = PAGE.read_text("utf-8")
    for file in (ROOT / "reconcile" / "providers" / "device_management").glob("*.py"):
        assert f"`{file.relative_to(ROOT).as_posix()}`" in text


def test_every_check_is_described_and_no_other() -> None:
    table = PAGE.read_text("utf-8").partition("| check | what it does |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.M) == [check.name.removeprefix("test_") for check in CHECKS]


def test_the_example_has_as_many_lines_as_it_says() -> None:
    text, example = PAGE.read_text("utf-8"), ROOT / "examples" / "custom-provider"
    for name, said in (("signage.py", r": (\d+) lines, with its server"), ("test_signage.py", r"example, (\d+) lines")):
        found = re.search(said, text)
        assert found is not None and int(found[1]) == len((example / name).read_text("utf-8").splitlines())
