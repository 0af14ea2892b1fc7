"""The embedded simulator as the server side of cases: one world for each run, changed behind reconcile's back."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from reconcile.conformance import Account
from reconcile.simulator import running
from reconcile.simulator.serving import Running


class SimulatedAccount(Account):
    """
    A simulated account. A subclass says what is in it, and in which words.

    Attributes:
        world: what it begins with.
        settle_s: seconds that pass until every device has connected twice.
    """

    world: ClassVar[Mapping[str, Any]] = {}
    secrets = ("the-password-of-this-account", "ak_the_key_of_this_account")
    settle_s: ClassVar[float] = 0

    def __init__(self, sim: Running) -> None:
        self.sim, self.url = sim, sim.url

    @classmethod
    @contextlib.contextmanager
    def served(cls) -> Iterator[SimulatedAccount]:
        credentials = {
            "account_sid": "AC00000000000000000000000000000001",
            "auth_token": cls.secrets[0],
            "tracker_username": "fleet",
            "tracker_password": cls.secrets[0],
            "api_key": cls.secrets[1],
        }
        with running(world={**credentials, **copy.deepcopy(dict(cls.world))}) as sim:
            yield cls(sim)

    def settings(self, url: str) -> Mapping[str, Any]:
        return {}

    def environ(self, url: str) -> Mapping[str, str]:
        return {"RECONCILE_SIMULATOR": url}

    @contextlib.contextmanager
    def outside(self, section: str) -> Iterator[dict[str, Any]]:
        """A section of the world, put back when the block is left."""
        world = copy.deepcopy(self.sim.world)
        yield world[section]
        self.sim.put(world)

    def settle(self) -> None:
        if self.settle_s:
            self.sim.advance(self.settle_s)
