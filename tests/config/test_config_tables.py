# ruff: noqa: E501
"""Tables and variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config_fleets import PROVIDERS, fleet, problems, said, write

from reconcile.config import Inputs, load


def values(root: Path, name: str, content: str | bytes, spec: str = "", column: str = "v") -> list[Any]:
    """The labels that a column yields, row by row."""
    document = fleet(
        root,
        f"tables: {{t: {{file: {name}{spec}}}}}\nmicrovisor:\n  devices:\n    all:\n      for_each: t\n"
        f"      key: \"{{{{ row['k'] }}}}\"\n      labels: {{v: \"{{{{ row['{column}'] }}}}\"}}\n",
        {name: content},
    )
    return [document.at(handle).labels.get("v") for handle in document.roots("microvisor.devices")]


@pytest.mark.parametrize(
    ("name", "content", "spec"),
    [
        ("t.csv", "k,v\na,1.10\nb,x\n", ""),
        ("t.csv", "\ufeffk,v\r\na,1.10\r\n\r\nb,x\r\n", ", key: k"),
        ("t.csv", "k;v\n a ; 1.10 \n;\nb;x\n", ", delimiter: ';'"),
        ("t.csv", "k\tv\na\t1.10\nb\tx\n", ', delimiter: "\\t"'),
        ("t.csv", "k,v\na,1.10\nb,x".encode("utf-16"), ", encoding: utf-16"),
        ("t.csv", 'k,v\n"a","1.10"\nb,"x"\n', ""),
        ("t.jsonl", '{"k": "a", "v": 1.10}\n\n{"k": "b", "v": "x"}\n', ""),
        ("t.json", '[{"k": "a", "v": 1.10}, {"k": "b", "v": "x"}]', ""),
        ("t.json", '{"a": {"v": 1.10}, "b": {"v": "x"}}', ", key: k"),
        ("t.yaml", "- {k: a, v: 1.10}\n- {k: b, v: x}\n", ""),
        ("t.yml", "a: {v: 1.10}\nb:\n  v: x\n", ", key: k"),
        ("sub/t.yaml", '{"a": {"v": 1.10}, "b": {"v": "x"}}', ", key: k"),
    ],
)
def test_a_table_in_each_form(tmp_path: Path, name: str, content: str | bytes, spec: str) -> None:
    assert values(tmp_path, name, content, spec) == ["1.10", "x"]


def test_columns_are_renamed_and_the_others_stay(tmp_path: Path) -> None:
    csv = "Equipment No.,Ext. ID\na,1\n"
    spec = ", key: k, columns: {k: Equipment No.}"
    assert values(tmp_path, "t.csv", csv, spec, "Ext. ID") == ["1"]


def test_encodings(tmp_path: Path) -> None:
    assert values(tmp_path, "t.csv", "k,v\na,Tromsø\n".encode("cp1252"), ", encoding: cp1252") == ["Tromsø"]


def test_a_cell_may_span_lines_and_rows_keep_their_lines(tmp_path: Path) -> None:
    document = fleet(
        tmp_path,
        "microvisor: {devices: {all: {for_each: t.csv, key: '{{ row.k }}'}}}\n",
        {"t.csv": 'k,v\na,"x\ny"\n\nb,z\n'},
    )
    assert [str(document.at(handle).where) for handle in (0, 1)] == ["t.csv:2 (row 1)", "t.csv:5 (row 2)"]


@pytest.mark.parametrize(
    ("name", "content", "spec", "words"),
    [
        ("t.csv", "k,v\na,1,2\n", "", "a row has 3 cells, the header has 2"),
        ("t.csv", "k,v\na\n", "", "a row has 1 cells"),
        ("t.csv", "k,k\na,b\n", "", "is there twice"),
        ("t.csv", "k,\na,b\n", "", "has no name"),
        ("t.csv", "", "", "not even a header"),
        ("t.csv", "k,v\n", "", "has 0 rows, min_rows is 1"),
        ("t.csv", "k,v\na,1\n", ", min_rows: 11000", "has 1 rows, min_rows is 11,000"),
        ("t.csv", "k,v\na,1\n", ", min_rows: -1", "min_rows is not negative"),
        ("t.csv", "k,v\na,1\n", ", min_rows: x", "whole number"),
        ("t.csv", "k;v\na;1\n", "", 'delimiter: ";"'),
        ("t.csv", "k,v\na,1\n", ", delimiter: ab", "one character"),
        ("t.csv", "k,v\na,1\na,2\n", ", key: k", 'k "a" is there twice in table t, first in row 1 (line 2)'),
        ("t.csv", "k,v\na,1\n,2\n", ", key: k", "a row of table t has no k"),
        ("t.csv", "k,v\na,1\n", ", key: kk", 'Did you mean "k"'),
        ("t.csv", "k,v\na,1\n", ", columns: {k: kay}", 'no column "kay"'),
        ("t.csv", "k,v\na,1\n", ", columns: {v: k}", 'has a column "v" already'),
        ("t.csv", b"k,v\na,\xff\n", "", "is not UTF-8 on line 2"),
        ("t.csv", "k,v\na,1\n", ", encoding: nonsense", "no encoding"),
        ("t.csv", "k,v\na,1\n", ", encoding: zip", "no encoding"),
        ("t.csv", "k,v\na,1\n", ", encoding: punycode", "no encoding"),
        ("t.csv", "k,v\na,1\n".encode("utf-16"), "", "encoding: utf-16"),
        ("t.csv", "k,v\na,\0\n", "", "U+0000"),
        ("t.csv", 'k,v\na,"1\n', "", "cannot be read as CSV"),
        ("t.csv", "k,v\na," + "x" * 200_000 + "\n", "", "cannot be read as CSV"),
        ("t.jsonl", '{"k": 1}\nnonsense\n[1]\n', "", "not a row of JSON"),
        ("t.jsonl", '{"k": 1, "k": 2}\n', "", "given twice"),
        ("t.jsonl", '{"k": NaN}\n', "", "NaN is not a number"),
        ("t.jsonl", "[" * 100_000 + "\n", "", ""),
        ("t.json", "[" * 100_000, "", ""),
        ("t.json", '{"a": 1', "", "is not JSON on line 1"),
        ("t.json", '{"a": {"b": 1}}', "", "has no key"),
        ("t.json", "[1]", "", "is not a map"),
        ("t.json", "5", "", "neither a list"),
        ("t.json", '{"a": {"k": "b"}}', ", key: k", "says another k"),
        ("t.json", '[{"k": 1e999}]', "", "too large a number"),
        ("t.json", '[{"k": ' + "9" * 5000 + "}]", "", "is not JSON"),
        ("t.yaml", "- a: &x 1\n", "", "anchors"),
        ("t.yaml", "", ", key: k", "has 0 rows"),
        ("t.txt", "k\na\n", "", "is no table"),
        ("t.csv", "k,v\na,1\n", ", fiel: x", "is not a key here"),
    ],
)
def test_a_table_that_cannot_be_read(tmp_path: Path, name: str, content: str | bytes, spec: str, words: str) -> None:
    body = f"tables: {{t: {{file: {name}{spec}}}}}\nmicrovisor: {{devices: {{all: {{for_each: t, key: '{{{{ row.k }}}}'}}}}}}\n"
    assert words in said(problems(tmp_path, body, {name: content}))


def test_an_empty_table_is_allowed_by_min_rows_0(tmp_path: Path) -> None:
    assert values(tmp_path, "t.csv", "k,v\n", ", min_rows: 0, key: k") == []


@pytest.mark.parametrize(
    ("for_each", "words"),
    [
        ("erpp", 'Did you mean "erp"'),
        ("nowhere.csv", "does not exist"),
        ("../../../../../../etc/x.csv", "lies outside"),
        ("'{{ var.x }}'", "no table"),
        ("[a]", "takes the name of a table"),
    ],
)
def test_for_each_takes_a_table_or_a_path(tmp_path: Path, for_each: str, words: str) -> None:
    body = f"tables: {{erp: {{file: t.csv}}}}\nmicrovisor:\n  devices:\n    all: {{for_each: {for_each}, key: x}}\n"
    found = problems(tmp_path, body)
    assert words in said(found) and len(found) == 1


def test_a_path_of_for_each_is_relative_to_its_file(tmp_path: Path) -> None:
    root = tmp_path / "r"
    write(
        root,
        {
            ".git/HEAD": "",
            "base/d.yaml": "microvisor: {devices: {b: {for_each: in/t.csv, key: '{{ row.k }}'}}}\n",
            "base/in/t.csv": "k\nbase\n",
            "prod/in/t.csv": "k\nprod\n",
            "prod/f.yaml": "fleet: f\ninclude: [../base]\nmicrovisor: {devices: {a: {for_each: in/t.csv, key: '{{ row.k }}'}}}\n",
        },
    )
    document = load(
        "prod",
        providers=PROVIDERS,
        inputs=Inputs(environ={}, cwd=root),
    )
    assert [document.at(handle).address.key for handle in document.roots("microvisor.devices")] == ["prod", "base"]


def variable(root: Path, declared: str, main: str = "", files: Any = None, **options: Any) -> str:
    document = fleet(
        root,
        f"variables: {{v: {declared}}}\n{main}microvisor: {{configs: {{c: '<{{{{ var.v if var.v is string else var.v | tojson }}}}>'}}}}\n",
        files,
        **options,
    )
    return str(document.at(0).attrs["value"])[1:-1]


def test_later_places_win(tmp_path: Path) -> None:
    given: dict[str, Any] = {}
    steps = []
    for add in (
        {},
        {"environ": {"RECONCILE_VAR_v": "environment", "RECONCILE_VAR_other": "x"}},
        {"main": "values: {v: values}\n"},
        {"var_files": ["v.yaml"], "files": {"v.yaml": "v: file\n"}},
        {"var": ["v=first", "v=flag=x"]},
    ):
        given |= add
        steps.append(variable(tmp_path, "{default: default}", **given))
    assert steps == ["default", "environment", "values", "file", "flag=x"]


@pytest.mark.parametrize(
    ("declared", "given", "value"),
    [
        ("{type: text}", "1.10", "1.10"),
        ("{type: number}", "1.10", "1.1"),
        ("{type: boolean}", "true", "true"),
        ("{type: list}", '["a", 1]', '["a", 1]'),
        ("{type: map}", '{"a": 1}', '{"a": 1}'),
        ("{default: 5}", "6", "6"),
        ("{default: false}", "true", "true"),
        ("{default: 0123}", "x", "x"),
        ("{}", "x", "x"),
        ("~", "x", "x"),
        ("{type: text, allowed: [1.10, b]}", "1.10", "1.10"),
    ],
)
def test_a_variable_has_the_type_that_is_declared(tmp_path: Path, declared: str, given: str, value: str) -> None:
    assert variable(tmp_path, declared, var=[f"v={given}"]) == value


@pytest.mark.parametrize(
    ("declared", "given", "words"),
    [
        ("{}", None, "variable v has no value"),
        ("{type: number}", "five", "is not a number"),
        ("{type: boolean}", "yes", "is not true or false"),
        ("{type: list}", "a", "written as JSON"),
        ("{type: map}", "[1]", "written as JSON"),
        ("{type: map}", "[" * 100_000, "written as JSON"),
        ("{allowed: [eu, us]}", "eux", 'Did you mean "eu"'),
        ("{type: string}", "x", 'Did you mean "text"'),
        ("{typ: text}", "x", 'Did you mean "type"'),
        ("{type: number, default: x}", None, "is not a number"),
        ("{default: '{{ row.x }}'}", None, "a default is not a template"),
        ("{allowed: x}", "x", "allowed is a list"),
        ("plain", "x", "is a map with"),
    ],
)
def test_a_value_that_a_variable_cannot_have(tmp_path: Path, declared: str, given: str | None, words: str) -> None:
    options = {"var": [f"v={given}"]} if given is not None else {}
    found = problems(
        tmp_path, f"variables: {{v: {declared}}}\nmicrovisor: {{configs: {{c: '{{{{ var.v }}}}'}}}}\n", **options
    )
    assert words in said(found)
    assert len(found) == 1  # and not once more where it is used


def test_names_that_are_not_declared_are_errors(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "variables: {domain: {default: x}}\nvalues: {doman: x}\n",
        {"v.yaml": "dmain: 1\n"},
        var=["domian=1", "nothing"],
        var_files=["v.yaml", "no.yaml"],
    )
    words = said(found)
    assert words.count('Did you mean "domain"') == 3
    assert '--var "nothing" has no value' in words
    assert "--var-file no.yaml is not a file" in words


def test_the_digest_of_the_variables_is_of_their_values(tmp_path: Path) -> None:
    body = "variables: {v: {default: a}, n: {type: number, default: 1.1}}\n"
    one = fleet(tmp_path, body)
    assert fleet(tmp_path, body, var=["v=a"]).variables == one.variables
    assert fleet(tmp_path, body, var=["v=b"]).variables != one.variables
    assert fleet(tmp_path, body, var=["v=b"]).digest == one.digest
