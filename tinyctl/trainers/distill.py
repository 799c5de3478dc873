"""Fine-tuning by imitation: a pruned policy learns again to do as its teacher does, where it flies itself.

In rounds: the pupil flies, its teacher says what it would have done in every state on the way (Ross et al., A Reduction
of Imitation Learning and Structured Prediction to No-Regret Online Learning, 2011), and the pupil's dense layers are
fitted to all answers so far. Weights that are zero stay zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from tinyctl.errors import TinyctlError
from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.layers.add import Add
from tinyctl.layers.base import Array, JoinLayer, Layer
from tinyctl.layers.clip import Clip
from tinyctl.layers.concat import Concat
from tinyctl.layers.dense import Dense
from tinyctl.layers.elu import Elu
from tinyctl.layers.fast_tanh import FastTanh
from tinyctl.layers.leaky_relu import LeakyRelu
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.sigmoid import Sigmoid
from tinyctl.layers.softsign import Softsign
from tinyctl.layers.tanh import Tanh
from tinyctl.network import Node
from tinyctl.policy import Policy
from tinyctl.pruner import Progress, Threshold, prune
from tinyctl.sequences import played
from tinyctl.simplify import edit, products
from tinyctl.sims.loop import fly
from tinyctl.sims.plant import Plant, Task
from tinyctl.trainers.threads import one_thread

Tensor = Any  # torch.Tensor


@dataclass(frozen=True)
class DistillConfig:
    """How long to imitate."""

    rounds: int = 4
    """Flights of the pupil, each followed by a fit."""
    episodes: int = 64
    """Episodes of a flight."""
    steps: int = 400
    """Gradient steps of a fit."""
    batch: int = 2048
    """States of a gradient step."""
    learning_rate: float = 3e-3
    """Adam's first step size; it falls linearly to zero over all rounds."""


@one_thread()
def distill(
    teacher: Policy,
    pupil: Policy,
    plant: Plant,
    task: Task,
    *,
    config: DistillConfig = DistillConfig(),
    seed: int = 0,
    progress: Progress | None = None,
) -> Policy:
    """The pupil with other weights and biases. Both begin with the same nodes, up to the first dense one, and have no
    memory behind it; else raises `TinyctlError`. The same seed gives the same weights on one machine."""
    return _distill(teacher, pupil, plant, task, config, np.random.default_rng(seed), seed, progress)


def prune_gradually(
    policy: Policy,
    calibration: Array,
    plant: Plant,
    task: Task,
    *,
    keep: float = 1.0,
    neurons: float = 1.0,
    threshold: Threshold = "global",
    seed: int = 0,
    progress: Progress | None = None,
) -> Policy:
    """`pruner.prune` in steps that each leave at least half of the products, with `distill` after each: what is left
    learns to do without the rest before more is taken."""
    count = max(1, math.ceil(-math.log2(keep)))
    rounds = [*[2] * (count - 1), 4]
    config, pruned, done = DistillConfig(), policy, 0
    for k in range(count):
        share = keep ** ((k + 1) / count) * products(policy) / products(pruned)
        pruned = prune(
            pruned, calibration, keep=min(share, 1.0), neurons=neurons if k == 0 else 1.0, threshold=threshold
        )
        tell = None if progress is None else partial(told_after, progress, done, sum(rounds) * config.steps)
        pruned = distill(
            policy, pruned, plant, task, config=replace(config, rounds=rounds[k]), seed=seed + k, progress=tell
        )
        done += rounds[k] * config.steps
    return pruned


def told_after(progress: Progress, before: int, total: int, done: int, of: int, note: str) -> None:
    """Tell the progress of a part, as one that began when `before` of the `total` was done."""
    progress(before + done, total, note)


