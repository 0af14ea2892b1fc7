"""Answers of a forge as plain data: one object, or the members of a listing, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from reconcile.errors import BadAnswer, Problem
from reconcile.transport import Answer, Client

PAGE = 100


def object_of(answer: Answer, forge: str) -> dict[str, Any]:
    """The object that an answer is. Raises BadAnswer."""
    if not isinstance(answer.body, dict):
        raise BadAnswer(Problem(f"an answer of {forge} is no object"))
    return answer.body


async def listed(
    client: Client, place: tuple[str, ...], forge: str, params: Mapping[str, str] | None = None
) -> AsyncIterator[dict[str, Any]]:
    """The members of a listing that is asked for page by page, until one is not full. Raises BadAnswer."""
    page = 1

    def following(answer: Answer) -> dict[str, str | int] | None:
        nonlocal page
        page += 1
        return {"page": page} if isinstance(answer.body, list) and len(answer.body) >= PAGE else None

    async for answer in client.pages(*place, params={"per_page": PAGE, **(params or {})}, next=following):
        if not isinstance(answer.body, list):
            raise BadAnswer(Problem(f"a listing of {forge} is no list"))
        for row in answer.body:
            if isinstance(row, dict):
                yield row
