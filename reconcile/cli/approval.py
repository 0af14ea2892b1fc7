"""The question before an apply: asked on a terminal, answered by `yes`, and given up at a signal."""

from __future__ import annotations

import asyncio
import os
import sys

from reconcile.cli.output import ask
from reconcile.core.plan import Plan
from reconcile.core.text import printable
from reconcile.errors import Problem, ReconcileError


async def approve(made: Plan, path: str | None = None) -> None:
    """
    Asks whether to carry the plan out.

    Args:
        path: of the fleet, where a file that nobody vouches for has named it.

    Raises:
        ReconcileError: the answer is not `yes`, or nobody is there to ask.
    """
    if not sys.stdin.isatty():
        raise ReconcileError(
            Problem(
                "there is no terminal to ask at",
                hint="Review a saved plan (`plan --out FILE`, `apply FILE`), or pass --auto-approve"
                if path is None
                else "Set RECONCILE_FINGERPRINT_KEY to the key that the plan was made with, or pass --auto-approve",
            )
        )
    scopes = ", ".join(f"{account} at {host}" for account, host in made.bindings.accounts.values())
    named = f", the fleet in {path}" if path is not None else ""
    ask(
        [
            "",
            printable(f"Do you want to perform these actions on {made.bindings.fleet} ({scopes}){named}?"),
            "  Only 'yes' will be accepted to approve.",
            "",
            "  Enter a value: ",
        ]
    )
    if (await _line(sys.stdin.fileno())).strip() != b"yes":
        raise ReconcileError(Problem("not approved, so nothing was sent"))


async def _line(terminal: int) -> bytes:
    """
    The next line of a terminal; what there is of it when the terminal is gone.

    The loop waits for it and no thread does: a thread in `readline` cannot be ended, and would hold up a Ctrl-C.
    """
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[bytes] = loop.create_future()
    typed = bytearray()

    def readable() -> None:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            part = b""
        typed.extend(part)
        if (not part or b"\n" in part) and not answered.done():
            answered.set_result(bytes(typed).partition(b"\n")[0])

    loop.add_reader(terminal, readable)
    try:
        return await answered
    finally:
        loop.remove_reader(terminal)
