"""One document with all three providers: one plan and one apply, and what it means when one of them is down."""

from __future__ import annotations

import contextlib
import copy
import socket
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from fleet_rig import ACCOUNT, TOKEN, Rig, sid
from management_rig import API_KEY, id_of, pumps
from tracker_rig import PASSWORD, USERNAME

from reconcile.simulator import running

PSK = "4a" * 16
ENDPOINT = "endpoint-of-pump-1"
CREDENTIALS = {
    "TWILIO_ACCOUNT_SID": ACCOUNT,
    "TWILIO_AUTH_TOKEN": TOKEN,
    "CFG_REST_API_USERNAME": USERNAME,
    "CFG_REST_API_PASSWORD": PASSWORD,
    "MBED_CLOUD_SDK_API_KEY": API_KEY,
}
WORLD: dict[str, Any] = {
    "account_sid": ACCOUNT,
    "auth_token": TOKEN,
    "api_key": API_KEY,
    "tracker_username": USERNAME,
    "tracker_password": PASSWORD,
    "microvisor": {"devices": {sid(1): {}, sid(2): {}}},
    "trackers": {"A1": {}, "A2": {}},
    "device_management": {"devices": pumps(3)},
}
DOCUMENT: dict[str, Any] = {
    "fleet": "tests",
    "microvisor": {
        "configs": {"host": "mqtt"},
        "secrets": {"password": "env:MQTT"},
        "devices": {"warehouse": {"sid": sid(1), "configs": {"site": "oslo"}, "secrets": {"psk": "env:WIFI"}}},
    },
    "asset_tracker": {"trackers": {"truck": {"agent": "A1", "agentConfiguration": {"debug": {"logLevel": "INFO"}}}}},
    "device_management": {
        "groups": {"north": {"description": "north of the river"}},
        "devices": {
            "pump-1": {"endpoint_name": "pump-0001", "custom_attributes": {"line": "3"}, "groups": ["north"]},
            "pump-9": {"endpoint_name": "pump-0009", "lifecycle": "managed", "groups": ["north"]},
        },
        "shared_keys": {ENDPOINT: "env:PSK"},
    },
}
ADDRESSES = {
    "microvisor": "microvisor.devices.warehouse",
    "asset_tracker": "asset_tracker.trackers.truck",
    "device_management": "device_management.devices.pump-1",
}
PATHS = {"microvisor": "/v1/*", "asset_tracker": "/*/cfg*", "device_management": "/v[23]/*"}
PROVIDERS = list(PATHS)
EVERY_WRITE = [
    ("POST", "/v1/Configs*"),
    ("POST", "/v1/Secrets*"),
    ("POST", "/v1/Devices/*"),
    ("POST", "/v1/Devices/*/Configs*"),
    ("PATCH", "/A1/cfg*"),
    ("POST", "/v3/device-groups/"),
    ("POST", "/v3/device-groups/*/devices/add/"),
    ("POST", "/v3/devices/"),
    ("PUT", "/v3/devices/*"),
    ("POST", "/v2/device-shared-keys"),
]


class AllRig(Rig):
    """A fleet of everything; `direct` has credentials and a base URL of its own for each provider."""

    def __init__(self, directory: Path, sim: Any) -> None:
        super().__init__(directory, sim)
        self.files = copy.deepcopy(DOCUMENT)
        self.environ = {"MQTT": "secret-of-mqtt", "WIFI": "secret-of-wifi", "PSK": PSK}

    def direct(self) -> None:
        """Each provider by its own settings, as on the real accounts."""
        url = self.sim.url
        self.environ |= {**CREDENTIALS, "RECONCILE_SIMULATOR": ""}
        self.files["providers"] = {
            "microvisor": {"base_url": f"{url}/v1", "upload_url": f"{url}/v1"},
            "asset_tracker": {"base_url": url},
            "device_management": {"base_url": url},
        }

    def point(self, provider: str, url: str) -> None:
        """Another host for one provider."""
        for name, before in self.files["providers"][provider].items():
            self.files["providers"][provider][name] = before.replace(self.sim.url, url)

    @property
    def state(self) -> Path:
        name = "tests.db" if self.environ.get("RECONCILE_SIMULATOR") == "" else "tests.simulator.db"
        return self.fleet / "state" / name

    def is_done(self, provider: str) -> bool:
        """Whether the account of a provider is as the document says."""
        world = self.sim.world
        if provider == "microvisor":
            device = world["microvisor"]["devices"][sid(1)]
            return bool(device["configs"]) and bool(device["secrets"])
        if provider == "asset_tracker":
            return bool(world["trackers"]["A1"]["agent_log_level"] == "INFO")
        section = world["device_management"]
        return section["devices"][id_of(1)]["name"] == "pump-1" and ENDPOINT in section["shared_keys"]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[AllRig]:
    with running(world=copy.deepcopy(WORLD)) as sim:
        yield AllRig(tmp_path, sim)


