"""`tinyctl hil`: a board, real or virtual, steps the controller."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyctl import api
from tinyctl.cli.base import (
    BoardName,
    Json,
    Port,
    Seed,
    Task,
    ToolchainName,
    TransportName,
    as_json,
    load_graph,
    progress,
    results,
    table,
    write_json,
)
from tinyctl.hil import VIRTUAL, HilReport, Line
from tinyctl.run_record import Call

RANDOM = "random"


def command(
    source: Annotated[Path, typer.Argument(help="A policy or graph (.tctl).")],
    board: BoardName = api.DEFAULT_BOARD,
    port: Port = VIRTUAL,
    transport: TransportName = "semihosting",
    toolchain: ToolchainName = None,
    frames: Annotated[int, typer.Option(min=1, max=10_000_000, help="Steps, rounded up to whole flights.")] = 1000,
    plant: Annotated[
        str | None,
        typer.Option(
            help="What closes the loop: a plant's name or file, or `random` for random observations. "
            "By default the plant whose task has this contract."
        ),
    ] = None,
    task: Task = None,
    record: Annotated[Path | None, typer.Option(help="Keep every step in a .mcap or .csv file.")] = None,
    replay: Annotated[Path | None, typer.Option(help="Feed the observations of such a file.")] = None,
    corrupt: Annotated[float, typer.Option(min=0, max=0.5, help="Share of the frames to damage on the way.")] = 0.0,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    as_object: Json = False,
) -> None:
    """Close the loop with a board; exit status 1 when a step differs from Graph.run or a deadline is missed."""
    call = Call.of("hil", locals())
    graph = load_graph(source)
    if plant is None and replay is None:
        plant, task = api.plant_of(graph.contract) or (None, None)
    with progress(f"Stepping on {board}", as_object) as update:
        report = api.hil(
            graph,
            board,
            Line(port, transport, corrupt, seed),
            frames=frames,
            plant_name=None if plant == RANDOM else plant,
            task=task,
            replay=replay,
            record=record,
            seed=seed,
            toolchain=toolchain,
            progress=update,
        )
    if out is not None:
        write_json(out, report.to_json())
    call.write(report.to_json(), out, record)
    if as_object:
        print(as_json(report.to_json()))
    else:
        results.print(
            table(f"{report.board} over {report.transport}: {'pass' if report.good else 'fail'}", summary(report))
        )
    raise typer.Exit(0 if report.good else 1)


def summary(report: HilReport) -> list[tuple[str, str]]:
    yes = {True: "yes", False: "no"}
    rows = [
        ("frames", f"{report.frames:,} in {report.episodes:,} runs, {report.lost} lost"),
        ("observations", report.observations),
        ("damaged", f"{report.rejected:,} frames rejected, {report.resent:,} sent again"),
        ("round trips", f"{report.round_trips_per_s:,.0f} a second"),
        ("actions equal Graph.run", yes[report.identical_actions]),
        ("status words too", yes[report.identical_status]),
    ]
    if report.as_recorded is not None:
        rows.append(("actions as recorded", yes[report.as_recorded]))
    for unit, counts in (("instructions", report.instructions), ("cycles", report.cycles)):
        if counts is not None:
            rows.append((f"{unit} a step", f"{counts.least:,} to {counts.most:,}, median {counts.median:,}"))
    if report.missed_deadlines is not None:
        rows.append(("missed deadlines", f"{report.missed_deadlines:,}"))
    return [*rows, ("clock", f"{report.clock_hz / 1e6:g} MHz, from {report.clock}; counted by {report.counter}")]
