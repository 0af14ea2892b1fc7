"""
Faults: what goes wrong between a client and a vendor's API, on demand (docs/architecture.md, "Control").

`PUT /_sim/faults` takes a list of `{match: {method, path}, times, probability, seed, effect}`. For each
request the first fault counts whose match holds, whose `times` are not used up, and whose die (`probability`)
falls, whether its effect can do anything to that request or not. An effect is one of

- `{status, headers, body}`: the answer, without the work;
- `{drop: "before" | "after"}`: the connection closes without a byte, before or after the work;
- `{delay_s}`: real seconds, and then the body is read and the work done, or what stands beside it. Of a client that
  has gone meanwhile nothing with a body is done;
- `{late: true, delay_s}`: the work is done that long after the request arrived in full, whether the client waits or
  not. A status or a `drop: "before"` beside it comes at once, and the work follows;

or any of those that spoil what is answered, with or without a delay:

- `{stale_s}`: a reading answers as the world was that many simulated seconds ago; before its first moment, as it was
  first. Writes are not affected;
- `{omit: ID}`: a listing lacks that entry, pages and counts as if there were none. A reading by id still finds it;
- `{other: ID}`: the answer is that of a reading of ID, for a write after the work, if it answers with a body at all;
- `{endless: true}`: a listing names another page after every page, under a new token, with the same members;
  `{endless: "empty"}`: each page is empty, and the next begins where it would have begun.
"""

import fnmatch
import json
import random
import re
from collections.abc import Sequence
from typing import Any

from reconcile.simulator import shape
from reconcile.simulator.exchange import AGAIN, EMPTY, JSON, Reply
from reconcile.simulator.shape import Path, ShapeError

