"""What a small hostile fleet may cost: CPU and memory are linear in its bytes, rows and columns."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

CPU_S = 6  # three times what is promised: machines differ
MEMORY = 512 << 20

CHILD = """
import resource, sys
from pathlib import Path
from reconcile.config import Inputs, load
from reconcile.errors import InvalidInput
from reconcile.providers.registry import Providers
try:
    load(".", providers=Providers(), inputs=Inputs({}))
    print("valid")
except InvalidInput as wrong:
    print(wrong.problems[0])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

LONG = 'variables: {a: {default: "' + "x" * 1_000_000 + '"}}\n'
TABLE = "tables: {t: {file: t.%s}}\n"


def config(template: str) -> str:
    return LONG + "microvisor: {configs: {c: " + json.dumps(template) + "}}\n"


def block(fields: str) -> str:
    return TABLE % "csv" + 'microvisor: {devices: {b: {for_each: t, key: "{{ row.k }}", ' + fields + "}}}\n"


def rows(many: int) -> str:
    return "k\n" + "".join(f"r{at}\n" for at in range(many))


def numbered(line: str, many: int) -> str:
    return "".join(line.replace("#", str(at)) for at in range(many))


CASES = {
    "a trim of as many characters as the text": (
        {
            "fleet.yaml": 'variables: {a: {default: "'
            + "a" * 1_000_000
            + '"}, b: {default: "'
            + "b" * 1_000_000
            + 'a"}}\nmicrovisor: {configs: {c: "{{ var.a | trim(var.b) }}"}}\n'
        },
        "too expensive",
    ),
    "JSON of one text 3,000 times": (
        {"fleet.yaml": config("{{ [" + ",".join(["var.a"] * 3000) + "] | tojson }}")},
        "too large",
    ),
    "a text joined to itself 800 times": (
        {"fleet.yaml": config("{{ " + " ~ ".join(["var.a"] * 800) + " }}")},
        "too large",
    ),
    "one text 1,700 times": ({"fleet.yaml": config("{{ var.a }}" * 1700)}, "too large"),
    "one text 1,400 times, by expressions": ({"fleet.yaml": config("{{ var['a'] }}" * 1400)}, "too large"),
    "a hundred cases for each of 200 rows": (
        {
            "fleet.yaml": LONG + block('configs: {c: "{{ var.a' + " | upper | lower" * 50 + ' | length }}"}'),
            "t.csv": rows(200),
        },
        "too expensive",
    ),
    "a search for half of a text in it": (
        {"fleet.yaml": config("{{ [" + ",".join(["var.a[:900] in var.a[:29000]"] * 400) + "] | length }}")},
        "too expensive",
    ),
    "200,000 columns": ({"fleet.yaml": TABLE % "csv", "t.csv": numbered("c#,", 200_000)[:-1] + "\n"}, "2,000 columns"),
    "rows of another column each": (
        {"fleet.yaml": TABLE % "jsonl", "t.jsonl": numbered('{"c#":1}\n', 40_000)},
        "2,000 columns",
    ),
    "rows of few columns each": (
        {"fleet.yaml": TABLE % "jsonl", "t.jsonl": numbered("".join(f'{{"c{n}":#}}\n' for n in range(1900)), 50)},
        "hardly a row",
    ),
    "a key of 200,000 that is there twice": (
        {"fleet.yaml": TABLE % "json", "t.json": "[{" + numbered('"k#":1,', 200_000) + '"k199999":2}]'},
        "given twice",
    ),
    "lists without end": (
        {"fleet.yaml": TABLE % "json", "t.json": "[" + "[]," * 12_000_000 + "[]]"},
        "more than 8,000,000",
    ),
    "texts that are not there": (
        {"fleet.yaml": block('configs: {c: {file: "x/{{ row.k }}"}}'), "t.csv": rows(10_000)},
        "does not exist",
    ),
    "unknown keys": (
        {"fleet.yaml": "microvisor:\n  devices:\n    d:\n" + numbered("      k#: 1\n", 50_000)},
        "not a key here",
    ),
    "undeclared values": (
        {
            "fleet.yaml": "variables:\n"
            + numbered("  name_of_variable_#: {default: x}\n", 1900)
            + "values:\n"
            + numbered("  nmae_of_varable_#: 1\n", 30_000)
        },
        "is declared",
    ),
    "10,000 profiles of one device": (
        {
            "fleet.yaml": "profiles:\n"
            + numbered("  p#: {configs: {c#: x}}\n", 10_000)
            + "microvisor: {devices: {d: {profile: ["
            + numbered("p#,", 10_000)
            + "]}}}\n"
        },
        "at most 100 profiles",
    ),
    "a member that a large map lacks": (
        {
            "fleet.yaml": "variables: {m: {default: {"
            + numbered("k#: 1, ", 50_000)
            + "}}}\n"
            + block('configs: {c: "{{ var.m[row.k] }}"}'),
            "t.csv": rows(3_000),
        },
        "has no",
    ),
    "a line of braces": ({"fleet.yaml": 'x: "' + "{" * 200_000 + "\n"}, "not YAML"),
    "names that are nearly there": (
        {
            "fleet.yaml": "microvisor:\n  apps:\n"
            + numbered("    application-#: {bundle: a.zip}\n", 1900)
            + "  devices:\n"
            + numbered("    d#: {app: aplication-#}\n", 3000)
        },
        "valid",
    ),
    "200,000 rows that lack a column": (
        {
            "t.json": "[" + "{}," * 200_000 + "{}]",
            "fleet.yaml": TABLE % "json" + 'microvisor: {devices: {b: {for_each: t, key: "{{ row.n }}", sid: x}}}\n',
        },
        "no column",
    ),
    "100,000 rows of one key": (
        {
            "t.csv": "n\n" + "a\n" * 100_000,
            "fleet.yaml": TABLE % "csv" + 'microvisor: {devices: {b: {for_each: t, key: "{{ row.n }}"}}}\n',
        },
        "is given twice",
    ),
    "3,900 files": (
        {
            "fleet.yaml": "include: [more]\n",
            **{f"more/{at}.yaml": f"microvisor: {{configs: {{c{at}: x}}}}\n" for at in range(3900)},
        },
        "valid",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_small_fleet_takes_little_time_and_memory(tmp_path: Path, case: str) -> None:
    files, words = CASES[case]
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("fleet: f\n" + text if name == "fleet.yaml" else text)

    def limits() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        resource.setrlimit(resource.RLIMIT_AS, (4 * MEMORY, 4 * MEMORY))

    ran = subprocess.run([sys.executable, "-c", CHILD], cwd=tmp_path, preexec_fn=limits, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-300:]
    said, peak = ran.stdout.rsplit("\n", 2)[:2]
    assert words in said
    assert int(peak) * 1024 <= MEMORY
