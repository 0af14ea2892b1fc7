"""`apply` and `destroy`: carry a plan out, a saved one exactly as it shows, or plan, ask and apply."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconcile.cli.approval import approve
from reconcile.cli.options import (
    document_options,
    format_option,
    general_options,
    options_of,
    plan_options,
    refuse_untrusted,
    request_of,
    trusted_option,
)
from reconcile.cli.output import colored, complain, emit_json, fail, flush, say
from reconcile.cli.plan import show_plan
from reconcile.cli.session import Session, run_session
from reconcile.core.bindings import APPLIED
from reconcile.core.options import Options
from reconcile.core.plan import Action, Plan, Reason
from reconcile.core.text import printable
from reconcile.errors import PartlyApplied, ReconcileError, Refused, worst

if TYPE_CHECKING:
    from reconcile.planfile import Saved
    from reconcile.workflow import Result


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
@apply_options
@plan_options
@trusted_option
@document_options
@format_option("text", "json")
@general_options
def apply(**given: Any) -> int:
    """Make the live APIs agree with the fleet at PATH, or carry out the plan saved in PLAN_FILE."""
    refuse_untrusted(given)
    options = options_of(given)
    from reconcile.planfile import looks_like_plan

    if looks_like_plan(Path(given["path"])):
        return _apply_saved(given, options)
    return _plan_and_apply(given, options)


@click.command()
@click.argument("path", default=".")
@apply_options
@plan_options
@trusted_option
@document_options
@format_option("text", "json")
@general_options
def destroy(**given: Any) -> int:
    """Delete what can be deleted of the fleet at PATH, and forget the rest."""
    refuse_untrusted(given)
    return _plan_and_apply(given, replace(options_of(given), destroy=True))


def _plan_and_apply(given: dict[str, Any], options: Options, saved: Saved | None = None) -> int:
    """
    Plans, shows that, asks, and carries it out.

    Args:
        saved: the file that has to agree with what is planned now, where there is no key that vouches for it.
    """

    async def story(session: Session) -> int:
        from reconcile import workflow
        from reconcile.planfile import effect_of

        world, wait_s = session.world, given["lock_timeout"]
        digest = saved.digest if saved else None

        async def plan_and_ask(approved: Plan | None = None) -> workflow.Planned:
            planned = await workflow.plan(world, options)
            made = planned.plan
            await session.planned(made)
            if given["format_"] == "text":
                show_plan(made, world.types, "text", planned.per_s)
            if saved:
                from reconcile.cli.saved import check_agreement

                check_agreement(saved, made)
            workflow.refuse(made)
            asks = (made.changed or any(change.fields for change in made.changes)) and not given["auto_approve"]
            if asks and (approved is None or effect_of(approved) != effect_of(made)):
                await approve(made, given["path"] if saved else None)
            return planned

        await workflow.connect(world)
        if saved:
            await _not_applied(session, saved)
            await workflow.check_plan(world, saved.plan)
        if await world.store.head() is not None:
            # Another run's changes would make this plan stale: so the lease comes first, once there is a state.
            async with workflow.held(world, wait_s, saved.plan if saved else None) as journal:
                planned = await plan_and_ask()
                await workflow.remember(planned, journal)
                results = await _carry_out(session, planned.plan, journal, planned.read_at, digest)
        else:
            planned = await plan_and_ask()
            results = []
            if planned.plan.changes or saved:
                async with workflow.held(world, wait_s, planned.plan, planned_again=saved is None) as journal:
                    if saved is None and await workflow.overtaken(world):
                        complain(["Another run made the state meanwhile, so this is planned again."])
                        planned = await plan_and_ask(planned.plan)
                        await workflow.remember(planned, journal)
                    results = await _carry_out(session, planned.plan, journal, planned.read_at, digest)
        return await _finish(given, session, planned.plan, results)

    return run_session(given, story)


def _apply_saved(given: dict[str, Any], options: Options) -> int:
    """Carries out a plan that its seal vouches for; one that nobody vouches for is planned again, and asked about."""
    from reconcile.cli.saved import read_saved

    saved = read_saved(given, options)
    made = saved.plan
    given_there = {**given, "path": made.bindings.path}
    if not saved.seal.verified:
        request_of(given)
        complain(
            [printable(f"There is no key here to verify {given['path']}, so {made.bindings.path} is planned again.")]
        )
        return _plan_and_apply(given_there, made.bindings.options, saved)

    async def story(session: Session) -> int:
        from reconcile import workflow

        await _not_applied(session, saved)
        await session.planned(made)
        async with workflow.held(session.world, given["lock_timeout"], made) as journal:
            results = await _carry_out(session, made, journal, None, saved.digest)
        return await _finish(given, session, made, results)

    return run_session(given_there, story)


async def _not_applied(session: Session, saved: Saved) -> None:
    if await session.world.store.applied(saved.digest):
        raise Refused(APPLIED)


async def _carry_out(
    session: Session,
    made: Plan,
    journal: Any,
    read_at: float | None,
    digest: str | None = None,
) -> list[Result]:
    """Sends a plan's changes under the lease; a saved plan (`digest`) of nothing is recorded as applied too."""
    from reconcile import workflow
    from reconcile.workflow import Apply, Stop

    if not made.changes and digest is None:
        return []
    if workflow.writes_secrets(made):
        await session.wired.make_key()

    def running(carrying: Apply) -> None:
        def stop() -> None:
            complain(["Stopping: what is in flight is finished, nothing new is started. Again to leave at once."])
            carrying.stop = carrying.stop or Stop.INTERRUPTED

        session.on_first_signal = stop

    results = await workflow.apply(
        session.world,
        made,
        journal,
        read_at=read_at,
        digest=digest,
        running=running,
    )
    session.watch.close()
    return results


