"""Where each attribute of a resource comes from: its layers, the one that wins last. References, never secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconcile.config.check.resources import address_of, members
from reconcile.config.compile.blocks import Built, Source
from reconcile.config.compile.build import Shape
from reconcile.config.compile.layers import ABSENT
from reconcile.config.report import Report
from reconcile.config.world import Loading
from reconcile.core.address import Address
from reconcile.core.ports import Origin
from reconcile.core.values import FileRef, SecretRef


def layers(world: Loading, source: Source, row: int, address: Address) -> Mapping[str, Sequence[Origin]]:
    """By dotted attribute, what each profile and the entry itself say about it. Empty when it is not there."""
    quiet = Loading(world.sources, Report(), world.templates, world.schemes, world.budget)
    built = source.build(row)
    if built is None or built.value is ABSENT:
        return {}
    scope, parts = source.layers(row)
    said: dict[str, list[Origin]] = {}
    row_says = source.say(row)
    for part in parts:
        shape = Shape(quiet, source.family, [part], built.shape.address)
        value = shape.build(scope)
        if value is ABSENT:
            continue
        what = f"profile {part.profile}" if part.profile is not None else "the entry"
        if source.block is not None and part.profile is None:
            what = f"block {source.block}"
        alone = Built(built.key, value, shape)
        for member in members(quiet, source.family, alone):
            if address_of(member) != address:
                continue
            own = {name: member.value[name] for name in ("labels", "protect", "on_removal") if name in member.value}
            for path, leaf in _leaves({**member.attrs, **own}, ()):
                full = (*member.path, *path)
                at = next((shape.places[full[:n]] for n in range(len(full), -1, -1) if full[:n] in shape.places), None)
                where = str(world.position(at)) if at is not None else str(source.where(row))
                if row_says is not None:
                    where += f", {row_says}"
                said.setdefault(".".join(path), []).append(Origin(what, where, leaf))
    return said


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and (value or not path):
        for name, member in value.items():
            yield from _leaves(member, (*path, name))
    elif isinstance(value, SecretRef):
        yield path, str(value)
    elif isinstance(value, FileRef):
        yield path, value.path
    else:
        yield path, value
