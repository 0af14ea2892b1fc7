"""
A resource in its four forms, and the type that connects them to an API.

`Desired` is what the files say, `Observed` what the API reports, `Entry` what was last applied, `View` how an
observation is read. A `ResourceType` has two halves: a declared one, pure and without credentials, and a wire one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from reconcile.core.address import Address
from reconcile.core.values import Attrs
from reconcile.errors import Position

OnRemoval = Literal["forget", "clear", "delete"]


@dataclass(frozen=True, slots=True)
class Desired:
    """
    A resource as the files want it.

    Attributes:
        attrs: what is written, references unresolved; a field that is not written is not in it.
        block: the block that it is a row of, else None: what groups it in a plan.
        where: the place of its entry (of a row of a block, the row in the table's file).
        fields, origins: by attribute, the place and the profile or variable that says it.
        labels, protect, on_removal: as written; None = not written.
    """

    address: Address
    attrs: Attrs
    block: str | None = None
    where: Position | None = None
    fields: Mapping[str, Position] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    protect: bool | None = None
    on_removal: OnRemoval | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """
    A resource as the API reports it.

    Attributes:
        id: the unit's identity at the API: a SID, or the key where the key is the identity.
        attrs: in the words of the model, so that they can be compared; nullable leaves are None.
        name: the natural key by which the document finds it when it has no id (a unique name), or None.
        parent: the id of the unit that it hangs on, or None.
        version: changes whenever somebody writes it, or None where the API has no such thing.
        facts: what a `view` needs besides, plain JSON.
    """

    id: str
    attrs: Attrs
    name: str | None = None
    parent: str | None = None
    version: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Status(StrEnum):
    """How far the unit itself has come with what the API accepted."""

    SETTLED = "settled"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class View:
    """
    How an observation is read at one moment.

    Attributes:
        attrs: what the API has accepted, in the words of the model: compared with the files.
        status, detail, since: how far the unit is, in words, and since when (aware UTC).
        renew: leases that are about to end or have ended by themselves, by field.
    """

    attrs: Attrs
    status: Status = Status.SETTLED
    detail: str | None = None
    since: datetime | None = None
    renew: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Entry:
    """
    A resource as it was last applied: a row of the state. It holds no secret.

    Attributes:
        id, parent: of the unit, and of the unit that it hangs on.
        attrs: what was applied, in JSON form.
        prints: the fingerprint of each secret field, as `secrets` writes it.
        facts: what drift is told by (`date_rotated`, the app's hash), plain JSON.
        needs: the addresses that it used, so that a removal is ordered when the files are gone.
        at: when it was applied, RFC 3339 UTC.
    """

    address: Address
    id: str
    attrs: Attrs
    parent: str | None = None
    prints: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[Address, ...] = ()
    protect: bool = False
    on_removal: OnRemoval | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    at: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, the form in which backends keep it and `state pull` prints it."""
        from reconcile.core.values import to_json

        return {
            "address": str(self.address),
            "type": self.address.type_path,
            "id": self.id,
            "parent": self.parent,
            "attrs": to_json(self.attrs),
            "prints": dict(self.prints),
            "facts": dict(self.facts),
            "needs": [str(need) for need in self.needs],
            "protect": self.protect,
            "on_removal": self.on_removal,
            "labels": dict(self.labels),
            "at": self.at,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Entry:
        """The inverse of `to_json`. Raises KeyError, TypeError or ValueError when `row` is not an entry."""
        from reconcile.core.values import from_json

        return cls(
            Address(row["address"]),
            row["id"],
            from_json(row["attrs"]),
            row["parent"],
            row["prints"],
            row["facts"],
            tuple(Address(need) for need in row["needs"]),
            row["protect"],
            row["on_removal"],
            row["labels"],
            row["at"],
        )


@dataclass(frozen=True, slots=True)
class Target:
    """
    Where a wire verb acts.

    Attributes:
        id: the unit's id; None before it exists.
        name: its name or key at the API.
        parent: the id of the unit that it hangs on, or None.
    """

    address: Address
    id: str | None = None
    name: str | None = None
    parent: str | None = None


class ResourceType:
    """
    One kind of resource. A provider subclasses it: one small file a type.

    Declared half (class attributes and pure methods):
        path: `microvisor.devices.configs`; the parent's path is all but the last part.
        singular: what the plan's JSON calls it: `device_config` (the provider's name is put before it).
        noun: what a person calls it, singular: `device config`.
        Model: the pydantic model of what a document may say.
        scalar: the field that a bare scalar in the document stands for, or None.
        listed: how it is read: "all" = one listing of the account, "parent" = one listing for each parent.
        creatable, deletable: whether the API can.
        removal: what happens when it is no longer in the files and nothing says otherwise.
        stages: the order of a unit's own fields and its children in an apply; lower first; `children_stage` is theirs.
        keeps_name_unique: whether the API itself refuses a second one under a name (409).

    Wire half: async methods over `api`, what the provider's `connect` returned.
    """

    path: ClassVar[str]
    singular: ClassVar[str]
    noun: ClassVar[str]
    Model: ClassVar[type[BaseModel]]
    scalar: ClassVar[str | None] = None
    listed: ClassVar[Literal["all", "parent"]] = "all"
    creatable: ClassVar[bool] = True
    deletable: ClassVar[bool] = True
    removal: ClassVar[OnRemoval] = "delete"
    stages: ClassVar[Mapping[str, int]] = {}
    children_stage: ClassVar[int] = 1
    keeps_name_unique: ClassVar[bool] = True

    def unit(self, attrs: Attrs, key: str) -> tuple[str | None, str]:
        """
        How the document finds the unit: its id if the document names it, and its name at the API.

        Args:
            attrs: of the document's side.
            key: the last key of the address, which is the name unless the document says otherwise.
        """
        return None, key

    def check(self, attrs: Attrs, key: str) -> list[tuple[tuple[str, ...], str, str | None]]:
        """What the model cannot say: `(path, what is wrong, way out)` for each mistake; empty when all is well."""
        return []

    def view(self, seen: Observed, prior: Entry | None, now: datetime) -> View:
        """
        How `seen` is read.

        Args:
            prior: what was last applied to it, if the state knows it.
            now: the `Date` of the answer that `seen` came with, never the local clock.
        """
        return View(seen.attrs)

    def facts(self, seen: Observed) -> Mapping[str, Any]:
        """What the entry must remember of an answer for the next plan to tell drift."""
        return {}

    def listing(self, api: Any, parent: str | None) -> AsyncIterator[Page]:
        """Every one on the account (or under `parent`), page by page. A partial listing raises, never ends early."""
        raise NotImplementedError

    async def read(self, api: Any, at: Target) -> Reading:
        """One, by id, else by name; `Reading.seen` is None when the API says that there is none."""
        raise NotImplementedError

    async def create(self, api: Any, at: Target, attrs: Attrs) -> Observed:
        """Makes it and returns what the API answered. `attrs` has references resolved and secrets opened."""
        raise NotImplementedError

    async def update(self, api: Any, at: Target, patch: Attrs) -> Observed:
        """Changes the attributes in `patch` and returns what the API answered."""
        raise NotImplementedError

    async def delete(self, api: Any, at: Target) -> None:
        """Deletes it; one that is gone already is no error."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing: what it holds, and the server's clock when it was answered."""

    members: Sequence[Observed]
    now: datetime


@dataclass(frozen=True, slots=True)
class Reading:
    """One read: what there is, and the server's clock when it was answered (None when it did not say)."""

    seen: Observed | None
    now: datetime | None = None


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
        The settings with which the provider talks to the embedded simulator at `url` (design §8).

        Args:
            credentials: the world's `account_sid`, and references that open to its other credentials:
                `simulator:auth_token`, `simulator:api_key`.
        """
        return {**settings, "base_url": url}
