"""Options that commands share, and what they are turned into."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from reconcile.cli.output import colored, complain, no_color, unheard
from reconcile.core.events import Noted
from reconcile.core.options import Options
from reconcile.core.trust import UNTRUSTED
from reconcile.errors import InvalidInput, Position, Problem
from reconcile.wiring import CommandRequest, trust_of

if TYPE_CHECKING:
    from reconcile.core.ports import Limit
    from reconcile.wiring import Told

Command = Callable[..., Any]

WORTH_SAYING_S = 1.0  # of a wait; several to one host that begin meanwhile are one line
_MOST_SELECTED = 64 * 1024 * 1024  # bytes of a file of selections

path_argument = click.argument("path", default=".")


def document_options(command: Command) -> Command:
    """Of every command that reads a document."""
    command = click.option("--root", metavar="DIR", help="Files may be named anywhere below DIR (or RECONCILE_ROOT).")(
        command
    )
    command = click.option("--var", "var", multiple=True, metavar="K=V", help="Set a variable.")(command)
    return click.option("--var-file", "var_files", multiple=True, metavar="FILE", help="Set variables from a file.")(
        command
    )


def general_options(command: Command) -> Command:
    """Of every command."""
    command = click.option(
        "-v", "verbose", count=True, help="Show more of what the API says; -vv lists every request, without bodies."
    )(command)
    command = click.option("--no-color", is_flag=True, help="No colour; NO_COLOR says the same.")(command)
    command = click.option(
        "--allow-host", "allow_hosts", multiple=True, metavar="HOST", help="Send credentials to this host too."
    )(command)
    command = click.option(
        "--allow-agent",
        "allow_agents",
        multiple=True,
        metavar="ID",
        help="Send credentials to this unit too, though an untrusted document names it.",
    )(command)
    command = click.option(
        "--ca-file",
        "ca_files",
        multiple=True,
        metavar="FILE",
        help="Trust the certificate authorities of this file too (PEM).",
    )(command)
    return click.option("--state", metavar="PATH|URL", help="Keep the state there: a file, or postgresql://…")(command)


def untrusted_option(command: Command) -> Command:
    """Of the commands that only show."""
    return click.option(
        "--untrusted", is_flag=True, help="Treat the document as untrusted: open only what is allowed."
    )(command)


def trusted_option(command: Command) -> Command:
    """Of the commands that write: the same, and refused."""
    return click.option("--untrusted", is_flag=True, hidden=True)(command)


def refuse_untrusted(given: dict[str, Any]) -> None:
    """Raises InvalidInput when a command that writes is told that its document is not trusted."""
    if trust_of(request_of(given)).untrusted:
        raise InvalidInput(
            Problem(
                "an untrusted document cannot be applied",
                hint=f"Review what plan --untrusted shows; then leave --untrusted out, and {UNTRUSTED} unset",
            )
        )


def format_option(*formats: str) -> Callable[[Command], Command]:
    """`--format`, of every command that prints."""
    return click.option(
        "--format",
        "format_",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="Format of the result.",
    )


def plan_options(command: Command) -> Command:
    """Of every command that plans."""
    for option in reversed(
        [
            click.option("--target", "targets", multiple=True, metavar="SEL", help="Only this, and what it needs."),
            click.option("--exclude", "excludes", multiple=True, metavar="SEL", help="Everything but this."),
            click.option("--allow", multiple=True, metavar="KIND=N", help="Raise a limit for this plan."),
            click.option("--rewrite", multiple=True, metavar="SEL", help="Write the secrets of this again."),
            click.option("--retry-failed", is_flag=True, help="Send again what units failed to apply."),
            click.option(
                "--overwrite-pending",
                is_flag=True,
                help="Replace what somebody else staged and no unit has fetched yet.",
            ),
            click.option("--refresh-only", is_flag=True, help="Only take what is live over into the state."),
            click.option("--destroy", "destroys", is_flag=True, help="Plan to delete what can be deleted."),
            click.option("--no-refresh", is_flag=True, help="Take the state's word for what it knows."),
            click.option("--policies", multiple=True, metavar="FILE", help="Policies that bind as well."),
            click.option("--show-unchanged", is_flag=True, help="Show also what needs nothing, one by one."),
            click.option("--show-unmanaged", is_flag=True, help="Show what is in no file, one by one."),
            click.option(
                "--parallelism", type=click.IntRange(1, 256), default=16, show_default=True, help="Requests at once."
            ),
        ]
    ):
        command = option(command)
    return command


def options_of(given: dict[str, Any]) -> Options:
    """
    What the plan options ask for.

    Raises:
        InvalidInput: `--allow` that is not KIND=N, options that exclude each other.
    """
    from reconcile.core.guard import ALLOWED

    allow = {}
    for text in given["allow"]:
        kind, mark, number = text.partition("=")
        if not mark or kind not in ALLOWED or not number.isascii() or not number.isdecimal():
            raise InvalidInput(
                Problem(f"--allow {text!r} is not KIND=N", hint=f"KIND is one of {', '.join(ALLOWED)}, N a number")
            )
        allow[kind] = int(number)
    if given["destroys"] and given["refresh_only"]:
        raise InvalidInput(Problem("--destroy and --refresh-only exclude each other"))
    if given["no_refresh"] and given["refresh_only"]:
        raise InvalidInput(Problem("--no-refresh and --refresh-only exclude each other"))
    return Options(
        selections(given["targets"]),
        selections(given["excludes"]),
        allow,
        selections(given["rewrite"]),
        given["destroys"],
        given["refresh_only"],
        not given["no_refresh"],
        given["overwrite_pending"],
        given["retry_failed"],
        show_unchanged=given["show_unchanged"],
        show_unmanaged=given["show_unmanaged"],
    )


def selections(texts: Sequence[str]) -> tuple[str, ...]:
    """
    The selections that were given, with those of each `@FILE` in its place: one a line, `#` begins a comment.

    Raises:
        InvalidInput: one of them is none, with its file and line; a file cannot be read.
    """
    from reconcile.core.selection import segments_of

    found: list[str] = []
    for text in texts:
        if not text.startswith("@"):
            segments_of(text)
            found.append(text)
            continue
        before = len(found)
        for at, line in enumerate(_lines_of(text[1:]), 1):
            if selection := line.partition("#")[0].strip() if '"' not in line else line.strip():
                try:
                    segments_of(selection)
                except InvalidInput as wrong:
                    where = Position(text[1:], at, 1)
                    raise InvalidInput(*(replace(one, where=where) for one in wrong.problems)) from None
                found.append(selection)
        if len(found) == before:
            raise InvalidInput(Problem(f"{text[1:]} selects nothing", hint="@FILE has one selection a line"))
    return tuple(dict.fromkeys(found))


def _lines_of(name: str) -> list[str]:
    from pathlib import Path

    from reconcile.files import NotRead, NotText, open_anywhere, text_of

    try:
        with open_anywhere(Path(name)) as file:
            return text_of(file.read(_MOST_SELECTED)).splitlines()
    except (NotRead, NotText) as wrong:
        raise InvalidInput(Problem(f"{name} {wrong.why}", hint="@FILE has one selection a line")) from None


def most_failures(given: dict[str, Any]) -> Limit | None:
    """`--max-failures`. Raises InvalidInput when it is neither a number nor a share."""
    from reconcile.core.ports import Limit

    text = given["max_failures"]
    if text is None:
        return None
    number, percent = text.removesuffix("%"), text.endswith("%")
    if not number.isascii() or not number.isdecimal() or (percent and int(number) > 100):
        raise InvalidInput(Problem(f"--max-failures {text!r} is neither a number nor a share", hint="Like 5, or 5%"))
    return Limit(share=int(number) / 100) if percent else Limit(number=int(number))


def ordinal(number: int) -> str:
    """`second`, `third`, `4th`."""
    return {2: "second", 3: "third"}.get(number, f"{number}th")


class Watch:
    """Progress on standard error, and `-vv`'s line for each request."""

    def __init__(self, verbose: int, quiet: bool = False) -> None:
        from reconcile.render.progress import Progress

        self._verbose = verbose
        self._silent_until: dict[str, float] = {}
        terminal = sys.stderr.isatty() and not quiet
        self._progress = Progress(sys.stderr, terminal, time.monotonic, colored(sys.stderr))

    def emit(self, event: Any) -> None:
        """Shows an event."""
        with unheard(sys.stderr):
            self._progress(event)

    def heard(self, done: Told) -> None:
        """Shows a request, if that was asked for; and that requests to a host wait, now and then."""
        from reconcile.core.text import printable
        from reconcile.wiring import RequestRepeated

        if isinstance(done, RequestRepeated):
            now = time.monotonic()
            if done.wait_s >= WORTH_SAYING_S and now >= self._silent_until.get(done.host, 0.0):
                self._silent_until[done.host] = now + max(done.wait_s, WORTH_SAYING_S)
                again = f"again in {done.wait_s:.0f} s, {ordinal(done.attempt)} try"
                self.emit(Noted(f"{printable(done.why)} from {printable(done.host)}, {again}"))
        elif self._verbose >= 2:
            ending = done.status if done.status is not None else done.outcome
            again = f", attempt {done.attempt}" if done.attempt > 1 else ""
            complain([printable(f"{done.client}: {done.method} {done.path} {ending} in {done.seconds:.3f}s{again}")])

    def tick(self) -> None:
        """Shows that something still runs."""
        with unheard(sys.stderr):
            self._progress.tick()

    def close(self) -> None:
        """Removes the bars."""
        with unheard(sys.stderr):
            self._progress.close()


