"""What was done of one change so far, and with it what the state says of the resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconcile.core.events import Noted
from reconcile.core.history import Changed
from reconcile.core.plan import Cause, Change, FieldChange
from reconcile.core.ports import Env, Secrets
from reconcile.core.resource import Entry, Observed
from reconcile.core.resource_type import ResourceType, accepted_facts, naming_of
from reconcile.core.values import Secret, SecretRef
from reconcile.engine.told import changed


@dataclass(slots=True)
class Done:
    """
    Attributes:
        fields: what the API took, by attribute.
        prints, facts, id: of the entry.
        named: whether the unit was given another name than the plan saw.
        news: fields that the API took and that the history does not know yet.
    """

    change: Change
    kind: ResourceType
    secrets: Secrets
    opened: Mapping[SecretRef, Secret]
    env: Env
    lineage: str
    fields: dict[str, Any] = field(default_factory=dict)
    prints: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    id: str | None = None
    named: bool = False
    news: list[FieldChange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.prints, self.facts, self.id = dict(self.change.prints), dict(self.change.facts), self.change.id

    @property
    def ours(self) -> frozenset[str]:
        """Attributes that are not as the plan saw them because of what was done."""
        naming = naming_of(self.kind.Model) if self.named else None
        return frozenset(self.fields) | ({naming} if naming is not None else set())

    def took(self, fields: Sequence[FieldChange], seen: Observed | None, parent: str | None) -> None:
        """The API took these; `seen` is what it answered, None where it cannot be known."""
        change = self.change
        self.news += fields
        for part in fields:
            name = part.path[0]
            self.fields[name] = change.after.get(name)  # None: all of it is taken out
            if isinstance(part.after, SecretRef):
                found = self.secrets.print_of(
                    self.opened[part.after],
                    lineage=self.lineage,
                    type_path=change.address.type_path,
                    unit=parent or "",
                    name=change.name or change.address.key,
                )
                if found is not None:
                    self.prints[name] = dict(found)
        if seen is not None:
            self.id = seen.id
            self.facts = {**self.facts, **accepted_facts(self.kind, change.stamp, seen)}
            if note := seen.facts.get("note"):
                self.env.emit(Noted(f"{change.address}: {note}"))

    def told(self) -> Changed:
        """What the history is to know of it that it does not know yet."""
        news, self.news = self.news, []
        return changed(self.change, news, self.env.now().isoformat(timespec="seconds"))

    def entry(self, parent: str | None) -> Entry:
        """What the state shall say now: what is wanted, less what is not done yet."""
        change = self.change
        waiting = {part.path[0]: part for part in change.fields if part.path[0] not in self.fields}
        attrs: dict[str, Any] = {}
        for name, value in change.after.items():
            part = waiting.get(name)
            if part is None or part.cause is Cause.LEASE:
                attrs[name] = value
            elif part.prior is not None:
                attrs[name] = part.prior
        return Entry(
            change.address,
            self.id or "",
            attrs,
            parent,
            self.prints,
            self.facts,
            change.needs,
            change.protect,
            change.on_removal,
            change.labels,
            self.env.now().isoformat(timespec="seconds"),
        )
