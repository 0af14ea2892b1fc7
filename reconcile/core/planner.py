"""
From sightings to a plan: the only place where resources are looked at together.

The engine shows the planner one resource after the other (`see`, `leave`); `finish` adds what only the whole can
tell: names that are held by somebody, apps that are still in use, guards, order. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from reconcile.core.address import Address
from reconcile.core.bindings import Bindings
from reconcile.core.decide import decide
from reconcile.core.graph import in_waves, ranks_of
from reconcile.core.guard import guard
from reconcile.core.options import Options
from reconcile.core.plan import (
    Absent,
    Action,
    Blocked,
    Cause,
    Change,
    NotCompared,
    Plan,
    Reason,
    Unmanaged,
    Unread,
    Unsettled,
)
from reconcile.core.ports import Document, Limit
from reconcile.core.resource import Desired, Entry, Observed
from reconcile.core.resource_type import ResourceType
from reconcile.core.schema import Field, Mark, fields_of
from reconcile.core.selection import Selection
from reconcile.core.sighting import Decision, Match, Resolved, Sighting, Unresolved, needed_secrets_warning
from reconcile.core.text import meant
from reconcile.core.tree import put, without
from reconcile.core.uses import NamesAndUses
from reconcile.core.values import Ref, SecretRef
from reconcile.errors import AccessDenied, InvalidInput, Position, Problem, ReconcileError, summarised

_NOT_COMPARED = {
    Match.UNRESOLVED: "no value",
    Match.OTHER_KEY: "another key",
    Match.NOT_ALLOWED: "not allowed",
}
_MOST_LOOKED_FOR = 20  # absent units for which something like them is looked for
PROTECTED_LEAVING = (
    "it is protected: put it back with `protect: false` and apply that first, or lift it with state unprotect"
)


class Planner:
    """Collects decisions; `finish` makes the plan. One instance per plan."""

    def __init__(
        self,
        types: Mapping[str, ResourceType],
        document: Document,
        bindings: Bindings,
        options: Options,
        protects: Callable[[Address], bool] = lambda address: False,
    ) -> None:
        """`protects`: what the files protect though the plan is made against none of them (`destroy`)."""
        self._protects = protects
        self.types = types
        self.document = document
        self.options = options
        self.plan = Plan(bindings)
        self._order: dict[Address, tuple[int, int]] = {}
        self._resolved: dict[Ref, Resolved] = {}
        self._spare: dict[Address, tuple[Change, int]] = {}  # not selected, but others may need it
        self.learned: list[Entry] = []  # what an apply records before it sends anything
        self._uses = NamesAndUses(types)
        self._problems: list[Problem] = []
        self._unsettled: list[tuple[int, Unsettled]] = []
        self._unchanged: list[tuple[int, Address]] = []
        self._live: dict[str, int] = {}
        self._needed: list[tuple[Address, SecretRef]] = []
        self.selection = Selection(options)
        self._near: dict[Ref, str | None] = {}
        self._ranks = ranks_of(types)

    # -- what is live -----------------------------------------------------------------------------------------------

    def listed(self, rtype: ResourceType, seen: Observed) -> None:
        """Notes a live unit, as soon as it is read."""
        self._uses.listed(rtype, seen)

    def named(self, rtype: ResourceType, seen: Observed, want: Desired) -> None:
        """Notes a live unit that a root of the files means."""
        self._uses.named(rtype, seen, want.address, rtype.unit(want.attrs, want.address.key)[1])

    def unnamed(self, rtype: ResourceType, seen: Observed) -> None:
        """Notes a live unit that no file names."""
        self._uses.unnamed(rtype, seen)

    def claims(self, ids: Iterable[str]) -> None:
        """Notes the units of a type that the files name, once all of them are read."""
        self._uses.claims(ids)

    def warn(self, said: str) -> None:
        """Notes what a reader of the plan should know."""
        self.plan.warnings.append(said)

    def unmanaged(self, path: str, count: int, strangers: Iterable[Observed]) -> None:
        """Notes how many of a type are live, in no file and not in the state; and which, where that is asked for."""
        self.plan.unmanaged[path] = count
        self.plan.strangers += (Unmanaged(path, seen.id, seen.name) for seen in strangers)

    def id_of(self, path: str, name: str) -> str | None:
        """The id of a live resource that others refer to, by its name; None when none has it."""
        return self._uses.ids[path].get(name)

    def name_of(self, path: str, id: str) -> str | None:
        """The name of a live resource that others refer to."""
        return self._uses.names[path].get(id)

    def deletes_any(self, paths: Set[str]) -> bool:
        """Whether something of these types is to be deleted, so far."""
        changes = self.plan.changes if paths else ()
        return any(change.action is Action.DELETE and change.address.type_path in paths for change in changes)

    # -- one resource -----------------------------------------------------------------------------------------------

    def see(self, rtype: ResourceType, sighting: Sighting, order: int) -> Change | None:
        """
        Decides one wanted resource. `order` is its place among the roots of the files.

        Raises nothing: a reference that resolves to nothing is collected for `finish`.
        """
        want = sighting.want
        self.plan.units += sighting.seen is not None and want.address.parent is None
        self._live[rtype.path] = self._live.get(rtype.path, 0) + (sighting.seen is not None)
        selected = self.selection.selects(want.address, want.block)
        if not selected and rtype.path not in self._uses.referred:
            return None
        try:
            decision = decide(rtype, sighting, lambda ref: self._resolve(ref, want), self._uses.names)
            if decision.learned is not None and sighting.prior is not None:
                self.learned.append(replace(sighting.prior, facts=decision.learned))
        except InvalidInput as unresolved:
            if isinstance(unresolved, Unresolved) and not rtype.lifecycle(want.attrs).create:
                # Hardware that wants what is not there yet, such as an app that a build has not uploaded: it waits.
                for problem in unresolved.problems:
                    self._absent(Absent(want.address, problem.what, problem.where, problem.hint), want.block)
                return None
            self._problems.extend(unresolved.problems)
            return None
        if not selected:
            if decision.change is not None:
                self._spare[want.address] = decision.change, order
            return None
        return self._take(decision, want.address, order)

    def passes_over(self, address: Address, block: str | None) -> bool:
        """Whether nothing of a root's family is selected, so that it need not be read."""
        return not self.selection.touches(address, block)

    def _take(self, decision: Decision, address: Address, order: int) -> Change | None:
        if decision.unsettled:
            self._unsettled.append((order, decision.unsettled))
        for match, name, reference in decision.untold:
            if match is Match.NEEDED:
                self._needed.append((address, reference))
            else:
                self.plan.not_compared.append(NotCompared(address, name, reference, _NOT_COMPARED[match]))
        if decision.blocked:
            self.plan.blocked.append(decision.blocked)
            return None
        if decision.change is None:
            path = address.type_path
            self.plan.in_sync[path] = self.plan.in_sync.get(path, 0) + 1
            if self.options.show_unchanged:
                self._unchanged.append((order, address))
            return None
        self._add(decision.change, order)
        return decision.change

    def problem(self, problem: Problem) -> None:
        """A mistake of the document that only the live account shows; all of them are raised by `finish`."""
        self._problems.append(problem)

    def missing(self, rtype: ResourceType, want: Desired, unit: str, known: bool, others: Sequence[str]) -> None:
        """
        A wanted unit that is not on the account and cannot be made: it is not there yet, and the rest goes on.

        Args:
            known: whether the state knows it, so that it was there once. others: ids and names that are there.
        """
        what = f"there is no {rtype.noun} {unit}" + ("" if rtype.listed == "unit" else " on the account")
        if known:
            what = f"the {rtype.noun} {unit} is gone" + ("" if rtype.listed == "unit" else " from the account")
        near: list[str] = []
        if len(self.plan.absent) < _MOST_LOOKED_FOR:
            near = difflib.get_close_matches(unit.strip("'"), others, n=1, cutoff=0.8)
        hint = meant(unit.strip("'"), near[0]) if near else None
        self._absent(Absent(want.address, what, want.where, hint), want.block)

    def _absent(self, absent: Absent, block: str | None) -> None:
        if self.selection.selects(absent.address, block):
            self.plan.absent.append(absent)

    def unread(self, type_path: str, address: Address | None, error: ReconcileError, block: str | None = None) -> None:
        """Something that did not answer."""
        if address is None or self.selection.selects(address, block):
            denied = isinstance(error, AccessDenied)
            self.plan.unread.append(Unread(type_path, address, error.what, denied, hint=error.hint))

    def stranger(self, type_path: str, address: Address, unit: str, block: str | None) -> None:
        """A unit that was not asked, since nobody vouched for it and it would have got a credential."""
        if self.selection.selects(address, block):
            self.plan.unread.append(Unread(type_path, address, "not trusted yet", allow=unit))

    # -- what leaves ------------------------------------------------------------------------------------------------

    def leave(
        self,
        entry: Entry,
        seen: Observed | None,
        action: Action,
        order: int,
        address: Address | None = None,
        notes: tuple[str, ...] | None = None,
    ) -> None:
        """
        What the state knows and the files do not have any more.

        Args:
            seen: as it is live; None when it is gone (then only the state forgets it) or when nothing is sent.
            action: DELETE or FORGET, as `on_removal` and the type say.
            address: where it would stand now, if what it hangs on has moved.
        """
        address = address or entry.address
        self.plan.units += seen is not None and address.parent is None
        if not self.selection.selects(address, None):
            return
        reason = Reason.DESTROY if self.options.destroy else Reason.NOT_IN_FILES
        if action is Action.DELETE and seen is None:
            action, reason = Action.NOOP, Reason.GONE
            notes = notes or ("it is gone from the account already",)
        change = Change(
            address,
            action,
            reason,
            id=entry.id,
            name=seen.name if seen else entry.address.key,
            parent=entry.parent,
            before=dict(seen.attrs) if seen else dict(entry.attrs),
            seen=self._all_seen(seen, entry) if seen is not None and action is Action.DELETE else {},
            needs=(),
            labels=entry.labels,
            facts=dict(entry.facts),
            on_removal=entry.on_removal,
            blocked=PROTECTED_LEAVING if entry.protect or self._protects(address) else None,
            moved_from=entry.address if address != entry.address else None,
            notes=notes or (),
        )
        self._add(change, order)

    def _all_seen(self, seen: Observed, entry: Entry) -> dict[str, Any]:
        """All that a plan saw of what it deletes; nothing but its version where nobody asked the API."""
        if not self.options.refresh:
            return {"version": seen.version}
        kind = self.types[entry.address.type_path]
        shape = fields_of(kind.Model)
        attrs = {name: value for name, value in seen.attrs.items() if Mark.LEASE not in _marks(shape, name)}
        return {"attrs": attrs, "version": seen.version, "facts": dict(kind.facts(seen))}

    def _add(self, change: Change, order: int) -> None:
        self._order[change.address] = (self._ranks[change.address.type_path], order)
        self.plan.changes.append(change)

    # -- references -------------------------------------------------------------------------------------------------

    def resolved(self, ref: Ref, want: Desired) -> Resolved | None:
        """What a reference of `want` stands for; None when it stands for nothing, which is collected for `finish`."""
        try:
            return self._resolve(ref, want)
        except InvalidInput as unresolved:
            self._problems.extend(unresolved.problems)
            return None

    def _resolve(self, ref: Ref, want: Desired) -> Resolved:
        if ref not in self._resolved:
            self._resolved[ref] = self._resolve_once(ref, want)
        return self._resolved[ref]

    def _resolve_once(self, ref: Ref, want: Desired) -> Resolved:
        address = Address.of(ref.path, (ref.name,))
        desired = self.document.get(address)
        ids, names = self._uses.ids[ref.path], self._uses.names[ref.path]
        if desired is not None and not self.options.destroy:
            name = self.types[ref.path].unit(desired.attrs, ref.name)[1]
            return Resolved(name, ids.get(name), address)
        if ref.name in names:
            return Resolved(names[ref.name], ref.name, None)
        if ref.name in ids:
            return Resolved(ref.name, ids[ref.name], None)
        if not self.options.refresh:
            return Resolved(ref.name, None, None)  # nobody asked whether it is live; the API will say
        noun = self.types[ref.path].noun
        if ref not in self._near:
            near = difflib.get_close_matches(ref.name, [*ids, *self._document_keys(ref.path)], n=1)
            self._near[ref] = meant(ref.name, near[0]) if near else None
        raise Unresolved(
            Problem(
                f"there is no {noun} {ref.name!r}, neither in the files nor on the account",
                _place_of(ref, want),
                want.address,
                hint=self._near[ref],
            )
        )

    def _document_keys(self, path: str) -> Iterable[str]:
        return (self.document.at(handle).address.key for handle in self.document.roots(path))

    def _take_along(self) -> None:
        """What is not selected and yet needed by what is; needed and excluded, it blocks what needs it."""
        plan, at = self.plan, 0
        while at < len(plan.changes):
            change = plan.changes[at]
            for need in change.needs:
                if need not in self._spare:
                    continue
                if self.selection.excludes(need):
                    plan.changes[at] = replace(change, blocked=f"it needs {need}, which is excluded")
                else:
                    self._add(*self._spare.pop(need))
            at += 1

    # -- the whole --------------------------------------------------------------------------------------------------

    def finish(self, limits: Mapping[str, Limit], held: Mapping[str, int], wanted: int) -> Plan:
        """
        The plan.

        Args:
            held: how many resources of each type the state holds. wanted: how many the files hold.

        Raises:
            InvalidInput: units that are not on the account, references that stand for nothing.
        """
        if self._problems:
            raise InvalidInput(*summarised(list(dict.fromkeys(self._problems))))
        plan = self.plan
        self._unsettled.sort(key=lambda piece: piece[0])
        plan.unsettled = [unsettled for _, unsettled in self._unsettled]
        self._unchanged.sort(key=lambda one: (self._ranks[one[1].type_path], one[0]))
        plan.unchanged = [address for _, address in self._unchanged]
        plan.warnings += [needed_secrets_warning(self._needed)] if self._needed else []
        plan.not_compared.sort(key=lambda secret: (secret.address, secret.name))
        plan.unresolved_secrets = sum(secret.reason != "another key" for secret in plan.not_compared)
        self._take_along()
        plan.changes.sort(key=lambda change: (*self._order[change.address], len(change.address.keys)))
        plan.changes = [self._uses.not_replaced(change) for change in plan.changes]
        self._wait()
        if self.options.refresh_only:
            plan.changes = [_refreshed(change) for change in plan.changes if change.drifted]
            plan.not_compared = []  # nothing of the files is asked
        self._uses.names_held(plan)
        self._uses.still_used(plan, destroy=self.options.destroy, asked=self.options.refresh)
        if not self.options.destroy:
            nouns = {path: kind.noun for path, kind in self.types.items()}
            guard(plan, limits, self.options.allow, self._sizes(held), wanted, nouns)
        if not self.options.overwrite_pending and (blocked := _foreign_pending(plan)):
            plan.blocked.append(blocked)
        plan.changes = in_waves(plan.changes, self._ranks, self._uses.holders(plan))
        plan.expected_requests = sum(_requests(self.types, change) for change in plan.changes)
        return plan

    def _wait(self) -> None:
        """What needs something that is not there yet is not done either, nor what needs that."""
        plan = self.plan
        lacking = {absent.address for absent in plan.absent}

        def need_of(change: Change) -> Address | None:
            parent = change.address.parent
            needs = change.needs if parent is None else (*change.needs, parent)
            return next((need for need in needs if need in lacking), None)

        while lacking:
            held = [(change, need) for change in plan.changes if (need := need_of(change)) is not None]
            if not held:
                return
            for change, need in held:
                plan.absent.append(Absent(change.address, f"waits for {need}", change.where, waits=True))
            lacking |= {change.address for change, _ in held}
            plan.changes = [change for change in plan.changes if change.address not in lacking]

    def _sizes(self, held: Mapping[str, int]) -> dict[str, int]:
        """How many of each type there are, for shares: in the state, else on the account."""
        live = {path: self._live.get(path, 0) + self.plan.unmanaged.get(path, 0) for path in self.types}
        return {path: held.get(path, 0) or live[path] for path in self.types}


