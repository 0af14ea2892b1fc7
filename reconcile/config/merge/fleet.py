"""
A directory → its merged sections (docs/document.md, "Files").

One file has `fleet:`; all other YAML files of the directory, and what `include` names, are merged with it down to the
resource. Files that something names (tables, texts, variables) are not documents.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reconcile.config.expressions.coerce import shown
from reconcile.config.read.sources import YAML_ENDINGS, Sources
from reconcile.config.report import Report, Showing, did_you_mean, listed, suggestion
from reconcile.errors import Flaw, Position
from reconcile.yaml import Map, Node, Scalar, Seq, Tree, decode, parse, place

MAIN_ONLY = ("fleet", "include", "values", "providers", "state", "limits", "policies", "rollouts")
SHARED = ("variables", "tables", "profiles")
_MOST_NAMED = 50  # keys that are in two files, or that nobody knows
_NAME = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Said:
    """A named part of the document: its node, and the place of its key."""

    node: Node
    at: int


@dataclass(slots=True)
class FleetParts:
    """
    The merged document.

    Attributes:
        main: the main file's map, `file` its path.
        variables, tables, profiles: by name.
        sections: by provider and section, one map for each file that has it. `places`: of their keys, where a
            section is in several files.
        used: the providers that have a section. `torn`: whether a file could not be read, so that parts may lack.
    """

    name: str = ""
    main: Map = field(default_factory=lambda: Map({}, 0, b""))
    file: Path | None = None
    variables: dict[str, Said] = field(default_factory=dict)
    tables: dict[str, Said] = field(default_factory=dict)
    profiles: dict[str, Said] = field(default_factory=dict)
    sections: dict[tuple[str, str], list[Map]] = field(default_factory=dict)
    places: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    used: dict[str, None] = field(default_factory=dict)
    torn: bool = False


@dataclass(slots=True)
class _File:
    path: Path
    number: int
    tree: Tree
    problem: Flaw | None = None


class _Reader:
    def __init__(self, sources: Sources, report: Report) -> None:
        self.sources, self.report = sources, report
        self.files: dict[Path, _File] = {}
        self.named: set[Path] = set()
        self._by_real: dict[Path, _File] = {}

    def read(self, path: Path) -> _File:
        if path in self.files:
            return self.files[path]
        real = self.sources.real(path)
        if real in self._by_real:  # under another name, too
            return self._by_real[real]
        file = _File(path, self.sources.number(path), Tree())
        self.files[path] = self._by_real[real] = file
        try:
            text = decode(self.sources.read(path))
        except Flaw as flaw:
            file.problem = flaw
            return file
        self.sources.keep(path, text)
        file.tree = parse(text, file.number)
        root = file.tree.root
        if type(root) is Map:
            for name in file.tree.named:
                if "\0" not in name and "{{" not in name and len(name) < 4096:
                    self.named.add(Path(os.path.normpath(path.parent / name)))
        return file

    def directory(self, path: Path) -> list[Path]:
        """The YAML files directly in a directory, links resolved and checked."""
        found = []
        try:
            entries = sorted(path.iterdir(), key=lambda entry: entry.name)
        except OSError as error:
            raise Flaw(f"{self.sources.show(path)} cannot be read: {error.strerror}") from None
        for entry in entries:
            if entry.suffix in YAML_ENDINGS and entry.name[0] not in "._" and not entry.is_dir():
                found.append(self.sources.find(entry.name, path, "the file"))
        return found


def _as_named(path: Path) -> Path:
    """An absolute path without `.` and `..`, its links not followed: but for those before a `..`, which they decide."""
    parts = path.parts
    last = max((at for at, part in enumerate(parts) if part == ".."), default=-1)
    above = Path(os.path.realpath(Path(*parts[: last + 1]))) if last >= 0 else Path()
    return above / Path(*parts[last + 1 :])


def locate(path: str, cwd: Path) -> tuple[Path, Path | None]:
    """
    The fleet's directory, and its main file when PATH names one.

    Raises:
        Flaw: there is nothing of the kind.
    """
    if "\0" in path:
        raise Flaw("PATH holds the character U+0000")
    found = _as_named(cwd / path)
    try:
        is_dir, is_file = found.is_dir(), found.is_file()
        there = os.path.lexists(found)
    except (OSError, RuntimeError):
        raise Flaw(f"{path} cannot be read") from None
    if is_dir:
        return found, None
    if is_file and found.suffix in YAML_ENDINGS:
        return found.parent, found
    if not there:
        near = None
        if found.parent.is_dir():
            near = did_you_mean(found.name, (entry.name for entry in found.parent.iterdir()))
        raise Flaw(f"{path} does not exist", hint=near or "PATH is a fleet's directory")
    raise Flaw(f"{path} is not a fleet", hint="PATH is a fleet's directory, or its main file (.yaml)")


def read(
    main: Path | None,
    sources: Sources,
    report: Report,
    providers: Mapping[str, Iterable[str]],
    not_documents: Sequence[Path] = (),
) -> FleetParts | None:
    """
    All files of a fleet, merged. What is wrong is reported.

    Args:
        main: the main file, if PATH named it.
        providers: the sections of each provider.
        not_documents: files that the command line names as something else.

    Returns:
        None when there is no main file.
    """
    reader = _Reader(sources, report)
    reader.named.update(not_documents)
    try:
        own = reader.directory(sources.directory)
    except Flaw as flaw:
        report.flaw(flaw, None)
        return None
    for path in own:
        if path not in reader.named:
            reader.read(path)
    mains = [file for file in reader.files.values() if file.path not in reader.named and _is_main(file)]
    if main is not None and main not in [file.path for file in mains] and main not in reader.files:
        reader.read(main)
    if len(mains) != 1 or (main is not None and mains[0].path != main):
        _wrong_mains(mains, main, reader)
        return None
    parts = FleetParts()
    root = mains[0].tree.root
    assert type(root) is Map
    parts.main, parts.file = root, mains[0].path
    order = [mains[0].path, *(path for path in own if path != mains[0].path)]
    order += _included(root, mains[0], reader)
    documents = [
        reader.files[path] for path in dict.fromkeys(order) if path not in reader.named and path in reader.files
    ]
    for file in documents:
        _report_file(file, report, sources)
        parts.torn |= file.problem is not None or bool(file.tree.mistakes)
    for file in documents:
        if type(file.tree.root) is Map:
            _merge(parts, file, file is mains[0], reader, providers)
    parts.name = _fleet_name(root, sources, report)
    return parts


def _is_main(file: _File) -> bool:
    return type(file.tree.root) is Map and "fleet" in file.tree.root.members


def _wrong_mains(mains: list[_File], main: Path | None, reader: _Reader) -> None:
    report, sources = reader.report, reader.sources
    for file in reader.files.values():
        if file.path not in reader.named:
            _report_file(file, report, sources)
    if len(mains) > 1:
        names = [sources.show(file.path) for file in mains]
        report.add(
            f"{len(mains)} files have `fleet:`: {listed(names)}",
            Position(names[1], place(mains[1].tree.root.key_at("fleet"))[1]),  # type: ignore[union-attr]
            hint="One fleet is one directory. What fleets share stands in a directory that each includes",
        )
    elif main is not None and not mains:
        report.add(
            "the file has no `fleet:`", Position(sources.show(main)), hint="PATH is a fleet's directory or main file"
        )
    elif main is not None:
        report.add(
            "this file is not the fleet's main file",
            Position(sources.show(main)),
            hint=f"It is {sources.show(mains[0].path)}",
        )
    elif report.empty:
        here = sources.show(sources.directory)
        there = [sources.show(file.path) for file in reader.files.values()]
        report.add(
            f"no file in {here} has `fleet:`",
            notes=[f"Read: {listed(there)}" if there else "There is no YAML file in it"],
            hint="The main file of a fleet begins with  fleet: its-name",
        )


def _report_file(file: _File, report: Report, sources: Sources) -> None:
    name = sources.show(file.path)
    if file.problem is not None:
        line, column = file.problem.at or (0, 0)
        report.flaw(file.problem, Position(name, line, column), show_line=False)
    for line, column, flaw in file.tree.mistakes:
        report.flaw(flaw, Position(name, line, column))
    root = file.tree.root
    if root is not None and type(root) is not Map and not (type(root) is Scalar and root.null):
        kind = "a list" if type(root) is Seq else "a string"
        report.add(
            f"a document is a map, this file is {kind}",
            Position(name, place(root.at)[1], place(root.at)[2]),
            hint="A file that is no document is named by a table, or begins with _",
            shown=Showing(line=False),
        )


def _included(root: Map, main: _File, reader: _Reader) -> list[Path]:
    node = root.get("include")
    if node is None:
        return []
    sources, report = reader.sources, reader.report
    members = node.members if type(node) is Seq else [node]
    found: list[Path] = []
    seen: set[Path] = set()
    for member in members:
        where = sources.position(*place(member.at))
        if type(member) is not Scalar or member.null:
            report.add("include is a list of files and directories", where)
            continue
        try:
            path = sources.find(member.text, main.path.parent, "the include", member.at)
            if path in seen:
                continue
            seen.add(path)
            paths = reader.directory(path) if path.is_dir() else [path]
            if path.is_dir() and not paths:
                raise Flaw(f"{shown(member.text)} holds no YAML file")
        except Flaw as flaw:
            report.flaw(flaw, where)
            continue
        for one in paths:
            file = reader.read(one)
            if file is not main and one not in reader.named and _is_main(file):
                report.add(
                    f"{sources.show(one)} has `fleet:`, and a fleet does not include another",
                    where,
                    hint="Put what both share into a directory without `fleet:`",
                )
            else:
                found.append(one)
    return found


def _merge(
    parts: FleetParts, file: _File, is_main: bool, reader: _Reader, providers: Mapping[str, Iterable[str]]
) -> None:
    root, report, sources = file.tree.root, reader.report, reader.sources
    assert type(root) is Map
    unknown = 0
    for name, node, at in root.items():
        where = sources.position(*place(at))
        if name in MAIN_ONLY:
            if not is_main and name != "fleet":
                report.add(
                    f"`{name}` stands only in the main file, the one with `fleet:`",
                    where,
                    shown=Showing(line=False),
                )
        elif name in SHARED:
            _merge_shared(getattr(parts, name), name, node, reader)
        elif name in providers:
            _merge_provider(parts, name, node, reader, providers[name])
        elif (unknown := unknown + 1) <= _MOST_NAMED:
            known = [*MAIN_ONLY, *SHARED, *providers]
            report.add(
                f"{shown(name)} is not a top-level key",
                where,
                notes=[f"There is: {', '.join(known)}"],
                hint=suggestion(name, known, "A file that is no document is named by a table, or begins with _"),
                shown=Showing(line=False),
            )


def _map_of(node: Node, what: str, reader: _Reader) -> Map | None:
    if type(node) is Map:
        return node
    if not (type(node) is Scalar and node.null):
        reader.report.add(
            f"{what} is a map",
            reader.sources.position(*place(node.at)),
            shown=Showing(line=False),
        )
    return None


def _merge_shared(into: dict[str, Said], what: str, node: Node, reader: _Reader) -> None:
    found = _map_of(node, what, reader)
    for name, member, at in found.items() if found else ():
        if name in into:
            _twice(f"{what[:-1]} {shown(name)}", at, into[name].at, reader)
        else:
            into[name] = Said(member, at)


def _merge_provider(parts: FleetParts, provider: str, node: Node, reader: _Reader, sections: Iterable[str]) -> None:
    parts.used[provider] = None
    found = _map_of(node, provider, reader)
    if found is None:
        return
    for section, member, at in found.items():
        if section not in sections:
            known = list(sections)
            reader.report.add(
                f"{provider} has no {shown(section)}",
                reader.sources.position(*place(at)),
                notes=[f"There is: {', '.join(known)}"],
                hint=suggestion(section, known),
                shown=Showing(line=False),
            )
            continue
        entries = _map_of(member, f"{provider}.{section}", reader)
        if entries is None:
            continue
        others = parts.sections.setdefault((provider, section), [])
        if others:
            _only_once(parts, provider, section, entries, reader)
        others.append(entries)


def _only_once(parts: FleetParts, provider: str, section: str, entries: Map, reader: _Reader) -> None:
    """Reports the keys of one more file that another one has already."""
    at = (provider, section)
    if at not in parts.places:
        parts.places[at] = {key: place for key, _, place in parts.sections[at][0].items()}
    places = parts.places[at]
    for key in sorted(places.keys() & entries.members.keys())[:_MOST_NAMED]:
        _twice(f"{provider}.{section} {shown(key)}", entries.key_at(key), places[key], reader)
    for key, _, key_at in entries.items():
        places.setdefault(key, key_at)


def _twice(what: str, at: int, first: int, reader: _Reader) -> None:
    reader.report.add(
        f"{what} is given twice, first in {reader.sources.position(*place(first))}",
        reader.sources.position(*place(at)),
        hint="Keep one of them",
        shown=Showing(line=False),
    )


def _fleet_name(root: Map, sources: Sources, report: Report) -> str:
    node = root.members["fleet"]
    text = node.text if type(node) is Scalar else ""
    if not _NAME.fullmatch(text) or len(text) > 100:
        near = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
        report.add(
            f"{shown(text) if text else 'nothing'} is not the name of a fleet",
            sources.position(*place(node.at)),
            hint="It is made of a-z, 0-9 and -" + (f": {near}" if near else ""),
        )
    return text
