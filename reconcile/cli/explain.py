"""`explain`: where each value of a resource comes from, file by file and layer by layer."""

from __future__ import annotations

from typing import Any

import click

from reconcile.cli.options import document_options, format_option, general_options, request_of
from reconcile.cli.output import emit_json, say
from reconcile.errors import InvalidInput, Problem


@click.command()
@click.argument("path", metavar="[PATH]", default=".")
@click.argument("address", required=False)
@click.argument("attribute", required=False)
@document_options
@format_option("text", "json")
@general_options
def explain(path: str, address: str | None, attribute: str | None, format_: str, **given: Any) -> int:
    """Show where the values of the resource at ADDRESS come from: the winning layer is marked."""
    from pathlib import Path

    from reconcile.core.address import Address
    from reconcile.core.text import printable
    from reconcile.core.values import to_json
    from reconcile.wiring import document

    if not Path(path).exists() and "." in path:
        path, address, attribute = ".", path, address
    if address is None:
        raise InvalidInput(Problem("no address", hint="Like: explain . microvisor.devices.warehouse-7"))
    files = document(request_of({**given, "path": path}))
    found = Address.parse(address)
    if files.get(found) is None:
        raise InvalidInput(Problem(f"the files have no {address}", hint=_near(files, found)))
    layers = files.explain(found)
    if attribute is not None:
        layers = {name: said for name, said in layers.items() if name == attribute}
        if not layers:
            raise InvalidInput(Problem(f"{address} says nothing about {attribute}"))
    if format_ == "json":
        emit_json(
            {
                "address": address,
                "attributes": {
                    name: [{"what": one.what, "where": one.where, "value": to_json(one.value)} for one in said]
                    for name, said in layers.items()
                },
            }
        )
        return 0
    rows = []
    for name, said in layers.items():
        for at, one in enumerate(said):
            mark = "=" if at == len(said) - 1 else " "
            shown = printable(_shown(to_json(one.value)))
            rows.append((mark, printable(name) if at == 0 else "", shown, printable(one.what), printable(one.where)))
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    say([printable(found)])
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        say([f"  {cells[0]} {'  '.join([*cells[1:], row[4]])}".rstrip()])
    return 0


def _shown(value: Any) -> str:
    import json

    if isinstance(value, dict) and "$secret" in value:
        return str(value["$secret"])
    return json.dumps(value, ensure_ascii=False)


def _near(files: Any, address: Any) -> str | None:
    import difflib

    keys = [files.at(handle).address for handle in files.roots(".".join(address.split(".")[:2]))]
    near = difflib.get_close_matches(str(address), [str(key) for key in keys], n=1)
    return f"Did you mean {near[0]}?" if near else None
