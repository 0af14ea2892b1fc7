"""`show`: one resource of a plan in full, one group of it, or the state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from reconcile.core.address import Address
from reconcile.core.plan import Change, Plan
from reconcile.core.seal import Fit, Seal
from reconcile.errors import InvalidInput
from reconcile.render.detail import attribute, symbol, whole
from reconcile.render.paint import BOLD, DIM, GREEN, RED, YELLOW, Paint
from reconcile.render.text import WIDTH, unsettled_lines
from reconcile.render.values import SENSITIVE, outside, show
from reconcile.render.words import Types, block_name, many, place

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
    What the plan says of `name`; nothing when it says nothing.

    Args:
        name: the address of a resource: all of it, values uncut, then what hangs on it. Else a block, a type, or
            the beginning of an address: every address of it.
    """
    paint = Paint(color, width)
    wanted = _canonical(name)
    exact = [change for change in plan.changes if change.address == wanted]
    rest = [change for change in plan.changes if change.address != wanted and _belongs(change, wanted)]
    unsettled = [row for row in plan.unsettled if row.address == wanted or _under(row.address, wanted)]
    for change in exact:
        yield from whole(change, paint)
    if rest:
        if exact:
            yield ""
        yield paint(f"{many(len(rest), 'change')} of {outside(name)}", BOLD)
        for change in rest:
            yield paint.row(3, symbol(change), outside(change.address), place(change.where))
    yield from unsettled_lines(unsettled, types, paint)
    for lacking in plan.absent:
        if lacking.address == wanted or _under(lacking.address, wanted):
            yield f"Not there yet: {outside(lacking.address)}: {outside(lacking.what)}"
    for row in plan.unread:
        if row.address is not None and (row.address == wanted or _under(row.address, wanted)):
            yield f"Not read: {outside(row.address)}: {outside(row.error)}"


def _canonical(name: str) -> str:
    try:
        return Address.parse(name)
    except InvalidInput:
        return name


def _under(address: str, name: str) -> bool:
    return address.startswith((f"{name}.", f"{name}["))


def _belongs(change: Change, name: str) -> bool:
    if _under(change.address, name) or change.address.type_path == name:
        return True
    if change.block is None:
        return False
    root = ".".join(change.address.type_path.split(".")[:2])
    return name in (change.block, block_name(change.block), f"{root}.{block_name(change.block)}")


def state_text(
    entries: Iterable[Entry], head: Head | None = None, *, color: bool = False, width: int = WIDTH
) -> Iterator[str]:
    """The entries of a state, each with what was last applied."""
    paint = Paint(color, width)
    if head is not None:
        accounts = (f"{outside(account)} at {outside(host)}" for account, host in head.accounts.values())
        parts = [outside(head.fleet), *accounts, f"serial {head.serial}", f"lineage {outside(head.lineage)}"]
        yield paint(" · ".join(parts), BOLD)
    count = 0
    for entry in entries:
        if count or head is not None:
            yield ""
        count += 1
        yield from _entry(entry, paint)
    if not count:
        yield "The state is empty."


def _entry(entry: Entry, paint: Paint) -> Iterator[str]:
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
