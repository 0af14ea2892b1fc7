"""Fewer steps, and fewer trackers, that show the same violation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.simulate.history import run
from benchmarks.simulate.steps import History, Step

_NAMES = re.compile(r"theirs-\d+|there-before|reconcile-\w+|[0-9.]+|\b[abc](?=: )")


def kind_of(violation: str) -> str:
    """What two violations have in common that differ in names and numbers."""
    return _NAMES.sub("…", violation.partition("\n")[0])[:60]


def shrunk(history: History) -> History:
    """A history from which nothing can be taken out; as it is when nothing is wrong with it."""
    wanted = _kind(history)
    if wanted is None:
        return history
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(history):
            if _kind(candidate) == wanted:
                history, smaller = candidate, True
                break
    return history


def _kind(history: History) -> str | None:
    violations = run(history).violations
    return kind_of(violations[0]) if violations else None


def _smaller(history: History) -> Iterator[History]:
    for agent in history.trackers if len(history.trackers) > 1 else ():
        trackers, begin = ({k: v for k, v in part.items() if k != agent} for part in (history.trackers, history.begin))
        yield replace(history, trackers=trackers, begin=begin, steps=tuple(_without(history.steps, agent)))
    steps, size = history.steps, max(1, len(history.steps) // 2)
    while size:
        for at in range(0, len(steps), size):
            yield replace(history, steps=steps[:at] + steps[at + size :])
        size //= 2


def _without(steps: tuple[Step, ...], agent: str) -> Iterator[Step]:
    for step in steps:
        if step[0] == "faults":
            yield ("faults", [fault for fault in step[1] if fault["agent"] != agent])
        elif agent not in step[1:2]:
            yield step
