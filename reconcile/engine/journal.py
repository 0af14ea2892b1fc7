"""
The held lease and the journal of one run: intents before, outcomes after, all that wait at one moment in one commit.

Three things keep a run from writing when it must not (docs/architecture.md, "Journal and lease"): the lease's own
deadline, by a clock that counts the time that the machine was suspended, and the age of what the write rests on, both
checked right before every request; and the journal itself: if a record cannot be written, nothing more is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

from reconcile.core.events import Noted
from reconcile.core.ports import Env, Lease, Record, Store
from reconcile.engine import young
from reconcile.errors import Locked, Problem, ReconcileError, StateError

SCOPE = "fleet"
RENEWED = 1 / 6  # of its length, a lease is renewed
MARGIN = 1 / 4  # of its length before a lease ends, nothing is sent any more


class Journal:
    """Writes records for one lease and keeps it alive; an async context manager that releases the lease at its end."""

    def __init__(
        self,
        store: Store,
        lease: Lease,
        acquired_at: float,
        env: Env,
        not_released: Callable[[ReconcileError], None],
    ) -> None:
        """
        Args:
            acquired_at: the loop's time from before the lease was asked for, and what the machine had slept by then.
            env: how long a lease lasts, and what the machine has slept so far, which the loop's time does not count.
            not_released: told why the lease could not be given back. What was done stands all the same, so that is no
                error of those who hold it.
        """
        self.store, self.lease = store, lease
        self._env, self._not_released = env, not_released
        self._deadline = acquired_at + env.lease_s * (1 - MARGIN)
        self._broken: ReconcileError | None = None
        self._waiting: list[tuple[Record, asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.turn = asyncio.Lock()  # of a write that got too old while it waited: one at a time reads and sends again

    async def __aenter__(self) -> Journal:
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._flusher is not None:
            await asyncio.gather(self._flusher, return_exceptions=True)
        if self._broken is None:
            try:
                await self.store.release(self.lease)
            except ReconcileError as error:
                self._not_released(
                    StateError(
                        Problem(
                            f"the lease on the state could not be given back: {error.problems[0].what}",
                            hint="It ends with this process; what was done is recorded",
                        )
                    )
                )

    def check(self, method: str, attempt: int) -> None:
        """
        Raises when nothing may be sent any more: the lease is about to end, or the journal cannot be written; and
        `Aged` when this request may not, because what its write rests on is too old.

        Called right before every request, with no await in between.
        """
        if self._broken is not None:
            raise self._broken
        if self._time() >= self._deadline:
            raise Locked(
                Problem(
                    "the lease on the state ran out, so nothing more is sent",
                    hint="This process was stopped or starved for too long; run again",
                )
            )
        young.check(method, attempt)

    def _time(self) -> float:
        return asyncio.get_running_loop().time() + self._env.slept()

    async def write(self, record: Record) -> None:
        """Returns when the record is durable, together with all others that waited at this moment."""
        if self._broken is not None:
            raise self._broken
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((record, done))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        await done

    async def _flush(self) -> None:
        await asyncio.sleep(0)  # whoever is about to write joins this commit
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await self.store.write(self.lease, [record for record, _ in batch])
            except Exception as error:
                known = error if isinstance(error, ReconcileError) else StateError(f"the state: {type(error).__name__}")
                self._broken = known
                for _, done in [*batch, *self._waiting]:
                    if not done.done():
                        done.set_exception(known)
                self._waiting = []
                return
            for _, done in batch:
                if not done.done():
                    done.set_result(None)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._env.lease_s * RENEWED)
            asked = self._time()
            try:
                self.lease = await self.store.renew(self.lease, self._env.lease_s)
            except Locked as lost:
                self._broken = lost
                return
            except ReconcileError:
                continue  # the deadline stands; the next try may work
            self._deadline = asked + self._env.lease_s * (1 - MARGIN)


async def acquire(
    store: Store,
    *,
    env: Env,
    lineage: str,
    fleet: str,
    wait_s: float,
    not_released: Callable[[ReconcileError], None],
) -> Journal:
    """
    The journal of a run, once the lease is free.

    Args:
        env: who takes it, and how long the machine has slept.
        wait_s: how long to wait for another run (`--lock-timeout`); 0 = not at all.
        not_released: of `Journal`.

    Raises:
        Locked: another run holds it.
    """
    loop = asyncio.get_running_loop()
    give_up = loop.time() + wait_s
    said = False
    while True:
        asked = loop.time() + env.slept()
        try:
            lease = await store.acquire(scope=SCOPE, holder=env.holder, ttl_s=env.lease_s, lineage=lineage, fleet=fleet)
            return Journal(store, lease, asked, env, not_released)
        except Locked as held:
            if loop.time() >= give_up:
                raise
            if not said:
                env.emit(Noted(f"Waiting for the state: {held.problems[0].what}"))
                said = True
            await asyncio.sleep(min(1.0, max(0.0, give_up - loop.time())))
