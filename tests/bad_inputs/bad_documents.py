"""
Bad documents: 1 to 59 of the numbered bad inputs.

Positions are those of the text as it stands here; `fleet()` puts its body on line 3, `trackers()` on line 4.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from bad_input_cases import Accepted, Refused, fleet, sid, trackers
from bad_input_harness import SECRET

MIB = 1 << 20
ALIAS_BOMB = "a: &a [lol]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]" for below, name in zip("abcdefg", "bcdefgh", strict=True)
)
FILLER = "# nothing to see here, move on\n" * 200_000


def _sparse(size: int) -> object:
    def prepare(directory: Path) -> None:
        with (directory / "more.yaml").open("wb") as file:
            file.truncate(size)

    return prepare


def _linked_away(directory: Path) -> None:
    (directory / "passwd").symlink_to("/etc/passwd")
    os.mkfifo(directory / "pipe")


YAML = [
    Refused((1,), "an empty file", {"fleet.yaml": ""}, (("fleet:",),)),
    Refused((2,), "a file that says null", {"fleet.yaml": "~\n"}, (("fleet:",),)),
    Refused((3,), "a scalar", {"fleet.yaml": "hello\n"}, (("fleet.yaml line 1", "map"),)),
    Refused((4,), "a list", {"fleet.yaml": "- fleet: f\n"}, (("fleet.yaml line 1", "map"),)),
    Refused((5,), "two documents", {"fleet.yaml": "fleet: f\n---\nfleet: g\n"}, (("fleet.yaml line 2", "second"),)),
    Refused((6,), "a tab as indent", fleet("\tconfigs: {a: b}\n"), (("fleet.yaml line 3", "tab"),)),
    Refused((7,), "a list that is not closed", fleet("  configs: [a\n"), (("fleet.yaml line", "line 3", "not YAML"),)),
    Refused(
        (8,),
        "bytes that are not UTF-8",
        {"fleet.yaml": b"fleet: f\nmicrovisor: {configs: {a: \xff\xfe\xfa}}\n"},
        (("fleet.yaml line 2", "UTF-8"),),
    ),
    Refused((8,), "bytes that are not UTF-8, at once", {"fleet.yaml": b"\xff\xfe\xfa"}, (("fleet.yaml", "UTF-8"),)),
    Refused((9,), "UTF-16", {"fleet.yaml": "fleet: f\n".encode("utf-16")}, (("fleet.yaml line 1", "UTF-16", "UTF-8"),)),
    Refused(
        (10,),
        "lines that end with CR alone",
        {"fleet.yaml": b"fleet: f\rmicrovisor:\r  configs: {a: b}\r"},
        (("fleet.yaml line 1", "CR"),),
    ),
    Refused((11,), "a raw ESC", fleet("  configs: {a: \x1b[2J}\n"), (("fleet.yaml line 3", "U+001B"),)),
    Refused((12,), "NUL in a value", fleet('  configs: {a: "\\0"}\n'), (("fleet.yaml line 3", "U+0000"),)),
    Refused((13,), "half of a surrogate pair", fleet('  configs: {a: "\\ud800"}\n'), (("fleet.yaml line 3",),)),
    Refused(
        (14,),
        "a key given twice",
        fleet("  configs:\n    a: b\n    a: c\n"),
        (("fleet.yaml line 5", '"a"', "twice", "line 4"),),
    ),
    Refused((15,), "an alias bomb", {"fleet.yaml": f"fleet: f\n{ALIAS_BOMB}\n"}, (("fleet.yaml line 3", "alias"),)),
    Refused((16,), "an alias of itself", fleet("  configs: &a [*a]\n"), (("fleet.yaml line 3", "anchor"),)),
    Refused((17,), "5,000 lists in each other", fleet("  configs: " + "[" * 5_000), (("fleet.yaml line 3", "deep"),)),
    Refused(
        (17,), "100,000 lists in each other", fleet("  configs: " + "[" * 100_000), (("fleet.yaml line 3", "deep"),)
    ),
    Refused(
        (17,), "100,000 maps in each other", fleet("  configs: " + "{a: " * 100_000), (("fleet.yaml line 3", "deep"),)
    ),
    Refused(
        (17,),
        "100,000 lists in each other in a table of JSON",
        fleet("  devices: {b: {for_each: rows.json, key: x}}\n") | {"rows.json": "[" * 100_000},
        (("rows.json",),),
    ),
    Refused(
        (18,),
        "a tag that runs a program",
        fleet('  configs: {a: !!python/object/apply:os.system ["touch EXECUTED"]}\n'),
        (("fleet.yaml line 3", "tag"),),
    ),
    Refused(
        (19,),
        "tags, and a list as a key",
        fleet("  configs:\n    a: !!binary aGk=\n    b: !!set {x}\n    ? [a, b]\n    : c\n"),
        (("fleet.yaml line 4", "tag"), ("fleet.yaml line 5", "tag"), ("fleet.yaml line 6", "string as a key")),
    ),
    Refused((20,), "a merge key", fleet("  configs:\n    <<: {a: b}\n"), (("fleet.yaml line 4", "merge", "profile"),)),
    Refused(
        (21,),
        "a number of 5,000 digits",
        {
            "fleet.yaml": f"fleet: f\nlimits:\n  delete: {'9' * 5000}\nproviders:\n  microvisor:\n"
            f"    timeout_s: {'9' * 5000}\nmicrovisor:\n  configs:\n    a: {'9' * 5000}\n"
        },
        (("fleet.yaml line 3", "delete"), ("fleet.yaml line 6", "timeout_s")),
    ),
    Refused(
        (21,),
        "a text of 5,000 digits",
        fleet(f"  configs:\n    a: {'9' * 5000}\n"),
        (("fleet.yaml line 4", "microvisor.configs.a", "4,096"),),
    ),
    Refused(
        (22,),
        "a file of more than 64 MiB",
        fleet("  configs: {a: b}\n"),
        (("more.yaml", "67,108,864"),),
        prepare=_sparse(64 * MIB + 1),
    ),
    Refused((24,), "an alias of nothing", fleet("  configs: {a: *nowhere}\n"), (("fleet.yaml line 3", "alias"),)),
]

GOOD_YAML = [
    Accepted(
        (9, 10),
        "UTF-8 with a BOM, and CRLF",
        {"fleet.yaml": b"\xef\xbb\xbffleet: f\r\nmicrovisor:\r\n  configs: {a: b}\r\n"},
        {"": {"a": "b"}},
    ),
    Accepted((22,), "a file of 6 MB", fleet(f"  configs: {{a: b}}\n{FILLER}"), {"": {"a": "b"}}),
]

TYPES = [
    Refused(
        (25, 26, 39, 42),
        "what a device does not take",
        fleet(f"""\
  devices:
    a: {{sid: {sid(1)}, loging: true}}
    b: {{sid: {sid(2)}, targt_app: x}}
    c: {{logging: "yes"}}
    d: {{logging: yes}}
    e: {{sid: UV{"0" * 31}}}
    f: {{sid: UV{"0" * 33}}}
    g: {{sid: KA{"0" * 32}}}
    {sid(9)}: {{}}
    h: {{unique_name: {sid(8)}}}
    i: {{sid: ../../Accounts}}
