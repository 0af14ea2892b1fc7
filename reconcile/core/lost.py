"""
A write of which no answer came: what the state can say of the unit, given its intent and a reading. Pure.

Only what a reading can tell is taken over. Whether a field of an update landed the next plan sees for itself; of a
secret there is no trustworthy record any more; a trigger counts as done (docs/architecture.md, "Lost answers").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from reconcile.core.address import Address
from reconcile.core.form import Form
from reconcile.core.plan import Action
from reconcile.core.ports import Intent
from reconcile.core.resource import Entry, Observed, OnRemoval
from reconcile.core.resource_type import ResourceType, accepted_facts, landed, naming_of
from reconcile.core.schema import Kind, Mark, fields_of
from reconcile.core.values import Flag, Values
from reconcile.errors import Problem, StateError


@dataclass(frozen=True, slots=True)
class Rename:
    """The unit that an operation renames, to free a name that another one needs."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    What an intent says of the write that is about to be sent: all that reading it back needs, without a secret.

    Attributes:
        id, name, parent, after, needs, labels, protect, on_removal: of the change.
        version: of the unit as the plan saw it.
        fields: attributes that are sent. patch, stamp, facts: of a write that its type composes.
        namesake: of what is made, the id of another one of its name.
        late_s: seconds after the intent in which the request may still arrive; None = as its provider says.
    """

    action: Action
    id: str | None = None
    name: str | None = None
    parent: str | None = None
    after: Values = field(default_factory=dict)
    version: Any = None
    fields: tuple[str, ...] = ()
    needs: tuple[Address, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    protect: Flag = False
    on_removal: OnRemoval | None = None
    patch: Mapping[str, Any] = field(default_factory=dict)
    stamp: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    namesake: str | None = None
    late_s: Annotated[float, Field(ge=0)] | None = None
    rename: Rename | None = None


ATTEMPTS = Form(Attempt)


def attempt_of(intent: Intent) -> Attempt:
    """What an intent says. Raises StateError when it says nothing of the kind."""
    try:
        return ATTEMPTS.load(intent.change)
    except ValueError as error:
        raise StateError(
            Problem(
                f"the intent {intent.operation} cannot be read",
                address=intent.address,
                hint="It was written by a newer reconcile, or edited: use that one, or put back a copy of the state",
            )
        ) from error


def told(
    address: Address, rtype: ResourceType, known: Entry | None, seen: Observed, attempt: Attempt, now: datetime
) -> Entry | None:
    """
    The state's entry of a unit, given a write of unknown outcome and a reading.

    Args:
        known: the entry without that write.
    """
    if (rename := attempt.rename) is not None:
        naming = naming_of(rtype.Model)
        ours = known is not None and naming is not None and known.id == seen.id == rename.id
        return named_for_now(known, naming or "", rename.name) if known and ours and seen.name == rename.name else known
    if attempt.stamp and landed(rtype, attempt.patch, seen):
        if known is None or known.id != seen.id:
            return entry_of(address, rtype, attempt, seen, attempt.stamp, now)
        facts = {**known.facts, **accepted_facts(rtype, attempt.stamp, seen)}
        return replace(known, attrs=attempt.after, facts=facts)
    signs = rtype.staging.signs_of(attempt.stamp, seen) if attempt.stamp and rtype.staging is not None else {}
    if signs:
        at = known if known is not None and known.id == seen.id else entry_of(address, rtype, attempt, seen, {}, now)
        return replace(at, facts={**at.facts, **signs})
    return None if known is None else _without_what_was_sent(rtype, known, seen, attempt)


def named_for_now(entry: Entry, naming: str, name: str) -> Entry:
    """The entry of a unit that an apply gave a temporary name: whoever finds it so has not far to look."""
    return replace(entry, attrs={**entry.attrs, naming: name})


def _without_what_was_sent(rtype: ResourceType, known: Entry, seen: Observed, attempt: Attempt) -> Entry:
    prints, attrs, facts = dict(known.prints), dict(known.attrs), dict(known.facts)
    for name, spec in fields_of(rtype.Model).items():
        if name not in attempt.fields:
            continue
        if Mark.TRIGGER in spec.marks:
            attrs[name] = attempt.after[name]
        elif spec.kind is Kind.SECRET:
            # Its date moves in whole seconds (docs/apis/microvisor.md, "Dates"), so that an equal one does not say that
            # nothing was written.
            prints.pop(name, None)
            facts = dict(rtype.facts(seen, known))
    return replace(known, attrs=attrs, prints=prints, facts=facts)


def entry_of(
    address: Address,
    rtype: ResourceType,
    attempt: Attempt,
    seen: Observed,
    stamp: Mapping[str, Any],
    now: datetime,
) -> Entry:
    """The entry of what an attempt made, or would have made of a unit."""
    return Entry(
        address,
        seen.id,
        attempt.after,
        attempt.parent,
        {},
        {**attempt.facts, **accepted_facts(rtype, stamp, seen)},
        attempt.needs,
        attempt.protect,
        attempt.on_removal,
        attempt.labels,
        now.isoformat(timespec="seconds"),
    )
