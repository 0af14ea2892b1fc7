"""Past runs, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconcile.core.history import WRITTEN, Changed, Run
from reconcile.core.text import printable
from reconcile.render.paint import BOLD, DIM, GREEN, RED, YELLOW, Paint
from reconcile.render.text import WIDTH
from reconcile.render.values import outside, show

_COLORS = {"done": GREEN, "partly": YELLOW, "failed": RED}
_SIGNS = {"create": "+", "delete": "-", "forget": "-", "replace": "±", "state rm": "-"}


def history_text(found: Iterable[tuple[Run, Sequence[Changed]]], *, color: bool = False) -> Iterator[str]:
    """A line for each run, what is known of its job below it, and what it changed of what was asked for."""
    paint = Paint(color, WIDTH)
    none = True
    for run, changes in found:
        none = False
        about = run.about
        outcome = paint(f"{run.outcome:<11}", _COLORS.get(run.outcome, YELLOW))
        counts = ", ".join(f"{count:,} {word}" for word, count in run.counts.items()) or f"{about.planned:,} planned"
        yield (
            f"{paint(run.begun[:19].replace('T', ' '), BOLD)}  {outcome} {outside(about.command)}: {outside(counts)},"
            f" by {outside(about.by)}@{outside(about.host)}, serial {run.serial}"
        )
        more = {"job": about.job, "commit": about.commit, "plan": about.plan and about.plan[:16]}
        said = [f"{name} {outside(value)}" for name, value in more.items() if value]
        if about.options:
            said.append(f"options {outside(printable(str(dict(about.options))))}")
        if said:
            yield paint(f"    {', '.join(said)}", DIM)
        for change in changes:
            yield f"    {_SIGNS.get(change.action, '~')} {outside(change.address)}"
            for part in change.fields:
                sides = [_value(part[side]) for side in ("before", "after") if part[side] is not None]
                yield f"        {outside(part['path'])} = {' -> '.join(sides) or 'null'}"
    if none:
        yield "No run is remembered."


def _value(value: Any) -> str:
    if isinstance(value, Mapping) and "sha256" in value:
        size = f", {value['characters']:,} characters" if "characters" in value else ""
        return f"(sha256 {outside(str(value['sha256'])[:16])}…{size})"
    return WRITTEN if value == WRITTEN else show(value)


def history_json(found: Iterable[tuple[Run, Sequence[Changed]]]) -> dict[str, Any]:
    """`{runs: [{id, serial, begun, ended, outcome, command, …, counts, changes}]}`, the last run first."""
    return {
        "format_version": "1.0",
        "runs": [
            {
                "id": run.id,
                "serial": run.serial,
                "begun": run.begun,
                "ended": run.ended,
                "outcome": run.outcome,
                "command": run.about.command,
                "by": run.about.by,
                "host": run.about.host,
                "job": run.about.job,
                "commit": run.about.commit,
                "version": run.about.version,
                "plan": run.about.plan,
                "options": dict(run.about.options),
                "planned": run.about.planned,
                "counts": dict(run.counts),
                "changes": [
                    {
                        "address": str(change.address),
                        "action": change.action,
                        "at": change.at,
                        "fields": [dict(part) for part in change.fields],
                    }
                    for change in changes
                ],
            }
            for run, changes in found
        ],
    }