"""),
        (
            ("fleet.yaml line 4", '"loging"', 'Did you mean "logging"'),
            ("fleet.yaml line 5", '"targt_app"', 'Did you mean "app"'),
            ("fleet.yaml line 6", "microvisor.devices.c", "true or false"),
            ("fleet.yaml line 7", "microvisor.devices.d", "true or false"),
            ("fleet.yaml line 8", "microvisor.devices.e", "sid"),
            ("fleet.yaml line 9", "microvisor.devices.f", "sid"),
            ("fleet.yaml line 10", "microvisor.devices.g", "sid"),
            ("fleet.yaml line 11", "looks like a SID"),
            ("fleet.yaml line 12", "microvisor.devices.h", "looks like a SID"),
            ("fleet.yaml line 13", "microvisor.devices.i", "sid"),
        ),
    ),
    Refused(
        (32,),
        "what is not a number",
        {
            "fleet.yaml": """\
fleet: f
variables:
  a: {type: number, default: .nan}
  b: {type: number, default: .inf}
  c: {type: number, default: "51"}
  d: {type: number, default: true}
providers:
  microvisor:
    timeout_s: .nan
    max_concurrency: "51"
    requests_per_s: true
"""
        },
        (
            ("fleet.yaml line 3", ".nan"),
            ("fleet.yaml line 4", ".inf"),
            ("fleet.yaml line 5", '"51"'),
            ("fleet.yaml line 6", "true"),
        ),
    ),
    Refused(
        (32,),
        "settings that are not numbers",
        {
            "fleet.yaml": """\
