"""`comment`: the plans of a pull or merge request in one comment of it, and the digest that stands there."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from reconcile.cli.options import Watch, general_options, request_of
from reconcile.cli.output import complain, fail, put
from reconcile.cli.reports import commit_here, report_of_file
from reconcile.cli.saved import sealing
from reconcile.core.text import printable
from reconcile.errors import InvalidInput, Problem, ReconcileError, Refused
from reconcile.render.report import PlanReport
from reconcile.wiring import CommandRequest, key_here, types_of_plan
from reconcile.wiring.forge import FORGES, Forge, digest_in, forge_of, posted

LEAST = 2_000  # bytes of a section


@click.command()
@click.argument("forge", type=click.Choice(FORGES))
@click.argument("plans", nargs=-1, metavar="[PLAN_FILE]...")
@click.option("--name", default="reconcile", show_default=True, help="Which comment: one of each name.")
@click.option("--strict", is_flag=True, help="Fail when the comment cannot be written.")
@click.option("--digest", "fleet", metavar="FLEET", help="Print the digest of this fleet's plan from our comment.")
@click.option("--commit", metavar="SHA", help="With --digest: the commit whose pull request is meant.")
@general_options
def comment(forge: str, plans: tuple[str, ...], name: str, strict: bool, fleet: str | None, **given: Any) -> int:
    """Make or update the comment of a pull or merge request that shows saved plans."""
    commit = given.pop("commit")
    _check(name, plans, fleet, commit)
    request = request_of(given, Watch(given["verbose"]))
    if fleet is not None:
        return _digest(forge, request, fleet, commit)
    try:
        _post(forge, request, plans, name)
    except ReconcileError as error:
        code = fail(error)
        if strict:
            return code
        complain(["The comment was not written; --strict would make that an error."])
    return 0


def _check(name: str, plans: Sequence[str], fleet: str | None, commit: str | None) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}", name):
        what = f"--name {name[:80]!r} is no name of a comment"
        raise InvalidInput(Problem(what, hint="It is made of A-Z, a-z, 0-9, and . _ / - after the first"))
    if fleet is not None and plans:
        raise InvalidInput(Problem("--digest reads a comment, and takes no plan file"))
    if commit is not None and (fleet is None or not re.fullmatch("[0-9a-f]{7,64}", commit)):
        raise InvalidInput(Problem(f"--commit {commit[:80]!r} goes with --digest, and is the id of a commit"))


def _post(kind: str, request: CommandRequest, plans: Sequence[str], name: str) -> None:
    reports = [_report(request, Path(file)) for file in plans]

    async def story() -> None:
        async with forge_of(kind, request) as forge:
            pull = forge.pull()
            if pull is None:
                raise ReconcileError(Problem("this job is for no pull or merge request", hint="Run it for one"))
            was = await posted(forge, pull, name, lambda room: _body(reports, room))
            complain([printable(f"{'Updated' if was else 'Wrote'} the comment {name} of {kind} #{pull}.")])

    asyncio.run(story())


def _digest(kind: str, request: CommandRequest, fleet: str, commit: str | None) -> int:
    wanted = commit or commit_here()

    async def story() -> str | None:
        async with forge_of(kind, request) as forge:
            for pull in await _pulls(forge, wanted, commit is None):
                if (found := await digest_in(forge, pull, fleet)) is not None:
                    return found
        return None

    found = asyncio.run(story())
    if found is None:
        what = f"no comment of ours tells a digest of the fleet {fleet}"
        raise Refused(
            Problem(f"{what} at {wanted}" if wanted else what, hint="Plan and comment in its pull request first")
        )
    put(f"{found}\n")
    return 0


async def _pulls(forge: Forge, commit: str | None, here: bool) -> list[str]:
    """Those whose comments are read: the one of this job, if it is for one, else those of the commit."""
    if here and (pull := forge.pull()) is not None:
        return [pull]
    if commit is None:
        raise InvalidInput(Problem("nobody tells the commit", hint="Name it: --commit SHA"))
    return await forge.pulls_of(commit)


def _report(request: CommandRequest, path: Path) -> PlanReport:
    from reconcile.planfile import read

    saved = read(path, **sealing(key_here(os.environ)), only_shown=True)
    return report_of_file(str(path), saved, types_of_plan(saved.plan, request.parts.providers()))


def _body(reports: Sequence[PlanReport], room: int) -> str:
    """A section for each plan: what a short one leaves of its share, longer ones have."""
    from reconcile.render.markdown.plan import markdown

    if not reports:
        return "No plan was made for this change.\n"
    whole = {at: "".join(markdown(report, 1 << 24)) for at, report in enumerate(reports)}
    shown: dict[int, str] = {}
    left = room - 10 * len(reports)
    for met, at in enumerate(sorted(whole, key=lambda at: len(whole[at]))):
        share = left // (len(reports) - met)
        fits = len(whole[at].encode()) <= share
        text = shown[at] = whole[at] if fits else "".join(markdown(reports[at], max(share, LEAST)))
        left -= len(text.encode())
    return "\n---\n\n".join(shown[at] for at in range(len(reports)))
