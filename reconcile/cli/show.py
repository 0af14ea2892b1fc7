"""`show`: a saved plan, a part of it, or the state."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from reconcile.cli.advice import command
from reconcile.cli.options import document_options, general_options, request_of
from reconcile.cli.output import colored, emit_json, say
from reconcile.cli.reports import (
    asked_for,
    report_of_file,
    report_options,
    say_seal,
    screen_width,
    show_report,
    write_reports,
)
from reconcile.core.address import Address
from reconcile.core.plan import Plan
from reconcile.core.selection import Selectors, names_nothing
from reconcile.errors import InvalidInput, Problem


@click.command()
@click.argument("path", metavar="[PLAN_FILE | PATH]", default=".")
@click.argument("selection", metavar="[SEL]", required=False)
@document_options
@report_options
@general_options
def show(selection: str | None, **given: Any) -> int:
    """Show a saved plan, what SEL names of it with its values, or the state of the fleet at PATH."""
    from reconcile.cli.saved import sealing
    from reconcile.planfile import looks_like_plan, read
    from reconcile.wiring import key_here, types_of_plan

    path = Path(given["path"])
    if not looks_like_plan(path):
        from reconcile.cli.state import show_state

        if given["format_"] not in ("text", "json") or given["reports"]:
            hint = "A plan has more: plan --out FILE, show FILE"
            raise InvalidInput(Problem("a state is shown as text or json", hint=hint))
        return show_state({**given, "selection": selection})
    request = request_of(given)
    if selection is not None and (given["format_"] not in ("text", "json") or given["reports"]):
        raise InvalidInput(Problem("a part of a plan is shown as text or json", hint="Leave the selection out"))
    asked = asked_for(given)
    saved = read(path, **sealing(key_here(os.environ)), only_shown=True)
    made, types = saved.plan, types_of_plan(saved.plan, request.parts.providers())
    if given["format_"] == "text":
        say_seal(saved.seal)
    if selection is None:
        report = report_of_file(given["path"], saved, types)
        report = replace(report, applies=command("apply", given["path"]) if made.applicable else None)
        write_reports(asked, report)
        show_report(given, report)
        return 0
    if given["format_"] == "json":
        from reconcile.render.json.plan import plan_json, seal_json

        named = Selectors((selection,))
        blocks = {change.address: change.block for change in made.changes}
        rows = plan_json(made, types)["resource_changes"]
        found = [row for row in rows if named.covers(Address(row["address"]), blocks.get(row["address"]))]
        if not found:
            raise _absent(selection, made)
        seal = {"seal": seal_json(saved.seal)}
        if len(found) == 1:
            emit_json({**found[0], "reconcile": {**found[0]["reconcile"], **seal}})
        else:
            emit_json({"resource_changes": found, "reconcile": seal})
        return 0
    from reconcile.render.show import change_text

    lines = list(change_text(made, selection, types=types, color=colored(sys.stdout), width=screen_width()))
    if not lines:
        raise _absent(selection, made)
    say(lines)
    return 0


def _absent(selection: str, made: Plan) -> InvalidInput:
    return names_nothing(selection, "the plan", [change.address for change in made.changes])
