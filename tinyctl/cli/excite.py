"""`tinyctl excite`: set-points that make a flight say much about the plant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyctl import api
from tinyctl.archive import save
from tinyctl.cli.base import Json, Seed, Task, as_json, load_graph, progress, results, table
from tinyctl.flight import GraphController, check_contract
from tinyctl.graph import Graph


def command(
    out: Annotated[Path, typer.Option(help="Where to write the set-points (.csv).")],
    plant: Annotated[str, typer.Option(help="Name of a plant, or path of a Python file.")] = "quadrotor",
    task: Task = None,
    policy: Annotated[
        Path | None, typer.Option(help="The safety net that flies (.tctl); by default the plant's LQR.")
    ] = None,
    save_net: Annotated[Path | None, typer.Option("--save", help="Write that LQR as a policy, to fly it.")] = None,
    known: Annotated[list[str] | None, typer.Option(help="A parameter that is known; mass for the quadrotor.")] = None,
    seconds: Annotated[float, typer.Option(min=2, max=120)] = 10.0,
    reserve: Annotated[float, typer.Option(help="The margin to keep, in the task's unit.", min=0)] = 0.1,
    seed: Seed = 0,
    as_object: Json = False,
) -> None:
    """Find the safe set-points after which the plant's parameters are known best."""
    from tinyctl.sims.excitation import excite, sines, start_of, write_setpoints
    from tinyctl.sims.experts.lqr import make

    which = api.plant(plant)
    chosen = which.task(task)
    if policy is None:
        net = make(which, chosen).policy()
        graph = Graph(net.contract, net.nodes)
        if save_net is not None:
            save(net, save_net)
    else:
        graph = load_graph(policy)
        check_contract(graph.contract, chosen, f"plant {which.name}")
    start = start_of(which, chosen)
    with progress("Exciting", as_object) as update:
        found = excite(
            which, chosen, GraphController(graph), start=start, seconds=seconds, reserve=reserve,
            fixed=known or (), seed=seed, progress=update,
        )  # fmt: skip
    write_setpoints(out, chosen, sines(chosen, found.numbers, round(seconds / chosen.period_s)))
    if as_object:
        print(as_json({"schema": 1, "errors": found.errors, "margin": found.margin}))
        return
    rows = [(name, f"+- {error:.2%}") for name, error in found.errors.items()]
    results.print(table("Expected standard errors", [*rows, ("least margin", f"{found.margin:.3g}")]))
