"""A group of a plan: one line for many resources, then what changes in them, counted."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from reconcile.core.plan import Action, Change, FieldChange, Reason
from reconcile.core.values import SecretRef
from reconcile.errors import Position
from reconcile.render.detail import attribute, sign, symbol
from reconcile.render.groups import Group, PlanSection
from reconcile.render.paint import DIM, Paint
from reconcile.render.values import SENSITIVE, apart, arrow, cells, identity, outside, show
from reconcile.render.words import Types, asked_by, block_name, many, place, secret_reason, singular_of, some

PAIRS = 5  # different before -> after pairs that are shown one by one
_ATTRIBUTES = 12  # lines of attributes in a group; a whole tracker configuration has some sixty


def group_lines(group: Group, types: Types, paint: Paint) -> Iterator[str]:
    """The lines of a group of 4 members or more."""
    first = group.members[0]
    right = _common([change.where for change in group.members])
    yield paint.row(3, symbol(first), group_title(group, types), right)
    yield from _counted([change.blocked for change in group.members], paint)
    for at in range(min(len(group.fields[0]), _ATTRIBUTES)):
        yield from _attribute([fields[at] for fields in group.fields], group, right, paint)
    if (hidden := len(group.fields[0]) - _ATTRIBUTES) > 0:
        yield paint.row(5, " ", paint(f"# and {many(hidden, 'attribute')} more", DIM))
    if any(change.notes for change in group.members):
        yield from _counted(["; ".join(change.notes) or None for change in group.members], paint)
    yield paint.row(5, " ", paint(f"# {_examples(group)}", DIM))


def group_title(group: Group, types: Types) -> str:
    """How many of what: `4,050 device configs `site` of warehouses`."""
    text = many(len(group.members), singular_of(types, group.type_path))
    if group.key is not None:
        text += f" `{outside(group.key)}`"
    elif group.keys > 1 and group.action is not Action.FORGET:
        text += f" ({group.keys:,} different keys)"
    if group.block is not None:
        text += f" of {block_name(group.block)}"
    why = _why(group)
    return f"{text}  # {why}" if why else text


def _why(group: Group) -> str:
    reasons = {change.reason for change in group.members}
    if len(reasons) != 1:
        return ""
    match group.members[0].reason:
        case Reason.ANOTHER_UNIT:
            return "another unit"
        case Reason.GONE:
            return "somebody else deleted them"
        case Reason.NOT_IN_FILES if group.action is Action.FORGET:
            return "not in the files any more: forgotten, nothing is sent"
        case Reason.NOT_IN_FILES:
            return "not in the files any more"
        case Reason.DESTROY if group.action is Action.FORGET:
            return "forgotten, nothing is sent"
    return ""


def _examples(group: Group) -> str:
    """The first in full, so that it can be pasted; the others by their name."""
    members = group.members
    if group.section is PlanSection.MOVED:
        pairs = (f"{change.moved_from} -> {change.address.name}" for change in members if change.moved_from)
        return some(pairs, len(members))
    head = outside(members[0].address)
    others = (change.address.name if group.key is None else change.address.keys[0] for change in members[1:3])
    return f"{head}, {some(others, len(members) - 1, 2)}"


def _common(places: Sequence[Position | None]) -> str:
    """The line that all share, else the file, else nothing."""
    seen = {(where.file, where.line) if where else None for where in places}
    if len(seen) == 1:
        return place(places[0])
    files = {file[0] for file in seen if file}
    return outside(files.pop()) if len(files) == 1 and None not in seen else ""


def _counted(said: Sequence[str | None], paint: Paint) -> Iterator[str]:
    counts: dict[str, int] = {}
    for text in said:
        if text:
            counts[text] = counts.get(text, 0) + 1
    for text, count in list(counts.items())[:3]:
        tail = f"  {count:,}" if len(counts) > 1 or count < len(said) else ""
        yield paint.row(5, " ", paint(f"# {outside(text)}{tail}", DIM))
    if len(counts) > 3:
        yield paint.row(5, " ", paint(f"# and {many(len(counts) - 3, 'other reason')}", DIM))


def _attribute(fields: list[FieldChange], group: Group, above: str, paint: Paint) -> Iterator[str]:
    created = group.action is Action.CREATE
    right = _asked([(field.where, field.origin) for field in fields])
    lead = f"{attribute(fields[0].path)} = "
    mark = sign(fields[0], created) if len({sign(field, created) for field in fields}) == 1 else "~"
    rows = _rows(fields, group, created)
    wide = max(cells(text) for text, _, _ in rows)
    for at, (text, count, name) in enumerate(rows):
        tail = ""
        if count is not None:
            digits = max(len(f"{number:,}") for _, number, _ in rows if number is not None)
            tail = " " * (wide - cells(text)) + f"  {count:>{digits},}" + (f"  {name}" if name else "")
        shown = (lead if at == 0 else " " * cells(lead)) + text + tail
        yield paint.row(7, mark if at == 0 else " ", shown, right if at == 0 and right != above else "")


def _asked(places: Sequence[tuple[Position | None, str | None]]) -> str:
    said = {asked_by(where, origin) for where, origin in set(places)}
    if len(said) == 1:
        return said.pop()
    where = _common([where for where, _ in places])
    origins = {origin for _, origin in places}
    origin = origins.pop() if len(origins) == 1 else None
    if where and origin:
        return f"{where} ({outside(origin)})"
    return where or outside(origin or "")


_Row = tuple[str, int | None, str]


def _rows(fields: list[FieldChange], group: Group, created: bool) -> list[_Row]:
    """What stands behind the `=`: `(text, how many, name)`, one row for each pair, or what is said of them all."""

    def tally(of: Callable[[FieldChange], Hashable]) -> dict[Hashable, list[int]]:
        found: dict[Hashable, list[int]] = {}
        for at, field in enumerate(fields):
            found.setdefault(of(field), []).append(at)
        return found

    def spell(found: dict[Hashable, list[int]], text: Callable[[FieldChange], str]) -> list[_Row]:
        ordered = sorted(found.values(), key=lambda places: (-len(places), places[0]))
        if len(ordered) == 1:
            return [(text(fields[0]), None, "")]
        return [
            (text(fields[at[0]]), len(at), outside(group.members[at[0]].address.name) if len(at) == 1 else "")
            for at in ordered
        ]

    if fields[0].sensitive:
        reasons = tally(lambda field: secret_reason(field, created))
        if len(reasons) <= PAIRS:
            return spell(reasons, lambda field: _secret(secret_reason(field, created)))
        references = [str(field.after) if isinstance(field.after, SecretRef) else "" for field in fields]
        if len(set(references)) > 1:
            return [(_secret(_explain(references, group.members, "reference", str)), None, "")]
        words = [secret_reason(field, created) for field in fields]
        return [(_secret(_explain(words, group.members, "reason", str)), None, "")]
    both = group.section is PlanSection.BOTH
    pairs = tally(lambda field: (*map(identity, (field.before, field.after)), identity(field.prior) if both else None))
    if len(pairs) <= PAIRS:
        return spell(pairs, _both if both else lambda field: arrow(field.before, field.after))
    after, before = tally(lambda field: identity(field.after)), tally(lambda field: identity(field.before))
    if len(after) <= PAIRS:
        known = [
            (at, len({identity(fields[place].before) for place in at}))
            for at in sorted(after.values(), key=lambda places: (-len(places), places[0]))
        ]
        return [
            (
                _from_to(fields[at[0]], number),
                len(at) if len(known) > 1 else None,
                "",
            )
            for at, number in known
        ]
    said = _explain([field.after for field in fields], group.members, "value", show)
    if len(before) == 1 and fields[0].before is not None:
        return [(f"{show(fields[0].before)} -> {said}", None, "")]
    return [(said, None, "")]


def _from_to(field: FieldChange, number: int) -> str:
    """One value after, and the one before or how many there are."""
    if number == 1 and field.before is not None and field.after is not None:
        return arrow(field.before, field.after)
    before = f"{many(number, 'different value')}" if number > 1 else show(field.before)
    return f"{before} -> " + ("nothing" if field.after is None else show(field.after))


def _both(field: FieldChange) -> str:
    if field.prior is None:
        return arrow(field.before, field.after)
    return f"{arrow(field.before, field.after)}  # was {apart(field.prior, field.before)[0]} at the last apply"


def _secret(reason: str) -> str:
    return f"{SENSITIVE}  # {reason}" if reason else SENSITIVE


def _explain(values: Sequence[Any], members: Sequence[Change], what: str, text: Callable[[Any], str]) -> str:
    """`40 different values, one per site: OSL-1 59.91, …`: how many there are, and what tells which it is."""
    same = [identity(value) for value in values]
    distinct = len(set(same))
    said = f"{distinct:,} different {what}s"
    label = None if distinct == len(values) else _label(same, members)
    if distinct == len(values):
        said = f"{len(values):,} {what}s, all different"
        shown = [(change.address.keys[0], value) for change, value in zip(members[:3], values, strict=False)]
    elif label:
        name, exact = label
        said += f", one per {outside(name)}" if exact else f", told by {outside(name)}"
        by_label: dict[str, Any] = {}
        for change, value in zip(members, values, strict=True):
            by_label.setdefault(change.labels[name], value)
        shown = list(by_label.items())[:3]
    else:
        first = list(dict(zip(same, values, strict=True)).values())[:3]
        return f"{said}: " + some(map(text, first), distinct)
    listed = ", ".join(f"{outside(name)} {outside(text(value))}" for name, value in shown)
    return f"{said}: {listed}" + (", …" if distinct > len(shown) else "")


def _label(same: Sequence[Any], members: Sequence[Change]) -> tuple[str, bool] | None:
    """The label that tells the value, the closest one: its name, and whether each value has one label value too."""
    distinct, best = len(set(same)), None
    for name in members[0].labels:
        told: dict[str, Any] = {}
        for change, value in zip(members, same, strict=True):
            said = change.labels.get(name)
            if said is None or told.setdefault(said, value) != value:
                break
        else:
            if len(told) == distinct:
                return name, True
            if len(told) < len(members) and (best is None or len(told) < best[1]):
                best = name, len(told)
    return (best[0], False) if best else None
