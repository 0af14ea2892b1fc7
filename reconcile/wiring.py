"""
Makes a World from a command line: the only place that names concrete adapters.

Nothing here decides anything about a plan; it chooses parts and hands them their clock, randomness and environment.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from reconcile import __version__
from reconcile.backends.leases import uptime
from reconcile.backends.sqlite import SqliteStore
from reconcile.config import load
from reconcile.core.events import Noted, Sink, silent
from reconcile.core.plan import Plan
from reconcile.core.ports import Document, Env
from reconcile.core.resource_type import Binding, Provider, ResourceType
from reconcile.core.schema import Kind, fields_of
from reconcile.core.values import Attrs, Secret, SecretRef
from reconcile.errors import InvalidInput, Position, Problem, ReconcileError
from reconcile.providers.registry import Providers
from reconcile.secrets import FingerprintKey, Secrets, config_dir, load_key
from reconcile.transport import Net, RequestDone, allow_list, is_loopback
from reconcile.workflow import World

SIMULATOR = "RECONCILE_SIMULATOR"
ALLOWED_HOSTS = "RECONCILE_ALLOWED_HOSTS"
CREDENTIALS = ("account_sid", "auth_token", "api_key", "tracker_username", "tracker_password")
"""What the simulator's world says of the credentials that it takes."""


@dataclass(frozen=True, slots=True)
class Request:
    """
    What a command line asks for.

    Attributes:
        path: PATH as it was given.
        var, var_files: `--var K=V`, `--var-file F`, in order.
        state: `--state PATH`, or None.
        allow_hosts: every `--allow-host`.
        without_log: whether a state in use is opened although its log is gone, so that `unlock` can end that.
    """

    path: str = "."
    var: Sequence[str] = ()
    var_files: Sequence[str] = ()
    state: str | None = None
    allow_hosts: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    emit: Sink = silent
    heard: Callable[[RequestDone], None] | None = None
    parallelism: int = 16
    without_log: bool = False


def document(request: Request) -> Document:
    """
    The fleet's files, loaded and checked.

    Raises:
        InvalidInput: every mistake in them.
    """
    return load(
        request.path,
        providers=Providers(),
        environ=request.environ,
        var=request.var,
        var_files=request.var_files,
    )


def simulator_url(environ: Mapping[str, str]) -> str | None:
    """
    Where `RECONCILE_SIMULATOR` points, without a trailing slash; None when it is not set.

    Raises:
        InvalidInput: it is not an http URL on loopback.
    """
    url = environ.get(SIMULATOR, "").strip().rstrip("/")
    if not url:
        return None
    scheme, mark, host = url.partition("://")
    name = host.rpartition(":")[0] or host
    if scheme != "http" or not mark or "/" in host or "@" in host or not is_loopback(name.strip("[]")):
        raise InvalidInput(
            Problem(
                f"{SIMULATOR} is {url!r}, which is no simulator",
                way_out="It is what `reconcile simulator` prints: http://127.0.0.1:<port>",
            )
        )
    return url


def state_path(request: Request, files: Document) -> Path:
    """Where the state is: `--state`, else beside the simulator's runs, else what the files say."""
    if request.state is not None:
        return Path(request.state)
    if simulator_url(request.environ):
        return Path(files.directory) / "state" / f"{files.fleet}.simulator.db"
    return Path(files.state_path)


