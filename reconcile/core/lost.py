"""
A write of which no answer came: what the state can say of the unit, given its intent and a reading. Pure.

Only what a reading can tell is taken over. Whether a field of an update landed the next plan sees for itself; of a
secret there is no trustworthy record any more; a trigger counts as done (docs/architecture.md, "Lost answers").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from reconcile.core.address import Address
from reconcile.core.resource import Entry, Observed
from reconcile.core.resource_type import ResourceType, accepted_facts, landed
from reconcile.core.schema import Kind, Mark, fields_of
from reconcile.core.values import from_json


def told(
    address: Address,
    rtype: ResourceType,
    known: Entry | None,
    seen: Observed,
    change: Mapping[str, Any],
    now: datetime,
) -> Entry | None:
    """
    The state's entry of a unit, given a write of unknown outcome (`change` of its intent) and a reading.

    Args:
        known: the entry without that write.
    """
    stamp = change.get("stamp", {})
    if stamp and landed(rtype, change["patch"], seen):
        if known is None or known.id != seen.id:
            return entry_of(address, rtype, change, seen, stamp, now)
        facts = {**known.facts, **accepted_facts(rtype, stamp, seen)}
        return replace(known, attrs=from_json(change["after"]), facts=facts)
    signs = rtype.staging.signs_of(stamp, seen) if stamp and rtype.staging is not None else {}
    if signs:
        at = known if known is not None and known.id == seen.id else entry_of(address, rtype, change, seen, {}, now)
        return replace(at, facts={**at.facts, **signs})
    return None if known is None else _without_what_was_sent(rtype, known, seen, change)


def _without_what_was_sent(rtype: ResourceType, known: Entry, seen: Observed, change: Mapping[str, Any]) -> Entry:
    after, sent = from_json(change["after"]), set(change.get("fields", ()))
    prints, attrs, facts = dict(known.prints), dict(known.attrs), dict(known.facts)
    for name, spec in fields_of(rtype.Model).items():
        if name not in sent:
            continue
        if Mark.TRIGGER in spec.marks:
            attrs[name] = after[name]
        elif spec.kind is Kind.SECRET:
            # Its date moves in whole seconds (docs/apis/microvisor.md, "Dates"), so that an equal one does not say that
            # nothing was written.
            prints.pop(name, None)
            facts = dict(rtype.facts(seen, known))
    return replace(known, attrs=attrs, prints=prints, facts=facts)


def entry_of(
    address: Address,
    rtype: ResourceType,
    change: Mapping[str, Any],
    seen: Observed,
    stamp: Mapping[str, Any],
    now: datetime,
) -> Entry:
    """The entry of what an intent made, or would have made of a unit."""
    return Entry(
        address,
        seen.id,
        from_json(change["after"]),
        change["parent"],
        {},
        {**change.get("facts", {}), **accepted_facts(rtype, stamp, seen)},
        tuple(Address(need) for need in change["needs"]),
        change["protect"],
        change["on_removal"],
        change["labels"],
        now.isoformat(timespec="seconds"),
    )
