"""
What an earlier run left open: intents without an outcome, resolved by reading back before anything else is done.

Only what a reading can tell is taken over. Whether a field of an update landed the next plan sees for itself; of a
secret there is no trustworthy record any more; a trigger counts as done (design §6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconcile.core.address import Address
from reconcile.core.plan import Action
from reconcile.core.ports import Ended, Env, Intent, Store
from reconcile.core.resource import Entry, ResourceType, Target
from reconcile.core.schema import Kind, Mark, fields_of
from reconcile.core.values import from_json
from reconcile.engine.journal import Journal


async def recover(
    journal: Journal, store: Store, types: Mapping[str, ResourceType], apis: Mapping[str, Any], env: Env
) -> list[str]:
    """
    Closes every unfinished intent, and returns a sentence for each.

    Raises:
        ReconcileError: something cannot be read back; the rest stays open and nothing else may be done.
    """
    said = []
    for intent in await store.unfinished():
        kind = types.get(intent.address.type_path)
        if kind is None:
            continue  # of a provider that the document does not use now; it stays open
        ended, words = await _resolve(intent, kind, apis[intent.address.provider], store, env)
        await journal.write(ended)
        said.append(f"{intent.address}: the answer to an earlier {intent.change['action']} was lost; {words}")
    return said


async def _resolve(intent: Intent, kind: ResourceType, api: Any, store: Store, env: Env) -> tuple[Ended, str]:
    change, address, operation = intent.change, intent.address, intent.operation
    if "rename" in change:
        return Ended(operation), "the name it has now is read with the plan"
    at = Target(address, change["id"], change["name"], change["parent"])
    seen = (await kind.read(api, at)).seen
    if change["action"] == Action.CREATE:
        if seen is None:
            return Ended(operation), "it was not made"
        entry = Entry(
            address,
            seen.id,
            from_json(change["after"]),
            change["parent"],
            {},
            kind.facts(seen),
            tuple(Address(need) for need in change["needs"]),
            change["protect"],
            change["on_removal"],
            change["labels"],
            env.now().isoformat(timespec="seconds"),
        )
        return Ended(operation, (entry,)), "it was made"
    if change["action"] == Action.DELETE:
        if seen is None:
            return Ended(operation, drop=(address,)), "it was deleted"
        return Ended(operation), "it was not deleted"
    known = (await store.get([address])).get(address)
    if known is None or seen is None:
        return Ended(operation), "what is live now is read with the plan"
    after, sent = from_json(change["after"]), set(change["fields"])
    prints, attrs, facts = dict(known.prints), dict(known.attrs), dict(known.facts)
    for name, spec in fields_of(kind.Model).items():
        if name not in sent:
            continue
        if Mark.TRIGGER in spec.marks:
            attrs[name] = after[name]
        elif spec.kind is Kind.SECRET:
            # Its date moves in whole seconds (contract), so that an equal one does not say that nothing was written.
            prints.pop(name, None)
            facts = dict(kind.facts(seen))
    entry = replace(known, attrs=attrs, prints=prints, facts=facts)
    return Ended(operation, (entry,)), "what is live now is read with the plan"
