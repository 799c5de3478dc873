"""`tinyctl guard`: what watches a controller on board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyctl import api
from tinyctl.cli.base import Json, Seed, Task, as_json, load_graph, progress, results, table, write_json
from tinyctl.cli.train import pairs
from tinyctl.run_record import Call


def command(
    graph: Annotated[Path, typer.Argument(help="A graph or policy (.tctl).")],
    plant: Annotated[str, typer.Option(help="Name of a plant, or path of a Python file.")] = "quadrotor",
    task: Task = None,
    seed: Seed = 0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, as flights=1000 or randomised=true.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The guarded graph; what was found goes beside it as .json.")] = Path(
        "guarded.tctl"
    ),
    as_object: Json = False,
) -> None:
    """Put a guard around a controller: sensor checks, a monitor and a fallback, from flights of its plant."""
    call = Call.of("guard", locals())
    with progress("Making a guard", as_object) as update:
        guarded, report = api.guard(
            load_graph(graph), plant, task, settings=pairs(settings or []), seed=seed, progress=update
        )
    api.save(guarded, out)
    write_json(out.with_suffix(".json"), report.to_json())
    call.write(report.to_json(), out)
    if as_object:
        print(as_json(report.to_json()))
        return
    rows = [
        (f"crashes {name}", f"{share:.1%} without, {report.crashed_with[name]:.1%} with the guard")
        for name, share in report.crashed_without.items()
    ]
    monitor = f"{', '.join(report.watched)}; misses {report.missed:.1%} of the failing flights"
    if not report.watched:
        monitor = "none: too few flights failed to learn from"
    results.print(
        table(
            "Guarded",
            [
                *rows,
                ("interferes", f"in {report.interfered:.1%} of the flights inside the trained range"),
                ("monitor", monitor),
                ("fallback", f"regulator for {report.fallback['heavier']:.0%} of the way to the heaviest plant"),
                ("guarded", str(out)),
            ],
        )
    )
