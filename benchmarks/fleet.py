"""A fleet from a table, and the simulator that serves its devices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SITES = ("oslo", "bergen", "trondheim", "tromsoe")

MAIN = """\
fleet: bench
values: {domain: example.com}
variables: {domain: {type: text}, canary: {type: text, default: app-1}}
tables:
  erp: {file: devices.csv, key: name}
microvisor:
  apps:
    app-1: {bundle: app-1.zip}
    app-2: {bundle: app-2.zip}
  devices:
    sensors:
      for_each: erp
      key: "{{ row.name | lower }}"
      sid: "{{ row.sid }}"
      app: "{{ var.canary if row.ring == 'canary' else 'app-1' }}"
      labels: {site: "{{ row.site }}.{{ var.domain }}"}
"""


def write_fleet(directory: Path, devices: int) -> None:
    """A fleet of `devices` from a table with three templated fields; every hundredth is in the ring `canary`."""
    directory.mkdir(parents=True)
    (directory / "fleet.yaml").write_text(MAIN)
    rows = ["name,sid,site,ring"]
    rows += [
        f"S-{at:07d},UV{at:032x},{SITES[at % len(SITES)]},{'canary' if at % 100 == 0 else 'stable'}"
        for at in range(devices)
    ]
    (directory / "devices.csv").write_text("\n".join(rows) + "\n")
    for name in ("app-1", "app-2"):
        with zipfile.ZipFile(directory / f"{name}.zip", "w") as bundle:
            bundle.writestr(zipfile.ZipInfo("app.bin"), name)


@contextmanager
def simulator(fleet: Path) -> Iterator[str]:
    """The URL of a simulator filled with the fleet's units, in a process of its own."""
    command = [sys.executable, "-m", "reconcile", "simulator", "--port", "0", "--for", str(fleet)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait()


def control(url: str, method: str, call: str, body: object = None) -> object:
    """One call of the simulator's control."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"{url}/_sim/{call}", data=data, method=method)
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def environment(url: str, home: Path) -> Mapping[str, str]:
    """For a command that talks to this simulator and leaves nothing outside of `home`."""
    return {**os.environ, "RECONCILE_SIMULATOR": url, "XDG_CONFIG_HOME": str(home), "PYTHONDONTWRITEBYTECODE": ""}
