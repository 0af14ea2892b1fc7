"""
The pages of `docs/` are true: the examples of the document are loaded by `reconcile validate`, every name that a
document may hold stands in its reference, and what points at a page or a heading leads to one.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import io
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

import jinja2
import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from reconcile.cli import reconcile
from reconcile.cli.output import run
from reconcile.config import Inputs, load
from reconcile.config.compile import sections
from reconcile.config.expressions import operations
from reconcile.config.merge import fleet, settings, variables
from reconcile.config.read import tables
from reconcile.core.address import Address
from reconcile.core.ports import Document
from reconcile.core.schema import Field, fields_of
from reconcile.core.values import FileRef
from reconcile.errors import InvalidInput
from reconcile.providers.registry import Providers

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs/document.md"
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
PROVIDERS = Providers()
OURS = ("microvisor", "asset_tracker", "device_management")
TYPES = {kind.path: kind for name in OURS for kind in PROVIDERS[name].types}

# An example is the files of one directory: each a block after `<!-- file: directory/name -->`. Expressions stand in
# blocks after `<!-- templates -->`, each with what it gives.
FILE = re.compile(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXPRESSIONS = re.compile(r"^<!-- templates -->\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def page() -> str:
    return DOCUMENT.read_text("utf-8")


@pytest.fixture(scope="module")
def examples(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of all examples, in a repository of their own."""
    root = tmp_path_factory.mktemp("docs")
    (root / ".git").mkdir()
    for name, text in FILE.findall(page):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert not path.exists(), f"{name} is shown twice"
        path.write_text(text, "utf-8")
    return root


