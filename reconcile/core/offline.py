"""
A plan of files against files: what would change between two checkouts of a fleet, as far as files can tell. Pure.

Nothing live is asked, and no state: so what only the account knows (drift, ids, whether a unit is there) is not in it,
a secret is compared by its reference alone, and nobody can apply it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconcile.core.bindings import Bindings
from reconcile.core.decide import PROTECTED
from reconcile.core.forms import aligned
from reconcile.core.graph import in_waves, ranks_of
from reconcile.core.guard import guard
from reconcile.core.options import Options
from reconcile.core.plan import (
    Action,
    Blocked,
    Cause,
    Change,
    FieldChange,
    NotCompared,
    Plan,
    Reason,
    SettingChange,
)
from reconcile.core.planner import PROTECTED_LEAVING
from reconcile.core.policy import judge
from reconcile.core.ports import Document
from reconcile.core.resource import Desired
from reconcile.core.resource_type import ResourceType
from reconcile.core.schema import Field, fields_of
from reconcile.core.selection import Selection, Survey
from reconcile.core.tree import MISSING, differences
from reconcile.core.values import SecretRef

OFFLINE = "offline"


def offline_plan(
    files: Document, base: Document | None, types: Mapping[str, ResourceType], bindings: Bindings, options: Options
) -> Plan:
    """
    What the files would change, compared with those of another checkout; without one only how many there are.

    Args:
        base: the same fleet in another checkout, None without one.
    """
    plan = Plan(bindings, warnings=list(files.warnings))
    plan.in_files = {path: count for path in types if (count := files.count(path))}
    if base is None:
        return plan
    _survey(files, base, options)
    comparing = _Comparing(files, base, types, Selection(options), plan)
    comparing.run()
    held = {path: base.count(path) for path in types}
    before = sum(held.values())
    if before and not plan.in_files:
        plan.blocked.append(Blocked(f"the files declare no resources, but the others have {before:,}"))
    else:
        nouns = {path: kind.noun for path, kind in types.items()}
        for limits in (files.limits, base.limits):  # a change of the limits themselves lets nothing through
            guard(plan, limits, options.allow, held, 1, nouns)
    judge(plan, [*files.policies, *base.policies], types)
    plan.blocked = list(dict.fromkeys(plan.blocked))
    plan.settings += _settings(files, base)
    plan.changes = in_waves(plan.changes, ranks_of(types), {})
    return plan


def _survey(files: Document, base: Document, options: Options) -> None:
    """Raises InvalidInput for a selection that names nothing on either side."""
    survey = Survey(options)
    if survey.narrows:
        for side in (files, base):
            for one in side.resources():
                survey.meets(one.address, one.block, secret=False)
        survey.check()


@dataclass(slots=True)
class _Comparing:
    files: Document
    base: Document
    types: Mapping[str, ResourceType]
    selection: Selection
    plan: Plan

    def run(self) -> None:
        for path in (path for path in self.types if path.count(".") == 1):
            met: set[int] = set()
            for handle in self.files.roots(path):
                self._family(handle, met)
            for handle in self.base.roots(path):
                if handle not in met:
                    self._leaves(handle)

    def _family(self, handle: int, met: set[int]) -> None:
        """A root of the files, beside the one of the base that it was."""
        want = self.files.at(handle)
        kind = self.types[want.address.type_path]
        there = self.base.handle(want.address)
        if there is None:  # under another key: the one that names the same unit
            id, _ = kind.unit(want.attrs, want.address.key)
            there = self.base.find(kind.path, id, None) if id is not None else None
            if there is not None and self.files.handle(self.base.at(there).address) is not None:
                there = None
        before = [] if there is None else [self.base.at(there), *self.base.children(there)]
        if there is not None:
            met.add(there)
        family = [want, *self.files.children(handle)]
        known = {_below(one, before[0]): one for one in before}
        for one in family:
            self._decide(one, known.pop(_below(one, want), None))
        for left in known.values():
            kind = self.types[left.address.type_path]
            self._let_go(left, left.on_removal != "forget" and kind.lifecycle(left.attrs).delete)

    def _decide(self, want: Desired, was: Desired | None) -> None:
        if not self.selection.selects(want.address, want.block):
            return
        kind = self.types[want.address.type_path]
        if was is None:
            made = kind.lifecycle(want.attrs).create
            action, reason = (Action.CREATE, Reason.NOT_LIVE) if made else (Action.ADOPT, Reason.NOT_IN_STATE)
            fields = tuple(_field(want, (name,), None, value) for name, value in want.attrs.items())
            self._add(want, Change(want.address, action, reason, after=want.attrs, fields=fields))
            return
        if want.protect != was.protect:
            said = (f"protect of {want.address}", _said(was.protect), _said(want.protect), want.where)
            self.plan.settings.append(SettingChange(*said))
        fields, notes = self._differences(kind, want, was)
        ids = [kind.unit(one.attrs, one.address.key)[0] for one in (was, want)]
        if None not in ids and ids[0] != ids[1] and want.address.parent is None:
            change = Change(want.address, Action.REPLACE, Reason.ANOTHER_UNIT, id=ids[1], former=ids[0])
            blocked = PROTECTED if was.protect else None
            self._add(want, replace(change, before=was.attrs, after=want.attrs, fields=fields, blocked=blocked))
            return
        moved = was.address if was.address != want.address else None
        if not fields and not notes and moved is None:
            path = want.address.type_path
            self.plan.in_sync[path] = self.plan.in_sync.get(path, 0) + 1
            if self.plan.bindings.options.show_unchanged:
                self.plan.unchanged.append(want.address)
            return
        action = Action.UPDATE if fields else Action.NOOP
        reason = Reason.FIELDS_DIFFER if fields else Reason.MOVED if moved else Reason.RECORD
        change = Change(want.address, action, reason, id=ids[1], before=was.attrs, after=want.attrs, fields=fields)
        self._add(want, replace(change, notes=tuple(notes), moved_from=moved))

    def _differences(
        self, kind: ResourceType, want: Desired, was: Desired
    ) -> tuple[tuple[FieldChange, ...], list[str]]:
        shape = fields_of(kind.Model)
        fields: list[FieldChange] = []
        for name, value in want.attrs.items():
            before = was.attrs.get(name, MISSING)
            if isinstance(value, SecretRef) and before == value:
                self.plan.not_compared.append(NotCompared(want.address, name, value, OFFLINE))
                continue
            spec = shape.get(name)
            fields += _leaves(want, name, before, value, spec)
        notes = [f"{name} is not managed any more" for name in was.attrs if name not in want.attrs]
        return tuple(fields), notes

    def _leaves(self, handle: int) -> None:
        """A root that only the base has, with what hangs on it."""
        root = self.base.at(handle)
        lifecycle = self.types[root.address.type_path].lifecycle(root.attrs)
        removal = root.on_removal or lifecycle.on_removal
        self._let_go(root, lifecycle.delete and removal == "delete")
        for child in self.base.children(handle):
            self._let_go(child, removal == "clear" and child.on_removal != "forget")

    def _let_go(self, was: Desired, deletes: bool) -> None:
        if not self.selection.selects(was.address, was.block):
            return
        action = Action.DELETE if deletes else Action.FORGET
        change = Change(was.address, action, Reason.NOT_IN_FILES, before=_without_secrets(was.attrs))
        blocked = PROTECTED_LEAVING if was.protect else None
        self._add(was, replace(change, blocked=blocked))

    def _add(self, one: Desired, change: Change) -> None:
        block = one.block if change.action not in (Action.DELETE, Action.FORGET) else None
        about = replace(change, block=block, labels=one.labels, where=one.where, on_removal=one.on_removal)
        self.plan.changes.append(replace(about, protect=bool(one.protect)))


def _below(one: Desired, root: Desired) -> str:
    """What tells a member of a family from the others, whatever the root is called."""
    return f"{one.address.type_path} {one.address.removeprefix(root.address)}"


def _leaves(want: Desired, name: str, before: Any, after: Any, spec: Field | None) -> Iterator[FieldChange]:
    if isinstance(after, SecretRef):
        made = _field(want, (name,), None, after)
        yield made if before is MISSING else replace(made, note=f"it comes from {after} now")
        return
    one = before if spec is None or before is MISSING else aligned(spec, before, after)
    for path, was, will in differences(one, after, spec):
        sides = (None if was is MISSING else was, None if will is MISSING else will)
        yield _field(want, (name, *path), *sides)


def _field(want: Desired, path: tuple[str, ...], before: Any, after: Any) -> FieldChange:
    where, origin = want.fields.get(path[0]), want.origins.get(path[0])
    secret = isinstance(after, SecretRef)
    return FieldChange(path, Cause.YOU, before, after, sensitive=secret, where=where, origin=origin)


def _without_secrets(attrs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attrs.items() if not isinstance(value, SecretRef)}


# -- what no resource shows --------------------------------------------------------------------------------------------


def _settings(files: Document, base: Document) -> Iterator[SettingChange]:
    """Changed settings of providers, of the state, and limits."""
    sides = [dict(_settings_of(one)) for one in (base, files)]
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        before, after = (side.get(name) for side in sides)
        if before != after:
            yield SettingChange(name, before, after, files.places.get(name) or base.places.get(name))


def _settings_of(files: Document) -> Iterator[tuple[str, str | None]]:
    for provider, settings in files.settings.items():
        for name in type(settings).model_fields:
            yield f"providers.{provider}.{name}", _said(getattr(settings, name))
    state = files.state
    yield "state.path", _said(None if state.url is not None else state.path.removeprefix(files.directory).lstrip("/"))
    for name in ("url", "username", "password"):
        yield f"state.{name}", _said(getattr(state, name))
    yield "state.history", _said(state.keep)
    for policy in files.policies:
        yield f"policies.{policy.name}", f"{'deny' if policy.denies else 'warn'} {policy.text} ({policy.message})"
    for kind, limit in files.limits.items():
        bound = f"{limit.share:.0%}" if limit.share is not None else str(limit.number)
        yield f"limits.{kind}", bound


def _said(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
