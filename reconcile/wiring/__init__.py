"""
Makes a World from a command line: the only place that names concrete adapters.

Nothing here decides anything about a plan; it chooses parts and hands them their clock, randomness and environment.
"""

from __future__ import annotations

import os
import random
import re
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import BaseModel

from reconcile import __version__
from reconcile.backends.holders import Process, uptime
from reconcile.backends.registry import backend_of
from reconcile.backends.sqlite.store import SqliteStore
from reconcile.config import Inputs, load
from reconcile.core.bindings import refuse_moved
from reconcile.core.events import Noted, Sink, silent
from reconcile.core.history import About
from reconcile.core.home import Opening, Place
from reconcile.core.plan import Plan
from reconcile.core.ports import Document, Env, Store
from reconcile.core.resource_type import Binding, Provider, ResourceType
from reconcile.core.schema import Kind, fields_of
from reconcile.core.trust import ALLOWED_AGENTS, ALLOWED_ENV, UNTRUSTED, Trust, agents_of, credentials, names_of, said
from reconcile.core.values import Secret, SecretRef
from reconcile.errors import InvalidInput, NotAllowed, Position, Problem, StateError
from reconcile.files import NotRead, Root, root_of, working_directory
from reconcile.providers.registry import Providers
from reconcile.secrets import KEY_VARIABLE, SecretResolver, config_dir, key_file, load_key
from reconcile.secrets import FingerprintKey as FingerprintKey
from reconcile.secrets import new_key as new_key
from reconcile.transport import Base, Connector, Net, allow_list, ways_of
from reconcile.transport import RequestRepeated as RequestRepeated
from reconcile.transport import Told as Told
from reconcile.wiring.pipeline import Pipeline as Pipeline
from reconcile.wiring.pipeline import pipeline_of as pipeline_of
from reconcile.wiring.simulated import SIMULATOR, credentials_at, simulator_url
from reconcile.workflow import World

ALLOWED_HOSTS = "RECONCILE_ALLOWED_HOSTS"
STATE = "RECONCILE_STATE"
LEASE = "RECONCILE_LEASE"
REHEARSAL = ".simulator"  # no fleet's name has a dot, so that this is none's
LAG_S = 15.0  # how long after its client gave up a request may still be on its way to the API: chosen by feel
TIMEOUT_S = 30.0  # of a provider whose settings have none: `Net.client`'s


def _now() -> datetime:
    return datetime.now(UTC)


def patience_s(settings: BaseModel) -> float:
    """Seconds after its intent in which a request of a provider with these settings may still arrive."""
    return float(getattr(settings, "timeout_s", TIMEOUT_S)) + LAG_S


@dataclass(frozen=True, slots=True)
class Parts:
    """
    The world around a run: what makes it differ from the last one, besides its request.

    Attributes:
        now: wall clock, aware UTC. uptime: seconds since the boot of this machine.
        random: makes the randomness of a run.
        providers: makes the providers by name.
        transport: makes the way to a host; None = our own connections.
        patience_s: seconds after its intent in which a request of a provider with these settings may still arrive.
    """

    now: Callable[[], datetime] = _now
    uptime: Callable[[], float] = uptime
    random: Callable[[], random.Random] = random.Random
    providers: Callable[[], Mapping[str, Provider]] = Providers
    transport: Callable[[Base], Connector] | None = None
    patience_s: Callable[[BaseModel], float] = patience_s


