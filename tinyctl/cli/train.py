"""`tinyctl train`: a policy for a plant's task."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinyctl import api
from tinyctl.cli.base import Json, Seed, Task, as_json, progress, results, table, write_json
from tinyctl.errors import TinyctlError
from tinyctl.gates import relus
from tinyctl.policy import Policy
from tinyctl.run_record import Call
from tinyctl.trainers import ALGORITHMS, MODELS, configured

if TYPE_CHECKING:
    from tinyctl.sims.plant import Plant
    from tinyctl.trainers import rl
    from tinyctl.trainers.result import TrainResult

ENVIRONMENT = "gym:"


def command(
    plant: Annotated[
        str, typer.Argument(help="Name of a plant, path of a Python file, or a Gymnasium environment: gym:Pendulum-v1.")
    ],
    task: Task = None,
    algo: Annotated[
        str, typer.Option(help=f"Algorithm: {', '.join(f'{k} ({v})' for k, v in (ALGORITHMS | MODELS).items())}.")
    ] = "apg",
    seed: Seed = 0,
    cpu_seconds: Annotated[float | None, typer.Option(help="Stop after this much CPU time.", min=0.1)] = None,
    retrain: Annotated[
        Path | None,
        typer.Option(help="A file that `mine` wrote: begin a share of the flights with starts that failed."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the algorithm, as iterations=300 or hidden=32,32.")
    ] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="A folder for a TensorBoard event file.")] = None,
    out: Annotated[Path, typer.Option(help="The policy; the training record goes beside it as .json.")] = Path(
        "policy.tctl"
    ),
    as_object: Json = False,
) -> None:
    """Train a policy."""
    call = Call.of("train", locals())
    given = {"cpu_seconds": cpu_seconds, "tensorboard": tensorboard, "retrain": retrain}
    chosen = {**{k: str(v) for k, v in given.items() if v is not None}, **pairs(settings or [])}
    if plant.startswith(ENVIRONMENT):
        if algo != "rl" or task is not None:
            raise TinyctlError("a Gymnasium environment has no gradients and no tasks", fix="--algo rl, without --task")
        solved = run_environment(plant, seed, as_object, settings=chosen)
        policy, record, title = solved.learned.policy, environment_record(solved, plant, seed), plant
        rows = environment_summary(record)
    elif algo in MODELS:
        if cpu_seconds is not None:
            raise TinyctlError("a model is learned in a number of steps", fix="--set steps=N, without --cpu-seconds")
        with progress(f"Learning {plant}", as_object) as update:
            policy, rmse = api.train_dynamics(plant, task, config=configured(algo, chosen), seed=seed, progress=update)
        record = model_record(policy, rmse, seed)
        rows, title = [("RMSE", f"{rmse:.3g} of the typical observations")], f"a model of {plant}"
    else:
        which = api.plant(plant)
        task_name = task or next(iter(which.tasks))
        result = run(which, task_name, seed, as_object, algo=algo, settings=chosen)
        policy, record = result.policy, train_record(result, which, task_name, seed)
        rows, title = summary(record), f"{which.name}, {task_name}"
    api.save(policy, out)
    write_json(out.with_suffix(".json"), record)
    call.write(record, out)
    if as_object:
        print(as_json(record))
    else:
        results.print(table(f"Trained {title}", [*rows, ("policy", str(out))]))


def pairs(settings: list[str]) -> dict[str, str]:
    """The settings of `--set field=value`."""
    split = [text.partition("=") for text in settings]
    if wrong := [text for text, (field, equals, _) in zip(settings, split, strict=True) if not field or not equals]:
        raise TinyctlError(f"--set {wrong[0]} is not of the form field=value")
    return {field: value for field, _, value in split}


def run(
    which: Plant,
    task: str,
    seed: int,
    quiet: bool,
    *,
    algo: str = "apg",
    settings: Mapping[str, str] = MappingProxyType({}),
) -> TrainResult:
    """Train with a progress bar; `settings` are fields of the algorithm's configuration."""
    api.require_train()
    config = configured(algo, settings)
    course = which.task(task).curriculum if getattr(config, "curriculum", False) else None

    def note(done: int, total: int, survived: float) -> str:
        stage = "" if course is None else f"{course.stage(done / total).name} "
        return stage + ("" if math.isnan(survived) else f"survived {survived:.1%}")

    with progress(f"Training {which.name}", quiet) as update:
        return api.train(
            which,
            task,
            seed=seed,
            algo=algo,
            config=config,
            progress=lambda i, n, s: update(i, n, note(i, n, s)),
        )