_MAX_DELAY_S = 3600
# As far as the clock of a simulator can be moved at once.
_MAX_STALE_S = 10_000 * 86400
# An answer that is not given cannot be spoiled.
_SPOILS = ("stale_s", "omit", "other", "endless")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_METHOD = re.compile(r"\*|[A-Za-z]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
# The server frames its answers itself; a fault that contradicts it would not be a fault of the API.
_FRAMING = ("content-length", "transfer-encoding", "connection")


class Fault:
    """One fault, with what is left of it."""

    def __init__(self, document: dict[str, Any], seed: int, path: Path) -> None:
        match = shape.mapping(document.get("match", {}), (*path, "match"), ("method", "path"))
        self.method = shape.matching(match.get("method", "*"), (*path, "match", "method"), _METHOD).upper()
        self.glob = shape.text(match.get("path", "*"), (*path, "match", "path"))
        self._matches = re.compile(fnmatch.translate(self.glob))
        times = document.get("times")
        self.left = None if times is None else shape.integer(times, (*path, "times"), 0, 2**53)
        self.probability = shape.number(document.get("probability", 1), (*path, "probability"), 0, 1)
        self.seed = shape.integer(document.get("seed", seed), (*path, "seed"), -(2**63), 2**64)
        self._die = random.Random(self.seed)
        if "effect" not in document:
            raise ShapeError((*path, "effect"), "is missing")
        self.effect = _effect(document["effect"], (*path, "effect"))
        self.delay_s: float = self.effect.get("delay_s", 0)
        self.drop: str | None = self.effect.get("drop")
        self.status: int | None = self.effect.get("status")
        self.late: bool = self.effect.get("late", False)
        self.stale_s: float | None = self.effect.get("stale_s")
        self.omit: str = self.effect.get("omit", "")
        self.other: str = self.effect.get("other", "")
        self.endless = {None: "", True: AGAIN}.get(self.effect.get("endless"), EMPTY)

    def strikes(self, method: str, path: str) -> bool:
        """Whether this request meets the fault; uses up one of its times when it does."""
        if self.left == 0 or self.method not in ("*", method) or not self._matches.match(path):
            return False
        if self.probability < 1 and self._die.random() >= self.probability:
            return False
        if self.left is not None:
            self.left -= 1
        return True

    def dump(self) -> dict[str, Any]:
        """The fault as it was put, with the times that are left."""
        written: dict[str, Any] = {"match": {"method": self.method, "path": self.glob}}
        if self.left is not None:
            written["times"] = self.left
        return {**written, "probability": self.probability, "seed": self.seed, "effect": self.effect}


def parse(value: Any, seed: int) -> list[Fault]:
    """
    The faults of a `PUT /_sim/faults`.

    Args:
        seed: for the dice of faults that name none.

    Raises:
        ShapeError: the first value that has the wrong shape.
    """
    known = ("match", "times", "probability", "seed", "effect")
    return [
        Fault(shape.mapping(document, (n,), known), seed, (n,)) for n, document in enumerate(shape.array(value, ()))
    ]


def strike(faults: Sequence[Fault], method: str, path: str) -> Fault | None:
    """The fault that this request meets."""
    return next((fault for fault in faults if fault.strikes(method, path)), None)


def _effect(value: Any, path: Path) -> dict[str, Any]:
    effect = shape.mapping(value, path, ("status", "headers", "body", "delay_s", "drop", "late", *_SPOILS))
    if not effect.keys() & {"status", "delay_s", "drop", "late", *_SPOILS}:
        raise ShapeError(path, f"needs a status, a delay_s, a drop, or one of {', '.join(_SPOILS)}")
    _check_what_happens(effect, path)
    for key in _SPOILS:
        if key in effect and effect.keys() & {"status", "drop"}:
            raise ShapeError((*path, key), "spoils an answer, and beside a status or a drop there is none")
    _check_what_is_answered(effect, path)
    return effect


def _check_what_happens(effect: dict[str, Any], path: Path) -> None:
    if "delay_s" in effect:
        shape.number(effect["delay_s"], (*path, "delay_s"), 0, _MAX_DELAY_S)
    if "drop" in effect:
        shape.choice(effect["drop"], (*path, "drop"), ("before", "after"))
        if "status" in effect:
            raise ShapeError((*path, "status"), "cannot be answered when the answer is dropped")
    if "status" in effect:
        shape.integer(effect["status"], (*path, "status"), 200, 599)
    if "late" in effect:
        _true(effect["late"], (*path, "late"))
        if "delay_s" not in effect:
            raise ShapeError((*path, "late"), "needs a delay_s beside it")
    if "stale_s" in effect:
        shape.number(effect["stale_s"], (*path, "stale_s"), 0, _MAX_STALE_S)
    for key in ("omit", "other"):
        if key in effect and not shape.text(effect[key], (*path, key)):
            raise ShapeError((*path, key), "must not be empty")
    if "endless" in effect and effect["endless"] != EMPTY:
        _true(effect["endless"], (*path, "endless"), f' or "{EMPTY}"')


def _check_what_is_answered(effect: dict[str, Any], path: Path) -> None:
    for key in ("headers", "body"):
        if key in effect and "status" not in effect:
            raise ShapeError((*path, key), "needs a status beside it")
    for name, header in shape.mapping(effect.get("headers", {}), (*path, "headers")).items():
        at = (*path, "headers", name)
        if not _TOKEN.fullmatch(name) or name.lower() in _FRAMING:
            raise ShapeError(at, "is not the name of a header that can be set")
        if isinstance(header, bool) or not isinstance(header, str | int | float):
            raise ShapeError(at, f"must be a string or a number, is {shape.kind(header)}")
        if not _HEADER_VALUE.fullmatch(str(header)):
            raise ShapeError(at, "is not the value of a header")
    if isinstance(effect.get("body"), str):
        shape.text(effect["body"], (*path, "body"))


def _true(value: Any, path: Path, else_: str = "") -> None:
    if value is not True:
        raise ShapeError(path, f"must be true{else_}, or left out")


def answer(fault: Fault, error: Reply) -> Reply:
    """
    The answer of a fault with a status: text as it is, anything else as JSON.

    Args:
        error: the vendor's own error for this status, used when the fault has no body.
    """
    headers = {name: str(value) for name, value in fault.effect.get("headers", {}).items()}
    content_type = next((value for name, value in headers.items() if name.lower() == "content-type"), None)
    headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
    assert fault.status is not None
    if "body" not in fault.effect:
        return Reply(fault.status, error.body, content_type or error.content_type, {**error.headers, **headers})
    body = fault.effect["body"]
    if isinstance(body, str):
        return Reply(fault.status, body.encode(), content_type or "text/plain; charset=utf-8", headers)
    return Reply(fault.status, json.dumps(body).encode(), content_type or JSON, headers)
