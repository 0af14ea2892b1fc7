"""
What is wrong, collected: all problems of a load reach the user in one pass, the same mistake in many rows once.

A `Flaw` is something wrong with a value, raised by whoever looks at it; whoever knows the place adds it to the
`Report`. Neither ever holds the value of a secret.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from reconcile.core.text import meant
from reconcile.errors import Flaw, Hint, InvalidInput, Position, Problem

MOST = 300  # problems shown; the rest is counted
ALIKE = 10  # mistakes of one kind in hand-written entries that are shown one by one
EXAMPLES = 3  # rows named beside the first

# Lines that may hold a secret's literal before the schema could tell: they are never shown.
_SECRETIVE = re.compile(r"(?i)secr|passw|token|psk|key|credential|auth|providers|env:|file:")

_USERINFO = re.compile(r"://[^/\s]*@")  # the credentials of a URL that somebody pasted

# Pairs of letters: what difflib looks at for one suggestion, at worst in some 50 ms.
_MOST_COMPARED = 400_000
_MOST_SUGGESTED = 50  # problems of one load for which something is looked for

_NO_CHARACTER = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Showing:
    """
    How a mistake is told.

    Attributes:
        line: whether the line at its place may be shown.
        row: the row that it was met in; the same `group` in other rows is counted, not repeated.
        group: what makes two mistakes one; the sentence at its place unless it is given.
        alike: mistakes of one kind in different entries; the first ten are shown, the rest is counted.
    """

    line: bool = True
    row: str | None = None
    group: Hashable = None
    alike: Hashable = None


PLAIN = Showing()


def did_you_mean(word: str, known: Iterable[Any], cutoff: float = 0.6) -> str | None:
    """`Did you mean "sites"?`, or None when nothing known is like `word`."""
    if len(word) > 200:
        return None
    words = [name for name in known if isinstance(name, str)]
    by_letters = {letters(name): name for name in words}
    if found := by_letters.get(letters(word)):
        return meant(word, found)
    if len(words) > 2000 or len(word) * sum(map(len, words)) > _MOST_COMPARED:
        return None
    close = difflib.get_close_matches(word, words, n=1, cutoff=cutoff)
    close = close or [part for part in re.split(r"[^A-Za-z0-9]+", word) if part in words]  # `targt_app`: app
    return meant(word, close[0]) if close else None


def suggestion(word: str, known: Iterable[Any], otherwise: str | None = None) -> Hint:
    """`did_you_mean`, looked for when it is shown."""
    return lambda: did_you_mean(word, known) or otherwise


def letters(word: str) -> str:
    """What two spellings of one word have in common: `osl1` of `OSL-1`."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", word).casefold()))


def listed(words: Collection[Any], most: int = 12, show: Callable[[Any], str] = str) -> str:
    """`a, b, c and 4 more`; no more of them are looked at than are shown."""
    shown = [show(word) for word in islice(words, most)]
    more = len(words) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def no_such_characters(text: str) -> None:
    """Raises Flaw when a text holds U+0000 or half of a pair, which no API takes and no file may hold."""
    if found := _NO_CHARACTER.search(text):
        raise Flaw(f"a string may not hold the character U+{ord(found[0]):04X}", kind="character")


@dataclass(slots=True)
class _Group:
    problem: Problem
    show_line: bool
    count: int = 1
    also: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Warning:
    text: str
    row: str | None
    count: int = 1

    def __str__(self) -> str:
        more = self.count - 1
        if self.row is None:
            return self.text + (f" (and {more:,} more like it)" if more else "")
        return f"{self.text} (from {self.row}" + (f", and {more:,} more rows)" if more else ")")