def section(page: str, title: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(title)}$\n", page, re.MULTILINE)
    assert found, f"there is no heading {title!r}"
    rest = page[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(text: str) -> dict[str, str]:
    """The rows of the tables in a text whose first cell is one name, by that name."""
    return dict(re.findall(r"^\| `([^`]+)` \|(.*)\|$", text, re.MULTILINE))


# -- the examples ------------------------------------------------------------------------------------------------------


def test_every_block_of_yaml_is_an_example(page: str) -> None:
    shown = re.findall(r"^```yaml\n", page, re.MULTILINE)
    assert len(shown) == len(re.findall(r"^<!-- file: \S+ -->\n```yaml\n", page, re.MULTILINE)) > 10


def test_every_example_is_valid(examples: Path) -> None:
    mains = sorted(path for path in examples.rglob("fleet.yaml"))
    shown = {name.split("/")[0] for name, _ in FILE.findall(DOCUMENT.read_text("utf-8"))}
    assert {main.relative_to(examples).parts[0] for main in mains} == shown
    for main in mains:  # one by one: they are no fleets of one account
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(reconcile, ["validate", str(main.parent)])
        assert (code, err.getvalue()) == (0, "") and "Success!" in out.getvalue(), main


def test_the_examples_mean_what_is_said_beside_them(examples: Path) -> None:
    texts = loaded(examples / "texts")
    assert {key: value(texts, "microvisor.configs", key) for key in ("country", "version", "greeting", "ca")} == {
        "country": "no",
        "version": "1.10",
        "greeting": "",
        "ca": "-----BEGIN CERTIFICATE-----\n",
    }
    profiles = loaded(examples / "profiles")
    lab = profiles.get(Address.parse("microvisor.devices.lab"))
    assert lab is not None and lab.attrs["logging"] is True and dict(lab.labels) == {"hardware": "B"}
    assert value(profiles, "microvisor.devices.configs", "lab", "sample_s") == "10"
    assert value(profiles, "microvisor.devices.configs", "lab", "unit") == "kelvin"
    assert value(loaded(examples / "tables"), "microvisor.devices.configs", "s-00017", "broker").startswith(
        "mqtt-north"
    )
    blocks = loaded(examples / "blocks")
    assert blocks.count("microvisor.devices") == 2  # the gateway, and of two rows the one that is active


def loaded(directory: Path) -> Document:
    return load(
        str(directory),
        providers=PROVIDERS,
        inputs=Inputs(environ={}),
    )


def value(document: Document, path: str, *keys: str) -> Any:
    found = document.get(Address.of(path, keys))
    return None if found is None else found.attrs["value"]


# -- templates ---------------------------------------------------------------------------------------------------------


def expressions(page: str) -> list[tuple[str, str]]:
    lines = [line for block in EXPRESSIONS.findall(page) for line in block.splitlines()]
    return [(left.strip(), right.strip()) for left, arrow, right in (line.partition("→") for line in lines) if arrow]


def test_every_expression_gives_what_is_shown(page: str, tmp_path: Path) -> None:
    shown = expressions(page)
    whole = "fleet: templates\nmicrovisor:\n  configs:\n"
    (tmp_path / "fleet.yaml").write_text(
        whole + "".join(f"    e{n}: {json.dumps(left)}\n" for n, (left, right) in enumerate(shown) if right != "error")
    )
    document = loaded(tmp_path)
    found = [(left, value(document, "microvisor.configs", f"e{n}")) for n, (left, _) in enumerate(shown)]
    wanted = [(left, None if right in ("error", "(not written)") else right) for left, right in shown]
    assert found == wanted
    for left, right in shown:
        if right == "error":
            (tmp_path / "fleet.yaml").write_text(f"{whole}    e: {json.dumps(left)}\n")
            with pytest.raises(InvalidInput):
                loaded(tmp_path)


def test_every_operator_filter_and_test_has_an_example(page: str) -> None:
    shown: dict[str, set[str]] = {"nodes": set(), "operators": set(), "filters": set(), "tests": set()}
    for left, right in expressions(page):
        for node in jinja2.Environment().parse(left).find_all(jinja2.nodes.Node) if right != "error" else ():
            shown["nodes"].add(type(node).__name__)
            if isinstance(node, jinja2.nodes.Operand):
                shown["operators"].add(node.op)
            elif isinstance(node, jinja2.nodes.Filter):
                shown["filters"].add(node.name)
            elif isinstance(node, jinja2.nodes.Test):
                shown["tests"].add(node.name)
    assert shown["nodes"] >= set(operations.ARITHMETIC)
    assert shown["operators"] == set(operations.COMPARE)
    assert shown["filters"] == set(operations.FILTERS)
    assert shown["tests"] == {*operations.TESTS, "defined", "undefined"}


# -- the names ---------------------------------------------------------------------------------------------------------


def test_every_top_level_key_is_in_the_reference(page: str) -> None:
    wanted = {*fleet.MAIN_ONLY, *fleet.SHARED, *OURS}
    found = rows(section(page, "Top-level keys"))
    assert set(found) == wanted
    assert {name for name, rest in found.items() if "main file" in rest} == set(fleet.MAIN_ONLY)


def test_every_key_of_variables_tables_blocks_and_limits_is_in_the_reference(page: str) -> None:
    assert set(rows(section(page, "Variables"))) == set(variables._KEYS)
    assert all(f"`{name}`" in rows(section(page, "Variables"))["type"] for name in variables.TYPES)
    table = rows(section(page, "Tables"))
    assert set(table) == {spec.name for spec in dataclasses.fields(tables.Spec)}
    assert all(f"`{ending}`" in table["file"] for ending in tables.ENDINGS)
    assert set(rows(section(page, "Entries and blocks"))) == set(sections.ENTRY)
    own = rows(section(page, "Keys of every resource"))
    assert set(own) == set(sections.OWN)
    assert all(f"`{choice}`" in own["on_removal"] for choice in sections.OWN["on_removal"].choices)
    assert set(rows(section(page, "Limits"))) == set(settings.LIMITS)


@pytest.mark.parametrize("provider", OURS)
def test_every_setting_of_a_provider_is_in_the_reference_with_its_default(page: str, provider: str) -> None:
    whole = section(page, provider)
    found = rows(whole[: whole.index("### ")])
    model = PROVIDERS[provider].Settings
    assert set(found) == set(fields_of(model))
    for name, info in model.model_fields.items():
        default = "none" if info.default is None else str(info.default)
        last = found[info.alias or name].split("|")[-1].strip()
        assert last.strip("`") == default or last.startswith(f"{default}:"), f"{provider}.{name}: {last}"


@pytest.mark.parametrize("path", TYPES)
def test_every_field_of_a_type_is_in_the_reference_with_its_bounds(page: str, path: str) -> None:
    title = next(title for title in HEADING.findall(page) if f"`{path}`" in title)
    found = rows(section(page, title))
    wanted = dict(leaves(TYPES[path].Model))
    assert set(found) == set(wanted)
    for name, (spec, bounds) in wanted.items():
        kind = found[name].split("|")[0]
        assert (" required" in found[name]) is spec.required, name
        numbers = re.findall(r"-?\d+(?:\.\d+)?", kind)
        assert all(bound in numbers for bound in bounds), f"{path}: {name}: {kind} has not {bounds}"
        assert all(f"`{choice}`" in kind for choice in spec.choices), name


def leaves(model: type[BaseModel]) -> Iterator[tuple[str, tuple[Field, list[str]]]]:
    """By its path, what is said of every field without fields of its own, and the numbers that bound it."""
    for name, spec in fields_of(model).items():
        info = next(info for key, info in model.model_fields.items() if (info.alias or key) == name)
        inner = next(iter(models(info.annotation)), None)
        if spec.fields and inner is not None:
            yield from ((f"{name}.{path}", leaf) for path, leaf in leaves(inner))
            continue
        yield name, (spec, list(bounds_of((info.annotation, *info.metadata))))
        if inner is not None:
            step = "*"
            while spec.member is not None and spec.member.member is not None:
                spec, step = spec.member, f"{step}.*"
            yield from ((f"{name}.{step}.{path}", leaf) for path, leaf in leaves(inner))


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models(part)


def bounds_of(parts: Any) -> Iterator[str]:
    """The least and the most that an annotation allows, as they are written; a length of 0 and open ends aside."""
    for part in parts if isinstance(parts, tuple) else (parts,):
        if isinstance(part, (str, bytes)) or part is PydanticUndefined or part is FileRef:
            continue
        for name in ("ge", "le", "min_length", "max_length"):
            if (bound := getattr(part, name, None)) is not None and not callable(bound):
                yield f"{bound:g}" if bound < 1e6 else str(int(bound))
        yield from bounds_of(tuple(getattr(part, "metadata", ())) if hasattr(part, "annotation") else get_args(part))


# -- references --------------------------------------------------------------------------------------------------------

# In a comment a reference may run over the end of a line.
REFERENCE = re.compile(r'\b(docs/[\w/-]+\.md)(?:, ("[^"]+"(?:(?:,| and|, and) "[^"]+")*))?')
BREAK = re.compile(r"\n\s*(?:#|>)?\s*")
LINK = re.compile(r"\]\(([^)#\s:]*)(?:#([^)\s]*))?\)")


def sources() -> Iterator[Path]:
    for room in ("reconcile", "benchmarks", "tests", "examples"):
        yield from sorted((ROOT / room).rglob("*.py"))
    yield from PAGES


def headings(path: Path) -> set[str]:
    return set(HEADING.findall(path.read_text("utf-8")))


def test_every_page_and_heading_that_is_named_is_there() -> None:
    named = 0
    for path in sources():
        for name, titles in REFERENCE.findall(BREAK.sub(" ", path.read_text("utf-8"))):
            named += 1
            there = ROOT / name
            assert there.is_file(), f"{path.relative_to(ROOT)} names {name}"
            for title in re.findall(r'"([^"]+)"', titles):
                assert title in headings(there), f'{path.relative_to(ROOT)} names {name}, "{title}"'
    assert named > 3


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    for name, anchor in LINK.findall(path.read_text("utf-8")):
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), f"{name} is not there"
        if anchor:
            anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings(there)}
            assert anchor in anchors, f"{name}#{anchor}"


