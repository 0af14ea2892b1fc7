"""The document that `destroy` plans against: the same fleet, without a resource."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconcile.core.address import Address
from reconcile.core.ports import Document, Origin
from reconcile.core.resource import Desired


class EmptyDocument:
    """A document with the settings, limits and digest of another one, and no resources."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def __getattr__(self, name: str) -> Any:
        return getattr(self._document, name)

    def roots(self, path: str) -> tuple[int, ...]:
        return ()

    def resources(self) -> Iterator[Desired]:
        return iter(())

    def count(self, path: str) -> int:
        return 0

    def find(self, path: str, id: str | None, name: str | None, aliases: Sequence[str] = ()) -> int | None:
        return None

    def get(self, address: Address) -> Desired | None:
        return None

    def handle(self, address: Address) -> int | None:
        return None

    def explain(self, address: Address) -> Mapping[str, tuple[Origin, ...]]:
        return {}
