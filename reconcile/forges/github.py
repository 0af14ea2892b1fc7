"""
GitHub's REST API, version 2022-11-28: comments of a pull request are those of its issue. docs/pipelines.md has what was
tried, and what is taken from GitHub's own documentation.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from reconcile.errors import AccessDenied, ApiError, InvalidInput, Problem
from reconcile.forges.comments import Comment
from reconcile.forges.rows import listed, object_of
from reconcile.transport import Client

TOKEN = "GITHUB_TOKEN"
ROOM = 60_000  # a comment of more than 65,536 characters is a 422
BOT = "github-actions[bot]"  # who the token of a workflow is; it may not ask


class GitHub:
    """Pull requests of one repository."""

    name = "github"
    room = ROOM

    def __init__(self, client: Client, environ: Mapping[str, str]) -> None:
        """
        Args:
            client: for `GITHUB_API_URL`, with the token.
            environ: of the workflow.

        Raises:
            InvalidInput: the repository is not told.
        """
        owner, _, repository = environ.get("GITHUB_REPOSITORY", "").partition("/")
        if not owner or not repository or "/" in repository:
            raise InvalidInput(Problem("GITHUB_REPOSITORY is not set to OWNER/NAME", hint="A workflow sets it"))
        self._client, self._environ = client, environ
        self._repository = ("repos", owner, repository)
        self._author: str | None = None

    def pull(self) -> str | None:
        """From the event that started the workflow, else from the ref."""
        path = self._environ.get("GITHUB_EVENT_PATH")
        if path:
            try:
                event = json.loads(Path(path).read_text("utf-8"))
            except (OSError, ValueError):
                event = {}
            for name in ("pull_request", "issue"):
                part = event.get(name) if isinstance(event, dict) else None
                if isinstance(part, dict) and isinstance(part.get("number"), int):
                    return str(part["number"])
        found = re.fullmatch(r"refs/pull/(\d+)/(?:merge|head)", self._environ.get("GITHUB_REF", ""))
        return found[1] if found else None

    async def author(self) -> str:
        if self._author is None:
            try:
                self._author = str(object_of(await self._client.get("user"), "GitHub")["login"])
            except AccessDenied:
                self._author = BOT
            except ApiError as refused:
                if refused.status not in (403, 404):
                    raise
                self._author = BOT
        return self._author

    async def comments(self, pull: str) -> AsyncIterator[Comment]:
        async for row in listed(self._client, (*self._repository, "issues", pull, "comments"), "GitHub"):
            user = row.get("user") or {}
            yield Comment(str(row["id"]), str(user.get("login")), str(row.get("body") or ""))

    async def create(self, pull: str, body: str) -> None:
        place = (*self._repository, "issues", pull, "comments")
        await self._client.send("POST", *place, json={"body": body}, idempotent=False)

    async def update(self, pull: str, id: str, body: str) -> None:
        place = (*self._repository, "issues", "comments", id)
        await self._client.send("PATCH", *place, json={"body": body}, idempotent=True)

    async def pulls_of(self, commit: str) -> list[str]:
        place = (*self._repository, "commits", commit, "pulls")
        found = [row async for row in listed(self._client, place, "GitHub")]
        found.sort(key=lambda row: (row.get("merge_commit_sha") != commit, row.get("merged_at") is None))
        return [str(row["number"]) for row in found]
