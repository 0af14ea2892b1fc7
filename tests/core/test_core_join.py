"""The join, as tables: pages, readings and the state in; what is asked for, sightings and leavings out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from reconcile.core.address import Address
from reconcile.core.asks import ByUnit, EntriesAt, Joining, Listings, Matches, Reads, Steps, Strangers, Under
from reconcile.core.join import Roots
from reconcile.core.leaving import leaving
from reconcile.core.lost import Attempt
from reconcile.core.options import Options
from reconcile.core.plan import Action
from reconcile.core.planner import Planner
from reconcile.core.resource import Desired, Entry, Observed, Page, Reading
from reconcile.core.resource_type import ResourceType
from reconcile.core.sighting import Match, Sighting
from reconcile.core.values import SecretRef
from reconcile.errors import AccessDenied, InvalidInput, NoAnswer, NotFound, ReconcileError
from reconcile.providers.device_management.campaigns import CampaignType
from reconcile.providers.device_management.devices import DeviceType as ManagedDeviceType
from reconcile.providers.device_management.groups import GroupType
from reconcile.providers.device_management.memberships import MembershipType
from reconcile.providers.microvisor.configs import ConfigType, DeviceConfigType
from reconcile.providers.microvisor.devices import DeviceType
from reconcile.providers.microvisor.secrets import SecretType

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
A, B, C = (f"UV{number:032x}" for number in (10, 11, 12))
CONFIG, DEVICE, DEVICE_CONFIG = ConfigType(), DeviceType(), DeviceConfigType()
TYPES: Mapping[str, Sequence[ResourceType]] = {
    "configs": [CONFIG],
    "secrets": [SecretType()],
    "devices": [DEVICE, DEVICE_CONFIG],
    "managed": [GroupType(), ManagedDeviceType(), MembershipType()],
    "campaigns": [CampaignType()],
}


class Files:
    """A document of resources that are given whole."""

    def __init__(self, types: Sequence[ResourceType], wants: Sequence[Desired]) -> None:
        self.types = {rtype.path: rtype for rtype in types}
        self.all = [want for want in wants if want.address.parent is None]
        self.under: dict[Address, list[Desired]] = defaultdict(list)
        for want in wants:
            if want.address.parent is not None:
                self.under[want.address.parent].append(want)

    def roots(self, path: str) -> list[int]:
        return [handle for handle, want in enumerate(self.all) if want.address.type_path == path]

    def count(self, path: str) -> int:
        return len(self.roots(path)) + sum(
            child.address.type_path == path for part in self.under.values() for child in part
        )

    def at(self, handle: int) -> Desired:
        return self.all[handle]

    def children(self, handle: int) -> list[Desired]:
        return self.under.get(self.all[handle].address, [])

    def find(self, path: str, id: str | None, name: str | None, aliases: Sequence[str] = ()) -> int | None:
        units = [
            (handle, *self.types[path].unit(self.at(handle).attrs, self.at(handle).address.key))
            for handle in self.roots(path)
        ]
        by_id = [handle for handle, unit, _ in units if unit is not None and unit in (id, *aliases)]
        by_name = [handle for handle, unit, called in units if unit is None and name is not None and called == name]
        return next(iter(by_id + by_name), None)

    def handle(self, address: Address) -> int | None:
        return next((handle for handle, want in enumerate(self.all) if want.address == address), None)

    def get(self, address: Address) -> Desired | None:
        every = [*self.all, *(child for part in self.under.values() for child in part)]
        return next((want for want in every if want.address == address), None)


class Recorder(Planner):
    """The planner, which keeps what it is shown."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.seen: list[Sighting] = []
        self.left: list[tuple[str, str, str]] = []

    def see(self, rtype: ResourceType, sighting: Sighting, order: int) -> Any:
        self.seen.append(sighting)
        return super().see(rtype, sighting, order)

    def leave(self, entry: Entry, seen: Observed | None, action: Action, *args: Any, **more: Any) -> None:
        self.left.append((entry.address, seen.id if seen is not None else "-", action))
        super().leave(entry, seen, action, *args, **more)


