"""
The pytest plugin: the fixture that the tests of `suite` take, and in the report of one that fails, every command that
was run, with what it said and what it asked of the server.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from reconcile.conformance.bench import Lab

_LAB = pytest.StashKey["Lab"]()
_SHOWN = 20


@pytest.fixture
def conformance_lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """Fleets, servers and the command line between them, for one check of a `suite`."""
    from reconcile.conformance.bench import Lab

    with Lab(request.cls.subject, tmp_path) as lab:
        request.node.stash[_LAB] = lab
        yield lab


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds what was run to the report of a check that fails."""
    report = yield
    if report.when == "call" and report.failed and _LAB in item.stash:
        history = item.stash[_LAB].history
        told = [
            f"reconcile {' '.join(ran.arguments)} → exit {ran.code}, {len(ran.sent)} requests"
            for ran in history[-_SHOWN:]
        ]
        report.sections.append(("commands of this check", "\n".join(told)))
    return report
