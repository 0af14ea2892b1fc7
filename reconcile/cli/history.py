"""`history`: who applied what, when and from where, and what that changed. Nothing here asks an API."""

from __future__ import annotations

import sys
from typing import Any

import click

from reconcile.cli.options import document_options, duration, format_option, general_options, selections
from reconcile.cli.output import colored, complain, emit_json, say
from reconcile.cli.session import Session, run_session
from reconcile.cli.state import NO_STATE, path_option
from reconcile.core.history import Changed, Run
from reconcile.core.selection import Selectors, names_nothing


@click.command()
@click.argument("chosen", nargs=-1, metavar="[SEL]…")
@path_option
@click.option("--since", metavar="D", help="Only runs that began within this time: 7d, 12h, 30m.")
@document_options
@format_option("text", "json")
@general_options
def history(chosen: tuple[str, ...], **given: Any) -> int:
    """Past runs, the last one first; with SEL those that changed it, and how."""
    within = duration(given["since"]) if given["since"] else None

    async def story(session: Session) -> int:
        from reconcile.render.history import history_json, history_text

        world, named = session.world, Selectors(selections(chosen))
        since = world.env.now() - within if within is not None else None
        found: list[tuple[Run, list[Changed]]] = []
        left, known = set(named.texts), []
        async for runs in world.store.runs(since):
            for run in runs:
                changes: list[Changed] = []
                if named.texts or given["format_"] == "json":
                    async for batch in world.store.changes(run.id):
                        for change in batch:
                            known.append(change.address)
                            naming = set(named.naming(change.address))
                            left -= naming
                            if naming or not named.texts:
                                changes.append(change)
                if changes or not named.texts:
                    found.append((run, changes))
        if left:
            await _none_of(session, named, left, known)
        if given["format_"] == "json":
            emit_json(history_json(found))
        elif await world.store.head() is None:
            complain([NO_STATE])
        else:
            say(history_text(found, color=colored(sys.stdout)))
        return 0

    return run_session(given, story)


async def _none_of(session: Session, named: Selectors, left: set[str], known: list[Any]) -> None:
    """Raises InvalidInput for a selection that names nothing in the state either."""
    async for entries in session.world.store.entries():
        for entry in entries:
            known.append(entry.address)
            left -= set(named.naming(entry.address))
    for text in named.texts:
        if text in left:
            raise names_nothing(text, "the history or the state", known)
