"""Quantization-aware fine-tuning: the float weights learn to do as the policy does after they have been rounded.

In rounds, as in `distill`: the quantized graph flies, the policy says what it would have done in every state on the
way, and the dense layers are fitted to all answers so far. The fit sees what rounding does to weights and values, and
takes the gradient straight through it (Bengio et al., Estimating or Propagating Gradients Through Stochastic Neurons,
2013). Then the ordinary quantizer makes a graph of the weights.

The forward pass of the fit is near the graph's, not equal to it: sums and multipliers are float32, the nodes ahead of
the first dense layer are float, an elementwise layer is its float function between rounded ends (int16 tables
interpolate within a step or two of that, int8 ones leave out the most negative result), and scales are those at the
round's begin. What is kept and reported is measured on the graph itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import numpy as np
import torch
from torch.nn import functional

from tinyctl.errors import TinyctlError
from tinyctl.formats import find_format
from tinyctl.formats.base import F32
from tinyctl.graph import Graph
from tinyctl.layers.base import Array
from tinyctl.layers.dense import Dense
from tinyctl.network import Node
from tinyctl.policy import Policy
from tinyctl.pruner import Progress
from tinyctl.quantizer import Value, quantize_in_steps, row_units
from tinyctl.sims.plant import Plant, Task
from tinyctl.trainers.distill import (
    DistillConfig,
    Tensor,
    Tensors,
    Watched,
    imitated,
    observe,
    read_from_outside,
    tail_of,
)
from tinyctl.trainers.threads import one_thread

CONFIG = DistillConfig(rounds=4, episodes=32, steps=100, batch=256, learning_rate=1e-3)


@one_thread()
def tune(
    policy: Policy,
    formats: str | Mapping[str, str],
    calibration: Array,
    plant: Plant,
    task: Task,
    *,
    config: DistillConfig = CONFIG,
    seed: int = 0,
    progress: Progress | None = None,
) -> Graph:
    """The graph of the policy with weights fitted to `formats`; they and `calibration` are as in `quantizer.quantize`.
    Raises `TinyctlError` where `distill` does. The same seed gives the same graph on one machine."""
    tensors = _Rounded(policy, formats, calibration)

    def flown(round_: int) -> dict[str, Array]:
        pilot = _Shadowed(tensors.graph, policy, sorted(read_from_outside(tensors.tail)))
        return observe(pilot, plant, task, config.episodes, [seed, round_])

    for _ in imitated(policy, tensors, flown, config, np.random.default_rng(seed), progress):
        with suppress(TinyctlError):  # of weights that have no graph: the one before stays
            tensors.requantize()
    return tensors.graph


class _Shadowed(Watched):
    """Flies a graph, and keeps the values of nodes of the float policy, which sees and remembers the same."""

    def __init__(self, graph: Graph, policy: Policy, names: list[str]) -> None:
        super().__init__(graph, names)
        self.policy, self.shadow = policy, policy.init(0)

    def reset(self, n: int) -> None:
        super().reset(n)
        self.shadow = self.policy.init(n)

    def step(self, observations: Array) -> Array:
        values, following = self.policy.trace(observations, self.shadow.with_applied(self.state.applied))
        self.keep(values)
        self.shadow = following
        action, self.state = self.graph.run(observations, self.state)
        return action


class _Rounded(Tensors):
    """The tail of a policy as its graph rounds it."""

    def __init__(self, policy: Policy, formats: str | Mapping[str, str], calibration: Array) -> None:
        super().__init__(tail_of(policy))
        self.policy, self.formats, self.calibration = policy, formats, calibration
        self.requantize()

    def requantize(self) -> None:
        """Take the graph and its scales from the weights as they are now."""
        made = quantize_in_steps(self.written_to(self.policy), self.formats, self.calibration)
        self.graph, self.values, self.taken = made
        self.kinds = {node.name: node.format for node in self.graph.nodes}

    def read(self, node: Node, name: str, values: dict[str, Tensor]) -> Tensor:
        return _rounded(values[name], self.taken.get((node.name, name)))

    def made(self, node: Node, value: Tensor) -> Tensor:
        return _rounded(value, self.values.get(node.name))

    def linear(self, node: Node, x: Tensor) -> Tensor:
        taken = self.taken.get((node.name, node.inputs[0]))
        if taken is None or taken.scale is None:
            return super().linear(node, x)
        weight, bias = self.weights[node.name] * self.masks[node.name], self.biases[node.name]
        layer = Dense(weight.detach().numpy(), bias.detach().numpy())
        unit = row_units(layer, taken.scale, find_format(self.kinds[node.name]))[:, None]
        step = torch.from_numpy((unit / taken.scale).astype(F32))
        return functional.linear(x, _straight(weight, step), _straight(bias, torch.from_numpy(unit[:, 0].astype(F32))))


def _straight(x: Tensor, step: Tensor, low: float = -torch.inf, high: float = torch.inf) -> Tensor:
    """x in whole steps from `low` to `high`, with the gradient of x."""
    return x + (torch.clamp(torch.floor(x / step + 0.5), low, high) * step - x).detach()


def _rounded(x: Tensor, value: Value | None) -> Tensor:
    if value is None or value.scale is None:
        return x
    limits = np.iinfo(value.type)
    return _straight(x, torch.from_numpy(value.scale.astype(F32)), limits.min, limits.max)
