# ruff: noqa: E501
"""Files as strangers write them: nothing but InvalidInput, with a place, and never a crash."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

import pytest
from config_fleets import PROVIDERS, config, fleet, problems, said, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconcile.config import Inputs, load
from reconcile.errors import InvalidInput

BOMB = "a: &a [x,x]\n" + "".join(f"{n}: &{n} [*{p},*{p},*{p}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("hello", 1, "a document is a map, this file is a string"),
        ("- a\n- b\n", 1, "a document is a map, this file is a list"),
        ("a: 1\n---\nb: 2\n", 2, "a second document begins here"),
        ("microvisor:\n\tdevices: {}\n", 2, "tab used for indentation"),
        ("microvisor: [a\n", 1, "this is not YAML"),
        (b"\xff\xfe\xfa", 1, "UTF-16"),
        (b"a: \xff\n", 1, "not UTF-8"),
        ("a: b\n".encode("utf-16"), 1, "UTF-16"),
        ("microvisor: {}\rvariables: {}\r", 1, "CR alone"),
        ("microvisor: {configs: {a: \x1b[2J}}\n", 1, "U+001B"),
        ("microvisor: {configs: {a: \u2028}}\n", 1, "U+2028"),
        ('microvisor: {configs: {a: "\\0"}}\n', 1, "U+0000"),
        ('microvisor: {configs: {a: "\\ud800"}}\n', 1, "invalid Unicode"),
        ("microvisor: {}\nmicrovisor: {}\n", 2, '"microvisor" is given twice, first on line 1'),
        ("microvisor: {configs: {a: 1, a: 2}}\n", 1, '"a" is given twice'),
        (BOMB, 1, "anchors"),
        ("x: &a [*a]\n", 1, "anchors"),
        ("x: *nobody\n", 1, "read as a YAML alias"),
        ("x: *.devices.*\n", 1, "Quote it"),
        ("[" * 100_000, 1, "nested more than 64 deep"),
        ("{a: " * 100_000, 1, "nested more than 64 deep"),
        ("- " * 100_000, 1, "nested more than 64 deep"),
        ("{" * 100_000, 1, ""),
        ("? " * 100_000, 1, ""),
        ('x: !!python/object/apply:os.system ["id"]\n', 1, "tags"),
        ("x: !!binary aGk=\n", 1, "tags"),
        ("x: !!set {a}\n", 1, "tags"),
        ("x: !local a\n", 1, "tags"),
        ("? [a, b]\n: 1\n", 1, "expected a string as a key"),
        ("{a: 1}: 2\n", 1, "expected a string as a key"),
        ("~: 2\n", 1, "a key is missing"),
        (": 2\n", 1, "this is not YAML"),
        ("x: {<<: {a: 1}}\n", 1, "merge keys"),
        ("microvisor:\n  devices:\n    d:\n      app: {{ row.app }}\n", 4, 'Write:  app: "{{ row.app }}"'),
        ('microvisor:\n  devices:\n    d:\n      sid: "{{ row["Ext. ID"] }}"\n', 4, "Use single quotes"),
        ("microvisor:\n  secrets: {a: env:PSK_{{ row.site }}}\n", 2, "quote a value that holds a template"),
        ('microvisor:\n  devices:\n    "{{ row.name }}": {}\n', 3, "a template cannot stand in a key"),
        ("x: @y\n", 1, "Quote a value"),
        ("x: `y`\n", 1, "Quote a value"),
        ("x: 'y\n", 1, "this is not YAML"),
        ("x: a: b\n", 1, "this is not YAML"),
        ("%FOO\n", 1, "this is not YAML"),
        ("x:\n - a\n b\n", 3, "this is not YAML"),
    ],
)
def test_a_file_that_is_no_document(tmp_path: Path, content: str | bytes, line: int, words: str) -> None:
    found = problems(tmp_path, "", {"x.yaml": content})
    assert words in said(found)
    assert found[0].where is not None
    assert found[0].where.file == "x.yaml"
    assert found[0].where.line == line


@pytest.mark.parametrize("content", ["", "~\n", "# a comment\n", "---\n", "null", "---\n...\n", "\ufeff"])
def test_a_file_that_says_nothing_says_nothing(tmp_path: Path, content: str) -> None:
    assert fleet(tmp_path, "", {"x.yaml": content}).fleet == "f"


@pytest.mark.parametrize(
    "content", ["", "~", "hello", "[]", "[" * 5000, b"\xff", "fleet:\n", "fleet: [a]\n", "fleet: f\nfleet: g\n"]
)
def test_a_main_file_that_is_none(tmp_path: Path, content: str | bytes) -> None:
    write(tmp_path, {"fleet.yaml": content})
    with pytest.raises(InvalidInput):
        load(
            ".",
            providers=PROVIDERS,
            inputs=Inputs(environ={}, cwd=tmp_path),
        )


def test_json_is_yaml(tmp_path: Path) -> None:
    body = json.dumps({"fleet": "f", "microvisor": {"configs": {"a": "no", "b": None}}}, indent=1)
    write(tmp_path, {"fleet.yaml": body})
    assert (
        load(
            ".",
            providers=PROVIDERS,
            inputs=Inputs(environ={}, cwd=tmp_path),
        ).count("microvisor.configs")
        == 1
    )


def test_crlf_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    write(tmp_path, {"fleet.yaml": "\ufefffleet: f\r\nmicrovisor:\r\n  configs:\r\n    a: x\r\n"})
    document = load(
        ".",
        providers=PROVIDERS,
        inputs=Inputs(environ={}, cwd=tmp_path),
    )
    assert document.at(0).attrs["value"] == "x"


def test_a_file_that_is_no_file(tmp_path: Path) -> None:
    write(tmp_path, {"directory.yaml/x": ""})
    assert fleet(tmp_path, "").fleet == "f"
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "is a pipe" in said(problems(tmp_path, ""))


def test_a_file_of_many_values_is_read(tmp_path: Path) -> None:
    body = "microvisor:\n  configs:\n" + "".join(f"    key_{n}: {'x' * 100}\n" for n in range(20_000))
    assert fleet(tmp_path, body).count("microvisor.configs") == 20_000


def test_mistakes_that_follow_from_a_torn_file_are_not_said(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "values: {v: 1}\nmicrovisor:\n  devices:\n    d: {profile: p, app: '{{ var.v }}', configs: {c: '{{ table.t.x }}'}}\n"
        "    b: {for_each: t, key: x}\n    e: {sid: short}\n",
        {"base.yaml": "variables: {v: {}}\nprofiles: {p: {}}\ntables: {t: {file: t.csv}\n"},
    )
    assert [one.where.file for one in found if one.where] == ["base.yaml", "fleet.yaml"]


TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029\ufeff\ufffe\uffff"), max_size=60
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT.filter(lambda text: "{{" not in text and "{%" not in text))
def test_any_text_comes_back_from_a_quoted_scalar(tmp_path: Path, text: str) -> None:
    assert config(tmp_path, json.dumps(text)) == text
    assert config(tmp_path, "'" + text.replace("'", "''") + "'") == text


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT)
def test_any_text_comes_back_through_a_variable(tmp_path: Path, text: str) -> None:
    found = fleet(
        tmp_path,
        "variables: {v: {}}\nmicrovisor: {configs: {c: '{{ var.v }}', d: '<{{ var.v }}>'}}\n",
        var=[f"v={text}"],
    )
    assert [found.at(handle).attrs["value"] for handle in (0, 1)] == [text, f"<{text}>"]


PIECES = st.sampled_from(
    [
        "fleet: f\n",
        "microvisor:\n",
        "  devices:\n",
        "    d:\n",
        "configs: ",
        "{",
        "}",
        "[",
        "]",
        '"',
        "'",
        ": ",
        "- ",
        "? ",
        "! ",
        "& ",
        "* ",
        "# ",
        "\n",
        "\t",
        "{{ ",
        "}}",
        "{% ",
        "row.x",
        "var",
        "for_each: t.csv\n",
        "key: ",
        "when: ",
        "profile: ",
        "variables:\n",
        "tables: ",
        "~",
        "<<: ",
        "0x",
        "1e5",
        "\x00",
        "\ud7ff",
        "é",
        "env:X",
        "secrets: ",
        "file: ",
        "",
        "",
        ">",
        "...",
        "---\n",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=30).map(lambda parts: "".join(parts).encode())))
def test_no_bytes_raise_anything_but_invalid_input(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        for file in ("fleet.yaml", "x.yaml", "t.csv"):
            root = write(Path(name), {"fleet.yaml": "fleet: f\ntables: {t: {file: t.csv}}\n", file: content})
            with contextlib.suppress(InvalidInput):
                load(
                    ".",
                    providers=PROVIDERS,
                    inputs=Inputs(environ={}, cwd=root),
                )


EXPRESSION = st.recursive(
    st.sampled_from(
        ["row.a", "row.n", "row.list", "row.map", "none", "true", "1", "0", "'x'", "2.5", "table.t", "key", "[]", "{}"]
    ),
    lambda inner: st.one_of(
        st.tuples(
            inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "~", "==", "<", "in", "and", "or"]), inner
        ).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(
            inner,
            st.sampled_from(
                [
                    "lower",
                    "int",
                    "float",
                    "first",
                    "last",
                    "sort",
                    "unique",
                    "min",
                    "max",
                    "join",
                    "length",
                    "split",
                    "tojson",
                    "round",
                    "default('x')",
                    "replace('','ab')",
                    "abs",
                    "title",
                ]
            ),
        ).map(lambda t: f"({t[0]} | {t[1]})"),
        st.tuples(inner, inner).map(lambda t: f"{t[0]}[{t[1]}]"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        st.tuples(inner, inner).map(lambda t: f"[{t[0]}, {t[1]}]"),
        st.tuples(inner, st.sampled_from(["none", "defined", "string", "number", "even", "mapping"])).map(
            lambda t: f"({t[0]} is {t[1]})"
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EXPRESSION)
def test_no_expression_raises_anything_but_invalid_input(tmp_path: Path, expression: str) -> None:
    with contextlib.suppress(InvalidInput):
        fleet(
            tmp_path,
            "tables: {t: {file: t.jsonl, key: a}}\nmicrovisor:\n  devices:\n    all:\n      for_each: t\n      key: '{{ row.a }}'\n"
            f"      configs: {{c: {json.dumps('{{ ' + expression + ' }}')}, d: {json.dumps('x{{ ' + expression + ' }}')}}}\n",
            {"t.jsonl": '{"a": "x", "n": 5, "list": [3, 1], "map": {"k": "v"}}\n'},
        )
