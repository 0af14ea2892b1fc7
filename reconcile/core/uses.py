"""
The names that are held and the units that are used: the questions that only the whole account answers.

Live units are noted as they are read; when all are, names that are held are freed or refused, and what is still in
use is not deleted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reconcile.core.address import Address
from reconcile.core.plan import Action, Change, Plan, Reason
from reconcile.core.resource import Observed
from reconcile.core.resource_type import ResourceType, Use
from reconcile.core.schema import fields_of


@dataclass(frozen=True, slots=True)
class _User:
    """A unit that needs something: its name for a person, its id, and how it needs it."""

    label: str
    id: str
    use: Use


class NamesAndUses:
    """Notes about live units while they are read. One instance per plan."""

    def __init__(self, types: Mapping[str, ResourceType]) -> None:
        self._referring = {
            path: {name: spec.names for name, spec in fields_of(rtype.Model).items() if spec.names}
            for path, rtype in types.items()
        }
        self.referred = {path for referring in self._referring.values() for path in referring.values()}
        self.names: dict[str, dict[str, str]] = defaultdict(dict)  # type → id → name, of what is referred to
        self.ids: dict[str, dict[str, str]] = defaultdict(dict)  # type → name → id
        self._holders: dict[str, dict[str, str]] = defaultdict(dict)  # type → name → id, where it is not the owner's
        self._users: dict[str, dict[str, list[_User]]] = defaultdict(lambda: defaultdict(list))
        self._claimed: set[str] = set()
        self._staying: dict[str, set[str]] = defaultdict(set)

    def listed(self, rtype: ResourceType, seen: Observed, wanted: str | None = None) -> None:
        """
        Notes the name of a live resource that others refer to, so that references resolve.

        Args:
            wanted: the name that the files give it, by which they refer to it though it has another one yet.
        """
        if rtype.path not in self.referred:
            return
        name = wanted or seen.name or seen.id
        self.names[rtype.path][seen.id] = name
        if wanted is not None:
            self.ids[rtype.path][name] = seen.id
        else:  # of several that have one name, the first
            self.ids[rtype.path].setdefault(name, seen.id)

    def named(self, rtype: ResourceType, seen: Observed, address: Address, wanted: str) -> None:
        """Notes a live unit that the files name: it stays, so its users need not be remembered."""
        if rtype.path in self.referred:
            self._staying[rtype.path].add(seen.id)
            self.listed(rtype, seen, wanted)
        self._note(rtype, seen, wanted, address)

    def unnamed(self, rtype: ResourceType, seen: Observed) -> None:
        """Notes a live unit that no file names."""
        self._note(rtype, seen, None, seen.name or seen.id)

    def claims(self, ids: Iterable[str]) -> None:
        """Notes the units that the files name."""
        self._claimed.update(ids)

    def _note(self, rtype: ResourceType, seen: Observed, wanted: str | None, label: str) -> None:
        """Who holds a name, unless the files give it to this very unit; and what it targets or reports."""
        if seen.name and seen.name != wanted:
            self._holders[rtype.path][seen.name] = seen.id
        if self._referring[rtype.path]:
            for use in rtype.uses(seen):
                path = self._referring[rtype.path][use.field]
                if use.id not in self._staying[path]:
                    self._users[path][use.id].append(_User(label, seen.id, use))

    def not_replaced(self, change: Change) -> Change:
        """A unit that is let go of here and named elsewhere in the files has moved; nothing is replaced."""
        if change.former is None or change.former not in self._claimed:
            return change
        return replace(change, action=Action.ADOPT, reason=Reason.NOT_IN_STATE, former=None, blocked=None)

    def names_held(self, plan: Plan) -> None:
        """A wanted name that another unit holds: the unit that is let go of gives it up, or the change is refused."""
        renamed = {change.id for change in plan.changes if change.name_wanted}
        released = {change.former: at for at, change in enumerate(plan.changes) if change.former}
        for at, change in enumerate(plan.changes):
            wanted = change.name_wanted
            holder = self._holders[change.address.type_path].get(wanted or "")
            if wanted is None or holder is None or holder == change.id or holder in renamed:
                continue
            if holder in released:
                releasing = plan.changes[released[holder]]
                name = f"{releasing.address.key}.replaced-{holder[-6:]}"
                seen = {**releasing.seen, "former": wanted}
                plan.changes[released[holder]] = replace(releasing, former_name=name, seen=seen)
                continue
            whose = "is left out of this run" if holder in self._claimed else "no file names"
            plan.changes[at] = replace(
                change, blocked=f"the name {wanted!r} is held by {holder}, which {whose}; rename that one first"
            )

    def holders(self, plan: Plan) -> dict[str, dict[str, Change]]:
        """By type and name, the change that takes the name from the unit that holds it."""
        freeing: dict[tuple[str, str], Change] = {}
        for change in plan.changes:
            for unit in (change.former, change.id):
                if unit:
                    freeing[change.address.type_path, unit] = change
        return {
            path: {name: freeing[path, unit] for name, unit in names.items() if (path, unit) in freeing}
            for path, names in self._holders.items()
        }

    def still_used(self, plan: Plan, *, destroy: bool, asked: bool) -> None:
        """
        What is deleted while a unit targets it after this plan, or reports it now: refused, naming them.

        Args:
            asked: whether the API was asked, so that users which no file names are known.
        """
        blind = {path for unread in plan.unread for path in self._referring.get(unread.type_path, {}).values()}
        moving = {(change.id, part.path[0]) for change in plan.changes for part in change.fields}
        wanted: dict[str, list[str]] = defaultdict(list)
        leaving: set[str | None] = set()
        for change in plan.changes:
            if change.action is Action.DELETE:
                leaving.add(change.id)
            for unit in change.refers.values():
                wanted[unit].append(f"{change.address} (will target it)")
        kept = []
        for change in plan.changes:
            if change.action is not Action.DELETE or change.id is None or change.address.type_path not in self.referred:
                kept.append(change)
            elif change.address.type_path in blind or not asked:
                plan.warnings.append(f"{change.address} is not deleted: it was not read who still uses it")
            else:
                kept.append(self._in_use(change, moving, leaving, wanted, destroy))
        plan.changes = kept

    def _in_use(
        self,
        change: Change,
        moving: set[tuple[str | None, str]],
        leaving: set[str | None],
        wanted: Mapping[str, list[str]],
        destroy: bool,
    ) -> Change:
        id = change.id or ""
        left = sorted(
            f"{user.label} ({user.use.how} it)"
            for user in self._users[change.address.type_path].get(id, [])
            # What is deleted in the same plan is deleted before what it uses.
            if user.id not in leaving and (user.use.now or (user.id, user.use.field) not in moving)
        )
        left = left or wanted.get(id, [])
        if not left:
            return change
        said = ", ".join(left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
        if destroy:
            return replace(change, action=Action.FORGET, notes=(f"left on the account: in use by {said}",))
        return replace(
            change,
            blocked=f"in use by {said}; keep it in the files until they have moved on, or leave it out of this run:"
            f" --exclude {change.address}",
        )
