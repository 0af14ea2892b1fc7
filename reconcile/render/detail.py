"""One resource of a plan, shown by itself: its line, its attributes, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconcile.core.address import quote
from reconcile.core.plan import Action, Change, FieldChange, Reason
from reconcile.core.values import LATER
from reconcile.render.groups import Group, PlanSection, leaves
from reconcile.render.paint import DIM, Paint
from reconcile.render.values import LIMIT, arrow, cells, is_text_block, line_diff, outside, show
from reconcile.render.words import SYMBOL, asked_by, place, whose


def attribute(path: tuple[str, ...]) -> str:
    """The name of an attribute: `configuration.locationTracking.geofence.lat`."""
    return outside("".join(quote(part) for part in path).removeprefix("."))


def sign(field: FieldChange, created: bool) -> str:
    """Whether an attribute comes, goes or changes."""
    if created or (field.before is None and not field.sensitive):
        return "+"
    return "-" if field.after is None and not field.sensitive else "~"


def symbol(change: Change) -> str:
    """The symbol of a change; an import in which nothing changes has none, as a no-op."""
    return " " if change.action is Action.ADOPT and not change.fields else SYMBOL[change.action]


def one(group: Group, paint: Paint) -> Iterator[str]:
    """The lines of a group of one."""
    yield from change_lines(group.members[0], group.fields[0], group.section, paint)


def since_lines(changes: Iterable[Change], paint: Paint) -> Iterator[str]:
    """Since when live resources that somebody else changed are as they are, where the API tells that."""
    dates = sorted({change.written[:16].replace("T", " ") for change in changes if change.written})
    if dates:
        until = f" to {outside(dates[-1])}" if len(dates) > 1 else ""
        yield _comment(f"written last {outside(dates[0])}{until} UTC", paint)


def change_lines(
    change: Change,
    fields: tuple[FieldChange, ...],
    section: PlanSection | None,
    paint: Paint,
    limit: int | None = LIMIT,
) -> Iterator[str]:
    """
    The lines of one change.

    Args:
        fields: what `groups.leaves` says of it.
        section: the heading above it, which then need not be repeated.
        limit: characters of a value; None = all.
    """
    right = place(change.where)
    yield paint.row(3, symbol(change), change_title(change, section), right)
    yield from (_comment(remark, paint) for remark in remarks_above(change))
    created = change.action is Action.CREATE
    if created and change.id is None and change.address.count(".") <= 2:
        yield paint.row(7, "+", f"id = {LATER}")
    if change.action is Action.REPLACE and change.former is not None:
        yield paint.row(7, "~", f"id = {show(change.former)} -> {LATER if change.id is None else show(change.id)}")
    for field in fields:
        yield from _field(field, created, right, paint, limit)
    if change.action is Action.DELETE:
        for name, value in change.before.items():
            if value is None:
                continue
            yield paint.row(7, "-", f"{attribute((name,))} = {show(value, limit)}")
    yield from (_comment(remark, paint) for remark in remarks_below(change))


def remarks_above(change: Change) -> Iterator[str]:
    """What is said of a change before its attributes."""
    if change.blocked:
        yield outside(change.blocked)
    if change.moved_from is not None:
        yield f"previous address {outside(change.moved_from)}"


def remarks_below(change: Change) -> Iterator[str]:
    """What is said of it after them."""
    if change.former is not None:
        kept = f", renamed {outside(change.former_name)}" if change.former_name else ""
        yield f"the old unit {outside(change.former)} is forgotten{kept}"
    elif change.former_name is not None:
        yield f"the unit that holds the name is renamed {outside(change.former_name)} first"
    if change.overwrites is not None:
        yield f"the update {outside(change.overwrites)}, which somebody else staged, is lost"
    if change.temporary is not None:
        yield f"takes the name {outside(change.temporary)} first"
    for note in change.notes:
        yield outside(note)


def change_title(change: Change, section: PlanSection | None) -> str:
    """The address, and why, where that does not go without saying."""
    return outside(change.address) + _why(change, section)


def _why(change: Change, section: PlanSection | None) -> str:
    reason = ""
    match change.reason:
        case Reason.ANOTHER_UNIT:
            reason = "another unit"
        case Reason.GONE:
            reason = "somebody else deleted it"
        case Reason.NOT_IN_FILES if change.action is Action.DELETE:
            reason = "not in the files any more"
        case Reason.NOT_IN_FILES:
            reason = "not in the files any more: forgotten, nothing is sent"
        case Reason.DESTROY if change.action is Action.FORGET:
            reason = "forgotten, nothing is sent"
        case Reason.LEASE_ENDS:
            reason = "renewed before it ends"
    if change.action is Action.ADOPT and change.id is not None:
        reason = f"imported from {outside(change.id)}"
    if section is PlanSection.BLOCKED and change.action in (Action.REPLACE, Action.DELETE) and not reason:
        reason = "would be " + {Action.REPLACE: "replaced", Action.DELETE: "deleted"}[change.action]
    return f"  # {reason}" if reason else ""


def _field(field: FieldChange, created: bool, above: str, paint: Paint, limit: int | None) -> Iterator[str]:
    right = asked_by(field.where, field.origin)
    right = "" if right == above else right
    mark, said = sign(field, created), whose(field, created)
    name = attribute(field.path)
    if field.sensitive:
        yield from _with_comment(mark, f"{name} = (sensitive value)", said, right, paint)
    elif is_text_block(field.before, field.after):
        text = f"{name} = ({len(field.before):,} -> {len(field.after):,} characters)"
        yield from _with_comment(mark, text, said, right, paint)
        for part, line in line_diff(field.before, field.after, None if limit is None else 24):
            yield paint.row(11, part, line)
    else:
        text = f"{name} = {arrow(field.before, field.after, limit)}"
        yield from _with_comment(mark, text, said, right, paint)


def _with_comment(mark: str, text: str, said: str, right: str, paint: Paint) -> Iterator[str]:
    inline = f"{text}  # {said}" if said else text
    if said and 8 + cells(inline) + (2 + cells(right) if right else 0) > paint.width:
        yield paint.row(7, mark, text, right)
        yield paint.row(9, " ", paint(f"# {said}", DIM))
    else:
        yield paint.row(7, mark, inline, right)


def _comment(text: str, paint: Paint) -> str:
    return paint.row(5, " ", paint(f"# {text}", DIM))


def whole(change: Change, paint: Paint) -> Iterator[str]:
    """Everything about one change, values uncut: what `show PLAN ADDR` prints."""
    yield from change_lines(change, leaves(change), None, paint, None)
    facts = {
        "action": change.action.value,
        "reason": change.reason.value,
        "id": change.id,
        "name at the API": change.name,
        "block": change.block,
        "wave": str(change.wave + 1),
        "after": ", ".join(change.needs) or None,
        "labels": ", ".join(f"{key}={value}" for key, value in change.labels.items()) or None,
        "protect": "true" if change.protect else None,
        "on_removal": change.on_removal,
    }
    for name, value in facts.items():
        if value is not None:
            yield _comment(f"{name}: {outside(value)}", paint)
    sent = {field.path[0] for field in change.fields}
    same = [name for name in change.after if name not in sent]
    if change.action not in (Action.CREATE, Action.DELETE):
        for name in same:
            yield paint.row(7, " ", f"{attribute((name,))} = {show(change.after[name], None)}")
