"""What an apply did, every resource accounted for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconcile.core.events import ChangeDone
from reconcile.core.plan import Unread, Unsettled
from reconcile.render.groups import FROM
from reconcile.render.paint import GREEN, RED, Paint
from reconcile.render.text import WIDTH, unread_lines, unsettled_lines
from reconcile.render.values import outside
from reconcile.render.words import Types, alike, many, place, plural

OUTCOMES = ("failed", "unknown", "conflict", "skipped")  # as they are listed; the rest is done


@dataclass(frozen=True, slots=True)
class Applied:
    """
    How many resources were really done, counted as `Plan: …` counts them.

    Attributes:
        not_read: resources that the plan could not read, so that nothing was tried.
        staged: of those that changed, how many the unit itself has yet to fetch.
    """

    added: int = 0
    changed: int = 0
    destroyed: int = 0
    imported: int = 0
    forgotten: int = 0
    renewed: int = 0
    not_read: int = 0
    staged: int = 0
    absent: int = 0


def outcomes(results: Sequence[ChangeDone]) -> dict[str, int]:
    """How many resources ended in which way."""
    counts = dict.fromkeys(("done", *OUTCOMES), 0)
    for result in results:
        counts[result.outcome] = counts.get(result.outcome, 0) + 1
    return counts


_NEED = re.compile(r"^\S+(?= was not done$)")


def apply_text(
    results: Sequence[ChangeDone],
    counts: Applied,
    *,
    types: Types | None = None,
    unread: Sequence[Unread] = (),
    unsettled: Sequence[Unsettled] = (),
    color: bool = False,
) -> Iterator[str]:
    """
    The lines after an apply.

    Args:
        results: one for each resource of the plan, in any order.
        unsettled: what is pending on units or failed there, if anybody waited for it.
    """
    paint, known = Paint(color, WIDTH), types or {}
    told: list[str] = []
    for outcome in OUTCOMES:
        told += _not_done(outcome, [result for result in results if result.outcome == outcome], paint)
    told += unread_lines(list(unread), known, paint)
    if told:
        yield from told[1:]
        yield ""
    ends = outcomes(results)
    not_read = max(counts.not_read, len(unread))
    lacking = f", {counts.absent} not there yet" if counts.absent else ""
    if len(results) == ends["done"] and not not_read and not counts.absent:
        done = f"{counts.added} added, {counts.changed} changed, {counts.destroyed} destroyed."
        yield paint(f"Apply complete! Resources: {done}", GREEN)
    else:
        said = (
            f"{ends['done']} done, {ends['failed']} failed, {ends['unknown']} unknown, {ends['skipped']} skipped, "
            f"{ends['conflict']} conflicts, {not_read} not read{lacking}."
        )
        yield paint(f"Apply incomplete: {said}", RED)
        did = f"{counts.added} added, {counts.changed} changed, {counts.destroyed} destroyed"
        yield f"Done so far: {did}. Run again: what is unknown is read back first, nothing is repeated blindly."
    also = [
        f"{number:,} {word}"
        for word, number in (
            ("imported", counts.imported),
            ("forgotten", counts.forgotten),
            ("renewed", counts.renewed),
        )
        if number
    ]
    if also:
        yield f"Also: {', '.join(also)}."
    if counts.staged:
        they = "fetches it when it connects" if counts.staged == 1 else "fetch theirs when they connect"
        units = plural("unit", counts.staged)
        yield f"Staged: {many(counts.staged, 'update')}; the {units} {they}; --wait settled waits for that."
    yield from unsettled_lines(list(unsettled), known, paint)


def _not_done(outcome: str, results: Sequence[ChangeDone], paint: Paint) -> Iterator[str]:
    if not results:
        return
    yield ""
    yield paint(outcome.capitalize(), RED)
    same: dict[str, list[ChangeDone]] = {}
    for result in results:
        # Whichever it was that was not done before: the same for all that wait for something.
        same.setdefault(_NEED.sub("…", alike(result.detail or "")), []).append(result)
    for members in same.values():
        if len(members) < FROM:
            for result in members:
                yield f"  {_line(result)}"
            continue
        yield f"  {many(len(members), 'resource')} alike, the first:"
        for result in members[:3]:
            yield f"    {_line(result)}"
        yield f"    … and {len(members) - 3:,} more"


def _line(result: ChangeDone) -> str:
    asked = f" ({place(result.where)})" if result.where is not None else ""
    return f"{outside(result.address)}: " + outside(result.detail or f"{result.verb} did not end") + asked
