"""A listing proves presence, not absence: what the state holds and a listing lacks is read by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconcile.core.resource import Entry, Observed
from reconcile.core.resource_type import ResourceType, target_of
from reconcile.engine import answers


async def unlisted(
    part: ResourceType, api: Any, known: Sequence[Entry], live: Mapping[str, Observed]
) -> list[tuple[str, Observed]]:
    """
    What hangs on a unit, that the listing of it lacks, and that is there all the same: by its key in `live`.

    Args:
        known: what the state holds of it, all of that unit.
        live: what was listed, by name, else by id.

    Raises:
        As `ResourceType.read`.
    """
    found = []
    listed = {seen.id for seen in live.values()}
    for entry in known:
        if entry.id in listed:
            continue
        at = target_of(part, entry.address, entry.attrs, entry.id, entry.address.key, entry.parent)
        if (seen := (await answers.read(part, api, at)).seen) is not None:
            found.append((seen.name or seen.id, seen))
    return found
