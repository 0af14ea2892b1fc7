"""Whether a state, and a plan, is for what is here now: the same fleet, files, variables, account, tool and state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from reconcile.core.options import Options
from reconcile.core.ports import Head, Moved
from reconcile.core.values import Count
from reconcile.errors import Problem, Refused

KEYED = "hmac-sha256:"
"""Begins a digest of the variables that was made with a key. Earlier plans have a bare SHA-256."""
UNTRUSTED = Problem(
    "the plan was made from an untrusted document; what was not allowed was not read or compared",
    hint="Review the document, and plan again without --untrusted",
)
OFFLINE = Problem(
    "the plan was made offline: nothing live was read, and nothing is known of the state",
    hint="Plan again without --offline",
)


Digest = Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]


def _without_nul(path: str) -> str:
    if "\0" in path:
        raise ValueError("no path holds a NUL")
    return path


def _moment(text: str) -> str:
    """RFC 3339 with an offset: it is compared with the time of day here."""
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time without an offset")
    return text


@dataclass(frozen=True, slots=True)
class Bindings:
    """
    What a plan is made for. `apply` refuses it for anything else (exit 5).

    Attributes:
        fleet, path: the fleet's name, and PATH as it was given.
        lineage, serial: of the state; both None before the first apply.
        run: of the run that wrote the state last; None before the first one, and in plans of older versions.
        document: SHA-256, hex, of what the files say.
        variables: keyed digest of the variables' values; "" where no key is, for a person could try values out.
        accounts: by provider, `(account, host)`.
        tool: version of reconcile.
        made, expires: RFC 3339 UTC.
        options: what `apply` must repeat: targets, excludes, allow, destroy and so on.
        given: by name, the variables that the command line gave, as `--var` takes them; None in a plan without a seal.
        secrets: by reference, the keyed digest of the value that was planned; of a sealed plan.
    """

    fleet: Annotated[str, Field(pattern="^[a-z0-9-]+$")]
    path: Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_without_nul)]
    lineage: str | None = None
    serial: Count | None = None
    document: Digest = ""
    variables: Annotated[str, Field(pattern=f"^({KEYED})?([0-9a-f]{{64}})?$")] = ""
    accounts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    tool: str = ""
    made: Annotated[str, AfterValidator(_moment)] = ""
    expires: Annotated[str, AfterValidator(_moment)] | None = None
    options: Options = field(default_factory=Options)
    secrets: Mapping[str, Digest] = field(default_factory=dict)
    run: str | None = None
    given: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def untrusted(self) -> bool:
        """Whether it was made of a document that nobody trusts."""
        return self.options.untrusted


APPLIED = Problem("this plan was applied already", hint="Plan again")
"""Why a saved plan is not carried out twice."""


def check_trust(bound: Bindings) -> None:
    """Refuses a plan that was made for reading alone; asked before anything is opened for it. Raises Refused."""
    if bound.untrusted:
        raise Refused(UNTRUSTED)
    if bound.options.offline:
        raise Refused(OFFLINE)


def refuse_moved(here: str, moved: Moved) -> None:
    """Raises Refused: the state that is here was moved, or is on the way."""
    if moved.done:
        hint = "Name that one: --state, RECONCILE_STATE, or `state:` in the main file"
        raise Refused(Problem(f"the state in {here} was moved to {moved.place}", hint=hint))
    what = f"the state in {here} is being moved to {moved.place}"
    raise Refused(Problem(what, hint="If nobody does that any more, the same `state copy` once more goes on with it"))


def check_head(head: Head, fleet: str, accounts: Mapping[str, tuple[str, str]], state: str) -> None:
    """
    Refuses a state that belongs to something else.

    Args:
        accounts: by provider, `(account, host)`, of those that this run is connected to. state: where it is.

    Raises:
        Refused: naming both sides.
    """
    if head.fleet and head.fleet != fleet:
        raise Refused(
            Problem(
                f"the state {state} belongs to the fleet {head.fleet}, not to {fleet}",
                hint="Give each fleet its own state (state.path), or rename the fleet back",
            )
        )
    for name, (account, host) in accounts.items():
        if name in head.accounts and tuple(head.accounts[name]) != (account, host):
            before = " at ".join(head.accounts[name])
            raise Refused(
                Problem(
                    f"the state belongs to {name} account {before}, but this run is for {account} at {host}",
                    hint="Use the credentials of that account, or another state (state.path, --state)",
                )
            )


def check_bindings(bound: Bindings, here: Bindings, now: datetime) -> None:
    """
    Refuses a plan that was made for something else.

    Args:
        bound: of the plan. `here`: what a plan that is made at this moment would be bound to.

    Raises:
        Refused: naming the first thing that differs.
    """
    again = "Plan again"
    check_trust(bound)
    if bound.expires and now > datetime.fromisoformat(bound.expires):
        raise Refused(Problem(f"the plan expired at {bound.expires}", hint=again))
    if bound.tool != here.tool:
        raise Refused(Problem(f"the plan was made by reconcile {bound.tool}, this is {here.tool}", hint=again))
    if bound.fleet != here.fleet:
        raise Refused(
            Problem(
                f"the plan is for the fleet {bound.fleet}, but {bound.path} now holds the fleet {here.fleet}",
                hint=again,
            )
        )
    # Where either side has no digest there is no key here, and what is carried out is planned here, with what is given.
    if bound.variables and here.variables and bound.variables != here.variables:
        raise Refused(
            Problem(
                "the variables have other values than when the plan was made",
                hint="Give the same ones, or plan again",
            )
        )
    if bound.document != here.document:
        raise Refused(Problem("the files changed after the plan was made", hint=again))
    if dict(bound.accounts) != dict(here.accounts):
        raise Refused(
            Problem(
                f"the plan is for {_accounts(bound.accounts)}, but this run is for {_accounts(here.accounts)}",
                hint="Use the credentials that the plan was made with, or plan again",
            )
        )
    _check_state(bound, here)


def _check_state(bound: Bindings, here: Bindings) -> None:
    if bound.lineage is None:
        if here.serial:  # a state that no run has written to is as good as none
            raise Refused(
                Problem(
                    "Saved plan is stale: it was made before there was a state",
                    hint="Somebody applied since. Plan again",
                )
            )
    elif bound.lineage != here.lineage:
        raise Refused(Problem("Saved plan is stale: the plan is for another state", hint="Plan again"))
    elif (bound.serial or 0) > (here.serial or 0) or (
        bound.serial == here.serial and bound.run is not None and bound.run != here.run
    ):
        raise Refused(
            Problem(
                f"the state was restored from a backup, or another run wrote serial {bound.serial}"
                f" (plan: serial {bound.serial}; state: serial {here.serial})",
                hint="Put the newest state back, or plan again: what was done since is adopted",
            )
        )
    elif bound.serial != here.serial:
        raise Refused(
            Problem(
                f"Saved plan is stale: it was made at serial {bound.serial}, the state is at {here.serial}",
                hint="Somebody applied since. Plan again",
            )
        )


def _accounts(accounts: Mapping[str, tuple[str, str]]) -> str:
    return ", ".join(f"{name} {account} at {host}" for name, (account, host) in sorted(accounts.items())) or "nothing"
