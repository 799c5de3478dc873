"""`tinyctl quantize`: a number format for a policy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from tinyctl import api, quantizer
from tinyctl.cli.base import Json, Task, ToolchainName, as_json, load_policy, people, results, storages, table
from tinyctl.errors import FileError, TinyctlError
from tinyctl.formats import find_format
from tinyctl.layers.base import Array

MAX_CALIBRATION_BYTES = 1 << 30


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
    board: Annotated[
        str | None, typer.Option(help="Store layers with zeros as is fastest on this board, or one in a TOML file.")
    ] = None,
    toolchain: ToolchainName = None,
    out: Annotated[Path, typer.Option()] = Path("graph.tctl"),
    as_object: Json = False,
) -> None:
    """Choose a number format: policy to graph."""
    loaded = load_policy(policy)
    if calibration is not None and range_ is not None:
        raise TinyctlError("--calibration and --range exclude each other", fix="give one of them")
    data: Array | None = None
    if calibration is not None:
        data = quantizer.as_sequences(_load_npy(calibration), loaded.contract, calibration)
    elif range_ is not None:
        if not (range_[0] < range_[1] and math.isfinite(range_[1] - range_[0])):
            raise TinyctlError(f"--range {range_[0]} {range_[1]} is not finite and increasing")
        data = quantizer.random_sequences(loaded.contract, *range_)
    graph, report = api.quantize(
        loaded, format_name, calibration=data, plant_name=plant, task=task, board=board, toolchain=toolchain
    )
    api.save(graph, out)
    if data is None and plant is None and find_format(format_name).integer:
        people.print("[yellow]warning:[/] no --plant, --calibration or --range: calibrated on standard-normal inputs")
    if as_object:
        print(as_json(report.to_json()))
    else:
        if report.storage:
            results.print(storages(report.storage))
        results.print(table(f"Quantized to {format_name}", [*summary(report), ("graph", str(out))]))


def summary(report: quantizer.QuantizeReport) -> list[tuple[str, str]]:
    ratio = report.closed_loop_cost_ratio
    return [
        ("weights", f"{report.weight_bytes:,} bytes"),
        ("output error", f"{report.output_rms_error:.2g} RMS, {report.output_max_error:.2g} largest"),
        ("closed-loop cost", "unknown without a plant" if ratio is None else f"{ratio:.4f} of the policy's"),
    ]


def _load_npy(path: Path) -> Array:
    try:
        if path.stat().st_size > MAX_CALIBRATION_BYTES:
            raise FileError(f"larger than {MAX_CALIBRATION_BYTES >> 20} MiB", where=path)
        # Mapped, so that a header that promises more than the file holds takes no memory.
        return np.lib.format.open_memmap(path, mode="r")
    except FileError:
        raise
    except Exception as error:  # NumPy parses the header with ast.literal_eval, which raises many kinds
        raise FileError(f"not a .npy array ({error})", where=path) from None
