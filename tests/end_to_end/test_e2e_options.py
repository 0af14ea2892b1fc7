"""A part of the fleet, the state instead of the API, only the state, and how a plan ends."""

from __future__ import annotations

import pytest
from fleet_rig import MakeRig, Rig, app_sid, sid


@pytest.fixture
def fleet(make_rig: MakeRig) -> Rig:
    rig = make_rig(apps={app_sid(1): {"unique_name": "live"}})
    rig.environ["PSK"] = "psk-of-the-tests"
    rig.configs["host"] = "1"
    rig.apps["mine"] = {"bundle": rig.bundle("mine.zip")}
    rig.devices["one"] = {
        "sid": sid(1),
        "app": "mine",
        "logging": True,
        "configs": {"a": "1"},
        "secrets": {"psk": "env:PSK"},
    }
    rig.devices["two"] = {"sid": sid(2), "app": "live", "configs": {"a": "1", "b": "2"}}
    rig.apply_well()
    rig.sim.advance(120)
    return rig


def edit(rig: Rig) -> None:
    rig.configs["host"] = "2"
    rig.devices["one"]["configs"]["a"] = "2"
    rig.devices["two"]["configs"] = {"a": "2"}


@pytest.mark.parametrize(
    ("options", "addresses"),
    [
        (["--target", "microvisor.configs.host"], ["microvisor.configs.host"]),
        (["--target", "microvisor.devices.one"], ["microvisor.devices.one.configs.a"]),
        (["--target", "microvisor.devices.two.configs.b"], ["microvisor.devices.two.configs.b"]),
        (["--target", "microvisor.devices.*"], [
            "microvisor.devices.one.configs.a", "microvisor.devices.two.configs.a", "microvisor.devices.two.configs.b"
        ]),
        (["--exclude", "microvisor.devices.two"], ["microvisor.configs.host", "microvisor.devices.one.configs.a"]),
        (["--target", "microvisor.devices.*", "--exclude", "microvisor.devices.two.configs"], [
            "microvisor.devices.one.configs.a"
        ]),
    ],
)  # fmt: skip
def test_a_part_of_the_fleet_is_planned_and_applied_and_nothing_else(
    fleet: Rig, options: list[str], addresses: list[str]
) -> None:
    edit(fleet)
    assert sorted(fleet.changes(*options)) == addresses
    fleet.mark()
    ran = fleet.apply(*options)
    assert ran.code == 0, ran
    assert len(fleet.mutations()) == len(addresses)
    fleet.apply_well()


def test_a_target_takes_what_it_needs_along(fleet: Rig) -> None:
    fleet.apps["next"] = {"bundle": fleet.bundle("next.zip")}
    fleet.devices["one"]["app"] = "next"
    fleet.configs["host"] = "2"
    assert sorted(fleet.changes("--target", "microvisor.devices.one")) == [
        "microvisor.apps.next", "microvisor.devices.one"
    ]  # fmt: skip
    assert fleet.apply("--target", "microvisor.devices.one").code == 0
    assert fleet.world["configs"] == {"host": "1"}


def test_a_target_that_is_nothing_is_no_reason_to_do_everything(fleet: Rig) -> None:
    edit(fleet)
    fleet.mark()
    ran = fleet.apply("--target", "microvisor.devices.nobody")
    assert ran.code == 3, ran
    assert fleet.mutations() == []


def test_an_excluded_device_is_not_forgotten(fleet: Rig) -> None:
    del fleet.devices["two"]
    assert fleet.apply("--exclude", "microvisor.devices.two").code == 0
    assert "microvisor.devices.two" in fleet.entries()


def test_a_device_that_the_account_lacks_does_not_matter_when_it_is_excluded(fleet: Rig) -> None:
    fleet.devices["ghost"] = {"sid": sid(99)}
    assert fleet.apply().code == 1
    edit(fleet)
    assert fleet.apply("--exclude", "microvisor.devices.ghost").code == 0


# -- refresh ----------------------------------------------------------------------------------------------------------


def test_refresh_only_takes_drift_over_into_the_state_and_sends_nothing(fleet: Rig) -> None:
    with fleet.outside() as world:
        world["devices"][sid(1)]["configs"]["a"] = "theirs"
        world["devices"][sid(1)]["unique_name"] = "theirs"
        world["dates"]["devices"][sid(1)]["secrets"]["psk"] = "2030-01-01T00:00:00Z"
        del world["devices"][sid(2)]["configs"]["b"]
        del world["configs"]["host"]
    live = fleet.world
    fleet.mark()
    ran = fleet.apply("--refresh-only")
    assert ran.code == 0, ran
    assert fleet.mutations() == []
    assert fleet.world == live
    # Nothing is somebody else's any more: what differs is what the files want.
    assert fleet.run("drift", str(fleet.fleet)).code == 0
    assert not fleet.changes("--refresh-only")
    assert "microvisor.configs.host" not in fleet.entries()
    assert sorted(fleet.changes()) == [
        "microvisor.configs.host",
        "microvisor.devices.one",
        "microvisor.devices.one.configs.a",
        "microvisor.devices.one.secrets.psk",
        "microvisor.devices.two.configs.b",
    ]
    fleet.apply_well()