SEE = re.compile(r"\b[Ss]ee `([^`]+)`")
SEE_NAME = re.compile(r"\b[Ss]ee `([A-Za-z_][\w.]*)`")
SEE_HEADING = re.compile(r"\b[Ss]ee \"([^\"]+)\"")
DECISIONS = re.compile(r"\b[Dd]ecisions? (\d+)(?: and (\d+))?")
FILE_NAME = re.compile(r"`([\w./-]+\.(?:py|yaml|json|toml|txt|md))`")


@cache
def defined(module: Path) -> set[str]:
    """Names that a module, or any file of a package, defines: classes, functions, their parameters, and fields."""
    found = set()
    for path in module.glob("*.py") if module.is_dir() else [module]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    found.add(name)
                case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                    found.add(name)
    return found


def leads(name: str, path: Path) -> bool:
    """True when `name`, in a comment of `path`, is a module or defined in the one before it, else in the same room."""
    steps = name.removeprefix("reconcile.").split(".")
    for room in path.parents[: len(path.relative_to(ROOT).parts) - 1]:
        for end in range(len(steps), 0, -1):
            place = room.joinpath(*steps[:end])
            for module in (place, place.with_suffix(".py")):
                if module.exists():
                    return set(steps[end:]) <= defined(module)
    return set(steps) <= defined(path.parent)


