"""What stands only in the main file: the settings of providers, where the state lives, the limits; and table specs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from reconcile.config.check.models import model_flaws
from reconcile.config.check.opened import Opened
from reconcile.config.compile.build import Shape
from reconcile.config.compile.layers import ABSENT, Layer, Scope
from reconcile.config.compile.references import looks_like_reference, secret_reference
from reconcile.config.compile.sections import settings_fields
from reconcile.config.expressions.coerce import number_of, shown
from reconcile.config.expressions.operations import Names
from reconcile.config.merge.fleet import FleetParts, Said
from reconcile.config.read.tables import Spec, Table, read
from reconcile.config.report import Showing, suggestion
from reconcile.config.world import Loading
from reconcile.core.ports import KEEP, Limit, StateSettings
from reconcile.core.resource_type import Provider
from reconcile.core.schema import Field, Kind
from reconcile.core.text import length_of
from reconcile.core.trust import credentials
from reconcile.core.values import SecretRef
from reconcile.errors import Flaw, Position
from reconcile.files import NotRead
from reconcile.yaml import Map, Node, Scalar

LIMITS = ("delete", "forget", "replace", "change", "unread", "absent", "failures")
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]+)?) ?%")
_STATE = Field(
    "state",
    Kind.OBJECT,
    fields={
        "path": Field("path", Kind.TEXT),
        "url": Field("url", Kind.TEXT),
        "username": Field("username", Kind.TEXT),
        "password": Field("password", Kind.SECRET),
        "history": Field("history", Kind.TEXT),
    },
)
_TABLE = Field(
    "table",
    Kind.OBJECT,
    fields={
        "file": Field("file", Kind.TEXT),
        "key": Field("key", Kind.TEXT),
        "columns": Field("columns", Kind.MAP, member=Field("*", Kind.TEXT)),
        "delimiter": Field("delimiter", Kind.TEXT),
        "encoding": Field("encoding", Kind.TEXT),
        "header_row": Field("header_row", Kind.INTEGER),
        "min_rows": Field("min_rows", Kind.INTEGER),
    },
)


def provider_settings(
    world: Loading, parts: FleetParts, providers: Mapping[str, Provider], names: Names, opened: Opened
) -> tuple[dict[str, BaseModel], dict[str, Position]]:
    """
    The settings of each provider that the document uses or configures, in the order of the registry; and where each
    that is written stands, as `providers.microvisor.base_url`.
    """
    written: Mapping[str, Node] = {}
    node = parts.main.get("providers")
    if type(node) is Map:
        written = node.members
        for name in written:
            if name not in providers:
                world.report.add(
                    f"there is no provider {shown(name)}",
                    world.position(node.key_at(name)),
                    notes=[f"Providers: {', '.join(providers)}"],
                    hint=suggestion(name, providers),
                    shown=Showing(line=False),
                )
    elif node is not None:
        world.report.add(
            "providers is a map",
            world.position(node.at),
            shown=Showing(line=False),
        )
    found: dict[str, BaseModel] = {}
    places: dict[str, Position] = {}
    for name in providers:
        if name in written or name in parts.used:
            settings = _settings(world, providers[name], written.get(name), names, places, opened)
            if settings is not None:
                found[name] = settings
    return found, places


def _settings(
    world: Loading,
    provider: Provider,
    node: Node | None,
    names: Names,
    places: dict[str, Position],
    opened: Opened,
) -> BaseModel | None:
    address = f"providers.{provider.name}"
    layers = [Layer(node)] if node is not None else []
    value, shape = evaluate(world, settings_fields(provider), layers, address, names)
    if value is None:
        return None
    try:
        model = provider.Settings.model_validate(value)
    except ValidationError as error:
        for path, flaw in model_flaws(error, value, provider.Settings):
            at = shape.places.get(path, node.at if node is not None else 0)
            world.report.flaw(flaw, world.position(at), address=address, show_line=False)
        return None
    places |= {".".join((address, *path)): world.position(at) for path, at in shape.places.items()}
    for name, reference, own in credentials(model):
        at = shape.places.get((name,), node.at if node is not None else 0)
        try:  # one in a setting that takes plain text too was not looked at yet
            secret_reference(str(reference), world.schemes, world.sources.directory, world.sources.directory)
            if (wrong := opened.note(reference, at, own)) is not None:
                raise wrong
        except Flaw as flaw:
            world.report.flaw(flaw, world.position(at), address=f"{address}.{name}", show_line=False)
    return model


def evaluate(
    world: Loading, field: Field, layers: list[Layer], address: str, names: Names
) -> tuple[dict[str, Any] | None, Shape]:
    """A map of the main file, its templates evaluated; None when something is wrong, which is reported."""
    shape = Shape(world, field, layers, address, plain_texts=True)
    scope = Scope(names)
    value = shape.build(scope)
    for at, path, flaw, show_line in scope.flaws:
        named = f"{address}.{'.'.join(path)}"
        world.report.flaw(flaw, world.position(at), address=named, show_line=show_line)
    if shape.broken or scope.flaws:
        return None, shape
    return ({} if value is ABSENT else value), shape


def state(world: Loading, parts: FleetParts, names: Names, opened: Opened, elsewhere: bool) -> StateSettings:
    """
    Where the state is. Whatever is wrong with it is reported.

    Args:
        elsewhere: whether whoever runs it names another place, so that this one is not used.
    """
    node = parts.main.get("state")
    value: dict[str, Any] | None = {}
    places: Mapping[tuple[str, ...], int] = {}
    if node is not None:
        value, shape = evaluate(world, _STATE, [Layer(node)], "state", names)
        places = shape.places
    written = value or {}
    path = _state_path(world, parts, node, written.get("path"), elsewhere or "url" in written)
    said: dict[str, Any] = {}
    for name in ("url", "username", "password"):
        if name not in written:
            continue
        at = places.get((name,), node.at if node is not None else 0)
        try:
            said[name] = _state_credential(world, name, written[name], at, opened)
        except Flaw as flaw:
            world.report.flaw(flaw, world.position(at), address=f"state.{name}", show_line=False)
    if "url" in written and "path" in written:
        world.report.add("state has a path and a url", world.position(node.at if node else 0), hint="Keep one of them")
    elif said and "url" not in written:
        world.report.add(f"state.{next(iter(said))} is of a state.url", world.position(node.at if node else 0))
    where = world.position(places[("url",)]) if "url" in said else None
    keep = KEEP
    if "history" in written:
        try:
            keep = length_of(str(written["history"]))
        except ValueError:
            at = places.get(("history",), node.at if node is not None else 0)
            what = f"state.history {shown(str(written['history']))} is not a length of time"
            world.report.add(what, world.position(at), hint="Write it like 90d, or 12h")
    return StateSettings(path, where=where, keep=keep, **said)


def _state_credential(world: Loading, name: str, value: Any, at: int, opened: Opened) -> str | SecretRef:
    """A setting of a state that is somewhere else. Raises Flaw, which never holds what is written."""
    if isinstance(value, str) and looks_like_reference(value, world.schemes):
        value = secret_reference(value, world.schemes, world.base(at), world.sources.directory)
        if value.scheme == "file":
            world.sources.secret(value.rest)
    if isinstance(value, SecretRef):
        if (wrong := opened.note(value, at, setting=f"state.{name}")) is not None:
            raise wrong
        return value
    text = str(value)
    if name == "url":
        world.report.hide(world.position(at))
        scheme, mark, rest = text.partition("://")
        if not mark or not scheme.isalnum():
            hint = "Like postgresql://state.example.com/fleets, or env:NAME; a file is state.path"
            raise Flaw("state.url is not a URL", hint=hint)
        if ":" in rest.rpartition("@")[0]:
            hint = "Take it out, and rotate it if it was committed; `password: env:NAME` says where it is"
            raise Flaw("state.url holds a password", hint=hint)
    return text


def _state_path(world: Loading, parts: FleetParts, node: Node | None, written: str | None, elsewhere: bool) -> str:
    """Where the state's file is, all links on the way followed; a relative path below the root, else it is reported."""
    directory = world.sources.directory
    if written is not None and (not written or "\0" in written or written.endswith("/")):
        world.report.add("state.path is not the path of a file", world.position(node.at if node else 0))
        written = None
    place = written or f"state/{parts.name}.db"
    try:
        if place.startswith("/"):
            raise NotRead("absolute", "is absolute", "A path is relative to the file it stands in")
        return str(world.sources.root.making(place, directory))
    except NotRead as wrong:
        if not elsewhere:
            world.report.add(
                f"the state {shown(place)} {wrong.why}",
                world.position(node.at if node else parts.main.key_at("fleet")),
                address="state.path",
                hint=f"A state outside of it is given on the command line: --state PATH. {wrong.hint or ''}".strip(),
            )
        return os.path.normpath(directory / place)