fleet: f
providers:
  microvisor:
    timeout_s: .nan
    max_concurrency: "51"
    requests_per_s: .inf
"""
        },
        (
            ("fleet.yaml line 4", "timeout_s"),
            ("fleet.yaml line 5", "max_concurrency"),
            ("fleet.yaml line 6", "requests_per_s"),
        ),
    ),
    Refused(
        (32,),
        "coordinates that are not numbers",
        trackers("""\
    a: {agent: A, configuration: {locationTracking: {geofence: {lat: .nan, lng: 1}}}}
    b: {agent: B, configuration: {locationTracking: {geofence: {lat: .inf, lng: 1}}}}
    c: {agent: C, configuration: {locationTracking: {geofence: {lat: "51", lng: 1}}}}
    d: {agent: D, configuration: {locationTracking: {geofence: {lat: true, lng: 1}}}}
"""),
        (
            ("fleet.yaml line 4", "geofence.lat", '".nan" is not a number'),
            ("fleet.yaml line 5", "geofence.lat", '".inf" is not a number'),
            ("fleet.yaml line 6", "geofence.lat", "Write it without quotes: 51"),
            ("fleet.yaml line 7", "geofence.lat", '"true" is not a number'),
        ),
    ),
    Refused(
        (33,),
        "places that are none",
        trackers("""\
    a: {agent: A, configuration: {locationTracking: {geofence: {lat: 51.5}}}}
    b: {agent: B, configuration: {locationTracking: {geofence: {lat: 90.0001, lng: 0}}}}
    c: {agent: C, configuration: {locationTracking: {geofence: {lat: 0, lng: -180.5}}}}
    d: {agent: D, configuration: {locationTracking: {geofence: {lat: 0, lng: 0, radius: -1}}}}
    e: {agent: E, configuration: {locationTracking: {bleDevices: {generic: {0c2a69046a49: {lat: 51.5}}}}}}
"""),
        (
            ("fleet.yaml line 4", "lat without lng"),
            ("fleet.yaml line 5", "geofence.lat 90.0001 has to be at most 90"),
            ("fleet.yaml line 6", "geofence.lng -180.5 has to be at least -180"),
            ("fleet.yaml line 7", "geofence.radius -1 has to be at least 0"),
            ("fleet.yaml line 8", "0c2a69046a49.lng is missing"),
        ),
    ),
    Refused(
        (34,),
        "periods beyond their range",
        trackers("""\
    a: {agent: A, configuration: {connectingPeriod: 9}}
    b: {agent: B, configuration: {readingPeriod: 360000.5}}
    c: {agent: C, configuration: {locationTracking: {locReadingPeriod: 0}}}
    d: {agent: D, configuration: {alerts: {tamperingDetected: {pollingPeriod: 86401}}}}
"""),
        (
            ("fleet.yaml line 4", "connectingPeriod 9 has to be at least 10"),
            ("fleet.yaml line 5", "readingPeriod 360000.5 has to be at most 360000"),
            ("fleet.yaml line 6", "locReadingPeriod 0 has to be at least 10"),
            ("fleet.yaml line 7", "pollingPeriod 86401 has to be at most 86400"),
        ),
    ),
    Refused(
        (35,),
        "a low temperature that is not below the high one",
        trackers("""\
    a:
      agent: A
      configuration:
        alerts:
          temperatureLow: {threshold: 26}
          temperatureHigh: {threshold: 25}
"""),
        (("fleet.yaml line 8", "temperatureLow.threshold 26 is not below temperatureHigh.threshold 25"),),
    ),
    Refused(
        (36, 38),
        "empty where something has to stand",
        fleet("""\
  devices:
    a: {sid: ""}
    b: {unique_name: ""}
  configs:
    "": x
  secrets:
    s: ""
    t: hunter2
"""),
        (
            ("fleet.yaml line 4", "sid"),
            ("fleet.yaml line 5", "empty"),
            ("fleet.yaml line 7", "empty"),
            ("fleet.yaml line 9", "reference"),
            ("fleet.yaml line 10", "reference"),
        ),
    ),
    Refused(
        (37,),
        "a value and a key that are too long",
        fleet(f"""\
  configs:
    long: {"Ω" * 4097}
    {"k" * 101}: x