@dataclass
class World:
    """
    What there is to read.

    Attributes:
        readings: by id, alias or name, what a unit read by itself is; nothing there is none; or why it does not answer.
        under: by the id of a unit, what hangs on it, or why that is not listed.
    """

    state: Sequence[Entry] = ()
    readings: Mapping[str, Observed | ReconcileError] = field(default_factory=dict)
    under: Mapping[str, Sequence[Observed] | ReconcileError] = field(default_factory=dict)
    strangers: Mapping[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, ask: Any) -> Any:
        match ask:
            case EntriesAt(addresses):
                return {entry.address: entry for entry in self.state if entry.address in addresses}
            case ByUnit(path, ids):
                return {e.id: e for e in self.state if e.id in ids and e.address.type_path == path}
            case Under(addresses):
                return [entry for entry in self.state if entry.address.parent in addresses]
            case Strangers(_, targets):
                return {at: self.strangers[str(one.id)] for at, one in targets.items() if str(one.id) in self.strangers}
            case Reads(reads):
                return [self.read(read.target) for read in reads]
            case Listings(of):
                return [self.listing(part.path, unit) for part, unit in of]
            case Matches(references=references):
                return dict.fromkeys(references, Match.UNRESOLVED)
        raise AssertionError(ask)

    def read(self, target: Any) -> Reading | ReconcileError:
        by = str(target.id or target.alias or target.name)
        self.asked.append(f"read {by}")
        found = self.readings.get(by)
        return found if isinstance(found, ReconcileError) else Reading(found, NOW)

    def listing(self, path: str, unit: str) -> Page | ReconcileError:
        self.asked.append(f"list {path.rpartition('.')[2]} of {unit[-2:]}")
        found = self.under.get(unit, ())
        return found if isinstance(found, ReconcileError) else Page(list(found), NOW)

    def run(self, steps: Steps) -> None:
        answer = None
        try:
            while True:
                answer = self.answer(steps.send(answer))
        except StopIteration:
            return


def join(
    section: str,
    wants: Sequence[Desired],
    pages: Sequence[Sequence[Observed]],
    world: World,
    options: Options | None = None,
    *,
    complete: bool = True,
    uncertain: Mapping[Address, Any] | None = None,
) -> Recorder:
    """Reads the roots of a section, each page of each type in turn, and all that they lack."""
    types = {rtype.path: rtype for rtype in TYPES[section]}
    files: Any = Files(TYPES[section], wants)
    bindings = SimpleNamespace()
    planner = Recorder(types, files, bindings, options or Options())
    joining = Joining(types, files, planner, NOW, uncertain)
    for rtype in joining.root_types():
        if not joining.is_read(rtype, sum(entry.address.type_path == rtype.path for entry in world.state)):
            continue
        roots = Roots(joining, rtype)
        for page in pages:
            mine = [seen for seen in page if seen.facts.get("type", rtype.path) == rtype.path]
            world.run(roots.page(Page(mine, NOW)))
        if not complete:
            roots.torn(NoAnswer("GET", "/x", "cut off"))
            continue
        world.run(roots.absent())
        roots.close(whole_account=True)
        units = [(entry.address, entry.id) for entry in world.state if entry.address.type_path == rtype.path]
        world.run(leaving(joining, roots, units))
    return planner


def shown(sighting: Sighting) -> tuple[str, str, str, str, str]:
    """A sighting in short: its key, and the ids of what is live, prior, former, and where it was."""
    return (
        sighting.want.address.key,
        sighting.seen.id if sighting.seen else "-",
        sighting.prior.id if sighting.prior else "-",
        sighting.former.id if sighting.former else "-",
        sighting.moved_from.key if sighting.moved_from else "-",
    )


def config(key: str, value: str = "1", **more: Any) -> Desired:
    return Desired(Address.of("microvisor.configs", (key,)), {"value": value}, **more)


def device(key: str, sid: str | None = None, **attrs: Any) -> Desired:
    sections = frozenset({"configs"}) if attrs.pop("configs", False) else frozenset()
    found = {"sid": sid, **attrs} if sid else attrs
    return Desired(Address.of("microvisor.devices", (key,)), found, sections=sections)


def live_config(key: str, value: str = "1") -> Observed:
    return Observed(key, {"value": value}, key)


def live_device(id: str, name: str | None = None) -> Observed:
    return Observed(id, {"unique_name": name, "app": None, "logging": False}, name)


