"""`tinyctl calibrate`: the cycle model against a real board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tinyctl import api
from tinyctl.boards import load_board
from tinyctl.builder import build_calibration
from tinyctl.calibrate import CalibrationReport, calibrate
from tinyctl.cli.base import (
    BoardName,
    Json,
    Port,
    ToolchainName,
    TransportName,
    as_json,
    people,
    progress,
    results,
    write_json,
)
from tinyctl.hil import VIRTUAL, Line


def command(
    board: BoardName = api.DEFAULT_BOARD,
    port: Port = VIRTUAL,
    transport: TransportName = "semihosting",
    toolchain: ToolchainName = None,
    build: Annotated[
        Path | None,
        typer.Option(help="Only build the firmware to flash first, which serves the port, into this ELF file."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    as_object: Json = False,
) -> None:
    """Run micro-benchmarks on a board: predicted cycles beside counted ones; exit status 1 when they differ."""
    target = load_board(board)
    if build is not None:
        build_calibration(target, "usart", toolchain, out=build)
        people.print(f"Flash {build}, then give --port", highlight=False)
        return
    with progress("Counting", as_object) as update:
        report = calibrate(target, Line(port, transport), toolchain, update)
    if out is not None:
        write_json(out, report.to_json())
    if as_object:
        print(as_json(report.to_json()))
    else:
        results.print(rows(report))
    raise typer.Exit(0 if report.good else 1)


def rows(report: CalibrationReport) -> Table:
    """What rests on documents only stands first."""
    note = "" if report.unit == "cycles" else f" The {report.unit} are no cycles: nothing is compared."
    made = Table(title=f"{report.board}, {report.core}, counted by {report.counter}.{note}", title_justify="left")
    for heading in ("evidence", "rule"):
        made.add_column(heading)
    for heading in ("predicted cycles", f"counted {report.unit}", ""):
        made.add_column(heading, justify="right")
    for row in report.rows:
        verdict = {True: "", False: "differs", None: ""}[row.agrees]
        made.add_row(row.evidence, escape(row.rule), f"{row.predicted_cycles:g}", f"{row.counted:g}", verdict)
    return made
