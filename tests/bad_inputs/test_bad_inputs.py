"""
The bad inputs 1–92 of notes/reliability-and-security.md §4, through the real command line.

Each is either refused (a typed error with its place, the exit code of design §3, nothing sent) or, where document.md
allows it, accepted and shown to be.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_documents import ACCEPTED, REFUSED
from bad_input_cases import APPLY, Accepted, Refused
from bad_input_harness import environment, mutations, run, world, write

from reconcile.simulator import running
from reconcile.simulator.serving import Running


def title(case: Refused | Accepted) -> str:
    return f"{','.join(map(str, case.numbers))}: {case.title}"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Running]:
    with running(world=world()) as one:
        yield one


@pytest.mark.parametrize("case", REFUSED, ids=title)
def test_a_bad_document_is_refused_with_its_place_before_anything_is_sent(
    case: Refused, simulator: Running, tmp_path: Path
) -> None:
    simulator.put(world())
    before, already = simulator.world["microvisor"], len(simulator.requests())
    home = write(tmp_path / "repository" / "f", case.files)
    if case.prepare is not None:
        case.prepare(home)

    ran = run(*case.command, cwd=home, env=environment(tmp_path, simulator.url, **case.env))

    assert ran.code == case.exit, ran.said
    for seen in case.errors:
        assert ran.has_error(seen), f"no error holds {seen}:\n{ran.said}"
    sent = simulator.requests()[already:]
    assert (mutations(sent) if case.reads else sent) == [], ran.said
    assert simulator.world["microvisor"] == before
    assert not list(tmp_path.rglob("EXECUTED"))


@pytest.mark.parametrize("case", ACCEPTED, ids=title)
def test_what_the_document_allows_arrives_as_it_is_written(case: Accepted, simulator: Running, tmp_path: Path) -> None:
    simulator.put(world(**case.world))
    home = write(tmp_path / "f", case.files)
    env = environment(tmp_path, simulator.url)

    applied = run(*APPLY, cwd=home, env=env)
    again = run("plan", "--detailed-exitcode", cwd=home, env=env)

    assert applied.code == 0, applied.said
    assert again.code == 0, again.said
    live = simulator.world["microvisor"]
    for unit, configs in case.live.items():
        assert (live["devices"][unit] if unit else live)["configs"] == configs
    assert {unit: live["devices"][unit]["unique_name"] for unit in case.names} == case.names