def limits(world: Loading, parts: FleetParts) -> dict[str, Limit]:
    """The limits that are written, by kind."""
    found: dict[str, Limit] = {}
    node = parts.main.get("limits")
    if node is None:
        return found
    if type(node) is not Map:
        world.report.add("limits is a map from kinds to numbers or shares", world.position(node.at))
        return found
    for kind, member in node.members.items():
        try:
            if kind not in LIMITS:
                raise Flaw(
                    f"{shown(kind)} is not a kind of limit",
                    notes=[f"There is: {', '.join(LIMITS)}"],
                    hint=suggestion(kind, LIMITS),
                )
            if type(member) is Scalar and member.null:
                continue
            found[kind] = _limit(member)
        except Flaw as flaw:
            world.report.flaw(
                flaw, world.position(member.at if kind in LIMITS else node.key_at(kind)), address="limits"
            )
    return found


def _limit(node: Node) -> Limit:
    text = node.text if type(node) is Scalar else ""
    if share := _SHARE.fullmatch(text):
        number = float(share[1])
        if number <= 100:
            return Limit(share=number / 100)
    elif type(found := number_of(text)) is int and found >= 0:
        return Limit(number=found)
    raise Flaw(
        f"{shown(text) if text else 'a list or a map'} is not a limit", hint="Write a number, or a share such as 5%"
    )