def entry(path: str, keys: Sequence[str], id: str, attrs: Any = None, **more: Any) -> Entry:
    return Entry(Address.of(path, keys), id, attrs or {}, **more)


def known_device(key: str, id: str, **more: Any) -> Entry:
    return entry("microvisor.devices", (key,), id, {"unique_name": key}, **more)


# -- which unit is whose -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wants", "state", "page", "readings", "sightings", "asked"),
    [
        pytest.param([device("one")], [], [live_device(A, "one")], {}, [("one", A, "-", "-", "-")], [], id="adopted"),
        pytest.param(
            [device("one")], [known_device("one", A)], [live_device(A, "one")], {}, [("one", A, A, "-", "-")], [],
            id="known",
        ),
        pytest.param(
            [device("one", A)], [], [live_device(A, "other")], {}, [("one", A, "-", "-", "-")], [], id="by its id"
        ),
        pytest.param(
            [device("two", A)], [known_device("one", A)], [live_device(A, "one")], {},
            [("two", A, A, "-", "one")], [], id="moved to another key",
        ),
        pytest.param(
            [device("one", B)], [known_device("one", A)], [live_device(A, "one"), live_device(B)], {},
            [("one", B, "-", A, "-")], [], id="another unit under the key",
        ),
        pytest.param(
            [device("one", B), device("two", A)], [known_device("one", A), known_device("two", B)],
            [live_device(A, "one"), live_device(B, "two")], {},
            [("two", A, A, "-", "one"), ("one", B, B, "-", "two")], [], id="two keys swapped",
        ),
        pytest.param(
            [device("one")], [known_device("one", A)], [live_device(A, "renamed")], {},
            [("one", A, A, "-", "-")], [], id="renamed by somebody, and listed",
        ),
        pytest.param(
            [device("one")], [known_device("one", A)], [], {A: live_device(A, "renamed")},
            [("one", A, A, "-", "-")], [f"read {A}"], id="not listed, and there by its id",
        ),
        pytest.param(
            [device("one")], [known_device("one", A)], [], {"one": live_device(B, "one")},
            [("one", B, "-", A, "-")], [f"read {A}", "read one"], id="gone by its id, another has its name",
        ),
        pytest.param(
            [device("one"), device("one-more", A)], [], [live_device(A, "one")], {"one": live_device(C, "one")},
            [("one-more", A, "-", "-", "-"), ("one", C, "-", "-", "-")], ["read one"],
            id="its name is listed for one that another names by id",
        ),
        pytest.param(
            [device("one")], [], [live_device(A, "one"), live_device(A, "one")], {},
            [("one", A, "-", "-", "-")], [], id="listed twice",
        ),
    ],
)  # fmt: skip
def test_a_unit_finds_its_place(
    wants: Any, state: Any, page: Any, readings: Any, sightings: Any, asked: list[str]
) -> None:
    world = World(state, readings)
    planner = join("devices", wants, [page], world)
    assert [shown(sighting) for sighting in planner.seen] == sightings
    assert (world.asked, planner.left) == (asked, [])


@pytest.mark.parametrize(
    ("wants", "state", "page", "sightings"),
    [
        pytest.param([config("a")], [], [], [("a", "-", "-", "-", "-")], id="not there yet: made unread"),
        pytest.param([config("a")], [], [live_config("a")], [("a", "a", "-", "-", "-")], id="adopted by its key"),
        pytest.param(
            [config("a")], [entry("microvisor.configs", ("a",), "a")], [], [("a", "-", "a", "-", "-")],
            id="gone, and made again",
        ),
    ],
)  # fmt: skip
def test_what_can_be_made_is_made_where_it_is_not(wants: Any, state: Any, page: Any, sightings: Any) -> None:
    world = World(state)
    planner = join("configs", wants, [page], world)
    assert [shown(sighting) for sighting in planner.seen] == sightings
    assert world.asked == (["read a"] if state and not page else [])


def test_two_resources_for_one_unit_are_a_mistake_with_both_places() -> None:
    world = World(readings={A: live_device(A, "one")})
    planner = join("devices", [device("one", A), device("two", A.lower())], [[live_device(A, "one")]], world)
    assert len(planner.seen) == 1
    with pytest.raises(InvalidInput, match=r"two devices are one unit: microvisor\.devices\.one"):
        planner.finish({}, {}, 2)


