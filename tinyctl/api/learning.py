"""From a plant or somebody's network to a policy: train, import, and make it smaller."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyctl import builder, closed_loop, gates, pruner
from tinyctl.api.common import DEFAULT_BOARD, board_of, environment, missing, plant, require_train
from tinyctl.api.deploying import calibration_of, stored_for
from tinyctl.boards import Board
from tinyctl.contract import Contract
from tinyctl.contract_toml import load_contract
from tinyctl.errors import TinyctlError
from tinyctl.flight import (
    check_contract,
)
from tinyctl.gates import SparsifyReport
from tinyctl.graph import Graph
from tinyctl.importers.parts.normalizer import Normalizer, load_normalizer
from tinyctl.layers.base import Array
from tinyctl.policy import Policy
from tinyctl.pruner import PruneReport
from tinyctl.trainers import MODELS, algorithm

if TYPE_CHECKING:
    import torch

    from tinyctl.importers import Imported
    from tinyctl.sims.plant import Plant
    from tinyctl.sims.plant import Task as PlantTask
    from tinyctl.storage import Tried
    from tinyctl.trainers import dynamics, rl
    from tinyctl.trainers.result import Progress, TrainResult

DEAREST_SPARSE = 1.05  # the closed-loop cost that a budget of cycles may come to, over the policy's


def train(
    plant_name: str | Path | Plant,
    task: str | None = None,
    *,
    seed: int = 0,
    algo: str = "apg",
    config: Any = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a policy for a plant's task by an algorithm of `tinyctl.trainers`; `config` is its `Config`."""
    require_train()
    if algo in MODELS:
        raise TinyctlError(f"{algo} learns a model, not a policy", fix="train_dynamics, or the command `train`")
    trainer = algorithm(algo)
    which = plant_name if not isinstance(plant_name, str | Path) else plant(plant_name)
    return trainer.train(which, task, config=config or trainer.Config(), seed=seed, progress=progress)


def train_environment(
    name: str, *, seed: int = 0, config: rl.Config | None = None, progress: Progress | None = None
) -> rl.Solved:
    """Train a policy for the Gymnasium environment called `name` (`gym:Pendulum-v1`, or without `gym:`) by
    Stable-Baselines3."""
    trainer: Any = algorithm("rl")
    config = config or trainer.Config()
    env = environment(name, config.rate_hz)
    solved: rl.Solved = trainer.train_environment(env, config=config, seed=seed, progress=progress)
    return solved


def train_dynamics(
    plant_name: str | Path | Plant,
    task: str | None = None,
    *,
    config: dynamics.Config | None = None,
    seed: int = 0,
    progress: pruner.Progress | None = None,
) -> tuple[Policy, float]:
    """A ReLU network of a plant's dynamics, for the expert `mip`, and the RMSE of its predictions."""
    require_train()
    from tinyctl.trainers import dynamics as trainer

    which = plant(plant_name) if isinstance(plant_name, str | Path) else plant_name
    model = trainer.train(which, which.task(task), config=config or trainer.Config(), seed=seed, progress=progress)
    return model, trainer.rmse(model, which, which.task(task))


def import_policy(
    path: Path,
    *,
    contract: Path | Contract | None = None,
    rate_hz: float | None = None,
    layers: tuple[str, ...] = (),
    output: str | None = None,
    normalize: Path | Normalizer | None = None,
    unnormalized: bool = False,
    joint_targets: bool = False,
) -> Imported:
    """A policy, or the graph of a quantized file, of another framework; docs/import.md tells what is asked for."""
    from tinyctl import importers

    return importers.read(
        importers.Request(
            path,
            load_contract(contract) if isinstance(contract, Path) else contract,
            rate_hz,
            layers,
            output,
            load_normalizer(normalize) if isinstance(normalize, Path) else normalize,
            unnormalized,
            joint_targets,
        )
    )


def from_torch(module: torch.nn.Module, contract: Contract) -> Policy:
    """A policy from a PyTorch module of this process; compared with it before it is returned."""
    try:
        from tinyctl.importers.parts import torch_module
    except ImportError as error:
        raise missing(error, "torch") from None
    return torch_module.from_torch(module, contract)


def export_onnx(policy: Policy, path: Path) -> None:
    """Write a policy as ONNX, its contract as metadata."""
    from tinyctl import onnx_export

    onnx_export.export_onnx(policy, path)


