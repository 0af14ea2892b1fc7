"""PATH → document: reads everything, checks everything, and says everything that is wrong at once."""

from __future__ import annotations

import gc
import os
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconcile.config.check.checker import Checker, Known, locate
from reconcile.config.check.opened import Opened
from reconcile.config.compile.blocks import Shared, entries_of
from reconcile.config.compile.references import literal_files
from reconcile.config.compile.sections import ResourceField, families
from reconcile.config.document import LoadedDocument
from reconcile.config.expressions.operations import Around, Names
from reconcile.config.expressions.templates import Templates
from reconcile.config.merge import fleet, settings, variables
from reconcile.config.merge.fleet import FleetParts
from reconcile.config.merge.policies import policies
from reconcile.config.merge.variables import Outside
from reconcile.config.read import tables
from reconcile.config.read.sources import Sources
from reconcile.config.read.tables import ENDINGS, Spec, Table
from reconcile.config.report import Report, Showing
from reconcile.config.world import Loading
from reconcile.core.ports import Document
from reconcile.core.resource_type import Provider
from reconcile.core.trust import TRUSTED, Trust
from reconcile.errors import Flaw, InvalidInput, Problem
from reconcile.files import NotRead, root_of, working_directory
from reconcile.yaml import Map, Scalar


@dataclass(frozen=True, slots=True)
class Inputs:
    """
    What a document is read with, beside its files.

    Attributes:
        environ: where `RECONCILE_VAR_…` is looked up.
        var: `name=value` of `--var`. `var_files`: paths of `--var-file`, relative to `cwd`.
        cwd: what paths are relative to and shown against.
        schemes: those that a reference to a secret may have.
        root: `--root`, below which the fleet may name files.
        state_elsewhere: whether whoever runs it says where the state is, so that what the files say is not used.
        held: by name, values of variables that a saved plan was made with, as `--var` takes them; `var` wins.
        policies: paths of `--policies`, relative to `cwd`, which the digest of the document leaves out.
        trust: which of the secrets may be opened; what may not is a mistake, unless nobody trusts the document anyway.
    """

    environ: Mapping[str, str]
    var: Sequence[str] = ()
    var_files: Sequence[str] = ()
    cwd: Path | None = None
    schemes: Sequence[str] = ("env", "file")
    root: str | None = None
    state_elsewhere: bool = False
    trust: Trust = TRUSTED
    held: Mapping[str, str] = field(default_factory=dict)
    policies: Sequence[str] = ()


def load(path: str, providers: Mapping[str, Provider], inputs: Inputs) -> Document:
    """
    A fleet's files, loaded and checked; needs no network and no credentials.

    Args:
        path: the fleet's directory or its main file, as the user typed it.
        providers: by name, in the order of the registry; only their declared halves are used.

    Raises:
        InvalidInput: with everything that is wrong, each with its place.
    """
    here = inputs.cwd or working_directory(inputs.environ)
    try:
        directory, main = fleet.locate(path, here)
    except Flaw as flaw:
        raise InvalidInput(Problem(flaw.what, notes=flaw.notes, hint=flaw.hint)) from None
    root = root_of(directory, inputs.root, inputs.environ, here)
    if not directory.is_relative_to(root):  # a link that leads into a repository, say
        directory, main = directory.resolve(), main and main.resolve()
    sources = Sources(directory, root, here, Path(path).is_absolute())
    report = Report(sources.line_of)
    with _collector_at_rest():
        world = Loading(sources, report, Templates(), tuple(inputs.schemes))
        try:
            return _load(path, main, world, providers, inputs)
        except Flaw as flaw:  # one that has no place: too many files
            report.flaw(flaw, None)
            _finish(world, main)
            raise AssertionError("a flaw is always reported") from None
        finally:
            sources.forget()