"""),
        (("fleet.yaml line 4", "microvisor.configs.long", "4,096"), ("fleet.yaml line 5", "101", "100")),
    ),
    Refused(
        (38,),
        "an empty secret from the environment",
        fleet("  secrets: {s: env:NOTHING}\n"),
        (("microvisor.secrets.s", "NOTHING", "empty"),),
        env={"NOTHING": ""},
        reads=True,
    ),
    Refused(
        (38,),
        "an empty secret from a file",
        fleet("  secrets: {s: file:nothing}\n") | {"nothing": "\n"},
        (("microvisor.secrets.s", "empty"),),
        reads=True,
    ),
]

GOOD_TYPES = [
    Accepted(
        (27, 28, 29, 30, 31),
        "what YAML would guess at is text in a text field",
        fleet(f"""\
  devices:
    no:
      sid: {sid(1)}
      configs: {{zeros: 0123, time: 12:30:00, mac: 00:11:22:33:44:55, date: 2026-01-01, version: 1.10, truth: no}}
    0123: {{sid: {sid(2)}}}
    2026-01-01: {{sid: {sid(3)}}}
"""),
        {
            sid(1): {
                "zeros": "0123",
                "time": "12:30:00",
                "mac": "00:11:22:33:44:55",
                "date": "2026-01-01",
                "version": "1.10",
                "truth": "no",
            }
        },
        {sid(1): "no", sid(2): "0123", sid(3): "2026-01-01"},
    ),
    Accepted(
        (36,),
        "null is not written here, and an empty text is a text",
        fleet("  configs: {a: , b: ~, c: null, d: ''}\n"),
        {"": {"d": ""}},
    ),
    Accepted(
        (37,),
        "4,096 characters of two bytes, and a key of 100",
        fleet(f"  configs:\n    {'k' * 100}: {'Ω' * 4096}\n"),
        {"": {"k" * 100: "Ω" * 4096}},
    ),
]

IDENTITY = [
    Refused(
        (39,),
        "one SID in two spellings",
        fleet(f"  devices:\n    a: {{sid: UV{'a' * 32}}}\n    b: {{sid: UV{'A' * 32}}}\n"),
        (("one unit", "microvisor.devices.a", "microvisor.devices.b", "fleet.yaml"),),
    ),
    Refused(
        (40,),
        "one name twice, and names that look like one",
        fleet("""\
  devices:
    a: {unique_name: same}
    same: {}
"""),
        (("one unit", "microvisor.devices.a", "microvisor.devices.same", "fleet.yaml"),),
    ),
    Refused(
        (40,),
        "names that only a machine tells apart",
        fleet("""\
  devices:
    "caf\\u00e9": {}
    "cafe\\u0301": {}
    "dev\\u200b-1": {}
    "dev-1 ": {}
