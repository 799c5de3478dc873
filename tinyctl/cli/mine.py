"""`tinyctl mine`: starts from which a controller fails."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyctl import api
from tinyctl.cli.base import Json, Seed, Task, as_json, load_graph, results, table
from tinyctl.run_record import Call


def command(
    graph: Annotated[Path, typer.Argument(help="A graph or policy (.tctl).")],
    plant: Annotated[str, typer.Option(help="Name of a plant, or path of a Python file.")] = "quadrotor",
    task: Task = None,
    flights: Annotated[int, typer.Option(min=1, max=100_000)] = 4000,
    scale: Annotated[float, typer.Option(help="Starts so much further from rest than the task's own.", min=0.1)] = 1.5,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="The failing starts, for `train --retrain`.")] = Path("failures.npz"),
    as_object: Json = False,
) -> None:
    """Find starts from which a controller crashes."""
    call = Call.of("mine", locals())
    found = api.mine(load_graph(graph), plant, task, flights=flights, scale=scale, seed=seed, out=out)
    record = {"schema": 1, "flights": flights, "failed": len(found.x)}
    call.write(record, out)
    if as_object:
        print(as_json(record))
    else:
        results.print(table("Mined", [("failed", f"{len(found.x)} of {flights}"), ("starts", str(out))]))
