"""
The secrets that a plan writes: opened right before they are sent, and the same ones that were planned.

In: a plan and the port that opens references. Out: secrets by reference, held in memory only, or their keyed digests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from reconcile.core.address import Address
from reconcile.core.plan import Change, FieldChange, NotCompared, Plan
from reconcile.core.ports import Secrets
from reconcile.core.resource import Entry
from reconcile.core.values import Secret, SecretRef
from reconcile.errors import InvalidInput, Problem, Refused

_PURPOSE = "planned secret"


def written(plan: Plan) -> Iterator[tuple[SecretRef, Change, FieldChange]]:
    """Each reference that the plan writes, once, with the first place that asks for it."""
    seen: set[SecretRef] = set()
    for change in plan.changes:
        for part in change.fields:
            if isinstance(part.after, SecretRef) and part.after not in seen:
                seen.add(part.after)
                yield part.after, change, part


async def digests(secrets: Secrets, plan: Plan) -> dict[str, str]:
    """
    By reference, the keyed digest of each value that the plan writes and that is here.

    Nothing without a key. A value that is not here now has none, and may be any when the plan is applied.
    """
    found: dict[str, str] = {}
    for reference, _, _ in written(plan):
        try:
            digest = secrets.keyed(_PURPOSE, str(reference), await secrets.open(reference))
        except InvalidInput:
            continue
        if digest is not None:
            found[str(reference)] = digest
    return found


async def still_not_compared(secrets: Secrets, plan: Plan, entries: Mapping[Address, Entry]) -> tuple[NotCompared, ...]:
    """
    Secrets that a saved plan could not compare, and that cannot be compared here either.

    Args:
        entries: what the state has of them.

    Raises:
        Refused: secrets with another value than the one that was written: the plan does not write it.
    """
    unknown: list[NotCompared] = []
    others: list[Problem] = []
    for row in plan.not_compared:
        entry = entries.get(row.address)
        recorded = entry.prints.get(row.name) if entry is not None else None
        try:
            value = await secrets.open(row.reference)
        except InvalidInput:
            unknown.append(replace(row, reason="no value"))
            continue
        same = secrets.matches(recorded, value) if recorded else None
        if same is None:
            unknown.append(replace(row, reason="another key"))
        elif not same:
            what = f"the value behind {row.reference} changed, and the plan does not write it"
            others.append(Problem(what, address=row.address, hint="Plan again, where the value is"))
    if others:
        raise Refused(*others)
    return tuple(unknown)


async def open_secrets(secrets: Secrets, plan: Plan) -> dict[SecretRef, Secret]:
    """
    Everything secret that the plan writes.

    Raises:
        InvalidInput: secrets without a value, all of them.
        Refused: secrets with another value than the one that was planned, all of them.
    """
    opened: dict[SecretRef, Secret] = {}
    problems: list[Problem] = []
    others: list[Problem] = []
    for reference, change, part in written(plan):
        where = part.where or change.where
        try:
            secret = opened[reference] = await secrets.open(reference)
        except InvalidInput as missing:
            problems += [replace(problem, where=where, address=change.address) for problem in missing.problems]
            continue
        bound = plan.bindings.secrets.get(str(reference))
        if bound is not None and secrets.keyed(_PURPOSE, str(reference), secret) != bound:
            what = f"{reference} has another value here than when the plan was made"
            others.append(Problem(what, where, change.address, hint="Give it the same value, or plan again"))
    if problems:
        raise InvalidInput(*problems)
    if others:
        raise Refused(*others)
    return opened
