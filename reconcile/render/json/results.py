"""The state, problems, and what an apply did, as programs read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reconcile.core.events import ChangeDone
from reconcile.errors import Problem
from reconcile.render.apply import Applied, outcomes
from reconcile.render.json.values import names, plain, sensitive
from reconcile.render.words import Types

if TYPE_CHECKING:
    from reconcile.core.ports import Head
    from reconcile.core.resource import Entry


def state_json(entries: Iterable[Entry], head: Head | None, types: Types) -> dict[str, Any]:
    """The state in the shape of the field's `show -json`; ours under `reconcile`. Fingerprints are left out."""
    resources = [
        {
            **names(entry.address, types),
            "values": {**dict.fromkeys(entry.prints), **plain(entry.attrs)},
            "sensitive_values": {**sensitive(entry.attrs), **dict.fromkeys(entry.prints, True)},
            "depends_on": [str(need) for need in entry.needs],
            "reconcile": {
                "id": entry.id,
                "parent": entry.parent,
                "protect": entry.protect,
                "on_removal": entry.on_removal,
                "labels": dict(entry.labels),
                "at": entry.at,
            },
        }
        for entry in entries
    ]
    ours = None
    if head is not None:
        accounts = {name: {"account": at[0], "host": at[1]} for name, at in head.accounts.items()}
        ours = {"fleet": head.fleet, "lineage": head.lineage, "serial": head.serial, "accounts": accounts}
    return {"format_version": "1.0", "values": {"root_module": {"resources": resources}}, "reconcile": ours}


def problems_json(problems: Sequence[Problem], warnings: Sequence[str | Problem] = ()) -> dict[str, Any]:
    """Problems in the shape of the field's `validate -json`."""
    rows = [_diagnostic(problem, "error") for problem in problems]
    rows += [_diagnostic(row if isinstance(row, Problem) else Problem(row), "warning") for row in warnings]
    return {
        "format_version": "1.0",
        "valid": not problems,
        "error_count": len(problems),
        "warning_count": len(warnings),
        "diagnostics": rows,
    }


def _diagnostic(problem: Problem, severity: str) -> dict[str, Any]:
    out: dict[str, Any] = {
        "severity": severity,
        "summary": problem.what,
        "detail": "\n".join(filter(None, (*problem.notes, problem.hint))),
    }
    if problem.address:
        out["address"] = str(problem.address)
    if (where := problem.where) is not None:
        out["range"] = {"filename": where.file, "start": {"line": where.line, "column": where.column}}
        if where.row is not None:
            out["reconcile"] = {"row": where.row}
        if problem.snippet is not None:
            out["snippet"] = {
                "code": problem.snippet,
                "start_line": where.line,
                "highlight_start_offset": max(0, where.column - 1),
            }
    return out


def apply_json(
    results: Sequence[ChangeDone], counts: Applied, told: Mapping[str, Sequence[Any]] | None = None
) -> dict[str, Any]:
    """
    What an apply did: the counts, then every resource with its outcome.

    Args:
        told: what else its plan told: `warnings`, `not_compared`, and `absent`, over which nothing is complete.
    """
    told = told or {}
    ends = outcomes(results)
    return {
        "format_version": "1.0",
        "complete": len(results) == ends["done"] and not counts.not_read and not told.get("absent"),
        "resources": {
            "added": counts.added,
            "changed": counts.changed,
            "destroyed": counts.destroyed,
            "imported": counts.imported,
            "forgotten": counts.forgotten,
            "renewed": counts.renewed,
            "staged": counts.staged,
        },
        "outcomes": {**ends, "not_read": counts.not_read},
        "results": [
            {
                "address": str(result.address),
                "outcome": result.outcome,
                "verb": result.verb,
                "seconds": round(result.seconds, 3),
                "detail": result.detail,
                "where": str(result.where) if result.where is not None else None,
            }
            for result in results
        ],
        **{name: list(told.get(name, ())) for name in ("absent", "not_compared", "warnings")},
    }
