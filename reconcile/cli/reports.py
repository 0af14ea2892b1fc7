"""`--format` and `--report FORMAT=FILE`: one run writes its plan in as many formats as anybody wants."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconcile.cli.advice import command, flat, given_again, options_given, what_allows
from reconcile.cli.options import format_option
from reconcile.cli.output import colored, put, say
from reconcile.core.digest import digest_if_any
from reconcile.core.plan import Plan
from reconcile.core.seal import Seal
from reconcile.errors import InvalidInput, Problem, ReconcileError
from reconcile.render.paint import Paint
from reconcile.render.report import IN_FILES, ON_SCREEN, PlanReport, Repository, rendered
from reconcile.render.show import seal_line
from reconcile.render.words import Types
from reconcile.wiring import pipeline_of

if TYPE_CHECKING:
    from reconcile.planfile import Saved

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
_BEGINNINGS = (b"<!-- reconcile:", b"<!DOCTYPE html>", b'{"format_version"', b'{"create"', b"# TYPE reconcile_")


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Of every command that shows a plan."""
    return format_option(*ON_SCREEN)(report_option(command))


def report_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Of every command that makes a plan."""
    return click.option(
        "--report",
        "reports",
        multiple=True,
        metavar="FORMAT=FILE",
        help=f"Write a report of the plan: {', '.join(IN_FILES)}.",
    )(command)


@dataclass(frozen=True, slots=True)
class Asked:
    """A report that was asked for."""

    format_: str
    path: Path


def asked_for(given: Mapping[str, Any]) -> tuple[Asked, ...]:
    """
    The reports that were asked for. What stands at their paths from an earlier run is gone then: nobody takes it for
    one of this run.

    Raises:
        InvalidInput: one is no FORMAT=FILE, or its file cannot be written. Ask before the first request.
    """
    found: list[Asked] = []
    for text in given["reports"]:
        format_, mark, name = text.partition("=")
        if not mark or not name or format_ not in IN_FILES:
            hint = f"FORMAT is one of {', '.join(IN_FILES)}"
            raise InvalidInput(Problem(f"--report {text!r} is not FORMAT=FILE", hint=hint))
        path = Path(name)
        there = [other.path for other in found] + [Path(out) for out in (given.get("out"),) if out]
        if any(os.path.abspath(other) == os.path.abspath(path) for other in there):  # noqa: PTH100 (`..` taken out)
            raise InvalidInput(Problem(f"two results would be written to {name}", hint="Name another file"))
        _check_replaceable(path)
        found.append(Asked(format_, path))
    for one in found:
        with _writing(one.path):
            pass
    return tuple(found)


def write_reports(asked: Iterable[Asked], report: PlanReport) -> None:
    """Writes them. Raises ReconcileError when a disk is full or fails."""
    for one in asked:
        with _writing(one.path) as file:
            for piece in rendered(one.format_, report):
                file.write(piece)


def show_report(given: Mapping[str, Any], report: PlanReport) -> None:
    """The report on standard output, in the format that was asked for."""
    if given["format_"] == "text":
        report = replace(report, color=colored(sys.stdout), width=screen_width())
    for piece in rendered(given["format_"], report):
        put(piece)


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
    digest = digest_if_any(made)
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


def report_of_file(path: str, saved: Saved, types: Types) -> PlanReport:
    """What is shown of a plan that was read from a file; whether and where it can be applied is not told."""
    return PlanReport(
        saved.plan,
        types,
        digest=digest_if_any(saved.plan),
        seal=saved.seal,
        shows=command("show", path),
        repository=repository_here(),
        commit=commit_here(),
    )


def say_what_allows(report: PlanReport) -> None:
    """The command that plans what is blocked so that it may be applied, if there is one."""
    if report.allows is not None:
        say(["", "If that is meant, run the following command:", f"    {report.allows}"])


def say_seal(seal: Seal) -> None:
    """On standard output, whether anybody vouches for a plan's file; before the plan itself."""
    say([seal_line(seal, Paint(colored(sys.stdout)))])


def repository_here() -> Repository | None:
    """Where the files can be looked at, as far as the variables of the pipeline tell it."""
    found = pipeline_of(os.environ)
    if found.files is None or not found.root:
        return None
    under = os.path.relpath(Path.cwd(), found.root)
    return None if under.startswith("..") else Repository(found.files, "" if under == "." else f"{under}/")


def commit_here() -> str | None:
    """The commit that the pipeline works on, if it tells one."""
    return pipeline_of(os.environ).commit


def screen_width() -> int:
    """Columns of the terminal; 100 where there is none."""
    import shutil

    return max(60, min(shutil.get_terminal_size((100, 24)).columns, 160)) if sys.stdout.isatty() else 100


def _check_replaceable(path: Path) -> None:
    """Raises InvalidInput when something stands at a path that no report of ours begins like: it is somebody's."""
    try:
        if not path.is_file() or os.environ.get(STEP_SUMMARY) == str(path):
            return
        with path.open("rb") as file:
            begins = file.read(4096)
    except OSError:
        return  # whether it can be written is seen when it is opened for that
    line = begins.partition(b"\n")[0]
    if begins and not begins.startswith(_BEGINNINGS) and " · ".encode() not in line:
        what = f"{path} is there and is no report of a plan, so it is not replaced"
        raise InvalidInput(Problem(what, hint="Name another file, or remove it"))


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[Any]:
    """A file to write a report to; the summary of a GitHub step is gone on with, since it may hold another fleet's."""
    appended = os.environ.get(STEP_SUMMARY) == str(path)
    try:
        file = path.open("a" if appended else "w", encoding="utf-8", newline="\n")
    except OSError as error:
        what = f"the report {path} cannot be written: {error.strerror}"
        raise InvalidInput(Problem(what, hint="Name another file")) from error
    try:
        with file:
            yield file
    except OSError as error:
        what = f"the report {path} cannot be written: {error.strerror}"
        raise ReconcileError(Problem(what, hint="Make room")) from error
