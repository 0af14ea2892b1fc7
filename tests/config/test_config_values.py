# ruff: noqa: E501
"""What a scalar becomes: the schema decides."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from config_fleets import CANARY, SID, config, device, fleet, problems, said, write

from reconcile.core.address import Address
from reconcile.core.values import FileRef, Ref, SecretRef


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("0123", "0123"),
        ("1.10", "1.10"),
        ("300", "300"),
        ("12:30:00", "12:30:00"),
        ("11:22:33:44:55:33", "11:22:33:44:55:33"),
        ("2024-01-31", "2024-01-31"),
        ("true", "true"),
        ("1e3", "1e3"),
        ("0x1F", "0x1F"),
        (".nan", ".nan"),
        ("9" * 4000, "9" * 4000),
        ('""', ""),
        ("''", ""),
        ('"null"', "null"),
        ("'~'", "~"),
        ("Null value", "Null value"),
        ('"a\\tb\\u00e9"', "a\tbé"),
        ('"{not a template}"', "{not a template}"),
        ("{value: 7}", "7"),
        ("{value: true, protect: true, on_removal: forget, labels: {a: 1}}", "true"),
    ],
)
def test_a_text_field_takes_the_scalar_as_it_is_written(tmp_path: Path, written: str, text: str) -> None:
    assert config(tmp_path, written) == text


@pytest.mark.parametrize("written", ["", "~", "null", "Null", "NULL", "{value: ~}", "{value: x, when: false}"])
def test_nothing_is_not_written_here(tmp_path: Path, written: str) -> None:
    assert config(tmp_path, written) is None


def test_a_literal_block_keeps_its_lines(tmp_path: Path) -> None:
    assert config(tmp_path, "|\n      a\n      b") == "a\nb\n"


def test_a_resource_that_says_nothing_is_not_managed_and_said_so(tmp_path: Path) -> None:
    document = fleet(tmp_path, "microvisor:\n  devices:\n    a:\n    b: {}\n")
    assert document.count("microvisor.devices") == 1
    assert "microvisor.devices.a has no value" in document.warnings[0]


@pytest.mark.parametrize(("written", "value"), [("true", True), ("False", False), ("TRUE", True)])
def test_a_boolean_field_takes_what_is_written_as_one(tmp_path: Path, written: str, value: bool) -> None:
    assert device(tmp_path, f"{{logging: {written}}}").attrs["logging"] is value


@pytest.mark.parametrize("written", ["'yes'", "yes", "1", "'true'", "on", "[true]", "{a: b}", "''"])
def test_a_boolean_field_takes_nothing_else(tmp_path: Path, written: str) -> None:
    found = problems(tmp_path, f"microvisor:\n  devices:\n    d: {{logging: {written}}}\n")
    assert "true or false" in said(found)
    assert found[0].where is not None and (found[0].where.line, found[0].address) == (
        4,
        "microvisor.devices.d (logging)",
    )


def geofence(root: Path, lat: str) -> Any:
    body = (
        f"asset_tracker:\n  trackers:\n    t: {{configuration: {{locationTracking: {{geofence: {{lat: {lat}}}}}}}}}\n"
    )
    document = fleet(root, body)
    found = document.get(Address("asset_tracker.trackers.t"))
    assert found is not None
    return found.attrs["configuration"]["locationTracking"]["geofence"]["lat"]


@pytest.mark.parametrize(
    ("written", "value"),
    [("59.91", 59.91), ("-5", -5), ("+5", 5), ("1e1", 10.0), (".5", 0.5), ("5.", 5.0), ("0x1F", 31), ("0o17", 15)],
)
def test_a_number_field_takes_what_is_written_as_one(tmp_path: Path, written: str, value: float) -> None:
    found = geofence(tmp_path, written)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "written", [".nan", ".inf", '"51"', "true", "0123", "12:30:00", "1_000", "1e999", "9" * 5000, "five", "'59,91'"]
)
def test_a_number_field_takes_nothing_else(tmp_path: Path, written: str) -> None:
    body = f"asset_tracker:\n  trackers:\n    t: {{configuration: {{locationTracking: {{geofence: {{lat: {written}}}}}}}}}\n"
    found = problems(tmp_path, body)
    assert "is not a number" in said(found)


@pytest.mark.parametrize(
    ("written", "words"),
    [("90.0001", "at most 90"), ("-91", "at least -90")],
)
def test_a_number_beyond_its_range_is_shown_with_its_place(tmp_path: Path, written: str, words: str) -> None:
    body = f"asset_tracker:\n  trackers:\n    t:\n      configuration:\n        locationTracking:\n          geofence:\n            lat: {written}\n"
    found = problems(tmp_path, body)
    assert words in found[0].what and written in found[0].what
    assert found[0].where is not None and (found[0].where.line, found[0].where.column) == (8, 18)
    assert found[0].snippet == f"            lat: {written}"


def test_a_whole_number_field(tmp_path: Path) -> None:
    body = "asset_tracker: {{trackers: {{t: {{configuration: {{connectingPeriod: {0}}}}}}}}}\n"
    assert "whole number" in said(problems(tmp_path, body.format("60.5")))
    found = fleet(tmp_path, body.format("60.0")).get(Address("asset_tracker.trackers.t"))
    assert found is not None and found.attrs["configuration"] == {"connectingPeriod": 60}


def test_what_the_api_makes_cannot_be_written(tmp_path: Path) -> None:
    body = "asset_tracker: {trackers: {t: {configuration: {updateId: x}}}}\n"
    assert "updateId cannot be set in a document" in said(problems(tmp_path, body))


def test_a_text_may_be_the_text_of_a_file(tmp_path: Path) -> None:
    files = {"certs/ca.pem": "-----BEGIN\r\nx\n"}
    assert config(tmp_path, "{file: certs/ca.pem}", files) == "-----BEGIN\r\nx\n"
    assert config(tmp_path, "{value: {file: certs/ca.pem}, protect: true}", files) == "-----BEGIN\r\nx\n"
    assert config(tmp_path, "{file: 'certs/{{ key }}a.pem'}", {"certs/ca.pem": "y"}) == "y"


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("nowhere.pem", "does not exist"),
        ("/etc/hostname", "is absolute"),
        ("../../../../../../etc/hostname", "lies outside"),
        ("link", "lies outside"),
        ("loop", "link that leads nowhere"),
        ("pipe", "is a pipe"),
        ("directory", "is a directory"),
        ("binary", "is not UTF-8"),
        ("large", "is larger than"),
        ("[a]", "names one file"),
        ("certs/ca.pme", 'Did you mean "ca.pem"'),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_at_its_place(tmp_path: Path, named: str, words: str) -> None:
    root = tmp_path / "repository"
    write(root, {".git/HEAD": "", "binary": b"\xff\xfa\xfa", "large": "x" * ((1 << 20) + 1), "certs/ca.pem": ""})
    (root / "directory").mkdir()
    (root / "link").symlink_to("/etc/hostname")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe")
    found = problems(root, f"microvisor:\n  configs:\n    c: {{file: {named}}}\n")
    assert words in said(found)
    assert found[0].where is not None and found[0].where.line == 4


def test_a_bundle_has_the_checksum_of_its_bytes(tmp_path: Path) -> None:
    document = fleet(tmp_path, "microvisor: {apps: {a: {bundle: build/a.zip}}}\n")
    app = document.at(next(iter(document.roots("microvisor.apps"))))
    assert app.attrs["bundle"] == FileRef("build/a.zip", hashlib.sha256(b"zip").hexdigest())


def test_a_checksum_stands_in_for_a_bundle_that_is_not_there(tmp_path: Path) -> None:
    document = fleet(
        tmp_path, f"microvisor: {{apps: {{a: {{bundle: no.zip, sha256: {'AB' * 32}}}, b: {{bundle: no.zip}}}}}}\n"
    )
    a, b = (document.at(handle).attrs["bundle"] for handle in document.roots("microvisor.apps"))
    assert a == FileRef("no.zip", "ab" * 32)
    assert b == FileRef("no.zip", None)


def test_other_bytes_than_the_checksum_says_are_a_warning(tmp_path: Path) -> None:
    document = fleet(tmp_path, f"microvisor: {{apps: {{a: {{bundle: build/a.zip, sha256: {'ab' * 32}}}}}}}\n")
    assert "other bytes" in document.warnings[0]


@pytest.mark.parametrize("bundle", ["build", "/etc/hostname", "../../../../../../etc/hostname", "[a]"])
def test_a_bundle_that_is_no_file_of_the_repository_is_an_error(tmp_path: Path, bundle: str) -> None:
    root = tmp_path / "repository"
    write(root, {".git/HEAD": ""})
    problems(root, f"microvisor: {{apps: {{a: {{bundle: {bundle}}}}}}}\n")


def test_a_secret_is_a_reference(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "microvisor:\n  secrets:\n    a: env:WIFI_PSK\n    b: file:secrets/b\n    c: file:../s.json#/x/y\n"
        "    d: {value: env:D, protect: true}\n",
    )
    assert [document.at(handle).attrs["value"] for handle in document.roots("microvisor.secrets")] == [
        SecretRef("env", "WIFI_PSK"),
        SecretRef("file", "secrets/b"),
        SecretRef("file", "../s.json", "/x/y"),
        SecretRef("env", "D"),
    ]


@pytest.mark.parametrize(
    "literal",
    [
        CANARY,
        f'"{CANARY}"',
        f"evn:{CANARY}",
        f"x:{CANARY}",
        f"env:{CANARY} with blanks",
        f"[{CANARY}]",
        f"{{a: {CANARY}}}",
        f"{{value: {CANARY}}}",
        f"{{vlaue: {CANARY}}}",
        f"file:/{CANARY}",
        f'"{CANARY}{{{{ fleet }}}}"',
        f"\"{{{{ '{CANARY}' }}}}\"",
        f"|\n      {CANARY}",
        f"&a {CANARY}",
        f"!!str {CANARY}",
        f"@{CANARY}",
        f'"{CANARY}',
        f"{CANARY}: x",
        f"{CANARY}{{{{ x }}}} }}",
    ],
)
def test_a_literal_in_place_of_a_secret_is_an_error_that_does_not_show_it(tmp_path: Path, literal: str) -> None:
    found = problems(tmp_path, f"microvisor:\n  secrets:\n    wifi: {literal}\n")
    assert found[0].where is not None and found[0].where.line


@pytest.mark.parametrize(
    "body",
    [
        f"providers: {{microvisor: {{auth_token: {CANARY}}}}}\n",
        f"providers: {{microvisor: {{auth_tokn: {CANARY}}}}}\n",
        f"providers:\n  microvisor:\n    auth_token: |\n      {CANARY}\n",
        f"microvisor: {{devices: {{d: {{sid: x, secrets: {{a: {CANARY}}}}}}}}}\n",
        f"microvisor: {{devices: {{d: {{sid: x, secrts: {{a: {CANARY}}}}}}}}}\n",
        f"microvisor: {{devices: {{d: {{logging: x, secrets: {{a: {CANARY}, a: b}}}}}}}}\n",
        f"profiles: {{p: {{secrets: {{a: {CANARY}}}}}}}\nmicrovisor: {{devices: {{d: {{profile: p}}}}}}\n",
        f"microvisor: {{secrts: {{a: {CANARY}}}}}\n",
        f"microvisor:\n  secrets:\n    a: env:A\n    a: {CANARY}\n",
        f"microvisor:\n  secrets:\n    a: env:A\n   b: {CANARY}\n",
    ],
)
def test_no_message_shows_a_secret_of_the_same_line(tmp_path: Path, body: str) -> None:
    problems(tmp_path, body)


def test_a_scheme_that_is_misspelt_gets_a_suggestion(tmp_path: Path) -> None:
    assert 'Did you mean "env"' in said(problems(tmp_path, "microvisor: {secrets: {a: evn:NAME}}\n"))


def test_a_text_that_looks_like_a_reference_is_a_text_with_a_warning(tmp_path: Path) -> None:
    document = fleet(tmp_path, "microvisor:\n  configs:\n    a: env:NAME\n    b: https://x\n    c: 'note: x'\n")
    assert document.at(next(iter(document.roots("microvisor.configs")))).attrs["value"] == "env:NAME"
    assert len(document.warnings) == 1
    assert document.warnings[0].startswith("fleet.yaml:4:8: ")


def test_an_app_is_a_reference_whatever_it_names(tmp_path: Path) -> None:
    assert device(tmp_path, f"{{app: KA{'0' * 32}}}").attrs["app"] == Ref("microvisor.apps", "KA" + "0" * 32)


def test_a_near_miss_of_an_app_is_a_warning(tmp_path: Path) -> None:
    body = "microvisor: {{apps: {{sensor-b-1.4.2: {{bundle: build/a.zip}}}}, devices: {{d: {{app: {0}}}}}}}\n"
    assert 'Did you mean "sensor-b-1.4.2"' in fleet(tmp_path, body.format("sensor-b-1.4.1")).warnings[0]
    assert list(fleet(tmp_path, body.format("something-else")).warnings) == []
    assert list(fleet(tmp_path, body.format("sensor-b-1.4.2")).warnings) == []


def test_a_child_may_be_protected_and_labelled(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "microvisor: {devices: {d: {protect: true, on_removal: clear, labels: {ring: 1},"
        " configs: {a: {value: x, protect: false, on_removal: forget, labels: {b: 'true'}}}}}}\n",
    )
    handle = document.roots("microvisor.devices")[0]  # type: ignore[index]
    root, (child,) = document.at(handle), document.children(handle)
    assert (root.protect, root.on_removal, root.labels, root.attrs) == (True, "clear", {"ring": "1"}, {})
    assert (child.protect, child.on_removal, child.labels, child.attrs) == (
        False,
        "forget",
        {"ring": "1", "b": "true"},  # those of its device, and its own
        {"value": "x"},
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("{targt_app: x}", "is not a key here"),
        ("{ap: x}", 'Did you mean "app"'),
        ("{on_removal: forgt}", 'Did you mean "forget"'),
        ("{protect: maybe}", "true or false"),
        ("{labels: [a]}", "expected a map"),
        ("{profile: nobody}", 'no profile "nobody"'),
        ("{key: x}", "key stands in a block"),
        ("{configs: {a: {for_each: t, key: b}}}", "block cannot stand inside"),
        ("{configs: {b: {for_each: t, key: x, value: y}}}", "block cannot stand inside"),
        ("{configs: {a: {profile: x, value: y}}}", "profiles do not nest"),
        ("{configs: {a: {protect: true}}}", "value is missing"),
        ("{configs: [a]}", "expected a map"),
        ("{configs: x}", "expected a map"),
        ("{sid: short}", "must match"),
        (f"{{sid: {SID}}}", "must match"),
        (f"{{sid: {SID}12}}", "must match"),
        ("text", "expected a map"),
        ("[a]", "expected a map"),
    ],
)
def test_what_a_device_may_not_say(tmp_path: Path, fields: str, words: str) -> None:
    found = problems(tmp_path, f"microvisor:\n  devices:\n    d: {fields}\n")
    assert words in said(found)
    assert found[0].where is not None and found[0].where.line == 4


def test_profiles_merge_maps_and_replace_the_rest(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "profiles:\n"
        "  a: {app: one, configs: {x: 1, y: {value: 2, protect: true}}, labels: {l: a, m: a}}\n"
        "  b: {app: ~, logging: true, configs: {x: ~, z: 3}, labels: {m: b}}\n"
        "microvisor: {devices: {d: {profile: [a, b], configs: {y: 5}, labels: {n: d}}}}\n",
    )
    handle = document.roots("microvisor.devices")[0]  # type: ignore[index]
    root = document.at(handle)
    assert root.attrs == {"app": Ref("microvisor.apps", "one"), "logging": True}
    assert root.labels == {"l": "a", "m": "b", "n": "d"}
    assert {one.address.key: (one.attrs["value"], one.protect) for one in document.children(handle)} == {
        "x": ("1", None),
        "y": ("5", True),
        "z": ("3", None),
    }


def test_lists_are_replaced_and_nested_maps_merge(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "profiles: {p: {tags: [a, b], configuration: {connectingPeriod: 5, locationTracking: {geofence: {lat: 1, lng: 2}}}}}\n"
        "asset_tracker: {trackers: {t: {profile: p, tags: [c], configuration: {locationTracking: {geofence: {lat: 3}}}}}}\n",
    )
    found = document.get(Address("asset_tracker.trackers.t"))
    assert found is not None and found.attrs == {
        "tags": ["c"],
        "configuration": {"connectingPeriod": 5, "locationTracking": {"geofence": {"lat": 3, "lng": 2}}},
    }


def test_profiles_do_not_nest_and_are_checked_where_they_are_used(tmp_path: Path) -> None:
    body = "profiles: {p: {profile: q}, q: {}, bad: {nonsense: 1}}\nmicrovisor: {devices: {d: {profile: p}}}\n"
    found = problems(tmp_path, body)
    assert len(found) == 1 and "do not nest" in found[0].what
    body = "profiles: {bad: {connectingPeriod: 1}}\nmicrovisor: {devices: {d: {profile: bad}, e: {profile: bad}}}\n"
    assert "is not a key here" in said(problems(tmp_path, body))


def test_when_decides_before_anything_else(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "variables: {on: {default: false}}\nmicrovisor:\n  devices:\n"
        "    a: {when: '{{ var.on }}', sid: '{{ var.nothing }}'}\n    b: {when: true}\n"
        "    c: {when: \"{{ key == 'x' }}\"}\n    d: {configs: {e: {value: '{{ var.nothing }}', when: '{{ var.on }}'}}}\n",
    )
    assert [document.at(handle).address.key for handle in document.roots("microvisor.devices")] == ["b", "d"]
    assert document.count("microvisor.devices.configs") == 0


@pytest.mark.parametrize("key", [".", "..", '"dev\\u200b-1"', "'e\u0301'", "' a'", '"a\\r\\nX: 1"', "''"])
def test_a_key_that_looks_like_another_is_refused(tmp_path: Path, key: str) -> None:
    for body in (
        f"microvisor:\n  devices:\n    {key}: {{}}\n",
        f"microvisor:\n  devices:\n    d: {{configs: {{{key}: 1}}}}\n",
    ):
        assert "the key" in said(problems(tmp_path, body))


@pytest.mark.parametrize("key", ["../../Accounts", "a?b=c", "a#f", "..%2f", "%00", "mqtt.host", "no", "å"])
def test_a_key_of_any_visible_text_has_an_address(tmp_path: Path, key: str) -> None:
    document = fleet(tmp_path, f"microvisor:\n  configs:\n    {key!r}: 1\n")
    address = document.at(next(iter(document.roots("microvisor.configs")))).address
    assert address.key == key
    assert Address.parse(address) == address


def test_keys_that_differ_in_case_are_a_warning(tmp_path: Path) -> None:
    document = fleet(tmp_path, "microvisor: {devices: {Dev-1: {}, dev-1: {}}}\n")
    assert "differ only in case" in document.warnings[0]


def test_two_resources_of_one_unit_are_an_error_naming_both(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        f"microvisor:\n  devices:\n    a: {{sid: {SID}a}}\n    b: {{sid: {SID}A}}\n    c: {{unique_name: d}}\n    d: {{}}\n",
    )
    assert [one.what for one in found] == [
        f'two devices are one unit: microvisor.devices.a (fleet.yaml:4:5) and microvisor.devices.b (fleet.yaml:5:5), id "{SID}a"',
        'two devices are one unit: microvisor.devices.c (fleet.yaml:6:5) and microvisor.devices.d (fleet.yaml:7:5), name "d"',
    ]


def test_names_that_swap_are_fine(tmp_path: Path) -> None:
    body = f"microvisor: {{devices: {{a: {{sid: {SID}1, unique_name: b}}, b: {{sid: {SID}2, unique_name: a}}}}}}\n"
    assert fleet(tmp_path, body).count("microvisor.devices") == 2


def test_what_the_type_checks_itself_has_its_place(tmp_path: Path) -> None:
    found = problems(tmp_path, "microvisor:\n  devices:\n    UV0001: {}\n")
    assert found[0].what == "the name looks like a SID"
    assert found[0].hint == "Give it another name"
    assert found[0].where is not None and found[0].where.line == 4


def test_a_value_of_4097_characters_is_too_long_and_not_shown_whole(tmp_path: Path) -> None:
    found = problems(tmp_path, f"microvisor: {{configs: {{a: {'Ω' * 4097}}}}}\n")
    assert "more than 4,096 characters" in found[0].what
    assert len(found[0].what) < 300
    assert config(tmp_path, "Ω" * 4096) == "Ω" * 4096
