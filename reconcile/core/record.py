"""
What only the state learns: protection, labels, tokens, another address, and what is not managed any more. Nothing of
it is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconcile.core.address import Address
from reconcile.core.resource import Desired, Entry
from reconcile.core.schema import Field, Kind, Mark
from reconcile.core.values import Attrs, FileRef, to_json


@dataclass(slots=True)
class Wanted:
    """The files' side. `compared`: what can be read back, in canonical form; `after`: what is sent and recorded."""

    compared: dict[str, Any]
    after: dict[str, Any]
    refers: dict[str, str]
    needs: tuple[Address, ...]


def released(shape: Mapping[str, Field], prior: Entry | None, wanted: Wanted) -> list[str]:
    """Attributes that were managed and are not written any more."""
    if prior is None:
        return []
    gone = [
        ".".join(path)
        for name, value in prior.attrs.items()
        if name in shape and shape[name].marks.isdisjoint((Mark.LOCATOR, Mark.CREDENTIAL))
        for path in _unmentioned(shape[name], value, wanted.after.get(name), (name,))
    ]
    return [f"{name} is not in the files any more: it stays as it is and is not managed" for name in gone]


def _unmentioned(spec: Field, recorded: Any, now: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The settings that were managed and are not; members of a whole map are no settings, they are taken out."""
    if spec.fields and isinstance(recorded, Mapping):
        for name, value in recorded.items():
            inner = spec.fields.get(name)
            if inner is not None:
                below = now.get(name) if isinstance(now, Mapping) else None
                yield from _unmentioned(inner, value, below, (*path, name))
    elif now is None and not (spec.kind is Kind.MAP and spec.marks & {Mark.WHOLE, Mark.MEMBERS}):
        yield path


def taken_out(shape: Mapping[str, Field], recorded: Attrs, wanted: Mapping[str, Any], *sides: Attrs) -> dict[str, Any]:
    """
    What the files want, with every whole map that they do not mention any more and of which we wrote members that are
    live: without those members.

    Args:
        recorded: what we wrote. wanted: what the files mention.
        sides: what is accepted, then what is reported if that is something else; keys spelled as in `recorded`.
    """
    found = dict(wanted)
    for name, value in recorded.items():
        if name in shape and isinstance(value, Mapping):
            left = _left(shape[name], value, wanted.get(name), [side.get(name) for side in sides])
            if left is not None:
                found[name] = left
    return found


def _left(spec: Field, recorded: Any, now: Any, sides: Sequence[Any]) -> Any:
    """`now` with what is left of released maps in it; None when nothing is."""
    if not isinstance(recorded, Mapping):
        return None
    if Mark.WHOLE in spec.marks and spec.kind is Kind.MAP:
        live = [side for side in sides if isinstance(side, Mapping)]
        if now is not None or not any(key in side for key in recorded for side in live):
            return None
        return {key: value for key, value in live[0].items() if key not in recorded}
    below = {}
    for name, inner in spec.fields.items():
        then = now.get(name) if isinstance(now, Mapping) else None
        parts = [side.get(name) if isinstance(side, Mapping) else None for side in sides]
        if (left := _left(inner, recorded.get(name), then, parts)) is not None:
            below[name] = left
    return {**(now if isinstance(now, Mapping) else {}), **below} if below else None


def recordings(shape: Mapping[str, Field], prior: Entry | None, wanted: Wanted, want: Desired) -> list[str]:
    """What only the state learns, in words."""
    notes = [
        f"{name} is recorded; it happens when the token changes the next time"
        for name in wanted.after
        if Mark.TRIGGER in shape[name].marks and (prior is None or name not in prior.attrs)
    ]
    if prior is None:
        return notes
    if protected(want, prior) != prior.protect:
        notes.append("its protection is lifted" if prior.protect else "it is protected from now on")
    if want.on_removal != prior.on_removal:
        notes.append(f"on_removal is {want.on_removal or 'the usual'} from now on")
    if dict(want.labels) != dict(prior.labels):
        notes.append("its labels are recorded")
    return notes


def differs_in_record(wanted: Wanted, want: Desired, prior: Entry) -> bool:
    """Whether the entry says anything else than the files, beyond what a field change will write anyway."""
    if wanted.after != prior.attrs and to_json(wanted.after) != to_json(prior.attrs):
        recorded, now = dict(prior.attrs), dict(wanted.after)
        for name, value in now.items():
            if isinstance(value, FileRef):  # where a bundle lies is not a fact about the app; its bytes are
                old = recorded.get(name)
                if isinstance(old, FileRef) and (value.sha256 is None or old.sha256 == value.sha256):
                    recorded.pop(name)
                    now[name] = None
        if to_json({k: v for k, v in now.items() if v is not None}) != to_json(recorded):
            return True
    return (
        protected(want, prior) != prior.protect
        or want.on_removal != prior.on_removal
        or dict(want.labels) != dict(prior.labels)
    )


def protected(want: Desired, recorded: Entry | None) -> bool:
    """Whether it is protected: as written, else as recorded; only a `false` that was applied ends it."""
    return want.protect if want.protect is not None else recorded is not None and recorded.protect


def beneath(wanted: Attrs, more: Attrs) -> dict[str, Any]:
    """`wanted`, and of `more` what it does not mention."""
    found = dict(wanted)
    for name, value in more.items():
        if name not in found:
            found[name] = value
        elif isinstance(value, Mapping) and isinstance(found[name], Mapping):
            found[name] = beneath(found[name], value)
    return found


def released_sets(shape: Mapping[str, Field], recorded: Any, compared: Any, after: Any) -> dict[str, Any]:
    """Of what we wrote, the whole maps that a write leaves less of and the files do not mention."""
    found: dict[str, Any] = {}
    for name, value in compared.items():
        spec, ours = shape.get(name), recorded.get(name) if isinstance(recorded, Mapping) else None
        below = after.get(name) if isinstance(after, Mapping) else None
        if spec is None or not isinstance(value, Mapping) or ours is None:
            continue
        if spec.kind is Kind.MAP:
            if Mark.WHOLE in spec.marks and below is None:
                found[name] = ours
        elif inner := released_sets(spec.fields, ours, value, below):
            found[name] = inner
    return found


def put(attrs: Attrs, path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Attributes with another value at a path; None takes it out, and with it a map that becomes empty."""
    found = dict(attrs)
    if len(path) > 1:
        below = found.get(path[0])
        value = put(below if isinstance(below, Mapping) else {}, path[1:], value) or None
    if value is None:
        found.pop(path[0], None)
    else:
        found[path[0]] = value
    return found


def moved(entry: Entry, under: Iterable[Entry], to: Address) -> list[Entry]:
    """An entry under another address, with the entries that hang on it."""
    return [
        replace(entry, address=to),
        *(
            replace(child, address=to.child(child.address.type_path.rpartition(".")[2], child.address.key))
            for child in under
        ),
    ]
