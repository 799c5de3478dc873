"""Input-convex recurrent networks with a Lipschitz bound: models of a plant over which planning is a convex program.

    h = relu(U [x, -x] + W h + b)   y = relu(V h + c)

with U, W, V not negative and no spectral norm above one, to which they are projected after every gradient step: y is
convex in the inputs x of all steps (Wang, Wu et al., Input convex Lipschitz recurrent neural networks, 2024). Both
inputs of U become one: U [x, -x] = (U+ - U-) x.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from tinyctl.cells import relu_rnn
from tinyctl.layers.base import Array
from tinyctl.layers.dense import Dense
from tinyctl.layers.relu import Relu
from tinyctl.network import Node
from tinyctl.trainers.threads import one_thread

LIMIT = 64.0  # of a hidden value that is remembered; inputs and outputs are of order one
POWER_STEPS = 2  # of the power iteration that goes on from one projection to the next
SAFETY = 1e-3  # what a spectral norm is taken larger
Tensor = Any  # torch.Tensor


@dataclass(frozen=True)
class Config:
    """How a network is fitted to sequences."""

    width: int = 64
    """Columns of each of the two hidden layers."""
    steps: int = 4000
    """Gradient steps."""
    batch: int = 256
    """Sequences of a gradient step."""
    learning_rate: float = 3e-3
    """Adam's first step size; it falls linearly to zero."""


class ConvexRnn(nn.Module):  # type: ignore[misc]
    """Two hidden layers of `n` columns behind `n_in` inputs, and `n_out` outputs."""

    def __init__(self, n_in: int, n: int, n_out: int) -> None:
        super().__init__()
        self.n_in, self.hidden = n_in, nn.RNN(2 * n_in, n, 2, nonlinearity="relu", batch_first=True)
        self.head = nn.Linear(n, n_out)
        named = dict(self.hidden.named_parameters())
        with torch.no_grad():
            for name, p in named.items():
                if "weight_ih" in name:
                    p.normal_(0, 0.1)
                elif "weight_hh" in name:
                    p.copy_(torch.eye(n) / 2)
                else:
                    p.zero_()
            self.head.weight.abs_()
            named["weight_ih_l0"].abs_()
            named["weight_ih_l1"].abs_()
        for name in ("bias_hh_l0", "bias_hh_l1"):
            named[name].requires_grad_(False)  # one bias is enough
        self._matrices = [p for name, p in named.items() if "weight" in name] + [self.head.weight]
        self._vectors = [torch.ones(len(m)) / len(m) ** 0.5 for m in self._matrices]
        self.project()

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, steps, n_in) to (batch, steps, n_out)."""
        return torch.relu(self.head(self.hidden(torch.cat([inputs, -inputs], dim=2))[0]))

    def project(self) -> None:
        """Every matrix not negative, its spectral norm at most one."""
        with torch.no_grad():
            for i, matrix in enumerate(self._matrices):
                matrix.clamp_(min=0)
                for _ in range(POWER_STEPS):
                    across = matrix.T @ self._vectors[i]
                    self._vectors[i] = matrix @ (across / (across.norm() + 1e-12))
                    norm = self._vectors[i].norm()
                    self._vectors[i] /= norm + 1e-12
                matrix /= max(1.0, float(norm) + SAFETY)

    def count(self) -> int:
        """The parameters that are trained."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def nodes(self, source: str, kept: str | None = None) -> tuple[Node, ...]:
        """The network as nodes that compute a step of it; what they recall is multiplied by the value of `kept`."""
        w = {name: p.detach().numpy() for name, p in self.hidden.named_parameters()}
        folded = w["weight_ih_l0"][:, : self.n_in] - w["weight_ih_l0"][:, self.n_in :]
        limit = np.full(len(folded), LIMIT)
        weight, bias = (p.detach().numpy().copy() for p in self.head.parameters())
        return (
            *relu_rnn("first", source, folded, w["weight_hh_l0"], w["bias_ih_l0"], limit, kept),
            *relu_rnn("second", "first_out", w["weight_ih_l1"], w["weight_hh_l1"], w["bias_ih_l1"], limit, kept),
            Node("head", Dense(weight, bias), ("second_out",)),
            Node("positive", Relu(len(bias)), ("head",)),
        )


@one_thread()
def fit(inputs: Array, targets: Array, config: Config = Config(), seed: int = 0) -> ConvexRnn:
    """A network of `inputs` (sequences, steps, n_in), scaled to a unit, and `targets` (sequences, steps, n_out) of
    positive numbers."""
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ConvexRnn(inputs.shape[2], config.width, targets.shape[2])
    x, y = torch.from_numpy(inputs), torch.from_numpy(targets)
    optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=config.learning_rate)
    for k in range(config.steps):
        optimiser.param_groups[0]["lr"] = config.learning_rate * (1 - k / config.steps)
        rows = torch.from_numpy(rng.integers(0, len(x), config.batch))
        loss = ((net(x[rows]) - y[rows]) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        net.project()
    return net
