"""Whether what a plan saw is still so: why a write is a conflict and is not carried out."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime

from reconcile.core.compare import spelled
from reconcile.core.decide import accepted_now
from reconcile.core.plan import Action, Change
from reconcile.core.resource import Entry, Observed
from reconcile.core.resource_type import ResourceType, is_other
from reconcile.core.schema import Mark, fields_of
from reconcile.core.tree import differences, same
from reconcile.core.values import Attrs

_NOTHING: frozenset[str] = frozenset()


def conflict(
    kind: ResourceType,
    change: Change,
    seen: Observed | None,
    prior: Entry | None,
    now: datetime,
    ours: Set[str] = _NOTHING,
) -> str | None:
    """
    Why `change` must not be written to what is live now (`seen`); None when it may.

    Args:
        prior, now: the state's entry of it, and the server's clock at that reading: by which it is read.
        ours: attributes that this run wrote to it already; then its version is ours too.
    """
    if change.action is Action.CREATE:
        made = seen is not None and seen.id != change.seen.get("namesake")
        return f"{seen.id} was created by somebody else after the plan was made; plan again" if made and seen else None
    if seen is None:
        return None if change.action is Action.DELETE else "it is gone since the plan was made"
    if prior is not None and is_other(kind, seen, prior):
        return "the API answered with a different unit"
    if change.action is Action.DELETE:
        return _leaving(kind, change, seen)
    return _changed(kind, change, seen, prior, now, ours)


def _changed(
    kind: ResourceType, change: Change, seen: Observed, prior: Entry | None, now: datetime, ours: Set[str]
) -> str | None:
    before, shape = change.seen.get("attrs", {}), fields_of(kind.Model)
    live = accepted_now(shape, seen, kind.view(seen, prior, now), before)
    found = [
        ".".join((name, *path))
        for name, value in before.items()
        if name not in ours
        for path, _, _ in differences(spelled(shape[name], live["attrs"][name], value), value, shape[name])
    ]
    version = change.seen.get("version")
    if found or (version is not None and not ours and version != live["version"]):
        return f"somebody changed {', '.join(found[:3]) or 'it'} after the plan was made; plan again"
    return unforeseen(kind, change, seen)


def _leaving(kind: ResourceType, change: Change, seen: Observed) -> str | None:
    """What is deleted takes everything with it: so all that the plan saw of it counts, whoever manages it."""
    before, version = change.seen.get("attrs", {}), change.seen.get("version")
    found = [name for name, value in before.items() if not same(seen.attrs.get(name), value)]
    moved = version is not None and version != seen.version
    moved = moved or not same(dict(kind.facts(seen)), change.seen.get("facts", dict(kind.facts(seen))))
    if found or moved:
        return f"somebody changed {', '.join(found[:3]) or 'it'} after the plan was made; plan again"
    return None


def unforeseen(kind: ResourceType, change: Change, seen: Observed) -> str | None:
    """Why a staged write must not be sent: somebody else left something waiting that the plan does not say is lost."""
    foreign = None
    if kind.staging is not None and change.stamp:
        foreign = kind.staging.foreign_update(seen, (change.facts, change.stamp))
    if foreign is None or foreign == change.overwrites:
        return None
    return f"somebody else staged the update {foreign} after the plan was made; plan again"


def answered_otherwise(kind: ResourceType, change: Change, sent: Attrs, seen: Observed) -> str | None:
    """An attribute that the API's answer to a write has another value of than was sent."""
    shape = fields_of(kind.Model)
    for name, value in sent.items():
        told = seen.attrs.get(name)
        by_name = bool(shape[name].refers) and name not in change.refers  # sent as a name, answered as an id
        if told is None or not isinstance(value, (str, bool)) or by_name or Mark.TRIGGER in shape[name].marks:
            continue
        if not same(told, value):
            return name
    return None
