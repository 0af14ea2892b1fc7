"""
A kind of resource, and the system that it belongs to: what connects files, observations and entries to an API.

A `ResourceType` has two halves: a declared one, pure and without credentials, and a wire one. Whatever the core or
the engine must know of one API in particular is asked of a method here, which says the usual unless a type knows
better.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from reconcile.core.address import Address
from reconcile.core.diff import same
from reconcile.core.resource import Alias, Desired, Entry, Observed, OnRemoval, Page, Patch, Reading, Target, View
from reconcile.core.schema import Mark, fields_of
from reconcile.core.values import Attrs, Ref, SecretRef

Mistake = tuple[tuple[str, ...], str, str | None]
"""The path of an attribute, what is wrong with it, and the way out, if there is one."""


@dataclass(frozen=True, slots=True)
class Use:
    """
    That a live unit needs another resource: through which field, the other one's id, and how (`targets`).

    Attributes:
        now: whether it needs it at this moment, whatever a plan makes it need.
    """

    field: str
    id: str
    how: str = "targets"
    now: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """The units of a type that the files or the state name: how many, and each with its id (or alias) and its name."""

    count: int
    units: Callable[[], Iterable[tuple[str | None, str]]]


class ResourceType:
    """
    One kind of resource. A provider subclasses it: one small file a type.

    Declared half (class attributes and pure methods):
        path: `microvisor.devices.configs`; the parent's path is all but the last part.
        singular: what the plan's JSON calls it: `device_config` (the provider's name is put before it).
        noun: what a person calls it, singular: `device config`.
        Model: the pydantic model of what a document may say.
        scalar: the field that a bare scalar in the document stands for, or None.
        listed: how it is read: "all" = one listing of the account, "parent" = one listing for each parent, "unit" =
            each by itself, at an endpoint of its own: what one of them answers says nothing about the others.
        creatable, deletable: whether the API can.
        removal: what happens when it is no longer in the files and nothing says otherwise.
        stages: the order of a unit's own fields and its children in an apply; lower first; `children_stage` is theirs.
        keeps_name_unique: whether the API itself refuses a second one under a name (409). Where it does not, and
            `newest` says so, the one that the state knows is meant, else the one that is listed first; and before one
            is made, it is looked for.
        identity: the fact by which an answer says whose it is, where that is not its id; None = its id says so.
        refers_by_key: of a membership: the field that stands for its key, which names another resource.
        exclusive: of a membership: whether those in resources of the files that are not written are taken out.
        gap: what a write of its secret costs for a moment, where the API cannot just replace it.
        advice: the way out where a live one of this name has other bytes (`Mark.FILE`).
        defaults: what a document means that does not write a field, where that is not "leave it as it is".

    Wire half: async methods over `api`, what the provider's `connect` returned.
    """

    path: ClassVar[str]
    singular: ClassVar[str]
    noun: ClassVar[str]
    Model: ClassVar[type[BaseModel]]
    scalar: ClassVar[str | None] = None
    listed: ClassVar[Literal["all", "parent", "unit"]] = "all"
    creatable: ClassVar[bool] = True
    deletable: ClassVar[bool] = True
    removal: ClassVar[OnRemoval] = "delete"
    stages: ClassVar[Mapping[str, int]] = {}
    children_stage: ClassVar[int] = 1
    keeps_name_unique: ClassVar[bool] = True
    newest: ClassVar[bool] = False
    identity: ClassVar[str | None] = None
    refers_by_key: ClassVar[str | None] = None
    exclusive: ClassVar[bool] = False
    gap: ClassVar[str | None] = None
    advice: ClassVar[str | None] = None
    defaults: ClassVar[Mapping[str, Any]] = {}

    # -- the document -----------------------------------------------------------------------------------------------

    def unit(self, attrs: Attrs, key: str) -> tuple[str | None, str]:
        """
        How the document finds the unit: its id if the document names it, spelled as the API does, and its name there.

        Where what the document names it by is not its id, that is an `Alias`.

        Args:
            attrs: of the document's side.
            key: the last key of the address, which is the name unless the document says otherwise.
        """
        return None, key

    def creates(self, attrs: Attrs) -> bool:
        """Whether one that is not there is made; `attrs` are the document's."""
        return self.creatable

    def deletes(self, entry: Entry) -> bool:
        """Whether one that leaves the files can be deleted."""
        return self.deletable

    def leaves(self, entry: Entry) -> OnRemoval:
        """What happens to one that leaves the files and whose `on_removal` nobody wrote."""
        return self.removal

    def check(self, attrs: Attrs, key: str) -> list[Mistake]:
        """What the model cannot say: every mistake; empty when all is well."""
        return []

    def cautions(self, attrs: Attrs, key: str) -> list[Mistake]:
        """What deserves a warning and stops nothing."""
        return []

    @cached_property
    def _opening(self) -> tuple[str, ...]:
        marks = (Mark.LOCATOR, Mark.CREDENTIAL)
        return tuple(name for name, spec in fields_of(self.Model).items() if not spec.marks.isdisjoint(marks))

    @cached_property
    def naming(self) -> str | None:
        """The field that is the unit's name at the API, if there is one."""
        return next((name for name, spec in fields_of(self.Model).items() if Mark.NAME in spec.marks), None)

    def target(
        self,
        address: Address,
        attrs: Attrs,
        id: str | None = None,
        name: str | None = None,
        parent: str | None = None,
    ) -> Target:
        """
        Where a wire verb acts.

        Args:
            attrs: the document's, or what was recorded of them.
            id: the unit's; None = what `attrs` name it by, be it an id or an alias.
        """
        alias = None
        if id is None:
            id = self.unit(attrs, address.key)[0]
        if isinstance(id, Alias):
            id, alias = None, id
        opening = {name: attrs[name] for name in self._opening if name in attrs}
        return Target(address, id, name, parent, opening, alias)

    def stranger(self, api: Any, at: Target) -> str | None:
        """
        What names a unit whose endpoint anybody may own, as where a host serves many customers and a part of the path
        says which: in an untrusted document it gets no credential before somebody vouches for it.

        Returns:
            Its id as an observation of it has it, and the state with it; None when its host was vouched for as a whole.
        """
        return None

    # -- how an observation is read ---------------------------------------------------------------------------------

    def view(self, seen: Observed, prior: Entry | None, now: datetime) -> View:
        """
        How `seen` is read.

        Args:
            prior: what was last applied to it, if the state knows it.
            now: the `Date` of the answer that `seen` came with, never the local clock.
        """
        return View(seen.attrs)

    def facts(self, seen: Observed, prior: Entry | None = None) -> Mapping[str, Any]:
        """What the entry must remember of an answer for the next plan to tell drift."""
        return {}

    def learned(self, seen: Observed, prior: Entry, now: datetime) -> Mapping[str, Any] | None:
        """
        The entry's facts, where a reading tells something that a later one cannot tell any more; None when it does not.

        An apply records it before it sends anything; a plan writes nothing, and so forgets it.
        """
        return None

    def is_other(self, seen: Observed, entry: Entry) -> bool:
        """Whether an answer is about another unit than an entry of the same id, as far as `identity` tells."""
        known = entry.facts.get(self.identity) if self.identity is not None else None
        return known is not None and seen.facts.get(self.identity or "") not in (None, known)

    def recalled(self, entry: Entry, id_of: Callable[[Ref], str | None]) -> Observed:
        """
        The state's word for it, where `--no-refresh` does not ask the API.

        Args:
            id_of: the live id that a recorded reference stood for, if it is known.
        """
        attrs = {
            name: _recalled(value, id_of) for name, value in entry.attrs.items() if not isinstance(value, SecretRef)
        }
        name = attrs.get(self.naming, entry.address.key) if self.naming else entry.address.key
        return Observed(entry.id, attrs, name, entry.parent, None, entry.facts)

    def uses(self, seen: Observed) -> Iterable[Use]:
        """What it needs of other resources now, so that none of that is deleted under it."""
        for name, spec in fields_of(self.Model).items():
            value = seen.attrs.get(name)
            for id in value if isinstance(value, list) else [value]:
                if spec.names and isinstance(id, str):
                    yield Use(name, id)

    def rewritten(self, seen: Observed, prior: Entry) -> str | None:
        """When somebody else wrote its secret after we did, as the API says it; None when nobody did."""
        return None

    def remade(self, seen: Observed, prior: Entry) -> str | None:
        """Of an immutable one that has another id than it had: why it is not the one that was made, or None."""
        return None

    # -- what is written --------------------------------------------------------------------------------------------

    def compose(
        self,
        paths: Sequence[tuple[str, ...]],
        also: Sequence[tuple[str, ...]],
        wanted: Attrs,
        seen: Observed,
        prior: Entry | None,
    ) -> Patch | None:
        """
        The one write that makes it agree, where more must be sent than the attributes that differ.

        Args:
            paths: every leaf that differs from what is accepted.
            also: what differs from what the unit reports and not from that: accepted, and not done yet.
            wanted: what the files want, references aside.

        Returns:
            None when the attributes are sent as they are.
        """
        return None

    def anew(self, paths: Sequence[tuple[str, ...]], seen: Observed) -> str | None:
        """Why another one is made, in words, where what differs (`paths`) cannot be changed any more; else None."""
        return None

    def foreign(self, seen: Observed, known: Iterable[Mapping[str, Any]]) -> str | None:
        """
        What somebody else left waiting at the API, which a composed write would replace: its name, or None.

        Args:
            known: facts of the entry and stamps of writes: what tells our own.
        """
        return None

    def landed(self, patch: Attrs, seen: Observed) -> bool:
        """Whether a write whose answer was lost was done, as far as a reading tells; never of secrets."""
        return all(same(seen.attrs.get(name), value) for name, value in patch.items())

    def unfinished(self, prior: Entry) -> Attrs:
        """Members of whole maps that an earlier write was to take out, where nothing shows that it was done."""
        return {}

    def traces(self, stamp: Mapping[str, Any], seen: Observed) -> Mapping[str, Any]:
        """What the entry remembers of a write whose answer was lost, where a reading shows that it came and went."""
        return {}

    def accepted(self, stamp: Mapping[str, Any], seen: Observed) -> Mapping[str, Any]:
        """What the entry remembers once the API has taken a write: of its stamp, and of the answer."""
        return {**stamp, **self.facts(seen)}

    # -- the wire ---------------------------------------------------------------------------------------------------

    def listing(self, api: Any, parent: str | None) -> AsyncIterator[Page]:
        """Every one on the account (or under `parent`), page by page. A partial listing raises, never ends early."""
        raise NotImplementedError

    async def selection(self, api: Any, named: Named) -> AsyncIterator[Page] | None:
        """
        Those that the files and the state name, where asking for them is cheaper than listing the whole account.

        Returns:
            None when it is not: then `listing` is read. What a selection lacks is read one by one, as with a listing.
        """
        return None

    async def read(self, api: Any, at: Target) -> Reading:
        """One, by `at.id`, else `at.alias`, else `at.name`; `Reading.seen` is None when the API says there is none."""
        raise NotImplementedError

    async def create(self, api: Any, at: Target, attrs: Attrs) -> Observed:
        """Makes it and returns what the API answered. `attrs` has references resolved and secrets opened."""
        raise NotImplementedError

    async def update(self, api: Any, at: Target, patch: Attrs) -> Observed:
        """Changes the attributes in `patch` (or sends what `compose` made), and returns what the API answered."""
        raise NotImplementedError

    async def delete(self, api: Any, at: Target) -> None:
        """Deletes it; one that is gone already is no error."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Binding:
    """Which account at which host a provider talks to; loopback is one host whatever its port."""

    account: str
    host: str


class Provider:
    """
    A system that devices are managed through: its settings and its resource types.

    Attributes:
        name: the section in the document.
        Settings: the pydantic model of `providers.<name>`; credentials are `SecretRef`.
        types: its resource types; a parent stands before its children, and what is referred to before what refers.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[BaseModel]]
    types: ClassVar[Sequence[ResourceType]]

    async def connect(self, settings: Attrs, net: Any, open_secret: Any) -> tuple[Any, Binding]:
        """
        What the wire halves call `api`, and the account that it stands for. Sends nothing.

        Args:
            settings: of `providers.<name>`, defaults filled in, references unresolved.
            net: makes HTTP clients (`transport.Net`).
            open_secret: an async function from `SecretRef` to `Secret`.
        """
        raise NotImplementedError

    def simulated(self, settings: Attrs, url: str, credentials: Mapping[str, str]) -> Attrs:
        """
        The settings with which the provider talks to the embedded simulator at `url` (docs/architecture.md,
        "Simulator").

        Args:
            credentials: the world's credentials by name; `SecretRef("simulator", <name>)` opens to one of them.
        """
        return {**settings, "base_url": url}

    def simulated_units(self, wanted: Callable[[str], Iterable[Desired]], settings: Attrs) -> Mapping[str, Any]:
        """
        The units that a simulator must hold for the files to find theirs (`simulator --for`).

        Args:
            wanted: the root resources of a type, by its path.

        Returns:
            What the simulator's `world_for` takes under the provider's name; {} when nothing is needed.
        """
        return {}


def _recalled(value: Any, id_of: Callable[[Ref], str | None]) -> Any:
    if isinstance(value, list):
        return [_recalled(member, id_of) for member in value]
    return (id_of(value) or value.name) if isinstance(value, Ref) else value
