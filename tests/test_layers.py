"""
The rooms of docs/architecture.md: imports go one way, each library is imported where it belongs, and what keeps a room
easy to read: no circle of imports, no public class name twice, few parameters. Complexity is ruff's C901.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "reconcile"

ADAPTERS = {"backends", "config", "engine", "forges", "planfile", "providers", "render", "secrets", "transport"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "files": set(),
    "yaml": set(),
    "simulator": set(),
    "core": set(),
    "config": {"yaml", "core"},
    "engine": {"core"},
    "render": {"core"},
    "secrets": {"yaml", "core"},
    "transport": {"core"},
    "planfile": {"core"},
    "provider": {"transport", "core"},
    "backends": {"transport", "core"},
    "forges": {"transport", "core"},
    "providers": {"provider", "transport", "core"},
    "workflow": {"engine", "core"},
    "wiring": {*ADAPTERS, "core", "workflow"},
    "cli": {"wiring", "workflow", "render", "planfile", "core", "simulator"},
    "conformance": {"cli", "wiring", "core"},
    "__main__": {"cli"},
    "__init__": set(),
}
# The version and the errors are everybody's.
EVERYWHERE = {"errors", "__init__"}
ONLY_IN = {
    "h11": {"transport/http1.py"},
    "certifi": {"transport/ways.py"},
    "deepdiff": {"core/tree.py"},
    "jinja2": {"config", "render/html"},
    "aiohttp": {"simulator"},
    "click": {"cli"},
    "pytest": {"conformance"},
    "rich": {"render"},
    "psycopg": {"backends/postgres"},
    "sqlite3": {"backends/sqlite", "simulator"},
}
PURE = {"asyncio", "os", "time", "socket", "random", "subprocess", "threading", "pathlib", "sqlite3"}
PURE_EXCEPTIONS = {("core/ports.py", "random"), ("core/home.py", "random")}  # a type of what is passed in
# Packages in which a vendor's words are used as the vendor uses them.
VENDORS = {path for room in ("providers", "simulator") for path in (ROOT / room).iterdir() if path.is_dir()}
PARAMETERS = 6  # of a function, `self` and `cls` aside


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, those that it needs for types alone included."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            if (node.module or "").partition(".")[0] == "reconcile":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    here = room(path)
    for name in imports(path):
        if not name.startswith("reconcile."):
            continue
        there = name.split(".")[1]
        is_room = (ROOT / there).exists() or (ROOT / f"{there}.py").exists()
        if there == here or there in EVERYWHERE or not is_room:
            continue
        if there == "files" and here not in ("core", "simulator"):
            continue
        assert there in ALLOWED[here], f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_library_is_imported_where_it_belongs(path: Path) -> None:
    here = str(path.relative_to(ROOT))
    for name in imports(path):
        rooms = ONLY_IN.get(name.partition(".")[0])
        assert rooms is None or any(here == place or here.startswith(f"{place}/") for place in rooms), f"{here}: {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "core").glob("*.py")), ids=lambda path: path.name)
def test_the_core_is_pure(path: Path) -> None:
    here = str(path.relative_to(ROOT))
    for name in imports(path):
        assert name.partition(".")[0] not in PURE or (here, name) in PURE_EXCEPTIONS, f"{here}: {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(tree(path)), f"{path}: no docstring"


def test_no_import_goes_round_in_a_circle() -> None:
    """Neither between rooms nor inside one; a package's own `__init__` is its face, not a part of each of its files."""
    files = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path for path in modules()}
    files = {name.removesuffix(".__init__"): path for name, path in files.items()}
    needs = {name: set(needed(path, files)) - {name} for name, path in files.items()}
    while free := {name for name, others in needs.items() if not others & needs.keys()}:
        needs = {name: others for name, others in needs.items() if name not in free}
    # What is left stands in a circle or needs one; what nothing else of it needs is not in the circle.
    while loose := needs.keys() - set().union(*needs.values()):
        needs = {name: others for name, others in needs.items() if name not in loose}
    assert not needs, "\n".join(
        f"{name} → {', '.join(sorted(others & needs.keys()))}" for name, others in needs.items()
    )


def needed(path: Path, files: dict[str, Path]) -> Iterator[str]:
    """The modules of the house that a file imports; of `from a.b import c` that is `a.b.c` where it is a module."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield from (name for name in (inner if inner in files else node.module,) if name in files)


def test_no_public_class_name_is_defined_twice() -> None:
    places = defaultdict(list)
    for path in modules():
        if not VENDORS & set(path.parents):
            for node in tree(path).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(str(path.relative_to(ROOT)))
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert not twice, "\n".join(f"{name}: {', '.join(where)}" for name, where in sorted(twice.items()))


def test_no_function_takes_more_than_six_parameters() -> None:
    many = []
    for path in modules():
        for node in functions(path):
            # What click calls gets one argument for each option of the command.
            if any(ast.unparse(mark).startswith("click.") for mark in node.decorator_list):
                continue
            every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            names = [one.arg for one in every if one.arg not in ("self", "cls")]
            if len(names) > PARAMETERS:
                many.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} takes {len(names)}")
    assert not many, "\n".join(many)


def test_only_the_command_line_reaches_the_simulator() -> None:
    for path in modules():
        if room(path) not in ("cli", "simulator"):
            assert not any(name.startswith("reconcile.simulator") for name in imports(path)), path


def test_only_the_list_of_sections_knows_the_vendors_of_the_simulator() -> None:
    simulator = ROOT / "simulator"
    vendors = {path.parent.name for path in simulator.glob("*/section.py")}
    assert vendors
    for path in simulator.rglob("*.py"):
        known = {name.split(".")[2] for name in imports(path) if name.startswith("reconcile.simulator.")}
        assert path == simulator / "sections.py" or known & vendors <= {path.parent.name}, path
