"""
A kind of resource, and the system that it belongs to: what connects files, observations and entries to an API.

A `ResourceType` has two halves: a declared one, pure and without credentials, and a wire one. Whatever the core or
the engine must know of one API in particular is asked of a method here, which says the usual unless a type knows
better. What only some APIs have stands in an object of its own: `Lifecycle`, `Membership`, `Staging`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal

from pydantic import BaseModel

from reconcile.core.address import Address
from reconcile.core.forms import aligned
from reconcile.core.resource import (
    Alias,
    Desired,
    Edit,
    Entry,
    Mistake,
    Observed,
    OnRemoval,
    Page,
    Patch,
    Reading,
    Target,
    View,
)
from reconcile.core.schema import Mark, fields_of
from reconcile.core.staging import Staging
from reconcile.core.tree import same
from reconcile.core.values import Attrs, Ref, Secret, SecretRef

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Api = TypeVar("Api", default=Any)
    SettingsT = TypeVar("SettingsT", bound=BaseModel, default=Any)
    NetT = TypeVar("NetT", default=Any)
else:
    from typing import TypeVar

    Api, SettingsT, NetT = TypeVar("Api"), TypeVar("SettingsT"), TypeVar("NetT")

OpenSecret = Callable[[SecretRef], Awaitable[Secret]]
"""Opens a reference. Raises InvalidInput naming it when there is no value."""


@dataclass(frozen=True, slots=True)
class Use:
    """
    A live unit's need of another resource: through which field, the other one's id, and how (`targets`).

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
    units: Callable[[], Awaitable[Sequence[tuple[str | None, str]]]]


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """
    The beginning and the end of a resource.

    Attributes:
        create: whether one that is not there is made. `delete`: whether one that leaves the files can be deleted.
        on_removal: what happens to one that leaves the files, where they never said.
    """

    create: bool = True
    delete: bool = True
    on_removal: OnRemoval = "delete"


@dataclass(frozen=True, slots=True)
class Membership:
    """
    A child whose key names another resource, as the groups of a device do.

    Attributes:
        key: the field that stands for its key and refers to that resource.
        exclusive: whether a unit is taken out of the resources of the files that it is not written in; memberships in
            any other are left alone.
    """

    key: str
    exclusive: bool = False