@pytest.mark.parametrize("room", ["reconcile", "benchmarks", "tests", "examples"])
def test_what_a_comment_says_to_see_is_there(room: str) -> None:
    for path in sorted((ROOT / room).rglob("*.py")):
        for name in SEE_NAME.findall(BREAK.sub(" ", path.read_text("utf-8"))):
            assert leads(name, path), f"{path.relative_to(ROOT)}: see `{name}`"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_says_to_see_is_there(path: Path) -> None:
    text = BREAK.sub(" ", path.read_text("utf-8"))
    for title in SEE_HEADING.findall(text):
        assert title in headings(path), f'see "{title}"'
    for name in SEE.findall(text):
        assert f"| `{name}" in text or is_file(name, path), f"see `{name}`"
    if path.name != "CHANGELOG.md":
        for name in FILE_NAME.findall(text):
            assert is_file(name, path) or "/" not in name, f"there is no file {name}"


def is_file(name: str, page: Path) -> bool:
    return any((base / name).is_file() for base in (ROOT, ROOT / "reconcile", page.parent))


def test_every_decision_that_is_named_is_there() -> None:
    there = {int(path.name[:4]) for path in (ROOT / "docs/decisions").glob("*.md")}
    for path in sources():
        for numbers in DECISIONS.findall(path.read_text("utf-8")):
            assert {int(number) for number in numbers if number} <= there, f"{path.relative_to(ROOT)}: {numbers}"


def test_the_architecture_page_names_the_rooms_and_the_modules_that_are_there() -> None:
    architecture = (ROOT / "docs/architecture.md").read_text("utf-8")
    rooms = {path.stem for path in (ROOT / "reconcile").iterdir() if not path.name.startswith(("_", "."))}
    assert set(rows(section(architecture, "The rooms"))) - {"room"} == rooms
    for name in rows(section(architecture, "One resource, in `core`")):
        assert (ROOT / "reconcile/core" / name).is_file(), name


def test_a_heading_of_the_apis_stands_once() -> None:
    for path in sorted((ROOT / "docs/apis").glob("*.md")):
        titles = HEADING.findall(path.read_text("utf-8"))
        assert len(titles) == len(set(titles)), path.name


def test_the_contents_of_the_reference_are_all_its_sections(page: str) -> None:
    listed: Mapping[str, None] = dict.fromkeys(re.findall(r"\]\(#([\w-]+)\)", page[: page.index("\n## ")]))
    titles = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert list(listed) == [title.lower().replace(" ", "-") for title in titles]


def test_nothing_refers_to_a_page_that_is_not_in_the_repository() -> None:
    """Of the pages that the project was written from, only what was brought into docs/ may be cited."""
    foreign = re.compile(r"design §|[Cc]ontract \"|[Cc]ontract: |\bnotes/[a-z]|\bseed 00\d")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for folder in ("reconcile", "tests", "benchmarks", "examples", "docs")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".md", ".yaml") and path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if foreign.search(line)
    ]
    assert not found, "\n".join(found)
