"""`apply` and `destroy`: carry a plan out, a saved one exactly as it shows, or plan, ask and apply."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from reconcile.cli.options import document_options, format_option, general_options, options_of, plan_options
from reconcile.cli.output import colored, complain, emit_json, say
from reconcile.cli.plan import show_plan
from reconcile.cli.session import Session, run_session
from reconcile.core.options import Options
from reconcile.core.plan import Action, Plan, Reason
from reconcile.errors import InvalidInput, PartlyApplied, Problem, ReconcileError, Refused, worst


def apply_options(command: Any) -> Any:
    """Of `apply` and `destroy` alone."""
    for option in (
        click.option("--auto-approve", is_flag=True, help="Do not ask."),
        click.option("--lock-timeout", default=0.0, metavar="S", help="Wait so many seconds for another run."),
        click.option(
            "--wait",
            type=click.Choice(["none", "accepted", "settled"]),
            default="accepted",
            show_default=True,
            help="Until when: the API took it, or the device did it.",
        ),
        click.option("--timeout", default=600.0, metavar="S", help="How long --wait settled waits."),
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

        world = session.world
        await workflow.connect(world)
        journal = None
        if await world.store.head() is not None:
            # Another run's changes would make this plan stale: so the lease comes first, once there is a state.
            journal = await workflow.lock(world, given["lock_timeout"])
        try:
            if journal is not None:
                await journal.__aenter__()
                await workflow.resolve_unfinished(world, journal)
            planned = await workflow.plan(world, options)
            made = planned.plan
            session.watch.close()
            text = given["format_"] == "text"
            if text:
                show_plan(made, world.types, "text", planned.per_s)
            workflow.refuse(made)
            if not made.changes:
                return _finish(given, session, made, [], workflow.unread_allowed(made, world))
            if any(part for change in made.changes for part in change.fields) or made.changed:
                await _approve(given, made)
            if journal is None:
                journal = await workflow.lock(world, given["lock_timeout"])
                await journal.__aenter__()
                if await world.store.unfinished() or (await _serial(session)) != (made.bindings.serial or 0):
                    raise Refused(Problem("another run began after the plan was made", way_out="Run again"))
            return await _carry_out(given, session, made, journal, planned.read_at, None)
        finally:
            if journal is not None:
                await journal.__aexit__(None, None, None)

    return run_session(given, story)


async def _serial(session: Session) -> int:
    head = await session.world.store.head()
    return head.serial if head else 0


def _apply_saved(given: dict[str, Any], options: Options) -> int:
    if options != Options():
        raise InvalidInput(
            Problem("a saved plan is applied exactly as it is", way_out="Leave the plan options out, or plan again")
        )
    from reconcile.planfile import fingerprint_of, read

    file = Path(given["path"])
    # The seal needs the key, and the key the wiring, and the wiring the PATH: so the file is read twice.
    unchecked, _, _ = read(file, seal_key=None, key_id=None)

    async def story(session: Session) -> int:
        from reconcile import workflow

        world, key = session.world, session.wired.key
        made, digest, sealed = read(
            file, seal_key=key.subkey("seal") if key else None, key_id=key.key_id if key else None
        )
        await workflow.connect(world)
        if await world.store.applied(digest):
            raise Refused(Problem("this plan was applied already", way_out="Plan again"))
        head = await world.store.head()
        workflow.check_plan(made, world, head, world.env.now())
        workflow.refuse(made)
        async with await workflow.lock(world, given["lock_timeout"]) as journal:
            if head is not None:
                workflow.check_plan(made, world, await world.store.head(), world.env.now())
            await workflow.resolve_unfinished(world, journal)
            read_at = None
            if not sealed:
                # Nobody vouches for the file here: so what would be planned now is compared with it, and applied.
                again = await workflow.plan(world, Options.from_json(made.bindings.options))
                same = fingerprint_of(again.plan) == fingerprint_of(made)
                made, read_at = again.plan, again.read_at
                if not same:
                    raise Refused(
                        Problem(
                            "the plan is not what would be planned now, and no key is here that vouches for it",
                            way_out="Plan again, or set RECONCILE_FINGERPRINT_KEY to the key that it was made with",
                        )
                    )
            return await _carry_out(given, session, made, journal, read_at, digest)

    return run_session({**given, "path": unchecked.bindings.path}, story)


async def _approve(given: dict[str, Any], made: Plan) -> None:
    """
    Asks, unless that was answered already.

    Raises:
        ReconcileError: the answer is not `yes`, or nobody is there to ask.
    """
    if given["auto_approve"]:
        return
    if not sys.stdin.isatty():
        raise ReconcileError(
            Problem(
                "there is no terminal to ask at",
                way_out="Review a saved plan (`plan --out FILE`, `apply FILE`), or pass --auto-approve",
            )
        )
    scopes = ", ".join(f"{account} at {host}" for account, host in made.bindings.accounts.values())
    complain(
        [
            "",
            f"Do you want to perform these actions on {made.bindings.fleet} ({scopes})?",
            "  Only 'yes' will be accepted to approve.",
            "",
        ]
    )
    sys.stderr.write("  Enter a value: ")
    sys.stderr.flush()
    answer = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    if answer.strip() != "yes":
        raise ReconcileError(Problem("not approved, so nothing was sent"))


async def _carry_out(
    given: dict[str, Any], session: Session, made: Plan, journal: Any, read_at: float | None, digest: str | None
) -> int:
    from reconcile import workflow
    from reconcile.core.values import SecretRef
    from reconcile.workflow import Apply, Stop

    if any(isinstance(part.after, SecretRef) for change in made.changes for part in change.fields):
        await session.wired.make_key()

    def running(carrying: Apply) -> None:
        def first() -> None:
            carrying.stop = carrying.stop or Stop.INTERRUPTED

        session.on_first_signal = first

    results = await workflow.apply(session.world, made, journal, read_at=read_at, digest=digest, running=running)
    unsettled = made.unsettled
    if given["wait"] == "settled":
        unsettled = await workflow.settled(session.world, results, given["timeout"])
    session.watch.close()
    allowed = workflow.unread_allowed(made, session.world)
    return _finish(given, session, made, results, allowed, unsettled)


def _finish(
    given: dict[str, Any],
    session: Session,
    made: Plan,
    results: Any,
    unread_allowed: bool,
    unsettled: Any = (),
) -> int:
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
    counts = Applied(added, changed, destroyed, imported, forgotten, renewed, len(made.unread))
    said = [
        ChangeDone(result.change.address, verb_of(result.change), result.outcome, 0.0, result.detail)
        for result in results
    ]
    waited = unsettled if given["wait"] == "settled" else ()
    if given["format_"] == "json":
        emit_json(apply_json(said, counts))
    else:
        lines = apply_text(
            said,
            counts,
            types=session.world.types,
            unread=made.unread,
            unsettled=waited,
            color=colored(sys.stdout),
        )
        say(["", *lines])
    codes = [0]
    if session.signals:
        codes.append(130)
    if any(unread.denied for unread in made.unread):
        codes.append(4)
    if not unread_allowed:
        codes.append(1)
    codes += [
        result.error.exit_code for result in results if result.error is not None and result.error.exit_code in (4, 6)
    ]
    if any(result.outcome is not Outcome.DONE for result in results):
        codes.append(PartlyApplied.exit_code)
    if any(unsettled.kind == "failed" for unsettled in waited):
        codes.append(1)
    return worst(codes)
