"""PATH → document: reads everything, checks everything, and says everything that is wrong at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from reconcile.config import fleet, settings, tables, variables
from reconcile.config.blocks import Shared, entries_of
from reconcile.config.check import Checker, Known, locate
from reconcile.config.document import LoadedDocument
from reconcile.config.fleet import Parts
from reconcile.config.opened import Opened
from reconcile.config.report import Flaw, Report
from reconcile.config.slots import Family, families
from reconcile.config.sources import Sources
from reconcile.config.tables import ENDINGS, Spec, Table
from reconcile.config.templates import Templates
from reconcile.config.world import World
from reconcile.config.yaml import Map, Scalar
from reconcile.core.ports import Document
from reconcile.core.resource_type import Provider
from reconcile.core.trust import TRUSTED, Trust
from reconcile.errors import InvalidInput, Problem


def load(
    path: str,
    *,
    providers: Mapping[str, Provider],
    environ: Mapping[str, str],
    var: Sequence[str] = (),
    var_files: Sequence[str] = (),
    cwd: Path | None = None,
    secrets_schemes: Sequence[str] = ("env", "file"),
    trust: Trust = TRUSTED,
) -> Document:
    """
    A fleet's files, loaded and checked; needs no network and no credentials.

    Args:
        path: the fleet's directory or its main file, as the user typed it.
        providers: by name, in the order of the registry; only their declared halves are used.
        environ: where `RECONCILE_VAR_…` is looked up.
        var: `name=value` of `--var`. `var_files`: paths of `--var-file`, relative to `cwd`.
        cwd: what paths are relative to and shown against.
        secrets_schemes: the schemes that a reference to a secret may have.
        trust: which of them may be opened; what may not is a mistake, unless nobody trusts the document anyway.

    Raises:
        InvalidInput: with everything that is wrong, each with its place.
    """
    here = (cwd or Path.cwd()).resolve()
    try:
        directory, main = fleet.locate(path, here)
    except Flaw as flaw:
        raise InvalidInput(Problem(flaw.what, notes=flaw.notes, way_out=flaw.way_out)) from None
    sources = Sources(directory, here, Path(path).is_absolute())
    report = Report(sources.line_of)
    with _collector_at_rest():
        world = World(sources, report, Templates(), tuple(secrets_schemes))
        try:
            return _load(path, main, world, providers, environ, var, var_files, Opened(trust))
        except Flaw as flaw:  # one that has no place: too many files
            report.flaw(flaw, None)
            report.raise_if_any()
            raise AssertionError("a flaw is always reported") from None
        finally:
            sources.forget()


def _load(
    path: str,
    main: Path | None,
    world: World,
    providers: Mapping[str, Provider],
    environ: Mapping[str, str],
    var: Sequence[str],
    var_files: Sequence[str],
    opened: Opened,
) -> Document:
    sources, report = world.sources, world.report
    kinds = _Kinds(providers)
    files = _variable_files(var_files, world)
    parts = fleet.read(main, sources, report, kinds, files)
    if parts is None:
        report.raise_if_any()
        raise AssertionError("no main file is always reported")
    settings.main_only(world, parts)
    given = variables.resolve(
        parts.variables, parts.main.get("values"), environ, var, files, sources, report, parts.torn
    )
    names: dict[str, object] = {"var": given.values, "fleet": parts.name, "@torn": parts.torn}
    names["@broken"] = parts.variables.keys() - given.values.keys()
    provider_settings, places = settings.provider_settings(world, parts, providers, names, opened)
    state_path = settings.state_path(world, parts, names)
    limits = settings.limits(world, parts)
    declared = settings.tables(world, parts.tables, names)
    # A variable or table that is wrong is said once, not again in every row that uses it.
    names["@broken"] = {*parts.variables, *declared} - {
        *given.values,
        *(name for name, table in declared.items() if table is not None),
    }
    named = {name: table for name, table in declared.items() if table is not None}
    shared = Shared(world, {**names, "table": named}, parts.profiles)
    usable: dict[str, Table | None] = dict(declared)
    usable |= _tables_by_path(world, parts, declared)
    known: dict[str, Known] = {}
    checker = Checker(world, opened)
    for provider in providers:
        for section, family in kinds[provider].items() if provider in parts.used else ():
            known[family.type.path] = _resources(world, shared, parts, provider, section, family, usable)
            checker.run(known[family.type.path])
    document = LoadedDocument(
        fleet=parts.name,
        directory=str(sources.directory),
        path=path,
        settings=provider_settings,
        places=places,
        state_path=state_path,
        limits=limits,
        digest=sources.digest(),
        variables=given.digest(),
        warnings=(),
        opens=opened.names,
        world=world,
        known=known,
        counts=checker.counts,
        origins=given.origins,
    )
    report.raise_if_any()
    checker.references(known, lambda kind: [_key(known[kind], handle) for handle in document.roots(kind)])
    document.warnings = report.warnings
    return document


class _Kinds(Mapping[str, Mapping[str, Family]]):
    """The root types of each provider by section; only what a document uses is looked at, and so imported."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = providers
        self._known: dict[str, Mapping[str, Family]] = {}

    def __getitem__(self, name: str) -> Mapping[str, Family]:
        if name not in self._known:
            self._known[name] = families(self._providers[name])
        return self._known[name]

    def __contains__(self, name: object) -> bool:
        return name in self._providers

    def __iter__(self) -> Iterator[str]:
        return iter(self._providers)

    def __len__(self) -> int:
        return len(self._providers)


def _key(known: Known, handle: int) -> str:
    source, row = locate(known, handle)
    built = source.build(row)
    return built.key if built is not None else ""


def _resources(
    world: World,
    shared: Shared,
    parts: Parts,
    provider: str,
    section: str,
    family: Family,
    usable: Mapping[str, Table | None],
) -> Known:
    found = []
    for node in parts.sections.get((provider, section), ()):
        # A path of for_each is relative to the file it stands in.
        base = world.base(node.at)
        local = {name: table for name, table in usable.items() if "\0" not in name}
        local |= {
            name.partition("\0")[2]: table
            for name, table in usable.items()
            if "\0" in name and name.partition("\0")[0] == str(base)
        }
        found += entries_of(shared, family, node, local)
    return Known(family, found)


def _tables_by_path(world: World, parts: Parts, declared: Mapping[str, Table | None]) -> dict[str, Table | None]:
    """The tables that `for_each` names by path, by directory and path."""
    found: dict[str, Table | None] = {}
    for nodes in parts.sections.values():
        for section in nodes:
            for member in section.members.values():
                said = member.members.get("for_each") if type(member) is Map else None
                if type(said) is not Scalar or said.text in declared:
                    continue
                if "/" not in said.text and not said.text.endswith(ENDINGS):
                    continue
                base = world.base(said.at)
                name = f"{base}\0{said.text}"
                if name in found:
                    continue
                found[name] = None
                where = world.position(said.at)
                try:
                    file = world.sources.find(said.text, base, "the table")
                except Flaw as flaw:
                    world.report.flaw(flaw, where)
                    continue
                found[name] = tables.read(said.text, Spec(said.text), file, world.sources, world.report, where)
    return found


def _variable_files(names: Sequence[str], world: World) -> list[Path]:
    found = []
    for name in names:
        plain = world.sources.cwd / name if "\0" not in name else world.sources.cwd
        path = plain.resolve()
        if path.is_file():
            found.append(path)
        else:
            world.report.add(f"--var-file {name} is not a file")
    return found


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    # Everything that is read stays, so looking for cycles in it again and again only doubles the time.
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
