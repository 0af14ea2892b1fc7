"""Members that are ours: what is taken out when the files drop it, and what is left alone."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from reconcile.core.address import Address
from reconcile.core.owned import (
    dropped_members,
    dropped_memberships,
    dropped_sets,
    recorded_sets,
    released,
    with_group,
    without_dropped_sets,
)
from reconcile.core.resource import Desired, Entry, Observed
from reconcile.core.resource_type import Membership, ResourceType
from reconcile.core.schema import Mark, Refers, fields_of
from reconcile.core.staging import Staging
from reconcile.core.values import Ref

DEVICE = Address("m.devices.one")


class Radio(BaseModel):
    beacons: Annotated[dict[str, int], Mark.WHOLE] | None = None
    power: int | None = None


class Device(BaseModel):
    id: Annotated[str, Mark.LOCATOR] | None = None
    text: str | None = None
    tags: Annotated[dict[str, str], Mark.MEMBERS] | None = None
    radio: Radio | None = None


class DeviceType(ResourceType):
    path, singular, noun, Model = "m.devices", "device", "device", Device


class In(BaseModel):
    group: Annotated[str, Refers("m.groups")] | None = None


class InType(ResourceType):
    path, singular, noun, Model = "m.devices.groups", "membership", "membership", In
    membership = Membership("group", exclusive=True)


class Shares(InType):
    membership = Membership("group")


SHAPE = fields_of(Device)


@pytest.mark.parametrize(
    ("recorded", "wanted", "live", "dropped"),
    [
        ({"a": "1"}, {}, {"a": "1"}, {"a": "1"}),
        ({"a": "1"}, {}, {"a": "other"}, {"a": "1"}),
        ({"a": "1"}, {}, {}, {}),
        ({"a": "1"}, {"a": "2"}, {"a": "1"}, {}),
        ({}, {}, {"theirs": "1"}, {}),
        ({"a": "1", "b": "2"}, {"b": "2"}, {"a": "1", "b": "2", "theirs": "3"}, {"a": "1"}),
    ],
    ids=["ours", "ours and changed", "gone", "written", "not ours", "one of several"],
)
def test_members_of_a_map_are_taken_out_one_by_one(recorded: Any, wanted: Any, live: Any, dropped: Any) -> None:
    found = dropped_members(SHAPE, {"tags": recorded}, {"tags": wanted}, {"tags": live})
    assert dict(found) == {("tags", key): value for key, value in dropped.items()}


@pytest.mark.parametrize(
    ("recorded", "wanted", "accepted", "reported", "rest"),
    [
        ({"a": 1}, {}, {"a": 1, "theirs": 2}, None, {"radio": {"beacons": {"theirs": 2}}}),
        ({"a": 1}, {"radio": {"power": 5}}, {"a": 1}, None, {"radio": {"power": 5, "beacons": {}}}),
        ({"a": 1}, {}, {"theirs": 2}, None, {}),
        ({"a": 1}, {}, {}, {"a": 1}, {"radio": {"beacons": {}}}),
        ({"a": 1}, {"radio": {"beacons": {"b": 3}}}, {"a": 1}, None, {"radio": {"beacons": {"b": 3}}}),
        ({}, {}, {"theirs": 2}, None, {}),
    ],
    ids=["ours go", "beside what is written", "gone already", "accepted and not done", "written anew", "none of ours"],
)
def test_a_whole_map_that_the_files_drop_loses_our_members(
    recorded: Any, wanted: Any, accepted: Any, reported: Any, rest: Any
) -> None:
    sides = [{"radio": {"beacons": side}} for side in (accepted, reported) if side is not None]
    ours = {"radio": {"beacons": recorded}}
    compared = without_dropped_sets(SHAPE, ours, wanted, *sides)
    assert compared == rest
    took_out = "beacons" not in wanted.get("radio", {}) and compared != wanted
    assert dropped_sets(SHAPE, ours, compared, wanted) == (ours if took_out else {})


def test_what_an_unfinished_write_was_to_take_out_is_still_ours() -> None:
    class Waits(Staging):
        def unfinished(self, prior: Entry) -> Any:
            return {"radio": {"beacons": {"b": 2}}}

    class Staged(DeviceType):
        staging = Waits()

    prior = Entry(DEVICE, "1", {"radio": {"power": 5}})
    assert recorded_sets(DeviceType(), SHAPE, prior) == prior.attrs
    assert recorded_sets(Staged(), SHAPE, prior) == {"radio": {"power": 5, "beacons": {"b": 2}}}
    assert recorded_sets(Staged(), SHAPE, None) == {}


def test_settings_that_are_not_written_any_more_stay_and_members_do_not() -> None:
    prior = Entry(DEVICE, "1", {"id": "1", "text": "a", "tags": {"a": "1"}, "radio": {"power": 5, "beacons": {"a": 1}}})
    said = released(SHAPE, prior, {"text": "a"})
    assert said == ["radio.power is not in the files any more: it stays as it is and is not managed"]
    assert released(SHAPE, None, {}) == []


@pytest.mark.parametrize(
    ("rtype", "sections", "dropped"),
    [
        (InType(), ("groups",), ["north"]),
        (InType(), (), []),
        (Shares(), ("groups",), []),
        (DeviceType(), ("groups",), []),
    ],
    ids=["exclusive", "not written", "not exclusive", "no membership"],
)
def test_memberships_in_groups_of_the_files_are_taken_out(rtype: Any, sections: Any, dropped: list[str]) -> None:
    want = Desired(DEVICE, {}, sections=sections)
    live = {id: Observed(id, {"group": id}, parent="1") for id in ("n", "s", "elsewhere")}
    keys = {"n": "north", "s": "south"}
    found = list(dropped_memberships(rtype, "1", want, live, {"s"}, keys.get))
    assert [(entry.address.key, entry.id, entry.parent) for entry in found] == [(key, "n", "1") for key in dropped]


def test_a_membership_refers_to_what_its_key_names() -> None:
    child = Desired(DEVICE.child("groups", "north"), {})
    assert with_group(InType(), child).attrs == {"group": Ref("m.groups", "north")}
    assert with_group(DeviceType(), child) is child