class ResourceType(Generic[Api]):
    """
    One kind of resource. A provider subclasses it: one small file a type. `Api` is what the provider's `connect` makes.

    Declared half (class attributes and pure methods):
        path: `microvisor.devices.configs`; the parent's path is all but the last part.
        singular: its name in the plan's JSON: `device_config` (the provider's name is put before it).
        noun: its name for a person, singular: `device config`.
        Model: the pydantic model of what a document may say, with the marks of `reconcile.core.schema`.
        scalar: the field that a bare scalar in the document stands for, or None.
        listed: how it is read: "all" = one listing of the account, "parent" = one listing for each parent, "unit" =
            each by itself, at an endpoint of its own: what one of them answers says nothing about the others.
        names: how many may have one name. "unique": the API refuses a second one (409). "shared": it does not, so one
            is looked for before it is made; the one that the state knows is meant, and two that it does not know are
            an error. "newest": shared, and of those that the state does not know the one that is listed first is meant.
        identity: the fact by which an answer says whose it is, where that is not its id; None = its id says so.
        defaults: attributes as a unit has them until somebody sets them: to adopt it and set others overwrites nothing.
        membership: of a child whose key names another resource. staging: of a type whose writes wait for the unit.

    Wire half: async methods over `api`. A verb that is missing is something the API cannot do.
    """

    path: ClassVar[str]
    singular: ClassVar[str]
    noun: ClassVar[str]
    Model: ClassVar[type[BaseModel]]
    scalar: ClassVar[str | None] = None
    listed: ClassVar[Literal["all", "parent", "unit"]] = "all"
    names: ClassVar[Literal["unique", "shared", "newest"]] = "unique"
    identity: ClassVar[str | None] = None
    defaults: ClassVar[Attrs] = {}
    membership: ClassVar[Membership | None] = None
    staging: ClassVar[Staging | None] = None

    # -- the document -----------------------------------------------------------------------------------------------

    def unit(self, attrs: Attrs, key: str) -> tuple[str | None, str]:
        """
        The unit as the document finds it: its id if the document names it, spelled as the API does, and its name there.

        Where what the document names it by is not its id, that is an `Alias`.

        Args:
            attrs: of the document's side.
            key: the last key of the address, which is the name unless the document says otherwise.
        """
        return None, key

    def lifecycle(self, attrs: Attrs) -> Lifecycle:
        """The beginning and the end of one; `attrs` are the document's, or what was recorded of them."""
        return self._verbs

    def check(self, attrs: Attrs, key: str) -> list[Mistake]:
        """Every mistake that the model cannot tell; empty when all is well."""
        return []

    def cautions(self, attrs: Attrs, key: str) -> list[Mistake]:
        """Warnings, which stop nothing."""
        return []

    def stranger(self, api: Api, target: Target) -> str | None:
        """
        Name of a unit whose endpoint anybody may own, as where a host serves many customers and a part of the path
        says which: in an untrusted document it gets no credential before somebody vouches for it.

        Returns:
            Its id as an observation of it has it, and the state with it; None when its host was vouched for as a whole.
        """
        return None

    # -- how an observation is read ---------------------------------------------------------------------------------

    def view(self, seen: Observed, prior: Entry | None, now: datetime) -> View:
        """
        The reading of an observation.

        Args:
            prior: what was last applied to it, if the state knows it.
            now: the `Date` of the answer that `seen` came with, never the local clock.
        """
        return View(seen.attrs)

    def facts(self, seen: Observed, prior: Entry | None = None) -> Mapping[str, Any]:
        """Facts of an answer that the entry must remember, for the next plan to tell drift."""
        return {}

    def recalled(self, entry: Entry, id_of: Callable[[Ref], str | None]) -> Observed:
        """
        The state's word for it, where `--no-refresh` does not ask the API.

        Args:
            id_of: the live id that a recorded reference stood for, if it is known.
        """
        attrs = {
            name: _recalled(value, id_of) for name, value in entry.attrs.items() if not isinstance(value, SecretRef)
        }
        naming = naming_of(self.Model)
        name = attrs.get(naming, entry.address.key) if naming else entry.address.key
        return Observed(entry.id, attrs, name, entry.parent, None, entry.facts)

    def uses(self, seen: Observed) -> Iterable[Use]:
        """Its needs of other resources now, so that none of those is deleted under it."""
        for name, spec in fields_of(self.Model).items():
            value = seen.attrs.get(name)
            for id in value if isinstance(value, list) else [value]:
                if spec.names and isinstance(id, str):
                    yield Use(name, id)

    # -- what is written --------------------------------------------------------------------------------------------

    def compose(self, edit: Edit) -> Patch | None:
        """The one write that makes it agree; None when the attributes that differ are sent as the files have them."""
        return None

    # -- the wire ---------------------------------------------------------------------------------------------------

    def listing(self, api: Api, parent: str | None) -> AsyncIterator[Page]:
        """Every one on the account (or under `parent`), page by page. A partial listing raises, never ends early."""
        raise NotImplementedError

    async def selection(self, api: Api, named: Named) -> AsyncIterator[Page] | None:
        """
        Those that the files and the state name, where asking for them is cheaper than listing the whole account.

        Returns:
            None when it is not: then `listing` is read. What a selection lacks is read one by one, as with a listing.
        """
        return None

    async def read(self, api: Api, target: Target) -> Reading:
        """One, by its id, else alias, else name; `Reading.seen` is None when the API says there is none."""
        raise NotImplementedError

    async def create(self, api: Api, target: Target, attrs: Attrs) -> Observed:
        """Makes it and returns what the API answered. `attrs` has references resolved and secrets opened."""
        raise NotImplementedError

    async def update(self, api: Api, target: Target, patch: Attrs) -> Observed:
        """Changes the attributes in `patch` (or sends what `compose` made), and returns what the API answered."""
        raise NotImplementedError

    async def delete(self, api: Api, target: Target) -> None:
        """Deletes it; one that is gone already is no error."""
        raise NotImplementedError

    # -- the same for every type ------------------------------------------------------------------------------------

    @cached_property
    def _verbs(self) -> Lifecycle:
        """The life cycle that the verbs tell: what cannot be deleted is forgotten."""
        deletes = type(self).delete is not ResourceType.delete
        return Lifecycle(type(self).create is not ResourceType.create, deletes, "delete" if deletes else "forget")

    @cached_property
    def _opening(self) -> tuple[str, ...]:
        marks = (Mark.LOCATOR, Mark.CREDENTIAL)
        return tuple(name for name, spec in fields_of(self.Model).items() if not spec.marks.isdisjoint(marks))


