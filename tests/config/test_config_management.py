"""What a document may say about Device Management, as `validate` tells it (docs/apis/device_management.md)."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from config_fleets import CANARY, fleet, problems, said, write

from reconcile.cli import reconcile
from reconcile.cli.output import run
from reconcile.core.address import Address
from reconcile.errors import Problem
from reconcile.providers.registry import Providers
from reconcile.simulator import running

PROVIDERS = Providers()
ID, OTHER_ID = "0158d38771f70000000000010010038c", "0158d38771f70000000000010010038d"
ENDPOINT = "endpoint-of-pump-1"
FILES: Mapping[str, str] = {"one.bin": "firmware", "one.manifest": "manifest"}
BASE: Mapping[str, Any] = {
    "devices": {"endpoint_name": "pump-0001"},
    "groups": {},
    "firmware_images": {"file": "one.bin"},
    "firmware_manifests": {"file": "one.manifest"},
    "campaigns": {"manifest": "2.0", "group": "north"},
    "shared_keys": {"secret_hex": "env:PSK"},
}
"""The least of each section, to which a test adds."""
NAMED = ["devices", "groups", "firmware_images", "firmware_manifests", "campaigns"]


def body(section: str, key: str = "r", **fields: Any) -> str:
    """One resource; each of its fields, and of its custom attributes, has a line of its own from line 5 on."""
    lines = ["device_management:", f"  {section}:", f"    {json.dumps(key)}:"]  # lines 2 to 4
    for name, value in {**BASE[section], **fields}.items():
        if name == "custom_attributes":
            lines.append(f"      {name}:")
            lines += [f"        {json.dumps(inner)}: {json.dumps(text)}" for inner, text in value.items()]
        else:
            lines.append(f"      {name}: {json.dumps(value)}")
    return "\n".join(lines if len(lines) > 3 else [*lines[:2], f"    {json.dumps(key)}: {{}}"]) + "\n"


def line_of(text: str, needle: str) -> int:
    """Where it stands in the file, whose first line is `fleet:`."""
    return next(n for n, line in enumerate(text.splitlines(), 2) if needle in line)


def accepted(root: Path, text: str) -> Any:
    """The document; nothing is wrong, and nothing is warned of but references to what is not in the files."""
    document = fleet(root, text, FILES, providers=PROVIDERS)
    assert list(document.warnings) == []
    return document


def refused(root: Path, text: str, files: Mapping[str, str] = FILES) -> list[Problem]:
    found = problems(root, text, files, providers=PROVIDERS)
    for problem in found:
        assert problem.where is not None and str(problem.where).startswith("fleet.yaml:"), problem
        assert problem.address, problem
    return found


def one(root: Path, text: str, needle: str) -> Problem:
    """The one thing that is wrong, at the line that has the needle."""
    (found,) = refused(root, text)
    assert str(found.where).startswith(f"fleet.yaml:{line_of(text, needle)}:"), (found, text)
    return found


def of_the_whole(root: Path, text: str) -> Problem:
    """The one thing that is wrong with a resource, its key included: at the key, or where its fields begin."""
    (found,) = refused(root, text)
    assert str(found.where).split(":")[1] in ("4", "5"), found
    return found


# Lengths, at both bounds


@pytest.mark.parametrize("section", NAMED)
@pytest.mark.parametrize("letter", ["x", "ü", "漢"])
def test_a_name_has_up_to_128_characters(tmp_path: Path, section: str, letter: str) -> None:
    accepted(tmp_path, body(section, name=letter * 128))
    accepted(tmp_path, body(section, letter * 128))
    found = one(tmp_path, body(section, name=letter * 129), "      name: ")
    assert "129 characters" in found.what and "128" in (found.hint or "")
    assert "129 characters" in of_the_whole(tmp_path, body(section, letter * 129)).what


@pytest.mark.parametrize("section", NAMED)
def test_a_name_is_not_empty_and_has_no_control_characters(tmp_path: Path, section: str) -> None:
    for name in ("", "a\nb", "a\x7fb"):
        assert "name" in one(tmp_path, body(section, name=name), "      name: ").what


@pytest.mark.parametrize("section", NAMED)
def test_a_description_has_up_to_2000_characters(tmp_path: Path, section: str) -> None:
    for text in ("", "x" * 2000):
        accepted(tmp_path, body(section, description=text))
    found = one(tmp_path, body(section, description="x" * 2001), "description: ")
    assert "more than 2,000 characters" in found.what and "description" in said([found])


@pytest.mark.parametrize(
    "field,most", [("endpoint_type", 64), ("endpoint_name", 64), ("device_key", 512), ("ca_id", 500)]
)
def test_texts_of_a_device_have_a_length(tmp_path: Path, field: str, most: int) -> None:
    accepted(tmp_path, body("devices", **{field: "x" * most}))
    found = one(tmp_path, body("devices", **{field: "x" * (most + 1)}), f"{field}: ")
    assert str(most) in said([found]) and field in said([found])


# Custom attributes


@pytest.mark.parametrize("section,most", [("devices", 5), ("groups", 10)])
def test_there_are_so_many_custom_attributes_and_no_more(tmp_path: Path, section: str, most: int) -> None:
    for count in (0, most):
        accepted(tmp_path, body(section, custom_attributes={f"k{n}": "x" for n in range(count)}))
    (found,) = refused(tmp_path, body(section, custom_attributes={f"k{n}": "x" for n in range(most + 1)}))
    assert f"more than {most}" in found.what and "custom_attributes" in said([found])


@pytest.mark.parametrize("section", ["devices", "groups"])
@pytest.mark.parametrize("key", ["1line", "_line", "-", "", " line", "übung", "漢"])
def test_the_key_of_a_custom_attribute_begins_with_a_letter(tmp_path: Path, section: str, key: str) -> None:
    accepted(tmp_path, body(section, custom_attributes={"l1-_ .ü": "x"}))
    found = one(tmp_path, body(section, custom_attributes={"a": "x", key: "x"}), f"{json.dumps(key)}: ")
    assert "begin with a letter" in found.what and repr(key) in found.what


@pytest.mark.parametrize("section", ["devices", "groups"])
def test_the_key_and_the_value_of_a_custom_attribute_have_up_to_128_characters(tmp_path: Path, section: str) -> None:
    accepted(tmp_path, body(section, custom_attributes={"k" * 128: "v" * 128, "empty": ""}))
    found = one(tmp_path, body(section, custom_attributes={"k" * 129: "v"}), "k" * 129)
    assert "129 characters" in found.what and "128" in (found.hint or "")
    found = one(tmp_path, body(section, custom_attributes={"a": "v", "b": "v" * 129}), '"b": ')
    assert "128" in said([found])


def test_a_custom_attribute_is_a_text_as_it_is_written(tmp_path: Path) -> None:
    text = body("devices") + "      custom_attributes: {line: 007, on: yes, half: 1.50}\n"
    attrs = accepted(tmp_path, text).get(Address("device_management.devices.r")).attrs
    assert attrs["custom_attributes"] == {"line": "007", "on": "yes", "half": "1.50"}
    for value in ({"a": 1}, [1]):
        one(tmp_path, body("devices", custom_attributes={"line": value}), "line")


# Pre-shared keys


@pytest.mark.parametrize("name", ["x" * 16, "x" * 64, " !\"#$%&'()*+,-./", "~}|{`^]\\[@?>=<;:"])
def test_the_endpoint_name_of_a_key_is_16_to_64_printable_characters(tmp_path: Path, name: str) -> None:
    accepted(tmp_path, body("shared_keys", endpoint_name=name))
    if name == name.strip():
        accepted(tmp_path, body("shared_keys", name))


@pytest.mark.parametrize("name", ["x" * 15, "x" * 65, "", "x" * 16 + "\n", "x" * 16 + "ü", "x" * 16 + "\x7f"])
def test_what_cannot_be_the_endpoint_name_of_a_key_is_refused(tmp_path: Path, name: str) -> None:
    found = one(tmp_path, body("shared_keys", endpoint_name=name), "endpoint_name")
    assert "16 to 64" in (found.hint or "")
    if name and name.isprintable():
        assert "16 to 64" in (of_the_whole(tmp_path, body("shared_keys", name)).hint or "")


@pytest.mark.parametrize("literal", ["4a" * 16, "0x" + "4A" * 32, CANARY, "not hex at all"])
@pytest.mark.parametrize("form", ["scalar", "field"])
def test_a_secret_that_is_a_literal_is_refused_and_not_shown(tmp_path: Path, literal: str, form: str) -> None:
    written = json.dumps(literal)
    entry = written if form == "scalar" else f"\n      secret_hex: {written}"
    text = f"device_management:\n  shared_keys:\n    {ENDPOINT}: {entry}\n"
    found = one(tmp_path, text, literal)
    assert "reference" in found.what and literal not in said([found]) + repr(found)


@pytest.mark.parametrize("literal", ["ak_1MDE2MWVmMTJhNGJhM2Q5Y2Q1", CANARY])
def test_an_api_key_that_is_a_literal_is_refused_and_not_shown(tmp_path: Path, literal: str) -> None:
    text = f"providers:\n  device_management:\n    api_key: {literal}\n" + body("groups")
    found = one(tmp_path, text, literal)
    assert "reference" in found.what and literal not in said([found]) + repr(found)


# Keys that there are not


@pytest.mark.parametrize(
    "section,wrong,right",
    [
        ("devices", "endpoint-name", "endpoint_name"),
        ("devices", "custom_atributes", "custom_attributes"),
        ("devices", "customAttributes", "custom_attributes"),
        ("devices", "group", "groups"),
        ("devices", "lifecyle", "lifecycle"),
        ("groups", "descripton", "description"),
        ("firmware_images", "files", "file"),
        ("firmware_manifests", "sha_256", "sha256"),
        ("campaigns", "manifests", "manifest"),
        ("campaigns", "device", "devices"),
        ("campaigns", "approval_requird", "approval_required"),
        ("shared_keys", "secret-hex", "secret_hex"),
    ],
)
def test_an_unknown_key_is_told_with_the_one_that_was_meant(
    tmp_path: Path, section: str, wrong: str, right: str
) -> None:
    found = one(tmp_path, body(section, ENDPOINT, **{wrong: "x"}), f"{wrong}: ")
    assert found.what == f'"{wrong}" is not a key here' and found.hint == f'Did you mean "{right}"?'


@pytest.mark.parametrize("section", list(BASE))
@pytest.mark.parametrize("field", ["etag", "created_at", "object"])
def test_what_the_api_alone_writes_is_no_key(tmp_path: Path, section: str, field: str) -> None:
    one(tmp_path, body(section, ENDPOINT, **{field: "x"}), f"{field}: ")


def test_an_unknown_section_is_told_with_the_one_that_was_meant(tmp_path: Path) -> None:
    for wrong, right in (
        ("device", "devices"),
        ("firmware_image", "firmware_images"),
        ("firmware-images", "firmware_images"),
        ("campaign", "campaigns"),
    ):
        text = f"device_management:\n  {wrong}:\n    a: {{}}\n"
        (found,) = problems(tmp_path, text, providers=PROVIDERS)
        assert str(found.where).startswith("fleet.yaml:3:") and f'"{right}"' in (found.hint or ""), found
    (found,) = problems(tmp_path, "device_managment:\n  groups: {a: {}}\n", providers=PROVIDERS)
    assert found.hint == 'Did you mean "device_management"?' and str(found.where).startswith("fleet.yaml:2:")


@pytest.mark.parametrize(
    "section,field,value,words",
    [
        ("devices", "auto_update", "yes", "not true or false"),
        ("devices", "lifecycle", "manged", "is not one of"),
        ("devices", "custom_attributes", {"a": ["b"]}, ""),
        ("devices", "groups", "north", ""),
        ("campaigns", "strategy", "oneshot", "is not one of"),
        ("campaigns", "autostop", 1, "not true or false"),
        ("campaigns", "start", "no", "not true or false"),
        ("campaigns", "autostop_success_percent", 100.5, "at most 100"),
        ("campaigns", "autostop_success_percent", -0.5, "at least 0"),
        ("campaigns", "autostop_success_percent", "many", "number"),
        ("firmware_images", "sha256", "ab" * 31, ""),
    ],
)
def test_a_value_of_another_kind_is_refused(tmp_path: Path, section: str, field: str, value: Any, words: str) -> None:
    text = body(section, **{field: value})
    (found,) = refused(tmp_path, text)
    assert words in found.what, found
    assert int(str(found.where).split(":")[1]) >= line_of(text, f"{field}:")


def test_the_bounds_of_a_share_are_in_it(tmp_path: Path) -> None:
    for value in (0, 100, 99.5):
        text = body("campaigns", autostop_success_percent=value)
        assert accepted(tmp_path, text) is not None


# Units


@pytest.mark.parametrize("id", [ID[:-1], ID + "0", "g" + ID[1:], "", f"{ID[:8]}-{ID[8:]}", f" {ID}", "0x" + ID[2:]])
def test_an_id_is_32_hex_digits(tmp_path: Path, id: str) -> None:
    accepted(tmp_path, body("devices", id=ID.upper()))
    assert "(id)" in (one(tmp_path, body("devices", id=id), "      id: ").address or "")


@pytest.mark.parametrize(
    "first,second",
    [
        ({"id": ID}, {"id": ID}),
        ({"id": ID}, {"id": ID.upper()}),
        ({"endpoint_name": "pump-0001"}, {"endpoint_name": "pump-0001"}),
        ({"id": ID, "endpoint_name": "a"}, {"id": ID, "endpoint_name": "b"}),
    ],
)
def test_two_devices_with_one_unit_are_an_error_that_names_both(
    tmp_path: Path, first: dict[str, str], second: dict[str, str]
) -> None:
    text = f"device_management:\n  devices:\n    a: {json.dumps(first)}\n    b: {json.dumps(second)}\n"
    (found,) = refused(tmp_path, text)
    assert "device_management.devices.a" in said([found]) and "device_management.devices.b" in said([found])
    assert "fleet.yaml:4" in said([found]) and "fleet.yaml:5" in said([found])


@pytest.mark.parametrize("section", ["groups", "shared_keys"])
def test_two_of_one_name_are_an_error_where_the_api_refuses_the_second(tmp_path: Path, section: str) -> None:
    name = {"groups": "name", "shared_keys": "endpoint_name"}[section]
    fields = json.dumps({**BASE[section], name: ENDPOINT})
    text = f"device_management:\n  {section}:\n    {ENDPOINT}: {json.dumps(BASE[section])}\n    other: {fields}\n"
    (found,) = refused(tmp_path, text)
    assert "fleet.yaml:4" in said([found]) and "fleet.yaml:5" in said([found])


def test_devices_may_share_a_name(tmp_path: Path) -> None:
    text = f"device_management:\n  devices:\n    a: {{id: {ID}, name: pump}}\n    b: {{id: {OTHER_ID}, name: pump}}\n"
    accepted(tmp_path, text)


# Campaigns, and what names something else


def test_a_campaign_is_for_devices_or_for_a_group(tmp_path: Path) -> None:
    accepted(tmp_path, body("campaigns"))
    both = body("campaigns", devices=["pump-1"])
    found = one(tmp_path, both, "group: ")
    assert found.what == "devices and group are written" and found.hint
    neither = "device_management:\n  campaigns:\n    r:\n      manifest: 2.0\n"
    assert of_the_whole(tmp_path, neither).what == "neither devices nor a group is written"
    (found,) = refused(tmp_path, neither + "      devices: []\n")
    assert str(found.where).startswith("fleet.yaml:6:")


@pytest.mark.parametrize("section,lacking", [("campaigns", "manifest"), ("firmware_images", "file")])
def test_what_has_to_be_there_is_named(tmp_path: Path, section: str, lacking: str) -> None:
    kept = {name: value for name, value in BASE[section].items() if name != lacking} or {"description": "x"}
    text = f"device_management:\n  {section}:\n    r: {json.dumps(kept)}\n"
    (found,) = refused(tmp_path, text)
    assert lacking in said([found]) and str(found.where).startswith("fleet.yaml:4:")


@pytest.mark.parametrize(
    "section,fields",
    [
        ("devices", {"groups": ["nort-west"]}),
        ("campaigns", {"group": "nort-west"}),
        ("campaigns", {"group": None, "devices": ["pump-nort-west"]}),
        ("campaigns", {"manifest": "firmware-2.0.l"}),
    ],
)
def test_a_near_miss_of_a_name_is_warned_of(tmp_path: Path, section: str, fields: dict[str, Any]) -> None:
    text = body(section, **{name: value for name, value in {**BASE[section], **fields}.items() if value is not None})
    text = "\n".join(line for line in text.splitlines() if not (fields.get("group", "") is None and "group:" in line))
    text += "\n  " + "\n  ".join(
        f"{other}: {{{name}: {json.dumps(BASE[other])}}}"
        for other, name in (
            ("groups", "north-west"),
            ("devices", "pump-north-west"),
            ("firmware_manifests", "firmware-2.0.1"),
        )
        if other != section
    )
    found = list(fleet(tmp_path, text + "\n", FILES, providers=PROVIDERS).warnings)
    assert len(found) == 1 and "Did you mean" in found[0] and found[0].startswith("fleet.yaml:"), found


def test_groups_are_a_list_of_names_and_the_message_says_so(tmp_path: Path) -> None:
    found = one(tmp_path, body("devices", groups="north"), "groups: ")
    assert "a list" in found.what and "a map" not in found.what, found


def test_a_continuous_campaign_is_warned_of(tmp_path: Path) -> None:
    found = list(fleet(tmp_path, body("campaigns", strategy="continuous"), FILES, providers=PROVIDERS).warnings)
    assert len(found) == 1 and "none that come later" in found[0]


@pytest.mark.parametrize("section", ["firmware_images", "firmware_manifests"])
def test_a_checksum_that_is_not_the_files_is_warned_of(tmp_path: Path, section: str) -> None:
    found = list(fleet(tmp_path, body(section, sha256="ab" * 32), FILES, providers=PROVIDERS).warnings)
    assert len(found) == 1 and "has other bytes than its sha256 says" in found[0]


def test_a_checksum_stands_in_for_the_file(tmp_path: Path) -> None:
    accepted(tmp_path, body("firmware_images", file="gone.bin", sha256="ab" * 32))


# All at once, and nothing is sent

WRONG = {
    "groups": {"n" * 129: {}, "south": {"descripton": "x"}},
    "devices": {
        "pump-1": {"id": "12"},
        "pump-2": {"endpoint_name": "pump-2", "custom_attributes": {"1": "x"}},
        "pump-3": {"endpoint_name": "pump-2"},
    },
    "firmware_images": {"one": {"file": ""}, "two": {"fille": "x"}},
    "campaigns": {"spring": {"manifest": "one"}},
    "shared_keys": {"short": "env:PSK", ENDPOINT: CANARY},
}


@pytest.mark.parametrize("command", [("validate",), ("plan",), ("apply", "--auto-approve")])
def test_all_that_is_wrong_is_told_in_one_pass_and_nothing_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    document = {"fleet": "f", "device_management": WRONG}
    write(tmp_path, {"fleet.yaml": json.dumps(document, indent=2)})
    out, err = io.StringIO(), io.StringIO()
    with running(world={"api_key": "ak_x"}) as sim:
        monkeypatch.setenv("RECONCILE_SIMULATOR", sim.url)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(reconcile, [command[0], str(tmp_path), *command[1:]])
        sent = [row for row in sim.requests(0) if not row["path"].startswith("/_sim")]
    assert code == 3, err.getvalue()
    assert sent == [] and not (tmp_path / "state").exists()
    assert CANARY not in out.getvalue() + err.getvalue()
    for words in (
        "129 characters",
        '"descripton" is not a key here',
        "devices.pump-1",
        "begin with a letter",
        "devices.pump-3",
        "neither devices nor a group",
        "16 to 64",
        "reference",
    ):
        assert words in err.getvalue(), (words, err.getvalue())
    assert err.getvalue().count("fleet.yaml line ") >= 9
