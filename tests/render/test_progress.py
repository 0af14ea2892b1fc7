"""Progress: sparse lines in a log, bars on a terminal. Time is the test's."""

from __future__ import annotations

import io

from reconcile.core.address import Address
from reconcile.core.events import (
    ApplyStarted,
    ChangeDone,
    ChangeStarted,
    Noted,
    ReadingAdvanced,
    ReadingDone,
    ReadingStarted,
)
from reconcile.render.progress import EACH, Progress


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def made(terminal: bool = False) -> tuple[Progress, Clock, io.StringIO]:
    clock, stream = Clock(), io.StringIO()
    return Progress(stream, terminal, clock), clock, stream


ONE = Address("microvisor.devices.s-1")


def test_a_log_of_a_few_changes() -> None:
    show, clock, stream = made()
    show(ReadingStarted("microvisor.devices", "device", 12))
    clock.now += 11
    show(ReadingAdvanced("microvisor.devices", 5))
    clock.now += 2
    show(ReadingDone("microvisor.devices", 12, True))
    show(ApplyStarted(2))
    show(ChangeStarted(ONE, "Updating"))
    clock.now += 10
    show.tick()
    show.tick()
    show(ChangeDone(ONE, "Updating", "done", 12.0))
    show(ChangeStarted(Address("microvisor.devices.s-2"), "Creating"))
    show(ChangeDone(Address("microvisor.devices.s-2"), "Creating", "failed", 0.2, "POST answered 422\x1b[2J"))
    show(Noted("the lease was\nrenewed"))
    show.close()
    assert stream.getvalue().splitlines() == [
        "Still reading devices: 5 of 12 [11s elapsed]",
        "Read 12 devices in 13s",
        "microvisor.devices.s-1: Updating…",
        "microvisor.devices.s-1: Still updating… [10s elapsed]",
        "microvisor.devices.s-1: Update complete after 12s",
        "microvisor.devices.s-2: Creating…",
        r"microvisor.devices.s-2: Creation failed: POST answered 422\x1b[2J",
        r"the lease was\nrenewed",
    ]


def test_a_log_of_many_changes_is_short() -> None:
    show, clock, stream = made()
    show(ApplyStarted(12_000))
    for at in range(12_000):
        address = Address(f"microvisor.devices.s-{at}")
        show(ChangeStarted(address, "Updating"))
        clock.now += 0.01
        show(ChangeDone(address, "Updating", "done" if at % 100 else "failed", 0.01, "no"))
    lines = stream.getvalue().splitlines()
    assert len(lines) < EACH + 50
    assert "5,940 of 12,000 done (50%), 60 not [1m00s elapsed]" in lines
    assert sum("failed" in line for line in lines) == EACH


def test_an_incomplete_reading_says_so() -> None:
    show, _, stream = made()
    show(ReadingStarted("a.b", "group", None))
    show(ReadingDone("a.b", 3, False))
    assert stream.getvalue() == "Read 3 groups in 0s, not all of them\n"


def test_bars_on_a_terminal_leave_nothing_behind_but_what_went_wrong() -> None:
    show, clock, stream = made(terminal=True)
    show(ReadingStarted("a.b", "group", 10))
    clock.now += 1
    show(ReadingAdvanced("a.b", 5))
    show(ReadingDone("a.b", 10, True))
    show(ApplyStarted(2))
    show(ChangeStarted(ONE, "Updating"))
    show(ChangeDone(ONE, "Updating", "failed", 1, "[bold]no[/bold]\x1b[2J"))
    clock.now += 1
    show(Noted("a note"))
    show.close()
    text = stream.getvalue()
    assert "Reading groups" in text and r"microvisor.devices.s-1: failed: [bold]no[/bold]\x1b[2J" in text
    assert "\x1b[2J" not in text and text.count("a note") == 1


def test_closing_what_never_began_is_nothing() -> None:
    for terminal in (False, True):
        show, _, stream = made(terminal)
        show.close()
        assert stream.getvalue() == ""
