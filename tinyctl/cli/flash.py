"""`tinyctl flash`: check, write, read back, start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyctl import api
from tinyctl.cli.base import BoardName, Json, as_json, load_graph, people, results, table


def command(
    image: Annotated[
        Path, typer.Argument(help="The ELF file: tinyctl's own image, or a firmware around an emitted unit.")
    ],
    board: BoardName = api.DEFAULT_BOARD,
    flasher: Annotated[
        str | None, typer.Option("--with", help="Another way than the board's own, such as uf2 or platformio.")
    ] = None,
    port: Annotated[
        str | None,
        typer.Option(help="Serial number, serial port, radio address or drive, where there are several."),
    ] = None,
    graph: Annotated[Path | None, typer.Option(help="Refuse an image of any other graph than this.")] = None,
    checked: Annotated[
        Path | None, typer.Option(help="A report of `check --out` for this very file; else it is checked now.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print every step, touch nothing.")
    ] = False,
    as_object: Json = False,
) -> None:
    """Write a program into a board, verify it, and say what runs there now."""
    with people.status("checking") as status:
        report = api.flash(
            image,
            board,
            graph=load_graph(graph) if graph is not None else None,
            flasher=flasher,
            port=port,
            checked=checked,
            dry_run=dry_run,
            progress=status.update,
        )
    if as_object:
        print(as_json(report.to_json()))
        return
    done = "would be flashed" if dry_run else "runs" if report.verified else "was written, but cannot be read back"
    rows = [
        ("graph", report.graph_hash),
        ("contract", report.contract_hash),
        ("image", f"{report.bytes:,} bytes from {report.address:#010x}, SHA-256 {report.image_sha256}"),
        ("predicted", f"{report.time_us_worst:.1f} us worst"),
        *([("battery", f"{report.battery_v:.2f} V")] if report.battery_v is not None else []),
        *(("step", step) for step in report.steps),
    ]
    results.print(table(f"{report.board}: this {done}", rows))
