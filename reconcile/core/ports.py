"""
Ports: the document, the state, secrets, and an environment with a clock, as the engine needs them.

Protocols stand here, next to their users; adapters live in `config`, `backends`, `secrets`.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import BaseModel

from reconcile.core.address import Address
from reconcile.core.events import Sink, silent
from reconcile.core.history import About, Changed, Run
from reconcile.core.resource import Desired, Entry
from reconcile.core.values import Secret, SecretRef
from reconcile.errors import Position


@dataclass(frozen=True, slots=True)
class Limit:
    """A guard's bound: a number, or a share (0..1) of what the state holds of the type."""

    number: int | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """
    A policy as it is written.

    Attributes:
        denies: whether a change that it holds of blocks the plan; else it is a warning.
        judge: evaluates the expression. Raises Flaw where it cannot.
        text: the expression, to tell two of one name apart.
    """

    name: str
    denies: bool
    message: str
    judge: Callable[[Mapping[str, Any]], Any] = field(compare=False)
    text: str = ""
    where: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Origin:
    """One place that says something about an attribute, for `explain`; the last one wins."""

    what: str
    where: str
    value: Any


KEEP = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class StateSettings:
    """
    Where a document keeps its state: a file, or a URL and what is needed there.

    Attributes:
        path: of the file, resolved; also where there is a URL, in place of which nothing of it is used.
        url, username: a text, or a reference to one. password: a reference.
        where: the place at which `url` is written.
        keep: for how long its runs are remembered.
    """

    path: str
    url: str | SecretRef | None = None
    username: str | SecretRef | None = None
    password: SecretRef | None = None
    where: Position | None = None
    keep: timedelta = KEEP


class Document(Protocol):
    """
    A fleet's files, loaded and checked.

    A resource is (block, row) until it is asked for: nothing here holds a model per device. A *handle* is a small
    integer that stands for one root resource; its children are built together with it.

    Attributes:
        fleet: its name. `directory`: its directory. `path`: PATH as it was given.
        settings: of each provider that the document uses or configures, as its model, references unresolved.
        places: of the settings that are written, by `providers.<provider>.<setting>`.
        state: where it keeps its state.
        limits: by kind: delete, forget, replace, change, unread.
        digest: SHA-256, hex, of what the files (tables and other named files included) say.
        variables: SHA-256, hex, of the variables' values.
        policies: of the files, and of whoever runs it.
        given: by name, the values that the command line gave, as `--var` takes them.
        warnings: sentences with a position.
        opens: the variables that its references name, as `RECONCILE_ALLOWED_ENV` takes them; defaults in their own
            settings, which need no permission, are left out.
    """

    fleet: str
    directory: str
    path: str
    settings: Mapping[str, BaseModel]
    places: Mapping[str, Position]
    state: StateSettings
    limits: Mapping[str, Limit]
    digest: str
    variables: str
    given: Mapping[str, str]
    policies: Sequence[PolicyRule]
    warnings: Sequence[str]
    opens: Sequence[str]

    def providers(self) -> Sequence[str]:
        """Providers that have a section or settings in the document, in the order of the registry."""

    def roots(self, path: str) -> Sequence[int] | Iterable[int]:
        """Handles of the root resources of a type, in the order of the files."""

    def count(self, path: str) -> int:
        """The number of resources of a type in the files, children counted where `path` is a child's."""

    def at(self, handle: int) -> Desired:
        """The root resource of a handle, built afresh."""

    def children(self, handle: int) -> Sequence[Desired]:
        """The resources that hang on it, in the order of the types and then of the files."""

    def resources(self) -> Iterator[Desired]:
        """Every resource of the files, each root followed by what hangs on it."""

    def find(self, path: str, id: str | None, name: str | None, aliases: Sequence[str] = ()) -> int | None:
        """
        The handle of the root whose unit this is: the one that names `id` or an alias of it, else the one that names
        none and has `name` at the API.
        """

    def get(self, address: Address) -> Desired | None:
        """A resource, or None when the files do not have it."""

    def handle(self, address: Address) -> int | None:
        """The handle of a root address, or None."""

    def explain(self, address: Address) -> Mapping[str, Sequence[Origin]]:
        """By attribute, every layer that says something about it, the winning one last."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Where a state was copied to, so that nobody goes on with this one; `done`: whether all of it is there."""

    place: str
    done: bool


