"""From files to a live fleet: adoption, order, and the empty plan after it."""

from __future__ import annotations

from fleet_rig import MakeRig, Rig, app_sid, sid


def full_fleet(rig: Rig, devices: int = 2) -> None:
    """All six resource types."""
    rig.environ |= {"PSK": "psk-of-the-tests", "PW": "password-of-the-tests"}
    rig.apps["sensor-1"] = {"bundle": rig.bundle("sensor-1.zip")}
    rig.configs["mqtt.host"] = "mqtt.example.com"
    rig.secrets["mqtt password"] = "env:PW"
    for number in range(1, devices + 1):
        rig.devices[f"cold-{number}"] = {
            "sid": sid(number),
            "app": "sensor-1",
            "logging": True,
            "configs": {"site": "oslo", "sample_s": "300"},
            "secrets": {"wifi/psk": "env:PSK"},
        }


def test_all_six_resources_are_made_and_the_plan_is_empty(rig: Rig) -> None:
    full_fleet(rig)
    ran = rig.apply_well()
    assert "Apply complete! Resources: 9 added, 2 changed, 0 destroyed." in ran.out
    world = rig.world
    (app,) = world["apps"].values()
    assert app["unique_name"] == "sensor-1"
    assert world["configs"] == {"mqtt.host": "mqtt.example.com"}
    assert world["secrets"] == {"mqtt password": "password-of-the-tests"}
    device = rig.device(1)
    assert device["unique_name"] == "cold-1"
    assert device["app"]["target_sid"] in world["apps"]
    assert device["logging"]["enabled"] is True
    assert device["configs"] == {"site": "oslo", "sample_s": "300"}
    assert device["secrets"] == {"wifi/psk": "psk-of-the-tests"}


def test_units_that_no_file_names_are_left_alone(rig: Rig) -> None:
    full_fleet(rig)
    before = rig.device(3)
    rig.apply_well()
    assert rig.device(3) == before


def test_a_device_is_configured_before_its_app_and_its_app_before_logging(rig: Rig) -> None:
    full_fleet(rig, devices=1)
    rig.apply_well("--parallelism", "1")
    rig.devices["renamed"] = rig.devices.pop("cold-1")
    rig.devices["renamed"] |= {"app": "sensor-2", "configs": {"site": "bergen"}, "restart": "now"}
    rig.apps["sensor-2"] = {"bundle": rig.bundle("sensor-2.zip")}
    with rig.outside() as world:
        world["devices"][sid(1)]["logging"] = {"enabled": False}
    rig.mark()
    ran = rig.apply("--parallelism", "1")
    assert ran.code == 0, ran
    at, path = f"/v1/Devices/{sid(1)}", []
    for request in rig.mutations():
        path.append(request.replace(at, "DEVICE"))
    assert path[0] == "POST /upload/v1/Apps"
    assert path[1] == "POST DEVICE"  # the name
    assert set(path[2:4]) == {"POST DEVICE/Configs/site", "DELETE DEVICE/Configs/sample_s"}
    assert path[4:] == ["POST DEVICE", "POST DEVICE"]  # the app, then logging; the restart is only recorded
    assert rig.device(1)["restarts"] == 0
    rig.assert_in_sync()


def test_a_device_is_adopted_by_its_name(make_rig: MakeRig) -> None:
    rig = make_rig(devices={sid(7): {"unique_name": "warehouse-7"}})
    rig.devices["warehouse-7"] = {"configs": {"site": "oslo"}}
    ran = rig.apply_well()
    assert "Also: 1 imported." in ran.out
    assert rig.entries()["microvisor.devices.warehouse-7"]["id"] == sid(7)


def test_a_device_that_is_as_written_is_adopted_without_a_request(make_rig: MakeRig) -> None:
    rig = make_rig(devices={sid(7): {"unique_name": "warehouse-7", "configs": {"site": "oslo"}}})
    rig.devices["warehouse-7"] = {"sid": sid(7), "configs": {"site": "oslo"}}
    rig.mark()
    ran = rig.apply()
    assert (ran.code, rig.mutations()) == (0, [])
    assert "Also: 2 imported." in ran.out
    rig.assert_in_sync()


