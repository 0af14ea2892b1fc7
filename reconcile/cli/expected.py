"""`--expect-digest D [--expect-plan FILE]`: nothing is applied but the plan that was reviewed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from reconcile.cli.output import colored, say
from reconcile.cli.reports import screen_width
from reconcile.cli.saved import sealing
from reconcile.core.digest import digest_of, effects_of
from reconcile.core.plan import Plan
from reconcile.errors import InvalidInput, Problem, Refused
from reconcile.planfile.reviewed import Reviewed, reviewed
from reconcile.render.words import Types
from reconcile.wiring import key_here


def expect_options(command: Any) -> Any:
    """Of the commands that apply."""
    command = click.option(
        "--expect-plan", metavar="FILE", help="The plan of that digest, saved or as JSON, to show what differs."
    )(command)
    return click.option("--expect-digest", metavar="D", help="Apply only the plan of this digest.")(command)


@dataclass(frozen=True, slots=True)
class Expected:
    """The plan that was reviewed: its digest, and what is known of it."""

    digest: str
    plan: Reviewed | None = None


def expected_of(given: Mapping[str, Any]) -> Expected | None:
    """
    What is expected, if anything.

    Raises:
        InvalidInput: it is no digest, or the file is of another plan. Nothing was sent.
    """
    digest, name = given["expect_digest"], given["expect_plan"]
    if digest is None:
        if name is not None:
            raise InvalidInput(
                Problem("--expect-plan needs --expect-digest", hint="The digest says what may be applied")
            )
        return None
    digest = digest.strip().lower()
    if not re.fullmatch("[0-9a-f]{64}", digest):
        what = f"--expect-digest {digest[:80]!r} is no digest of a plan"
        raise InvalidInput(Problem(what, hint="plan prints it: 64 digits, 0 to f"))
    if name is None:
        return Expected(digest)
    plan = reviewed(Path(name), **sealing(key_here(os.environ)))
    if plan.digest != digest:
        what = f"{name} is not the plan that is expected: its digest is {plan.digest}, not {digest}"
        raise InvalidInput(Problem(what, hint="Name the plan that was reviewed, or leave --expect-plan out"))
    return Expected(digest, plan)


def check_expected(expected: Expected | None, made: Plan, types: Types) -> None:
    """Raises Refused where the plan that is made now is not the one that was reviewed; shows what differs, if known."""
    if expected is None or (found := digest_of(made)) == expected.digest:
        return
    if expected.plan is not None:
        from reconcile.render.compared import compared_lines

        color, width = colored(sys.stdout), screen_width()
        say(compared_lines(expected.plan.changes, effects_of(made), types=types, color=color, width=width))
    raise Refused(
        Problem(
            "the plan that is made now is not the one that was reviewed",
            notes=(f"expected digest: {expected.digest}", f"digest of this plan: {found}"),
            hint="Review this one: plan again, and apply that",
        )
    )
