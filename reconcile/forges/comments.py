"""One comment of ours for each name, found by its mark and its author, and what machines read back from it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from reconcile.errors import ApiError

TRIES = 8  # of a comment that is too long, each at most half as long as the one before
TOO_LONG = (413, 422)
_MARK = re.compile(r"<!-- reconcile:plan (\{.*\}) -->")
_FENCE = re.compile(r"(`{3,})")


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment as the forge has it."""

    id: str
    author: str
    body: str


class Forge(Protocol):
    """A forge, as this package needs it. Every method may raise what `transport.Client` does."""

    name: str
    room: int
    """Bytes that a comment may have."""

    def pull(self) -> str | None:
        """The number of the pull or merge request that the pipeline is for; None where it is for none."""

    async def author(self) -> str:
        """Who the token is, as the author of comments."""

    def comments(self, pull: str) -> AsyncIterator[Comment]:
        """The comments of a pull or merge request, the oldest first."""

    async def create(self, pull: str, body: str) -> None:
        """Writes a new comment."""

    async def update(self, pull: str, id: str, body: str) -> None:
        """Writes a comment of ours again."""

    async def pulls_of(self, commit: str) -> list[str]:
        """The pull or merge requests that a commit came from or belongs to, those that were merged first."""


def mark_of(name: str) -> str:
    """The first line of our comment of a name."""
    return f"<!-- reconcile:comment {json.dumps(name)} -->"


async def posted(forge: Forge, pull: str, name: str, body: Callable[[int], str]) -> bool:
    """
    Makes our comment of a name, or updates the one that is there.

    Args:
        body: Markdown in at most so many bytes.

    Returns:
        Whether one was there.
    """
    mark = mark_of(name)
    own = await _ours(forge, pull, lambda one: one.body.startswith(mark))
    room = forge.room
    for left in range(TRIES, 0, -1):
        text = f"{mark}\n{body(room - len(mark) - 1)}"
        try:
            if own is None:
                await forge.create(pull, text)
            else:
                await forge.update(pull, own.id, text)
            return own is not None
        except ApiError as refused:
            if refused.status not in TOO_LONG or left == 1:
                raise
            room = min(room, len(text.encode())) // 2
    raise AssertionError("the last try returns or raises")


async def digest_in(forge: Forge, pull: str, fleet: str) -> str | None:
    """The digest of a fleet's plan in our own comment of a pull or merge request; of the newest that tells one."""
    found = None
    author = await forge.author()
    async for comment in forge.comments(pull):
        if comment.author == author and comment.body.startswith("<!-- reconcile:comment "):
            for said in marks(comment.body):
                if said.get("fleet") == fleet and isinstance(said.get("digest"), str):
                    found = str(said["digest"])
    return found if found is not None and re.fullmatch("[0-9a-f]{64}", found) else None


def marks(body: str) -> list[dict[str, object]]:
    """What the marks of plans in a comment say. One inside a fence is a value that somebody wrote, and no mark."""
    found, fence = [], None
    for line in body.splitlines():
        opened = _FENCE.match(line)
        if fence is not None:
            if opened and opened[1] == line.rstrip() and len(opened[1]) >= len(fence):
                fence = None
        elif opened:
            fence = opened[1]
        elif mark := _MARK.fullmatch(line):
            try:
                said = json.loads(mark[1])
            except ValueError:
                continue
            if isinstance(said, dict):
                found.append(said)
    return found


async def _ours(forge: Forge, pull: str, fits: Callable[[Comment], bool]) -> Comment | None:
    author = await forge.author()
    async for comment in forge.comments(pull):
        if comment.author == author and fits(comment):
            return comment
    return None
