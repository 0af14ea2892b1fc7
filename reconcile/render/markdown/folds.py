"""Parts of a report that can be opened, and as many of them as there is room for: what is left out is counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconcile.render.markdown.marks import fence

ROOM_FOR_COUNTS = 1_000  # bytes of the lines that say what was left out


@dataclass(frozen=True, slots=True)
class Fold:
    """
    Attributes:
        section: the heading that it stands under.
        title: HTML of one line. lines: what is in it, as plain text.
        below: Markdown after them.
        counts: how many resources it tells of.
        open: whether it is shown opened.
    """

    section: str
    title: str
    lines: Sequence[str]
    below: Sequence[str] = ()
    counts: int = 1
    open: bool = False

    def whole(self) -> str:
        """All of it."""
        if not self.lines:
            return self.short()
        said = "<details open>" if self.open else "<details>"
        inside = "\n".join([*fence(self.lines), *(f"\n{line}" for line in self.below)])
        return f"{said}<summary>{self.title}</summary>\n\n{inside}\n\n</details>\n"

    def short(self) -> str:
        """One line in its place."""
        return f"- {self.title}\n"


def fitted(folds: Sequence[Fold], room: int) -> Iterator[str]:
    """
    The folds under their headings, in `room` bytes: whole as long as there is room, then as one line, then counted.

    None is cut. Lines take less than half of the room, so that the first ones are whole whatever comes after them.
    """
    room -= ROOM_FOR_COUNTS
    shown: dict[int, str] = {}
    wholes = [fold.whole() for fold in folds]
    all_of_it = sum(_size(_heading(fold.section)) + _size(whole) for fold, whole in zip(folds, wholes, strict=True))
    lines = room * 2 // 5 if all_of_it > room else room
    for at, fold in enumerate(folds):
        piece = fold.short()
        new = 0 if at and folds[at - 1].section == fold.section else _size(_heading(fold.section))
        if _size(piece) + new > lines:
            break
        lines -= _size(piece) + new
        room -= _size(piece) + new
        shown[at] = piece
    for at in shown:
        more = _size(wholes[at]) - _size(shown[at])
        if more <= room:
            room -= more
            shown[at] = wholes[at]
    section = None
    for at, piece in shown.items():
        if folds[at].section != section:
            section = folds[at].section
            yield _heading(section)
        yield piece
    shortened = sum(piece != wholes[at] for at, piece in shown.items())
    if shortened:
        yield f"\n_{shortened:,} of {len(folds):,} parts are shown as one line: there is no room for more here._\n"
    yield from _left_out(folds[len(shown) :])


def _left_out(folds: Sequence[Fold]) -> Iterator[str]:
    if not folds:
        return
    counts: dict[str, int] = {}
    for fold in folds:
        counts[fold.section] = counts.get(fold.section, 0) + fold.counts
    said = ", ".join(f"{count:,} under “{section}”" for section, count in counts.items())
    yield f"\n**Not shown here for want of room: {said}.**\n"


def _heading(section: str) -> str:
    return f"\n#### {section}\n\n"


def _size(text: str) -> int:
    return len(text.encode())
