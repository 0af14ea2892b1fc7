"""
What an earlier run left open: intents without an outcome, resolved by reading back before anything else is done.

Only what a reading can tell is taken over. Whether a field of an update landed the next plan sees for itself; of a
secret there is no trustworthy record any more; a trigger counts as done (design §6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from reconcile.core.address import Address
from reconcile.core.plan import Action
from reconcile.core.ports import Ended, Env, Intent, Store
from reconcile.core.resource import Entry, Observed
from reconcile.core.resource_type import ResourceType
from reconcile.core.schema import Kind, Mark, fields_of
from reconcile.core.values import from_json
from reconcile.engine.journal import Journal
from reconcile.engine.unanswered import UNANSWERED


async def recover(
    journal: Journal, store: Store, types: Mapping[str, ResourceType], apis: Mapping[str, Any], env: Env
) -> list[str]:
    """
    Closes every unfinished intent, and returns a sentence for each.

    Raises:
        ReconcileError: something cannot be read back; the rest stays open and nothing else may be done. A unit with
            an endpoint of its own that does not answer holds up nothing but itself: its intent stays open.
    """
    said = []
    for intent in await store.unfinished():
        kind = types.get(intent.address.type_path)
        if kind is None:
            continue  # of a provider that the document does not use now; it stays open
        lost = f"{intent.address}: the answer to an earlier {intent.change['action']} was lost"
        try:
            ended, words = await _resolve(intent, kind, apis[intent.address.provider], store, env)
        except UNANSWERED as error:
            if kind.listed != "unit":
                raise
            said.append(f"{lost}, and it cannot be read back now: {error}")
            continue
        await journal.write(ended)
        said.append(f"{lost}; {words}")
    return said


async def _resolve(intent: Intent, kind: ResourceType, api: Any, store: Store, env: Env) -> tuple[Ended, str]:
    change, address, operation = intent.change, intent.address, intent.operation
    if "rename" in change:
        return Ended(operation), "the name it has now is read with the plan"
    at = kind.target(address, from_json(change["after"]), change["id"], change["name"], change["parent"])
    reading = await kind.read(api, at)
    seen = reading.seen
    if change["action"] == Action.CREATE:
        if seen is None:
            return Ended(operation), "it was not made"
        return Ended(operation, (_entry_of(address, kind, change, seen, {}, env.now()),)), "it was made"
    if change["action"] == Action.DELETE:
        if seen is None:
            return Ended(operation, drop=(address,)), "it was deleted"
        return Ended(operation), "it was not deleted"
    known = (await store.get([address])).get(address)
    entry = told(address, kind, known, seen, change, env.now()) if seen is not None else None
    return Ended(operation, (entry,) if entry is not None else ()), "what is live now is read with the plan"


def told(
    address: Address,
    kind: ResourceType,
    known: Entry | None,
    seen: Observed,
    change: Mapping[str, Any],
    now: datetime,
) -> Entry | None:
    """
    What the state can say of a unit, given a write of unknown outcome (`change` of its intent) and a reading.

    Args:
        known: what it says without that write.
    """
    stamp = change.get("stamp", {})
    if stamp and kind.landed(change["patch"], seen):
        if known is None or known.id != seen.id:
            return _entry_of(address, kind, change, seen, stamp, now)
        facts = {**known.facts, **kind.accepted(stamp, seen)}
        return replace(known, attrs=from_json(change["after"]), facts=facts)
    traces = kind.traces(stamp, seen) if stamp else {}
    if known is None or (traces and known.id != seen.id):
        made = _entry_of(address, kind, change, seen, {}, now)
        return replace(made, facts={**made.facts, **traces}) if traces else None
    if traces:
        return replace(known, facts={**known.facts, **traces})
    after, sent = from_json(change["after"]), set(change.get("fields", ()))
    prints, attrs, facts = dict(known.prints), dict(known.attrs), dict(known.facts)
    for name, spec in fields_of(kind.Model).items():
        if name not in sent:
            continue
        if Mark.TRIGGER in spec.marks:
            attrs[name] = after[name]
        elif spec.kind is Kind.SECRET:
            # Its date moves in whole seconds (contract), so that an equal one does not say that nothing was written.
            prints.pop(name, None)
            facts = dict(kind.facts(seen, known))
    return replace(known, attrs=attrs, prints=prints, facts=facts)


def _entry_of(
    address: Address,
    kind: ResourceType,
    change: Mapping[str, Any],
    seen: Observed,
    stamp: Mapping[str, Any],
    now: datetime,
) -> Entry:
    return Entry(
        address,
        seen.id,
        from_json(change["after"]),
        change["parent"],
        {},
        {**change.get("facts", {}), **kind.accepted(stamp, seen)},
        tuple(Address(need) for need in change["needs"]),
        change["protect"],
        change["on_removal"],
        change["labels"],
        now.isoformat(timespec="seconds"),
    )