def tables(world: Loading, declared: Mapping[str, Said], names: Names) -> dict[str, Table | None]:
    """All declared tables, read; None for one that cannot be used, which is reported."""
    found: dict[str, Table | None] = {}
    for name, said in declared.items():
        found[name] = None
        where = world.position(said.at)
        value, shape = evaluate(world, _TABLE, [Layer(said.node)], f"tables.{name}", names)
        if value is None:
            continue
        try:
            if "file" not in value:
                raise Flaw(f"table {name} has no file", hint=f"Write  {name}: {{file: path.csv, key: …}}")
            spec = Spec(**value)
            if len(spec.delimiter) != 1 or spec.delimiter in '"\r\n':
                raise Flaw("a delimiter is one character")
            if spec.min_rows < 0:
                raise Flaw("min_rows is not negative")
            if spec.header_row < 1:
                raise Flaw("header_row counts from 1")
            if spec.header_row != 1 and not spec.file.endswith(".csv"):
                raise Flaw("only a CSV file has a header_row", hint="Leave it out")
            at = shape.places[("file",)]
            path = world.sources.find(spec.file, world.base(at), "the table", at)
        except Flaw as flaw:
            world.report.flaw(flaw, world.position(shape.places.get(("file",), said.at)), address=f"tables.{name}")
            continue
        found[name] = read(name, spec, path, world.sources, world.report, where)
    return found


def main_only(world: Loading, parts: FleetParts) -> None:
    """Reports what the main file may not say yet."""
    if parts.main.get("rollouts") is not None:
        world.report.add(
            "rollouts are not supported yet",
            world.position(parts.main.key_at("rollouts")),
            hint="Leave them out",
            shown=Showing(line=False),
        )
