"""
The command line: arguments in, exit codes out; one function per command, one file per group of them.

Commands are imported when they are run, so that `reconcile --help` stays under 0.2 s.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click

from reconcile import __version__

COMMANDS = {
    "validate": ("validate", "Check the files; needs no network and no credentials."),
    "plan": ("plan", "Show what would change."),
    "apply": ("apply", "Make the live APIs agree with the files."),
    "destroy": ("apply", "Delete what can be deleted, forget the rest."),
    "show": ("show", "Show a saved plan, or the state."),
    "drift": ("plan", "Show what somebody else changed."),
    "comment": ("comment", "Show saved plans in the comment of a pull or merge request."),
    "explain": ("explain", "Show where a value comes from."),
    "state": ("state", "Look after the state."),
    "history": ("history", "Show who applied what, when and from where."),
    "lock": ("lock", "See who holds the state."),
    "unlock": ("lock", "Break a lock that nobody holds any more."),
    "key": ("key", "Print a new fingerprint key, or tell which one is here."),
    "simulator": ("simulator", "Serve the embedded APIs on this machine."),
}


class Commands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = import_module(f"reconcile.cli.{COMMANDS[name][0]}")
        command = getattr(module, name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"there is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="reconcile")
def reconcile() -> None:
    """Plan and apply for fleets of connected devices: files in, a reviewed plan, live APIs made to agree."""


def main() -> None:
    """
    The console script. Never lets a traceback reach a user; exits with the codes of docs/architecture.md, "Exit codes".
    """
    from reconcile.cli.output import open_streams, run

    open_streams()
    sys.exit(run(reconcile, [_spelled_out(argument) for argument in sys.argv[1:]]))


def _spelled_out(argument: str) -> str:
    """`-auto-approve` as `--auto-approve`, for hands that know another tool of the field; `-vv` stays."""
    word = argument[1:].partition("=")[0]
    if argument.startswith("-") and len(word) > 2 and word[0].isalpha() and set(word) != {"v"}:
        return f"-{argument}"
    return argument
