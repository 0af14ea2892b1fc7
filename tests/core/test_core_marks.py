"""What the marks of a model do to a write: fields that cannot be changed, and fields that travel together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from reconcile.core.address import Address
from reconcile.core.decide import decide
from reconcile.core.form import Form
from reconcile.core.plan import Action, Change, Reason
from reconcile.core.resource import Desired, Entry, Observed, Patch
from reconcile.core.resource_type import Lifecycle, ResourceType
from reconcile.core.schema import Mark, Together, fields_of
from reconcile.core.sighting import Resolved, Sighting
from reconcile.core.together import completed
from reconcile.core.values import Ref
from reconcile.errors import InvalidInput, Position

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SIGN = Address("m.signs.one")
WHERE = Position("fleet.yaml", 7, 3)


class Fence(BaseModel):
    on: bool | None = None
    lat: Annotated[float, Together("centre", always=True)] | None = None
    lng: Annotated[float, Together("centre", always=True)] | None = None


class Sign(BaseModel):
    text: str | None = None
    size: Annotated[str, Mark.IMMUTABLE] | None = None
    lat: Annotated[float, Together("place")] | None = None
    lng: Annotated[float, Together("place")] | None = None
    fence: Fence | None = None


class SignType(ResourceType):
    path, singular, noun, Model = "m.signs", "sign", "sign", Sign

    async def create(self, api: Any, target: Any, attrs: Any) -> Observed:
        raise AssertionError

    async def delete(self, api: Any, target: Any) -> None:
        raise AssertionError


class SharedName(SignType):
    names = "shared"


class Hardware(SharedName):
    def lifecycle(self, attrs: Any) -> Lifecycle:
        return Lifecycle(create=False, delete=False, on_removal="forget")


class KnowsBetter(SignType):
    def compose(self, edit: Any) -> Patch | None:
        return Patch({}, mistakes=((("size",), "screwed to the wall", None),))


def unresolved(ref: Ref) -> Resolved:
    raise AssertionError(ref)


def change(want: dict[str, Any], live: dict[str, Any], rtype: ResourceType, prior: dict[str, Any] | None) -> Change:
    desired = Desired(SIGN, want, where=WHERE)
    entry = Entry(SIGN, "1", prior) if prior is not None else None
    found = decide(rtype, Sighting(desired, Observed("1", live, "one"), NOW, entry), unresolved, {}).change
    assert found is not None
    return found


@pytest.mark.parametrize("prior", [None, {"size": "small"}, {"size": "large"}])
@pytest.mark.parametrize(
    ("rtype", "hint"),
    [
        (SignType(), "Write it as it is; or give the entry another key, and another one is made"),
        (Hardware(), "Write it as it is"),
    ],
)
def test_what_cannot_be_changed_is_refused_with_its_place(rtype: ResourceType, hint: str, prior: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        change({"size": "large"}, {"size": "small"}, rtype, prior)
    (problem,) = refused.value.problems
    assert (problem.what, problem.hint) == ("the size of sign one cannot be changed: it is 'small'", hint)
    assert (problem.where, problem.address) == (WHERE, SIGN)


def test_what_cannot_be_changed_is_made_anew_where_several_may_have_one_name() -> None:
    made = change({"size": "large"}, {"size": "small"}, SharedName(), {"size": "small"})
    assert (made.action, made.reason) == (Action.CREATE, Reason.ANEW)
    assert made.seen == {"namesake": "1"} and made.after == {"size": "large"}
    assert made.notes == ("size of sign one cannot be changed: another one is made, and this one stays",)


def test_a_type_may_say_it_in_its_own_words() -> None:
    with pytest.raises(InvalidInput, match="screwed to the wall"):
        change({"size": "large"}, {"size": "small"}, KnowsBetter(), None)


def test_other_fields_of_what_has_a_fixed_one_are_changed_as_ever() -> None:
    found = change({"size": "small", "text": "b"}, {"size": "small", "text": "a"}, SignType(), None)
    assert [part.path for part in found.fields] == [("text",)] and found.action is Action.ADOPT


@pytest.mark.parametrize(
    ("want", "live", "along"),
    [
        ({"lat": 2.0, "lng": 1.0}, {"lat": 1.0, "lng": 1.0}, {"lng": 1.0}),
        ({"lat": 2.0}, {"lat": 1.0, "lng": 5.0}, {"lng": 5.0}),
        ({"lat": 2.0, "lng": 3.0}, {"lat": 1.0, "lng": 1.0}, {}),
        ({"text": "b", "lat": 1.0, "lng": 1.0}, {"text": "a", "lat": 1.0, "lng": 1.0}, {}),
        (
            {"fence": {"on": True}},
            {"fence": {"on": False, "lat": 1.0, "lng": 2.0}},
            {"fence": {"on": True, "lat": 1.0, "lng": 2.0}},
        ),
    ],
    ids=["from the files", "as it is live", "all of them differ", "another field", "with any field of the object"],
)
def test_what_travels_together_is_sent_whole(want: Any, live: Any, along: Any) -> None:
    found = change(want, live, SignType(), want)
    assert found.along == along
    assert Form(Change).load(Form(Change).dump(found)) == found


def test_what_travels_together_and_is_nowhere_known_is_a_mistake() -> None:
    with pytest.raises(InvalidInput) as refused:
        change({"lat": 2.0}, {"lat": 1.0}, SignType(), None)
    (problem,) = refused.value.problems
    assert problem.what.startswith("lng must be sent with what changes") and problem.hint == "Write lng"


def test_a_group_that_is_incomplete_in_an_object_is_told_with_its_path() -> None:
    whole, lacking = completed(fields_of(Sign), {"fence": {"on": True}}, {"fence": {"lng": 1.0}}, {})
    assert (whole, lacking) == ({"fence": {"on": True, "lng": 1.0}}, [(("fence",), ("lat",))])