@contextlib.contextmanager
def nobody_listens() -> Iterator[str]:
    """A URL of this machine that refuses connections: the port is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_of_which_nothing_is_selected_is_neither_connected_nor_read(fleet: AllRig, provider: str) -> None:
    fleet.direct()
    others = [name for name in PROVIDERS if name != provider]
    credentials = {name: fleet.environ[name] for name in CREDENTIALS}
    for options in (["--target", provider], [word for name in others for word in ("--exclude", name)]):
        for name in CREDENTIALS:  # those of the others are not needed
            del fleet.environ[name]
        own = {"microvisor": "TWILIO", "asset_tracker": "CFG", "device_management": "MBED"}[provider]
        fleet.environ |= {name: value for name, value in credentials.items() if name.startswith(own)}
        fleet.mark()
        ran = fleet.plan(*options)
        assert ran.code == 0 and ADDRESSES[provider] in ran.out, ran
        paths = {request.split(" ")[1] for request in fleet.requests()}
        assert paths and all(fnmatch(path, PATHS[provider]) for path in paths), paths
        assert not any(ADDRESSES[name] in ran.out for name in others)
        file = fleet.directory / "part.plan"
        assert fleet.plan(*options, "--out", str(file)).code == 0
        fleet.environ |= credentials
    assert fleet.apply_file(file).code == 0
    assert fleet.is_done(provider) and not any(map(fleet.is_done, others))
    # The rest goes on from there.
    fleet.apply_well()
    assert all(map(fleet.is_done, PROVIDERS))


def test_what_an_earlier_run_left_open_is_read_back_though_it_is_not_selected(fleet: AllRig) -> None:
    fleet.sim.set_faults({"match": {"method": "POST", "path": "/v1/Configs*"}, "effect": {"drop": "after"}})
    fleet.crash(6)
    fleet.sim.set_faults()
    ran = fleet.apply("--target", "asset_tracker")
    assert ran.code == 0 and fleet.is_done("asset_tracker"), ran
    fleet.apply_well()
    assert all(map(fleet.is_done, PROVIDERS))


def test_all_are_planned_and_applied_in_one_run_and_the_second_plan_is_empty(fleet: AllRig) -> None:
    ran = fleet.plan()
    assert ran.code == 0, ran
    for address in (*ADDRESSES.values(), "device_management.shared_keys", "microvisor.configs.host"):
        assert address in ran.out, ran
    shown = ran.out.splitlines()
    assert shown[0].startswith("tests · ") and ACCOUNT in shown[0] and "account at loopback" in shown[0], ran
    assert "3 to import" in ran.out and "Plan:" in ran.out
    ran = fleet.apply_well()
    assert "Also: 3 imported" in ran.out, ran
    assert all(map(fleet.is_done, PROVIDERS))
    assert {address.partition(".")[0] for address in fleet.entries()} == set(PROVIDERS)


def test_the_same_by_the_settings_of_each(fleet: AllRig) -> None:
    fleet.direct()
    fleet.apply_well()
    assert all(map(fleet.is_done, PROVIDERS))


def test_a_saved_plan_of_all_three_is_carried_out_exactly(fleet: AllRig) -> None:
    saved = fleet.saved()
    ran = fleet.run("show", str(saved))
    assert ran.code == 0 and all(address in ran.out for address in ADDRESSES.values()), ran
    ran = fleet.apply_file(saved)
    assert ran.code == 0, ran
    fleet.assert_in_sync()


def test_what_changed_outside_at_each_is_drift_and_is_put_back(fleet: AllRig) -> None:
    fleet.apply_well()
    world = copy.deepcopy(fleet.sim.world)
    world["microvisor"]["devices"][sid(1)]["unique_name"] = "theirs"
    world["trackers"]["A1"]["agent_log_level"] = "ERROR"
    world["device_management"]["devices"][id_of(1)]["custom_attributes"] = {"line": "9"}
    fleet.sim.put(world)
    ran = fleet.run("drift", str(fleet.fleet))
    assert ran.code == 2, ran
    assert all(address in ran.out for address in ADDRESSES.values()), ran
    fleet.apply_well()


def test_one_section_that_leaves_the_files_touches_nothing_of_the_others(fleet: AllRig) -> None:
    fleet.apply_well()
    section = fleet.files.pop("device_management")
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert all(" /v2/" in request or " /v3/" in request for request in fleet.mutations())
    world = fleet.sim.world["device_management"]
    assert id_of(1) in world["devices"] and not world["groups"] and not world["shared_keys"]
    fleet.files["device_management"] = section
    fleet.apply_well()


def test_destroy_takes_all_three(fleet: AllRig) -> None:
    fleet.apply_well()
    ran = fleet.run("destroy", str(fleet.fleet), "--auto-approve")
    assert ran.code == 0 and fleet.entries() == {}, ran


@pytest.mark.parametrize(("method", "path"), EVERY_WRITE)
@pytest.mark.parametrize("drop", ["before", "after"])
def test_one_answer_that_is_lost_is_got_over(fleet: AllRig, method: str, path: str, drop: str) -> None:
    fleet.sim.set_faults({"match": {"method": method, "path": path}, "times": 1, "effect": {"drop": drop}})
    ran = fleet.apply()
    assert ran.code in (0, 7), ran
    fleet.sim.set_faults()
    if ran.code:
        ran = fleet.apply()
        assert ran.code == 0, ran
    assert all(map(fleet.is_done, PROVIDERS))
    names = [member["name"] for member in fleet.sim.world["device_management"]["devices"].values() if member["name"]]
    assert len(names) == len(set(names)), names
    fleet.assert_in_sync()


@pytest.mark.parametrize("after", range(12, 34, 3))
def test_a_run_that_is_killed_is_taken_up(fleet: AllRig, after: int) -> None:
    fleet.crash(after)
    ran = fleet.apply()
    assert ran.code == 0, ran
    assert all(map(fleet.is_done, PROVIDERS))
    fleet.assert_in_sync()


DOWN: list[tuple[str, int]] = [("refused", 1), ("drop", 1), ("500", 1), ("503", 1), ("401", 4), ("403", 4)]


@contextlib.contextmanager
def down(fleet: AllRig, provider: str, how: str) -> Iterator[None]:
    """Nothing of this provider answers; the others do."""
    fleet.direct()
    if how == "refused":
        with nobody_listens() as url:
            fleet.point(provider, url)
            yield
        fleet.direct()
        return
    effect: dict[str, Any] = {"drop": "before"} if how == "drop" else {"status": int(how)}
    fleet.sim.set_faults({"match": {"method": "*", "path": PATHS[provider]}, "effect": effect})
    yield
    fleet.sim.set_faults()


@pytest.mark.parametrize(("how", "code"), DOWN)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_one_that_is_down_makes_the_plan_incomplete_and_the_others_are_shown(
    fleet: AllRig, provider: str, how: str, code: int
) -> None:
    others = [name for name in PROVIDERS if name != provider]
    with down(fleet, provider, how):
        ran = fleet.plan()
        assert ran.code == code, ran
        assert all(ADDRESSES[name] in ran.out for name in others), ran
        assert provider in ran.out + ran.err and "Not read" in ran.out, ran
        if provider != "asset_tracker" or how == "refused":
            assert "Traceback" not in ran.err
        as_data = fleet.plan("--format", "json")
        assert as_data.code == code and as_data.json["reconcile"], as_data
        assert {row["address"] for row in as_data.json["resource_changes"]} >= {ADDRESSES[name] for name in others}

        fleet.mark()
        ran = fleet.apply()
        assert ran.code == code, ran
        assert all(map(fleet.is_done, others)) and not fleet.is_done(provider), ran
        prefixes = {"microvisor": " /v1/", "asset_tracker": "/cfg", "device_management": (" /v2/", " /v3/")}[provider]
        for request in fleet.mutations():
            assert not any(prefix in request for prefix in ([prefixes] if isinstance(prefixes, str) else prefixes))
    fleet.apply_well()
    assert all(map(fleet.is_done, PROVIDERS))


@pytest.mark.parametrize(("how", "code"), DOWN)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_one_that_goes_down_after_an_apply_loses_nothing(fleet: AllRig, provider: str, how: str, code: int) -> None:
    fleet.direct()
    fleet.apply_well()
    before = fleet.entries()
    fleet.files["microvisor"]["devices"]["warehouse"]["configs"]["site"] = "bergen"
    fleet.files["asset_tracker"]["trackers"]["truck"]["agentConfiguration"]["debug"]["logLevel"] = "ERROR"
    fleet.files["device_management"]["devices"]["pump-1"]["custom_attributes"]["line"] = "4"
    # Were its silence taken for an empty account, these would be forgotten, or made again.
    with down(fleet, provider, how):
        ran = fleet.apply()
        assert ran.code == code, ran
    after = fleet.entries()
    assert {a: e for a, e in before.items() if a.startswith(provider)} == {
        a: e for a, e in after.items() if a.startswith(provider)
    }
    fleet.apply_well()
    assert fleet.entries().keys() == before.keys()


@pytest.mark.parametrize("how", ["refused", "500", "401"])
def test_one_that_is_down_and_is_not_in_the_files_does_not_matter(fleet: AllRig, how: str) -> None:
    del fleet.files["device_management"]
    with down(fleet, "device_management", how):
        ran = fleet.apply()
    assert ran.code == 0, ran


def test_all_that_are_down_are_named(fleet: AllRig) -> None:
    fleet.direct()
    fleet.sim.set_faults({"match": {"method": "*", "path": "*"}, "effect": {"status": 500}})
    ran = fleet.plan()
    assert ran.code == 1 and all(provider in ran.out + ran.err for provider in PROVIDERS), ran


def test_one_that_is_down_and_one_that_refuses_the_key_end_with_4(fleet: AllRig) -> None:
    fleet.direct()
    fleet.sim.set_faults(
        {"match": {"method": "*", "path": "/v1/*"}, "effect": {"status": 500}},
        {"match": {"method": "*", "path": "/v3/*"}, "effect": {"status": 401}},
    )
    ran = fleet.plan()
    assert ran.code == 4 and ADDRESSES["asset_tracker"] in ran.out, ran


@pytest.mark.parametrize("name", ["TWILIO_AUTH_TOKEN", "CFG_REST_API_PASSWORD", "MBED_CLOUD_SDK_API_KEY"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_credential_that_is_missing_is_named_before_anything_is_sent(
    fleet: AllRig, name: str, value: str | None
) -> None:
    fleet.direct()
    fleet.environ.pop(name)
    if value is not None:
        fleet.environ[name] = value
    fleet.mark()
    ran = fleet.apply()
    assert ran.code == 3 and name in ran.err, ran
    assert fleet.mutations() == []


def test_a_target_at_one_is_carried_out_while_another_is_down(fleet: AllRig) -> None:
    with down(fleet, "microvisor", "500"):
        ran = fleet.apply("--target", ADDRESSES["device_management"])
        assert ran.code in (0, 1), ran
    assert fleet.sim.world["device_management"]["devices"][id_of(1)]["name"] == "pump-1"
    assert not fleet.is_done("asset_tracker") and not fleet.is_done("microvisor")


@pytest.mark.parametrize("path", ["/v3", "/v3/"])
def test_a_base_url_of_device_management_has_no_path(fleet: AllRig, path: str) -> None:
    # docs/document.md, "device_management": else every request goes to /v3/v3/…, which says nothing to a reader.
    fleet.direct()
    fleet.point("device_management", fleet.sim.url + path)
    fleet.mark()
    ran = fleet.plan()
    assert ran.code == 3 and "base_url" in ran.err, ran
    assert not any("/v3/v3/" in request for request in fleet.requests())


# What a document says of Device Management that only the account can tell


@pytest.mark.parametrize(
    "change,words",
    [
        ({"devices": {"pump-1": {"endpoint_name": "pump-0001", "groups": ["nort"]}}}, 'Did you mean "north"?'),
        (
            {"devices": {"a": {"id": id_of(1), "endpoint_name": "pump-0001"}, "b": {"endpoint_name": "pump-0001"}}},
            "two devices are one unit",
        ),
        ({"devices": {"a": {"id": id_of(1)}, "b": {"endpoint_name": "pump-0001"}}}, "two devices are one unit"),
        ({"firmware_images": {"one": {"file": "nowhere.bin"}}}, "nowhere.bin is not there"),
        ({"firmware_manifests": {"one": {"file": "nowhere.manifest"}}}, "nowhere.manifest is not there"),
        ({"campaigns": {"spring": {"manifest": "nix", "group": "north"}}}, "there is no firmware manifest 'nix'"),
    ],
)
def test_what_the_account_does_not_have_is_an_error_with_its_place_and_nothing_is_changed(
    fleet: AllRig, change: dict[str, Any], words: str
) -> None:
    fleet.files = {"fleet": "tests", "device_management": {"groups": {"north": {}}, **change}}
    fleet.mark()
    for ran in (fleet.plan(), fleet.apply()):
        assert ran.code == 3 and words in ran.err and "fleet.yaml line " in ran.err, ran
    assert fleet.mutations() == []
