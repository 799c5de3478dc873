"""`tinyctl quantize`: a number format for a policy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tinyctl import api, closed_loop, quantizer
from tinyctl.boards import load_board
from tinyctl.cli.base import (
    Json,
    Task,
    ToolchainName,
    as_json,
    load_npy,
    load_policy,
    people,
    progress,
    results,
    storages,
    table,
)
from tinyctl.errors import TinyctlError
from tinyctl.layers.base import Array
from tinyctl.run_record import Call

if TYPE_CHECKING:
    from tinyctl.mixer import Mix


def command(
    policy: Path,
    format_name: Annotated[
        str, typer.Option("--format", help="f32, w16a16, w8a16, w8a8, or auto: the fastest mix for --board.")
    ] = "w16a16",
    plant: Annotated[str | None, typer.Option(help="Calibrate in closed loop with this plant.")] = None,
    task: Task = None,
    env: Annotated[str | None, typer.Option(help="Calibrate in closed loop with this Gymnasium environment.")] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Calibrate on a .npy file: (steps, n_obs) observations in their order, or (steps, sequences, n_obs)."
        ),
    ] = None,
    range_: Annotated[
        tuple[float, float] | None, typer.Option("--range", help="Calibrate on uniform observations.")
    ] = None,
    board: Annotated[
        str | None, typer.Option(help="Store layers with zeros as is fastest on this board, or one in a TOML file.")
    ] = None,
    toolchain: ToolchainName = None,
    budget: Annotated[
        float | None,
        typer.Option(
            help="What auto may cost: closed-loop cost over the policy's with --plant (1.02), else RMS output error as "
            "a share of the outputs' range (0.002)."
        ),
    ] = None,
    throughout: Annotated[
        bool | None,
        typer.Option(
            help="Every layer in the format, so that no float arithmetic is left, for step_q; by default where --board "
            "has no FPU."
        ),
    ] = None,
    tune: Annotated[
        bool | None,
        typer.Option(
            "--tune/--no-tune",
            help="Fit the weights to the format in flights of --plant; by default where the closed-loop cost is above "
            "1.02 of the policy's.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option()] = Path("graph.tctl"),
    as_object: Json = False,
) -> None:
    """Choose a number format: policy to graph."""
    call = Call.of("quantize", locals())
    loaded = load_policy(policy)
    if sum(given is not None for given in (calibration, range_, env)) > 1:
        raise TinyctlError("--calibration, --range and --env exclude each other", fix="give one of them")
    data: Array | None = None
    if calibration is not None:
        data = quantizer.as_sequences(load_npy(calibration), loaded.contract, calibration)
    elif env is not None:
        data = closed_loop.environment_observations(loaded, api.environment(env, loaded.contract.rate_hz))
    elif range_ is not None:
        if not (range_[0] < range_[1] and math.isfinite(range_[1] - range_[0])):
            raise TinyctlError(f"--range {range_[0]} {range_[1]} is not finite and increasing")
        data = quantizer.random_sequences(loaded.contract, *range_)
    if throughout is None:
        throughout = board is not None and load_board(board).fpu == "none" and format_name not in ("f32", "auto")
    formats = quantizer.everywhere(loaded, format_name) if throughout else format_name
    if budget is not None and format_name != "auto":
        raise TinyctlError("--budget is for --format auto")
    with progress("Timing formats" if format_name == "auto" else "Quantizing", as_object) as update:
        graph, report = api.quantize(
            loaded,
            formats,
            calibration=data,
            plant_name=plant,
            task=task,
            board=board,
            toolchain=toolchain,
            budget=budget,
            tune=tune,
            progress=update,
        )
    api.save(graph, out)
    call.write(report.to_json(), out)
    if data is None and plant is None and graph.formats != ("f32",):
        people.print("[yellow]warning:[/] no --plant, --calibration or --range: calibrated on standard-normal inputs")
    if as_object:
        print(as_json(report.to_json()))
        return
    if report.mixes:
        results.print(mixes(report.mixes))
    if report.storage:
        results.print(storages(report.storage))
    results.print(table(f"Quantized to {report.format}", [*summary(report), ("graph", str(out))]))


def mixes(tried: tuple[Mix, ...]) -> Table:
    """What was tried, fastest first: a column for the format of each dense layer."""
    made = Table(title="Formats", title_justify="left")
    for node in tried[0].formats:
        made.add_column(escape(node))
    for heading in ("cycles", "RMS error", "cost"):
        made.add_column(heading, justify="right")
    made.add_column("")
    for mix in tried:
        made.add_row(
            *mix.formats.values(),
            "" if mix.cycles is None else f"{mix.cycles:,}",
            "" if mix.output_error is None else f"{mix.output_error:.2%}",
            "" if mix.cost_ratio is None else f"{mix.cost_ratio:.4f}",
            escape(mix.verdict),
        )
    return made


def summary(report: quantizer.QuantizeReport) -> list[tuple[str, str]]:
    ratio, untuned = report.closed_loop_cost_ratio, report.closed_loop_cost_ratio_untuned
    before = "" if untuned is None else f", {untuned:.4f} before fine-tuning"
    return [
        ("weights", f"{report.weight_bytes:,} bytes"),
        ("output error", f"{report.output_rms_error:.2g} RMS, {report.output_max_error:.2g} largest"),
        ("closed-loop cost", "unknown without a plant" if ratio is None else f"{ratio:.4f} of the policy's{before}"),
    ]
