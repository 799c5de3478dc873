"""A plant's dynamics as a small ReLU network: what a mixed-integer program can plan with (`sims/experts/mip_mpc.py`).

It maps what the task observes, without noise, and the inputs to the change of the observations over `Config.period_s`,
and is stored as an ordinary `Policy`. It is trained on its own predictions over several such steps. With gates it needs
fewer ReLUs: `sparse_dynamics`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import casadi
import numpy as np
import torch

from tinyctl.contract import Contract, Input, Output
from tinyctl.layers.add import Add
from tinyctl.layers.base import F32, Array
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.network import Node
from tinyctl.policy import Policy
from tinyctl.pruner import Progress
from tinyctl.sims.experts.mip_mpc import CHANGE
from tinyctl.sims.experts.model import model_of
from tinyctl.sims.plant import Plant, Task
from tinyctl.trainers.distill import Tensors, tail_of
from tinyctl.trainers.threads import one_thread

MARGIN = 1.1  # of the contract's ranges over what the data held
SMALL = 0.01  # standard deviation of the last layers' first weights: hardly any change is predicted
TESTS = 1000  # trajectories that a model is judged on, and not fitted to
Tensor = Any  # torch.Tensor


@dataclass(frozen=True)
class Config:
    """What is learned, and how."""

    period_s: float = 0.1
    """What one prediction spans, s: a whole number of control periods, in which the input is held."""
    hidden: tuple[int, ...] = (16,)
    """Widths of the ReLU layers."""
    unroll: int = 4
    """Predictions in a row that are fitted together."""
    episodes: int = 4000
    """Trajectories from the task's starts, under inputs drawn uniformly."""
    length: int = 6
    """Predictions that a trajectory is long."""
    steps: int = 800
    """Gradient steps."""
    batch: int = 256
    """Pieces of trajectory of a gradient step."""
    learning_rate: float = 5e-3
    """Adam's first step size; it falls linearly to zero."""
    variant: str | None = None
    """A published parameter set of the plant instead of the nominal one."""


@one_thread()
def train(
    plant: Plant, task: Task, *, config: Config = Config(), seed: int = 0, progress: Progress | None = None
) -> Policy:
    """The network of a plant at a task; the same seed gives the same weights on one machine."""
    data = trajectories(plant, task, config, seed)
    fit = Fit(_first(task, config, data, seed), task, data, config, seed)
    fit.run(config.steps, tell=progress)
    return fit.policy()


def rmse(model: Policy, plant: Plant, task: Task, config: Config = Config()) -> float:
    """The root mean square of the model's errors, each over the observation's typical size, in predictions of 1 to
    `config.length` steps in a row on trajectories of their own."""
    data = trajectories(plant, task, replace(config, period_s=1 / model.contract.rate_hz, episodes=TESTS), [0, TESTS])
    x, errors = data.observed[:, 0], []
    for k in range(config.length):
        change, _ = model.run(np.concatenate([x, data.inputs[:, k]], axis=1), model.init(len(x)))
        x = x + change
        errors.append((x - data.observed[:, k + 1]) / task.typical)
    return float(np.sqrt(np.mean(np.square(errors))))


class Fit:
    """A model fitted to trajectories through its own predictions."""

    def __init__(self, model: Policy, task: Task, data: Trajectories, config: Config, seed: int) -> None:
        self.model, self.config = model, config
        self.tensors = Tensors(tail_of(model)[:-1])  # the clip is made to fit later
        self.outside = next(node for node in model.nodes if isinstance(node.layer, Scale))
        self.typical = torch.tensor(task.typical)
        self.observed, self.inputs = torch.from_numpy(data.observed), torch.from_numpy(data.inputs)
        self.generator = torch.Generator().manual_seed(seed)

    def run(
        self, steps: int, *, beside: list[dict[str, Any]] | None = None,
        price: Callable[[float], Tensor] = lambda done: 0.0, tell: Progress | None = None,
    ) -> None:  # fmt: skip
        """Gradient steps of the weights, and of the parameter groups `beside` them; `price(done)` is added to the error
        when this part of the steps is done."""
        rate, c = self.config.learning_rate, self.config
        optimiser = torch.optim.Adam([{"params": self.tensors.parameters}, *(beside or [])], lr=rate)
        places = torch.arange(c.unroll + 1)
        for step in range(steps):
            optimiser.param_groups[0]["lr"] = rate * (1 - step / steps)
            added = price(step / steps)
            first = torch.randint(0, c.length - c.unroll + 1, (c.batch, 1), generator=self.generator)
            row = torch.randint(0, len(self.observed), (c.batch, 1), generator=self.generator)
            loss = self._error(self.observed[row, first + places], self.inputs[row, first + places[:-1]])
            optimiser.zero_grad()
            (loss + added).backward()
            optimiser.step()
            if tell is not None:
                tell(step + 1, steps, f"error {loss.item() ** 0.5:.2%}")

    def policy(self) -> Policy:
        """The model as it is now."""
        return never_clipped(self.tensors.written_to(self.model))

    def _error(self, true: Tensor, held: Tensor) -> Tensor:
        """The mean square of the errors, each over its typical size, of predictions in a row: (n, unroll + 1, n_obs)
        observations and (n, unroll, nu) inputs."""
        gain, x, total = torch.tensor(self.outside.layer.gain), true[:, 0], torch.zeros(())  # type: ignore[attr-defined]
        for k in range(held.shape[1]):
            given = torch.cat([x, held[:, k]], dim=1) * gain
            x = x + self.tensors.forward({self.outside.name: given})
            total = total + (((x - true[:, k + 1]) / self.typical) ** 2).mean()
        return total / held.shape[1]


