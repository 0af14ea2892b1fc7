"""Device Management without its API: how documents find units, what is wrong with them, and what a PUT carries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.core.schema import fields_of
from reconcile.core.values import FileRef
from reconcile.provider import Address, BadAnswer, Desired, Edit, Entry, Lifecycle, Observed
from reconcile.provider.rest import dated, moment
from reconcile.providers.device_management import DeviceManagement
from reconcile.providers.device_management.devices import FILTER_LENGTH, IN_FILTER, DeviceType, filters_for, read_device
from reconcile.providers.device_management.fields import composed, version_of
from reconcile.providers.device_management.firmware import ImageType, ManifestType, alias
from reconcile.providers.device_management.groups import GroupType, read_group
from reconcile.providers.device_management.keys import SharedKeyType

DEVICE, GROUP, IMAGE, KEY = DeviceType(), GroupType(), ImageType(), SharedKeyType()
ID = "0158d38771f70000000000010010000a"
AT = Address("device_management.devices.pump")
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=64)


@pytest.mark.parametrize(
    ("written", "when"),
    [
        ("2016-11-30T16:25:12.1234Z", datetime(2016, 11, 30, 16, 25, 12, tzinfo=UTC)),
        ("20161130T162512Z", datetime(2016, 11, 30, 16, 25, 12, tzinfo=UTC)),
        ("2016-11-30T17:25:12+01:00", datetime(2016, 11, 30, 16, 25, 12, tzinfo=UTC)),
        ("2016-11-30t16:25:12.999999999z", datetime(2016, 11, 30, 16, 25, 12, tzinfo=UTC)),
        ("2016-11-30 16:25:12,5", datetime(2016, 11, 30, 16, 25, 12, tzinfo=UTC)),
        ("20161130T172512+0100", datetime(2016, 11, 30, 16, 25, 12, tzinfo=UTC)),
        ("2016-W48-3T16:25:12Z", datetime(2016, 11, 30, 16, 25, 12, tzinfo=UTC)),
        ("0001-01-01T00:00:00+23:00", None),
        ("2016-11-30", datetime(2016, 11, 30, tzinfo=UTC)),
        ("20169930T162512Z", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_dates_of_any_spelling_are_one_moment(written: Any, when: datetime | None) -> None:
    assert moment(written) == when
    assert dated(written) == (when.strftime("%Y-%m-%dT%H:%M:%SZ") if when else written)


@pytest.mark.parametrize(
    ("attrs", "unit"),
    [
        ({}, (None, "pump")),
        ({"name": "Pump"}, (None, "Pump")),
        ({"id": ID.upper()}, (ID, "pump")),
        ({"endpoint_name": "Pump-1"}, ("endpoint_name:Pump-1", "pump")),
        ({"id": ID, "endpoint_name": "pump-1", "name": "p"}, (ID, "p")),
    ],
)
def test_a_device_is_found_by_id_else_endpoint_name_else_name(attrs: dict[str, Any], unit: Any) -> None:
    assert DEVICE.unit(attrs, "pump") == unit


def test_a_live_device_answers_to_what_a_document_calls_it() -> None:
    seen = read_device({"id": ID, "endpoint_name": "pump-1", "name": "", "groups": ["a" * 32], "unknown": [1]})
    assert seen.aliases == (DEVICE.unit({"endpoint_name": "pump-1"}, "x")[0],)
    assert seen.name is None and seen.attrs["custom_attributes"] == {} and seen.attrs["auto_update"] is False
    (part,) = seen.parts["device_management.devices.groups"]
    assert (part.id, part.parent, part.attrs) == ("a" * 32, ID, {"group": "a" * 32})
    assert set(seen.attrs) <= set(fields_of(DEVICE.Model))


@pytest.mark.parametrize("member", [{}, {"id": 7}, {"id": ID, "groups": "a"}, {"id": ID, "custom_attributes": []}])
def test_what_is_no_device_is_a_bad_answer(member: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer):
        read_device(member)


def test_the_life_of_a_device_follows_its_lifecycle() -> None:
    for attrs in ({}, {"lifecycle": "adopted"}):
        assert DEVICE.lifecycle(attrs) == Lifecycle(create=False, delete=False, on_removal="forget")
    managed = {"lifecycle": "managed"}
    assert DEVICE.lifecycle(managed) == Lifecycle(create=True, delete=True, on_removal="delete")
    assert DEVICE.lifecycle({**managed, "id": ID}) == Lifecycle(create=False, delete=True, on_removal="delete")


@pytest.mark.parametrize("kind", [DEVICE, GROUP])
@pytest.mark.parametrize(
    ("attrs", "key", "path"),
    [
        ({}, "x" * 129, ()),
        ({"name": "x" * 129}, "pump", ("name",)),
        ({"name": " pump"}, "pump", ("name",)),
        ({"custom_attributes": {"1st": "x"}}, "pump", ("custom_attributes", "1st")),
        ({"custom_attributes": {"": "x"}}, "pump", ("custom_attributes", "")),
        ({"custom_attributes": {"k" * 129: "x"}}, "pump", ("custom_attributes", "k" * 129)),
    ],
)
def test_names_and_attributes_that_the_api_cannot_hold(kind: Any, attrs: Any, key: str, path: tuple[str, ...]) -> None:
    assert [where for where, _, _ in kind.check(attrs, key)] == [path]
    assert kind.check({"custom_attributes": {"line": "3"}}, "pump") == []


ATTRIBUTES = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("xyz"), max_size=4)


@given(live=ATTRIBUTES, ours=ATTRIBUTES, recorded=ATTRIBUTES)
def test_a_put_carries_our_attributes_and_those_of_others(
    live: dict[str, str], ours: dict[str, str], recorded: dict[str, str]
) -> None:
    """Paths as the core finds them: what differs of ours, and what was ours, is there and not written any more."""
    paths = [("custom_attributes", key) for key in ours if live.get(key) != ours[key]]
    paths += [("custom_attributes", key) for key in recorded if key in live and key not in ours]
    patch = composed(
        Edit(paths, [], {"custom_attributes": ours}, Observed(ID, {"custom_attributes": live}), None), 10, "device"
    )
    whole = {key: value for key, value in live.items() if key not in recorded or key in ours} | ours
    assert patch.body == ({"custom_attributes": whole} if paths else {})


def test_more_attributes_than_there_can_be_are_named() -> None:
    seen = Observed(ID, {"custom_attributes": dict.fromkeys("abcde", "x")})
    (mistake,) = composed(
        Edit([("custom_attributes", "f")], [], {"custom_attributes": {"f": "y"}}, seen, None), 5, "device"
    ).mistakes
    assert "a, b, c, d, e" in str(mistake) and "takes 5" in str(mistake)


def test_the_version_of_a_device_is_that_of_what_people_write() -> None:
    seen = read_device({"id": ID, "name": "a", "etag": "1", "state": "registered", "groups": []})
    later = read_device({"id": ID, "name": "a", "etag": "2", "state": "deregistered", "groups": ["a" * 32]})
    assert seen.version == later.version != version_of({**seen.attrs, "ca_id": "x"})


@given(st.lists(st.tuples(st.none() | PRINTABLE.map("endpoint_name:".__add__) | st.just(ID), PRINTABLE), max_size=300))
def test_filters_ask_for_every_unit_in_few_requests(units: list[tuple[str | None, str]]) -> None:
    asked: dict[str, set[str]] = {"id": set(), "endpoint_name": set(), "name": set()}
    requests = list(filters_for(units))
    for parameter, value in requests:
        field, _, operator = parameter.partition("__")
        values = value.split(",") if operator == "in" else [value]
        assert len(values) <= IN_FILTER and len(value) <= FILTER_LENGTH + IN_FILTER
        asked[field].update(values)
    assert asked["id"] == {id for id, _ in units if id == ID}
    assert asked["name"] == {name for id, name in units if id is None}
    assert asked["endpoint_name"] == {id[14:] for id, _ in units if id is not None and id != ID}
    assert len(requests) <= 9 + sum("," in text for unit in units for text in unit if text)


def test_an_image_is_found_by_its_bytes_and_a_manifest_by_its_name() -> None:
    file = FileRef("a.bin", "AB" * 32)
    assert IMAGE.unit({"file": file}, "a") == (alias("a", "ab" * 32), "a")
    assert IMAGE.unit({"file": FileRef("a.bin")}, "a") == (None, "a")
    assert ManifestType().unit({"file": file}, "a") == (None, "a")
    seen = IMAGE.observed({"id": ID, "name": "a", "datafile_checksum": "AB" * 32})
    assert seen.aliases == (alias("a", "ab" * 32),)


def test_an_image_with_another_id_is_the_one_that_was_made_if_its_bytes_are() -> None:
    prior = Entry(AT, ID, {}, facts={"checksum": "ab" * 32})
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert IMAGE.view(Observed("b" * 32, {}, facts={"checksum": "ab" * 32}), prior, now).not_ours is None
    said = IMAGE.view(Observed("b" * 32, {}, facts={"checksum": "cd" * 32}), prior, now).not_ours
    assert said is not None and "ab" * 32 in said and "cd" * 32 in said


@pytest.mark.parametrize("name", ["endpoint-of-pump-1", " !~" * 6, "x" * 64])
def test_endpoint_names_of_keys(name: str) -> None:
    assert KEY.check({}, name) == [] and KEY.unit({}, name) == (None, name)
    assert [path for path, _, _ in KEY.check({"endpoint_name": name + "ü"}, name)] == [("endpoint_name",)]
    assert [path for path, _, _ in KEY.check({}, name[:15])] == [()]


def test_a_simulator_gets_the_devices_that_an_apply_does_not_make() -> None:
    written: list[dict[str, Any]] = [
        {"id": ID.upper()},
        {"endpoint_name": "pump-2"},
        {},
        {"endpoint_name": "pump-4", "lifecycle": "managed"},
        {"id": ID, "lifecycle": "managed"},
    ]
    wants = [Desired(Address(f"{DEVICE.path}.pump-{n}"), attrs) for n, attrs in enumerate(written)]
    units = DeviceManagement().simulated_units(lambda path: wants if path == DEVICE.path else [], {})
    assert units == {
        "devices": [
            {"id": ID, "endpoint_name": None, "name": None},
            {"id": None, "endpoint_name": "pump-2", "name": None},
            {"id": None, "endpoint_name": None, "name": "pump-2"},
            {"id": ID, "endpoint_name": None, "name": None},
        ]
    }


def test_types_stand_after_what_they_refer_to() -> None:
    paths = [kind.path for kind in DeviceManagement.types]
    for kind in DeviceManagement.types:
        for field in fields_of(kind.Model).values():
            assert field.names is None or paths.index(field.names) < paths.index(kind.path)


def test_a_group_is_read_in_the_words_of_its_model() -> None:
    seen = read_group({"id": ID, "name": "north", "description": None, "custom_attributes": None, "devices_count": 3})
    assert seen.attrs == {"name": "north", "description": "", "custom_attributes": {}}