def test_a_unit_that_is_not_there_and_cannot_be_made_is_not_there_yet() -> None:
    planner = join("devices", [device("one", A)], [[live_device(A[:-1] + "b")]], World())
    assert planner.seen == []
    (absent,) = planner.plan.absent
    assert (absent.address, absent.what) == ("microvisor.devices.one", f"there is no device {A} on the account")
    assert absent.hint == f'Did you mean "{A[:-1]}b"?'


def test_an_unknown_outcome_travels_with_its_sighting() -> None:
    address = Address.of("microvisor.devices", ("one",))
    change = Attempt(Action.UPDATE)
    planner = join("devices", [device("one")], [[live_device(A, "one")]], World(), uncertain={address: change})
    assert [sighting.uncertain for sighting in planner.seen] == [True]


def test_secrets_are_compared_by_what_the_state_knows_and_counted_where_they_cannot_be_opened() -> None:
    want = Desired(Address.of("microvisor.secrets", ("pw",)), {"value": SecretRef("env", "PW")})
    planner = join("secrets", [want], [[Observed("pw", {}, "pw")]], World())
    assert [dict(sighting.matches) for sighting in planner.seen] == [{"value": Match.UNRESOLVED}]
    assert [(row.name, row.reason) for row in planner.plan.not_compared] == [("value", "no value")]


# -- what is left over, and what leaves --------------------------------------------------------------------------------


def test_what_no_file_and_no_entry_knows_is_counted_and_left_alone() -> None:
    planner = join("devices", [device("one")], [[live_device(A, "one"), live_device(B), live_device(C, "x")]], World())
    assert planner.plan.unmanaged == {"microvisor.devices": 2} and planner.left == []


@pytest.mark.parametrize(
    ("known", "page", "readings", "left", "asked"),
    [
        pytest.param({}, [live_config("b")], {}, [("microvisor.configs.b", "b", "delete")], [], id="listed"),
        pytest.param(
            {}, [], {"b": live_config("b")}, [("microvisor.configs.b", "b", "delete")], ["read b"],
            id="not listed, and there by its id",
        ),
        pytest.param({}, [], {}, [("microvisor.configs.b", "-", "delete")], ["read b"], id="gone already"),
        pytest.param(
            {"on_removal": "forget"}, [live_config("b")], {}, [("microvisor.configs.b", "b", "forget")], [],
            id="forgotten, as its entry says",
        ),
    ],
)  # fmt: skip
def test_what_leaves_the_files_is_let_go_of(known: Any, page: Any, readings: Any, left: Any, asked: Any) -> None:
    world = World([entry("microvisor.configs", ("b",), "b", **known)], readings)
    planner = join("configs", [config("a")], [[live_config("a"), *page]], world)
    assert (planner.left, world.asked) == (left, asked)


def test_what_leaves_and_does_not_answer_stays() -> None:
    world = World([entry("microvisor.configs", ("b",), "b")], {"b": NoAnswer("GET", "/b", "cut off")})
    planner = join("configs", [config("a")], [[live_config("a")]], world)
    assert planner.left == [] and [unread.address for unread in planner.plan.unread] == ["microvisor.configs.b"]


def test_a_listing_that_does_not_end_removes_nothing_and_makes_nothing() -> None:
    world = World([entry("microvisor.configs", ("b",), "b")])
    planner = join("configs", [config("a"), config("c")], [[live_config("a")]], world, complete=False)
    assert [shown(sighting)[0] for sighting in planner.seen] == ["a"]
    assert (planner.left, world.asked, planner.plan.unmanaged) == ([], [], {})
    assert [unread.type_path for unread in planner.plan.unread] == ["microvisor.configs"]


