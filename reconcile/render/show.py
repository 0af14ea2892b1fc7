"""`show`: a part of a plan in full, or the state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from reconcile.core.plan import Plan
from reconcile.core.seal import Fit, Seal
from reconcile.core.selection import Selectors
from reconcile.render.detail import attribute, whole
from reconcile.render.paint import BOLD, DIM, GREEN, RED, YELLOW, Paint
from reconcile.render.text import WIDTH, unsettled_lines
from reconcile.render.values import SENSITIVE, outside, show
from reconcile.render.words import Types, many

if TYPE_CHECKING:
    from reconcile.core.ports import Head
    from reconcile.core.resource import Entry


def seal_line(seal: Seal, paint: Paint) -> str:
    """Whether anybody vouches for a plan's file: what stands above everything that is read in it."""
    match seal.fit:
        case Fit.FITS:
            return f"{paint('Seal verified:', GREEN)} made with the key {seal.key_id}, which is here."
        case Fit.NONE if seal.why is not None:
            return (
                f"{paint('Not sealed:', YELLOW)} {outside(seal.why)}."
                " So `apply FILE` plans again, compares, shows that and asks."
            )
        case Fit.NONE if seal.here is None:
            return f"{paint('Not verified:', YELLOW)} the file has no seal, and no key is here."
        case Fit.NO_KEY:
            return f"{paint('Not verified:', YELLOW)} sealed with the key {seal.key_id}, and no key is here."
        case Fit.NONE:
            what = f"the file has no seal, and the key here is {seal.here}"
        case Fit.ANOTHER:
            what = f"sealed with the key {seal.key_id}, and the key here is {seal.here}"
        case Fit.BROKEN:
            what = f"changed after it was made: the seal, of the key {seal.key_id}, does not fit"
    return f"{paint('NOT VERIFIED:', RED)} {what}; apply refuses it."


def change_text(plan: Plan, name: str, *, types: Types, color: bool = False, width: int = WIDTH) -> Iterator[str]:
    """
    What the plan says of all that a selection covers, values uncut; nothing when it says nothing.

    Raises:
        InvalidInput: `name` is no selection.
    """
    paint, named = Paint(color, width), Selectors((name,))
    changes = [change for change in plan.changes if named.covers(change.address, change.block)]
    if len(changes) > 1:
        yield paint(f"{many(len(changes), 'change')} of {outside(name)}", BOLD)
    for at, change in enumerate(changes):
        if at or len(changes) > 1:
            yield ""
        yield from whole(change, paint)
    yield from unsettled_lines([row for row in plan.unsettled if named.covers(row.address)], types, paint)
    for lacking in plan.absent:
        if named.covers(lacking.address):
            yield f"Not there yet: {outside(lacking.address)}: {outside(lacking.what)}"
    for row in plan.unread:
        if row.address is not None and named.covers(row.address):
            yield f"Not read: {outside(row.address)}: {outside(row.error)}"
            if row.hint:
                yield f"  {outside(row.hint)}"


def state_header(head: Head, *, color: bool = False) -> str:
    """Whose state it is."""
    accounts = (f"{outside(account)} at {outside(host)}" for account, host in head.accounts.values())
    parts = [outside(head.fleet), *accounts, f"serial {head.serial}", f"lineage {outside(head.lineage)}"]
    return Paint(color, WIDTH)(" · ".join(parts), BOLD)


def entry_text(entry: Entry, *, color: bool = False) -> Iterator[str]:
    """An entry of a state: what was last applied."""
    paint = Paint(color, WIDTH)
    yield paint(f"# {outside(entry.address)}", BOLD)
    yield f"id = {show(entry.id, None)}"
    for name, value in _flat(entry.attrs):
        yield f"{name} = {show(value)}"
    for name in entry.prints:
        if name not in entry.attrs:
            yield f"{attribute((name,))} = {SENSITIVE}"
    said = {
        "protect": "true" if entry.protect else None,
        "on_removal": entry.on_removal,
        "labels": ", ".join(f"{key}={value}" for key, value in entry.labels.items()) or None,
        "uses": ", ".join(entry.needs) or None,
        "applied": entry.at or None,
    }
    for name, text in said.items():
        if text is not None:
            yield paint(f"# {name}: {outside(text)}", DIM)


def _flat(attrs: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, value in attrs.items():
        path = (*above, str(name))
        if isinstance(value, Mapping) and value:
            yield from _flat(value, path)
        else:
            yield attribute(path), value
