"""Whether what a plan saw is still so: why a write is a conflict and is not carried out (design §5)."""

from __future__ import annotations

from reconcile.core.decide import preconditions
from reconcile.core.diff import differences
from reconcile.core.fields import spelled
from reconcile.core.plan import Action, Change
from reconcile.core.resource import Observed
from reconcile.core.resource_type import ResourceType
from reconcile.core.schema import fields_of


def conflict(kind: ResourceType, change: Change, seen: Observed | None) -> str | None:
    """Why `change` must not be written to what is live now (`seen`); None when it may."""
    version = change.seen.get("version")
    if change.action is Action.DELETE:
        changed = seen is not None and version is not None and seen.version != version
        return "somebody changed it after the plan was made" if changed else None
    if seen is None:
        return "it is gone since the plan was made"
    before, shape = change.seen.get("attrs", {}), fields_of(kind.Model)
    now = preconditions(shape, seen, before)
    found = [
        ".".join((name, *path))
        for name, value in before.items()
        for path, _, _ in differences(spelled(shape[name], now[name], value), value, shape[name])
    ]
    if found or (version is not None and version != seen.version):
        return f"somebody changed {', '.join(found[:3]) or 'it'} after the plan was made; plan again"
    return unforeseen(kind, change, seen)


def unforeseen(kind: ResourceType, change: Change, seen: Observed) -> str | None:
    """Why a staged write must not be sent: somebody else left something waiting that the plan does not say is lost."""
    foreign = kind.foreign(seen, (change.facts, change.stamp)) if change.stamp else None
    if foreign is None or foreign == change.overwrites:
        return None
    return f"somebody else staged the update {foreign} after the plan was made; plan again"
