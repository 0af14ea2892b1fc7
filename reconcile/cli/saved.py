"""
A saved plan on its way to `apply`: what has to hold before anything in it is carried out, or even believed.

Where the key is here, the seal vouches for the file. Where none is, the file may be anybody's: it names no directory
outside of this repository, and what it was allowed has to be allowed again by whoever runs this.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from reconcile.cli.advice import Words, command, flat, given_again, options_given
from reconcile.core.bindings import check_trust
from reconcile.core.options import Options
from reconcile.core.plan import Plan
from reconcile.core.seal import Fit, Seal
from reconcile.errors import InvalidInput, Problem, Refused
from reconcile.files import root_of
from reconcile.planfile import Saved, effect_of, read
from reconcile.wiring import FingerprintKey, key_here

REPEATED = ("--destroy", "--allow", "--rewrite", "--retry-failed", "--overwrite-pending")
"""What a file for which nobody vouches cannot grant itself."""


def sealing(key: FingerprintKey | None) -> dict[str, Any]:
    """What a plan file is sealed and checked with."""
    return {"seal_key": key and key.subkey("seal"), "key_id": key and key.key_id}


def seal_made(key: FingerprintKey | None, why: str | None) -> Seal:
    """The seal of a plan that was just saved; `why`: the reason that there is no key, where there is none."""
    return Seal(Fit.FITS, key.key_id, key.key_id) if key else Seal(Fit.NONE, why=why)


def read_saved(given: dict[str, Any], options: Options) -> Saved:
    """
    The plan in a file, for `apply`.

    Args:
        options: of the command line; they can only repeat what the file holds.

    Raises:
        InvalidInput: it is damaged, its fleet is not here, or the command line asks for more than it holds.
        Refused: the seal does not fit the key that is here; or no key is here, and an option is not repeated, or the
            fleet is outside of this repository; or it was planned for an untrusted document.
    """
    file = Path(given["path"])
    saved = read(file, **sealing(key_here(os.environ)))
    check_trust(saved.plan.bindings)
    bound = saved.plan.bindings
    asked, held = options_given(options), options_given(bound.options)
    if more := [words for words in asked if words not in held]:
        again = ["plan", bound.path, "--out", str(file), *flat([*held, *more]), *given_again(given)]
        raise InvalidInput(
            Problem(
                f"{file} was not planned with {_listed(more)}, and a saved plan cannot be changed when it is applied",
                hint=f"Plan again with it: {command(*again)}",
            )
        )
    path = given.get("fleet_path") or bound.path
    _is_here(path)
    if not saved.seal.verified:
        if missing := [words for words in held if words[0] in REPEATED and words not in asked]:
            approved = ["--auto-approve"] if given["auto_approve"] else []
            again = ["apply", str(file), *flat([*asked, *missing]), *given_again(given), *_waiting(given), *approved]
            raise Refused(
                Problem(
                    f"there is no key here to verify {file}, so the options it was planned with must be given again:"
                    f" {_listed(missing)}",
                    hint=f"If that is meant: {command(*again)}",
                )
            )
        if lacking := _not_given_again(bound.given, given):
            raise Refused(
                Problem(
                    f"there is no key here to verify {file}, so the variables it was planned with must be given again:"
                    f" {', '.join(lacking)}",
                    hint="Give each with --var or --var-file",
                )
            )
        if given.get("fleet_path") is None:
            _is_ours(bound.path, given)
    return saved


def _not_given_again(names: Iterable[str], given: dict[str, Any]) -> list[str]:
    """Variables that were given when it was planned, and not now; what a file gives is seen when it is read."""
    said = {text.partition("=")[0] for text in given["var"]}
    return [] if given["var_files"] else [name for name in names if name not in said]


def check_agreement(saved: Saved, made: Plan) -> None:
    """
    Compares a file for which nobody vouches with the plan that was made here, by what the two would do.

    Raises:
        Refused: they would not do the same.
    """
    if effect_of(made) != effect_of(saved.plan):
        raise Refused(
            Problem(
                "the plan is not what would be planned now, and there is no key here to verify it",
                hint="Plan again, or set RECONCILE_FINGERPRINT_KEY to the key that it was made with",
            )
        )


def _is_here(path: str) -> None:
    try:
        found = Path(path).exists()
    except (OSError, ValueError):
        found = False
    if not found:
        raise InvalidInput(
            Problem(
                f"the plan is for the fleet in {path}, which does not exist here",
                hint="A plan names its fleet as it was given: run this where the plan was made, or name the"
                " fleet's directory with --path",
            )
        )


def _is_ours(path: str, given: dict[str, Any]) -> None:
    """A plan that came from elsewhere could bring its own fleet with it, which nobody here has reviewed."""
    here = Path.cwd().resolve()
    root = root_of(here, given["root"], os.environ, here)
    try:
        ours = Path(path).resolve(strict=True).is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):
        ours = False
    if not ours:
        raise Refused(
            Problem(
                f"the plan is for {path}, which is outside {root}, and there is no key here to verify the plan",
                hint="Run this in the repository of the fleet, or set RECONCILE_FINGERPRINT_KEY to the key that the"
                " plan was made with",
            )
        )


def _waiting(given: dict[str, Any]) -> list[str]:
    """What `apply` alone takes, where it is not as usual."""
    usual = (("--wait", "wait", "accepted"), ("--timeout", "timeout", 600.0), ("--lock-timeout", "lock_timeout", 0.0))
    return [word for flag, name, value in usual if given[name] != value for word in (flag, f"{given[name]}")]


def _listed(many: Sequence[Words]) -> str:
    return ", ".join(" ".join(words) for words in many)
