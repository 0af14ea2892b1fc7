"""What cannot be read, is refused or is not there: named, left alone, and told by the exit code."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import pytest
from fleet_rig import MakeRig, Rig, app_sid, sid

from reconcile.transport import Client


@pytest.fixture
def fleet(make_rig: MakeRig) -> Rig:
    rig = make_rig(apps={app_sid(1): {"unique_name": "live"}})
    rig.configs["host"] = "1"
    rig.devices["one"] = {"sid": sid(1), "configs": {"a": "1"}}
    rig.devices["two"] = {"sid": sid(2), "configs": {"a": "1"}}
    rig.apply_well()
    return rig


def fault(effect: dict[str, object], path: str = "*", method: str = "*") -> dict[str, object]:
    return {"match": {"method": method, "path": path}, "effect": effect}


def test_a_device_waits_for_an_app_that_is_nowhere_and_the_rest_goes_on(fleet: Rig) -> None:
    fleet.devices["one"]["app"] = "liive"
    fleet.configs["other"] = "1"
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 1, ran
    assert "microvisor.devices.one: there is no app 'liive'" in ran.out and 'Did you mean "live"?' in ran.out, ran
    assert fleet.mutations() == ["POST /v1/Configs"]


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_exit_4_and_send_nothing(fleet: Rig, status: int) -> None:
    fleet.configs["other"] = "1"
    fleet.sim.set_faults(fault({"status": status}))
    fleet.mark()
    for ran in (fleet.plan(), fleet.apply()):
        assert ran.code == 4, ran
        assert str(status) in ran.out + ran.err
    assert fleet.mutations() == []


def test_credentials_that_are_refused_in_the_middle_stop_the_run(fleet: Rig) -> None:
    for number in range(20):
        fleet.configs[f"c{number:02}"] = "1"
    fleet.sim.set_faults(fault({"status": 401}, method="POST"))
    fleet.mark()
    ran = fleet.apply("--parallelism", "1")
    assert ran.code == 4, ran
    assert len(fleet.mutations()) == 1
    fleet.sim.set_faults()
    fleet.apply_well()


def test_an_api_that_does_not_answer_makes_an_incomplete_plan(fleet: Rig) -> None:
    fleet.sim.set_faults(fault({"status": 503}))
    ran = fleet.plan()
    assert ran.code == 1, ran
    assert "Incomplete" in ran.out and "503" in ran.out, ran


def test_an_address_where_nobody_listens_exits_1(fleet: Rig) -> None:
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    fleet.environ["RECONCILE_SIMULATOR"] = url
    ran = fleet.apply()
    assert ran.code == 1, ran
    assert url in ran.err


def test_what_was_read_is_carried_out_and_what_was_not_is_listed(fleet: Rig) -> None:
    fleet.configs["host"] = "2"
    fleet.devices["one"]["configs"]["a"] = fleet.devices["two"]["configs"]["a"] = "2"
    fleet.sim.set_faults(fault({"status": 500}, f"/v1/Devices/{sid(1)}/Configs*"))
    ran = fleet.apply()
    assert ran.code == 1, ran
    assert "not read" in ran.out and "microvisor.devices.one" in ran.out, ran
    assert fleet.world["configs"] == {"host": "2"}
    assert (fleet.device(1)["configs"], fleet.device(2)["configs"]) == ({"a": "1"}, {"a": "2"})
    fleet.sim.set_faults()
    fleet.apply_well()


def test_nothing_is_deleted_or_forgotten_on_an_incomplete_listing(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.configs.update({f"c{number:04}": "1" for number in range(3)})
    rig.devices["one"] = {"sid": sid(1), "configs": {"a": "1", "b": "1"}}
    rig.apply_well()
    del rig.configs["c0000"], rig.devices["one"]["configs"]["b"]
    before = rig.world, rig.entries()
    for path in ("/v1/Configs*", "/v1/Devices*"):
        rig.sim.set_faults(fault({"status": 500}, path, "GET"), fault({"status": 500}, "/v1/Devices/*/Configs*", "GET"))
        if path == "/v1/Configs*":
            rig.sim.set_faults(fault({"status": 500}, path, "GET"), fault({"status": 500}, "/v1/Devices*", "GET"))
        assert rig.apply().code == 1
        assert "microvisor.devices.one" in rig.entries()
    rig.sim.set_faults(fault({"status": 500}, "*", "GET"))
    assert rig.apply().code == 1
    assert rig.world["devices"] == before[0]["devices"]
    rig.sim.set_faults()
    rig.apply_well()


def test_some_unread_resources_are_tolerated_by_their_limit(fleet: Rig) -> None:
    fleet.files["limits"] = {"unread": 1}
    fleet.sim.set_faults(fault({"status": 500}, f"/v1/Devices/{sid(1)}/Configs*"))
    ran = fleet.plan()
    assert ran.code == 0, ran
    assert "microvisor.devices.one" in ran.out


@pytest.mark.parametrize(
    "effect",
    [
        {"status": 200, "body": "<html>login</html>", "headers": {"Content-Type": "text/html"}},
        {"status": 200, "body": "{\"apps\": ["},
        {"status": 200, "body": []},
        {"status": 200, "body": {}},
        {"status": 200, "body": {"configs": [{"no": "key"}], "meta": {}}},
        {"status": 302, "headers": {"Location": "https://example.com"}},
    ],
)  # fmt: skip
def test_answers_that_no_such_api_gives_are_an_incomplete_plan(fleet: Rig, effect: dict[str, object]) -> None:
    fleet.configs["host"] = "2"
    fleet.sim.set_faults(fault(effect, "/v1/Configs*", "GET"))
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 1, ran
    assert fleet.mutations() == []


def test_a_next_page_on_another_host_is_not_asked(fleet: Rig) -> None:
    body = {"configs": [], "meta": {"next_page_url": "http://127.0.0.1:1/v1/Configs?PageToken=x", "key": "configs"}}
    fleet.sim.set_faults(fault({"status": 200, "body": body}, "/v1/Configs*", "GET"))
    assert fleet.plan().code == 1


@pytest.mark.parametrize("garbage", [b"", b"SQLite format 3\0", b"not a database at all" * 100])
def test_a_state_that_is_there_and_broken_is_an_error_and_nothing_is_sent(fleet: Rig, garbage: bytes) -> None:
    fleet.lose_state()
    fleet.state.write_bytes(garbage)
    fleet.configs["host"] = "2"
    fleet.mark()
    for ran in (fleet.plan(), fleet.apply()):
        assert ran.code == 1, ran
    assert fleet.requests() == []
    assert fleet.state.read_bytes() == garbage


def test_a_state_of_another_fleet_or_account_is_refused(fleet: Rig) -> None:
    state = fleet.state
    fleet.files["fleet"] = "another"
    ran = fleet.run("plan", str(fleet.fleet), "--state", str(state))
    assert ran.code == 5, ran
    assert "tests" in ran.err and "another" in ran.err
    fleet.files["fleet"] = "tests"
    with_other = fleet.sim.world
    with_other["account_sid"] = f"AC{2:032x}"
    fleet.sim.put(with_other)
    ran = fleet.apply()
    assert ran.code == 5, ran
    assert f"AC{1:032x}" in ran.err and f"AC{2:032x}" in ran.err


def test_a_failed_resource_stops_its_dependents_and_nothing_else(fleet: Rig) -> None:
    fleet.apps["new"] = {"bundle": fleet.bundle("new.zip")}
    fleet.devices["one"] |= {"app": "new"}
    fleet.devices["two"]["configs"]["a"] = "2"
    fleet.sim.set_faults(fault({"status": 400}, "/upload/*", "POST"))
    ran = fleet.apply()
    assert ran.code == 7, ran
    assert "1 done, 1 failed, 0 unknown, 1 skipped" in ran.out, ran
    assert fleet.device(2)["configs"] == {"a": "2"}
    fleet.sim.set_faults()
    fleet.apply_well()


@pytest.mark.parametrize("endless", [True, "empty"])
@pytest.mark.parametrize("path", ["/v1/Devices", "/v1/Apps", "/v1/Configs", f"/v1/Devices/{sid(1)}/Configs"])
def test_a_listing_without_an_end_is_not_read_for_ever(fleet: Rig, path: str, endless: object) -> None:
    fleet.sim.set_faults(fault({"endless": endless}, path, "GET"))
    fleet.mark()
    ran = fleet.plan()
    assert ran.code == 1, ran
    assert f"the answer to GET {path} names another page after" in ran.out + ran.err
    assert len(fleet.requests()) < 40
    fleet.sim.set_faults()
    fleet.assert_in_sync()


def test_a_bundle_that_is_built_again_between_two_attempts_is_not_uploaded(
    fleet: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.apps["new"] = {"bundle": fleet.bundle("new.zip", main="planned")}
    fleet.sim.set_faults({**fault({"status": 429, "headers": {"Retry-After": "2"}}, "/upload/*", "POST"), "times": 1})
    attempt = Client._attempt

    async def built_again(self: Client, *args: Any) -> Any:
        answered = await attempt(self, *args)
        if args[0] == "POST":
            fleet.bundle("new.zip", main="another build")
        return answered

    monkeypatch.setattr(Client, "_attempt", built_again)
    ran = fleet.apply()
    monkeypatch.undo()
    assert ran.code == 7, ran
    assert "is not the file that was planned" in ran.out + ran.err and "plan again" in ran.out + ran.err
    assert [app["unique_name"] for app in fleet.world["apps"].values()] == ["live"]
    assert "microvisor.apps.new" not in fleet.entries()
    fleet.sim.set_faults()
    fleet.apply_well()