@dataclass(frozen=True, slots=True)
class Head:
    """
    The identity of a state: its lineage, its serial, and its bindings.

    Attributes:
        run: of the run that began last, at random: a state that was put back from a backup counts the same serials
            again, and never has the same runs. None before the first, and in a state of older versions.
    """

    lineage: str
    serial: int
    fleet: str
    accounts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    run: str | None = None
    moved: Moved | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write. `epoch` fences: a write with an older one is refused."""

    id: str
    scope: str
    holder: str
    epoch: int
    since: str
    expires: str


@dataclass(frozen=True, slots=True)
class Begun:
    """An intent: this operation is about to be sent. `change` is what read-back needs, plain JSON without secrets."""

    operation: str
    address: Address
    change: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """
    An outcome. The intent of `operation` is closed, and the entries are written as they now are.

    Attributes:
        put: entries to write. `drop`: addresses to remove. `told`: for the history of the run that began last.
    """

    operation: str
    put: tuple[Entry, ...] = ()
    drop: tuple[Address, ...] = ()
    told: Changed | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """An operation that began and of which no outcome is known."""

    operation: str
    address: Address
    change: Mapping[str, Any]
    begun: str


Record = Begun | Ended


@dataclass(frozen=True, slots=True)
class Dump:
    """A whole state; `plans`: digests of the saved plans that were applied. `core.dump` has its form as text."""

    head: Head
    entries: Sequence[Entry]
    operations: Sequence[Intent] = ()
    plans: Sequence[str] = ()


KEPT = 10
"""How many states that were replaced as a whole a home keeps."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A state that was replaced as a whole, and is kept for a while; `why`: the command that did it."""

    id: str
    at: str
    serial: int
    entries: int
    why: str


