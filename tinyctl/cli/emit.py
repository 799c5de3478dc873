"""`tinyctl emit`: C from a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyctl import api, layouts
from tinyctl.cli.base import Json, as_json, load_graph, results, table
from tinyctl.specifications.flights import load_specifications, specification


def command(
    graph: Path,
    out: Annotated[Path, typer.Option(help="Folder for the C files.")],
    name: Annotated[str, typer.Option(help="Prefix of files and symbols.")] = "policy",
    layout: Annotated[str, typer.Option(help=f"Packaging: {', '.join(layouts.layout_names())}.")] = layouts.PLAIN,
    section: Annotated[
        str | None, typer.Option(help="Section for the constants, e.g. .ccmdata: your linker script places it.")
    ] = None,
    monitor: Annotated[
        list[str] | None, typer.Option(help='Watch this on board, such as "always[0, 0.5] norm(p) < 0.5".')
    ] = None,
    monitors: Annotated[Path | None, typer.Option(help="TOML file of specifications to watch.")] = None,
    as_object: Json = False,
) -> None:
    """Write the C of a graph."""
    monitored = [*map(specification, monitor or []), *(load_specifications(monitors) if monitors else ())]
    unit = api.emit(load_graph(graph), out, name, layout, section, monitored)
    if as_object:
        print(as_json(unit.to_json()))
        return
    results.print(
        table(
            f"Emitted {name}",
            [
                ("files", ", ".join(unit.files)),
                ("folder", str(out)),
                ("constants", f"{unit.const_bytes:,} bytes"),
                ("struct", f"{unit.struct_bytes:,} bytes of RAM, {unit.state_bytes} of them state"),
                ("graph", unit.graph_hash),
                *((f"monitor bit {bit}", formula) for bit, formula in enumerate(unit.monitored)),
            ],
        )
    )
