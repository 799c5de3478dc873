"""Fewer ReLUs: a policy learns which of its neurons may be lines or off, and to do without them as it did with them.

Each hidden neuron has a gate of three ways with logits of its own, relaxed by the Gumbel-softmax distribution (Jang et
al., Categorical Reparameterization with Gumbel-Softmax, 2017), after Liu et al., Model-Based Control with Sparse Neural
Dynamics, 2023, whose schedule is not published: this one is ours. The policy flies in rounds, the original says what it
would have done, and weights and gates descend on the error plus a price for each ReLU and line. In the last third the
gates are sharp and keep to the budget. Then they are frozen and folded, and the rest is fitted again (`distill`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from tinyctl.errors import TinyctlError
from tinyctl.gates import LINE, OFF, RELU, chosen, gated, relu_layers
from tinyctl.graph import Graph
from tinyctl.layers.base import Array
from tinyctl.network import Node
from tinyctl.policy import Policy
from tinyctl.pruner import Progress
from tinyctl.sims.plant import Plant, Task
from tinyctl.trainers.distill import (
    FUNCTIONS,
    DistillConfig,
    Tensors,
    Watched,
    answers_of,
    distill,
    observe,
    read_from_outside,
    tail_of,
)
from tinyctl.trainers.threads import one_thread

SHARP = 2 / 3  # of the gates' gradient steps; from there on they are one-hot
FALL = 0.8  # from one budget of ReLUs to the next, where one is searched for
Tensor = Any  # torch.Tensor


@dataclass(frozen=True)
class Relaxation:
    """How the gates learn."""

    rate: float = 0.03
    """Adam's step size for the logits."""
    price: float = 3e-6
    """Of a ReLU, in squared error as a share of the outputs' range."""
    line_price: float = 0.1
    """Of a line, in prices of a ReLU."""
    first_logit: float = 2.0
    """How far the logit of the ReLU stands above the others at first."""
    temperatures: tuple[float, float] = (2.0, 0.2)
    """Of the Gumbel-softmax, first and last; it falls exponentially."""


@dataclass(frozen=True)
class Config:
    """How long, and at what price."""

    rounds: int = 6
    """Flights with open gates, each followed by a fit."""
    episodes: int = 64
    """Episodes of a flight."""
    steps: int = 400
    """Gradient steps of a fit."""
    batch: int = 1024
    """States of a gradient step."""
    learning_rate: float = 3e-3
    """Adam's first step size for the weights; it falls linearly to zero."""
    gates: Relaxation = field(default_factory=Relaxation)
    tuning: DistillConfig = field(default_factory=lambda: DistillConfig(rounds=6, steps=600))
    """The fit with frozen gates."""


@dataclass(frozen=True)
class Sparsified:
    """A policy and the gates that made it, (neurons,) for each hidden layer's dense node."""

    policy: Policy
    gates: Mapping[str, Array]


@one_thread()
def sparsify(
    policy: Policy,
    plant: Plant,
    task: Task,
    *,
    keep: float,
    fits: Callable[[Policy], bool] | None = None,
    config: Config = Config(),
    seed: int = 0,
    progress: Progress | None = None,
) -> Sparsified:
    """A policy with the share `keep` of the ReLUs, rounded; at least one hidden layer must have them, else raises
    `TinyctlError`. With `fits` that is the first budget: once the gates are sharp it falls in steps until `fits` says
    yes of the folded policy. The same seed gives the same weights on one machine."""
    if not relu_layers(policy):
        raise TinyctlError("there is no hidden layer with ReLUs", fix="train one: --set activation=relu")
    return _sparsify(policy, plant, task, keep, fits, config, seed, progress)