def _distill(
    teacher: Policy, pupil: Policy, plant: Plant, task: Task, config: DistillConfig, rng: np.random.Generator,
    seed: int, progress: Progress | None,
) -> Policy:  # fmt: skip
    tensors = Tensors(tail_of(pupil))

    def flown(round_: int) -> dict[str, Array]:
        made = tensors.written_to(pupil)
        names = read_from_outside(tail_of(teacher)) | read_from_outside(tensors.tail)
        pilot = Watched(Graph(made.contract, made.nodes), sorted(names))
        return observe(pilot, plant, task, config.episodes, [seed, round_])

    for _ in imitated(teacher, tensors, flown, config, rng, progress):
        pass
    return tensors.written_to(pupil)


def imitated(
    teacher: Policy, tensors: Tensors, flown: Callable[[int], dict[str, Array]], config: DistillConfig,
    rng: np.random.Generator, progress: Progress | None,
) -> Iterator[int]:  # fmt: skip
    """Fits `tensors` to the teacher's answers, round by round; yields the round after each. `flown(round)` gives the
    values (states, columns) of the nodes that the tails read from outside."""
    tail = tail_of(teacher)
    span = torch.tensor([s.high - s.low for s in teacher.contract.outputs])
    optimiser = torch.optim.Adam(tensors.parameters, lr=config.learning_rate)
    seen: list[dict[str, Array]] = []
    done, total = 0, config.rounds * config.steps
    for round_ in range(config.rounds):
        seen.append(flown(round_))
        values = {name: np.concatenate([known[name] for known in seen]) for name in seen[0]}
        answers = torch.from_numpy(answers_of(tail, values))
        inputs = {name: torch.from_numpy(array) for name, array in values.items()}
        for _ in range(config.steps):
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * (1 - done / total)
            rows = torch.from_numpy(rng.integers(0, len(answers), config.batch))
            given = {name: tensor[rows] for name, tensor in inputs.items()}
            loss = (((tensors.forward(given) - answers[rows]) / span) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            done += 1
            if progress is not None:
                progress(done, total, f"error {loss.item() ** 0.5:.2%}")
        yield round_


def tail_of(policy: Policy) -> tuple[Node, ...]:
    """What is trained: the nodes from the first dense one on; raises `TinyctlError` when they cannot be."""
    first = next((i for i, node in enumerate(policy.nodes) if isinstance(node.layer, Dense)), None)
    if first is None:
        raise TinyctlError("nothing to fine-tune: there is no dense layer")
    for node in policy.nodes[first:]:
        if not isinstance(node.layer, (Dense, Add, Concat, *FUNCTIONS)):
            raise TinyctlError(
                f"a {node.layer.kind} behind a dense layer cannot be fine-tuned",
                where=f"node {node.name}",
                fix="prune without fine-tuning",
            )
    return policy.nodes[first:]


def read_from_outside(tail: tuple[Node, ...]) -> set[str]:
    """The nodes ahead of a tail whose values it reads."""
    return {name for node in tail for name in node.inputs} - {node.name for node in tail}


class Watched(GraphController):
    """Flies a graph and keeps the values of some nodes."""

    def __init__(self, graph: Graph, names: list[str]) -> None:
        super().__init__(graph)
        self.seen: dict[str, list[Array]] = {name: [] for name in names}

    def step(self, observations: Array) -> Array:
        values, self.state = self.graph.trace(observations, self.state)
        self.keep(values)
        return self.state.applied.copy()

    def keep(self, values: Mapping[str, Array]) -> None:
        for name, arrays in self.seen.items():
            arrays.append(values[name])


def observe(pilot: Watched, plant: Plant, task: Task, episodes: int, seed: Any) -> dict[str, Array]:
    """What a pilot keeps, (states, columns) by name, in closed loop up to the loss of each episode."""
    contract = pilot.graph.contract
    flights = fly(plant, task, played(pilot, contract), episodes=episodes, seed=seed, keep=0)
    steps = len(next(iter(pilot.seen.values())))
    end = np.where(np.isnan(flights.lost_s), np.inf, flights.lost_s)
    alive = (np.arange(steps) * (1.0 / contract.rate_hz))[:, None] < end
    return {name: np.stack(arrays)[alive] for name, arrays in pilot.seen.items()}


def answers_of(tail: tuple[Node, ...], values: Mapping[str, Array]) -> Array:
    """What the teacher does (states, n_act)."""
    known = dict(values)
    for node in tail:
        sources = [known[name] for name in node.inputs]
        known[node.name] = (
            node.layer.join(*sources) if isinstance(node.layer, JoinLayer) else node.layer.run(sources[0])
        )
    return known[tail[-1].name]


class Tensors:
    """The tail of a policy in torch. A weight that is zero at first has a mask over it. `bend` is the function of an
    elementwise layer."""

    bend: Callable[[Node, Tensor], Tensor] = staticmethod(lambda node, x: FUNCTIONS[type(node.layer)](node.layer, x))

    def __init__(self, tail: tuple[Node, ...]) -> None:
        self.tail = tail
        dense = {node.name: node.layer for node in tail if isinstance(node.layer, Dense)}
        self.masks = {name: torch.from_numpy((layer.weight != 0).astype(np.float32)) for name, layer in dense.items()}
        self.weights, self.biases = (
            {name: torch.tensor(getattr(layer, field), requires_grad=True) for name, layer in dense.items()}
            for field in ("weight", "bias")
        )

    @property
    def parameters(self) -> list[Tensor]:
        return [*self.weights.values(), *self.biases.values()]

    def linear(self, node: Node, x: Tensor) -> Tensor:
        return functional.linear(x, self.weights[node.name] * self.masks[node.name], self.biases[node.name])

    def read(self, node: Node, name: str, values: dict[str, Tensor]) -> Tensor:
        """The value of node `name` as `node` takes it."""
        return values[name]

    def made(self, node: Node, value: Tensor) -> Tensor:
        """The value of a node as it stands for its readers."""
        return value

    def forward(self, values: dict[str, Tensor]) -> Tensor:
        for node in self.tail:
            layer, name, sources = node.layer, node.name, [self.read(node, name, values) for name in node.inputs]
            if isinstance(layer, Dense):
                values[name] = self.linear(node, sources[0])
            elif isinstance(layer, Add):
                values[name] = sources[0] + sources[1]
            elif isinstance(layer, Concat):
                values[name] = torch.cat(sources, dim=1)
            else:
                values[name] = self.bend(node, sources[0])
            values[name] = self.made(node, values[name])
        return values[self.tail[-1].name]

    def written_to(self, policy: Policy) -> Policy:
        layers = {}
        for node in self.tail:
            if isinstance(node.layer, Dense):
                weight = (self.weights[node.name] * self.masks[node.name]).detach().numpy()
                layers[node.name] = replace(
                    node.layer, weight=weight, bias=self.biases[node.name].detach().numpy().copy()
                )
        return edit(policy, layers)


def _clip(layer: Clip, x: Tensor) -> Tensor:
    """A clip whose gradient is that of the line: beyond the limits one could not learn the way back."""
    clipped = torch.clamp(x, torch.tensor(layer.low), torch.tensor(layer.high))
    return x + (clipped - x).detach()


def _fast_tanh(layer: FastTanh, x: Tensor) -> Tensor:
    square = torch.clamp(x, -3, 3) ** 2
    return torch.clamp(x, -3, 3) * (27 + square) / (27 + 9 * square)


FUNCTIONS: dict[type[Layer], Callable[[Any, Tensor], Tensor]] = {
    Relu: lambda layer, x: functional.relu(x),
    LeakyRelu: lambda layer, x: functional.leaky_relu(x, layer.slope),
    Elu: lambda layer, x: functional.elu(x, layer.alpha),
    Tanh: lambda layer, x: torch.tanh(x),
    FastTanh: _fast_tanh,
    Sigmoid: lambda layer, x: torch.sigmoid(x),
    Softsign: lambda layer, x: functional.softsign(x),
    Scale: lambda layer, x: x * torch.tensor(layer.gain) + torch.tensor(layer.offset),
    Clip: _clip,
}
