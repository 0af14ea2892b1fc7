"""What is the same in many resources is said once, with the first ones and a count (docs/architecture.md, "Errors")."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from reconcile.core.address import Address
from reconcile.core.sighting import Match
from reconcile.core.values import SecretRef
from reconcile.errors import Problem


def folded(problems: Sequence[Problem]) -> list[Problem]:
    """The same mistake in many resources as one problem with the first ones and a count."""
    if len(problems) <= 10:
        return list(problems)
    kinds = Counter(_sort_of(problem) for problem in problems)
    folded, said = [], set()
    for problem in problems:
        sort = _sort_of(problem)
        if kinds[sort] <= 3:
            folded.append(problem)
        elif sort not in said:
            said.add(sort)
            like = [other for other in problems if _sort_of(other) == sort]
            notes = tuple(f"also {other.address}: {other.what}" for other in like[1:3])
            folded.append(replace(problem, notes=(*problem.notes, *notes, f"and {len(like) - len(notes) - 1} more")))
    return folded


def _sort_of(problem: Problem) -> str:
    return f"{problem.address.type_path if isinstance(problem.address, Address) else ''}{problem.what.split(' ')[:4]}"


def untold(match: Match, secrets: Sequence[tuple[Address, SecretRef]]) -> str:
    """The sentence about secrets of which nobody can tell here whether they changed."""
    count = "1 secret" if len(secrets) == 1 else f"{len(secrets):,} secrets"
    named = ", ".join(f"{address} ({reference})" for address, reference in sorted(secrets, key=str)[:3])
    more = ", …" if len(secrets) > 3 else ""
    if match is Match.NEEDED:
        return f"{count} about to be made: there is no value here, and apply needs one: {named}{more}"
    if match is Match.NOT_ALLOWED:
        was = "was" if len(secrets) == 1 else "were"
        return f"{count} {was} not compared: not allowed in an untrusted document: {named}{more}"
    if match is Match.UNRESOLVED:
        return f"{count} could not be compared, because there is no value here: {named}{more}"
    return (
        f"cannot tell whether {count} changed: they were recorded with a fingerprint key that is not here; "
        f"--rewrite ADDR writes one again: {named}{more}"
    )
