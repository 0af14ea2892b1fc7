"""Whether what a plan saw is still so: why a write is a conflict and is not carried out."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime
from typing import Any

from reconcile.core.compare import spelled
from reconcile.core.decide import accepted_now
from reconcile.core.owned import Shape
from reconcile.core.plan import Action, Change, FieldChange
from reconcile.core.resource import Entry, Observed, Status, View
from reconcile.core.resource_type import ResourceType, is_other, landed
from reconcile.core.schema import Field, Mark, fields_of
from reconcile.core.tree import Path, differences, same
from reconcile.core.values import Attrs, FileRef, SecretRef

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
    version = change.seen.get("version")
    # Where a write does not replace what it does not name, one that finds its value there already changes nothing.
    wanted = change.after if version is None else {}
    found = [
        ".".join((name, *path))
        for name, value in before.items()
        if name not in ours
        if name not in wanted or _differ(shape[name], live["attrs"][name], wanted[name])
        for path in _differ(shape[name], live["attrs"][name], value)
    ]
    if found or (not ours and _is_another(version, live["version"])):
        return f"somebody changed {', '.join(found[:3]) or 'it'} after the plan was made; plan again"
    return unforeseen(kind, change, seen)


def _differ(spec: Field, live: Any, value: Any) -> list[Path]:
    return [path for path, _, _ in differences(spelled(spec, live, value), value, spec)]


def _is_another(version: Any, live: Any) -> bool:
    """True if both sides say a version and it is not one: an answer without one is no evidence of anybody."""
    return version is not None and live is not None and version != live


def _leaving(kind: ResourceType, change: Change, seen: Observed) -> str | None:
    """What is deleted takes everything with it: so all that the plan saw of it counts, whoever manages it."""
    before, version = change.seen.get("attrs", {}), change.seen.get("version")
    found = [name for name, value in before.items() if not same(seen.attrs.get(name), value)]
    moved = _is_another(version, seen.version) or not same(
        dict(kind.facts(seen)), change.seen.get("facts", dict(kind.facts(seen)))
    )
    if found or moved:
        return f"somebody changed {', '.join(found[:3]) or 'it'} after the plan was made; plan again"
    return None


def as_planned(kind: ResourceType, change: Change, sent: Attrs, seen: Observed, view: View) -> bool:
    """
    True if what a write would send is there already, as far as a reading tells: never of secrets, files and triggers.

    Args:
        sent: the attributes of the write, references by their ids.
        view: how `seen` is read.
    """
    shape = fields_of(kind.Model)
    if any(_is_unreadable(shape, part) for part in change.fields) or unforeseen(kind, change, seen) is not None:
        return False
    if kind.staging is None:
        return landed(kind, sent, seen)
    readings = (view.attrs, view.attrs if view.reported is None else view.reported)
    names = {part.path[0] for part in change.fields}
    return view.status is Status.SETTLED and not any(
        _differ(shape[name], reading.get(name), change.after.get(name)) for name in names for reading in readings
    )


def _is_unreadable(shape: Shape, part: FieldChange) -> bool:
    spec = shape[part.path[0]]
    unread = not spec.marks.isdisjoint((Mark.TRIGGER, Mark.LEASE, Mark.CREDENTIAL))
    return unread or part.sensitive or isinstance(part.after, SecretRef | FileRef)


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
        if not same(spelled(shape[name], told, value), value):
            return name
    return None
