"""Our homes pass the checks of homes: a file, PostgreSQL, and that behind a pooler."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
import servers

from reconcile.backends.holders import Process
from reconcile.backends.postgres import postgres
from reconcile.backends.sqlite.store import SqliteStore
from reconcile.conformance.homes import Home, HomeChecks
from reconcile.core.home import Opening, Place
from reconcile.core.ports import Store
from reconcile.core.values import Secret

NAMES = (f"homes_{n}" for n in count())


def now() -> datetime:
    return datetime.now(UTC)


class TestSqlite(HomeChecks):
    @pytest.fixture
    def home(self, tmp_path: Path) -> Home:
        def store(fleet: str, host: str) -> Store:
            path = tmp_path / f"{fleet}.db"
            return SqliteStore(path, now=now, rng=random.Random(), process=Process(host, 1))

        return Home(store)


def in_postgres(url: str) -> Callable[[str, str], Store]:
    def store(fleet: str, host: str) -> Store:
        return postgres(Place(Secret(url), "--state", True), Opening(fleet, now, random.Random(), (), {}, host, 1))

    return store


@pytest.fixture(scope="session")
def pooler(server: servers.Postgres) -> Iterator[int]:
    with servers.pgbouncer(server) as port:
        yield port


class TestPostgres(HomeChecks):
    @pytest.fixture
    def home(self, server: servers.Postgres) -> Home:
        return Home(in_postgres(server.url(server.make(next(NAMES)))))


class TestPostgresBehindPooler(HomeChecks):
    @pytest.fixture
    def home(self, server: servers.Postgres, pooler: int) -> Home:
        return Home(in_postgres(server.url(server.make(next(NAMES)), pooler)))
