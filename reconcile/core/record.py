"""
What only the state learns: protection, labels, tokens, another address. Nothing of it is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reconcile.core.address import Address
from reconcile.core.owned import Shape
from reconcile.core.resource import Desired, Entry
from reconcile.core.schema import Mark
from reconcile.core.values import Attrs, FileRef, to_json


def recordings(shape: Shape, prior: Entry | None, after: Attrs, want: Desired) -> list[str]:
    """Sentences about what the state learns, beside attributes. `after`: what it records of those."""
    notes = [
        f"{name} is recorded; it happens when the token changes the next time"
        for name in after
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


def differs_in_record(after: Attrs, want: Desired, prior: Entry) -> bool:
    """Whether the entry says anything else than the files, beyond what a field change will write anyway."""
    if after != prior.attrs and to_json(after) != to_json(prior.attrs):
        recorded, now = dict(prior.attrs), dict(after)
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
