"""
One measurement in a process of its own: prints a line of JSON with seconds, peak memory and requests.

    python -m benchmarks.measure plan|pages FLEET [--var K=V]…
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from typing import Any


async def plan(path: str, variables: list[str]) -> dict[str, Any]:
    """A whole plan: files, state, API, decision; without printing it."""
    from reconcile import workflow
    from reconcile.core.options import Options
    from reconcile.wiring import CommandRequest, Wired

    async with Wired(CommandRequest(path, variables)) as wired:
        made = (await workflow.plan_fleet(wired.world, Options())).plan
        return {"changes": len(made.changes), "requests": wired.net.requests, "http_s": wired.net.http_s}


async def pages(path: str, variables: list[str]) -> dict[str, Any]:
    """The floor: the files loaded, and the pages of the device listing fetched and decoded."""
    from reconcile.wiring import CommandRequest, Wired

    async with Wired(CommandRequest(path, variables)) as wired:
        api, _ = await wired.world.connect["microvisor"]()
        kind = wired.world.types["microvisor.devices"]
        async for _ in kind.listing(api, None):
            pass
        return {"changes": 0, "requests": wired.net.requests, "http_s": wired.net.http_s}


def main() -> None:
    """Measures what the command line names."""
    what, path, *rest = sys.argv[1:]
    variables = [rest[at + 1] for at, word in enumerate(rest) if word == "--var"]
    began = time.perf_counter()
    found = asyncio.run({"plan": plan, "pages": pages}[what](path, variables))
    wall = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    found |= {"wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
