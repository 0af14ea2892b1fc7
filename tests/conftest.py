"""
What all tests share: no deadline, since how long a step takes says more about the machine than about the code; and in
CI the same examples every time, so that a red run says something about the change.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from servers import NOT_HERE, Postgres, postgres

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """A real PostgreSQL, of this process of tests; each test makes a database of its own."""
    with postgres() as made:
        yield made


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says in the last lines which servers were not here, so that nobody takes what was left out for green."""
    reasons = Counter(
        found[0]
        for report in terminalreporter.stats.get("skipped", ())
        if (found := re.search(rf"[a-z_]+ {re.escape(NOT_HERE)} [a-z0-9-]+\)", str(report.longrepr)))
    )
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{count} tests were left out: {reason}")
