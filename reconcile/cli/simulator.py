"""`simulator`: serves the embedded APIs on loopback. The only command that reaches `reconcile.simulator`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconcile.cli.options import document_options, general_options, request_of
from reconcile.cli.output import complain, flush, say
from reconcile.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from reconcile.core.resource import Desired


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 picks a free one.")
@click.option("--world", metavar="FILE", help="Begin with the world in this file.")
@click.option("--for", "fleet", metavar="PATH", help="Fill the world with the units that this fleet names.")
@click.option("--database", metavar="FILE", help="Keep the world in this file.")
@click.option("--seed", type=int, default=0, help="Of everything that is made up.")
@click.option("--host", default="127.0.0.1", help="A loopback address.")
@document_options
@general_options
def simulator(
    port: int, world: str | None, fleet: str | None, database: str | None, seed: int, host: str, **given: Any
) -> int:
    """Serve the embedded APIs on this machine; RECONCILE_SIMULATOR=URL sends every provider there."""
    from reconcile.simulator import serve, world_for

    if world and fleet:
        raise InvalidInput(Problem("--world and --for exclude each other"))
    begin = _world(Path(world)) if world else world_for(units_of({**given, "path": fleet})) if fleet else None

    def announce(line: str) -> None:
        say([line])
        flush()

    try:
        serve(
            port=port,
            world=begin,
            database=database,
            seed=seed,
            host=host,
            announce=announce,
            complain=lambda line: complain([line]),
        )
    except ValueError as wrong:
        raise InvalidInput(Problem(str(wrong))) from None
    return 0


def _world(file: Path) -> dict[str, Any]:
    import json

    try:
        found = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise InvalidInput(Problem(f"{file}: {error.strerror}")) from None
    except ValueError as error:
        raise InvalidInput(Problem(f"{file} is not JSON: {error}")) from None
    if not isinstance(found, dict):
        raise InvalidInput(Problem(f"{file} holds no world", hint="It is what GET /_sim/state answers"))
    return found


def units_of(given: dict[str, Any]) -> dict[str, Any]:
    """The units that a fleet's files name, as `world_for` takes them."""
    from reconcile.wiring import document

    request = request_of(given)
    files = document(request)

    def wanted(path: str) -> Iterator[Desired]:
        return (files.at(handle) for handle in files.roots(path))

    providers = request.parts.providers()
    return {
        name: dict(units)
        for name in files.providers()
        if (units := providers[name].simulated_units(wanted, files.settings.get(name) or providers[name].Settings()))
    }
