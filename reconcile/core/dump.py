"""
A whole state as one JSON value, as `state pull` prints it and `state push` takes it.

Format 2: `{version, fleet, lineage, serial, run, accounts, entries, operations, plans}`. Format 1 had no run, no
operations and no plans. The history is not in it: it is of the home in which it happened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from reconcile.core.address import Address
from reconcile.core.ports import Dump, Head, Intent
from reconcile.core.resource import entry_from_json, entry_to_json

VERSION = 2
_KEYS = {"version", "fleet", "lineage", "serial", "run", "accounts", "entries", "operations", "plans"}


def first_part(head: Head) -> str:
    """The text of a dump up to its first entry; then come entries with commas between them, and `last_part`."""
    parts = {"version": VERSION, "fleet": head.fleet, "lineage": head.lineage, "serial": head.serial, "run": head.run}
    parts["accounts"] = {name: list(pair) for name, pair in head.accounts.items()}
    return json.dumps(parts).removesuffix("}") + ', "entries": ['


def last_part(operations: Sequence[Intent], plans: Sequence[str]) -> str:
    """The text of a dump after its last entry."""
    open_ = [
        {"operation": one.operation, "address": str(one.address), "change": one.change, "begun": one.begun}
        for one in operations
    ]
    return f'\n], "operations": {json.dumps(open_)}, "plans": {json.dumps(list(plans))}}}\n'


def dump_of(text: str) -> Dump:
    """
    The state of a text.

    Raises:
        ValueError: it is none; the message says what is wrong with it.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON, or ends in the middle") from None
    if not isinstance(value, dict) or value.get("version") not in (1, VERSION):
        raise ValueError(f"it is not a state of format 1 or {VERSION}")
    if unknown := sorted(set(value) - _KEYS):
        raise ValueError(f"it has {', '.join(map(repr, unknown[:5]))}, which no state has")
    try:
        head = _head(value)
        entries = [entry_from_json(row) for row in value["entries"]]
        operations = [_intent(row) for row in value.get("operations", ())]
        plans = [str(digest) for digest in value.get("plans", ())]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"a part of it cannot be read ({type(error).__name__}: {str(error)[:200]})") from None
    _check_once([str(entry.address) for entry in entries], "address")
    _check_once([f"{one.address.type_path} {one.id}" for one in entries if one.parent is None and one.id], "unit")
    _check_once([one.operation for one in operations], "operation")
    return Dump(head, sorted(entries, key=lambda entry: entry.address), operations, plans)


def same_content(one: Dump, other: Dump) -> bool:
    """Whether two states say the same of the resources, and of what was begun."""
    return [entry_to_json(entry) for entry in one.entries] == [entry_to_json(entry) for entry in other.entries] and (
        one.operations == other.operations
    )


def _head(value: Mapping[str, Any]) -> Head:
    lineage, serial, fleet, run = (value.get(name) for name in ("lineage", "serial", "fleet", "run"))
    if not isinstance(lineage, str) or not lineage or not isinstance(fleet, str):
        raise ValueError("it has no lineage or no fleet")
    if not isinstance(serial, int) or isinstance(serial, bool) or not 0 <= serial < 2**62:
        raise ValueError("its serial is not a count")
    accounts = {str(name): (str(account), str(host)) for name, (account, host) in value["accounts"].items()}
    return Head(lineage, serial, fleet, accounts, run if isinstance(run, str) else None)


def _intent(row: Mapping[str, Any]) -> Intent:
    return Intent(str(row["operation"]), Address.canonical(row["address"]), dict(row["change"]), str(row["begun"]))


def _check_once(members: Sequence[str], what: str) -> None:
    seen: set[str] = set()
    for member in members:
        if member in seen:
            raise ValueError(f"it has the {what} {member!r} twice")
        seen.add(member)
