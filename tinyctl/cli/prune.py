"""`tinyctl prune`: fewer neurons and fewer weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tinyctl import api
from tinyctl.cli.base import (
    Json,
    Seed,
    Task,
    ToolchainName,
    as_json,
    load_policy,
    people,
    progress,
    results,
    storages,
    table,
)
from tinyctl.pruner import PruneReport
from tinyctl.run_record import Call


def command(
    policy: Path,
    keep: Annotated[float, typer.Option(help="Of the products with weights at most this share remains.")] = 1.0,
    neurons: Annotated[float, typer.Option(help="Share of each hidden layer's neurons that remains.")] = 1.0,
    threshold: Annotated[
        Literal["global", "layer"], typer.Option(help="Whether all weights compete, or those of each layer.")
    ] = "global",
    plant: Annotated[str | None, typer.Option(help="Judge and fine-tune in closed loop with this plant.")] = None,
    task: Task = None,
    tune: Annotated[bool, typer.Option(help="Fit what remains to the policy again; needs --plant.")] = True,
    board: Annotated[
        str | None, typer.Option(help="Store layers with zeros as is fastest on this board, or one in a TOML file.")
    ] = None,
    toolchain: ToolchainName = None,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option()] = Path("pruned.tctl"),
    as_object: Json = False,
) -> None:
    """Take away neurons and weights: policy to policy. Dead neurons go in any case."""
    call = Call.of("prune", locals())
    loaded = load_policy(policy)
    with progress("Fine-tuning", as_object) as update:
        pruned, report = api.prune(
            loaded,
            keep=keep,
            neurons=neurons,
            threshold=threshold,
            plant_name=plant,
            task=task,
            board=board,
            toolchain=toolchain,
            tune=tune,
            seed=seed,
            progress=update,
        )
    api.save(pruned, out)
    call.write(report.to_json(), out)
    if plant is None and (keep < 1 or neurons < 1):
        people.print("[yellow]warning:[/] no --plant: judged on standard-normal inputs, and not fine-tuned")
    if as_object:
        print(as_json(report.to_json()))
        return
    if report.storage:
        results.print(storages(report.storage))
    results.print(table("Pruned", [*summary(report), ("policy", str(out))]))


def summary(report: PruneReport) -> list[tuple[str, str]]:
    rows = [
        ("hidden neurons", f"{report.neurons_after:,} of {report.neurons_before:,}"),
        ("products", f"{report.products_after:,} of {report.products_before:,}"),
        ("output error", f"{report.output_rms_error:.2g} RMS"),
    ]
    if report.cost_before is None:
        return [*rows, ("closed-loop cost", "unknown without a plant")]
    costs = [("before", report.cost_before), ("pruned", report.cost_pruned), ("fine-tuned", report.cost_tuned)]
    told = ", ".join(f"{when} {cost:.4g}" for when, cost in costs if cost is not None)
    return [*rows, ("closed-loop cost", told)]