def store(request: Request, path: Path, rng: random.Random) -> SqliteStore:
    """The state at `path`; nothing is opened or made yet."""
    return SqliteStore(
        path, now=_now, rng=rng, host=socket.gethostname(), pid=os.getpid(), without_log=request.without_log
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _slept() -> float:
    return uptime() - time.monotonic()


class Wired:
    """A World with what it holds open: use as an async context manager."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.rng = random.Random()
        self.net = Net(allowed_hosts=frozenset(), rng=self.rng)
        self._taken: dict[str, str] = {}

    async def __aenter__(self) -> Wired:
        request = self.request
        self.net = Net(
            allowed_hosts=allow_list(request.environ.get(ALLOWED_HOSTS), *request.allow_hosts),
            rng=self.rng,
            emit=request.heard,
        )
        files = document(request)
        path = state_path(request, files)
        self.store = store(request, path, self.rng)
        self.key = load_key(request.environ, self._config_dir(), create=False)
        self.secrets = Secrets(
            root=Path(files.directory),
            repository=_repository(Path(files.directory)),
            environ=request.environ,
            key=self.key,
        )
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
        request, registry = self.request, Providers()
        head = await self.store.head()
        names = list(files.providers())
        names += [name for name in (head.accounts if head else {}) if name not in names and name in registry]
        providers = [registry[name] for name in registry if name in names]
        url = simulator_url(request.environ)
        types: dict[str, ResourceType] = {}
        connect: dict[str, Callable[[], Awaitable[tuple[Any, Binding]]]] = {}
        for provider in providers:
            types |= {kind.path: kind for kind in provider.types}
            settings = files.settings.get(provider.name) or defaults(provider)
            connect[provider.name] = self._connecting(provider, settings, url, files.places)
        return World(
            files,
            types,
            connect,
            self.store,
            self.secrets,
            Env(_now, self.rng, holder(), request.emit, _slept),
            self._guard,
            lambda: self.net.requests,
            lambda: self.net.http_s,
            __version__,
            str(uuid4()),
            request.parallelism,
        )

    def _guard(self, check: Callable[[], None]) -> None:
        self.net.check = check

    def _connecting(
        self, provider: Provider, settings: Attrs, url: str | None, places: Mapping[str, Position]
    ) -> Callable[[], Awaitable[tuple[Any, Binding]]]:
        async def open_secret(reference: SecretRef) -> Secret:
            if url and reference.scheme == "simulator":
                return Secret((await self._credentials(url))[reference.rest])
            try:
                return await self.secrets.open(reference)
            except InvalidInput as missing:
                raise InvalidInput(
                    Problem(
                        missing.problems[0].what,
                        address=f"providers.{provider.name}",
                        way_out=f"It is a credential of {provider.name}: set it, or name another in the files; to"
                        f" rehearse without an account: `reconcile simulator` and {SIMULATOR}",
                    )
                ) from None

        async def connecting() -> tuple[Any, Binding]:
            chosen = provider.simulated(settings, url, await self._credentials(url)) if url else settings
            try:
                return await provider.connect(chosen, self.net, open_secret)
            except InvalidInput as error:
                raise InvalidInput(*(_placed(problem, places) for problem in error.problems)) from None

        return connecting

    async def _credentials(self, url: str) -> dict[str, str]:
        """The simulator's world says which credentials it takes; asked once, when a provider is first connected."""
        if self._taken:
            return self._taken
        client = self.net.client(base_url=url, default_host="127.0.0.1", auth=None, name="simulator")
        try:
            await _is_there(url)
            answer = await client.get("_sim", "state", params={"only": ",".join(CREDENTIALS)})
        except ReconcileError as error:
            raise ReconcileError(
                Problem(
                    f"the simulator at {url} does not answer: {error}",
                    way_out=f"Start `reconcile simulator`, or unset {SIMULATOR}",
                )
            ) from None
        self.net.requests = 0
        self._taken = {name: str(answer.body[name]) for name in CREDENTIALS}
        return self._taken

    async def make_key(self) -> None:
        """
        A fingerprint key, where there is none and something is about to be recorded with one (design §7).

        Made while the state holds no fingerprint. When it holds some and the key is gone, a new one is made as well,
        with a word: else nothing written from now on could ever be compared.
        """
        if self.key is not None:
            return
        if await self._has_prints():
            self.request.emit(
                Noted(
                    "the fingerprint key of this state is not here: secrets written now are recorded with a new one,"
                    " all others cannot be compared"
                )
            )
        self.use_key(load_key(self.request.environ, self._config_dir(), create=True))

    def use_key(self, key: FingerprintKey | None) -> None:
        """Fingerprints are made with this key from now on."""
        self.key = self.secrets.key = key

    async def _has_prints(self) -> bool:
        if await self.store.head() is None:
            return False
        for path, kind in self.world.types.items():
            if any(spec.kind is Kind.SECRET for spec in fields_of(kind.Model).values()):
                for entry in self.store.entries(path):
                    if entry.prints:
                        return True
        return False

    def _config_dir(self) -> Path:
        return config_dir(self.request.environ, Path.home())


def _placed(problem: Problem, places: Mapping[str, Position]) -> Problem:
    """A problem of a setting, with the place in the files where the setting is written."""
    return problem if problem.where is not None else replace(problem, where=places.get(problem.address or ""))


def defaults(provider: Provider) -> Attrs:
    """The settings of a provider that the files do not mention."""
    return dict(provider.Settings())


def registry() -> Mapping[str, Provider]:
    """Every provider by name, ours and other people's."""
    return Providers()


async def _is_there(url: str) -> None:
    """On this machine, what refuses a connection is not about to come: no need to try for half a minute."""
    host, _, port = url.partition("://")[2].rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host.strip("[]") or "127.0.0.1", int(port or 80))
    except (OSError, ValueError) as error:
        raise ReconcileError(Problem(f"connection refused ({type(error).__name__})")) from None
    writer.close()


def types_of_plan(plan: Plan) -> dict[str, ResourceType]:
    """The resource types of the providers that a saved plan is about, by path."""
    registry = Providers()
    names = {change.address.provider for change in plan.changes} | set(plan.bindings.accounts)
    return {kind.path: kind for name in registry if name in names for kind in registry[name].types}


def holder() -> str:
    """Who takes the lease, as people read it."""
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or str(os.getuid())
    return f"{user}@{socket.gethostname()}:{os.getpid()}"


def _repository(directory: Path) -> Path | None:
    """The root of the checkout that holds a directory: the nearest parent with a `.git`, or None."""
    for parent in (directory, *directory.parents):
        if (parent / ".git").exists():
            return parent
    return None