def request_of(given: dict[str, Any], watch: Watch | None = None) -> CommandRequest:
    """What wiring needs of a command line; sets the colour as well."""
    if given.get("no_color"):
        no_color()
    context = click.get_current_context(silent=True)
    more: dict[str, Any] = {"parts": context.obj} if context is not None and context.obj is not None else {}
    if watch is not None:
        more |= {"emit": watch.emit, "heard": watch.heard}
    return CommandRequest(
        given.get("path", "."),
        tuple(given.get("var", ())),
        tuple(given.get("var_files", ())),
        given.get("state"),
        tuple(given.get("allow_hosts", ())),
        parallelism=given.get("parallelism", 16),
        wordy=given.get("verbose", 0) > 0,
        root=given.get("root"),
        allow_agents=tuple(given.get("allow_agents", ())),
        ca_files=tuple(given.get("ca_files", ())),
        untrusted=given.get("untrusted", False),
        without_log=given.get("without_log", False),
        moved=given.get("moved", False),
        held=given.get("held", {}),
        policies=tuple(given.get("policies", ())),
        **more,
    )


def duration(text: str) -> timedelta:
    """
    `7d`, `12h`, `30m`, `90s` as a length of time.

    Raises:
        InvalidInput: it is none, or not longer than nothing.
    """
    from reconcile.core.text import length_of

    try:
        return length_of(text)
    except ValueError:
        what = f"{text!r} is not a length of time"
        raise InvalidInput(Problem(what, hint="Write it like 7d, 12h, 30m or 90s")) from None