@dataclass(frozen=True)
class Trajectories:
    """Observations (episodes, length + 1, n_obs) and the inputs held between them (episodes, length, nu), float32."""

    observed: Array
    inputs: Array


def trajectories(plant: Plant, task: Task, config: Config, seed: int | list[int]) -> Trajectories:
    """Of the undisturbed plant from the task's starts."""
    rng, model = np.random.default_rng(seed), model_of(plant, task, config.variant)
    low, high = model.box()
    periods = round(config.period_s / task.period_s)
    step = casadi.Function.map(model.step, config.episodes)
    x = task.initial(rng, config.episodes, plant.nominal(config.variant)).T.astype(np.float64)
    observed = [np.array(model.observe(x)).T]
    inputs = rng.uniform(low, high, (config.length, config.episodes, model.nu))
    for held in inputs:
        for _ in range(periods):
            x = np.array(step(x, held.T))
        observed.append(np.array(model.observe(x)).T)
    return Trajectories(np.stack(observed, axis=1).astype(F32), np.swapaxes(inputs, 0, 1).astype(F32))


def _first(task: Task, config: Config, data: Trajectories, seed: int) -> Policy:
    """A model with random weights; its inputs may be as large as in the data, and a little larger. The last two layers,
    of the ReLUs and of the inputs, are added: a line, bent by the ReLUs."""
    reach = MARGIN * np.abs(data.observed).max(axis=(0, 1))
    seen = task.contract.inputs[: len(reach)]
    inputs = [Input(s.name, s.unit, s.frame, -float(r), float(r)) for s, r in zip(seen, reach, strict=True)]
    held = [Input(s.name, s.unit, s.frame, s.low, s.high) for s in task.contract.outputs]
    outputs = [Output(f"{s.name}{CHANGE}", s.unit, s.frame, -1.0, 1.0) for s in seen]
    contract = Contract((*inputs, *held), tuple(outputs), 1 / config.period_s)
    gain = np.array([*(1 / t for t in task.typical), *(1.0 for _ in held)], F32)
    rng, n_in, n_out = np.random.default_rng([seed, 1]), len(gain), len(seen)

    def dense(n_in: int, n_out: int, deviation: float) -> Dense:
        return Dense((rng.standard_normal((n_out, n_in)) * deviation).astype(F32), np.zeros(n_out, F32))

    nodes = [Node("screen", Screen.of(contract), ()), Node("scale", Scale(gain, np.zeros_like(gain)), ("screen",))]
    for i, (before, width) in enumerate(pairwise((n_in, *config.hidden))):
        nodes.append(Node(f"dense{i}", dense(before, width, (2 / before) ** 0.5), (nodes[-1].name,)))
        nodes.append(Node(f"relu{i}", Relu(width), (f"dense{i}",)))
    nodes += [
        Node("bent", dense(config.hidden[-1], n_out, SMALL), (nodes[-1].name,)),
        Node("line", dense(n_in, n_out, SMALL), ("scale",)),
        Node("change", Add(n_out), ("bent", "line")),
        Node("clip", Clip.of(contract), ("change",)),
    ]
    return Policy(contract, tuple(nodes))


def never_clipped(model: Policy) -> Policy:
    """The model with outputs as wide as they can be."""
    low, high = model.bounds()[model.nodes[-2].name]
    outputs = tuple(
        replace(s, low=min(0.0, 1.01 * float(a)), high=max(0.0, 1.01 * float(b)))
        for s, a, b in zip(model.contract.outputs, low, high, strict=True)
    )
    contract = replace(model.contract, outputs=outputs)
    return Policy(contract, (*model.nodes[:-1], replace(model.nodes[-1], layer=Clip.of(contract))))
