"""
How a command ends: standard output holds the result, standard error everything else, and one exit code says it all.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from reconcile.errors import InvalidInput, Problem, ReconcileError

if TYPE_CHECKING:
    from reconcile.wiring import Parts


def run(command: click.Command, arguments: Sequence[str], parts: Parts | None = None) -> int:
    """
    Runs a command to its end and returns its exit code; whatever happened was said on standard error.

    Args:
        parts: the world around it, in place of the usual one.
    """
    global _started
    _started = time.monotonic()
    format_ = "json" if _wants_json(arguments) else "text"
    code = _run(command, arguments, format_, parts)
    flush()
    return code


_started = time.monotonic()


def since_start_s() -> float:
    """Seconds since this command began."""
    return time.monotonic() - _started


def _run(command: click.Command, arguments: Sequence[str], format_: str, parts: Parts | None) -> int:
    try:
        code = command.main(list(arguments), prog_name="reconcile", standalone_mode=False, obj=parts)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as bare:
        say([bare.format_message()])
        return 0
    except click.ClickException as wrong:
        return fail(InvalidInput(_usage(wrong)), format_)
    except ReconcileError as error:
        return fail(error, format_)
    except (KeyboardInterrupt, click.Abort):
        complain(["Interrupted."])
        return 130
    except SystemExit:
        return 0  # only click's own help and version end like this, when nobody reads them
    except RecursionError:
        return fail(InvalidInput("the input is nested too deeply"), format_)
    except MemoryError:
        return fail(ReconcileError("there is not enough memory for this"), format_)
    except OSError as error:
        what = error.strerror or type(error).__name__
        return fail(ReconcileError(Problem(f"{what}: {error.filename}" if error.filename else what)), format_)
    except Exception as broken:
        return fail(ReconcileError(_defect(broken)), format_)


def _usage(wrong: click.ClickException) -> Problem:
    context = getattr(wrong, "ctx", None)
    hint = f"`{context.command_path} --help` shows how it is used" if context else None
    return Problem(wrong.format_message().replace("\n\t", " ").rstrip("."), hint=hint)


def _defect(broken: Exception) -> Problem:
    """A mistake of ours. Its message may hold anything, so only its kind and place are shown."""
    trace = broken.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
    return Problem(
        f"reconcile itself is broken here: {type(broken).__name__} at {where}",
        hint="This is a defect; please report it with the command that you ran",
    )


def _wants_json(arguments: Sequence[str]) -> bool:
    pairs = zip(arguments, [*arguments[1:], ""], strict=False)
    return any(pair == ("--format", "json") or pair[0] == "--format=json" for pair in pairs)


def fail(error: ReconcileError, format_: str = "text") -> int:
    """Says what is wrong, and returns the error's exit code."""
    from reconcile.render.json.results import problems_json
    from reconcile.render.problems import errors_text

    if format_ == "json":
        emit_json(problems_json(error.problems))
    complain(errors_text(error, color=colored(sys.stderr)))
    return error.exit_code


def put(text: str) -> None:
    """A piece of the result, on standard output."""
    with unheard(sys.stdout):
        sys.stdout.write(text)


def say(lines: Iterable[str]) -> None:
    """Lines of the result, on standard output."""
    for line in lines:
        put(line + "\n")


def complain(lines: Iterable[str]) -> None:
    """Lines beside the result, on standard error."""
    with unheard(sys.stdout):
        sys.stdout.flush()
    with unheard(sys.stderr):
        for line in lines:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()


def ask(lines: Sequence[str]) -> None:
    """Lines on standard error, the last of which is answered on itself."""
    complain(lines[:-1])
    with unheard(sys.stderr):
        sys.stderr.write(lines[-1])
        sys.stderr.flush()


def emit_json(value: Any) -> None:
    """A JSON result, on standard output."""
    with unheard(sys.stdout):
        json.dump(value, sys.stdout, indent=2, default=str)  # ASCII: nothing in it moves a terminal
        sys.stdout.write("\n")


def flush() -> None:
    """Everything is out before the exit code is."""
    for stream in (sys.stdout, sys.stderr):
        with unheard(stream):
            stream.flush()


@contextmanager
def unheard(stream: TextIO) -> Iterator[None]:
    """
    Around what writes to a stream: whoever reads it may leave (`| head`).

    What is said from then on goes nowhere, and the command goes on: nobody's reading decides what is applied, or the
    exit code.
    """
    try:
        yield
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def open_streams() -> None:
    """
    Streams that the process was started without (`>&-`) lead nowhere; on others, what their encoding cannot carry is
    an escape (`\\u2026`): a terminal of another age, or a file name that is no UTF-8, ends no command.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 (for as long as we run)
        elif mode == "w" and isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


_no_color = False


def no_color() -> None:
    """`--no-color`."""
    global _no_color
    _no_color = True


def colored(stream: Any) -> bool:
    """Whether a stream takes colour: a terminal, without `--no-color` and `NO_COLOR`."""
    return not _no_color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()