class Report:
    """
    The problems and warnings of one load.

    Args:
        line_of: the text of a line by the file's shown name and 1-based number; None when it is not known.
    """

    def __init__(self, line_of: Callable[[str, int], str | None] = lambda file, line: None) -> None:
        self.line_of = line_of
        self._groups: dict[Hashable, _Group] = {}
        self._alike: dict[Hashable, int] = {}
        self._last_alike: dict[Hashable, _Group] = {}
        self._hidden: set[tuple[str, int]] = set()
        self._warnings: dict[Hashable, _Warning] = {}
        self._last_warning: dict[Hashable, _Warning] = {}
        self._more_warnings = 0
        self._suggested = 0
        self._over = 0

    @property
    def empty(self) -> bool:
        """Whether nothing is wrong so far."""
        return not self._groups and not self._over

    @property
    def warnings(self) -> tuple[str, ...]:
        """The sentences of `warn`, each once."""
        more = (f"and {self._more_warnings:,} more warnings",) if self._more_warnings else ()
        return (*map(str, self._warnings.values()), *more)

    def hide(self, where: Position) -> None:
        """No problem shows this line: a secret's field stands on it."""
        self._hidden.add((where.file, where.line))

    def warn(
        self,
        sentence: str,
        where: Position | None = None,
        *,
        row: str | None = None,
        group: Hashable = None,
        alike: Hashable = None,
    ) -> None:
        """Something to look at that stops nothing. `row`, `group` and `alike` are those of `add`."""
        text = _without_userinfo(f"{where}: {sentence}" if where else sentence)
        key = text if group is None else group
        if found := self._warnings.get(key):
            if row is not None:
                found.count += 1
            return
        if alike is not None:
            self._alike["warning", alike] = self._alike.get(("warning", alike), 0) + 1
            last = self._last_warning.get(alike)
            if last is not None and self._alike["warning", alike] > ALIKE:
                last.count += 1
                return
        if len(self._warnings) >= MOST:
            self._more_warnings += 1
            return
        self._warnings[key] = made = _Warning(text, row)
        if alike is not None:
            self._last_warning[alike] = made

    def add(
        self,
        what: str,
        where: Position | None = None,
        *,
        address: str | None = None,
        notes: Iterable[str] = (),
        hint: Hint = None,
        shown: Showing = PLAIN,
    ) -> None:
        """One mistake."""
        row, group, alike = shown.row, shown.group, shown.alike
        what = _without_userinfo(what)
        key = (what, where, address) if group is None else group
        if found := self._groups.get(key):
            if row is not None:
                found.count += 1
                if len(found.also) < EXAMPLES:
                    found.also.append(row)
            return
        if alike is not None:
            self._alike[alike] = self._alike.get(alike, 0) + 1
            last = self._last_alike.get(alike)
            if last is not None and self._alike[alike] > ALIKE:
                last.count += 1
                return
        if len(self._groups) >= MOST:
            self._over += 1
            return
        said = (*notes, f"from {row}") if row is not None else tuple(notes)
        way = self._looked_for(hint) if callable(hint) else hint
        made = _Group(Problem(what, where, address, notes=said, hint=way), shown.line)
        self._groups[key] = made
        if alike is not None:
            self._last_alike[alike] = made

    def _looked_for(self, hint: Callable[[], str | None]) -> str | None:
        self._suggested += 1
        return hint() if self._suggested <= _MOST_SUGGESTED else None

    def flaw(
        self,
        flaw: Flaw,
        where: Position | None,
        *,
        address: str | None = None,
        show_line: bool = True,
        row: str | None = None,
        alike: Hashable = None,
    ) -> None:
        """A flaw, at its place."""
        if flaw.silent:
            return
        self.add(
            flaw.what,
            where,
            address=address,
            notes=flaw.notes,
            hint=flaw.written_hint,
            shown=Showing(line=show_line, row=row, group=(flaw.kind, where) if row is not None else None, alike=alike),
        )

    def raise_if_any(self) -> None:
        """Raises InvalidInput with everything that was added, if anything was."""
        if self.empty:
            return
        problems = [self._problem(group) for group in self._groups.values()]
        if self._over:
            problems.append(Problem(f"and {self._over:,} more problems"))
        raise InvalidInput(*problems)

    def _problem(self, group: _Group) -> Problem:
        problem, notes = group.problem, list(group.problem.notes)
        if group.count > 1:
            if group.also:
                rest = group.count - 1 - len(group.also)
                notes.append("also " + "; ".join(group.also) + (f"; and {rest:,} rows more" if rest > 0 else ""))
            else:
                notes.append(f"and {group.count - 1:,} more like it")
        snippet = self._snippet(problem.where) if group.show_line and problem.where else None
        return replace(problem, notes=tuple(notes), snippet=snippet)

    def _snippet(self, where: Position) -> str | None:
        if not where.line or (where.file, where.line) in self._hidden:
            return None
        line = self.line_of(where.file, where.line)
        if line is None or where.column > 200:
            return None
        if len(line) > 200:
            line = line[:200] + "…"
        # The lines around it, outwards by indentation, tell whether a secret may stand here.
        if _may_hold_secret(self.line_of, where.file, where.line, line):
            return None
        return line


def _may_hold_secret(line_of: Callable[[str, int], str | None], file: str, number: int, line: str) -> bool:
    text = line.strip()
    if _literal_beside_secretive(text):
        return True
    indent = len(line) - len(line.lstrip(" "))
    for above in range(number - 1, max(0, number - 400), -1):
        other = line_of(file, above)
        if other is None or not other.strip():
            continue
        other = other[:1000]  # one line may be the whole of a file
        depth = len(other) - len(other.lstrip(" "))
        if depth < indent:
            if _SECRETIVE.search(other.partition(":")[0]):
                return True
            indent = depth
        if indent == 0:
            break
    return False


def _without_userinfo(text: str) -> str:
    return _USERINFO.sub("://…@", text) if "://" in text else text


def _literal_beside_secretive(text: str) -> bool:
    if _USERINFO.search(text):
        return True
    found = re.search(r"(?i)(secr|passw|token|psk|api_?key|credential|auth)\w*[\"']?\s*:\s*(\S.*)?", text)
    if not found:
        return False
    value = (found[2] or "").strip("\"' ")
    return bool(value) and not re.fullmatch(r"(env|file):[^\s,}]*[,}\s]*", value)
