"""
`make bench`: the plan of a fleet from a table, without a change and with 1 % changed; and the page of a plan.

Every row is the median of `RUNS` processes, interpreter and imports included in CPU seconds. `x floor` compares with
what no plan can do without, measured in the same run: the files loaded and checked, the device listing fetched and
decoded.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.fleet import control, environment, simulator, write_fleet
from benchmarks.page import bench_page

RUNS = 3


def measured(what: str, fleet: Path, env: Mapping[str, str], variables: Sequence[str] = ()) -> dict[str, float]:
    """The median of `RUNS` measurements, each figure by itself."""
    command = [sys.executable, "-m", "benchmarks.measure", what, str(fleet)]
    for variable in variables:
        command += ["--var", variable]
    found: list[dict[str, Any]] = []
    for _ in range(RUNS):
        done = subprocess.run(command, env=dict(env), capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return {name: median(row[name] for row in found) for name in found[0]}


def bench(devices: int, scratch: Path) -> None:
    """Measures one size and prints its rows."""
    fleet = scratch / f"fleet-{devices}"
    write_fleet(fleet, devices)
    with simulator(fleet) as url:
        env = environment(url, scratch / "home")
        apply = [sys.executable, "-m", "reconcile", "apply", str(fleet), "--auto-approve"]
        subprocess.run(apply, env=dict(env), check=True, capture_output=True)
        control(url, "POST", "clock", {"advance_s": 3600})
        floor = measured("pages", fleet, env)
        rows = {
            "files and pages (floor)": floor,
            "plan, no change": measured("plan", fleet, env),
            "plan, 1 % changed": measured("plan", fleet, env, ["canary=app-2"]),
        }
    print(f"\n{devices:,} devices from a table, three templated fields")
    print(
        f"{'':<25}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}{'requests':>10}{'HTTP share':>12}{'changes':>9}{'x floor':>9}"
    )
    for name, row in rows.items():
        print(
            f"{name:<25}{row['wall_s']:>8.2f}{row['cpu_s']:>8.2f}{row['peak_mb']:>9.0f}{row['requests']:>10.0f}"
            f"{row['http_s'] / row['wall_s']:>11.0%} {row['changes']:>9,.0f}{row['cpu_s'] / floor['cpu_s']:>9.1f}"
        )
    ratio = rows["plan, 1 % changed"]["cpu_s"] / rows["plan, no change"]["cpu_s"]
    print(f"1 % changed / no change: {ratio:.2f} x CPU")


def main() -> None:
    """Measures every size that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--devices", type=int, nargs="+", default=[10_000], help="sizes of the fleet")
    sizes = parser.parse_args().devices
    print(f"Python {platform.python_version()} on {platform.machine()}, median of {RUNS} processes")
    with tempfile.TemporaryDirectory() as scratch:
        for devices in sizes:
            bench(devices, Path(scratch))
        bench_page(Path(scratch))


if __name__ == "__main__":
    main()
