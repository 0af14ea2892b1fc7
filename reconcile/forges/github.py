"""
GitHub's REST API, version 2022-11-28: comments of a pull request are those of its issue. docs/pipelines.md has what was
tried, and what is taken from GitHub's own documentation.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from reconcile.errors import AccessDenied, ApiError, BadAnswer, InvalidInput, Problem
from reconcile.forges.comments import Comment
from reconcile.transport import Answer, Client

TOKEN = "GITHUB_TOKEN"
ROOM = 60_000  # a comment of more than 65,536 characters is a 422
PAGE = 100
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
                self._author = str(_object(await self._client.get("user"))["login"])
            except AccessDenied:
                self._author = BOT
            except ApiError as refused:
                if refused.status not in (403, 404):
                    raise
                self._author = BOT
        return self._author

    async def comments(self, pull: str) -> AsyncIterator[Comment]:
        async for row in self._listed("issues", pull, "comments"):
            user = row.get("user") or {}
            yield Comment(str(row["id"]), str(user.get("login")), str(row.get("body") or ""))

    async def create(self, pull: str, body: str) -> None:
        place = (*self._repository, "issues", pull, "comments")
        await self._client.send("POST", *place, json={"body": body}, idempotent=False)

    async def update(self, pull: str, id: str, body: str) -> None:
        place = (*self._repository, "issues", "comments", id)
        await self._client.send("PATCH", *place, json={"body": body}, idempotent=True)

    async def pulls_of(self, commit: str) -> list[str]:
        found = [row async for row in self._listed("commits", commit, "pulls")]
        found.sort(key=lambda row: (row.get("merge_commit_sha") != commit, row.get("merged_at") is None))
        return [str(row["number"]) for row in found]

    async def _listed(self, *segments: str) -> AsyncIterator[dict[str, Any]]:
        page = 1

        def following(answer: Answer) -> dict[str, str | int] | None:
            nonlocal page
            page += 1
            return {"page": page} if isinstance(answer.body, list) and len(answer.body) >= PAGE else None

        params = {"per_page": PAGE}
        async for answer in self._client.pages(*self._repository, *segments, params=params, next=following):
            if not isinstance(answer.body, list):
                raise BadAnswer(Problem("a listing of GitHub is no list"))
            for row in answer.body:
                if isinstance(row, dict):
                    yield row


def _object(answer: Answer) -> dict[str, Any]:
    if not isinstance(answer.body, dict):
        raise BadAnswer(Problem("an answer of GitHub is no object"))
    return answer.body
