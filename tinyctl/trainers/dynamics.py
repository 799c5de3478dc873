"""A plant's dynamics as a small ReLU network: what a mixed-integer program can plan with (`sims/experts/mip_mpc.py`).

It maps what the task observes, without noise, and the inputs to the change of the observations over `Config.period_s`,
and is stored as an ordinary `Policy`. It is trained on its own predictions over several such steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import casadi
import numpy as np
import torch

from tinyctl.contract import Contract, Input, Output
from tinyctl.layers.base import F32, Array, Layer
from tinyctl.layers.clip import Clip
from tinyctl.layers.concat import Concat
from tinyctl.layers.dense import Dense
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.network import chain
from tinyctl.policy import Policy
from tinyctl.sims.experts.model import model_of
from tinyctl.sims.plant import Plant, Task

MARGIN = 1.1  # of the contract's ranges over what the data held


@dataclass(frozen=True)
class Config:
    """What is learned, and how."""

    period_s: float = 0.1
    """What one prediction spans, s: a whole number of control periods, in which the input is held."""
    hidden: tuple[int, ...] = (8,)
    """Widths of the ReLU layers."""
    unroll: int = 4
    """Predictions in a row whose errors are summed."""
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


def train(plant: Plant, task: Task, *, config: Config = Config(), seed: int = 0, variant: str | None = None) -> Policy:
    """The network of a plant at a task; the same seed gives the same weights on one machine."""
    observed, inputs = trajectories(plant, task, config, np.random.default_rng(seed), variant)
    typical = torch.tensor(task.typical)
    generator = torch.Generator().manual_seed(seed)
    n_obs, n_in = len(task.typical), len(task.typical) + inputs.shape[2]
    layers = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in pairwise((n_in, *config.hidden)))
    layers.append(torch.nn.Linear(config.hidden[-1] + n_in, n_obs))  # reads the inputs too: a line, bent by the ReLUs
    for layer in layers:
        torch.nn.init.normal_(layer.weight, std=(2 / layer.in_features) ** 0.5, generator=generator)
        torch.nn.init.zeros_(layer.bias)
    torch.nn.init.zeros_(layers[-1].weight)
    x, u = torch.from_numpy(observed) / typical, torch.from_numpy(inputs)
    optimiser = torch.optim.Adam(layers.parameters(), lr=config.learning_rate)
    places = torch.arange(config.unroll + 1)
    for step in range(config.steps):
        optimiser.param_groups[0]["lr"] = config.learning_rate * (1 - step / config.steps)
        first = torch.randint(0, config.length - config.unroll + 1, (config.batch, 1), generator=generator)
        row = torch.randint(0, len(x), (config.batch, 1), generator=generator)
        true, held = x[row, first + places], u[row, first + places[:-1]]
        predicted, loss = true[:, 0], torch.zeros(())
        for k in range(config.unroll):
            bent = given = torch.cat([predicted, held[:, k]], dim=1)
            for layer in layers[:-1]:
                bent = torch.relu(layer(bent))
            predicted = predicted + layers[-1](torch.cat([bent, given], dim=1))
            loss = loss + ((predicted - true[:, k + 1]) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    dense = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in layers]
    dense[-1] = (dense[-1][0] * typical.numpy()[:, None], dense[-1][1] * typical.numpy())
    return _policy(task, config, [Dense(*pair) for pair in dense], MARGIN * np.abs(observed).max(axis=(0, 1)))


def trajectories(
    plant: Plant, task: Task, config: Config, rng: np.random.Generator, variant: str | None = None
) -> tuple[Array, Array]:
    """Observations (episodes, length + 1, n_obs) and the inputs held between them (episodes, length, nu), float32."""
    model = model_of(plant, task, variant)
    low, high = model.box()
    periods = round(config.period_s / task.period_s)
    step = casadi.Function.map(model.step, config.episodes)
    x = task.initial(rng, config.episodes, plant.nominal(variant)).T.astype(np.float64)
    observed = [np.array(model.observe(x)).T]
    inputs = rng.uniform(low, high, (config.length, config.episodes, model.nu))
    for held in inputs:
        for _ in range(periods):
            x = np.array(step(x, held.T))
        observed.append(np.array(model.observe(x)).T)
    return np.stack(observed, axis=1).astype(F32), np.swapaxes(inputs, 0, 1).astype(F32)


def _policy(task: Task, config: Config, dense: list[Dense], reach: Array) -> Policy:
    """The layers with a contract: inputs within `reach` (n_obs,), outputs as wide as they can be, never clipped."""
    seen = task.contract.inputs[: len(reach)]
    inputs = [Input(s.name, s.unit, s.frame, -float(r), float(r)) for s, r in zip(seen, reach, strict=True)]
    held = [Input(s.name, s.unit, s.frame, s.low, s.high) for s in task.contract.outputs]
    outputs = [Output(f"{s.name}_change", s.unit, s.frame, -1.0, 1.0) for s in seen]
    gain = np.array([*(1 / t for t in task.typical), *(1.0 for _ in held)], F32)
    named: list[tuple[str, Layer]] = [("scale", Scale(gain, np.zeros_like(gain)))]
    for i, layer in enumerate(dense[:-1]):
        named += [(f"dense{i}", layer), (f"relu{i}", Relu(layer.n_out))]
    bent = named[-1][0]
    named += [("beside", Concat((config.hidden[-1], len(gain)))), ("change", dense[-1])]
    for _ in range(2):  # the second time with the bounds that the first one has
        contract = Contract((*inputs, *held), tuple(outputs), 1 / config.period_s)
        nodes = [
            replace(node, inputs=(bent, "scale") if node.name == "beside" else node.inputs)
            for node in chain([("screen", Screen.of(contract)), *named, ("clip", Clip.of(contract))])
        ]
        made = Policy(contract, tuple(nodes))
        low, high = made.bounds()["change"]
        outputs = [
            Output(s.name, s.unit, s.frame, min(0.0, 1.01 * float(a)), max(0.0, 1.01 * float(b)))
            for s, a, b in zip(outputs, low, high, strict=True)
        ]
    return made
