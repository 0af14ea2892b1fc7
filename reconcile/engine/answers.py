"""
The verbs of a type, with what they answer checked: it is about the unit that was asked for, or it is no answer.

An answer that came is not believed for that: a cache, a proxy or the API itself can give that of another unit, and what
is written or recorded after it would be the other one's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from shlex import quote
from typing import Any

from reconcile.core.resource import Entry, Observed, Page, Reading, Target
from reconcile.core.resource_type import ResourceType, is_other
from reconcile.core.values import Attrs
from reconcile.errors import BadAnswer, Problem


async def read(kind: ResourceType, api: Any, at: Target, entry: Entry | None = None) -> Reading:
    """As `ResourceType.read`. Raises BadAnswer too when it is about another unit; `entry`: what the state has."""
    reading = await kind.read(api, at)
    if reading.seen is not None:
        _about(kind, at, reading.seen)
        if entry is not None and entry.id == reading.seen.id and is_other(kind, reading.seen, entry):
            known, told = entry.facts.get(kind.identity or ""), reading.seen.facts.get(kind.identity or "")
            what = f"asked for the {kind.noun} {entry.id}, which is {known}, the API answered with {told}"
            out = f"If the unit was exchanged: `reconcile state rm {quote(entry.address)}`; the next apply adopts it"
            raise BadAnswer(Problem(what, hint=out))
    return reading


async def create(kind: ResourceType, api: Any, at: Target, attrs: Attrs) -> Observed:
    """As `ResourceType.create`. Raises BadAnswer too when the answer is about one of another name or key."""
    seen = await kind.create(api, at, attrs)
    _about(kind, at, seen)
    if not _is_named(kind, at, seen):
        raise _other(kind, at, seen)
    return seen


async def update(kind: ResourceType, api: Any, at: Target, patch: Attrs) -> Observed:
    """As `ResourceType.update`. Raises BadAnswer too when the answer is about another unit."""
    seen = await kind.update(api, at, patch)
    _about(kind, at, seen)
    return seen


async def listing(kind: ResourceType, api: Any, parent: str) -> AsyncIterator[Page]:
    """As `ResourceType.listing`, of what hangs on a unit. Raises BadAnswer too when a page is of another one."""
    async for page in kind.listing(api, parent):
        for seen in page.members:
            if seen.parent is not None and seen.parent != parent:
                raise BadAnswer(f"asked for the {kind.noun}s of {parent}, the API answered with those of {seen.parent}")
        yield page


def _about(kind: ResourceType, at: Target, seen: Observed) -> None:
    known = (seen.id, *seen.aliases)
    if at.id is not None:
        fits = at.id in known
    elif at.alias is not None:
        fits = at.alias in known
    else:
        fits = _is_named(kind, at, seen)
    if not fits or (at.parent is not None and seen.parent is not None and seen.parent != at.parent):
        raise _other(kind, at, seen)


def _is_named(kind: ResourceType, at: Target, seen: Observed) -> bool:
    """Whether it has the name that was meant, as far as its type tells; a membership has that of another resource."""
    return at.name is None or seen.name is None or kind.membership is not None or seen.name == at.name


def _other(kind: ResourceType, at: Target, seen: Observed) -> BadAnswer:
    asked = at.id or at.alias or at.name or at.address.key
    same_parent = at.parent in (None, seen.parent)
    answered = seen.id if seen.id != asked else seen.name if same_parent else f"that of {seen.parent}"
    return BadAnswer(f"asked for the {kind.noun} {asked}, the API answered with {answered}")
