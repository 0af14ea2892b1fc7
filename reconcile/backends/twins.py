"""
One unit under two addresses: refused, because each of the two would be written over the other for ever.

Only roots are looked at: what hangs on one is identified by it and by its own key, which is the address.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from reconcile.errors import Problem, StateError


def refuse_twins(db: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """
    Raises when a unit of entries that are about to be put is another address's.

    Args:
        rows: of `schema.ENTRY_COLUMNS`, with distinct addresses. Entries that they replace, and those that are dropped
            with them, are out of the table by now: units may move, and change places.

    Raises:
        StateError: naming both addresses. Nothing of the transaction may stay.
    """
    taken: dict[tuple[str, str], str] = {}
    for address, type_path, unit, under, *_ in rows:
        if under is not None or not unit:
            continue
        if (other := taken.setdefault((type_path, unit), address)) == address:
            found = db.execute(
                "SELECT address FROM entries WHERE type = ? AND unit = ? AND under IS NULL LIMIT 1", (type_path, unit)
            ).fetchone()
            if found is None:
                continue
            other = found[0]
        raise StateError(
            Problem(
                f"{address} and {other} would both be unit {unit}; a unit can be in the state under one address only",
                address=address,
                hint=f"Plan again; if {other} is not it any more, take it out: reconcile state rm {other}",
            )
        )