@pytest.mark.parametrize(
    ("options", "on_removal", "left"),
    [
        (
            Options(),
            None,
            [("microvisor.devices.one", A, "forget"), ("microvisor.devices.one.configs.a", "-", "forget")],
        ),
        (
            Options(),
            "clear",
            [("microvisor.devices.one", A, "forget"), ("microvisor.devices.one.configs.a", "a", "delete")],
        ),
        (
            Options(destroy=True),
            None,
            [("microvisor.devices.one", A, "forget"), ("microvisor.devices.one.configs.a", "a", "delete")],
        ),
        (
            Options(destroy=True),
            "forget",
            [("microvisor.devices.one", A, "forget"), ("microvisor.devices.one.configs.a", "-", "forget")],
        ),
    ],
)
def test_what_hangs_on_a_unit_leaves_with_it(options: Options, on_removal: Any, left: Any) -> None:
    child = entry("microvisor.devices.configs", ("one", "a"), "a", parent=A)
    world = World([known_device("one", A, on_removal=on_removal), child], under={A: [Observed("a", {}, "a", A)]})
    planner = join("devices", [], [[live_device(A, "one")]], world, options)
    assert planner.left == left


@pytest.mark.parametrize(
    ("error", "stays"), [(NotFound("GET", "/x", 404), False), (AccessDenied("GET", "/x", 403), True)]
)
def test_a_unit_whose_children_do_not_answer_is_not_let_go_of(error: ReconcileError, stays: bool) -> None:
    child = entry("microvisor.devices.configs", ("one", "a"), "a", parent=A)
    world = World([known_device("one", A, on_removal="clear"), child], under={A: error})
    planner = join("devices", [], [[live_device(A, "one")]], world)
    assert (planner.left == []) is stays and bool(planner.plan.unread) is stays


# -- what hangs on a root ----------------------------------------------------------------------------------------------


def child(key: str, value: str = "1", on: str = "one") -> Desired:
    return Desired(Address.of("microvisor.devices.configs", (on, key)), {"value": value})


def known_child(key: str, parent: str = A, on: str = "one", **more: Any) -> Entry:
    return entry("microvisor.devices.configs", (on, key), key, parent=parent, **more)


@pytest.mark.parametrize(
    ("wants", "state", "under", "readings", "sightings", "left", "asked"),
    [
        pytest.param(
            [device("one", A)], [], {}, {}, [], [], [], id="neither files nor state know of any: not asked"
        ),
        pytest.param(
            [device("one", A), child("a")], [], {A: [Observed("a", {"value": "1"}, "a", A)]}, {},
            [("a", "a", "-", "-", "-")], [], ["list configs of 0a"], id="adopted",
        ),
        pytest.param(
            [device("one", A)], [known_child("a")], {A: [Observed("a", {}, "a", A)]}, {},
            [], [("microvisor.devices.one.configs.a", "a", "delete")], ["list configs of 0a"], id="left the files",
        ),
        pytest.param(
            [device("one", A), child("a")], [known_child("a")], {A: []}, {"a": Observed("a", {}, "a", A)},
            [("a", "a", "a", "-", "-")], [], ["list configs of 0a", "read a"], id="not listed, and there by itself",
        ),
        pytest.param(
            [device("one", A), child("a")], [], {A: AccessDenied("GET", "/x", 403)}, {},
            [], [], ["list configs of 0a"], id="not answered: the whole family is left alone",
        ),
    ],
)  # fmt: skip
def test_children_are_joined_with_their_root(
    wants: Any, state: Any, under: Any, readings: Any, sightings: Any, left: Any, asked: Any
) -> None:
    world = World([known_device("one", A), *state], readings, under)
    planner = join("devices", wants, [[live_device(A, "one")]], world)
    assert [shown(one) for one in planner.seen if one.want.address.parent] == sightings
    assert (planner.left, world.asked) == (left, asked)
    answered = not isinstance(under.get(A), ReconcileError)
    assert bool([one for one in planner.seen if not one.want.address.parent]) is answered
    assert bool(planner.plan.unread) is not answered


def test_children_of_a_unit_that_was_replaced_stay_on_the_one_that_is_let_go_of() -> None:
    state = [known_device("one", A), known_child("a", A), known_child("b", A)]
    world = World(state, under={B: [Observed("a", {"value": "1"}, "a", B)]})
    planner = join("devices", [device("one", B), child("a")], [[live_device(A, "one"), live_device(B)]], world)
    assert [shown(one) for one in planner.seen] == [("one", B, "-", A, "-"), ("a", "a", "-", "a", "-")]
    assert planner.left == [("microvisor.devices.one.configs.b", "-", "delete")]


