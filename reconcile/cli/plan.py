"""
`plan` and `drift`: what would change, and what somebody else changed.

No lock is taken. Only FILE is written, and the key that seals it where there is none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

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
from reconcile.cli.output import say
from reconcile.cli.reports import (
    asked_for,
    commit_here,
    report_of,
    report_options,
    repository_here,
    say_seal,
    say_what_allows,
    show_report,
    write_reports,
)
from reconcile.cli.session import Session, run_session
from reconcile.errors import Refused
from reconcile.render.report import PlanReport


@click.command()
@path_argument
@click.option("--out", metavar="FILE", help="Save the plan, for `apply FILE`.")
@click.option("--expires", default="7d", show_default=True, help="How long a saved plan may be applied.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there are changes.")
@click.option("--offline", is_flag=True, help="Read the files alone: no network, no credentials, no state.")
@click.option("--against", metavar="DIR", help="With --offline: compare with the same fleet in another checkout.")
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
    if given["offline"] or given["against"] is not None:
        from reconcile.cli.offline import plan_offline

        return plan_offline(given, options, expires)
    asked = asked_for(given)

    async def story(session: Session) -> int:
        from reconcile import workflow
        from reconcile.cli.saved import seal_made, sealing
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
            seal = seal_made(key, why)
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
            if text:
                say_what_allows(report)
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