def test_a_device_is_renamed_by_its_key(rig: Rig) -> None:
    rig.devices["one"] = {"sid": sid(1)}
    rig.apply_well()
    rig.devices["one"]["unique_name"] = "Number one"
    assert list(rig.changes()) == ["microvisor.devices.one"]
    rig.apply_well()
    assert rig.device(1)["unique_name"] == "Number one"


def test_a_device_is_retargeted_by_name_and_by_sid(make_rig: MakeRig) -> None:
    rig = make_rig(
        apps={app_sid(1): {"unique_name": "old"}, app_sid(2): {"unique_name": "new"}, app_sid(3): {}},
        devices={sid(1): {"app": {"target_sid": app_sid(1), "reported_sid": app_sid(1)}}},
    )
    rig.devices["one"] = {"sid": sid(1), "app": "old"}
    rig.apply_well()
    for app, target in (("new", app_sid(2)), (app_sid(1), app_sid(1)), (app_sid(3), app_sid(3)), ("old", app_sid(1))):
        rig.devices["one"]["app"] = app
        rig.apply_well()
        assert rig.device(1)["app"]["target_sid"] == target


def test_the_same_app_by_its_name_and_by_its_sid_is_no_change(make_rig: MakeRig) -> None:
    rig = make_rig(apps={app_sid(1): {"unique_name": "old"}}, devices={sid(1): {"app": {"target_sid": app_sid(1)}}})
    rig.devices["one"] = {"sid": sid(1), "app": "old"}
    rig.apply_well()
    rig.devices["one"]["app"] = app_sid(1)
    rig.mark()
    rig.apply_well()
    assert rig.mutations() == []


def test_keys_and_values_of_any_kind_reach_the_api_as_written(rig: Rig) -> None:
    rig.environ["PW"] = " blanks, ünïcode + & = % "
    values = {"a/b": "no", "c d": "0123", "e?f#g": "1.10", "ü": " x ", "plus+": "a=b&c", "%41": "", "x.y": "{}\n\t"}
    rig.configs.update(values)
    rig.secrets["s/1 ü"] = "env:PW"
    rig.devices["one"] = {"sid": sid(1), "configs": dict(values), "secrets": {"s/1 ü": "env:PW"}}
    rig.apply_well()
    assert rig.world["configs"] == values
    assert rig.device(1)["configs"] == values
    assert rig.device(1)["secrets"] == rig.world["secrets"] == {"s/1 ü": rig.environ["PW"]}
    for key in values:
        rig.configs[key] = rig.devices["one"]["configs"][key] = f"other {key}"
    rig.apply_well()
    assert rig.device(1)["configs"] == rig.world["configs"] == {key: f"other {key}" for key in values}
    rig.configs.clear()
    rig.devices["one"]["configs"] = {}
    rig.configs["left"] = "1"
    rig.apply_well()
    assert rig.world["configs"] == {"left": "1"}
    assert rig.device(1)["configs"] == {}


def test_the_older_shape_of_a_device_is_read_as_well(make_rig: MakeRig) -> None:
    rig = make_rig(older_device_shape=True)
    full_fleet(rig)
    rig.apply_well()
    assert "Pending: 2" in rig.plan().out


def test_pages_that_shift_lose_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(paging="offset", devices={sid(n): {} for n in range(1, 6)})
    full_fleet(rig, devices=5)
    rig.apply_well()


def test_a_field_that_is_not_written_any_more_stays_and_is_said_once(rig: Rig) -> None:
    rig.devices["one"] = {"sid": sid(1), "logging": True}
    rig.apply_well()
    del rig.devices["one"]["logging"]
    rig.mark()
    first = rig.plan()
    assert "logging is not in the files any more" in first.out, first
    assert rig.apply().code == 0
    assert rig.mutations() == []
    assert rig.device(1)["logging"]["enabled"] is True
    assert "logging" not in rig.plan().out
    rig.assert_in_sync()


def test_an_apply_stays_empty_as_time_passes(rig: Rig) -> None:
    full_fleet(rig)
    rig.apply_well()
    rig.sim.advance(3600)
    ran = rig.plan()
    assert "Pending" not in ran.out
    rig.assert_in_sync()