@cache
def naming_of(model: type[BaseModel]) -> str | None:
    """The field that is a unit's name at the API, if there is one."""
    return next((name for name, spec in fields_of(model).items() if Mark.NAME in spec.marks), None)


def target_of(
    rtype: ResourceType,
    address: Address,
    attrs: Attrs,
    id: str | None = None,
    name: str | None = None,
    parent: str | None = None,
) -> Target:
    """
    The place where a wire verb acts.

    Args:
        attrs: the document's, or what was recorded of them.
        id: the unit's; None = what `attrs` name it by, be it an id or an alias.
    """
    alias = None
    if id is None:
        id = rtype.unit(attrs, address.key)[0]
    if isinstance(id, Alias):
        id, alias = None, id
    opening = {name: attrs[name] for name in rtype._opening if name in attrs}
    return Target(address, id, name, parent, opening, alias)


def is_other(rtype: ResourceType, seen: Observed, entry: Entry) -> bool:
    """True if an answer is about another unit than an entry of the same id, as far as `identity` tells."""
    known = entry.facts.get(rtype.identity) if rtype.identity is not None else None
    return known is not None and seen.facts.get(rtype.identity or "") not in (None, known)


def accepted_facts(rtype: ResourceType, stamp: Mapping[str, Any], seen: Observed) -> Mapping[str, Any]:
    """Facts of the entry once the API has taken a write."""
    return rtype.staging.accepted(stamp, seen) if rtype.staging is not None else rtype.facts(seen)


def landed(rtype: ResourceType, patch: Attrs, seen: Observed) -> bool:
    """True if a write whose answer was lost was done, as far as a reading tells; never of secrets."""
    if rtype.staging is not None:
        return rtype.staging.applied(patch, seen)
    shape = fields_of(rtype.Model)

    def plain(name: str, value: Any) -> Any:  # in which order others are named does not matter
        return sorted(value) if isinstance(value, list) and name in shape and shape[name].names else value

    def is_so(name: str, value: Any) -> bool:
        live, wanted = plain(name, seen.attrs.get(name)), plain(name, value)
        return same(aligned(shape[name], live, wanted) if name in shape else live, wanted)

    return all(is_so(name, value) for name, value in patch.items())


@dataclass(frozen=True, slots=True)
class Binding:
    """The account and the host that a provider talks to; loopback is one host whatever its port."""

    account: str
    host: str


class Provider(Generic[SettingsT, Api, NetT]):
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

    async def connect(self, settings: SettingsT, net: NetT, open_secret: OpenSecret) -> tuple[Api, Binding]:
        """
        The `api` of the wire halves, and the account that it stands for. Sends nothing.

        Args:
            settings: of `providers.<name>`, references unresolved.
            net: makes HTTP clients (`reconcile.provider.Net`).
        """
        raise NotImplementedError

    def simulated(self, settings: SettingsT, url: str, credentials: Mapping[str, str]) -> SettingsT:
        """
        The settings with which the provider talks to the embedded simulator at `url` (docs/architecture.md,
        "Simulator").

        Args:
            credentials: the world's credentials by name; `SecretRef("simulator", <name>)` opens to one of them.
        """
        copy: SettingsT = settings.model_copy(update={"base_url": url})
        return copy

    def simulated_units(self, wanted: Callable[[str], Iterable[Desired]], settings: SettingsT) -> Mapping[str, Any]:
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
