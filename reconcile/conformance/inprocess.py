"""Commands run in this process: with the real command line, an environment of their own, and no waiting."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconcile.cli import reconcile
from reconcile.cli.output import run
from reconcile.conformance.haste import environment, fast_loops
from reconcile.wiring import Parts


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The end of a command: its exit code, and what it said."""

    code: int
    out: str
    err: str


def run_here(arguments: Sequence[str], environ: Mapping[str, str], parts: Parts) -> CommandResult:
    """Runs a command; its event loops are fast."""
    out, err = io.StringIO(), io.StringIO()
    with (
        fast_loops(),
        environment(environ),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run(reconcile, list(arguments), parts)
    result = CommandResult(code, out.getvalue(), err.getvalue())
    assert "reconcile itself is broken" not in result.err, f"an exception that is none of reconcile.errors: {result}"
    return result