def test_refresh_only_shows_each_value_that_it_would_take_over(fleet: Rig) -> None:
    ran = fleet.plan("--refresh-only", "--detailed-exitcode")
    assert ran.code == 0 and "there is nothing to take over" in ran.out, ran
    with fleet.outside() as world:
        world["devices"][sid(1)]["configs"]["a"] = "theirs"
        world["devices"][sid(1)]["unique_name"] = "renamed"
        del world["configs"]["host"]
    edit(fleet)
    ran = fleet.plan("--refresh-only", "--detailed-exitcode")
    assert ran.code == 2, ran
    assert "3 values would be taken over into the state; nothing is sent." in ran.out, ran
    assert '-> "theirs"' in ran.out and '"one" -> "renamed"' in ran.out, ran
    assert "matches the configuration" not in ran.out and "Blocked" not in ran.out, ran
    assert fleet.plan("--refresh-only").code == 0


def test_the_first_run_is_guarded_where_it_overwrites(make_rig: MakeRig) -> None:
    """Without a state nothing is remembered, so what is live is all that there is to lose."""
    rig = make_rig(devices={sid(n): {"unique_name": f"old-{n}"} for n in range(1, 121)})
    rig.devices.update({f"d{n}": {"sid": sid(n), "logging": True} for n in range(1, 121)})
    ran = rig.plan()
    assert ran.code == 5, ran
    assert "120 devices would be changed, limits.change is 100 (the default: 100 or 50 %" in ran.out, ran
    assert "--allow change=120" in ran.out, ran
    assert rig.apply("--allow", "change=120").code == 0


def test_the_first_run_of_a_fresh_fleet_is_free(make_rig: MakeRig) -> None:
    rig = make_rig(devices={sid(n): {} for n in range(1, 121)})
    rig.devices.update({f"d{n}": {"sid": sid(n), "logging": True} for n in range(1, 121)})
    assert rig.apply().code == 0


def test_refresh_only_leaves_your_own_changes_for_later(fleet: Rig) -> None:
    edit(fleet)
    fleet.mark()
    assert fleet.apply("--refresh-only").code == 0
    assert fleet.mutations() == []
    assert len(fleet.changes()) == 4


def test_no_refresh_compares_with_the_state_and_asks_nothing(fleet: Rig) -> None:
    fleet.mark()
    ran = fleet.plan("--no-refresh", "--detailed-exitcode")
    assert ran.code == 0, ran
    assert fleet.requests() == []
    edit(fleet)
    fleet.mark()
    assert len(fleet.changes("--no-refresh")) == 4
    assert fleet.requests() == []


def test_apply_without_refresh_carries_out_what_the_files_changed(fleet: Rig) -> None:
    edit(fleet)
    fleet.devices["one"]["app"] = "live"
    fleet.environ["PSK"] = "another-value"
    ran = fleet.apply("--no-refresh")
    assert ran.code == 0, ran
    fleet.assert_in_sync()


def test_apply_without_refresh_does_not_overwrite_what_somebody_else_changed(fleet: Rig) -> None:
    with fleet.outside() as world:
        world["devices"][sid(1)]["configs"]["a"] = "theirs"
        world["devices"][sid(2)]["app"]["target_sid"] = None
    edit(fleet)
    fleet.devices["two"]["app"] = "mine"
    ran = fleet.apply("--no-refresh")
    assert ran.code == 7, ran
    assert "2 conflicts" in ran.out, ran
    assert fleet.device(1)["configs"] == {"a": "theirs"}
    assert fleet.device(2)["app"]["target_sid"] is None
    fleet.apply_well()


# -- how it ends ------------------------------------------------------------------------------------------------------


def test_a_plan_writes_nothing(fleet: Rig) -> None:
    edit(fleet)
    before = fleet.state.read_bytes()
    fleet.mark()
    fleet.plan()
    assert fleet.state.read_bytes() == before
    assert fleet.mutations() == []
    fleet.lose_state()
    fleet.plan()
    assert not fleet.state.exists()


def test_without_a_terminal_an_apply_asks_for_approval_by_option(fleet: Rig) -> None:
    edit(fleet)
    fleet.mark()
    ran = fleet.run("apply", str(fleet.fleet))
    assert ran.code == 1, ran
    assert "--auto-approve" in ran.err
    assert fleet.mutations() == []


def test_detailed_exit_code_tells_changes_from_none(fleet: Rig) -> None:
    assert fleet.plan("--detailed-exitcode").code == 0
    edit(fleet)
    assert fleet.plan().code == 0
    assert fleet.plan("--detailed-exitcode").code == 2


def test_apply_says_what_it_did_in_json_too(fleet: Rig) -> None:
    edit(fleet)
    ran = fleet.apply("--format", "json")
    assert ran.code == 0, ran
    assert "done" in ran.out