USUAL = Parts()


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """
    What a command line asks for.

    Attributes:
        path: PATH as it was given.
        var, var_files: `--var K=V`, `--var-file F`, in order. held: the variables that a saved plan holds.
        policies: every `--policies`.
        state: `--state PATH|URL`, or None. `root`: `--root DIR`, or None.
        allow_hosts: every `--allow-host`. allow_agents: every `--allow-agent`.
        ca_files: every `--ca-file`.
        untrusted: `--untrusted`.
        wordy: whether an API's words are shown also where it refuses credentials or secrets.
        without_log: whether a state in use is opened although its log is gone, so that `unlock` can end that.
        moved: whether a state that was moved is opened all the same, to be looked at or copied.
        parts: the world around the run.
    """

    path: str = "."
    var: Sequence[str] = ()
    var_files: Sequence[str] = ()
    state: str | None = None
    allow_hosts: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    emit: Sink = silent
    heard: Callable[[Told], None] | None = None
    parallelism: int = 16
    wordy: bool = False
    root: str | None = None
    allow_agents: Sequence[str] = ()
    untrusted: bool = False
    without_log: bool = False
    moved: bool = False
    ca_files: Sequence[str] = ()
    held: Mapping[str, str] = field(default_factory=dict)
    policies: Sequence[str] = ()
    parts: Parts = USUAL


def trust_of(request: CommandRequest) -> Trust:
    """
    How far the document is trusted, as the command line and the environment say it.

    Raises:
        InvalidInput: a variable of ours is not spelled as it should be.
    """
    environ = request.environ
    return Trust(
        request.untrusted or said(UNTRUSTED, environ.get(UNTRUSTED)),
        names_of(environ.get(ALLOWED_ENV)),
        agents_of(environ.get(ALLOWED_AGENTS), *request.allow_agents),
    )


def document(request: CommandRequest) -> Document:
    """
    The fleet's files, loaded and checked.

    Raises:
        InvalidInput: every mistake in them, references that nobody allowed among them.
    """
    return load(
        request.path,
        providers=request.parts.providers(),
        inputs=Inputs(
            environ=request.environ,
            var=request.var,
            var_files=request.var_files,
            root=request.root,
            state_elsewhere=state_said(request) is not None,
            trust=trust_of(request),
            held=request.held,
            policies=request.policies,
        ),
    )


def root(request: CommandRequest, files: Document) -> Path:
    """Below which directory a document may name files. Raises InvalidInput when the one that is given cannot be."""
    return root_of(Path(files.directory), request.root, request.environ, working_directory(request.environ))


def state_said(request: CommandRequest) -> tuple[str, str] | None:
    """Where the state is, as whoever runs it says it, and by which setting; None where the files say it."""
    if request.state is not None:
        return request.state, "--state"
    said = request.environ.get(STATE)
    return (said, STATE) if said else None


async def home_of(request: CommandRequest, files: Document, secrets: SecretResolver) -> Path | Place:
    """
    Where the state is: what whoever runs it says, else what the files say; a rehearsal's file is another one.

    Raises:
        InvalidInput: what the URL needs does not resolve, or may not be opened.
    """
    said = state_said(request)
    if said is not None:
        text, setting = said
        return Place(Secret(text), setting, True) if "://" in text else Path(text)
    written = files.state
    if written.url is not None:
        opened: dict[str, Secret] = {}
        for name in ("url", "username", "password"):
            value = getattr(written, name)
            if isinstance(value, SecretRef):
                opened[name] = await secrets.open(value, setting=f"state.{name}")
            elif value is not None:
                opened[name] = Secret(value)
        trusted = isinstance(written.url, SecretRef)  # then whoever runs it wrote the URL
        return Place(setting="state.url", trusted=trusted, where=written.where, **opened)
    if simulator_url(request.environ):
        place = Path("state") / f"{files.fleet}{REHEARSAL}.db"
        try:
            return Root(root(request, files)).making(str(place), Path(files.directory))
        except NotRead as wrong:
            raise InvalidInput(Problem(f"the state {place} {wrong.why}", hint=wrong.hint)) from None
    return Path(written.path)


