"""
Commands that are printed as advice: whole and quoted, with all that was given and has to be given again.

Whoever reads one pastes it. So none is written by hand: `plan`, `apply` and the rest make theirs of what they were
given, and one in a hint (`` `reconcile unlock ID` ``) is completed on its way to the terminal.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconcile.core.guard import KINDS
from reconcile.core.options import Options, unusual
from reconcile.core.plan import Plan
from reconcile.errors import Problem

Words = tuple[str, ...]

# A word that is quoted may hold a backtick: a name or the id of a lease, which can be anything.
_WRITTEN = re.compile(r"""`reconcile ((?:'[^']*'|"[^"]*"|[^`'"\\])+)`""")
_BY_OPTION = ("unlock", "state show", "state rm", "state mv", "state unprotect", "state push", "state restore")
_BY_ARGUMENT = (
    "plan",
    "apply",
    "destroy",
    "drift",
    "validate",
    "lock list",
    "state list",
    "state pull",
    "state migrate",
)


def command(*words: str) -> str:
    """A command line, quoted for a shell."""
    return shlex.join(["reconcile", *words])


def options_given(options: Options) -> list[Words]:
    """Options of a plan as they are written on a command line, one by one."""
    words: list[Words] = []
    for name, value in unusual(options).items():
        flag = {"targets": "--target", "excludes": "--exclude", "refresh": "--no-refresh"}.get(
            name, f"--{name.replace('_', '-')}"
        )
        if isinstance(value, list):
            words += [(flag, member) for member in value]
        elif isinstance(value, dict):
            words += [(flag, f"{kind}={number}") for kind, number in value.items()]
        elif isinstance(value, str):
            words.append((flag, value))
        else:
            words.append((flag,))
    return words


def given_again(given: Mapping[str, Any]) -> list[str]:
    """What else was given on the command line and decides what the document and the state are."""
    several = (
        ("--var", "var"),
        ("--var-file", "var_files"),
        ("--allow-host", "allow_hosts"),
        ("--allow-agent", "allow_agents"),
        ("--ca-file", "ca_files"),
        ("--policies", "policies"),
    )
    words = [word for flag, name in several for value in given.get(name) or () for word in (flag, value)]
    state, root = given.get("state"), given.get("root")
    if state is not None:
        words += ["--state", without_password(state)]
    return [*words, "--root", root] if root is not None else words


def without_password(state: str) -> str:
    """A path or a URL as it may be printed: what a password stood in is left out, and comes from elsewhere."""
    scheme, mark, rest = state.partition("://")
    if not mark:
        return state
    before, query, said = rest.partition("?")
    user, at, place = before.rpartition("@")
    kept = "&".join(one for one in said.split("&") if "pass" not in one.partition("=")[0].lower())
    return f"{scheme}://{user.partition(':')[0]}{at}{place}" + (query + kept if kept else "")


def flat(many: Sequence[Words]) -> list[str]:
    """The words of several options."""
    return [word for words in many for word in words]


def planned_again(given: Mapping[str, Any], options: Options, *more: str) -> str:
    """The same plan once more; `more`: what is new in it."""
    out = ["--out", given["out"]] if given.get("out") else []
    return command("plan", given["path"], *flat(options_given(options)), *out, *more, *given_again(given))


def what_allows(given: Mapping[str, Any], made: Plan) -> str | None:
    """The command that plans what is blocked so that it may be applied; None where no option allows it."""
    if any(change.blocked for change in made.changes):
        return None
    options = made.bindings.options
    allow, more = dict(options.allow), []
    for blocked in made.blocked:
        if blocked.kind in KINDS:
            allow[blocked.kind] = max(allow.get(blocked.kind, 0), blocked.count)
        elif blocked.kind == "pending":
            more.append("--overwrite-pending")
        elif blocked.kind == "empty" and not options.targets:
            return command("destroy", given["path"], *given_again(given))
        else:
            return None
    return planned_again(given, replace(options, allow=allow), *more)


def completed(problem: Problem, given: Mapping[str, Any]) -> Problem:
    """A problem whose hint names commands, as they have to be run here."""
    return problem if problem.hint is None else replace(problem, hint=with_commands(problem.hint, given))


def with_commands(text: str, given: Mapping[str, Any]) -> str:
    """A text that names commands, as they have to be run here."""
    return _WRITTEN.sub(lambda found: _whole(found[1], given), text)


def _whole(written: str, given: Mapping[str, Any]) -> str:
    words = shlex.split(written)
    path = str(given.get("path", "."))
    for verb in (" ".join(words[:2]), words[0]):
        if verb in _BY_OPTION:
            words += ["--path", path] if path != "." else []
        elif verb in _BY_ARGUMENT:
            words += [path] if path != "." else []
        else:
            continue
        words += given_again(given)
        break
    return f"`{command(*words)}`"
