"""`explain`: where each value of resources comes from, file by file and layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from reconcile.cli.options import document_options, format_option, general_options, request_of
from reconcile.cli.output import emit_json, say
from reconcile.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from reconcile.core.ports import Origin

    Layers = Mapping[str, Sequence[Origin]]


@click.command()
@click.argument("path", metavar="[PATH]", default=".")
@click.argument("selection", metavar="[SEL]", required=False)
@click.argument("attribute", required=False)
@document_options
@format_option("text", "json")
@general_options
def explain(path: str, selection: str | None, attribute: str | None, format_: str, **given: Any) -> int:
    """Show where the values of what SEL names come from: the winning layer is marked."""
    from pathlib import Path

    from reconcile.core.selection import Selectors, names_nothing
    from reconcile.wiring import document

    if not Path(path).exists() and "." in path:
        path, selection, attribute = ".", path, selection
    if selection is None:
        raise InvalidInput(Problem("no address", hint="Like: explain . microvisor.devices.warehouse-7"))
    files, named = document(request_of({**given, "path": path})), Selectors((selection,))
    known = list(files.resources())
    found = [want.address for want in known if named.covers(want.address, want.block)]
    if not found:
        raise names_nothing(selection, "the files", [str(want.address) for want in known])
    layers = {address: files.explain(address) for address in found}
    if attribute is not None:
        layers = {address: {attribute: said[attribute]} for address, said in layers.items() if attribute in said}
        if not layers:
            raise InvalidInput(Problem(f"{selection} says nothing about {attribute}"))
    if format_ == "json":
        rows = [{"address": address, "attributes": _as_json(said)} for address, said in layers.items()]
        emit_json(rows[0] if len(rows) == 1 else rows)
        return 0
    for at, (address, said) in enumerate(layers.items()):
        say([*([""] if at else []), *_as_text(address, said)])
    return 0


def _as_json(layers: Layers) -> dict[str, Any]:
    from reconcile.core.values import to_json

    return {
        name: [{"what": one.what, "where": one.where, "value": to_json(one.value)} for one in said]
        for name, said in layers.items()
    }


def _as_text(address: str, layers: Layers) -> Iterator[str]:
    from reconcile.core.text import printable
    from reconcile.core.values import to_json

    rows = []
    for name, said in layers.items():
        for at, one in enumerate(said):
            mark = "=" if at == len(said) - 1 else " "
            shown = printable(_shown(to_json(one.value)))
            rows.append((mark, printable(name) if at == 0 else "", shown, printable(one.what), printable(one.where)))
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    yield printable(address)
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield f"  {cells[0]} {'  '.join([*cells[1:], row[4]])}".rstrip()


def _shown(value: Any) -> str:
    import json

    if isinstance(value, dict) and "$secret" in value:
        return str(value["$secret"])
    return json.dumps(value, ensure_ascii=False)
