"""What differs between a plan that was reviewed and the one that is made now, shown as a plan is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconcile.core.address import Address
from reconcile.core.plan import Change
from reconcile.render.detail import one
from reconcile.render.grouped import group_lines
from reconcile.render.groups import groups
from reconcile.render.paint import Paint
from reconcile.render.words import Types, many

Told = Mapping[Address, tuple[str, Change]]
"""By address, each change that does something, with its digest."""


def compared_lines(reviewed: Told, made: Told, *, types: Types, color: bool, width: int) -> Iterator[str]:
    """What only one of the two would do, then what both would do otherwise, from each side."""
    paint = Paint(color, width)
    gone = [change for address, (_, change) in reviewed.items() if address not in made]
    new = [change for address, (_, change) in made.items() if address not in reviewed]
    other = [address for address, (own, _) in made.items() if address in reviewed and reviewed[address][0] != own]
    yield from _part("Only in the plan that was reviewed", gone, types, paint)
    yield from _part("Only in the plan that is made now", new, types, paint)
    yield from _part("In both, as it was reviewed", [reviewed[address][1] for address in other], types, paint)
    yield from _part("In both, as it would be done now", [made[address][1] for address in other], types, paint)
    if not (gone or new or other):
        yield ""
        yield "The changes are the same; the fleet or the account is another."


def _part(title: str, changes: Sequence[Change], types: Types, paint: Paint) -> Iterator[str]:
    if not changes:
        return
    yield ""
    yield paint.heading(f"{title}: {many(len(changes), 'change')}")
    for members in groups(changes).values():
        for group in members:
            yield from group_lines(group, types, paint) if group.grouped else one(group, paint)
