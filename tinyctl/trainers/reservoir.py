"""Reservoirs of excitatory and inhibitory units whose inhibition adapts to target rates, read out by ridge regression.

    x = (1 - leak) x + leak sigmoid((W_E - W_I) x + W_in u + bias)

Every unit excites or inhibits all that it reaches (Dale's law). After each block of steps W_I[i] is multiplied by
1 + eta (mean x_i - rho_i), until each unit's mean rate is near its target rho_i, drawn from a spread; then the weights
stay. That local adaptation of inhibition helps is the finding of arXiv 2504.12480; the rule is a stand-in of ours, for
its equation could not be read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tinyctl.cells import reservoir
from tinyctl.layers.base import Array
from tinyctl.network import Node


@dataclass(frozen=True)
class Config:
    """A reservoir, and how it adapts."""

    units: int = 100
    density: float = 0.1
    """Share of the connections that there are."""
    inhibitory: float = 0.2
    """Share of the units that inhibit."""
    strength: float = 1.0
    """Of the connections: the standard deviation of what reaches a unit from others that are independent."""
    balance: float = 1.0
    """Total inhibition over total excitation, before it adapts."""
    input_gain: float = 1.0
    """Spread of the input weights."""
    leak: float = 1.0
    rate: float = 0.5
    """Mean of the target rates."""
    spread: float = 0.1
    """Their standard deviation."""
    eta: float = 0.5
    blocks: int = 60
    """Blocks of steps, with an adaptation after each."""
    block: int = 50
    """Steps of a block."""


@dataclass(frozen=True)
class Reservoir:
    """`excitation` and `inhibition` (n, n), of no negative numbers, `w_in` (n, n_in), `bias` (n,), `targets` (n,)."""

    excitation: Array
    inhibition: Array
    w_in: Array
    bias: Array
    leak: float
    targets: Array

    def run(self, u: Array, x: Array | None = None) -> Array:
        """The states (steps, n) under inputs (steps, n_in), from `x` (n,), by default half of all rates."""
        state = np.full(len(self.bias), 0.5) if x is None else x
        w, seen = self.excitation - self.inhibition, np.empty((len(u), len(self.bias)))
        for k, drive in enumerate(u @ self.w_in.T + self.bias):
            rate = 0.5 + 0.5 * np.tanh(0.5 * (w @ state + drive))
            state = (1 - self.leak) * state + self.leak * rate
            seen[k] = state
        return seen

    def weights(self) -> tuple[Array, Array, Array]:
        """Connections (n, n), input weights (n, n_in) and biases (n,)."""
        return self.excitation - self.inhibition, self.w_in, self.bias

    def nodes(self, name: str, source: str, kept: str | None = None) -> tuple[Node, ...]:
        """The reservoir as nodes, its connections in compressed rows."""
        w, w_in, bias = self.weights()
        return reservoir(name, source, w_in, w, bias, self.leak, kept)


def make(config: Config, n_in: int, seed: int) -> Reservoir:
    """A random reservoir that has not adapted."""
    rng, n = np.random.default_rng(seed), config.units
    connected = rng.random((n, n)) < config.density
    size = connected * rng.gamma(2.0, 1.0, (n, n)) * config.strength / np.sqrt(n * config.density)
    inhibits = np.arange(n) >= round((1 - config.inhibitory) * n)
    excitation, inhibition = size * ~inhibits, size * inhibits
    inhibition *= config.balance * excitation.sum(axis=1, keepdims=True) / np.maximum(
        inhibition.sum(axis=1, keepdims=True), 1e-9)  # fmt: skip
    targets = np.clip(rng.normal(config.rate, config.spread, n), 0.02, 0.98)
    return Reservoir(excitation, inhibition, config.input_gain * rng.uniform(-1, 1, (n, n_in)), np.zeros(n),
                     config.leak, targets)  # fmt: skip


def adapted(made: Reservoir, u: Array, config: Config) -> Reservoir:
    """The reservoir after adapting to inputs (steps, n_in), of which blocks are taken in turn."""
    x = None
    for k in range(config.blocks):
        rows = np.arange(k * config.block, (k + 1) * config.block) % len(u)
        states = made.run(u[rows], x)
        x, change = states[-1], 1 + config.eta * (states.mean(axis=0) - made.targets)
        made = replace(made, inhibition=made.inhibition * change[:, None])
    return made


def ridge(states: Array, wanted: Array, weight: float) -> tuple[Array, Array]:
    """Weights (n_out, n) and bias (n_out,) with the least squared error plus `weight` times that of the weights."""
    mean, level = states.mean(axis=0), wanted.mean(axis=0)
    centred = states - mean
    gram = centred.T @ centred + weight * len(states) * np.eye(states.shape[1])
    w = np.linalg.solve(gram, centred.T @ (wanted - level)).T
    return w, level - w @ mean