"""),
        (("fleet.yaml line 5", "NFC"), ("fleet.yaml line 6", "\\u200b"), ("fleet.yaml line 7", "a space")),
    ),
    Refused(
        (43,),
        "keys that a URL would swallow",
        fleet("  configs:\n    .: x\n    ..: y\n"),
        (("fleet.yaml line 4", "."), ("fleet.yaml line 5", "..")),
    ),
    Refused(
        (44,), "a line break in a key", fleet('  configs:\n    "a\\r\\nX: 1": x\n'), (("fleet.yaml line 4", "\\r"),)
    ),
    Refused(
        (45,),
        "two devices that are one",
        fleet(f"  devices:\n    a: {{sid: {sid(1)}}}\n    b: {{sid: {sid(1)}}}\n"),
        (("one unit", "microvisor.devices.a", "microvisor.devices.b", "fleet.yaml:4", "fleet.yaml:5"),),
    ),
]

GOOD_IDENTITY = [
    Accepted(
        (40,),
        "names that differ in case alone are two names",
        fleet(f"  devices: {{Dev: {{sid: {sid(1)}}}, dev: {{sid: {sid(2)}}}}}\n"),
        names={sid(1): "Dev", sid(2): "dev"},
    ),
    Accepted(
        (41,),
        "two devices swap their names",
        fleet(f"  devices: {{a: {{sid: {sid(2)}}}, b: {{sid: {sid(1)}}}}}\n"),
        names={sid(1): "b", sid(2): "a"},
        world={"devices": {sid(1): {"unique_name": "a"}, sid(2): {"unique_name": "b"}}},
    ),
    Accepted(
        (43,),
        "keys that would leave their place in a URL, were they not encoded",
        fleet(
            "".join(
                f"    {json.dumps(key)}: new\n" for key in ("../../Accounts", "a?b=c", "a#f", "..%2f", "%00", "a/b")
            ).join(["  configs:\n", ""])
        ),
        {"": dict.fromkeys(("../../Accounts", "a?b=c", "a#f", "..%2f", "%00", "a/b"), "new")},
        world={"configs": {"a?b=c": "old", "../../Accounts": "old"}},
    ),
]

PROGRAM = """x'+__import__("os").system("touch EXECUTED")+'{{7*7}}.yaml"""
EXPRESSIONS = (
    (47, "''.__class__.__mro__"),
    (48, "''|attr('__class__')"),
    (49, "('{0.__class__}'|attr('format'))(x)"),
    (50, "lipsum.__globals__"),
    (50, "cycler.__init__.__globals__"),
    (51, "var.delete_all()"),
    (52, "'A'*10**9"),
    (52, "'%300000000d'|format(1)"),
    (52, "'%*d'|format(300000000, 1)"),
    (52, "'a'|center(10**9)"),
    (52, "range(10**9)|list"),
    (52, "9**(9**9)"),
    (52, "1e308*10"),
    (53, "[1 for x in range(99999)]"),
    (56, "nowhere"),
    (58, "env.TWILIO_AUTH_TOKEN"),
)
STATEMENTS = (  # three, because the same mistake is told with its first three places
    (53, "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
    (54, "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
    (55, "{% include '/etc/passwd' %}{% import '../fleet.yaml' as x %}"),
)


def _configs(values: list[str]) -> dict[str, str | bytes]:
    return fleet("  configs:\n" + "".join(f"    c{at}: {json.dumps(text)}\n" for at, text in enumerate(values)))


TEMPLATES = [
    Refused(
        tuple(sorted({number for number, _ in EXPRESSIONS})),
        "expressions that want out of their box",
        _configs([f"{{{{ {text} }}}}" for _, text in EXPRESSIONS]),
        tuple((f"fleet.yaml line {4 + at},", f"microvisor.configs.c{at}:") for at in range(len(EXPRESSIONS))),
    ),
    Refused(
        (53, 54, 55),
        "statements",
        _configs([text for _, text in STATEMENTS]),
        tuple((f"fleet.yaml line {4 + at},", "statements") for at in range(len(STATEMENTS))),
    ),
    Refused(
        (55,),
        "files that lead out of the repository",
        fleet("""\
  configs:
    a: {file: passwd}
    b: {file: ../../../../../../etc/passwd}
    c: {file: /etc/passwd}
    d: {file: pipe}
    e: {file: .}
    f: {file: /dev/zero}
"""),
        tuple((f"fleet.yaml line {line}",) for line in range(4, 10)),
        prepare=_linked_away,
    ),
    Refused(
        (55,),
        "secrets and includes that lead out of the repository",
        {"fleet.yaml": "fleet: f\ninclude:\n  - /etc\n  - ../../../../../../etc\nmicrovisor:\n  configs: {a: b}\n"},
        (("fleet.yaml line 3",), ("fleet.yaml line 4",)),
    ),
    Refused(
        (55,),
        "a secret out of a link",
        fleet("  secrets: {s: file:passwd}\n"),
        (("microvisor.secrets.s", "passwd"),),
        prepare=_linked_away,
        reads=True,
    ),
    Refused(
        (57,),
        "a file whose name is a program",
        {
            PROGRAM: "fleet: f\nmicrovisor:\n  configs: {a: '{{ no }}'}\n",
        },
        (("line 3", "microvisor.configs.a", "{{7*7}}.yaml"),),
    ),
]

GOOD_TEMPLATES = [
    Accepted(
        (59,),
        "a value that looks like a template is not a template",
        fleet(
            f"  devices:\n    b:\n      for_each: rows.csv\n      key: '{{{{ row.name }}}}'\n      sid: {sid(1)}\n"
            "      configs: {cell: '{{ row.cell }}', items: '{{ row.items }}'}\n"
        )
        | {"rows.csv": "name,cell,items\na,{{7*7}},{% raw %}\n"},
        {sid(1): {"cell": "{{7*7}}", "items": "{% raw %}"}},
    ),
]

REFUSED = [*YAML, *TYPES, *IDENTITY, *TEMPLATES]
ACCEPTED = [*GOOD_YAML, *GOOD_TYPES, *GOOD_IDENTITY, *GOOD_TEMPLATES]
assert SECRET not in str(REFUSED)
