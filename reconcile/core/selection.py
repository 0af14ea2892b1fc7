"""
The language of selection (docs/document.md, "Selecting"): an address, which covers what lies beneath it, the name of a
block, and `*` for any part of one segment. Pure.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from reconcile.core.address import Address, quote
from reconcile.core.options import Options
from reconcile.core.text import meant
from reconcile.errors import InvalidInput, Problem

HINT = (
    "A selection is an address, as in microvisor.devices.warehouse-7, which covers what lies beneath it, or the name of"
    " a block; * stands for any part of one segment; @FILE has one a line"
)
_SEGMENT = re.compile(r'\.?(?:([A-Za-z0-9_*-]+)|\[("(?:[^"\\]|\\.)*")\])')
_MOST_NEAR = 5_000  # addresses among which one that was meant is looked for

Segments = tuple[str, ...]


def segments_of(text: str) -> Segments:
    """The segments of a selection as a user types it. Raises InvalidInput when it is none."""
    found, at = [], 0
    while at < len(text):
        match = _SEGMENT.match(text, at) if at or text[0] != "." else None
        if match is None:
            break
        try:
            found.append(match[1] if match[1] is not None else str(json.loads(match[2])))
        except ValueError:
            break
        at = match.end()
    if not found or at < len(text):
        raise InvalidInput(Problem(f"{text!r} selects nothing: it is no address", hint=HINT))
    return tuple(found)


class Selectors:
    """
    Several selections, each known by its text.

    Raises:
        InvalidInput: one of them is none.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = tuple(texts)
        self._exact: dict[str, str] = {}
        self._roots: set[str] = set()
        self._patterns: list[tuple[str, list[re.Pattern[str]]]] = []
        for text in self.texts:
            segments = segments_of(text)
            if any("*" in segment for segment in segments):
                self._patterns.append((text, [_pattern(segment) for segment in segments]))
            else:
                self._exact[_spelled(segments)] = text
                self._roots.add(_spelled(segments[:3]))

    def __bool__(self) -> bool:
        return bool(self.texts)

    def naming(self, address: Address, block: str | None = None) -> Iterator[str]:
        """The texts of those that cover a resource: by its address, what it hangs on, or its block."""
        if self._exact:
            for name in _names(address, block):
                if (text := self._exact.get(name)) is not None:
                    yield text
        if self._patterns:
            segments = _segments(address)
            blocks = [] if block is None else [(block,), (*segments[:2], block)]
            for text, pattern in self._patterns:
                if _begins(segments, pattern) or any(
                    len(pattern) == len(named) and _begins(named, pattern) for named in blocks
                ):
                    yield text

    def covers(self, address: Address, block: str | None = None) -> bool:
        """Whether one of them covers a resource."""
        return bool(self.texts) and next(self.naming(address, block), None) is not None

    def touches(self, root: Address, block: str | None = None) -> bool:
        """Whether one of them covers a root, or may cover what hangs on it."""
        if root in self._roots or self.covers(root, block):
            return True
        segments = _segments(root) if self._patterns else ()
        return any(_begins(segments, pattern[:3]) for _, pattern in self._patterns if len(pattern) > 3)


class Selection:
    """What the options of a plan select: `--target`, less `--exclude`; and whose secrets are written again."""

    def __init__(self, options: Options) -> None:
        self._targets, self._excludes = Selectors(options.targets), Selectors(options.excludes)
        self._rewrite = Selectors(options.rewrite)

    def selects(self, address: Address, block: str | None = None) -> bool:
        """Whether it is left in. Children go with their parent, rows with their block."""
        if self._targets and not self._targets.covers(address, block):
            return False
        return not self._excludes.covers(address, block)

    def touches(self, root: Address, block: str | None = None) -> bool:
        """Whether anything of a root's family may be left in, so that the family must be read."""
        return self._targets.touches(root, block) or self.selects(root, block)

    def excludes(self, address: Address) -> bool:
        """Whether it is left out on purpose."""
        return self._excludes.covers(address)

    def rewrites(self, address: Address, block: str | None = None) -> bool:
        """Whether its secrets are to be written again."""
        return self._rewrite.covers(address, block)


