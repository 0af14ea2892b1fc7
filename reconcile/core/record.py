"""
What only the state learns: protection, labels, tokens, another address, and what is not managed any more. Nothing of
it is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconcile.core.address import Address
from reconcile.core.resource import Desired, Entry
from reconcile.core.schema import Field, Mark
from reconcile.core.values import FileRef, to_json


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
    return [
        f"{name} is not in the files any more: it stays as it is and is not managed"
        for name in prior.attrs
        if name not in wanted.after and name in shape and Mark.LOCATOR not in shape[name].marks
    ]


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


def moved(entry: Entry, under: Iterable[Entry], to: Address) -> list[Entry]:
    """An entry under another address, with the entries that hang on it."""
    return [
        replace(entry, address=to),
        *(
            replace(child, address=to.child(child.address.type_path.rpartition(".")[2], child.address.key))
            for child in under
        ),
    ]