def test_children_follow_a_unit_to_its_new_key() -> None:
    state = [known_device("one", A), known_child("a", A)]
    world = World(state, under={A: [Observed("a", {"value": "1"}, "a", A)]})
    wants = [device("two", A), child("a", on="two")]
    planner = join("devices", wants, [[live_device(A, "one")]], world)
    assert [shown(one) for one in planner.seen] == [("two", A, A, "-", "one"), ("a", "a", "a", "-", "a")]
    assert [one.moved_from for one in planner.seen] == [state[0].address, state[1].address] and planner.left == []


def test_without_a_refresh_the_state_is_taken_at_its_word() -> None:
    state = [known_device("one", A), known_child("a", A)]
    world = World(state)
    options = Options(refresh=False)
    recalled = [DEVICE.recalled(state[0], lambda ref: None)]
    planner = join("devices", [device("one", A), child("a")], [recalled], world, options)
    assert [shown(one)[:3] for one in planner.seen] == [("one", A, A), ("a", "a", "a")] and world.asked == []


def test_what_is_not_selected_is_neither_listed_nor_let_go_of() -> None:
    state = [known_device("one", A), known_device("two", B), known_child("a", B, "two")]
    world = World(state, under={A: [], B: [Observed("a", {}, "a", B)]})
    options = Options(targets=("microvisor.devices.one",))
    wants = [device("one", A), child("x"), device("two", B)]
    planner = join("devices", wants, [[live_device(A, "one"), live_device(B, "two")]], world, options)
    assert world.asked == ["list configs of 0a"] and planner.left == []
    assert all(change.address.startswith("microvisor.devices.one") for change in planner.plan.changes)


# -- names that are not unique, and memberships -----------------------------------------------------------------------


ID = "0" * 31


def campaign(id: str, name: str = "spring") -> Observed:
    attrs = {"name": name, "manifest": "m", "devices": ["d"], "start": False}
    return Observed(id, attrs, name, facts={"phase": "draft"})


@pytest.mark.parametrize(
    ("state", "page", "readings", "sighting", "asked"),
    [
        pytest.param([], ["c2", "c1"], {}, ("spring", "c2", "-"), [], id="nobody knows one: the first that is listed"),
        pytest.param(["c1"], ["c2", "c1"], {}, ("spring", "c1", "c1"), [], id="the one that the state knows"),
        pytest.param(
            ["c0"], ["c2", "c1"], {}, ("spring", "c2", "c0"), ["read c0", "read spring"],
            id="the state's is gone: the first that is listed",
        ),
        pytest.param([], [], {}, ("spring", "-", "-"), ["read spring"], id="looked for before it is made"),
        pytest.param([], [], {"spring": campaign("c9")}, ("spring", "c9", "-"), ["read spring"], id="made meanwhile"),
    ],
)  # fmt: skip
def test_of_several_with_one_name_one_is_meant(
    state: list[str], page: list[str], readings: Any, sighting: Any, asked: list[str]
) -> None:
    path = "device_management.campaigns"
    world = World([entry(path, ("spring",), id) for id in state], readings)
    want = Desired(Address.of(path, ("spring",)), {"start": False})
    planner = join("campaigns", [want], [[campaign(id) for id in page]], world)
    assert [shown(one)[:3] for one in planner.seen] == [sighting]
    assert world.asked == asked


def managed(key: str, id: str, *groups: str) -> Observed:
    parts = {MembershipType.path: [Observed(group, {"group": group}, parent=id) for group in groups]}
    return Observed(id, {"name": key}, key, facts={"type": ManagedDeviceType.path}, parts=parts)


def enrolled(id: str, retired: str | None = None) -> Observed:
    return replace(managed("pump", id), aliases=("endpoint_name:e",), retired=retired)


@pytest.mark.parametrize("state", [[], ["old"], ["new"]])
@pytest.mark.parametrize("order", [["old", "new"], ["new", "old"]])
@pytest.mark.parametrize("pages", [1, 2])
def test_of_two_of_one_endpoint_name_the_one_in_use_is_meant(state: list[str], order: list[str], pages: int) -> None:
    units = {"old": enrolled("old", "deregistered"), "new": enrolled("new")}
    listed = [[units[id]] for id in order] if pages == 2 else [[units[id] for id in order]]
    known = [entry(ManagedDeviceType.path, ("pump",), id) for id in state]
    want = Desired(Address.of(ManagedDeviceType.path, ("pump",)), {"endpoint_name": "e"})
    world = World(known)
    planner = join("managed", [want], listed, world)
    same = "new" if state == ["new"] else "-"
    assert [shown(one)[:3] for one in planner.seen] == [("pump", "new", same)]
    said = "device_management.devices.pump: old has the endpoint_name e as well; it is deregistered, and left alone"
    assert planner.plan.warnings == [said] and world.asked == []
    assert planner.plan.unmanaged.get(ManagedDeviceType.path) == (None if state == ["old"] else 1)