@dataclass(slots=True)
class Survey:
    """
    What the options name, asked of every resource of the files and the state before the first request.

    Attributes:
        providers: those of which something is selected.
    """

    options: Options
    providers: set[str] = field(default_factory=set)
    _known: list[str] = field(default_factory=list)
    _open: dict[str, set[str]] = field(init=False)
    _asked: dict[str, Selectors] = field(init=False)
    _selection: Selection = field(init=False)

    def __post_init__(self) -> None:
        options = self.options
        given = {"--target": options.targets, "--exclude": options.excludes, "--rewrite": options.rewrite}
        self._asked = {flag: Selectors(texts) for flag, texts in given.items() if texts}
        self._open = {flag: set(selectors.texts) for flag, selectors in self._asked.items()}
        self._selection = Selection(options)

    @property
    def narrows(self) -> bool:
        """Whether anything is to be asked."""
        return bool(self._asked)

    def meets(self, address: Address, block: str | None, *, secret: bool) -> None:
        """One resource; `secret`: whether it has one, which is what can be written again."""
        for flag, left in self._open.items():
            if left and (secret or flag != "--rewrite"):
                left.difference_update(self._asked[flag].naming(address, block))
        if address.provider not in self.providers and self._selection.selects(address, block):
            self.providers.add(address.provider)
        if len(self._known) < _MOST_NEAR:
            self._known += [address] if block is None or block in self._known[-2:] else [address, block]

    def check(self) -> None:
        """Raises InvalidInput for every selection that names nothing."""
        problems = []
        for flag, left in self._open.items():
            for text in self._asked[flag].texts:
                if text in left:
                    what = "a secret" if flag == "--rewrite" else "anything"
                    said = f"{flag} {text} does not name {what} in the files or the state"
                    problems.append(Problem(said, hint=_near(text, self._known) or HINT))
        if not problems and not self.providers and (self.options.targets or self.options.excludes):
            problems.append(Problem("the selection leaves nothing", hint="Name more with --target, or exclude less"))
        if problems:
            raise InvalidInput(*problems)


def names_nothing(text: str, where: str, known: Sequence[str]) -> InvalidInput:
    """That a selection names nothing of `where`, with what may have been meant."""
    return InvalidInput(Problem(f"{text} names nothing in {where}", hint=_near(text, known[:_MOST_NEAR]) or HINT))


def _near(text: str, known: Sequence[str]) -> str | None:
    close = difflib.get_close_matches(text, known, n=1, cutoff=0.8) if len(text) < 200 else []
    return meant(text, close[0]) if close else None


def _names(address: Address, block: str | None) -> Iterator[str]:
    """All that a resource is covered by: each beginning of its address, and its block by itself and as an address."""
    if "[" not in address:
        at = address.find(".")
        while at >= 0:
            yield address[:at]
            at = address.find(".", at + 1)
        yield address
    else:
        segments = _segments(address)
        for end in range(1, len(segments) + 1):
            yield _spelled(segments[:end])
    if block is not None:
        yield _spelled((block,))
        yield _spelled((*_segments(address)[:2], block))


def _segments(address: Address) -> Segments:
    keys, sections = address.keys, address.type_path.split(".")
    found = [sections[0]]
    for section, key in zip(sections[1:], keys, strict=True):
        found += [section, key]
    return tuple(found)


def _spelled(segments: Segments) -> str:
    """Segments in the one spelling of an address."""
    return "".join(quote(segment) for segment in segments).removeprefix(".")


def _pattern(segment: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, segment.split("*"))), re.DOTALL)


def _begins(segments: Segments, pattern: Sequence[re.Pattern[str]]) -> bool:
    return len(segments) >= len(pattern) and all(
        part.fullmatch(segment) for part, segment in zip(pattern, segments, strict=False)
    )
