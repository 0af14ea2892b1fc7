# ruff: noqa: E501
"""Templates: what they see, what they yield, and what they cannot do."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from config_fleets import CANARY, config, device, devices, fleet, problems, said, write

from reconcile.core.address import Address


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ 'a' }}", "a"),
        ("{{ 1 + 2 * 3 }}", "7"),
        ("{{ 7 / 2 }}", "3.5"),
        ("{{ 7 // 2 }}{{ 7 % 4 }}{{ 2 ** 3 }}", "338"),
        ("{{ -3 | abs }}", "3"),
        ("{{ true }}", "true"),
        ("{{ 1 == 1 and not 2 > 3 }}", "true"),
        ("{{ 0.00001 }}", "1e-05"),
        ("x{{ none }}y", "xy"),
        ("{{ 'a' ~ 1 ~ true }}", "a1true"),
        ("{{ 'B' if 2 > 1 else 'C' }}", "B"),
        ("{{ {'a': 'eu', 'b': 'us'}['a'] }}", "eu"),
        ("{{ ['x', 'y'][1] }}{{ 'abc'[1:] }}{{ 'abc'[-1] }}", "ybcc"),
        ("{{ 'A b' | lower | replace(' ', '-') }}", "a-b"),
        ("{{ ' a ' | trim }}{{ 'a' | upper }}{{ 'ab' | capitalize }}{{ 'a b' | title }}", "aAAbA B"),
        ("{{ [3, 1, 2] | sort | join(',') }}", "1,2,3"),
        ("{{ [3, 1, 3] | unique | join(',') }}", "3,1"),
        ("{{ [3, 1, 2] | min }}{{ [3, 1, 2] | max }}{{ [3, 1] | first }}{{ [3, 1] | last }}", "1331"),
        ("{{ 'a;b' | split(';') | join('+') }}", "a+b"),
        ("{{ '42' | int + 1 }}{{ '4.5' | float }}{{ 'x' | int(0) }}", "434.50"),
        ("{{ 3.14159 | round(2) }}", "3.14"),
        ("{{ 'abc' | length }}", "3"),
        ("{{ var.nothing | default('d') }}", "d"),
        ("{{ '' | default('d', true) }}", "d"),
        ("{{ var.nothing is defined }}", "false"),
        ("{{ 'b' in 'abc' }}{{ 'x' not in ['a'] }}", "truetrue"),
        ("{{ {'a': [1, true, none]} | tojson }}", '{"a": [1, true, null]}'),
        ("{{ var.v }}", "1.10"),
        ("{{ var.n }}", "1.10"),
        ("{{ var.list[0] }}{{ var.map.a }}{{ var.map['a'] }}", "1xx"),
        ("{{ fleet }}.{{ key }}", "f.c"),
        ("a {# not a comment #}{{ '' }}", "a {# not a comment #}"),
        ("{{ var.braces }}", "{{ 7*7 }}"),
        ("{{ ('a', 'b') | join }}", "ab"),
        ("{{ 1 < 2 < 3 }}", "true"),
        ("{{ none is none }}{{ 1 is number }}{{ 'a' is string }}", "truetruetrue"),
    ],
)
def test_a_template_yields(tmp_path: Path, template: str, text: str) -> None:
    variables = (
        "variables: {v: {default: '1.10'}, n: {default: 1.10}, list: {default: [1]}, map: {default: {a: x}},"
        " braces: {type: text}}\n"
    )
    body = f"{variables}microvisor: {{configs: {{c: {json.dumps(template)}}}}}\n"
    document = fleet(tmp_path, body, environ={"RECONCILE_VAR_braces": "{{ 7*7 }}"})
    assert document.at(next(iter(document.roots("microvisor.configs")))).attrs["value"] == text


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ nothing }}", '"nothing" is undefined'),
        ("{{ env.TWILIO_AUTH_TOKEN }}", "do not see the environment"),
        ("{{ var.nothing }}", 'no variable "nothing" is declared'),
        ("{{ var['nothing'] }}", 'no variable "nothing" is declared'),
        ("{{ var.doman }}", 'Did you mean "domain"'),
        ("x{{ var.doman }}", 'Did you mean "domain"'),
        ("{{ var.nothing or 1 }}", "is declared"),
        ("{{ var.nothing == 1 }}", "is declared"),
        ("{{ row.x }}", "there is no row here"),
        ("{{ table.x }}", 'no table "x"'),
        ("{{ ''.__class__.__mro__ }}", "is a string and has no"),
        ("{{ ''|attr('__class__') }}", 'no filter "attr"'),
        ("{{ ('{0.__class__}'|attr('format'))(x) }}", "no functions"),
        ("{{ lipsum.__globals__ }}", '"lipsum" is undefined'),
        ("{{ cycler.__init__ }}", '"cycler" is undefined'),
        ("{{ range(10) }}", "no functions"),
        ("{{ var.delete_all() }}", "no functions"),
        ("{{ self }}", '"self" is undefined'),
        ("{{ var.domain.upper() }}", "Use the filter: var.domain | upper"),
        ("{{ var.__class__ }}", "no variable"),
        ("{{ var.domain.format }}", "is a string"),
        ("{{ 'A' * 10**9 }}", "is not a number"),
        ("{{ ('A' | replace('', 'AAAAAAAAAA')) " + "| replace('', 'AAAAAAAAAA') " * 10 + "}}", "too large"),
        ("{{ '%300000000d' | format(1) }}", 'no filter "format"'),
        ("{{ '%300000000d' % 1 }}", "is not a number"),
        ("{{ 9**9**9**9 }}", "too large"),
        ("{{ 10**600 * 10**600 }}", "too large"),
        ("{{ 1 / 0 }}", "cannot be computed"),
        ("{{ (-8) ** 0.5 }}", "not a real number"),
        ("{{ 'a' + 1 }}", "joins two texts"),
        ("{{ 'a' < 1 }}", "cannot be compared"),
        ("{{ '59,91' | float }}", "is not a number"),
        ("{{ [1] | first | last }}", "is not a list"),
        ("{{ [] | first }}", "is empty"),
        ("{{ [1][5] }}", "has no member 5"),
        ("{% for x in [1] %}{% endfor %}", "statements"),
        ("{% macro f() %}{{ f() }}{% endmacro %}", "statements"),
        ("{% include '/etc/passwd' %}{{ 1 }}", "statements"),
        ("{{ 1", "not a template"),
        ("{{ }}", "not a template"),
        ("{{ 1 | nosuch }}", "no filter"),
        ("{{ 1 is nosuch }}", "no test"),
        ("{{ 'x' if false }}", "no else"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested too deep"),
        ("{{ " + "not " * 4000 + "1 }}", "nested too deep"),
        ("{{ '" + "x" * 30_000 + "' }}", "at most 20,000"),
        ("{{ [1, 2] }}", "expected a string, got a list"),
        ("{{ {'a': 1} }}", "expected a string, got a map"),
        ("x {{ [1] }}", "expected a string, got a list"),
        ("{{ 1 }} }} {{ [ }}", "not a template"),
        ("{{ 'a' | lower(1, 2, 3) }}", "cannot be applied"),
        ("{{ 'a' | lower(*[1]) }}", "not read in a call"),
    ],
)
def test_a_template_that_cannot_be_is_an_error_at_its_place(tmp_path: Path, template: str, words: str) -> None:
    started = time.monotonic()
    found = problems(
        tmp_path, f"variables: {{domain: {{default: x}}}}\nmicrovisor:\n  configs:\n    c: {json.dumps(template)}\n"
    )
    assert words in said(found)
    assert found[0].where is not None and (found[0].where.line, found[0].where.column) == (5, 8)
    assert time.monotonic() - started < 20  # it ends


def test_a_hostile_name_of_a_file_is_only_a_name(tmp_path: Path) -> None:
    write(tmp_path, {"{{ 7*7 }}'''.yaml": "microvisor: {configs: {b: '{{ 1 }}'}}\n"})
    assert fleet(tmp_path, "").count("microvisor.configs") == 1


def rows(root: Path, csv: str, block: str, tables: str = "") -> Any:
    return fleet(
        root,
        f"tables: {{t: {{file: t.csv, key: name}}{tables}}}\nmicrovisor:\n  devices:\n    all:\n      for_each: t\n"
        f'      key: "{{{{ row.name }}}}"\n{block}',
        {"t.csv": csv},
    )


def test_columns_named_as_methods_of_a_map_are_the_columns(tmp_path: Path) -> None:
    names = "items,values,keys,get,copy,update,pop,clear"
    csv = f"name,{names}\nd,{','.join('v-' + name for name in names.split(','))}\n"
    configs = "".join(f'        {name}: "{{{{ row.{name} }}}}"\n' for name in names.split(","))
    document = rows(tmp_path, csv, f"      configs:\n{configs}        more: \"{{{{ row.items ~ row['get'] }}}}\"\n")
    found = {one.address.key: one.attrs["value"] for one in document.children(0)}
    assert found == {**{name: f"v-{name}" for name in names.split(",")}, "more": "v-itemsv-get"}


def test_text_of_a_cell_becomes_what_the_field_wants(tmp_path: Path) -> None:
    document = rows(
        tmp_path,
        "name,on,nr\na,true,0123\nb,false,1.10\n",
        '      logging: "{{ row.on }}"\n      restart: "{{ row.nr }}"\n',
    )
    found = devices(document)
    assert (found["a"].attrs, found["b"].attrs) == (
        {"logging": True, "restart": "0123"},
        {"logging": False, "restart": "1.10"},
    )


def test_a_cell_that_is_no_number_names_row_and_column_once(tmp_path: Path) -> None:
    csv = "name,lat\n" + "".join(
        f"t{n},{'59,91' if n % 2 else '59.91'}\n".replace("59,91", '"59,91"') for n in range(100)
    )
    found = problems(
        tmp_path,
        "asset_tracker:\n  trackers:\n    all:\n      for_each: t.csv\n      key: '{{ row.name }}'\n"
        "      configuration: {locationTracking: {geofence: {lat: '{{ row.lat }}'}}}\n",
        {"t.csv": csv},
    )
    assert len(found) == 1
    assert found[0].what == '"59,91" is not a number'
    assert "replace(',', '.')" in (found[0].hint or "")
    assert found[0].notes == (
        "from t.csv row 2 (line 3)",
        "also t.csv row 4 (line 5); t.csv row 6 (line 7); t.csv row 8 (line 9); and 46 rows more",
    )
    assert found[0].address == "asset_tracker.trackers.all (configuration.locationTracking.geofence.lat)"


def test_an_empty_cell_is_empty_text_and_none_leaves_it_out(tmp_path: Path) -> None:
    document = rows(
        tmp_path,
        "name,s\na,\n",
        "      configs: {x: '{{ row.s }}', y: '{{ row.s or none }}', z: {value: '{{ none }}', protect: true}}\n",
    )
    assert [(one.address.key, one.attrs["value"]) for one in document.children(0)] == [("x", "")]


def test_none_lets_the_profile_show_through(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "profiles: {p: {app: base, configs: {a: '300', b: '{{ row.b or none }}'}}}\nmicrovisor:\n  devices:\n    all:\n"
        "      for_each: t.csv\n      key: '{{ row.name }}'\n      profile: p\n      app: '{{ row.app or none }}'\n"
        "      configs: {a: '{{ row.a or none }}'}\n",
        {"t.csv": "name,app,a,b\nx,,,\ny,other,5,6\n"},
    )
    found = {one.address.key: one.attrs for one in document.children(0)}
    assert found == {"a": {"value": "300"}}
    assert devices(document)["x"].attrs["app"].name == "base"
    assert devices(document)["y"].attrs["app"].name == "other"
    assert {one.address.key: one.attrs["value"] for one in document.children(1)} == {"a": "5", "b": "6"}


def test_one_expression_may_yield_a_map_of_children_which_merges(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "profiles: {p: {configs: {a: 1, b: 2}}}\nmicrovisor:\n  devices:\n    all:\n      for_each: t.jsonl\n"
        "      key: '{{ row.name }}'\n      profile: p\n      configs: '{{ row.cfg }}'\n",
        {
            "t.jsonl": '{"name": "x", "cfg": {"b": 3.10, "c": {"value": true, "protect": true}, "d": null}}\n{"name": "y", "cfg": null}\n'
        },
    )
    x = {one.address.key: (one.attrs["value"], one.protect) for one in document.children(0)}
    assert x == {"a": ("1", None), "b": ("3.10", None), "c": ("true", True)}
    assert [one.address.key for one in document.children(1)] == ["a", "b"]
    child = document.get(Address("microvisor.devices.x.configs.c"))
    assert child is not None and child.fields["value"].line == 9


def test_one_expression_may_yield_lists_and_nested_maps(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "tables: {sites: {file: s.yaml, key: code}}\nasset_tracker:\n  trackers:\n    t:\n      tags: \"{{ ['a', 1, none] }}\"\n"
        '      configuration: {locationTracking: {bleDevices: {generic: "{{ table.sites.osl.beacons }}"}}}\n',
        {"s.yaml": "osl: {beacons: {aa: {lat: 1.5, lng: '2'}}}\n"},
    )
    found = document.at(0)
    assert found.attrs["tags"] == ["a", "1"]
    assert found.attrs["configuration"]["locationTracking"]["bleDevices"]["generic"] == {"aa": {"lat": 1.5, "lng": 2}}


@pytest.mark.parametrize("value", ["[1]", '"x"', "5", '{"a": [1]}', '{"a": {"nonsense": 1}}', '{".": 1}'])
def test_an_expression_that_yields_no_map_of_configs_is_an_error(tmp_path: Path, value: str) -> None:
    problems(
        tmp_path,
        "microvisor:\n  devices:\n    all:\n      for_each: t.jsonl\n      key: '{{ row.name }}'\n      configs: '{{ row.cfg }}'\n",
        {"t.jsonl": f'{{"name": "x", "cfg": {value}}}\n'},
    )


def test_a_templated_reference_is_one(tmp_path: Path) -> None:
    document = rows(tmp_path, "name,s\na,OSL\n", "      secrets: {w: 'env:PSK_{{ row.s }}'}\n")
    assert str(document.children(0)[0].attrs["value"]) == "env:PSK_OSL"


def test_a_literal_from_a_column_is_not_shown(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "microvisor:\n  devices:\n    all:\n      for_each: t.csv\n      key: '{{ row.name }}'\n      secrets: {w: '{{ row.psk }}'}\n",
        {"t.csv": f"name,psk\na,{CANARY}\nb,{CANARY}2\n"},
    )
    assert len(found) == 1 and "a reference, not a value" in found[0].what
    assert found[0].notes[0] == "from t.csv row 1 (line 2)"


def test_a_missing_column_is_said_once_with_what_there_is(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "microvisor:\n  devices:\n    all:\n      for_each: t.csv\n      key: '{{ row.name }}'\n      sid: '{{ row.sod }}'\n",
    )
    assert len(found) == 1
    assert found[0].what == 'no column "sod" in t.csv'
    assert "Columns: name, sid, site, n" in found[0].notes
    assert found[0].hint == 'Did you mean "sid"?'
    assert found[0].snippet == "      sid: '{{ row.sod }}'"


def test_a_missing_row_of_a_table_has_a_suggestion_and_a_count(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "tables: {sites: {file: s.csv, key: code}}\nmicrovisor:\n  devices:\n    all:\n      for_each: t.csv\n"
        "      key: '{{ row.name }}'\n      configs: {b: '{{ table.sites[row.site].broker }}'}\n",
        {"s.csv": "code,broker\nOSL-1,x\n", "t.csv": "name,site\na,OSL1\nb,OSL1\nc,BGO\nd,OSL-1\n"},
    )
    assert [(one.what, one.hint) for one in found] == [
        ('table sites has no row "OSL1"', 'Did you mean "OSL-1"?'),
        ('table sites has no row "BGO"', None),
    ]
    assert found[0].notes == ("from t.csv row 1 (line 2)", "also t.csv row 2 (line 3)")


def test_membership_of_a_table(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "tables: {canary: {file: c.csv, key: name}, none_key: {file: c.csv}}\nmicrovisor:\n  devices:\n    all:\n"
        "      for_each: t.csv\n      key: '{{ row.name }}'\n"
        "      labels: {ring: \"{{ 'canary' if row.name in table.canary else 'stable' }}\", n: '{{ table.canary | length }}'}\n",
        {"c.csv": "name\nDev-1\n"},
    )
    assert [dict(one.labels) for one in devices(document).values()] == [
        {"ring": "canary", "n": "1"},
        {"ring": "stable", "n": "1"},
    ]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("'{{ row.site }}'", "is given twice"),
        ("'{{ none }}'", "the key is empty"),
        ("'{{ row.name }} '", "begins or ends with a space"),
        ("'{{ [1] }}'", "expected a string"),
        ("'{{ key }}'", "there is no key here"),
        ("~", "a block needs a key"),
        ("[a]", "expected a string"),
    ],
)
def test_a_key_of_a_block_that_cannot_be(tmp_path: Path, key: str, words: str) -> None:
    csv = "name,site\na,x\nb,x\nc,x\n"
    found = problems(
        tmp_path, f"microvisor:\n  devices:\n    all:\n      for_each: t.csv\n      key: {key}\n", {"t.csv": csv}
    )
    assert words in said(found)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("key", "expected"),
    [("{{ row.b }}", "true"), ("{{ row.n }}", "7"), ("{{ row.x }}", "1.10"), ("d-{{ row.n }}", "d-7")],
)
def test_a_key_is_text_of_any_scalar(tmp_path: Path, key: str, expected: str) -> None:
    document = fleet(
        tmp_path,
        f"microvisor:\n  devices:\n    all:\n      for_each: t.jsonl\n      key: '{key}'\n",
        {"t.jsonl": '{"b": true, "n": 7, "x": 1.10}\n'},
    )
    assert list(devices(document)) == [expected]


def test_a_block_key_given_elsewhere_names_both_places(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "microvisor:\n  devices:\n    Dev-1: {}\n    all: {for_each: t.csv, key: '{{ row.name }}'}\n",
    )
    assert "microvisor.devices.Dev-1 is given twice, first in fleet.yaml:4:5" in found[0].what
    assert str(found[0].where) == "t.csv:2 (row 1)"


def test_units_given_twice_by_rows_are_one_problem_with_a_count(tmp_path: Path) -> None:
    csv = "name,sid\n" + "".join(f"d{n},UV{n % 5:032x}\n" for n in range(20))
    found = problems(
        tmp_path,
        "microvisor: {devices: {all: {for_each: t.csv, key: '{{ row.name }}', sid: '{{ row.sid }}'}}}\n",
        {"t.csv": csv},
    )
    assert len(found) == 1
    assert found[0].what.startswith(
        "two devices are one unit: microvisor.devices.d0 (t.csv:2 (row 1)) and microvisor.devices.d5"
    )
    assert found[0].notes[-1].endswith("and 11 rows more")


@pytest.mark.parametrize("when", ["'{{ row.x }}'", "yes", "'{{ 1 }}'", "'{{ [] }}'"])
def test_when_is_true_or_false(tmp_path: Path, when: str) -> None:
    found = problems(
        tmp_path,
        f"microvisor: {{devices: {{all: {{for_each: t.csv, key: '{{{{ row.n }}}}', when: {when}}}}}}}\n",
        {"t.csv": "n,x\na,maybe\n"},
    )
    assert "is not true or false" in said(found)


def test_a_row_that_is_left_out_may_be_wrong_otherwise(tmp_path: Path) -> None:
    document = rows(
        tmp_path,
        "name,sid\na,\nb,UV00000000000000000000000000000001\n",
        "      when: \"{{ row.sid != '' }}\"\n      sid: '{{ row.sid }}'\n",
    )
    assert list(devices(document)) == ["b"]


def test_blocks_of_the_account_and_profiles_by_row(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "microvisor:\n  configs:\n    all: {for_each: t.csv, key: '{{ row.name }}', value: '{{ row.site }}'}\n    one: 1\n",
    )
    assert [document.at(h).attrs["value"] for h in document.roots("microvisor.configs")] == ["oslo", "bergen", "1"]
    found = problems(
        tmp_path,
        "profiles: {hw-A: {}}\nmicrovisor: {devices: {all: {for_each: t.csv, key: '{{ row.name }}', profile: 'hw-{{ row.site }}'}}}\n",
    )
    assert [one.what for one in found] == ['there is no profile "hw-oslo"', 'there is no profile "hw-bergen"']


def test_the_profiles_of_a_row_may_be_one_expression(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "profiles: {a: {app: x}, b: {logging: true}}\nmicrovisor: {devices: {all: {for_each: t.csv, key: '{{ row.name }}',"
        " profile: \"{{ ['a', 'b'] if row.site == 'oslo' else none }}\"}}}\n",
    )
    assert [sorted(one.attrs) for one in devices(document).values()] == [["app", "logging"], []]


def test_a_bundle_and_a_text_file_may_be_templated(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "variables: {v: {default: a}}\nmicrovisor: {apps: {x: {bundle: 'build/{{ var.v }}.zip'}}, configs: {c: {file: '{{ var.v }}.txt'}}}\n",
        {"a.txt": "text"},
    )
    assert document.at(0).attrs["bundle"].path == "build/a.zip"
    assert document.at(1).attrs["value"] == "text"
    assert "does not exist" in said(problems(tmp_path, "microvisor: {configs: {c: {file: '{{ key }}.md'}}}\n"))


def test_a_device_that_is_templated_without_a_row(tmp_path: Path) -> None:
    assert device(tmp_path, "{restart: '{{ key }}-{{ fleet }}'}").attrs["restart"] == "d-f"
    assert config(tmp_path, "'{{ key | upper }}'") == "C"
