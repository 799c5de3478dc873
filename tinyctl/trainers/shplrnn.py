"""Shallow piecewise-linear networks of a plant's motion, by generalised teacher forcing.

The state is pulled a share `alpha` towards what was measured in every step, z = (1 - alpha) z + alpha x, and alpha is
kept so large that the product of the forced steps' Jacobians does not grow: gradients stay bounded through chaos, and
predictions run as freely as they can. Equations and schedule: Hess et al., Generalized Teacher Forcing for Learning
Chaotic Dynamics, 2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from tinyctl.cells import shplrnn
from tinyctl.layers.base import Array
from tinyctl.network import Node
from tinyctl.trainers.threads import one_thread

SLOWEST_DECAY = 0.999  # |a| stays below it
RENEW = 5  # batches from one estimate of alpha to the next
FORGET = 0.99  # of alpha, when the estimate falls; 0.999 in the paper, for a hundred times as many steps
Tensor = Any  # torch.Tensor


@dataclass(frozen=True)
class Config:
    """How a network is fitted to series."""

    hidden: int = 100
    """Bends."""
    length: int = 100
    """Steps of a sequence."""
    batch: int = 16
    """Sequences of a gradient step."""
    steps: int = 1500
    """Gradient steps."""
    learning_rate: tuple[float, float] = (2e-3, 1e-5)
    """RAdam's first and last step size; it falls geometrically."""


class ShallowPlrnn(nn.Module):  # type: ignore[misc]
    """`m` states, `hidden` bends, `n_in` inputs (`cells.shplrnn`)."""

    def __init__(self, m: int, hidden: int, n_in: int) -> None:
        super().__init__()
        self.decay = nn.Parameter(torch.full((m,), math.atanh(0.9)))
        self.w1 = nn.Parameter(torch.randn(m, hidden) / hidden)
        self.w2 = nn.Parameter(torch.randn(hidden, m) / math.sqrt(m))
        self.h1, self.h2 = nn.Parameter(torch.zeros(m)), nn.Parameter(torch.randn(hidden))
        self.w_in = nn.Parameter(torch.randn(m, n_in) * 0.1 / math.sqrt(n_in))

    @property
    def a(self) -> Tensor:
        return SLOWEST_DECAY * torch.tanh(self.decay)

    def step(self, z: Tensor, s: Tensor) -> Tensor:
        """The next state (batch, m) after inputs `s` (batch, n_in)."""
        flat = z @ self.w2.T
        bent = torch.relu(flat + self.h2) - torch.relu(flat)
        return self.a * z + bent @ self.w1.T + self.h1 + s @ self.w_in.T

    def forward(self, inputs: Tensor, begins: Tensor | None = None) -> Tensor:
        """(batch, steps, n_in) to the states (batch, steps, m), from zero, and again where `begins` says so."""
        z, seen = torch.zeros(len(inputs), len(self.h1)), []
        for k in range(inputs.shape[1]):
            if begins is not None:
                z = z * ~begins[:, k, None]
            z = self.step(z, inputs[:, k])
            seen.append(z)
        return torch.stack(seen, dim=1)

    def forced(self, x: Tensor, inputs: Tensor, alpha: float) -> Tensor:
        """What it says of x[:, 1:], starting at x[:, 0] and pulled towards the states x (batch, steps, m)."""
        z, seen = x[:, 0], []
        for k in range(x.shape[1] - 1):
            z = self.step(z, inputs[:, k])
            seen.append(z)
            z = (1 - alpha) * z + alpha * x[:, k + 1]
        return torch.stack(seen, dim=1)

    def alpha(self, x: Tensor) -> float:
        """The least share with which no product of Jacobians along the states x (batch, steps, m) grows, by the
        geometric mean of their spectral norms: alpha = 1 - 1 / that of the worst sequence."""
        with torch.no_grad():
            flat = x @ self.w2.T
            slopes = (flat > -self.h2).float() - (flat > 0).float()
            jacobian = torch.diag(self.a) + (self.w1 * slopes[..., None, :]) @ self.w2
            growth = torch.linalg.matrix_norm(jacobian, 2).log().mean(dim=1).exp().max()
        return max(0.0, 1 - 1 / float(growth))

    def nodes(self, name: str, source: str, reach: Array, initial: Array | None = None, kept: str | None = None
              ) -> tuple[Node, ...]:  # fmt: skip
        """The network as nodes, for inputs within `reach` (n_in,)."""
        parts = (p.detach().numpy() for p in (self.a, self.w1, self.w2, self.h1, self.h2, self.w_in))
        return shplrnn(name, source, *parts, reach=reach, initial=initial, kept=kept)


@one_thread()
def fit(x: Array, inputs: Array, config: Config = Config(), seed: int = 0) -> tuple[ShallowPlrnn, float, list[float]]:
    """A network of the states `x` (steps, m), of mean 0 and spread 1, and the inputs (steps, n_in) that moved them on;
    the share alpha at its end, and the loss of each gradient step."""
    rng, losses, alpha = np.random.default_rng(seed), [], 1.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ShallowPlrnn(x.shape[1], config.hidden, inputs.shape[1])
    states, moved = torch.from_numpy(x), torch.from_numpy(inputs)
    optimiser = torch.optim.RAdam(net.parameters(), lr=config.learning_rate[0])
    fall = (config.learning_rate[1] / config.learning_rate[0]) ** (1 / config.steps)
    places = torch.arange(config.length + 1)
    for k in range(config.steps):
        rows = torch.from_numpy(rng.integers(0, len(x) - config.length, config.batch))[:, None] + places
        true = states[rows]
        if k % RENEW == 0:
            estimate = net.alpha(true)
            alpha = max(estimate, FORGET * alpha + (1 - FORGET) * estimate)
        loss = ((net.forced(true, moved[rows], alpha) - true[:, 1:]) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        optimiser.param_groups[0]["lr"] *= fall
        losses.append(loss.item())
    return net, alpha, losses
