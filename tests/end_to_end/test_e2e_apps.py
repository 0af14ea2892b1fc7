"""An app is its bytes: uploaded once, never changed, deleted last and only when nobody uses it."""

from __future__ import annotations

import pytest
from fleet_rig import MakeRig, Rig, bundle, sha256, sid


@pytest.fixture
def fleet(rig: Rig) -> Rig:
    rig.apps["v1"] = {"bundle": rig.bundle("v1.zip")}
    rig.devices["one"] = {"sid": sid(1), "app": "v1"}
    rig.apply_well()
    rig.sim.advance(120)
    return rig


def names(rig: Rig) -> list[str]:
    return sorted(app["unique_name"] for app in rig.world["apps"].values())


def test_other_bytes_under_a_name_are_refused_with_both_checksums(fleet: Rig) -> None:
    old = sha256((fleet.fleet / "v1.zip").read_bytes())
    fleet.bundle("v1.zip", main="other bytes")
    new = sha256((fleet.fleet / "v1.zip").read_bytes())
    fleet.mark()
    shown = fleet.plan()
    assert shown.code == 5, shown
    assert old in shown.out and new in shown.out and "new name" in shown.out, shown
    ran = fleet.apply()
    assert ran.code == 5, ran
    assert old in ran.err and new in ran.err
    assert fleet.mutations() == []


def test_the_bundle_is_not_needed_once_it_is_uploaded_if_its_checksum_is_written(fleet: Rig) -> None:
    file = fleet.fleet / "v1.zip"
    fleet.apps["v1"]["sha256"] = sha256(file.read_bytes())
    file.unlink()
    fleet.assert_in_sync()


def test_the_records_checksum_stands_in_for_the_bundle(fleet: Rig) -> None:
    (fleet.fleet / "v1.zip").unlink()
    fleet.assert_in_sync()


def test_a_bundle_that_is_elsewhere_is_the_same_app(fleet: Rig) -> None:
    (fleet.fleet / "moved.zip").write_bytes((fleet.fleet / "v1.zip").read_bytes())
    fleet.apps["v1"] = {"bundle": "moved.zip"}
    fleet.assert_in_sync()


def test_an_app_that_is_retargeted_away_from_is_deleted_once_no_device_reports_it(fleet: Rig) -> None:
    del fleet.apps["v1"]
    fleet.apps["v2"] = {"bundle": fleet.bundle("v2.zip")}
    fleet.devices["one"]["app"] = "v2"
    shown = fleet.plan()
    assert "microvisor.devices.one" in shown.out and "reports it" in shown.out, shown
    fleet.mark()
    assert fleet.apply().code == 5
    assert fleet.mutations() == []
    ran = fleet.apply("--exclude", "microvisor.apps.v1")
    assert ran.code == 0, ran
    fleet.sim.advance(120)
    fleet.apply_well()
    assert names(fleet) == ["v2"]


def test_an_app_that_a_device_only_targets_is_deleted_after_the_retarget(make_rig: MakeRig) -> None:
    rig = make_rig(devices={sid(1): {"online": False}})
    rig.apps["v1"] = {"bundle": rig.bundle("v1.zip")}
    rig.devices["one"] = {"sid": sid(1), "app": "v1"}
    rig.apply_well()
    del rig.apps["v1"]
    rig.apps["v2"] = {"bundle": rig.bundle("v2.zip")}
    rig.devices["one"]["app"] = "v2"
    rig.apply_well()
    assert names(rig) == ["v2"]


def test_deletions_come_last(make_rig: MakeRig) -> None:
    rig = make_rig(devices={sid(1): {"online": False}})
    rig.apps["v1"] = {"bundle": rig.bundle("v1.zip")}
    rig.configs.update({"old": "1"})
    rig.devices["one"] = {"sid": sid(1), "app": "v1"}
    rig.apply_well()
    del rig.apps["v1"], rig.configs["old"]
    rig.apps["v2"] = {"bundle": rig.bundle("v2.zip")}
    rig.devices["one"]["app"] = "v2"
    rig.mark()
    assert rig.apply().code == 0
    sent = [request.split("/")[0].strip() for request in rig.mutations()]
    assert sent == ["POST", "POST", "DELETE", "DELETE"], rig.mutations()