def lease_s(environ: Mapping[str, str]) -> float:
    """How many seconds a lease lasts. Raises InvalidInput when what is said is no such length."""
    text = environ.get(LEASE, "").strip()
    found = re.fullmatch(r"([0-9]{1,3})(s|m)", text) if text else None
    seconds = int(found[1]) * (60 if found[2] == "m" else 1) if found else 60
    if (text and not found) or not 5 <= seconds <= 600:
        what = f"{LEASE} is {text[:40]!a}: expected a length from 5s to 10m"
        raise InvalidInput(Problem(what, hint=f"Like {LEASE}=60s, which it is where nobody says another"))
    return float(seconds)


def store(request: CommandRequest, home: Path | Place, fleet: str, rng: random.Random) -> Store:
    """
    The state of a fleet; nothing is opened or made yet.

    Raises:
        InvalidInput: the URL cannot be used.
    """
    host, now = socket.gethostname(), request.parts.now
    if isinstance(home, Path):
        process = Process(host, os.getpid(), request.parts.uptime)
        return SqliteStore(home, now=now, rng=rng, process=process, without_log=request.without_log)
    name = fleet + (REHEARSAL if simulator_url(request.environ) else "")
    allowed = allow_list(request.environ.get(ALLOWED_HOSTS), *request.allow_hosts)
    return backend_of(home)(home, Opening(name, now, rng, allowed, request.environ, host, os.getpid()))


def key_here(environ: Mapping[str, str], create: bool = False, shared: bool = False) -> FingerprintKey | None:
    """
    The fingerprint key of this user or pipeline, without a fleet; None when there is none.

    Args:
        shared: whether the state is one that others use too: then a key that is only on this machine is none.

    Raises:
        InvalidInput: the variable is empty or too short.
        StateError: the file is there and cannot be used, or (`create`) cannot be made.
    """
    return load_key(environ, None if shared else _config_dir(environ), create and not shared)


def key_source(environ: Mapping[str, str]) -> str | None:
    """Where the key that is here comes from, or would: the variable's name, else the file; None without a home."""
    if KEY_VARIABLE in environ:
        return KEY_VARIABLE
    directory = _config_dir(environ)
    return str(key_file(directory)) if directory is not None else None


def _config_dir(environ: Mapping[str, str]) -> Path | None:
    try:
        home = Path.home()
    except RuntimeError:  # HOME is not set, and the user is in no table of users: usual in containers
        return config_dir(environ, None)
    return config_dir(environ, home if home.is_absolute() else None)


