"""`tinyctl train`: a policy for a plant's task."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tinyctl import api
from tinyctl.cli.base import Json, Seed, Task, as_json, progress, results, table, write_json

if TYPE_CHECKING:
    from tinyctl.sims.plant import Plant
    from tinyctl.trainers.apg import TrainResult


def command(
    plant: Annotated[str, typer.Argument(help="Name of a plant, or path of a Python file.")],
    task: Task = None,
    algo: Annotated[Literal["apg"], typer.Option(help="Analytic policy gradient.")] = "apg",
    seed: Seed = 0,
    cpu_seconds: Annotated[float | None, typer.Option(help="Stop after this much CPU time.", min=0.1)] = None,
    iterations: Annotated[int | None, typer.Option(help="Gradient steps.", min=1)] = None,
    out: Annotated[Path, typer.Option(help="The policy; the training record goes beside it as .json.")] = Path(
        "policy.tctl"
    ),
    as_object: Json = False,
) -> None:
    """Train a policy."""
    which = api.plant(plant)
    task_name = task or next(iter(which.tasks))
    result = run(which, task_name, seed, as_object, cpu_seconds=cpu_seconds, iterations=iterations)
    record = train_record(result, which, task_name, seed)
    api.save(result.policy, out)
    write_json(out.with_suffix(".json"), record)
    if as_object:
        print(as_json(record))
    else:
        results.print(table(f"Trained {which.name}, {task_name}", [*summary(record), ("policy", str(out))]))


def run(which: Plant, task: str, seed: int, quiet: bool, **limits: Any) -> TrainResult:
    """Train with a progress bar; `limits` are fields of the configuration, None for its default."""
    api.require_train()
    from tinyctl.trainers.apg import ApgConfig

    config = ApgConfig(**{key: value for key, value in limits.items() if value is not None})
    with progress(f"Training {which.name}", quiet) as update:
        return api.train(
            which,
            task,
            seed=seed,
            config=config,
            progress=lambda i, n, s: update(i, n, "" if math.isnan(s) else f"survived {s:.1%}"),
        )


def train_record(result: TrainResult, which: Plant, task: str, seed: int) -> dict[str, Any]:
    """The training's JSON: figures on its validation episodes, and the curve."""
    units = {s.name: s.unit for s in which.task(task).scores}
    scores = {
        n: None if e is None else {"value": e.value, "unit": units[n], "ci95": [e.low, e.high]}
        for n, e in result.scores.items()
    }
    curve = [
        {key: value if math.isfinite(value) else None for key, value in asdict(point).items()} for point in result.curve
    ]
    return {
        "schema": 1,
        "contract_hash": result.policy.contract.hash,
        "graph_hash": result.policy.hash,
        "plant": which.name,
        "task": task,
        "seed": seed,
        "seconds": result.seconds,
        "cpu_seconds": result.cpu_seconds,
        "env_steps": result.env_steps,
        "survived": result.survived.value,
        "survived_ci95": [result.survived.low, result.survived.high],
        "scores": scores,
        "curve": curve,
    }


def summary(record: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        ("time", f"{record['seconds']:.1f} s ({record['cpu_seconds']:.1f} s of CPU), {record['env_steps']:,} steps"),
        ("survived", f"{record['survived']:.1%} of the validation episodes"),
    ]
    return rows + [(n.replace("_", " "), f"{s['value']:.4g} {s['unit']}") for n, s in record["scores"].items() if s]
