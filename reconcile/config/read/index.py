"""Text → handle in twelve bytes each: hashes and handles in two arrays, sorted once and searched by halving."""

from __future__ import annotations

from array import array
from bisect import bisect_left


class HashIndex:
    """
    Handles by a text. Only the 64-bit hash of the text is kept: two texts of one hash are told apart by whoever asks,
    or, at one in 10^7 for a million texts looked up against a million, not at all.
    """

    __slots__ = ("_handles", "_hashes")

    def __init__(self) -> None:
        self._hashes, self._handles = array("q"), array("I")

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, text: str, handle: int) -> None:
        """Before `sort`."""
        self._hashes.append(hash(text))
        self._handles.append(handle)

    def sort(self) -> None:
        """After the last `add`, before the first `find`."""
        order = sorted(range(len(self._hashes)), key=self._hashes.__getitem__)
        self._hashes = array("q", [self._hashes[at] for at in order])
        self._handles = array("I", [self._handles[at] for at in order])

    def find(self, text: str) -> list[int]:
        """The handles under a text, in the order in which they were added."""
        wanted, found = hash(text), []
        at = bisect_left(self._hashes, wanted)
        while at < len(self._hashes) and self._hashes[at] == wanted:
            found.append(self._handles[at])
            at += 1
        return found

    def twins(self) -> list[tuple[int, int]]:
        """`(first, other)` for every other handle under one hash, in the order of the others."""
        found, first = [], 0
        for at in range(1, len(self._hashes)):
            if self._hashes[at] == self._hashes[first]:
                found.append((self._handles[first], self._handles[at]))
            else:
                first = at
        return sorted(found, key=lambda pair: pair[1])
