"""`tinyctl sparsify`: fewer ReLUs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyctl import api
from tinyctl.cli.base import Json, Seed, Task, as_json, load_policy, progress, results, table


def command(
    policy: Path,
    plant: Annotated[str, typer.Option(help="Learn in closed loop with this plant.")],
    keep: Annotated[float, typer.Option(help="Share of the ReLUs that remains.")] = 0.25,
    task: Task = None,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option()] = Path("sparse.tctl"),
    as_object: Json = False,
) -> None:
    """Turn ReLUs into lines or nothing: policy to policy. What is left learns to do as the policy did."""
    loaded = load_policy(policy)
    with progress("Sparsifying", as_object) as update:
        sparse, report = api.sparsify(loaded, keep=keep, plant_name=plant, task=task, seed=seed, progress=update)
    api.save(sparse, out)
    if as_object:
        print(as_json(report.to_json()))
        return
    rows = [
        ("ReLUs", f"{report.relus_after:,} of {report.relus_before:,}"),
        ("lines, off", f"{report.lines:,}, {report.off:,}"),
        ("products", f"{report.products_after:,} of {report.products_before:,}"),
        ("closed-loop cost", f"before {report.cost_before:.4g}, after {report.cost_after:.4g}"),
        ("policy", str(out)),
    ]
    results.print(table("Sparsified", rows))
