"""
`python -m benchmarks.expressions`: one typical expression, by the evaluator of documents and by Jinja's own sandbox.

Both are compiled beforehand and run side by side, in turns; the figures are medians, and only their ratio counts.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment

from reconcile.config.budget import Budget
from reconcile.config.expressions.operations import Around, Names
from reconcile.config.expressions.templates import Templates

EXPRESSION = "'mqtt-' ~ (row.region | lower) if row.tier == 'gold' and row.site in var.sites else var.broker"
NAMES = {
    "row": {"region": "NORTH", "tier": "gold", "site": "oslo"},
    "var": {"sites": ["oslo", "bergen"], "broker": "b"},
}
ROUNDS, EACH = 31, 2_000


def seconds(run: Any) -> float:
    """Seconds of one evaluation."""
    begun = perf_counter()
    for _ in range(EACH):
        run()
    return (perf_counter() - begun) / EACH


def main() -> None:
    """Prints the two medians and their ratio."""
    ours = Templates().read("{{ " + EXPRESSION + " }}").run
    theirs = ImmutableSandboxedEnvironment().compile_expression(EXPRESSION)
    budget = Budget()
    names = Names(NAMES, Around(budget))
    budget.fields = 1
    assert ours(names) == theirs(**NAMES) == "mqtt-north"
    rounds = []
    for _ in range(ROUNDS):
        budget.fields += EACH
        rounds.append((seconds(lambda: ours(names)), seconds(lambda: theirs(**NAMES))))
    one, other = (median(figure) * 1e6 for figure in zip(*rounds, strict=True))
    print(f"documents {one:.1f} us, ImmutableSandboxedEnvironment {other:.1f} us: {other / one:.1f} times as long")


if __name__ == "__main__":
    main()
