"""`tinyctl sparsify`: fewer ReLUs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyctl import api
from tinyctl.cli.base import BoardName, Json, Seed, Task, ToolchainName, as_json, load_policy, progress, results, table
from tinyctl.errors import TinyctlError
from tinyctl.gates import SparsifyReport
from tinyctl.run_record import Call


def command(
    policy: Annotated[Path, typer.Argument(help="A policy, or a model that `train --algo dynamics` made.")],
    plant: Annotated[str, typer.Option(help="Learn in closed loop with this plant.")],
    keep: Annotated[float | None, typer.Option(help="Share of the ReLUs that remains (0.25).")] = None,
    rmse: Annotated[float | None, typer.Option(help="Of a model: as few ReLUs as this error allows.")] = None,
    cycles: Annotated[int | None, typer.Option(help="As many ReLUs as these cycles allow on --board.", min=1)] = None,
    cost: Annotated[
        float, typer.Option(help="With --cycles: the closed-loop cost over the policy's that it may come to.")
    ] = api.DEAREST_SPARSE,
    board: BoardName = api.DEFAULT_BOARD,
    toolchain: ToolchainName = None,
    task: Task = None,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option()] = Path("sparse.tctl"),
    as_object: Json = False,
) -> None:
    """Turn ReLUs into lines or nothing: policy to policy, or model to model. What is left learns to do as before."""
    call = Call.of("sparsify", locals())
    if sum(given is not None for given in (keep, rmse, cycles)) > 1:
        raise TinyctlError("--keep, --rmse and --cycles exclude each other", fix="give one of them")
    loaded = load_policy(policy)
    with progress("Sparsifying", as_object) as update:
        sparse, report = api.sparsify(
            loaded,
            keep=keep,
            most_rmse=rmse,
            cycles=cycles,
            most_cost=cost,
            board=board,
            toolchain=toolchain,
            plant_name=plant,
            task=task,
            seed=seed,
            progress=update,
        )
    api.save(sparse, out)
    call.write(report.to_json(), out)
    if as_object:
        print(as_json(report.to_json()))
        return
    results.print(table("Sparsified", [*summary(report), ("written", str(out))]))


def summary(report: SparsifyReport) -> list[tuple[str, str]]:
    rows = [
        ("ReLUs", f"{report.relus_after:,} of {report.relus_before:,}"),
        ("lines, off", f"{report.lines:,}, {report.off:,}"),
        ("products", f"{report.products_after:,} of {report.products_before:,}"),
    ]
    if report.rmse_after is not None:
        rows.append(("RMSE", f"before {report.rmse_before:.3g}, after {report.rmse_after:.3g}"))
    if report.cost_after is not None:
        rows.append(("closed-loop cost", f"before {report.cost_before:.4g}, after {report.cost_after:.4g}"))
    if report.cycles_after is not None:
        rows.append(("cycles", f"before {report.cycles_before:,}, after {report.cycles_after:,}"))
    return rows
