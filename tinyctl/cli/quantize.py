"""`tinyctl quantize`: a number format for a policy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from tinyctl import api, quantizer
from tinyctl.cli.base import Json, Task, as_json, load_npy, load_policy, people, results, table
from tinyctl.errors import TinyctlError
from tinyctl.formats import find_format
from tinyctl.layers.base import Array


def command(
    policy: Path,
    format_name: Annotated[str, typer.Option("--format", help="f32 or w16a16.")] = "w16a16",
    plant: Annotated[str | None, typer.Option(help="Calibrate in closed loop with this plant.")] = None,
    task: Task = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Calibrate on a .npy file: (steps, n_obs) observations in their order, or (steps, sequences, n_obs)."
        ),
    ] = None,
    range_: Annotated[
        tuple[float, float] | None, typer.Option("--range", help="Calibrate on uniform observations.")
    ] = None,
    throughout: Annotated[
        bool, typer.Option("--throughout", help="Every layer in the format: no float arithmetic is left, for step_q.")
    ] = False,
    out: Annotated[Path, typer.Option()] = Path("graph.tctl"),
    as_object: Json = False,
) -> None:
    """Choose a number format: policy to graph."""
    loaded = load_policy(policy)
    if calibration is not None and range_ is not None:
        raise TinyctlError("--calibration and --range exclude each other", fix="give one of them")
    data: Array | None = None
    if calibration is not None:
        data = quantizer.as_sequences(load_npy(calibration), loaded.contract, calibration)
    elif range_ is not None:
        if not (range_[0] < range_[1] and math.isfinite(range_[1] - range_[0])):
            raise TinyctlError(f"--range {range_[0]} {range_[1]} is not finite and increasing")
        data = quantizer.random_sequences(loaded.contract, *range_)
    formats = quantizer.everywhere(loaded, format_name) if throughout else format_name
    graph, report = api.quantize(loaded, formats, calibration=data, plant_name=plant, task=task)
    api.save(graph, out)
    if data is None and plant is None and find_format(format_name).integer:
        people.print("[yellow]warning:[/] no --plant, --calibration or --range: calibrated on standard-normal inputs")
    if as_object:
        print(as_json(report.to_json()))
    else:
        results.print(table(f"Quantized to {format_name}", [*summary(report), ("graph", str(out))]))


def summary(report: quantizer.QuantizeReport) -> list[tuple[str, str]]:
    ratio = report.closed_loop_cost_ratio
    return [
        ("weights", f"{report.weight_bytes:,} bytes"),
        ("output error", f"{report.output_rms_error:.2g} RMS, {report.output_max_error:.2g} largest"),
        ("closed-loop cost", "unknown without a plant" if ratio is None else f"{ratio:.4f} of the policy's"),
    ]