def _sparsify(
    policy: Policy, plant: Plant, task: Task, keep: float, fits: Callable[[Policy], bool] | None, config: Config,
    seed: int, progress: Progress | None,
) -> Sparsified:  # fmt: skip
    tail, neurons = tail_of(policy), sum(hidden.dense.layer.n_out for hidden in relu_layers(policy))
    names = sorted(read_from_outside(tail))
    tensors, gates = Tensors(tail), Relaxed(policy, kept(keep, neurons), config.gates, seed)
    tensors.bend = gates.bend
    optimiser = torch.optim.Adam([{"params": tensors.parameters}, *gates.learning], lr=config.learning_rate)
    rng = np.random.default_rng([seed, 1])
    span = torch.tensor([s.high - s.low for s in policy.contract.outputs])
    seen: dict[str, list[Array]] = {name: [] for name in names}
    done, total = 0, config.rounds * config.steps
    all_steps = total + config.tuning.rounds * config.tuning.steps
    pupil = policy
    for round_ in range(config.rounds):
        flown = observe(
            Watched(Graph(pupil.contract, pupil.nodes), names), plant, task, config.episodes, [seed, 2, round_]
        )
        for name in names:
            seen[name].append(flown[name])
        values = {name: np.concatenate(arrays) for name, arrays in seen.items()}
        answers = torch.from_numpy(answers_of(tail, values))
        inputs = {name: torch.from_numpy(array) for name, array in values.items()}
        for _ in range(config.steps):
            optimiser.param_groups[0]["lr"] = config.learning_rate * (1 - done / total)
            price = gates.draw(done / total)
            rows = torch.from_numpy(rng.integers(0, len(answers), config.batch))
            said = tensors.forward({name: tensor[rows] for name, tensor in inputs.items()})
            loss = (((said - answers[rows]) / span) ** 2).mean()
            optimiser.zero_grad()
            (loss + price).backward()
            optimiser.step()
            done += 1
            if progress is not None:
                progress(done, all_steps, f"error {loss.item() ** 0.5:.2%}")
        pupil = gated(tensors.written_to(policy), gates.chosen())
        while fits is not None and done >= SHARP * total and not fits(pupil):
            if gates.keep == 0:
                raise TinyctlError("the policy is too slow without any ReLU", fix="give more --cycles")
            gates.keep = int(FALL * gates.keep)
            pupil = gated(tensors.written_to(policy), gates.chosen())
    tell = None if progress is None else lambda k, of, note: progress(total + k, all_steps, note)
    tuned = distill(policy, pupil, plant, task, config=config.tuning, seed=seed, progress=tell)
    return Sparsified(tuned, gates.chosen())


def kept(share: float, count: int) -> int:
    """The share of so many ReLUs, rounded."""
    if not 0 <= share <= 1:
        raise TinyctlError(f"keep {share} is not a fraction from 0 to 1")
    return round(share * count)


class Relaxed:
    """Gates that learn: logits (neurons, 3) of each hidden layer, and the shares of the three ways that were drawn from
    them last. `keep` is the budget of ReLUs."""

    def __init__(self, policy: Policy, keep: int, config: Relaxation, seed: int) -> None:
        self.keep, self.config, self.generator = keep, config, torch.Generator().manual_seed(seed)
        self.layer_of = {h.bends[0].name: h.dense.name for h in relu_layers(policy)}
        widths = {h.dense.name: h.dense.layer.n_out for h in relu_layers(policy)}
        first = torch.tensor([config.first_logit, 0.0, 0.0])
        self.logits = {name: first.repeat(width, 1).requires_grad_() for name, width in widths.items()}
        self.shares: dict[str, Tensor] = {}

    @property
    def learning(self) -> list[dict[str, Any]]:
        """The logits as a group of parameters for Adam."""
        return [{"params": list(self.logits.values()), "lr": self.config.rate}]

    def draw(self, done: float) -> Tensor:
        """Draw the shares for one gradient step when this part of training is done; the price of all gates. Sharp
        shares keep to the budget, with the gradient of the soft ones."""
        hot, cold = self.config.temperatures
        temperature = hot * (cold / hot) ** done
        noisy = {name: a + self._gumbel(a.shape) for name, a in self.logits.items()}
        self.shares = {name: functional.softmax(a / temperature, dim=1) for name, a in noisy.items()}
        if done >= SHARP:
            for name, gate in chosen({name: a.detach().numpy() for name, a in noisy.items()}, self.keep).items():
                soft = self.shares[name]
                self.shares[name] = functional.one_hot(torch.from_numpy(gate), 3) + soft - soft.detach()
        return self._price()

    def bend(self, node: Node, x: Tensor) -> Tensor:
        """The elementwise function of a node under the shares."""
        if node.name not in self.layer_of:
            return FUNCTIONS[type(node.layer)](node.layer, x)
        share = self.shares[self.layer_of[node.name]]
        return share[:, RELU] * functional.relu(x) + share[:, LINE] * x

    def chosen(self) -> dict[str, Array]:
        """The gates without noise, within the budget."""
        return chosen({name: a.detach().numpy() for name, a in self.logits.items()}, self.keep)

    def _price(self) -> Tensor:
        each = torch.zeros(3)
        each[RELU], each[LINE], each[OFF] = 1.0, self.config.line_price, 0.0
        return self.config.price * sum((functional.softmax(a, dim=1) * each).sum() for a in self.logits.values())

    def _gumbel(self, shape: Any) -> Tensor:
        uniform = torch.rand(shape, generator=self.generator).clamp(1e-6, 1 - 1e-6)
        return -torch.log(-torch.log(uniform))
