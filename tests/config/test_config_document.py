# ruff: noqa: E501
"""A document with a bit of everything, and what the engine asks of a document."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from config_fleets import FILES, PROVIDERS, devices, fleet, problems, said, write

from reconcile.config import Inputs, load
from reconcile.core.address import Address
from reconcile.core.ports import Document, Limit
from reconcile.core.values import FileRef, Ref, SecretRef
from reconcile.errors import InvalidInput, Position

MAIN = """\
# prod/fleet.yaml                       # the main file: these keys stand only here
fleet: cold-chain-prod                  # [a-z0-9-]+
include: [../base]
values: {domain: example.com}           # of the variables that base/ declares
providers:
  microvisor: {account_sid: AC00000000000000000000000000000001, auth_token: env:TWILIO_AUTH_TOKEN}
state: {path: state/cold-chain-prod.db} # the default
limits: {delete: 20, forget: 20}
"""
BASE = """\
variables:
  domain: {type: text, description: where the brokers live}
tables:
  erp: {file: inventory/erp.csv, key: name, columns: {name: Equipment No., sid: Ext. ID, site: Site Code, hw: HW Rev}}
  sites: {file: sites.yaml, key: code}
profiles:
  cold: {configs: {sample_s: 300}, logging: true}
  hw-B: {app: sensor-b-1.4.2}

microvisor:
  apps:
    sensor-b-1.4.2: {bundle: build/sensor-b-1.4.2.zip}
  configs:
    mqtt_host: "mqtt.{{ var.domain }}"
  secrets:
    mqtt_password: env:MQTT_PASSWORD
  devices:
    warehouse-7:                        # one device
      sid: UV00000000000000000000000000000007
      app: sensor-b-1.4.2
      configs: {site: oslo}
      secrets: {wifi_psk: file:secrets/wifi_psk}
    sensors:                            # a block: one entry that stands for many
      for_each: erp
      key: "{{ row.name | lower }}"
      when: "{{ row.site != '' }}"
      sid: "{{ row.sid }}"
      profile: [cold, "hw-{{ row.hw }}"]
      labels: {site: "{{ row.site }}"}
      configs: {site: "{{ row.site }}", broker: "{{ table.sites[row.site].broker }}"}
      secrets: {wifi_psk: "file:secrets/wifi.json#/{{ row.site }}"}

asset_tracker:
  trackers:
    truck-12:
      agent: LPoC4xOL8ESr_              # or url: https://…/cfg
      configuration:
        connectingPeriod: 60
        locationTracking: {geofence: {enabled: true, lat: 59.91, lng: 10.75, radius: 500}}
      agentConfiguration: {debug: {logLevel: INFO}}

device_management:
  groups:
    north: {description: pumps north of the river}
  devices:
    pump-1: {endpoint_name: pump-0001, description: main, custom_attributes: {line: "3"}, groups: [north]}
