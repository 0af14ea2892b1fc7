"""
Maps that are listed in the order of their keys, by page, while keys come and go.

A page starts after a key, which need not be there any more: that is what keeps page tokens valid.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Generic, TypeVar

V = TypeVar("V")


class Ordered(Generic[V]):
    """A dict and the sorted list of its keys, which is made when it is first needed and then kept."""

    __slots__ = ("_keys", "by_key")

    def __init__(self) -> None:
        self.by_key: dict[str, V] = {}
        self._keys: list[str] | None = None

    def order(self) -> list[str]:
        """All keys in order; not to be changed."""
        if self._keys is None:
            self._keys = sorted(self.by_key)
        return self._keys

    def add(self, key: str, value: V) -> None:
        if self._keys is not None and key not in self.by_key:
            insort(self._keys, key)
        self.by_key[key] = value

    def extend(self, values: Iterable[tuple[str, V]]) -> None:
        """Adds many at once, sorted once."""
        self.by_key.update(values)
        self._keys = None

    def remove(self, key: str) -> None:
        del self.by_key[key]
        if self._keys is not None:
            del self._keys[bisect_left(self._keys, key)]