class Store(Protocol):
    """
    The state: prior resources, the journal of operations, the lease. Every call may raise StateError.

    Reading needs no lease. A store for which nothing exists yet has `head() is None` and is made by `acquire`.
    What was written stands, whatever becomes of the process. A home that can tell that a part of it is gone, or that
    it is an older copy of itself, is not used: a StateError with a hint.
    """

    def __str__(self) -> str:
        """Where it is, for people; never with a password."""

    async def head(self) -> Head | None:
        """The head of the state; None when there is none."""

    async def get(self, addresses: Sequence[Address]) -> dict[Address, Entry]:
        """The entries of these addresses; one that has none is left out."""

    async def by_unit(self, path: str, ids: Sequence[str]) -> dict[str, Entry]:
        """Entries of a type by the id of their unit; where several share one, that of the first address."""

    async def under(self, parents: Sequence[Address]) -> list[Entry]:
        """Entries that hang on these addresses, in the order of their addresses."""

    def entries(self, path: str | None = None) -> AsyncGenerator[Sequence[Entry], None]:
        """All entries (of a type), in the order of their addresses, in batches, as they were at the first."""

    def units(self, path: str) -> AsyncGenerator[Sequence[tuple[Address, str]], None]:
        """The address and the unit's id of every entry of a type, in the order of their addresses, in batches."""

    async def count(self, path: str | None = None) -> int:
        """The number of entries (of a type)."""

    async def unfinished(self) -> list[Intent]:
        """Operations that began and did not end, in the order in which they began."""

    async def applied(self, plan: str) -> bool:
        """True once a run of the saved plan of this digest was begun."""

    async def acquire(self, *, scope: str, holder: str, ttl_s: float, lineage: str, fleet: str) -> Lease:
        """
        Takes the lease, making the state (with this lineage) if there is none.

        A holder whose process is known to have ended holds nothing; one that is known to live is not taken over
        because a clock was set.

        Args:
            holder: `user@host:pid`, for people to read.
            ttl_s: seconds until it expires.

        Raises:
            Locked: another run has it, or is in the middle of a write that does not end.
            Refused: the state is another fleet's.
        """

    async def renew(self, lease: Lease, ttl_s: float) -> Lease:
        """
        The same lease with a later expiry; one that has expired and that no run took is renewed too.

        Raises:
            Locked: it was broken, or another run has it by now.
        """

    async def release(self, lease: Lease) -> None:
        """Gives the lease back; one that is another run's by now, or gone, is left as it is."""

    async def begin_run(
        self, lease: Lease, accounts: Mapping[str, tuple[str, str]], about: About, keep: timedelta | None = None
    ) -> Head:
        """
        Begins a run that will write: counts the serial up by one, draws `Head.run`, and records accounts, what the run
        is about, and `About.plan`. Accounts are merged with those recorded: to allow another account is up to the
        caller.

        Args:
            keep: for how long runs are remembered; what is older is forgotten. None = for ever.

        Raises:
            Locked: the lease is not the newest.
            Refused: a run of this plan was begun already.
        """

    async def end_run(self, lease: Lease, run: str, outcome: str, counts: Mapping[str, int]) -> None:
        """
        Records what became of the run that began under this id.

        Raises:
            Locked: the epoch is not the newest.
        """

    def runs(self, since: datetime | None = None) -> AsyncGenerator[Sequence[Run], None]:
        """Runs, the last one first, in batches: all that are remembered, or those that began since."""

    def changes(self, run: str) -> AsyncGenerator[Sequence[Changed], None]:
        """What a run changed, in the order in which it was recorded, in batches."""

    async def write(self, lease: Lease, records: Sequence[Record]) -> None:
        """
        All records, in their order, in one durable transaction.

        An `Ended` whose operation never began is good: it writes its entries. Within one `Ended`, addresses are
        dropped before entries are put.

        Raises:
            Locked: the epoch is not the newest.
            StateError: the unit of a root would stand under two addresses.
            TypeError: a record holds a secret.
        """

    async def leases(self) -> list[Lease]:
        """Leases that stand, expired ones included, by scope."""

    async def break_lease(self, id: str) -> None:
        """
        Ends the lease that has exactly this id: its holder writes no more. The next epoch is a newer one.

        A state that lost a part while it was in use counts as it is from then on.

        Raises:
            Locked: no lease has this id, or its holder is in the middle of a write that does not end.
        """

    def pull(self, kept: str | None = None) -> AsyncGenerator[str, None]:
        """
        The whole state as JSON text in pieces, of one moment (`core.dump`); nothing at all when there is none.

        Args:
            kept: the id of one that was replaced, in its place; nothing when it is not kept.

        Raises:
            StateError: possibly after some pieces.
        """

    async def mark(self, lease: Lease, moved: Moved | None) -> None:
        """
        Says, or says no more, that this state was copied elsewhere and is not to be used; see `Head.moved`.

        Raises:
            Locked: the epoch is not the newest.
        """

    async def remember(self, lease: Lease, run: Run, changes: Sequence[Changed]) -> None:
        """
        Takes a run of another home over, in the place of one of the same id; the oldest comes first.

        Raises:
            Locked: the epoch is not the newest.
        """

    async def kept(self) -> list[Kept]:
        """States that were replaced as a whole, the last one first, `KEPT` at most."""

    async def replace(self, lease: Lease, dump: Dump, about: About) -> Head:
        """
        Puts another state in the place of this one, which is kept; counts as a run that is done, with a new
        `Head.run`. Plans that were applied stay applied.

        Args:
            dump: with the serial that it shall have from now on.

        Raises:
            Locked: the epoch is not the newest.
        """

    async def migrate(self) -> None:
        """Makes what states need in this home, or brings it up to date, where whoever applies may not do that."""

    async def close(self) -> None:
        """Closes the store; a later call opens it again."""


class Secrets(Protocol):
    """Opens secret references, and compares values with those that were written."""

    async def open(self, ref: SecretRef) -> Secret:
        """Raises InvalidInput naming the reference when there is no value."""

    def print_of(
        self, value: Secret, *, lineage: str, type_path: str, unit: str, name: str
    ) -> Mapping[str, Any] | None:
        """The fingerprint to record, plain JSON; None when there is no key."""

    def matches(self, recorded: Mapping[str, Any], value: Secret) -> bool | None:
        """True when `recorded` is of this value; None = made by another key, or there is no key: cannot tell."""

    def keyed(self, purpose: str, *parts: str | Secret) -> str | None:
        """A digest of the parts, hex, that only the key can make, of one purpose alone; None when there is no key."""


@dataclass(frozen=True, slots=True)
class Env:
    """
    The inputs that make a run differ from the last one.

    Attributes:
        now: wall clock, aware UTC; only for what people read and for expiry, never for order.
        emit: the sink of events. `holder`: of the lease, `user@host:pid`.
        slept: seconds that the machine has slept since its boot, which a monotonic clock such as the loop's leaves out.
        lease_s: how long a lease of this run lasts unless it is renewed.
    """

    now: Callable[[], datetime]
    rng: random.Random
    holder: str
    emit: Sink = silent
    slept: Callable[[], float] = lambda: 0.0
    lease_s: float = 60.0