def prune(
    policy: Policy,
    *,
    keep: float = 1.0,
    neurons: float = 1.0,
    threshold: pruner.Threshold = "global",
    calibration: Array | None = None,
    plant_name: str | Path | Plant | None = None,
    task: str | None = None,
    board: str | Path | Board | None = None,
    toolchain: builder.Toolchain | None = None,
    tune: bool = True,
    seed: int = 0,
    progress: pruner.Progress | None = None,
) -> tuple[Policy, PruneReport]:
    """A policy without dead neurons, with `neurons` of each hidden layer's neurons and at most `keep` of the products.

    What to take away is judged on `calibration`, as in `quantize`. With a plant it is taken in steps, after each of
    which the rest is fitted to the policy again in closed loop, unless `tune` is false, and the report holds the costs.
    With a board, layers with zeros are stored as is fastest there in float32.
    """
    which = plant(plant_name) if isinstance(plant_name, str | Path) else plant_name
    calibration = calibration_of(policy, calibration, which, task)
    pruned = pruner.prune(policy, calibration, keep=keep, neurons=neurons, threshold=threshold)
    stages = [policy, pruned]
    if which is not None and tune and pruned.hash != policy.hash:
        require_train()
        from tinyctl.trainers.distill import prune_gradually

        pruned = prune_gradually(
            policy,
            calibration,
            which,
            which.task(task),
            keep=keep,
            neurons=neurons,
            threshold=threshold,
            seed=seed,
            progress=progress,
        )
        stages.append(pruned)
    costs = [] if which is None else [closed_loop.cost(Graph(p.contract, p.nodes), which, task) for p in stages]
    tried: tuple[Tried, ...] = ()
    if board is not None:
        graph, tried = stored_for(Graph(pruned.contract, pruned.nodes), board, toolchain)
        pruned = Policy(graph.contract, graph.nodes)
    return pruned, pruner.report(policy, pruned, calibration, costs, tried)


def sparsify(
    policy: Policy,
    *,
    keep: float | None = None,
    most_rmse: float | None = None,
    cycles: int | None = None,
    board: str | Path | Board = DEFAULT_BOARD,
    toolchain: builder.Toolchain | None = None,
    most_cost: float = DEAREST_SPARSE,
    plant_name: str | Path | Plant,
    task: str | None = None,
    seed: int = 0,
    config: Any = None,
    progress: pruner.Progress | None = None,
) -> tuple[Policy, SparsifyReport]:
    """A policy with the share `keep` (0.25) of its hidden layers' ReLUs; the others become lines or leave, and it
    learns in closed loop with a plant to do without them. `config` is a `trainers.sparsify.Config`.

    With `cycles` there are as many ReLUs as so many cycles on the board allow, in float32 with warm caches, as `check`
    predicts them; raises `TinyctlError` where that policy costs more than `most_cost` times the given one.

    A model of the plant's dynamics learns to predict as before, under a `trainers.sparse_dynamics.Config`: with the
    share `keep`, or with as few ReLUs as an RMSE of `most_rmse` allows.
    """
    require_train()
    from tinyctl.sims.experts.mip_mpc import is_model

    which = plant(plant_name) if isinstance(plant_name, str | Path) else plant_name
    share = keep if keep is not None else 0.25 if cycles is None else 1.0
    if is_model(policy, which.task(task)):
        if cycles is not None:
            raise TinyctlError("a model runs on no board", fix="give a share of the ReLUs, or an RMSE")
        return _sparsify_model(policy, which, which.task(task), share, most_rmse, config, seed, progress)
    if most_rmse is not None:
        raise TinyctlError("an RMSE is the budget of a model", where="sparsify", fix="train one: --algo dynamics")
    check_contract(policy.contract, which.task(task), f"plant {which.name}", sequences=True)
    from tinyctl.trainers import sparsify as trainer

    def timed(made: Policy) -> int:
        from tinyctl.storage import cycles_of

        return cycles_of(Graph(made.contract, made.nodes), board_of(board), toolchain)

    measured: dict[str, Any] = {} if cycles is None else {"cycles_before": timed(policy)}
    made = trainer.sparsify(
        policy,
        which,
        which.task(task),
        keep=share,
        fits=None if cycles is None else lambda tried: timed(tried) <= cycles,
        config=config or trainer.Config(),
        seed=seed,
        progress=progress,
    )
    before, after = (closed_loop.cost(Graph(p.contract, p.nodes), which, task) for p in (policy, made.policy))
    if cycles is not None:
        if after > most_cost * before:
            raise TinyctlError(
                f"within {cycles:,} cycles the closed-loop cost is {after / before:.3f} of the policy's, more than "
                f"{most_cost:g}",
                fix="give more --cycles, or a larger --cost",
            )
        measured["cycles_after"] = timed(made.policy)
    return made.policy, gates.report(policy, made.policy, made.gates, cost_before=before, cost_after=after, **measured)


def _sparsify_model(
    model: Policy, which: Plant, task: PlantTask, keep: float, most_rmse: float | None, config: Any, seed: int,
    progress: pruner.Progress | None,
) -> tuple[Policy, SparsifyReport]:  # fmt: skip
    from tinyctl.trainers import dynamics, sparse_dynamics

    config = config or sparse_dynamics.Config()
    made = sparse_dynamics.sparsify(
        model, which, task, keep=keep, most=most_rmse, config=config, seed=seed, progress=progress
    )
    before, after = (dynamics.rmse(m, which, task) for m in (model, made.policy))
    return made.policy, gates.report(model, made.policy, made.gates, rmse_before=before, rmse_after=after)
