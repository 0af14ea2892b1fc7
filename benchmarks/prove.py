"""
`make prove`: what a shared state must stand, shown with a real PostgreSQL and real processes.

Kills: an apply over a state in PostgreSQL is killed at a random request, or the server is, and started again; then the
apply is run again until it is done. Counted: what was lost (the account or the state is not as the files say), what was
doubled (two live resources of one name), plans that are not empty afterwards.

Costs: the client's CPU of a plan of a fleet in place, over a state in PostgreSQL and over a file, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import servers

from benchmarks.fleet import control, environment, simulator, write_fleet
from reconcile.simulator import running
from reconcile.simulator.serving import Running

KEY = "k" * 64
DEVICES, PUMPS, RUNS_S = 12, 6, 120


def files() -> dict[str, Any]:
    """A fleet with resources whose names an API keeps unique, and with some whose names it does not."""
    devices = {
        f"d-{n}": {"sid": f"UV{n:032x}", "configs": {"site": "oslo", "tier": f"{n}"}, "secrets": {"psk": "env:PSK"}}
        for n in range(DEVICES)
    }
    pumps = {f"p-{n}": {"id": f"0158d38771f70000000000010010{n:04x}", "groups": ["north"]} for n in range(PUMPS)}
    return {
        "fleet": "proof",
        "providers": {"device_management": {"timeout_s": 1}},
        "microvisor": {"configs": {f"c{n}": f"{n}" for n in range(12)}, "devices": devices},
        "device_management": {
            "groups": {name: {} for name in ("north", "south", "east")},
            "firmware_images": {"one": {"file": "one.bin"}},
            "devices": pumps,
        },
    }


def world() -> dict[str, Any]:
    """The account before the first apply."""
    return {
        "account_sid": "AC00000000000000000000000000000001",
        "microvisor": {"devices": {f"UV{n:032x}": {} for n in range(DEVICES)}},
        "device_management": {
            "devices": {f"0158d38771f70000000000010010{n:04x}": {"endpoint_name": f"pump-{n}"} for n in range(PUMPS)}
        },
    }


def plain(sim: Running) -> dict[str, Any]:
    """What is live, without ids that the API draws."""
    live = sim.world
    management = live["device_management"]
    devices = live["microvisor"]["devices"]
    return {
        "configs": live["microvisor"]["configs"],
        "devices": {id: (one["unique_name"], one["configs"], one["secrets"]) for id, one in devices.items()},
        "groups": sorted((one["name"], *sorted(one["devices"])) for one in management["groups"].values()),
        "images": sorted(one["name"] for one in management["firmware_images"].values()),
    }


def reconcile(*words: str, env: dict[str, str], timeout_s: float = RUNS_S) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    line = [sys.executable, "-m", "reconcile", *words]
    return subprocess.run(line, env=env, capture_output=True, text=True, timeout=timeout_s)


def kills(count: int, dice: random.Random, server: servers.Postgres, scratch: Path) -> Counter[str]:
    """Kills until there were so many, and counts what came of it."""
    fleet = scratch / "proof"
    fleet.mkdir()
    (fleet / "fleet.yaml").write_text(json.dumps(files()))
    (fleet / "one.bin").write_text("one")
    told: Counter[str] = Counter()
    with running(world=world()) as sim:
        begin = sim.world
        env = {name: value for name, value in os.environ.items() if not name.startswith("RECONCILE")}
        env |= {"RECONCILE_SIMULATOR": sim.url, "RECONCILE_FINGERPRINT_KEY": KEY, "PSK": "value-of-the-psk"}
        goal: dict[str, Any] | None = None
        while told["kills"] < count:
            sim.put(begin)
            sim.set_faults(*({"match": {"method": one}, "effect": {"delay_s": 0.01}} for one in ("POST", "PUT")))
            env["RECONCILE_STATE"] = server.url(server.make(f"proof_{told['histories']}"))
            told["histories"] += 1
            if goal is not None:
                for _ in range(dice.choice((1, 2, 3))):
                    told += _killed(dice, server, sim, fleet, env)
            sim.set_faults()
            ran = reconcile("apply", str(fleet), "--auto-approve", "--lock-timeout", "90", env=env)
            while ran.returncode and told["reruns"] < 3 * count:
                told["reruns"] += 1
                ran = reconcile("apply", str(fleet), "--auto-approve", "--lock-timeout", "90", env=env)
            found = plain(sim)
            goal = goal or found
            _judge(told, found, goal, ran, reconcile("plan", str(fleet), "--detailed-exitcode", env=env))
            pulled = json.loads(reconcile("state", "pull", str(fleet), env=env).stdout)
            told["entries"] = told["entries"] or len(pulled["entries"])
            told["lost"] += len(pulled["entries"]) != told["entries"]
    return told


def _killed(
    dice: random.Random, server: servers.Postgres, sim: Running, fleet: Path, env: dict[str, str]
) -> Counter[str]:
    """One apply, killed at a random request; now and then it is the server."""
    log = sim.requests(0)
    before, wanted = log[-1]["n"] if log else 0, dice.randint(0, 70)
    line = [sys.executable, "-m", "reconcile", "apply", str(fleet), "--auto-approve", "--lock-timeout", "90"]
    line += ["--parallelism", str(dice.choice((1, 4, 16)))]
    with subprocess.Popen(line, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as one:
        while one.poll() is None:
            sent = sum(row["method"] not in ("GET", "HEAD") for row in sim.requests(before))
            if sent >= wanted:
                break
            time.sleep(0.005)
        time.sleep(dice.uniform(0, 0.03))
        if one.poll() is not None:
            return Counter()
        if dice.random() < 0.2:
            server.kill()
            time.sleep(dice.uniform(0, 1))
            server.start(fsync=True)
            return Counter(servers=1, ended=int(one.wait(RUNS_S) in (0, 7)))
        one.kill()
    return Counter(kills=1)


def _judge(
    told: Counter[str],
    found: dict[str, Any],
    goal: dict[str, Any],
    ran: subprocess.CompletedProcess[str],
    plan: subprocess.CompletedProcess[str],
) -> None:
    doubled = sum(len(names) - len(set(names)) for names in (found["images"], [row[0] for row in found["groups"]]))
    told["doubled"] += doubled
    told["lost"] += found != goal and not doubled
    told["not empty"] += plan.returncode != 0
    if found != goal or plan.returncode or ran.returncode:
        print(f"history {told['histories']}: {ran.stdout[-800:]}{ran.stderr[-800:]}{plan.stdout[-800:]}", flush=True)


def cost(devices: int, turns: int, server: servers.Postgres, scratch: Path) -> None:
    """Prints the client's CPU of a plan in place over each home."""
    fleet = scratch / f"fleet-{devices}"
    write_fleet(fleet, devices)
    with simulator(fleet) as url:
        home = dict(environment(url, scratch / "home"))
        homes = {"a file": home, "PostgreSQL": {**home, "RECONCILE_STATE": server.url(server.make("cost"))}}
        for env in homes.values():
            env["RECONCILE_FINGERPRINT_KEY"] = KEY
            words = ("apply", str(fleet), "--auto-approve", "--allow", f"change={10 * devices}")
            done = reconcile(*words, env=env, timeout_s=900)
            if done.returncode:
                sys.exit(done.stderr)
            control(url, "POST", "clock", {"advance_s": 3600})
        spent: dict[str, list[float]] = {name: [] for name in homes}
        for _ in range(turns):
            for name, env in homes.items():
                line = [sys.executable, "-m", "benchmarks.measure", "plan", str(fleet)]
                row = json.loads(subprocess.run(line, env=env, capture_output=True, text=True, check=True).stdout)
                spent[name].append(row["cpu_s"])
    found = {name: median(values) for name, values in spent.items()}
    for name, seconds in found.items():
        print(f"plan of {devices:,} devices in place, state in {name}: {seconds:.2f} s CPU")
    print(f"PostgreSQL / a file: {found['PostgreSQL'] / found['a file']:.2f} x CPU")


def main() -> None:
    """Proves what the command line asks for; exit code 1 where something was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prove", description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--devices", type=int, default=100_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, servers.postgres() as server:
        server.stop()
        server.start(fsync=True)
        began = time.monotonic()
        told = kills(given.kills, random.Random(given.seed), server, Path(scratch)) if given.kills else Counter[str]()
        seconds = time.monotonic() - began
        print(
            f"{told['kills']} kills of an apply and {told['servers']} of the server in {told['histories']} histories:"
            f" {told['lost']} lost, {told['doubled']} doubled, {told['not empty']} plans not empty afterwards,"
            f" {told['reruns']} reruns beyond the first, {seconds:.0f} s"
        )
        if given.devices:
            cost(given.devices, 3, server, Path(scratch))
    sys.exit(1 if told["lost"] or told["doubled"] or told["not empty"] else 0)


if __name__ == "__main__":
    main()