def test_the_one_that_is_out_of_use_is_meant_where_there_is_no_other() -> None:
    want = Desired(Address.of(ManagedDeviceType.path, ("pump",)), {"endpoint_name": "e"})
    world = World()
    planner = join("managed", [want], [[enrolled("old", "deregistered")]], world)
    assert [shown(one)[:3] for one in planner.seen] == [("pump", "old", "-")]
    assert planner.plan.warnings == [] and world.asked == [] and planner.plan.unmanaged == {}


def test_two_in_use_of_one_endpoint_name_are_an_error_with_both() -> None:
    want = Desired(Address.of(ManagedDeviceType.path, ("pump",)), {"endpoint_name": "e"})
    planner = join("managed", [want], [[enrolled("a"), enrolled("b")]], World())
    with pytest.raises(InvalidInput, match="2 live devices have the endpoint_name e: a and b"):
        planner.finish({}, {}, 1)
    by_id = Desired(Address.of(ManagedDeviceType.path, ("pump",)), {"id": "b"})
    planner = join("managed", [by_id], [[enrolled("a"), enrolled("b")]], World())
    assert [shown(one)[:2] for one in planner.seen] == [("pump", "b")]


def group(key: str, id: str) -> Observed:
    return Observed(id, {"name": key}, key, facts={"type": GroupType.path})


@pytest.mark.parametrize(
    ("written", "live", "known", "sightings", "left"),
    [
        pytest.param(["north"], ["n"], [], [("north", "n", "-")], [], id="it is in it"),
        pytest.param(["north"], [], [], [("north", "-", "-")], [], id="it is not in it yet"),
        pytest.param(
            ["north"], ["n", "s"], [], [("north", "n", "-")], ["south"], id="in another of the files: taken out"
        ),
        pytest.param(["north"], ["n", "x"], [], [("north", "n", "-")], [], id="in one of nobody's: left alone"),
        pytest.param(None, ["n"], [], [], [], id="memberships are not written: left alone"),
        pytest.param([], ["n"], [], [], ["north"], id="written empty: taken out of all of the files"),
        pytest.param(None, ["s"], ["south"], [], ["south"], id="it was written once: taken out"),
    ],
)
def test_a_set_of_memberships_is_exclusive_among_those_of_the_files(
    written: list[str] | None, live: list[str], known: list[str], sightings: Any, left: list[str]
) -> None:
    ids = {"north": "n", "south": "s"}
    groups = [Desired(Address.of(GroupType.path, (key,)), {}) for key in ids]
    sections = frozenset({"groups"}) if written is not None else frozenset()
    root = Desired(Address.of(ManagedDeviceType.path, ("pump",)), {"id": ID}, sections=sections)
    members = [Desired(Address.of(MembershipType.path, ("pump", key)), {}) for key in written or ()]
    state = [entry(ManagedDeviceType.path, ("pump",), ID)]
    state += [entry(MembershipType.path, ("pump", key), ids[key], parent=ID) for key in known]
    page = [*(group(key, id) for key, id in ids.items()), group("x", "x"), managed("pump", ID, *live)]
    world = World(state)
    planner = join("managed", [*groups, root, *members], [page], world)
    assert [shown(one)[:3] for one in planner.seen if one.want.address.parent] == sightings
    assert [Address(address).key for address, _, _ in planner.left] == left and world.asked == []


def test_an_untrusted_document_gets_no_answer_of_a_stranger() -> None:
    world = World([known_device("one", A)], {A: live_device(A, "one")}, strangers={A: "host/one"})
    planner = join("devices", [device("one", A)], [[]], world)
    assert world.asked == [] and planner.left == []
    assert [(unread.address, unread.allow) for unread in planner.plan.unread] == [
        ("microvisor.devices.one", "host/one")
    ]