def _load(path: str, main: Path | None, world: Loading, providers: Mapping[str, Provider], inputs: Inputs) -> Document:
    opened = Opened(inputs.trust)
    sources, report = world.sources, world.report
    kinds = _Kinds(providers)
    files = _given_files(inputs.var_files, "--var-file", world)
    policy_files = _given_files(inputs.policies, "--policies", world)
    parts = fleet.read(main, sources, report, kinds, files)
    if parts is None:
        _finish(world, main)
        raise AssertionError("no main file is always reported")
    settings.main_only(world, parts)
    _note_secret_files(world, parts)
    given = variables.resolve(parts, Outside(inputs.environ, inputs.held, files, inputs.var), sources, report)
    around = Around(world.budget, parts.torn, parts.variables.keys() - given.values.keys())
    names = Names({"var": given.values, "fleet": parts.name}, around)
    provider_settings, places = settings.provider_settings(world, parts, providers, names, opened)
    state = settings.state(world, parts, names, opened, elsewhere=inputs.state_elsewhere)
    limits = settings.limits(world, parts)
    judged = policies(world, parts, policy_files)
    declared = settings.tables(world, parts.tables, names)
    # A variable or table that is wrong is said once, not again in every row that uses it.
    named = {name: table for name, table in declared.items() if table is not None}
    broken = {*parts.variables, *declared} - {*given.values, *named}
    shared = Shared(world, Names({**names, "table": named}, replace(around, broken=broken)), parts.profiles)
    usable = _tables_by_path(world, parts, declared)
    known: dict[str, Known] = {}
    checker = Checker(world, opened)
    for provider in providers:
        for section, family in kinds[provider].items() if provider in parts.used else ():
            nodes = parts.sections.get((provider, section), ())
            known[family.type.path] = _resources(shared, family, nodes, usable)
            checker.run(known[family.type.path])
    document = LoadedDocument(
        fleet=parts.name,
        directory=str(sources.directory),
        path=path,
        settings=provider_settings,
        places=places,
        state=state,
        limits=limits,
        digest=sources.digest(),
        variables=given.digest(),
        given=given.given,
        policies=judged,
        warnings=(),
        opens=opened.names,
        world=world,
        known=known,
        counts=checker.counts,
        origins=given.origins,
    )
    _finish(world, parts.file)
    checker.references(known, lambda kind: [_key(known[kind], handle) for handle in document.roots(kind)])
    document.warnings = report.warnings
    return document


def _note_secret_files(world: Loading, parts: FleetParts) -> None:
    """Before anything else is read: the files that references to secrets name, wherever they are written out."""
    sections = [node for nodes in parts.sections.values() for node in nodes]
    profiles = [said.node for said in parts.profiles.values()]
    for node in [parts.main.members.get("providers"), parts.main.members.get("state"), *sections, *profiles]:
        for rest, at in literal_files(node):
            world.sources.secret(os.path.relpath(world.base(at) / rest, world.sources.directory))


def _finish(world: Loading, main: Path | None) -> None:
    """
    Raises InvalidInput with everything that is wrong, if anything is.

    Where something was read that may not be, only that is said: the other problems may quote it.
    """
    unfit = list(world.sources.unfit(main))
    if not unfit:
        world.report.raise_if_any()
        return
    only = Report()
    rest = "Other problems are not shown until this is fixed: they might quote the file"
    for flaw, where in unfit:
        only.add(flaw.what, where, notes=(rest,), hint=flaw.hint, shown=Showing(line=False))
    only.raise_if_any()


class _Kinds(Mapping[str, Mapping[str, ResourceField]]):
    """The root types of each provider by section; only what a document uses is looked at, and so imported."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = providers
        self._known: dict[str, Mapping[str, ResourceField]] = {}

    def __getitem__(self, name: str) -> Mapping[str, ResourceField]:
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


def _resources(shared: Shared, family: ResourceField, nodes: Iterable[Map], usable: _Usable) -> Known:
    found = []
    for node in nodes:
        found += entries_of(shared, family, node, usable.get(shared.world.base(node.at), usable[None]))
    return Known(family, found)


# By the directory of the file that `for_each` stands in, which a path is relative to: None = any other.
_Usable = Mapping[Path | None, Mapping[str, Table | None]]


def _tables_by_path(world: Loading, parts: FleetParts, declared: Mapping[str, Table | None]) -> _Usable:
    """The declared tables by name, with those that `for_each` names by path where it does."""
    usable: dict[Path | None, MutableMapping[str, Table | None]] = {None: dict(declared)}
    for nodes in parts.sections.values():
        for section in nodes:
            for member in section.members.values():
                said = member.members.get("for_each") if type(member) is Map else None
                if type(said) is not Scalar or said.text in declared:
                    continue
                if "/" not in said.text and not said.text.endswith(ENDINGS):
                    continue
                base = world.base(said.at)
                if base not in usable:
                    usable[base] = ChainMap({}, usable[None])
                found = usable[base]
                if said.text in found:
                    continue
                found[said.text] = None
                where = world.position(said.at)
                try:
                    file = world.sources.find(said.text, base, "the table", said.at)
                except Flaw as flaw:
                    world.report.flaw(flaw, where)
                    continue
                found[said.text] = tables.read(said.text, Spec(said.text), file, world.sources, world.report, where)
    return usable


def _given_files(names: Sequence[str], option: str, world: Loading) -> list[Path]:
    found = []
    for name in names:
        try:
            path = world.sources.given(name)
            if path.is_file():
                found.append(path)
                continue
            wrong, hint = "is not a file", None
        except NotRead as error:
            wrong, hint = error.why if error.kind != "missing" else "is not a file", error.hint
        except (OSError, RuntimeError, ValueError):
            wrong, hint = "is not a file", None
        world.report.add(f"{option} {name[:200]} {wrong}", hint=hint)
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