class Wired:
    """A World with what it holds open: use as an async context manager."""

    def __init__(self, request: CommandRequest) -> None:
        self.request = request
        self.rng = request.parts.random()
        self.net = Net(allowed_hosts=frozenset(), rng=self.rng)
        self._taken: dict[str, str] = {}

    async def __aenter__(self) -> Wired:
        request = self.request
        self.net = Net(
            allowed_hosts=allow_list(request.environ.get(ALLOWED_HOSTS), *request.allow_hosts),
            rng=self.rng,
            emit=request.heard,
            wordy=request.wordy,
            transport=request.parts.transport or ways_of(request.environ, tuple(request.ca_files)),
        )
        files = document(request)
        self.secrets = SecretResolver(
            directory=Path(files.directory),
            root=root(request, files),
            environ=request.environ,
            key=None,
            trust=trust_of(request),
        )
        home = await home_of(request, files, self.secrets)
        self.shared = not isinstance(home, Path)
        self.use_key(key_here(request.environ, shared=self.shared))
        self.store = store(request, home, files.fleet, self.rng)
        try:
            self.world = await self._world(files)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        await self.net.aclose()
        await self.store.close()

    async def _world(self, files: Document) -> World:
        request, registry = self.request, self.request.parts.providers()
        head = await self.store.head()
        if head is not None and head.moved is not None and not request.moved:
            refuse_moved(str(self.store), head.moved)
        names = list(files.providers())
        names += [name for name in (head.accounts if head else {}) if name not in names and name in registry]
        providers = [registry[name] for name in registry if name in names]
        url = simulator_url(request.environ)
        types: dict[str, ResourceType] = {}
        connect: dict[str, Callable[[], Awaitable[tuple[Any, Binding]]]] = {}
        late_s: dict[str, float] = {}
        for provider in providers:
            types |= {kind.path: kind for kind in provider.types}
            settings = files.settings.get(provider.name) or provider.Settings()
            late_s[provider.name] = request.parts.patience_s(settings)
            connect[provider.name] = self._connecting(provider, settings, url, files.places)
        return World(
            files,
            types,
            connect,
            self.store,
            self.secrets,
            self._env(),
            self._guard,
            lambda: self.net.requests,
            lambda: self.net.http_s,
            __version__,
            str(uuid4()),
            self.make_key,
            request.parallelism,
            late_s,
            trust=self.secrets.trust,
            about=self._about(),
        )

    def _env(self) -> Env:
        request = self.request
        lasts = lease_s(request.environ)
        return Env(request.parts.now, self.rng, holder(request.environ), request.emit, self._slept, lasts)

    def _about(self) -> About:
        """Who runs this, and in which job."""
        runs_in = pipeline_of(self.request.environ)
        return About("", user(), socket.gethostname(), runs_in.job, runs_in.commit, __version__)

    def store_at(self, text: str, setting: str) -> Store:
        """
        The state of this fleet in another place; whoever calls this closes it.

        Args:
            text: a path, a URL, or `env:NAME` of either.

        Raises:
            InvalidInput: it is none of them.
        """
        if text.startswith("env:"):
            said = self.request.environ.get(text[4:])
            if not said:
                raise InvalidInput(Problem(f"{setting} is {text}, and {text[4:]} is not set"))
            text = said
        home = Place(Secret(text), setting, True) if "://" in text else Path(text)
        return store(self.request, home, self.world.document.fleet, self.rng)

    def _slept(self) -> float:
        return self.request.parts.uptime() - time.monotonic()

    def _guard(self, check: Callable[[str, int], None]) -> None:
        self.net.check = check

    def _connecting(
        self, provider: Provider, settings: BaseModel, url: str | None, places: Mapping[str, Position]
    ) -> Callable[[], Awaitable[tuple[Any, Binding]]]:
        stated = list(credentials(settings))
        own = {reference for _, reference, is_default in stated if is_default}

        async def open_secret(reference: SecretRef) -> Secret:
            if url and reference.scheme == "simulator":
                return Secret((await self._credentials(url))[reference.rest])
            try:
                return await self.secrets.open(reference, own=reference in own)
            except NotAllowed:
                raise
            except InvalidInput as missing:
                raise InvalidInput(
                    Problem(
                        missing.problems[0].what,
                        address=f"providers.{provider.name}",
                        hint=f"It is a credential of {provider.name}: set it, or name another in the files; to"
                        f" rehearse without an account: `reconcile simulator` and {SIMULATOR}",
                    )
                ) from None

        async def connecting() -> tuple[Any, Binding]:
            # Each in the setting that it is written in, on the simulator too: there it is only rehearsed.
            for name, reference, is_default in stated:
                if (refusal := self.secrets.trust.refusal(reference, own=is_default)) is not None:
                    raise NotAllowed(replace(refusal, address=f"providers.{provider.name}.{name}"))
            chosen = provider.simulated(settings, url, await self._credentials(url)) if url else settings
            try:
                return await provider.connect(chosen, self.net, open_secret)
            except NotAllowed:
                raise
            except InvalidInput as error:
                raise InvalidInput(*(_placed(problem, places) for problem in error.problems)) from None

        return connecting

    async def _credentials(self, url: str) -> dict[str, str]:
        """Those of the simulator's world; asked once, when a provider is first connected."""
        if not self._taken:
            self._taken = await credentials_at(url, self.net)
        return self._taken

    async def make_key(self) -> None:
        """
        A fingerprint key, where there is none and something is about to be recorded with one.

        Made while the state holds no fingerprint. When it holds some and the key is gone, a new one is made as well,
        with a word: else nothing written from now on could ever be compared.

        Raises:
            InvalidInput: the state is shared, and the key is not here.
        """
        if self.key is not None:
            return
        if self.shared:
            raise self._no_key("secrets are recorded in a shared state with a key that all who apply have")
        if await self._recorded_keys():
            self.request.emit(
                Noted(
                    "the fingerprint key of this state is not here: secrets written now are recorded with a new one,"
                    " all others cannot be compared"
                )
            )
        self.use_key(key_here(self.request.environ, create=True))

    async def key_to_seal(self) -> str | None:
        """
        Sees to a key that a plan can be sealed with, and makes one where there is none.

        Returns:
            Why there is none all the same: nowhere to keep it, or the state has another one, which is not here.

        Raises:
            InvalidInput: the state is shared, and the key is not here.
        """
        await self.check_key()
        if self.key is not None:
            return None
        if others := await self._recorded_keys():
            return f"the state holds fingerprints by the key {min(others)}, which is not here"
        try:
            self.use_key(key_here(self.request.environ, create=True))
        except StateError as error:
            return error.problems[0].what
        return None

    async def check_key(self) -> None:
        """Raises InvalidInput where a saved plan needs the key that everybody has, and none or another one is here."""
        if not self.shared:
            return
        if self.key is None:
            raise self._no_key("a saved plan over a shared state is sealed with a key that all who apply have")
        recorded = await self._recorded_keys()
        if recorded and self.key.key_id not in recorded:
            others = ", ".join(sorted(recorded))
            what = (
                f"the secrets of this state are recorded with the key {others}, and the key here is {self.key.key_id}"
            )
            hint = f"Set {KEY_VARIABLE} to that key; to take a new one, apply without a file and with --rewrite of all"
            raise InvalidInput(Problem(what, hint=hint))

    def _no_key(self, why: str) -> InvalidInput:
        hint = f"Set {KEY_VARIABLE}, the same everywhere: `reconcile key new` prints a new one"
        own = key_source(self.request.environ)
        if own is not None and Path(own).is_file():
            hint += f"; to go on with the one of this machine, take what is in {own}"
        return InvalidInput(Problem(f"{KEY_VARIABLE} is not set: {why}", hint=hint))

    def use_key(self, key: FingerprintKey | None) -> None:
        """Fingerprints are made with this key from now on."""
        self.key = self.secrets.key = key

    async def _recorded_keys(self) -> set[str]:
        """The ids of the keys that made fingerprints in the state."""
        found: set[str] = set()
        for path, kind in self.world.types.items():
            if any(spec.kind is Kind.SECRET for spec in fields_of(kind.Model).values()):
                async for entries in self.store.entries(path):
                    found |= {str(one.get("key_id")) for entry in entries for one in entry.prints.values()}
        return found


def _placed(problem: Problem, places: Mapping[str, Position]) -> Problem:
    """A problem of a setting, with the place in the files where the setting is written."""
    return problem if problem.where is not None else replace(problem, where=places.get(problem.address or ""))


def registry() -> Mapping[str, Provider]:
    """Every provider by name, ours and other people's."""
    return Providers()


def types_of_plan(plan: Plan, providers: Mapping[str, Provider]) -> dict[str, ResourceType]:
    """The resource types of the providers that a saved plan is about, by path."""
    names = {change.address.provider for change in plan.changes} | set(plan.bindings.accounts)
    return {kind.path: kind for name in providers if name in names for kind in providers[name].types}


def user() -> str:
    """The user of this process."""
    return os.environ.get("USER") or os.environ.get("LOGNAME") or str(os.getuid())


def holder(environ: Mapping[str, str]) -> str:
    """Who takes the lease, as people read it: `ci@build-7:4711, job https://…`."""
    job = pipeline_of(environ).job
    return f"{user()}@{socket.gethostname()}:{os.getpid()}" + (f", job {job}" if job else "")
