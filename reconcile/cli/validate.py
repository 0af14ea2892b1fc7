"""`validate`: everything that needs no network and no credentials, all errors in one pass, several fleets at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from reconcile import __version__
from reconcile.cli.options import document_options, format_option, general_options, request_of, untrusted_option
from reconcile.cli.output import colored, complain, emit_json, put, say
from reconcile.cli.reports import repository_here
from reconcile.core.claims import Claims
from reconcile.errors import InvalidInput, Problem, worst
from reconcile.render.validated import Validated, junit, sarif


@click.command()
@click.argument("paths", nargs=-1)
@untrusted_option
@document_options
@format_option("text", "json", "junit", "sarif")
@general_options
def validate(paths: tuple[str, ...], format_: str, **given: Any) -> int:
    """Check the files of fleets; PATH is a fleet's directory, default the current one."""
    import sys

    from reconcile.render.json.results import problems_json
    from reconcile.render.problems import problems_text, warnings_text
    from reconcile.wiring import document, trust_of

    request = request_of(given)
    claims = Claims(request.parts.providers())
    trust = trust_of(request)
    color, codes, reports, fleets = colored(sys.stderr), [0], [], list[Validated]()
    for path in paths or (".",):
        problems: tuple[Problem, ...] = ()
        warnings: list[str] = []
        opens: list[str] = []
        try:
            files = document(replace(request, path=path))
            opens, warnings = list(files.opens), [*files.warnings, *claims.of(files)]
            if format_ == "text":
                complain(warnings_text(warnings, color=color))
                say([f"Success! The configuration is valid: {files.fleet} ({path})."])
                if opens:
                    say([f"Environment: {', '.join(opens)}"])
        except InvalidInput as wrong:
            problems = wrong.problems
            codes.append(wrong.exit_code)
            if format_ == "text":
                complain(problems_text(problems, color=color))
        fleets.append(Validated(path, problems, warnings))
        ours = {"untrusted": trust.untrusted, "environment": opens}
        reports.append({"path": path, "valid": not problems, **problems_json(problems, warnings), "reconcile": ours})
    if format_ == "json":
        emit_json(reports if len(reports) != 1 else reports[0])
    elif format_ == "sarif":
        here = repository_here()
        emit_json(sarif(fleets, __version__, here.under if here is not None else ""))
    elif format_ == "junit":
        put(junit(fleets))
    return worst(codes)
