"""
The conformance suite: what every resource type has to do, run against it by pytest. For our providers, and for yours.

A case says how an entry of the type looks with every field set, and how its server is reached behind reconcile's back;
the suite runs the real command line against that server, through a proxy that can lose, add to, and watch.

    from reconcile.conformance import Account, Case, suite

    class Signs(Account): ...

    TestSigns = suite(Case(type="signage.signs", account=Signs.served, entry={"text": "a"}, other={"text": "b"}))

It is a pytest plugin (`reconcile.conformance.plugin`), loaded through its entry point. Importing this is cheap, since
every run of pytest does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.register_assert_rewrite("reconcile.conformance.bench", "reconcile.conformance.checks")

if TYPE_CHECKING:
    from reconcile.conformance.case import Account, Case, Unit
    from reconcile.conformance.collect import checks_of, suite

__all__ = ["Account", "Case", "Unit", "checks_of", "suite"]


def __getattr__(name: str) -> Any:
    if name in ("Account", "Case", "Unit"):
        from reconcile.conformance import case

        return getattr(case, name)
    if name in ("checks_of", "suite"):
        from reconcile.conformance import collect

        return getattr(collect, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
