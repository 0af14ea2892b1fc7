"""
The request log: one line per request to a vendor path, in the order of arrival, without bodies.

`status` is that of the answer, and null while there is none: the request is still being worked on, or its
answer was dropped by a fault (before or after the work; the world tells which). `path` is as it came, with
its query.
"""

from typing import Any


class RequestLog:
    def __init__(self) -> None:
        self._methods: list[str] = []
        self._paths: list[str] = []
        self._statuses: list[int | None] = []

    def arrived(self, method: str, path: str) -> int:
        """Takes a request down; answers its place for `answered`."""
        self._methods.append(method)
        self._paths.append(path)
        self._statuses.append(None)
        return len(self._statuses) - 1

    def answered(self, place: int, status: int) -> None:
        self._statuses[place] = status

    def since(self, n: int) -> list[dict[str, Any]]:
        """The requests after the n-th; the first is 1."""
        return [
            {
                "n": place + 1,
                "method": self._methods[place],
                "path": self._paths[place],
                "status": self._statuses[place],
            }
            for place in range(n, len(self._statuses))
        ]