def test_an_app_that_a_device_of_somebody_else_targets_is_not_deleted(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.apps["v1"] = {"bundle": rig.bundle("v1.zip")}
    rig.configs["kept"] = "1"
    rig.apply_well()
    (app,) = rig.world["apps"]
    with rig.outside() as world:
        world["devices"][sid(4)] |= {"unique_name": "foreign", "app": {"target_sid": app}, "online": False}
    del rig.apps["v1"]
    rig.mark()
    ran = rig.apply()
    assert ran.code == 5, ran
    assert "foreign" in ran.err
    assert rig.mutations() == []
    assert names(rig) == ["v1"]


def test_an_app_that_a_device_still_wants_is_not_deleted(fleet: Rig) -> None:
    del fleet.apps["v1"]
    fleet.devices["one"]["logging"] = True
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 5, ran
    assert "microvisor.devices.one" in ran.err
    assert fleet.mutations() == []


def test_an_app_that_is_leaving_is_not_targeted_first(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.apps["v1"] = {"bundle": rig.bundle("v1.zip")}
    rig.devices["one"] = {"sid": sid(1)}
    rig.apply_well()
    del rig.apps["v1"]
    rig.devices["one"]["app"] = "v1"
    rig.mark()
    ran = rig.apply()
    assert ran.code == 5, ran
    assert "microvisor.devices.one" in ran.err
    assert rig.mutations() == []


def test_an_app_that_is_gone_is_uploaded_again_and_its_devices_retargeted(fleet: Rig) -> None:
    with fleet.outside() as world:
        world["apps"].clear()
        world["devices"][sid(1)]["app"] = None
    changes = fleet.changes()
    assert changes["microvisor.apps.v1"]["change"]["actions"] == ["create"]
    fleet.apply_well()
    (app,) = fleet.world["apps"]
    assert fleet.device(1)["app"]["target_sid"] == app


def test_an_app_that_somebody_replaced_by_other_bytes_is_refused(fleet: Rig) -> None:
    with fleet.outside() as world:
        (app,) = world["apps"].values()
        world["apps"] = {f"KA{77:032x}": {**app, "hash": "sha256:other"}}
        world["devices"][sid(1)]["app"] = None
    ran = fleet.apply()
    assert ran.code == 5, ran
    assert "replaced by somebody else" in ran.err


def test_a_live_app_of_the_same_name_is_adopted(rig: Rig) -> None:
    rig.apps["v1"] = {"bundle": rig.bundle("v1.zip")}
    rig.apply_well()
    rig.lose_state()
    ran = rig.apply_well()
    assert "Also: 1 imported." in ran.out
    assert names(rig) == ["v1"]


def test_a_bundle_that_changes_between_plan_and_upload_is_not_uploaded(rig: Rig) -> None:
    rig.apps["v1"] = {"bundle": rig.bundle("v1.zip")}
    file = rig.saved()
    (rig.fleet / "v1.zip").write_bytes(bundle(main="other"))
    ran = rig.apply_file(file)
    assert ran.code in (5, 7), ran
    assert rig.world["apps"] == {}


def test_a_bundle_that_is_no_zip_is_seen_offline(rig: Rig) -> None:
    (rig.fleet / "v1.zip").write_text("not a zip")
    rig.apps["v1"] = {"bundle": "v1.zip"}
    rig.mark()
    ran = rig.plan()
    assert ran.code == 3 and "v1.zip is not a zip: it does not begin with PK" in ran.err, ran
    assert rig.requests() == []


def test_a_bundle_that_the_api_refuses_fails_and_its_devices_are_skipped(rig: Rig) -> None:
    (rig.fleet / "v1.zip").write_text("PK, and no zip")
    rig.apps["v1"] = {"bundle": "v1.zip"}
    rig.configs["other"] = "1"
    rig.devices["one"] = {"sid": sid(1), "app": "v1"}
    ran = rig.apply()
    assert ran.code == 7, ran
    assert "1 failed" in ran.out and "skipped" in ran.out
    assert rig.world["configs"] == {"other": "1"}
    assert rig.device(1)["app"] is None
    rig.bundle("v1.zip")
    rig.apply_well()