"""
ERP = (
    "\ufeffEquipment No.,Ext. ID,Site Code,HW Rev\n"
    "S-00001,UV00000000000000000000000000000011,OSL-1,B\n"
    "\n"
    "S-00002, UV00000000000000000000000000000012 ,BGO-2,B\n"
    "S-00003,,,B\n"
)
EXAMPLE = {
    ".git/HEAD": "",
    "prod/fleet.yaml": MAIN,
    "base/microvisor.yaml": BASE,
    "base/inventory/erp.csv": ERP,
    "base/sites.yaml": "OSL-1: {broker: eu.example.com}\nBGO-2: {broker: eu2.example.com}\n",
    "base/build/sensor-b-1.4.2.zip": "zip",
}


@pytest.fixture
def example(tmp_path: Path) -> Document:
    write(tmp_path, EXAMPLE)
    return load(
        "prod",
        providers=PROVIDERS,
        inputs=Inputs(environ={}, cwd=tmp_path),
    )


def test_the_example_says_what_it_says(example: Document, tmp_path: Path) -> None:
    assert (example.fleet, example.path, example.directory) == ("cold-chain-prod", "prod", str(tmp_path / "prod"))
    assert example.state.path == str(tmp_path / "prod/state/cold-chain-prod.db")
    assert example.limits == {"delete": Limit(number=20), "forget": Limit(number=20)}
    assert list(example.providers()) == ["microvisor", "asset_tracker", "device_management"]
    assert example.settings["microvisor"].account_sid == "AC00000000000000000000000000000001"
    assert example.settings["microvisor"].auth_token == SecretRef("env", "TWILIO_AUTH_TOKEN")
    assert example.settings["asset_tracker"].username == SecretRef("env", "CFG_REST_API_USERNAME")
    assert list(example.warnings) == []
    counts = {kind.path: example.count(kind.path) for one in PROVIDERS.values() for kind in one.types}
    assert counts == {
        "microvisor.apps": 1,
        "microvisor.configs": 1,
        "microvisor.secrets": 1,
        "microvisor.devices": 3,
        "microvisor.devices.configs": 7,
        "microvisor.devices.secrets": 3,
        "asset_tracker.trackers": 1,
        "device_management.groups": 1,
        "device_management.devices": 1,
        "device_management.devices.groups": 1,
    }


def test_a_row_is_built_of_its_profiles_and_then_of_the_block(example: Document) -> None:
    handle = example.handle(Address("microvisor.devices.s-00001"))
    assert handle is not None
    row = example.at(handle)
    assert row.attrs == {
        "logging": True,
        "app": Ref("microvisor.apps", "sensor-b-1.4.2"),
        "sid": "UV00000000000000000000000000000011",
    }
    assert (row.block, row.labels) == ("sensors", {"site": "OSL-1"})
    assert {child.address.key: child.attrs["value"] for child in example.children(handle)} == {
        "sample_s": "300",
        "site": "OSL-1",
        "broker": "eu.example.com",
        "wifi_psk": SecretRef("file", "../base/secrets/wifi.json", "/OSL-1"),
    }
    assert example.children(handle)[0].address == "microvisor.devices.s-00001.configs.sample_s"


def test_a_row_stands_in_its_table_and_its_attributes_in_the_files(example: Document) -> None:
    row = example.get(Address("microvisor.devices.s-00002"))
    assert row is not None
    assert row.where == Position("base/inventory/erp.csv", 4, 0, 2)
    assert row.fields["sid"] == Position("base/microvisor.yaml", 27, 12)
    assert row.fields["app"] == Position("base/microvisor.yaml", 8, 15)
    assert dict(row.origins) == {"logging": "profile cold", "app": "profile hw-B"}
    one = example.get(Address("microvisor.devices.warehouse-7"))
    assert one is not None and one.where == Position("base/microvisor.yaml", 18, 5)


def test_app_tracker_and_membership(example: Document) -> None:
    app = example.get(Address.of("microvisor.apps", ["sensor-b-1.4.2"]))
    assert app is not None
    assert app.attrs["bundle"] == FileRef("../base/build/sensor-b-1.4.2.zip", hashlib.sha256(b"zip").hexdigest())
    truck = example.get(Address("asset_tracker.trackers.truck-12"))
    assert truck is not None
    assert truck.attrs["configuration"]["locationTracking"]["geofence"] == {
        "enabled": True,
        "lat": 59.91,
        "lng": 10.75,
        "radius": 500,
    }
    assert truck.attrs["agentConfiguration"] == {"debug": {"logLevel": "INFO"}}
    assert truck.fields["configuration.locationTracking.geofence.lat"].line == 39
    member = example.get(Address("device_management.devices.pump-1.groups.north"))
    assert member is not None and member.attrs == {}


def test_units_are_found_by_the_id_as_the_api_spells_it_and_by_name_without_one(tmp_path: Path) -> None:
    document = fleet(tmp_path, "microvisor:\n  devices:\n    a: {sid: UV0000000000000000000000000000000A}\n    b: {}\n")
    a, b = document.roots("microvisor.devices")
    assert document.find("microvisor.devices", "UV0000000000000000000000000000000a", None) == a
    assert document.find("microvisor.devices", "UV0000000000000000000000000000000A", None) is None
    assert document.find("microvisor.devices", None, "b") == b
    assert document.find("microvisor.devices", "UV1", "b") == b
    assert document.find("microvisor.devices", None, "a") is None
    assert document.find("no.such", None, "a") is None
    assert document.handle(Address("microvisor.devices.c")) is None
    assert document.get(Address("microvisor.devices.c.configs.d")) is None


def test_a_resource_is_built_the_same_every_time(example: Document) -> None:
    for path in ("microvisor.devices", "asset_tracker.trackers"):
        for handle in example.roots(path):
            first, children = example.at(handle), list(example.children(handle))
            for other in example.roots(path):
                example.at(other)
            assert example.at(handle) == first
            assert list(example.children(handle)) == children


def test_explain_names_every_layer_and_the_winner_last(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "profiles: {p: {logging: false, configs: {a: 1}}, q: {logging: true}}\n"
        "microvisor:\n  devices:\n    d: {profile: [p, q], logging: false, configs: {a: 2}, secrets: {s: env:S}}\n",
    )
    layers = document.explain(Address("microvisor.devices.d"))["logging"]
    assert [(one.what, one.where, one.value) for one in layers] == [
        ("profile p", "fleet.yaml:2:25", False),
        ("profile q", "fleet.yaml:2:63", True),
        ("the entry", "fleet.yaml:5:35", False),
    ]
    assert [one.value for one in document.explain(Address("microvisor.devices.d.configs.a"))["value"]] == ["1", "2"]
    assert document.explain(Address("microvisor.devices.d.secrets.s"))["value"][0].value == "env:S"
    assert document.explain(Address("microvisor.devices.nobody")) == {}


def test_the_digest_changes_with_what_is_read_and_not_with_where_it_lies(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, EXAMPLE)
    digests = [
        load(
            f"{name}/prod",
            providers=PROVIDERS,
            inputs=Inputs(environ={}, cwd=tmp_path),
        ).digest
        for name in ("one", "two")
    ]
    assert digests[0] == digests[1]
    write(tmp_path / "two", {"base/inventory/erp.csv": ERP + "S-9,UV00000000000000000000000000000019,OSL-1,B\n"})
    assert (
        load(
            "two/prod",
            providers=PROVIDERS,
            inputs=Inputs(environ={}, cwd=tmp_path),
        ).digest
        != digests[0]
    )
    write(tmp_path / "one", {"base/build/sensor-b-1.4.2.zip": "other bytes"})
    assert (
        load(
            "one/prod",
            providers=PROVIDERS,
            inputs=Inputs(environ={}, cwd=tmp_path),
        ).digest
        != digests[0]
    )


def test_path_is_the_directory_or_the_main_file(tmp_path: Path) -> None:
    write(tmp_path, EXAMPLE)
    assert (
        load(
            "prod/fleet.yaml",
            providers=PROVIDERS,
            inputs=Inputs(environ={}, cwd=tmp_path),
        ).fleet
        == "cold-chain-prod"
    )
    assert (
        load(
            str(tmp_path / "prod"),
            providers=PROVIDERS,
            inputs=Inputs(environ={}, cwd=Path("/")),
        ).fleet
        == "cold-chain-prod"
    )


def test_paths_are_shown_as_the_user_would_type_them(tmp_path: Path) -> None:
    write(tmp_path, {**EXAMPLE, "base/more.yaml": "profles: {}\n"})
    for cwd, path, shown in (
        (tmp_path, "prod", "base/more.yaml"),
        (tmp_path / "prod", ".", "../base/more.yaml"),
        (tmp_path / "prod", str(tmp_path / "prod"), str(tmp_path / "base/more.yaml")),
    ):
        with pytest.raises(InvalidInput) as error:
            load(
                path,
                providers=PROVIDERS,
                inputs=Inputs(environ={}, cwd=cwd),
            )
        assert error.value.problems[0].where == Position(shown, 1, 1)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere", "does not exist"),
        ("prdo", 'Did you mean "prod"'),
        ("prod/x.bin", "is not a fleet"),
        ("a\0b", "U+0000"),
    ],
)
def test_a_path_that_is_no_fleet_is_an_error(tmp_path: Path, path: str, words: str) -> None:
    write(tmp_path, {**EXAMPLE, "prod/x.bin": "x"})
    with pytest.raises(InvalidInput) as error:
        load(
            path,
            providers=PROVIDERS,
            inputs=Inputs(environ={}, cwd=tmp_path),
        )
    assert words in said(list(error.value.problems))


def test_a_directory_has_exactly_one_main_file(tmp_path: Path) -> None:
    write(tmp_path / "none", {"a.yaml": "microvisor: {}\n"})
    write(tmp_path / "two", {"a.yaml": "fleet: a\n", "b.yaml": "fleet: b\n"})
    write(tmp_path / "bare", {"readme.txt": ""})
    for name, words in (("none", "has `fleet:`"), ("two", "2 files have `fleet:`"), ("bare", "no YAML file")):
        with pytest.raises(InvalidInput) as error:
            load(
                name,
                providers=PROVIDERS,
                inputs=Inputs(environ={}, cwd=tmp_path),
            )
        assert words in said(list(error.value.problems))


def test_hidden_and_underscored_files_and_tables_are_not_documents(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "tables: {t: {file: rows.yaml, key: k}}\nmicrovisor: {configs: {c: {file: text.yaml}}}\n",
        {"_notes.yaml": "x: 1", ".ci.yml": "[", "rows.yaml": "a: {v: 1}", "text.yaml": "- not a document"},
    )
    assert document.count("microvisor.configs") == 1


def test_all_files_of_the_directory_are_merged_down_to_the_resource(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "microvisor: {devices: {a: {}}}\n",
        {"b.yml": "microvisor: {devices: {b: {}}, configs: {c: 1}}\n", "empty.yaml": "# nothing\n"},
    )
    assert list(devices(document)) == ["a", "b"]


def test_what_is_given_twice_names_both_places(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "variables: {v: {default: 1}}\nprofiles: {p: {}}\ntables: {t: {file: t.csv}}\nmicrovisor: {devices: {a: {}}}\n",
        {
            "z.yaml": "variables: {v: {default: 1}}\nprofiles: {p: {}}\ntables: {t: {file: t.csv}}\nmicrovisor: {devices: {a: {}}}\n"
        },
    )
    assert [(str(one.where), one.what.rpartition(" ")[2]) for one in found] == [
        ("z.yaml:1:13", "fleet.yaml:2:13"),
        ("z.yaml:2:12", "fleet.yaml:3:12"),
        ("z.yaml:3:10", "fleet.yaml:4:10"),
        ("z.yaml:4:24", "fleet.yaml:5:24"),
    ]


def test_keys_of_the_main_file_stand_only_there(tmp_path: Path) -> None:
    found = problems(tmp_path, "", {"z.yaml": "limits: {delete: 1}\nvalues: {a: 1}\n"})
    assert [one.where.line for one in found if one.where] == [1, 2]
    assert "only in the main file" in said(found)


@pytest.mark.parametrize("name", ["Fleet", "a b", "a_b", "", "ä", "[a]"])
def test_the_name_of_a_fleet_is_small_letters_digits_and_hyphens(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"fleet.yaml": f"fleet: {name}\n"})
    with pytest.raises(InvalidInput, match="not the name of a fleet"):
        load(
            ".",
            providers=PROVIDERS,
            inputs=Inputs(environ={}, cwd=tmp_path),
        )


@pytest.mark.parametrize(
    ("include", "words"),
    [
        ("[nowhere]", "does not exist"),
        ("[/etc]", "is absolute"),
        ("[../../..]", "lies outside"),
        ("[{a: b}]", "list of files"),
        ("[other]", "does not include another"),
        ("[hollow]", "holds no YAML"),
        ("[link]", "lies outside"),
    ],
)
def test_an_include_that_cannot_be_is_an_error_at_its_place(tmp_path: Path, include: str, words: str) -> None:
    root = tmp_path / "repository"
    write(root, {".git/HEAD": "", "other/x.yaml": "fleet: other\n", "hollow/x.txt": ""})
    (root / "link").symlink_to("/etc")
    found = problems(root, f"include: {include}\n")
    assert words in said(found)
    assert found[0].where is not None and found[0].where.line == 2


def test_an_include_may_be_a_file_and_the_directory_itself(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    write(root, {".git/HEAD": "", "more/x.yaml": "microvisor: {configs: {x: 1}}\n"})
    document = fleet(root, "include: [more/x.yaml, .]\n")
    assert document.count("microvisor.configs") == 1


def test_a_link_out_of_the_repository_is_an_error(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    write(root, {".git/HEAD": ""})
    (root / "evil.yaml").symlink_to("/etc/hostname")
    assert "lies outside" in said(problems(root, ""))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("providers: {microviser: {}}", 'Did you mean "microvisor"'),
        ("providers: {microvisor: {auth_tokn: x}}", 'Did you mean "auth_token"'),
        ("providers: {microvisor: {timeout_s: 0}}", "greater than 0"),
        ("providers: {microvisor: {timeout_s: fast}}", "is not a number"),
        ("providers: []", "providers is a map"),
        ("limits: {delet: 1}", 'Did you mean "delete"'),
        ("limits: {delete: -1}", "is not a limit"),
        ("limits: {delete: 101%}", "is not a limit"),
        ("limits: {delete: many}", "is not a limit"),
        ("limits: 5", "limits is a map"),
        ("state: {dsn: x}", "is not a key here"),
        ("state: {path: ''}", "not the path of a file"),
        ("rollouts: {a: 1}", "not supported yet"),
        ("microvisr: {}", 'Did you mean "microvisor"'),
        ("microvisor: {device: {}}", 'Did you mean "devices"'),
        ("microvisor: {devices: [a]}", "is a map"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, settings: str, words: str) -> None:
    found = problems(tmp_path, settings + "\n")
    assert words in said(found)
    assert found[0].where is not None and found[0].where.line == 2


def test_limits_are_numbers_or_shares(tmp_path: Path) -> None:
    document = fleet(tmp_path, "limits: {delete: 0, change: 100%, unread: '2.5 %', forget: ~}\n")
    assert document.limits == {"delete": Limit(number=0), "change": Limit(share=1.0), "unread": Limit(share=0.025)}


def test_settings_and_state_may_use_variables(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "variables: {host: {default: h}}\nproviders: {microvisor: {base_url: 'https://{{ var.host }}/v1'}}\n"
        "state: {path: '{{ fleet }}/s.db'}\n",
    )
    assert document.settings["microvisor"].base_url == "https://h/v1"
    assert document.state.path == str(tmp_path / "f/s.db")


def test_only_providers_that_are_used_are_looked_at(tmp_path: Path) -> None:
    class Lazy(dict):  # type: ignore[type-arg]
        def __getitem__(self, name: str) -> object:
            assert name == "microvisor"
            return super().__getitem__(name)

    document = fleet(tmp_path, "microvisor: {configs: {a: 1}}\n", providers=Lazy(PROVIDERS))
    assert list(document.providers()) == ["microvisor"]


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "microvisor:\n  devices:\n    a: {sdi: x}\n    b: {logging: 'yes'}\n    c: {sid: short}\n",
        {"y.yaml": "microvisor: {apps: {x: {bundle: [1]}}}\n"},
    )
    assert [(one.where.file, one.where.line) for one in found if one.where] == [
        ("y.yaml", 1),
        ("fleet.yaml", 4),
        ("fleet.yaml", 5),
        ("fleet.yaml", 6),
    ]


def test_equal_mistakes_in_many_entries_are_counted(tmp_path: Path) -> None:
    body = "microvisor:\n  devices:\n" + "".join(f"    d{n}: {{logging: 'yes'}}\n" for n in range(500))
    found = problems(tmp_path, body)
    assert len(found) == 10
    assert "and 490 more like it" in found[-1].notes


def test_files_are_not_kept(tmp_path: Path) -> None:
    assert fleet(tmp_path, "microvisor: {devices: {}}\n", FILES).count("microvisor.devices") == 0
