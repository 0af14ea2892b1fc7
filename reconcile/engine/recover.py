"""
What an earlier run left open: intents without an outcome, resolved by reading back before anything else is done.

What they mean for the state is decided in `core.lost`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reconcile.core.address import Address
from reconcile.core.events import Noted
from reconcile.core.lost import attempt_of, entry_of, told
from reconcile.core.plan import Action
from reconcile.core.ports import Ended, Env, Intent, Store
from reconcile.core.resource import Observed
from reconcile.core.resource_type import ResourceType, target_of
from reconcile.engine import answers
from reconcile.engine.journal import Journal
from reconcile.engine.late import outwait, remaining_s
from reconcile.engine.pool import each
from reconcile.engine.told import attempted
from reconcile.errors import UNANSWERED


@dataclass(slots=True)
class Recovery:
    """
    Closes every unfinished intent.

    Args:
        late_s: by provider, how long after its intent a request may still arrive, where the intent does not say.
    """

    journal: Journal
    store: Store
    types: Mapping[str, ResourceType]
    apis: Mapping[str, Any]
    env: Env
    late_s: Mapping[str, float] = field(default_factory=dict)
    workers: int = 16
    _said: dict[str, str] = field(default_factory=dict)

    async def run(self) -> list[str]:
        """
        Returns:
            A sentence for each intent.

        Raises:
            ReconcileError: something cannot be read back; the rest stays open and nothing else may be done. A unit
                with an endpoint of its own that does not answer holds up nothing but itself: its intent stays open.
        """
        # What is of a provider that the document does not use now stays open.
        intents = [intent for intent in await self.store.unfinished() if intent.address.type_path in self.types]
        until = {intent.operation: self._until(intent) for intent in intents}
        late = await self._look(intents, until)
        if late:
            loop, last = asyncio.get_running_loop(), max(until[intent.operation] for intent in late)
            self.env.emit(Noted(_waiting(late, last - loop.time())))

            async def look() -> bool:
                late[:] = await self._look(late, until)
                return not late

            await outwait(look, last, lambda: False)
        return [self._said[intent.operation] for intent in intents]

    def _until(self, intent: Intent) -> float:
        """The loop's time from which on its request cannot arrive any more."""
        longest_s = self.late_s.get(intent.address.provider, 0.0)
        return asyncio.get_running_loop().time() + remaining_s(
            attempt_of(intent).late_s, intent.begun, self.env.now(), longest_s
        )

    async def _look(self, intents: Sequence[Intent], until: Mapping[str, float]) -> list[Intent]:
        """Reads all of them back, and returns those that may still arrive."""
        late: list[Intent] = []

        async def resolve(intent: Intent) -> None:
            if not await self._close(intent, until[intent.operation]):
                late.append(intent)

        await each(intents, resolve, self.workers)
        return late

    async def _close(self, intent: Intent, until: float) -> bool:
        kind = self.types[intent.address.type_path]
        attempt = attempt_of(intent)
        lost = f"{intent.address}: the answer to an earlier {attempt.action} was lost"
        certain = asyncio.get_running_loop().time() >= until  # before it is asked
        try:
            ended, words = await self._resolve(intent, kind, self.apis[intent.address.provider])
        except UNANSWERED as error:
            if kind.listed != "unit":
                raise
            self._said[intent.operation] = f"{lost}, and it cannot be read back now: {error}"
            return True
        made = attempt.action is Action.CREATE and attempt.rename is None
        if made and not ended.put and kind.names != "unique" and not certain:
            return False
        if (ended.put and made) or ended.drop:  # of what was updated, nobody knows whose change it is
            at = self.env.now().isoformat(timespec="seconds")
            ended = replace(ended, told=attempted(intent.address, str(attempt.action), attempt.after, at))
        await self.journal.write(ended)
        self._said[intent.operation] = f"{lost}; {words}"
        return True

    async def _resolve(self, intent: Intent, kind: ResourceType, api: Any) -> tuple[Ended, str]:
        attempt, address, operation = attempt_of(intent), intent.address, intent.operation
        if attempt.rename is not None and attempt.rename.id != attempt.id:
            return Ended(operation), "the name it has now is read with the plan"
        at = target_of(kind, address, attempt.after, attempt.id, attempt.name, attempt.parent)
        seen = (await answers.read(kind, api, at)).seen
        if attempt.action is Action.CREATE:
            if seen is None or seen.id == attempt.namesake or await self._is_of(seen, address):
                return Ended(operation), "it was not made"
            return Ended(operation, (entry_of(address, kind, attempt, seen, {}, self.env.now()),)), "it was made"
        if attempt.action is Action.DELETE:
            if seen is None:
                return Ended(operation, drop=(address,)), "it was deleted"
            return Ended(operation), "it was not deleted"
        known = (await self.store.get([address])).get(address)
        entry = None
        if seen is not None and not await self._is_of(seen, address):
            entry = told(address, kind, known, seen, attempt, self.env.now())
        return Ended(operation, (entry,) if entry is not None else ()), "what is live now is read with the plan"

    async def _is_of(self, seen: Observed, address: Address) -> bool:
        """Whether the state knows it under another address: then it is what that one made."""
        known = (await self.store.by_unit(address.type_path, [seen.id])).get(seen.id)
        return address.parent is None and known is not None and known.address != address


def _waiting(late: Sequence[Intent], wait_s: float) -> str:
    named = ", ".join(str(intent.address) for intent in late[:3])
    named += f" and {len(late) - 3:,} more" if len(late) > 3 else ""
    requests = "request to create it" if len(late) == 1 else "requests to create them"
    return f"{named}: an earlier run's {requests} may still arrive; waiting up to {wait_s:.0f} s"
