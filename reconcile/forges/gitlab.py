"""
GitLab's REST API, version 4: comments of a merge request are its notes. docs/pipelines.md has what was tried, and what
is taken from GitLab's own documentation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from reconcile.errors import InvalidInput, Problem
from reconcile.forges.comments import Comment
from reconcile.forges.rows import listed, object_of
from reconcile.transport import Client

TOKEN = "GITLAB_TOKEN"  # CI_JOB_TOKEN may not write notes
ROOM = 900_000  # a note has at most 1,000,000 characters


class GitLab:
    """Merge requests of one project."""

    name = "gitlab"
    room = ROOM

    def __init__(self, client: Client, environ: Mapping[str, str]) -> None:
        """
        Args:
            client: for `CI_API_V4_URL`, with the token.
            environ: of the job.

        Raises:
            InvalidInput: the project is not told.
        """
        project = environ.get("CI_PROJECT_ID", "")
        if not project.isdecimal():
            raise InvalidInput(Problem("CI_PROJECT_ID is not set to a number", hint="A job's runner sets it"))
        self._client, self._environ = client, environ
        self._project = ("projects", project)
        self._author: str | None = None

    def pull(self) -> str | None:
        found = self._environ.get("CI_MERGE_REQUEST_IID", "")
        return found if found.isdecimal() else None

    async def author(self) -> str:
        if self._author is None:
            self._author = str(object_of(await self._client.get("user"), "GitLab")["username"])
        return self._author

    async def comments(self, pull: str) -> AsyncIterator[Comment]:
        params = {"sort": "asc", "order_by": "created_at"}
        place = (*self._project, "merge_requests", pull, "notes")
        async for row in listed(self._client, place, "GitLab", params):
            author = row.get("author") or {}
            yield Comment(str(row["id"]), str(author.get("username")), str(row.get("body") or ""))

    async def create(self, pull: str, body: str) -> None:
        place = (*self._project, "merge_requests", pull, "notes")
        await self._client.send("POST", *place, json={"body": body}, idempotent=False)

    async def update(self, pull: str, id: str, body: str) -> None:
        place = (*self._project, "merge_requests", pull, "notes", id)
        await self._client.send("PUT", *place, json={"body": body}, idempotent=True)

    async def pulls_of(self, commit: str) -> list[str]:
        place = (*self._project, "repository", "commits", commit, "merge_requests")
        found = [row async for row in listed(self._client, place, "GitLab")]
        found.sort(key=lambda row: row.get("state") != "merged")
        return [str(row["iid"]) for row in found]
