"""Progress on standard error: bars on a terminal, sparse lines in a log. Nothing is decided here, nothing waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TextIO

from reconcile.core.events import (
    ApplyStarted,
    ChangeDone,
    ChangeStarted,
    Event,
    Noted,
    ReadingAdvanced,
    ReadingDone,
    ReadingStarted,
)
from reconcile.render.paint import RED, YELLOW, Paint
from reconcile.render.values import outside
from reconcile.render.words import many, plural, took

EACH = 20  # up to so many changes, every one has its lines
BEAT_S = 10.0  # "still …", as Terraform does
PACE_S = 5.0  # a line of an apply of many at least so often, later ever less: a tenth of the time that it has run
_FAILURES = 20  # failures that are told while it runs; the summary has them all
_FRAME_S = 0.1  # of the bars


class Progress:
    """
    An event sink. Call `close` when the command is done, and `tick` now and then so that a quiet run shows life.

    Args:
        stream: standard error.
        terminal: whether it is a terminal that can move its cursor.
        clock: monotonic seconds.
    """

    def __init__(self, stream: TextIO, terminal: bool, clock: Callable[[], float], color: bool = False) -> None:
        self._show: _Lines | _Bars = _Bars(stream, clock, color) if terminal else _Lines(stream, clock, Paint(color))

    def __call__(self, event: Event) -> None:
        """Shows an event, or remembers it."""
        self._show.on(event)

    def tick(self) -> None:
        """Says that something is still running, if that has not been said lately."""
        self._show.tick()

    def close(self) -> None:
        """Removes the bars."""
        self._show.close()


class _Lines:
    def __init__(self, stream: TextIO, clock: Callable[[], float], paint: Paint) -> None:
        self._stream, self._clock, self._paint = stream, clock, paint
        self._reading: dict[str, tuple[str, float, int, int | None]] = {}
        self._open: dict[str, tuple[str, float]] = {}
        self._said: dict[str, float] = {}
        self._total = self._done = self._failed = self._tenth = 0
        self._begun = self._last = clock()

    def on(self, event: Event) -> None:
        match event:
            case ReadingStarted():
                self._reading[event.type_path] = (event.noun, self._clock(), 0, event.expected)
            case ReadingAdvanced():
                if event.type_path in self._reading:
                    noun, since, _, expected = self._reading[event.type_path]
                    self._reading[event.type_path] = (noun, since, event.done, expected)
            case ReadingDone():
                noun, since, _, _ = self._reading.pop(event.type_path, ("resource", self._clock(), 0, None))
                self._said.pop(event.type_path, None)
                tail = "" if event.complete else ", not all of them"
                self._line(f"Read {many(event.done, outside(noun))} in {took(self._clock() - since)}{tail}")
            case ApplyStarted():
                self._total, self._done, self._failed, self._tenth = event.resources, 0, 0, 0
                self._begun = self._last = self._clock()
            case ChangeStarted():
                self._open[event.address] = (event.verb, self._clock())
                if self._total <= EACH:
                    self._line(f"{outside(event.address)}: {outside(event.verb)}…")
            case ChangeDone():
                self._ended(event)
            case Noted():
                self._line(outside(event.text))
        self.tick()

    def _ended(self, event: ChangeDone) -> None:
        self._open.pop(event.address, None)
        self._said.pop(event.address, None)
        self._done += 1
        if event.outcome == "done":
            if self._total <= EACH:
                self._line(f"{outside(event.address)}: {noun_of(event.verb)} complete after {took(event.seconds)}")
        else:
            self._failed += 1
            if self._failed <= _FAILURES:
                detail = f": {outside(event.detail)}" if event.detail else ""
                said = f"{outside(event.address)}: {noun_of(event.verb)} {outside(event.outcome)}{detail}"
                self._line(self._paint(said, RED))
        if self._total > EACH:
            self._advance()

    def _advance(self) -> None:
        now = self._clock()
        tenth = self._done * 10 // self._total
        if tenth > self._tenth or now - self._last >= max(PACE_S, (now - self._begun) / 10):
            self._tenth, self._last = tenth, now
            failed = f", {self._failed:,} not" if self._failed else ""
            percent = self._done * 100 // self._total
            at = f"{self._done - self._failed:,} of {self._total:,} done ({percent}%){failed}"
            self._line(f"{at} [{took(now - self._begun)} elapsed]")

    def tick(self) -> None:
        now = self._clock()
        for path, (noun, since, done, expected) in self._reading.items():
            if now - max(since, self._said.get(path, 0.0)) >= BEAT_S:
                self._said[path] = now
                of = f" of {expected:,}" if expected is not None else ""
                self._line(f"Still reading {plural(outside(noun), 2)}: {done:,}{of} [{took(now - since)} elapsed]")
        if self._total > EACH:
            return
        for address, (verb, since) in self._open.items():
            if now - max(since, self._said.get(address, 0.0)) >= BEAT_S:
                self._said[address] = now
                self._line(f"{outside(address)}: Still {outside(verb.lower())}… [{took(now - since)} elapsed]")

    def _line(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()

    def close(self) -> None:
        self._stream.flush()


class _Bars:
    """Bars that are drawn when an event comes, at most ten times a second: no thread of their own."""

    def __init__(self, stream: TextIO, clock: Callable[[], float], color: bool) -> None:
        self._stream, self._clock, self._color = stream, clock, color
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        self._nouns: dict[str, str] = {}
        self._drawn = float("-inf")
        self._failed = 0

    def on(self, event: Event) -> None:
        bars = self._started()
        match event:
            case ReadingStarted():
                self._nouns[event.type_path] = outside(event.noun)
                self._tasks[event.type_path] = bars.add_task(
                    f"Reading {plural(outside(event.noun), 2)}", total=event.expected, start=True
                )
            case ReadingAdvanced():
                if event.type_path in self._tasks:
                    bars.update(self._tasks[event.type_path], completed=event.done)
            case ReadingDone():
                if event.type_path in self._tasks:
                    bars.remove_task(self._tasks.pop(event.type_path))
                if not event.complete:
                    self._above(f"Not all {plural(self._nouns[event.type_path], 2)} could be read", YELLOW)
            case ApplyStarted():
                self._tasks["apply"] = bars.add_task("Applying", total=event.resources)
            case ChangeStarted():
                if "apply" in self._tasks:
                    said = f"{outside(event.verb)} {outside(event.address)}"
                    bars.update(self._tasks["apply"], description=said[:60])
            case ChangeDone():
                if "apply" in self._tasks:
                    bars.advance(self._tasks["apply"])
                if event.outcome != "done":
                    self._failed += 1
                    if self._failed <= _FAILURES:
                        detail = f": {outside(event.detail)}" if event.detail else ""
                        self._above(f"{outside(event.address)}: {outside(event.outcome)}{detail}", RED)
            case Noted():
                self._above(outside(event.text), "")
        self.tick()

    def _started(self) -> Any:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            console = Console(
                file=self._stream,
                force_terminal=True,
                no_color=not self._color,
                markup=False,
                highlight=False,
                emoji=False,
                soft_wrap=True,
            )
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=console,
                auto_refresh=False,
                transient=True,
                get_time=self._clock,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._bars.start()
        return self._bars

    def _above(self, text: str, code: str) -> None:
        from rich.text import Text

        style = {RED: "red", YELLOW: "yellow"}.get(code, "")
        self._bars.console.print(Text(text, style=style if self._color else ""))

    def tick(self) -> None:
        now = self._clock()
        if self._bars is not None and now - self._drawn >= _FRAME_S:
            self._drawn = now
            self._bars.refresh()

    def close(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            self._tasks.clear()


def noun_of(verb: str) -> str:
    """`Update` of `Updating`: what is complete when it has been done."""
    known = {
        "Creating": "Creation",
        "Updating": "Update",
        "Deleting": "Destruction",
        "Destroying": "Destruction",
        "Replacing": "Replacement",
        "Adopting": "Import",
        "Importing": "Import",
        "Forgetting": "Removal from the state",
        "Recording": "Recording",
        "Renewing": "Renewal",
        "Renaming": "Renaming",
    }
    return known.get(verb, outside(verb))
