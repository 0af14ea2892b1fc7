"""
`make simulate`: random histories of trackers, one for each seed; exit 1 when something does not hold.

The first violation of each kind is printed with the fewest steps that still show it. `--seed N --histories 1` repeats
one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from benchmarks.simulate.history import Told, run
from benchmarks.simulate.shrink import kind_of, shrunk
from benchmarks.simulate.steps import draw

CHUNK = 10
SHOWN = 12


def one(seed: int) -> Told:
    """The history of a seed, carried out."""
    return run(draw(seed))


def every(seeds: range, processes: int) -> Iterator[Told]:
    """Those of all seeds, in their order."""
    if processes == 1:
        yield from map(one, seeds)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(one, seeds, chunksize=CHUNK)


def report(seed: int) -> None:
    """A history that does not hold, with as few steps as that takes."""
    history = shrunk(draw(seed))
    told = run(history)
    if not told.violations:
        print(f"\nseed {seed} holds by now: what it runs was changed meanwhile")
        return
    print(f"\nseed {seed}, {len(history.steps)} of {len(draw(seed).steps)} steps are enough:")
    print(f"    trackers {json.dumps(history.trackers)}\n    document {json.dumps(history.begin)}")
    print("\n".join(f"    {line}" for line in told.log))
    print("\n".join(f"  ! {violation}" for violation in told.violations))


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate", description=__doc__)
    parser.add_argument("--histories", type=int, default=3000, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the next has the next")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="side by side")
    asked = parser.parse_args()
    began = time.perf_counter()
    steps = applies = patches = faults = 0
    wrong: list[Told] = []
    for told in every(range(asked.seed, asked.seed + asked.histories), min(asked.processes, asked.histories)):
        steps, applies = steps + told.steps, applies + told.applies
        patches, faults = patches + told.patches, faults + told.faults
        if told.violations:
            wrong.append(told)
    seconds = time.perf_counter() - began
    print(
        f"{asked.histories:,} histories, {steps:,} steps, {applies:,} applies, {patches:,} patches, {faults:,} of the "
        f"applies with faults, {seconds:.1f} s ({asked.histories / seconds:.0f} a second), {len(wrong)} violations"
    )
    kinds: dict[str, list[Told]] = {}
    for told in wrong:
        kinds.setdefault(kind_of(told.violations[0]), []).append(told)
    for kind, members in kinds.items():
        print(f"  {len(members)} x {kind}: seeds {', '.join(str(told.seed) for told in members[:SHOWN])}")
    for members in kinds.values():
        report(members[0].seed)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
