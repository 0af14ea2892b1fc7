"""
`plan` and `drift`: what would change, and what somebody else changed.

No lock is taken. Only FILE is written, and the key that seals it where there is none.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from reconcile.cli.advice import command, given_again, what_allows
from reconcile.cli.options import (
    document_options,
    duration,
    format_option,
    general_options,
    options_of,
    path_argument,
    plan_options,
    untrusted_option,
)
from reconcile.cli.output import colored, put, say
from reconcile.cli.session import Session, run_session
from reconcile.core.plan import Plan
from reconcile.core.seal import Fit, Seal
from reconcile.errors import Refused


@click.command()
@path_argument
@click.option("--out", metavar="FILE", help="Save the plan, for `apply FILE`.")
@click.option("--expires", default="7d", show_default=True, help="How long a saved plan may be applied.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there are changes.")
@plan_options
@untrusted_option
@document_options
@format_option("text", "json")
@general_options
def plan(**given: Any) -> int:
    """Show what would change in the fleet at PATH."""
    options, expires = options_of(given), duration(given["expires"])
    if given["out"]:
        from reconcile.planfile import check_writable

        check_writable(Path(given["out"]))

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
        if seal is not None and not seal.verified and given["format_"] == "text":
            say_seal(seal)
        show_plan(made, session.world.types, given["format_"], planned.per_s, seal)
        if given["out"] and given["format_"] == "text":
            say(["", f"Saved the plan to: {given['out']}"])
            if made.bindings.untrusted:
                say(["", "This plan is for review only: apply refuses plans of untrusted documents."])
            elif made.applicable:
                intro = "To perform exactly these actions, run the following command to apply:"
                say(["", intro, f"    {command('apply', given['out'], *given_again(given))}"])
        if made.refused and not options.refresh_only:
            session.codes.append(Refused.exit_code)
            if given["format_"] == "text" and (allowing := what_allows(given, made)) is not None:
                say(["", "If that is meant, run the following command:", f"    {allowing}"])
        return 2 if given["detailed_exitcode"] and (made.changed or made.not_compared or made.taken_over) else 0

    return run_session(given, story)


@click.command()
@path_argument
@untrusted_option
@document_options
@format_option("text", "json")
@general_options
def drift(**given: Any) -> int:
    """Show what somebody else changed in the fleet at PATH; exits 2 when there is something."""
    from reconcile.core.options import Options

    async def story(session: Session) -> int:
        from reconcile import workflow
        from reconcile.render.drift import drift_text

        made = (await workflow.plan_fleet(session.world, Options())).plan
        await session.planned(made)
        made.changes = [change for change in made.changes if change.drifted]
        made.not_compared, made.unresolved_secrets = [], 0  # who rotated one is told by its date, without its value
        if given["format_"] == "json":
            show_plan(made, session.world.types, "json")
        else:
            say(drift_text(made, types=session.world.types, color=colored(sys.stdout)))
        return 2 if made.changes else 0

    return run_session(given, story)


def say_seal(seal: Seal) -> None:
    """On standard output, whether anybody vouches for a plan's file; before the plan itself."""
    from reconcile.render.paint import Paint
    from reconcile.render.show import seal_line

    say([seal_line(seal, Paint(colored(sys.stdout)))])


def show_plan(made: Plan, types: Any, format_: str, per_s: float | None = None, seal: Seal | None = None) -> None:
    """A plan on standard output; JSON holds the `seal` of its file, if it has one."""
    if format_ == "json":
        from reconcile.render.json.plan import plan_json_text

        for part in plan_json_text(made, types, seal):
            put(part)
        put("\n")
        return
    from reconcile.render.text import plan_text

    say(plan_text(made, types=types, color=colored(sys.stdout), width=screen_width(), per_s=per_s))


def screen_width() -> int:
    """Columns of the terminal; 100 where there is none."""
    import shutil

    return max(60, min(shutil.get_terminal_size((100, 24)).columns, 160)) if sys.stdout.isatty() else 100
