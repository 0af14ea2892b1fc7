"""A simulator with a small fleet, and a client with its credentials."""

from collections.abc import Iterator

import httpx
import pytest
from simulated_fleet import ACCOUNT, TOKEN, small_world
from simulated_management import Account, account

from reconcile.simulator import running
from reconcile.simulator.serving import Running


@pytest.fixture
def sim() -> Iterator[Running]:
    with running(world=small_world()) as simulator:
        yield simulator


@pytest.fixture
def client(sim: Running) -> Iterator[httpx.Client]:
    # Without TLS there is nothing to verify, and loading certificates takes longer than most tests.
    with httpx.Client(base_url=sim.url, auth=(ACCOUNT, TOKEN), verify=False, trust_env=False) as http:
        yield http


@pytest.fixture
def managed() -> Iterator[Account]:
    with account() as held:
        yield held
