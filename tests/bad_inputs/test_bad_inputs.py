"""
The bad inputs, numbered 1 to 92, through the real command line.

Each is either refused (a typed error with its place, the exit code of docs/architecture.md, "Exit codes", nothing sent)
or, where docs/document.md allows it, accepted and shown to be.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import test_bad_networks
import test_bad_outputs
import test_bad_states
from bad_documents import ACCEPTED, REFUSED
from bad_input_cases import APPLY, Accepted, Refused, fleet, sid
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


def test_23_a_fleet_of_100_000_devices_is_accepted(tmp_path: Path) -> None:
    rows = "".join(f"d-{number:06},{sid(number)}\n" for number in range(1, 100_001))
    block = "  devices:\n    b: {for_each: rows.csv, key: '{{ row.name }}', sid: '{{ row.sid }}'}\n"
    home = write(tmp_path / "f", fleet(block) | {"rows.csv": f"name,sid\n{rows}"})

    ran = run("validate", cwd=home, env=environment(tmp_path))

    assert ran.code == 0, ran.said


def test_41_names_that_swap_go_through_a_temporary_name(simulator: Running, tmp_path: Path) -> None:
    simulator.put(world(devices={sid(1): {"unique_name": "a"}, sid(2): {"unique_name": "b"}}))
    already = len(simulator.requests())
    home = write(tmp_path / "f", fleet(f"  devices: {{a: {{sid: {sid(2)}}}, b: {{sid: {sid(1)}}}}}\n"))

    ran = run(*APPLY, cwd=home, env=environment(tmp_path, simulator.url))

    assert ran.code == 0, ran.said
    sent = mutations(simulator.requests()[already:])
    assert len(sent) == 3
    assert all(one["status"] == 200 for one in simulator.requests()[already:]), "no name is ever taken twice"


LACKING = {
    "46: an app that nobody has": (f"{{sid: {sid(1)}, app: sensor-9}}", "sensor-9"),
    "46: an app by a SID that the account lacks": (f"{{sid: {sid(1)}, app: KA{'9' * 32}}}", f"KA{'9' * 32}"),
    "46: a device that the account lacks": (f"{{sid: {sid(9)}}}", sid(9)),
}


@pytest.mark.parametrize(("device", "lacking"), LACKING.values(), ids=LACKING)
def test_what_the_account_lacks_is_told_with_its_place_and_nothing_is_sent(
    device: str, lacking: str, simulator: Running, tmp_path: Path
) -> None:
    simulator.put(world())
    before, already = simulator.world["microvisor"], len(simulator.requests())
    home = write(tmp_path / "repository" / "f", fleet(f"  devices:\n    a: {device}\n"))
    ran = run(*APPLY, cwd=home, env=environment(tmp_path, simulator.url))
    assert ran.code == 1, ran.said
    line = next(line for line in ran.out.splitlines() if "microvisor.devices.a: " in line)
    assert lacking in line and line.endswith("fleet.yaml:4"), line
    assert mutations(simulator.requests()[already:]) == [] and simulator.world["microvisor"] == before


def numbers_in(names: Iterable[str]) -> set[int]:
    """The numbers that names begin with: `test_71_to_73_…`, `test_67_70_…`, `79: …`, `90 (T15): …`."""
    found: set[int] = set()
    for name in names:
        if (span := re.match(r"test_(\d+)_to_(\d+)_", name)) is not None:
            found.update(range(int(span[1]), int(span[2]) + 1))
        elif (several := re.match(r"(?:test_)?(\d+(?:_\d+)*)(?:_|:| \()", name)) is not None:
            found.update(map(int, several[1].split("_")))
    return found


def names_of(module: ModuleType) -> Iterator[str]:
    """Of its tests, and of the cases that stand in its tables."""
    for name, value in vars(module).items():
        if name.startswith("test_"):
            yield name
        if name.isupper() and isinstance(value, dict):
            yield from (case for case in value if isinstance(case, str))


def test_every_number_of_the_list_is_run() -> None:
    run_here = {number for case in (*REFUSED, *ACCEPTED) for number in case.numbers}
    run_here |= numbers_in(names_of(sys.modules[__name__]))
    for module in (test_bad_networks, test_bad_outputs, test_bad_states):
        run_here |= numbers_in(names_of(module))

    assert run_here == set(range(1, 93))
