"""`apply` and `destroy`: carry a plan out, a saved one exactly as it shows, or plan, ask and apply."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconcile.cli.approval import approve
from reconcile.cli.options import document_options, format_option, general_options, options_of, plan_options
from reconcile.cli.output import colored, complain, emit_json, fail, flush, say
from reconcile.cli.plan import show_plan
from reconcile.cli.session import Session, run_session
from reconcile.core.options import Options
from reconcile.core.plan import Action, Plan, Reason
from reconcile.errors import InvalidInput, PartlyApplied, Problem, ReconcileError, Refused, worst

if TYPE_CHECKING:
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
            help="Wait so many seconds for another run.",
        ),
        click.option(
            "--wait",
            type=click.Choice(["none", "accepted", "settled"]),
            default="accepted",
            show_default=True,
            help="Until when: the API took it, or the device did it.",
        ),
        click.option(
            "--timeout", type=click.FloatRange(min=0), default=600.0, metavar="S", help="How long --wait settled waits."
        ),
        click.option(
            "--overwrite-pending", is_flag=True, help="Replace what somebody else staged and no unit has fetched yet."
        ),
        click.option("--retry-failed", is_flag=True, help="Send again what units could not do."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("path", metavar="[PLAN_FILE | PATH]", default=".")
@apply_options
@plan_options
@document_options
@format_option("text", "json")
@general_options
def apply(**given: Any) -> int:
    """Make the live APIs agree with the fleet at PATH, or carry out the plan saved in PLAN_FILE."""
    options = options_of(given)
    from reconcile.planfile import looks_like_plan

    if looks_like_plan(Path(given["path"])):
        return _apply_saved(given, options)
    return _plan_and_apply(given, options)


@click.command()
@click.argument("path", default=".")
@apply_options
@plan_options
@document_options
@format_option("text", "json")
@general_options
def destroy(**given: Any) -> int:
    """Delete what can be deleted of the fleet at PATH, and forget the rest."""
    return _plan_and_apply(given, replace(options_of(given), destroy=True))


def _plan_and_apply(given: dict[str, Any], options: Options) -> int:
    async def story(session: Session) -> int:
        from reconcile import workflow
        from reconcile.planfile import fingerprint_of

        world, wait_s = session.world, given["lock_timeout"]

        async def plan_and_ask(approved: Plan | None = None) -> workflow.Planned:
            planned = await workflow.plan(world, options)
            made = planned.plan
            await session.planned(made)
            if given["format_"] == "text":
                show_plan(made, world.types, "text", planned.per_s)
            workflow.refuse(made)
            same = approved is not None and fingerprint_of(approved) == fingerprint_of(made)
            if (
                (made.changed or any(change.fields for change in made.changes))
                and not given["auto_approve"]
                and not same
            ):
                await approve(made)
            return planned

        await workflow.connect(world)
        if await world.store.head() is not None:
            # Another run's changes would make this plan stale: so the lease comes first, once there is a state.
            async with workflow.held(world, wait_s) as journal:
                planned = await plan_and_ask()
                await workflow.remember(planned, journal)
                results = await _carry_out(session, planned.plan, journal, planned.read_at)
        else:
            planned = await plan_and_ask()
            results = []
            if planned.plan.changes:
                async with workflow.held(world, wait_s, planned.plan, planned_again=True) as journal:
                    if await workflow.overtaken(world):
                        complain(["Another run made the state meanwhile, so this is planned again."])
                        planned = await plan_and_ask(planned.plan)
                        await workflow.remember(planned, journal)
                    results = await _carry_out(session, planned.plan, journal, planned.read_at)
        return await _finish(given, session, planned.plan, results)

    return run_session(given, story)


def _apply_saved(given: dict[str, Any], options: Options) -> int:
    if replace(options, overwrite_pending=False) != Options():
        raise InvalidInput(
            Problem("a saved plan is applied exactly as it is", way_out="Leave the plan options out, or plan again")
        )
    from reconcile.planfile import fingerprint_of, read

    file = Path(given["path"])
    # The seal needs the key, and the key the wiring, and the wiring the PATH: so the file is read twice.
    unchecked, _, _ = read(file, seal_key=None, key_id=None)
    planned_for = unchecked.bindings.path
    if not Path(planned_for).exists():
        raise InvalidInput(
            Problem(
                f"the plan is of {planned_for}, and that is not here",
                way_out="A plan names its fleet as it was given: run this in the directory where the plan was made",
            )
        )

    async def story(session: Session) -> int:
        from reconcile import workflow

        world, key = session.world, session.wired.key
        made, digest, sealed = read(
            file, seal_key=key.subkey("seal") if key else None, key_id=key.key_id if key else None
        )
        if await world.store.applied(digest):
            raise Refused(Problem("this plan was applied already", way_out="Plan again"))
        await session.planned(made)
        overwrite = options.overwrite_pending
        async with workflow.held(world, given["lock_timeout"], made, overwrite) as journal:
            read_at = None
            if not sealed:
                # Nobody vouches for the file here: so what would be planned now is compared with it, and applied.
                again = await workflow.plan(world, Options.from_json(made.bindings.options))
                await workflow.remember(again, journal)
                await session.planned(again.plan)
                same = fingerprint_of(again.plan) == fingerprint_of(made)
                made, read_at = again.plan, again.read_at
                if not same:
                    raise Refused(
                        Problem(
                            "the plan is not what would be planned now, and no key is here that vouches for it",
                            way_out="Plan again, or set RECONCILE_FINGERPRINT_KEY to the key that it was made with",
                        )
                    )
            results = await _carry_out(session, made, journal, read_at, digest, overwrite)
        return await _finish(given, session, made, results)

    return run_session({**given, "path": planned_for}, story)


async def _carry_out(
    session: Session,
    made: Plan,
    journal: Any,
    read_at: float | None,
    digest: str | None = None,
    overwrite_pending: bool = False,
) -> list[Result]:
    """Sends a plan's changes under the lease; a saved plan (`digest`) of nothing is recorded as applied too."""
    from reconcile import workflow
    from reconcile.core.values import SecretRef
    from reconcile.workflow import Apply, Stop

    if not made.changes and digest is None:
        return []
    if any(isinstance(part.after, SecretRef) for change in made.changes for part in change.fields):
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
        overwrite_pending=overwrite_pending,
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
