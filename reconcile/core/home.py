"""
Homes of the state: where one is, as whoever named it said it, and what opens it there.

A path is a file of SQLite. A URL is opened by the backend that its scheme names: ours, or other people's, through the
entry point group `reconcile.backends`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reconcile.core.ports import Store
from reconcile.core.values import Secret
from reconcile.errors import Position


@dataclass(frozen=True, slots=True)
class Place:
    """
    A URL at which a state is.

    Attributes:
        url: as it was given. It may hold a password, so that no part of it is shown before it was understood.
        setting: what gave it, for messages: `state.url`, `--state`, `RECONCILE_STATE`.
        trusted: False where it stands in a document, which may lead nowhere that nobody allowed.
        where: in which file, if in one.
        username, password: those that the document names beside it.
    """

    url: Secret
    setting: str
    trusted: bool
    where: Position | None = None
    username: Secret | None = None
    password: Secret | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """
    What a backend gets of the run.

    Attributes:
        fleet: the name under which the state is kept: the fleet's, or `<fleet>.simulator`.
        allowed: hosts that a document may name beside loopback, as `host` or `host:port`.
        environ: of the run. now: wall clock, aware UTC; when a lease ends is never told by it.
        host, pid: of this process, so that a holder that is gone is recognised.
    """

    fleet: str
    now: Callable[[], datetime]
    rng: random.Random
    allowed: Collection[str]
    environ: Mapping[str, str]
    host: str
    pid: int


class Backend(Protocol):
    """A home of states: what an entry point of the group names. Importing it must not ask anything."""

    def __call__(self, place: Place, opening: Opening) -> Store:
        """
        The state of a fleet there; nothing is asked or made yet.

        Raises:
            InvalidInput: the URL cannot be used. No part of it that may be secret is in the message.
        """