def run_environment(
    name: str, seed: int, quiet: bool, *, settings: Mapping[str, str] = MappingProxyType({})
) -> rl.Solved:
    """Likewise for a Gymnasium environment."""
    config = configured("rl", settings)
    with progress(f"Training {name}", quiet) as update:
        return api.train_environment(
            name,
            seed=seed,
            config=config,
            progress=lambda i, n, r: update(i, n, "" if math.isnan(r) else f"return {r:.4g}"),
        )


def environment_record(solved: rl.Solved, name: str, seed: int) -> dict[str, Any]:
    """The JSON of a training on an environment: returns of its validation episodes, and the curve."""
    learned, mean = solved.learned, solved.mean_return
    return {
        "schema": 1,
        "contract_hash": learned.policy.contract.hash,
        "graph_hash": learned.policy.hash,
        "environment": name.removeprefix(ENVIRONMENT),
        "seed": seed,
        "seconds": learned.seconds,
        "cpu_seconds": learned.cpu_seconds,
        "env_steps": learned.env_steps,
        "scores": {"return": {"value": mean.value, "unit": "1", "ci95": [mean.low, mean.high]}},
        "curve": _points(learned.curve),
    }


def model_record(model: Policy, rmse: float, seed: int) -> dict[str, Any]:
    """The JSON of a model of a plant's dynamics."""
    hashes = {"contract_hash": model.contract.hash, "graph_hash": model.hash}
    return {"schema": 1, **hashes, "seed": seed, "relus": relus(model), "rmse": rmse}


def environment_summary(record: dict[str, Any]) -> list[tuple[str, str]]:
    score = record["scores"]["return"]
    low, high = score["ci95"]
    return [_time(record), ("return", f"{score['value']:.4g} ({low:.4g} to {high:.4g}) in the validation episodes")]


def _points(curve: Iterable[Any]) -> list[dict[str, Any]]:
    """The points of a curve; what is not finite has no number in JSON."""
    return [{key: v if math.isfinite(v) else None for key, v in asdict(point).items()} for point in curve]


def _time(record: dict[str, Any]) -> tuple[str, str]:
    told = f"{record['seconds']:.1f} s ({record['cpu_seconds']:.1f} s of CPU), {record['env_steps']:,} steps"
    return "time", told


def train_record(result: TrainResult, which: Plant, task: str, seed: int) -> dict[str, Any]:
    """The training's JSON: figures on its validation episodes, and the curve."""
    from tinyctl.sims.declaration import declaration_hash  # of the extra that trains

    units = {s.name: s.unit for s in which.task(task).scores}
    scores = {
        n: None if e is None else {"value": e.value, "unit": units[n], "ci95": [e.low, e.high]}
        for n, e in result.scores.items()
    }
    return {
        "schema": 1,
        "contract_hash": result.policy.contract.hash,
        "graph_hash": result.policy.hash,
        "plant": which.name,
        "task": task,
        "task_hash": declaration_hash(which, which.task(task)),
        "seed": seed,
        "seconds": result.seconds,
        "cpu_seconds": result.cpu_seconds,
        "env_steps": result.env_steps,
        "iterations": result.iterations,
        "clipped": result.clipped,
        "skipped": result.skipped,
        "survived": result.survived.value,
        "survived_ci95": [result.survived.low, result.survived.high],
        "scores": scores,
        "curve": _points(result.curve),
    }


def summary(record: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        _time(record),
        ("survived", f"{record['survived']:.1%} of the validation episodes"),
    ]
    if record["clipped"] or record["skipped"]:
        told = f"{record['clipped']} of {record['iterations']} shortened, {record['skipped']} skipped as not finite"
        rows.append(("gradients", told))
    return rows + [(n.replace("_", " "), f"{s['value']:.4g} {s['unit']}") for n, s in record["scores"].items() if s]