def _place_of(ref: Ref, want: Desired) -> Position | None:
    """Where the files name a reference."""
    named = (name for name, value in want.attrs.items() if value == ref or (isinstance(value, list) and ref in value))
    return next((want.fields[name] for name in named if name in want.fields), want.where)


def _foreign_pending(plan: Plan) -> Blocked | None:
    """That staged work of somebody else would be lost."""
    losing = [change for change in plan.changes if change.overwrites]
    if not losing:
        return None
    named = ", ".join(f"{change.address} ({change.overwrites})" for change in losing[:3])
    named += f" and {len(losing) - 3:,} more" if len(losing) > 3 else ""
    return Blocked(
        f"an update that somebody else staged would be lost: {named}",
        "Let it be delivered first, or plan with --overwrite-pending",
        "pending",
        len(losing),
    )


def _refreshed(change: Change) -> Change:
    """What `--refresh-only` makes of drift: the state takes over what is live, nothing is sent."""
    notes = ("taken over into the state",)
    theirs = tuple(part for part in change.fields if part.cause in (Cause.SOMEBODY, Cause.BOTH))
    change = replace(change, patch={}, stamp={}, overwrites=None, taken=theirs)
    if change.reason is Reason.GONE:
        return replace(change, action=Action.NOOP, after={}, fields=(), notes=notes)
    after, prints = dict(change.after), dict(change.prints)
    for part in change.fields:
        name = part.path[0]
        if part.cause is Cause.LEASE:
            continue
        live = part.before if part in theirs else part.prior
        if part.sensitive and part in theirs:
            prints.pop(name, None)  # what is live has a value that nobody here knows
        else:
            wanted = change.after.get(name)
            live = Ref(wanted.path, live) if live and isinstance(wanted, Ref) else live
            after = without(after, part.path) if live is None else put(after, part.path, live)
    return replace(change, action=Action.NOOP, reason=Reason.RECORD, after=after, prints=prints, fields=(), notes=notes)


def _requests(types: Mapping[str, ResourceType], change: Change) -> int:
    if change.action in (Action.FORGET,) or (change.action in (Action.NOOP, Action.ADOPT) and not change.fields):
        return 0
    shape = fields_of(types[change.address.type_path].Model)
    sent = {shape[part.path[0]].stage for part in change.fields} if change.action is not Action.CREATE else {0}
    return max(1, len(sent)) + bool(change.former_name) + bool(change.temporary)


def _marks(shape: Mapping[str, Field], name: str) -> frozenset[Mark]:
    return shape[name].marks if name in shape else frozenset()
