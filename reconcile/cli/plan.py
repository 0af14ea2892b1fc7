"""
`plan` and `drift`: what would change, and what somebody else changed.

No lock is taken. Only FILE is written, and the key that seals it where there is none.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from reconcile.cli.advice import command, flat, given_again, options_given, what_allows
from reconcile.cli.options import (
    document_options,
    duration,
    general_options,
    options_of,
    path_argument,
    plan_options,
    selections,
    untrusted_option,
)
from reconcile.cli.output import colored, say
from reconcile.cli.reports import asked_for, commit_here, report_options, repository_here, show_report, write_reports
from reconcile.cli.session import Session, run_session
from reconcile.core.digest import digest_of
from reconcile.core.plan import Plan
from reconcile.core.seal import Fit, Seal
from reconcile.errors import Refused
from reconcile.render.report import PlanReport
from reconcile.render.words import Types


@click.command()
@path_argument
@click.option("--out", metavar="FILE", help="Save the plan, for `apply FILE`.")
@click.option("--expires", default="7d", show_default=True, help="How long a saved plan may be applied.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there are changes.")
@plan_options
@untrusted_option
@document_options
@report_options
@general_options
def plan(**given: Any) -> int:
    """Show what would change in the fleet at PATH."""
    options, expires = options_of(given), duration(given["expires"])
    if given["out"]:
        from reconcile.planfile import check_writable

        check_writable(Path(given["out"]))
    asked = asked_for(given)

    async def story(session: Session) -> int:
        from reconcile import workflow
        from reconcile.cli.saved import sealing
        from reconcile.planfile import write

        planned = await workflow.plan_fleet(session.world, options, expires)
        made = planned.plan
        await session.planned(made)
        seal = None
        if given["out"]:
            why = await session.wired.key_to_seal()
            key = session.wired.key
            await workflow.bind(session.world, made)
            write(made, Path(given["out"]), **sealing(key))
            seal = Seal(Fit.FITS, key.key_id, key.key_id) if key else Seal(Fit.NONE, why=why)
        report = report_of(given, made, session.world.types, seal=seal, per_s=planned.per_s)
        write_reports(asked, report)
        text = given["format_"] == "text"
        if seal is not None and not seal.verified and text:
            say_seal(seal)
        show_report(given, report)
        if text and report.digest is not None and (given["out"] or made.changed):
            say(["", f"Plan digest: {report.digest}"])
        if given["out"] and text:
            say(["", f"Saved the plan to: {given['out']}"])
            if made.bindings.untrusted:
                say(["", "This plan is for review only: apply refuses plans of untrusted documents."])
            elif report.applies is not None:
                intro = "To perform exactly these actions, run the following command to apply:"
                say(["", intro, f"    {report.applies}"])
        if made.refused and not options.refresh_only:
            session.codes.append(Refused.exit_code)
            if text and report.allows is not None:
                say(["", "If that is meant, run the following command:", f"    {report.allows}"])
        return 2 if given["detailed_exitcode"] and (made.changed or made.not_compared or made.taken_over) else 0

    return run_session(given, story)


@click.command()
@path_argument
@click.option("--target", "targets", multiple=True, metavar="SEL", help="Only this.")
@untrusted_option
@document_options
@report_options
@general_options
def drift(**given: Any) -> int:
    """Show what somebody else changed in the fleet at PATH; exits 2 when there is something."""
    from reconcile.core.options import Options

    asked, options = asked_for(given), Options(selections(given["targets"]))

    async def story(session: Session) -> int:
        from reconcile import workflow

        made = (await workflow.plan_fleet(session.world, options)).plan
        await session.planned(made)
        made.changes = [change for change in made.changes if change.drifted]
        made.not_compared, made.unresolved_secrets = [], 0  # who rotated one is told by its date, without its value
        report = PlanReport(made, session.world.types, drift=True, repository=repository_here(), commit=commit_here())
        write_reports(asked, report)
        show_report(given, report)
        return 2 if made.changes else 0

    return run_session(given, story)


def report_of(
    given: Mapping[str, Any], made: Plan, types: Types, *, seal: Seal | None = None, per_s: float | None = None
) -> PlanReport:
    """
    What is shown of a plan that was made here.

    Args:
        seal: of the file that it was saved to, if it was.
    """
    options, again = made.bindings.options, given_again(given)
    if seal is not None and seal.verified:  # it holds the variables
        again = given_again({**given, "var": (), "var_files": ()})
    digest = None if made.bindings.untrusted else digest_of(made)
    applies = None
    if made.applicable:
        bound = ["--expect-digest", digest] if digest is not None else []
        words = [given["out"]] if seal is not None else [given["path"], *flat(options_given(options)), *bound]
        applies = command("apply", *words, *again)
    return PlanReport(
        made,
        types,
        digest=digest,
        seal=seal,
        per_s=per_s,
        applies=applies,
        allows=what_allows(given, made) if made.refused else None,
        shows=command("show", given["out"]) if seal is not None else command("plan", given["path"], *again, "--target"),
        repository=repository_here(),
        commit=commit_here(),
    )


def say_seal(seal: Seal) -> None:
    """On standard output, whether anybody vouches for a plan's file; before the plan itself."""
    from reconcile.render.paint import Paint
    from reconcile.render.show import seal_line

    say([seal_line(seal, Paint(colored(sys.stdout)))])
