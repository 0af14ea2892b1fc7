"""`lock list` and `unlock ID`: who holds the state, and how to free it when nobody does any more."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from reconcile.cli.options import document_options, format_option, general_options
from reconcile.cli.output import emit_json, say
from reconcile.cli.session import Session, run_session
from reconcile.cli.state import path_option
from reconcile.core.text import printable


@click.group()
def lock() -> None:
    """See who holds the state."""


@lock.command("list")
@click.argument("path", default=".")
@document_options
@format_option("text", "json")
@general_options
def list_(**given: Any) -> int:
    """The leases on the state."""

    async def story(session: Session) -> int:
        leases = await session.world.store.leases()
        if given["format_"] == "json":
            emit_json([asdict(lease) for lease in leases])
        elif not leases:
            say(["Nobody holds the state."])
        else:
            # Whoever can write the state wrote these words.
            lines = (f"{lease.id}  {lease.holder}  since {lease.since}, until {lease.expires}" for lease in leases)
            say(map(printable, lines))
        return 0

    return run_session({**given, "without_log": True}, story)


@click.command()
@click.argument("id")
@path_option
@document_options
@general_options
def unlock(id: str, **given: Any) -> int:
    """Break the lock with exactly this ID; whoever held it sends nothing from then on."""

    async def story(session: Session) -> int:
        await session.world.store.break_lease(id)
        say([f"The lock {printable(id)} is broken."])
        return 0

    return run_session({**given, "without_log": True}, story)
