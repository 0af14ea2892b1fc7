"""The loaded document: `core.ports.Document` over blocks and rows. Nothing here holds a model per device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from reconcile.config import explain
from reconcile.config.check.checker import Known, locate
from reconcile.config.check.resources import desired, members
from reconcile.config.compile.blocks import Built, Source
from reconcile.config.world import Loading
from reconcile.core.address import Address
from reconcile.core.ports import Limit, Origin, PolicyRule, StateSettings
from reconcile.core.resource import Desired
from reconcile.errors import Position


@dataclass(slots=True, repr=False)
class LoadedDocument:
    """
    A fleet's files, loaded and checked: see `core.ports.Document`.

    Attributes:
        known: the resources of each root type by its path.
        origins: of each variable, where its value comes from.
    """

    fleet: str
    directory: str
    path: str
    settings: Mapping[str, BaseModel]
    places: Mapping[str, Position]
    state: StateSettings
    limits: Mapping[str, Limit]
    digest: str
    variables: str
    given: Mapping[str, str]
    policies: Sequence[PolicyRule]
    warnings: Sequence[str]
    opens: Sequence[str]
    world: Loading
    known: Mapping[str, Known]
    counts: Counter[str]
    origins: Mapping[str, str]
    _last: tuple[int, list[Desired]] | None = field(default=None)

    def providers(self) -> Sequence[str]:
        """Providers that have a section or settings in the document, in the order of the registry."""
        return tuple(self.settings)

    def roots(self, path: str) -> Sequence[int]:
        """Handles of the root resources of a type, in the order of the files."""
        known = self.known.get(path)
        return range(known.first, known.last) if known is not None else ()

    def count(self, path: str) -> int:
        """How many resources of a type the files hold."""
        return self.counts[path]

    def at(self, handle: int) -> Desired:
        """The root resource of a handle, built afresh."""
        return self._family(handle)[0]

    def children(self, handle: int) -> Sequence[Desired]:
        """What hangs on it, in the order of the types and then of the files."""
        return self._family(handle)[1:]

    def resources(self) -> Iterator[Desired]:
        """Every resource of the files, each root followed by what hangs on it."""
        for known in self.known.values():
            for handle in range(known.first, known.last):
                yield from self._family(handle)

    def find(self, path: str, id: str | None, name: str | None, aliases: Sequence[str] = ()) -> int | None:
        """The handle of the root that names this unit by its id or an alias, else by its name (when it has none)."""
        known = self.known.get(path)
        if known is None:
            return None
        found = next((hit for text in (id, *aliases) if text is not None and (hit := known.ids.find(text))), [])
        if not found and name is not None:
            found = known.names.find(name)
        return found[0] if found else None

    def get(self, address: Address) -> Desired | None:
        """A resource, or None when the files do not have it."""
        handle = self.handle(address.root)
        if handle is None:
            return None
        return next((one for one in self._family(handle) if one.address == address), None)

    def handle(self, address: Address) -> int | None:
        """The handle of a root address, or None."""
        keys = address.keys
        known = self.known.get(address.type_path)
        if known is None or len(keys) != 1:
            return None
        for handle in known.keys.find(keys[0]):
            if self._built(handle)[2].key == keys[0]:
                return handle
        return None

    def explain(self, address: Address) -> Mapping[str, Sequence[Origin]]:
        """By attribute, every layer that says something about it, the winning one last."""
        handle = self.handle(address.root)
        if handle is None:
            return {}
        source, row, _ = self._built(handle)
        return explain.layers(self.world, source, row, address)

    def _built(self, handle: int) -> tuple[Source, int, Built]:
        for known in self.known.values():
            if known.first <= handle < known.last:
                source, row = locate(known, handle)
                built = source.build(row)
                if built is not None:
                    return source, row, built
        raise KeyError(handle)

    def _family(self, handle: int) -> list[Desired]:
        if self._last is not None and self._last[0] == handle:
            return self._last[1]
        source, row, built = self._built(handle)
        family = [desired(self.world, source, row, built, one) for one in members(self.world, source.family, built)]
        self._last = (handle, family)
        return family