async def _finish(given: dict[str, Any], session: Session, made: Plan, results: list[Result]) -> int:
    """The lease is given back by now: says what was done, waits if that was asked for, and returns the exit code."""
    from reconcile.workflow import Outcome

    _show_results(given, session, made, results)
    codes = [0]
    codes += [
        result.error.exit_code for result in results if result.error is not None and result.error.exit_code in (4, 6)
    ]
    if any(result.outcome is not Outcome.DONE for result in results):
        codes.append(PartlyApplied.exit_code)
    if given["wait"] == "settled" and not session.signals:
        codes += await _settled(given, session, made, results)
    return worst(codes)


async def _settled(given: dict[str, Any], session: Session, made: Plan, results: list[Result]) -> list[int]:
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
    session.on_first_signal = task.cancel
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


def _show_results(given: dict[str, Any], session: Session, made: Plan, results: list[Result]) -> None:
    from reconcile.core.events import ChangeDone
    from reconcile.render.apply import Applied, apply_text
    from reconcile.render.json.results import apply_json
    from reconcile.workflow import Outcome, verb_of

    totals = [0, 0, 0, 0, 0]
    renewed = 0
    for result in results:
        if result.outcome is Outcome.DONE:
            totals = [total + count for total, count in zip(totals, result.change.counts, strict=True)]
            renewed += result.change.action is Action.NOOP and result.change.reason is Reason.LEASE_ENDS
    imported, added, changed, destroyed, forgotten = totals
    staged = sum(bool(result.change.stamp) for result in results if result.outcome is Outcome.DONE)
    counts = Applied(added, changed, destroyed, imported, forgotten, renewed, len(made.unread), staged)
    said = [
        ChangeDone(result.change.address, verb_of(result.change), result.outcome, 0.0, result.detail, result.where)
        for result in results
    ]
    if given["format_"] == "json":
        emit_json(apply_json(said, counts))
    else:
        say(["", *apply_text(said, counts, types=session.world.types, unread=made.unread, color=colored(sys.stdout))])
