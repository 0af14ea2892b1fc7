"""Numbers of a plan, or of what somebody else changed, as OpenMetrics text: for a collector that reads a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from reconcile.render.report import PlanReport
from reconcile.render.values import outside

_COUNTS = ("import", "add", "change", "destroy", "forget")


def report_openmetrics(report: PlanReport) -> Iterator[str]:
    """Every family with its type and help; ends with the mark of the format."""
    plan, fleet = report.plan, report.plan.bindings.fleet
    if report.drift:
        yield from _family(
            "drifted", "Resources that somebody else changed since the last apply.", _by_type(report), fleet
        )
    else:
        rows = [({"action": name, "type": path}, count) for name, path, count in _changes(report)]
        yield from _family("changes", "Resources that an apply would change, by action.", rows, fleet)
        yield from _family("blocked", "Whether a guard refuses the plan.", [({}, int(plan.refused))], fleet)
    kinds = (("unread", len(plan.unread)), ("absent", len(plan.absent)), ("not_compared", len(plan.not_compared)))
    rows = [({"kind": kind}, count) for kind, count in kinds]
    yield from _family("unknown", "Resources of which the reading says nothing.", rows, fleet)
    rows = [({"kind": kind}, sum(row.kind == kind for row in plan.unsettled)) for kind in ("pending", "failed")]
    yield from _family("unsettled", "Resources that were accepted and are not done.", rows, fleet)
    yield from _family(
        "in_sync",
        "Resources that need nothing.",
        [({"type": path}, count) for path, count in plan.in_sync.items()],
        fleet,
    )
    made = datetime.fromisoformat(plan.bindings.made).timestamp() if plan.bindings.made else 0.0
    yield from _family("read_timestamp_seconds", "When the account was read.", [({}, int(made))], fleet)
    yield "# EOF\n"


def _changes(report: PlanReport) -> Iterator[tuple[str, str, int]]:
    found: dict[tuple[str, str], int] = {(name, ""): 0 for name in _COUNTS}
    for change in report.changes:
        for name, count in zip(_COUNTS, change.counts, strict=True):
            if count:
                key = name, change.address.type_path
                found[key] = found.get(key, 0) + count
    for (name, path), count in found.items():
        if path or not any(other == name and there for other, there in found):
            yield name, path, count


def _by_type(report: PlanReport) -> list[tuple[dict[str, str], int]]:
    found: dict[str, int] = {}
    for change in report.changes:
        found[change.address.type_path] = found.get(change.address.type_path, 0) + 1
    return [({"type": path}, count) for path, count in found.items()] or [({"type": ""}, 0)]


def _family(name: str, about: str, rows: Iterable[tuple[Mapping[str, str], int]], fleet: str) -> Iterator[str]:
    name = f"reconcile_{name}"
    yield f"# TYPE {name} gauge\n# HELP {name} {about}\n"
    for labels, value in rows:
        said = ",".join(f'{key}="{_escaped(text)}"' for key, text in {"fleet": fleet, **labels}.items())
        yield f"{name}{{{said}}} {value}\n"


def _escaped(text: str) -> str:
    return outside(text).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
