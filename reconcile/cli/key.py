"""`key new|show-id`: the key that seals plans and tells whether a secret changed. Nothing is written here."""

from __future__ import annotations

import os
from typing import Any

import click

from reconcile.cli.options import format_option, general_options, request_of
from reconcile.cli.output import emit_json, say
from reconcile.core.text import printable
from reconcile.errors import Problem, ReconcileError


@click.group()
def key() -> None:
    """Look after the key that seals plans and tells whether a secret changed."""


@key.command("new")
def new() -> int:
    """Print a new key, for RECONCILE_FINGERPRINT_KEY. It is kept nowhere."""
    from reconcile.wiring import new_key

    say([new_key()])
    return 0


@key.command("show-id")
@format_option("text", "json")
@general_options
def show_id(**given: Any) -> int:
    """Print the id of the key that is here, and where it comes from. The id says nothing about the key."""
    from reconcile.wiring import key_here, key_source

    request_of(given)
    found, source = key_here(os.environ), key_source(os.environ)
    if found is None:
        place = f", or make a first saved plan: it makes {source}" if source else ""
        raise ReconcileError(
            Problem(
                "no fingerprint key is here",
                hint=f"Set RECONCILE_FINGERPRINT_KEY (`reconcile key new` prints a new one){place}",
            )
        )
    if given["format_"] == "json":
        emit_json({"key_id": found.key_id, "source": source})
    else:
        say([f"{found.key_id}  {printable(source or '')}"])
    return 0
