"""`apply` and `destroy`: carry a plan out, a saved one exactly as it shows, or plan, ask and apply."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconcile.cli.approval import approve
from reconcile.cli.expected import Expected, check_expected, expect_options, expected_of
from reconcile.cli.options import (
    document_options,
    duration,
    format_option,
    general_options,
    most_failures,
    options_of,
    plan_options,
    refuse_untrusted,
    request_of,
    trusted_option,
)
from reconcile.cli.output import colored, complain, emit_json, fail, flush, say
from reconcile.cli.reports import asked_for, report_of, report_option, show_report, write_reports
from reconcile.cli.session import Session, run_session
from reconcile.core.options import Options
from reconcile.core.plan import Action, Plan, Reason
from reconcile.core.text import printable
from reconcile.errors import AccessDenied, InvalidInput, PartlyApplied, Problem, ReconcileError, worst

if TYPE_CHECKING:
    from reconcile.planfile import Saved
    from reconcile.workflow import Apply, Result


def apply_options(command: Any) -> Any:
    """Of `apply` and `destroy` alone."""
    for option in (
        click.option("--auto-approve", is_flag=True, help="Do not ask."),
        click.option(
            "--lock-timeout",
            type=click.FloatRange(min=0),
            default=0.0,
            metavar="S",
            help="Wait up to S seconds for another run.",
        ),
        click.option(
            "--deadline",
            metavar="D",
            help="Start nothing new after this long, like 50m; what is in flight is finished.",
        ),
        click.option(
            "--max-failures",
            metavar="N|P%",
            help="How many changes of a type may fail; limits.failures says it for good.",
        ),
        click.option(
            "--wait",
            type=click.Choice(["none", "accepted", "settled"]),
            default="accepted",
            show_default=True,
            help="Until when: the API took it, or the device did it.",
        ),
        click.option(
            "--timeout",
            type=click.FloatRange(min=0),
            default=600.0,
            metavar="S",
            help="How long --wait settled may take.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("path", metavar="[PLAN_FILE | PATH]", default=".")
@click.option("--path", "fleet_path", metavar="DIR", help="Of PLAN_FILE: the fleet's directory here.")
@expect_options
@apply_options
@plan_options
@trusted_option
@document_options
@format_option("text", "json")
@report_option
@general_options
def apply(**given: Any) -> int:
    """Make the live APIs agree with the fleet at PATH, or carry out the plan saved in PLAN_FILE."""
    refuse_untrusted(given)
    options = options_of(given)
    most_failures(given)
    _check_deadline(given)
    expected = expected_of(given)
    given["asked"] = asked_for(given)
    from reconcile.planfile import looks_like_plan

    if looks_like_plan(Path(given["path"])):
        return _apply_saved(given, options, expected)
    if given["fleet_path"] is not None:
        hint = "For a fleet's directory, name it as PATH"
        raise InvalidInput(Problem("--path goes with a plan file", hint=hint))
    return _plan_and_apply(given, options, expected=expected)


@click.command()
@click.argument("path", default=".")
@apply_options
@plan_options
@trusted_option
@document_options
@format_option("text", "json")
@report_option
@general_options
def destroy(**given: Any) -> int:
    """Delete what can be deleted of the fleet at PATH, and forget the rest."""
    refuse_untrusted(given)
    _check_deadline(given)
    given["asked"] = asked_for(given)
    return _plan_and_apply(given, replace(options_of(given), destroy=True))


def _check_deadline(given: dict[str, Any]) -> None:
    """Raises InvalidInput when `--deadline` is no length of time."""
    if given["deadline"] is not None:
        duration(given["deadline"])


def _plan_and_apply(
    given: dict[str, Any], options: Options, saved: Saved | None = None, expected: Expected | None = None
) -> int:
    """
    Plans, shows that, asks, and carries it out.

    Args:
        saved: the file that has to agree with what is planned now, where there is no key that vouches for it.
    """

    async def story(session: Session) -> int:
        from reconcile import workflow
        from reconcile.planfile import effect_of

        if saved:
            await session.wired.check_key()

        async def show(planned: workflow.Planned) -> None:
            await session.planned(planned.plan)
            if given["asked"] or given["format_"] == "text":
                report = report_of(given, planned.plan, session.world.types, per_s=planned.per_s)
                write_reports(given["asked"], report)
                if given["format_"] == "text":
                    show_report(given, report)
            check_expected(expected, planned.plan, session.world.types)
            if saved:
                from reconcile.cli.saved import check_agreement

                check_agreement(saved, planned.plan)

        async def ask(made: Plan, approved: Plan | None) -> None:
            asks = (made.changed or any(change.fields for change in made.changes)) and not given["auto_approve"]
            if asks and (approved is None or effect_of(approved) != effect_of(made)):
                await approve(made, given["path"] if saved else None)

        session.world.max_failures = most_failures(given)
        hands = workflow.Hands(show, ask, _stopping(session))
        file = workflow.SavedPlan(saved.plan, saved.digest) if saved else None
        made, results = await workflow.apply_fleet(session.world, options, hands, given["lock_timeout"], file)
        return await _finish(given, session, made, results)

    return run_session(given, story)


def _apply_saved(given: dict[str, Any], options: Options, expected: Expected | None) -> int:
    """Carries out a plan that its seal vouches for; one that nobody vouches for is planned again, and asked about."""
    from reconcile.cli.saved import read_saved

    saved = read_saved(given, options)
    bound = saved.plan.bindings
    path = given["fleet_path"] or bound.path
    held = {name: value for name, value in bound.given.items() if value is not None}
    given_there = {**given, "path": path, "held": held}
    if not saved.seal.verified:
        request_of(given)
        complain([printable(f"There is no key here to verify {given['path']}, so {path} is planned again.")])
        return _plan_and_apply(given_there, bound.options, saved, expected)

    async def story(session: Session) -> int:
        from reconcile import workflow

        await session.wired.check_key()

        async def show(planned: workflow.Planned) -> None:
            await session.planned(planned.plan)
            if given["asked"]:
                write_reports(given["asked"], report_of(given, planned.plan, session.world.types))
            check_expected(expected, planned.plan, session.world.types)

        async def ask(made: Plan, approved: Plan | None) -> None:
            """It was approved as it was saved."""

        session.world.max_failures = most_failures(given)
        file = workflow.SavedPlan(saved.plan, saved.digest)
        hands = workflow.Hands(show, ask, _stopping(session))
        made, results = await workflow.apply_saved(session.world, file, hands, given["lock_timeout"])
        return await _finish(given, session, made, results)

    return run_session(given_there, story)


def _stopping(session: Session) -> Callable[[Apply], None]:
    """What the first signal does to changes that are being carried out: what is in flight is finished."""
    from reconcile.workflow import Stop

    def running(carrying: Apply) -> None:
        def stop() -> None:
            complain(["Stopping: what is in flight is finished, nothing new is started. Again to leave at once."])
            carrying.stop = carrying.stop or Stop.INTERRUPTED

        def late() -> None:
            complain(["The deadline was reached: what is in flight is finished, nothing new is started."])
            carrying.stop = carrying.stop or Stop.DEADLINE

        session.on_first_signal, session.on_deadline = stop, late

    return running


async def _finish(given: dict[str, Any], session: Session, made: Plan, results: Sequence[Result]) -> int:
    """The lease is given back by now: says what was done, waits if that was asked for, and returns the exit code."""
    from reconcile.workflow import Outcome

    session.watch.close()
    _show_results(given, session, made, results)
    codes = [0]
    for result in results:
        if isinstance(result.error, AccessDenied):
            session.denied(result.change.address.provider)
    codes += [
        result.error.exit_code for result in results if result.error is not None and result.error.exit_code in (4, 6)
    ]
    if any(result.outcome is not Outcome.DONE for result in results):
        codes.append(PartlyApplied.exit_code)
    if given["wait"] == "settled" and not session.signals:
        codes += await _settled(given, session, made, results)
    return worst(codes)


async def _settled(given: dict[str, Any], session: Session, made: Plan, results: Sequence[Result]) -> list[int]:
    """
    Waits until units have done what was sent, and says what they have not.

    Returns:
        What it adds to the exit codes.
    """
    from reconcile import workflow
    from reconcile.render.paint import Paint
    from reconcile.render.text import WIDTH, unsettled_lines

    flush()
    waiting = await workflow.waiting(session.world, made, results)
    task = asyncio.ensure_future(waiting.run(given["timeout"]))
    session.on_first_signal = session.on_deadline = task.cancel
    codes = []
    try:
        await asyncio.wait({task})
    finally:
        task.cancel()
    session.watch.close()
    if waiting.settled:
        complain([f"{waiting.settled:,} of {waiting.settled + len(waiting.unsettled):,} have settled"])
    if waiting.unsettled:
        codes.append(ReconcileError.exit_code)
        tell, stream = (say, sys.stdout) if given["format_"] == "text" else (complain, sys.stderr)
        tell(unsettled_lines(waiting.unsettled, session.world.types, Paint(colored(stream), WIDTH)))
    if not task.cancelled() and (error := task.exception()) is not None:
        if not isinstance(error, ReconcileError):
            raise error
        codes.append(fail(error))
    return codes


def _show_results(given: dict[str, Any], session: Session, made: Plan, results: Sequence[Result]) -> None:
    from reconcile.core.events import ChangeDone
    from reconcile.render.apply import Applied, apply_text
    from reconcile.render.json.plan import absent_json, not_compared_json
    from reconcile.render.json.results import apply_json
    from reconcile.render.paint import Paint
    from reconcile.render.text import absent_lines
    from reconcile.workflow import Outcome, verb_of

    totals = [0, 0, 0, 0, 0]
    renewed = 0
    for result in results:
        if result.outcome is Outcome.DONE:
            totals = [total + count for total, count in zip(totals, result.change.counts, strict=True)]
            renewed += result.change.action is Action.NOOP and result.change.reason is Reason.LEASE_ENDS
    imported, added, changed, destroyed, forgotten = totals
    staged = sum(bool(result.change.stamp) for result in results if result.outcome is Outcome.DONE)
    absent = sum(not row.waits for row in made.absent)
    counts = Applied(added, changed, destroyed, imported, forgotten, renewed, len(made.unread), staged, absent)
    said = [
        ChangeDone(result.change.address, verb_of(result.change), result.outcome, 0.0, result.detail, result.where)
        for result in results
    ]
    if given["format_"] == "json":
        told: dict[str, Any] = {
            "warnings": made.warnings,
            "not_compared": not_compared_json(made),
            "absent": absent_json(made),
        }
        emit_json(apply_json(said, counts, told))
    else:
        types, color = session.world.types, colored(sys.stdout)
        say(["", *apply_text(said, counts, types=types, unread=made.unread, color=color)])
        say(absent_lines(made.absent, types, Paint(color)))
