"""CSV as spreadsheets and ERP systems write it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.config.read.tables import Spec, read
from reconcile.config.report import Report
from reconcile.wiring import CommandRequest, document

BODY = """\
fleet: f
tables: {{t: {{file: t.csv, key: name{more}}}}}
microvisor:
  configs:
    c: "{{{{ table.t['a'].{column} }}}}"
"""


def value(tmp_path: Path, text: str, more: str = "", column: str = "site") -> Any:
    (tmp_path / "t.csv").write_bytes(text.encode())
    (tmp_path / "fleet.yaml").write_text(BODY.format(more=more, column=column))
    files = document(CommandRequest(str(tmp_path)))
    handle = next(iter(files.roots("microvisor.configs")))
    return files.at(handle).attrs["value"]


def problems(tmp_path: Path, text: str, more: str = "", column: str = "site") -> str:
    from reconcile.errors import InvalidInput

    with pytest.raises(InvalidInput) as wrong:
        value(tmp_path, text, more, column)
    return "\n".join(map(str, wrong.value.problems))


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ('name, site\n"a", "oslo, north"\n', ""),
        ('name , site\n"a" , "oslo, north" \n', ""),
        ('name\tsite\n"a"\t "oslo, north" \n', ', delimiter: "\\t"'),
        ('"name" ; "site"\r\n a ; "oslo, north"\r\n', ', delimiter: ";"'),
        ('name,site,\na,"oslo, north",\n', ""),
        ('name,site,,\r\na,"oslo, north",,\r\n', ""),
        ("sep=;\nname;site\na;oslo, north\n", ""),
        ("sep=;\r\nname;site\r\na;oslo, north\r\n", ', delimiter: ";"'),
        ('sep=,\nname,site\na,"oslo, north"\n', ""),
        ('Status,name,Status,site\nx,a,y,"oslo, north"\n', ""),
        ('Fleet of 2026,,\nname,site,x\na,"oslo, north",\n', ", header_row: 2"),
        ("sep=;\nTitle\nname;site\na;oslo, north\n", ", header_row: 3"),
        ('\ufeffname,site\na,"oslo, north"\n', ""),
    ],
)
def test_what_is_read(tmp_path: Path, text: str, more: str) -> None:
    assert value(tmp_path, text, more) == "oslo, north"


@pytest.mark.parametrize(
    ("text", "more", "column", "words"),
    [
        ("name,site,site\na,x,y\n", "", "site", 'column "site" is there twice in'),
        ("name,site,name\na,x,y\n", "", "site", 'column "name" is there twice in'),
        ("name,site,name\na,x,y\n", ", columns: {other: name}", "site", 'column "name" is there twice in'),
        ("name,site,\na,oslo, north\nb,x,\n", "", "site", "column 3 of"),
        ("name,site,\na,oslo, north\nb,x,\n", "", "site", "line 2 has a value there"),
        ("T\n\nname,site\na\n", ", header_row: 3", "site", "t.csv:4"),
        ('T\nname,site\na,"x"y\n', ", header_row: 2", "site", "on line 3"),
        ("name,site\n", ", header_row: 9", "site", "has no line 9"),
        ("name,site\n", ", header_row: 0", "site", "header_row counts from 1"),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, more: str, column: str, words: str) -> None:
    assert words in problems(tmp_path, text, more, column)


def test_only_csv_has_a_header_row(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('[{"name": "a", "site": "x"}]')
    (tmp_path / "fleet.yaml").write_text("fleet: f\ntables: {t: {file: t.json, key: name, header_row: 2}}\n")
    from reconcile.errors import InvalidInput

    with pytest.raises(InvalidInput, match="only a CSV file has a header_row"):
        document(CommandRequest(str(tmp_path)))


CELL = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")) | st.sampled_from('\n",;| '), max_size=8)


class _Files:
    """What `read` asks of its sources."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def show(self, path: Path) -> str:
        return path.name

    def read(self, path: Path) -> bytes:
        return self.data


@given(
    st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=5),
    st.sampled_from(",;|"),
    st.booleans(),
)
def test_what_a_writer_writes_is_read_back(rows: list[list[str]], delimiter: str, quoted: bool) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL)
    writer.writerow(["a", "b", "c"])
    writer.writerows(rows)
    sources: Any = _Files(out.getvalue().encode())
    spec, report = Spec("t.csv", delimiter=delimiter, min_rows=0), Report(lambda *_: None)
    table = read("t", spec, Path("t.csv"), sources, report, None)
    assert table is not None
    kept = [[cell.strip() for cell in row] for row in rows]
    assert [list(row) for row in table.rows] == [row for row in kept if any(row)]


def test_lists_of_names_take_templates(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("name,site,zone\np1,oslo,\np2,bergen,west\n")
    (tmp_path / "fleet.yaml").write_text(
        "fleet: f\ntables: {t: {file: t.csv, key: name}}\nprofiles: {all: {groups: [everybody]}}\n"
        "device_management:\n  groups: {oslo: {}, bergen: {}, west: {}, everybody: {}}\n  devices:\n    pumps:\n"
        '      {for_each: t, key: "{{ row.name }}", endpoint_name: "{{ row.name }}", profile: [all],'
        ' groups: ["{{ row.site }}", "{{ row.zone or none }}"]}\n'
    )
    files = document(CommandRequest(str(tmp_path)))
    found = {
        files.at(handle).address.key: sorted(child.address.key for child in files.children(handle))
        for handle in files.roots("device_management.devices")
    }
    assert found == {"p1": ["everybody", "oslo"], "p2": ["bergen", "everybody", "west"]}
