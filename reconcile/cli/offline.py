"""`plan --offline [--against DIR]`: what files alone can tell. No network, no credentials, no state."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from reconcile import __version__
from reconcile.cli.options import request_of
from reconcile.cli.output import say
from reconcile.cli.reports import asked_for, report_of, say_what_allows, show_report, write_reports
from reconcile.core.bindings import Bindings
from reconcile.core.offline import offline_plan
from reconcile.core.options import Options
from reconcile.core.ports import Document
from reconcile.errors import InvalidInput, Problem, Refused, worst
from reconcile.wiring import CommandRequest, document, key_here, root, trust_of

_NEEDS_MORE = (
    *("--refresh-only", "--no-refresh", "--destroy", "--rewrite"),
    *("--retry-failed", "--overwrite-pending", "--show-unmanaged"),
)
_ASKED = {"--destroy": "destroys"}


def plan_offline(given: dict[str, Any], options: Options, expires: timedelta) -> int:
    """
    Shows, saves and reports a plan of files against files; returns the exit code.

    Raises:
        InvalidInput: the files of a side, or what is asked needs more than files.
    """
    from reconcile.cli.saved import seal_made, sealing
    from reconcile.planfile import write

    if not given["offline"]:
        raise InvalidInput(Problem("--against goes with --offline", hint="Or leave it out: the live account is asked"))
    if more := [option for option in _NEEDS_MORE if given[_ASKED.get(option, option[2:].replace("-", "_"))]]:
        hint = "The account and the state tell that: plan without --offline"
        raise InvalidInput(Problem(f"{', '.join(more)} needs more than files", hint=hint))
    asked = asked_for(given)
    request = request_of(given)
    files = document(request)
    base = _base(request, files, given["against"]) if given["against"] is not None else None
    providers = request.parts.providers()
    used = dict.fromkeys([*files.providers(), *(base.providers() if base is not None else ())])
    types = {kind.path: kind for name in providers if name in used for kind in providers[name].types}
    trust = trust_of(request)
    options = replace(options, offline=True, against=given["against"], untrusted=trust.untrusted)
    now = request.parts.now()
    bindings = Bindings(
        files.fleet,
        files.path,
        document=files.digest,
        tool=__version__,
        made=now.isoformat(timespec="seconds"),
        expires=(now + expires).isoformat(timespec="seconds"),
        options=options,
    )
    made = offline_plan(files, base, types, bindings, options)
    seal = None
    if given["out"]:
        key = key_here(os.environ)
        write(made, Path(given["out"]), **sealing(key))
        seal = seal_made(key, "no key is here")
    report = report_of(given, made, types, seal=seal)
    write_reports(asked, report)
    show_report(given, report)
    if seal is not None and given["format_"] == "text":
        say(["", f"Saved the plan to: {given['out']}", "", "This plan is for review only: apply refuses it."])
    if made.refused and given["format_"] == "text":
        say_what_allows(report)
    return worst([Refused.exit_code if made.refused else 0, 2 if given["detailed_exitcode"] and _differs(made) else 0])


def _differs(made: Any) -> bool:
    return bool(made.changed or made.settings)


def _base(request: CommandRequest, files: Document, directory: str) -> Document:
    """The same fleet in another checkout: its own tables and defaults, and the values that the command line gives."""
    # Below what the other side may name files, seen from its directory: as here.
    place = Path(directory) if Path(directory).is_dir() else Path(directory).parent
    above = place / os.path.relpath(root(request, files), files.directory)
    there = replace(request, path=directory, var=(), var_files=(), held=files.given, root=str(above))
    base = document(there)
    if base.fleet != files.fleet:
        what = f"{directory} holds the fleet {base.fleet}, and {request.path} the fleet {files.fleet}"
        raise InvalidInput(Problem(what, hint="Name the same fleet's directory in the other checkout"))
    return base
